"""What is wrong with a flight plan, in sentences. Autopilots accept most of these faults without a word."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from patrol.geo.frames import LocalFrame
from patrol.plan import qgc
from patrol.plan.market import MarketMap
from patrol.plan.qgc import FenceCircle, FlightPlan, HomePosition, MissionItem, RallyPoint

MAX_HEIGHT_M = 120.0
"""Above ground: the limit of China's Interim Regulations on Unmanned Aircraft Flight (2024, article 19), of
the EU's open category and, in feet, of the FAA's part 107."""

MIN_HEIGHT_M = 3.0
"""Above ground, but to take off and land: a stall's roof and a raised arm stay below."""

MIN_HEIGHT_OVER_PUBLIC_M = 10.0
"""Over ground that is open to the public: clear of lamps, wires and banners across a lane. Our choice."""

FENCE_MARGIN_M = 2.0
"""ArduPilot's FENCE_MARGIN: it acts this far before the fence."""

FAR_FROM_HOME_M = 2000.0
"""A quarter of an hour's battery at 5 m/s there and back leaves little for looking."""

HOVER_S = 10.0
"""Holding longer than this over people is hovering, not passing."""

MAX_HOLD_S = 3600.0
"""At one place: no multicopter's battery lasts longer, so what follows would never be flown."""

MAX_SPEED_MPS = 10.0
"""ArduCopter's default WPNAV_SPEED. At its default WPNAV_ACCEL of 2.5 m/s2 it stops from this within 20 m."""

TAKEOFF_PLACE_M = 5.0
"""A take-off drawn further than this from home was meant to be flown from somewhere else. Our choice."""

CHECKED_COMMANDS = frozenset(
    {
        qgc.NAV_TAKEOFF, qgc.NAV_WAYPOINT, qgc.NAV_LOITER_TIME, qgc.NAV_LAND, qgc.NAV_RETURN_TO_LAUNCH,
        qgc.NAV_DELAY, qgc.CONDITION_DELAY, qgc.CONDITION_DISTANCE, qgc.CONDITION_YAW, qgc.DO_CHANGE_SPEED,
        qgc.DO_SET_ROI_LOCATION, qgc.DO_SET_ROI_NONE, qgc.DO_SET_ROI, qgc.DO_MOUNT_CONTROL,
        qgc.DO_GIMBAL_MANAGER_PITCHYAW, qgc.DO_DIGICAM_CONTROL, qgc.DO_SET_CAM_TRIGG_DIST,
        qgc.DO_SET_CAM_TRIGG_INTERVAL, qgc.SET_CAMERA_MODE, qgc.SET_CAMERA_ZOOM, qgc.SET_CAMERA_FOCUS,
        qgc.IMAGE_START_CAPTURE, qgc.IMAGE_STOP_CAPTURE, qgc.VIDEO_START_CAPTURE, qgc.VIDEO_STOP_CAPTURE,
    }
)  # fmt: skip
"""What a patrol may do: fly straight legs, hold, look and take pictures. Any other command is an error, for
these checks do not know where it leads."""

_REFUSED = {
    qgc.NAV_LOITER_UNLIM: ("NAV_LOITER_UNLIM", "never ends", "use a waypoint with a hold time"),
    qgc.NAV_LOITER_TURNS: (
        "NAV_LOITER_TURNS", "flies a circle whose radius can be the autopilot's own", "use waypoints",
    ),
    qgc.NAV_SPLINE_WAYPOINT: (
        "NAV_SPLINE_WAYPOINT", "flies a curve that can leave the fence between its ends", "use waypoints",
    ),
    qgc.NAV_VTOL_TAKEOFF: ("NAV_VTOL_TAKEOFF", "is for winged aircraft", "use a plain take-off"),
    qgc.NAV_VTOL_LAND: ("NAV_VTOL_LAND", "is for winged aircraft", "use a plain landing"),
    qgc.NAV_PAYLOAD_PLACE: ("NAV_PAYLOAD_PLACE", "sinks to the ground to set down a load", "delete it"),
    qgc.DO_SET_MODE: ("DO_SET_MODE", "leaves the mission for another flight mode", "delete it"),
    qgc.DO_JUMP: ("DO_JUMP", "can repeat legs until the battery is low", "write the legs out"),
    qgc.DO_SET_HOME: ("DO_SET_HOME", "moves the place to return to", "delete it and plan from the real home"),
    qgc.DO_FENCE_ENABLE: ("DO_FENCE_ENABLE", "switches the fence, but it stays on in flight", "delete it"),
}  # fmt: skip
"""Commands that somebody may well put into a plan: name, why not, what to do instead."""

_ROI_WITH_PLACE = (qgc.DO_SET_ROI_LOCATION, qgc.DO_SET_ROI)
_LANDINGS = (qgc.NAV_RETURN_TO_LAUNCH, qgc.NAV_LAND)
_HORIZONTAL_SPEEDS = (0, 1)  # SPEED_TYPE_AIRSPEED, SPEED_TYPE_GROUNDSPEED
_KEEP_OR_DEFAULT_SPEED = (-1, -2)  # MAV_CMD_DO_CHANGE_SPEED's "no change" and "back to the default"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. With an error the plan must not be flown."""

    level: Literal["error", "warning"]
    sentence: str


def check_plan(plan: FlightPlan, market: MarketMap | None = None) -> list[Finding]:
    """Everything that is wrong with a plan, errors first; with a market also what concerns people there."""
    findings = [*_check_commands(plan), *_check_numbers(plan)]
    if not findings:
        flight = _Flight(plan)
        for check in (
            _check_order, _check_settings, _check_fence, _check_inside, _check_heights, _check_distances,
        ):  # fmt: skip
            findings += check(flight)
        if market is not None:
            findings += _check_market(flight, market)
    said = [Finding(f.level, f"{plan.path}: {f.sentence}") for f in findings]
    return sorted(said, key=lambda f: f.level != "error")


@dataclass(frozen=True)
class _Stop:
    """A place the aircraft goes to: its item's number (1 for the first), its place in metres from home.

    `hold_s` is how long it stays there, the delays that follow included.
    """

    number: int
    item: MissionItem
    place: Point
    hold_s: float

    @property
    def name(self) -> str:
        return f"item {self.number}"


class _Flight:
    """The plan in metres about its home."""

    def __init__(self, plan: FlightPlan) -> None:
        self.plan = plan
        self.frame = LocalFrame(plan.home.lat_deg, plan.home.lon_deg)
        self.home = Point(0.0, 0.0)

    def point(self, lat_deg: float, lon_deg: float) -> Point:
        east_m, north_m = self.frame.to_enu(lat_deg, lon_deg)
        return Point(float(east_m), float(north_m))

    @cached_property
    def stops(self) -> tuple[_Stop, ...]:
        stops: list[_Stop] = []
        place = self.home
        for number, item in enumerate(self.plan.items, start=1):
            if item.command == qgc.NAV_DELAY and stops:
                stops[-1] = replace(stops[-1], hold_s=stops[-1].hold_s + item.hold_s)
            if not item.is_flown_to:
                continue
            # Without a place of its own a command is carried out where the aircraft is. ArduPilot takes off
            # straight up, whatever place the item names.
            if item.lat_deg is not None and item.lon_deg is not None and item.command != qgc.NAV_TAKEOFF:
                place = self.point(item.lat_deg, item.lon_deg)
            stops.append(_Stop(number, item, place, item.hold_s))
        return tuple(stops)

    @cached_property
    def polygons(self) -> tuple[tuple[Polygon | None, bool], ...]:
        """Each fence polygon, None for one without an inside, and whether it is to stay in."""
        shapes: list[tuple[Polygon | None, bool]] = []
        for polygon in self.plan.fence:
            ring = [self.point(lat, lon) for lat, lon in polygon.vertices]
            shape = Polygon([(p.x, p.y) for p in ring]) if len(ring) >= 3 else Polygon()
            shapes.append((shape if shape.is_valid and shape.area > 0 else None, polygon.inclusion))
        return tuple(shapes)

    @cached_property
    def allowed(self) -> BaseGeometry | None:
        """Where the fence lets the aircraft be, None when there is no (sound) fence to stay in.

        ArduPilot keeps to all inclusions at once, unless told otherwise by FENCE_OPTIONS.
        """
        circles = [
            (self.point(c.lat_deg, c.lon_deg).buffer(c.radius_m, quad_segs=64), c.inclusion)
            for c in self.plan.fence_circles
        ]
        sound = [(shape, inclusion) for shape, inclusion in self.polygons if shape is not None] + circles
        inclusions = [shape for shape, inclusion in sound if inclusion]
        if not inclusions:
            return None
        allowed = shapely.intersection_all(inclusions)
        return allowed.difference(shapely.union_all([shape for shape, inclusion in sound if not inclusion]))


def _error(sentence: str) -> Finding:
    return Finding("error", sentence)


def _warning(sentence: str) -> Finding:
    return Finding("warning", sentence)


def _check_commands(plan: FlightPlan) -> Iterator[Finding]:
    for number, item in enumerate(plan.items, start=1):
        if item.command in _REFUSED:
            name, reason, remedy = _REFUSED[item.command]
            yield _error(f"item {number} is {name} ({item.command}), which {reason}; {remedy}")
        elif item.command not in CHECKED_COMMANDS:
            yield _error(
                f"item {number} is command {item.command}, which is not among those a patrol may use; "
                "delete it or replace it by waypoints"
            )


def _check_numbers(plan: FlightPlan) -> Iterator[Finding]:
    """What is no number, or no coordinate. Comparisons are written so that "not a number" fails them."""
    parts: list[tuple[str, HomePosition | MissionItem | FenceCircle | RallyPoint]] = [("home", plan.home)]
    parts += [(f"item {n}", item) for n, item in enumerate(plan.items, start=1)]
    parts += [(f"fence circle {n}", circle) for n, circle in enumerate(plan.fence_circles, start=1)]
    parts += [(f"rally point {n}", point) for n, point in enumerate(plan.rally, start=1)]
    for name, part in parts:
        for field, value in vars(part).items():
            if field not in ("lat_deg", "lon_deg") and value is not None and not math.isfinite(value):
                yield _error(f"{name} has {value:g} as its {field}; set it to a number")
    places: list[tuple[str, float | None, float | None]] = [
        (name, part.lat_deg, part.lon_deg) for name, part in parts
    ]
    for number, polygon in enumerate(plan.fence, start=1):
        places += [
            (f"fence polygon {number}, vertex {i}", *v) for i, v in enumerate(polygon.vertices, start=1)
        ]
    for name, lat_deg, lon_deg in places:
        if lat_deg is not None and not abs(lat_deg) <= 90:
            yield _error(f"{name} has latitude {lat_deg:g}, beyond the poles; mend it")
        if lon_deg is not None and not abs(lon_deg) <= 180:
            yield _error(f"{name} has longitude {lon_deg:g}, beyond 180 degrees; mend it")


def _check_order(flight: _Flight) -> Iterator[Finding]:
    if not flight.stops:
        yield _error("holds nothing to fly to; add a take-off and waypoints")
        return
    first = flight.stops[0]
    if first.item.command != qgc.NAV_TAKEOFF:
        yield _error(f"{first.name} comes before any take-off; begin with a take-off")
    landings = [n for n, item in enumerate(flight.plan.items, start=1) if item.command in _LANDINGS]
    if not landings:
        yield _error(
            "ends without return or landing: the aircraft would hover until its battery is low; add a return"
        )
    elif flight.stops[-1].number > landings[0]:
        yield _error(
            f"{flight.stops[-1].name} comes after the first return or landing; move it up or delete it"
        )


def _check_settings(flight: _Flight) -> Iterator[Finding]:
    """Speeds, holds and the place of a take-off."""
    for number, item in enumerate(flight.plan.items, start=1):
        if item.command == qgc.DO_CHANGE_SPEED:
            yield from _check_speed(number, item)
        elif item.command == qgc.NAV_DELAY and item.hold_s <= 0:
            # Without seconds ArduPilot waits for the time of day in the other parameters, up to a day.
            yield _error(f"item {number} waits for a time of day; give it seconds to wait")
        elif not 0 <= item.hold_s <= MAX_HOLD_S:
            yield _error(f"item {number} holds for {item.hold_s:g} s; set it between 0 and {MAX_HOLD_S:g} s")
        elif item.command == qgc.NAV_TAKEOFF and item.lat_deg is not None and item.lon_deg is not None:
            # ArduPilot rises where it stands all the same: who drew it elsewhere expects another flight.
            away_m = float(flight.point(item.lat_deg, item.lon_deg).distance(flight.home))
            if away_m > TAKEOFF_PLACE_M:
                yield _error(f"item {number} takes off {_metres(away_m)} from home; set its place to home")


def _check_speed(number: int, item: MissionItem) -> Iterator[Finding]:
    if (item.param1 or 0) not in _HORIZONTAL_SPEEDS:
        yield _error(f"item {number} changes the speed up or down; delete it and keep the autopilot's own")
    elif item.param2 is None:
        yield _error(f"item {number} changes the speed to none; set a speed up to {MAX_SPEED_MPS:g} m/s")
    elif item.param2 not in _KEEP_OR_DEFAULT_SPEED and not 0 < item.param2 <= MAX_SPEED_MPS:
        yield _error(
            f"item {number} changes the speed to {item.param2:g} m/s; "
            f"set it above 0 and up to {MAX_SPEED_MPS:g} m/s"
        )


def _check_fence(flight: _Flight) -> Iterator[Finding]:
    if not any(p.inclusion for p in flight.plan.fence) and not any(
        c.inclusion for c in flight.plan.fence_circles
    ):
        yield _error("has no fence to stay inside of; draw one around the patrol")
    for number, (polygon, (shape, _)) in enumerate(
        zip(flight.plan.fence, flight.polygons, strict=True), start=1
    ):
        if shape is not None:
            continue
        count = len(set(polygon.vertices))
        if count < 3:
            yield _error(f"fence polygon {number} has {count} vertices; give it three or more")
        else:
            yield _error(f"fence polygon {number} crosses itself; put its vertices in order around it")
    for number, circle in enumerate(flight.plan.fence_circles, start=1):
        if circle.radius_m <= 0:
            yield _error(f"fence circle {number} has a radius of {circle.radius_m:g} m; make it larger")
    if flight.allowed is not None and flight.allowed.is_empty:
        yield _error("the fences leave no room to fly in; make the areas to stay in overlap")


def _check_inside(flight: _Flight) -> Iterator[Finding]:
    allowed = flight.allowed
    if allowed is None or allowed.is_empty:
        return
    places = [("home", flight.home)]
    places += [(stop.name, stop.place) for stop in flight.stops if stop.place != flight.home]
    places += [
        (f"rally point {number}", flight.point(rally.lat_deg, rally.lon_deg))
        for number, rally in enumerate(flight.plan.rally, start=1)
    ]
    for name, place in places:
        outside_m = float(allowed.distance(place))
        if outside_m > 0:
            yield _error(f"{name} lies {_metres(outside_m)} outside the fence; move it or widen the fence")
        elif allowed.boundary.distance(place) < FENCE_MARGIN_M:
            yield _warning(
                f"{name} lies within {FENCE_MARGIN_M:g} m of the fence, where the autopilot turns back; "
                "move it or widen the fence"
            )
    route = [("home", flight.home), *((stop.name, stop.place) for stop in flight.stops)]
    if any(item.command == qgc.NAV_RETURN_TO_LAUNCH for item in flight.plan.items):
        route.append(("home", flight.home))
    for (name, start), (next_name, end) in itertools.pairwise(route):
        if start == end or not (allowed.covers(start) and allowed.covers(end)):
            continue  # an end outside has been told
        beyond = LineString([start, end]).difference(allowed)
        if beyond.length > 0.01:
            furthest_m = max(
                float(allowed.distance(Point(p)))
                for p in shapely.get_coordinates(shapely.segmentize(beyond, 1.0))
            )
            yield _error(
                f"the leg from {name} to {next_name} leaves the fence by {_metres(furthest_m)}; "
                "add a waypoint between them or widen the fence"
            )


def _check_heights(flight: _Flight) -> Iterator[Finding]:
    for stop in flight.stops:
        item = stop.item
        if item.height_m is None:
            yield _error(
                f"{stop.name} has no height or a frame ({item.frame}) that says none; set its altitude"
            )
            continue
        height_m = _height_above_home_m(item, flight.plan)
        if height_m > MAX_HEIGHT_M:
            yield _error(f"{stop.name} is {_metres(height_m)} high; stay below {MAX_HEIGHT_M:g} m")
        elif height_m < MIN_HEIGHT_M and item.command != qgc.NAV_LAND:
            above_sea = ", for its height is above sea level" if item.frame == qgc.FRAME_AMSL else ""
            yield _error(
                f"{stop.name} is {height_m:.1f} m above home{above_sea}; raise it to {MIN_HEIGHT_M:g} m"
            )
    for number, rally in enumerate(flight.plan.rally, start=1):
        if not MIN_HEIGHT_M <= rally.height_above_home_m <= MAX_HEIGHT_M:
            yield _error(
                f"rally point {number} is {rally.height_above_home_m:g} m high; "
                f"set it between {MIN_HEIGHT_M:g} and {MAX_HEIGHT_M:g} m"
            )


def _check_distances(flight: _Flight) -> Iterator[Finding]:
    for number, item in enumerate(flight.plan.items, start=1):
        if item.command in _ROI_WITH_PLACE and item.lat_deg is not None and item.lon_deg is not None:
            away_m = float(flight.point(item.lat_deg, item.lon_deg).distance(flight.home))
            if away_m > FAR_FROM_HOME_M:
                yield _warning(
                    f"item {number} looks at a place {away_m / 1000:.1f} km from home; check its place"
                )
    for stop in flight.stops:
        away_m = float(stop.place.distance(flight.home))
        if away_m > FAR_FROM_HOME_M:
            yield _warning(
                f"{stop.name} is {away_m / 1000:.1f} km from home; check the planned home position, "
                "or whether the battery lasts"
            )
            return  # the first one tells it all


def _check_market(flight: _Flight, market: MarketMap) -> Iterator[Finding]:
    public = shapely.union_all([zone.polygon for zone in market.zones if zone.opening])
    home_m = float(market.outline.distance(_at(market, flight, flight.home)))
    if home_m > FAR_FROM_HOME_M:
        yield _error(
            f"home is {home_m / 1000:.1f} km from {market.name.en}; name the map that belongs to the plan"
        )
        return
    for stop in flight.stops:
        if stop.item.command == qgc.NAV_LAND or stop.item.height_m is None:
            continue
        place = _at(market, flight, stop.place)
        if not public.covers(place):
            continue
        zone = next(zone for zone in market.zones if zone.opening and zone.polygon.covers(place))
        if stop.hold_s >= HOVER_S:
            yield _warning(
                f"{stop.name} hovers for {stop.hold_s:.0f} s over {zone.name.en}, "
                "which is open to the public; hold beside it"
            )
        height_m = _height_above_home_m(stop.item, flight.plan)
        if MIN_HEIGHT_M <= height_m < MIN_HEIGHT_OVER_PUBLIC_M:
            yield _warning(
                f"{stop.name} is {height_m:.1f} m above {zone.name.en}, which is open to the public; "
                f"raise it to {MIN_HEIGHT_OVER_PUBLIC_M:g} m or more"
            )


def _height_above_home_m(item: MissionItem, plan: FlightPlan) -> float:
    """Height above home, which on flat ground is the height above ground."""
    height_m = item.height_m or 0.0
    return height_m - plan.home.height_amsl_m if item.frame == qgc.FRAME_AMSL else height_m


def _at(market: MarketMap, flight: _Flight, place: Point) -> Point:
    lat_deg, lon_deg = flight.frame.to_geodetic(place.x, place.y)
    east_m, north_m = market.frame.to_enu(lat_deg, lon_deg)
    return Point(float(east_m), float(north_m))


def _metres(distance_m: float) -> str:
    return f"{distance_m:.1f} m" if distance_m < 9.95 else f"{distance_m:.0f} m"
