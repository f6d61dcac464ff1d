"""The demonstration's files: sound each by itself, and one with another."""

import dataclasses
import itertools
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
import shapely
from av.video.frame import PictureType

from patrol.domain.resources import data_path
from patrol.plan import qgc
from patrol.plan.checks import check_plan
from patrol.plan.market import CLOSED_HOURS_GATHERING, MarketMap, read_market
from patrol.plan.qgc import FlightPlan, MissionItem, read_plan

SHIPPED = data_path("flightplans")
FOOTAGE = SHIPPED / "footage" / "pets2009-s2l1-view1.mp4"


@pytest.fixture(scope="module")
def plan() -> FlightPlan:
    return read_plan(SHIPPED / "night-market.plan")


@pytest.fixture(scope="module")
def market() -> MarketMap:
    return read_market(SHIPPED / "night-market.market.geojson")


def place_m(market: MarketMap, item: MissionItem) -> tuple[float, float]:
    east_m, north_m = market.frame.to_enu(item.lat_deg or math.nan, item.lon_deg or math.nan)
    return float(east_m), float(north_m)


def test_nothing_is_wrong_with_the_plan(plan: FlightPlan, market: MarketMap) -> None:
    assert check_plan(plan, market) == []


@pytest.mark.parametrize(
    ("command", "params"),
    [
        (207, (0, 0, 0, 0, None, None, None)),
        (179, (0, 0, 0, 0, 31.57, 120.62, 4)),
        (94, (0, 0, 0, 0, 31.57, 120.62, 500)),
        (177, (2, -1, 0, 0, None, None, None)),
        (178, (1, 40, -1, 0, None, None, None)),
    ],
)
def test_a_dangerous_item_anywhere_in_the_plan_is_an_error(
    plan: FlightPlan, market: MarketMap, command: int, params: tuple[float | None, ...]
) -> None:
    frame = 2 if params[4] is None else 3
    stranger = MissionItem(command, frame, *params, autocontinue=True)
    for index in range(len(plan.items) + 1):
        items = (*plan.items[:index], stranger, *plan.items[index:])
        found = check_plan(dataclasses.replace(plan, items=items), market)
        assert [f.level for f in found] == ["error"]
        assert f": item {index + 1} " in found[0].sentence


def test_plan_has_what_qgroundcontrol_asks_for() -> None:
    document = json.loads((SHIPPED / "night-market.plan").read_text())
    assert document["fileType"] == "Plan"
    assert document["groundStation"] == "QGroundControl"
    versions = [document[part]["version"] for part in ("mission", "geoFence", "rallyPoints")]
    assert (document["version"], versions) == (1, [2, 2, 2])
    items = document["mission"]["items"]
    assert [item["doJumpId"] for item in items] == list(range(1, len(items) + 1))
    for item in items:
        assert item["type"] == "SimpleItem"
        assert len(item["params"]) == 7
        if item["command"] in (qgc.NAV_TAKEOFF, qgc.NAV_WAYPOINT):
            assert {"Altitude", "AltitudeMode", "AMSLAltAboveTerrain"} <= item.keys()
            assert item["Altitude"] == item["params"][6]


def test_the_hold_is_at_the_watch_point_and_looks_as_it_says(plan: FlightPlan, market: MarketMap) -> None:
    watch = next(w for w in market.watch_points if w.id == "yard")
    (at,) = [i for i, item in enumerate(plan.items) if item.hold_s > 60]
    hold, approach = plan.items[at], plan.items[at - 3]
    assert (hold.lat_deg, hold.lon_deg) == (watch.lat_deg, watch.lon_deg)
    assert hold.height_m == watch.height_above_ground_m == 7.066
    # Long enough for the gathering (its first 18 s), short enough for a sortie of three minutes.
    assert 60 < hold.hold_s < 795 / 10.0
    mount, yaw = plan.items[at - 2], plan.items[at - 1]
    assert (mount.command, mount.param1, mount.param3) == (qgc.DO_MOUNT_CONTROL, watch.pitch_deg, 0.0)
    assert (yaw.command, yaw.param1, yaw.param4) == (qgc.CONDITION_YAW, watch.yaw_deg, 0.0)
    # It comes in along the line of sight: an autopilot that turns its nose to the next waypoint agrees.
    east_m, north_m = np.subtract(place_m(market, hold), place_m(market, approach))
    assert math.degrees(math.atan2(east_m, north_m)) == pytest.approx(watch.yaw_deg, abs=0.1)


def test_the_flight_is_short(plan: FlightPlan, market: MarketMap) -> None:
    stops = [place_m(market, item) for item in plan.items if item.lat_deg is not None]
    legs_m = [math.dist(a, b) for a, b in itertools.pairwise([*stops, stops[0]])]
    hold_s = sum(item.hold_s for item in plan.items)
    assert hold_s + sum(legs_m) / plan.hover_speed_mps + 12.0 / 2.0 + 7.0 / 1.5 < 130
    assert 25 < legs_m[-1] < 35


def test_low_flight_is_over_closed_ground_only(plan: FlightPlan, market: MarketMap) -> None:
    low = [item for item in plan.items if item.height_m is not None and item.height_m < 10]
    assert len(low) == 1
    zone = market.zone_at(low[0].lat_deg or 0.0, low[0].lon_deg or 0.0)
    assert zone is not None
    assert zone.opening == ()


def test_the_yard_is_never_open(market: MarketMap) -> None:
    yard = market.zone_at(31.3, 120.62)
    assert yard is not None
    assert (yard.id, yard.unit) == ("yard", "unit-1")
    for hour in range(7 * 24):
        at = datetime.fromtimestamp(1_767_225_600 + 3600 * hour, UTC)
        assert market.gathering_rule(yard, at) == CLOSED_HOURS_GATHERING


def test_stalls_stand_in_one_zone_each_beside_each_other_and_beside_the_lanes(market: MarketMap) -> None:
    lanes = shapely.union_all([lane.line.buffer(lane.width_m / 2, cap_style="flat") for lane in market.lanes])
    for stall in market.stalls:
        assert sum(zone.polygon.contains(stall.polygon) for zone in market.zones) == 1
        assert not lanes.intersects(stall.polygon), stall.id
    for one, other in itertools.combinations(market.stalls, 2):
        assert not one.polygon.intersects(other.polygon), (one.id, other.id)


def test_footage_is_all_of_it_and_can_be_entered_every_two_seconds() -> None:
    assert FOOTAGE.stat().st_size <= 4_000_000
    with av.open(str(FOOTAGE)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 10)
        assert (stream.width, stream.height, len(container.streams)) == (480, 360, 1)
        kinds = [(PictureType(frame.pict_type).name, frame.key_frame) for frame in container.decode(stream)]
    assert len(kinds) == 795
    assert {name for name, _ in kinds} == {"I", "P"}
    keys = [i for i, (_, key) in enumerate(kinds) if key] + [len(kinds)]
    assert max(b - a for a, b in itertools.pairwise(keys)) <= 20


def test_footage_names_its_source() -> None:
    notice = Path(FOOTAGE.parent / "NOTICE.md").read_text()
    assert "University of Reading" in notice
    assert "Ferryman" in notice
