"""MAV_CMD as ArduCopter answers them: each handler returns the MAV_RESULT of its COMMAND_ACK."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.dialects.ardupilot.copter import Copter
from patrol.sim.dialects.ardupilot.items import (
    HEIGHT_LIMIT_M,
    LATITUDE_LIMIT_E7,
    LONGITUDE_LIMIT_E7,
    RELATIVE_FRAMES,
)
from patrol.sim.dialects.ardupilot.modes import Mode
from patrol.sim.dialects.ardupilot.streams import Streams
from patrol.sim.dialects.ardupilot.transfer import ItemTransfer

ACCEPTED: int = mavlink.MAV_RESULT_ACCEPTED
DENIED: int = mavlink.MAV_RESULT_DENIED
UNSUPPORTED: int = mavlink.MAV_RESULT_UNSUPPORTED
FAILED: int = mavlink.MAV_RESULT_FAILED
INT_ONLY: int = mavlink.MAV_RESULT_COMMAND_INT_ONLY
FORCED = 21196  # the magic number that arms or disarms against all checks
FENCE_SETTLES_NS = 500_000_000  # a fence switched on right after its upload was refused once


@dataclass(frozen=True)
class Command:
    """A COMMAND_LONG or COMMAND_INT.

    Attributes:
        number: MAV_CMD.
        parameters: the first four.
        place_e7: the fifth and sixth as latitude and longitude in degrees times 1e7, None when they are none.
        z: the seventh.
        flags: the fifth as a bit field.
        is_relative: z counts from home, not from sea level.
        is_int: it was a COMMAND_INT.
    """

    number: int
    parameters: tuple[float, float, float, float]
    place_e7: tuple[int, int] | None
    z: float
    flags: int
    is_relative: bool
    is_int: bool


def command_of(message: mavlink.MAVLink_message) -> Command:
    """Read either kind of command message."""
    is_int = message.get_msgId() == mavlink.MAVLINK_MSG_ID_COMMAND_INT
    x, y, z = (
        (message.x, message.y, message.z) if is_int else (message.param5, message.param6, message.param7)
    )
    lat_e7, lon_e7 = (x, y) if is_int else (x * 1e7, y * 1e7)
    is_place = (
        abs(lat_e7) <= LATITUDE_LIMIT_E7 and abs(lon_e7) <= LONGITUDE_LIMIT_E7 and abs(z) < HEIGHT_LIMIT_M
    )
    return Command(
        number=message.command,
        parameters=(message.param1, message.param2, message.param3, message.param4),
        place_e7=(round(lat_e7), round(lon_e7)) if is_place else None,
        z=z,
        flags=int(x) if math.isfinite(x) else 0,
        is_relative=is_int and message.frame in RELATIVE_FRAMES,
        is_int=is_int,
    )


class Commands:
    """Carries out commands."""

    def __init__(self, copter: Copter, streams: Streams, transfer: ItemTransfer) -> None:
        self._copter = copter
        self._streams = streams
        self._transfer = transfer
        self._handlers: dict[int, Callable[[Command], int]] = {
            mavlink.MAV_CMD_COMPONENT_ARM_DISARM: self._arm_disarm,
            mavlink.MAV_CMD_DO_SET_MODE: self._set_mode,
            mavlink.MAV_CMD_MISSION_START: self._mission_start,
            mavlink.MAV_CMD_NAV_TAKEOFF: self._takeoff,
            mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: lambda _: self.enter(Mode.RTL),
            mavlink.MAV_CMD_NAV_LAND: lambda _: self.enter(Mode.LAND),
            mavlink.MAV_CMD_NAV_LOITER_UNLIM: lambda _: self.enter(Mode.LOITER),
            mavlink.MAV_CMD_DO_PAUSE_CONTINUE: self._pause_continue,
            mavlink.MAV_CMD_DO_REPOSITION: self._reposition,
            mavlink.MAV_CMD_CONDITION_YAW: self._condition_yaw,
            mavlink.MAV_CMD_DO_CHANGE_SPEED: self._change_speed,
            mavlink.MAV_CMD_DO_MOUNT_CONTROL: self._mount_control,
            mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW: self._gimbal_pitch_yaw,
            mavlink.MAV_CMD_DO_GIMBAL_MANAGER_CONFIGURE: lambda _: ACCEPTED,
            mavlink.MAV_CMD_DO_FENCE_ENABLE: self._fence_enable,
            mavlink.MAV_CMD_DO_SET_HOME: self._set_home,
            mavlink.MAV_CMD_DO_SET_MISSION_CURRENT: self._set_mission_current,
            mavlink.MAV_CMD_SET_MESSAGE_INTERVAL: self._set_message_interval,
            mavlink.MAV_CMD_GET_MESSAGE_INTERVAL: self._get_message_interval,
            mavlink.MAV_CMD_REQUEST_MESSAGE: self._request_message,
            mavlink.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES: self._request_capabilities,
            mavlink.MAV_CMD_GET_HOME_POSITION: self._get_home_position,
        }

    def run(self, command: Command) -> int:
        """Carry out a command and return its MAV_RESULT."""
        handler = self._handlers.get(command.number)
        return UNSUPPORTED if handler is None else handler(command)

    def enter(self, mode: int | Mode) -> int:
        """Change the mode by number."""
        try:
            wanted = Mode(mode)
        except ValueError:
            return FAILED
        return ACCEPTED if self._copter.set_mode(wanted) else FAILED

    def _arm_disarm(self, command: Command) -> int:
        wanted, magic = command.parameters[:2]
        force = magic == FORCED
        if wanted == 1:
            done = self._copter.arm(force=force)
        elif wanted == 0:
            done = self._copter.disarm(force=force)
        else:
            return UNSUPPORTED
        return ACCEPTED if done else FAILED

    def _set_mode(self, command: Command) -> int:
        base_mode, custom_mode = command.parameters[:2]
        if not math.isfinite(base_mode) or not int(base_mode) & mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED:
            return DENIED
        return self.enter(int(custom_mode)) if math.isfinite(custom_mode) else FAILED

    def _mission_start(self, command: Command) -> int:
        if any(command.parameters[:2]):  # a first and a last item are not supported
            return DENIED
        return _result(self._copter.start_mission())

    def _takeoff(self, command: Command) -> int:
        return _result(self._copter.take_off(command.z))

    def _pause_continue(self, command: Command) -> int:
        wanted = command.parameters[0]
        if wanted not in (0.0, 1.0):
            return DENIED
        return _result(self._copter.set_paused(paused=wanted == 0.0))

    def _reposition(self, command: Command) -> int:
        if not command.is_int:
            return INT_ONLY
        options = command.parameters[1]
        if command.place_e7 is None or not math.isfinite(options):
            return DENIED
        copter = self._copter
        datum_m = copter.home_or_start[2] if command.is_relative else -copter.drone.ground_amsl_m
        target = (*copter.place_of(*command.place_e7), command.z + datum_m)
        change_mode = bool(int(options) & mavlink.MAV_DO_REPOSITION_FLAGS_CHANGE_MODE)
        return ACCEPTED if copter.reposition(target, change_mode=change_mode) else DENIED

    def _condition_yaw(self, command: Command) -> int:
        angle_deg, rate_degps, direction, relative = command.parameters
        return _result(self._copter.pilot.turn_to(angle_deg, rate_degps, direction, relative=relative > 0))

    def _change_speed(self, command: Command) -> int:
        return _result(self._copter.pilot.set_speed(*command.parameters[:2]))

    def _mount_control(self, command: Command) -> int:
        pitch_deg, roll_deg, yaw_deg, _ = command.parameters
        return _result(self._copter.point_gimbal(pitch_deg, roll_deg, yaw_deg, yaw_locked=False))

    def _gimbal_pitch_yaw(self, command: Command) -> int:
        pitch_deg, yaw_deg, _, _ = command.parameters
        if command.flags & (mavlink.GIMBAL_MANAGER_FLAGS_RETRACT | mavlink.GIMBAL_MANAGER_FLAGS_NEUTRAL):
            pitch_deg = yaw_deg = 0.0
        yaw_locked = bool(command.flags & mavlink.GIMBAL_MANAGER_FLAGS_YAW_LOCK)
        return _result(self._copter.point_gimbal(pitch_deg, 0.0, yaw_deg, yaw_locked=yaw_locked))

    def _fence_enable(self, command: Command) -> int:
        wanted = command.parameters[0]
        if wanted not in (0.0, 1.0) or self._transfer.fence_is_settling(FENCE_SETTLES_NS):
            return FAILED
        self._copter.parameters.set("FENCE_ENABLE", wanted)
        return ACCEPTED

    def _set_home(self, command: Command) -> int:
        copter = self._copter
        if command.parameters[0] == 1:
            place = copter.position
        elif command.place_e7 is not None:
            place = (*copter.place_of(*command.place_e7), command.z - copter.drone.ground_amsl_m)
        else:
            return DENIED
        if not copter.has_position:
            return FAILED
        copter.set_home(place)
        return ACCEPTED

    def _set_mission_current(self, command: Command) -> int:
        seq = command.parameters[0]
        return ACCEPTED if math.isfinite(seq) and self._copter.mission.jump_to(int(seq)) else DENIED

    def _set_message_interval(self, command: Command) -> int:
        message_id, interval_us = command.parameters[:2]
        if not math.isfinite(message_id) or not math.isfinite(interval_us):
            return DENIED
        return ACCEPTED if self._streams.set_interval(int(message_id), int(interval_us)) else DENIED

    def _get_message_interval(self, command: Command) -> int:
        message_id = command.parameters[0]
        return _result(math.isfinite(message_id) and self._streams.tell_interval(int(message_id)))

    def _request_message(self, command: Command) -> int:
        message_id = command.parameters[0]
        return _result(math.isfinite(message_id) and self._streams.send_once(int(message_id)))

    def _request_capabilities(self, command: Command) -> int:
        if command.parameters[0] != 1:
            return FAILED
        return _result(self._streams.send_once(mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION))

    def _get_home_position(self, _command: Command) -> int:
        if self._copter.home is None:
            return FAILED
        return _result(self._streams.send_once(mavlink.MAVLINK_MSG_ID_HOME_POSITION))


def _result(done: bool) -> int:
    return ACCEPTED if done else FAILED
