"""How a picture moved since the one before it: corners of the scene, found again.

Corners are followed by the pyramidal method of Lucas and Kanade (Bouguet 2001) there and back; one that does
not return was not found again (Kalal, Mikolajczyk and Matas 2010, "Forward-backward error"). Of the rest only
those count that move as the picture of one plane does, so people who walk and letters that a camera writes
over its picture drop out, and a cut, where nothing moves together, gives nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_MOST_WIDTH_PX = 640  # wider pictures are reduced: finer ones cost time and tell no more
# Corners are taken evenly from all over the picture: by strength alone people and lamps would have them all.
_TILE_PX = 24
_DISTRICT_TILES = 4  # along each side
_MOST_CORNERS = 80
# Of cv2.cornerMinEigenVal: gradients of about half a grey value a pixel in both directions. Weaker texture is
# lost in the coding of H.264, which copies it from picture to picture while the scene moves on.
_LEAST_CORNER = 2e-5
_CORNER_WINDOW_PX = 3
_WINDOW_PX = (21, 21)
_LEVELS = 4  # 60 degrees a second move a picture of 36 degrees by a third of its width in 0.2 s
_LEVELS_BACK = 1  # the way back begins at its end
_ITERATIONS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.03)
_RETURN_TOLERANCE_PX = 0.7
_PLANE_TOLERANCE_PX = 2.0
_RANSAC_ROUNDS = 300
_LEAST_POINTS = 10
_LEAST_SHARE = 0.5
# Of the nine that thirds of the sides make: letters in one corner of the picture are no scene.
_LEAST_CELLS = 3


@dataclass(frozen=True, eq=False)
class PictureMotion:
    """The same points of the scene in two pictures: (N, 2) float64 pixels in each, N at least 10."""

    before_px: NDArray[np.float64]
    after_px: NDArray[np.float64]


class MotionMeter:
    """Compares each picture with the one before it."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def update(self, pixels: NDArray[np.uint8]) -> PictureMotion | None:
        """Return how the scene moved since the last call.

        None for the first picture, one of another size, a cut, and one with too little to hold on to.

        Args:
            pixels: (H, W, 3) uint8 BGR.
        """
        before, after = self._before, _reduced(pixels)
        self._before = after
        if before is None or before.shape != after.shape:
            return None
        matches = _moved_together(*_followed(before, after, _corners(before)), after.shape)
        if matches is None:
            return None
        scale = np.array([pixels.shape[1] / after.shape[1], pixels.shape[0] / after.shape[0]])
        # OpenCV counts from the centre of the first pixel, this project from its corner.
        return PictureMotion(*((points.astype(np.float64) + 0.5) * scale for points in matches))


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    height_px, width_px = grey.shape
    times = -(-width_px // _MOST_WIDTH_PX)  # a whole number: averages of whole pixels are quick
    if times > 1:
        size_px = (width_px // times, max(1, height_px // times))
        grey = cv2.resize(grey, size_px, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _corners(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The best corners (N, 1, 2), one of a tile, as evenly from all districts of the picture as can be.

    They are sought in half the size, which is enough.
    """
    half = cv2.pyrDown(grey)
    side = _TILE_PX // 2
    rows, columns = half.shape[0] // side, half.shape[1] // side
    strength = cv2.cornerMinEigenVal(half, _CORNER_WINDOW_PX)[: rows * side, : columns * side]
    tiles = strength.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)
    best = tiles.argmax(axis=1)
    peak = tiles.max(axis=1, initial=0.0)
    tile = np.flatnonzero(peak > _LEAST_CORNER)
    row, column = tile // columns, tile % columns
    district = row // _DISTRICT_TILES * columns + column // _DISTRICT_TILES
    strongest = np.lexsort([-peak[tile], district])
    first_of_district = np.searchsorted(district[strongest], district[strongest])
    place_in_district = np.arange(len(tile)) - first_of_district
    chosen = strongest[np.argsort(place_in_district, kind="stable")][:_MOST_CORNERS]
    x, y = column * side + best[tile] % side, row * side + best[tile] // side
    return np.asarray(2 * np.stack([x, y], axis=1)[chosen, None] + 0.5, np.float32)


def _followed(
    before: NDArray[np.uint8], after: NDArray[np.uint8], corners: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The corners (N, 2) that were found again, in both pictures."""
    if len(corners) < _LEAST_POINTS:
        nothing = np.empty((0, 2), np.float32)
        return nothing, nothing
    found, there, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        corners,
        np.empty_like(corners),
        winSize=_WINDOW_PX,
        maxLevel=_LEVELS,
        criteria=_ITERATIONS,
    )
    returned, back, _ = cv2.calcOpticalFlowPyrLK(
        after,
        before,
        found,
        corners.copy(),
        winSize=_WINDOW_PX,
        maxLevel=_LEVELS_BACK,
        criteria=_ITERATIONS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    sound = (there[:, 0] == 1) & (back[:, 0] == 1)
    sound &= np.abs(returned - corners).max(axis=(1, 2)) < _RETURN_TOLERANCE_PX
    return corners[sound, 0], np.asarray(found[sound, 0], np.float32)


def _moved_together(
    before: NDArray[np.float32], after: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The points that move as a plane does, if they are most and spread over the picture."""
    if len(before) < _LEAST_POINTS:
        return None
    _, inliers = cv2.findHomography(before, after, cv2.RANSAC, _PLANE_TOLERANCE_PX, maxIters=_RANSAC_ROUNDS)
    together = inliers[:, 0] == 1
    if together.sum() < max(_LEAST_POINTS, _LEAST_SHARE * len(before)):
        return None
    height_px, width_px = shape
    cells = (before[together] * (3 / width_px, 3 / height_px)).astype(int)
    if len(np.unique(cells, axis=0)) < _LEAST_CELLS:
        return None
    return before[together], after[together]
