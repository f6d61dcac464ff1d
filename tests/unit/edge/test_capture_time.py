"""When pictures were taken, on scripted flights; what the pictures would show of motion is computed."""

import functools
import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import ClockSample, GimbalSample
from patrol.edge.capture_time import CaptureTimes, TimedFrame
from patrol.geo.camera import Installation, read_camera
from patrol.geo.ground import LevelGround
from patrol.geo.history import PoseHistory
from patrol.video.clock import Timing
from patrol.video.frames import Frame
from patrol.video.motion import PictureMotion

SECOND_NS = 1_000_000_000
STAMP_SIGMA_NS = 10_000_000
FIRST_TURN_S = 5.0


def patrol(at_s):
    headings = [20, 110, 140, 80, 80, 0, 30, 120]
    return 4.0, headings[int(at_s // FIRST_TURN_S) % len(headings)], -40.0


def hover(_at_s):
    return 0.0, 60.0, -40.0


@dataclass(frozen=True)
class Outcome:
    """What was made of the picture of an instant."""

    since_s: float
    late_s: float  # by how much the time that was found is later than the truth
    sigma_s: float
    timed: TimedFrame


class IndexMeter:
    """Takes a picture's index from its first pixels and looks up how the scene moved."""

    def __init__(self, matches):
        self._matches = matches
        self._before = None

    def update(self, pixels):
        after = int(pixels[0, 0, 0]) + 256 * int(pixels[0, 0, 1])
        before, self._before = self._before, after
        found = ((), ()) if before is None else self._matches(before, after)
        return PictureMotion(*found) if len(found[0]) >= 10 else None


def picture(index, at_ns, timing):
    pixels = np.zeros((360, 480, 3), np.uint8)
    pixels[0, 0, :2] = index % 256, index // 256
    sigma_ns = 300_000_000 if timing is Timing.ARRIVAL else STAMP_SIGMA_NS
    return Frame(pixels, at_ns, sigma_ns, index, timing)


@pytest.fixture(scope="module")
def camera():
    return read_camera(data_path("flightplans") / "night-market.camera.yaml")


@pytest.fixture(scope="module")
def matches(camera):
    return functools.cache(lambda flight, before, after: flight.matches(camera, before, after))


@pytest.fixture(scope="module")
def patrolled(fly):
    return fly(patrol, 32.0)


@pytest.fixture
def outcomes(camera, matches, monkeypatch):
    """Lets pictures come late (by the time since the start) while telemetry comes 0.1 s after the fact."""

    def make(
        flight, late, timing=Timing.ARRIVAL, *, see=None, tell=None, camera=camera, clock=None,
        step=None, epoch=lambda _: 0,
    ):  # fmt: skip
        stepped_ns = [0]
        shown = see or flight
        monkeypatch.setattr(
            "patrol.edge.capture_time.MotionMeter", lambda: IndexMeter(functools.partial(matches, shown))
        )
        times = CaptureTimes(
            camera,
            LevelGround(Amsl(flight.ground_amsl_m)),
            utc_ns=lambda: stepped_ns[0],
            monotonic_ns=lambda: 0,
        )
        if clock is not None:
            times.hear(clock)
        history = PoseHistory(installation=camera.installation)
        told = flight if tell is None else replace(flight, telemetry=[tell(s) for s in flight.telemetry])
        start_ns = told_ns = flight.poses[0].at_ns
        found = []
        for index, pose in enumerate(flight.poses):
            since_s = (pose.at_ns - start_ns) / SECOND_NS
            late_ns = round((late(since_s) if callable(late) else late) * SECOND_NS)
            now_ns = max(pose.at_ns, pose.at_ns + late_ns) - SECOND_NS // 10
            told.tell(history, now_ns, told_ns)
            told_ns = now_ns
            how = timing(since_s) if callable(timing) else timing
            if step is not None and since_s >= step[0]:
                stepped_ns[0] = round(step[1] * SECOND_NS)
            shot = picture(index, pose.at_ns + late_ns + stepped_ns[0], how)
            timed = times.place(replace(shot, epoch=epoch(since_s)), history)
            late_s = (timed.frame.captured_at_ns - pose.at_ns) / SECOND_NS
            found.append(Outcome(since_s, late_s, timed.frame.captured_at_sigma_ns / SECOND_NS, timed))
        return found

    return make


def test_without_any_time_the_delay_is_guessed_and_then_told_by_turns(patrolled, outcomes):
    found = outcomes(patrolled, 0.42)
    before = [outcome for outcome in found if outcome.since_s < FIRST_TURN_S]
    assert {round(outcome.late_s, 6) for outcome in before} == {0.07}, "0.35 s are usual"
    assert {round(outcome.sigma_s, 3) for outcome in before} == {0.32}
    assert "as is usual" in before[-1].timed.reason
    after = [outcome for outcome in found if outcome.since_s > 2 * FIRST_TURN_S]
    assert all(abs(outcome.late_s) < min(0.03, 3 * outcome.sigma_s) for outcome in after)
    assert all(outcome.sigma_s < 0.03 for outcome in after)
    assert "pictures come 0.4" in after[-1].timed.reason
    assert all(outcome.timed.is_trusted and not outcome.timed.is_degraded for outcome in found)


def test_the_delay_of_a_slow_link_is_not_believed_before_it_is_told(patrolled, outcomes):
    found = outcomes(patrolled, 1.6)
    wrong = [outcome for outcome in found if abs(outcome.late_s) > 3 * outcome.sigma_s]
    assert all(outcome.since_s < 2 * FIRST_TURN_S for outcome in wrong)
    assert all(abs(outcome.late_s) < 0.03 for outcome in found if outcome.since_s > 2.5 * FIRST_TURN_S)
    assert found[-1].timed.is_trusted


def test_this_machines_clock_is_taken_off_times_of_arrival(patrolled, outcomes):
    ahead_ns = 12 * SECOND_NS
    clock = ClockSample(patrolled.poses[0].at_ns, ahead_ns, 4_000_000)
    found = outcomes(patrolled, 12.42, clock=clock)
    assert found[0].late_s == pytest.approx(0.07)
    assert found[0].sigma_s == pytest.approx(0.25, abs=0.001)
    assert abs(found[-1].late_s) < 0.03


def test_a_step_of_this_machines_clock_moves_no_picture(patrolled, outcomes):
    clock = ClockSample(patrolled.poses[0].at_ns, 12 * SECOND_NS, 4_000_000)
    found = outcomes(patrolled, 12.42, clock=clock, step=(20.0, -2.0))
    assert all(abs(outcome.late_s) < 0.03 for outcome in found if outcome.since_s > 2 * FIRST_TURN_S)
    assert all(outcome.timed.is_trusted for outcome in found)


def test_after_a_reconnect_the_delay_is_not_what_it_was(patrolled, outcomes):
    found = outcomes(
        patrolled,
        lambda since_s: 0.42 if since_s < 12.0 else 1.02,
        epoch=lambda since_s: int(since_s >= 12.0),
    )
    assert all(abs(outcome.late_s) < 3 * outcome.sigma_s for outcome in found)
    assert all(outcome.sigma_s < 0.03 for outcome in found if 2 * FIRST_TURN_S < outcome.since_s < 12.0)
    assert abs(found[-1].late_s) < 0.03


def test_a_correction_never_turns_the_order_of_pictures_round(patrolled, outcomes):
    for late_s, timing in ((0.65, Timing.ARRIVAL), (0.15, Timing.STAMPED), (0.4, Timing.STAMPED)):
        at_ns = [outcome.timed.frame.captured_at_ns for outcome in outcomes(patrolled, late_s, timing)]
        assert all(after > before for before, after in itertools.pairwise(at_ns))


def test_a_clock_that_nobody_compared_and_that_is_far_off_is_noticed(patrolled, outcomes):
    found = outcomes(patrolled, 12.42)
    assert not found[-1].timed.is_trusted
    assert found[-1].timed.is_degraded


def test_true_stamps_stay_as_they_are(patrolled, outcomes):
    found = outcomes(patrolled, 0.0, Timing.STAMPED)
    assert {outcome.late_s for outcome in found} == {0.0}
    confirmed = [outcome for outcome in found if outcome.since_s > 2 * FIRST_TURN_S]
    assert all(0.01 <= outcome.sigma_s < 0.03 for outcome in confirmed)
    assert found[0].sigma_s == pytest.approx(0.1, rel=0.01), "nothing has confirmed them yet"
    assert all(outcome.timed.is_trusted and outcome.timed.reason == "" for outcome in found)


def test_the_calibrated_delay_of_stamps_is_subtracted(patrolled, outcomes, camera):
    installed = replace(camera, installation=Installation(delay_s=0.2))
    found = outcomes(patrolled, 0.2, Timing.KLV, camera=installed)
    assert {outcome.late_s for outcome in found} == {0.0}
    assert found[-1].timed.reason == ""


@pytest.mark.parametrize("lie_s", [0.5, -0.3])
def test_stamps_that_lie_are_corrected(patrolled, outcomes, lie_s):
    found = outcomes(patrolled, lie_s, Timing.STAMPED)
    lied_to = [outcome for outcome in found if outcome.timed.is_trusted and abs(outcome.late_s) > 0.1]
    assert all(outcome.since_s < FIRST_TURN_S + 4 for outcome in lied_to), "the first turn must tell"
    late = [outcome for outcome in found if outcome.since_s > 2.5 * FIRST_TURN_S]
    assert all(abs(outcome.late_s) < min(0.03, 3 * outcome.sigma_s) for outcome in late)
    assert all(outcome.timed.is_trusted and outcome.timed.is_degraded for outcome in late)
    assert f"{abs(lie_s):.1f}" in late[-1].timed.reason
    assert ("late" if lie_s > 0 else "early") in late[-1].timed.reason


def test_a_small_lie_widens_sigma(patrolled, outcomes):
    found = outcomes(patrolled, 0.1, Timing.STAMPED)
    assert found[-1].late_s == pytest.approx(0.1)
    assert found[-1].sigma_s > 0.08
    assert found[-1].timed.reason == ""


def test_stamps_that_lie_by_more_than_any_delay_cost_the_trust(patrolled, outcomes):
    found = outcomes(patrolled, 4.0, Timing.STAMPED)
    assert not found[-1].timed.is_trusted
    assert "does not move as the telemetry says" in found[-1].timed.reason


def test_a_frozen_gimbal_is_noticed_within_seconds_and_forgiven_when_it_lives(patrolled, outcomes):
    """The camera holds its heading until the 20th second, while the gimbal says that it follows the nose."""
    held = patrolled.poses[0].yaw_ned_rad
    poses = [replace(pose, yaw_ned_rad=held) for pose in patrolled.poses[:200]] + patrolled.poses[200:]
    found = outcomes(patrolled, 0.1, Timing.STAMPED, see=replace(patrolled, poses=poses))
    distrusted = [outcome.since_s for outcome in found if not outcome.timed.is_trusted]
    assert FIRST_TURN_S < distrusted[0] < FIRST_TURN_S + 5
    assert all(not o.timed.is_trusted for o in found if distrusted[0] < o.since_s < 20)
    assert found[-1].timed.is_trusted
    assert found[-1].timed.reason == ""


def test_a_gimbal_that_always_tells_one_pitch_is_noticed(patrolled, outcomes):
    def stuck(sample):
        return replace(sample, pitch_rad=math.radians(-70)) if isinstance(sample, GimbalSample) else sample

    found = outcomes(patrolled, 0.1, Timing.STAMPED, tell=stuck)
    assert not found[-1].timed.is_trusted
    assert all(not o.timed.is_trusted for o in found if o.since_s > FIRST_TURN_S + 6)


def test_hovering_tells_nothing_and_loses_no_trust(fly, outcomes):
    """What is seen stands still, as footage of a fixed camera does; the telemetry has its declared errors."""
    hovering = fly(hover, 15.0)
    still = replace(hovering, poses=[hovering.poses[0]] * len(hovering.poses))
    for timing in (Timing.ARRIVAL, Timing.STAMPED):
        found = outcomes(hovering, 0.3, timing, see=still)
        assert all(outcome.timed.is_trusted for outcome in found)
        assert len({round(outcome.late_s, 6) for outcome in found}) == 1


def test_a_delay_that_changes_in_flight_is_told_anew(patrolled, outcomes):
    found = outcomes(patrolled, lambda since_s: 0.2 if since_s < 17 else 0.9)
    wrong = [o for o in found if o.timed.is_trusted and abs(o.late_s) > max(0.06, 3 * o.sigma_s)]
    assert all(17 <= outcome.since_s < 28 for outcome in wrong), "it flies straight on until the 25th second"
    assert abs(found[-1].late_s) < 0.03
    assert found[-1].timed.is_trusted


def test_a_delay_told_long_ago_becomes_uncertain_again(patrolled, outcomes):
    last = patrolled.poses[149]
    later = [replace(last, at_ns=last.at_ns + minutes * 60 * SECOND_NS) for minutes in (2, 20)]
    found = outcomes(replace(patrolled, poses=[*patrolled.poses[:150], *later]), 0.42)
    at_once, after_two, after_twenty = found[-3:]
    assert at_once.sigma_s < 0.02
    assert after_two.sigma_s == pytest.approx(0.06, abs=0.01)
    assert after_twenty.sigma_s == pytest.approx(0.32, abs=0.01)
    assert [after_two.late_s, after_twenty.late_s] == pytest.approx([at_once.late_s] * 2, abs=0.002)


def test_stamps_that_begin_to_come_are_judged_by_themselves(patrolled, outcomes):
    found = outcomes(
        patrolled,
        lambda since_s: 0.4 if since_s < 15 else 0.0,
        lambda since_s: Timing.ARRIVAL if since_s < 15 else Timing.STAMPED,
    )
    stamped = [outcome for outcome in found if outcome.since_s >= 15]
    assert {outcome.late_s for outcome in stamped} == {0.0}
    assert all(outcome.timed.is_trusted for outcome in stamped)
