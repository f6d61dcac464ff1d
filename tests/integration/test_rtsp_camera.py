"""Capture times from RTCP sender reports, over real RTSP sessions."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from patrol.video.clock import Timing
from patrol.video.demux import pieces, stamped_time_ns, time_ns
from patrol.video.frames import Frame
from patrol.video.opening import video_stream
from patrol.video.sei import insert_time_stamp
from patrol.video.source import SourceState, SourceStatus, VideoSource

SIZE_PX = (64, 48)
PERIOD_NS = 40_000_000
RTP_HZ = 90_000
NTP_EPOCH_S = 2_208_988_800  # RFC 5905, figure 4: from 1900 to 1970
FIRST_RTP = 2**32 - 5 * 3600  # comes round after five pictures
VIDEO_SDP = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n"
SOUND_SDP = "m=audio 0 RTP/AVP 8\r\na=control:sound\r\n"


def plain(i: int) -> np.ndarray:
    return np.full((SIZE_PX[1], SIZE_PX[0], 3), 9 * i % 200 + 20, np.uint8)


class Camera:
    """An RTSP server for one client: H.264 in the session's TCP connection, and reports when told to."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/x"
        self.set_up: list[str] = []
        self._connection: socket.socket | None = None
        self._playing = threading.Event()
        self._sequence, self._sent = 0, 0
        self._encoder = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height = SIZE_PX
        self._encoder.pix_fmt, self._encoder.time_base = "yuv420p", Fraction(1, RTP_HZ)
        self._encoder.options = {"tune": "zerolatency", "x264-params": "keyint=10:repeat-headers=1:slices=2"}
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        self._connection, _ = self._server.accept()
        lines = self._connection.makefile("r", newline="\r\n")
        while not self._playing.is_set():
            request = [line.strip() for line in iter(lines.readline, "\r\n")]
            head = "RTSP/1.0 200 OK\r\n" + next(line for line in request if line.startswith("CSeq")) + "\r\n"
            method, url, _ = request[0].split()
            body = ""
            if method == "DESCRIBE":
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + VIDEO_SDP + SOUND_SDP
                head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                self.set_up.append(url.rsplit("/", 1)[1])
                head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            self._connection.sendall((head + "\r\n" + body).encode())
            if method == "PLAY":
                self._playing.set()

    def wait(self) -> None:
        assert self._playing.wait(20), "nobody plays the stream"

    def close(self) -> None:
        self._server.close()
        self._thread.join(5)
        if self._connection is not None:
            self._connection.close()

    def report(self, at_ns: int) -> None:
        """A sender report: the next picture is taken at `at_ns` UTC."""
        ntp = (at_ns // 10**9 + NTP_EPOCH_S << 32) + (at_ns % 10**9 << 32) // 10**9
        self._send(1, struct.pack(">BBHIQIII", 0x80, 200, 6, 1, ntp, self._rtp_time(), self._sent, 0))

    def picture(self) -> None:
        frame = av.VideoFrame.from_ndarray(plain(self._sent), format="bgr24")
        frame.pts, frame.time_base = self._sent * PERIOD_NS * RTP_HZ // 10**9, Fraction(1, RTP_HZ)
        (packet,) = self._encoder.encode(frame)
        units = [unit for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
        for i, unit in enumerate(units):
            marker = 0x80 if i == len(units) - 1 else 0
            self._sequence += 1
            self._send(
                0, struct.pack(">BBHII", 0x80, 96 | marker, self._sequence, self._rtp_time(), 1) + unit
            )
        self._sent += 1

    def _rtp_time(self) -> int:
        return (FIRST_RTP + self._sent * PERIOD_NS * RTP_HZ // 10**9) % 2**32

    def _send(self, channel: int, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(struct.pack(">cBH", b"$", channel, len(data)) + data)


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.close()


def watch(
    camera: Camera, start_ns: int, count: int, reports: dict[int, int]
) -> tuple[list[Frame], SourceStatus]:
    """Send pictures one by one, with a report before some of them, and return what came."""
    now_ns = start_ns
    got = []
    with VideoSource(camera.url, utc_ns=lambda: now_ns, monotonic_s=lambda: now_ns / 1e9) as source:
        frames = source.frames(timeout_s=0.2)
        camera.wait()
        for i in range(count):
            now_ns = start_ns + i * PERIOD_NS
            if i in reports:
                camera.report(reports[i])
            camera.picture()
            frame = next(frames)
            if frame is not None:
                got.append(frame)
        return got, source.status()


def test_a_report_gives_pictures_their_times_from_then_on(camera):
    start_ns = 1_750_000_000_123_456_000
    reports = {20: start_ns + 20 * PERIOD_NS, 40: start_ns + 40 * PERIOD_NS + 3_000_000}
    got, status = watch(camera, start_ns, 70, reports)
    assert camera.set_up == ["video"]
    before = [frame for frame in got if frame.index < 20]
    after = [frame for frame in got if frame.index > 21 and frame.index != 40]
    assert len(before) > 3
    assert len(after) > 30
    assert {frame.timing for frame in before} == {Timing.ARRIVAL}
    assert {frame.timing for frame in after} == {Timing.RTCP}
    assert (status.state, status.timing) == (SourceState.READY, Timing.RTCP)
    for frame in got:
        assert abs(frame.pixels.mean() - plain(frame.index).mean()) < 5
    for frame in after:
        error_ns = frame.captured_at_ns - start_ns - frame.index * PERIOD_NS
        assert abs(error_ns - 3_000_000 * (frame.index > 40)) <= 2_000  # libav counts in microseconds
        assert 115_000_000 <= frame.captured_at_sigma_ns < 116_000_000


def test_reports_of_a_wrong_clock_are_not_believed(camera):
    start_ns = 1_750_000_000_123_456_000
    got, status = watch(camera, start_ns, 30, {0: start_ns - 3_600_000_000_000})
    assert {frame.timing for frame in got} == {Timing.ARRIVAL}
    assert status.state is SourceState.DEGRADED
    assert "clock is 3600.0 s behind" in status.reason


def test_libav_reports_are_read_to_the_microsecond():
    """What libav's own RTSP sender says, against stamps in the same pictures."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"rtsp://127.0.0.1:{probe.getsockname()[1]}/x"

    def send() -> None:
        options = {"tune": "zerolatency", "x264-params": "keyint=10:repeat-headers=1"}
        for _ in range(100):
            with av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as container:
                video = container.add_stream("libx264", rate=25, options=options)
                video.width, video.height, video.pix_fmt = *SIZE_PX, "yuv420p"
                video.codec_context.time_base = Fraction(1, RTP_HZ)
                try:
                    container.start_encoding()
                except av.FFmpegError:  # nobody listens yet
                    time.sleep(0.05)
                    continue
                started_ns = time.time_ns()
                for i in range(40):
                    picture = av.VideoFrame.from_ndarray(plain(i), format="bgr24")
                    picture.pts, picture.time_base = i * 3600, Fraction(1, RTP_HZ)
                    for packet in video.encode(picture):
                        stamped = av.Packet(insert_time_stamp(bytes(packet), started_ns + i * PERIOD_NS))
                        stamped.stream, stamped.time_base = video, packet.time_base
                        stamped.pts, stamped.dts = packet.pts, packet.dts
                        container.mux(stamped)
                return

    sender = threading.Thread(target=send)
    sender.start()
    listening = {"rtsp_flags": "listen", "listen_timeout": "10", "protocol_whitelist": "rtp,tcp,rtsp,udp"}
    told, errors_ns = {}, []
    with av.open(url, "r", options=listening) as container:
        try:
            for piece in pieces(container, video_stream(container, url)):
                if piece.reference is not None:
                    told[piece.reference.pts_ns] = piece.reference.at_ns
                for picture in piece.pictures.decode():
                    pts_ns = time_ns(picture.pts, picture.time_base)
                    if pts_ns in told:
                        errors_ns.append(told[pts_ns] - stamped_time_ns(picture))
        except av.FFmpegError:
            pass  # the sender hung up
    sender.join()
    assert len(errors_ns) > 25
    # The sender counts from when it was opened, which is some milliseconds before `started_ns`.
    assert np.ptp(errors_ns) < 50_000
    assert -2_000_000_000 < np.mean(errors_ns) < 1_000_000
