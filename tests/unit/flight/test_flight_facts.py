"""What the vehicle says of itself becomes samples with UTC, and nothing impossible gets through."""

import math
import struct

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.dialects import ArduPilot
from patrol.flight.facts import FactKeeper

NS_PER_S = 10**9
BOOT_UTC_NS = 1_790_000_000 * NS_PER_S


@pytest.fixture
def keeper(world, heartbeat):
    link = world.open_link()
    dialect = ArduPilot()
    keeper = FactKeeper(link, world.ear, mode_name=dialect.mode_name, gimbal_yaw=dialect.gimbal_yaw)
    with keeper.listening():
        world.hear(heartbeat())
        world.hear(system_time(0))
        yield keeper


def system_time(boot_ms):
    return mavlink.MAVLink_system_time_message(BOOT_UTC_NS // 1000 + boot_ms * 1000, boot_ms)


def quaternion(roll, pitch, yaw):
    """w, x, y, z of the rotation by yaw, then pitch, then roll."""
    cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return [
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    ]  # fmt: skip


def gimbal(q=(1.0, 0.0, 0.0, 0.0), flags=32, boot_ms=1000, failures=0, delta_yaw=math.nan, device=1):
    return mavlink.MAVLink_gimbal_device_attitude_status_message(
        0, 0, boot_ms, flags, list(q), 0, 0, 0, failures, delta_yaw, math.nan, device
    )


def lens(hfov_deg, camera=0, boot_ms=1000):
    return mavlink.MAVLink_camera_fov_status_message(
        boot_ms, 0, 0, 0, 0, 0, 0, [1.0, 0.0, 0.0, 0.0], hfov_deg, 40.0, camera
    )


def position(lat=31.3, lon=120.62, boot_ms=1000):
    return mavlink.MAVLink_global_position_int_message(
        boot_ms, round(lat * 1e7), round(lon * 1e7), 19_500, 15_500, 120, -50, 10, 0
    )


def test_positions_carry_metres_and_metres_a_second(world, keeper):
    world.hear(position())
    sample = world.ear.positions[0]
    assert (sample.lat_deg, sample.lon_deg) == pytest.approx((31.3, 120.62))
    assert (sample.height.metres, sample.height_above_home_m) == (19.5, 15.5)
    assert (sample.velocity_north_mps, sample.velocity_east_mps, sample.velocity_down_mps) == (1.2, -0.5, 0.1)


@pytest.mark.parametrize("place", [(0.0, 0.0), (91.0, 10.0), (31.0, 181.0)])
def test_a_place_that_is_none_is_not_passed_on(world, keeper, place):
    world.hear(position(*place))
    assert world.ear.positions == []
    assert keeper.facts.position is None


def test_an_attitude_that_is_no_number_is_not_passed_on(world, keeper):
    world.hear(mavlink.MAVLink_attitude_message(1, math.nan, 0, 0, 0, 0, 0))
    world.hear(mavlink.MAVLink_attitude_message(1, 0.1, -0.2, 3.0, 0, 0, 0))
    assert [(a.roll_rad, a.yaw_ned_rad) for a in world.ear.attitudes] == [pytest.approx((0.1, 3.0))]


@pytest.mark.parametrize("angles", [(0.05, -0.29, 0.4), (-0.1, -1.2, -3.0), (0.0, 0.0, 0.0)])
def test_a_gimbals_quaternion_becomes_roll_pitch_yaw(world, keeper, angles):
    world.hear(gimbal(quaternion(*angles)))
    sample = world.ear.gimbals[0]
    assert (sample.roll_rad, sample.pitch_rad, sample.yaw_vehicle_rad) == pytest.approx(angles, abs=1e-6)


def test_a_gimbal_that_holds_a_heading_still_reports_against_the_nose(world, keeper):
    world.hear(mavlink.MAVLink_attitude_message(1, 0, 0, 3.0, 0, 0, 0))
    yaw_lock = 16
    world.hear(gimbal(quaternion(0, 0, 0.5), flags=32 | yaw_lock))
    assert world.ear.gimbals[0].yaw_vehicle_rad == pytest.approx(0.5)


def test_a_yaw_declared_as_of_the_earth_is_turned_to_the_nose(world, keeper):
    world.hear(mavlink.MAVLink_attitude_message(1, 0, 0, 3.0, 0, 0, 0))
    world.hear(gimbal(quaternion(0, 0, -3.0), flags=64))
    assert world.ear.gimbals[0].yaw_vehicle_rad == pytest.approx(math.tau - 6.0)


@pytest.mark.parametrize("q", [[math.nan, 0, 0, 0], [0, 0, 0, 0], [math.inf, 0, 0, 1], [3, 0, 0, 0]])
def test_what_is_no_rotation_is_not_passed_on(world, keeper, q):
    world.hear(gimbal(q))
    assert world.ear.gimbals == []


@pytest.mark.parametrize(
    ("delta_yaw", "expected"),
    [(1.0, 1.5), (math.nan, 0.5), (0.0, 0.5)],
    ids=["told beside it", "not told", "from a sender that does not know the field"],
)
def test_a_yaw_against_north_is_turned_by_the_heading_that_the_gimbal_knows(
    world, keeper, delta_yaw, expected
):
    world.hear(mavlink.MAVLink_attitude_message(1, 0, 0, 2.0, 0, 0, 0))
    world.hear(gimbal(quaternion(0, 0, 2.5), flags=64, delta_yaw=delta_yaw))
    assert world.ear.gimbals[0].yaw_vehicle_rad == pytest.approx(expected)


@pytest.mark.parametrize("silence_s", [None, 5.0])
def test_a_yaw_against_north_says_nothing_while_the_heading_is_unknown(world, keeper, silence_s):
    if silence_s is not None:
        world.hear(mavlink.MAVLink_attitude_message(1, 0, 0, 2.0, 0, 0, 0))
        world.pass_time(silence_s)
    world.hear(gimbal(flags=64))
    assert world.ear.gimbals == []


def test_only_the_first_gimbal_counts(world, keeper):
    world.hear(gimbal(quaternion(0, -1.0, 0), device=2))
    world.hear(gimbal(quaternion(0, -0.5, 0), device=1))
    assert [round(sample.pitch_rad, 3) for sample in world.ear.gimbals] == [-0.5]


@pytest.mark.parametrize("flag", [8, 16, 32, 64, 128, 256])
def test_a_gimbal_that_reports_a_fault_is_not_believed_until_that_is_over(world, keeper, flag):
    for boot_ms in range(0, 3000, 125):
        world.hear(gimbal(boot_ms=boot_ms, failures=flag if 500 <= boot_ms < 1000 else 0))
        world.clock.now_s += 0.125
    stamps_ms = [(sample.at_ns - BOOT_UTC_NS) // 1_000_000 for sample in world.ear.gimbals]
    assert stamps_ms == [*range(0, 500, 125), *range(1875, 3000, 125)]
    (severity, begins), (_, ends) = world.ear.texts
    assert severity == mavlink.MAV_SEVERITY_WARNING
    assert "its angles are not used" in begins
    assert "no fault any more" in ends


def test_a_fault_that_comes_and_goes_is_told_once(world, keeper):
    for boot_ms in range(0, 5000, 50):
        world.hear(gimbal(boot_ms=boot_ms, failures=8 if boot_ms % 100 else 0))
        world.clock.now_s += 0.05
    assert len(world.ear.texts) == 1
    assert len(world.ear.gimbals) == 1


def test_a_gimbal_at_its_limit_or_without_a_manager_is_believed(world, keeper):
    world.hear(gimbal(failures=1 | 2 | 4 | 512))
    assert len(world.ear.gimbals) == 1
    assert world.ear.texts == []


@pytest.mark.parametrize("stamps_ms", [(1000, 1000, 1000), (1000, 900, 200), (1000, 1000, 999)])
def test_stamps_that_stand_still_or_run_back_are_nothing_new(world, keeper, stamps_ms):
    for boot_ms in stamps_ms:
        world.hear(gimbal(boot_ms=boot_ms))
        world.hear(position(boot_ms=boot_ms))
        world.hear(mavlink.MAVLink_attitude_message(boot_ms, 0, 0, 0, 0, 0, 0))
        world.hear(lens(60.0, boot_ms=boot_ms))
    assert [len(heard) for heard in (world.ear.gimbals, world.ear.positions, world.ear.attitudes)] == [
        1,
        1,
        1,
    ]
    assert len(world.ear.lenses) == 1


def test_a_lens_tells_its_field_of_view(world, keeper):
    world.hear(lens(62.5))
    (sample,) = world.ear.lenses
    assert (sample.at_ns, sample.hfov_rad) == (BOOT_UTC_NS + NS_PER_S, pytest.approx(math.radians(62.5)))


@pytest.mark.parametrize("hfov_deg", [0.0, -10.0, 180.0, 400.0, math.nan, math.inf])
def test_a_field_of_view_that_is_none_is_not_passed_on(world, keeper, hfov_deg):
    world.hear(lens(hfov_deg))
    assert world.ear.lenses == []


def test_only_the_first_camera_counts(world, keeper):
    world.hear(lens(20.0, camera=2))
    world.hear(lens(60.0, camera=1))
    assert [round(math.degrees(sample.hfov_rad)) for sample in world.ear.lenses] == [60]


def test_samples_are_stamped_with_the_vehicles_utc(world, keeper):
    world.hear(position(boot_ms=1_250))
    assert world.ear.positions[0].at_ns == BOOT_UTC_NS + 1_250_000_000


def test_the_aircraft_counts_as_located_while_its_time_is_still_unknown(world, heartbeat):
    link = world.open_link()
    keeper = FactKeeper(link, world.ear, mode_name=str, gimbal_yaw=ArduPilot().gimbal_yaw)
    with keeper.listening():
        world.hear(heartbeat())
        world.hear(position())
    assert keeper.facts.position.lat_deg == pytest.approx(31.3)
    assert world.ear.positions == []


@pytest.fixture
def timed(world):
    """A world with a copter whose time is kept, past the first quick round trips."""
    link = world.open_link()
    copter = world.copter()
    copter.intervals = {2: 1e6, 30: 2e5}
    keeper = FactKeeper(link, world.ear, mode_name=str, gimbal_yaw=ArduPilot().gimbal_yaw)
    with keeper.listening():
        world.pass_time(10.0)
        yield copter


def times_asked(world):
    return [message.ts1 for message in world.sent() if message.get_type() == "TIMESYNC"]


def test_the_clock_is_told_about_once_a_second(world, timed):
    before = len(world.ear.clocks)
    world.pass_time(30.0)
    assert len(world.ear.clocks) - before == pytest.approx(30, abs=4)
    for sample in world.ear.clocks:
        assert abs(sample.edge_ahead_ns) <= sample.sigma_ns < NS_PER_S / 5
        assert abs(sample.at_ns - world.clock.utc_ns()) < 45 * NS_PER_S


def test_a_vehicle_that_is_not_heard_is_not_asked_for_its_time(world, timed):
    timed.quiet = True
    world.pass_time(1.0)
    asked = len(times_asked(world))
    world.pass_time(60.0)
    assert len(times_asked(world)) == asked
    told = len(world.ear.clocks)
    timed.quiet = False
    world.pass_time(10.0)
    assert len(world.ear.clocks) > told + 5


def test_answers_of_others_and_to_others_change_nothing(world, timed):
    timed.on_timesync = lambda _message: None
    world.pass_time(2.0)
    told, asked = len(world.ear.clocks), times_asked(world)[-1]
    answer = mavlink.MAVLink_timesync_message(timed.boot_ms() * 1_000_000, asked)
    world.hear(answer, system=2)
    world.hear(answer, component=154)
    world.hear(answer, peer=("10.0.0.9", 14550))
    world.hear(mavlink.MAVLink_timesync_message(timed.boot_ms() * 1_000_000, asked + 1))
    assert len(world.ear.clocks) == told
    world.hear(answer)
    assert len(world.ear.clocks) == told + 1


def test_an_answer_that_names_whom_it_is_for_counts_as_well(world, timed):
    """PX4 fills in the target, two bytes more than our definition of the message has."""
    timed.on_timesync = lambda _message: None
    world.pass_time(2.0)
    told, asked = len(world.ear.clocks), times_asked(world)[-1]
    payload = struct.pack("<qqBB", timed.boot_ms() * 1_000_000, asked, 255, 190)
    header = struct.pack("<BBBBBBHB", len(payload), 0, 0, 0, 1, 1, mavlink.MAVLINK_MSG_ID_TIMESYNC, 0)
    crc_extra = mavlink.mavlink_map[mavlink.MAVLINK_MSG_ID_TIMESYNC].crc_extra
    crc = mavlink.x25crc(header + payload + bytes([crc_extra])).crc
    world.transport.inbox.append((b"\xfd" + header + payload + struct.pack("<H", crc), ("10.0.0.1", 14550)))
    world.pass_time(0.2)
    assert len(world.ear.clocks) == told + 1


def test_the_vehicles_own_questions_of_time_are_left_unanswered(world, timed):
    world.hear(mavlink.MAVLink_timesync_message(0, 77))
    world.pass_time(1.0)
    assert 77 not in times_asked(world)


def test_a_link_that_takes_nothing_costs_the_offset_only(world, timed):
    world.transport.broken = True
    world.pass_time(1.0)
    before, told = len(world.ear.attitudes), len(world.ear.clocks)
    world.pass_time(10.0)
    assert len(world.ear.attitudes) > before + 30
    assert len(world.ear.clocks) == told


def test_a_step_of_the_vehicles_utc_is_told_before_its_first_sample(world, timed):
    timed.intervals.pop(2)
    timed.on_timesync = lambda _message: None
    world.pass_time(1.0)
    before = len(world.ear.clocks)
    for second in range(3):
        boot_ms = timed.boot_ms() + second
        utc_us = (world.clock.utc_ns() + 2 * NS_PER_S) // 1000 + second * 1000
        world.hear(mavlink.MAVLink_system_time_message(utc_us, boot_ms))
    assert [round(sample.edge_ahead_ns / NS_PER_S, 1) for sample in world.ear.clocks[before:]] == [-2.0]


def test_the_vehicles_status_tells_what_is_known_and_none_for_what_is_not(world, keeper, heartbeat):
    first = world.ear.statuses[0]
    assert (first.armed, first.mode, first.landed, first.battery_percent) == (False, "STABILIZE", None, None)
    world.hear(mavlink.MAVLink_extended_sys_state_message(0, 2))
    world.hear(mavlink.MAVLink_sys_status_message(0, 0, 0, 0, 15_200, 0, 63, 0, 0, 0, 0, 0, 0))
    world.hear(mavlink.MAVLink_gps_raw_int_message(0, 3, 0, 0, 0, 0, 0, 0, 0, 255))
    world.hear(heartbeat(base_mode=129, custom_mode=3))
    later = world.ear.statuses[-1]
    assert (later.armed, later.mode, later.landed) == (True, "AUTO", False)
    assert (later.battery_percent, later.battery_volt, later.gps_satellites) == (63.0, 15.2, None)


def test_unknown_charge_and_voltage_stay_unknown(world, keeper):
    world.hear(mavlink.MAVLink_sys_status_message(0, 0, 0, 0, 65_535, 0, -1, 0, 0, 0, 0, 0, 0))
    assert keeper.facts.battery_percent is None
    assert keeper.facts.battery_volt is None


def test_only_fresh_warnings_are_given_as_reasons_each_once(world, keeper):
    for severity, text in (
        (6, b"EKF3 is using GPS"),
        (4, b"PreArm: Hardware safety switch"),
        (4, b"PreArm: Hardware safety switch"),
    ):
        world.hear(mavlink.MAVLink_statustext_message(severity, text))
    assert keeper.recent_reasons() == ("PreArm: Hardware safety switch",)
    world.pass_time(36.0)
    assert keeper.recent_reasons() == ()
