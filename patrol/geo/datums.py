"""GCJ-02, the shifted datum of Chinese map services. For display only: nothing inside works in it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Krasovsky 1940 ellipsoid, on which the shift is defined.
_SEMI_MAJOR_M = 6_378_245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323

# The rectangle that the published shift treats as China (it holds neighbours' ground, too).
_CHINA_LAT_DEG = (0.8293, 55.8271)
_CHINA_LON_DEG = (72.004, 137.8347)

# The shift is a polynomial and sine waves about this point.
_CENTRE_LAT_DEG, _CENTRE_LON_DEG = 35.0, 105.0


def wgs84_to_gcj02(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift WGS-84 degrees to GCJ-02 degrees; arrays of any shape; identity outside China's rectangle.

    Formula: the shift published in 2010 and found to reproduce map services to about a metre (see
    "Restrictions on geographic data in China", Wikipedia, section GCJ-02).
    """
    lat = np.asarray(lat_deg, dtype=np.float64)
    lon = np.asarray(lon_deg, dtype=np.float64)
    x, y = lon - _CENTRE_LON_DEG, lat - _CENTRE_LAT_DEG
    ripple = 20 * (np.sin(6 * np.pi * x) + np.sin(2 * np.pi * x))
    root = np.sqrt(np.abs(x))
    north_m = (
        -100 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * root
        + (ripple + 20 * np.sin(np.pi * y) + 40 * np.sin(np.pi * y / 3)
           + 160 * np.sin(np.pi * y / 12) + 320 * np.sin(np.pi * y / 30)) * 2 / 3
    )  # fmt: skip
    east_m = (
        300 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * root
        + (ripple + 20 * np.sin(np.pi * x) + 40 * np.sin(np.pi * x / 3)
           + 150 * np.sin(np.pi * x / 12) + 300 * np.sin(np.pi * x / 30)) * 2 / 3
    )  # fmt: skip
    lat_rad = np.radians(lat)
    flattening = 1 - _ECCENTRICITY_SQUARED * np.sin(lat_rad) ** 2
    meridian_m = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / flattening**1.5
    parallel_m = _SEMI_MAJOR_M / np.sqrt(flattening) * np.cos(lat_rad)
    inside = (
        (lat >= _CHINA_LAT_DEG[0]) & (lat <= _CHINA_LAT_DEG[1])
        & (lon >= _CHINA_LON_DEG[0]) & (lon <= _CHINA_LON_DEG[1])
    )  # fmt: skip
    return (
        np.where(inside, lat + np.degrees(north_m / meridian_m), lat),
        np.where(inside, lon + np.degrees(east_m / parallel_m), lon),
    )
