import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, GimbalSample, PositionSample
from patrol.geo.history import PoseHistory

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def position(at_s: float, *, lat: float = 31.3, lon: float = 120.6, height: float = 11.0) -> PositionSample:
    return PositionSample(
        START + round(at_s * SECOND), lat, lon, Amsl(height), height - 4, 1.0 + at_s, 2.0, 0.0
    )


def attitude(at_s: float, yaw_deg: float = 0.0, *, roll_deg: float = 0.0) -> AttitudeSample:
    return AttitudeSample(START + round(at_s * SECOND), math.radians(roll_deg), 0.0, math.radians(yaw_deg))


def gimbal(at_s: float, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> GimbalSample:
    return GimbalSample(START + round(at_s * SECOND), 0.0, math.radians(pitch_deg), math.radians(yaw_deg))


def filled(*, keep_s: float = 30.0) -> PoseHistory:
    history = PoseHistory(keep_s=keep_s)
    for at_s in (0.0, 1.0):
        history.add_position(position(at_s))
        history.add_attitude(attitude(at_s))
        history.add_gimbal(gimbal(at_s))
    return history


def test_each_series_is_interpolated_on_its_own() -> None:
    history = PoseHistory()
    history.add_position(position(0.0, lat=31.0, height=10.0))
    history.add_position(position(1.0, lat=31.4, height=20.0))
    history.add_attitude(attitude(0.1, 10))
    history.add_attitude(attitude(0.5, 50))
    history.add_gimbal(gimbal(0.2, -20, 5))
    history.add_gimbal(gimbal(0.3, -30, 5))
    pose = history.pose_at(START + SECOND // 4)
    assert pose is not None
    assert pose.at_ns == START + SECOND // 4
    assert pose.lat_deg == pytest.approx(31.1)
    assert pose.height.metres == pytest.approx(12.5)
    assert math.degrees(pose.pitch_rad) == pytest.approx(-25)
    assert math.degrees(pose.yaw_ned_rad) == pytest.approx(
        10 + 15 + 5, abs=0.2
    )  # the turn is about a tilted axis


def test_yaw_takes_the_short_way_through_north() -> None:
    history = filled()
    history.add_attitude(attitude(1.5, 350))
    history.add_attitude(attitude(1.9, 20))
    history.add_position(position(2.0))
    history.add_gimbal(gimbal(2.0))
    pose = history.pose_at(START + round(1.7 * SECOND))
    assert pose is not None
    assert math.degrees(pose.yaw_ned_rad) == pytest.approx(5.0)


def test_a_leaning_airframe_does_not_tilt_the_stabilised_camera() -> None:
    history = filled()
    history.add_attitude(attitude(1.2, roll_deg=25))
    history.add_position(position(1.3))
    history.add_gimbal(gimbal(1.3))
    pose = history.pose_at(START + round(1.2 * SECOND))
    assert pose is not None
    assert pose.roll_rad == 0.0
    assert pose.pitch_rad == 0.0


@pytest.mark.parametrize("at_s", [-0.001, 1.001])
def test_outside_the_history_there_is_no_pose(at_s: float) -> None:
    history = filled()
    assert history.pose_at(START + round(at_s * SECOND)) is None
    assert history.velocity_at(START + round(at_s * SECOND)) is None


def test_the_ends_belong_to_the_history() -> None:
    assert filled().pose_at(START) is not None
    assert filled().pose_at(START + SECOND) is not None


def test_one_missing_series_is_enough_for_no_pose() -> None:
    history = PoseHistory()
    history.add_position(position(0.0))
    history.add_attitude(attitude(0.0))
    assert history.pose_at(START) is None


def test_no_pose_across_a_gap() -> None:
    history = filled()
    history.add_position(position(2.5))
    for at_s in (1.5, 2.0, 2.5):
        history.add_attitude(attitude(at_s))
        history.add_gimbal(gimbal(at_s))
    assert history.pose_at(START + 2 * SECOND) is None
    assert history.velocity_at(START + 2 * SECOND) is None
    assert history.pose_at(START + round(2.5 * SECOND)) is not None


def test_late_and_repeated_samples_find_their_place() -> None:
    history = PoseHistory()
    for at_s, lat in ((0.0, 31.0), (0.8, 31.8), (0.4, 31.6), (0.4, 99.0), (0.8, 99.0)):
        history.add_position(position(at_s, lat=lat))
    history.add_attitude(attitude(0.0))
    history.add_attitude(attitude(0.8))
    history.add_gimbal(gimbal(0.0))
    history.add_gimbal(gimbal(0.8))
    pose = history.pose_at(START + round(0.2 * SECOND))
    assert pose is not None
    assert pose.lat_deg == pytest.approx(31.3)


def test_a_clock_set_back_starts_anew() -> None:
    history = PoseHistory()
    for at_s in (100.0, 100.5, 50.0, 50.5):
        history.add_position(position(at_s))
    assert history.velocity_at(START + round(100.2 * SECOND)) is None
    assert history.velocity_at(START + round(50.2 * SECOND)) is not None


def test_old_samples_are_forgotten() -> None:
    history = PoseHistory(keep_s=5.0)
    for tenth in range(200):
        history.add_position(position(tenth / 10))
    assert history.velocity_at(START + round(14.8 * SECOND)) is None
    assert history.velocity_at(START + round(14.95 * SECOND)) is not None


def test_velocity_is_east_then_north() -> None:
    velocity = filled().velocity_at(START + SECOND // 2)
    assert velocity == (2.0, 1.5)


@given(st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=30), st.integers(-SECOND, 4 * SECOND))
def test_any_order_of_arrival_gives_a_sound_answer_or_none(times_ns: list[int], asked_ns: int) -> None:
    history = PoseHistory()
    for time_ns in times_ns:
        history.add_position(
            PositionSample(START + time_ns, 31.0, 120.0, Amsl(time_ns / SECOND), 0.0, 0.0, 0.0, 0.0)
        )
        history.add_attitude(AttitudeSample(START + time_ns, 0.0, 0.0, 0.0))
        history.add_gimbal(GimbalSample(START + time_ns, 0.0, 0.0, 0.0))
    pose = history.pose_at(START + asked_ns)
    if pose is not None:
        assert pose.height.metres == pytest.approx(asked_ns / SECOND, abs=1e-6)
        assert min(times_ns) <= asked_ns <= max(times_ns)


def test_filling_and_asking_from_two_threads() -> None:
    history = PoseHistory(keep_s=0.5)
    failures: list[BaseException] = []

    def fill() -> None:
        try:
            for step in range(3000):
                history.add_position(position(step / 1000))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    filler = threading.Thread(target=fill)
    filler.start()
    answers = [history.velocity_at(START + step * SECOND // 1000) for step in range(3000)]
    filler.join()
    assert not failures
    assert all(answer is None or answer[0] == 2.0 for answer in answers)
    assert history.velocity_at(START + round(2.9 * SECOND)) is not None
