"""What the vehicle sends and when: a heartbeat each second, and whatever it was asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.dialects.ardupilot.telemetry import Message, Telemetry
from patrol.sim.drone import STEP_NS

HEARTBEAT_NS = 1_000_000_000
DEFAULT_INTERVAL = 0  # values of SET_MESSAGE_INTERVAL
NEVER = -1


@dataclass
class _Stream:
    interval_ns: int
    due_ns: int


class Streams:
    """The schedule of messages."""

    def __init__(self, telemetry: Telemetry, send: Callable[[Message], None]) -> None:
        self._telemetry = telemetry
        self._send = send
        self._streams = {mavlink.MAVLINK_MSG_ID_HEARTBEAT: _Stream(HEARTBEAT_NS, 0)}
        self._now_ns = 0

    def step(self, now_ns: int) -> None:
        """Send what is due."""
        self._now_ns = now_ns
        for message_id, stream in self._streams.items():
            if now_ns >= stream.due_ns:
                stream.due_ns = max(stream.due_ns + stream.interval_ns, now_ns)
                self._send_built(message_id)

    def set_interval(self, message_id: int, interval_us: int) -> bool:
        """SET_MESSAGE_INTERVAL; False for a message that does not exist here."""
        if message_id not in self._telemetry.builders:
            return False
        if interval_us == DEFAULT_INTERVAL and message_id == mavlink.MAVLINK_MSG_ID_HEARTBEAT:
            interval_us = HEARTBEAT_NS // 1000
        if interval_us > 0:
            interval_ns = max(STEP_NS, interval_us * 1000)
            self._streams[message_id] = _Stream(interval_ns, self._now_ns + interval_ns)
        else:  # never, or by default, which is never
            self._streams.pop(message_id, None)
        return True

    def tell_interval(self, message_id: int) -> bool:
        """Answer GET_MESSAGE_INTERVAL."""
        if message_id not in self._telemetry.builders:
            return False
        stream = self._streams.get(message_id)
        interval_us = NEVER if stream is None else min(stream.interval_ns // 1000, 2_147_483_647)
        self._send(mavlink.MAVLink_message_interval_message(message_id, interval_us))
        return True

    def send_once(self, message_id: int) -> bool:
        """Answer REQUEST_MESSAGE; True also when there is nothing to say."""
        if message_id not in self._telemetry.builders:
            return False
        self._send_built(message_id)
        return True

    def _send_built(self, message_id: int) -> None:
        message = self._telemetry.builders[message_id]()
        if message is not None:
            self._send(message)
