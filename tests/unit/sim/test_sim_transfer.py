"""Missions, fences and rally points: up, down, refused and broken off."""

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

FENCE, RALLY = mav.MAV_MISSION_TYPE_FENCE, mav.MAV_MISSION_TYPE_RALLY
WAYPOINT = mav.MAV_CMD_NAV_WAYPOINT


def polygon(station, corners):
    vertex = mav.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
    return station.numbered(
        station.item(vertex, len(corners), north_m=n, east_m=e, frame=mav.MAV_FRAME_GLOBAL, kind=FENCE)
        for n, e in corners
    )


def test_items_are_asked_for_with_mission_request(station):
    items = station.mission(station.item(WAYPOINT, north_m=20, z=10))
    assert station.upload(items) == mav.MAV_MISSION_ACCEPTED
    assert [message.seq for _, message in station.all("MISSION_REQUEST")] == [0, 1, 2, 3]
    assert not station.all("MISSION_REQUEST_INT")


def test_what_reads_back_is_what_was_meant(station):
    station.run(3)
    sent = station.mission(
        station.item(mav.MAV_CMD_DO_MOUNT_CONTROL, -16.5, 0, 0, frame=mav.MAV_FRAME_MISSION),
        station.item(WAYPOINT, 12.7, 0, 0, math.nan, north_m=20, east_m=5, z=7.066),
    )
    assert station.upload(sent) == mav.MAV_MISSION_ACCEPTED
    home, takeoff, mount, waypoint, rtl = station.download()
    assert (home.command, home.frame, home.x, home.z) == (WAYPOINT, mav.MAV_FRAME_GLOBAL, 313_000_000, 4.0)
    # Take-off and RTL lose frame and coordinates; the rest keeps its place.
    assert (takeoff.frame, takeoff.x, takeoff.y, takeoff.z) == (mav.MAV_FRAME_GLOBAL_RELATIVE_ALT, 0, 0, 10.0)
    assert (rtl.frame, rtl.x, rtl.y) == (mav.MAV_FRAME_GLOBAL, 0, 0)
    assert (mount.frame, mount.param1) == (mav.MAV_FRAME_GLOBAL, -16.5)
    assert (waypoint.x, waypoint.y, waypoint.param1) == (sent[3].x, sent[3].y, 12.0)
    assert waypoint.z == pytest.approx(7.06)


def test_a_float_request_gets_a_float_item(station):
    station.upload(station.mission(station.item(WAYPOINT, north_m=20, z=10)))
    station.send(mav.MAVLink_mission_request_message(1, 1, 2, 0))
    assert station.latest["MISSION_ITEM"].x == pytest.approx(31.3 + 20 / 110_870, abs=2e-6)


@pytest.mark.parametrize(
    ("change", "ack"),
    [
        ({"x": 950_000_000}, mav.MAV_MISSION_INVALID_PARAM5_X),
        ({"y": 1_810_000_000}, mav.MAV_MISSION_INVALID_PARAM6_Y),
        ({"z": math.nan}, mav.MAV_MISSION_INVALID_PARAM7),
        ({"command": 31_999}, mav.MAV_MISSION_UNSUPPORTED),
        ({"frame": 9}, mav.MAV_MISSION_UNSUPPORTED_FRAME),
        ({"param1": math.inf}, mav.MAV_MISSION_INVALID_PARAM1),
    ],
)
def test_a_refused_upload_damages_the_old_mission(station, change, ack):
    old = station.mission(*(station.item(WAYPOINT, north_m=n, z=10) for n in (10, 20, 30)))
    assert station.upload(old) == mav.MAV_MISSION_ACCEPTED
    new = station.mission(station.item(WAYPOINT, north_m=77, z=10), station.item(WAYPOINT, north_m=88, z=10))
    for field, value in change.items():
        setattr(new[3], field, value)
    assert station.upload(new) == ack
    damaged = station.download()
    assert len(damaged) == len(new), "cut to the new length"
    assert damaged[2].x == new[2].x
    assert damaged[3].x == old[3].x


def test_a_stalled_upload_is_given_up_after_eight_seconds(station):
    station.send(mav.MAVLink_mission_count_message(1, 1, 3, 0))
    took_s = station.run_until(lambda: "MISSION_ACK" in station.latest, 10)
    assert station.latest["MISSION_ACK"].type == mav.MAV_MISSION_OPERATION_CANCELLED
    assert took_s == pytest.approx(8.0, abs=0.1)
    assert len(station.all("MISSION_REQUEST")) == 8, "asked again each second"


def test_an_item_out_of_turn_is_refused_and_the_upload_goes_on(station):
    items = station.mission()
    station.send(mav.MAVLink_mission_count_message(1, 1, len(items), 0))
    station.send(items[2])
    assert station.latest.pop("MISSION_ACK").type == mav.MAV_MISSION_INVALID_SEQUENCE
    for one in items:
        station.send(one)
    assert station.latest["MISSION_ACK"].type == mav.MAV_MISSION_ACCEPTED


def test_a_fence_needs_three_vertices_and_a_broken_one_leaves_the_old(station):
    square = polygon(station, [(-50, -50), (-50, 50), (50, 50), (50, -50)])
    assert station.upload(square, FENCE) == mav.MAV_MISSION_ACCEPTED
    assert station.upload(polygon(station, [(0, 0), (0, 9)]), FENCE) == mav.MAV_MISSION_ERROR
    assert [(one.x, one.y) for one in station.download(FENCE)] == [(one.x, one.y) for one in square]


def test_a_fence_that_crosses_itself_is_accepted(station):
    bow = polygon(station, [(-50, -50), (50, 50), (-50, 50), (50, -50)])
    assert station.upload(bow, FENCE) == mav.MAV_MISSION_ACCEPTED


def test_the_fence_cannot_be_switched_on_right_after_its_upload(station):
    station.upload(polygon(station, [(-50, -50), (-50, 50), (50, 0)]), FENCE)
    enable = mav.MAV_CMD_DO_FENCE_ENABLE
    assert station.command(enable, 1) == mav.MAV_RESULT_FAILED
    station.run(1)
    assert station.command(enable, 1) == mav.MAV_RESULT_ACCEPTED


def test_rally_points_come_back(station):
    points = station.numbered(
        [station.item(mav.MAV_CMD_NAV_RALLY_POINT, north_m=10, east_m=n, z=12, kind=RALLY) for n in (5, 25)]
    )
    assert station.upload(points, RALLY) == mav.MAV_MISSION_ACCEPTED
    assert [(one.x, one.y, one.z) for one in station.download(RALLY)] == [
        (one.x, one.y, 12.0) for one in points
    ]


def test_clearing(station):
    station.upload(station.mission())
    station.send(mav.MAVLink_mission_clear_all_message(1, 1, mav.MAV_MISSION_TYPE_ALL))
    assert station.latest["MISSION_ACK"].type == mav.MAV_MISSION_ACCEPTED
    assert station.download() == []


def test_a_mission_that_is_being_flown_cannot_be_cleared(flying):
    flying.send(mav.MAVLink_mission_clear_all_message(1, 1, 0))
    assert flying.latest["MISSION_ACK"].type == mav.MAV_MISSION_ERROR
    assert len(flying.download()) == 4


def test_a_shorter_mission_uploaded_in_flight_ends_the_flight_early(flying):
    assert flying.upload(flying.mission()[:2]) == mav.MAV_MISSION_ACCEPTED
    flying.run(1)
    assert "Auto mission changed but failed to restart command" in flying.texts()
    assert flying.request("MISSION_CURRENT").mission_state == mav.MISSION_STATE_COMPLETE


def test_the_same_mission_uploaded_in_flight_restarts_the_leg(flying):
    again = flying.mission(flying.item(WAYPOINT, north_m=250, z=10))
    assert flying.upload(again) == mav.MAV_MISSION_ACCEPTED
    flying.run(1)
    assert "Auto mission changed, restarted command" in flying.texts()
    assert flying.request("MISSION_CURRENT").seq == 2


def test_two_stations_cannot_upload_at_once(make_station):
    station = make_station()
    station.send(mav.MAVLink_mission_count_message(1, 1, 3, 0))
    other = mav.MAVLink(None, srcSystem=77, srcComponent=190)
    station.vehicle.receive(bytes(mav.MAVLink_mission_count_message(1, 1, 2, 0).pack(other)))
    assert station.latest["MISSION_ACK"].type == mav.MAV_MISSION_DENIED
    assert station.latest["MISSION_ACK"].target_system == 77
