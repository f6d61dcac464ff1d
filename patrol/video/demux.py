"""Takes a stream apart into packets of pictures and the times that come beside them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import DataStream, Stream
from av.video.stream import VideoStream

from patrol.video import klv
from patrol.video.clock import Reference, Timing, is_sane
from patrol.video.sei import read_time_stamp

# Cameras take the time of a KLV packet when they read their sensors and send it with the next picture: up to
# one picture early or late at 25 Hz, and a uniform 80 ms has a standard deviation of 80 / sqrt(12) ms.
_KLV_SIGMA_NS = 23_000_000
# Without a presentation time (stream type 0x06, SMPTE RP 217) a packet only lies next to some picture, which
# the encoder held for up to 0.4 s; taking that for no delay is 0.4 / sqrt(3) s off in the root mean square.
_KLV_BESIDE_SIGMA_NS = 230_000_000
# By RFC 3550 (5.1, 6.4.1) a report tells the wall clock of the sampling instant. Cameras that take the end of
# encoding for it are late by up to 0.2 s, which is 0.2 / sqrt(3) s in the root mean square.
_RTCP_SIGMA_NS = 115_000_000


@dataclass(frozen=True)
class Piece:
    """One packet, taken apart.

    Attributes:
        pictures: the packet, where it holds pictures to decode.
        reference: a UTC time that it tells.
        is_damaged: what it tells cannot be believed.
    """

    pictures: "Packet[VideoStream] | None" = None
    reference: Reference | None = None
    is_damaged: bool = False


def pieces(container: InputContainer, video: VideoStream) -> Iterator[Piece]:
    """Yield all that a container holds of its pictures and their times, in the order in which it came.

    Raises:
        av.FFmpegError, OSError: libav's own.
    """
    beside = [s for s in container.streams if isinstance(s, DataStream) and s.name == "klv"]
    pts_ns: int | None = None
    for packet in container.demux(video, *beside):
        if packet.stream.index == video.index:
            pictures = cast("Packet[VideoStream]", packet)
            pts_ns = time_ns(packet.pts, packet.time_base)
            yield Piece(pictures, _rtcp_reference(packet, pts_ns), packet.is_corrupt)
        elif packet.size:
            yield _klv_piece(packet, beside_pts_ns=pts_ns)


def time_ns(pts: int | None, time_base: Fraction | None) -> int | None:
    """Return a presentation time in nanoseconds of the stream's own count."""
    return None if pts is None or time_base is None else round(pts * time_base * 1_000_000_000)


def stamped_time_ns(picture: av.VideoFrame) -> int | None:
    """Return the UTC time that the picture carries by MISB ST 0604, None without one."""
    side_data = cast(SideDataContainer, picture.side_data)
    for i in range(len(side_data)):  # a picture may carry several messages; the mapping shows one of a type
        if side_data[i].type is SideDataType.SEI_UNREGISTERED:
            stamp = read_time_stamp(bytes(side_data[i]))
            if stamp is not None:
                return stamp
    return None


def _klv_piece(packet: "Packet[Stream]", beside_pts_ns: int | None) -> Piece:
    data = bytes(packet)
    start = data.find(klv.KEY)  # libav may leave a head before it (ISO/IEC 13818-1, 2.12.4)
    if start < 0:
        return Piece()  # KLV has many other local sets
    try:
        at_ns = klv.read_packet(data[start:]).at_ns
    except klv.KlvError:
        return Piece(is_damaged=True)
    if not is_sane(at_ns):
        return Piece(is_damaged=True)
    pts_ns, sigma_ns = time_ns(packet.pts, packet.time_base), _KLV_SIGMA_NS
    if pts_ns is None:
        pts_ns, sigma_ns = beside_pts_ns, _KLV_BESIDE_SIGMA_NS
    return Piece(reference=Reference(Timing.KLV, pts_ns, at_ns, sigma_ns) if pts_ns is not None else None)


def _rtcp_reference(packet: "Packet[Stream]", pts_ns: int | None) -> Reference | None:
    """Return the wall clock that libav works out from the last RTCP report (AVProducerReferenceTime).

    The first packets after a report are left out: libav's parser may give one the time of the next picture.
    """
    if pts_ns is None or not packet.has_sidedata("prft") or packet.has_sidedata("rtcp_sr"):
        return None
    (wall_clock_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    at_ns = wall_clock_us * 1000
    return Reference(Timing.RTCP, pts_ns, at_ns, _RTCP_SIGMA_NS) if is_sane(at_ns) else None
