import numpy as np
import pyproj
from hypothesis import given
from hypothesis import strategies as st

from patrol.geo.frames import LocalFrame

FRAME = LocalFrame(31.3, 120.62)


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_there_and_back(lat_deg: float, lon_deg: float, east_m: float, north_m: float) -> None:
    frame = LocalFrame(lat_deg, lon_deg)
    back = frame.to_enu(*frame.to_geodetic(east_m, north_m))
    np.testing.assert_allclose(back, (east_m, north_m), atol=2e-3)


def test_distance_and_bearing_are_those_of_the_geodesic() -> None:
    lat_deg, lon_deg = FRAME.to_geodetic(300.0, 400.0)
    azimuth_deg, _, distance_m = pyproj.Geod(ellps="WGS84").inv(120.62, 31.3, float(lon_deg), float(lat_deg))
    assert abs(distance_m - 500.0) < 1e-4
    assert abs(azimuth_deg - np.degrees(np.arctan2(300, 400))) < 1e-3


def test_arrays_keep_their_shape() -> None:
    lat_deg, lon_deg = FRAME.to_geodetic(np.zeros((3, 2)), np.ones((3, 2)))
    assert lat_deg.shape == lon_deg.shape == (3, 2)
    assert FRAME.to_enu(31.3, 120.62)[0].shape == ()
    assert FRAME.to_enu([], [])[0].shape == (0,)
