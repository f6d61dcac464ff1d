"""H.264 writers: a file to look at, and a live stream that carries the capture time of every picture."""

from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.stream import DataStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from patrol.video.frames import VideoError
from patrol.video.klv import UasDatalink, write_packet
from patrol.video.sei import insert_time_stamp

_MPEG_CLOCK = Fraction(1, 90_000)
_UDP_PAYLOAD_BYTES = 1316  # seven transport stream packets of 188 bytes: the most that fits an Ethernet frame
_MAX_RATE_DENOMINATOR = 1001  # NTSC rates are n/1001


class Stamps(StrEnum):
    """How a live stream tells capture times."""

    NONE = "none"
    SEI = "sei"  # in each picture: MISB ST 0604
    KLV = "klv"  # beside each picture, with its presentation time: MISB ST 0601
    BOTH = "both"


class _Writer:
    """A container with one H.264 stream in it."""

    def __init__(
        self,
        target: str,
        container_format: str,
        rate: Fraction,
        time_base: Fraction,
        size_px: tuple[int, int],
        *,
        codec_options: dict[str, str],
        container_options: dict[str, str],
        stamps: Stamps = Stamps.NONE,
    ) -> None:
        self._target = target
        self._time_base = time_base
        self._size_px = size_px
        self._in_picture = stamps in (Stamps.SEI, Stamps.BOTH)
        self._beside: DataStream | None = None
        try:
            container = av.open(target, "w", format=container_format, options=container_options)
            self._stream: VideoStream = container.add_stream("libx264", rate=rate, options=codec_options)
            # 4:2:0 colour knows even sizes only; `_write` repeats the last row and column where needed.
            self._stream.width, self._stream.height = (length + length % 2 for length in size_px)
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = time_base
            if stamps in (Stamps.KLV, Stamps.BOTH):
                self._beside = container.add_data_stream("klv")
            container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{target}: cannot be opened for writing video: {error.strerror}") from error
        self._container: OutputContainer | None = container

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what the encoder still holds and close; a second call does nothing.

        Raises:
            VideoError: the rest could not be written.
        """
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            with container:
                container.mux(self._stream.encode(None))
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self._target}: the video could not be finished: {error.strerror}") from error

    def _write(self, image: NDArray[np.uint8], pts: int, captured_at_ns: int = 0) -> None:
        if self._container is None:
            raise VideoError(f"{self._target}: this video is already closed")
        width, height = self._size_px
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"pictures are ({height}, {width}, 3) uint8, not {image.shape} {image.dtype}")
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts, frame.time_base = pts, self._time_base
        try:
            for packet in self._stream.encode(frame):
                self._container.mux_one(_stamped(packet, captured_at_ns) if self._in_picture else packet)
            if self._beside is not None:
                # After the picture: libav holds back whichever comes first until it has seen the other.
                self._container.mux_one(_klv_packet(self._beside, pts, self._time_base, captured_at_ns))
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self._target}: a picture could not be written: {error.strerror}") from error


class VideoFile(_Writer):
    """Writes an MP4 file of constant picture rate that every player opens.

    Raises:
        VideoError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size_px: tuple[int, int]) -> None:
        """Open the file. `size_px` is (width, height)."""
        rate = Fraction(fps).limit_denominator(_MAX_RATE_DENOMINATOR)
        super().__init__(
            str(path),
            "mp4",
            rate,
            1 / rate,
            size_px,
            codec_options={"preset": "veryfast", "crf": "23"},
            container_options={"movflags": "faststart"},
        )
        self._written = 0

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one picture: (height, width, 3) uint8 BGR."""
        self._write(image, self._written)
        self._written += 1


class LiveStream(_Writer):
    """Sends MPEG-TS, for example to udp://127.0.0.1:5600, each picture with its capture time.

    Nothing is held back (no B-frames), and a key frame with its headers each second lets a receiver join.

    Raises:
        VideoError: the URL cannot be opened or written to.
    """

    def __init__(self, url: str, fps: float, size_px: tuple[int, int], stamps: Stamps = Stamps.SEI) -> None:
        """Open the stream. `fps` is the nominal rate, `size_px` is (width, height)."""
        if url.startswith("udp:") and "pkt_size=" not in url:
            url += f"{'&' if '?' in url else '?'}pkt_size={_UDP_PAYLOAD_BYTES}"
        super().__init__(
            url,
            "mpegts",
            Fraction(fps).limit_denominator(_MAX_RATE_DENOMINATOR),
            _MPEG_CLOCK,
            size_px,
            codec_options={
                "preset": "ultrafast",
                "tune": "zerolatency",
                "x264-params": f"keyint={max(1, round(fps))}:scenecut=0:bframes=0:repeat-headers=1",
            },
            # With its length stated, a picture is complete for the receiver before the next one begins.
            container_options={"flush_packets": "1", "omit_video_pes_length": "0"},
            stamps=stamps,
        )
        self._started_at_ns: int | None = None
        self._last_pts = -1

    def write(self, image: NDArray[np.uint8], captured_at_ns: int) -> None:
        """Send one picture, (height, width, 3) uint8 BGR, taken at `captured_at_ns` UTC.

        Raises:
            ValueError: the time does not lie after that of the picture before.
            VideoError: it could not be sent.
        """
        if self._started_at_ns is None:
            self._started_at_ns = captured_at_ns
        pts = round(Fraction(captured_at_ns - self._started_at_ns, 1_000_000_000) / _MPEG_CLOCK)
        if pts <= self._last_pts:
            raise ValueError(f"captured_at_ns {captured_at_ns} does not lie after that of the picture before")
        self._write(image, pts, captured_at_ns)
        self._last_pts = pts


def _stamped(packet: "Packet[VideoStream]", captured_at_ns: int) -> "Packet[VideoStream]":
    stamped = cast("Packet[VideoStream]", Packet(insert_time_stamp(bytes(packet), captured_at_ns)))
    stamped.stream, stamped.time_base = packet.stream, packet.time_base
    stamped.pts, stamped.dts, stamped.duration = packet.pts, packet.dts, packet.duration
    stamped.is_keyframe = packet.is_keyframe
    return stamped


def _klv_packet(
    stream: DataStream, pts: int, time_base: Fraction, captured_at_ns: int
) -> "Packet[DataStream]":
    packet = cast("Packet[DataStream]", Packet(write_packet(UasDatalink(captured_at_ns))))
    packet.stream, packet.time_base = stream, time_base
    packet.pts = packet.dts = pts
    return packet
