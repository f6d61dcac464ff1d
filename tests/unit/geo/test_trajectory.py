"""Poses for whole arrays of times must be those that `PoseHistory` gives one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from patrol.domain.telemetry import GimbalSample
from patrol.geo.camera import Installation
from patrol.geo.frames import LocalFrame
from patrol.geo.history import PoseHistory
from patrol.geo.trajectory import trajectory

SECOND_NS = 1_000_000_000
STEP_S = 0.02


def turning(at_s):
    """Turns through north, and looks straight down after 6 s."""
    return 5.0, 300 + 40 * at_s, -30.0 if at_s < 6 else -90.0


@pytest.fixture(scope="module")
def flight(fly):
    return fly(turning, 12.0, with_noise=False)


@pytest.fixture
def told(flight):
    def make(installation, keep=lambda sample: True):
        history = PoseHistory(installation=installation)
        replace(flight, telemetry=[sample for sample in flight.telemetry if keep(sample)]).tell(
            history, 2**63
        )
        return history

    return make


def ned_from_gimbal(pose):
    return Rotation.from_euler("ZYX", [pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad])


@pytest.mark.parametrize("installation", [Installation(), Installation((0.0, 0.0, 0.0), 0.1, 2.0)])
def test_they_are_the_poses_of_the_history(flight, told, installation):
    history = told(installation)
    start_ns = flight.poses[5].at_ns
    way = trajectory(
        history.recorded(start_ns, start_ns + 10 * SECOND_NS),
        installation, start_ns, start_ns + 10 * SECOND_NS, STEP_S,
    )  # fmt: skip
    assert way.known.all()
    earlier_s = np.arange(0.0, 9.0, 0.137)
    points = way.at(start_ns + 9 * SECOND_NS, earlier_s)
    home = history.pose_at(start_ns)
    for i, seconds in enumerate(earlier_s):
        pose = history.pose_at(start_ns + 9 * SECOND_NS - round(seconds * SECOND_NS))
        difference = Rotation.from_matrix(points.ned_from_gimbal[i]).inv() * ned_from_gimbal(pose)
        assert math.degrees(difference.magnitude()) < 0.02
        assert points.height_amsl_m[i] == pytest.approx(pose.height.metres, abs=1e-6)
        east_m, north_m = LocalFrame(home.lat_deg, home.lon_deg).to_enu(pose.lat_deg, pose.lon_deg)
        assert points.way_ned_m[i, :2] == pytest.approx([float(north_m), float(east_m)], abs=0.05)


def test_a_gap_in_one_kind_is_not_bridged(flight, told):
    start_ns, lost_ns = flight.poses[0].at_ns, flight.poses[50].at_ns

    def outside(sample):
        return not (isinstance(sample, GimbalSample) and 0 < sample.at_ns - lost_ns < 1.5 * SECOND_NS)

    end_ns = flight.poses[-1].at_ns
    recorded = told(Installation(), outside).recorded(start_ns, end_ns)
    way = trajectory(recorded, Installation(), start_ns, end_ns, STEP_S)
    at_s = np.arange(len(way.known)) * STEP_S
    in_gap = (at_s > 5.05) & (at_s < 6.4)
    assert not way.known[in_gap].any()
    assert way.known[(at_s > 0.1) & (at_s < 4.9)].all()
    assert way.known[(at_s > 6.6) & (at_s < 11.8)].all()


def test_before_and_after_the_telemetry_nothing_is_known(flight, told):
    start_ns, end_ns = flight.poses[0].at_ns - 2 * SECOND_NS, flight.poses[-1].at_ns + 2 * SECOND_NS
    way = trajectory(
        told(Installation()).recorded(start_ns, end_ns), Installation(), start_ns, end_ns, STEP_S
    )
    assert not way.known[: round(2 / STEP_S)].any()
    assert not way.known[-round(1.9 / STEP_S) :].any()
    assert not way.at(start_ns, np.array([1.0, 0.0])).known.any(), "before the stretch itself"


def test_too_few_samples_give_nothing(flight, told):
    history = told(Installation(), lambda sample: not isinstance(sample, GimbalSample))
    start_ns, end_ns = flight.poses[0].at_ns, flight.poses[-1].at_ns
    assert trajectory(history.recorded(start_ns, end_ns), Installation(), start_ns, end_ns, STEP_S) is None


def test_what_is_recorded_reaches_one_sample_beyond_either_end(flight, told):
    start_ns, end_ns = flight.poses[20].at_ns + 1, flight.poses[30].at_ns - 1
    recorded = told(Installation()).recorded(start_ns, end_ns)
    for samples in (recorded.positions, recorded.attitudes, recorded.gimbals):
        times_ns = [sample.at_ns for sample in samples]
        assert times_ns == sorted(times_ns)
        assert times_ns[0] <= start_ns < times_ns[1]
        assert times_ns[-2] < end_ns <= times_ns[-1]
