import socket
import time

import pytest

from patrol.domain.errors import NightPatrolError
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import ClockSample, LensSample, PositionSample
from patrol.edge.bus import Bus, LivePicture, Notice, ReturnHome

POSITION = PositionSample(1_700_000_000_123_456_789, 31.3, 120.62, Amsl(11.0), 7.0, 0.1, -0.2, 0.0)


@pytest.fixture
def pair(tmp_path):
    flight, eyes = Bus(tmp_path, "flight"), Bus(tmp_path, "eyes")
    yield flight, eyes
    flight.close()
    eyes.close()


def test_a_message_arrives_as_it_was_sent(pair):
    flight, eyes = pair
    assert flight.send("eyes", POSITION)
    assert eyes.receive(1.0) == POSITION


@pytest.mark.parametrize("sample", [ClockSample(1_700_000_000_123_456_789, -350, 12), LensSample(1, 1.25)])
def test_what_flight_knows_of_clock_and_lens_arrives(pair, sample):
    flight, eyes = pair
    assert flight.send("eyes", sample)
    assert eyes.receive(1.0) == sample


def test_order_is_kept(pair):
    flight, eyes = pair
    for number in range(8):
        flight.send("eyes", ReturnHome(str(number)))
    assert [eyes.receive(1.0) for _ in range(8)] == [ReturnHome(str(number)) for number in range(8)]


def test_sending_to_nobody_neither_waits_nor_fails(pair):
    flight, _ = pair
    assert flight.send("uplink", POSITION) is False


def test_sending_to_one_who_does_not_read_drops_instead_of_waiting(pair):
    flight, eyes = pair
    assert flight.receive(0.5) is None
    picture = LivePicture(1, "x" * 50_000)
    began_s = time.monotonic()
    sent = [flight.send("eyes", picture) for _ in range(200)]
    assert time.monotonic() - began_s < 0.2 * 10, "one wait of the receiver's time-out a send would take 40 s"
    assert sent[0] is True
    assert sent[-1] is False
    assert eyes.receive(1.0) == picture


def test_a_message_larger_than_a_datagram_is_dropped(pair):
    flight, eyes = pair
    assert flight.send("eyes", LivePicture(1, "x" * 300_000)) is False
    assert eyes.receive(0.0) is None


@pytest.mark.parametrize(
    "rubbish", [b"", b"\xff\xfe\x00", b"PositionSample\n{", b"NoSuchThing\n{}", b"Notice\n[1]"]
)
def test_rubbish_on_the_socket_is_passed_over(pair, tmp_path, rubbish):
    flight, eyes = pair
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(rubbish, str(tmp_path / "eyes.sock"))
    flight.send("eyes", POSITION)
    assert eyes.receive(1.0) is None
    assert eyes.receive(1.0) == POSITION


def test_a_restarted_process_takes_its_place_again(tmp_path):
    flight = Bus(tmp_path, "flight")
    first = Bus(tmp_path, "eyes")
    first.close()
    assert flight.send("eyes", POSITION) is False
    second = Bus(tmp_path, "eyes")
    assert flight.send("eyes", POSITION)
    assert second.receive(1.0) == POSITION
    flight.close()
    second.close()


def test_reading_a_closed_bus_gives_nothing(tmp_path):
    bus = Bus(tmp_path, "eyes")
    bus.close()
    assert bus.receive(0.1) is None


def test_a_run_folder_with_too_long_a_path_is_refused_by_name(tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with pytest.raises(NightPatrolError, match="too long for a local socket"):
        Bus(folder, "eyes")


def test_notices_keep_their_words(pair):
    flight, eyes = pair
    flight.send("eyes", Notice("flight", 30, "电池低; returning"))
    assert eyes.receive(1.0) == Notice("flight", 30, "电池低; returning")
