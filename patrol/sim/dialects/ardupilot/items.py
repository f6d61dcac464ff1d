"""Mission, fence and rally items: what ArduPilot accepts, and what it keeps of them."""

import math
from dataclasses import dataclass, replace

from pymavlink.dialects.v20 import ardupilotmega as mavlink

LATITUDE_LIMIT_E7 = 900_000_000
LONGITUDE_LIMIT_E7 = 1_800_000_000
HEIGHT_LIMIT_M = 83_000.0  # heights are kept in 24 bits of centimetres
POLYGON_MINIMUM_VERTICES = 3

ABSOLUTE_FRAMES = (mavlink.MAV_FRAME_MISSION, mavlink.MAV_FRAME_GLOBAL, mavlink.MAV_FRAME_GLOBAL_INT)
RELATIVE_FRAMES = (mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT)

# Parameters that survive storage, by command; the others read back as zero.
_KEPT_PARAMETERS: dict[int, tuple[int, ...]] = {
    mavlink.MAV_CMD_NAV_WAYPOINT: (1,),
    mavlink.MAV_CMD_NAV_LOITER_UNLIM: (3,),
    mavlink.MAV_CMD_NAV_LOITER_TIME: (1,),
    mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: (),
    mavlink.MAV_CMD_NAV_LAND: (1,),
    mavlink.MAV_CMD_NAV_TAKEOFF: (1,),
    mavlink.MAV_CMD_NAV_DELAY: (1, 2, 3, 4),
    mavlink.MAV_CMD_CONDITION_DELAY: (1,),
    mavlink.MAV_CMD_CONDITION_DISTANCE: (1,),
    mavlink.MAV_CMD_CONDITION_YAW: (1, 2, 3, 4),
    mavlink.MAV_CMD_DO_JUMP: (1, 2),
    mavlink.MAV_CMD_DO_CHANGE_SPEED: (1, 2, 3),
    mavlink.MAV_CMD_DO_SET_HOME: (1,),
    mavlink.MAV_CMD_DO_SET_ROI: (1,),
    mavlink.MAV_CMD_DO_LAND_START: (),
    mavlink.MAV_CMD_DO_MOUNT_CONTROL: (1, 2, 3),
    mavlink.MAV_CMD_DO_FENCE_ENABLE: (1,),
    mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW: (1, 2, 3, 4),
}
_WHOLE_SECONDS = (mavlink.MAV_CMD_NAV_WAYPOINT, mavlink.MAV_CMD_NAV_LOITER_TIME)
_WITH_POSITION = (
    mavlink.MAV_CMD_NAV_WAYPOINT,
    mavlink.MAV_CMD_NAV_LOITER_UNLIM,
    mavlink.MAV_CMD_NAV_LOITER_TIME,
    mavlink.MAV_CMD_NAV_LAND,
    mavlink.MAV_CMD_NAV_TAKEOFF,
    mavlink.MAV_CMD_DO_SET_HOME,
    mavlink.MAV_CMD_DO_SET_ROI,
    mavlink.MAV_CMD_DO_LAND_START,
)
_YAW_MAY_BE_NAN = (mavlink.MAV_CMD_NAV_WAYPOINT, mavlink.MAV_CMD_NAV_LAND, mavlink.MAV_CMD_NAV_TAKEOFF)
_POLYGONS = (
    mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION,
    mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_EXCLUSION,
)
_CIRCLES = (mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION, mavlink.MAV_CMD_NAV_FENCE_CIRCLE_EXCLUSION)


class ItemError(Exception):
    """An item is refused; `result` is the MAV_MISSION_RESULT to answer with."""

    def __init__(self, result: int) -> None:
        super().__init__(f"MAV_MISSION_RESULT {result}")
        self.result = result


@dataclass(frozen=True)
class Item:
    """One mission, fence or rally item in MISSION_ITEM_INT's terms."""

    command: int
    frame: int
    parameters: tuple[float, float, float, float]
    x: int
    y: int
    z: float

    @property
    def is_navigation(self) -> bool:
        """True for commands that move the vehicle; the rest run beside them."""
        return bool(self.command <= mavlink.MAV_CMD_NAV_LAST)

    @property
    def has_position(self) -> bool:
        """True when x and y are a place (both zero mean: where the vehicle is)."""
        return self.command in _WITH_POSITION and (self.x, self.y) != (0, 0)


def stored_mission_item(item: Item) -> Item:
    """What ArduPilot keeps of a mission item.

    Raises:
        ItemError: it is refused.
    """
    if item.command not in _KEPT_PARAMETERS:
        raise ItemError(mavlink.MAV_MISSION_UNSUPPORTED)
    for number, value in enumerate(item.parameters, start=1):
        may_be_nan = number == 4 and item.command in _YAW_MAY_BE_NAN
        if math.isinf(value) or (math.isnan(value) and not may_be_nan):
            raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM1 + number - 1)
    kept = _KEPT_PARAMETERS[item.command]
    first, second, third, fourth = (
        value if number in kept else 0.0 for number, value in enumerate(item.parameters, start=1)
    )
    if item.command in _WHOLE_SECONDS:
        first = float(max(0, min(65_535, int(first))))
    if item.command == mavlink.MAV_CMD_NAV_LOITER_TIME:
        third = 1.0  # clockwise
    # Items without a position lose frame and coordinates; so does the take-off, which climbs where it stands.
    blank = replace(
        item, frame=mavlink.MAV_FRAME_GLOBAL, parameters=(first, second, third, fourth), x=0, y=0, z=0.0
    )
    if item.command == mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW:
        return replace(blank, x=item.x, z=item.z)  # flags and gimbal
    if item.command not in _WITH_POSITION:
        return blank
    frame, height_m = _checked_place(item)
    if item.command == mavlink.MAV_CMD_NAV_TAKEOFF:
        return replace(blank, frame=frame, z=height_m)
    return replace(blank, frame=frame, x=item.x, y=item.y, z=height_m)


def stored_fence_item(item: Item) -> Item:
    """What ArduPilot keeps of a fence item.

    Raises:
        ItemError: it is refused.
    """
    if item.command not in (*_POLYGONS, *_CIRCLES, mavlink.MAV_CMD_NAV_FENCE_RETURN_POINT):
        raise ItemError(mavlink.MAV_MISSION_UNSUPPORTED)
    if not math.isfinite(item.parameters[0]):
        raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM1)
    _checked_place(item)
    return Item(
        item.command, mavlink.MAV_FRAME_GLOBAL, (item.parameters[0], 0.0, 0.0, 0.0), item.x, item.y, 0.0
    )


def stored_rally_item(item: Item) -> Item:
    """What ArduPilot keeps of a rally point.

    Raises:
        ItemError: it is refused.
    """
    if item.command != mavlink.MAV_CMD_NAV_RALLY_POINT:
        raise ItemError(mavlink.MAV_MISSION_UNSUPPORTED)
    frame, height_m = _checked_place(item)
    return Item(item.command, frame, (0.0, 0.0, 0.0, 0.0), item.x, item.y, height_m)


def _checked_place(item: Item) -> tuple[int, float]:
    """The frame and the height (m, whole centimetres) that are kept."""
    if abs(item.x) > LATITUDE_LIMIT_E7:
        raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM5_X)
    if abs(item.y) > LONGITUDE_LIMIT_E7:
        raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM6_Y)
    if math.isnan(item.z) or abs(item.z) >= HEIGHT_LIMIT_M:
        raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM7)
    height_m = int(item.z * 100.0) / 100.0
    if item.frame in ABSOLUTE_FRAMES:
        return mavlink.MAV_FRAME_GLOBAL, height_m
    if item.frame in RELATIVE_FRAMES:
        return mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, height_m
    raise ItemError(mavlink.MAV_MISSION_UNSUPPORTED_FRAME)


@dataclass(frozen=True)
class FenceShape:
    """A polygon (three vertices or more) or circle (its centre, a radius); degrees times 1e7."""

    inclusion: bool
    vertices_e7: tuple[tuple[int, int], ...]
    radius_m: float | None = None


def fence_shapes(items: tuple[Item, ...]) -> tuple[FenceShape, ...]:
    """Put fence items together.

    Raises:
        ItemError: a polygon is broken off or has less than three vertices. It may cross itself.
    """
    shapes: list[FenceShape] = []
    position = 0
    while position < len(items):
        first = items[position]
        count = 1
        if first.command in _CIRCLES:
            inclusion = first.command == mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION
            shapes.append(FenceShape(inclusion, ((first.x, first.y),), first.parameters[0]))
        elif first.command in _POLYGONS:
            count = int(first.parameters[0])
            vertices = items[position : position + max(count, 0)]
            alike = all(
                (v.command, v.parameters[0]) == (first.command, first.parameters[0]) for v in vertices
            )
            if count < POLYGON_MINIMUM_VERTICES or len(vertices) != count or not alike:
                raise ItemError(mavlink.MAV_MISSION_ERROR)
            inclusion = first.command == mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
            shapes.append(FenceShape(inclusion, tuple((v.x, v.y) for v in vertices)))
        position += count
    return tuple(shapes)
