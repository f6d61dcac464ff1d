"""The world that `patrol eval geo` judges by, against other implementations and by hand."""

import numpy as np
import pymap3d
import pytest
from pyproj import CRS, Transformer

from patrol.commands import geo_truth
from patrol.commands.geo_truth import Arrows
from patrol.geo.camera import CameraModel

RNG = np.random.default_rng(3)
PLAIN = CameraModel(640, 480, 500.0, 500.0, 320.0, 240.0)


def test_earth_centred_as_proj_has_it():
    lat, lon, hae = RNG.uniform(-90, 90, 100), RNG.uniform(-180, 180, 100), RNG.uniform(-100, 5000, 100)
    to_ecef = Transformer.from_crs(CRS.from_epsg(4979), CRS.from_epsg(4978))
    expected = np.stack(to_ecef.transform(lat, lon, hae), axis=1)
    np.testing.assert_allclose(geo_truth.earth_centred(lat, lon, hae), expected, rtol=0, atol=1e-6)


def test_level_arrows_point_north_east_and_down():
    lat, lon = RNG.uniform(-80, 80, 20), RNG.uniform(-180, 180, 20)
    level = geo_truth.level(lat, lon)
    start = geo_truth.earth_centred(lat, lon, 0.0)
    for arrow, ned in ((level.ahead, (1, 0, 0)), (level.right, (0, 1, 0)), (level.down, (0, 0, 1))):
        expected = np.stack(pymap3d.ned2ecef(*(np.full(20, x) for x in ned), lat, lon, 0.0), axis=1) - start
        np.testing.assert_allclose(arrow, expected, atol=1e-8)


def test_turning_by_hand():
    level = Arrows(*np.eye(3))  # north, east, down
    east = level.turned(yaw=np.pi / 2, pitch=0.0, roll=0.0)
    np.testing.assert_allclose(
        [east.ahead, east.right, east.down], [(0, 1, 0), (-1, 0, 0), (0, 0, 1)], atol=1e-12
    )
    down = level.turned(yaw=0.0, pitch=-np.pi / 2, roll=0.0)
    np.testing.assert_allclose(
        [down.ahead, down.right, down.down], [(0, 0, 1), (0, 1, 0), (-1, 0, 0)], atol=1e-12
    )
    rolled = level.turned(yaw=0.0, pitch=0.0, roll=np.pi / 2)
    np.testing.assert_allclose(
        [rolled.ahead, rolled.right, rolled.down], [(1, 0, 0), (0, 0, 1), (0, -1, 0)], atol=1e-12
    )


def test_turning_many_is_turning_each():
    angles = RNG.uniform(-1, 1, (5, 3))
    level = geo_truth.level(RNG.uniform(-80, 80, 5), RNG.uniform(-180, 180, 5))
    together = level.turned(yaw=angles[:, 0], pitch=angles[:, 1], roll=angles[:, 2])
    for n, (yaw, pitch, roll) in enumerate(angles):
        alone = Arrows(level.ahead[n], level.right[n], level.down[n]).turned(yaw=yaw, pitch=pitch, roll=roll)
        np.testing.assert_allclose(together.down[n], alone.down, atol=1e-15)
        np.testing.assert_allclose(together.times([(1, 2, 3)] * 5)[n], alone.times((1, 2, 3)), atol=1e-15)


@pytest.mark.parametrize(
    ("away_frd_m", "pixel"), [((10, 0, 0), (320, 240)), ((10, 2, 0), (420, 240)), ((10, 0, 2), (320, 340))]
)
def test_picture_axes(away_frd_m, pixel):
    looking = Arrows(*np.eye(3))
    found = geo_truth.picture_of(looking.times([away_frd_m]), np.zeros(3), looking, PLAIN)
    np.testing.assert_allclose(found, [pixel], atol=1e-9)


def test_what_is_behind_is_in_no_picture():
    looking = Arrows(*np.eye(3))
    assert np.isnan(geo_truth.picture_of(np.array([[-10.0, 0, 0]]), np.zeros(3), looking, PLAIN)).all()


def test_destination_is_about_right():
    lat, lon = geo_truth.destination(60.0, 179.9999, 100.0, 50.0)
    east, north, _ = pymap3d.geodetic2enu(lat, lon, 0.0, 60.0, 179.9999, 0.0)
    np.testing.assert_allclose((east, north), (100.0, 50.0), atol=0.01)
    assert lon < -179.99
