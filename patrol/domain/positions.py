"""Places on the ground, how well they are known, and what they are called. WGS-84 throughout."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Covariance = tuple[float, float, float]
"""(var_e, cov_en, var_n) in square metres: the covariance of a position, east and north."""

Spread = tuple[tuple[float, ...], tuple[float, ...]]
"""East and north, in metres: by how much one sigma of each independent source of error moves a position. The
sources and their order are `patrol.geo.projection.SOURCES`."""


def covariance_of(spread_en_m: Spread) -> Covariance:
    """The covariance that errors of independent sources add up to."""
    east_m, north_m = np.asarray(spread_en_m)
    return float(east_m @ east_m), float(east_m @ north_m), float(north_m @ north_m)


def covariance_matrix(covariance_en_m2: Covariance) -> NDArray[np.float64]:
    """The covariance as a (2, 2) matrix, east first."""
    var_e, cov_en, var_n = covariance_en_m2
    return np.array([[var_e, cov_en], [cov_en, var_n]])


@dataclass(frozen=True)
class GeoPoint:
    """A point on the ground, WGS-84 degrees."""

    lat_deg: float
    lon_deg: float


@dataclass(frozen=True)
class ErrorEllipse:
    """The ellipse that holds the true position with a stated probability.

    `bearing_deg` is the direction of the major axis, clockwise from true north, 0..180.
    """

    semi_major_m: float
    semi_minor_m: float
    bearing_deg: float


@dataclass(frozen=True)
class GroundTrack:
    """A tracked person on the ground at one instant.

    Attributes:
        track_id: as in `Track`.
        at_ns: UTC, nanoseconds since 1970; the capture time of the picture.
        lat_deg, lon_deg: WGS-84.
        east_m, north_m: the same place in the market's local frame.
        spread_en_m: what moves the position, by source of error.
        observed: the person was detected in this very picture.
    """

    track_id: int
    at_ns: int
    lat_deg: float
    lon_deg: float
    east_m: float
    north_m: float
    spread_en_m: Spread
    observed: bool

    @property
    def covariance_en_m2(self) -> Covariance:
        """The covariance of the position."""
        return covariance_of(self.spread_en_m)


@dataclass(frozen=True)
class LocalText:
    """The same words in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True)
class Place:
    """A named piece of a market: ids for machines, words for people. `zone` is None outside every zone."""

    market: str
    zone: str | None
    name: LocalText
