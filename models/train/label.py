"""Makes the training labels: frames of the fight clips, boxes on which several teachers agree.

Each teacher looks at a frame whole, mirrored, and in enlarged overlapping tiles. What at least two teachers
found (or one found with great certainty) becomes a label; what is left over is neither person nor background
and is ignored in training.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import teachers

FRAMES_PER_CLIP = 4
# Longer frames are shrunk to this: the clips are compressed so hard that more pixels hold nothing more.
LONGEST_SIDE_PX = 1280
# A tile's side as a part of the frame's height, and how far tiles overlap at least.
TILE_OF_HEIGHT = 0.6
TILE_OVERLAP = 0.25
# A box this near to a tile's inner border is taken for cut off.
CUT_MARGIN_PX = 3
SAME_OBJECT_IOU = 0.55
SAME_TEACHER_IOU = 0.60
# Between labels stricter than between boxes of one teacher: a double costs more than a hidden neighbour, who
# is ignored.
SAME_LABEL_IOU = 0.50
# A box this much inside a better one of its class is a part of it (a torso of a person).
PART_INSIDE = 0.80
AGREED_SCORE = 0.30
LONE_SCORE = 0.60
JPEG_QUALITY = 95

Floats = npt.NDArray[np.float32]
VEHICLES = (2, 4, 5)


def iou_matrix(a: Floats, b: Floats) -> Floats:
    """IoU of every box of `a` (N, 4) with every box of `b` (M, 4), as (N, M)."""
    inner = intersections(a, b)
    return inner / np.maximum(areas(a)[:, None] + areas(b)[None] - inner, 1e-6)


def intersections(a: Floats, b: Floats) -> Floats:
    """Shared area of every pair of boxes, as (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), -1)


def areas(boxes: Floats) -> Floats:
    """Areas of boxes (N, 4) as (N,)."""
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), -1)


def views(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Tiles (x0, y0, x1, y1) that cover the frame with overlap, each about square."""
    side = round(height * TILE_OF_HEIGHT)
    xs, ys = (_starts(length, side) for length in (width, height))
    return [(x, y, x + side, y + side) for y in ys for x in xs]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (side * (1 - TILE_OVERLAP)))) + 1
    return [round(v) for v in np.linspace(0, length - side, count)]


def look(
    teacher: teachers.Teacher, frame: npt.NDArray[np.uint8]
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Boxes of one teacher from all views of one frame, in frame pixels, doubles removed."""
    height, width = frame.shape[:2]
    found = [teacher(frame)]
    boxes, scores, classes = teacher(np.ascontiguousarray(frame[:, ::-1]))
    found.append(
        (np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1), scores, classes)
    )
    for x0, y0, x1, y1 in views(width, height):
        boxes, scores, classes = teacher(frame[y0:y1, x0:x1])
        boxes = boxes + np.array([x0, y0, x0, y0], np.float32)
        inner = np.array([x0 > 0, y0 > 0, x1 < width, y1 < height])
        cut = np.abs(boxes - np.array([x0, y0, x1, y1])) < CUT_MARGIN_PX
        whole = ~(cut & inner).any(1)
        found.append((boxes[whole], scores[whole], classes[whole]))
    boxes, scores, classes = (np.concatenate(part) for part in zip(*found, strict=True))
    boxes = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
    keep = suppress(boxes, scores, classes)
    return boxes[keep], scores[keep], classes[keep]


def suppress(
    boxes: Floats, scores: Floats, classes: npt.NDArray[np.int64], same_iou: float = SAME_TEACHER_IOU
) -> list[int]:
    """Indices that stay: the best box of every object, without parts of a better box of the same class."""
    order = scores.argsort()[::-1]
    shared = intersections(boxes, boxes)
    size = np.maximum(areas(boxes), 1e-6)
    union = size[:, None] + size[None] - shared
    keep: list[int] = []
    for i in order:
        rivals = [j for j in keep if classes[j] == classes[i]]
        same = any(shared[i, j] / union[i, j] > same_iou for j in rivals)
        part = any(shared[i, j] / size[i] > PART_INSIDE for j in rivals if size[j] < 6 * size[i])
        if not (same or part):
            keep.append(int(i))
    return keep


def agree(
    found: list[tuple[Floats, Floats, npt.NDArray[np.int64]]],
) -> tuple[list[list[float]], list[list[float]]]:
    """Labels [class, x0, y0, x1, y1] and ignored regions [x0, y0, x1, y1, score] from what teachers found."""
    boxes, scores, classes = (np.concatenate(part) for part in zip(*found, strict=True))
    teacher = np.concatenate([np.full(len(f[1]), n) for n, f in enumerate(found)])
    ious = iou_matrix(boxes, boxes)
    kind = np.where(np.isin(classes, VEHICLES), VEHICLES[0], classes)
    free = np.ones(len(boxes), bool)
    labels: list[tuple[float, list[float]]] = []
    ignored: list[list[float]] = []
    for i in scores.argsort()[::-1]:
        if not free[i]:
            continue
        group = [int(i)]
        for t in set(teacher.tolist()) - {int(teacher[i])}:
            rivals = np.flatnonzero(free & (teacher == t) & (kind == kind[i]) & (ious[i] > SAME_OBJECT_IOU))
            if len(rivals):
                group.append(int(rivals[ious[i][rivals].argmax()]))
        free[group] = False
        box = [round(float(v), 1) for v in np.average(boxes[group], axis=0, weights=scores[group])]
        mean = float(scores[group].mean())
        # Alone, a teacher is believed about people only: insides of rooms and buses look like vehicles.
        lone = classes[i] == 0 and float(scores[i]) >= LONE_SCORE
        if (len(group) > 1 and mean >= AGREED_SCORE) or lone:
            labels.append((float(scores[i]), [int(classes[i]), *box]))
        else:
            ignored.append([*box, round(float(scores[i]), 3)])
    return _without_doubles(labels, ignored), ignored


def _without_doubles(
    labels: list[tuple[float, list[float]]], ignored: list[list[float]]
) -> list[list[float]]:
    """Drop labels that are part of a better one; what is dropped is ignored, not background."""
    if not labels:
        return []
    scores = np.array([s for s, _ in labels], np.float32)
    rows = np.array([row for _, row in labels], np.float32)
    kinds = np.where(np.isin(rows[:, 0], VEHICLES), VEHICLES[0], rows[:, 0]).astype(int)
    keep = set(suppress(rows[:, 1:], scores, kinds, SAME_LABEL_IOU))
    ignored += [[*row[1:], round(score, 3)] for n, (score, row) in enumerate(labels) if n not in keep]
    return [row for n, (_, row) in enumerate(labels) if n in keep]


def frames_of(path: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    """`count` frames spread evenly over a clip, shrunk to the longest side that is worth keeping."""
    clip = cv2.VideoCapture(str(path))
    read = []
    while True:
        good, frame = clip.read()
        if not good:
            break
        read.append(frame)
    if not read:
        raise SystemExit(f"{path}: no frame can be read from it; fetch the clip again")
    picks = {int((n + 0.5) * len(read) / count) for n in range(count)}
    chosen = [read[n] for n in sorted(picks)]
    scale = min(1.0, LONGEST_SIDE_PX / max(chosen[0].shape[:2]))
    return [
        cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else f
        for f in chosen
    ]


def main() -> None:
    """Label the frames of all clips."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python models/train/label.py --data ../shared/data --work /tmp/night-patrol-train",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("NIGHT_PATROL_TEST_DATA", "../shared/data")),
        help="folder with models/ and fight/ (default: $NIGHT_PATROL_TEST_DATA, else ../shared/data)",
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for frames and labels (about 300 MB)"
    )
    parser.add_argument("--frames", type=int, default=FRAMES_PER_CLIP, help="frames a clip")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    known = teachers.load(args.data / "models", args.threads)
    with (args.data / "fight" / "clips.csv").open(encoding="utf-8") as table:
        clips = list(csv.DictReader(table))
    pictures = args.work / "frames"
    pictures.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (args.work / "labels.jsonl").open("w", encoding="utf-8") as out:
        for done, clip in enumerate(clips, 1):
            for n, frame in enumerate(frames_of(args.data / "fight" / clip["file"], args.frames)):
                labels, ignored = agree([look(teacher, frame) for teacher in known.values()])
                name = f"{clip['clip']}_{n}.jpg"
                cv2.imwrite(str(pictures / name), frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                row = {
                    "file": name,
                    "group": clip["group"],
                    "fold": int(clip["fold"]),
                    "labels": labels,
                    "ignored": ignored,
                }
                out.write(json.dumps(row) + "\n")
            took = time.monotonic() - started
            print(
                f"\r{done}/{len(clips)} clips, {took:.0f} s, {took / done * (len(clips) - done):.0f} s to go",
                end="",
                flush=True,
            )
    print(f"\nlabels of {len(clips)} clips are in {args.work / 'labels.jsonl'}")


if __name__ == "__main__":
    main()
