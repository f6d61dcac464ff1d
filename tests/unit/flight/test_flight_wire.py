"""Bytes into messages: whatever comes in, nothing raises and no good frame behind rubbish is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.wire import Framer


def frame(seq: int = 0) -> bytes:
    encoder = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    encoder.seq = seq
    return mavlink.MAVLink_attitude_message(1234, 0.1, 0.2, 0.3, 0.0, 0.0, 1.0).pack(encoder)


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_random_bytes_never_raise(pieces):
    framer = Framer()
    for piece in pieces:
        framer.feed(piece)
    datagrams = Framer()
    for piece in pieces:
        datagrams.feed_datagram(piece)
        assert datagrams.feed_datagram(frame())[-1].get_type() == "ATTITUDE"


@given(before=st.binary(max_size=300), after=st.binary(max_size=40))
def test_a_good_frame_in_a_datagram_is_found_whatever_stands_around_it(before, after):
    found = Framer().feed_datagram(before + frame() + after)
    assert [m.get_type() for m in found].count("ATTITUDE") == 1


@given(rubbish=st.binary(max_size=300))
def test_a_good_frame_in_a_stream_is_found_once_enough_followed(rubbish):
    framer = Framer()
    found = framer.feed(rubbish + frame())
    # The longest frame that rubbish can pretend to begin has 280 bytes.
    for seq in range(1, 9):
        found += framer.feed(frame(seq))
    assert [m.get_seq() for m in found if m.get_type() == "ATTITUDE"][-8:] == list(range(1, 9))
    assert any(m.get_seq() == 0 for m in found)


@given(cuts=st.lists(st.integers(0, 3 * len(frame())), max_size=8))
def test_a_stream_may_be_cut_anywhere(cuts):
    data = frame(0) + frame(1) + frame(2)
    framer, found, at = Framer(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += framer.feed(data[at:cut])
        at = max(at, cut)
    assert [m.get_seq() for m in found] == [0, 1, 2]
    assert framer.counters.bad_bytes == 0


@pytest.mark.parametrize("at", range(len(frame())))
def test_a_damaged_frame_is_counted_and_dropped(at):
    data = bytearray(frame())
    data[at] ^= 0x40
    framer = Framer()
    assert not [m for m in framer.feed_datagram(bytes(data)) if m.get_type() == "ATTITUDE"]
    assert framer.counters.bad_bytes > 0


def test_a_truncated_frame_does_not_eat_the_next_datagram():
    framer = Framer()
    assert framer.feed_datagram(frame()[:20]) == []
    assert len(framer.feed_datagram(frame(1))) == 1


def test_a_frame_of_mavlink_1_is_understood():
    encoder = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    old = mavlink.MAVLink_heartbeat_message(2, 3, 1, 0, 4, 3).pack(encoder, force_mavlink1=True)
    assert [m.get_type() for m in Framer().feed(old)] == ["HEARTBEAT"]


def test_a_message_of_unknown_kind_is_skipped():
    unknown = bytes([0xFD, 4, 0, 0, 0, 1, 1, 0xFF, 0xFF, 0x7F, 1, 2, 3, 4, 0, 0])
    framer = Framer()
    assert [m.get_type() for m in framer.feed_datagram(unknown + frame())] == ["ATTITUDE"]
    assert framer.counters.bad_bytes == len(unknown)


def test_the_environment_cannot_switch_the_checksum_off():
    assert mavlink.MAVLINK_IGNORE_CRC == 0
