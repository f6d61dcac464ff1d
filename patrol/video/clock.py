"""When a picture was taken: what its stream says of that, and how far it is believed.

Three clocks meet here: the camera's (times that the stream carries), the stream's (presentation times, which
count evenly from anywhere) and this machine's (arrival). Carried times are held against the other two; when
they do not stand up to that, the next best time is given with its wider sigma.

Three things stay hidden: a camera's clock that is wrong by no more than links are late, a step no larger than
presentation times may wander, and a drift no faster than clocks are slewed.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

# A stamp is exact to the microsecond, but which line of a rolling shutter it means is not told: read-out
# takes up to 33 ms at 30 pictures a second, and a uniform 33 ms has a standard deviation of 33 / sqrt(12) ms.
_STAMP_SIGMA_NS = 10_000_000
# Digital video links deliver 0.1 to 0.6 s after the fact, and do not say how late they are. Who knows the
# delay takes this share off the variance of a time of arrival; what is left is jitter.
ARRIVAL_SIGMA_NS = 300_000_000
# Some encoders stamp key frames only; between stamps the stream's own clock (better than 100 ppm) carries on.
_HOLDS_NS = 10_000_000_000
# No picture comes before it was taken, and video links lag by less than two seconds; a time further off comes
# from a clock that is set wrongly.
_AHEAD_TOLERANCE_NS = 500_000_000
_BEHIND_TOLERANCE_NS = 2_000_000_000
# Carried and presentation times may wander against each other by one picture at 25 Hz (some cameras count
# pictures in place of time) and twice the sigma of the carried ones; in the long run by what NTP slews a
# clock (500 ppm: RFC 5905, MAXFREQ) and what two crystals drift.
_WANDER_NS = 50_000_000
_DRIFT_PPM = 600
# Where carried and presentation times disagree, arrival tells which is wrong, once it keeps step with one of
# them so much better than with the other: half of _BEHIND_TOLERANCE_NS.
_ARRIVAL_SPEAKS_NS = 1_000_000_000
# Presentation times that run ahead of the wall clock by more than any link catches up have begun anew.
_LEAP_NS = 2_000_000_000
_WINDOW_S = 30
# The least lag of a link does not rise by more and stay there for half of the window, unless the link changed
# or presentation times run slow.
_RISE_NS = 100_000_000
_SECOND_NS = 1_000_000_000
# 2000 and 2100: a time outside is a damaged stamp or a clock that was never set.
_EARLIEST_NS = 946_684_800 * _SECOND_NS
_LATEST_NS = 4_102_444_800 * _SECOND_NS


class Timing(StrEnum):
    """Where capture times come from, the most trusted first.

    `ARRIVAL` differs from the rest in kind: it is a time of this machine's clock, and it is later than the
    capture by the delay of camera, encoder and link, which nobody has told. The network's jitter is taken off
    where presentation times allow it, so that this delay is nearly constant.
    """

    STAMPED = "stamped"  # in the picture itself (MISB ST 0604)
    KLV = "klv"  # in packets beside the pictures (MISB ST 0601)
    RTCP = "rtcp"  # in the sender reports of an RTSP camera (RFC 3550, 6.4.1)
    FILE = "file"  # the start of a file and the presentation time
    ARRIVAL = "arrival"


_CARRIED = {
    Timing.STAMPED: "the time stamps in its pictures",
    Timing.KLV: "the times in its KLV data",
    Timing.RTCP: "the times in its RTCP reports",
}


def is_sane(at_ns: int) -> bool:
    """Tell whether a UTC time lies in this century, so that a camera can mean it."""
    return _EARLIEST_NS <= at_ns < _LATEST_NS


@dataclass(frozen=True)
class CaptureTime:
    """A UTC time in nanoseconds with its one-sigma uncertainty and its origin."""

    at_ns: int
    sigma_ns: int
    timing: Timing
    epoch: int = 0


@dataclass(frozen=True)
class FileStart:
    """When a recording began, UTC nanoseconds with one sigma."""

    at_ns: int
    sigma_ns: int


@dataclass(frozen=True)
class Arrival:
    """When something came: UTC by this machine's clock, and a count that is never set back or forth."""

    utc_ns: int
    monotonic_ns: int


@dataclass(frozen=True)
class Reference:
    """A UTC time that a stream gives for a presentation time (None: for a picture that has none)."""

    timing: Timing
    pts_ns: int | None
    at_ns: int
    sigma_ns: int


class FrameClock:
    """Gives each picture of one connection or file its capture time: the most trusted one that is believed.

    `doubt` is a clause that tells why a time that the stream carries was not used for the last picture; it is
    empty when all is well. `epoch` rises where presentation times begin anew and where the link's lag has
    risen for good.
    """

    def __init__(self, file_start: FileStart | None = None, *, first_epoch: int = 0) -> None:
        self._file_start = file_start
        self._is_live = file_start is None
        self._witnesses = {kind: _Witness(words, is_live=self._is_live) for kind, words in _CARRIED.items()}
        self.epoch = first_epoch
        self._has_risen = False
        self._lag = _Window()  # arrival less presentation time
        self._pauses = _Window()  # from one arrival to the next
        self._last_arrived_ns: int | None = None
        self._last: tuple[int, int] | None = None  # presentation time and arrival of the last picture
        self._file_origin: tuple[int, int] | None = None  # a presentation time and its UTC
        self.doubt = ""

    def hear(self, reference: Reference, arrival: Arrival) -> None:
        """Take note of a time that came beside the pictures."""
        self._witnesses[reference.timing].hear(reference, arrival, self._lag)

    def capture_time(self, pts_ns: int | None, stamp_ns: int | None, arrival: Arrival) -> CaptureTime:
        """Return the capture time of the next picture.

        Args:
            pts_ns: presentation time in the stream's own count, None when it has none.
            stamp_ns: UTC time that the picture carries, None when it carries none.
            arrival: when it came.
        """
        self._note_pause(arrival)
        if pts_ns is not None:
            self._follow(pts_ns, arrival)
        if stamp_ns is not None:
            self.hear(Reference(Timing.STAMPED, pts_ns, stamp_ns, _STAMP_SIGMA_NS), arrival)
        self.doubt = ""
        for timing, witness in self._witnesses.items():
            known = witness.testify(pts_ns, stamp_ns if timing is Timing.STAMPED else None)
            if known is not None:
                return CaptureTime(*known, timing, self.epoch)
            self.doubt = self.doubt or witness.doubt
        if pts_ns is not None and self._file_start is not None and self._file_origin is not None:
            at_ns = self._file_origin[1] + pts_ns - self._file_origin[0]
            return CaptureTime(at_ns, self._file_start.sigma_ns, Timing.FILE, self.epoch)
        return self._arrived(pts_ns, arrival)

    def _follow(self, pts_ns: int, arrival: Arrival) -> None:
        """Begin anew where presentation times do: at a wrap, at a restart of the encoder."""
        if self._file_start is not None and self._file_origin is None:
            self._file_origin = (pts_ns, self._file_start.at_ns)
        if self._last is not None:
            last_pts_ns, last_arrived_ns = self._last
            most_ns = arrival.monotonic_ns - last_arrived_ns + _LEAP_NS
            if pts_ns < last_pts_ns or (self._is_live and pts_ns - last_pts_ns > most_ns):
                self._lag = _Window()
                self.epoch += 1
                for witness in self._witnesses.values():
                    witness.forget_presentation_times()
                if self._file_origin is not None:
                    self._file_origin = (pts_ns, self._file_origin[1] + last_pts_ns - self._file_origin[0])
        self._last = (pts_ns, arrival.monotonic_ns)
        self._lag.add(arrival.monotonic_ns, arrival.monotonic_ns - pts_ns)

    def _arrived(self, pts_ns: int | None, arrival: Arrival) -> CaptureTime:
        """Take the jitter off: by what a lag exceeds the least of late (RFC 5905, section 10: clock filter).

        It is jitter only if presentation times are true, so all of it goes into sigma as well. Without them
        what comes after a pause may have waited as long.
        """
        if pts_ns is None:
            sigma_ns = round(math.hypot(ARRIVAL_SIGMA_NS, self._pauses.most_ns))
            return CaptureTime(arrival.utc_ns, sigma_ns, Timing.ARRIVAL, self.epoch)
        rises = self._lag.rise_ns > _RISE_NS
        self.epoch += rises and not self._has_risen
        self._has_risen = rises
        jitter_ns = 0 if rises else arrival.monotonic_ns - pts_ns - self._lag.least_ns
        sigma_ns = round(math.hypot(ARRIVAL_SIGMA_NS, jitter_ns))
        return CaptureTime(arrival.utc_ns - jitter_ns, sigma_ns, Timing.ARRIVAL, self.epoch)

    def _note_pause(self, arrival: Arrival) -> None:
        if self._last_arrived_ns is not None:
            self._pauses.add(arrival.monotonic_ns, arrival.monotonic_ns - self._last_arrived_ns)
        self._last_arrived_ns = arrival.monotonic_ns


class _Window:
    """The extremes of a value over the last seconds that had any, so that a stall makes nothing forgotten."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=_WINDOW_S)  # number, least, most

    def add(self, at_ns: int, value_ns: int) -> None:
        second, least_ns, most_ns = at_ns // _SECOND_NS, value_ns, value_ns
        if self._seconds and second <= self._seconds[-1][0]:
            second, least_ns, most_ns = self._seconds.pop()
        self._seconds.append((second, min(least_ns, value_ns), max(most_ns, value_ns)))

    @property
    def least_ns(self) -> int:
        return min(least_ns for _, least_ns, _ in self._seconds)

    @property
    def most_ns(self) -> int:
        return max((most_ns for _, _, most_ns in self._seconds), default=0)

    @property
    def spread_ns(self) -> int:
        return self.most_ns - self.least_ns if self._seconds else 0

    @property
    def rise_ns(self) -> int:
        """How far the least of the newer half lies over that of the older; 0 until the window is full."""
        if len(self._seconds) < _WINDOW_S:
            return 0
        least_ns = [least_ns for _, least_ns, _ in self._seconds]
        return min(least_ns[_WINDOW_S // 2 :]) - min(least_ns[: _WINDOW_S // 2])


class _Witness:
    """The times of one kind that a stream has carried, and whether to believe them.

    They are believed while they keep step with presentation times, to which arrival is a second opinion, and
    are not far off arrival. After a slip they are believed again when 30 s were calm and they are back where
    they were: of a clock that was moved nobody knows whether it was right before or is now.
    """

    def __init__(self, in_words: str, *, is_live: bool) -> None:
        self._in_words = in_words
        self._is_live = is_live
        self._latest: tuple[int, int] | None = None  # presentation time and UTC
        self._lag = _Window()  # arrival less carried time
        self._offset = _Window()  # carried less presentation time
        self._believed: tuple[int, int] | None = None  # presentation time and offset
        self._is_in_step = True
        self._sigma_ns = 0
        self.doubt = ""

    def forget_presentation_times(self) -> None:
        """Go on as if no presentation time had come yet."""
        self._latest, self._offset, self._believed = None, _Window(), None

    def hear(self, reference: Reference, arrival: Arrival, pts_lag: _Window) -> None:
        """Take note of a carried time and judge. `pts_lag`: arrival less presentation time."""
        self._lag.add(arrival.monotonic_ns, arrival.monotonic_ns - reference.at_ns)
        ahead_ns = arrival.monotonic_ns - self._lag.least_ns - arrival.utc_ns if self._is_live else 0
        strayed_ns = self._strayed_ns(reference)
        self._is_in_step = strayed_ns <= _WANDER_NS + 2 * reference.sigma_ns
        wander_ns = strayed_ns if self._is_in_step else 0
        self._sigma_ns = round(math.hypot(reference.sigma_ns, wander_ns, max(0, ahead_ns)))
        pts_are_wrong = self._is_live and pts_lag.spread_ns > self._lag.spread_ns + _ARRIVAL_SPEAKS_NS
        self.doubt = ""
        if not -_BEHIND_TOLERANCE_NS <= ahead_ns <= _AHEAD_TOLERANCE_NS:
            direction = "ahead" if ahead_ns > 0 else "behind"
            self.doubt = f"the camera's clock is {abs(ahead_ns) / _SECOND_NS:.1f} s {direction}"
        elif not self._is_in_step and not pts_are_wrong:
            strayed_s = strayed_ns / _SECOND_NS
            self.doubt = f"{self._in_words} strayed by {strayed_s:.1f} s from its presentation times"
        elif reference.pts_ns is not None:
            self._believe(reference.pts_ns, reference.at_ns - reference.pts_ns)

    def _strayed_ns(self, reference: Reference) -> int:
        """By how much carried and presentation times have disagreed lately."""
        if reference.pts_ns is None:
            return 0
        offset_ns = reference.at_ns - reference.pts_ns
        self._latest = (reference.pts_ns, reference.at_ns)
        self._offset.add(reference.pts_ns, offset_ns)
        moved_ns = 0 if self._believed is None else abs(offset_ns - self._believed[1])
        return max(self._offset.spread_ns, moved_ns)

    def _believe(self, pts_ns: int, offset_ns: int) -> None:
        """Let the offset that is believed follow, in step no faster than clocks drift."""
        if self._believed is not None and self._is_in_step:
            drift_ns = abs(pts_ns - self._believed[0]) * _DRIFT_PPM // 1_000_000
            offset_ns = min(max(offset_ns, self._believed[1] - drift_ns), self._believed[1] + drift_ns)
        self._believed = (pts_ns, offset_ns)

    def testify(self, pts_ns: int | None, stamp_ns: int | None) -> tuple[int, int] | None:
        """Return a picture's UTC time and its sigma, None where nothing is known or believed.

        Between carried times presentation times lead on, while the two keep step.
        """
        if stamp_ns is None:
            if self._latest is None or pts_ns is None:
                return None
            elapsed_ns = pts_ns - self._latest[0]
            if abs(elapsed_ns) > _HOLDS_NS:
                self.doubt = ""  # it is no longer about this picture
            if abs(elapsed_ns) > (_HOLDS_NS if self._is_in_step else 0):
                return None
            stamp_ns = self._latest[1] + elapsed_ns
        return None if self.doubt else (stamp_ns, self._sigma_ns)
