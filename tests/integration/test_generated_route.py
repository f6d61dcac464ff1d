"""A generated plan is flown by the simulated drone: what was foretold of it comes true."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import shapely

from patrol.domain.resources import data_path
from patrol.domain.sorties import SortieState
from patrol.flight.clock import SystemClock
from patrol.flight.link import Link
from patrol.flight.sortie import SortieRunner
from patrol.geo.camera import read_camera
from patrol.geo.coverage import Coverage
from patrol.geo.frames import LocalFrame
from patrol.geo.history import PoseHistory
from patrol.plan import qgc
from patrol.plan.generate import Style, Wish, generate
from patrol.plan.market import read_market
from patrol.plan.qgc import read_plan

SPEED_UP = 20.0
SHIPPED = data_path("flightplans")
LOOK_NS = 200_000_000


class Ear:
    """Keeps the poses of the patrol, until the return begins. Without noise they are the truth."""

    def __init__(self) -> None:
        self.history = PoseHistory(keep_s=3600.0)
        self.patrol = []
        self.states = []

    def sortie(self, event) -> None:
        self.states.append(event.state)

    def position(self, sample) -> None:
        self.history.add_position(sample)
        if self.states and self.states[-1] is SortieState.PATROLLING:
            self.patrol.append(sample)

    def attitude(self, sample) -> None:
        self.history.add_attitude(sample)

    def gimbal(self, sample) -> None:
        self.history.add_gimbal(sample)

    def vehicle(self, status) -> None:
        pass

    def text(self, severity, sentence) -> None:
        pass

    def __getattr__(self, name):
        return lambda *_: None  # whatever else is told


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def fly(port, tmp_path):
    """Starts the simulated drone at a home, without wind and noise; it ends with the test."""
    processes = []

    def start(home) -> None:
        config = tmp_path / "pad.sim.yaml"
        place = f"lat_deg: {home.lat_deg}, lon_deg: {home.lon_deg}, height_amsl_m: {home.height_amsl_m}"
        config.write_text(f"home: {{{place}}}\n")
        command = [
            sys.executable, "-m", "patrol.cli", "sim", "--config", str(config), "--camera", "off",
            "--mavlink", f"udp://127.0.0.1:{port}", "--speed-up", str(SPEED_UP), "--noise", "off",
        ]  # fmt: skip
        with (tmp_path / "sim.log").open("wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    yield start
    for process in processes:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.slow
def test_a_generated_plan_is_flown_and_sees_what_was_foretold(port, fly, tmp_path):
    market = read_market(SHIPPED / "night-market.market.geojson")
    camera = read_camera(SHIPPED / "night-market.camera.yaml")
    path = tmp_path / "lanes.plan"
    made = generate(Wish(Style.LANES, height_m=15.0), market, camera, path)
    path.write_text(json.dumps(made.document))
    plan = read_plan(path)
    fly(plan.home)
    ear = Ear()
    with Link(f"udp://127.0.0.1:{port}", clock=SystemClock(SPEED_UP)) as link:
        runner = SortieRunner(link, plan, ear, link.clock, sortie="lanes")
        assert runner.run() is SortieState.COMPLETED, ear.states

    first = next(item for item in plan.items if item.command == qgc.NAV_WAYPOINT)
    about_it = LocalFrame(first.lat_deg, first.lon_deg)
    begins_ns = next(
        sample.at_ns
        for sample in ear.patrol
        if np.hypot(*about_it.to_enu(sample.lat_deg, sample.lon_deg)) < 2.5
    )
    ends_ns = ear.patrol[-1].at_ns
    seen = Coverage(market.frame, market.outline.bounds, made.coverage.cell_m)
    for at_ns in range(begins_ns, ends_ns, LOOK_NS):
        pose = ear.history.pose_at(at_ns)
        if pose is not None:
            seen.add(camera, pose, market.ground, at_ns=at_ns, dwell_s=LOOK_NS / 1e9)
    # The simulated drone shoots past corners that real autopilots slow down for, so single cells differ.
    lanes = shapely.union_all([lane.line.buffer(lane.width_m / 2) for lane in market.lanes])
    for region in (market.outline, lanes):
        assert seen.share_seen(region) == pytest.approx(made.coverage.share_seen(region), abs=0.03)
        assert seen.mean_dwell_s(region) == pytest.approx(made.coverage.mean_dwell_s(region), rel=0.25)
    assert (seen.seen() == made.coverage.seen()).mean() > 0.8
    flown_s = (ends_ns - ear.patrol[0].at_ns) / 1e9
    assert 0.75 * made.flight.patrol_s < flown_s < made.flight.patrol_s
