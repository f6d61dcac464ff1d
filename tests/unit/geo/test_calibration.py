"""Calibration of simulated flights whose biases are known, with errors of the stated size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import chi2

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.adjustment import (
    BIASES,
    Adjustment,
    BiasSigmas,
    CalibrationError,
    ErrorModel,
    KnownPoint,
    Snapshot,
    bias_of,
)
from patrol.geo.calibration import Calibration, calibrate
from patrol.geo.camera import CameraModel, Installation
from patrol.geo.datums import wgs84_to_bd09, wgs84_to_gcj02
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround
from patrol.geo.projection import PoseErrors, ground_to_pixels, pixels_to_ground

FRAME = LocalFrame(31.3, 120.62)
GROUND = Amsl(4.0)
CAMERA = CameraModel(1920, 1080, 1500.0, 1500.0, 960.0, 540.0, (-0.1, 0.02, 0.001, -0.001, 0.0))
ERRORS = ErrorModel(
    pixel_px=1.5,
    pose=PoseErrors(1.5, 1.0, math.radians(0.2), math.radians(0.2), math.radians(0.5), 0.02),
)
NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Passing:
    """How the telemetry tells that the camera passed a point of the way: there at `at_s`, steadily on."""

    at_s: float
    enu_m: np.ndarray
    velocity_enu_mps: np.ndarray
    yaw_pitch_roll_rad: np.ndarray
    yaw_rate_radps: float
    pitch_rate_radps: float

    def snapshot(self, at_s: float, installation: Installation) -> Snapshot:
        late_s = at_s - self.at_s
        east_m, north_m, up_m = self.enu_m + self.velocity_enu_mps * late_s
        yaw, pitch, roll = self.yaw_pitch_roll_rad + late_s * np.array(
            [self.yaw_rate_radps, self.pitch_rate_radps, 0.0]
        )
        yaw -= installation.heading_bias_rad
        lat_deg, lon_deg = map(float, FRAME.to_geodetic(east_m, north_m))
        height = Amsl(float(up_m) - installation.height_bias_m)
        pose = CameraPose(0, lat_deg, lon_deg, height, float(roll), float(pitch), float(yaw))
        level = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
        turn_rate = self.yaw_rate_radps * np.array([0.0, 0.0, 1.0]) + self.pitch_rate_radps * level
        velocity_east, velocity_north, velocity_up = map(float, self.velocity_enu_mps)
        motion = CameraMotion((velocity_north, velocity_east, -velocity_up), tuple(map(float, turn_rate)))
        return Snapshot(pose, motion)


@dataclass(frozen=True)
class Flight:
    """Pictures of known points, taken by a camera installed like `truth`."""

    truth: CameraModel
    points: list[KnownPoint]
    times_ns: list[int]
    passings: list[Passing]

    def snapshots(self, installation: Installation) -> list[Snapshot]:
        return [
            passing.snapshot(at_ns / 1e9 - installation.delay_s, installation)
            for at_ns, passing in zip(self.times_ns, self.passings, strict=True)
        ]

    def calibrated(self, camera: CameraModel = CAMERA, errors: ErrorModel = ERRORS, **options) -> Calibration:
        return calibrate(camera, self.points, self.times_ns, self.snapshots, errors=errors, **options)

    def adjustment(self) -> Adjustment:
        return Adjustment(
            CAMERA, self.points, self.times_ns, self.snapshots,
            solve=BIASES, prior=BiasSigmas(), errors=ERRORS,
        )  # fmt: skip

    def but(self, **changed: KnownPoint) -> "Flight":
        return replace(self, points=[changed.get(point.name, point) for point in self.points])


def random_truth(rng: np.random.Generator, *, moving: bool) -> CameraModel:
    roll, pitch, yaw = map(float, np.radians(rng.uniform(-3, 3, 3)))
    return replace(
        CAMERA,
        mount_roll_rad=roll,
        mount_pitch_rad=pitch,
        mount_yaw_rad=yaw,
        installation=Installation(
            heading_bias_rad=math.radians(rng.uniform(-10, 10)),
            height_bias_m=float(rng.uniform(-5, 5)),
            delay_s=float(rng.uniform(0, 0.6)) if moving else 0.0,
        ),
    )


def fly(
    seed: int,
    *,
    pictures: int = 14,
    points_each: int = 8,
    depression_deg: tuple[float, float] = (30, 85),
    moving: bool = True,
) -> Flight:
    """Pictures from all sides of points on the ground, with errors as in `ERRORS`."""
    rng = np.random.default_rng(seed)
    truth = random_truth(rng, moving=moving)
    installation, pose_errors = truth.installation, ERRORS.pose
    marks_en_m = rng.uniform(-40, 40, (60, 2))
    marks_lat_deg, marks_lon_deg = FRAME.to_geodetic(*marks_en_m.T)
    times_s = np.cumsum(rng.uniform(5, 20, pictures))
    times_ns = [round(at_s * 1e9) for at_s in times_s]
    alike = ERRORS.correlation.between(np.array(times_ns))[[0, 1, 2, 5, 6, 7, 4]]  # as in SOURCES
    east, north, height, roll, pitch, yaw, time = (
        np.linalg.cholesky(one + 1e-12 * np.eye(pictures)) @ rng.standard_normal(pictures) for one in alike
    )
    points, passings = [], []
    for j in range(pictures):
        azimuth, depression = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(*depression_deg))
        above_m, tilt = rng.uniform(25, 60), math.radians(rng.uniform(-1, 1))
        looked_at = rng.uniform(-10, 10, 2)
        eye_en_m = looked_at - above_m / math.tan(depression) * np.array(
            [math.sin(azimuth), math.cos(azimuth)]
        )
        lat_deg, lon_deg = map(float, FRAME.to_geodetic(*eye_en_m))
        pose = CameraPose(0, lat_deg, lon_deg, GROUND + above_m, tilt, -depression, azimuth)
        pixels, seen = ground_to_pixels(truth, pose, marks_lat_deg, marks_lon_deg, GROUND.metres)
        for i in rng.permutation(np.flatnonzero(seen))[:points_each]:
            x_px, y_px = pixels[i] + rng.normal(0, ERRORS.pixel_px, 2)
            points.append(
                KnownPoint(
                    f"p{len(points)}", j, float(np.clip(x_px, 0, 1920)), float(np.clip(y_px, 0, 1080)),
                    float(marks_lat_deg[i]), float(marks_lon_deg[i]), GROUND,
                )
            )  # fmt: skip
        course, speed_mps = rng.uniform(0, 2 * math.pi), rng.uniform(4, 9) * moving
        passings.append(
            Passing(
                at_s=times_s[j] - installation.delay_s + time[j] * pose_errors.time_s,
                enu_m=np.array(
                    [
                        eye_en_m[0] + east[j] * pose_errors.horizontal_m,
                        eye_en_m[1] + north[j] * pose_errors.horizontal_m,
                        pose.height.metres + height[j] * pose_errors.height_m + installation.height_bias_m,
                    ]
                ),
                velocity_enu_mps=speed_mps * np.array([math.sin(course), math.cos(course), 0.1]),
                yaw_pitch_roll_rad=np.array(
                    [
                        azimuth + installation.heading_bias_rad + yaw[j] * pose_errors.yaw_rad,
                        -depression + pitch[j] * pose_errors.pitch_rad,
                        tilt + roll[j] * pose_errors.roll_rad,
                    ]
                ),
                yaw_rate_radps=math.radians(rng.uniform(-20, 20)) * moving,
                pitch_rate_radps=math.radians(rng.uniform(-5, 5)) * moving,
            )
        )
    return Flight(truth, points, times_ns, passings)


def off_by(found: Calibration, truth: CameraModel) -> np.ndarray:
    return np.array([one.value - bias_of(truth, one.name) for one in found.parameters])


def check_recovery(seeds: Sequence[int]) -> None:
    squares, within = [], []
    for seed in seeds:
        flight = fly(seed)
        adjustment = flight.adjustment()
        everything = np.ones(len(flight.points), dtype=bool)
        found = adjustment.solve(np.zeros(adjustment.unknowns), everything)
        covariance = adjustment.covariance(found, everything)
        truth = np.array([bias_of(flight.truth, name) for name in BIASES]) / adjustment.sigmas
        error = found[: len(BIASES)] - truth
        squares.append(error @ np.linalg.solve(covariance, error))
        within.append(bool(np.all(np.abs(error) < 3 * np.sqrt(np.diagonal(covariance)))))
    assert np.mean(within) >= 0.95
    # The errors are as large as the covariance says: neither larger nor smaller than chance allows.
    assert 0.001 < chi2.sf(np.sum(squares), len(BIASES) * len(seeds)) < 0.999


def test_truth_is_recovered_within_the_stated_covariance() -> None:
    check_recovery(range(40))


@pytest.mark.soak
def test_truth_is_recovered_in_many_flights() -> None:
    check_recovery(range(1000, 1400))


def test_derivative_is_that_of_the_rows() -> None:
    flight = fly(0, pictures=3)
    adjustment = flight.adjustment()
    used = np.arange(len(flight.points)) % 5 != 0
    x = np.random.default_rng(0).normal(0, 0.5, adjustment.unknowns)
    step = 1e-6
    numeric = [
        (adjustment.rows(x + at)[used] - adjustment.rows(x - at)[used]).ravel() / (2 * step)
        for at in step * np.eye(adjustment.unknowns)
    ]
    slope = adjustment.derivative(x, used)
    # What is left is the roll of the time's small turn, and finite differences.
    np.testing.assert_allclose(slope, np.transpose(numeric), atol=2e-3 * np.abs(slope).max())


def test_residuals_are_those_of_the_projection() -> None:
    flight = fly(1)
    residuals = flight.adjustment().residuals(CAMERA)
    snapshots = flight.snapshots(Installation())
    for i, point in enumerate(flight.points):
        pose = snapshots[point.picture].pose
        clicked = np.array([point.x_px, point.y_px])
        pixels, _ = ground_to_pixels(CAMERA, pose, point.lat_deg, point.lon_deg, point.height.metres)
        np.testing.assert_allclose(residuals.pixels[i], pixels[0] - clicked, atol=1e-6)
        met = pixels_to_ground(
            CAMERA, pose, clicked, ground=LevelGround(point.height), pixel_sigma_px=(0, 0), errors=NO_ERRORS
        )
        frame = LocalFrame(pose.lat_deg, pose.lon_deg, pose.height.metres)
        apart = np.subtract(
            frame.to_enu(met.lat_deg[0], met.lon_deg[0]), frame.to_enu(point.lat_deg, point.lon_deg)
        )
        np.testing.assert_allclose(residuals.ground_en_m[i], apart, atol=1e-6)


def test_points_fall_where_they_are_after_calibration() -> None:
    before_m, held_out_m = [], []
    for seed in range(2):
        found = fly(seed).calibrated()
        assert found.refusal is None
        assert found.findings == ()
        assert found.used.all()
        assert all(one.determined and one.variance_ratio < 0.05 for one in found.parameters)
        before_m.append(np.median(found.before.length_m))
        held_out_m.append(np.median(found.held_out.length_m))
    # What is left is the error of the position fixes, 1.5 m on each axis.
    assert np.median(np.divide(before_m, held_out_m)) > 2.5
    assert np.median(held_out_m) < 2.2


def test_one_picture_gives_the_boresight() -> None:
    flight = fly(3, pictures=1, points_each=12, moving=False)
    right = replace(CAMERA, installation=flight.truth.installation)
    found = flight.calibrated(right, solve=["boresight"])
    assert [one.name for one in found.parameters] == ["mount_roll_rad", "mount_pitch_rad", "mount_yaw_rad"]
    assert all(one.determined for one in found.parameters)
    assert np.all(np.abs(off_by(found, flight.truth)) < 3 * np.array([one.sigma for one in found.parameters]))
    # One picture cannot tell its boresight from the gimbal's own error: it is never known better than that.
    assert min(one.sigma for one in found.parameters) > ERRORS.pose.roll_rad
    assert found.camera.installation == right.installation
    assert found.refusal is None


def test_what_is_not_determined_stays_and_is_said() -> None:
    found = fly(2, pictures=8, depression_deg=(60, 60), moving=False).calibrated()
    apart, delay = found.findings
    assert apart.startswith(
        "Heading, mount yaw and mount roll cannot be told apart from pictures taken at one"
    )
    assert delay.startswith(
        "Delay is not determined by these points (one sigma 0.500 s): the camera stood still"
    )
    by_name = {one.name: one for one in found.parameters}
    assert by_name["delay_s"].value == pytest.approx(0.0, abs=1e-9)
    assert by_name["delay_s"].variance_ratio == pytest.approx(1.0)
    assert {name for name, one in by_name.items() if one.determined} == {"mount_pitch_rad", "height_bias_m"}
    # Together they still put the points where they are.
    assert found.refusal is None
    assert np.median(found.held_out.length_m) < np.median(found.before.length_m) / 2


def test_mistakes_are_named_and_left_out() -> None:
    flight = fly(4)
    point = {one.name: one for one in flight.points}

    def shifted(name: str, shift) -> KnownPoint:
        lat_deg, lon_deg = shift(point[name].lat_deg, point[name].lon_deg)
        return replace(point[name], lat_deg=float(lat_deg), lon_deg=float(lon_deg))

    found = flight.but(
        p3=shifted("p3", wgs84_to_gcj02),
        p7=replace(point["p7"], lat_deg=point["p7"].lat_deg + 1e-4),
        p20=replace(point["p20"], x_px=point["p20"].y_px, y_px=point["p20"].x_px / 2),
        p50=shifted("p50", wgs84_to_bd09),
        p60=replace(point["p60"], lat_deg=point["p60"].lat_deg - 60),
    ).calibrated()
    named = {finding.split(" was left out")[0]: finding for finding in found.findings}
    assert set(named) == {"p3", "p7", "p20", "p50", "p60"}
    assert [flight.points[i].name for i in np.flatnonzero(~found.used)] == ["p3", "p7", "p20", "p50", "p60"]
    assert "as coordinates in GCJ-02 (Amap, Tencent) would; give WGS-84" in named["p3"]
    assert "as coordinates in BD-09 (Baidu) would; give WGS-84" in named["p50"]
    assert "so check its coordinates and its pixel" in named["p7"]
    clean = flight.calibrated()
    sigma = np.array([one.sigma for one in clean.parameters])
    assert np.all(np.abs(off_by(found, clean.camera)) < sigma)
    assert np.isnan(found.held_out.pixels[3]).all()


@pytest.mark.parametrize(
    ("shift", "cause"),
    [(wgs84_to_gcj02, "as coordinates in GCJ-02"), (wgs84_to_bd09, "as coordinates in BD-09")],
)
def test_all_points_in_another_datum_are_refused_with_its_name(shift, cause: str) -> None:
    flight = fly(5, pictures=4)
    points = []
    for point in flight.points:
        lat_deg, lon_deg = shift(point.lat_deg, point.lon_deg)
        points.append(replace(point, lat_deg=float(lat_deg), lon_deg=float(lon_deg)))
    with pytest.raises(CalibrationError, match=cause):
        replace(flight, points=points).calibrated()


def test_poses_in_another_datum_are_refused_with_its_name() -> None:
    flight = fly(5, pictures=4)

    def snapshots(installation: Installation) -> list[Snapshot]:
        moved = []
        for one in flight.snapshots(installation):
            lat_deg, lon_deg = wgs84_to_gcj02(one.pose.lat_deg, one.pose.lon_deg)
            moved.append(replace(one, pose=replace(one.pose, lat_deg=float(lat_deg), lon_deg=float(lon_deg))))
        return moved

    with pytest.raises(CalibrationError, match="as if the poses were in GCJ-02"):
        calibrate(CAMERA, flight.points, flight.times_ns, snapshots, errors=ERRORS)


def test_swapped_coordinates_of_all_points_are_refused() -> None:
    # At 40 N 80 E both orders are possible.
    flight = fly(5, pictures=4)
    points = [replace(p, lat_deg=p.lon_deg - 40, lon_deg=p.lat_deg) for p in flight.points]

    def snapshots(installation: Installation) -> list[Snapshot]:
        return [
            replace(one, pose=replace(one.pose, lon_deg=one.pose.lon_deg - 40))
            for one in flight.snapshots(installation)
        ]

    with pytest.raises(CalibrationError, match="as if latitude and longitude had changed places"):
        calibrate(CAMERA, points, flight.times_ns, snapshots, errors=ERRORS)


def test_points_of_another_place_are_refused() -> None:
    flight = fly(5, pictures=4)
    points = [replace(point, lat_deg=point.lat_deg + 1) for point in flight.points]
    with pytest.raises(
        CalibrationError, match=r"most points lie kilometres from the camera \(p\d+: 11\d\.\d km"
    ):
        replace(flight, points=points).calibrated()


def test_points_that_do_not_belong_to_the_pixels_are_refused() -> None:
    flight = fly(7, pictures=6)
    others = np.random.default_rng(0).permutation(len(flight.points))
    points = [
        replace(point, x_px=flight.points[i].x_px, y_px=flight.points[i].y_px)
        for point, i in zip(flight.points, others, strict=True)
    ]
    with pytest.raises(CalibrationError, match="the points do not fit together"):
        replace(flight, points=points).calibrated()


def test_a_camera_that_is_right_is_not_made_worse() -> None:
    flight = fly(8, pictures=3, points_each=4)
    rng = np.random.default_rng(0)
    points = []
    for point in flight.points:
        pose = flight.snapshots(flight.truth.installation)[point.picture].pose
        pixels, _ = ground_to_pixels(flight.truth, pose, point.lat_deg, point.lon_deg, point.height.metres)
        x_px, y_px = map(float, pixels[0] + rng.normal(0, ERRORS.pixel_px, 2))
        points.append(replace(point, x_px=x_px, y_px=y_px))
    found = replace(flight, points=points).calibrated(flight.truth)
    assert found.refusal is not None
    assert "keep the camera as it is" in found.refusal


def test_a_pose_without_errors_leaves_those_of_the_clicks() -> None:
    flight = fly(8, pictures=2)
    exact = flight.snapshots(flight.truth.installation)
    points = []
    for point in flight.points:
        pixels, _ = ground_to_pixels(
            flight.truth, exact[point.picture].pose, point.lat_deg, point.lon_deg, point.height.metres
        )
        points.append(replace(point, x_px=float(pixels[0, 0]), y_px=float(pixels[0, 1])))
    found = replace(flight, points=points).calibrated(
        replace(CAMERA, installation=flight.truth.installation),
        ErrorModel(0.01, NO_ERRORS),
        solve=["boresight"],
    )
    np.testing.assert_allclose(off_by(found, flight.truth), 0.0, atol=1e-5)
    assert max(one.sigma for one in found.parameters) < 1e-4


def test_errors_larger_than_stated_widen_the_sigmas() -> None:
    flight = fly(6, pictures=8)
    bold = flight.calibrated(errors=replace(ERRORS, pixel_px=0.5))
    assert bold.chi2_per_freedom > 2
    assert bold.findings[-1].startswith("The points fit ")
    fair = flight.calibrated()
    assert fair.chi2_per_freedom == pytest.approx(1.0, abs=0.4)
    assert all(a.sigma > b.sigma for a, b in zip(bold.parameters, fair.parameters, strict=True))


def test_values_beyond_any_installation_are_doubted() -> None:
    flight = fly(9)
    turned = replace(CAMERA, mount_yaw_rad=flight.truth.mount_yaw_rad + math.radians(20))
    found = flight.calibrated(turned, prior=BiasSigmas(heading_rad=math.radians(1)))
    assert any(finding.startswith("Mount yaw changes by -2") for finding in found.findings)


def test_too_few_and_too_many_points_are_refused() -> None:
    flight = fly(7, pictures=2)
    with pytest.raises(CalibrationError, match="6 known points are too few for 6 values; give 7 or more"):
        replace(flight, points=flight.points[:6]).calibrated()
    with pytest.raises(CalibrationError, match="3 known points are too few for 3 values; give 4 or more"):
        replace(flight, points=flight.points[:3]).calibrated(solve=["boresight"])
    with pytest.raises(CalibrationError, match="are more than 2000 in 200"):
        replace(flight, points=flight.points * 200).calibrated()


def test_a_pixel_outside_the_lens_is_named() -> None:
    flight = fly(7, pictures=2)
    fish = replace(CAMERA, distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(CalibrationError, match="no ray through the lens meets pixel"):
        flight.calibrated(fish)
