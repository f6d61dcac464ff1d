"""An edge that is killed at the worst moments still delivers every alert, and no officer sees one twice.

The edge runs as a process of its own (this very file) and is killed with SIGKILL; the station is a real HTTP
server in the test. What arrives twice has the same id and revision, by which the station tells.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patrol.domain.alerts import AlertPosition, AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Kind, Severity
from patrol.domain.positions import ErrorEllipse, LocalText, Place
from patrol.uplink.memory import MemoryStation
from patrol.uplink.outbox import Delivery, EvidenceFile, Outbox
from patrol.uplink.publisher import Publisher
from patrol.uplink.station import DeliveryRefused, StationClient

AT = datetime(2025, 6, 15, 13, 0, tzinfo=UTC)
ALERTS = 3


def picture_of(number: int) -> EvidenceFile:
    content = b"\xff\xd8" + str(number).encode() * 50_000 + b"\xff\xd9"
    return EvidenceFile(hashlib.sha256(content).hexdigest(), "image/jpeg", content)


def report_of(number: int) -> AlertReport:
    return AlertReport(
        id=f"alert-{number}",
        revision=1,
        kind=Kind.GATHERING,
        severity=Severity.WATCH,
        raised_at=AT,
        updated_at=AT,
        ended_at=None,
        position=AlertPosition(31.3, 120.62, 1.5, ErrorEllipse(2.0, 1.0, 30.0)),
        place=Place("market", None, LocalText("广场", "Yard")),
        instruction=LocalText("请查看", "Please look"),
        measure={"people": 8.0},
        confidence=0.9,
        evidence=(EvidenceReference("snapshot", picture_of(number).sha256, "image/jpeg", AT, redacted=True),),
        source=AlertSource("drone-1", "sortie-1", "model", "0" * 64),
    )


class KilledBeforeMarking(Outbox):
    """An outbox whose process dies when the station has something and the outbox does not know yet."""

    def mark_sent(self, delivery: Delivery) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def edge(path: Path, url: str, moment: str) -> None:
    """The process that is killed: it puts alerts and, if it lives, sends them."""
    kind = KilledBeforeMarking if moment == "after-send" else Outbox
    with kind(path) as outbox:
        for number in range(ALERTS):
            outbox.put(report_of(number), [picture_of(number)])
            if moment == "between-puts" and number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before-send":
            os.kill(os.getpid(), signal.SIGKILL)
        with StationClient(url, lambda: "token") as client:
            Publisher(outbox, client).step()


class Receiver(MemoryStation):
    """A station over HTTP that counts every arrival, also repeated ones."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[str] = []


def handler_of(station: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            station.arrivals.append(f"{self.command} {self.path}")
            status = 201
            try:
                if self.command == "POST":
                    station.post_alert(content)
                else:
                    station.put_evidence(self.path.rsplit("/", 1)[1], self.headers["Content-Type"], content)
            except DeliveryRefused as error:
                status = int(str(error)[:3])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = answer  # noqa: N815 the names that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def station() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(receiver)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield receiver, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run_edge(path: Path, url: str, moment: str) -> int:
    command = [sys.executable, __file__, str(path), url, moment]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("moment", "alerts_put", "sent_before_death"),
    [("between-puts", 2, 0), ("before-send", 3, 0), ("after-send", 3, 1)],
)
def test_a_killed_edge_delivers_everything_after_its_restart(
    tmp_path, station, moment, alerts_put, sent_before_death
):
    receiver, url = station
    path = tmp_path / "outbox.sqlite3"
    assert run_edge(path, url, moment) == -signal.SIGKILL
    assert len(receiver.arrivals) == sent_before_death

    with Outbox(path) as outbox, StationClient(url, lambda: "token") as client:
        assert outbox.depth() == 2 * alerts_put  # each with its picture
        Publisher(outbox, client).step()
        assert outbox.depth() == 0
        assert outbox.set_aside() == []
        assert outbox.counts("sortie-1") == (alerts_put, alerts_put)

    assert receiver.alerts == {(f"alert-{i}", 1): report_of(i) for i in range(alerts_put)}
    assert receiver.evidence == {picture_of(i).sha256: picture_of(i).content for i in range(alerts_put)}
    assert len(receiver.arrivals) == 2 * alerts_put + sent_before_death  # at least once on the wire


def test_an_edge_that_dies_after_every_single_delivery_still_ends(tmp_path, station):
    """Each life delivers one thing more at most, and forgets it: the worst case of at least once."""
    receiver, url = station
    path = tmp_path / "outbox.sqlite3"
    for _ in range(2):
        assert run_edge(path, url, "after-send") == -signal.SIGKILL
    assert receiver.arrivals == ["POST /api/v1/alerts"] * 2
    assert len(receiver.alerts) == 1
    assert run_edge(path, url, "alive") == 0
    assert len(receiver.alerts) == len(receiver.evidence) == ALERTS


if __name__ == "__main__":
    edge(Path(sys.argv[1]), *sys.argv[2:])
