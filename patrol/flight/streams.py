"""Telemetry does not come by itself: ask for it, and ask again when it stops."""

from collections import Counter, deque

from patrol.flight.commands import Command
from patrol.flight.dialects import Dialect
from patrol.flight.facts import Facts
from patrol.flight.link import Link
from patrol.flight.wire import mavlink

_US_PER_S = 1_000_000
# How often to look for what is missing.
_LOOK_EVERY_S = 5.0
# A message that was promised so often and never came is not offered in truth.
_MOST_REQUESTS = 5
# What is lost is asked for again at the next look: nothing else should wait for it.
_TRIES = 2


class Streams:
    """Keeps the messages coming that a sortie needs."""

    def __init__(self, link: Link, dialect: Dialect) -> None:
        self._link = link
        self._dialect = dialect
        self._open: deque[int] = deque()
        self._requests: Counter[int] = Counter()
        self._looked_at_s = 0.0
        self.renew()

    def renew(self) -> None:
        """Everything must be asked for, as after a restart of the vehicle."""
        self._open = deque(self._dialect.intervals_hz)
        self._requests.clear()

    def ask_all(self) -> None:
        """Ask for all that is open, one after the other, unless nobody answers."""
        while self._open and self._ask(self._open.popleft()):
            pass

    def keep_up(self, facts: Facts) -> None:
        """Ask for one thing that is missing, so that the caller is not held up."""
        now_s = self._link.clock.monotonic_s()
        if not self._open and now_s - self._looked_at_s > self._link.clock.patience_s(_LOOK_EVERY_S):
            self._looked_at_s = now_s
            self._open.extend(
                message_id
                for message_id in self._dialect.intervals_hz
                if self._requests[message_id] < _MOST_REQUESTS
                and not facts.fresh(mavlink.mavlink_map[message_id].msgname, now_s)
            )
        if self._open:
            self._ask(self._open.popleft())

    def _ask(self, message_id: int) -> bool:
        """Ask for one message; False when nobody answered."""
        name = mavlink.mavlink_map[message_id].msgname
        interval_us = _US_PER_S / self._dialect.intervals_hz[message_id]
        wish = Command(mavlink.MAV_CMD_SET_MESSAGE_INTERVAL, (float(message_id), interval_us), f"send {name}")
        result = self._link.command(wish, attempts=_TRIES).result
        if result is not None:
            self._requests[message_id] += 1
        return result is not None
