"""Two clocks over a real UDP socket: the offset that the flight room measures against the true one."""

import threading
import time
from contextlib import contextmanager
from itertools import chain, pairwise

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.dialects import ArduPilot as Dialect
from patrol.flight.facts import FactKeeper
from patrol.flight.link import Link
from patrol.flight.streams import Streams
from patrol.sim.dialects.ardupilot.endpoint import ArduPilot
from patrol.sim.drone import Drone
from patrol.sim.settings import Home, SimSettings
from patrol.sim.simulation import Simulation
from patrol.sim.transport import UdpLink

MS = 1_000_000
S = 1_000_000_000
UTC_AHEAD_NS = -777 * MS  # of the vehicle's clock against this machine's
HOME = Home(lat_deg=31.2996, lon_deg=120.6197, height_amsl_m=4.0)


class Ear:
    """Keeps the telling of clocks and gimbals."""

    def __init__(self) -> None:
        self.clocks = []
        self.gimbals = []
        self.texts = []

    def ignore(self, *_) -> None:
        pass

    sortie = position = attitude = lens = vehicle = ignore

    def gimbal(self, sample) -> None:
        self.gimbals.append(sample)

    def clock(self, sample) -> None:
        self.clocks.append((sample, time.time_ns()))

    def text(self, severity, sentence) -> None:
        self.texts.append(sentence)


class Flight:
    """The simulated vehicle in a thread of its own and a link that listens to it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.ear = Ear()
        dialect = Dialect()
        self.keeper = FactKeeper(link, self.ear, mode_name=str, gimbal_yaw=dialect.gimbal_yaw)
        self.streams = Streams(link, dialect)

    def begin(self) -> None:
        assert self.link.wait_for_vehicle(15.0)
        self.streams.ask_all()

    def set_parameter(self, name: str, value: float) -> None:
        kind = mavlink.MAV_PARAM_TYPE_REAL32
        self.link.send(mavlink.MAVLink_param_set_message(1, 1, name.encode(), value, kind))

    def until(self, condition, limit_s: float = 15.0) -> None:
        assert self.link.wait_until(condition, limit_s), "did not happen in time"

    def errors_ns(self) -> list[tuple[int, int]]:
        """How wrong each told offset was, and its sigma."""
        return [(abs(one.edge_ahead_ns + UTC_AHEAD_NS), one.sigma_ns) for one, _ in self.ear.clocks]


def read_both_clocks() -> tuple[int, int]:
    """This machine's monotonic clock and its UTC, read within 0.1 ms."""
    while True:
        before_ns, utc_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after_ns - before_ns < MS // 10:
            return before_ns, utc_ns


@contextmanager
def flying():
    over = threading.Event()
    link = Link("udp://127.0.0.1:0")
    link.open()
    sim_link = UdpLink(f"udp://127.0.0.1:{link._transport.port}")
    drone = Drone(SimSettings(home=HOME), utc_at_boot_ns=0, seed=1)
    boot_ns, utc_ns = read_both_clocks()
    drone._utc_at_boot_ns = utc_ns + UTC_AHEAD_NS
    readings = chain([boot_ns], iter(time.monotonic_ns, None))  # the first is taken for the vehicle's boot
    simulation = Simulation(drone, ArduPilot(drone, sim_link.send, boot_s=0.5))
    thread = threading.Thread(
        target=simulation.run,
        args=(sim_link,),
        kwargs={"speed_up": 1.0, "is_over": over.is_set, "monotonic_ns": readings.__next__},
    )
    thread.start()
    flight = Flight(link)
    try:
        with flight.keeper.listening():
            flight.begin()
            yield flight
    finally:
        over.set()
        thread.join()
        link.close()
        sim_link.close()


def test_the_offset_is_within_its_sigma_of_the_truth():
    with flying() as flight:
        flight.until(lambda: len(flight.ear.clocks) >= 12)
    errors = flight.errors_ns()
    assert all(error_ns <= sigma_ns for error_ns, sigma_ns in errors), errors
    assert errors[-1][1] < 10 * MS, "a local socket is a short way"
    for sample, told_at_ns in flight.ear.clocks:
        assert abs(sample.at_ns - (told_at_ns + UTC_AHEAD_NS)) < S / 4


def test_a_slow_way_back_is_within_the_sigma_too():
    with flying() as flight:
        flight.set_parameter("SIM_TSYNC_LAG", 120.0)
        flight.until(lambda: len(flight.ear.clocks) >= 8)
    errors = flight.errors_ns()
    assert all(error_ns <= sigma_ns for error_ns, sigma_ns in errors), errors
    assert min(errors[-1]) > 55 * MS, "half of what the answers were held back"


def test_a_step_of_the_vehicles_utc_shows_in_the_offset_and_as_a_gap():
    with flying() as flight:
        flight.until(lambda: len(flight.ear.clocks) >= 4)
        flight.set_parameter("SIM_UTC_STEP", -0.5)
        stepped_ns = -UTC_AHEAD_NS + 500 * MS
        flight.until(lambda: abs(flight.ear.clocks[-1][0].edge_ahead_ns - stepped_ns) < 50 * MS)
        heard = len(flight.ear.gimbals)
        flight.until(lambda: len(flight.ear.gimbals) > heard + 10)
    times_ns = [sample.at_ns for sample in flight.ear.gimbals]
    assert times_ns == sorted(times_ns)
    gaps_ns = [after - before for before, after in pairwise(times_ns)]
    assert sum(gap_ns > S for gap_ns in gaps_ns) == 1


def test_a_gimbals_fault_silences_its_angles_and_is_told():
    with flying() as flight:
        flight.until(lambda: len(flight.ear.gimbals) > 10)
        flight.set_parameter("SIM_MNT_FAIL", mavlink.GIMBAL_DEVICE_ERROR_FLAGS_ENCODER_ERROR)
        flight.until(lambda: any("encoders fail" in text for text in flight.ear.texts))
        heard = len(flight.ear.gimbals)
        flight.link.wait_until(lambda: None, 1.5)
        assert len(flight.ear.gimbals) == heard
        flight.set_parameter("SIM_MNT_FAIL", 0.0)
        flight.until(lambda: len(flight.ear.gimbals) > heard + 5)
    assert sum("gimbal" in text for text in flight.ear.texts) == 2
