"""Where pictures come from: a live stream that never hangs the caller, or a file.

A thread decodes and hands over through one slot. From a live stream the newest picture wins, and those that
nobody fetched in time are dropped and counted; from a file every picture comes. A live source reconnects for
ever.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer

from patrol.video.clock import Arrival, CaptureTime, FileStart, FrameClock, Timing
from patrol.video.demux import pieces, stamped_time_ns, time_ns
from patrol.video.frames import Frame, VideoError
from patrol.video.opening import file_start, open_file, open_live, parse_address, video_stream

_log = logging.getLogger(__name__)

_BACK_OFF_FIRST_S = 0.25
_BACK_OFF_LONGEST_S = 5.0
_CLOSE_WAIT_S = 1.0
_STOP_POLL_S = 0.1
_CLOCK_ADVICE = "set the camera and this machine by GPS or NTP. Until then "
_USED_INSTEAD = {
    Timing.KLV: "those of its KLV data",
    Timing.RTCP: "those of its RTCP reports",
    Timing.FILE: "counted from the file's start",
    Timing.ARRIVAL: "those of arrival",
}


class SourceState(StrEnum):
    """The life cycle of a source."""

    PENDING = "pending"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class SourceStatus:
    """How a source fares.

    Attributes:
        state: pending (no picture yet), ready, degraded (in trouble, keeps trying) or failed (for good).
        reason: a sentence, empty when there is nothing to say.
        timing: where capture times come from, None before the first picture.
        decoded: pictures decoded so far.
        dropped: of those, pictures that a newer one replaced before they were fetched.
        decode_errors: packets (of pictures and of KLV) and pictures that were damaged.
    """

    state: SourceState
    reason: str
    timing: Timing | None
    decoded: int
    dropped: int
    decode_errors: int


@dataclass(frozen=True)
class _Picture:
    """A decoded picture; whoever takes it converts the pixels, so that a dropped one costs no conversion."""

    decoded: av.VideoFrame
    pts_ns: int | None
    time: CaptureTime
    index: int


class _HandOver:
    """One slot between the decoding thread and the caller."""

    def __init__(self) -> None:
        self._slot: queue.Queue[_Picture | None] = queue.Queue(maxsize=1)
        self.dropped = 0
        self.closed = threading.Event()

    def put_newest(self, picture: _Picture) -> None:
        """Put a picture in the place of one that nobody has fetched. For one thread only."""
        with suppress(queue.Empty):
            self._slot.get_nowait()
            self.dropped += 1
        self._slot.put_nowait(picture)

    def put_when_free(self, picture: _Picture | None) -> None:
        """Wait until the slot is free, then put; None marks the end."""
        while not self.closed.is_set():
            with suppress(queue.Full):
                self._slot.put(picture, timeout=_STOP_POLL_S)
                return

    def take(self, timeout_s: float) -> _Picture | None:
        """Take what comes within the time.

        Raises:
            queue.Empty: nothing did.
        """
        return self._slot.get(timeout=timeout_s)


class VideoSource:
    """Pictures of a URL (udp://, tcp://: MPEG-TS; rtsp://; http://) or of a file, with their capture times.

    Use it as a context manager.

    Raises:
        VideoError: the file cannot be read as a video, or the kind of address is not known.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        starts_at_ns: int | None = None,
        paced: bool = False,
        patience_s: float = 5.0,
        utc_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a file, or begin to connect to a live stream.

        Args:
            source: URL or path.
            starts_at_ns: UTC time of a file's first picture; else its creation tag, else its modification
                time with an uncertainty of a day.
            paced: play a file at its own speed, newest wins, as if it were live.
            patience_s: how long a live stream may be silent before it counts as degraded and is opened anew.
            utc_ns: the clock of this machine.
            monotonic_s: a clock that nobody sets.
        """
        self._address = parse_address(source)
        self._patience_s = patience_s
        self._utc_ns = utc_ns
        self._monotonic_s = monotonic_s
        self._hand_over = _HandOver()
        self._decoded = self._decode_errors = 0
        self._judgement: tuple[Timing, str] | None = None  # the last picture's timing, and what was in doubt
        self._silent_since_s = monotonic_s()
        self._trouble = ""
        self._failure: VideoError | None = None
        self.frame_rate_hz: float | None = None
        if self._address.is_live:
            play: Callable[[], None] = self._play_live
        else:
            container = open_file(self._address)
            rate = video_stream(container, self.name).average_rate
            self.frame_rate_hz = float(rate) if rate else None
            start = file_start(container, Path(source), starts_at_ns)
            play = partial(self._play_file, container, start, paced=paced)
        self._thread = threading.Thread(target=self._guarded, args=(play,), name="video", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The address for people, without a password."""
        return self._address.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop. A live connection ends with its next packet, at the latest after `patience_s`."""
        self._hand_over.closed.set()
        self._thread.join(_CLOSE_WAIT_S)

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the pictures, however long each takes to come."""
        return (frame for frame in self.frames() if frame is not None)

    def frames(self, timeout_s: float = 0.5) -> Iterator[Frame | None]:
        """Iterate over the pictures; None each time that none came within `timeout_s`.

        Ends with the file or with `close`; a live stream that falls silent goes on yielding None.

        Raises:
            VideoError: nothing in the file can be decoded.
        """
        while not self._hand_over.closed.is_set():
            try:
                picture = self._hand_over.take(timeout_s)
            except queue.Empty:
                yield None
                continue
            if picture is None:
                break
            yield Frame(
                pixels=np.asarray(picture.decoded.to_ndarray(format="bgr24"), np.uint8),
                captured_at_ns=picture.time.at_ns,
                captured_at_sigma_ns=picture.time.sigma_ns,
                index=picture.index,
                timing=picture.time.timing,
                epoch=picture.time.epoch,
            )
        if self._failure is not None:
            raise self._failure

    def status(self) -> SourceStatus:
        """Return how the source fares now."""
        state, reason = self._state()
        return SourceStatus(
            state=state,
            reason=reason,
            timing=self._judgement[0] if self._judgement else None,
            decoded=self._decoded,
            dropped=self._hand_over.dropped,
            decode_errors=self._decode_errors,
        )

    def _state(self) -> tuple[SourceState, str]:
        if self._failure is not None:
            return SourceState.FAILED, str(self._failure)
        silent_s = self._monotonic_s() - self._silent_since_s
        if self._address.is_live and silent_s >= self._patience_s:
            return SourceState.DEGRADED, f"{self.name}: no picture for {silent_s:.0f} s; {self._advice()}"
        if self._judgement is None:
            return SourceState.PENDING, f"{self.name}: waiting for the first picture"
        timing, doubt = self._judgement
        if doubt:
            advice = _CLOCK_ADVICE if self._address.is_live else ""
            return SourceState.DEGRADED, f"{self.name}: {doubt}; {advice}times are {_USED_INSTEAD[timing]}"
        if timing is Timing.ARRIVAL:
            return SourceState.READY, f"{self.name}: no time stamps in the stream; times are those of arrival"
        return SourceState.READY, ""

    def _advice(self) -> str:
        if self._trouble:
            return f"{self._trouble}; check the address and the camera"
        if self._decode_errors:
            return "what comes cannot be decoded; check the link, and that the camera sends H.264 or H.265"
        if self._address.scheme == "udp":
            return "check that the camera sends to this port"
        return "the camera is connected but silent; check it"

    def _guarded(self, play: Callable[[], None]) -> None:
        try:
            play()
        except VideoError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 the caller must hear of whatever ends this thread
            _log.debug("the video thread ended", exc_info=True)
            self._failure = VideoError(f"{self.name}: reading the video failed: {error!r}")
        self._hand_over.put_when_free(None)

    def _play_live(self) -> None:
        back_off_s = _BACK_OFF_FIRST_S
        clock = FrameClock()
        while not self._hand_over.closed.is_set():
            decoded_before = self._decoded
            try:
                with open_live(self._address, self._patience_s) as container:
                    self._decode(container, clock, self._hand_over.put_newest)
                self._trouble = "" if self._address.scheme == "udp" else "the sender ended the stream"
            except av.ExitError:  # our own time-out
                self._trouble = ""
            except (av.FFmpegError, OSError) as error:
                self._trouble = error.strerror or str(error)
            except VideoError as error:
                self._trouble = str(error).removeprefix(f"{self.name}: ")
            _log.info("%s: opening again (%s)", self.name, self._trouble or "silent")
            back_off_s = _BACK_OFF_FIRST_S if self._decoded > decoded_before else back_off_s
            self._hand_over.closed.wait(back_off_s)
            back_off_s = min(2 * back_off_s, _BACK_OFF_LONGEST_S)
            clock = FrameClock(first_epoch=clock.epoch + 1)

    def _play_file(self, container: InputContainer, start: FileStart, *, paced: bool) -> None:
        with container:
            self._decode(
                container, FrameClock(start), self._paced_put() if paced else self._hand_over.put_when_free
            )
        if not self._decoded:
            raise VideoError(f"{self.name}: no picture in it can be decoded; the file is damaged")

    def _paced_put(self) -> Callable[[_Picture], None]:
        """Return a hand-over that waits until each picture is due."""
        begun_s = self._monotonic_s()
        first_pts_ns: int | None = None

        def put(picture: _Picture) -> None:
            nonlocal first_pts_ns
            if picture.pts_ns is not None:
                first_pts_ns = picture.pts_ns if first_pts_ns is None else first_pts_ns
                due_s = begun_s + (picture.pts_ns - first_pts_ns) / 1e9
                self._hand_over.closed.wait(max(0.0, due_s - self._monotonic_s()))
            self._hand_over.put_newest(picture)

        return put

    def _decode(self, container: InputContainer, clock: FrameClock, put: Callable[[_Picture], None]) -> None:
        for piece in pieces(container, video_stream(container, self.name)):
            if self._hand_over.closed.is_set():
                return
            self._decode_errors += piece.is_damaged
            if piece.reference is not None:
                clock.hear(piece.reference, self._now())
            try:
                pictures = piece.pictures.decode() if piece.pictures is not None else []
            except av.FFmpegError:
                self._decode_errors += 1
                continue
            for picture in pictures:
                pts_ns = time_ns(picture.pts, picture.time_base)
                captured = clock.capture_time(pts_ns, stamped_time_ns(picture), self._now())
                self._judgement = (captured.timing, clock.doubt)
                self._silent_since_s = self._monotonic_s()
                self._decoded += 1
                put(_Picture(picture, pts_ns, captured, self._decoded - 1))

    def _now(self) -> Arrival:
        return Arrival(self._utc_ns(), round(self._monotonic_s() * 1e9))
