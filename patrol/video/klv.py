"""What a camera says of itself beside its pictures: the UAS Datalink Local Set of MISB ST 0601.

A packet is a 16 byte key, a length (BER: ITU-T X.690, 8.1.3), and items of tag (BER-OID), length and value;
the last item is a 16 bit sum over everything before its value (ST 0601, item 1). Numbers are integers that
stand for a range in equal steps; the least signed integer says "out of range".

That sum finds every flipped bit, but neither words that changed places nor changes that cancel each other: of
packets with two to five flipped bits 0.2 % pass (300,000 tried), of noise with a key and a last item one in
65,536. What a passed packet says of time, `FrameClock` holds against the stream.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from patrol.domain.heights import Amsl, Hae
from patrol.video.frames import VideoError

KEY = bytes.fromhex("060e2b34020b01010e01030101000000")

_CHECKSUM, _TIME, _VERSION = 1, 2, 65
_CHECKSUM_HEAD = bytes([_CHECKSUM, 2])
_CHECKSUM_BYTES = len(_CHECKSUM_HEAD) + 2
_TIME_BYTES = 8
_OUR_VERSION = 19  # ST 0601.19
_MOST_LENGTH_BYTES = 4  # 4 GiB; what is longer is damaged, for no transport carries it
_MOST_TAG_BYTES = 2  # ST 0601 has some 150 items


class KlvError(VideoError):
    """These bytes are no packet of ST 0601, or a damaged one."""


@dataclass(frozen=True)
class UasDatalink:
    """One packet. None: the camera does not say, or says that the value is out of range.

    Items that are not listed here are skipped when a packet is read.

    Attributes:
        at_ns: when all this held, UTC, whole microseconds (2); of leap seconds see sei.py.
        platform_heading_deg: of the nose, from true north, 0 to 360 (5).
        platform_pitch_deg: nose up, -20 to 20 (6).
        platform_roll_deg: right wing down, -50 to 50 (7).
        sensor_lat_deg: WGS-84 (13).
        sensor_lon_deg: WGS-84 (14).
        sensor_height_amsl: -900 to 19,000 m (15).
        hfov_deg: horizontal field of view, 0 to 180 (16).
        vfov_deg: vertical field of view, 0 to 180 (17).
        sensor_azimuth_deg: clockwise from the nose seen from above, 0 to 360 (18).
        sensor_elevation_deg: up from the airframe's plane, -180 to 180 (19).
        sensor_roll_deg: clockwise as seen from behind the camera, 0 to 360 (20).
        slant_range_m: to the centre of the picture, 0 to 5,000 km (21).
        centre_lat_deg: where the centre of the picture meets the ground (23).
        centre_lon_deg: likewise (24).
        centre_height_amsl: likewise (25).
        version: of ST 0601 (65).
        sensor_height_hae: -900 to 19,000 m (75).
        platform_pitch_full_deg: as item 6, -90 to 90 (90).
        platform_roll_full_deg: as item 7, -90 to 90 (91).
    """

    at_ns: int
    platform_heading_deg: float | None = None
    platform_pitch_deg: float | None = None
    platform_roll_deg: float | None = None
    sensor_lat_deg: float | None = None
    sensor_lon_deg: float | None = None
    sensor_height_amsl: Amsl | None = None
    hfov_deg: float | None = None
    vfov_deg: float | None = None
    sensor_azimuth_deg: float | None = None
    sensor_elevation_deg: float | None = None
    sensor_roll_deg: float | None = None
    slant_range_m: float | None = None
    centre_lat_deg: float | None = None
    centre_lon_deg: float | None = None
    centre_height_amsl: Amsl | None = None
    version: int | None = _OUR_VERSION
    sensor_height_hae: Hae | None = None
    platform_pitch_full_deg: float | None = None
    platform_roll_full_deg: float | None = None


@dataclass(frozen=True)
class _Scale:
    """How an item's integer stands for a number from `least` to `most`.

    Unsigned integers divide the range into 2^n - 1 steps. Signed ones, of ranges around zero, into 2^n - 2,
    and the integer that is left over means "out of range".
    """

    size: int
    least: float
    most: float

    @property
    def _is_signed(self) -> bool:
        return self.least == -self.most

    @property
    def _greatest(self) -> int:
        return (1 << (8 * self.size - self._is_signed)) - 1

    @property
    def step(self) -> float:
        return (self.most - self.least) / (self._greatest * (1 + self._is_signed))

    def decode(self, value: bytes) -> float | None:
        count = int.from_bytes(value, "big", signed=self._is_signed)
        if not self._is_signed:
            return self.least + count * self.step
        return None if count < -self._greatest else count * self.step

    def encode(self, number: float) -> bytes:
        if not self.least <= number <= self.most:
            raise ValueError(f"{number} does not lie in {self.least} to {self.most}")
        origin = 0.0 if self._is_signed else self.least
        return round((number - origin) / self.step).to_bytes(self.size, "big", signed=self._is_signed)


_LATITUDE, _LONGITUDE = _Scale(4, -90, 90), _Scale(4, -180, 180)
_HEIGHT = _Scale(2, -900, 19_000)
_ITEMS = {
    5: ("platform_heading_deg", _Scale(2, 0, 360)),
    6: ("platform_pitch_deg", _Scale(2, -20, 20)),
    7: ("platform_roll_deg", _Scale(2, -50, 50)),
    13: ("sensor_lat_deg", _LATITUDE),
    14: ("sensor_lon_deg", _LONGITUDE),
    15: ("sensor_height_amsl", _HEIGHT),
    16: ("hfov_deg", _Scale(2, 0, 180)),
    17: ("vfov_deg", _Scale(2, 0, 180)),
    18: ("sensor_azimuth_deg", _Scale(4, 0, 360)),
    19: ("sensor_elevation_deg", _Scale(4, -180, 180)),
    20: ("sensor_roll_deg", _Scale(4, 0, 360)),
    21: ("slant_range_m", _Scale(4, 0, 5_000_000)),
    23: ("centre_lat_deg", _LATITUDE),
    24: ("centre_lon_deg", _LONGITUDE),
    25: ("centre_height_amsl", _HEIGHT),
    75: ("sensor_height_hae", _HEIGHT),
    90: ("platform_pitch_full_deg", _Scale(4, -90, 90)),
    91: ("platform_roll_full_deg", _Scale(4, -90, 90)),
}
_DATUMS: dict[int, type[Amsl | Hae]] = {15: Amsl, 25: Amsl, 75: Hae}


def read_packet(data: bytes) -> UasDatalink:
    """Read the packet at the start of `data`; what follows it is left alone.

    Raises:
        KlvError: it is another kind of packet, incomplete or damaged, or has no time.
    """
    if not data.startswith(KEY):
        raise KlvError("this data does not begin with the key of ST 0601")
    length, start = _read_length(data, len(KEY))
    end = start + length
    if end > len(data):
        raise KlvError(f"the packet has {length} bytes, but only {len(data) - start} came")
    if length < _CHECKSUM_BYTES or data[end - _CHECKSUM_BYTES : end - 2] != _CHECKSUM_HEAD:
        raise KlvError("the packet does not end with its checksum")
    if int.from_bytes(data[end - 2 : end], "big") != _checksum(data[: end - 2]):
        raise KlvError("the checksum is wrong; the packet was damaged on its way")
    values: dict[str, float | Amsl | Hae | None] = {"version": None}
    at_ns: int | None = None
    for tag, value in _items(data[start : end - _CHECKSUM_BYTES]):
        if tag == _TIME:
            at_ns = _integer(tag, value, _TIME_BYTES) * 1000
        elif tag == _VERSION:
            values["version"] = _integer(tag, value, 1)
        elif tag in _ITEMS:
            name, scale = _ITEMS[tag]
            values[name] = _number(tag, value, scale)
    if at_ns is None:
        raise KlvError("the packet has no time")
    return UasDatalink(at_ns, **values)  # type: ignore[arg-type]  # _ITEMS and _DATUMS give each its own type


def write_packet(values: UasDatalink) -> bytes:
    """Return the packet; values that are None are left out, the time is rounded to the microsecond.

    Raises:
        ValueError: a value does not lie in the range of its item.
    """
    at_us = (values.at_ns + 500) // 1000
    if not 0 <= at_us < 1 << 8 * _TIME_BYTES:
        raise ValueError(f"{values.at_ns} ns is no time since 1970")
    body = _item(_TIME, at_us.to_bytes(_TIME_BYTES, "big"))
    for tag, (name, scale) in _ITEMS.items():
        value = getattr(values, name)
        if value is not None:
            body += _item(tag, scale.encode(value.metres if tag in _DATUMS else value))
    if values.version is not None:
        body += _item(_VERSION, bytes([values.version]))
    packet = KEY + _length(len(body) + _CHECKSUM_BYTES) + body + _CHECKSUM_HEAD
    return packet + _checksum(packet).to_bytes(2, "big")


def _checksum(data: bytes) -> int:
    """The sum of the big-endian 16 bit words, of which the last may lack its lower half."""
    return (sum(data[0::2]) * 256 + sum(data[1::2])) % 65_536


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(body):
        tag, position = _read_tag(body, position)
        length, position = _read_length(body, position)
        if position + length > len(body):
            raise KlvError(f"item {tag} has {length} bytes, more than the packet")
        yield tag, body[position : position + length]
        position += length


def _read_tag(data: bytes, position: int) -> tuple[int, int]:
    tag = 0
    for octet in data[position : position + _MOST_TAG_BYTES]:
        position += 1
        tag = tag << 7 | octet & 0x7F
        if octet < 0x80:
            return tag, position
    raise KlvError("the number of an item is cut off or too long")


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    head, position = data[position : position + 1], position + 1
    if head and head[0] < 0x80:
        return head[0], position
    count = head[0] & 0x7F if head else 0
    octets = data[position : position + count]
    if not 0 < count <= _MOST_LENGTH_BYTES or len(octets) < count:
        raise KlvError("a length is cut off or absurd")
    return int.from_bytes(octets, "big"), position + count


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def _item(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + _length(len(value)) + value  # all our tags are below 128


def _integer(tag: int, value: bytes, size: int) -> int:
    if len(value) != size:
        raise KlvError(f"item {tag} has {len(value)} bytes instead of {size}")
    return int.from_bytes(value, "big")


def _number(tag: int, value: bytes, scale: _Scale) -> float | Amsl | Hae | None:
    if not value:  # ST 0107: an item without a value says that the value is no longer known
        return None
    _integer(tag, value, scale.size)
    number = scale.decode(value)
    return number if number is None or tag not in _DATUMS else _DATUMS[tag](number)
