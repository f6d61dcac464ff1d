"""QGroundControl's .plan files.

Format: https://docs.qgroundcontrol.com/master/en/qgc-dev-guide/file_formats/plan.html. Keys that are not used
here stay in `FlightPlan.raw`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patrol.geo.documents import DocumentError, first_fault, read_json

FRAME_AMSL = 0  # MAV_FRAME_GLOBAL
FRAME_MISSION = 2  # MAV_FRAME_MISSION: the item has no place
FRAME_ABOVE_HOME = 3  # MAV_FRAME_GLOBAL_RELATIVE_ALT
FRAME_ABOVE_TERRAIN = 10  # MAV_FRAME_GLOBAL_TERRAIN_ALT
_FRAMES = {FRAME_AMSL: 0, 5: 0, FRAME_ABOVE_HOME: 3, 6: 3, FRAME_ABOVE_TERRAIN: 10, 11: 10}
"""The frames that hold a place, and which of them means the same without the _INT of older files."""

NAV_WAYPOINT = 16
NAV_LOITER_UNLIM = 17
NAV_LOITER_TURNS = 18
NAV_LOITER_TIME = 19
NAV_RETURN_TO_LAUNCH = 20
NAV_LAND = 21
NAV_TAKEOFF = 22
NAV_LOITER_TO_ALT = 31
NAV_SPLINE_WAYPOINT = 82
NAV_VTOL_TAKEOFF = 84
NAV_VTOL_LAND = 85
NAV_DELAY = 93
NAV_PAYLOAD_PLACE = 94
CONDITION_DELAY = 112
CONDITION_DISTANCE = 114
CONDITION_YAW = 115
DO_SET_MODE = 176
DO_JUMP = 177
DO_CHANGE_SPEED = 178
DO_SET_HOME = 179
DO_SET_ROI_LOCATION = 195
DO_SET_ROI_NONE = 197
DO_SET_ROI = 201
DO_DIGICAM_CONTROL = 203
DO_MOUNT_CONTROL = 205
DO_SET_CAM_TRIGG_DIST = 206
DO_FENCE_ENABLE = 207
DO_SET_CAM_TRIGG_INTERVAL = 214
SET_CAMERA_MODE = 530
SET_CAMERA_ZOOM = 531
SET_CAMERA_FOCUS = 532
DO_GIMBAL_MANAGER_PITCHYAW = 1000
IMAGE_START_CAPTURE = 2000
IMAGE_STOP_CAPTURE = 2001
VIDEO_START_CAPTURE = 2500
VIDEO_STOP_CAPTURE = 2501

_FLOWN_TO = {
    NAV_WAYPOINT, NAV_LOITER_UNLIM, NAV_LOITER_TURNS, NAV_LOITER_TIME, NAV_LAND, NAV_TAKEOFF,
    NAV_LOITER_TO_ALT, NAV_SPLINE_WAYPOINT, NAV_VTOL_TAKEOFF, NAV_VTOL_LAND,
}  # fmt: skip
_MAX_ITEMS = 5000  # ArduPilot on a large board stores about 2,600


class PlanError(DocumentError):
    """A flight plan cannot be used; the message names the file, what is wrong in it and what to do."""


@dataclass(frozen=True)
class MissionItem:
    """One mission item as MAVLink has it (MISSION_ITEM_INT), in the order of flight.

    Attributes:
        command: MAV_CMD number.
        frame: MAV_FRAME number.
        param1, param2, param3, param4: by the command; None where the plan leaves it to the autopilot (NaN).
        lat_deg, lon_deg: WGS-84; None where the item has no place or means "here".
        height_m: in the frame's datum; None where the item has no place.
        autocontinue: go on by itself afterwards.
        param5, param6, param7: the last three parameters as written. Only items without a place use them
            (DO_MOUNT_CONTROL keeps its mode in the seventh): send them as x, y and z.
    """

    command: int
    frame: int
    param1: float | None
    param2: float | None
    param3: float | None
    param4: float | None
    lat_deg: float | None
    lon_deg: float | None
    height_m: float | None
    autocontinue: bool
    param5: float | None = None
    param6: float | None = None
    param7: float | None = None

    @property
    def is_flown_to(self) -> bool:
        """The aircraft goes to this item's place."""
        return self.command in _FLOWN_TO

    @property
    def hold_s(self) -> float:
        """How long the item keeps the aircraft where it is; infinite for an unlimited loiter."""
        if self.command == NAV_LOITER_UNLIM:
            return float("inf")
        return self.param1 or 0.0 if self.command in (NAV_WAYPOINT, NAV_LOITER_TIME, NAV_DELAY) else 0.0


@dataclass(frozen=True)
class HomePosition:
    """Where the plan expects the aircraft to start. `height_amsl_m` is above mean sea level."""

    lat_deg: float
    lon_deg: float
    height_amsl_m: float


@dataclass(frozen=True)
class FencePolygon:
    """A polygon (ring of (lat, lon) degrees, first point not repeated) to stay in, or out of."""

    vertices: tuple[tuple[float, float], ...]
    inclusion: bool


@dataclass(frozen=True)
class FenceCircle:
    """A circle to stay in, or out of."""

    lat_deg: float
    lon_deg: float
    radius_m: float
    inclusion: bool


@dataclass(frozen=True)
class RallyPoint:
    """A place to go to instead of home when something is wrong; height above home."""

    lat_deg: float
    lon_deg: float
    height_above_home_m: float


@dataclass(frozen=True)
class FlightPlan:
    """A .plan file, survey blocks expanded to their items. `raw` is the whole file as read."""

    path: Path
    home: HomePosition
    items: tuple[MissionItem, ...]
    fence: tuple[FencePolygon, ...]
    fence_circles: tuple[FenceCircle, ...]
    rally: tuple[RallyPoint, ...]
    cruise_speed_mps: float
    hover_speed_mps: float
    raw: dict[str, Any]


def read_plan(path: Path | str) -> FlightPlan:
    """Read a .plan file. Whether it is wise to fly it is for `patrol.plan.checks`.

    Raises:
        PlanError: the file cannot be read, is no plan, or holds what is not understood.
    """
    path = Path(path)
    try:
        return parse_plan(read_json(path), path)
    except DocumentError as error:
        raise PlanError(str(error)) from error


def parse_plan(raw: dict[str, Any], path: Path) -> FlightPlan:
    """The plan that a document of a .plan file holds; `path` is what errors call it.

    Raises:
        PlanError: it is no plan, or holds what is not understood.
    """
    file_type = raw.get("fileType")
    if file_type != "Plan":
        raise PlanError(
            f"{path}: fileType is {file_type!r}, not 'Plan'; save the plan from QGroundControl's Plan view"
        )
    try:
        document = _PlanFile.model_validate(raw)
    except ValidationError as error:
        raise PlanError(f"{path}: {first_fault(error)}; save the plan again from QGroundControl") from error
    items = tuple(_expand(path, document.mission.items))
    if len(items) > _MAX_ITEMS:
        raise PlanError(
            f"{path}: holds {len(items)} items, more than the {_MAX_ITEMS} an autopilot stores; split it"
        )
    lat_deg, lon_deg, height_amsl_m = document.mission.planned_home
    return FlightPlan(
        path=path,
        home=HomePosition(lat_deg, lon_deg, height_amsl_m),
        items=items,
        fence=tuple(FencePolygon(tuple(p.polygon), p.inclusion) for p in document.fence.polygons),
        fence_circles=tuple(
            FenceCircle(*c.circle.center, c.circle.radius, c.inclusion) for c in document.fence.circles
        ),
        rally=tuple(RallyPoint(*point) for point in document.rally.points),
        cruise_speed_mps=document.mission.cruise_speed,
        hover_speed_mps=document.mission.hover_speed,
        raw=raw,
    )


def plan_document(
    home: HomePosition,
    items: Sequence[MissionItem],
    fence: Sequence[FencePolygon],
    rally: Sequence[RallyPoint],
    speed_mps: float,
) -> dict[str, Any]:
    """The document of a .plan file, as QGroundControl writes it for a multicopter with ArduPilot.

    The firmware type only chooses what QGroundControl offers while the plan is edited.
    """
    return {
        "fileType": "Plan",
        "version": 1,
        "groundStation": "QGroundControl",
        "mission": {
            "version": 2,
            "firmwareType": 3,
            "vehicleType": 2,
            "cruiseSpeed": speed_mps,
            "hoverSpeed": speed_mps,
            "globalPlanAltitudeMode": 1,
            "plannedHomePosition": [home.lat_deg, home.lon_deg, home.height_amsl_m],
            "items": [_simple_item(number, item) for number, item in enumerate(items, start=1)],
        },
        "geoFence": {
            "version": 2,
            "circles": [],
            "polygons": [
                {"version": 1, "inclusion": polygon.inclusion, "polygon": [list(v) for v in polygon.vertices]}
                for polygon in fence
            ],
        },
        "rallyPoints": {
            "version": 2,
            "points": [[point.lat_deg, point.lon_deg, point.height_above_home_m] for point in rally],
        },
    }


def _simple_item(number: int, item: MissionItem) -> dict[str, Any]:
    has_place = item.frame in _FRAMES
    last = (
        (item.lat_deg, item.lon_deg, item.height_m) if has_place else (item.param5, item.param6, item.param7)
    )
    entry: dict[str, Any] = {
        "type": "SimpleItem",
        "doJumpId": number,
        "command": item.command,
        "frame": item.frame,
        "params": [item.param1, item.param2, item.param3, item.param4, *last],
        "autoContinue": item.autocontinue,
    }
    if has_place:
        entry |= {"AMSLAltAboveTerrain": None, "Altitude": item.height_m, "AltitudeMode": 1}
    return entry


class _Part(BaseModel):
    """A piece of the file; keys that are not named stay in the raw document."""

    model_config: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False, populate_by_name=True)


class _SimpleItem(_Part):
    command: int = Field(ge=0, le=65535)
    frame: int = Field(ge=0, le=255)
    params: tuple[
        float | None, float | None, float | None, float | None, float | None, float | None, float | None
    ]
    autocontinue: bool = Field(default=True, alias="autoContinue")


class _Transect(_Part):
    items: list[_SimpleItem] = Field(default_factory=list, alias="Items")


class _ComplexItem(_Part):
    kind: str = Field(alias="complexItemType")
    transect: _Transect | None = Field(default=None, alias="TransectStyleComplexItem")


class _Mission(_Part):
    cruise_speed: float = Field(default=15.0, alias="cruiseSpeed", gt=0)
    hover_speed: float = Field(default=5.0, alias="hoverSpeed", gt=0)
    planned_home: tuple[float, float, float] = Field(alias="plannedHomePosition")
    items: list[Any]


class _FencePolygon(_Part):
    polygon: list[tuple[float, float]]
    inclusion: bool


class _Circle(_Part):
    center: tuple[float, float]
    radius: float


class _FenceCircle(_Part):
    circle: _Circle
    inclusion: bool


class _Fence(_Part):
    polygons: list[_FencePolygon] = Field(default_factory=list)
    circles: list[_FenceCircle] = Field(default_factory=list)


class _Rally(_Part):
    points: list[tuple[float, float, float]] = Field(default_factory=list)


class _PlanFile(_Part):
    mission: _Mission
    fence: _Fence = Field(default_factory=_Fence, alias="geoFence")
    rally: _Rally = Field(default_factory=_Rally, alias="rallyPoints")


def _expand(path: Path, written: list[Any]) -> Iterator[MissionItem]:
    for number, entry in enumerate(written, start=1):
        item_type = entry.get("type") if isinstance(entry, dict) else None
        try:
            if item_type == "SimpleItem":
                yield _mission_item(_SimpleItem.model_validate(entry))
                continue
            if item_type != "ComplexItem":
                raise PlanError(
                    f"{path}: entry {number} has type {item_type!r}, neither 'SimpleItem' nor 'ComplexItem'; "
                    "save the plan again from QGroundControl"
                )
            block = _ComplexItem.model_validate(entry)
        except ValidationError as error:
            raise PlanError(
                f"{path}: entry {number}, {first_fault(error)}; save the plan again from QGroundControl"
            ) from error
        if block.transect is None or not block.transect.items:
            raise PlanError(
                f"{path}: entry {number} is a {block.kind!r} block whose flight is not written out; "
                "replace it by waypoints in QGroundControl"
            )
        yield from map(_mission_item, block.transect.items)


def _mission_item(item: _SimpleItem) -> MissionItem:
    param1, param2, param3, param4, param5, param6, param7 = item.params
    has_place = item.frame in _FRAMES
    is_here = param5 is None or param6 is None or (param5 == 0 and param6 == 0)
    return MissionItem(
        command=item.command,
        frame=_FRAMES.get(item.frame, item.frame),
        param1=param1,
        param2=param2,
        param3=param3,
        param4=param4,
        lat_deg=None if is_here or not has_place else param5,
        lon_deg=None if is_here or not has_place else param6,
        height_m=param7 if has_place else None,
        autocontinue=item.autocontinue,
        param5=param5,
        param6=param6,
        param7=param7,
    )
