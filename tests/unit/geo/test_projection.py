import math
import time
from dataclasses import replace

import numpy as np
import pymap3d
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.ellipses import ellipse_90, radius_90_m
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround
from patrol.geo.projection import (
    MIN_GRAZING_RAD,
    SOURCES,
    GroundPoints,
    PoseErrors,
    footprint,
    ground_to_pixels,
    pixels_to_ground,
)
from patrol.geo.terrain import Terrain

CAMERA = CameraModel(640, 480, 500.0, 500.0, 320.0, 240.0)
BENT = CameraModel(640, 480, 500.0, 510.0, 310.0, 250.0, (-0.1, 0.02, 1e-3, -5e-4, 0.0), 0.05, -0.02, 0.01)
NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
LAT, LON, GROUND = 31.3, 120.62, 4.0
LEVEL = LevelGround(Amsl(GROUND))


def pose_at(height_m: float, pitch_deg: float, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> CameraPose:
    angles = (math.radians(roll_deg), math.radians(pitch_deg), math.radians(yaw_deg))
    return CameraPose(0, LAT, LON, Amsl(GROUND + height_m), *angles)


def ground(camera: CameraModel, pose: CameraPose, pixels: object, **options: object) -> GroundPoints:
    given_ = {"ground": LEVEL, "pixel_sigma_px": (0.0, 0.0), "errors": NO_ERRORS, **options}
    return pixels_to_ground(camera, pose, pixels, **given_)  # type: ignore[arg-type]


def east_north(points: GroundPoints) -> np.ndarray:
    return np.column_stack(LocalFrame(LAT, LON, GROUND).to_enu(points.lat_deg, points.lon_deg))


@pytest.mark.parametrize(
    ("yaw_deg", "east_m", "north_m"), [(0, 0, 10), (90, 10, 0), (180, 0, -10), (270, -10, 0)]
)
def test_yaw_is_clockwise_from_north(yaw_deg: float, east_m: float, north_m: float) -> None:
    points = ground(CAMERA, pose_at(10, -45, yaw_deg), [[320, 240]])
    np.testing.assert_allclose(east_north(points), [[east_m, north_m]], atol=1e-4)


def test_picture_axes_seen_from_above() -> None:
    # Straight down, top of the picture north: right is east, down is south, 500 px are as far as the height.
    points = ground(CAMERA, pose_at(50, -90), [[420, 240], [320, 340]])
    np.testing.assert_allclose(east_north(points), [[10, 0], [0, -10]], atol=1e-4)


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
    options = {
        "pixel_sigma_px": np.full((40, 2), 3.0),
        "errors": errors,
        "motion": CameraMotion((-2.0, 1.0, 0.5), (0.1, -0.2, 0.3)),
    }
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


# Every error alone, then all of them, moved by little and compared with the truth.

ALL_ERRORS = PoseErrors(1.5, 1.0, 0.01, 0.012, 0.03, 0.05)
MOTION = CameraMotion((6.0, -3.0, 1.0), (0.2, -0.1, 0.4))
SMALL = 1e-3  # of a sigma


def turned_by(pose: CameraPose, rotation_vector_ned: np.ndarray) -> CameraPose:
    angles = Rotation.from_euler("ZYX", [pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad])
    yaw, pitch, roll = (Rotation.from_rotvec(rotation_vector_ned) * angles).as_euler("ZYX")
    return replace(pose, roll_rad=roll, pitch_rad=pitch, yaw_ned_rad=yaw)


def moved_by(pose: CameraPose, east_m: float, north_m: float, up_m: float) -> CameraPose:
    lat, lon = LocalFrame(pose.lat_deg, pose.lon_deg, pose.height.metres).to_geodetic(east_m, north_m)
    return replace(pose, lat_deg=float(lat), lon_deg=float(lon), height=pose.height + up_m)


def erring(
    source: str, pose: CameraPose, pixel: np.ndarray, below: Terrain | LevelGround, by: float
) -> tuple:
    """The pose, pixel and ground with one source's error, `by` sigmas of ALL_ERRORS (2 and 3 px)."""
    e = ALL_ERRORS
    match source:
        case "east":
            pose = moved_by(pose, by * e.horizontal_m, 0.0, 0.0)
        case "north":
            pose = moved_by(pose, 0.0, by * e.horizontal_m, 0.0)
        case "height":
            pose = moved_by(pose, 0.0, 0.0, by * e.height_m)
        case "ground" if isinstance(below, LevelGround):
            below = LevelGround(below.height + by * below.sigma_m, below.sigma_m)
        case "ground":
            below = replace(below, heights_amsl_m=below.heights_amsl_m + by * below.sigma_m)
        case "time":
            north, east, down = by * e.time_s * np.array(MOTION.velocity_ned_mps)
            pose = turned_by(pose, by * e.time_s * np.array(MOTION.turn_rate_ned_radps))
            pose = moved_by(pose, east, north, -down)
        case "roll":
            pose = replace(pose, roll_rad=pose.roll_rad + by * e.roll_rad)
        case "pitch":
            pose = replace(pose, pitch_rad=pose.pitch_rad + by * e.pitch_rad)
        case "yaw":
            pose = replace(pose, yaw_ned_rad=pose.yaw_ned_rad + by * e.yaw_rad)
        case "pixel_x":
            pixel = pixel + np.array([by * 2.0, 0.0])
        case "pixel_y":
            pixel = pixel + np.array([0.0, by * 3.0])
    return pose, pixel, below


def tilted() -> Terrain:
    """Ground that falls 0.3 m a metre to the north and rises 0.2 to the east, as doubles: steps are small."""
    step = 2e-5
    north, east = np.meshgrid(np.arange(150, -151, -1), np.arange(-150, 151), indexing="ij")
    frame = LocalFrame(LAT, LON, GROUND)
    east_m, north_m = frame.to_enu(LAT + north * step, LON + east * step)
    return Terrain(GROUND - 0.3 * north_m + 0.2 * east_m, LAT + 150 * step, LON - 150 * step, step, step, 0.4)


@pytest.mark.parametrize("below", [LevelGround(Amsl(GROUND), 0.4), tilted()], ids=["level", "tilted"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_moves_the_point_as_its_column_says(source: str, below: Terrain | LevelGround) -> None:
    pose, pixel = pose_at(40, -40, 70, 8), np.array([430.0, 150.0])

    def place(by: float) -> np.ndarray:
        at, seen_px, under = erring(source, pose, pixel, below, by)
        return east_north(ground(BENT, at, seen_px, ground=under))[0]

    told = ground(
        BENT, pose, pixel, ground=below, errors=ALL_ERRORS, pixel_sigma_px=(2.0, 3.0), motion=MOTION
    )
    column_m = told.spread_en_m[0, :, SOURCES.index(source)]
    moved_m = (place(SMALL) - place(-SMALL)) / (2 * SMALL)
    assert np.hypot(*column_m) > 0.05
    np.testing.assert_allclose(column_m, moved_m, rtol=2e-4, atol=2e-4 * np.hypot(*column_m))


def test_covariance_is_the_sum_of_the_squared_columns() -> None:
    told = ground(BENT, pose_at(40, -40), [[1, 2], [300, 400]], errors=ALL_ERRORS, pixel_sigma_px=(2, 3))
    for spread, covariance in zip(told.spread_en_m, told.covariance_en_m2, strict=True):
        np.testing.assert_allclose(covariance, spread @ spread.T)


CALIBRATED = PoseErrors(1.5, 1.5, math.radians(0.5), math.radians(0.5), math.radians(2.0), 0.05)
INSIDE_90 = chi2.ppf(0.9, 2)


def many_poses(pose: CameraPose, trials: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places (trials, 3) north, east, down of the eye above GROUND, and matrices, with CALIBRATED errors."""
    e, time_s = CALIBRATED, rng.normal(0, CALIBRATED.time_s, (trials, 1))
    angles = rng.normal(
        (pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad), (e.yaw_rad, e.pitch_rad, e.roll_rad), (trials, 3)
    )
    turned = Rotation.from_rotvec(time_s * MOTION.turn_rate_ned_radps) * Rotation.from_euler("ZYX", angles)
    eyes_m = rng.normal(0, (e.horizontal_m, e.horizontal_m, e.height_m), (trials, 3))
    eyes_m += time_s * np.array(MOTION.velocity_ned_mps) + (0.0, 0.0, GROUND - pose.height.metres)
    return eyes_m, turned.as_matrix()


@pytest.mark.parametrize("depression_deg", [10, 30, 60, 90])
def test_the_covariance_is_that_of_many_erring_sensors(depression_deg: int) -> None:
    """Against rays cut with the plane by other code; first order is good enough down to 10 degrees."""
    rng, trials = np.random.default_rng(depression_deg), 100_000
    pose, pixel = pose_at(60, -depression_deg, 30), np.array([300.0, 260.0])
    told = ground(
        CAMERA, pose, pixel, ground=LevelGround(Amsl(GROUND), 0.3),
        errors=CALIBRATED, pixel_sigma_px=(2.0, 2.0), motion=MOTION,
    )  # fmt: skip
    eyes_m, turns = many_poses(pose, trials, rng)
    x, y = rng.normal(pixel, 2.0, (trials, 2)).T
    ahead = np.column_stack([np.ones(trials), (x - 320) / 500, (y - 240) / 500])
    rays = np.einsum("nij,nj->ni", turns, ahead)
    down_m = rng.normal(0, 0.3, trials) - eyes_m[:, 2]
    places_m = eyes_m[:, :2] + rays[:, :2] * (down_m / rays[:, 2])[:, None]
    off_m = places_m[:, ::-1] - east_north(told)[0]
    held = np.einsum("ni,ij,nj->n", off_m, np.linalg.inv(told.covariance_en_m2[0]), off_m) <= INSIDE_90
    assert 0.89 <= held.mean() <= 0.91


@pytest.mark.parametrize("depression_deg", [10, 45])
def test_each_ellipse_holds_the_truth_nine_times_in_ten(depression_deg: int) -> None:
    """Every trial has an ellipse of its own, told by sensors that err."""
    rng, trials = np.random.default_rng(depression_deg), 800
    pose, pixel = pose_at(60, -depression_deg, 30), np.array([300.0, 260.0])
    truth = east_north(ground(CAMERA, pose, pixel))[0]
    held = 0
    for (north, east, down), turn in zip(*many_poses(pose, trials, rng), strict=True):
        yaw, pitch, roll = Rotation.from_matrix(turn).as_euler("ZYX")
        told = moved_by(replace(pose, height=Amsl(GROUND)), east, north, -down)
        told = replace(told, yaw_ned_rad=yaw, pitch_rad=pitch, roll_rad=roll)
        seen = ground(
            CAMERA, told, rng.normal(pixel, 2.0), ground=LevelGround(Amsl(rng.normal(GROUND, 0.3)), 0.3),
            errors=CALIBRATED, pixel_sigma_px=(2.0, 2.0), motion=MOTION,
        )  # fmt: skip
        off_m = east_north(seen)[0] - truth
        held += off_m @ np.linalg.solve(seen.covariance_en_m2[0], off_m) <= INSIDE_90
    assert 0.88 <= held / trials <= 0.92


NOT_A_NUMBER = st.sampled_from([math.nan, math.inf, -math.inf])


@settings(deadline=None)
@given(
    st.sampled_from(["lat_deg", "lon_deg", "height", "roll_rad", "pitch_rad", "yaw_ned_rad"]), NOT_A_NUMBER
)
def test_a_pose_that_is_no_number_gives_no_place(field: str, value: float) -> None:
    pose = replace(pose_at(30, -50), **{field: Amsl(value) if field == "height" else value})
    points = ground(BENT, pose, [[300, 200], [10, 10]])
    assert not points.valid.any()
    assert np.isnan(points.lat_deg).all()
    assert np.isnan(points.covariance_en_m2).all()
    assert footprint(BENT, pose, ground=LEVEL, max_range_m=80) == ()
    pixels, in_view = ground_to_pixels(BENT, pose, [LAT, LAT], LON, GROUND)
    assert pixels.shape == (2, 2)
    assert not in_view.any()


@settings(deadline=None)
@given(st.integers(0, 11), NOT_A_NUMBER)
def test_errors_and_motion_that_are_no_numbers_give_no_place(which: int, value: float) -> None:
    numbers = [1.0, 1.0, 0.01, 0.01, 0.01, 0.1, 1.0, 2.0, 3.0, 0.1, 0.2, 0.3]
    numbers[which] = value
    errors, motion = PoseErrors(*numbers[:6]), CameraMotion(tuple(numbers[6:9]), tuple(numbers[9:]))
    assert not ground(CAMERA, pose_at(30, -50), [[300, 200]], errors=errors, motion=motion).valid.any()
    unsure = LevelGround(Amsl(GROUND), value)
    assert not ground(CAMERA, pose_at(30, -50), [[300, 200]], ground=unsure).valid.any()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_a_pixel_that_is_no_number_gives_no_place_and_leaves_the_others_theirs(value: float) -> None:
    pixels = [[300, 200], [value, 200], [300, value], [310, 210]]
    for camera in (CAMERA, BENT):
        points = ground(camera, pose_at(30, -50), pixels)
        np.testing.assert_array_equal(points.valid, [True, False, False, True])
    sigma_px = [[1, 1], [value, 1], [1, value], [1, 1]]
    if not math.isfinite(value):
        points = ground(CAMERA, pose_at(30, -50), [[300, 200]] * 4, pixel_sigma_px=sigma_px)
        np.testing.assert_array_equal(points.valid, [True, False, False, True])


def test_ground_that_slopes_away_is_grazed_sooner() -> None:
    away = replace(tilted(), heights_amsl_m=tilted().heights_amsl_m)  # falls 16.7 degrees to the north
    at = pose_at(20, -20)
    assert ground(CAMERA, at, [[320, 240]]).valid[0]
    assert not ground(CAMERA, at, [[320, 240]], ground=away).valid[0]
    assert ground(CAMERA, pose_at(20, -25), [[320, 240]], ground=away).valid[0]


def test_a_zoomed_lens_zooms_all_ways() -> None:
    pose = pose_at(30, -50)
    tele = replace(pose, hfov_rad=CAMERA.hfov_rad / 2)
    pixels = [[320, 240], [500, 100]]
    zoomed = CAMERA.zoomed_to(CAMERA.hfov_rad / 2)
    points = ground(CAMERA, tele, pixels)
    np.testing.assert_allclose(points.lat_deg, ground(zoomed, pose, pixels).lat_deg, rtol=0, atol=1e-12)
    back, in_view = ground_to_pixels(CAMERA, tele, points.lat_deg, points.lon_deg, GROUND)
    np.testing.assert_allclose(back, pixels, atol=1e-4)
    assert in_view.all()
    wide, narrow = (footprint(CAMERA, p, ground=LEVEL, max_range_m=500) for p in (pose, tele))
    assert max(p.lat_deg for p in narrow) < max(p.lat_deg for p in wide)


def test_a_height_of_two_kilometres_shortens_nothing() -> None:
    pose = replace(pose_at(0, -45), height=Amsl(2100.0))
    points = ground(CAMERA, pose, [[320, 240]], ground=LevelGround(Amsl(2000.0)))
    geocentric = np.array(pymap3d.geodetic2ecef(points.lat_deg[0], points.lon_deg[0], 2000.0))
    below = np.array(pymap3d.geodetic2ecef(LAT, LON, 2000.0))
    assert np.linalg.norm(geocentric - below) == pytest.approx(100.0, abs=2e-3)


def test_a_hundred_thousand_pixels_take_no_second() -> None:
    pixels = np.random.default_rng(0).uniform((0, 0), (640, 480), (100_000, 2))
    begun_s = time.process_time()
    points = ground(BENT, pose_at(60, -60), pixels, errors=ALL_ERRORS, pixel_sigma_px=(2, 2), motion=MOTION)
    points.covariance_en_m2  # noqa: B018
    # A tenth of it on an idle core; the rest is for busy ones and catches a loop over points.
    assert time.process_time() - begun_s < 1.0


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
    ring = footprint(camera, pose, ground=LEVEL, max_range_m=max_range_m)
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
    assert footprint(CAMERA, pose_at(10, 45), ground=LEVEL, max_range_m=100) == ()
    assert footprint(CAMERA, pose_at(-1, -45), ground=LEVEL, max_range_m=100) == ()
    assert footprint(CAMERA, pose_at(50, -20), ground=LEVEL, max_range_m=5) == ()
