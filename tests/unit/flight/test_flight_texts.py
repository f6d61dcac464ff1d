"""STATUSTEXT: chunks to sentences."""

from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.texts import TextAssembler


def chunk(text: bytes, number: int = 0, seq: int = 0, severity: int = 4):
    encoder = mavlink.MAVLink(None)
    message = mavlink.MAVLink_statustext_message(severity, text.ljust(50, b"\0")[:50], number, seq)
    return mavlink.MAVLink(None).decode(bytearray(message.pack(encoder)))


def sentences(texts):
    return [text.sentence for text in texts]


def test_a_short_text_is_whole_at_once():
    assert sentences(TextAssembler().add(chunk(b"PreArm: no GPS"), 0.0)) == ["PreArm: no GPS"]


def test_chunks_are_joined_in_their_order_not_in_that_of_arrival():
    long = ("0123456789" * 12).encode()
    assembler = TextAssembler()
    assert assembler.add(chunk(long[100:], 7, 2), 0.0) == []
    assert assembler.add(chunk(long[:50], 7, 0), 0.1) == []
    assert sentences(assembler.add(chunk(long[50:100], 7, 1), 0.2)) == [long.decode()]


def test_a_text_of_exactly_one_chunk_ends_with_an_empty_one():
    assembler = TextAssembler()
    assert assembler.add(chunk(b"x" * 50, 3, 0), 0.0) == []
    assert sentences(assembler.add(chunk(b"", 3, 1), 0.0)) == ["x" * 50]


def test_a_lost_chunk_is_marked_after_a_while():
    assembler = TextAssembler()
    assembler.add(chunk(b"a" * 50, 7, 0), 0.0)
    assembler.add(chunk(b"end", 7, 2), 0.0)
    assert assembler.stale(1.0) == []
    assert sentences(assembler.stale(3.0)) == ["a" * 50 + "..." + "end"]


def test_what_a_terminal_could_obey_is_taken_out():
    said = sentences(TextAssembler().add(chunk(b"bad\x1b[2Jnews\r\n"), 0.0))
    assert said == ["bad [2Jnews"]


@given(st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 65535), st.integers(0, 255)), max_size=60))
def test_any_chunks_are_taken_and_memory_stays_small(chunks):
    assembler = TextAssembler()
    for at, (text, number, seq) in enumerate(chunks):
        for said in assembler.add(chunk(text, number, seq), at * 0.1):
            assert len(said.sentence) <= 12 * 50
    assert len(assembler._open) <= 9
    assembler.stale(1e9)
    assert not assembler._open
