"""Packets of MISB ST 0601: byte for byte, there and back, and damaged in every way."""

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patrol.domain.heights import Amsl, Hae
from patrol.video.klv import KEY, KlvError, UasDatalink, read_packet, write_packet

AT_NS = 1_700_000_000_123_456_000
# The worked example of each item in ST 0601.16, section 8, with the digits that it prints; jMISB and klvdata
# test with the same octets. (Older editions print 3.405814 for item 7, which is item 91's.)
EXAMPLES = {
    "platform_heading_deg": (5, "71c2", 159.974365),
    "platform_pitch_deg": (6, "fd3d", -0.431531724),
    "platform_roll_deg": (7, "08b8", 3.40586566),
    "sensor_lat_deg": (13, "5595b66d", 60.176822966978335),
    "sensor_lon_deg": (14, "5b5360c4", 128.42675904204452),
    "sensor_height_amsl": (15, "c221", 14190.7195),
    "hfov_deg": (16, "cd9c", 144.571298),
    "vfov_deg": (17, "d917", 152.643626),
    "sensor_azimuth_deg": (18, "724a0a20", 160.71921143697557),
    "sensor_elevation_deg": (19, "87f84b86", -168.79232483394085),
    "sensor_roll_deg": (20, "7dc55ece", 176.86543764939194),
    "slant_range_m": (21, "03830926", 68590.983298744770),
    "centre_lat_deg": (23, "f101a229", -10.542388633146132),
    "centre_lon_deg": (24, "14bc082b", 29.157890122923),
    "centre_height_amsl": (25, "34f3", 3216.0372),
    "sensor_height_hae": (75, "c221", 14190.7195),
    "platform_pitch_full_deg": (90, "ff62e2f2", -0.43152510208614414),
    "platform_roll_full_deg": (91, "04d804df", 3.4058139815022304),
}
RANGES = {  # least, most and the step between neighbours
    "platform_heading_deg": (0, 360, 360 / 65_535),
    "platform_pitch_deg": (-20, 20, 40 / 65_534),
    "platform_roll_deg": (-50, 50, 100 / 65_534),
    "sensor_lat_deg": (-90, 90, 180 / 4_294_967_294),
    "sensor_lon_deg": (-180, 180, 360 / 4_294_967_294),
    "sensor_height_amsl": (-900, 19_000, 19_900 / 65_535),
    "hfov_deg": (0, 180, 180 / 65_535),
    "vfov_deg": (0, 180, 180 / 65_535),
    "sensor_azimuth_deg": (0, 360, 360 / 4_294_967_295),
    "sensor_elevation_deg": (-180, 180, 360 / 4_294_967_294),
    "sensor_roll_deg": (0, 360, 360 / 4_294_967_295),
    "slant_range_m": (0, 5_000_000, 5_000_000 / 4_294_967_295),
    "centre_lat_deg": (-90, 90, 180 / 4_294_967_294),
    "centre_lon_deg": (-180, 180, 360 / 4_294_967_294),
    "centre_height_amsl": (-900, 19_000, 19_900 / 65_535),
    "sensor_height_hae": (-900, 19_000, 19_900 / 65_535),
    "platform_pitch_full_deg": (-90, 90, 180 / 4_294_967_294),
    "platform_roll_full_deg": (-90, 90, 180 / 4_294_967_294),
}
DATUMS = {"sensor_height_amsl": Amsl, "centre_height_amsl": Amsl, "sensor_height_hae": Hae}
FULL = UasDatalink(
    AT_NS, 12.5, -3.0, 4.5, 31.3, 120.62, Amsl(63.0), 78.0, 48.0, 181.0, -45.0, 0.5, 84.0, 31.301, 120.621,
    Amsl(3.5), 19, Hae(74.0), -3.0, 4.5,
)  # fmt: skip


def summed(packet: bytes) -> bytes:
    """The packet with the right sum at its end, worked out the slow way that ST 0601 spells out."""
    total = 0
    for i, octet in enumerate(packet[:-2]):
        total = (total + (octet << (8 * ((i + 1) % 2)))) & 0xFFFF
    return packet[:-2] + total.to_bytes(2, "big")


def packet_of(items: str, length: str | None = None) -> bytes:
    """A packet with the time, these items and a right sum, all in hexadecimal."""
    body = bytes.fromhex("0208" + (AT_NS // 1000).to_bytes(8, "big").hex() + items + "01020000")
    return summed(KEY + (bytes([len(body)]) if length is None else bytes.fromhex(length)) + body)


def number(value) -> float:
    return getattr(value, "metres", value)


def test_a_packet_is_laid_out_as_the_standard_says():
    packet = write_packet(UasDatalink(1_224_807_209_913_000_000, platform_heading_deg=159.974365))
    assert packet.hex(" ") == (
        "06 0e 2b 34 02 0b 01 01 0e 01 03 01 01 00 00 00 15 "
        "02 08 00 04 59 f4 a6 aa 4a a8 05 02 71 c2 41 01 13 01 02 " + packet[-2:].hex(" ")
    )
    assert packet == summed(packet)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_standard(name):
    tag, octets, expected = EXAMPLES[name]
    item = f"{tag:02x}{len(octets) // 2:02x}{octets}"
    values = read_packet(packet_of(item))
    read = number(getattr(values, name))
    assert read == pytest.approx(expected, rel=1e-8 if len(octets) == 4 else 1e-13)
    assert values == replace(UasDatalink(AT_NS, version=None), **{name: getattr(values, name)})
    assert write_packet(values) == packet_of(item)


def test_heights_keep_their_datums():
    values = read_packet(write_packet(FULL))
    assert isinstance(values.sensor_height_amsl, Amsl)
    assert isinstance(values.centre_height_amsl, Amsl)
    assert isinstance(values.sensor_height_hae, Hae)


@pytest.mark.parametrize("name", [name for name, (least, most, _) in RANGES.items() if least == -most])
def test_the_least_integer_means_out_of_range(name):
    tag, octets, _ = EXAMPLES[name]
    values = read_packet(packet_of(f"{tag:02x}{len(octets) // 2:02x}80{'00' * (len(octets) // 2 - 1)}"))
    assert values == UasDatalink(AT_NS, version=None)


def test_an_item_without_a_value_is_not_known():
    assert read_packet(packet_of("0500 0d00")) == UasDatalink(AT_NS, version=None)


@settings(max_examples=40)
@given(
    wanted=st.fixed_dictionaries(
        {name: st.one_of(st.none(), st.floats(least, most)) for name, (least, most, _) in RANGES.items()}
    ),
    at_ns=st.integers(0, 2**62),
    version=st.one_of(st.none(), st.integers(0, 255)),
)
def test_there_and_back_within_half_a_step(wanted, at_ns, version):
    typed = {
        name: DATUMS[name](value) if name in DATUMS and value is not None else value
        for name, value in wanted.items()
    }
    got = read_packet(write_packet(UasDatalink(at_ns, version=version, **typed)))
    assert abs(got.at_ns - at_ns) <= 500
    assert got.version == version
    for name, value in wanted.items():
        read = number(getattr(got, name))
        if value is None:
            assert read is None
        else:
            assert abs(read - value) <= RANGES[name][2] * 0.5000001
    assert read_packet(write_packet(got)) == got


@pytest.mark.parametrize("name", [field.name for field in fields(UasDatalink)])
def test_what_no_item_can_hold_is_refused(name):
    wrong = {"at_ns": -1_000_000, "version": 256}.get(name, math.nan)
    datum = DATUMS.get(name, float)
    with pytest.raises(ValueError, match=r"does not lie in|no time since 1970|range"):
        write_packet(replace(FULL, **{name: wrong if name in ("at_ns", "version") else datum(wrong)}))
    if name in RANGES:
        least, most, step = RANGES[name]
        for beyond in (least - step, most + step):
            with pytest.raises(ValueError, match="does not lie in"):
                write_packet(replace(FULL, **{name: datum(beyond)}))


@pytest.mark.parametrize(
    "length", ["0e", "810e", "82000e", "8400 00000e"], ids=["short", "one", "two", "four octets"]
)
def test_lengths_in_every_form(length):
    assert read_packet(packet_of("", length)) == UasDatalink(AT_NS, version=None)


def test_a_long_packet_says_so_and_unknown_items_are_skipped():
    noise = "48" + "8180" + "aa" * 128 + "8102" + "0455667788"  # items 72 and 130
    packet = packet_of(noise + "050271c2", "819c")
    assert read_packet(packet).platform_heading_deg == pytest.approx(159.974365)


def test_what_follows_a_packet_is_left_alone():
    packet = write_packet(FULL)
    assert read_packet(packet + packet[:30]) == read_packet(packet)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin with the key"),
        (KEY[:-1], "does not begin with the key"),
        (bytes.fromhex("060e2b34020b01010e01030102000000") + b"\x00", "does not begin with the key"),
        (KEY, "cut off or absurd"),
        (KEY + b"\x80" + bytes(40), "cut off or absurd"),  # of indefinite length
        (KEY + b"\x84\x01", "cut off or absurd"),
        (KEY + b"\x88" + b"\xff" * 40, "cut off or absurd"),
        (KEY + b"\x84\xff\xff\xff\xff" + bytes(40), "4294967295 bytes, but only 40 came"),
        (KEY + b"\x00", "does not end with its checksum"),
        (KEY + b"\x05" + bytes(5), "does not end with its checksum"),
        (packet_of("")[:-1], "14 bytes, but only 13 came"),
        (packet_of("")[:-2] + b"\x00\x00", "checksum is wrong"),
        (summed(KEY + bytes.fromhex("04 01020000")), "has no time"),
        (summed(KEY + bytes.fromhex("0d 020700000000000000 01020000")), "item 2 has 7 bytes"),
        (packet_of("0503 000000"), "item 5 has 3 bytes instead of 2"),
        (packet_of("4102 0000"), "item 65 has 2 bytes instead of 1"),
        (packet_of("0509 00"), "item 5 has 9 bytes, more than the packet"),
        (packet_of("05"), "cut off or absurd"),
        (packet_of("ffffff 00"), "number of an item"),
        (packet_of("81"), "number of an item"),
    ],
)
def test_malformed_packets_are_refused_in_a_sentence(data, words):
    with pytest.raises(KlvError, match=words):
        read_packet(data)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: KEY + tail)))
def test_noise_is_no_packet(data):
    with pytest.raises(KlvError):
        read_packet(data)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_noise_with_a_right_sum_is_read_or_refused(body, length):
    body += b"\x01\x02\x00\x00"
    for head in (bytes([length]), bytes([0x82]) + len(body).to_bytes(2, "big")):
        packet = summed(KEY + head + body)
        try:
            values = read_packet(packet)
        except KlvError:
            continue
        for name, (least, most, _) in RANGES.items():
            value = number(getattr(values, name))
            assert value is None or least <= value <= most


def test_every_flipped_bit_is_found():
    packet = write_packet(FULL)
    length_at = len(KEY)
    for bit in range(8 * len(packet)):
        damaged = bytearray(packet)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KlvError):
            read_packet(bytes(damaged))
    assert packet[length_at] < 0x80  # so the loop above flipped all of the packet's own length, too


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 200),
)
def test_what_the_sum_lets_pass_is_the_same_sum(changes, cut):
    packet = bytearray(write_packet(FULL))
    for position, octet in changes:
        packet[position % len(packet)] = octet
    packet = packet[: max(1, len(packet) - cut)] if cut < 100 else packet
    try:
        read_packet(bytes(packet))
    except KlvError:
        return
    assert packet == summed(bytes(packet))
