"""The offset between two clocks is within its bound, whatever the way between them does."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patrol.flight.timesync import Timesync

MS = 1_000_000
S = 1_000_000_000
BOOT_NS = 7_123 * S + 456_789  # the monotonic clock's reading when the boot clock read 0


class Way:
    """Two clocks and a way between them: `ask` makes one round trip."""

    def __init__(self, *, drift=0.0):
        self.timesync = Timesync()
        self.now_ns = BOOT_NS + 100 * S
        self.boot_at_ns = BOOT_NS
        self.drift = drift

    def boot_ns(self, at_ns):
        return int((at_ns - self.boot_at_ns) * (1.0 + self.drift))

    def ask(self, there_ns, back_ns):
        self.now_ns += S
        ts1 = self.timesync.request(self.now_ns)
        tc1 = self.boot_ns(self.now_ns + there_ns) // 1000 * 1000
        self.now_ns += there_ns + back_ns
        assert self.timesync.is_answer(tc1, ts1)
        self.timesync.take(tc1, ts1, self.now_ns)

    def error_ns(self):
        """How wrong the offset is, and how wrong it says it may be."""
        offset = self.timesync.offset(self.now_ns)
        return abs(offset.ahead_ns - (self.now_ns - self.boot_ns(self.now_ns))), offset.bound_ns


delays = st.integers(0, 900 * MS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(delays, delays), min_size=3, max_size=40), st.floats(-90e-6, 90e-6))
def test_the_truth_is_within_the_bound_for_any_delays_and_drift(ways, drift):
    way = Way(drift=drift)
    for there_ns, back_ns in ways:
        way.ask(there_ns, back_ns)
    error_ns, bound_ns = way.error_ns()
    assert error_ns <= bound_ns
    # Never worse than the shortest of the latest round trips, with 30 s of drift.
    shortest_ns = min(there_ns + back_ns for there_ns, back_ns in ways[-10:])
    assert bound_ns <= shortest_ns / 2 + 4 * MS


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=12, max_size=30),
    st.integers(1 * MS, 60 * MS),
    st.integers(1 * MS, 200 * MS),
)
def test_jitter_on_top_of_unequal_ways_is_within_three_sigma(jitters, there_ns, back_ns):
    way = Way()
    for there, back in jitters:
        jitter_ns = [round(-40 * MS * math.log(1.0 - 0.99 * share)) for share in (there, back)]
        way.ask(there_ns + jitter_ns[0], back_ns + jitter_ns[1])
    error_ns, sigma_ns = way.error_ns()
    assert error_ns <= 3 * sigma_ns
    assert sigma_ns <= (there_ns + back_ns) / 2 + 200 * MS


def test_good_legs_of_different_round_trips_are_joined():
    way = Way()
    for there_ns, back_ns in [(1 * MS, 300 * MS), (300 * MS, 1 * MS), (200 * MS, 200 * MS)]:
        way.ask(there_ns, back_ns)
    error_ns, bound_ns = way.error_ns()
    assert error_ns <= bound_ns < 2 * MS, "the shortest round trip alone bounds it to 150 ms"


def test_one_or_two_round_trips_are_not_believed():
    way = Way()
    for _ in range(2):
        way.ask(MS, MS)
        assert way.timesync.offset(way.now_ns) is None
    way.ask(MS, MS)
    assert way.timesync.offset(way.now_ns) is not None


@pytest.mark.parametrize("step_ns", [-50 * S, -20 * MS, 20 * MS, 50 * S])
def test_a_clock_that_is_set_anew_is_learnt_afresh(step_ns):
    way = Way()
    for _ in range(10):
        way.ask(MS, 2 * MS)
    way.boot_at_ns += step_ns
    for already in range(3):
        assert (way.timesync.offset(way.now_ns) is None) == (already > 0)
        way.ask(MS, 2 * MS)
    error_ns, bound_ns = way.error_ns()
    assert error_ns <= bound_ns < 3 * MS


def test_the_bound_grows_with_silence_until_nothing_is_known():
    way = Way()
    for _ in range(5):
        way.ask(MS, MS)
    fresh = way.timesync.offset(way.now_ns).bound_ns
    old = way.timesync.offset(way.now_ns + 20 * S).bound_ns
    assert old - fresh == pytest.approx(2 * MS, rel=0.05), "100 ppm of 20 s"
    assert way.timesync.offset(way.now_ns + 60 * S) is None


def test_only_the_first_answer_to_a_question_of_ours_counts():
    timesync = Timesync()
    ts1 = timesync.request(50 * S)
    assert not timesync.is_answer(9 * S, ts1 + 1), "the question of another"
    assert not timesync.is_answer(9 * S, 0)
    assert not timesync.is_answer(0, ts1), "a question of the vehicle"
    assert not timesync.is_answer(-1, ts1)
    assert timesync.is_answer(9 * S, ts1)
    timesync.take(9 * S, ts1, ts1 + MS)
    assert not timesync.is_answer(9 * S, ts1), "told twice"


@pytest.mark.parametrize("late_ns", [-1, 2 * S + 1])
def test_an_answer_that_took_too_long_or_no_time_teaches_nothing(late_ns):
    timesync = Timesync()
    for number in range(4):
        ts1 = timesync.request((50 + number) * S)
        timesync.take(9 * S + number * S, ts1, ts1 + late_ns)
    assert timesync.offset(60 * S) is None


def test_questions_come_quickly_at_first_and_then_once_a_second():
    timesync = Timesync()
    asked_ms = [ms for ms in range(0, 30_000, 10) if timesync.request(ms * MS) is not None]
    assert asked_ms[:10] == list(range(0, 2000, 200))
    assert asked_ms[11:] == list(range(3000, 30_000, 1000))
    timesync.forget()
    assert timesync.request(29_991 * MS) is not None


def test_questions_that_are_never_answered_are_not_collected():
    timesync = Timesync()
    asked = [timesync.request(number * S) for number in range(1000)]
    assert sum(timesync.is_answer(S, ts1) for ts1 in asked) <= 3
