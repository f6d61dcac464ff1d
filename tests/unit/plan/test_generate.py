import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Point, Polygon, box

from patrol.domain.resources import data_path
from patrol.geo.camera import CameraModel, read_camera
from patrol.plan import generate as generate_module
from patrol.plan import qgc
from patrol.plan.checks import check_plan
from patrol.plan.generate import Battery, Style, Wish, generate
from patrol.plan.market import Lane, read_market
from patrol.plan.qgc import read_plan
from patrol.plan.routes.view import RouteError, view_of

SHIPPED = data_path("flightplans")
CAMERA = read_camera(SHIPPED / "night-market.camera.yaml")
WIDE = CameraModel(1920, 1080, 1200.0, 1200.0, 960.0, 540.0)
PATH = Path("made.plan")


@pytest.fixture(scope="module")
def market():
    return read_market(SHIPPED / "night-market.market.geojson")


@pytest.fixture(scope="module")
def made(market):
    return {style: generate(Wish(style, 15.0), market, CAMERA, PATH) for style in Style}


def bare(market, outline, **changes):
    """The same market with another outline and nothing in it."""
    nothing = {"zones": (), "stalls": (), "lanes": (), "watch_points": ()}
    return dataclasses.replace(market, outline=outline, **(nothing | changes))


def degrees(market, point):
    lat_deg, lon_deg = market.frame.to_geodetic(point.x, point.y)
    return float(lat_deg), float(lon_deg)


def waypoints(market, plan):
    """Metres of the waypoints in the market's frame."""
    items = [item for item in plan.items if item.command == qgc.NAV_WAYPOINT]
    return np.stack(market.frame.to_enu([i.lat_deg for i in items], [i.lon_deg for i in items]), axis=1)


@pytest.mark.parametrize("style", Style)
def test_plan_passes_the_checks_and_is_read_back_alike(tmp_path, market, made, style):
    path = tmp_path / "made.plan"
    path.write_text(json.dumps(made[style].document))
    plan = read_plan(path)
    assert check_plan(plan, market) == list(made[style].warnings) == []
    assert (plan.items, plan.fence, plan.rally) == (
        made[style].plan.items, made[style].plan.fence, made[style].plan.rally,
    )  # fmt: skip
    assert plan.hover_speed_mps == 5.0


@pytest.mark.parametrize("style", Style)
def test_both_autopilots_take_every_item(made, style):
    items = made[style].plan.items
    # PX4's parse_mavlink_mission_item takes no CONDITION_YAW, and items without a place in frame 2 only.
    placed = {qgc.NAV_TAKEOFF, qgc.NAV_WAYPOINT}
    unplaced = {qgc.DO_CHANGE_SPEED, qgc.DO_MOUNT_CONTROL, qgc.NAV_RETURN_TO_LAUNCH}
    assert {item.command for item in items} <= placed | unplaced
    for item in items:
        assert item.frame == (qgc.FRAME_ABOVE_HOME if item.command in placed else qgc.FRAME_MISSION)
        assert item.autocontinue
    assert [item.command for item in items[:3]] == [
        qgc.NAV_TAKEOFF, qgc.DO_CHANGE_SPEED, qgc.DO_MOUNT_CONTROL,
    ]  # fmt: skip
    assert items[-1].command == qgc.NAV_RETURN_TO_LAUNCH
    assert all(item.param7 == 2 for item in items if item.command == qgc.DO_MOUNT_CONTROL)
    assert all(float(item.hold_s).is_integer() for item in items)  # ArduPilot keeps whole seconds


@pytest.mark.parametrize("style", Style)
def test_document_has_what_qgroundcontrol_asks_for(made, style):
    document = made[style].document
    assert (document["fileType"], document["version"]) == ("Plan", 1)
    items = document["mission"]["items"]
    assert [item["doJumpId"] for item in items] == list(range(1, len(items) + 1))
    for item in items:
        assert item["type"] == "SimpleItem"
        assert len(item["params"]) == 7
        if item["command"] in (qgc.NAV_TAKEOFF, qgc.NAV_WAYPOINT):
            assert item["Altitude"] == item["params"][6]
    json.dumps(document, allow_nan=False)


def test_fence_rally_and_launch_are_where_the_map_wants_them(market, made):
    plan = made[Style.LAWNMOWER].plan
    (fence,) = plan.fence
    ring = Polygon(np.stack(market.frame.to_enu(*np.array(fence.vertices).T), axis=1))
    assert market.outline.exterior.distance(ring.exterior) == pytest.approx(8.0, abs=0.01)
    (rally,) = plan.rally
    for place in (plan.home, rally):
        zone = market.zone_at(place.lat_deg, place.lon_deg)
        assert zone.opening == ()
    assert rally.height_above_home_m == 15.0
    assert plan.home.height_amsl_m == market.ground_amsl_m


# -- lawnmower -----------------------------------------------------------------------------------------


@st.composite
def outlines(draw):
    """Star-shaped, so mostly concave, some 60 to 220 m across."""
    count = draw(st.integers(3, 9))
    gaps = draw(st.lists(st.floats(0.5, 1.5), min_size=count, max_size=count))
    angles = 2 * math.pi * np.cumsum(gaps) / sum(gaps)
    radii = np.array(draw(st.lists(st.floats(35, 110), min_size=count, max_size=count)))
    return Polygon(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1))


@given(outline=outlines(), heading_deg=st.none() | st.floats(0, 180), overlap=st.floats(0.1, 0.5))
@settings(max_examples=5, deadline=None)
def test_lawnmower_shows_any_outline_and_stays_in_its_fence(outline, heading_deg, overlap):
    market = read_market(SHIPPED / "night-market.market.geojson")
    assume(outline.is_valid and shapely.minimum_rotated_rectangle(outline).area > 3000)
    assume(outline.buffer(-15).area > 100)
    here = bare(market, outline)
    home = degrees(here, outline.representative_point())
    wish = Wish(Style.LAWNMOWER, 30.0, overlap=overlap, heading_deg=heading_deg, home=home)
    result = generate(wish, here, WIDE, PATH)
    assert result.coverage.share_seen(outline) >= 0.95
    (fence,) = result.plan.fence
    ring = Polygon(np.stack(here.frame.to_enu(*np.array(fence.vertices).T), axis=1))
    route = np.vstack([[here.frame.to_enu(*home)], waypoints(here, result.plan)])
    for one, other in itertools.pairwise(route):
        assert ring.contains(LineString([one, other]))
    assert [f for f in check_plan(result.plan, here) if f.level == "error"] == []


def test_a_hole_in_the_outline_is_not_looked_at_for_its_own_sake(market):
    whole, holed = box(0, 0, 120, 90), box(0, 0, 120, 90).difference(box(20, 5, 100, 85))
    home = degrees(market, Point(5, 5))
    lengths = [
        generate(Wish(Style.LAWNMOWER, 15.0, home=home), bare(market, outline), CAMERA, PATH).flight.length_m
        for outline in (whole, holed)
    ]
    assert lengths[1] < 0.9 * lengths[0]


def test_rows_lie_apart_by_the_view_less_the_overlap(market):
    here = bare(market, box(0, 0, 120, 90))
    home = degrees(here, Point(10, 10))

    def rows(overlap, heading_deg=None):
        wish = Wish(Style.LAWNMOWER, 15.0, overlap=overlap, heading_deg=heading_deg, home=home)
        return waypoints(here, generate(wish, here, CAMERA, PATH).plan)

    depth_m = view_of(CAMERA, height_m=15.0, pitch_deg=-45.0, least_height_px=20.0).depth_m
    assert 11 < depth_m < 14
    assert len(rows(0.0)) == 2 * math.ceil(90 / depth_m)
    assert len(rows(0.5)) == 2 * math.ceil(90 / (depth_m / 2))
    assert len(rows(0.0, heading_deg=0.0)) == 2 * math.ceil(120 / depth_m)


def test_rows_go_along_the_long_side_unless_told(market, made):
    east_m, north_m = waypoints(market, made[Style.LAWNMOWER].plan).T
    along_m = np.abs(np.diff(east_m)[::2])
    assert along_m.min() > 100
    assert np.abs(np.diff(north_m)[::2]).max() < 0.01


def test_camera_of_a_row_looks_to_its_side(made):
    pans = [item.param3 for item in made[Style.LAWNMOWER].plan.items if item.command == qgc.DO_MOUNT_CONTROL]
    assert set(pans) == {-90.0, 90.0}


# -- the other styles ----------------------------------------------------------------------------------


def test_perimeter_is_inside_the_outline_and_looks_inwards(market, made):
    result = made[Style.PERIMETER]
    route = waypoints(market, result.plan)
    assert np.allclose(route[0], route[-1])
    for place in route:
        assert market.outline.contains(Point(place))
        assert market.outline.exterior.distance(Point(place)) == pytest.approx(3.0, abs=0.05)
    ccw = shapely.LinearRing(route).is_ccw
    (mount,) = [item for item in result.plan.items if item.command == qgc.DO_MOUNT_CONTROL]
    assert mount.param3 == (-90.0 if ccw else 90.0)
    middle = result.coverage.share_seen(market.outline.buffer(-12).difference(market.outline.buffer(-20)))
    assert middle > 0.9


def test_lanes_are_seen_from_end_to_end(market, made):
    result = made[Style.LANES]
    for lane in market.lanes:
        assert result.coverage.share_seen(lane.line.buffer(1.5, cap_style="flat")) > 0.93, lane.id


def test_lane_without_room_before_it_is_seen_both_ways(market):
    outline = box(0, 0, 120, 40)
    lane = dataclasses.replace(market.lanes[0], line=LineString([(1, 20), (119, 20)]))
    here = bare(market, outline, lanes=(lane,))
    result = generate(Wish(Style.LANES, 15.0, home=degrees(here, Point(60, 30))), here, CAMERA, PATH)
    assert result.coverage.share_seen(lane.line.buffer(2.0, cap_style="flat")) > 0.97
    east_m, _ = waypoints(here, result.plan).T
    assert np.sign(np.diff(east_m)).tolist().count(-1.0) >= 1
    assert np.sign(np.diff(east_m)).tolist().count(1.0) >= 1


def test_lanes_of_no_length_are_left_out_and_those_that_leave_the_fence_refused(market):
    long = Lane("long", market.name, LineString([(10, 20), (90, 20)]), 4.0)
    dot = Lane("dot", market.name, LineString([(50, 30), (50, 30)]), 4.0)
    out = Lane("out", market.name, LineString([(50, 30), (150, 30)]), 4.0)
    outline = box(0, 0, 100, 40)
    wish = Wish(Style.LANES, 15.0, home=degrees(market, Point(50, 10)))
    with_dot = generate(wish, bare(market, outline, lanes=(long, dot)), CAMERA, PATH)
    without = generate(wish, bare(market, outline, lanes=(long,)), CAMERA, PATH)
    assert with_dot.plan.items == without.plan.items
    with pytest.raises(RouteError, match="too small for the style lanes"):
        generate(wish, bare(market, outline, lanes=(dot,)), CAMERA, PATH)
    with pytest.raises(RouteError, match='lane "out" leaves the fence around the market'):
        generate(wish, bare(market, outline, lanes=(long, out)), CAMERA, PATH)


def test_bent_lanes_are_followed(market):
    line = LineString([(10, 10), (60, 10), (60, 60), (110, 60)])
    lane = Lane("bent", market.name, line, 4.0)
    here = bare(market, box(0, 0, 120, 70), lanes=(lane,))
    result = generate(Wish(Style.LANES, 12.0, home=degrees(here, Point(30, 40))), here, CAMERA, PATH)
    route = LineString(waypoints(here, result.plan))
    for corner in ((60, 10), (60, 60)):
        assert route.distance(Point(corner)) < 0.01
    assert result.coverage.share_seen(line.buffer(1.5)) > 0.9


def test_watch_point_is_entered_along_its_view_and_from_above(market, made):
    watch = next(w for w in market.watch_points if w.id == "yard")
    items = made[Style.WATCHPOINTS].plan.items
    (at,) = [i for i, item in enumerate(items) if item.hold_s > 10]
    hold = items[at]
    assert (hold.height_m, hold.hold_s) == (watch.height_above_ground_m, 30.0)
    here = np.array(market.frame.to_enu(watch.lat_deg, watch.lon_deg))
    assert np.allclose(market.frame.to_enu(hold.lat_deg, hold.lon_deg), here, atol=0.01)
    above, *_ = (item for item in items[:at][::-1] if item.command == qgc.NAV_WAYPOINT)
    assert (above.lat_deg, above.lon_deg, above.height_m) == (hold.lat_deg, hold.lon_deg, 15.0)
    assert items[at + 1].height_m == 15.0
    behind = [item for item in items[:at] if item.command == qgc.NAV_WAYPOINT][-2]
    east_m, north_m = here - np.array(market.frame.to_enu(behind.lat_deg, behind.lon_deg))
    assert math.degrees(math.atan2(east_m, north_m)) == pytest.approx(watch.yaw_deg, abs=0.1)
    mounts = [item for item in items[:at] if item.command == qgc.DO_MOUNT_CONTROL]
    assert [(m.param1, m.param3) for m in mounts] == [(pytest.approx(watch.pitch_deg, abs=0.01), 0.0)]


def test_watch_points_without_room_behind_are_looked_from_by_the_gimbal(market):
    corner = dataclasses.replace(market.watch_points[0], yaw_deg=45.0, height_above_ground_m=15.0)
    lat_deg, lon_deg = degrees(market, Point(-5, -5))
    corner = dataclasses.replace(corner, lat_deg=lat_deg, lon_deg=lon_deg)
    here = bare(market, box(0, 0, 60, 60), watch_points=(corner,))
    plan = generate(Wish(Style.WATCHPOINTS, 15.0, home=degrees(here, Point(30, 30))), here, CAMERA, PATH).plan
    (mount,) = [item for item in plan.items if item.command == qgc.DO_MOUNT_CONTROL]
    assert abs(mount.param3) == pytest.approx(180.0, abs=0.1)  # flown to south-west, looking north-east


def test_a_market_of_five_kilometres_is_foretold_in_larger_cells(market):
    here = bare(market, box(-2500, -2500, 2500, 2500), watch_points=market.watch_points)
    result = generate(Wish(Style.WATCHPOINTS, 15.0, home=degrees(here, Point(0, 0))), here, CAMERA, PATH)
    assert result.coverage.cell_m == pytest.approx(5.0)
    assert result.coverage.seen().any()


def test_holding_over_the_public_is_a_warning(market):
    lat_deg, lon_deg = degrees(market, market.zones[0].polygon.centroid)
    point = dataclasses.replace(market.watch_points[0], lat_deg=lat_deg, lon_deg=lon_deg)
    there = dataclasses.replace(market, watch_points=(point,))
    result = generate(Wish(Style.WATCHPOINTS, 15.0), there, CAMERA, PATH)
    assert any("hovers for 30 s over" in finding.sentence for finding in result.warnings)


# -- heights, terrain, battery -------------------------------------------------------------------------


class Slope:
    """Ground that rises by 5 % to the east; unknown beyond a distance."""

    sigma_m = 0.0

    def __init__(self, frame, known_m=1000.0):
        self.frame = frame
        self.known_m = known_m

    def height_amsl_m_at(self, lat_deg, lon_deg):
        east_m, _ = self.frame.to_enu(np.atleast_1d(lat_deg), np.atleast_1d(lon_deg))
        return np.where(np.abs(east_m) < self.known_m, 50.0 + 0.05 * east_m, np.nan)


def on(market, ground):
    there = dataclasses.replace(market)
    vars(there)["ground"] = ground  # in place of the cached one
    return there


def test_heights_follow_the_terrain_below(market):
    there = on(market, Slope(market.frame))
    plan = generate(Wish(Style.LAWNMOWER, 15.0), there, CAMERA, PATH).plan
    home_e, _ = market.frame.to_enu(plan.home.lat_deg, plan.home.lon_deg)
    assert plan.home.height_amsl_m == pytest.approx(50 + 0.05 * home_e, abs=0.01)
    for (east_m, _), item in zip(
        waypoints(there, plan), [i for i in plan.items if i.command == qgc.NAV_WAYPOINT], strict=True
    ):
        assert item.height_m == pytest.approx(15 + 0.05 * (east_m - home_e), abs=0.01)


def test_terrain_that_ends_too_soon_is_refused(market):
    with pytest.raises(RouteError, match="the terrain does not reach under all of the route"):
        generate(Wish(Style.LAWNMOWER, 15.0), on(market, Slope(market.frame, 40.0)), CAMERA, PATH)


def test_battery_is_counted_against_the_endurance(market, made):
    half = generate(Wish(Style.LANES, 15.0, endurance_min=8.0), market, CAMERA, PATH).battery
    whole = made[Style.LANES].battery
    assert half.whole == pytest.approx(2 * whole.whole)
    assert whole.patrol < whole.whole
    assert whole.whole * 16 * 60 / 100 > made[Style.LANES].flight.patrol_s + made[Style.LANES].flight.return_s
    windy = generate(Wish(Style.LANES, 15.0, wind_mps=12.0), market, CAMERA, PATH).battery
    assert windy.whole > whole.whole


def test_battery_that_lasts_and_battery_with_reserve():
    assert Battery(75.0, 90.0, 15.0).lasts
    assert Battery(75.0, 90.0, 15.0).has_reserve
    assert not Battery(76.0, 90.0, 15.0).lasts
    assert not Battery(75.0, 90.0, 16.0).has_reserve


# -- what cannot be made -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"height_m": 9.0}, "the height is 9 m; choose it from 10 to 120 m"),
        ({"height_m": 121.0}, "the height is 121 m"),
        ({"height_m": math.nan}, "the height is nan m"),
        ({"overlap": 1.0}, "the overlap is 1; choose it from 0 to 0.9"),
        ({"overlap": -0.1}, "the overlap is -0.1"),
        ({"speed_mps": 0.0}, "the speed is 0 m/s; choose it from 0.5 to 10 m/s"),
        ({"speed_mps": 11.0}, "the speed is 11 m/s"),
        ({"pitch_deg": 10.0}, "the pitch is 10 degrees"),
        ({"heading_deg": math.inf}, "the heading is inf degrees"),
        ({"hold_s": 1e6}, "the hold is 1e"),
        ({"wind_mps": 20.0}, "the wind is 20 m/s; choose it from 0 to 12 m/s"),
        ({"endurance_min": 0.0}, "the endurance is 0 minutes"),
        ({"least_height_px": 2.0}, "the least height is 2 px"),
        ({"home": (95.0, 120.0)}, "home 95,120 is no place on earth; give latitude, then longitude"),
        ({"home": (31.31, 120.62)}, "m outside the fence around the market"),
        ({"height_m": 40.0}, "is at most 16 px high, and 20 are wanted; fly at 29 m or lower"),
        ({"height_m": 110.0}, "the camera shows nobody of 8 px or more; fly lower"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_in_a_sentence(market, changes, sentence):
    wish = dataclasses.replace(Wish(Style.LAWNMOWER, 15.0), **changes)
    with pytest.raises(RouteError) as caught:
        generate(wish, market, CAMERA, PATH)
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("style", "outline", "sentence"),
    [
        (Style.LANES, box(0, 0, 100, 50), "has no lanes"),
        (Style.WATCHPOINTS, box(0, 0, 100, 50), "has no watch points"),
        (Style.LAWNMOWER, box(0, 0, 4, 4), "holds 16 m²; draw it larger"),
        (Style.PERIMETER, box(0, 0, 100, 5), "too narrow to fly around in"),
        (
            Style.LAWNMOWER,
            box(0, 0, 2000, 2600),
            "mission items or more, but autopilots keep 500; fly higher",
        ),
    ],
)
def test_markets_that_do_not_fit_a_style(market, style, outline, sentence):
    here = bare(market, outline)
    with pytest.raises(RouteError) as caught:
        generate(Wish(style, 15.0, home=degrees(here, outline.centroid)), here, CAMERA, PATH)
    assert sentence in str(caught.value)


def test_a_route_that_autopilots_cannot_keep(market, monkeypatch):
    for keeps in (10, 25):  # told from the rows alone, and with the gimbal's items between them
        monkeypatch.setattr(generate_module, "MAX_ITEMS", keeps)
        with pytest.raises(
            RouteError, match=rf"mission items or more, but autopilots keep {keeps}; fly higher"
        ):
            generate(Wish(Style.LAWNMOWER, 15.0), market, CAMERA, PATH)


def test_a_market_that_is_open_everywhere_asks_for_the_launch(market):
    with pytest.raises(RouteError, match=r"has no zone that is never open .* --home LAT,LON"):
        generate(Wish(Style.LAWNMOWER, 15.0), bare(market, box(0, 0, 100, 50)), CAMERA, PATH)


def test_watch_point_outside_the_market(market):
    lat_deg, lon_deg = degrees(market, Point(300, 0))
    far = dataclasses.replace(market.watch_points[0], lat_deg=lat_deg, lon_deg=lon_deg)
    with pytest.raises(RouteError, match=r'watch point "yard" lies \d+ m outside the fence'):
        generate(
            Wish(Style.WATCHPOINTS, 15.0), dataclasses.replace(market, watch_points=(far,)), CAMERA, PATH
        )


def test_a_plan_with_an_error_is_never_given(market, monkeypatch):
    monkeypatch.setattr(
        generate_module,
        "check_plan",
        lambda plan, _: [generate_module.Finding("error", f"{plan.path}: is bad")],
    )
    with pytest.raises(RouteError, match=r"made\.plan: is bad"):
        generate(Wish(Style.LAWNMOWER, 15.0), market, CAMERA, PATH)
