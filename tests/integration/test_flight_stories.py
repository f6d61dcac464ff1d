"""The flight room against the simulated drone: two programs without common dialect code, over real UDP."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.domain.sorties import SortieState
from patrol.flight.clock import SystemClock
from patrol.flight.link import Link
from patrol.flight.record import read_record
from patrol.flight.sortie import SortieRunner
from patrol.plan.qgc import read_plan

S = SortieState
SPEED_UP = 20.0
HOME = (31.2996, 120.6197, 4.0)
STARTS_WITHIN_S = 15.0


def write_plan(path: Path, hold_s: float) -> Path:
    """Up, two waypoints with a stay at the first, and the mission's own return."""
    lat, lon, _ = HOME

    def item(number, command, frame, *params):
        return {
            "type": "SimpleItem", "autoContinue": True, "doJumpId": number,
            "command": command, "frame": frame, "params": list(params),
        }  # fmt: skip

    corners = [[lat + n, lon + e] for n, e in ((-1e-3, -1e-3), (1e-3, -1e-3), (1e-3, 1e-3), (-1e-3, 1e-3))]
    document = {
        "fileType": "Plan",
        "version": 1,
        "groundStation": "QGroundControl",
        "mission": {
            "version": 2,
            "firmwareType": 3,
            "vehicleType": 2,
            "cruiseSpeed": 15,
            "hoverSpeed": 5,
            "plannedHomePosition": list(HOME),
            "items": [
                item(1, 22, 3, 0, 0, 0, None, lat, lon, 12),
                item(2, 178, 2, 1, 6, -1, 0, 0, 0, 0),
                item(3, 16, 3, hold_s, 0, 0, None, lat + 2e-4, lon, 12),
                item(4, 16, 3, 0, 0, 0, None, lat + 2e-4, lon + 1e-4, 12),
                item(5, 20, 2, 0, 0, 0, 0, 0, 0, 0),
            ],
        },
        "geoFence": {
            "version": 2, "circles": [], "polygons": [{"version": 1, "inclusion": True, "polygon": corners}],
        },
        "rallyPoints": {"version": 2, "points": [[lat, lon + 2e-4, 20]]},
    }  # fmt: skip
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def drone(port, tmp_path):
    """The simulated drone, sending to `port`; ends with the test."""
    config = tmp_path / "pad.sim.yaml"
    lat, lon, height = HOME
    config.write_text(f"home: {{lat_deg: {lat}, lon_deg: {lon}, height_amsl_m: {height}}}\n")
    market = Path("flightplans/night-market.market.geojson")
    command = [
        sys.executable, "-m", "patrol.cli", "sim", "--config", str(config), "--camera", "off",
        "--market", str(market), "--camera-model", str(market.with_name("night-market.camera.yaml")),
        "--mavlink", f"udp://127.0.0.1:{port}", "--speed-up", str(SPEED_UP), "--noise", "off",
    ]  # fmt: skip
    with (tmp_path / "sim.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        yield process
        process.terminate()
        process.wait(timeout=10)


class Ear:
    """Keeps what matters here, and lets a test act on a state."""

    def __init__(self) -> None:
        self.events = []
        self.positions = []
        self.gimbals = 0
        self.unexpected = []  # no zoom is simulated, and time that runs faster has no offset to any clock
        self.texts = []
        self.on_state = {}

    def sortie(self, event) -> None:
        self.events.append(event)
        act = self.on_state.pop(event.state, None)
        if act:
            act()

    def position(self, sample) -> None:
        self.positions.append(sample)

    def attitude(self, sample) -> None:
        pass

    def gimbal(self, sample) -> None:
        self.gimbals += 1

    def lens(self, sample) -> None:
        self.unexpected.append(sample)

    def clock(self, sample) -> None:
        self.unexpected.append(sample)

    def vehicle(self, status) -> None:
        pass

    def text(self, severity, sentence) -> None:
        self.texts.append(sentence)

    @property
    def states(self):
        seen = []
        for event in self.events:
            if not seen or seen[-1] is not event.state:
                seen.append(event.state)
        return seen


def open_link(port: int, tlog: Path | None = None) -> Link:
    return Link(f"udp://127.0.0.1:{port}", clock=SystemClock(SPEED_UP), tlog_path=tlog)


def sent_kinds(tlog: Path) -> list:
    """What the ground station sent, from the recording, as the field's usual reader sees it."""
    log = mavutil.mavlogfile(str(tlog))
    kinds = []
    while (message := log.recv_msg()) is not None:
        if message.get_srcSystem() == 255:
            kinds.append(getattr(message, "command", message.get_type()))
    log.close()
    return kinds


@pytest.mark.usefixtures("drone")
def test_a_plan_is_loaded_flown_and_brought_home(port, tmp_path):
    plan = read_plan(write_plan(tmp_path / "a.plan", hold_s=5))
    ear = Ear()
    with open_link(port, tmp_path / "flight.tlog") as link:
        runner = SortieRunner(
            link, plan, ear, link.clock, sortie="story", record_path=tmp_path / "sortie.json"
        )
        assert runner.run() is S.COMPLETED, ear.events[-1]
        assert link.framing.bad_frames == 0
    assert ear.states == [
        S.PREPARED, S.READY, S.TAKING_OFF, S.PATROLLING, S.RETURNING, S.LANDING, S.COMPLETED,
    ]  # fmt: skip
    assert max(p.height_above_home_m for p in ear.positions) == pytest.approx(15.0, abs=4.0)
    stamps = [p.at_ns for p in ear.positions]
    assert stamps == sorted(stamps)
    assert ear.gimbals > 100
    assert ear.unexpected == []
    assert sum("item 3 of 5" in sentence for sentence in ear.texts) == 1
    assert read_record(tmp_path / "sortie.json").state is S.COMPLETED
    kinds = sent_kinds(tmp_path / "flight.tlog")
    assert kinds.index("MISSION_COUNT") < kinds.index("MISSION_REQUEST_LIST") < kinds.index(400)
    assert kinds.index(400) < kinds.index(300)


@pytest.mark.usefixtures("drone")
def test_ctrl_c_in_the_air_brings_it_home(port, tmp_path):
    plan = read_plan(write_plan(tmp_path / "a.plan", hold_s=600))
    ear = Ear()
    with open_link(port) as link:
        runner = SortieRunner(link, plan, ear, link.clock, sortie="story")
        # The signal interrupts the sortie's own thread, wherever that is.
        before = signal.signal(signal.SIGINT, lambda *_: runner.request_return("Ctrl-C"))
        ear.on_state[S.PATROLLING] = lambda: threading.Timer(
            0.3, os.kill, (os.getpid(), signal.SIGINT)
        ).start()
        try:
            assert runner.run() is S.COMPLETED, ear.events[-1]
        finally:
            signal.signal(signal.SIGINT, before)
    assert ear.states[-3:] == [S.RETURNING, S.LANDING, S.COMPLETED]
    assert "called home: Ctrl-C" in ear.events[-1].reason
    assert not any("by itself" in sentence for sentence in ear.texts)


@pytest.mark.usefixtures("drone")
def test_rubbish_and_impostors_on_the_port_change_nothing(port, tmp_path):
    plan = read_plan(write_plan(tmp_path / "a.plan", hold_s=5))
    ear = Ear()
    over = threading.Event()

    def pester():
        noise = random.Random(7)
        encoder = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
        lies = (
            mavlink.MAVLink_heartbeat_message(2, 3, 1, 9, 4, 3),  # "I am your aircraft, landing"
            mavlink.MAVLink_extended_sys_state_message(0, 1),
            mavlink.MAVLink_command_ack_message(400, 4),
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            while not over.wait(0.002):
                lie = noise.choice(lies).pack(encoder)
                rubbish = bytes([0xFD]) + noise.randbytes(noise.randrange(300))
                stranger.sendto(noise.choice((lie, rubbish)), ("127.0.0.1", port))

    with open_link(port) as link:
        assert link.wait_for_vehicle(STARTS_WITHIN_S * SPEED_UP) is not None
        thread = threading.Thread(target=pester)
        thread.start()
        try:
            state = SortieRunner(link, plan, ear, link.clock, sortie="story").run()
        finally:
            over.set()
            thread.join()
        assert state is S.COMPLETED, ear.events[-1]
        assert link.counters.foreign_datagrams > 500
    assert S.LOST_CONTACT not in ear.states
    assert not any("by itself" in sentence for sentence in ear.texts)


CHILD = """
import sys
from pathlib import Path
from patrol.flight.clock import SystemClock
from patrol.flight.link import Link
from patrol.flight.sortie import SortieRunner
from patrol.plan.qgc import read_plan

class Ear:
    def sortie(self, event):
        print(event.state.value, flush=True)
    def position(self, sample): pass
    attitude = gimbal = lens = clock = vehicle = position
    def text(self, severity, sentence): pass

port, speed_up, plan, record = sys.argv[1:]
with Link(f"udp://127.0.0.1:{port}", clock=SystemClock(float(speed_up))) as link:
    SortieRunner(link, read_plan(plan), Ear(), link.clock, sortie="story", record_path=Path(record)).run()
"""


@pytest.mark.usefixtures("drone")
def test_a_killed_process_is_replaced_in_the_air(port, tmp_path):
    plan_path, record = write_plan(tmp_path / "a.plan", hold_s=60), tmp_path / "sortie.json"
    arguments = [str(port), str(SPEED_UP), str(plan_path), str(record)]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            if line.strip() == "patrolling":
                child.kill()
    assert read_record(record).unfinished

    ear = Ear()
    with open_link(port, tmp_path / "second.tlog") as link:
        runner = SortieRunner(link, read_plan(plan_path), ear, link.clock, sortie="story", record_path=record)
        assert runner.run() is S.COMPLETED, ear.events[-1]
    assert "followed, not started" in ear.events[0].reason
    assert ear.states[0] in (S.PATROLLING, S.RETURNING)
    # Nothing was loaded, armed or started a second time: it only asked for telemetry.
    assert set(sent_kinds(tmp_path / "second.tlog")) == {"HEARTBEAT", 511}
