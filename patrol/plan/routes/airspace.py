"""The fence around a market, and the shortest ways inside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from shapely.geometry import LineString, Polygon

from patrol.plan.checks import FENCE_MARGIN_M

FENCE_BEYOND_M = 8.0
"""The fence stands at least so far outside the market's outline, as in flightplans/night-market.plan: room
for satellite error and for the curve of a turn, before the fence acts on a flight along the edge."""

ACCELERATION_MPS2 = 2.5
"""ArduCopter's default WPNAV_ACCEL; PX4's MPC_ACC_HOR is 3."""

_KEEP_OFF_M = FENCE_MARGIN_M + 0.5  # what the checks ask for, and half a metre for rounded degrees
_CORNER_M = 2.0  # sharp corners of the fence are cut off this many margins out
_SIMPLER_M = 0.5
_TOUCH_M = 1e-3

Xy = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Airspace:
    """Where a route may go, in metres of the market's frame.

    Attributes:
        outline: the market.
        fence: ring around it that becomes the autopilot's fence.
        allowed: inside the fence by the distance at which the autopilot would turn back.
    """

    outline: Polygon
    fence: Polygon
    allowed: Polygon

    @classmethod
    def around(cls, outline: Polygon, speed_mps: float) -> "Airspace":
        """The fence far enough out for a stop from `speed_mps` at the outline: v^2 / 2a and its margin."""
        beyond_m = max(FENCE_BEYOND_M, speed_mps**2 / (2 * ACCELERATION_MPS2) + FENCE_MARGIN_M)
        grown = Polygon(outline.exterior).buffer(beyond_m, join_style="mitre", mitre_limit=_CORNER_M)
        fence = Polygon(grown.exterior).simplify(_SIMPLER_M)
        return cls(outline, fence, fence.buffer(-_KEEP_OFF_M, join_style="mitre"))


class Ways:
    """The shortest ways between points, straight or around the corners of the airspace.

    Shortest paths among polygonal obstacles turn at their corners only (Lozano-Perez and Wesley 1979), so
    they are searched in the graph of points and corners that see each other.
    """

    def __init__(self, airspace: Airspace, points: Sequence[Xy]) -> None:
        """`points` are inside `airspace.allowed`."""
        allowed = airspace.allowed
        self._count = len(points)
        self._places = np.array([*points, *_inner_corners(allowed)], dtype=np.float64).reshape(-1, 2)
        metres = np.hypot(*(self._places[:, None] - self._places[None]).transpose(2, 0, 1))
        if len(self._places) == self._count:  # no corner is in the way
            self.metres, self._before = metres, None
            return
        one, other = np.triu_indices(len(self._places), k=1)
        lines = shapely.linestrings(np.stack([self._places[one], self._places[other]], axis=1))
        room = allowed.buffer(_TOUCH_M)
        shapely.prepare(room)
        sees = room.covers(lines)
        one, other = one[sees], other[sees]
        # The sum keeps edges between points at one place, which a sparse matrix would take for none.
        graph = csr_matrix((metres[one, other] + _TOUCH_M, (one, other)), shape=metres.shape)
        self.metres, self._before = dijkstra(
            graph, directed=False, indices=np.arange(self._count), return_predecessors=True
        )
        self.metres = self.metres[:, : self._count]

    def between(self, start: int, end: int) -> list[Xy]:
        """The corners to turn at on the way from one point to another, by their numbers."""
        if self._before is None:
            return []
        corners: list[Xy] = []
        at = int(self._before[start, end])
        while at not in (start, _NO_NODE):
            east_m, north_m = self._places[at]
            corners.append((float(east_m), float(north_m)))
            at = int(self._before[start, at])
        return corners[::-1]


_NO_NODE = -9999  # scipy's mark of a node without predecessor


def _inner_corners(area: Polygon) -> list[Xy]:
    """The corners at which a shortest way may turn: those that bulge into the area, and all of its holes."""
    ring = np.asarray(shapely.geometry.polygon.orient(area).exterior.coords)[:-1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    corners = [(float(x), float(y)) for x, y in ring[turn < 0]]
    return corners + [(float(x), float(y)) for hole in area.interiors for x, y in hole.coords[:-1]]


def segments(shape: shapely.geometry.base.BaseGeometry, least_m: float) -> list[LineString]:
    """The straight or bent lines of a shape that are at least so long."""
    parts: NDArray[np.object_] = shapely.get_parts(shape)
    return [part for part in parts if isinstance(part, LineString) and part.length >= least_m]
