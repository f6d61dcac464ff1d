"""The time stamp of MISB ST 0604, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.video.sei import insert_time_stamp, read_time_stamp, time_stamp

AT_NS = 0x0005_F2A1_B3C4_D5E6 * 1000  # 2022; the microseconds show every byte
PAYLOAD = b"MISPmicrosectime" + bytes.fromhex("1f 0005 ff f2a1 ff b3c4 ff d5e6")
SPS, PPS, SLICE = b"\x00\x00\x00\x01\x67sps", b"\x00\x00\x00\x01\x68pps", b"\x00\x00\x01\x65slice"
ENCODER_NAME = b"\x00\x00\x01\x06\x05\x04x264\x80"


def test_layout_is_that_of_the_standard():
    assert time_stamp(AT_NS) == PAYLOAD


# From 2000 on; a time before that or after 2100 is none, see below.
@given(st.integers(946_684_800_000_000, 4_102_444_799_000_000))
def test_round_trip_is_exact_to_the_microsecond(at_us):
    payload = time_stamp(at_us * 1000 + 499)
    assert read_time_stamp(payload) == at_us * 1000
    assert b"\x00\x00\x00" not in payload + b"\x80"  # nothing that a decoder takes for a start code
    assert b"\x00\x00\x01" not in payload


@pytest.mark.parametrize("at_ns", [0, 946_684_799 * 10**9, 4_102_444_800 * 10**9, 2**63 - 1])
def test_a_time_that_no_camera_can_mean_is_no_time(at_ns):
    assert read_time_stamp(time_stamp(at_ns)) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        PAYLOAD[:-1],
        PAYLOAD + b"\x00",
        b"x264 says what it is" + bytes(8),
        PAYLOAD[:19] + b"\x00" + PAYLOAD[20:],  # a guard byte is missing
    ],
)
def test_other_and_malformed_messages_are_no_time(payload):
    assert read_time_stamp(payload) is None


def test_h265_uuid_is_known():
    assert read_time_stamp(bytes.fromhex("a8687dd4d7593758a5cef0338b6545f1") + PAYLOAD[16:]) == AT_NS


@pytest.mark.parametrize("head", [SPS + PPS + ENCODER_NAME, b""])
def test_stamp_comes_right_before_the_first_slice(head):
    stamped = insert_time_stamp(head + SLICE + SLICE, AT_NS)
    assert stamped == head + b"\x00\x00\x01\x06\x05\x1c" + PAYLOAD + b"\x80" + SLICE + SLICE


@pytest.mark.parametrize("unit", [b"", SPS + PPS, b"\x00\x00\x01"])
def test_without_a_slice_there_is_nothing_to_stamp(unit):
    with pytest.raises(ValueError, match="no slice"):
        insert_time_stamp(unit, AT_NS)
