"""Follows people from picture to picture: ByteTrack, with time passed in and ids never used again."""

from dataclasses import dataclass

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from trackers import ByteTrackTracker

from patrol.domain.detections import Detections, Track
from patrol.vision.registry import ModelError
from patrol.vision.tiles import pairwise_iou

_LIBRARY_FRAMES_PER_SECOND = 30.0
"""ByteTrackTracker counts its buffer of lost tracks in frames of a 30 fps video, whatever the rate."""

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class TrackingParameters:
    """How people are followed. The defaults are for about 10 pictures a second and people of 20 to 100 px.

    Attributes:
        frames_per_second: nominal rate; the times passed in decide, this sets the scale of the motion model.
        lost_after_s: a person not seen for longer is given up. Long enough for a walk behind a stall pole or
            another person, short enough that a newcomer does not inherit the track.
        start_score: a new track begins from a detection of at least this score, 0..1.
        strong_score: detections from this score on are matched first, weaker ones only continue tracks, 0..1.
        least_score: detections under this score are not used at all, 0..1.
        least_iou: of a detection with the predicted box. Low, because a walker of 20 px moves by a third of
            the width between two pictures at 10 a second.
        confirm_frames: pictures in a row after which a track counts as a person.
    """

    frames_per_second: float = 10.0
    lost_after_s: float = 1.5
    start_score: float = 0.6
    strong_score: float = 0.45
    least_score: float = 0.1
    least_iou: float = 0.1
    confirm_frames: int = 3

    def __post_init__(self) -> None:
        for name in ("start_score", "strong_score", "least_score", "least_iou"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ModelError(f"tracking: {name} is {value}; give a number from 0 to 1")
        if self.frames_per_second <= 0 or self.lost_after_s < 0 or self.confirm_frames < 1:
            raise ModelError(
                f"tracking: frames_per_second {self.frames_per_second}, lost_after_s {self.lost_after_s}, "
                f"confirm_frames {self.confirm_frames}; "
                "the rate must be positive, the time not negative, the frames at least 1"
            )


@dataclass(frozen=True)
class _Known:
    track_id: int
    age_frames: int
    score: float


class Tracker:
    """Follows the people of one camera.

    Args:
        parameters: see `TrackingParameters`.
        person_classes: names of the classes that are people; other detections are left aside.
    """

    def __init__(
        self, parameters: TrackingParameters | None = None, person_classes: tuple[str, ...] = ("person",)
    ) -> None:
        self.parameters = parameters or TrackingParameters()
        self.person_classes = person_classes
        self._next_id = 1
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._inner = ByteTrackTracker(
            lost_track_buffer=round(self.parameters.lost_after_s * _LIBRARY_FRAMES_PER_SECOND),
            frame_rate=self.parameters.frames_per_second,
            track_activation_threshold=self.parameters.start_score,
            minimum_consecutive_frames=self.parameters.confirm_frames,
            minimum_iou_threshold=self.parameters.least_iou,
            high_conf_det_threshold=self.parameters.strong_score,
        )
        self._known: dict[int, _Known] = {}
        self._held: list[object] = []
        self._first_ns = 0
        self._latest_ns: int | None = None

    def update(self, detections: Detections, at_ns: int) -> list[Track]:
        """Take in the detections of one picture and tell who is followed now.

        Args:
            detections: of one picture; boxes in pixels of the whole picture.
            at_ns: when the picture was taken, UTC ns.

        Returns:
            All tracks alive, by id. A track that was seen has the detection's own box, one carried over a gap
            the box that the motion model predicts.

        A picture that is not later than the one before starts everything anew, under new ids: the source's
        clock was set.
        """
        if self._latest_ns is not None and at_ns <= self._latest_ns:
            self._begin_anew()
        if self._latest_ns is None:
            self._first_ns = at_ns
        self._latest_ns = at_ns
        people = self._people(detections)
        # Time since the first picture: seconds since 1970 leave a float too few digits for the motion model.
        self._inner.update(
            sv.Detections(
                xyxy=people.boxes_xyxy_px.astype(np.float32), confidence=people.scores.astype(np.float32)
            ),
            timestamp=(at_ns - self._first_ns) / _NS_PER_S,
        )
        return self._tell(people)

    def _people(self, detections: Detections) -> Detections:
        wanted = [n for n, name in enumerate(detections.class_names) if name in self.person_classes]
        keep = np.isin(detections.class_ids, wanted) & (detections.scores >= self.parameters.least_score)
        return detections.where(keep)

    def _tell(self, people: Detections) -> list[Track]:
        alive = list(self._inner.tracks)
        states = [np.asarray(one.get_state_bbox(), np.float64).reshape(4) for one in alive]
        seen = [one.time_since_update == 0 for one in alive]
        boxes = _own_boxes(states, seen, people)
        known: dict[int, _Known] = {}
        tracks: list[Track] = []
        for one, state, observed, own in zip(alive, states, seen, boxes, strict=True):
            before = self._known.get(id(one)) or self._begin()
            score = float(people.scores[own]) if own is not None else before.score
            now = _Known(before.track_id, before.age_frames + 1, score)
            known[id(one)] = now
            left, top, right, bottom = people.boxes_xyxy_px[own] if own is not None else state
            box = (float(left), float(top), float(right), float(bottom))
            confirmed = one.tracker_id != -1
            tracks.append(Track(now.track_id, box, now.score, now.age_frames, confirmed, observed))
        # Holding the library's objects keeps their id() from being given to a new one while it stands in the
        # table.
        self._known, self._held = known, list(alive)
        return sorted(tracks, key=lambda track: track.track_id)

    def _begin(self) -> _Known:
        fresh = _Known(self._next_id, 0, 0.0)
        self._next_id += 1
        return fresh


def _own_boxes(states: list[NDArray[np.float64]], seen: list[bool], people: Detections) -> list[int | None]:
    """For every track that was seen the detection it was updated with: the one its state overlaps most."""
    if not states or not len(people):
        return [None] * len(states)
    overlap = pairwise_iou(np.array(states), people.boxes_xyxy_px.astype(np.float64))
    return [
        int(row.argmax()) if was_seen and row.max() > 0 else None
        for row, was_seen in zip(overlap, seen, strict=True)
    ]
