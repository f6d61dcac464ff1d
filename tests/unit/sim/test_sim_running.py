"""The pace of the simulation, its socket, its file and its command line."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav
from typer.testing import CliRunner

from patrol.commands.sim import app
from patrol.domain.errors import UsageError
from patrol.domain.resources import data_path
from patrol.geo.documents import DocumentError
from patrol.sim.drone import STEP_NS
from patrol.sim.settings import read_sim_settings
from patrol.sim.simulation import Simulation
from patrol.sim.transport import UdpLink

NS = 1_000_000_000


class Clock:
    """Time that passes only while the simulation waits."""

    def __init__(self):
        self.now_ns = 5 * NS
        self.inbox = []

    def receive(self):
        taken, self.inbox = self.inbox, []
        return taken

    def wait(self, seconds):
        self.now_ns += max(1, round(seconds * NS))


@pytest.mark.parametrize("speed_up", [1.0, 8.0])
def test_simulated_time_keeps_pace(make_station, speed_up):
    station, clock = make_station(), Clock()
    Simulation(station.drone, station.vehicle).run(
        clock, speed_up=speed_up, is_over=lambda: clock.now_ns >= 15 * NS, monotonic_ns=lambda: clock.now_ns
    )
    assert station.now_s == pytest.approx(10 * speed_up, abs=0.1)


def test_what_comes_in_is_answered_at_once(make_station):
    station, clock = make_station(), Clock()
    request = mav.MAVLink_param_request_read_message(1, 1, b"RTL_ALT", -1)
    clock.inbox.append(bytes(request.pack(mav.MAVLink(None, 255, 190))))
    Simulation(station.drone, station.vehicle).run(
        clock, speed_up=1, is_over=lambda: clock.now_ns > 5 * NS + STEP_NS, monotonic_ns=lambda: clock.now_ns
    )
    assert station.latest["PARAM_VALUE"].param_id == "RTL_ALT"


def test_the_boot_clock_runs_on_between_the_steps(make_station):
    station, clock = make_station(), Clock()
    ask = bytes(mav.MAVLink_timesync_message(0, 7).pack(mav.MAVLink(None, 255, 190)))
    told_ns = []

    def is_over():
        if (answer := station.latest.pop("TIMESYNC", None)) is not None:
            told_ns.append(answer.tc1)
        clock.now_ns += 3_000_000
        clock.inbox.append(ask)
        return clock.now_ns > 6 * NS

    Simulation(station.drone, station.vehicle).run(
        clock, speed_up=1, is_over=is_over, monotonic_ns=lambda: clock.now_ns
    )
    assert all(tc1 % STEP_NS for tc1 in told_ns)
    assert told_ns == sorted(told_ns)
    assert told_ns[-1] == pytest.approx(NS, abs=STEP_NS)


def test_after_the_machine_slept_it_goes_on_without_rushing(make_station):
    station, clock = make_station(), Clock()
    steps = iter(range(1000))

    def is_over():
        step = next(steps)
        clock.now_ns += 3600 * NS if step == 10 else 0
        return step > 200

    Simulation(station.drone, station.vehicle).run(
        clock, speed_up=1, is_over=is_over, monotonic_ns=lambda: clock.now_ns
    )
    assert station.now_s < 10


def test_pictures_are_ordered_ten_times_a_second(make_station):
    station = make_station()
    taken = []

    class Camera:
        def capture(self, truth):
            taken.append(truth.boot_ns)

    simulation = Simulation(station.drone, station.vehicle, Camera())
    for _ in range(100):
        simulation.step()
    assert taken == [n * 100_000_000 for n in range(1, 21)]


def test_the_socket_sends_home_and_answers_a_visitor():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as home,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor,
    ):
        for one in (home, visitor):
            one.bind(("127.0.0.1", 0))
            one.settimeout(5)
        link = UdpLink(f"udp://127.0.0.1:{home.getsockname()[1]}")
        link.send(b"first")
        data, vehicle = home.recvfrom(100)
        visitor.sendto(b"hello", vehicle)
        home.sendto(b"also", vehicle)
        link.wait(5)
        heard = link.receive()
        link.send(b"second")
        assert (data, sorted(heard)) == (b"first", [b"also", b"hello"])
        assert (home.recv(100), visitor.recv(100)) == (b"second", b"second")
        link.close()


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "udp://127.0.0.1", "udp://127.0.0.1:high", "nonsense"])
def test_an_address_that_is_none(url):
    with pytest.raises(UsageError, match="is not a UDP address"):
        UdpLink(url)


def test_the_simulation_file_that_ships_declares_noise():
    settings = read_sim_settings(data_path("flightplans") / "night-market.sim.yaml")
    assert settings.noise is not None
    assert settings.noise.horizontal_m.sigma > 0
    assert settings.footage[0].watch_point == "yard"


def test_a_mistake_in_the_simulation_file_is_named(tmp_path):
    path = tmp_path / "a.sim.yaml"
    path.write_text("home: {lat_deg: 131, lon_deg: 120, height_amsl_m: 4}\n")
    with pytest.raises(DocumentError, match=r"a\.sim\.yaml: home\.lat_deg: .*less than or equal to 90"):
        read_sim_settings(path)


def test_help_has_an_example_and_names_the_real_boot_time():
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Example: patrol sim" in result.output.replace("`", "")
    assert "41 on the real autopilot" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config", "gone.sim.yaml"], "gone.sim.yaml: no such file"),
        (["--mavlink", "udp://127.0.0.1"], "is not a UDP address"),
        (["--camera", "rtsp://127.0.0.1/x"], "is not a UDP address"),
        (["--camera", "off", "--truth", "t.jsonl"], "tells of pictures"),
        (["--truth", "/no/such/folder/t.jsonl"], "cannot be written"),
        (["--market", "gone.geojson"], "gone.geojson: no such file"),
        (["--video-delay-ms", "300", "--speed-up", "5"], "counts by the clock on the wall"),
    ],
)
def test_bad_usage_is_said_in_a_sentence(arguments, says):
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert says in str(result.exception)


def test_as_a_process_it_says_it_is_ready_sends_and_ends_quietly():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as station:
        station.bind(("127.0.0.1", 0))
        station.settimeout(30)
        url = f"udp://127.0.0.1:{station.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "patrol.cli", "sim", "--mavlink", url, "--camera", "off"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            (message,) = mav.MAVLink(None).parse_buffer(station.recv(300))
            assert message.get_type() == "STATUSTEXT"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"Simulated drone ready: MAVLink to {url}, camera off.")
