"""Cuts a picture into tiles in which small people are large enough, and makes one list of what they found."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patrol.vision.registry import ModelError

DEFAULT_OVERLAP = 0.25
"""Part of a tile shared with the next: a person up to a quarter of a tile high is whole in one of the two."""

CUT_MARGIN_PX = 4.0
"""A box that ends nearer than this to an inner border is taken for cut: stride 8, enlarged 1.3 to 2 times."""

PART_OF_OTHER = 0.5
"""A cut box goes when this much of it lies in a box of the same class from another tile."""

WELL_FOUND_PX = 40.0
"""From this height in the input on, four people out of five are found (card of night-patrol-nano)."""

SMALLEST_TILE_PX = 128
"""Smaller tiles enlarge a camera's blur, they show no more."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture, in its pixels."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int


def plan_tiles(
    width_px: int, height_px: int, tile_px: int | None, overlap: float = DEFAULT_OVERLAP
) -> tuple[Tile, ...]:
    """Tiles that together cover the picture, row by row.

    Args:
        width_px: of the picture.
        height_px: of the picture.
        tile_px: side of the square tiles; None, or a side not smaller than the picture, gives the whole
            picture.
        overlap: least part of a tile that it shares with the next one, 0 up to but not 1.

    Raises:
        ModelError: a size is not positive, or the overlap is out of range.
    """
    if width_px <= 0 or height_px <= 0 or (tile_px is not None and tile_px <= 0):
        raise ModelError(
            f"tiles of {tile_px} px for a picture of {width_px}x{height_px} px: sizes must be positive"
        )
    if not 0 <= overlap < 1:
        raise ModelError(f"tile overlap is {overlap}; give a part from 0 up to, but not, 1")
    if tile_px is None or (tile_px >= width_px and tile_px >= height_px):
        return (Tile(0, 0, width_px, height_px),)
    xs, ys = _starts(width_px, tile_px, overlap), _starts(height_px, tile_px, overlap)
    side_x, side_y = min(tile_px, width_px), min(tile_px, height_px)
    return tuple(Tile(x, y, side_x, side_y) for y in ys for x in xs)


def tile_for_people(person_height_px: float, input_px: int) -> int:
    """Side in px of the tiles in which people of this height are found well.

    Args:
        person_height_px: of the smallest people that matter, in the picture.
        input_px: shorter side of the network's input.

    Raises:
        ModelError: a size is not positive.
    """
    if person_height_px <= 0 or input_px <= 0:
        raise ModelError(
            f"people of {person_height_px} px for an input of {input_px} px: sizes must be positive"
        )
    return max(SMALLEST_TILE_PX, math.floor(input_px * person_height_px / WELL_FOUND_PX))


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if side >= length:
        return [0]
    step = max(1, math.floor(side * (1 - overlap)))
    count = math.ceil((length - side) / step) + 1
    return [round(n * (length - side) / (count - 1)) for n in range(count)]


def cut_by_border(
    boxes_xyxy_px: NDArray[np.float32],
    tile_ids: NDArray[np.intp],
    tiles: tuple[Tile, ...],
    width_px: int,
    height_px: int,
) -> NDArray[np.bool_]:
    """Which boxes (N, 4) end at an inner border of their tile, and so may be a part of an object: (N,)."""
    edges = np.array([(t.x_px, t.y_px, t.x_px + t.width_px, t.y_px + t.height_px) for t in tiles], np.float32)
    inner = edges != np.array([0, 0, width_px, height_px], np.float32)
    near = np.abs(boxes_xyxy_px - edges[tile_ids]) < CUT_MARGIN_PX
    # A box may reach over the border of its tile; that is as much a sign of being cut as ending at it.
    beyond = np.concatenate(
        [boxes_xyxy_px[:, :2] < edges[tile_ids][:, :2], boxes_xyxy_px[:, 2:] > edges[tile_ids][:, 2:]], axis=1
    )
    return np.asarray(((near | beyond) & inner[tile_ids]).any(axis=1))


def merge(
    boxes_xyxy_px: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    tile_ids: NDArray[np.intp],
    cut: NDArray[np.bool_],
    nms_iou: float,
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression over all tiles at once; gives the indices that stay, best first.

    Whole boxes are compared by IoU alone, so that two people side by side in the overlap both stay. Only a
    box that a tile border cut is also dropped for lying inside another tile's box: that is the same person,
    seen whole there.

    Args:
        boxes_xyxy_px: (N, 4) in pixels of the whole picture.
        scores: (N,).
        class_ids: (N,); boxes of different classes never suppress each other.
        tile_ids: (N,) the tile that each box comes from.
        cut: (N,) from `cut_by_border`.
        nms_iou: two boxes with a larger IoU show the same object.
    """
    # Whole boxes come before cut ones whatever their scores: half a person is often found with more
    # certainty.
    order = np.lexsort((-scores, cut))
    boxes, classes, tiles, part = boxes_xyxy_px[order], class_ids[order], tile_ids[order], cut[order]
    shared = pairwise_intersection(boxes, boxes)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.finfo(np.float32).tiny)
    same = shared > nms_iou * (area[:, None] + area[None, :] - shared)
    inside = (shared > PART_OF_OTHER * area[None, :]) & part[None, :] & (tiles[:, None] != tiles[None, :])
    drops = np.triu((same | inside) & (classes[:, None] == classes[None, :]), k=1)
    keep = np.ones(len(order), np.bool_)
    # Greedy suppression as a fixed point: each round settles at least one more box of the ranking, most
    # settle at once.
    while True:
        settled = ~(drops & keep[:, None]).any(axis=0)
        if np.array_equal(settled, keep):
            break
        keep = settled
    kept = order[keep]
    return np.asarray(kept[np.argsort(-scores[kept], kind="stable")], np.intp)


def pairwise_intersection(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Shared area of every box of `a` (N, 4) with every box of `b` (M, 4), xyxy: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=-1))


def pairwise_iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """IoU of every box of `a` (N, 4) with every box of `b` (M, 4), xyxy: (N, M) in 0..1."""
    shared = pairwise_intersection(a, b)
    area_a, area_b = (np.prod(np.maximum(x[:, 2:] - x[:, :2], 0), axis=1) for x in (a, b))
    return np.asarray(
        shared / np.maximum(area_a[:, None] + area_b[None, :] - shared, np.finfo(np.float32).tiny)
    )
