"""Which points lie together in a disc of given radius: the most first."""

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9  # relative; points on the rim are inside


def fullest_discs(
    points: NDArray[np.float64],
    radius: float,
    least: int,
    accept: Callable[[NDArray[np.intp]], bool] = lambda _: True,
) -> Iterator[NDArray[np.intp]]:
    """Yield disjoint sets of points that fit into a disc, the largest set first.

    The first set is the largest that exists; each further one is the largest among the points that are left.
    Of equal ones the set found from the earlier point comes first: the order of the points alone decides.

    A largest disc can always be moved until a point lies on its rim, so it is enough to turn a disc around
    each point and count what it covers (Chazelle and Lee 1986): O(n^2 log n) in all. Counts only fall as
    points are used up, so that few need to be taken again after the first round.

    Args:
        points: (N, 2) float64.
        radius: of the disc, in the unit of the points.
        least: smallest set of interest.
        accept: called with the indices (M,) of a set; False passes it over and leaves its points free.
    """
    distances = np.hypot(*(points[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
    near = distances <= 2 * radius * (1 + _ROUNDING)
    free = np.ones(len(points), np.bool_)
    # A point has at most as many companions as there are points within two radii.
    queue = [(-int(count), i) for i, count in enumerate(near.sum(axis=1)) if count >= least]
    heapq.heapify(queue)
    while queue:
        _, i = heapq.heappop(queue)
        if not free[i]:
            continue
        companions = np.flatnonzero(near[i] & free)
        members = companions[_fullest_around(points[i], points[companions], radius)]
        if len(members) < least:
            continue
        if queue and (-len(members), i) > queue[0]:
            heapq.heappush(queue, (-len(members), i))
        elif accept(members):
            free[members] = False
            yield members


def _fullest_around(
    point: NDArray[np.float64], others: NDArray[np.float64], radius: float
) -> NDArray[np.bool_]:
    """Return which of `others` (M, 2) lie in the fullest disc that has `point` on its rim: (M,) bool."""
    offsets = others - point
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    directions = np.arctan2(offsets[:, 1], offsets[:, 0])
    # The disc covers another point while its centre, seen from here, is turned at most this far from it.
    # One in the very same place is on the rim as well, whichever way the disc lies.
    reach = np.where(distances > 0, np.arccos(np.clip(distances / (2 * radius), 0.0, 1.0)), np.pi)
    starts, ends = directions - reach, directions + reach
    angles = np.concatenate([starts, starts + 2 * np.pi, ends, ends + 2 * np.pi])
    steps = np.repeat([1, -1], 2 * len(others))
    order = np.lexsort((-steps, angles))  # at equal angles a point comes in before another goes out
    angle = angles[order[np.argmax(np.cumsum(steps[order]))]]
    centre = point + radius * np.array([np.cos(angle), np.sin(angle)])
    gaps = others - centre
    return np.hypot(gaps[:, 0], gaps[:, 1]) <= radius * (1 + _ROUNDING)
