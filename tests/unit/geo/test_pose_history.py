import math
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, GimbalSample, LensSample, PositionSample
from patrol.geo.camera import Installation
from patrol.geo.frames import LocalFrame
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


Add = Callable[[PoseHistory, float], None]


def add_position(history: PoseHistory, at_s: float) -> None:
    history.add_position(position(at_s))


def add_attitude(history: PoseHistory, at_s: float) -> None:
    history.add_attitude(attitude(at_s))


def add_gimbal(history: PoseHistory, at_s: float) -> None:
    history.add_gimbal(gimbal(at_s))


def add_all(history: PoseHistory, at_s: float) -> None:
    for add in (add_position, add_attitude, add_gimbal):
        add(history, at_s)


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
    assert history.motion_at(START + round(at_s * SECOND)) is None


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
    assert history.motion_at(START + 2 * SECOND) is None
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
        add_all(history, at_s)
    assert history.pose_at(START + round(100.2 * SECOND)) is None
    assert history.pose_at(START + round(50.2 * SECOND)) is not None


def test_a_clock_set_forward_leaves_a_gap() -> None:
    history = PoseHistory()
    for at_s in (0.0, 0.5, 3600.0, 3600.5):
        add_all(history, at_s)
    assert history.pose_at(START + 1800 * SECOND) is None
    assert history.pose_at(START + round(3600.2 * SECOND)) is not None


def test_one_time_from_the_future_is_got_over() -> None:
    history = PoseHistory()
    for at_s in (0.0, 1e6, 0.2, 0.4):
        add_all(history, at_s)
    assert history.pose_at(START + round(0.3 * SECOND)) is not None


@pytest.mark.parametrize(
    "stuck", [add_position, add_attitude, add_gimbal], ids=["position", "attitude", "gimbal"]
)
def test_a_sender_that_repeats_its_time_leaves_a_gap(stuck: Add) -> None:
    history = PoseHistory()
    for tenth in range(30):
        for add in (add_position, add_attitude, add_gimbal):
            add(history, min(tenth, 5) / 10 if add is stuck else tenth / 10)
    assert history.pose_at(START + round(0.45 * SECOND)) is not None
    assert history.pose_at(START + round(0.6 * SECOND)) is None
    assert history.pose_at(START + 2 * SECOND) is None


def test_old_samples_are_forgotten() -> None:
    history = PoseHistory(keep_s=5.0)
    for tenth in range(200):
        add_all(history, tenth / 10)
    assert history.pose_at(START + round(14.7 * SECOND)) is None
    assert history.pose_at(START + round(14.95 * SECOND)) is not None


def test_velocity_is_interpolated() -> None:
    motion = filled().motion_at(START + SECOND // 2)
    assert motion is not None
    assert motion.velocity_ned_mps == (1.5, 2.0, 0.0)


# What cannot be


BROKEN = [math.nan, math.inf, -math.inf, 1e9]


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize(
    "field", ["lat_deg", "lon_deg", "height", "velocity_north_mps", "velocity_east_mps", "velocity_down_mps"]
)
def test_an_impossible_position_is_not_taken(field: str, value: float) -> None:
    if field.startswith("velocity") and value == 1e9:
        return
    history = filled()
    history.add_position(replace(position(0.5), **{field: Amsl(value) if field == "height" else value}))
    pose, motion = history.pose_at(START + SECOND // 2), history.motion_at(START + SECOND // 2)
    assert pose is not None
    assert (pose.lat_deg, pose.lon_deg, pose.height.metres) == pytest.approx((31.3, 120.6, 11.0))
    assert motion is not None
    assert motion.velocity_ned_mps == (1.5, 2.0, 0.0)


def test_the_fix_of_no_fix_is_not_taken() -> None:
    history = PoseHistory()
    for at_s in (0.0, 1.0):
        history.add_position(position(at_s, lat=0.0, lon=0.0))
        history.add_attitude(attitude(at_s))
        history.add_gimbal(gimbal(at_s))
    assert history.pose_at(START + SECOND // 2) is None


@pytest.mark.parametrize("value", BROKEN)
def test_impossible_angles_and_lenses_are_not_taken(value: float) -> None:
    history = filled()
    for field in ("roll_rad", "pitch_rad", "yaw_ned_rad"):
        history.add_attitude(replace(attitude(0.5), **{field: value}))
    for field in ("roll_rad", "pitch_rad", "yaw_vehicle_rad"):
        history.add_gimbal(replace(gimbal(0.5), **{field: value}))
    for hfov_rad in (value, 0.0, -1.0, math.pi):
        history.add_lens(LensSample(START, hfov_rad))
    pose = history.pose_at(START + SECOND // 2)
    assert pose is not None
    assert (pose.roll_rad, pose.pitch_rad, pose.yaw_ned_rad, pose.hfov_rad) == (0.0, 0.0, 0.0, None)


def test_gimbal_that_tells_only_nonsense_is_a_missing_gimbal() -> None:
    history = PoseHistory()
    for at_s in (0.0, 0.5, 1.0):
        history.add_position(position(at_s))
        history.add_attitude(attitude(at_s))
        history.add_gimbal(gimbal(at_s, pitch_deg=math.nan))
    assert history.pose_at(START + SECOND // 2) is None
    assert history.motion_at(START + SECOND // 2) is None


def test_longitude_takes_the_short_way_over_the_date_line() -> None:
    history = filled()
    history.add_position(position(1.5, lon=179.9999))
    history.add_position(position(1.9, lon=-179.9997))
    history.add_attitude(attitude(2.0))
    history.add_gimbal(gimbal(2.0))
    pose = history.pose_at(START + round(1.8 * SECOND))
    assert pose is not None
    assert pose.lon_deg == pytest.approx(-179.9998)


# Installation


def test_the_airframe_turns_the_lever_arm() -> None:
    history = PoseHistory(installation=Installation(lever_arm_frd_m=(2.0, 0.5, 0.3)))
    history.add_position(position(0.0))
    history.add_attitude(attitude(0.0, 90, roll_deg=90))  # nose east, right wing down
    history.add_gimbal(gimbal(0.0))
    pose = history.pose_at(START)
    assert pose is not None
    # Forward is east; right is down; the airframe's down is north, left of east.
    east_m, north_m = LocalFrame(31.3, 120.6).to_enu(pose.lat_deg, pose.lon_deg)
    assert (float(east_m), float(north_m)) == pytest.approx((2.0, 0.3), abs=1e-5)
    assert pose.height.metres == pytest.approx(11.0 - 0.5)
    assert (pose.roll_rad, pose.pitch_rad) == (0.0, 0.0)


def test_biases_of_heading_and_height_are_taken_off() -> None:
    installation = Installation((3.0, 0.0, 0.0), math.radians(10), 2.5)
    history = PoseHistory(installation=installation)
    history.add_position(position(0.0))
    history.add_attitude(attitude(0.0, 100))
    history.add_gimbal(gimbal(0.0, yaw_deg=20))
    pose = history.pose_at(START)
    assert pose is not None
    assert math.degrees(pose.yaw_ned_rad) == pytest.approx(110.0)
    assert pose.height.metres == pytest.approx(8.5)
    # The nose truly points east, so the camera sits east.
    east_m, north_m = LocalFrame(31.3, 120.6).to_enu(pose.lat_deg, pose.lon_deg)
    assert (float(east_m), float(north_m)) == pytest.approx((3.0, 0.0), abs=1e-5)


# Lens


def zooming(*lenses: tuple[float, float]) -> PoseHistory:
    history = PoseHistory()
    for tenth in range(50):
        add_all(history, tenth / 10)
    for at_s, hfov_rad in lenses:
        history.add_lens(LensSample(START + round(at_s * SECOND), hfov_rad))
    return history


def hfov_at(history: PoseHistory, at_s: float) -> float | None:
    pose = history.pose_at(START + round(at_s * SECOND))
    assert pose is not None
    return pose.hfov_rad


def test_a_lens_holds_its_setting() -> None:
    assert hfov_at(zooming(), 2.0) is None
    history = zooming((1.0, 0.5), (3.0, 0.502))
    assert hfov_at(history, 1.0) == 0.5
    assert hfov_at(history, 2.5) == 0.5
    assert hfov_at(history, 4.5) == 0.502


def test_while_the_lens_moves_and_before_it_is_known_there_is_no_pose() -> None:
    history = zooming((1.0, 0.5), (3.0, 0.3))
    assert history.pose_at(START + round(0.5 * SECOND)) is None
    assert history.pose_at(START + round(2.0 * SECOND)) is None
    assert hfov_at(history, 1.0) == 0.5
    assert hfov_at(history, 3.0) == 0.3


def test_a_setting_told_once_outlives_the_history() -> None:
    history = PoseHistory(keep_s=2.0)
    history.add_lens(LensSample(START, 0.5))
    for tenth in range(100):
        add_all(history, tenth / 10)
    history.add_lens(LensSample(START + 10 * SECOND, 0.5))
    assert hfov_at(history, 9.5) == 0.5


# Motion


def spinning(rate_degps: float, *, arm_m: float = 0.0, seconds: float = 2.0) -> PoseHistory:
    history = PoseHistory(installation=Installation((arm_m, 0.0, 0.0)))
    for step in range(round(seconds * 20) + 1):
        at_s = step / 20
        history.add_position(position(at_s))
        history.add_attitude(attitude(at_s, rate_degps * at_s % 360))
        history.add_gimbal(gimbal(at_s, -90))
    return history


@pytest.mark.parametrize("at_s", [0.0, 1.03, 2.0])
@pytest.mark.parametrize("rate_degps", [-120.0, 15.0, 300.0])
def test_turning_about_the_plumb_line_straight_down(rate_degps: float, at_s: float) -> None:
    motion = spinning(rate_degps).motion_at(START + round(at_s * SECOND))
    assert motion is not None
    assert motion.turn_rate_ned_radps == pytest.approx((0.0, 0.0, math.radians(rate_degps)), abs=1e-9)
    assert motion.velocity_ned_mps == pytest.approx((1.0 + at_s, 2.0, 0.0))


def test_a_lever_arm_sweeps() -> None:
    motion = spinning(30.0, arm_m=2.0).motion_at(START + SECOND)
    assert motion is not None
    north_mps, east_mps, _ = motion.velocity_ned_mps
    # 2 m at 30 degrees a second is 1.047 m/s across the nose, which points 30 degrees east of north.
    assert north_mps == pytest.approx(2.0 - 1.0472 * math.sin(math.radians(30)), abs=2e-3)
    assert east_mps == pytest.approx(2.0 + 1.0472 * math.cos(math.radians(30)), abs=2e-3)


def test_a_gimbal_that_pitches_turns_about_the_level_axis() -> None:
    history = filled()
    for step in range(41):
        history.add_gimbal(gimbal(1.0 + step / 40, pitch_deg=-step))
        history.add_position(position(1.0 + step / 40))
        history.add_attitude(attitude(1.0 + step / 40, 90))
    motion = history.motion_at(START + round(1.5 * SECOND))
    assert motion is not None
    # Looking east, the right-hand axis of pitching up points south; it pitches down at 40 degrees a second.
    assert motion.turn_rate_ned_radps == pytest.approx((math.radians(40), 0.0, 0.0), abs=1e-9)


def test_no_motion_where_there_is_no_pose() -> None:
    history = filled()
    assert history.motion_at(START - 1) is None
    assert history.motion_at(START + SECOND + 1) is None
    alone = PoseHistory()
    add_all(alone, 0.0)
    assert alone.pose_at(START) is not None
    assert alone.motion_at(START) is None  # how it turned cannot be told


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(-200, 200)), min_size=2, max_size=20),
    st.floats(0, 5),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2)),
)
def test_whatever_was_told_the_answer_is_of_numbers(
    told: list[tuple[float, float]], at_s: float, arm_m: tuple[float, float, float]
) -> None:
    history = PoseHistory(installation=Installation(arm_m))
    for time_s, angle_deg in told:
        history.add_position(position(time_s, lat=angle_deg / 4, lon=angle_deg / 2))
        history.add_attitude(attitude(time_s, angle_deg, roll_deg=angle_deg / 2))
        history.add_gimbal(gimbal(time_s, angle_deg / 2, -angle_deg))
        history.add_lens(LensSample(START + round(time_s * SECOND), abs(angle_deg) / 100))
    pose, motion = (ask(START + round(at_s * SECOND)) for ask in (history.pose_at, history.motion_at))
    if pose is not None:
        numbers = (pose.lat_deg, pose.lon_deg, pose.height.metres, pose.roll_rad, pose.pitch_rad)
        assert all(map(math.isfinite, numbers))
        assert abs(pose.lon_deg) <= 180.001  # by the arm's length beyond the date line
        assert 0 <= pose.yaw_ned_rad <= 2 * math.pi
    if motion is not None:
        assert all(map(math.isfinite, motion.velocity_ned_mps + motion.turn_rate_ned_radps))


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
                add_all(history, step / 1000)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    filler = threading.Thread(target=fill)
    filler.start()
    answers = [history.motion_at(START + step * SECOND // 300) for step in range(900)]
    filler.join()
    assert not failures
    assert all(answer is None or answer.velocity_ned_mps[1] == 2.0 for answer in answers)
    assert history.motion_at(START + round(2.9 * SECOND)) is not None
