"""Makes flight plans from a market map: fence, rally point, take-off, a route, return.

Only commands that both autopilots take in a mission are used: take-off, waypoint, change of speed, mount
control, return. (PX4's parse_mavlink_mission_item refuses a whole mission with MAV_CMD_CONDITION_YAW, and
ArduPilot one with MAV_CMD_DO_GIMBAL_MANAGER_CONFIGURE, without which PX4 denies DO_GIMBAL_MANAGER_PITCHYAW.)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import Point, Polygon

from patrol.geo.camera import CameraModel
from patrol.geo.coverage import LEAST_MARKED_PX, USABLE_HEIGHT_PX, Coverage
from patrol.geo.frames import LocalFrame
from patrol.plan import qgc
from patrol.plan.checks import (
    MAX_HEIGHT_M,
    MAX_HOLD_S,
    MAX_SPEED_MPS,
    MIN_HEIGHT_OVER_PUBLIC_M,
    Finding,
    check_plan,
)
from patrol.plan.flying import MAX_WIND_MPS, Flight, fly, gimbal_angles_deg
from patrol.plan.market import MarketMap, Zone
from patrol.plan.qgc import FencePolygon, FlightPlan, HomePosition, MissionItem, RallyPoint
from patrol.plan.routes.airspace import Airspace, Xy
from patrol.plan.routes.lanes import lanes_route
from patrol.plan.routes.lawnmower import lawnmower, long_side_deg
from patrol.plan.routes.perimeter import perimeter
from patrol.plan.routes.runs import Run, Stop, order
from patrol.plan.routes.view import RouteError, View, view_of
from patrol.plan.routes.watchpoints import watchpoints

PITCH_DEG = -45.0
"""A standing person seen from a height h under a depression d is f H sin(d) cos(d) / h pixels high, the most
at 45 degrees. Straight down the detector fails (models/night-patrol-nano.md); flatter, stalls hide more."""

OVERLAP = 0.2
SPEED_MPS = 5.0
"""As in flightplans/night-market.plan, and PX4's default MPC_XY_CRUISE."""

HOLD_S = 30.0
"""At a watch point; the longest that a gathering has to last to be one is 20 s (OPEN_HOURS_GATHERING)."""

ENDURANCE_MIN = 16.0
"""The simulated drone's: 5200 mAh at 18.6 A of hovering last 16.8 minutes."""

MAX_ITEMS = 500
"""What PX4 keeps (NUM_MISSIONS_SUPPORTED in its navigation.h, since 1.13). ArduPilot keeps some 700 on boards
with 16 kB of storage, more on others (github.com/ArduPilot/ardupilot/issues/2391)."""

RETURN_AT_PERCENT = 25.0
"""The charge at which the edge calls the aircraft home (`Limits.battery_return_percent`, docs/flight.md)."""

LANDED_PERCENT = 10.0
"""What shall be left on the ground: below it a lithium cell's voltage falls away (patrol/sim/battery.py), and
packs age. Our choice."""

_RALLY_INSET_M = 3.0
_LEAST_OUTLINE_M2 = 25.0
_CELL_M = 2.0
_MAX_CELLS = 1_000_000  # two kilometres square; larger markets are foretold in larger cells


class Style(StrEnum):
    """What a route follows."""

    LAWNMOWER = "lawnmower"
    PERIMETER = "perimeter"
    LANES = "lanes"
    WATCHPOINTS = "watchpoints"


@dataclass(frozen=True)
class Wish:
    """What kind of flight is wanted.

    Attributes:
        style: what the route follows.
        height_m: above ground.
        overlap: share of a strip that the next one shows again; for the lawnmower.
        speed_mps: over ground.
        pitch_deg: of the gimbal; watch points have their own.
        heading_deg: true bearing of the lawnmower's rows, None for along the long side.
        home: latitude and longitude of the launch, None for the middle of the largest closed zone.
        hold_s: how long to stay at each watch point.
        least_height_px: from how many pixels of height on a standing person counts as seen.
        endurance_min: how long the aircraft hovers on a full battery.
        wind_mps: taken to be ahead on every leg.
    """

    style: Style
    height_m: float
    overlap: float = OVERLAP
    speed_mps: float = SPEED_MPS
    pitch_deg: float = PITCH_DEG
    heading_deg: float | None = None
    home: tuple[float, float] | None = None
    hold_s: float = HOLD_S
    least_height_px: float = USABLE_HEIGHT_PX
    endurance_min: float = ENDURANCE_MIN
    wind_mps: float = 0.0


@dataclass(frozen=True)
class Battery:
    """What a flight draws, in per cent of a full battery.

    Attributes:
        patrol: until the return begins.
        whole: until it has landed.
        farthest_return: what coming home takes from where that takes the most.
    """

    patrol: float
    whole: float
    farthest_return: float

    @property
    def lasts(self) -> bool:
        """Nobody calls the aircraft home before its route is flown."""
        return self.patrol <= 100.0 - RETURN_AT_PERCENT

    @property
    def has_reserve(self) -> bool:
        """Called home at the farthest point, it lands with what shall be left."""
        return self.farthest_return <= RETURN_AT_PERCENT - LANDED_PERCENT


@dataclass(frozen=True, eq=False)
class Generated:
    """A plan, what it will see and what it takes.

    Attributes:
        document: of the .plan file.
        plan: the same as read back.
        warnings: of the checks.
        coverage: what the camera will have seen when the return begins.
        flight: how it goes.
        battery: what that draws.
    """

    document: dict[str, Any]
    plan: FlightPlan
    warnings: tuple[Finding, ...]
    coverage: Coverage
    flight: Flight
    battery: Battery


def generate(
    wish: Wish,
    market: MarketMap,
    camera: CameraModel,
    path: Path,
    tell: Callable[[float], None] = lambda _: None,
) -> Generated:
    """Make a plan. Nothing is written; `path` is what messages call it.

    Args:
        wish: what kind of flight.
        market: over what.
        camera: with what; its picture at this height decides how far apart rows lie.
        path: of the plan to be.
        tell: told now and then the share of the work that is done.

    Raises:
        RouteError: there is no such route, or the checks find an error in its plan.
    """
    _check_wish(wish)
    if market.outline.area < _LEAST_OUTLINE_M2:
        raise RouteError(
            f"the outline of {market.name.en} holds {market.outline.area:.0f} m²; draw it larger"
        )
    airspace = Airspace.around(market.outline, wish.speed_mps)
    home = _home(wish, market, airspace)
    runs = _runs(wish, market, camera, airspace, home)
    _check_count(sum(min(map(len, ways)) for ways in runs))  # before much work is done
    if not runs:
        raise RouteError(f"{market.name.en} is too small for the style {wish.style}; draw it larger")
    stops = order(runs, home, wish.height_m, airspace)
    home_position, up_m = _heights(market, home, stops)
    items = _items(wish, market.frame, stops, up_m, home_position)
    _check_count(len(items))
    fence = FencePolygon(tuple(_degrees(market.frame, airspace.fence.exterior.coords[:-1])), inclusion=True)
    document = qgc.plan_document(
        home_position, items, [fence], _rally(market, airspace, home, wish.height_m), wish.speed_mps
    )
    plan = qgc.parse_plan(document, path)
    findings = check_plan(plan, market)
    errors = [finding.sentence for finding in findings if finding.level == "error"]
    if errors:
        raise RouteError("; ".join(errors))
    flight = fly(stops, up_m, home, speed_mps=wish.speed_mps, wind_mps=wish.wind_mps)
    cell_m = max(_CELL_M, math.sqrt(market.outline.envelope.area / _MAX_CELLS))
    coverage = Coverage(market.frame, market.outline.bounds, cell_m)
    home_frame = LocalFrame(home_position.lat_deg, home_position.lon_deg)
    flight.look(coverage, camera, market.ground, home_frame, tell)
    return Generated(document, plan, tuple(findings), coverage, flight, _battery(flight, wish.endurance_min))


def _check_wish(wish: Wish) -> None:
    """Comparisons are written so that "not a number" fails them."""
    for name, value, low, high, unit in (
        ("height", wish.height_m, MIN_HEIGHT_OVER_PUBLIC_M, MAX_HEIGHT_M, "m"),
        ("speed", wish.speed_mps, 0.5, MAX_SPEED_MPS, "m/s"),
        ("pitch", wish.pitch_deg, -90.0, -5.0, "degrees"),
        ("hold", wish.hold_s, 0.0, MAX_HOLD_S, "s"),
        ("heading", wish.heading_deg or 0.0, -360.0, 360.0, "degrees"),
        ("least height", wish.least_height_px, LEAST_MARKED_PX, 1000.0, "px"),
        ("endurance", wish.endurance_min, 1.0, 600.0, "minutes"),
        ("wind", wish.wind_mps, 0.0, MAX_WIND_MPS, "m/s"),
    ):
        if not low <= value <= high:
            raise RouteError(f"the {name} is {value:g} {unit}; choose it from {low:g} to {high:g} {unit}")
    if not 0 <= wish.overlap <= 0.9:
        raise RouteError(
            f"the overlap is {wish.overlap:g}; choose it from 0 to 0.9, for with 1 no row would move on"
        )


def _check_count(items: int) -> None:
    if items > MAX_ITEMS:
        raise RouteError(
            f"the route needs {items} mission items or more, but autopilots keep {MAX_ITEMS}; "
            "fly higher, with less overlap, or split the map"
        )


def _runs(
    wish: Wish, market: MarketMap, camera: CameraModel, airspace: Airspace, home: Xy
) -> list[list[Run]]:
    match wish.style:
        case Style.LAWNMOWER:
            heading_deg = long_side_deg(market.outline) if wish.heading_deg is None else wish.heading_deg
            return lawnmower(
                airspace, _view(wish, camera), height_m=wish.height_m, pitch_deg=wish.pitch_deg,
                overlap=wish.overlap, heading_deg=heading_deg,
            )  # fmt: skip
        case Style.PERIMETER:
            _view(wish, camera)
            return perimeter(airspace, height_m=wish.height_m, pitch_deg=wish.pitch_deg, home=home)
        case Style.LANES:
            return lanes_route(
                airspace, market.lanes, _view(wish, camera), height_m=wish.height_m,
                pitch_deg=wish.pitch_deg, speed_mps=wish.speed_mps,
            )  # fmt: skip
        case Style.WATCHPOINTS:
            return watchpoints(
                airspace, market.watch_points, market.frame, height_m=wish.height_m, hold_s=wish.hold_s
            )


def _view(wish: Wish, camera: CameraModel) -> View:
    return view_of(
        camera, height_m=wish.height_m, pitch_deg=wish.pitch_deg, least_height_px=wish.least_height_px
    )


def _home(wish: Wish, market: MarketMap, airspace: Airspace) -> Xy:
    if wish.home is None:
        largest = max(_closed(market), key=lambda zone: zone.polygon.area, default=None)
        if largest is None:
            raise RouteError(
                f"{market.name.en} has no zone that is never open to the public, from which to launch; "
                "give the place of the launch as --home LAT,LON"
            )
        middle = largest.polygon.representative_point()
        return float(middle.x), float(middle.y)
    lat_deg, lon_deg = wish.home
    if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 180):
        raise RouteError(f"home {lat_deg:g},{lon_deg:g} is no place on earth; give latitude, then longitude")
    east_m, north_m = (float(at) for at in market.frame.to_enu(lat_deg, lon_deg))
    outside_m = float(airspace.allowed.distance(Point(east_m, north_m)))
    if outside_m > 0:
        raise RouteError(
            f"home {lat_deg:g},{lon_deg:g} lies {outside_m:.0f} m outside the fence around the market; "
            "launch inside it, or widen the outline"
        )
    return east_m, north_m


def _closed(market: MarketMap) -> list[Zone]:
    return [zone for zone in market.zones if not zone.opening]


def _rally(market: MarketMap, airspace: Airspace, home: Xy, height_m: float) -> list[RallyPoint]:
    """On ground that is never open, in the corner farthest from home of the zone nearest to it; or none."""
    zones = [zone.polygon.buffer(-_RALLY_INSET_M).intersection(airspace.allowed) for zone in _closed(market)]
    rooms = [room for room in zones if isinstance(room, Polygon) and not room.is_empty]
    if not rooms:
        return []
    nearest = min(rooms, key=lambda room: float(room.distance(Point(home))))
    corner = max(nearest.exterior.coords, key=lambda at: math.dist(at, home))
    ((lat_deg, lon_deg),) = _degrees(market.frame, [corner])
    return [RallyPoint(lat_deg, lon_deg, height_m)]


def _heights(market: MarketMap, home: Xy, stops: Sequence[Stop]) -> tuple[HomePosition, list[float]]:
    """Home, and the height of each stop above it, so that it flies at its height above the ground below."""
    places = _degrees(market.frame, [home, *(stop.xy for stop in stops)])
    ground_amsl_m = market.ground.height_amsl_m_at(*np.array(places).T)
    if not np.isfinite(ground_amsl_m).all():
        raise RouteError(
            "the terrain does not reach under all of the route; take one that reaches 30 m beyond the outline"
        )
    home_amsl_m, *below_m = (float(height) for height in ground_amsl_m)
    up_m = [
        round(stop.height_agl_m + below - home_amsl_m, 3) for stop, below in zip(stops, below_m, strict=True)
    ]
    return HomePosition(*places[0], round(home_amsl_m, 3)), up_m


def _degrees(frame: LocalFrame, places: Sequence[Xy]) -> list[tuple[float, float]]:
    """Latitudes and longitudes, to a millimetre."""
    east_m, north_m = np.array(places).T[:2]
    lat_deg, lon_deg = frame.to_geodetic(east_m, north_m)
    return [(round(float(lat), 8), round(float(lon), 8)) for lat, lon in zip(lat_deg, lon_deg, strict=True)]


def _items(
    wish: Wish, frame: LocalFrame, stops: Sequence[Stop], up_m: Sequence[float], home: HomePosition
) -> list[MissionItem]:
    """Take-off, speed, waypoints each with the gimbal's angles before it where these change, return."""
    items = [
        _at(qgc.NAV_TAKEOFF, (home.lat_deg, home.lon_deg), up_m[0]),
        _do(qgc.DO_CHANGE_SPEED, 1.0, wish.speed_mps, -1.0),
    ]
    east_m, north_m = frame.to_enu(home.lat_deg, home.lon_deg)
    angles = gimbal_angles_deg(stops, (float(east_m), float(north_m)))
    places = _degrees(frame, [stop.xy for stop in stops])
    last: tuple[float, float] | None = None
    for stop, place, height_m, angle in zip(stops, places, up_m, angles, strict=True):
        pitch_deg, pan_deg = round(angle[0], 2), round(angle[1], 2)
        if (pitch_deg, pan_deg) != last:
            last = pitch_deg, pan_deg
            items.append(_do(qgc.DO_MOUNT_CONTROL, pitch_deg, 0.0, pan_deg, mode=_MOUNT_BY_ANGLES))
        items.append(_at(qgc.NAV_WAYPOINT, place, height_m, hold_s=float(math.ceil(stop.hold_s))))
    return [*items, _do(qgc.NAV_RETURN_TO_LAUNCH)]


_MOUNT_BY_ANGLES = 2.0  # MAV_MOUNT_MODE_MAVLINK_TARGETING


def _at(command: int, place: tuple[float, float], height_m: float, *, hold_s: float = 0.0) -> MissionItem:
    return MissionItem(
        command, qgc.FRAME_ABOVE_HOME, hold_s, 0.0, 0.0, None, *place, height_m, autocontinue=True
    )


def _do(
    command: int, param1: float = 0.0, param2: float = 0.0, param3: float = 0.0, *, mode: float = 0.0
) -> MissionItem:
    return MissionItem(
        command, qgc.FRAME_MISSION, param1, param2, param3, 0.0, None, None, None,
        autocontinue=True, param5=0.0, param6=0.0, param7=mode,
    )  # fmt: skip


def _battery(flight: Flight, endurance_min: float) -> Battery:
    percent_per_s = 100.0 / (endurance_min * 60.0)
    return Battery(
        patrol=flight.patrol_hover_s * percent_per_s,
        whole=(flight.patrol_hover_s + flight.return_hover_s) * percent_per_s,
        farthest_return=flight.farthest_return_hover_s * percent_per_s,
    )
