"""H.264 out of our hands: files that open everywhere, streams that can be joined."""

import av
import numpy as np
import pytest

from patrol.video.frames import VideoError
from patrol.video.writer import LiveStream, VideoFile


def test_file_of_odd_size_and_broken_rate_comes_back(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoFile(path, 30000 / 1001, (161, 121)) as video:
        for level in range(0, 240, 8):
            video.write(np.full((121, 161, 3), level, np.uint8))
        video.close()  # a second close does no harm
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (162, 122)
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
        levels = [picture.to_ndarray(format="bgr24").mean() for picture in container.decode(stream)]
    np.testing.assert_allclose(levels, range(0, 240, 8), atol=5)


@pytest.mark.parametrize("place", ["missing/out.mp4", "."])
def test_a_file_that_cannot_be_written_is_named(tmp_path, place):
    with pytest.raises(VideoError, match="cannot be opened for writing"):
        VideoFile(tmp_path / place, 10, (64, 48))


@pytest.mark.parametrize("shape", [(48, 64), (64, 48, 3)])
def test_a_picture_of_another_shape_is_refused(tmp_path, shape):
    with VideoFile(tmp_path / "out.mp4", 10, (64, 48)) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(ValueError, match=r"pictures are \(48, 64, 3\) uint8"):
            video.write(np.zeros(shape, np.uint8))


def test_writing_after_the_end_is_refused(tmp_path):
    video = VideoFile(tmp_path / "out.mp4", 10, (64, 48))
    video.close()
    with pytest.raises(VideoError, match="already closed"):
        video.write(np.zeros((48, 64, 3), np.uint8))


def test_live_times_must_rise(tmp_path):
    with LiveStream(str(tmp_path / "out.ts"), 10, (64, 48)) as stream:
        stream.write(np.zeros((48, 64, 3), np.uint8), 1_000_000_000)
        with pytest.raises(ValueError, match="does not lie after"):
            stream.write(np.zeros((48, 64, 3), np.uint8), 1_000_000_000)


def test_live_stream_can_be_joined_each_second_and_holds_nothing_back(tmp_path):
    path = tmp_path / "out.ts"
    with LiveStream(str(path), 5, (64, 48)) as stream:
        for i in range(20):
            stream.write(np.full((48, 64, 3), 10 * i, np.uint8), 1_000_000_000 + 200_000_000 * i)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 5, 10, 15]
    assert all(packet.pts == packet.dts for packet in packets)  # no B-frames
    assert all(
        b"\x00\x00\x01\x67" in bytes(packet) for packet in packets if packet.is_keyframe
    )  # headers repeated


def test_an_address_without_a_receiver_is_named():
    with pytest.raises(VideoError, match=r"tcp://127.0.0.1:9: .*refused"):
        LiveStream("tcp://127.0.0.1:9", 10, (64, 48))
