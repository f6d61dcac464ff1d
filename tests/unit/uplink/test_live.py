"""The live picture: newest wins, nothing queues up."""

import threading

import pytest

from patrol.domain.live import EyesStatus, FlightStatus, LiveReport
from patrol.domain.sorties import SortieState
from patrol.uplink.live import LivePublisher
from patrol.uplink.memory import MemoryStation
from patrol.uplink.station import StationUnavailable


def flight(at_ns: int) -> FlightStatus:
    nothing = dict.fromkeys(
        ["lat_deg", "lon_deg", "height_above_home_m", "heading_deg", "speed_mps", "battery_percent"]
    )
    return FlightStatus(at_ns, "sortie-1", SortieState.PATROLLING, "", **nothing, mode="AUTO", armed=True)


def eyes(at_ns: int) -> EyesStatus:
    return EyesStatus(at_ns, "ready", "", (), (), 10, 0, 3, 0)


class Counting(MemoryStation):
    """Counts what is posted."""

    def __init__(self):
        super().__init__()
        self.posts = 0

    def post_live(self, report):
        self.posts += 1
        super().post_live(report)


@pytest.fixture
def station():
    return Counting()


def test_only_the_newest_goes_out(station):
    live = LivePublisher(station, "drone-1")
    for at_ns in range(5):
        live.flight(flight(at_ns))
        live.eyes(eyes(at_ns))
        live.picture(b"picture %d" % at_ns)
    assert live.step()
    assert station.live == {"drone-1": LiveReport("drone-1", flight(4), eyes(4))}
    assert station.pictures == {"drone-1": b"picture 4"}
    assert station.posts == 1
    assert live.step()
    assert station.posts == 1  # nothing new, nothing sent


def test_what_fails_is_not_sent_again_and_is_one_sentence(station, caplog):
    live = LivePublisher(station, "drone-1")
    station.trouble = StationUnavailable("gone")
    for at_ns in range(3):
        live.eyes(eyes(at_ns))
        assert not live.step()
    assert [record.message for record in caplog.records] == ["the live picture does not get through: gone"]
    assert live.trouble == "gone"
    station.trouble = None
    assert live.step()
    assert station.live == {}
    live.eyes(eyes(9))
    assert live.step()
    assert station.live["drone-1"].eyes == eyes(9)
    assert live.trouble == ""


def test_the_loop_posts_and_stops(station):
    live = LivePublisher(station, "drone-1")
    posted = threading.Event()
    station.put_picture = lambda *_: posted.set()
    stop = threading.Event()
    thread = threading.Thread(target=live.run, args=(stop,))
    thread.start()
    live.picture(b"jpeg")
    assert posted.wait(10.0)
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
