"""The link to one vehicle.

A thread of its own reads, sorts out what is not the vehicle's, records, and keeps the ground station's
heartbeat going whatever the rest of the process does. Everything else happens on the owner's thread: messages
queue up until the owner calls `pump`, `wait_until` or `command`, and subscribers are called from there.
So the rooms above need no locks.
"""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from patrol.domain.errors import NightPatrolError
from patrol.flight.clock import Clock, SystemClock, monotonic_ns
from patrol.flight.commands import Command, CommandResult, is_answer
from patrol.flight.tlog import TlogWriter
from patrol.flight.transport import LinkError, Peer, Transport, open_transport
from patrol.flight.wire import Framer, FramingCounters, Message, mavlink

__all__ = ["Link", "LinkCounters", "LinkError", "Vehicle"]

_LOG = logging.getLogger(__name__)

# ArduPilot takes the system id 255 for its ground station unless set otherwise (SYSID_MYGCS).
_OWN_SYSTEM = 255
_OWN_COMPONENT = mavlink.MAV_COMP_ID_MISSIONPLANNER
# https://mavlink.io/en/services/heartbeat.html: components send it at 1 Hz.
_HEARTBEAT_EVERY_S = 1.0
# The heartbeat service calls a component gone after four or five missing ones.
_SILENT_AFTER_S = 5.0
# How long the reader sleeps at most; bounds the jitter of the heartbeat and the time to close.
_READ_TIMEOUT_WALL_S = 0.05
# An owner that does not look for so many messages loses the oldest.
_LONGEST_QUEUE = 20_000
# A wait looks at its condition at least so often, also when nothing comes in.
_LOOK_EVERY_S = 0.25
# https://mavlink.io/en/services/command.html leaves the figures to the sender; 1.5 s fits slow radios.
_COMMAND_TIMEOUT_S = 1.5
_COMMAND_ATTEMPTS = 4
_IN_PROGRESS_TIMEOUT_S = 20.0
_MESSAGE_TIMEOUT_S = 3.0

# Kinds of senders whose heartbeat is not an aircraft's, though they may name an autopilot.
_NOT_AIRCRAFT = (
    mavlink.MAV_TYPE_GCS,
    mavlink.MAV_TYPE_ANTENNA_TRACKER,
    mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
    mavlink.MAV_TYPE_GIMBAL,
    mavlink.MAV_TYPE_ADSB,
    mavlink.MAV_TYPE_CAMERA,
)

Subscriber = Callable[[Message], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Vehicle:
    """Whom we fly, as its first heartbeat says; `autopilot` is a MAV_AUTOPILOT, `kind` a MAV_TYPE."""

    system: int
    component: int
    autopilot: int
    kind: int


@dataclass
class LinkCounters:
    """What was not used, and why."""

    foreign_datagrams: int = 0
    foreign_messages: int = 0
    overrun_messages: int = 0
    unsent_messages: int = 0


class Link:
    """The way to one vehicle. Use it as a context manager, or call `open` and `close`.

    Args:
        url: udp://HOST:PORT (listens; answers to whoever sent the vehicle's heartbeat), tcp://HOST:PORT or
            serial:///DEVICE?baud=N.
        clock: gives the time; its speed-up scales the heartbeat and all time-outs.
        vehicle_system: the MAVLink system id to fly; None takes the first aircraft that is heard.
        tlog_path: where to record everything received and sent; None records nothing.
        transport: instead of `url`, for tests.

    Raises:
        UsageError, LinkError: from `open`, when the URL is wrong or its port or device cannot be had.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        vehicle_system: int | None = None,
        tlog_path: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._url = url
        self._clock = clock or SystemClock()
        self._wanted_system = vehicle_system
        self._tlog_path = tlog_path
        self._transport = transport
        self._tlog: TlogWriter | None = None
        self._framer = Framer()
        self.counters = LinkCounters()

        self._peer: Peer = None
        self._vehicle: Vehicle | None = None
        self._heard_at_s: float | None = None

        self._arrived = threading.Condition()
        self._queue: deque[Message] = deque()
        self._subscribers: dict[str, list[Subscriber]] = defaultdict(list)

        self._encoder = mavlink.MAVLink(None, srcSystem=_OWN_SYSTEM, srcComponent=_OWN_COMPONENT)
        self._sending = threading.Lock()
        self._next_heartbeat_s = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- life ----------------------------------------------------------------------------------------

    def open(self, *, in_background: bool = True) -> Self:
        """Open the port and start the thread; without `in_background` the caller calls `service` itself."""
        if self._transport is None:
            self._transport = open_transport(self._url)
        try:
            self._tlog = TlogWriter(self._tlog_path) if self._tlog_path else None
        except NightPatrolError:
            self._transport.close()
            raise
        self._next_heartbeat_s = self._clock.monotonic_s()
        if in_background:
            self._thread = threading.Thread(target=self._serve, name="mavlink-link", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop the thread and give the port back. The vehicle is told nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._transport is not None:
            self._transport.close()
        if self._tlog is not None:
            self._tlog.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what is known -------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The link's name for people."""
        return self._url

    @property
    def clock(self) -> Clock:
        """The link's time."""
        return self._clock

    @property
    def vehicle(self) -> Vehicle | None:
        """Whom we fly, once it was heard."""
        return self._vehicle

    @property
    def age_s(self) -> float:
        """Vehicle seconds since the last heartbeat of the vehicle; infinite before the first."""
        return float("inf") if self._heard_at_s is None else self._clock.monotonic_s() - self._heard_at_s

    @property
    def silent(self) -> bool:
        """True when the vehicle has not been heard for so long that contact is lost."""
        return self.age_s > self._clock.patience_s(_SILENT_AFTER_S)

    @property
    def framing(self) -> FramingCounters:
        """What came in, good and bad."""
        return self._framer.counters

    # -- the owner's thread --------------------------------------------------------------------------

    @contextmanager
    def subscribed(self, subscriber: Subscriber, *kinds: str) -> Iterator[None]:
        """Have `subscriber` called with each message of the named kinds, within `pump` and the waits.

        Subscribers take notes; they must not wait themselves.
        """
        for kind in kinds:
            self._subscribers[kind].append(subscriber)
        try:
            yield
        finally:
            for kind in kinds:
                self._subscribers[kind].remove(subscriber)

    def pump(self, timeout_s: float) -> None:
        """Hand out what has arrived; wait up to `timeout_s` for something when nothing has."""
        with self._arrived:
            if not self._queue:
                self._clock.wait(self._arrived, timeout_s)
            batch = list(self._queue)
            self._queue.clear()
        for message in batch:
            for subscriber in tuple(self._subscribers.get(message.get_type(), ())):
                subscriber(message)

    def wait_until(self, condition: Callable[[], T | None], timeout_s: float) -> T | None:
        """Pump until `condition` gives something true and return that; None when it did not in time."""
        deadline_s = self._clock.monotonic_s() + self._clock.patience_s(timeout_s)
        while not (result := condition()):
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                return None
            self.pump(min(left_s, _LOOK_EVERY_S))
        return result

    def wait_for_vehicle(self, timeout_s: float) -> Vehicle | None:
        """The vehicle, as soon as its heartbeat was heard; None when it was not in time."""
        return self.wait_until(lambda: self._vehicle, timeout_s)

    def command(
        self, command: Command, *, timeout_s: float = _COMMAND_TIMEOUT_S, attempts: int = _COMMAND_ATTEMPTS
    ) -> CommandResult:
        """Send a command until the vehicle answers, at most `attempts` times.

        "In progress" is waited out. An accepted command may still do nothing: look at what the vehicle says.
        """
        answers: deque[Message] = deque()

        def answer() -> Message | None:
            while answers:
                candidate = answers.popleft()
                if is_answer(candidate, command, _OWN_SYSTEM, _OWN_COMPONENT):
                    return candidate
            return None

        def last_answer() -> Message | None:
            while (candidate := answer()) is not None:
                if candidate.result != mavlink.MAV_RESULT_IN_PROGRESS:
                    return candidate
            return None

        with self.subscribed(answers.append, "COMMAND_ACK"):
            for attempt in range(attempts if self._vehicle else 0):
                self.send(command.message(self.target, attempt))
                given = self.wait_until(answer, timeout_s)
                if given is not None and given.result == mavlink.MAV_RESULT_IN_PROGRESS:
                    given = self.wait_until(last_answer, _IN_PROGRESS_TIMEOUT_S)
                if given is not None:
                    return CommandResult(command, given.result)
        return CommandResult(command, None)

    def request_message(self, message_id: int, *, timeout_s: float = _MESSAGE_TIMEOUT_S) -> Message | None:
        """Ask for one message; None when it does not come, whatever the vehicle answered to the request."""
        kind = mavlink.mavlink_map[message_id].msgname
        arrived: deque[Message] = deque()
        request = Command(mavlink.MAV_CMD_REQUEST_MESSAGE, (float(message_id),), f"send {kind}")
        with self.subscribed(arrived.append, kind):
            if not self.command(request).accepted:
                return None
            return self.wait_until(lambda: arrived[0] if arrived else None, timeout_s)

    def send(self, message: Message) -> None:
        """Send one message, from any thread. What cannot be sent is counted and lost, as in the air."""
        with self._sending:
            frame = message.pack(self._encoder)
            self._encoder.seq = (self._encoder.seq + 1) % 256
        transport = self._transport
        if transport is None or (transport.datagrams and self._peer is None):
            self.counters.unsent_messages += 1
            return
        try:
            transport.write(frame, self._peer)
        except OSError:
            self.counters.unsent_messages += 1
            return
        if self._tlog is not None:
            self._tlog.write(self._clock.utc_ns(), frame)

    @property
    def target(self) -> tuple[int, int]:
        """System and component to address.

        Raises:
            LinkError: no vehicle was heard yet; 0, 0 would address all of them.
        """
        if self._vehicle is None:
            raise LinkError(f"{self._url}: no vehicle was heard; check that it is on and sends here")
        return self._vehicle.system, self._vehicle.component

    # -- the link's thread ---------------------------------------------------------------------------

    def service(self, timeout_wall_s: float) -> bool:
        """Read once and send the heartbeat when it is due; True when something was read."""
        if self._transport is None:
            return False
        received = self._transport.read(timeout_wall_s)
        if received is not None:
            self._take(*received)
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_heartbeat_s:
            # Not `+=`: after a pause of the machine one heartbeat is due, not all that were missed.
            self._next_heartbeat_s = now_s + _HEARTBEAT_EVERY_S
            self.send(_own_heartbeat())
        return received is not None

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                self.service(min(_READ_TIMEOUT_WALL_S, _HEARTBEAT_EVERY_S / 4 / self._clock.speed_up))
            except Exception:  # noqa: BLE001 - whatever one message does, the heartbeat must go on
                _LOG.exception("reading the link failed; it goes on")
                self._stop.wait(_READ_TIMEOUT_WALL_S)

    def _take(self, data: bytes, peer: Peer) -> None:
        arrived_ns = monotonic_ns(self._clock)
        transport = self._transport
        if transport is None or not transport.datagrams:
            messages = self._framer.feed(data)
        elif peer == self._peer or self._looking_for_peer():
            messages = self._framer.feed_datagram(data)
            if peer != self._peer and not self._adopt(peer, messages):
                self.counters.foreign_datagrams += 1
                return
        else:
            self.counters.foreign_datagrams += 1
            return
        at_utc_ns = self._clock.utc_ns()
        mine = [message for message in messages if self._note(message, at_utc_ns)]
        for message in mine:
            message.arrived_ns = arrived_ns
        if mine:
            with self._arrived:
                self._queue.extend(mine)
                while len(self._queue) > _LONGEST_QUEUE:
                    self._queue.popleft()
                    self.counters.overrun_messages += 1
                self._arrived.notify_all()

    def _looking_for_peer(self) -> bool:
        return self._peer is None or self.silent

    def _adopt(self, peer: Peer, messages: list[Message]) -> bool:
        """Answer to `peer` from now on if it is our vehicle's."""
        if not any(self._is_vehicle_heartbeat(message) for message in messages):
            return False
        if self._peer is not None:
            _LOG.warning(
                "the vehicle is heard from %s instead of %s now", _address(peer), _address(self._peer)
            )
        self._peer = peer
        return True

    def _note(self, message: Message, at_utc_ns: int) -> bool:
        """Record a message; True when it is the autopilot's."""
        if self._tlog is not None:
            self._tlog.write(at_utc_ns, bytes(message.get_msgbuf()))
        if self._vehicle is None and self._is_vehicle_heartbeat(message):
            self._vehicle = Vehicle(
                message.get_srcSystem(), message.get_srcComponent(), message.autopilot, message.type
            )
        if self._vehicle is None or not _is_from(message, self._vehicle):
            self.counters.foreign_messages += 1
            return False
        if message.get_type() == "HEARTBEAT":
            self._heard_at_s = self._clock.monotonic_s()
        return True

    def _is_vehicle_heartbeat(self, message: Message) -> bool:
        if message.get_type() != "HEARTBEAT" or message.get_srcSystem() in (0, _OWN_SYSTEM):
            return False
        if message.autopilot == mavlink.MAV_AUTOPILOT_INVALID or message.type in _NOT_AIRCRAFT:
            return False
        if self._vehicle is not None:
            return _is_from(message, self._vehicle)
        return message.get_srcComponent() == mavlink.MAV_COMP_ID_AUTOPILOT1 and self._wanted_system in (
            None,
            message.get_srcSystem(),
        )


def _address(peer: Peer) -> str:
    return ":".join(str(part) for part in peer or ("nowhere",))


def _is_from(message: Message, vehicle: Vehicle) -> bool:
    return (message.get_srcSystem(), message.get_srcComponent()) == (vehicle.system, vehicle.component)


def _own_heartbeat() -> Message:
    return mavlink.MAVLink_heartbeat_message(
        mavlink.MAV_TYPE_GCS,
        mavlink.MAV_AUTOPILOT_INVALID,
        base_mode=0,
        custom_mode=0,
        system_status=mavlink.MAV_STATE_ACTIVE,
        mavlink_version=3,
    )
