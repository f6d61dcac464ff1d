"""Time for the flight room, in seconds of the vehicle's world.

A simulated vehicle may run several times as fast as the wall clock. Everything here that says `_s` counts the
vehicle's seconds; only this file knows how many of them pass in one second of the wall.
"""

import threading
import time
from typing import Protocol

# The shortest time-out worth having on the wall: below it a busy machine looks like a silent vehicle.
_SHORTEST_PATIENCE_WALL_S = 1.0


class Clock(Protocol):
    """Where the flight room gets its time from."""

    @property
    def speed_up(self) -> float:
        """Vehicle seconds per second of the wall."""
        ...

    def monotonic_s(self) -> float:
        """Vehicle seconds since some instant; never goes back."""
        ...

    def utc_ns(self) -> int:
        """UTC of the wall, nanoseconds since 1970."""
        ...

    def wait(self, condition: threading.Condition, timeout_s: float) -> None:
        """Wait until `condition` (held by the caller) is notified or `timeout_s` vehicle seconds passed."""
        ...

    def patience_s(self, nominal_s: float) -> float:
        """A time-out of `nominal_s` vehicle seconds, lengthened where the wall would make it too short."""
        ...


class SystemClock:
    """The machine's clock, `speed_up` times as fast for all that counts vehicle seconds."""

    def __init__(self, speed_up: float = 1.0) -> None:
        self._speed_up = speed_up

    @property
    def speed_up(self) -> float:
        """Vehicle seconds per second of the wall."""
        return self._speed_up

    def monotonic_s(self) -> float:
        """Vehicle seconds since some instant; never goes back."""
        return time.monotonic() * self._speed_up

    def utc_ns(self) -> int:
        """UTC of the wall, nanoseconds since 1970."""
        return time.time_ns()

    def wait(self, condition: threading.Condition, timeout_s: float) -> None:
        """Wait until `condition` (held by the caller) is notified or `timeout_s` vehicle seconds passed."""
        condition.wait(timeout_s / self._speed_up)

    def patience_s(self, nominal_s: float) -> float:
        """A time-out of `nominal_s` vehicle seconds, lengthened where the wall would make it too short."""
        return max(nominal_s, min(_SHORTEST_PATIENCE_WALL_S, nominal_s) * self._speed_up)


def monotonic_ns(clock: Clock) -> int:
    """`monotonic_s` in whole nanoseconds."""
    return round(clock.monotonic_s() * 1e9)
