"""The gimbal: commands, limits, slew, and the attitude it reports."""

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.dialects.ardupilot.parameters import GimbalFault

PITCHYAW = mav.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW
YAW_LOCK = mav.GIMBAL_MANAGER_FLAGS_YAW_LOCK


def angles_deg(station):
    """Roll, pitch, yaw of GIMBAL_DEVICE_ATTITUDE_STATUS, by the formulas of aerospace quaternions."""
    w, x, y, z = station.request("GIMBAL_DEVICE_ATTITUDE_STATUS").q
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(2 * (w * y - z * x))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return tuple(math.degrees(angle) for angle in (roll, pitch, yaw))


@pytest.mark.parametrize(
    ("command", "parameters"),
    [
        (PITCHYAW, (-30, 20)),
        (mav.MAV_CMD_DO_MOUNT_CONTROL, (-30, 0, 20, 0, 0, 0, mav.MAV_MOUNT_MODE_MAVLINK_TARGETING)),
    ],
)
def test_points_as_told_without_being_configured(station, command, parameters):
    assert station.command(command, *parameters) == mav.MAV_RESULT_ACCEPTED
    station.run(5)
    assert angles_deg(station) == pytest.approx((0, -30, 20), abs=0.05)


def test_takes_its_time(station):
    station.command(PITCHYAW, -90, 0)
    station.run(0.5)
    assert angles_deg(station)[1] == pytest.approx(-30, abs=2), "60 degrees a second"


def test_is_clamped(station):
    station.command(PITCHYAW, -170, 0)
    station.run(5)
    assert angles_deg(station)[1] == pytest.approx(-90, abs=0.5)
    station.command(PITCHYAW, 80, 0)
    station.run(5)
    assert angles_deg(station)[1] == pytest.approx(20, abs=0.5)


def test_angles_that_are_none_are_refused(station):
    assert station.command(PITCHYAW, math.nan, 0) == mav.MAV_RESULT_FAILED


def test_the_reported_yaw_is_always_against_the_nose(flying):
    flying.command(mav.MAV_CMD_DO_PAUSE_CONTINUE, 0)
    flying.command(mav.MAV_CMD_CONDITION_YAW, 90, 0, 0, 0)
    flying.command(PITCHYAW, -20, 120, 0, 0, YAW_LOCK)
    flying.run(10)
    assert math.degrees(flying.drone.body.yaw_rad) == pytest.approx(90, abs=0.5)
    status = flying.request("GIMBAL_DEVICE_ATTITUDE_STATUS")
    assert status.flags & mav.GIMBAL_DEVICE_FLAGS_YAW_LOCK
    assert (status.get_srcComponent(), status.gimbal_device_id) == (1, 1)
    assert angles_deg(flying) == pytest.approx((0, -20, 30), abs=0.5)


def test_leaving_auto_keeps_the_gimbal_or_not_by_parameter(flying):
    flying.command(PITCHYAW, -45, 0)
    flying.run(5)
    flying.set_mode(17)
    flying.run(5)
    assert angles_deg(flying)[1] == pytest.approx(-45, abs=0.5)
    flying.set_mode(3)
    flying.set_parameter("MNT1_DEFLT_MODE", 3)
    flying.set_mode(17)
    flying.run(5)
    assert angles_deg(flying)[1] == pytest.approx(0, abs=0.5)


def status(station):
    return station.request("GIMBAL_DEVICE_ATTITUDE_STATUS")


def test_a_frozen_gimbal_goes_on_with_its_last_angles_newly_stamped(station):
    station.command(PITCHYAW, -30, 0)
    station.run(5)
    before = status(station)
    station.set_parameter("SIM_MNT_FAULT", GimbalFault.FROZEN)
    station.command(PITCHYAW, -80, 0)
    station.run(5)
    after = status(station)
    assert after.q == before.q
    assert after.time_boot_ms - before.time_boot_ms == 5000
    station.set_parameter("SIM_MNT_FAULT", GimbalFault.NONE)
    assert angles_deg(station)[1] == pytest.approx(-80, abs=0.1)


def test_a_silent_gimbal_says_nothing(station):
    station.stream(mav.MAVLINK_MSG_ID_GIMBAL_DEVICE_ATTITUDE_STATUS, 20)
    station.run(1)
    station.set_parameter("SIM_MNT_FAULT", GimbalFault.SILENT)
    heard = len(station.all("GIMBAL_DEVICE_ATTITUDE_STATUS"))
    station.run(2)
    assert len(station.all("GIMBAL_DEVICE_ATTITUDE_STATUS")) == heard > 10


def test_a_gimbal_can_report_no_numbers_and_faults(station):
    assert status(station).failure_flags == 0
    station.set_parameter("SIM_MNT_FAULT", GimbalFault.NOT_A_NUMBER)
    station.set_parameter("SIM_MNT_FAIL", mav.GIMBAL_DEVICE_ERROR_FLAGS_ENCODER_ERROR)
    assert all(math.isnan(value) for value in status(station).q)
    assert status(station).failure_flags == mav.GIMBAL_DEVICE_ERROR_FLAGS_ENCODER_ERROR
