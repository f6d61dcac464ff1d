"""From watch point to watch point, holding at each and looking as it says."""

import math
from collections.abc import Sequence
from dataclasses import replace

from shapely.geometry import LineString

from patrol.geo.frames import LocalFrame
from patrol.plan.market import WatchPoint
from patrol.plan.routes.airspace import Airspace, Xy
from patrol.plan.routes.runs import Look, Run, Stop
from patrol.plan.routes.view import RouteError

APPROACHES_M = (8.0, 6.0, 4.0)
"""From so far behind a watch point it is flown to, so that the nose points along its view: both autopilots
turn the nose along a leg of more than 2 m, and PX4 refuses missions with MAV_CMD_CONDITION_YAW."""

_SAME_HEIGHT_M = 0.5
_STANDS_S = 1.0  # an aircraft that shot past the point would turn its nose about to come back


def watchpoints(
    airspace: Airspace, points: Sequence[WatchPoint], frame: LocalFrame, *, height_m: float, hold_s: float
) -> list[list[Run]]:
    """Each watch point, flown to along its view at `height_m` and entered and left straight up or down.

    Where the airspace has no room behind it, the gimbal pans instead.

    Raises:
        RouteError: the market has no watch points, or one that lies outside the fence.
    """
    if not points:
        raise RouteError(
            "the market has no watch points; draw watch points into its map or use another style"
        )
    runs = []
    for point in points:
        east_m, north_m = (float(at) for at in frame.to_enu(point.lat_deg, point.lon_deg))
        look = Look(point.pitch_deg, yaw_deg=point.yaw_deg)
        hold = Stop(east_m, north_m, point.height_above_ground_m, hold_s, look)
        outside_m = airspace.allowed.distance(LineString([hold.xy, hold.xy]))
        if outside_m > 0:
            raise RouteError(
                f'watch point "{point.id}" lies {outside_m:.0f} m outside the fence around the market; '
                "move it or widen the outline"
            )
        run: Run = (hold,)
        if abs(height_m - point.height_above_ground_m) > _SAME_HEIGHT_M:
            above = Stop(east_m, north_m, height_m, _STANDS_S)
            run = (replace(above, look=look), hold, above)
        behind = _behind(hold.xy, point.yaw_deg, airspace)
        if behind is not None:
            run = (Stop(*behind, height_m, look=Look(point.pitch_deg)), *run)
        runs.append([run])
    return runs


def _behind(at: Xy, yaw_deg: float, airspace: Airspace) -> Xy | None:
    """A place from which one flies along a bearing to a point, inside the airspace; None where none is."""
    yaw_rad = math.radians(yaw_deg)
    for away_m in APPROACHES_M:
        place = at[0] - away_m * math.sin(yaw_rad), at[1] - away_m * math.cos(yaw_rad)
        if airspace.allowed.covers(LineString([place, at])):
            return place
    return None
