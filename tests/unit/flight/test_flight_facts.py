"""What the vehicle says of itself becomes samples with UTC, and nothing impossible gets through."""

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.dialects import ArduPilot
from patrol.flight.facts import FactKeeper, VehicleClock

NS_PER_S = 10**9
BOOT_UTC_NS = 1_790_000_000 * NS_PER_S


@pytest.fixture
def keeper(world, heartbeat):
    link = world.open_link()
    dialect = ArduPilot()
    keeper = FactKeeper(link, world.ear, mode_name=dialect.mode_name, gimbal_yaw=dialect.gimbal_yaw)
    with keeper.listening():
        world.hear(heartbeat())
        yield keeper


def quaternion(roll, pitch, yaw):
    """w, x, y, z of the rotation by yaw, then pitch, then roll."""
    cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return [
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    ]  # fmt: skip


def gimbal(q, flags=32, boot_ms=1000):
    return mavlink.MAVLink_gimbal_device_attitude_status_message(0, 0, boot_ms, flags, q, 0, 0, 0, 0)


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


def test_samples_are_stamped_with_the_vehicles_utc(world, keeper):
    world.hear(position(boot_ms=500))
    assert world.ear.positions[0].at_ns == pytest.approx(world.clock.utc_ns(), abs=NS_PER_S)
    world.hear(mavlink.MAVLink_system_time_message(BOOT_UTC_NS // 1000 + 9_000_000, 9_000))
    world.hear(position(boot_ms=9_250))
    assert world.ear.positions[1].at_ns == BOOT_UTC_NS + 9_250_000_000


@pytest.mark.parametrize("unix_us", [0, 315_964_800_000_000, 2**64 - 1])
def test_a_vehicle_that_does_not_know_utc_is_stamped_on_arrival(unix_us):
    clock = VehicleClock()
    clock.set(unix_us, 5_000)
    assert clock.utc_ns(6_000, 77) == 77


def test_a_reboot_forgets_the_old_boot_time():
    clock = VehicleClock()
    clock.set(BOOT_UTC_NS // 1000 + 100_000_000, 100_000)
    assert clock.utc_ns(99_000, 0) == BOOT_UTC_NS + 99 * NS_PER_S  # overtaken by a newer message
    assert clock.utc_ns(2_000, 77) == 77
    clock.set(BOOT_UTC_NS // 1000 + 300_000_000, 3_000)
    assert clock.utc_ns(4_000, 0) == BOOT_UTC_NS + 301 * NS_PER_S


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
