"""Makes training pictures.

Frames are shrunk until their people are as small as a drone sees them, packed side by side, then darkened,
blurred and compressed as night cameras do. Everything random comes from the generator that is passed in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from teachers import LETTERBOX_GREY, SIDE_PX

PERSON = 0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is drawn how often; heights are those of a person in pixels of the 416 square."""

    smallest_person_px: float = 12.0
    largest_person_px: float = 190.0
    # Part of the pictures whose people are drawn from the range below instead of the whole range.
    small_share: float = 0.55
    small_up_to_px: float = 45.0
    # Part of the pictures that is one frame about as large as the square: what the base is already good at.
    whole_share: float = 0.30
    # Part of the crops on a shelf that show nobody: without them, packed pictures teach that people are
    # everywhere.
    empty_share: float = 0.35
    whole_zoom: tuple[float, float] = (0.8, 1.3)
    dark_share: float = 0.35
    blur_share: float = 0.30
    compress_share: float = 0.40
    largest_enlargement: float = 2.0


@dataclasses.dataclass(frozen=True)
class Frame:
    """One labelled frame.

    Pixels uint8 (H, W, 3) BGR, labels (N, 5) class x0 y0 x1 y1, ignored (M, 4) x0 y0 x1 y1.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]
    ignored: npt.NDArray[np.float32]
    group: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """One 416 square to train on, with boxes in its pixels."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]
    ignored: npt.NDArray[np.float32]


# A label of which less than this is left after cropping is ignored; one smaller than this cannot be learned.
LEAST_VISIBLE = 0.5
LEAST_HEIGHT_PX = 7.0
LEAST_WIDTH_PX = 3.0
LEAST_SHELF_PX = 40
EMPTY_TRIES = 6
# Matching labels to cells is the slow part on a CPU; the labels over this number are ignored.
MOST_LABELS = 60


def compose(
    frames: Sequence[Frame], recipe: Recipe, rng: np.random.Generator, *, spoil: bool = True
) -> Picture:
    """Pack shrunk crops in shelves until the square is full; `spoil` adds night, blur and compression."""
    top = recipe.small_up_to_px if rng.random() < recipe.small_share else recipe.largest_person_px
    wanted = float(np.exp(rng.uniform(np.log(recipe.smallest_person_px), np.log(top))))
    packed = (
        _one_frame(frames, recipe, rng)
        if rng.random() < recipe.whole_share
        else _shelves(frames, wanted, recipe, rng)
    )
    picture = _mirror(packed) if rng.random() < 0.5 else packed
    return _spoil(picture, recipe, rng) if spoil else picture


def _one_frame(frames: Sequence[Frame], recipe: Recipe, rng: np.random.Generator) -> Picture:
    frame = frames[int(rng.integers(len(frames)))]
    part = _scaled(frame, SIDE_PX / max(frame.pixels.shape[:2]) * rng.uniform(*recipe.whole_zoom), rng)
    height, width = part.pixels.shape[:2]
    canvas = np.full((SIDE_PX, SIDE_PX, 3), LETTERBOX_GREY, np.uint8)
    labels: list[npt.NDArray[np.float32]] = []
    ignored: list[npt.NDArray[np.float32]] = []
    x, y = int(rng.integers(max(1, SIDE_PX - width + 1))), int(rng.integers(max(1, SIDE_PX - height + 1)))
    _place(canvas, part, x, y, labels, ignored)
    return _settle(canvas, labels, ignored)


def _shelves(frames: Sequence[Frame], wanted: float, recipe: Recipe, rng: np.random.Generator) -> Picture:
    canvas = np.full((SIDE_PX, SIDE_PX, 3), LETTERBOX_GREY, np.uint8)
    labels: list[npt.NDArray[np.float32]] = []
    ignored: list[npt.NDArray[np.float32]] = []
    # A first shelf and a first crop that start outside the square put the seams anywhere.
    y = -int(rng.integers(0, SIDE_PX // 4)) if rng.random() < 0.5 else 0
    while y < SIDE_PX:
        x = -int(rng.integers(0, SIDE_PX // 4)) if rng.random() < 0.5 else 0
        shelf = 0
        while x < SIDE_PX:
            frame = frames[int(rng.integers(len(frames)))]
            empty = _empty_part(frame, wanted, rng) if rng.random() < recipe.empty_share else None
            part = empty or _part(frame, wanted * float(np.exp(rng.normal(0, 0.2))), recipe, rng)
            height, width = part.pixels.shape[:2]
            shelf = shelf or height
            part = _crop(part, 0, 0, width, min(height, shelf))
            _place(canvas, part, x, y, labels, ignored)
            x += width
        y += shelf
    return _settle(canvas, labels, ignored)


def _part(frame: Frame, wanted_px: float, recipe: Recipe, rng: np.random.Generator) -> Picture:
    """The frame scaled so that a person has the height wanted, and cropped where it exceeds the square."""
    people = frame.labels[frame.labels[:, 0] == PERSON]
    heights = people[:, 4] - people[:, 2]
    reference = float(heights[int(rng.integers(len(heights)))]) if len(heights) else frame.pixels.shape[0] / 3
    scale = min(wanted_px / reference, recipe.largest_enlargement)
    # Never so small that a shelf has no height worth a picture.
    return _scaled(frame, max(scale, LEAST_SHELF_PX / min(frame.pixels.shape[:2])), rng)


def _empty_part(frame: Frame, wanted_px: float, rng: np.random.Generator) -> Picture | None:
    """A piece of the frame without anything labelled or unsure, two to six people high; None when none is."""
    height, width = frame.pixels.shape[:2]
    taken = np.concatenate([frame.labels[:, 1:], frame.ignored])
    for _ in range(EMPTY_TRIES):
        crop_w, crop_h = int(rng.uniform(0.15, 0.6) * width), int(rng.uniform(0.15, 0.6) * height)
        x0, y0 = int(rng.integers(0, width - crop_w)), int(rng.integers(0, height - crop_h))
        free = (
            (taken[:, 2] <= x0)
            | (taken[:, 0] >= x0 + crop_w)
            | (taken[:, 3] <= y0)
            | (taken[:, 1] >= y0 + crop_h)
        )
        if free.all():
            tall = max(LEAST_SHELF_PX, round(wanted_px * rng.uniform(2, 6)))
            scale = min(tall / crop_h, SIDE_PX / crop_w, 2.0)
            size = (max(1, round(crop_w * scale)), max(1, round(crop_h * scale)))
            kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            pixels = cv2.resize(frame.pixels[y0 : y0 + crop_h, x0 : x0 + crop_w], size, interpolation=kind)
            return Picture(pixels, np.zeros((0, 5), np.float32), np.zeros((0, 4), np.float32))
    return None


def _scaled(frame: Frame, scale: float, rng: np.random.Generator) -> Picture:
    people = frame.labels[frame.labels[:, 0] == PERSON]
    height, width = frame.pixels.shape[:2]
    kinds = (
        (cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR)
        if scale < 1
        else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    )
    # Shrink only what can be seen: crop first when the scaled frame exceeds the square.
    crop_w, crop_h = min(width, int(SIDE_PX / scale) + 1), min(height, int(SIDE_PX / scale) + 1)
    if crop_w < width or crop_h < height:
        if len(people):
            centre = people[int(rng.integers(len(people)))]
            cx, cy = (centre[1] + centre[3]) / 2, (centre[2] + centre[4]) / 2
            x0 = int(np.clip(cx - crop_w * rng.uniform(0.15, 0.85), 0, width - crop_w))
            y0 = int(np.clip(cy - crop_h * rng.uniform(0.15, 0.85), 0, height - crop_h))
        else:
            x0, y0 = int(rng.integers(0, width - crop_w + 1)), int(rng.integers(0, height - crop_h + 1))
    else:
        x0 = y0 = 0
    part = _crop(Picture(frame.pixels, frame.labels, frame.ignored), x0, y0, crop_w, crop_h)
    size = (max(1, round(crop_w * scale)), max(1, round(crop_h * scale)))
    pixels = cv2.resize(part.pixels, size, interpolation=kinds[int(rng.integers(len(kinds)))])
    labels, ignored = part.labels.copy(), part.ignored * scale
    labels[:, 1:] *= scale
    return Picture(pixels, labels, ignored)


def _crop(picture: Picture, x0: int, y0: int, width: int, height: int) -> Picture:
    """Cut; labels that lose too much become ignored regions."""
    labels, ignored = picture.labels.copy(), picture.ignored.copy()
    shift, low, high = (
        np.array([x0, y0, x0, y0], np.float32),
        0,
        np.array([width, height, width, height], np.float32),
    )
    full = np.prod(labels[:, 3:] - labels[:, 1:3], 1)
    labels[:, 1:] = np.clip(labels[:, 1:] - shift, low, high)
    ignored = np.clip(ignored - shift, low, high)
    left = np.prod(labels[:, 3:] - labels[:, 1:3], 1) / np.maximum(full, 1e-6)
    lost = (left < LEAST_VISIBLE) & (left > 0)
    ignored = np.concatenate([ignored, labels[lost, 1:]])
    ignored = ignored[(ignored[:, 2] > ignored[:, 0]) & (ignored[:, 3] > ignored[:, 1])]
    return Picture(picture.pixels[y0 : y0 + height, x0 : x0 + width], labels[left >= LEAST_VISIBLE], ignored)


def _place(
    canvas: npt.NDArray[np.uint8],
    part: Picture,
    x: int,
    y: int,
    labels: list[npt.NDArray[np.float32]],
    ignored: list[npt.NDArray[np.float32]],
) -> None:
    height, width = part.pixels.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, SIDE_PX), min(y + height, SIDE_PX)
    if x1 <= x0 or y1 <= y0:
        return
    seen = _crop(part, x0 - x, y0 - y, x1 - x0, y1 - y0)
    canvas[y0:y1, x0:x1] = seen.pixels
    shift = np.array([x0, y0, x0, y0], np.float32)
    moved = seen.labels.copy()
    moved[:, 1:] += shift
    labels.append(moved)
    ignored.append(seen.ignored + shift)


def _settle(
    canvas: npt.NDArray[np.uint8],
    labels: list[npt.NDArray[np.float32]],
    ignored: list[npt.NDArray[np.float32]],
) -> Picture:
    rows = np.concatenate([np.zeros((0, 5), np.float32), *labels]).astype(np.float32)
    blank = np.concatenate([np.zeros((0, 4), np.float32), *ignored]).astype(np.float32)
    tiny = (rows[:, 4] - rows[:, 2] < LEAST_HEIGHT_PX) | (rows[:, 3] - rows[:, 1] < LEAST_WIDTH_PX)
    tiny |= (~tiny).cumsum() > MOST_LABELS
    return Picture(canvas, rows[~tiny], np.concatenate([blank, rows[tiny, 1:]]))


def _mirror(picture: Picture) -> Picture:
    labels, ignored = picture.labels.copy(), picture.ignored.copy()
    labels[:, [1, 3]] = SIDE_PX - picture.labels[:, [3, 1]]
    ignored[:, [0, 2]] = SIDE_PX - picture.ignored[:, [2, 0]]
    return Picture(np.ascontiguousarray(picture.pixels[:, ::-1]), labels, ignored)


def darken(pixels: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Night: gamma, less light, a coloured lamp, at times a pool of light, then the noise of a high gain."""
    out = 255 * (pixels / 255) ** rng.uniform(1.2, 2.4) * rng.uniform(0.35, 0.9)
    cast = np.array([rng.uniform(0.55, 1.1), rng.uniform(0.8, 1.05), rng.uniform(0.9, 1.2)], np.float32)
    out = out * cast
    if rng.random() < 0.4:
        ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
        cx, cy, reach = rng.uniform(0, SIDE_PX), rng.uniform(0, SIDE_PX), rng.uniform(60, 250)
        pool = np.exp(-((xs - cx) ** 2 + (ys - cy) ** 2) / (2 * reach**2))[..., None]
        out = out * (0.5 + 1.2 * pool)
    grain = rng.normal(0, rng.uniform(1, 9), (SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    return np.asarray(out + grain * (0.5 + np.sqrt(np.maximum(out, 0) / 255)), np.float32)


def _spoil(picture: Picture, recipe: Recipe, rng: np.random.Generator) -> Picture:
    pixels = picture.pixels.astype(np.float32)
    if rng.random() < 0.5:
        pixels = (pixels - 128) * rng.uniform(0.75, 1.25) + 128 + rng.uniform(-25, 25)
        pixels = pixels * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    if rng.random() < recipe.blur_share:
        if rng.random() < 0.7:
            pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.3))
        else:
            length = int(rng.integers(2, 6))
            kernel = np.zeros((length, length), np.float32)
            cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
            pixels = cv2.filter2D(pixels, -1, kernel / kernel.sum())
    pixels = np.clip(pixels, 0, 255)
    if rng.random() < recipe.dark_share:
        pixels = darken(pixels, rng)
    out = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < recipe.compress_share:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR)
    return Picture(out, picture.labels, picture.ignored)
