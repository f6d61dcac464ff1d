"""How far this machine's monotonic clock is ahead of the vehicle's boot clock, by round trips of TIMESYNC.

https://mavlink.io/en/services/timesync.html: a request carries the asker's time in `ts1` and 0 in `tc1`, the
answer gives `ts1` back and the answerer's time in `tc1`. ArduPilot (GCS_MAVLINK::handle_timesync) and PX4
(MavlinkTimesync) both answer with their time since boot in whole microseconds.

When the vehicle wrote `tc1`, the request had been sent and the answer had not arrived. So each round trip
bounds the offset from both sides, however unequal the two ways are: its middle is wrong by at most half of it
(Cristian, "Probabilistic clock synchronization", 1989). The bounds of several round trips hold together, so
the offset lies where they overlap (Marzullo and Owicki, "Maintaining the time in a distributed system",
1983): never wider than the shortest round trip alone, which the clock filter of RFC 5905, section 10, would
pick. Where they do not overlap one of the clocks was set anew, and all that was known is forgotten.
"""

import math
from dataclasses import dataclass

_SECOND_NS = 1_000_000_000
# The first few come quickly: the offset is wanted before the first picture, and the shortest of many round
# trips is shorter. After that once a second keeps up with the drift, at 28 bytes a second.
_FIRST_REQUESTS = 10
_FIRST_EVERY_NS = _SECOND_NS // 5
_EVERY_NS = _SECOND_NS
# An answer later than this would bound nothing; nor is its request remembered.
_LONGEST_ROUND_TRIP_NS = 2 * _SECOND_NS
# One round trip could be a slip of the other side; three that overlap are not.
_LEAST_ROUND_TRIPS = 3
# What drift over this adds to a bound is still below the round trip of a good telemetry radio.
_KEEP_NS = 30 * _SECOND_NS
# Crystals of autopilots and small computers keep time to 50 ppm each over their range of temperature.
_DRIFT = 100e-6
_RESOLUTION_NS = 1_000


@dataclass(frozen=True)
class ClockOffset:
    """The monotonic clock is ahead of the boot clock by `ahead_ns`, wrong by at most `bound_ns`."""

    ahead_ns: int
    bound_ns: int


@dataclass(frozen=True)
class _RoundTrip:
    """The offset was between `least_ns` and `most_ns` at some time after `sent_ns`."""

    sent_ns: int
    least_ns: int
    most_ns: int


class Timesync:
    """Says when to ask, takes the answers, gives the offset. All times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._asked: list[int] = []
        self._requests = 0
        self._due_ns = 0
        self._trips: list[_RoundTrip] = []

    def request(self, now_ns: int) -> int | None:
        """The `ts1` of a request to send now; None while none is due."""
        if now_ns < self._due_ns:
            return None
        self._requests += 1
        self._due_ns = now_ns + (_FIRST_EVERY_NS if self._requests <= _FIRST_REQUESTS else _EVERY_NS)
        self._asked = [sent_ns for sent_ns in self._asked if now_ns - sent_ns <= _LONGEST_ROUND_TRIP_NS]
        self._asked.append(now_ns)
        return now_ns

    def is_answer(self, tc1: int, ts1: int) -> bool:
        """True for the first answer to a request of ours that is still waited for.

        Requests of the vehicle itself (`tc1` is 0) are left unanswered: ArduPilot only logs the round trip,
        and nothing in the aircraft shall come to depend on our clock.
        """
        return tc1 > 0 and ts1 in self._asked

    def take(self, tc1: int, ts1: int, arrived_ns: int) -> None:
        """Learn from the answer to the request `ts1`."""
        self._asked.remove(ts1)
        if not 0 <= arrived_ns - ts1 <= _LONGEST_ROUND_TRIP_NS:
            return
        trip = _RoundTrip(ts1, ts1 - tc1 - _RESOLUTION_NS, arrived_ns - tc1)
        self._trips = [*self._fresh(arrived_ns), trip]
        least_ns, most_ns = _overlap(self._trips, arrived_ns)
        if least_ns > most_ns:
            self.forget()
            self._trips.append(trip)

    def offset(self, now_ns: int) -> ClockOffset | None:
        """The offset as of now; None before enough fresh round trips agree."""
        fresh = self._fresh(now_ns)
        if len(fresh) < _LEAST_ROUND_TRIPS:
            return None
        least_ns, most_ns = _overlap(fresh, now_ns)
        return ClockOffset((least_ns + most_ns) // 2, (most_ns - least_ns + 1) // 2)

    def forget(self) -> None:
        """One of the clocks was set anew: begin again, quickly."""
        self._asked.clear()
        self._trips.clear()
        self._requests = 0
        self._due_ns = 0

    def _fresh(self, now_ns: int) -> list[_RoundTrip]:
        return [trip for trip in self._trips if now_ns - trip.sent_ns <= _KEEP_NS]


def _overlap(trips: list[_RoundTrip], now_ns: int) -> tuple[int, int]:
    """Least and most that the offset can be now by all of them; the wrong way round where they disagree."""
    drifts_ns = [math.ceil(_DRIFT * (now_ns - trip.sent_ns)) for trip in trips]
    return (
        max(trip.least_ns - drift_ns for trip, drift_ns in zip(trips, drifts_ns, strict=True)),
        min(trip.most_ns + drift_ns for trip, drift_ns in zip(trips, drifts_ns, strict=True)),
    )
