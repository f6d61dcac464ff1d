"""The time of the samples: steady, true to the vehicle, and a gap where it is set anew."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patrol.flight.vehicle_clock import VehicleClock

MS = 1_000_000
S = 1_000_000_000
MONOTONIC_NS = 5_000 * S  # at boot
EDGE_UTC_NS = 1_790_000_000 * S  # at boot, by this machine
VEHICLE_UTC_NS = EDGE_UTC_NS - 350 * MS  # at boot, by the vehicle
PATIENCE_MS = 3_000


class Clock:
    """The edge box's clocks, set by hand."""

    speed_up = 1.0

    def __init__(self):
        self.boot_ns = 1_000 * S
        self.utc_step_ns = 0

    def monotonic_s(self):
        return (MONOTONIC_NS + self.boot_ns) / 1e9

    def utc_ns(self):
        return EDGE_UTC_NS + self.boot_ns + self.utc_step_ns


class Vehicle:
    """A vehicle that is stamped by its boot clock; time passes in `run`."""

    def __init__(self):
        self.edge = Clock()
        self.clock = VehicleClock(self.edge)
        self.utc_ns = VEHICLE_UTC_NS  # None: it does not know
        self.system_times = True
        self.answers = True
        self.restarted_at_ns = 0
        self.latency_ns = 30 * MS
        self.passed = []  # (stamp in ms, at_ns)
        self.samples = []

    @property
    def boot_ns(self):
        return self.edge.boot_ns - self.restarted_at_ns

    def run(self, seconds):
        for _ in range(round(seconds * 20)):
            self.edge.boot_ns += 50 * MS
            boot_ms = (self.boot_ns - self.latency_ns) // MS
            if self.system_times and self.edge.boot_ns % S == 0:
                unix_us = 0 if self.utc_ns is None else (self.utc_ns + boot_ms * MS) // 1000
                self.clock.set(unix_us, boot_ms)
            arrived_ns = MONOTONIC_NS + self.edge.boot_ns
            at_ns = self.clock.utc_ns("ATTITUDE", boot_ms, arrived_ns)
            if at_ns is not None:
                self.passed.append((boot_ms, at_ns))
            self.timesync()

    def timesync(self):
        ts1 = self.clock.request()
        if ts1 is None or not self.answers:
            return
        self.edge.boot_ns += 10 * MS
        answered_at_ns = self.boot_ns
        self.edge.boot_ns += 10 * MS
        if self.clock.answer(answered_at_ns, ts1, ts1 + 20 * MS):
            self.samples.append(self.clock.sample())
            self.sampled_at_boot_ns = self.boot_ns
        self.edge.boot_ns += 30 * MS

    def constants(self):
        """The constants that made times of stamps, in order, each once."""
        found = []
        for boot_ms, at_ns in self.passed:
            if not found or found[-1] != at_ns - boot_ms * MS:
                found.append(at_ns - boot_ms * MS)
        return found


@pytest.fixture
def vehicle():
    return Vehicle()


def test_a_vehicle_that_knows_utc_stamps_its_samples_with_it(vehicle):
    vehicle.run(5)
    assert vehicle.constants() == [VEHICLE_UTC_NS]
    sample = vehicle.samples[-1]
    assert abs(sample.edge_ahead_ns - 350 * MS) <= sample.sigma_ns <= 12 * MS
    assert abs(sample.at_ns - VEHICLE_UTC_NS - vehicle.sampled_at_boot_ns) <= sample.sigma_ns


def test_nothing_is_passed_on_before_its_time_is_known(vehicle):
    vehicle.system_times = vehicle.answers = False
    vehicle.run(2.5)
    assert vehicle.passed == []


def test_a_vehicle_without_utc_gets_ours_by_round_trips_steadily(vehicle):
    vehicle.utc_ns = None
    vehicle.run(20)
    (constant_ns,) = vehicle.constants()
    assert constant_ns == pytest.approx(EDGE_UTC_NS, abs=12 * MS), "not late by the 30 ms of the way"
    assert all(abs(sample.edge_ahead_ns) <= sample.sigma_ns for sample in vehicle.samples if sample)


def test_a_vehicle_that_never_tells_its_time_gets_ours_after_a_while(vehicle):
    vehicle.system_times = False
    vehicle.run(10)
    (constant_ns,) = vehicle.constants()
    assert constant_ns == pytest.approx(EDGE_UTC_NS, abs=12 * MS)
    assert vehicle.passed[0][0] > 1_000_000 + PATIENCE_MS - 100


def test_without_either_the_time_of_arrival_stands_in_and_no_offset_is_told(vehicle):
    vehicle.system_times = vehicle.answers = False
    vehicle.run(10)
    assert vehicle.constants() == [EDGE_UTC_NS + vehicle.latency_ns]
    assert vehicle.clock.sample() is None


@pytest.mark.parametrize("speed_up", [0.5, 8.0])
def test_time_that_runs_faster_is_not_measured(vehicle, speed_up):
    vehicle.edge.speed_up = speed_up
    vehicle.run(10)
    assert vehicle.constants() == [VEHICLE_UTC_NS]
    assert vehicle.clock.request() is None
    assert vehicle.clock.sample() is None


@pytest.mark.parametrize(
    "step_ns",
    [-3600 * S, -S, -300 * MS, -40 * MS, 40 * MS, 300 * MS, S, 3600 * S],
    ids=lambda ns: f"{ns / S} s",
)
def test_a_step_of_the_vehicles_utc_is_a_gap_and_no_smear(vehicle, step_ns):
    vehicle.run(5)
    vehicle.utc_ns += step_ns
    vehicle.run(10)
    assert vehicle.constants() == [VEHICLE_UTC_NS, VEHICLE_UTC_NS + step_ns]
    times_ns = [at_ns for _, at_ns in vehicle.passed]
    at = next(
        n for n, (stamp_ms, at_ns) in enumerate(vehicle.passed) if at_ns != VEHICLE_UTC_NS + stamp_ms * MS
    )
    old_ns, new_ns = times_ns[:at], times_ns[at:]
    assert min(abs(new - old_ns[-1]) for new in new_ns) > S, "more than pose histories join or reorder"
    assert len(new_ns) > 80
    sample = vehicle.samples[-1]
    assert abs(sample.edge_ahead_ns - 350 * MS + step_ns) <= sample.sigma_ns


def test_the_first_fix_is_a_gap_too(vehicle):
    vehicle.utc_ns = None
    vehicle.run(5)
    vehicle.utc_ns = VEHICLE_UTC_NS
    vehicle.run(5)
    borrowed_ns, own_ns = vehicle.constants()
    assert own_ns == VEHICLE_UTC_NS != borrowed_ns
    gaps_ns = [
        after[1] - before[1] for before, after in zip(vehicle.passed, vehicle.passed[1:], strict=False)
    ]
    assert sum(gap_ns > S for gap_ns in gaps_ns) == 1


def test_our_own_clock_set_anew_moves_the_offset_and_no_sample(vehicle):
    vehicle.run(5)
    vehicle.edge.utc_step_ns = 2 * S
    vehicle.run(2)
    assert vehicle.constants() == [VEHICLE_UTC_NS]
    sample = vehicle.samples[-1]
    assert abs(sample.edge_ahead_ns - 2_350 * MS) <= sample.sigma_ns


def test_our_clock_set_anew_while_the_vehicle_lives_on_it_moves_no_sample_either(vehicle):
    vehicle.utc_ns = None
    vehicle.run(5)
    vehicle.edge.utc_step_ns = -700 * MS
    vehicle.run(5)
    assert len(vehicle.constants()) == 1
    sample = vehicle.samples[-1]
    assert abs(sample.edge_ahead_ns + 700 * MS) <= sample.sigma_ns


def test_a_reboot_forgets_everything_and_starts_anew(vehicle):
    vehicle.run(5)
    vehicle.restarted_at_ns = vehicle.edge.boot_ns
    vehicle.utc_ns = VEHICLE_UTC_NS + vehicle.restarted_at_ns  # the UTC goes on, from another boot
    vehicle.run(1)
    assert vehicle.constants()[0] == VEHICLE_UTC_NS
    vehicle.run(10)
    assert vehicle.constants() == [VEHICLE_UTC_NS, VEHICLE_UTC_NS + vehicle.restarted_at_ns]
    sample = vehicle.samples[-1]
    assert abs(sample.edge_ahead_ns - 350 * MS) <= sample.sigma_ns


def test_an_answer_that_is_not_in_boot_time_is_of_no_use(vehicle):
    vehicle.run(0.2)
    ts1 = next(ts1 for _ in range(100) if (ts1 := tick(vehicle)) is not None)
    assert not vehicle.clock.answer(EDGE_UTC_NS, ts1, ts1 + MS), "UTC"
    assert not vehicle.clock.answer(vehicle.boot_ns - 6 * S, ts1, ts1 + MS)
    assert vehicle.clock.answer(vehicle.boot_ns, ts1, ts1 + MS)


def tick(vehicle):
    vehicle.edge.boot_ns += 50 * MS
    return vehicle.clock.request()


@pytest.mark.parametrize("unix_us", [0, 315_964_800_000_000, 1_500_000_000_000_000, 2**64 - 1])
def test_a_time_before_2020_or_far_ahead_is_no_utc(vehicle, unix_us):
    vehicle.clock.set(unix_us, 1_000_000)
    vehicle.system_times = False
    vehicle.run(5)
    (constant_ns,) = vehicle.constants()
    assert constant_ns == pytest.approx(EDGE_UTC_NS, abs=12 * MS)


@pytest.mark.parametrize("pattern", ["AB", "ABB", "AABB", "ABCBC", "ABCDEF"])
def test_a_utc_that_jumps_back_and_forth_is_held_still(vehicle, pattern):
    lies_ns = {letter: number * 7 * S for number, letter in enumerate("ABCDEF")}
    seen = set()
    for second in range(40):
        unix_ns = VEHICLE_UTC_NS + second * S + lies_ns[pattern[second % len(pattern)]]
        vehicle.clock.set(unix_ns // 1000, second * 1000)
        at_ns = vehicle.clock.utc_ns("ATTITUDE", second * 1000 + 1, 0)
        seen.add(at_ns - (second * 1000 + 1) * MS)
    assert seen == {VEHICLE_UTC_NS}


def test_one_wrong_first_word_is_corrected(vehicle):
    vehicle.utc_ns = VEHICLE_UTC_NS + 86_400 * S
    vehicle.run(1)
    vehicle.utc_ns = VEHICLE_UTC_NS
    vehicle.run(10)
    assert vehicle.constants() == [VEHICLE_UTC_NS + 86_400 * S, VEHICLE_UTC_NS]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2_000), min_size=5, max_size=40))
def test_the_jitter_of_system_times_stays_below_itself(jitters_us):
    vehicle = Vehicle()
    constants = []
    for second, jitter_us in enumerate(jitters_us):
        vehicle.clock.set((VEHICLE_UTC_NS + second * S) // 1000 + jitter_us, second * 1000)
        constants.append(vehicle.clock.utc_ns("ATTITUDE", second * 1000, 0) - second * S - VEHICLE_UTC_NS)
    assert all(0 <= constant <= 2 * MS for constant in constants)
    latest = sorted(jitters_us[-5:])
    assert constants[-1] == latest[2] * 1000


def test_stamps_of_a_device_with_a_clock_of_its_own_are_not_used(vehicle):
    vehicle.run(5)
    now_ms = vehicle.boot_ns // MS
    assert vehicle.clock.utc_ns("GIMBAL_DEVICE_ATTITUDE_STATUS", 12_345, 0) is None
    assert vehicle.clock.utc_ns("GIMBAL_DEVICE_ATTITUDE_STATUS", now_ms + 60_000, 0) is None
    at_ns = vehicle.clock.utc_ns("GIMBAL_DEVICE_ATTITUDE_STATUS", now_ms, 0)
    assert at_ns == VEHICLE_UTC_NS + now_ms * MS


def test_one_kind_of_message_whose_stamps_stand_still_disturbs_no_other(vehicle):
    vehicle.run(3)
    frozen_ms = vehicle.boot_ns // MS
    for _ in range(200):
        vehicle.run(0.05)
        vehicle.clock.utc_ns("GLOBAL_POSITION_INT", frozen_ms, 0)
    assert vehicle.constants() == [VEHICLE_UTC_NS]
    assert len(vehicle.passed) > 220


stamps = st.integers(0, 2**32 - 1)
words = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 2**64 - 1), stamps),
    st.tuples(st.just("stamp"), st.sampled_from(["ATTITUDE", "GLOBAL_POSITION_INT", "OTHER"]), stamps),
    st.tuples(st.just("answer"), st.integers(-(2**63), 2**63 - 1), st.integers(0, 3_000)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(words, max_size=60))
def test_whatever_a_vehicle_says_of_time_some_utc_comes_out_or_none(said):
    vehicle = Vehicle()
    asked = [0]
    for kind, first, second in said:
        vehicle.edge.boot_ns += 100 * MS
        ts1 = vehicle.clock.request()
        asked += [ts1] if ts1 is not None else []
        if kind == "set":
            vehicle.clock.set(first, second)
        elif kind == "answer":
            vehicle.clock.answer(first, asked[-1], asked[-1] + second * MS)
        else:
            at_ns = vehicle.clock.utc_ns(first, second, MONOTONIC_NS + vehicle.edge.boot_ns)
            assert at_ns is None or 1_500_000_000 * S < at_ns < 4_110_000_000 * S
        sample = vehicle.clock.sample()
        assert sample is None or sample.sigma_ns > 0
