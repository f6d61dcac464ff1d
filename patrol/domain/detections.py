"""What the detector and the tracker say about one picture, in pixels."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes found in one picture.

    Attributes:
        boxes_xyxy_px: (N, 4) float32, left, top, right, bottom in pixels of the whole picture.
        scores: (N,) float32 in 0..1.
        class_ids: (N,) int32, index into `class_names`.
        class_names: the model's classes in its order.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> "Detections":
        """The detections selected by a mask (N,) bool or by indices (M,) int."""
        return Detections(self.boxes_xyxy_px[keep], self.scores[keep], self.class_ids[keep], self.class_names)

    def of_classes(self, names: Collection[str]) -> "Detections":
        """The detections whose class is one of `names`."""
        wanted = [index for index, name in enumerate(self.class_names) if name in names]
        return self.where(np.isin(self.class_ids, wanted))


@dataclass(frozen=True)
class Track:
    """One person followed through the pictures, as of the latest one.

    Attributes:
        track_id: stable while the person is followed, never used again.
        box_xyxy_px: left, top, right, bottom in pixels of the whole picture.
        score: of the latest detection, 0..1.
        age_frames: pictures since the track began.
        confirmed: seen often enough to count as a person.
        observed: detected in this very picture (False: carried over a gap).
    """

    track_id: int
    box_xyxy_px: tuple[float, float, float, float]
    score: float
    age_frames: int
    confirmed: bool
    observed: bool

    @property
    def foot_px(self) -> tuple[float, float]:
        """Bottom centre of the box (x, y): where the person stands."""
        left, _, right, bottom = self.box_xyxy_px
        return (left + right) / 2.0, bottom
