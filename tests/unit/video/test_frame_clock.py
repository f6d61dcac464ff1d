"""Capture times from what a stream tells."""

from patrol.video.clock import FileStart, FrameClock, Timing

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def test_a_stamp_wins_over_everything():
    clock = FrameClock(FileStart(5, 0))
    time = clock.capture_time(pts_ns=0, stamp_ns=NOW_NS - 70, arrived_at_ns=NOW_NS)
    assert (time.at_ns, time.timing) == (NOW_NS - 70, Timing.STAMPED)


def test_presentation_times_carry_the_last_stamp_on():
    clock = FrameClock()
    clock.capture_time(4 * SECOND_NS, NOW_NS, NOW_NS + 1)
    time = clock.capture_time(5 * SECOND_NS, None, NOW_NS + 2)
    assert (time.at_ns, time.timing) == (NOW_NS + SECOND_NS, Timing.STAMPED)


def test_a_stamp_is_not_carried_on_for_ever_nor_backwards():
    clock = FrameClock()
    clock.capture_time(4 * SECOND_NS, NOW_NS, NOW_NS)
    for pts_ns in (15 * SECOND_NS, 3 * SECOND_NS, None):
        time = clock.capture_time(pts_ns, None, NOW_NS + 9)
        assert (time.at_ns, time.timing) == (NOW_NS + 9, Timing.ARRIVAL)
        assert time.sigma_ns == 300_000_000


def test_a_file_counts_from_its_start_wherever_its_own_count_begins():
    clock = FrameClock(FileStart(NOW_NS, 7))
    assert clock.capture_time(90 * SECOND_NS, None, 0).at_ns == NOW_NS
    later = clock.capture_time(92 * SECOND_NS, None, 0)
    assert (later.at_ns, later.sigma_ns, later.timing) == (NOW_NS + 2 * SECOND_NS, 7, Timing.FILE)
