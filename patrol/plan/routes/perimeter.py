"""Once around the inside of the outline, the camera looking inwards (its gimbal pans by 90 degrees)."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.polygon import orient

from patrol.plan.routes.airspace import Airspace, Xy
from patrol.plan.routes.lawnmower import SIDEWAYS_DEG
from patrol.plan.routes.runs import Look, Run, Stop
from patrol.plan.routes.view import RouteError

INSET_M = 3.0
"""So far inside the outline: the error of plain satellite navigation, so that the flight stays over the
market's own ground. Our choice."""

_SIMPLER_M = 1.0


def perimeter(airspace: Airspace, *, height_m: float, pitch_deg: float, home: Xy) -> list[list[Run]]:
    """The rounds (more than one where the outline is narrow), each both ways, from the corner next to home.

    Raises:
        RouteError: the outline is too narrow to fly around in.
    """
    inside = airspace.outline.buffer(-INSET_M, join_style="mitre")
    rounds = [orient(part).exterior.simplify(_SIMPLER_M) for part in shapely.get_parts(inside) if part.area]
    if not rounds:
        raise RouteError(
            f"the outline is less than {2 * INSET_M:g} m wide, too narrow to fly around in; "
            "use the style lanes or watchpoints"
        )
    runs = []
    for ring in rounds:
        corners = shapely.get_coordinates(ring)[:-1]
        first = int(np.hypot(*(corners - home).T).argmin())
        there = np.roll(corners, -first, axis=0)
        there = np.vstack([there, there[:1]])  # counter-clockwise: the inside is on the left
        runs.append([
            _run(there, Look(pitch_deg, -SIDEWAYS_DEG), height_m),
            _run(there[::-1], Look(pitch_deg, SIDEWAYS_DEG), height_m),
        ])  # fmt: skip
    return runs


def _run(corners: NDArray[np.float64], look: Look, height_m: float) -> Run:
    return tuple(Stop(float(x), float(y), height_m, look=look) for x, y in corners)
