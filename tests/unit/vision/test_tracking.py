from collections.abc import Sequence

import numpy as np
import pytest

from patrol.domain.detections import Detections, Track
from patrol.vision.registry import ModelError
from patrol.vision.tracking import Tracker, TrackingParameters

FRAME_NS = 100_000_000
START_NS = 1_790_000_000_000_000_000
CLASSES = ("person", "car")

Box = tuple[float, float, float, float]


def picture(boxes: Sequence[Box], scores: Sequence[float] | None = None, class_id: int = 0) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores if scores is not None else [0.8] * len(boxes), np.float32),
        np.full(len(boxes), class_id, np.int32),
        CLASSES,
    )


def walker(n: int, x: float = 50, speed: float = 3) -> Box:
    return (x + speed * n, 100, x + speed * n + 18, 150)


def play(tracker: Tracker, pictures: Sequence[Detections], first: int = 0) -> list[list[Track]]:
    return [tracker.update(one, START_NS + (first + n) * FRAME_NS) for n, one in enumerate(pictures)]


def test_two_walkers_keep_their_ids_and_own_boxes() -> None:
    seen = play(Tracker(), [picture([walker(n), walker(n, 300, -3)]) for n in range(20)])
    assert [[t.track_id for t in tracks] for tracks in seen] == [[1, 2]] * 20
    for n, (left, right) in enumerate(seen):
        np.testing.assert_allclose(left.box_xyxy_px, walker(n))
        np.testing.assert_allclose(right.box_xyxy_px, walker(n, 300, -3))
    assert [t.age_frames for t in seen[-1]] == [20, 20]


def test_a_track_is_confirmed_after_the_pictures_that_are_set() -> None:
    seen = play(Tracker(TrackingParameters(confirm_frames=4)), [picture([walker(n)]) for n in range(6)])
    assert [tracks[0].confirmed for tracks in seen] == [False, False, False, True, True, True]


def test_an_id_survives_a_short_gap_and_is_marked_as_not_observed() -> None:
    tracker = Tracker()
    play(tracker, [picture([walker(n)]) for n in range(10)])
    gap = play(tracker, [picture([])] * 8, first=10)
    after = play(tracker, [picture([walker(n)]) for n in range(18, 22)], first=18)
    assert [[(t.track_id, t.observed) for t in tracks] for tracks in gap] == [[(1, False)]] * 8
    assert [[(t.track_id, t.observed) for t in tracks] for tracks in after] == [[(1, True)]] * 4
    centre = (gap[-1][0].box_xyxy_px[0] + gap[-1][0].box_xyxy_px[2]) / 2
    assert centre == pytest.approx(walker(17)[0] + 9, abs=4), "the box walks on during the gap"


def test_an_id_ends_after_a_long_gap_and_never_returns() -> None:
    tracker = Tracker(TrackingParameters(lost_after_s=1.0))
    play(tracker, [picture([walker(0, speed=0)])] * 6)
    gap = play(tracker, [picture([])] * 14, first=6)
    assert gap[8], "within a second the track is held"
    assert gap[-1] == []
    back = play(tracker, [picture([walker(0, speed=0)])] * 4, first=20)
    assert [t.track_id for t in back[-1]] == [2]


def test_a_slow_camera_loses_people_by_seconds_not_by_pictures() -> None:
    tracker = Tracker(TrackingParameters(lost_after_s=1.0))
    for n in range(6):
        tracker.update(picture([walker(0, speed=0)]), START_NS + n * FRAME_NS)
    assert tracker.update(picture([]), START_NS + 5 * FRAME_NS + 500_000_000) != []
    assert tracker.update(picture([]), START_NS + 5 * FRAME_NS + 1_600_000_000) == []


def test_weak_detections_continue_a_track_but_start_none() -> None:
    tracker = Tracker()
    play(tracker, [picture([walker(n)]) for n in range(5)])
    weak = play(tracker, [picture([walker(n), walker(n, 300)], [0.15, 0.15]) for n in range(5, 10)], first=5)
    assert [[(t.track_id, t.observed) for t in tracks] for tracks in weak] == [[(1, True)]] * 5
    assert weak[-1][0].score == pytest.approx(0.15)


def test_cars_are_no_people() -> None:
    assert play(Tracker(), [picture([walker(n)], class_id=1) for n in range(5)])[-1] == []


def test_no_detections_at_all_give_no_tracks() -> None:
    assert play(Tracker(), [picture([])] * 3) == [[], [], []]


@pytest.mark.parametrize("later_ns", [0, -FRAME_NS])
def test_a_clock_that_was_set_back_begins_everything_anew_under_new_ids(later_ns: int) -> None:
    tracker = Tracker()
    for n in range(5):
        before = tracker.update(picture([walker(n)]), START_NS + n * FRAME_NS)
    after = tracker.update(picture([walker(5)]), START_NS + 4 * FRAME_NS + later_ns)
    assert [track.age_frames for track in after] == [1]
    assert {track.track_id for track in before}.isdisjoint(track.track_id for track in after)


@pytest.mark.parametrize("wrong", [{"start_score": 1.1}, {"lost_after_s": -1.0}, {"confirm_frames": 0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="tracking: "):
        TrackingParameters(**wrong)
