import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.frames import LocalFrame
from patrol.geo.projection import (
    MIN_GRAZING_RAD,
    GroundPoints,
    PoseErrors,
    ellipse_90,
    footprint,
    ground_to_pixels,
    pixels_to_ground,
    radius_90_m,
)

CAMERA = CameraModel(640, 480, 500.0, 500.0, 320.0, 240.0)
BENT = CameraModel(640, 480, 500.0, 510.0, 310.0, 250.0, (-0.1, 0.02, 1e-3, -5e-4, 0.0), 0.05, -0.02, 0.01)
NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
LAT, LON, GROUND = 31.3, 120.62, 4.0


def pose_at(height_m: float, pitch_deg: float, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> CameraPose:
    angles = (math.radians(roll_deg), math.radians(pitch_deg), math.radians(yaw_deg))
    return CameraPose(0, LAT, LON, Amsl(GROUND + height_m), *angles)


def ground(camera: CameraModel, pose: CameraPose, pixels: object, **options: object) -> GroundPoints:
    given_ = {"pixel_sigma_px": (0.0, 0.0), "errors": NO_ERRORS, **options}
    return pixels_to_ground(camera, pose, pixels, ground_amsl_m=GROUND, **given_)  # type: ignore[arg-type]


def east_north(points: GroundPoints) -> np.ndarray:
    return np.column_stack(LocalFrame(LAT, LON).to_enu(points.lat_deg, points.lon_deg))


@pytest.mark.parametrize(
    ("yaw_deg", "east_m", "north_m"), [(0, 0, 10), (90, 10, 0), (180, 0, -10), (270, -10, 0)]
)
def test_yaw_is_clockwise_from_north(yaw_deg: float, east_m: float, north_m: float) -> None:
    points = ground(CAMERA, pose_at(10, -45, yaw_deg), [[320, 240]])
    np.testing.assert_allclose(east_north(points), [[east_m, north_m]], atol=1e-6)


def test_picture_axes_seen_from_above() -> None:
    # Straight down, top of the picture north: right is east, down is south, 500 px are as far as the height.
    points = ground(CAMERA, pose_at(50, -90), [[420, 240], [320, 340]])
    np.testing.assert_allclose(east_north(points), [[10, 0], [0, -10]], atol=1e-6)


def test_roll_right_lowers_the_right_of_the_world() -> None:
    # A camera rolled right sees the world tilt left: what is straight right of the centre is nearer.
    level = east_north(ground(CAMERA, pose_at(10, -30), [[520, 240]]))
    rolled = east_north(ground(CAMERA, pose_at(10, -30, roll_deg=10), [[520, 240]]))
    assert rolled[0, 1] < level[0, 1]


@settings(deadline=None)
@given(
    lat=st.floats(-70, 70),
    lon=st.floats(-180, 180),
    height_m=st.floats(2, 150),
    roll=st.floats(-0.6, 0.6),
    pitch=st.floats(-math.pi / 2, 0.3),
    yaw=st.floats(0, 2 * math.pi),
    x=st.floats(0, 640),
    y=st.floats(0, 480),
)
def test_pixel_to_ground_and_back(
    lat: float, lon: float, height_m: float, roll: float, pitch: float, yaw: float, x: float, y: float
) -> None:
    pose = CameraPose(0, lat, lon, Amsl(GROUND + height_m), roll, pitch, yaw)
    points = ground(BENT, pose, [[x, y]])
    assume(points.valid[0])
    pixels, in_view = ground_to_pixels(BENT, pose, points.lat_deg, points.lon_deg, GROUND)
    np.testing.assert_allclose(pixels, [[x, y]], atol=1e-4)
    if 0.001 < x < 639.999 and 0.001 < y < 479.999:
        assert in_view[0]


def test_many_pixels_are_each_alone() -> None:
    pixels = np.random.default_rng(0).uniform((0, 0), (640, 480), (40, 2))
    errors = PoseErrors(0.2, 0.1, 0.01, 0.01, 0.02, 0.05)
    options = {"pixel_sigma_px": np.full((40, 2), 3.0), "errors": errors, "velocity_en_mps": (1.0, -2.0)}
    together = ground(BENT, pose_at(12, -25, 40), pixels, **options)
    options["pixel_sigma_px"] = (3.0, 3.0)
    alone = [ground(BENT, pose_at(12, -25, 40), pixel, **options) for pixel in pixels]
    np.testing.assert_array_equal(together.valid, [a.valid[0] for a in alone])
    np.testing.assert_allclose(together.lat_deg, [a.lat_deg[0] for a in alone], rtol=0, atol=1e-12)
    np.testing.assert_allclose(together.covariance_en_m2, [a.covariance_en_m2[0] for a in alone], rtol=1e-9)
    assert 0 < together.valid.sum() < 40


def test_above_the_horizon_and_grazing_rays_are_refused() -> None:
    limit_deg = math.degrees(MIN_GRAZING_RAD)

    def y_at(depression_deg: float) -> float:
        return 240 + 500 * math.tan(math.radians(depression_deg))

    pixels = [[320, y_at(d)] for d in (-10, 0, limit_deg - 0.01, limit_deg + 0.01)]
    points = ground(CAMERA, pose_at(10, 0), pixels)
    np.testing.assert_array_equal(points.valid, [False, False, False, True])
    assert np.isnan(points.lat_deg[:3]).all()
    assert np.isnan(points.covariance_en_m2[:3]).all()


def test_no_ground_below_the_camera() -> None:
    assert not ground(CAMERA, pose_at(0, -45), [[320, 240]]).valid.any()
    assert not ground(CAMERA, pose_at(-5, -45), [[320, 240]]).valid.any()
    assert len(ground(CAMERA, pose_at(10, -45), np.empty((0, 2)))) == 0


def test_pixel_that_no_ray_meets_is_refused() -> None:
    barrel = CameraModel(640, 480, 500, 500, 320, 240, (-0.4, 0.0, 0.0, 0.0, 0.0))
    assert not ground(barrel, pose_at(10, -90), [[320 + 310, 240]]).valid[0]


def test_behind_the_camera_is_not_in_view() -> None:
    lat, lon = LocalFrame(LAT, LON).to_geodetic([0, 0, 200], [10, -20, 10])
    pixels, in_view = ground_to_pixels(CAMERA, pose_at(10, -45), lat, lon, GROUND)
    np.testing.assert_array_equal(in_view, [True, False, False])
    assert np.isnan(pixels[1]).all()


def test_a_ray_folded_back_by_the_polynomial_is_not_in_view() -> None:
    # With k1 = -0.4 a ray at r = 1.58 would be drawn at the centre of the picture.
    barrel = CameraModel(640, 480, 500, 500, 320, 240, (-0.4, 0.0, 0.0, 0.0, 0.0))
    lat, lon = LocalFrame(LAT, LON).to_geodetic(15.5, 0.0)
    pixels, in_view = ground_to_pixels(barrel, pose_at(10, -90), lat, lon, GROUND)
    assert 0 < pixels[0, 0] < 640
    assert not in_view[0]


@pytest.mark.parametrize(
    "errors",
    [
        PoseErrors(0.3, 0.0, 0.0, 0.0, 0.0, 0.0),
        PoseErrors(0.0, 0.2, 0.0, 0.0, 0.0, 0.0),
        PoseErrors(0.0, 0.0, 0.004, 0.0, 0.0, 0.0),
        PoseErrors(0.0, 0.0, 0.0, 0.004, 0.0, 0.0),
        PoseErrors(0.0, 0.0, 0.0, 0.0, 0.01, 0.0),
        PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.1),
        PoseErrors(0.25, 0.15, 0.0026, 0.0026, 0.007, 0.05),
    ],
    ids=["horizontal", "height", "roll", "pitch", "yaw", "time", "all"],
)
def test_covariance_is_that_of_many_trials(errors: PoseErrors) -> None:
    rng = np.random.default_rng(7)
    pose, pixel, velocity = pose_at(15, -35, 60, 4), np.array([430.0, 300.0]), (3.0, -1.0)
    sigma_px = (2.0, 3.0)
    told = ground(BENT, pose, pixel, errors=errors, pixel_sigma_px=sigma_px, velocity_en_mps=velocity)
    frame = LocalFrame(LAT, LON)
    trials = []
    for _ in range(1000):
        e, n = rng.normal(0, errors.horizontal_m, 2) + rng.normal(0, errors.time_s) * np.array(velocity)
        lat, lon = frame.to_geodetic(e, n)
        moved = CameraPose(
            0,
            float(lat),
            float(lon),
            pose.height + rng.normal(0, errors.height_m),
            pose.roll_rad + rng.normal(0, errors.roll_rad),
            pose.pitch_rad + rng.normal(0, errors.pitch_rad),
            pose.yaw_ned_rad + rng.normal(0, errors.yaw_rad),
        )
        trials.append(east_north(ground(BENT, moved, pixel + rng.normal(0, sigma_px)))[0])
    seen = np.cov(np.array(trials).T)
    scale = math.sqrt(seen[0, 0] * seen[1, 1])
    np.testing.assert_allclose(told.covariance_en_m2[0], seen, rtol=0.15, atol=0.1 * scale)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 20), st.floats(0.0, 1.0), st.floats(0, math.pi), st.integers(0, 2**32 - 1))
def test_ellipse_and_circle_hold_nine_in_ten(major_m: float, ratio: float, turn: float, seed: int) -> None:
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    deviations = major_m * np.array([1.0, ratio])
    covariance = axes @ np.diag(deviations**2) @ axes.T
    trials = np.random.default_rng(seed).normal(0, 1, (40_000, 2)) * deviations @ axes.T
    tolerance = 5 * math.sqrt(0.9 * 0.1 / len(trials))

    in_circle = np.hypot(*trials.T) <= radius_90_m(covariance)
    assert in_circle.mean() == pytest.approx(0.9, abs=tolerance)

    ellipse = ellipse_90(covariance)
    assert ellipse.semi_major_m == pytest.approx(major_m * math.sqrt(chi2.ppf(0.9, 2)))
    assert 0 <= ellipse.bearing_deg <= 180
    bearing = math.radians(ellipse.bearing_deg)
    along = trials @ (math.sin(bearing), math.cos(bearing))
    across = trials @ (math.cos(bearing), -math.sin(bearing))
    if ratio > 0.01:
        held = (along / ellipse.semi_major_m) ** 2 + (across / ellipse.semi_minor_m) ** 2 <= 1
        assert held.mean() == pytest.approx(0.9, abs=tolerance)


def test_radius_at_its_known_ends() -> None:
    assert radius_90_m(np.eye(2)) == pytest.approx(2.1459660, abs=1e-6)  # Rayleigh: sqrt(-2 ln 0.1)
    assert radius_90_m(np.diag([1.0, 0.0])) == pytest.approx(1.6448536, rel=1e-4)  # one normal
    assert radius_90_m(np.diag([4.0, 4.0])) == pytest.approx(2 * 2.1459660, abs=1e-6)
    assert radius_90_m(np.zeros((2, 2))) == 0.0


def test_bearing_of_the_ellipse_is_clockwise_from_north() -> None:
    assert ellipse_90([[1.0, 0.0], [0.0, 9.0]]).bearing_deg % 180 == pytest.approx(0.0)
    assert ellipse_90([[9.0, 0.0], [0.0, 1.0]]).bearing_deg == pytest.approx(90.0)
    assert ellipse_90([[5.0, 4.0], [4.0, 5.0]]).bearing_deg == pytest.approx(45.0)


def ring_en(camera: CameraModel, pose: CameraPose, max_range_m: float) -> np.ndarray:
    ring = footprint(camera, pose, ground_amsl_m=GROUND, max_range_m=max_range_m)
    return np.column_stack(LocalFrame(LAT, LON).to_enu([p.lat_deg for p in ring], [p.lon_deg for p in ring]))


def test_footprint_straight_down_is_the_picture() -> None:
    ring = ring_en(CAMERA, pose_at(50, -90), 1000)
    np.testing.assert_allclose([ring.min(0), ring.max(0)], [[-32, -24], [32, 24]], atol=1e-3)


def test_footprint_ends_at_its_range_with_an_arc() -> None:
    ring = ring_en(CAMERA, pose_at(10, -10), 60)
    distance = np.hypot(*ring.T)
    assert distance.max() == pytest.approx(60, abs=1e-3)
    on_arc = distance > 59.99
    assert on_arc.sum() > 5
    half_width = math.degrees(math.atan(320 / 500 / math.cos(math.radians(10))))
    assert np.degrees(np.arctan2(*ring[on_arc].T)).max() == pytest.approx(half_width, abs=3)


def test_footprint_cut_at_all_four_corners_is_an_octagon_of_sorts() -> None:
    ring = ring_en(CAMERA, pose_at(50, -90), 35)
    distance = np.hypot(*ring.T)
    assert distance.max() == pytest.approx(35, abs=1e-3)
    np.testing.assert_allclose(ring.max(0), [32, 24], atol=1e-3)


def test_footprint_of_the_sky_is_empty() -> None:
    assert footprint(CAMERA, pose_at(10, 45), ground_amsl_m=GROUND, max_range_m=100) == ()
    assert footprint(CAMERA, pose_at(-1, -45), ground_amsl_m=GROUND, max_range_m=100) == ()
    assert footprint(CAMERA, pose_at(50, -20), ground_amsl_m=GROUND, max_range_m=5) == ()
