"""The teachers: three small COCO detectors under Apache-2.0, each turned into boxes of our six classes.

Not one of them is AGPL: a model tuned on the output of an AGPL model would be hard to give away under
Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
# Places of our classes in the 80 classes of COCO, which is the order all three teachers give.
COCO_INDEX = np.array([0, 1, 2, 3, 5, 7])
SIDE_PX = 416
STRIDES = (8, 16, 32)
LETTERBOX_GREY = 114

# NanoDet's published configuration: channel mean and deviation (BGR), and the length of its distance
# distribution.
NANODET_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
NANODET_STD = np.array([57.375, 57.12, 58.395], np.float32)
NANODET_BINS = 8

# Below this a teacher's box is not even worth ignoring: set prediction gives 300 boxes for every picture.
FLOOR_SCORE = 0.20

Floats = npt.NDArray[np.float32]
Teacher = Callable[[npt.NDArray[np.uint8]], "tuple[Floats, Floats, npt.NDArray[np.int64]]"]


def letterbox(image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    """Scale an (H, W, 3) image into the top left of a 416 square; the second value is the scale used."""
    height, width = image.shape[:2]
    scale = min(SIDE_PX / height, SIDE_PX / width)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=kind)
    canvas = np.full((SIDE_PX, SIDE_PX, 3), LETTERBOX_GREY, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas, scale


def grid_cells(strides: tuple[int, ...] = STRIDES) -> tuple[Floats, Floats]:
    """Cell indices (A, 2) and strides (A, 1) of all cells of a 416 square, level by level."""
    cells, sizes = [], []
    for stride in strides:
        n = SIDE_PX // stride
        ys, xs = np.mgrid[:n, :n]
        cells.append(np.stack([xs, ys], -1).reshape(-1, 2))
        sizes.append(np.full((n * n, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def _session(path: Path, threads: int) -> ort.InferenceSession:
    if not path.is_file():
        raise SystemExit(
            f"{path}: no such teacher; give the folder that holds models/ and fight/ with --data"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _select(boxes: Floats, scores: Floats) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Best of our six classes per row of `scores` (N, 6), above the floor."""
    best = scores.argmax(1)
    top = scores[np.arange(len(scores)), best]
    keep = top >= FLOOR_SCORE
    return boxes[keep], top[keep], best[keep]


def yolox(path: Path, threads: int) -> Teacher:
    """YOLOX nano: BGR 0-255 letterboxed; centre and log size per cell, objectness times class."""
    session = _session(path, threads)
    cells, strides = grid_cells()

    def run(image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        canvas, scale = letterbox(image)
        raw = session.run(None, {"images": canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        centre, size = (raw[:, :2] + cells) * strides, np.exp(raw[:, 2:4]) * strides
        boxes = np.concatenate([centre - size / 2, centre + size / 2], 1) / scale
        return _select(boxes, raw[:, 4:5] * raw[:, 5 + COCO_INDEX])

    return run


def nanodet(path: Path, threads: int) -> Teacher:
    """NanoDet-m: BGR, normalised; per level class scores and distributions of four distances."""
    session = _session(path, threads)
    bins = np.arange(NANODET_BINS, dtype=np.float32)

    def run(image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        canvas, scale = letterbox(image)
        normal = (canvas.astype(np.float32) - NANODET_MEAN) / NANODET_STD
        names = [f"{kind}_pred_stride_{s}" for kind in ("cls", "dis") for s in STRIDES]
        out = session.run(names, {"input.1": normal.transpose(2, 0, 1)[None]})
        scores = np.concatenate([o[0] for o in out[:3]])
        logits = np.concatenate([o[0] for o in out[3:]]).reshape(-1, 4, NANODET_BINS)
        chance = np.exp(logits - logits.max(-1, keepdims=True))
        distance = (chance / chance.sum(-1, keepdims=True)) @ bins
        cells, strides = grid_cells()
        # This export counts cells from their corner for stride-aligned inputs and puts the anchor in the
        # middle.
        anchor, distance = (cells + 0.5) * strides, distance * strides
        boxes = np.concatenate([anchor - distance[:, :2], anchor + distance[:, 2:]], 1) / scale
        return _select(boxes.astype(np.float32), scores[:, COCO_INDEX])

    return run


def deim(path: Path, threads: int) -> Teacher:
    """DEIMv2 femto: RGB 0-1, set prediction of 300 boxes with labels and scores."""
    session = _session(path, threads)

    def run(image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        canvas, scale = letterbox(image)
        feed = canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        labels, boxes, scores = session.run(
            ["labels", "boxes", "scores"],
            {"images": feed, "orig_target_sizes": np.array([[SIDE_PX, SIDE_PX]], np.int64)},
        )
        ours = labels[0][:, None] == COCO_INDEX[None]
        return _select(boxes[0] / scale, np.where(ours, scores[0][:, None], 0).astype(np.float32))

    return run


def load(models: Path, threads: int) -> dict[str, Teacher]:
    """All teachers by name, from the folder that holds their ONNX files."""
    return {
        "yolox_nano": yolox(models / "yolox_nano_416_coco.onnx", threads),
        "deimv2_femto": deim(models / "deimv2_femto_416_coco.onnx", threads),
        "nanodet_m": nanodet(models / "nanodet_m_416_coco.onnx", threads),
    }
