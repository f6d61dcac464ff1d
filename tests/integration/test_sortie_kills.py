"""Kill the processes of a sortie one after the other: the drone flies its plan and comes home."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from patrol.domain.live import FlightStatus
from patrol.domain.resources import data_path
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.edge.bus import Notice
from patrol.edge.settings import load_settings
from patrol.edge.supervisor import Supervisor
from patrol.flight.record import read_record
from patrol.video.writer import LiveStream

SPEED_UP = 5.0
PICTURES_HZ = 4


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def camera():
    """A live stream of plain pictures."""
    url = f"udp://127.0.0.1:{free_udp_port()}"
    over = threading.Event()

    def send() -> None:
        with LiveStream(url, PICTURES_HZ, (480, 360)) as stream:
            while not over.wait(1 / PICTURES_HZ):
                stream.write(np.full((360, 480, 3), 80, np.uint8), time.time_ns())

    sender = threading.Thread(target=send)
    sender.start()
    yield url
    over.set()
    sender.join()


@pytest.fixture
def drone():
    url = f"udp://127.0.0.1:{free_udp_port()}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "patrol.cli", "sim", "--mavlink", url, "--camera", "off"),
            *("--speed-up", str(SPEED_UP)),
        ],
        stdout=subprocess.DEVNULL,
    )
    yield url
    process.kill()
    process.wait()


@pytest.fixture
def settings(tmp_path, camera, drone):
    flightplans = data_path("flightplans")
    return load_settings(
        plan=flightplans / "night-market.plan",
        market=flightplans / "night-market.market.geojson",
        camera_model=flightplans / "night-market.camera.yaml",
        link=drone,
        camera=camera,
        data_dir=tmp_path,
        speed_up=SPEED_UP,
    )


def kill(module: str, run_of: int) -> bool:
    """SIGKILL the child of `run_of` that runs a module; False when there is none just now."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if module.encode() in command and parent == run_of:
            os.kill(int(folder.name), signal.SIGKILL)
            return True
    return False


def test_the_drone_comes_home_though_eyes_and_flight_are_killed(settings):
    said: list[str] = []
    to_kill = ["patrol.edge.eyes_process", "patrol.edge.flight_process"]

    def observe(message) -> None:
        if isinstance(message, Notice):
            said.append(message.sentence)
        elif isinstance(message, SortieEvent):
            said.append(message.reason)
        in_the_air = isinstance(message, FlightStatus) and message.state is SortieState.PATROLLING
        if in_the_air and to_kill and (message.height_above_home_m or 0) > 5:
            assert kill(to_kill.pop(), os.getpid())

    summary = Supervisor(settings, "sortie-of-the-test", observe).run()

    assert summary.state is SortieState.COMPLETED, said
    assert to_kill == []
    assert any("eyes ended by signal 9" in sentence for sentence in said)
    assert any("flight ended by signal 9" in sentence for sentence in said)
    assert any("it is followed, not started" in sentence for sentence in said)
    record = read_record(settings.sortie_record_path)
    assert (record.sortie, record.state) == ("sortie-of-the-test", SortieState.COMPLETED)
    assert summary.frames_analysed > 0


def test_a_call_home_ends_the_sortie_early(settings):
    states: list[SortieState] = []

    def observe(message) -> None:
        if not isinstance(message, FlightStatus):
            return
        if message.state is SortieState.PATROLLING and SortieState.PATROLLING not in states:
            supervisor.request_return("the test calls it home")
        states.append(message.state)

    supervisor = Supervisor(settings, "called-home", observe)
    summary = supervisor.run()
    assert summary.state is SortieState.COMPLETED
    assert "called home: the test calls it home" in summary.reason
    assert SortieState.RETURNING in states


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_the_drone_comes_home_whatever_dies_whenever(settings, seed):
    rng = random.Random(seed)
    victims = ["patrol.edge.eyes_process", "patrol.edge.flight_process"]
    reports_to_next = rng.randint(5, 60)
    kills = 0

    def observe(message) -> None:
        nonlocal reports_to_next, kills
        if not (isinstance(message, FlightStatus) and message.armed):
            return
        reports_to_next -= 1
        if reports_to_next == 0 and kills < 5:
            kills += kill(rng.choice(victims), os.getpid())
            reports_to_next = rng.randint(5, 60)

    summary = Supervisor(settings, f"sortie-{seed}", observe).run()
    assert summary.state is SortieState.COMPLETED, summary.reason
    assert kills > 0
