import dataclasses
import math
from collections.abc import Iterable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from patrol.domain.positions import LocalText
from patrol.geo.frames import LocalFrame
from patrol.plan.checks import CHECKED_COMMANDS, check_plan
from patrol.plan.market import MarketMap, OpeningHours, Zone
from patrol.plan.qgc import FenceCircle, FencePolygon, FlightPlan, HomePosition, MissionItem, RallyPoint

FRAME = LocalFrame(31.3, 120.62)
RETURN = MissionItem(20, 2, 0, 0, 0, 0, None, None, None, autocontinue=True)


def place(east_m: float, north_m: float) -> tuple[float, float]:
    lat_deg, lon_deg = FRAME.to_geodetic(east_m, north_m)
    return float(lat_deg), float(lon_deg)


def item(east_m: float, north_m: float, height_m: float | None = 15, **changes: Any) -> MissionItem:
    lat_deg, lon_deg = place(east_m, north_m)
    values = {"command": 16, "frame": 3, "param1": 0.0, **changes}
    return MissionItem(
        param2=0,
        param3=0,
        param4=None,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        height_m=height_m,
        autocontinue=True,
        **values,
    )


def action(
    command: int,
    param1: float | None = 0,
    param2: float | None = 0,
    *,
    lat_deg: float | None = None,
    lon_deg: float | None = None,
    height_m: float | None = None,
) -> MissionItem:
    """An item that is carried out, not flown to; with a place in the frame above home."""
    frame = 2 if lat_deg is None else 3
    return MissionItem(command, frame, param1, param2, 0, 0, lat_deg, lon_deg, height_m, autocontinue=True)


def fence(*corners: tuple[float, float], inclusion: bool = True) -> FencePolygon:
    return FencePolygon(tuple(place(*corner) for corner in corners), inclusion)


TAKEOFF = item(0, 0, command=22)
SQUARE = fence((-100, -100), (100, -100), (100, 100), (-100, 100))


def plan(
    items: Iterable[MissionItem] = (TAKEOFF, item(50, 0), RETURN),
    fences: Iterable[FencePolygon] = (SQUARE,),
    **changes: Any,
) -> FlightPlan:
    sound = FlightPlan(
        Path("a.plan"), HomePosition(31.3, 120.62, 4.0), tuple(items), tuple(fences), (), (), 5, 5, {}
    )
    return dataclasses.replace(sound, **changes)


def sentences(checked: FlightPlan, market: MarketMap | None = None) -> list[str]:
    return [f"{finding.level}: {finding.sentence}" for finding in check_plan(checked, market)]


def test_a_sound_plan_has_no_findings() -> None:
    assert sentences(plan()) == []


def test_item_outside_the_fence_with_its_distance() -> None:
    assert sentences(plan([TAKEOFF, item(142, 0), RETURN])) == [
        "error: a.plan: item 2 lies 42 m outside the fence; move it or widen the fence"
    ]


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_items_are_told_outside_exactly_when_they_are(east_m: float, north_m: float) -> None:
    told = [
        s
        for s in sentences(plan([TAKEOFF, item(east_m, north_m), RETURN]))
        if "item 2 lies" in s and "outside" in s
    ]
    beyond_m = max(abs(east_m), abs(north_m)) - 100
    if abs(beyond_m) > 0.01:
        assert bool(told) == (beyond_m > 0)


def test_item_close_to_the_fence_is_a_warning() -> None:
    assert sentences(plan([TAKEOFF, item(99, 0), RETURN])) == [
        "warning: a.plan: item 2 lies within 2 m of the fence, where the autopilot turns back; "
        "move it or widen the fence"
    ]


def test_leg_that_cuts_a_corner_of_the_fence() -> None:
    notched = fence(
        (-100, -100), (100, -100), (100, 100), (60, 100), (60, 20), (40, 20), (40, 100), (-100, 100)
    )
    items = [TAKEOFF, item(20, 50), item(80, 50), item(80, 0), RETURN]
    assert sentences(plan(items, [notched])) == [
        "error: a.plan: the leg from item 2 to item 3 leaves the fence by 10 m; "
        "add a waypoint between them or widen the fence"
    ]


def test_the_way_home_is_a_leg_too() -> None:
    notched = fence(
        (-100, -100), (100, -100), (100, 100), (60, 100), (60, -20), (40, -20), (40, 100), (-100, 100)
    )
    items = [TAKEOFF, item(0, -50), item(80, -50), item(80, 50), RETURN]
    assert sentences(plan(items, [notched])) == [
        "error: a.plan: the leg from item 4 to home leaves the fence by 10 m; "
        "add a waypoint between them or widen the fence"
    ]


def test_exclusion_polygon_and_circle_are_to_stay_out_of() -> None:
    tower = fence((40, -10), (60, -10), (60, 10), (40, 10), inclusion=False)
    assert "item 2 lies 10 m outside the fence" in sentences(plan(fences=[SQUARE, tower]))[0]
    circle = FenceCircle(*place(50, 0), 20.0, inclusion=False)
    assert "item 2 lies 20 m outside the fence" in sentences(plan(fence_circles=(circle,)))[0]


def test_inclusion_circle_is_a_fence() -> None:
    circle = FenceCircle(*place(0, 0), 45.0, inclusion=True)
    assert sentences(plan(fences=[], fence_circles=(circle,))) == [
        "error: a.plan: item 2 lies 5.0 m outside the fence; move it or widen the fence"
    ]


@pytest.mark.parametrize("fences", [[], [fence((200, 200), (210, 200), (210, 210), inclusion=False)]])
def test_no_fence_at_all(fences: list[FencePolygon]) -> None:
    assert sentences(plan(fences=fences)) == [
        "error: a.plan: has no fence to stay inside of; draw one around the patrol"
    ]


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (fence((-100, -100), (100, 100)), "fence polygon 1 has 2 vertices; give it three or more"),
        (fence((0, 0), (9, 9), (0, 0)), "fence polygon 1 has 2 vertices; give it three or more"),
        (fence((-100, -100), (100, 100), (100, -100), (-100, 100)), "fence polygon 1 crosses itself"),
        (FencePolygon((), inclusion=True), "fence polygon 1 has 0 vertices"),
    ],
)
def test_faulty_fence_polygons(faulty: FencePolygon, sentence: str) -> None:
    (found,) = sentences(plan(fences=[faulty]))
    assert found.startswith(f"error: a.plan: {sentence}")


def test_fences_that_leave_no_room() -> None:
    apart = fence((200, 200), (300, 200), (300, 300), (200, 300))
    assert sentences(plan(fences=[SQUARE, apart])) == [
        "error: a.plan: the fences leave no room to fly in; make the areas to stay in overlap"
    ]


def test_circle_without_a_radius() -> None:
    circle = FenceCircle(*place(0, 0), 0.0, inclusion=False)
    assert "fence circle 1 has a radius of 0 m" in sentences(plan(fence_circles=(circle,)))[0]


def test_home_and_rally_outside() -> None:
    lat_deg, lon_deg = place(150, 0)
    rally = (RallyPoint(*place(0, 130), 20.0), RallyPoint(*place(0, 10), 20.0))
    away = plan(
        [item(150, 0, command=22), item(50, 0), RETURN], home=HomePosition(lat_deg, lon_deg, 4.0), rally=rally
    )
    found = sentences(away)
    assert "error: a.plan: home lies 50 m outside the fence; move it or widen the fence" in found
    assert "error: a.plan: rally point 1 lies 30 m outside the fence; move it or widen the fence" in found
    assert not any("rally point 2" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"home": HomePosition(95.0, 120.0, 4.0)}, "home has latitude 95, beyond the poles"),
        ({"rally": (RallyPoint(31.0, 190.0, 10.0),)}, "rally point 1 has longitude 190, beyond 180 degrees"),
        (
            {"fences": [FencePolygon(((31.0, 120.0), (-91.0, 120.0)), inclusion=True)]},
            "fence polygon 1, vertex 2 has",
        ),
        (
            {"fence_circles": (FenceCircle(91.0, 120.0, 5.0, inclusion=True),)},
            "fence circle 1 has latitude 91",
        ),
        (
            {"items": (TAKEOFF, dataclasses.replace(item(0, 0), lat_deg=95.0), RETURN)},
            "item 2 has latitude 95, beyond the poles",
        ),
    ],
)
def test_coordinates_out_of_range(changes: dict[str, Any], sentence: str) -> None:
    (found,) = sentences(plan(**changes))
    assert found.startswith(f"error: a.plan: {sentence}")


def test_missing_takeoff_and_missing_return() -> None:
    assert sentences(plan([item(50, 0)])) == [
        "error: a.plan: item 1 comes before any take-off; begin with a take-off",
        "error: a.plan: ends without return or landing: the aircraft would hover until its battery is low; "
        "add a return",
    ]


def test_landing_ends_a_plan_as_well() -> None:
    assert sentences(plan([TAKEOFF, item(50, 0), item(50, 0, 0, command=21)])) == []


def test_what_comes_after_the_return_is_never_flown() -> None:
    assert sentences(plan([TAKEOFF, RETURN, item(50, 0)])) == [
        "error: a.plan: item 3 comes after the first return or landing; move it up or delete it"
    ]


def test_what_comes_between_two_returns_is_refused() -> None:
    assert sentences(plan([TAKEOFF, RETURN, item(50, 0), RETURN])) == [
        "error: a.plan: item 3 comes after the first return or landing; move it up or delete it"
    ]


def test_the_way_home_is_checked_when_the_return_is_not_the_last_item() -> None:
    notched = fence(
        (-100, -100), (100, -100), (100, 100), (60, 100), (60, -20), (40, -20), (40, 100), (-100, 100)
    )
    items = [TAKEOFF, item(0, -50), item(80, -50), item(80, 50), RETURN, action(2501)]
    (found,) = sentences(plan(items, [notched]))
    assert found.startswith("error: a.plan: the leg from item 4 to home leaves the fence by 10 m")


@pytest.mark.parametrize("items", [[], [RETURN]])
def test_empty_plan(items: list[MissionItem]) -> None:
    assert sentences(plan(items)) == ["error: a.plan: holds nothing to fly to; add a take-off and waypoints"]


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (item(50, 0, 1.5), "item 2 is 1.5 m above home; raise it to 3 m"),
        (item(50, 0, -4), "item 2 is -4.0 m above home; raise it to 3 m"),
        (
            item(50, 0, 6, frame=0),
            "item 2 is 2.0 m above home, for its height is above sea level; raise it to 3 m",
        ),
        (item(50, 0, 121), "item 2 is 121 m high; stay below 120 m"),
        (item(50, 0, None), "item 2 has no height or a frame (3) that says none; set its altitude"),
        (item(50, 0, None, frame=2), "item 2 has no height or a frame (2) that says none; set its altitude"),
    ],
)
def test_heights(faulty: MissionItem, sentence: str) -> None:
    assert sentences(plan([TAKEOFF, faulty, RETURN])) == [f"error: a.plan: {sentence}"]


def test_height_above_sea_counts_from_home() -> None:
    assert sentences(plan([TAKEOFF, item(50, 0, 19, frame=0), RETURN])) == []


def test_rally_height() -> None:
    rally = (RallyPoint(*place(0, 10), 0.0),)
    assert sentences(plan(rally=rally)) == [
        "error: a.plan: rally point 1 is 0 m high; set it between 3 and 120 m"
    ]


def test_far_from_home_is_told_once() -> None:
    wide = fence((-9000, -9000), (9000, -9000), (9000, 9000), (-9000, 9000))
    assert sentences(plan([TAKEOFF, item(2500, 0), item(3000, 0), RETURN], [wide])) == [
        "warning: a.plan: item 2 is 2.5 km from home; check the planned home position, "
        "or whether the battery lasts"
    ]


def market(frame: LocalFrame = FRAME) -> MarketMap:
    daily = (OpeningHours(frozenset(range(7)), *(2 * [time(0)])),)
    zones = (
        Zone("row", LocalText("街", "Row"), box(30, -20, 70, 20), daily),
        Zone("yard", LocalText("院", "Yard"), box(-70, -20, -30, 20), ()),
    )
    outline = box(-80, -80, 80, 80)
    return MarketMap(
        LocalText("市", "Market"), "m", "Asia/Shanghai", 4.0, frame, outline, zones, (), (), (), {}
    )


def test_hovering_over_the_public_is_a_warning() -> None:
    items = [TAKEOFF, item(50, 0, param1=60.0), item(-50, 0, param1=60.0), RETURN]
    assert sentences(plan(items), market()) == [
        "warning: a.plan: item 2 hovers for 60 s over Row, which is open to the public; hold beside it"
    ]


def test_delays_are_part_of_hovering() -> None:
    items = [TAKEOFF, item(50, 0, param1=5.0), action(93, 4), action(93, 6), item(-50, 0), RETURN]
    assert sentences(plan(items), market()) == [
        "warning: a.plan: item 2 hovers for 15 s over Row, which is open to the public; hold beside it"
    ]


def test_low_over_the_public_is_a_warning() -> None:
    assert sentences(plan([TAKEOFF, item(50, 0, 7), item(-50, 0, 7), RETURN]), market()) == [
        "warning: a.plan: item 2 is 7.0 m above Row, which is open to the public; raise it to 10 m or more"
    ]


def test_market_of_another_town() -> None:
    assert sentences(plan(), market(LocalFrame(32.3, 120.62))) == [
        "error: a.plan: home is 110.8 km from Market; name the map that belongs to the plan"
    ]


def test_errors_come_before_warnings() -> None:
    found = sentences(plan([TAKEOFF, item(99, 0), item(150, 0), RETURN]))
    assert [sentence.split(":")[0] for sentence in found] == ["error", "warning"]


WHAT_A_PATROL_MAY_USE = {
    16, 19, 20, 21, 22, 93, 112, 114, 115, 178, 195, 197, 201, 203, 205, 206, 214, 530, 531, 532,
    1000, 2000, 2001, 2500, 2501,
}  # fmt: skip


def test_the_list_of_commands_is_the_documented_one() -> None:
    assert CHECKED_COMMANDS == WHAT_A_PATROL_MAY_USE


@given(st.integers(0, 65535).filter(lambda c: c not in WHAT_A_PATROL_MAY_USE), st.integers(0, 3), st.data())
def test_any_other_command_anywhere_is_an_error(command: int, index: int, data: st.DataObject) -> None:
    numbers = st.none() | st.floats()
    place = st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
    lat_deg, lon_deg = data.draw(place) or (None, None)
    stranger = action(
        command,
        data.draw(numbers),
        data.draw(numbers),
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        height_m=data.draw(numbers),
    )
    items = [TAKEOFF, item(50, 0), RETURN]
    items.insert(index, stranger)
    told = [f.sentence for f in check_plan(plan(items)) if f.level == "error"]
    assert any(s.startswith(f"a.plan: item {index + 1} is ") and str(command) in s for s in told)


FAR_LAT_DEG, FAR_LON_DEG = place(30_000, 0)


@pytest.mark.parametrize(
    ("stranger", "sentence"),
    [
        (
            action(94, lat_deg=FAR_LAT_DEG, lon_deg=FAR_LON_DEG, height_m=500),
            "is NAV_PAYLOAD_PLACE (94), which sinks to the ground to set down a load; delete it",
        ),
        (
            action(179, lat_deg=FAR_LAT_DEG, lon_deg=FAR_LON_DEG, height_m=4),
            "is DO_SET_HOME (179), which moves the place to return to; delete it and plan from the real home",
        ),
        (
            action(177, 2, -1),
            "is DO_JUMP (177), which can repeat legs until the battery is low; write the legs out",
        ),
        (
            action(207, 0),
            "is DO_FENCE_ENABLE (207), which switches the fence, but it stays on in flight; delete it",
        ),
        (
            action(207, 1),
            "is DO_FENCE_ENABLE (207), which switches the fence, but it stays on in flight; delete it",
        ),
        (item(50, 0, command=17), "is NAV_LOITER_UNLIM (17), which never ends; use a waypoint"),
        (item(50, 0, command=18), "is NAV_LOITER_TURNS (18), which flies a circle whose radius"),
        (
            item(50, 0, command=82),
            "is NAV_SPLINE_WAYPOINT (82), which flies a curve that can leave the fence",
        ),
        (action(176, 1, 4), "is DO_SET_MODE (176), which leaves the mission for another flight mode"),
        (
            action(185, 1),
            "is command 185, which is not among those a patrol may use; delete it or replace it by waypoints",
        ),
    ],
)
def test_refused_commands_say_why_and_what_to_do(stranger: MissionItem, sentence: str) -> None:
    (found,) = sentences(plan([TAKEOFF, item(50, 0), stranger, RETURN]))
    assert found.startswith(f"error: a.plan: item 3 {sentence}")


@pytest.mark.parametrize("command", sorted(WHAT_A_PATROL_MAY_USE - {16, 19, 20, 21, 22, 93, 178}))
def test_looking_and_taking_pictures_is_allowed(command: int) -> None:
    assert sentences(plan([action(command), TAKEOFF, item(50, 0), action(command), RETURN])) == []


@pytest.mark.parametrize("command", [16, 19, 21])
def test_the_places_of_all_that_is_flown_to_are_checked(command: int) -> None:
    (found,) = sentences(plan([TAKEOFF, item(142, 0, command=command), RETURN]))
    assert found == "error: a.plan: item 2 lies 42 m outside the fence; move it or widen the fence"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (action(178, 1, 40), "changes the speed to 40 m/s; set it above 0 and up to 10 m/s"),
        (action(178, 1, 10.01), "changes the speed to 10.01 m/s; set it above 0 and up to 10 m/s"),
        (action(178, 1, 0), "changes the speed to 0 m/s; set it above 0 and up to 10 m/s"),
        (action(178, 1, -3), "changes the speed to -3 m/s; set it above 0 and up to 10 m/s"),
        (action(178, 1, None), "changes the speed to none; set a speed up to 10 m/s"),
        (action(178, 3, 5), "changes the speed up or down; delete it and keep the autopilot's own"),
    ],
)
def test_speeds_that_are_refused(change: MissionItem, sentence: str) -> None:
    assert sentences(plan([TAKEOFF, change, item(50, 0), RETURN])) == [f"error: a.plan: item 2 {sentence}"]


@pytest.mark.parametrize("change", [action(178, 1, 10), action(178, 0, 4.5), action(178, 1, -1)])
def test_speeds_that_are_flown(change: MissionItem) -> None:
    assert sentences(plan([TAKEOFF, change, item(50, 0), RETURN])) == []


@pytest.mark.parametrize(
    ("hold", "sentence"),
    [
        (item(50, 0, param1=3601.0), "holds for 3601 s; set it between 0 and 3600 s"),
        (item(50, 0, command=19, param1=1e9), "holds for 1e+09 s; set it between 0 and 3600 s"),
        (item(50, 0, param1=-1.0), "holds for -1 s; set it between 0 and 3600 s"),
        (action(93, 7200), "holds for 7200 s; set it between 0 and 3600 s"),
        (action(93, -1, 4), "waits for a time of day; give it seconds to wait"),
        (action(93, 0, 4), "waits for a time of day; give it seconds to wait"),
    ],
)
def test_holds_that_are_refused(hold: MissionItem, sentence: str) -> None:
    assert sentences(plan([TAKEOFF, hold, RETURN])) == [f"error: a.plan: item 2 {sentence}"]


def test_holds_that_are_flown() -> None:
    holds = [item(50, 0, param1=3600.0), item(50, 0, command=19, param1=20), action(93, 30)]
    assert sentences(plan([TAKEOFF, *holds, RETURN])) == []


def test_takeoff_from_elsewhere() -> None:
    assert sentences(plan([item(4, 0, command=22), item(50, 0), RETURN])) == []
    assert sentences(plan([item(42, 0, command=22), item(50, 0), RETURN])) == [
        "error: a.plan: item 1 takes off 42 m from home; set its place to home"
    ]


@pytest.mark.parametrize("command", [195, 201])
def test_looking_far_away_is_a_warning(command: int) -> None:
    look = action(command, lat_deg=FAR_LAT_DEG, lon_deg=FAR_LON_DEG, height_m=0)
    assert sentences(plan([TAKEOFF, look, item(50, 0), RETURN])) == [
        "warning: a.plan: item 2 looks at a place 30.0 km from home; check its place"
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["lat_deg", "lon_deg", "height_m", "param1", "param7"])
def test_what_is_no_number_is_an_error(field: str, number: float) -> None:
    faulty = dataclasses.replace(item(50, 0), **{field: number})
    (found,) = sentences(plan([TAKEOFF, faulty, RETURN]))
    assert found.startswith("error: a.plan: item 2 has ")
    assert f"{number:g}" in found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"home": HomePosition(31.3, 120.62, math.nan)}, "home has nan as its height_amsl_m"),
        ({"fence_circles": (FenceCircle(31.3, 120.62, math.inf, True),)}, "fence circle 1 has inf as its"),
        ({"rally": (RallyPoint(math.nan, 120.62, 20),)}, "rally point 1 has latitude nan"),
        (
            {"fences": [FencePolygon(((31.3, math.nan),), True)]},
            "fence polygon 1, vertex 1 has longitude nan",
        ),
    ],
)
def test_what_is_no_number_outside_the_items(changes: dict[str, Any], sentence: str) -> None:
    (found,) = sentences(plan(**changes))
    assert found.startswith(f"error: a.plan: {sentence}")
