"""Delays told by the motion of pictures, on flights of the simulated drone with its declared errors."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import AttitudeSample, GimbalSample, LensSample, PositionSample
from patrol.geo.camera import CameraModel, read_camera
from patrol.geo.delay import DELAYS_S, DelayEstimator, ScenePair
from patrol.geo.ground import LevelGround
from patrol.geo.history import PoseHistory

SECOND_NS = 1_000_000_000


def patrol(at_s):
    """Legs with turns of 30 to 90 degrees between them, and the gimbal at 40 degrees."""
    headings = [20, 20, 110, 140, 80, 80, 0, 30]
    return 4.0, headings[int(at_s // 5) % len(headings)], -40.0


def hover(_at_s):
    return 0.0, 60.0, -40.0


def straight(_at_s):
    return 4.0, 60.0, -40.0


@pytest.fixture(scope="module")
def camera():
    return read_camera(data_path("flightplans") / "night-market.camera.yaml")


@pytest.fixture(scope="module")
def patrolled(fly):
    return fly(patrol, 30.0)


@pytest.fixture(scope="module")
def estimator_of(camera):
    """Compares a flight's pictures, claimed late by a delay, with telemetry that may be told wrongly."""
    matches = functools.cache(lambda flight, before, after: flight.matches(camera, before, after))

    def make(flight, delay_s, *, tell=lambda sample: sample, see=None, every=1):
        late_ns = round(delay_s * SECOND_NS)
        history = PoseHistory(keep_s=120.0)
        replace_all = [tell(sample) for sample in flight.telemetry]
        replace(flight, telemetry=[sample for sample in replace_all if sample]).tell(history, 2**63)
        estimator = DelayEstimator(camera, LevelGround(Amsl(flight.ground_amsl_m)))
        for after in range(every, len(flight.poses), every):
            before_px, after_px = matches(see or flight, after - every, after)
            if len(before_px) >= 10:
                before_ns, after_ns = (flight.poses[i].at_ns + late_ns for i in (after - every, after))
                estimator.add(ScenePair(before_ns, after_ns, before_px, after_px, (480, 360)))
            if after % 10 == 0:
                estimator.compare(history)
        return estimator

    return make


def gimbal(**changes):
    return lambda sample: replace(sample, **changes) if isinstance(sample, GimbalSample) else sample


@pytest.mark.parametrize("delay_s", [-0.31, 0.08, 0.3, 0.8, 1.47])
def test_the_delay_of_a_patrol_is_found(patrolled, estimator_of, delay_s):
    estimate = estimator_of(patrolled, delay_s).estimate()
    assert estimate.delay_s == pytest.approx(delay_s, abs=0.015)
    assert abs(estimate.delay_s - delay_s) < 3 * estimate.sigma_s < 0.05
    assert estimate.explained > 0.99


def test_three_sigma_hold_the_truth_whatever_the_noise(fly, estimator_of):
    errors = []
    for seed in range(10, 14):
        estimate = estimator_of(fly(patrol, 17.0, seed=seed), 0.3).estimate()
        errors.append((estimate.delay_s - 0.3) / estimate.sigma_s)
    assert np.abs(errors).max() < 3
    assert np.sqrt(np.mean(np.square(errors))) < 1.5
    assert abs(np.mean(errors)) < 1.0


def test_without_noise_the_prediction_is_exact(fly, estimator_of):
    estimate = estimator_of(fly(patrol, 20.0, with_noise=False), 0.3).estimate()
    assert estimate.delay_s == pytest.approx(0.3, abs=0.002)
    assert estimate.explained > 0.9999


@pytest.mark.parametrize("script", [hover, straight])
def test_steady_flight_tells_no_delay_and_contradicts_nothing(fly, estimator_of, script):
    estimator = estimator_of(fly(script, 20.0), 0.3)
    assert estimator.estimate() is None
    agreement = estimator.agreement()
    assert not agreement.is_contradicted()
    assert not agreement.is_confirmed()


@pytest.mark.parametrize(
    "tell",
    [
        lambda sample: (
            replace(sample, yaw_ned_rad=sample.yaw_ned_rad + math.radians(3))
            if isinstance(sample, AttitudeSample)
            else sample
        ),
        lambda sample: (
            replace(sample, height=sample.height + 2.0, lat_deg=sample.lat_deg + 2e-5)
            if isinstance(sample, PositionSample)
            else sample
        ),
        lambda sample: (
            replace(sample, pitch_rad=sample.pitch_rad + math.radians(1))
            if isinstance(sample, GimbalSample)
            else sample
        ),
    ],
    ids=["heading", "place", "pitch"],
)
def test_what_all_poses_share_hardly_matters(patrolled, estimator_of, tell):
    estimate = estimator_of(patrolled, 0.3, tell=tell).estimate()
    assert estimate.delay_s == pytest.approx(0.3, abs=0.02)
    assert abs(estimate.delay_s - 0.3) < 3 * estimate.sigma_s


def test_slow_pictures_and_lost_telemetry_still_tell(patrolled, estimator_of):
    lost_ns = patrolled.poses[150].at_ns

    def with_a_gap(sample):
        return None if 0 <= sample.at_ns - lost_ns < 3 * SECOND_NS else sample

    estimate = estimator_of(patrolled, 0.3, every=3, tell=with_a_gap).estimate()
    assert estimate.delay_s == pytest.approx(0.3, abs=0.03)


def test_agreement_is_told_by_delay(patrolled, estimator_of):
    agreement = estimator_of(patrolled, 0.5).agreement()
    assert agreement.is_confirmed()
    assert agreement.is_confirmed(0.4, 0.6)
    assert not agreement.is_contradicted(0.4, 0.6)
    assert agreement.is_contradicted(-0.15, 0.15), "the pictures are not on time"
    assert DELAYS_S[np.nanargmin(agreement.unexplained)] == pytest.approx(0.5, abs=0.05)


def turned_away(flight):
    """The same flight with a gimbal that holds its heading while the aircraft turns."""
    return replace(flight, poses=[replace(pose, yaw_ned_rad=0.5) for pose in flight.poses])


@pytest.mark.parametrize(
    ("see", "tell"),
    [
        pytest.param(turned_away, gimbal(), id="a gimbal that holds its heading and tells another"),
        pytest.param(None, gimbal(pitch_rad=math.radians(-65)), id="a pitch that is told wrongly"),
        pytest.param(
            lambda flight: replace(flight, poses=[flight.poses[0]] * len(flight.poses)),
            gimbal(),
            id="a picture that stands still",
        ),
        pytest.param(
            lambda flight: replace(flight, poses=flight.poses[100:] + flight.poses[:100]),
            gimbal(),
            id="another time's picture",
        ),
    ],
)
def test_a_picture_that_moves_otherwise_is_noticed_at_every_delay(patrolled, estimator_of, see, tell):
    estimator = estimator_of(patrolled, 0.3, see=see and see(patrolled), tell=tell)
    assert estimator.agreement().is_contradicted()
    assert estimator.estimate() is None


def test_people_who_fill_the_picture_are_not_taken_for_the_camera(fly, estimator_of, camera):
    """A crowd that runs at 4 m/s, stops and runs again close below a drone that hovers."""
    hovering = fly(hover, 15.0, start_neu_m=(20.0, 15.0, 8.0))
    pose = hovering.poses[0]
    crowd, north_m = [], 0.0
    for index in range(len(hovering.poses)):
        north_m += 0.4 * (index // 20 % 2)
        crowd.append(replace(pose, lat_deg=pose.lat_deg - north_m / 110_870.0))
    agreement = estimator_of(hovering, 0.3, see=replace(hovering, poses=crowd)).agreement()
    assert not agreement.is_contradicted()


def test_a_clock_set_back_begins_anew(patrolled, estimator_of):
    estimator = estimator_of(patrolled, 0.3)
    assert estimator.estimate() is not None
    pixels = np.array([[10.0, 10.0], [400.0, 300.0]])
    estimator.add(ScenePair(SECOND_NS, 2 * SECOND_NS, pixels, pixels, (480, 360)))
    assert estimator.estimate() is None


@pytest.mark.parametrize(
    ("height_m", "height_px", "is_compared"), [(14.0, 360, True), (3.0, 360, False), (14.0, 300, False)]
)
def test_nothing_is_compared_near_the_ground_or_in_another_shape(
    fly, camera, height_m, height_px, is_compared
):
    flight = fly(patrol, 16.0, start_neu_m=(20.0, 15.0, height_m))
    history = PoseHistory()
    flight.tell(history, 2**63)
    estimator = DelayEstimator(camera, LevelGround(Amsl(flight.ground_amsl_m)))
    for after in range(1, len(flight.poses)):
        before_px, after_px = flight.matches(camera, after - 1, after)
        times_ns = (flight.poses[after - 1].at_ns, flight.poses[after].at_ns)
        if len(before_px) >= 10:
            estimator.add(ScenePair(*times_ns, before_px, after_px, (480, height_px)))
        if after % 10 == 0:
            estimator.compare(history)
    assert np.isfinite(estimator.agreement().unexplained).any() == is_compared
    assert (estimator.estimate() is not None) == is_compared


def test_a_lens_that_zooms_is_followed_and_left_out_while_it_moves(fly, camera):
    """Half way the lens goes to twice its focal length."""
    flight = fly(patrol, 24.0)
    zoomed_from_ns = flight.poses[120].at_ns
    wide, narrow = camera.hfov_rad, camera.zoomed_to(camera.hfov_rad / 2).hfov_rad
    history = PoseHistory(keep_s=120.0)
    flight.tell(history, 2**63)
    for hfov_rad, at_ns in ((wide, flight.poses[0].at_ns), (narrow, zoomed_from_ns)):
        history.add_lens(LensSample(at_ns, hfov_rad))
    estimator = DelayEstimator(camera, LevelGround(Amsl(flight.ground_amsl_m)))
    for after in range(1, len(flight.poses)):
        lens: CameraModel = camera if flight.poses[after].at_ns < zoomed_from_ns else camera.zoomed_to(narrow)
        before_px, after_px = flight.matches(lens, after - 1, after)
        if len(before_px) >= 10:
            times_ns = (flight.poses[after - 1].at_ns, flight.poses[after].at_ns)
            estimator.add(ScenePair(*times_ns, before_px, after_px, (480, 360)))
        if after % 10 == 0:
            estimator.compare(history)
    assert estimator.estimate().delay_s == pytest.approx(0.0, abs=0.02)
