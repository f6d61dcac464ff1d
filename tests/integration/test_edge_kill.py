"""The edge dies between the outbox and the send; after a restart the station has the alert once."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from api.auth.roles import Role
from api.bootstrap import prepare, write_token
from patrol.domain.resources import data_path
from patrol.edge.job import Job
from patrol.edge.settings import load_settings
from patrol.uplink.outbox import Outbox

PASSWORD = "a long night by the river"
WITHIN_S = 20.0

# The edge of this test: makes one alert with a picture durable as the eyes do, says so, and then only waits.
EDGE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from patrol.domain.alerts import AlertPosition, AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Kind, Severity
from patrol.domain.positions import ErrorEllipse, LocalText, Place
from patrol.uplink.outbox import EvidenceFile, Outbox

path, alert, sha256, picture = sys.argv[1:]
now = datetime.now(UTC)
report = AlertReport(
    id=alert, revision=1, kind=Kind.GATHERING, severity=Severity.WATCH,
    raised_at=now, updated_at=now, ended_at=None,
    position=AlertPosition(31.29994, 120.61992, 1.0, ErrorEllipse(1.2, 0.6, 54.0)),
    place=Place("riverside-night-market", "yard", LocalText("后院", "yard")),
    instruction=LocalText("去看", "go and see"), measure={"people": 4.0}, confidence=0.9,
    evidence=(EvidenceReference("snapshot", sha256, "image/jpeg", now, True),),
    source=AlertSource("drone-1", "night-1", "night-patrol-nano", "ab" * 32),
)
outbox = Outbox(Path(path))
assert outbox.put(report, [EvidenceFile(sha256, "image/jpeg", Path(picture).read_bytes())])
print("durable", flush=True)
time.sleep(600)
"""
ALERT = "01a2013a-d47a-74af-9338-6543f145d5ad"


@pytest.fixture
def station_dir(tmp_path):
    folder = tmp_path / "station"
    tokens = prepare(
        folder,
        users=[("edge", Role.EDGE, None), ("officer", Role.OFFICER, PASSWORD)],
        tokens=["edge", "officer"],
    )
    write_token(tmp_path / "edge.token", tokens["edge"])
    (tmp_path / "officer.token").write_text(tokens["officer"])
    return folder


@pytest.fixture
def start(request):
    """Starts a process of our own interpreter and ends it with the test."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

        def end() -> None:
            process.kill()
            process.communicate()

        request.addfinalizer(end)
        return process

    return start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what: str):
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            found = condition()
        except httpx.TransportError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {WITHIN_S} s")


def test_an_alert_is_delivered_once_when_the_edge_dies_before_sending(tmp_path, station_dir, start):
    picture = tmp_path / "picture.jpg"
    cv2.imwrite(str(picture), np.full((36, 48, 3), 90, np.uint8))
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    port = free_port()
    flightplans = data_path("flightplans")
    settings = load_settings(
        plan=flightplans / "night-market.plan",
        market=flightplans / "night-market.market.geojson",
        camera_model=flightplans / "night-market.camera.yaml",
        link="udp://127.0.0.1:1",
        camera="udp://127.0.0.1:2",
        station=f"http://127.0.0.1:{port}",
        token_file=tmp_path / "edge.token",
        data_dir=tmp_path / "edge",
    )

    edge = start("-c", EDGE, str(settings.outbox_path), ALERT, sha256, str(picture))
    assert edge.stdout is not None
    assert edge.stdout.readline().strip() == "durable"
    edge.send_signal(signal.SIGKILL)
    edge.wait()

    run_dir = Path("/tmp") / f"np-{os.getpid()}"
    run_dir.mkdir()
    try:
        Job("night-1", settings, run_dir, os.getpid()).write()
        uplink = start("-m", "patrol.edge.uplink_process", str(run_dir))
        # The station is still down: the uplink tries, and is killed as well before anything got through.
        until((settings.sortie_dir("night-1") / "uplink.log").exists, "the uplink's start")
        uplink.send_signal(signal.SIGKILL)
        uplink.wait()

        start(
            *("-m", "patrol.cli", "serve", "--port", str(port), "--data", str(station_dir)),
            *("--market", str(flightplans / "night-market.market.geojson")),
        )
        headers = {"Authorization": f"Bearer {(tmp_path / 'officer.token').read_text()}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers) as officer:
            until(lambda: officer.get("/health").is_success, "the station's start")
            assert officer.get("/alerts").json()["items"] == []

            second = start("-m", "patrol.edge.uplink_process", str(run_dir))
            until(lambda: officer.get(f"/evidence/{sha256}").is_success, "the delivery of the picture")
            second.send_signal(signal.SIGKILL)
            second.wait()
            start("-m", "patrol.edge.uplink_process", str(run_dir))
            with Outbox(settings.outbox_path) as outbox:
                until(lambda: outbox.depth() == 0, "the emptying of the outbox")

            [alert] = officer.get("/alerts").json()["items"]
            assert (alert["id"], alert["report_revision"]) == (ALERT, 1)
            assert [step["action"] for step in alert["history"]] == ["reported", "evidence_received"]
            assert officer.get(f"/evidence/{sha256}").content == picture.read_bytes()
    finally:
        for file in run_dir.iterdir():
            file.unlink()
        run_dir.rmdir()
