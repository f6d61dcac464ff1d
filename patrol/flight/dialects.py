"""Where autopilots differ, in one place.

`ArduPilot` states how ArduCopter behaves, measured against 4.6 in software-in-the-loop where its
documentation is silent. An autopilot of another kind is a further class that fits `Dialect`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from patrol.domain.errors import NightPatrolError
from patrol.domain.sorties import SortieState
from patrol.flight.commands import Command
from patrol.flight.facts import Facts
from patrol.flight.link import Vehicle
from patrol.flight.wire import mavlink
from patrol.plan.qgc import FlightPlan, MissionItem

_DEGREES_TO_WIRE = 1e7
# 1e-7 degree is 1.1 cm on the ground; storage that passes through single floats loses a few of them.
_PLACE_TOLERANCE_WIRE = 10
# ArduPilot stores heights in whole centimetres.
_HEIGHT_TOLERANCE_M = 0.02
# Rally points are kept in whole metres.
_RALLY_HEIGHT_TOLERANCE_M = 1.0
# A height above sea level that the vehicle made from one above home has the home's own error in it.
_REBASED_HEIGHT_TOLERANCE_M = 10.0
_PARAMETER_TOLERANCE = 0.01

_CURRENT_FRAME = {
    mavlink.MAV_FRAME_GLOBAL_INT: mavlink.MAV_FRAME_GLOBAL,
    mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT: mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT,
    mavlink.MAV_FRAME_GLOBAL_TERRAIN_ALT_INT: mavlink.MAV_FRAME_GLOBAL_TERRAIN_ALT,
}
_PLACE_FRAMES = frozenset(_CURRENT_FRAME.values())


class DialectError(NightPatrolError):
    """The vehicle's autopilot is not one that can be flown."""


class Store(IntEnum):
    """The lists of items that an autopilot keeps (MAV_MISSION_TYPE)."""

    MISSION = mavlink.MAV_MISSION_TYPE_MISSION
    FENCE = mavlink.MAV_MISSION_TYPE_FENCE
    RALLY = mavlink.MAV_MISSION_TYPE_RALLY

    @property
    def word(self) -> str:
        """What people call it."""
        return ("mission", "fence", "rally list")[self.value]


@dataclass(frozen=True)
class WireItem:
    """An item as MISSION_ITEM_INT carries it: x and y in 1e-7 degree where the item has a place."""

    command: int
    frame: int
    params: tuple[float, float, float, float]
    x: int
    y: int
    z: float
    autocontinue: bool = True


@dataclass(frozen=True)
class LaunchStep:
    """A command of the start sequence.

    Attributes:
        command: what to ask for.
        shown: true once what the vehicle says of itself shows it.
        starts_motors: needs a clearance, each time it is tried.
    """

    command: Command
    shown: Callable[[Facts], bool]
    starts_motors: bool = False


class Dialect(Protocol):
    """What a runner must know of an autopilot."""

    name: str
    # Messages to ask for by MAV_CMD_SET_MESSAGE_INTERVAL, times a second.
    intervals_hz: Mapping[int, float]
    # The sequence number on the vehicle of the plan's first item.
    first_seq: int

    def mode_name(self, mode: int) -> str:
        """The flight mode's name for people."""
        ...

    def items(self, plan: FlightPlan, store: Store) -> tuple[WireItem, ...]:
        """What to upload of the plan."""
        ...

    def difference(
        self, store: Store, seq: int, sent: WireItem, read: WireItem, plan: FlightPlan
    ) -> str | None:
        """What differs in meaning between an item and its read-back; None when nothing does."""
        ...

    def not_located(self, facts: Facts, now_s: float) -> tuple[str, ...]:
        """What is missing before the vehicle knows where it is."""
        ...

    def not_ready(self, facts: Facts, now_s: float) -> tuple[str, ...]:
        """What is missing before it can fly a mission, as sentences."""
        ...

    def launch_steps(self) -> tuple[LaunchStep, ...]:
        """What takes it from the ground into its mission, in order."""
        ...

    def disarm(self) -> Command:
        """Stop the motors if it stands on the ground; never forced."""
        ...

    def rewind(self) -> Command:
        """Go back to the first mission item."""
        ...

    def is_flying_mission(self, facts: Facts) -> bool:
        """The autopilot is in the mode that flies the mission."""
        ...

    def enable_fence(self) -> Command:
        """Keep to the fence."""
        ...

    def go_home(self) -> Command:
        """Return and land."""
        ...

    def is_going_home(self, facts: Facts) -> bool:
        """It is in a mode that returns."""
        ...

    def is_landing_here(self, facts: Facts) -> bool:
        """It is in a mode that lands where it is."""
        ...

    def may_be_called_home(self, facts: Facts, *, by_person: bool) -> bool:
        """Calling it home takes it out of nobody's hands and undoes no failsafe."""
        ...

    def phase(self, facts: Facts, command: int | None, before: SortieState) -> SortieState:
        """Where the sortie stands; `command` is that of the current mission item, None when not known."""
        ...

    def is_over(self, facts: Facts) -> bool:
        """The sortie is at its end: motors off, on the ground."""
        ...

    def gimbal_yaw(self, flags: int, yaw_rad: float, heading_rad: float | None) -> float | None:
        """Yaw against the airframe's nose of what GIMBAL_DEVICE_ATTITUDE_STATUS reports.

        None when that is against north and the aircraft's heading is not known.
        """
        ...


def dialect_of(vehicle: Vehicle) -> Dialect:
    """The dialect that a vehicle speaks.

    Raises:
        DialectError: it is none that can be flown yet.
    """
    if vehicle.autopilot == mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA and vehicle.kind in _MULTICOPTERS:
        return ArduPilot()
    autopilots = mavlink.enums["MAV_AUTOPILOT"]
    name = autopilots[vehicle.autopilot].name if vehicle.autopilot in autopilots else str(vehicle.autopilot)
    raise DialectError(
        f"vehicle {vehicle.system}: autopilot {name}, type {vehicle.kind} cannot be flown; "
        "only multicopters with ArduPilot can"
    )


_MULTICOPTERS = (
    mavlink.MAV_TYPE_QUADROTOR,
    mavlink.MAV_TYPE_HEXAROTOR,
    mavlink.MAV_TYPE_OCTOROTOR,
    mavlink.MAV_TYPE_TRICOPTER,
    mavlink.MAV_TYPE_COAXIAL,
    mavlink.MAV_TYPE_DODECAROTOR,
    mavlink.MAV_TYPE_DECAROTOR,
)

_AUTO = mavlink.COPTER_MODE_AUTO
_GUIDED = mavlink.COPTER_MODE_GUIDED
_LAND = mavlink.COPTER_MODE_LAND
_RETURNS = (mavlink.COPTER_MODE_RTL, mavlink.COPTER_MODE_SMART_RTL, mavlink.COPTER_MODE_AUTO_RTL)
# Modes in which the aircraft holds its place by itself: a person may call it home out of these.
_HOLDS = (mavlink.COPTER_MODE_BRAKE, mavlink.COPTER_MODE_LOITER)

# Parameters that ArduCopter keeps of an item, with the tolerance of its storage (most are whole numbers);
# commands that are not named keep all four (AP_Mission::mavlink_int_to_mission_cmd).
_KEPT_PARAMETERS: dict[int, dict[int, float]] = {
    mavlink.MAV_CMD_NAV_WAYPOINT: {1: 1.0},
    mavlink.MAV_CMD_NAV_SPLINE_WAYPOINT: {1: 1.0},
    mavlink.MAV_CMD_NAV_LOITER_UNLIM: {3: 1.0},
    mavlink.MAV_CMD_NAV_LOITER_TURNS: {1: 1.0, 3: 10.0},
    mavlink.MAV_CMD_NAV_LOITER_TIME: {1: 1.0},
    mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: {},
    mavlink.MAV_CMD_NAV_LAND: {},
    mavlink.MAV_CMD_NAV_TAKEOFF: {},
    mavlink.MAV_CMD_DO_CHANGE_SPEED: {1: _PARAMETER_TOLERANCE, 2: _PARAMETER_TOLERANCE},
    mavlink.MAV_CMD_DO_LAND_START: {},
    mavlink.MAV_CMD_DO_SET_ROI_LOCATION: {},
    mavlink.MAV_CMD_DO_SET_ROI_NONE: {},
    mavlink.MAV_CMD_DO_MOUNT_CONTROL: dict.fromkeys((1, 2, 3), _PARAMETER_TOLERANCE),
    mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW: dict.fromkeys((1, 2, 3, 4), 1.0),
}
_ALL_PARAMETERS = dict.fromkeys((1, 2, 3, 4), _PARAMETER_TOLERANCE)
# Commands whose fourth parameter may be "not a number" on upload; nothing else may (sanity_check_params).
_YAW_MAY_BE_OPEN = (mavlink.MAV_CMD_NAV_WAYPOINT, mavlink.MAV_CMD_NAV_LAND, mavlink.MAV_CMD_NAV_TAKEOFF)


class ArduPilot:
    """ArduCopter."""

    name = "ArduPilot"
    first_seq = 1  # slot 0 is home
    intervals_hz: Mapping[int, float] = {
        mavlink.MAVLINK_MSG_ID_SYS_STATUS: 2.0,
        mavlink.MAVLINK_MSG_ID_SYSTEM_TIME: 1.0,
        mavlink.MAVLINK_MSG_ID_GPS_RAW_INT: 2.0,
        mavlink.MAVLINK_MSG_ID_ATTITUDE: 20.0,
        mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: 10.0,
        mavlink.MAVLINK_MSG_ID_MISSION_CURRENT: 4.0,
        mavlink.MAVLINK_MSG_ID_BATTERY_STATUS: 1.0,
        mavlink.MAVLINK_MSG_ID_FENCE_STATUS: 1.0,
        mavlink.MAVLINK_MSG_ID_EKF_STATUS_REPORT: 2.0,
        mavlink.MAVLINK_MSG_ID_HOME_POSITION: 1.0,
        mavlink.MAVLINK_MSG_ID_EXTENDED_SYS_STATE: 4.0,
        mavlink.MAVLINK_MSG_ID_GIMBAL_DEVICE_ATTITUDE_STATUS: 20.0,
        # Only in builds that know zoom cameras; others refuse it.
        mavlink.MAVLINK_MSG_ID_CAMERA_FOV_STATUS: 4.0,
    }

    def mode_name(self, mode: int) -> str:
        """The flight mode's name for people."""
        modes = mavlink.enums["COPTER_MODE"]
        return str(modes[mode].name).removeprefix("COPTER_MODE_") if mode in modes else f"mode {mode}"

    # -- lists of items ------------------------------------------------------------------------------

    def items(self, plan: FlightPlan, store: Store) -> tuple[WireItem, ...]:
        """What to upload of the plan; the mission begins with home in slot 0."""
        if store is Store.FENCE:
            return tuple(_fence_items(plan))
        if store is Store.RALLY:
            return tuple(_rally_items(plan))
        return (_home_item(plan), *(_mission_item(item) for item in plan.items))

    def difference(
        self, store: Store, seq: int, sent: WireItem, read: WireItem, plan: FlightPlan
    ) -> str | None:
        """What differs in meaning between an item and its read-back; None when nothing does."""
        if store is Store.MISSION and seq < self.first_seq:
            return None
        return next(_differences(store, sent, read, plan.home.height_amsl_m), None)

    # -- ready ---------------------------------------------------------------------------------------

    def not_located(self, facts: Facts, now_s: float) -> tuple[str, ...]:
        """What is missing before the vehicle knows where it is."""
        missing = []
        if not facts.fresh("GPS_RAW_INT", now_s) or (facts.gps_fix or 0) < mavlink.GPS_FIX_TYPE_3D_FIX:
            missing.append("no satellite fix")
        if not facts.fresh("GLOBAL_POSITION_INT", now_s) or facts.position is None:
            missing.append("no position")
        if not facts.fresh("EKF_STATUS_REPORT", now_s) or not (
            (facts.estimator_flags or 0) & mavlink.EKF_POS_HORIZ_ABS
        ):
            missing.append("the estimator has no absolute position")
        if not facts.home_known:
            missing.append("no home position")
        return tuple(missing)

    def not_ready(self, facts: Facts, now_s: float) -> tuple[str, ...]:
        """What is missing before it can fly a mission: the pre-arm bit alone comes 18 s too early."""
        missing = self.not_located(facts, now_s)
        if not facts.fresh("SYS_STATUS", now_s) or not facts.prearm_good:
            missing = (*missing, "the autopilot's pre-arm checks have not passed")
        return missing

    # -- commands ------------------------------------------------------------------------------------

    def launch_steps(self) -> tuple[LaunchStep, ...]:
        """GUIDED, arm, MISSION_START.

        Arming in AUTO is refused unless AUTO_OPTIONS says otherwise, and AUTO by a mere change of mode stays
        on the ground and disarms after 9 s.
        """
        mode = (float(mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED), float(_GUIDED))
        guided = Command(mavlink.MAV_CMD_DO_SET_MODE, mode, "take mode GUIDED")
        arm = Command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, (1.0,), "arm")
        start = Command(mavlink.MAV_CMD_MISSION_START, (), "start the mission")
        return (
            LaunchStep(guided, lambda facts: bool(facts.mode == _GUIDED)),
            LaunchStep(arm, lambda facts: facts.armed is True, starts_motors=True),
            LaunchStep(start, self.is_flying_mission),
        )

    def disarm(self) -> Command:
        """Stop the motors; not forced, so it is refused in the air."""
        return Command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, (0.0,), "disarm")

    def rewind(self) -> Command:
        """Go back to the start of the mission."""
        return Command(mavlink.MAV_CMD_DO_SET_MISSION_CURRENT, (0.0,), "begin the mission at its first item")

    def is_flying_mission(self, facts: Facts) -> bool:
        """It is in AUTO."""
        return bool(facts.mode == _AUTO)

    def enable_fence(self) -> Command:
        """Switch the fence on."""
        return Command(mavlink.MAV_CMD_DO_FENCE_ENABLE, (1.0,), "switch the fence on")

    def go_home(self) -> Command:
        """RTL."""
        return Command(mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH, (), "return home")

    # -- what it is doing ----------------------------------------------------------------------------

    def is_going_home(self, facts: Facts) -> bool:
        """It is in one of the return modes."""
        return facts.mode in _RETURNS

    def is_landing_here(self, facts: Facts) -> bool:
        """It is in LAND: a failsafe's last resort, or a pilot's."""
        return bool(facts.mode == _LAND)

    def may_be_called_home(self, facts: Facts, *, by_person: bool) -> bool:
        """From AUTO and GUIDED, which are ours; a person also from a mode that only holds the place."""
        return facts.mode in (_AUTO, _GUIDED) or (by_person and facts.mode in _HOLDS)

    def phase(self, facts: Facts, command: int | None, before: SortieState) -> SortieState:
        """Where the sortie stands. The mission's own return keeps the mode AUTO, so the item tells."""
        if facts.mode == _LAND:
            return SortieState.LANDING
        if facts.mode in _RETURNS:
            return _way_down(facts)
        if facts.mode == _GUIDED and before in (SortieState.READY, SortieState.TAKING_OFF):
            return SortieState.TAKING_OFF
        if facts.mode != _AUTO:
            return SortieState.HOLDING
        if facts.mission_state == mavlink.MISSION_STATE_PAUSED:
            return SortieState.HOLDING
        return self._phase_in_mission(facts, command, before)

    def _phase_in_mission(self, facts: Facts, command: int | None, before: SortieState) -> SortieState:
        if command is None or facts.mission_state == mavlink.MISSION_STATE_COMPLETE:
            # At its end the item counter jumps back to home: what was the case still is.
            return before if before is not SortieState.HOLDING else SortieState.PATROLLING
        if command == mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH:
            return _way_down(facts)
        if command == mavlink.MAV_CMD_NAV_LAND:
            return SortieState.LANDING
        on_ground = facts.landed_state in (
            mavlink.MAV_LANDED_STATE_ON_GROUND,
            mavlink.MAV_LANDED_STATE_TAKEOFF,
        )
        if on_ground or command == mavlink.MAV_CMD_NAV_TAKEOFF:
            return SortieState.TAKING_OFF
        return SortieState.PATROLLING

    def is_over(self, facts: Facts) -> bool:
        """Disarmed and on the ground. The mode says nothing: a mission that returned is still in AUTO."""
        return facts.armed is False and facts.landed_state == mavlink.MAV_LANDED_STATE_ON_GROUND

    def gimbal_yaw(self, flags: int, yaw_rad: float, heading_rad: float | None) -> float | None:
        """As it is: ArduPilot reports it against the nose, also while the gimbal holds a heading.

        By the message's definition YAW_LOCK alone means "against north"; ArduPilot does not mean it so.
        """
        if not flags & mavlink.GIMBAL_DEVICE_FLAGS_YAW_IN_EARTH_FRAME:
            return yaw_rad
        return None if heading_rad is None else yaw_rad - heading_rad


def _way_down(facts: Facts) -> SortieState:
    if facts.landed_state in (mavlink.MAV_LANDED_STATE_LANDING, mavlink.MAV_LANDED_STATE_ON_GROUND):
        return SortieState.LANDING
    return SortieState.RETURNING


def _home_item(plan: FlightPlan) -> WireItem:
    x, y = _wire_place(plan.home.lat_deg, plan.home.lon_deg)
    frame, command = mavlink.MAV_FRAME_GLOBAL, mavlink.MAV_CMD_NAV_WAYPOINT
    return WireItem(command, frame, (0.0, 0.0, 0.0, 0.0), x, y, plan.home.height_amsl_m)


def _mission_item(item: MissionItem) -> WireItem:
    has_place = item.frame in _PLACE_FRAMES
    x, y = (
        _wire_place(item.lat_deg, item.lon_deg) if has_place else (_whole(item.param5), _whole(item.param6))
    )
    z = item.height_m if has_place else item.param7
    open_yaw = math.nan if item.command in _YAW_MAY_BE_OPEN else 0.0
    return WireItem(
        command=item.command,
        frame=item.frame,
        params=(
            item.param1 or 0.0,
            item.param2 or 0.0,
            item.param3 or 0.0,
            open_yaw if item.param4 is None else item.param4,
        ),
        x=x,
        y=y,
        z=z or 0.0,
        autocontinue=item.autocontinue,
    )


def _fence_items(plan: FlightPlan) -> Iterator[WireItem]:
    for polygon in plan.fence:
        command = (
            mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION
            if polygon.inclusion
            else mavlink.MAV_CMD_NAV_FENCE_POLYGON_VERTEX_EXCLUSION
        )
        for lat_deg, lon_deg in polygon.vertices:
            yield _fence_item(command, float(len(polygon.vertices)), lat_deg, lon_deg)
    for circle in plan.fence_circles:
        command = (
            mavlink.MAV_CMD_NAV_FENCE_CIRCLE_INCLUSION
            if circle.inclusion
            else mavlink.MAV_CMD_NAV_FENCE_CIRCLE_EXCLUSION
        )
        yield _fence_item(command, circle.radius_m, circle.lat_deg, circle.lon_deg)


def _fence_item(command: int, param1: float, lat_deg: float, lon_deg: float) -> WireItem:
    x, y = _wire_place(lat_deg, lon_deg)
    return WireItem(command, mavlink.MAV_FRAME_GLOBAL, (param1, 0.0, 0.0, 0.0), x, y, 0.0)


def _rally_items(plan: FlightPlan) -> Iterator[WireItem]:
    for point in plan.rally:
        x, y = _wire_place(point.lat_deg, point.lon_deg)
        frame, command = mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, mavlink.MAV_CMD_NAV_RALLY_POINT
        yield WireItem(command, frame, (0.0, 0.0, 0.0, 0.0), x, y, point.height_above_home_m)


def _wire_place(lat_deg: float | None, lon_deg: float | None) -> tuple[int, int]:
    """1e-7 degrees; 0, 0 means "here"."""
    if lat_deg is None or lon_deg is None:
        return 0, 0
    return round(lat_deg * _DEGREES_TO_WIRE), round(lon_deg * _DEGREES_TO_WIRE)


def _whole(parameter: float | None) -> int:
    return round(parameter or 0.0)


def _differences(store: Store, sent: WireItem, read: WireItem, home_amsl_m: float) -> Iterator[str]:
    if sent.command != read.command:
        yield f"command {sent.command} was sent, {read.command} came back"
        return
    kept = {1: _PARAMETER_TOLERANCE}
    if store is Store.MISSION:
        kept = _KEPT_PARAMETERS.get(sent.command, _ALL_PARAMETERS)
    elif store is Store.RALLY:
        kept = {}
    for number, tolerance in kept.items():
        given, got = sent.params[number - 1], read.params[number - 1]
        # Written so that "not a number" from the vehicle is a difference.
        if not math.isnan(given) and not abs(given - got) <= tolerance:
            yield f"parameter {number} was sent as {given:g}, {got:g} came back"
    if sent.frame not in _PLACE_FRAMES or sent.command == mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH:
        return
    if sent.command != mavlink.MAV_CMD_NAV_TAKEOFF and (sent.x, sent.y) != (0, 0):
        yield from _place_differences(sent, read)
    if store is Store.RALLY:
        yield from _height_differences(sent, read, home_amsl_m, _RALLY_HEIGHT_TOLERANCE_M)
    elif store is Store.MISSION:
        yield from _height_differences(sent, read, home_amsl_m, _HEIGHT_TOLERANCE_M)


def _place_differences(sent: WireItem, read: WireItem) -> Iterator[str]:
    if max(abs(sent.x - read.x), abs(sent.y - read.y)) > _PLACE_TOLERANCE_WIRE:
        yield (
            f"place {sent.x / _DEGREES_TO_WIRE:.7f}, {sent.y / _DEGREES_TO_WIRE:.7f} was sent, "
            f"{read.x / _DEGREES_TO_WIRE:.7f}, {read.y / _DEGREES_TO_WIRE:.7f} came back"
        )


def _height_differences(
    sent: WireItem, read: WireItem, home_amsl_m: float, tolerance_m: float
) -> Iterator[str]:
    sent_frame = _CURRENT_FRAME.get(sent.frame, sent.frame)
    read_frame = _CURRENT_FRAME.get(read.frame, read.frame)
    expected_m = sent.z
    rebased = (mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT, mavlink.MAV_FRAME_GLOBAL)
    if sent.command == mavlink.MAV_CMD_NAV_TAKEOFF and (sent_frame, read_frame) == rebased:
        expected_m, tolerance_m = sent.z + home_amsl_m, _REBASED_HEIGHT_TOLERANCE_M
    elif sent_frame != read_frame:
        yield f"a height in frame {sent_frame} was sent, one in frame {read_frame} came back"
        return
    if not abs(expected_m - read.z) <= tolerance_m:
        yield f"height {expected_m:.2f} m was sent, {read.z:.2f} m came back"
