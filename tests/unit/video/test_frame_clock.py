"""Capture times from what a stream tells, and from streams that tell lies."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patrol.video.clock import Arrival, CaptureTime, FileStart, FrameClock, Reference, Timing

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
DELAY_S = 0.15  # of the simulated link
FIRST_PTS_S = 1_234.0
HZ = 10


def came(after_s: float = 0.0) -> Arrival:
    """What comes that long after NOW."""
    return Arrival(NOW_NS + round(after_s * SECOND_NS), 50 * SECOND_NS + round(after_s * SECOND_NS))


@dataclass(frozen=True)
class Shot:
    """A picture taken `t_s` after the first, and what the clock made of it."""

    t_s: float
    time: CaptureTime
    doubt: str

    @property
    def error_ns(self) -> int:
        return self.time.at_ns - NOW_NS - round(self.t_s * SECOND_NS)


def play(
    seconds: float,
    *,
    pts_s: Callable[[float], float | None] = lambda t: t,
    stamp_s: Callable[[float], float | None] = lambda t: t,
    klv_s: Callable[[float], float | None] = lambda _: None,
    delay_s: Callable[[float], float] = lambda _: DELAY_S,
    edge_ahead_s: Callable[[float], float] = lambda _: 0.0,
    clock: FrameClock | None = None,
) -> list[Shot]:
    """Pictures at 10 Hz through one clock. Each argument says what there is at a time of capture."""
    clock = clock or FrameClock()
    shots = []

    def at_ns(after_s: float | None) -> int | None:
        return None if after_s is None else NOW_NS + round(after_s * SECOND_NS)

    for i in range(round(seconds * HZ)):
        t = i / HZ
        arrival = came(t + delay_s(t))
        arrival = Arrival(arrival.utc_ns + round(edge_ahead_s(t) * SECOND_NS), arrival.monotonic_ns)
        pts = pts_s(t)
        pts_ns = None if pts is None else round((FIRST_PTS_S + pts) * SECOND_NS)
        beside_ns = at_ns(klv_s(t))
        if beside_ns is not None:
            clock.hear(Reference(Timing.KLV, pts_ns, beside_ns, 20 * MS_NS), arrival)
        shots.append(Shot(t, clock.capture_time(pts_ns, at_ns(stamp_s(t)), arrival), clock.doubt))
    return shots


def timings(shots: list[Shot]) -> set[Timing]:
    return {shot.time.timing for shot in shots}


def test_a_stamp_wins_over_everything():
    clock = FrameClock()
    clock.hear(Reference(Timing.KLV, 0, NOW_NS - 80, 20), came())
    clock.hear(Reference(Timing.RTCP, 0, NOW_NS - 90, 20), came())
    time = clock.capture_time(pts_ns=0, stamp_ns=NOW_NS - 70, arrival=came())
    assert (time.at_ns, time.sigma_ns, time.timing) == (NOW_NS - 70, 10 * MS_NS, Timing.STAMPED)
    time = FrameClock(FileStart(5, 0)).capture_time(pts_ns=0, stamp_ns=NOW_NS - 70, arrival=came())
    assert (time.at_ns, time.timing) == (NOW_NS - 70, Timing.STAMPED)


@pytest.mark.parametrize(("beside", "sigma_ms"), [(Timing.KLV, 20), (Timing.RTCP, 110)])
def test_times_beside_the_pictures_are_carried_both_ways_by_presentation_times(beside, sigma_ms):
    clock = FrameClock()
    clock.hear(Reference(beside, 4 * SECOND_NS, NOW_NS, sigma_ms * MS_NS), came(0.1))
    for pts_ns in (3_900_000_000, 4_000_000_000, 5_500_000_000):
        time = clock.capture_time(pts_ns, None, came(pts_ns / SECOND_NS - 3.8))
        assert time == CaptureTime(NOW_NS + pts_ns - 4 * SECOND_NS, sigma_ms * MS_NS, beside)


def test_klv_wins_over_rtcp():
    clock = FrameClock()
    clock.hear(Reference(Timing.RTCP, 0, NOW_NS - 90, 20), came())
    clock.hear(Reference(Timing.KLV, 0, NOW_NS - 80, 20), came())
    assert clock.capture_time(0, None, came()).at_ns == NOW_NS - 80


def test_presentation_times_carry_the_last_stamp_on():
    clock = FrameClock()
    clock.capture_time(4 * SECOND_NS, NOW_NS, came())
    time = clock.capture_time(5 * SECOND_NS, None, came(1))
    assert (time.at_ns, time.timing) == (NOW_NS + SECOND_NS, Timing.STAMPED)


@pytest.mark.parametrize(
    ("pts_ns", "after_s", "sigma_ms", "epoch"),
    [(15 * SECOND_NS, 11, 300, 0), (3 * SECOND_NS, 0.1, 300, 1), (None, 0.1, 316, 0)],
)
def test_a_stamp_is_not_carried_on_for_ever_nor_backwards(pts_ns, after_s, sigma_ms, epoch):
    clock = FrameClock()
    clock.capture_time(4 * SECOND_NS, NOW_NS, came())
    time = clock.capture_time(pts_ns, None, came(after_s))
    assert (time.at_ns, time.timing, time.epoch) == (came(after_s).utc_ns, Timing.ARRIVAL, epoch)
    assert time.sigma_ns == pytest.approx(sigma_ms * MS_NS, abs=MS_NS)


def test_what_comes_in_a_burst_after_a_pause_may_be_as_old_as_the_pause():
    clock = FrameClock()
    before = clock.capture_time(None, None, came(0.1))
    bursts = [clock.capture_time(None, None, came(1.7 + 0.001 * number)) for number in range(10)]
    assert before.sigma_ns == 300 * MS_NS
    assert all(time.sigma_ns > 1600 * MS_NS for time in bursts)


def test_a_link_that_becomes_slower_for_good_begins_an_epoch():
    clock = FrameClock()
    epochs = []
    for number in range(700):
        late_s = 0.0 if number < 310 else 0.8
        time = clock.capture_time(number * SECOND_NS // 10, None, came(number / 10 + late_s))
        epochs.append(time.epoch)
    assert epochs[:310] == [0] * 310
    assert epochs[-1] == 1


def test_a_file_counts_from_its_start_wherever_its_own_count_begins():
    clock = FrameClock(FileStart(NOW_NS, 7))
    assert clock.capture_time(90 * SECOND_NS, None, came()).at_ns == NOW_NS
    later = clock.capture_time(92 * SECOND_NS, None, came())
    assert (later.at_ns, later.sigma_ns, later.timing) == (NOW_NS + 2 * SECOND_NS, 7, Timing.FILE)


def test_a_file_that_begins_its_count_anew_goes_on_where_it_was():
    clock = FrameClock(FileStart(NOW_NS, 7))
    at_ns = [clock.capture_time(pts_s * SECOND_NS, None, came()).at_ns for pts_s in (90, 91, 5, 6)]
    assert at_ns == [NOW_NS, NOW_NS + SECOND_NS, NOW_NS + SECOND_NS, NOW_NS + 2 * SECOND_NS]


def test_arrival_loses_the_jitter_of_the_network():
    rng = random.Random(1)
    shots = play(60, stamp_s=lambda _: None, delay_s=lambda _: DELAY_S + min(0.5, rng.expovariate(1 / 0.06)))
    assert timings(shots) == {Timing.ARRIVAL}
    late_ns = [shot.error_ns for shot in shots[50:]]
    assert all(150 * MS_NS <= late <= 160 * MS_NS for late in late_ns)
    assert max(late_ns) - min(late_ns) < 10 * MS_NS  # what came was spread over half a second
    assert all(300 * MS_NS <= shot.time.sigma_ns <= 590 * MS_NS for shot in shots)


def test_a_stall_of_the_network_does_not_make_pictures_younger():
    def delay_s(t: float) -> float:  # nothing for 40 s, then all at once
        return DELAY_S + (max(0.0, 60 - t) if 20 <= t < 60 else 0.0)

    shots = play(70, stamp_s=lambda _: None, delay_s=delay_s)
    assert all(abs(shot.error_ns - 150 * MS_NS) < 2 for shot in shots)
    assert shots[200].time.sigma_ns > 39 * SECOND_NS  # it could be that the camera stood still
    assert shots[-1].time.sigma_ns == 300 * MS_NS


def test_arrival_follows_when_presentation_times_run_slow_or_the_link_grows_longer():
    slow = play(90, stamp_s=lambda _: None, pts_s=lambda t: 0.9 * t)
    assert all(abs(shot.error_ns) < 2 * shot.time.sigma_ns for shot in slow)
    assert all(shot.error_ns == 150 * MS_NS for shot in slow[320:])
    longer = play(90, stamp_s=lambda _: None, delay_s=lambda t: DELAY_S + 0.4 * (t >= 30))
    assert all(shot.error_ns in (150 * MS_NS, 550 * MS_NS) for shot in longer)
    assert all(shot.error_ns == 550 * MS_NS for shot in longer[620:])


def test_the_edge_clock_may_be_set_without_bending_intervals():
    shots = play(40, stamp_s=lambda _: None, edge_ahead_s=lambda t: -3600.0 * (t < 20))
    assert all(shot.error_ns == (150 - 3_600_000 * (shot.t_s < 20)) * MS_NS for shot in shots)
    stamped = play(40, edge_ahead_s=lambda t: 0.3 * (t >= 20))
    assert timings(stamped) == {Timing.STAMPED}
    assert not any(shot.doubt for shot in stamped)
    woken = play(40, edge_ahead_s=lambda t: -1e9 * (t < 20))  # an edge box that hears of the time late
    assert timings(woken[:200]) == {Timing.ARRIVAL}
    assert timings(woken[200:]) == {Timing.STAMPED}


@pytest.mark.parametrize(
    "pts_s",
    [
        lambda t: t - 95_443.7 * (t >= 20),  # 33 bits at 90 kHz come round
        lambda t: t - 1_200 if t >= 20 else t,
        lambda t: t + 3_000 * (t >= 20),
        lambda _: None,
        lambda t: 0.7 * t,
        lambda _: 0.0,
    ],
    ids=["wrap", "restart", "leap", "none", "slow", "still"],
)
def test_a_stream_whose_own_count_is_broken_keeps_its_stamps(pts_s):
    shots = play(60, pts_s=pts_s)
    assert timings(shots[250:]) == {Timing.STAMPED}
    assert all(shot.error_ns == 0 and not shot.doubt for shot in shots[250:])
    # Until arrival has shown which of the two is wrong, no time is precise.
    assert all(abs(shot.error_ns) < 2 * shot.time.sigma_ns for shot in shots)


LIES = {
    "backwards": (lambda t: t - 1.5 * (t >= 20), "strayed by 1.5 s"),
    "an hour back": (lambda t: t - 3600 * (t >= 20), "strayed by 3600.0 s"),
    "still": (lambda t: min(t, 20.0), "strayed by"),
    "jump ahead": (lambda t: t + 4.9 * (t >= 20), "4.8 s ahead"),
    "small jump": (lambda t: t + 0.2 * (t >= 20), "strayed by 0.2 s"),
    "fast": (lambda t: t + 0.01 * max(0, t - 20), "strayed by 0."),
    "slow": (lambda t: t - 0.01 * max(0, t - 20), "strayed by 0."),
    "to and fro": (lambda t: t + 0.3 * (t >= 20 and int(t) % 2), "strayed by 0.3 s"),
}


@pytest.mark.parametrize("lie", LIES)
def test_stamps_that_leave_the_presentation_times_are_given_up(lie):
    stamp_s, words = LIES[lie]
    shots = play(80, stamp_s=stamp_s)
    assert timings(shots[:200]) == {Timing.STAMPED}
    assert all(abs(shot.error_ns) < 1.01 * shot.time.sigma_ns for shot in shots[200:])
    assert timings(shots[300:]) == {Timing.ARRIVAL}
    assert words in shots[300].doubt
    assert all(shot.error_ns == 150 * MS_NS for shot in shots[300:])


@pytest.mark.parametrize("lie", LIES)
def test_the_next_best_time_takes_over_from_a_lie(lie):
    shots = play(60, stamp_s=LIES[lie][0], klv_s=lambda t: t + 0.005)
    assert timings(shots[300:]) == {Timing.KLV}
    assert all(shot.error_ns == 5 * MS_NS and shot.doubt for shot in shots[300:])


@pytest.mark.parametrize(
    ("off_s", "words"),
    [
        (3.0, "2.9 s ahead"),
        (-27.0, "27.1 s behind"),
        (-1.7e9, "behind"),
        (1e9, "ahead"),
        (0.7, "0.6 s ahead"),
    ],
)
def test_stamps_far_from_arrival_are_of_a_wrong_clock(off_s, words):
    shots = play(5, stamp_s=lambda t: t + off_s)
    assert timings(shots) == {Timing.ARRIVAL}
    assert all(words in shot.doubt for shot in shots)


def test_stamps_from_the_future_widen_sigma_even_within_tolerance():
    shots = play(5, stamp_s=lambda t: t + 0.55)
    assert all(shot.time.timing is Timing.STAMPED and shot.time.sigma_ns > 400 * MS_NS for shot in shots)


def test_a_camera_that_hears_of_the_time_late_is_believed_from_then_on():
    shots = play(80, stamp_s=lambda t: t - 1e8 * (t < 20))
    assert timings(shots[:200]) == {Timing.ARRIVAL}
    assert timings(shots[520:]) == {Timing.STAMPED}


def test_a_slip_is_forgiven_when_the_clock_is_back_where_it_was():
    shots = play(80, stamp_s=lambda t: t - 1.0 * (20 <= t < 21))
    assert timings(shots[200:490]) == {Timing.ARRIVAL}
    assert timings(shots[520:]) == {Timing.STAMPED}


def test_honest_jitter_and_drift_are_no_lie():
    rng = random.Random(2)
    shots = play(
        600,
        pts_s=lambda t: t * (1 + 100e-6) + rng.uniform(-0.02, 0.02),
        delay_s=lambda _: DELAY_S + rng.uniform(0, 0.4),
    )
    assert timings(shots) == {Timing.STAMPED}
    assert all(shot.error_ns == 0 and shot.time.sigma_ns < 50 * MS_NS for shot in shots)


def test_a_slow_drift_is_found_in_time():
    shots = play(400, stamp_s=lambda t: t * 1.001)
    assert all(abs(shot.error_ns) < 3 * shot.time.sigma_ns for shot in shots)
    assert shots[-1].time.timing is Timing.ARRIVAL


def test_a_doubt_ends_with_the_stamps_it_was_about():
    shots = play(60, stamp_s=lambda t: t + 3 if t < 20 else None)
    assert shots[150].doubt
    assert not shots[-1].doubt


@settings(max_examples=40)
@given(
    at=st.floats(0, 30),
    jump_s=st.floats(-100, 100),
    rate=st.one_of(st.just(0.0), st.floats(-0.9, -0.003), st.floats(0.003, 3.0)),
    jitter_s=st.floats(0, 0.4),
    seed=st.integers(0, 999),
)
def test_no_lie_becomes_a_confident_time(at, jump_s, rate, jitter_s, seed):
    rng = random.Random(seed)
    shots = play(
        40,
        stamp_s=lambda t: t + (jump_s + rate * (t - at) if t >= at > 0 else 0.0),
        delay_s=lambda _: DELAY_S + rng.uniform(0, jitter_s),
    )
    for shot in shots:
        # Steps of up to 50 ms and two sigma of a stamp may be a fault of the presentation times.
        assert abs(shot.error_ns) <= 2 * shot.time.sigma_ns + 70 * MS_NS, shot
