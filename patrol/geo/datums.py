"""GCJ-02 and BD-09, the shifted datums of Chinese map services. For display only: inside all is WGS-84.

GCJ-02 (Amap, Tencent) moves a place of WGS-84 by up to 0.7 km, BD-09 (Baidu) that by another 0.8 to 1 km.
Their owners publish neither; the formulas are those known since 2010 ("Restrictions on geographic data in
China", Wikipedia, sections GCJ-02 and BD-09), which agree with the services' own answers to a metre
(tests/unit/geo/test_datums.py).

All functions take and give degrees in float64, numbers or arrays of shapes that broadcast. What is no place
(not finite, latitude beyond 90, longitude beyond 180) gives NaN for both. Outside China the datums are one
and nothing moves. Whether a place is in China is told by where it lies in WGS-84, whatever its datum here:

- From WGS-84 and back is exact (to 1e-8 m) everywhere in China, and elsewhere but for a strip along China's
  edge, as wide as the shift: there a position is taken for the place inside that is shifted to it.
- A shifted position inside the edge to which no place is shifted comes back as it is.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]

# Krasovsky 1940 ellipsoid, on which the shift is defined.
_SEMI_MAJOR_M = 6_378_245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323

# The shift is a polynomial and sine waves about this point.
_CENTRE_LAT_DEG, _CENTRE_LON_DEG = 35.0, 105.0

# Baidu's further shift: a wave over the polar coordinates of the degrees, then an offset.
_BD09_WAVES = 3000 * np.pi / 180
_BD09_RADIUS_DEG, _BD09_ANGLE_RAD = 2e-5, 3e-6
_BD09_OFFSET_LAT_DEG, _BD09_OFFSET_LON_DEG = 0.006, 0.0065

# Where Chinese map services shift: the mainland, Hong Kong and Macau, not Taiwan (Huawei Map Kit, "Coordinate
# rectification"; Baidu alone counts Taiwan in). From each degree of latitude to the next, the longitudes of
# western and eastern edges: the extent of that ground in Natural Earth 1:10m (public domain), gaps of under
# two degrees closed, widened to whole tenths. It lacks only the islets south of Hainan, and holds 8 % as much
# of neighbours' ground; the one rectangle of the published code holds 132 % as much, with Seoul and Delhi.
_CHINA_LON_DEG = {
    18: (108.6, 110.6), 19: (108.6, 111.1), 20: (109.6, 111.0), 21: (99.9, 101.9, 106.6, 113.8),
    22: (99.1, 116.6), 23: (97.5, 117.9), 24: (97.5, 119.1), 25: (97.6, 119.9), 26: (98.5, 120.4),
    27: (85.9, 92.7, 98.1, 121.2), 28: (84.2, 94.4, 96.4, 121.8), 29: (82.4, 122.5), 30: (79.4, 122.6),
    31: (78.6, 122.0), 32: (78.3, 121.8), 33: (78.7, 120.9), 34: (78.1, 120.4), 35: (75.9, 120.4),
    36: (74.8, 122.6), 37: (74.3, 122.7), 38: (73.6, 121.9), 39: (73.6, 124.4), 40: (73.9, 126.1),
    41: (76.8, 128.6), 42: (79.8, 103.1, 105.8, 131.2), 43: (80.3, 96.3, 110.6, 131.3),
    44: (79.8, 95.4, 111.3, 131.5), 45: (80.0, 93.2, 111.7, 133.7), 46: (82.5, 91.1, 116.2, 134.1),
    47: (82.9, 90.8, 115.5, 134.8), 48: (85.5, 89.6, 115.5, 130.9, 132.8, 134.8),
    49: (86.7, 87.9, 116.1, 130.0), 50: (119.1, 127.6), 51: (119.6, 127.1), 52: (120.0, 126.6),
    53: (120.4, 125.7),
}  # fmt: skip
# The same as one rising row of edges, each degree of latitude 1000 after the one before: a place that has
# passed an odd number of edges is inside.
_FIRST_LAT_DEG = min(_CHINA_LON_DEG)
_EDGES = np.array([1000 * (lat - _FIRST_LAT_DEG) + lon for lat, row in _CHINA_LON_DEG.items() for lon in row])
_EDGE_DECIMALS = 9  # a tenth of a millimetre

# The shifts change by less than 0.03 degrees per degree, so each round of undoing one leaves less than a 30th
# of the error: after eight a kilometre is down to what float64 resolves in degrees.
_ROUNDS = 8


def wgs84_to_gcj02(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """WGS-84 to GCJ-02, degrees."""
    ground = _places(lat_deg, lon_deg)
    return _where_in_china(ground, _to_gcj02(ground), ground)


def gcj02_to_wgs84(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """GCJ-02 to WGS-84, degrees."""
    gcj02 = _places(lat_deg, lon_deg)
    ground = _undo(_to_gcj02, gcj02)
    return _where_in_china(ground, ground, gcj02)


def gcj02_to_bd09(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """GCJ-02 to BD-09, degrees."""
    gcj02 = _places(lat_deg, lon_deg)
    return _where_in_china(_undo(_to_gcj02, gcj02), _to_bd09(gcj02), gcj02)


def bd09_to_gcj02(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """BD-09 to GCJ-02, degrees."""
    bd09 = _places(lat_deg, lon_deg)
    gcj02 = _undo(_to_bd09, bd09)
    return _where_in_china(_undo(_to_gcj02, gcj02), gcj02, bd09)


def wgs84_to_bd09(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """WGS-84 to BD-09, degrees."""
    ground = _places(lat_deg, lon_deg)
    return _where_in_china(ground, _to_bd09(_to_gcj02(ground)), ground)


def bd09_to_wgs84(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[_Floats, _Floats]:
    """BD-09 to WGS-84, degrees."""
    bd09 = _places(lat_deg, lon_deg)
    ground = _undo(_to_gcj02, _undo(_to_bd09, bd09))
    return _where_in_china(ground, ground, bd09)


def _places(lat_deg: ArrayLike, lon_deg: ArrayLike) -> _Floats:
    """(2, ...) latitudes and longitudes, both NaN where they are no place."""
    lat, lon = np.broadcast_arrays(
        np.asarray(lat_deg, dtype=np.float64), np.asarray(lon_deg, dtype=np.float64)
    )
    is_place = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    return np.where(is_place, (lat, lon), np.nan)


def _where_in_china(ground: _Floats, inside: _Floats, outside: _Floats) -> tuple[_Floats, _Floats]:
    """Positions of `inside` where the WGS-84 places `ground` are in China, of `outside` elsewhere."""
    # Rounded, so that a place on an edge is not lost to the last digit of its way there and back.
    lat, lon = np.round(ground, _EDGE_DECIMALS)
    passed = np.searchsorted(_EDGES, 1000 * (np.floor(lat) - _FIRST_LAT_DEG) + lon, side="right")
    chosen = np.where(passed % 2 == 1, inside, outside)
    return chosen[0, ...], chosen[1, ...]


def _undo(shift: Callable[[_Floats], _Floats], shifted: _Floats) -> _Floats:
    """What `shift` makes `shifted` of, by fixed-point iteration."""
    places = shifted
    for _ in range(_ROUNDS):
        places = places + (shifted - shift(places))
    return places


def _to_gcj02(ground: _Floats) -> _Floats:
    lat, lon = ground
    # Held near China: far away the polynomial grows without bound, and nobody asks.
    lat, lon = np.clip(lat, 0, 60), np.clip(lon, 60, 150)
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
    return ground + np.degrees((north_m / meridian_m, east_m / parallel_m))


def _to_bd09(gcj02: _Floats) -> _Floats:
    lat, lon = gcj02
    radius_deg = np.hypot(lat, lon) + _BD09_RADIUS_DEG * np.sin(_BD09_WAVES * lat)
    angle_rad = np.arctan2(lat, lon) + _BD09_ANGLE_RAD * np.cos(_BD09_WAVES * lon)
    return np.stack(
        (radius_deg * np.sin(angle_rad) + _BD09_OFFSET_LAT_DEG,
         radius_deg * np.cos(angle_rad) + _BD09_OFFSET_LON_DEG)
    )  # fmt: skip
