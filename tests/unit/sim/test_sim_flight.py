"""Arming, whole flights, modes and what a ground station sees of them."""

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.settings import BatterySettings, WindSettings

STABILIZE, AUTO, GUIDED, LOITER, RTL, LAND, BRAKE = 0, 3, 4, 5, 6, 9, 17
WAYPOINT = mav.MAV_CMD_NAV_WAYPOINT
ARM = mav.MAV_CMD_COMPONENT_ARM_DISARM
ACCEPTED, FAILED = mav.MAV_RESULT_ACCEPTED, mav.MAV_RESULT_FAILED
ON_GROUND, IN_AIR, TAKEOFF, LANDING = 1, 2, 3, 4


def reached(station):
    return [message.seq for _, message in station.all("MISSION_ITEM_REACHED")]


def test_arming_waits_for_readiness_and_says_why(make_station):
    station = make_station(boot_s=41)
    station.run(15)
    assert station.command(ARM, 1) == FAILED
    assert station.texts()[-1].startswith("Arm: ")
    station.run(10)  # pre-arm bit set in STABILIZE, position not usable yet
    assert station.set_mode(GUIDED) == FAILED
    assert "requires position" in station.texts()[-1]
    station.run(20)
    assert station.set_mode(GUIDED) == ACCEPTED
    assert station.command(ARM, 1) == ACCEPTED


def test_arming_in_auto_is_refused_unless_allowed(station):
    station.run(3)
    station.upload(station.mission(station.item(WAYPOINT, north_m=20, z=10)))
    assert station.set_mode(AUTO) == ACCEPTED
    assert station.command(ARM, 1) == FAILED
    assert station.texts()[-1] == "Arm: AUTO mode not armable"
    station.set_parameter("AUTO_OPTIONS", 3)
    assert station.command(ARM, 1) == ACCEPTED
    station.run(6)
    assert station.height_m > 1


def test_the_armed_heartbeat_lags_the_ack(station):
    station.run(3.5)
    station.set_mode(GUIDED)
    assert station.command(ARM, 1) == ACCEPTED
    assert not station.latest["HEARTBEAT"].base_mode & mav.MAV_MODE_FLAG_SAFETY_ARMED
    armed = mav.MAV_MODE_FLAG_SAFETY_ARMED
    assert station.run_until(lambda: station.latest["HEARTBEAT"].base_mode & armed, 2) <= 1.0


def test_auto_by_mode_change_alone_stays_on_the_ground_and_disarms(station):
    station.run(3)
    station.upload(station.mission())
    station.set_mode(GUIDED)
    station.command(ARM, 1)
    station.run(1)
    assert station.set_mode(AUTO) == ACCEPTED
    assert station.run_until(lambda: not station.armed, 15) == pytest.approx(9, abs=0.5)
    assert station.height_m == 0


def test_auto_without_a_takeoff_is_refused_on_the_ground(station):
    station.run(3)
    no_takeoff = station.numbered([station.item(WAYPOINT), station.item(WAYPOINT, north_m=20, z=10)])
    station.upload(no_takeoff)
    station.set_mode(GUIDED)
    station.command(ARM, 1)
    assert station.command(mav.MAV_CMD_MISSION_START) == FAILED
    assert "Auto: Missing Takeoff Cmd" in station.texts()


def test_a_whole_flight(station):
    station.run(3)
    station.stream(mav.MAVLINK_MSG_ID_EXTENDED_SYS_STATE, 10)
    station.stream(mav.MAVLINK_MSG_ID_MISSION_CURRENT, 10)
    hold_s = 20
    plan = station.mission(
        station.item(mav.MAV_CMD_DO_CHANGE_SPEED, 1, 5, -1, frame=mav.MAV_FRAME_MISSION),
        station.item(WAYPOINT, north_m=40, east_m=0, z=10),
        station.item(mav.MAV_CMD_DO_MOUNT_CONTROL, -30, 0, 0, frame=mav.MAV_FRAME_MISSION),
        station.item(mav.MAV_CMD_CONDITION_YAW, 54, 60, 0, 0, frame=mav.MAV_FRAME_MISSION),
        station.item(WAYPOINT, hold_s, north_m=40, east_m=40, z=8),
    )
    station.start(plan)
    station.run_until(lambda: not station.armed, 200)
    station.run(2)

    landed = [message.landed_state for _, message in station.all("EXTENDED_SYS_STATE")]
    assert [state for state, before in zip(landed, [None, *landed], strict=False) if state != before] == [
        ON_GROUND, TAKEOFF, IN_AIR, LANDING, ON_GROUND,
    ]  # fmt: skip
    assert sorted(reached(station)) == [1, 2, 3, 4, 5, 6, 7]
    assert reached(station)[-1] == 7
    modes = {message.custom_mode for at_s, message in station.all("HEARTBEAT") if at_s > 7}
    assert modes == {AUTO}, "the mission's RTL keeps the mode"
    rtl_done_s = next(at_s for at_s, message in station.all("MISSION_ITEM_REACHED") if message.seq == 7)
    disarmed_s = next(at_s for at_s, m in station.all("STATUSTEXT") if m.text == "Disarming motors")
    assert rtl_done_s == disarmed_s
    current = station.latest["MISSION_CURRENT"]
    assert (current.seq, current.total, current.mission_state) == (0, 7, mav.MISSION_STATE_COMPLETE)
    assert station.drone.truth.north_m == pytest.approx(0, abs=0.3)
    assert station.request("SYS_STATUS").battery_remaining < 100
    # The stop lasts as long as the item says.
    held = [at_s for at_s, m in station.all("MISSION_CURRENT") if m.seq == 6]
    assert held[-1] - held[0] > hold_s


def test_it_hovers_where_and_as_told(station):
    plan = station.mission(
        station.item(mav.MAV_CMD_DO_MOUNT_CONTROL, -16.48, 0, 0, frame=mav.MAV_FRAME_MISSION),
        station.item(mav.MAV_CMD_CONDITION_YAW, 54.35, 60, 0, 0, frame=mav.MAV_FRAME_MISSION),
        station.item(WAYPOINT, 30, north_m=20, east_m=23, z=7.066),
    )
    station.start(plan)
    station.run(35)
    truth = station.drone.truth
    assert (truth.north_m, truth.east_m, truth.up_m) == pytest.approx((20, 23, 7.06), abs=0.05)
    assert truth.yaw_rad == pytest.approx(0.9486, abs=1e-3)
    assert truth.gimbal_pitch_rad == pytest.approx(-0.28763, abs=1e-4)


@pytest.mark.parametrize(("wind_mps", "measured_s"), [(0, 33), (8, 42), (12, 59)])
def test_wind_slows_a_leg_as_measured(make_station, wind_mps, measured_s):
    station = make_station(wind=WindSettings(speed_mps=wind_mps, from_deg=0))
    station.start(station.mission(station.item(WAYPOINT, north_m=290, z=10)))
    station.run_until(lambda: 1 in reached(station), 30)
    leg_s = station.run_until(lambda: 2 in reached(station), 90)
    assert leg_s == pytest.approx(measured_s, rel=0.1)
    assert station.request("WIND").speed == 0


def test_wind_leans_the_airframe(make_station):
    station = make_station(wind=WindSettings(speed_mps=8, from_deg=0))
    station.start(station.mission(station.item(WAYPOINT, 60, north_m=1, z=10)))
    station.run(25)
    assert station.drone.body.pitch_rad < -0.05, "into the wind"


def test_pausing_on_a_leg_and_going_on(flying):
    pause = mav.MAV_CMD_DO_PAUSE_CONTINUE
    assert flying.command(pause, 0) == ACCEPTED
    flying.run(5)
    assert flying.request("MISSION_CURRENT").mission_state == mav.MISSION_STATE_PAUSED
    before = flying.drone.truth.north_m
    flying.run(5)
    assert flying.drone.truth.north_m == pytest.approx(before, abs=0.01)
    assert flying.command(pause, 1) == ACCEPTED
    flying.run(5)
    assert flying.drone.truth.north_m > before + 20
    assert flying.command(pause, 7) == mav.MAV_RESULT_DENIED


def test_pausing_fails_where_the_leg_has_ended(station):
    station.start(station.mission(station.item(WAYPOINT, 60, north_m=10, z=10)))
    station.run(30)
    assert station.command(mav.MAV_CMD_DO_PAUSE_CONTINUE, 0) == FAILED


def test_brake_stops_and_auto_takes_the_leg_up_again(flying):
    assert flying.set_mode(BRAKE) == ACCEPTED
    flying.run(6)
    stopped = flying.drone.truth
    assert stopped.velocity_neu_mps == pytest.approx((0, 0, 0), abs=0.01)
    assert flying.set_mode(AUTO) == ACCEPTED
    flying.run_until(lambda: 2 in reached(flying), 60)
    assert flying.drone.truth.north_m == pytest.approx(250, abs=1)


def test_loiter_sinks_with_the_stick_down(flying):
    flying.set_mode(LOITER)
    before_m = flying.height_m
    flying.run(2)
    assert flying.height_m < before_m - 2


@pytest.mark.parametrize(
    ("command", "mode"), [(mav.MAV_CMD_NAV_RETURN_TO_LAUNCH, RTL), (mav.MAV_CMD_NAV_LAND, LAND)]
)
def test_going_home_and_landing_by_command(flying, command, mode):
    assert flying.command(command) == ACCEPTED
    assert flying.mode == mode
    flying.run_until(lambda: not flying.armed, 120)
    assert flying.landed_state == ON_GROUND
    distance_m = abs(flying.drone.truth.north_m)
    assert distance_m < 0.5 if mode == RTL else distance_m > 20


def test_rtl_climbs_first_and_goes_to_the_nearest_rally_point(flying):
    points = [flying.item(mav.MAV_CMD_NAV_RALLY_POINT, north_m=30, east_m=10, z=12, kind=2)]
    flying.upload(flying.numbered(points), mav.MAV_MISSION_TYPE_RALLY)
    flying.run(4)
    flying.command(mav.MAV_CMD_NAV_RETURN_TO_LAUNCH)
    flying.run(8)
    assert flying.height_m == pytest.approx(15, abs=0.5)
    flying.run_until(lambda: not flying.armed, 120)
    assert (flying.drone.truth.north_m, flying.drone.truth.east_m) == pytest.approx((30, 10), abs=0.5)


def test_a_mission_that_ends_with_a_landing_never_reports_it_reached(station):
    items = station.mission(station.item(WAYPOINT, north_m=10, z=10), station.item(mav.MAV_CMD_NAV_LAND))
    station.start(items[:-1])
    station.run_until(lambda: not station.armed, 90)
    assert reached(station) == [1, 2]


def test_the_last_item_reached_in_the_air_leaves_it_hovering(station):
    station.start(station.mission(station.item(WAYPOINT, north_m=10, z=10))[:-1])
    station.run(40)
    assert station.mode == AUTO
    assert station.landed_state == IN_AIR
    assert station.request("MISSION_CURRENT").mission_state == mav.MISSION_STATE_COMPLETE


def test_guided_takes_off_and_repositions(station):
    station.run(3)
    station.set_mode(GUIDED)
    assert station.command(mav.MAV_CMD_NAV_TAKEOFF, 0, 0, 0, 0, 0, 0, 10) == FAILED, "not armed"
    station.command(ARM, 1)
    assert station.command(mav.MAV_CMD_NAV_TAKEOFF, 0, 0, 0, 0, 0, 0, 10) == ACCEPTED
    station.run(15)
    there = station.item(WAYPOINT, north_m=30, z=12)
    station.send(
        mav.MAVLink_command_int_message(
            1, 1, 6, mav.MAV_CMD_DO_REPOSITION, 0, 0, -1, 1, 0, 0, there.x, there.y, 12
        )
    )
    assert station.latest["COMMAND_ACK"].result == ACCEPTED
    station.run(15)
    assert (station.drone.truth.north_m, station.drone.truth.up_m) == pytest.approx((30, 12), abs=0.2)
    assert station.command(mav.MAV_CMD_DO_REPOSITION) == mav.MAV_RESULT_COMMAND_INT_ONLY


def test_disarming_in_the_air_is_refused_unless_forced(flying):
    assert flying.command(ARM, 0) == FAILED
    assert flying.command(ARM, 0, 21196) == ACCEPTED


def test_armed_and_idle_it_disarms_by_itself(station):
    station.run(3)
    station.set_mode(GUIDED)
    station.command(ARM, 1)
    assert station.run_until(lambda: not station.armed, 15) == pytest.approx(10, abs=0.1)


def test_a_mission_with_jumps_repeats_its_legs(station):
    plan = station.mission(
        station.item(WAYPOINT, north_m=10, z=10),
        station.item(WAYPOINT, north_m=20, z=10),
        station.item(mav.MAV_CMD_DO_JUMP, 2, 2, frame=mav.MAV_FRAME_MISSION),
    )
    station.start(plan)
    station.run_until(lambda: not station.armed, 150)
    assert reached(station) == [1, 2, 3, 2, 3, 2, 3, 5]


def test_battery_figures_hang_together(make_station):
    station = make_station(battery=BatterySettings(capacity_mah=2000, hover_current_a=20))
    station.start(station.mission(station.item(WAYPOINT, 90, north_m=10, z=10)))
    station.run(60)
    before = station.request("BATTERY_STATUS")
    station.run(36)
    after = station.request("BATTERY_STATUS")
    drawn_mah = after.current_consumed - before.current_consumed
    assert drawn_mah == pytest.approx(after.current_battery / 100 * 36 / 3.6, rel=0.05)
    assert after.voltages[0] < before.voltages[0]
    assert after.battery_remaining == station.request("SYS_STATUS").battery_remaining


def test_a_turn_before_a_waypoint_outlasts_the_start_of_the_leg(station):
    turn = station.item(mav.MAV_CMD_CONDITION_YAW, 120, 0, 0, 0, frame=mav.MAV_FRAME_MISSION)
    station.start(station.mission(turn, station.item(WAYPOINT, 20, north_m=30, z=10)))
    station.run(20)
    assert station.drone.truth.yaw_rad == pytest.approx(2.0944, abs=0.01)


def test_without_a_turn_the_nose_looks_along_the_leg(station):
    station.start(station.mission(station.item(WAYPOINT, 20, north_m=30, east_m=30, z=10)))
    station.run(20)
    assert station.drone.truth.yaw_rad == pytest.approx(0.7854, abs=0.02)


def test_climbing_and_sinking_keep_their_own_speeds(station):
    down = station.item(WAYPOINT, 5, north_m=0.0, z=10)
    station.start(station.mission(station.item(WAYPOINT, 1, north_m=0.0, z=40), down))
    station.run_until(lambda: station.height_m > 15, 30)
    assert station.run_until(lambda: station.height_m > 25, 30) == pytest.approx(10 / 2.5, abs=0.1)
    station.run_until(lambda: 2 in reached(station), 30)
    station.run_until(lambda: station.height_m < 35, 30)
    assert station.run_until(lambda: station.height_m < 25, 30) == pytest.approx(10 / 1.5, abs=0.1)


def test_no_parameter_makes_it_a_rocket(station):
    station.set_parameter("WPNAV_SPEED_UP", 1e9)
    station.start(station.mission(station.item(WAYPOINT, 5, north_m=0.0, z=3000)))
    station.run(40)
    assert station.drone.truth.velocity_neu_mps[2] == pytest.approx(10, abs=0.1)


def test_home_can_be_moved_to_a_place_on_earth_only(station):
    station.run(3)
    set_home = mav.MAV_CMD_DO_SET_HOME
    assert station.command(set_home, 0, 0, 0, 0, 31.3001, 120.62, 4) == ACCEPTED
    assert station.request("HOME_POSITION").latitude == pytest.approx(313_001_000, abs=20)
    assert station.command(set_home, 0, 0, 0, 0, 31.3001, 120.62, 1e30) == mav.MAV_RESULT_DENIED
    assert station.command(set_home, 0, 0, 0, 0, 91.0, 120.62, 4) == mav.MAV_RESULT_DENIED
    assert station.command(set_home, 1) == ACCEPTED
    assert station.request("HOME_POSITION").latitude == pytest.approx(313_000_000, abs=2)
