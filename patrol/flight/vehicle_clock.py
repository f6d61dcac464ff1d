"""One steady time for all that the vehicle stamps with its time since boot.

The vehicle's own UTC as soon as its SYSTEM_TIME tells it; for a vehicle that does not know UTC this
machine's, carried over once by TIMESYNC; the time of arrival where neither is to be had. The first two are
boot time plus a constant, so samples keep their true distances. How this machine's clock runs against that
time, also when it is set anew, is told apart from the samples as a `ClockSample`.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from patrol.domain.telemetry import ClockSample
from patrol.flight.clock import Clock, monotonic_ns
from patrol.flight.timesync import Timesync

_SECOND_NS = 1_000_000_000
_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
# A receiver without a fix sends 0 or the start of some epoch; no aircraft of ours flew before 2020.
_EARLIEST_UTC_NS = 1_577_836_800 * _SECOND_NS
_LATEST_UTC_NS = 4_102_444_800 * _SECOND_NS
# The autopilot stamps these and SYSTEM_TIME by its own boot clock; others may pass on the stamps of a device.
_OWN_STAMPS = ("ATTITUDE", "GLOBAL_POSITION_INT")
# The stamps of one kind may go back by as much when messages overtake each other; more is a reboot. Stamps of
# other kinds that are as far off are of another clock, or stand still.
_REORDERING_MS = 5_000
# SYSTEM_TIME comes at 1 Hz. Whoever knows UTC has told it by then; TIMESYNC has been answered many times.
_PATIENCE_NS = 3 * _SECOND_NS
# ArduPilot and PX4 read the two clocks of a SYSTEM_TIME one right after the other, one of them in whole
# milliseconds: jitter of 1 to 2 ms. Ten times that is the vehicle's UTC set anew.
_STEP_NS = 20 * _NS_PER_MS
_SYSTEM_TIMES_KEPT = 5
_SYSTEM_TIMES_FOR_A_STEP = 3
# Samples of before and after a step are kept so far apart that nobody interpolates between them, and that no
# step back looks like datagrams that overtook each other. PoseHistory allows a second for either.
_APART_NS = 3 * _SECOND_NS // 2
# Stamps are in whole milliseconds, cut off: half of one either way.
_STAMP_SIGMA_NS = _NS_PER_MS // 2


class VehicleClock:
    """Makes UTC of the vehicle's stamps. Every stamp and answer must be shown to it.

    Args:
        clock: the link's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot: _Boot | None = None
        self._passed_ns: int | None = None
        self._keep_apart_from_ns: int | None = None

    # -- learning ------------------------------------------------------------------------------------

    def request(self) -> int | None:
        """The `ts1` of a TIMESYNC to send now; None while none is due."""
        # A simulation n times as fast has no constant offset to a clock of the real world, and its UTC runs
        # away from ours: there is nothing to measure, and no ClockSample either.
        if self._clock.speed_up != 1.0 or self._boot is None:
            return None
        return self._boot.timesync.request(monotonic_ns(self._clock))

    def answer(self, tc1: int, ts1: int, arrived_ns: int) -> bool:
        """Take a TIMESYNC; True when it told something new.

        One that tells another time than the stamps is of no use: the protocol allows UTC there as well.
        """
        boot = self._boot
        if boot is None or not boot.timesync.is_answer(tc1, ts1) or not boot.is_near(tc1 // _NS_PER_MS):
            return False
        boot.timesync.take(tc1, ts1, arrived_ns)
        return True

    def set(self, time_unix_usec: int, time_boot_ms: int) -> bool:
        """Take a SYSTEM_TIME; True when samples carry another time from now on.

        ArduPilot (AP_RTC) sets its UTC by satellites, moves it at most forward while it is disarmed, and
        leaves it alone while it is armed.
        """
        boot = self._note_boot_time("SYSTEM_TIME", time_boot_ms)
        if not boot.is_news("SYSTEM_TIME", time_boot_ms):
            return False
        unix_ns = time_unix_usec * _NS_PER_US
        if not _EARLIEST_UTC_NS < unix_ns < _LATEST_UTC_NS:
            boot.knows_no_utc = True
            return False
        return self._move(boot, boot.told_utc.take(unix_ns - time_boot_ms * _NS_PER_MS))

    # -- telling -------------------------------------------------------------------------------------

    def utc_ns(self, kind: str, time_boot_ms: int, arrived_ns: int) -> int | None:
        """UTC of a sample from a message of this kind; None for one that must not be passed on as new.

        That is one whose stamp repeats, runs back or is not of the vehicle's clock; all of the first seconds,
        until it is known which time is to be had; and those around a step of that time, to make it a gap.

        Args:
            kind: the message's name; stamps of one kind are compared with each other.
            time_boot_ms: the message's stamp.
            arrived_ns: when it arrived, on the link's monotonic clock.
        """
        boot = self._note_boot_time(kind, time_boot_ms) if kind in _OWN_STAMPS else self._boot
        if boot is None or not boot.is_news(kind, time_boot_ms):
            return None
        self._borrow_utc(boot)
        if boot.utc_at_boot_ns is not None:
            return self._passed(time_boot_ms * _NS_PER_MS + boot.utc_at_boot_ns)
        if self._is_waiting(boot):
            return None
        now_ns, utc_now_ns, _ = self._now()
        return self._passed(utc_now_ns - (now_ns - arrived_ns))

    def sample(self) -> ClockSample | None:
        """How far this machine's UTC is ahead of the time of the samples; None while that is not known."""
        if self._boot is None:
            return None
        self._borrow_utc(self._boot)
        now_ns, utc_now_ns, slack_ns = self._now()
        offset = self._boot.timesync.offset(now_ns)
        if offset is None or self._boot.utc_at_boot_ns is None:
            return None
        at_ns = now_ns - offset.ahead_ns + self._boot.utc_at_boot_ns
        sigma_ns = math.ceil(math.hypot(offset.bound_ns, _STAMP_SIGMA_NS, slack_ns))
        return ClockSample(at_ns=at_ns, edge_ahead_ns=utc_now_ns - at_ns, sigma_ns=sigma_ns)

    # ------------------------------------------------------------------------------------------------

    def _note_boot_time(self, kind: str, time_boot_ms: int) -> "_Boot":
        boot = self._boot
        if boot is None or time_boot_ms < boot.stamps_ms.get(kind, 0) - _REORDERING_MS:
            boot = self._boot = _Boot(monotonic_ns(self._clock), time_boot_ms)
            self._keep_apart_from_ns = self._passed_ns
        boot.latest_ms = max(boot.latest_ms, time_boot_ms)
        return boot

    def _is_waiting(self, boot: "_Boot") -> bool:
        return monotonic_ns(self._clock) - boot.heard_at_ns <= _PATIENCE_NS

    def _borrow_utc(self, boot: "_Boot") -> None:
        """Give a vehicle that does not know UTC that of this machine, once."""
        if boot.utc_at_boot_ns is not None or not (boot.knows_no_utc or not self._is_waiting(boot)):
            return
        now_ns, utc_now_ns, _ = self._now()
        offset = boot.timesync.offset(now_ns)
        if offset is not None:
            self._move(boot, utc_now_ns - (now_ns - offset.ahead_ns))

    def _move(self, boot: "_Boot", utc_at_boot_ns: int) -> bool:
        """Let samples carry this time; True when that is a step."""
        before_ns, boot.utc_at_boot_ns = boot.utc_at_boot_ns, utc_at_boot_ns
        if before_ns is not None and abs(utc_at_boot_ns - before_ns) <= _STEP_NS:
            return False
        self._keep_apart_from_ns = self._passed_ns
        return True

    def _passed(self, at_ns: int) -> int | None:
        """The time itself, unless it is too near to those from before a step."""
        if self._keep_apart_from_ns is not None:
            if abs(at_ns - self._keep_apart_from_ns) <= _APART_NS:
                return None
            self._keep_apart_from_ns = self._passed_ns = None
        self._passed_ns = at_ns if self._passed_ns is None else max(self._passed_ns, at_ns)
        return at_ns

    def _now(self) -> tuple[int, int, int]:
        """The monotonic clock, UTC, and how far apart the two may have been read."""
        before_ns = monotonic_ns(self._clock)
        utc_ns = self._clock.utc_ns()
        after_ns = monotonic_ns(self._clock)
        return (before_ns + after_ns) // 2, utc_ns, (after_ns - before_ns) // 2


class _ToldUtc:
    """The vehicle's UTC at its boot, from its latest SYSTEM_TIMEs.

    Each is a pair of readings taken within the vehicle, so the way to us does not enter. It is the median of
    those that agree. One that says otherwise is passed over, and believed when the next two say the same.
    """

    def __init__(self) -> None:
        self._agreed: deque[int] = deque(maxlen=_SYSTEM_TIMES_KEPT)
        self._other: list[int] = []

    def take(self, utc_at_boot_ns: int) -> int:
        """Take one, give what is believed now."""
        if not self._agreed or abs(utc_at_boot_ns - self._median()) <= _STEP_NS:
            self._agreed.append(utc_at_boot_ns)
            self._other.clear()
            return self._median()
        self._other = [one for one in self._other if abs(one - utc_at_boot_ns) <= _STEP_NS]
        self._other.append(utc_at_boot_ns)
        if len(self._other) == _SYSTEM_TIMES_FOR_A_STEP:
            self._agreed.clear()
            self._agreed.extend(self._other)
            self._other.clear()
        return self._median()

    def _median(self) -> int:
        return sorted(self._agreed)[len(self._agreed) // 2]


@dataclass
class _Boot:
    """What is known of one boot of the vehicle.

    Attributes:
        heard_at_ns: when it was heard first, on the monotonic clock.
        latest_ms: the latest time since boot that was heard.
        stamps_ms: the latest of each kind of message.
        utc_at_boot_ns: the constant that makes samples' times of boot times.
    """

    heard_at_ns: int
    latest_ms: int
    timesync: Timesync = field(default_factory=Timesync)
    told_utc: _ToldUtc = field(default_factory=_ToldUtc)
    knows_no_utc: bool = False
    stamps_ms: dict[str, int] = field(default_factory=dict)
    utc_at_boot_ns: int | None = None

    def is_near(self, time_boot_ms: int) -> bool:
        """The time can be of this boot's clock."""
        return abs(time_boot_ms - self.latest_ms) <= _REORDERING_MS

    def is_news(self, kind: str, time_boot_ms: int) -> bool:
        """True for the first stamp of this time or a later one."""
        if not self.is_near(time_boot_ms) or time_boot_ms <= self.stamps_ms.get(kind, -1):
            return False
        self.stamps_ms[kind] = time_boot_ms
        return True
