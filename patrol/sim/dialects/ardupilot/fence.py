"""The fence that ArduCopter keeps: a ceiling, a circle about home, and polygons and circles on the ground."""

import math
from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.geo.frames import LocalFrame
from patrol.sim.body import Vector
from patrol.sim.dialects.ardupilot.items import FenceShape
from patrol.sim.dialects.ardupilot.parameters import Parameters

CEILING = 1  # bits of FENCE_TYPE
CIRCLE = 2
SHAPES = 4
NAMES = {CEILING: "Max Alt", CIRCLE: "Circle", SHAPES: "Polygon"}

Point = tuple[float, float]


def is_inside(point: Point, vertices: tuple[Point, ...]) -> bool:
    """True when a point lies in a polygon, by the even-odd rule (it may cross itself)."""
    inside = False
    x, y = point
    previous_x, previous_y = vertices[-1]
    for vertex_x, vertex_y in vertices:
        crosses = (vertex_y > y) != (previous_y > y)
        if crosses and x < (previous_x - vertex_x) * (y - vertex_y) / (previous_y - vertex_y) + vertex_x:
            inside = not inside
        previous_x, previous_y = vertex_x, vertex_y
    return inside


@dataclass(frozen=True)
class _Shape:
    inclusion: bool
    vertices_m: tuple[Point, ...]
    radius_m: float | None

    def is_kept(self, point: Point) -> bool:
        if self.radius_m is not None:
            return (math.dist(point, self.vertices_m[0]) <= self.radius_m) == self.inclusion
        return is_inside(point, self.vertices_m) == self.inclusion


class Fence:
    """The fence and whether it is being broken."""

    def __init__(self, parameters: Parameters, frame: LocalFrame) -> None:
        self._parameters = parameters
        self._frame = frame
        self._shapes: tuple[_Shape, ...] = ()
        self.breaches = 0
        self.breach_count = 0
        self.breach_boot_ms = 0

    @property
    def enabled(self) -> bool:
        """True when the fence is switched on."""
        return self._parameters["FENCE_ENABLE"] == 1

    def load(self, shapes: tuple[FenceShape, ...]) -> None:
        """Take over newly uploaded shapes."""
        self._shapes = tuple(
            _Shape(
                shape.inclusion,
                tuple(self._metres(lat, lon) for lat, lon in shape.vertices_e7),
                shape.radius_m,
            )
            for shape in shapes
        )

    def _metres(self, lat_e7: int, lon_e7: int) -> Point:
        east, north = self._frame.to_enu(lat_e7 / 1e7, lon_e7 / 1e7)
        return float(north), float(east)

    def broken_at(self, position: Vector, home: Vector) -> int:
        """The bits of FENCE_TYPE that a position breaks."""
        parameters, point = self._parameters, (position[0], position[1])
        broken = 0
        if position[2] - home[2] > parameters["FENCE_ALT_MAX"]:
            broken |= CEILING
        if math.dist(point, home[:2]) > parameters["FENCE_RADIUS"]:
            broken |= CIRCLE
        if not all(shape.is_kept(point) for shape in self._shapes):
            broken |= SHAPES
        return broken & int(parameters["FENCE_TYPE"])

    def update(self, position: Vector, home: Vector, boot_ms: int) -> int:
        """The bits that are broken now and were not before."""
        broken = self.broken_at(position, home) if self.enabled else 0
        new = broken & ~self.breaches
        self.breaches = broken
        if new:
            self.breach_count = min(self.breach_count + 1, 65_535)
            self.breach_boot_ms = boot_ms
        return new

    @property
    def breach_type(self) -> int:
        """FENCE_BREACH of the present breach."""
        breach: int = mavlink.FENCE_BREACH_NONE
        if self.breaches:
            breach = mavlink.FENCE_BREACH_MAXALT if self.breaches & CEILING else mavlink.FENCE_BREACH_BOUNDARY
        return breach
