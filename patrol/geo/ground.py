"""The ground that rays meet: what the projection asks of it, and the simplest one, of one height."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patrol.domain.heights import Amsl
from patrol.geo.frames import EARTH_RADIUS_M


@dataclass(frozen=True, eq=False)
class Meeting:
    """Where rays from one eye meet the ground first.

    Attributes:
        reach: (N,) float64; the meeting lies at eye + reach * ray. NaN where no known ground is met.
        rise_ne: (2, N) or (2, 1) float64, by how many metres the ground rises there per metre north and east.
    """

    reach: NDArray[np.float64]
    rise_ne: NDArray[np.float64]


class Ground(Protocol):
    """A surface with one height at each place.

    `sigma_m` is the one-sigma error of its height, the same everywhere and for all points of one view.
    """

    @property
    def sigma_m(self) -> float:
        """One-sigma error of the heights."""
        ...

    def height_amsl_m_at(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
        """Heights (N,) float64 at WGS-84 places (N,) or numbers; NaN where they are unknown."""
        ...

    def meet(self, lat_deg: float, lon_deg: float, height: Amsl, rays_ned: NDArray[np.float64]) -> Meeting:
        """Where rays (3, N) of any length, north, east and down, from an eye at a place meet the ground."""
        ...


def level_reach(above_m: ArrayLike, rays_ned: NDArray[np.float64]) -> NDArray[np.float64]:
    """By what rays (3, N) must be multiplied to reach ground that is level `above_m` (N,) below the eye.

    The earth falls away by r^2 / 2R at a distance r: the nearer root, in the form that stays exact for a ray
    straight down. What is no number or negative means that the ray does not come down to the ground.
    """
    north, east, down = rays_ned
    above_m = np.asarray(above_m, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        bend = (north * north + east * east) * (2 * above_m / EARTH_RADIUS_M)
        return np.asarray(2 * above_m / (down + np.sqrt(down * down - bend)))


@dataclass(frozen=True)
class LevelGround:
    """Ground of one height above sea level, bent with the earth: 0.8 mm at 100 m, 5 cm at 800 m."""

    height: Amsl
    sigma_m: float = 0.0

    def height_amsl_m_at(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
        """The one height at every place; NaN where the place is not a number."""
        lat_deg, lon_deg = np.atleast_1d(lat_deg), np.atleast_1d(lon_deg)
        return np.where(np.isfinite(lat_deg) & np.isfinite(lon_deg), self.height.metres, np.nan)

    def meet(self, lat_deg: float, lon_deg: float, height: Amsl, rays_ned: NDArray[np.float64]) -> Meeting:
        """See `Ground.meet`. The place plays no part."""
        reach = level_reach(height - self.height, rays_ned)
        reach[~((reach > 0) & np.isfinite(reach))] = np.nan
        return Meeting(reach, np.zeros((2, 1)))
