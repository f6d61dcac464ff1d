"""The one place that names the MAVLink library, and the bytes on the wire made into messages.

The dialect is ardupilotmega, MAVLink 2; it holds the common messages that PX4 speaks as well.
Frame format: https://mavlink.io/en/guide/serialization.html
"""

import logging
import struct
from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

__all__ = ["Framer", "FramingCounters", "Message", "mavlink"]

# Messages carry no type information; `get_type()` names them as the MAVLink definitions do. The link adds
# `arrived_ns`: when the message was read, on the link's monotonic clock.
Message = Any

# The library reads MAV_IGNORE_CRC from the environment. Nothing may talk it into taking broken frames.
mavlink.MAVLINK_IGNORE_CRC = 0
# The library tells every oddity of a signature on its own log.
mavlink.logger.setLevel(logging.ERROR)

_MARKERS = (mavlink.PROTOCOL_MARKER_V1, mavlink.PROTOCOL_MARKER_V2)
_CHECKSUM_BYTES = 2
# Marker, payload length, and (MAVLink 2) the flags that tell whether a signature follows.
_LENGTH_KNOWN_BYTES = 3


@dataclass
class FramingCounters:
    """What came in, good and bad."""

    frames: int = 0
    bad_frames: int = 0
    bad_bytes: int = 0


class Framer:
    """Finds MAVLink frames in bytes that may hold anything at all.

    After a broken frame the search goes on at its second byte, so that rubbish that looks like the start of
    a frame cannot swallow the good one behind it. Nothing raises; what is skipped is counted.
    """

    def __init__(self) -> None:
        self.counters = FramingCounters()
        self._rest = b""
        self._decoder = mavlink.MAVLink(None)

    def feed(self, data: bytes) -> list[Message]:
        """Messages completed by `data`; an incomplete frame at its end waits for more."""
        data = self._rest + data
        messages: list[Message] = []
        at = 0
        while at < len(data):
            if data[at] not in _MARKERS:
                self.counters.bad_bytes += 1
                at += 1
                continue
            size = _frame_bytes(data[at : at + _LENGTH_KNOWN_BYTES])
            if size is None or at + size > len(data):
                break
            message = self._decode(data[at : at + size]) if size else None
            if message is None:
                self.counters.bad_frames += 1
                self.counters.bad_bytes += 1
                at += 1
                continue
            self.counters.frames += 1
            messages.append(message)
            at += size
        self._rest = data[at:]
        return messages

    def feed_datagram(self, data: bytes) -> list[Message]:
        """Messages of one datagram. Frames never cross datagrams, so what is incomplete at its end is bad."""
        self._rest = b""
        messages = self.feed(data)
        while self._rest:
            cut_off, self._rest = self._rest, b""
            self.counters.bad_bytes += 1
            messages += self.feed(cut_off[1:])
        return messages

    def _decode(self, frame: bytes) -> Message | None:
        """The message, None for no frame. An unknown kind has no checksum to prove it: none either."""
        try:
            message = self._decoder.decode(bytearray(frame))
        except (mavlink.MAVError, struct.error, ValueError, TypeError, IndexError):
            return None
        return None if isinstance(message, mavlink.MAVLink_unknown) else message


def _frame_bytes(start: bytes) -> int | None:
    """Length of the frame that begins so; None when that cannot be told yet, 0 when it is no frame."""
    if len(start) < _LENGTH_KNOWN_BYTES:
        return None
    marker, payload_bytes, flags = start
    if marker == mavlink.PROTOCOL_MARKER_V1:
        return int(mavlink.HEADER_LEN_V1) + payload_bytes + _CHECKSUM_BYTES
    if flags & ~mavlink.MAVLINK_IFLAG_SIGNED:
        return 0
    signature_bytes = mavlink.MAVLINK_SIGNATURE_BLOCK_LEN if flags & mavlink.MAVLINK_IFLAG_SIGNED else 0
    return int(mavlink.HEADER_LEN_V2) + payload_bytes + _CHECKSUM_BYTES + int(signature_bytes)
