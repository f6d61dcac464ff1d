"""What makes the vehicle fly home or land by itself, and when."""

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.settings import BatterySettings

AUTO, GUIDED, RTL, LAND = 3, 4, 6, 9
ARM = mav.MAV_CMD_COMPONENT_ARM_DISARM


def test_low_battery_returns_after_the_timer_and_refuses_to_arm_again(flying):
    flying.stream(mav.MAVLINK_MSG_ID_BATTERY_STATUS, 10)
    flying.set_parameter("SIM_BATT_VOLTAGE", 10.4)
    assert flying.run_until(lambda: flying.mode == RTL, 20) == pytest.approx(10, abs=0.05)
    assert flying.latest["BATTERY_STATUS"].charge_state == mav.MAV_BATTERY_CHARGE_STATE_OK, "lags"
    assert flying.request("HEARTBEAT").system_status == mav.MAV_STATE_CRITICAL
    flying.run(2)
    assert flying.latest["BATTERY_STATUS"].charge_state == mav.MAV_BATTERY_CHARGE_STATE_LOW
    flying.run_until(lambda: not flying.armed, 120)
    flying.set_mode(GUIDED)
    assert flying.command(ARM, 1) == mav.MAV_RESULT_FAILED
    assert "Battery" in flying.texts()[-1]


def test_a_short_dip_of_the_voltage_is_forgiven(flying):
    flying.set_parameter("SIM_BATT_VOLTAGE", 10.4)
    flying.run(9)
    flying.set_parameter("SIM_BATT_VOLTAGE", 0)
    flying.run(9)
    assert flying.mode == AUTO


def test_a_flight_drains_the_battery_into_the_failsafe(make_station):
    station = make_station(battery=BatterySettings(capacity_mah=1500, start_percent=15))
    station.start(station.mission(station.item(mav.MAV_CMD_NAV_WAYPOINT, 300, north_m=20, z=10)))
    station.run_until(lambda: station.mode == RTL, 120)
    assert any("is low" in text for text in station.texts())


def test_land_when_the_parameter_says_so(flying):
    flying.set_parameter("BATT_FS_LOW_ACT", 1)
    flying.set_parameter("SIM_BATT_VOLTAGE", 10.4)
    flying.run(11)
    assert flying.mode == LAND


def test_loss_of_the_ground_station(flying):
    flying.set_parameter("FS_GCS_ENABLE", 1)
    flying.run(0.5)
    flying.heartbeats = False
    assert 4.0 < flying.run_until(lambda: flying.mode == RTL, 10) <= 5.1
    assert "GCS Failsafe" in flying.texts()
    flying.heartbeats = True
    flying.run(3)
    assert "GCS Failsafe Cleared" in flying.texts()
    assert flying.mode == RTL, "the mode stays when the link returns"


def test_loss_of_the_ground_station_is_ignored_unless_enabled(flying):
    flying.heartbeats = False
    flying.run(10)
    assert flying.mode == AUTO


def test_a_heartbeat_of_its_own_system_id_is_no_ground_station(flying):
    flying.set_parameter("FS_GCS_ENABLE", 1)
    flying.heartbeats = False
    impostor = mav.MAVLink(None, srcSystem=1, srcComponent=190)
    for _ in range(7):
        flying.vehicle.receive(bytes(mav.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3).pack(impostor)))
        flying.run(1)
    assert flying.mode == RTL


def test_loss_of_the_radio(flying):
    flying.set_parameter("SIM_RC_FAIL", 1)
    assert flying.run_until(lambda: flying.mode == RTL, 5) == pytest.approx(1.0, abs=0.05)


def test_loss_of_gps_lands_and_stays_landing(flying):
    flying.set_parameter("SIM_GPS1_ENABLE", 0)

    def fix():
        return flying.request("GPS_RAW_INT").fix_type

    def absolute():
        return flying.request("EKF_STATUS_REPORT").flags & mav.EKF_POS_HORIZ_ABS

    lost_s = flying.now_s
    flying.run_until(lambda: fix() < mav.GPS_FIX_TYPE_3D_FIX, 5)
    assert flying.now_s - lost_s == pytest.approx(0.8, abs=0.05)
    flying.run_until(lambda: not absolute(), 10)
    assert flying.now_s - lost_s == pytest.approx(7.0, abs=0.05)
    flying.run_until(lambda: flying.mode == LAND, 10)
    assert flying.now_s - lost_s == pytest.approx(8.2, abs=0.05)
    for mode in (GUIDED, AUTO, RTL):
        assert flying.set_mode(mode) == mav.MAV_RESULT_FAILED
    flying.set_parameter("SIM_GPS1_ENABLE", 1)
    flying.run(5)
    assert absolute()
    assert flying.mode == LAND


@pytest.mark.parametrize(
    ("name", "value", "breach"),
    [("FENCE_ALT_MAX", 8, mav.FENCE_BREACH_MAXALT), ("FENCE_RADIUS", 60, mav.FENCE_BREACH_BOUNDARY)],
)
def test_breaking_the_fence_returns_at_once(flying, name, value, breach):
    flying.set_parameter(name, value)
    assert flying.command(mav.MAV_CMD_DO_FENCE_ENABLE, 1) == mav.MAV_RESULT_ACCEPTED
    flying.run_until(lambda: flying.mode == RTL, 20)
    status = flying.request("FENCE_STATUS")
    assert (status.breach_status, status.breach_count, status.breach_type) == (1, 1, breach)


def test_breaking_a_polygon_and_going_on_outside(flying):
    vertex = mav.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
    corners = [(-20, -20), (-20, 20), (120, 20), (120, -20)]
    fence = [
        flying.item(vertex, 4, north_m=n, east_m=e, frame=mav.MAV_FRAME_GLOBAL, kind=1) for n, e in corners
    ]
    assert flying.upload(flying.numbered(fence), mav.MAV_MISSION_TYPE_FENCE) == mav.MAV_MISSION_ACCEPTED
    flying.run(1)
    flying.command(mav.MAV_CMD_DO_FENCE_ENABLE, 1)
    flying.run_until(lambda: flying.mode == RTL, 30)
    assert flying.drone.truth.north_m == pytest.approx(120, abs=1)
    assert "Polygon fence breached" in flying.texts()
    assert flying.set_mode(AUTO) == mav.MAV_RESULT_ACCEPTED, "AUTO is still accepted outside"
    flying.run(2)
    assert flying.mode == AUTO


def test_no_arming_outside_the_fence(station):
    station.run(3)
    vertex = mav.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
    fence = [
        station.item(vertex, 3, north_m=n, east_m=e, frame=mav.MAV_FRAME_GLOBAL, kind=1)
        for n, e in [(50, 50), (50, 90), (90, 50)]
    ]
    station.upload(station.numbered(fence), mav.MAV_MISSION_TYPE_FENCE)
    station.run(1)
    station.command(mav.MAV_CMD_DO_FENCE_ENABLE, 1)
    station.set_mode(GUIDED)
    assert station.command(ARM, 1) == mav.MAV_RESULT_FAILED
    assert "Fence" in station.texts()[-1]
