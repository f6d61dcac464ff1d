"""From the outbox to the station, through every outage."""

import threading

import pytest

from patrol.uplink.memory import MemoryStation
from patrol.uplink.outbox import Outbox
from patrol.uplink.publisher import Publisher
from patrol.uplink.station import DeliveryRefused, StationFailed, StationUnavailable, TokenRefused


class Recorder(MemoryStation):
    """A station that notes the order of arrival and can fail for one alert only."""

    def __init__(self):
        super().__init__()
        self.order = []
        self.failing = {}

    def post_alert(self, body):
        super().post_alert(body)
        alert_id, revision = list(self.alerts)[-1]
        if alert_id in self.failing:
            del self.alerts[alert_id, revision]
            raise self.failing[alert_id]
        self.order.append((alert_id, revision))

    def put_evidence(self, sha256, media_type, content):
        super().put_evidence(sha256, media_type, content)
        self.order.append(sha256)


@pytest.fixture
def outbox(tmp_path):
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        yield outbox


@pytest.fixture
def station():
    return Recorder()


def test_alert_first_then_its_picture_revisions_in_order(outbox, station, report, picture):
    outbox.put(report(1), [picture])
    outbox.put(report(2))
    assert Publisher(outbox, station).step() == 3
    assert station.order == [("alert-1", 1), ("alert-1", 2), picture.sha256]
    assert outbox.depth() == 0


def test_an_alert_that_comes_meanwhile_goes_before_pictures(outbox, station, report, picture):
    outbox.put(report(1), [picture])
    post = station.post_alert

    def post_and_put(body):
        post(body)
        station.post_alert = post
        outbox.put(report(1, "alert-2"))

    station.post_alert = post_and_put
    Publisher(outbox, station).step()
    assert station.order == [("alert-1", 1), ("alert-2", 1), picture.sha256]


def test_an_outage_is_one_sentence_and_nothing_is_lost(outbox, station, report, caplog):
    now_s = [0.0]
    publisher = Publisher(outbox, station, monotonic_s=lambda: now_s[0])
    station.trouble = StationUnavailable("http://x: the station cannot be reached: refused")
    for revision in range(1, 6):
        outbox.put(report(revision))
        with pytest.raises(StationUnavailable):
            publisher.step()
        now_s[0] += 10
    assert [record.message for record in caplog.records] == [
        "http://x: the station cannot be reached: refused; alerts are kept and sent when this is over"
    ]
    assert publisher.trouble == str(station.trouble)
    station.trouble = None
    assert publisher.step() == 5
    assert station.order == [("alert-1", revision) for revision in range(1, 6)]
    assert [record.message for record in caplog.records][1:] == ["the station takes alerts again after 50 s"]
    assert publisher.trouble == ""


def test_what_can_never_succeed_is_set_aside_and_the_rest_goes_on(outbox, station, report, caplog):
    station.failing = {"bad": DeliveryRefused("409: known with another body")}
    outbox.put(report(1, "bad"))
    outbox.put(report(1, "good"))
    assert Publisher(outbox, station).step() == 1
    assert station.order == [("good", 1)]
    assert [(refused.alert_id, refused.reason) for refused in outbox.set_aside()] == [
        ("bad", "409: known with another body")
    ]
    assert "set aside" in caplog.text
    assert outbox.depth() == 0


def test_a_failure_of_one_alert_holds_back_only_its_own_revisions(outbox, station, report, picture):
    station.failing = {"bad": StationFailed("500")}
    outbox.put(report(1, "bad"), [picture])
    outbox.put(report(1, "good"))
    outbox.put(report(2, "bad"))
    publisher = Publisher(outbox, station)
    with pytest.raises(StationFailed):
        publisher.step()
    assert station.order == [("good", 1)]
    station.failing = {}
    publisher.step()
    assert station.order == [("good", 1), ("bad", 1), ("bad", 2), picture.sha256]


def run(publisher_of, rounds):
    """Run the loop for so many pauses; return how long each was to be."""
    stop = threading.Event()
    pauses = []

    def pause(seconds, stopped):
        assert stopped is stop
        pauses.append(seconds)
        rounds_left = rounds - len(pauses)
        if rounds_left <= 0:
            stop.set()

    publisher_of(pause).run(stop)
    return pauses


def test_tries_are_spread_ever_wider_up_to_a_limit(outbox, station, report):
    station.trouble = StationUnavailable("gone")
    outbox.put(report(1))
    pauses = run(lambda pause: Publisher(outbox, station, pause=pause), 12)
    for number, seconds in enumerate(pauses[:-1]):
        assert min(8.0, 0.5 * 2**number) <= seconds <= min(8.0, 0.5 * 2**number + 0.5)
    assert len(set(pauses[:4])) == 4
    assert outbox.depth() == 1


def test_a_refused_token_is_tried_slowly_until_it_is_renewed(outbox, station, report):
    station.trouble = TokenRefused("renew it")
    outbox.put(report(1))
    assert run(lambda pause: Publisher(outbox, station, pause=pause), 3)[:3] == [15.0, 15.0, 15.0]
    station.trouble = None
    run(lambda pause: Publisher(outbox, station, pause=pause), 1)
    assert station.order == [("alert-1", 1)]


def test_the_loop_goes_on_after_an_outage(outbox, station, report):
    station.trouble = StationUnavailable("gone")
    outbox.put(report(1))

    def publisher_of(pause):
        def pause_and_mend(seconds, stop):
            station.trouble = None
            pause(seconds, stop)

        return Publisher(outbox, station, pause=pause_and_mend)

    run(publisher_of, 2)
    assert station.order == [("alert-1", 1)]


def test_a_new_report_goes_out_at_once(outbox, station, report):
    """The loop itself, in a thread: idle until there is news."""
    arrived = threading.Event()
    post = station.post_alert

    def post_and_tell(body):
        post(body)
        arrived.set()

    station.post_alert = post_and_tell
    stop = threading.Event()
    thread = threading.Thread(target=Publisher(outbox, station).run, args=(stop,))
    thread.start()
    outbox.put(report(1))
    assert arrived.wait(10.0)
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
    assert station.order == [("alert-1", 1)]
