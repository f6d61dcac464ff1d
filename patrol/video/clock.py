"""When a picture was taken, from what its stream tells."""

from dataclasses import dataclass
from enum import StrEnum

# A stamp is exact to the microsecond, but which line of a rolling shutter it means is not told: read-out
# takes up to 33 ms at 30 pictures a second, and a uniform 33 ms has a standard deviation of 33 / sqrt(12) ms.
_STAMP_SIGMA_NS = 10_000_000
# Digital video links deliver 0.1 to 0.6 s after the fact, and do not say how late they are.
_ARRIVAL_SIGMA_NS = 300_000_000
# Some encoders stamp key frames only; between stamps the stream's own clock (better than 100 ppm) carries on.
_STAMP_HOLDS_NS = 10_000_000_000


class Timing(StrEnum):
    """Where capture times come from."""

    STAMPED = "stamped"
    FILE = "file"
    ARRIVAL = "arrival"


@dataclass(frozen=True)
class CaptureTime:
    """A UTC time in nanoseconds with its one-sigma uncertainty and its origin."""

    at_ns: int
    sigma_ns: int
    timing: Timing


@dataclass(frozen=True)
class FileStart:
    """When a recording began, UTC nanoseconds with one sigma."""

    at_ns: int
    sigma_ns: int


class FrameClock:
    """Gives each picture of one connection or file its capture time.

    The best that is known wins: the picture's own time stamp; the last stamp carried on by presentation
    times; for a file its start plus the presentation time; the time of arrival.
    """

    def __init__(self, file_start: FileStart | None = None) -> None:
        self._file_start = file_start
        self._first_pts_ns: int | None = None
        self._stamp: tuple[int, int] | None = None  # (presentation time, stamped time)

    def capture_time(self, pts_ns: int | None, stamp_ns: int | None, arrived_at_ns: int) -> CaptureTime:
        """Return the capture time of the next picture.

        Args:
            pts_ns: presentation time in the stream's own count, None when it has none.
            stamp_ns: UTC time that the picture carries, None when it carries none.
            arrived_at_ns: UTC now.
        """
        if stamp_ns is not None:
            self._stamp = None if pts_ns is None else (pts_ns, stamp_ns)
            return CaptureTime(stamp_ns, _STAMP_SIGMA_NS, Timing.STAMPED)
        if pts_ns is not None and self._stamp is not None:
            elapsed_ns = pts_ns - self._stamp[0]
            if 0 < elapsed_ns <= _STAMP_HOLDS_NS:
                return CaptureTime(self._stamp[1] + elapsed_ns, _STAMP_SIGMA_NS, Timing.STAMPED)
        if pts_ns is not None and self._file_start is not None:
            if self._first_pts_ns is None:
                self._first_pts_ns = pts_ns
            at_ns = self._file_start.at_ns + pts_ns - self._first_pts_ns
            return CaptureTime(at_ns, self._file_start.sigma_ns, Timing.FILE)
        return CaptureTime(arrived_at_ns, _ARRIVAL_SIGMA_NS, Timing.ARRIVAL)
