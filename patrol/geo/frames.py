"""A flat map frame around one point: metres east and north."""

from dataclasses import dataclass

import numpy as np
import pymap3d
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_M = 6_371_000.0
"""Mean radius; the ellipsoid's radii of curvature differ from it by 0.7 % at most."""


@dataclass(frozen=True)
class LocalFrame:
    """The plane that touches the WGS-84 ellipsoid at an origin (degrees), x east and y north in metres.

    A point d metres away lies d^2 / 2R below the plane (R = 6371 km): 0.8 mm at 100 m, 8 cm at 1 km. Across
    the plane distances are short by d^3 / 2R^2, 12 micrometres at 1 km. Those between points at a height h
    are short by h / R, 3 cm in 100 m at 2 km; a plane at `height_m` above the ellipsoid has them in full.
    """

    origin_lat_deg: float
    origin_lon_deg: float
    height_m: float = 0.0

    def to_enu(
        self, lat_deg: ArrayLike, lon_deg: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """East and north in metres; arrays of any shape, a number gives a zero-dimensional array."""
        east, north, _ = pymap3d.geodetic2enu(
            np.asarray(lat_deg, dtype=np.float64),
            np.asarray(lon_deg, dtype=np.float64),
            self.height_m,
            self.origin_lat_deg,
            self.origin_lon_deg,
            self.height_m,
        )
        return np.asarray(east), np.asarray(north)

    def to_geodetic(
        self, east_m: ArrayLike, north_m: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitude and longitude in degrees; arrays of any shape, a number gives a zero-dimensional array."""
        lat_deg, lon_deg, _ = pymap3d.enu2geodetic(
            np.asarray(east_m, dtype=np.float64),
            np.asarray(north_m, dtype=np.float64),
            0.0,
            self.origin_lat_deg,
            self.origin_lon_deg,
            self.height_m,
        )
        return np.asarray(lat_deg), np.asarray(lon_deg)
