"""Live streams over real loopback sockets, and files in every condition."""

import itertools
import socket
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from patrol.video.clock import Timing
from patrol.video.frames import VideoError
from patrol.video.sei import insert_time_stamp
from patrol.video.source import SourceState, VideoSource
from patrol.video.writer import LiveStream, VideoFile

START_NS = 1_750_000_000_123_456_789
PERIOD_NS = 100_000_000
SIZE_PX = (160, 120)
TRIES = 200  # of 0.1 s: a loaded machine may be slow, a broken source never delivers


def plain(level: int, size_px: tuple[int, int] = SIZE_PX) -> np.ndarray:
    """A picture of one grey."""
    return np.full((size_px[1], size_px[0], 3), 7 * level % 200 + 20, np.uint8)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_ts(path: Path, count: int, size_px: tuple[int, int] = SIZE_PX) -> None:
    """A transport stream of `count` stamped pictures."""
    with LiveStream(str(path), 10, size_px) as stream:
        for i in range(count):
            stream.write(plain(i, size_px), START_NS + i * PERIOD_NS)


def write_file(path: Path, codec: str, pix_fmt: str, options: dict[str, str] | None = None) -> None:
    """Twelve pictures of a rising grey in a pixel format of choice."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, pix_fmt
        if pix_fmt == "gray":
            stream.color_range = 2  # libav makes grey of full range and would not say so
        for i in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(plain(i), format="bgr24")))
        container.mux(stream.encode(None))


def test_capture_times_cross_a_real_socket_to_the_microsecond():
    url = f"udp://127.0.0.1:{free_udp_port()}"
    got = []
    now_ns = START_NS
    with (
        VideoSource(url, utc_ns=lambda: now_ns, monotonic_s=lambda: now_ns / 1e9) as source,
        LiveStream(url, 10, SIZE_PX) as stream,
    ):
        frames = source.frames(timeout_s=0.1)
        for i in range(TRIES):
            now_ns = START_NS + i * PERIOD_NS
            stream.write(plain(i), now_ns)
            frame = next(frames)
            if frame is not None:
                got.append(frame)
            if len(got) > 60:
                break
        status = source.status()
    assert len(got) > 60
    for frame in got:
        number = round((frame.captured_at_ns - START_NS) / PERIOD_NS)
        assert abs(frame.captured_at_ns - START_NS - number * PERIOD_NS) <= 1000
        assert abs(frame.pixels.mean() - plain(number).mean()) < 5
        assert frame.pixels.shape == (120, 160, 3)
        assert frame.pixels.dtype == np.uint8
    assert status.timing is Timing.STAMPED
    assert status.decode_errors == 0


def test_newest_picture_wins_and_drops_are_counted(tmp_path):
    path = tmp_path / "out.ts"
    write_ts(path, 30)
    with VideoSource(path, paced=True, monotonic_s=itertools.count(0, 0.5).__next__) as source:
        while source.status().decoded < 30:  # nobody looks
            source._thread.join(0.01)
        frame = next(source.frames())
        assert frame.index == 29
        assert source.status().dropped == 29


def test_a_stream_may_change_its_size():
    url = f"udp://127.0.0.1:{free_udp_port()}"
    shapes = set()
    with VideoSource(url) as source:
        frames = source.frames(timeout_s=0.1)
        for size_px in (SIZE_PX, (96, 64)):
            with LiveStream(url, 10, size_px) as stream:
                for i in range(TRIES):
                    stream.write(plain(i, size_px), START_NS + i * PERIOD_NS)
                    frame = next(frames)
                    if frame is not None:
                        shapes.add(frame.pixels.shape)
                    if (size_px[1], size_px[0], 3) in shapes:
                        break
    assert shapes == {(120, 160, 3), (64, 96, 3)}


def test_a_silent_stream_says_so_and_leaves_the_caller_free():
    now_s = [100.0]
    with VideoSource(
        "udp://127.0.0.1:" + str(free_udp_port()), patience_s=0.3, monotonic_s=lambda: now_s[0]
    ) as source:
        assert source.status().state is SourceState.PENDING
        assert list(itertools.islice(source.frames(timeout_s=0.01), 3)) == [None, None, None]
        now_s[0] = 105.0
        status = source.status()
    assert status.state is SourceState.DEGRADED
    assert status.reason.endswith("no picture for 5 s; check that the camera sends to this port")


def test_an_ended_stream_is_opened_again(tmp_path):
    path = tmp_path / "out.ts"
    write_ts(path, 12)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(3):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(path.read_bytes())

        threading.Thread(target=serve, daemon=True).start()
        with VideoSource(f"tcp://127.0.0.1:{server.getsockname()[1]}", patience_s=1.0) as source:
            seen = 0
            for frame in itertools.islice(source.frames(timeout_s=0.1), TRIES):
                seen += frame is not None
                if source.status().decoded >= 30:
                    break
            assert source.status().decoded >= 30
            assert seen >= 3


def test_a_refused_connection_is_degraded_with_the_cause_and_without_the_password():
    now_s = [0.0]
    with VideoSource(
        "rtsp://guard:secret@127.0.0.1:9/x", patience_s=0.3, monotonic_s=lambda: now_s[0]
    ) as source:
        for _ in itertools.islice(source.frames(timeout_s=0.1), TRIES):
            if source._trouble:
                break
        now_s[0] = 7.0
        status = source.status()
    assert status.state is SourceState.DEGRADED
    assert "no picture for 7 s; Connection refused" in status.reason
    assert "secret" not in status.reason


@pytest.mark.parametrize(("ahead_s", "words"), [(3, "3.0 s ahead"), (-27, "27.0 s behind")])
def test_a_wrong_camera_clock_is_reported(ahead_s, words):
    url = f"udp://127.0.0.1:{free_udp_port()}"
    now_ns = START_NS - ahead_s * 1_000_000_000
    with (
        VideoSource(url, utc_ns=lambda: now_ns, monotonic_s=lambda: now_ns / 1e9) as source,
        LiveStream(url, 10, SIZE_PX) as stream,
    ):
        frames = source.frames(timeout_s=0.1)
        for i in range(TRIES):
            stream.write(plain(i), START_NS + i * 1_000_000)
            if next(frames) is not None:
                break
        status = source.status()
    assert status.state is SourceState.DEGRADED
    assert words in status.reason
    assert status.reason.endswith("Until then times are those of arrival")
    assert status.timing is Timing.ARRIVAL


def test_an_unknown_kind_of_address_is_refused():
    with pytest.raises(VideoError, match=r"ftp://x/y: .*use udp://"):
        VideoSource("ftp://x/y")


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("libx264", "gray"), ("libx264", "yuv420p10le"), ("libx264", "yuv444p"), ("mjpeg", "yuvj420p")],
)
def test_grey_and_ten_bit_pictures_become_bgr(tmp_path, codec, pix_fmt):
    path = tmp_path / "in.mkv"
    write_file(path, codec, pix_fmt)
    with VideoSource(path) as source:
        frames = list(source)
    assert len(frames) == 12
    for i, frame in enumerate(frames):
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape == (120, 160, 3)
        assert abs(frame.pixels.mean() - plain(i).mean()) < 5


def test_every_picture_of_a_file_comes_at_its_time(tmp_path):
    path = tmp_path / "in.mp4"
    with VideoFile(path, 10, SIZE_PX) as video:
        for i in range(25):
            video.write(plain(i))
    with VideoSource(path, starts_at_ns=START_NS) as source:
        assert source.frame_rate_hz == 10
        frames = list(source)
        status = source.status()
    assert [frame.captured_at_ns for frame in frames] == [START_NS + i * PERIOD_NS for i in range(25)]
    assert [frame.index for frame in frames] == list(range(25))
    assert (status.timing, status.dropped, status.decoded) == (Timing.FILE, 0, 25)


def test_reordered_pictures_keep_their_own_stamps(tmp_path):
    path = tmp_path / "in.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=10, options={"x264-params": "bframes=2:b-adapt=0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        pictures = [av.VideoFrame.from_ndarray(plain(i), format="bgr24") for i in range(12)]
        for packet in itertools.chain.from_iterable(stream.encode(picture) for picture in [*pictures, None]):
            number = round(packet.pts * packet.time_base / Fraction(1, 10))
            stamped = av.Packet(insert_time_stamp(bytes(packet), START_NS + number * PERIOD_NS))
            stamped.stream, stamped.time_base = packet.stream, packet.time_base
            stamped.pts, stamped.dts = packet.pts, packet.dts
            container.mux(stamped)
    with VideoSource(path) as source:
        frames = list(source)
    assert len(frames) == 12
    for i, frame in enumerate(frames):
        assert abs(frame.captured_at_ns - START_NS - i * PERIOD_NS) <= 1000
        assert abs(frame.pixels.mean() - plain(i).mean()) < 5


def test_damage_in_the_middle_is_counted_and_the_rest_comes(tmp_path, capfd):
    path = tmp_path / "in.ts"
    rng = np.random.default_rng(3)
    with LiveStream(str(path), 10, SIZE_PX) as stream:
        for i in range(40):
            stream.write(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), START_NS + i * PERIOD_NS)
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 40_000)
    data[middle] = rng.bytes(40_000)
    path.write_bytes(data)
    with VideoSource(path) as source:
        count = sum(1 for _ in source)
        assert source.status().decode_errors > 0
    assert 25 < count <= 40
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "not a video"), (b"\x47rubbish" * 5000, "no"), (b"text\n" * 100, "no")],
)
def test_a_file_that_is_no_video_is_a_sentence(tmp_path, capfd, content, words):
    path = tmp_path / "in.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=words) as error:
        list(VideoSource(path))
    assert str(error.value).startswith(f"{path}: ")
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_no_video(tmp_path):
    with pytest.raises(VideoError, match="directory"):
        VideoSource(tmp_path)


def test_a_playlist_leads_nowhere_else(tmp_path):
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(VideoError):
        list(VideoSource(path))
