"""The way to readiness, and what the vehicle says unasked."""

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav


def first_s(station, holds, limit_s=60.0):
    station.run_until(holds, limit_s)
    return station.now_s


@pytest.mark.parametrize("boot_s", [41.0, 8.0])
def test_ready_in_the_measured_order_and_at_the_measured_times(make_station, boot_s):
    station = make_station(boot_s=boot_s)
    scale = boot_s / 41.0

    def health():
        return station.request("SYS_STATUS").onboard_control_sensors_health

    gps_s = first_s(station, lambda: station.request("GPS_RAW_INT").fix_type >= mav.GPS_FIX_TYPE_3D_FIX)
    assert "HOME_POSITION" not in station.latest
    home_s = first_s(station, lambda: "HOME_POSITION" in station.latest)
    pre_arm_s = first_s(station, lambda: health() & mav.MAV_SYS_STATUS_PREARM_CHECK)
    assert not station.request("EKF_STATUS_REPORT").flags & mav.EKF_POS_HORIZ_ABS
    ekf_s = first_s(station, lambda: station.request("EKF_STATUS_REPORT").flags & mav.EKF_POS_HORIZ_ABS)

    assert (gps_s, home_s, pre_arm_s, ekf_s) == pytest.approx(
        (10 * scale, 20 * scale, 23 * scale, 41 * scale), abs=0.05
    )


def test_almost_nothing_comes_unasked(station):
    station.run(10)
    assert {message.get_type() for _, message in station.heard} == {
        "HEARTBEAT",
        "STATUSTEXT",
        "HOME_POSITION",
    }
    assert len(station.all("HEARTBEAT")) == 10


def test_heartbeat_is_that_of_an_arducopter(station):
    station.run(0.1)
    heartbeat = station.latest["HEARTBEAT"]
    assert heartbeat.type == mav.MAV_TYPE_QUADROTOR
    assert heartbeat.autopilot == mav.MAV_AUTOPILOT_ARDUPILOTMEGA
    assert (heartbeat.get_srcSystem(), heartbeat.get_srcComponent()) == (1, 1)
    assert station.frames[-1][0] == 0xFD, "not MAVLink 2"


def test_a_position_that_is_not_known_is_not_told(station):
    station.run(0.1)
    assert station.request("GLOBAL_POSITION_INT").lat == 0
    assert station.request("SYSTEM_TIME").time_unix_usec == 0
    station.run(3)
    assert station.request("GLOBAL_POSITION_INT").lat == 313_000_000


def test_system_time_maps_boot_time_to_utc(station):
    station.run(5)
    time = station.request("SYSTEM_TIME")
    assert time.time_unix_usec * 1000 - time.time_boot_ms * 1_000_000 == 1_800_000_000_000_000_000


def test_its_utc_can_be_set_wrong(station):
    station.run(5)
    station.set_parameter("SIM_UTC_STEP", -1.5)
    time = station.request("SYSTEM_TIME")
    assert time.time_unix_usec * 1000 - time.time_boot_ms * 1_000_000 == 1_799_999_998_500_000_000


def test_the_time_since_boot_is_told_to_whoever_asks(station):
    station.run(5)
    station.drone.since_step_ns = 7_654_321
    station.send(mav.MAVLink_timesync_message(0, 1234))
    answer = station.latest.pop("TIMESYNC")
    assert (answer.ts1, answer.tc1) == (1234, 5_007_654_000), "in whole microseconds, between steps as well"
    station.send(mav.MAVLink_timesync_message(5, 1234))
    assert "TIMESYNC" not in station.latest, "an answer, not a question"


def test_answers_to_timesync_can_be_late(station):
    station.set_parameter("SIM_TSYNC_LAG", 300)
    asked_s = station.now_s
    station.send(mav.MAVLink_timesync_message(0, 1234))
    taken_s = station.run_until(lambda: "TIMESYNC" in station.latest, 1.0)
    assert taken_s == pytest.approx(0.3, abs=0.03)
    assert station.latest["TIMESYNC"].tc1 == asked_s * 1e9


def test_messages_come_at_the_interval_asked_for_until_stopped(station):
    station.run(3)
    station.stream(mav.MAVLINK_MSG_ID_ATTITUDE, 20)
    station.run(5)
    assert len(station.all("ATTITUDE")) == pytest.approx(100, abs=1)
    station.command(mav.MAV_CMD_SET_MESSAGE_INTERVAL, mav.MAVLINK_MSG_ID_ATTITUDE, -1)
    count = len(station.all("ATTITUDE"))
    station.run(2)
    assert len(station.all("ATTITUDE")) == count


def test_requests_that_fail_and_those_that_are_accepted_and_stay_unanswered(station):
    station.run(1)
    request, interval = mav.MAV_CMD_REQUEST_MESSAGE, mav.MAV_CMD_SET_MESSAGE_INTERVAL
    for name in (
        "GIMBAL_DEVICE_INFORMATION",
        "MOUNT_STATUS",
        "MOUNT_ORIENTATION",
        "VIDEO_STREAM_INFORMATION",
        "CAMERA_FOV_STATUS",
    ):
        number = getattr(mav, f"MAVLINK_MSG_ID_{name}")
        assert station.command(request, number) == mav.MAV_RESULT_FAILED
        assert station.command(interval, number, 1e6) == mav.MAV_RESULT_DENIED
    heard = len(station.heard)
    assert station.command(request, mav.MAVLINK_MSG_ID_CAMERA_INFORMATION) == mav.MAV_RESULT_ACCEPTED
    assert len(station.heard) == heard + 1, "only the ack"


@pytest.mark.parametrize("number", [521, 2504, 31_000])
def test_commands_it_does_not_know(station, number):
    assert station.command(number) == mav.MAV_RESULT_UNSUPPORTED


def test_parameters_are_listed_read_and_set(station):
    station.send(mav.MAVLink_param_request_list_message(1, 1))
    station.run(3)
    values = {message.param_id: message for _, message in station.all("PARAM_VALUE")}
    count = next(iter(values.values())).param_count
    assert len(values) == count
    assert sorted(value.param_index for value in values.values()) == list(range(count))
    assert {"FENCE_ENABLE", "RTL_ALT", "BATT_LOW_VOLT", "FS_GCS_ENABLE", "SYSID_MYGCS"} <= set(values)

    assert station.set_parameter("RTL_ALT", 2000) == 2000
    station.send(mav.MAVLink_param_request_read_message(1, 1, b"RTL_ALT", -1))
    assert station.latest["PARAM_VALUE"].param_value == 2000
    assert station.set_parameter("RTL_ALT", float("nan")) == 2000
    assert station.set_parameter("MIS_TOTAL", 7) == 0, "read only"
    assert station.set_parameter("FENCE_TYPE", 1e9) == 127, "kept within its type"


def test_messages_for_another_vehicle_are_left_alone(station):
    heard = len(station.heard)
    station.send(mav.MAVLink_param_request_read_message(2, 1, b"RTL_ALT", -1))
    assert len(station.heard) == heard


def test_commands_to_the_camera_component_are_answered_by_the_autopilot(station):
    station.send(
        mav.MAVLink_command_long_message(1, 100, mav.MAV_CMD_REQUEST_MESSAGE, 0, 0, 0, 0, 0, 0, 0, 0)
    )
    assert station.latest["COMMAND_ACK"].get_srcComponent() == 1
