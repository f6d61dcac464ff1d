"""How good a detector is: AP50 with its spread, recall by height, and how far the feet are off.

AP50 is COCO's: precision, made monotone, read at 101 levels of recall, at IoU 0.5, over all pictures at once.
Boxes that are marked as ignored count neither as found nor as missed, and detections on them not as wrong.
"""

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
from numpy.typing import NDArray

from patrol.domain.detections import Detections
from patrol.domain.errors import NightPatrolError
from patrol.vision.tiles import pairwise_intersection, pairwise_iou

MATCH_IOU = 0.5
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
"""COCO's (pycocotools, Params.recThrs)."""

OPERATING_SCORE = 0.3
"""Recall and feet are told for detections from this score on, the detector's default."""

HEIGHT_EDGES_PX = (0, 20, 30, 40, 60, 100)
"""Bins of recall by the height of a person in the picture; the last one is open."""

PETS_SCALE = 480 / 768
"""The PETS boxes are in pixels of the 768x576 original, the video is 480x360."""

VISDRONE_HEAVILY_OCCLUDED = 2
"""Of the occlusion levels 0, 1, 2 the last: more than half of the person hidden. Such boxes are ignored."""

BOOTSTRAP_ROUNDS = 1000
SPREAD_PERCENT = (5.0, 95.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about one picture: boxes (M, 4) xyxy in its pixels; which are ignored (M,) bool."""

    boxes_xyxy_px: Floats
    ignored: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judged:
    """One picture's detections, judged, without the ignored ones.

    Attributes:
        scores: (N,) of the detections.
        right: (N,) bool, which of them found somebody.
        people: how many there were to be found.
        heights_px: (people,) their heights.
        found_heights_px: (K,) heights of those found from the operating score on.
        foot_errors_px: (K,) how far the bottom centre of their detection is off.
    """

    scores: Floats
    right: NDArray[np.bool_]
    people: int
    heights_px: Floats
    found_heights_px: Floats
    foot_errors_px: Floats


@dataclass(frozen=True)
class Spread:
    """A figure with the 5th and 95th percentile of its bootstrap over pictures."""

    value: float
    low: float
    high: float


def judge(found: Detections, person_ids: Sequence[int], truth: Truth) -> Judged:
    """Match the people of one picture, best detection first, each with the free person it overlaps most.

    A detection that matches nobody, but lies by half in an ignored box, is left out.
    """
    people = found.where(np.isin(found.class_ids, person_ids))
    people = people.where(np.argsort(-people.scores, kind="stable"))
    boxes = people.boxes_xyxy_px.astype(np.float64)
    wanted, blank = truth.boxes_xyxy_px[~truth.ignored], truth.boxes_xyxy_px[truth.ignored]
    overlap = pairwise_iou(boxes, wanted)
    partner = _pair(overlap)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.finfo(np.float64).tiny)
    excused = (pairwise_intersection(boxes, blank) >= MATCH_IOU * area[:, None]).any(axis=1)
    counted = (partner >= 0) | ~excused
    hit = (partner >= 0) & (people.scores >= OPERATING_SCORE)
    mine, theirs = boxes[hit], wanted[partner[hit]]
    return Judged(
        scores=people.scores[counted].astype(np.float64),
        right=partner[counted] >= 0,
        people=len(wanted),
        heights_px=wanted[:, 3] - wanted[:, 1],
        found_heights_px=theirs[:, 3] - theirs[:, 1],
        foot_errors_px=np.linalg.norm(_feet(mine) - _feet(theirs), axis=1),
    )


def _pair(overlap: NDArray[np.floating]) -> NDArray[np.intp]:
    """For every detection (row, best first) the index of its person, or -1."""
    partner = np.full(len(overlap), -1, np.intp)
    if overlap.shape[1] == 0:
        return partner
    free = np.ones(overlap.shape[1], np.bool_)
    for row in np.flatnonzero(overlap.max(axis=1) >= MATCH_IOU):
        best = int(np.argmax(overlap[row] * free))
        if free[best] and overlap[row, best] >= MATCH_IOU:
            partner[row], free[best] = best, False
    return partner


def _feet(boxes: Floats) -> Floats:
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)


def average_precision(scores: Floats, right: NDArray[np.bool_], people: int) -> float:
    """COCO's 101-point average precision; 0 when there is nobody to find.

    Args:
        scores: (N,) of all counted detections of all pictures.
        right: (N,) which of them found somebody.
        people: how many there were to be found.
    """
    if people == 0 or len(scores) == 0:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall, precision = hits / people, hits / np.arange(1, len(order) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, RECALL_LEVELS, side="left")].mean())


def ap50(pictures: Sequence[Judged]) -> float:
    """AP50 over pictures."""
    scores = np.concatenate([p.scores for p in pictures])
    right = np.concatenate([p.right for p in pictures])
    return average_precision(scores, right, sum(p.people for p in pictures))


def bootstrap(
    count: int,
    figure: Callable[[Sequence[int]], float],
    rng: np.random.Generator,
    rounds: int = BOOTSTRAP_ROUNDS,
) -> Spread:
    """A figure of pictures 0..count-1, and its spread when as many pictures are drawn with repetition.

    Neighbouring frames of one video are alike, so for a video the true spread is larger than this one.
    """
    draws = [figure([int(n) for n in rng.integers(count, size=count)]) for _ in range(rounds)]
    low, high = np.percentile(draws, SPREAD_PERCENT)
    return Spread(figure(range(count)), float(low), float(high))


def recall_by_height(pictures: Sequence[Judged]) -> dict[str, tuple[float, int]]:
    """For each bin of height that is not empty: the part found at the operating score, and its people."""
    everyone = np.concatenate([p.heights_px for p in pictures])
    found = np.concatenate([p.found_heights_px for p in pictures])
    edges = (*HEIGHT_EDGES_PX, float("inf"))
    out: dict[str, tuple[float, int]] = {}
    for low, high in itertools.pairwise(edges):
        total = int(((everyone >= low) & (everyone < high)).sum())
        if total:
            name = f"{low:.0f}-{high:.0f} px" if np.isfinite(high) else f"{low:.0f} px and more"
            out[name] = (float(((found >= low) & (found < high)).sum() / total), total)
    return out


def foot_error_px(pictures: Sequence[Judged]) -> float:
    """Median distance in px of the bottom centres of found people from the truth; nan when none was found."""
    errors = np.concatenate([p.foot_errors_px for p in pictures])
    return float(np.median(errors)) if len(errors) else float("nan")


def foot_sigma_share(pictures: Sequence[Judged]) -> float:
    """One-sigma error of a foot in each direction, as a share of its person's height; nan without any.

    From the median of the distances, as if both directions erred alike and normally (Rayleigh's
    distribution): so a few boxes of half a person do not decide.
    """
    errors = np.concatenate([p.foot_errors_px / p.found_heights_px for p in pictures])
    return float(np.median(errors) / np.sqrt(2 * np.log(2))) if len(errors) else float("nan")


def false_alarms_per_picture(pictures: Sequence[Judged]) -> float:
    """Wrong detections from the operating score on, per picture."""
    return float(np.mean([(~p.right & (p.scores >= OPERATING_SCORE)).sum() for p in pictures]))


def read_pets(path: Path, scale: float = PETS_SCALE) -> dict[int, Truth]:
    """Boxes of a PETS XML file (centre and size), by frame number, scaled to the video's pixels.

    Raises:
        NightPatrolError: the file is missing or is not such a file.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314  a data file that the user names
        frames = {
            int(frame.attrib["number"]): [
                [float(box.attrib[key]) for key in ("xc", "yc", "w", "h")] for box in frame.iter("box")
            ]
            for frame in root.iter("frame")
        }
    except (OSError, ET.ParseError, KeyError, ValueError) as fault:
        raise NightPatrolError(
            f"{path}: cannot be read as PETS boxes ({fault!r}); give the original XML file"
        ) from fault
    out = {}
    for number, rows in frames.items():
        table = np.array(rows, np.float64).reshape(-1, 4) * scale
        half = table[:, 2:] / 2
        boxes = np.concatenate([table[:, :2] - half, table[:, :2] + half], axis=1)
        out[number] = Truth(boxes, np.zeros(len(boxes), np.bool_))
    return out


def read_visdrone(path: Path) -> dict[str, Truth]:
    """People of the VisDrone table by file name; sitting ones count, heavily hidden ones are ignored.

    Raises:
        NightPatrolError: the file is missing or lacks a column.
    """
    rows: dict[str, list[tuple[list[float], bool]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                box = [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
                hidden = int(row["occlusion"]) >= VISDRONE_HEAVILY_OCCLUDED
                rows.setdefault(row["image"], []).append((box, hidden))
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise NightPatrolError(
            f"{path}: cannot be read as a table of people ({fault!r}); "
            "its columns are image, xmin, ymin, xmax, ymax, category, occlusion"
        ) from fault
    return {
        name: Truth(np.array([box for box, _ in found]), np.array([hidden for _, hidden in found]))
        for name, found in rows.items()
    }


def video_pictures(
    path: Path, truth: Mapping[int, Truth], step: int
) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Every `step`-th frame of a video with what is known about it; frames that show nobody count too.

    Raises:
        NightPatrolError: the video cannot be read.
    """
    video = cv2.VideoCapture(str(path))
    nobody = Truth(np.zeros((0, 4)), np.zeros(0, np.bool_))
    number = 0
    while True:
        good, frame = video.read()
        if not good:
            break
        if number % step == 0:
            yield np.asarray(frame, np.uint8), truth.get(number, nobody)
        number += 1
    video.release()
    if number == 0:
        raise NightPatrolError(f"{path}: no frame can be read from it; fetch the video again")


def folder_pictures(folder: Path, truth: Mapping[str, Truth]) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """The pictures of a folder that the truth names.

    Raises:
        NightPatrolError: one of them is missing or broken.
    """
    for name in sorted(truth):
        picture = cv2.imread(str(folder / name), cv2.IMREAD_COLOR)
        if picture is None:
            raise NightPatrolError(f"{folder / name}: cannot be read as a picture; fetch it again")
        yield np.asarray(picture, np.uint8), truth[name]
