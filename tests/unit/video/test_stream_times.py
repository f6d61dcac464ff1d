"""Capture times in real streams: KLV in MPEG-TS of every kind, stamps in H.265, streams that lie."""

import itertools
import socket
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from patrol.video.clock import Timing
from patrol.video.frames import Frame
from patrol.video.klv import KEY, UasDatalink, read_packet, write_packet
from patrol.video.source import SourceState, SourceStatus, VideoSource
from patrol.video.writer import LiveStream, Stamps

START_NS = 1_750_000_000_123_456_000
PERIOD_NS = 100_000_000
SIZE_PX = (64, 48)
KLV_PID, PMT_PID = 0x101, 0x1000
# ISO/IEC 13818-1, 2.12.4: service, sequence number, "complete and random access", and the length to come.
CELL_HEAD = bytes.fromhex("00 00 df")
NAL_SEI_PREFIX = b"\x4e\x01"  # H.265 table 7-1: type 39, layer 0, temporal id 1
UUID_H265 = bytes.fromhex("a8687dd4d7593758a5cef0338b6545f1")


def plain(level: int) -> np.ndarray:
    return np.full((SIZE_PX[1], SIZE_PX[0], 3), 9 * level % 200 + 20, np.uint8)


def write_klv_ts(
    path: Path,
    count: int,
    packet: Callable[[int], bytes | None],
    *,
    b_frames: int = 0,
    container_options: dict[str, str] | None = None,
) -> None:
    """A transport stream whose pictures carry nothing, with a packet beside each (or None)."""
    with av.open(str(path), "w", format="mpegts", options=container_options) as container:
        options = {"x264-params": f"bframes={b_frames}:b-adapt=0:keyint=10"}
        video = container.add_stream("libx264", rate=10, options=options)
        video.width, video.height, video.pix_fmt = *SIZE_PX, "yuv420p"
        beside = container.add_data_stream("klv")
        for i in range(count):
            container.mux(video.encode(av.VideoFrame.from_ndarray(plain(i), format="bgr24")))
            data = packet(i)
            if data is not None:
                klv = av.Packet(data)
                klv.stream, klv.time_base = beside, Fraction(1, 10)
                klv.pts = klv.dts = i
                container.mux(klv)
        container.mux(video.encode(None))


def told(i: int) -> bytes:
    return write_packet(UasDatalink(START_NS + i * PERIOD_NS))


def edit_ts(path: Path, *, synchronous: bool) -> None:
    """Make of libav's KLV stream, which is neither, a synchronous or an asynchronous one."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        packet = memoryview(data)[at : at + 188]
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        payload = packet[4 + (packet[3] & 0x20 and 1 + packet[4]) :]
        if pid == PMT_PID and synchronous:
            section = payload[1 + payload[0] :]
            length = 3 + ((section[1] & 0x0F) << 8 | section[2])
            entry = bytes(section[:length]).index(bytes([0x06, 0xE0 | KLV_PID >> 8, KLV_PID & 0xFF]))
            section[entry] = 0x15
            section[length - 4 : length] = crc32_mpeg(bytes(section[: length - 4])).to_bytes(4, "big")
        if pid == KLV_PID and packet[1] & 0x40 and not synchronous:
            payload[3] = 0xBD  # private stream 1
            payload[7] &= 0x3F  # no presentation time ...
            payload[9 : 9 + payload[8]] = b"\xff" * payload[8]  # ... but stuffing
    path.write_bytes(data)


def crc32_mpeg(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for bit in itertools.chain.from_iterable(((octet >> 7 - i) & 1 for i in range(8)) for octet in data):
        crc = (crc << 1 ^ (0x04C1_1DB7 if (crc >> 31) ^ bit else 0)) & 0xFFFF_FFFF
    return crc


def seen(path: Path) -> tuple[list[Frame], SourceStatus]:
    with VideoSource(path, starts_at_ns=0) as source:
        return list(source), source.status()


def errors_ns(frames: Iterable[Frame]) -> list[int]:
    """How far each picture's time is off; the picture itself tells which it is."""
    return [frame.captured_at_ns - START_NS - frame.index * PERIOD_NS for frame in frames]


@pytest.mark.parametrize(("stamps", "timing"), [(Stamps.KLV, Timing.KLV), (Stamps.BOTH, Timing.STAMPED)])
def test_klv_crosses_a_real_socket_to_the_microsecond(stamps, timing):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    now_ns, got = START_NS, []
    with (
        VideoSource(url, utc_ns=lambda: now_ns, monotonic_s=lambda: now_ns / 1e9) as source,
        LiveStream(url, 10, SIZE_PX, stamps) as stream,
    ):
        frames = source.frames(timeout_s=0.1)
        for i in range(200):
            now_ns = START_NS + i * PERIOD_NS
            stream.write(plain(i), now_ns)
            frame = next(frames)
            if frame is not None and frame.timing is timing:
                got.append(frame)
            if len(got) > 20:
                break
        assert source.status().decode_errors == 0
    assert len(got) > 20
    for frame in got:
        number = round((frame.captured_at_ns - START_NS) / PERIOD_NS)
        assert abs(frame.captured_at_ns - START_NS - number * PERIOD_NS) <= 12_000  # a tick of 90 kHz
        assert abs(frame.pixels.mean() - plain(number).mean()) < 5


def test_a_stream_without_stamps_has_none(tmp_path):
    path = tmp_path / "in.ts"
    with LiveStream(str(path), 10, SIZE_PX, Stamps.NONE) as stream:
        for i in range(12):
            stream.write(plain(i), START_NS + i * PERIOD_NS)
    frames, status = seen(path)
    assert len(frames) == 12
    assert status.timing is Timing.FILE


def test_libav_knows_our_klv_stream_and_finds_what_was_written(tmp_path):
    path = tmp_path / "in.ts"
    with LiveStream(str(path), 10, SIZE_PX, Stamps.KLV) as stream:
        for i in range(12):
            stream.write(plain(i), START_NS + i * PERIOD_NS)
    with av.open(str(path)) as container:
        (beside,) = container.streams.data
        assert beside.name == "klv"
        packets = [packet for packet in container.demux(beside) if packet.size]
    assert [read_packet(bytes(packet)).at_ns for packet in packets] == [
        START_NS + i * PERIOD_NS for i in range(12)
    ]
    assert [packet.pts for packet in packets] == [9_000 * i for i in range(12)]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("has_cell_head", [False, True])
def test_synchronous_klv_gives_each_picture_its_time(tmp_path, b_frames, has_cell_head):
    path = tmp_path / "in.ts"

    def packet(i: int) -> bytes:
        data = told(i)
        return CELL_HEAD + len(data).to_bytes(2, "big") + data if has_cell_head else data

    write_klv_ts(path, 30, packet, b_frames=b_frames)
    if has_cell_head:  # by the standard; without one as libav writes it
        edit_ts(path, synchronous=True)
    frames, status = seen(path)
    assert len(frames) == 30
    assert status.decode_errors == 0
    assert {frame.timing for frame in frames} == {Timing.KLV}
    assert all(abs(error) <= 12_000 for error in errors_ns(frames))
    assert {frame.captured_at_sigma_ns // 1_000_000 for frame in frames} == {23}


def test_klv_once_a_second_is_carried_on_by_presentation_times(tmp_path):
    path = tmp_path / "in.ts"
    write_klv_ts(path, 40, lambda i: told(i) if i % 10 == 0 else None)
    frames, _ = seen(path)
    assert {frame.timing for frame in frames} == {Timing.KLV}
    assert all(abs(error) <= 12_000 for error in errors_ns(frames))


def test_klv_holds_where_33_bits_of_presentation_time_come_round(tmp_path):
    path = tmp_path / "in.ts"
    offset_s = round(2**33 / 90_000) - 3
    write_klv_ts(path, 60, told, container_options={"output_ts_offset": str(offset_s), "mpegts_copyts": "1"})
    frames, status = seen(path)
    assert {frame.timing for frame in frames} == {Timing.KLV}
    assert all(abs(error) <= 12_000 for error in errors_ns(frames))
    assert status.state is SourceState.READY


def test_asynchronous_klv_is_taken_for_that_of_its_neighbour_with_a_wider_sigma(tmp_path):
    path = tmp_path / "in.ts"
    write_klv_ts(path, 30, told)
    edit_ts(path, synchronous=False)
    frames, status = seen(path)
    frames = [frame for frame in frames if frame.timing is Timing.KLV]
    assert len(frames) > 20
    assert status.decode_errors == 0
    for frame, error_ns in zip(frames, errors_ns(frames), strict=True):
        assert frame.captured_at_sigma_ns >= 230_000_000
        assert abs(error_ns) <= 2 * frame.captured_at_sigma_ns


def test_damaged_klv_is_counted_and_never_believed(tmp_path):
    path = tmp_path / "in.ts"
    rng = np.random.default_rng(5)

    def packet(i: int) -> bytes:
        data = bytearray(told(i))
        if i % 3 == 1:
            data[rng.integers(len(KEY), len(data))] ^= 1 << rng.integers(8)
        return rng.bytes(60) if i % 3 == 2 else bytes(data)

    write_klv_ts(path, 30, packet)
    frames, status = seen(path)
    assert status.decode_errors == 10  # the rest has no key and may be anything
    assert {frame.timing for frame in frames} == {Timing.KLV}
    assert all(abs(error) <= 12_000 for error in errors_ns(frames))


@pytest.mark.parametrize("at_ns", [0, 946_684_799 * 10**9, 5 * 10**18])
def test_klv_of_a_clock_that_was_never_set_is_no_time(tmp_path, at_ns):
    path = tmp_path / "in.ts"
    write_klv_ts(path, 12, lambda _: write_packet(UasDatalink(at_ns)))
    frames, status = seen(path)
    assert {frame.timing for frame in frames} == {Timing.FILE}
    assert status.decode_errors == 12


def test_a_file_whose_stamps_lie_says_so_and_counts_from_its_start(tmp_path):
    path = tmp_path / "in.ts"
    write_klv_ts(path, 60, lambda i: told(i if i < 20 else i + 50))
    frames, status = seen(path)
    assert status.state is SourceState.DEGRADED
    assert status.reason == (
        f"{path}: the times in its KLV data strayed by 5.0 s from its presentation times; "
        "times are counted from the file's start"
    )
    assert {frame.timing for frame in frames[20:]} == {Timing.FILE}


def test_stamps_in_h265_are_read(tmp_path):
    path = tmp_path / "in.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        video = container.add_stream("libx265", rate=10, options={"x265-params": "bframes=2:log-level=none"})
        video.width, video.height, video.pix_fmt = *SIZE_PX, "yuv420p"
        pictures = [av.VideoFrame.from_ndarray(plain(i), format="bgr24") for i in range(12)]
        for packet in itertools.chain.from_iterable(video.encode(picture) for picture in [*pictures, None]):
            number = round(packet.pts * packet.time_base / Fraction(1, 10))
            stamped = av.Packet(stamp_h265(bytes(packet), START_NS + number * PERIOD_NS))
            stamped.stream, stamped.time_base = packet.stream, packet.time_base
            stamped.pts, stamped.dts = packet.pts, packet.dts
            container.mux(stamped)
    frames, _ = seen(path)
    assert len(frames) == 12
    assert {frame.timing for frame in frames} == {Timing.STAMPED}
    assert errors_ns(frames) == [0] * 12


def stamp_h265(access_unit: bytes, at_ns: int) -> bytes:
    """The access unit with ST 0604's SEI message before its first slice (H.265 table 7-1: types 0 to 31)."""
    count = (at_ns // 1000).to_bytes(8, "big")
    payload = UUID_H265 + b"\x1f" + b"\xff".join(count[i : i + 2] for i in range(0, 8, 2))
    start = 0
    while (access_unit[start + 3] >> 1 & 0x3F) > 31:
        start = access_unit.index(b"\x00\x00\x01", start + 3)
    sei = b"\x00\x00\x01" + NAL_SEI_PREFIX + bytes([5, len(payload)]) + payload + b"\x80"
    return access_unit[:start] + sei + access_unit[start:]
