import numpy as np
import pytest

from patrol.geo.datums import wgs84_to_gcj02


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [  # widely used reference points, reproduced by map services to about a metre
        ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
        ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
        ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ],
)
def test_reference_points(wgs84: tuple[float, float], gcj02: tuple[float, float]) -> None:
    np.testing.assert_allclose(wgs84_to_gcj02(*wgs84), gcj02, atol=1e-6)  # 0.1 m


def test_outside_china_nothing_moves() -> None:
    lat_deg, lon_deg = wgs84_to_gcj02([51.5, -33.9, 31.3], [-0.1, 151.2, 120.62])
    assert (lat_deg[0], lon_deg[0]) == (51.5, -0.1)
    assert (lat_deg[1], lon_deg[1]) == (-33.9, 151.2)
    assert abs(lon_deg[2] - 120.62) > 1e-3
