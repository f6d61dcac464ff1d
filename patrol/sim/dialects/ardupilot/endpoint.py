"""The vehicle's end of the link: bytes in, messages to their handlers, bytes out."""

import logging
from collections import deque
from collections.abc import Callable

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.dialects.ardupilot.commands import Command, Commands, command_of
from patrol.sim.dialects.ardupilot.copter import Copter
from patrol.sim.dialects.ardupilot.streams import Streams
from patrol.sim.dialects.ardupilot.telemetry import Message, Telemetry
from patrol.sim.dialects.ardupilot.transfer import ItemTransfer
from patrol.sim.drone import STEP_NS, Drone

log = logging.getLogger(__name__)

SYSTEM_ID = 1
COMPONENT_ID = mavlink.MAV_COMP_ID_AUTOPILOT1
TEXT_LIMIT = 50
BROADCAST = 0
PARAMETERS_PER_STEP = 2  # a list goes out at 100 parameters a second
MOST_LATE_ANSWERS = 100


class ArduPilot:
    """ArduCopter on a link. Call `receive` with what comes in and `step` once for each step of the drone."""

    def __init__(self, drone: Drone, send: Callable[[bytes], None], *, boot_s: float) -> None:
        """`send` takes whole MAVLink 2 frames; `boot_s` is when the position becomes usable."""
        self._drone = drone
        self._send_bytes = send
        self._codec = mavlink.MAVLink(None, srcSystem=SYSTEM_ID, srcComponent=COMPONENT_ID)
        self._codec.robust_parsing = True
        self.copter = Copter(drone, self, boot_s=boot_s)
        self._telemetry = Telemetry(self.copter)
        self._streams = Streams(self._telemetry, self._send)
        self._transfer = ItemTransfer(self.copter, self._send)
        self._commands = Commands(self.copter, self._streams, self._transfer)
        self._parameters_to_send: deque[str] = deque()
        self._late_answers: deque[tuple[int, Message]] = deque(maxlen=MOST_LATE_ANSWERS)
        self._handlers: dict[str, Callable[[Message], None]] = {
            "HEARTBEAT": self._heartbeat,
            "COMMAND_LONG": self._command,
            "COMMAND_INT": self._command,
            "SET_MODE": self._set_mode,
            "PARAM_REQUEST_LIST": self._param_request_list,
            "PARAM_REQUEST_READ": self._param_request_read,
            "PARAM_SET": self._param_set,
            "MISSION_COUNT": lambda m: self._transfer.handle_count(m, _peer(m)),
            "MISSION_ITEM": lambda m: self._transfer.handle_item(m, _peer(m)),
            "MISSION_ITEM_INT": lambda m: self._transfer.handle_item(m, _peer(m)),
            "MISSION_REQUEST_LIST": lambda m: self._transfer.handle_request_list(m, _peer(m)),
            "MISSION_REQUEST": lambda m: self._transfer.handle_request(m, _peer(m)),
            "MISSION_REQUEST_INT": lambda m: self._transfer.handle_request(m, _peer(m)),
            "MISSION_CLEAR_ALL": lambda m: self._transfer.handle_clear(m, _peer(m)),
            "MISSION_SET_CURRENT": self._mission_set_current,
            "TIMESYNC": self._timesync,
        }
        self.text(mavlink.MAV_SEVERITY_INFO, "ArduCopter V4.6.0-dev (simulated)")

    def receive(self, data: bytes) -> None:
        """Take one datagram; rubbish in it is skipped and never spoils the next one."""
        codec = self._codec
        codec.buf, codec.buf_index, codec.expected_length = bytearray(), 0, mavlink.HEADER_LEN_V1 + 2
        for message in codec.parse_buffer(data) or ():
            if message.get_msgId() >= 0:
                self._dispatch(message)

    def step(self) -> None:
        """Fly and talk for one step of the drone."""
        self.copter.step()
        self._transfer.step()
        for _ in range(min(PARAMETERS_PER_STEP, len(self._parameters_to_send))):
            self._send_parameter(self._parameters_to_send.popleft())
        self._send_late_answers()
        self._streams.step(self._drone.boot_ns)

    # Listener

    def text(self, severity: int, text: str) -> None:
        """Send a STATUSTEXT."""
        log.info("%s", text)
        self._send(mavlink.MAVLink_statustext_message(severity, text.encode("ascii", "replace")[:TEXT_LIMIT]))

    def item_reached(self, seq: int) -> None:
        """Send a MISSION_ITEM_REACHED."""
        self._send(mavlink.MAVLink_mission_item_reached_message(seq))

    def home_moved(self) -> None:
        """Send a HOME_POSITION."""
        message = self._telemetry.home_position()
        if message is not None:
            self._send(message)

    # Messages

    def _dispatch(self, message: Message) -> None:
        handler = self._handlers.get(message.get_type())
        target = getattr(message, "target_system", BROADCAST)
        if handler is None or target not in (BROADCAST, SYSTEM_ID):
            return
        handler(message)

    def _heartbeat(self, message: Message) -> None:
        """Only the vehicle's own ground station counts, never another vehicle or itself."""
        if message.get_srcSystem() == int(self.copter.parameters["SYSID_MYGCS"]):
            self.copter.failsafes.station_heard()

    def _command(self, message: Message) -> None:
        command: Command = command_of(message)
        result = self._commands.run(command)
        self._send(mavlink.MAVLink_command_ack_message(command.number, result, 0, 0, *_peer(message)))

    def _set_mode(self, message: Message) -> None:
        result = self._commands.enter(message.custom_mode)
        self._send(
            mavlink.MAVLink_command_ack_message(
                mavlink.MAVLINK_MSG_ID_SET_MODE, result, 0, 0, *_peer(message)
            )
        )

    def _param_request_list(self, _message: Message) -> None:
        self._parameters_to_send = deque(self.copter.parameters.names)

    def _param_request_read(self, message: Message) -> None:
        names = self.copter.parameters.names
        name = message.param_id if message.param_index < 0 else None
        if 0 <= message.param_index < len(names):
            name = names[message.param_index]
        if name is not None and name in self.copter.parameters:
            self._send_parameter(name)

    def _param_set(self, message: Message) -> None:
        if message.param_id in self.copter.parameters:
            self.copter.parameters.set_by_station(message.param_id, message.param_value)
            self._send_parameter(message.param_id)

    def _send_parameter(self, name: str) -> None:
        parameters = self.copter.parameters
        self._send(
            mavlink.MAVLink_param_value_message(
                name.encode("ascii"),
                parameters[name],
                parameters.kind(name),
                len(parameters),
                parameters.index(name),
            )
        )

    def _mission_set_current(self, message: Message) -> None:
        if self.copter.mission.jump_to(message.seq):
            self._send(self._telemetry.mission_current())

    def _timesync(self, message: Message) -> None:
        """Answer with the time since boot, in whole microseconds as the real one does."""
        if message.tc1 != 0:
            return
        now_ns = self._drone.boot_ns + self._drone.since_step_ns
        answer = mavlink.MAVLink_timesync_message(now_ns // 1000 * 1000, message.ts1)
        lag_ms = self.copter.parameters["SIM_TSYNC_LAG"]
        if lag_ms > 0:
            self._late_answers.append((now_ns + round(lag_ms * 1e6), answer))
        else:
            self._send(answer)

    def _send_late_answers(self) -> None:
        now_ns = self._drone.boot_ns + STEP_NS  # a step is taken when its time is over
        while self._late_answers and self._late_answers[0][0] <= now_ns:
            self._send(self._late_answers.popleft()[1])

    def _send(self, message: Message) -> None:
        self._send_bytes(bytes(message.pack(self._codec)))
        self._codec.seq = (self._codec.seq + 1) % 256


def _peer(message: Message) -> tuple[int, int]:
    """System and component of the sender."""
    return message.get_srcSystem(), message.get_srcComponent()
