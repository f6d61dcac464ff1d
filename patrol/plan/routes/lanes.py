"""Along the centre line of each lane, the camera looking ahead."""

import math
from collections.abc import Sequence

import shapely
from shapely.geometry import LineString, Point
from shapely.ops import substring

from patrol.plan.market import Lane
from patrol.plan.routes.airspace import ACCELERATION_MPS2, Airspace
from patrol.plan.routes.runs import Look, Run, Stop
from patrol.plan.routes.view import RouteError, View

YAW_RATE_DEGPS = 60.0
"""ArduCopter's default ATC_SLEW_YAW; the default of PX4's MPC_YAWRAUTO_MAX, too."""

_YAW_SETTLES_S = 0.4  # 1 / 2.5 per second, the gain of the simulated drone's yaw
_NOTHING_M = 2.0  # a cell of the coverage's grid
_SIMPLER_M = 0.5


def lanes_route(
    airspace: Airspace,
    lanes: Sequence[Lane],
    view: View,
    *,
    height_m: float,
    pitch_deg: float,
    speed_mps: float,
) -> list[list[Run]]:
    """Each lane both ways.

    Looking ahead, the first metres of a lane are not seen from the lane: it is begun before its end where the
    airspace has room, and what is still not seen is seen the other way by coming in against the direction of
    flight and turning at the end. It is left as soon as the far end has been seen.

    Raises:
        RouteError: the market has no lane, or one that leaves the fence.
    """
    if not lanes:
        raise RouteError("the market has no lanes; draw lanes into its map or use another style")
    look = Look(pitch_deg)
    runs = []
    for lane in lanes:
        line = lane.line.simplify(_SIMPLER_M)
        if line.length < _NOTHING_M:
            continue
        if not airspace.allowed.covers(line):
            raise RouteError(
                f'lane "{lane.id}" leaves the fence around the market; shorten it or widen the outline'
            )
        ahead_m = view.ahead_of(lane.width_m / 2)
        ways = (_swept(way, ahead_m, _turning_m(speed_mps), airspace) for way in (line, line.reverse()))
        runs.append([_run(way, look, height_m) for way in ways])
    return runs


def _turning_m(speed_mps: float) -> float:
    """How far the aircraft comes, from standing, while its nose turns about."""
    turning_s = 180.0 / YAW_RATE_DEGPS + _YAW_SETTLES_S
    speeding_up_s = min(turning_s, speed_mps / ACCELERATION_MPS2)
    return 0.5 * ACCELERATION_MPS2 * speeding_up_s**2 + speed_mps * (turning_s - speeding_up_s)


def _swept(line: LineString, ahead_m: float, turning_m: float, airspace: Airspace) -> LineString:
    """The way that shows a line from end to end to a camera that sees what lies `ahead_m` ahead."""
    before = _run_up(line, ahead_m + turning_m, airspace)
    unseen_m = ahead_m + turning_m - before.length
    whole = LineString([*before.coords, *line.coords[1:]]) if before.length > 0 else line
    until_m = max(whole.length - ahead_m, before.length)
    way = substring(whole, 0.0, until_m)
    if unseen_m <= _NOTHING_M:
        return way
    in_from_m = min(line.length, unseen_m + ahead_m + turning_m)
    coming_in = substring(line, in_from_m, 0.0)
    return LineString([*coming_in.coords, *way.coords])


def _run_up(line: LineString, wanted_m: float, airspace: Airspace) -> LineString:
    """The straight line to the start of a line, as long as wanted or as there is room inside the outline."""
    (x0, y0), (x1, y1) = line.coords[0], line.coords[1]
    length_m = math.dist((x0, y0), (x1, y1))
    back = (x0 - (x1 - x0) / length_m * wanted_m, y0 - (y1 - y0) / length_m * wanted_m)
    room = LineString([(x0, y0), back]).intersection(airspace.outline)
    parts = [
        part for part in shapely.get_parts(room) if part.distance(Point(x0, y0)) < 1e-6 and part.length > 0
    ]
    if not parts:
        return LineString([(x0, y0), (x0, y0)])
    end = max(shapely.get_coordinates(parts[0]).tolist(), key=lambda at: math.dist(at, (x0, y0)))
    return LineString([end, (x0, y0)])


def _run(line: LineString, look: Look, height_m: float) -> Run:
    places = [place for i, place in enumerate(line.coords) if i == 0 or place != line.coords[i - 1]]
    first, *others = (Stop(x, y, height_m) for x, y in places)
    return (Stop(*first.xy, height_m, look=look), *others)
