"""Runs, the pieces of a route, and the order and direction in which they are flown."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patrol.plan.routes.airspace import Airspace, Ways, Xy

_MAX_PASSES = 500
_BETTER_M = 0.01


@dataclass(frozen=True)
class Look:
    """Where the gimbal shall look: pitch up, and pan to the right of the nose or to a true bearing."""

    pitch_deg: float
    pan_deg: float = 0.0
    yaw_deg: float | None = None


@dataclass(frozen=True)
class Stop:
    """A place to fly to, in metres of the market's frame and above the ground.

    `look` is taken up on the way there and kept until another one.
    """

    east_m: float
    north_m: float
    height_agl_m: float
    hold_s: float = 0.0
    look: Look | None = None

    @property
    def xy(self) -> Xy:
        """Metres east and north."""
        return self.east_m, self.north_m


_Tour = NDArray[np.int64]

Run = tuple[Stop, ...]
"""Stops flown one after the other in a straight line each."""


def order(runs: Sequence[Sequence[Run]], home: Xy, height_m: float, airspace: Airspace) -> list[Stop]:
    """Join runs into one flight from home that ends where the way home begins.

    Each run is given in all ways in which it may be flown (one, or two directions). The tour is built by
    nearest neighbour and improved until neither of two changes makes it shorter: a stretch is flown the other
    way round (2-opt, Croes 1958), a run comes at another place (Or 1976). What is counted are metres over
    ground between and within runs, home included at both ends.
    """
    ways_of_runs = [tuple(ways) for ways in runs]
    flat: list[Run] = [run for ways in ways_of_runs for run in ways]
    if not flat:
        return []
    points = [home, *(end for run in flat for end in (run[0].xy, run[-1].xy))]
    ways = Ways(airspace, points)
    starts, ends = np.arange(1, len(points), 2), np.arange(2, len(points), 2)
    # cost[i, j]: from the end of run i to the start of run j, and along j; the last row and column are home.
    inner_m = np.array([sum(itertools.starmap(_metres, itertools.pairwise(run))) for run in flat])
    cost = np.zeros((len(flat) + 1, len(flat) + 1))
    cost[:-1, :-1] = ways.metres[np.ix_(ends, starts)] + inner_m
    cost[-1, :-1] = ways.metres[0, starts] + inner_m
    cost[:-1, -1] = ways.metres[ends, 0]
    tour = _improved(_nearest_neighbours(cost, _siblings(ways_of_runs)), cost, _siblings(ways_of_runs))
    stops: list[Stop] = []
    at = 0
    for number in tour:
        stops += [Stop(*corner, height_m) for corner in ways.between(at, int(starts[number]))]
        stops += flat[number]
        at = int(ends[number])
    # Around a corner the mission flies home itself: its return goes in a straight line.
    stops += [Stop(*corner, height_m) for corner in ways.between(at, 0)]
    return stops


def _metres(one: Stop, other: Stop) -> float:
    return float(np.hypot(other.east_m - one.east_m, other.north_m - one.north_m))


def _siblings(ways_of_runs: Sequence[Sequence[Run]]) -> list[tuple[int, ...]]:
    """For each way of flying a run the numbers of all its ways, itself first, then the next around."""
    siblings: list[tuple[int, ...]] = []
    for ways in ways_of_runs:
        first = len(siblings)
        numbers = [first + i for i in range(len(ways))]
        siblings += [tuple(numbers[i:] + numbers[:i]) for i in range(len(ways))]
    return siblings


def _nearest_neighbours(cost: NDArray[np.float64], siblings: Sequence[tuple[int, ...]]) -> _Tour:
    tour: list[int] = []
    left = np.ones(len(siblings), dtype=bool)
    while left.any():
        row = cost[tour[-1] if tour else -1, :-1]
        nearest = int(np.where(left, row, np.inf).argmin())
        tour.append(nearest)
        left[list(siblings[nearest])] = False
    return np.array(tour)


def _improved(tour: _Tour, cost: NDArray[np.float64], siblings: Sequence[tuple[int, ...]]) -> _Tour:
    other_way = np.array([ways[1 % len(ways)] for ways in siblings])

    def length_m(tour: _Tour) -> float:
        closed = np.concatenate([[-1], tour, [-1]])
        return float(cost[closed[:-1], closed[1:]].sum())

    best_m = length_m(tour)
    for _ in range(_MAX_PASSES):
        before_m = best_m
        for changed in itertools.chain(_turned(tour, other_way), _moved(tour, other_way)):
            changed_m = length_m(changed)
            if changed_m < best_m - _BETTER_M:
                tour, best_m = changed, changed_m
                break
        if best_m > before_m - _BETTER_M:
            break
    return tour


def _turned(tour: _Tour, other_way: _Tour) -> Iterator[_Tour]:
    """The tours in which one stretch is flown the other way round."""
    for first, last in itertools.combinations_with_replacement(range(len(tour)), 2):
        turned = tour.copy()
        turned[first : last + 1] = other_way[tour[first : last + 1][::-1]]
        yield turned


def _moved(tour: _Tour, other_way: _Tour) -> Iterator[_Tour]:
    """The tours in which one run comes at another place, flown either way."""
    for at in range(len(tour)):
        others = np.delete(tour, at)
        for to in range(len(tour)):
            for run in {int(tour[at]), int(other_way[tour[at]])}:
                yield np.insert(others, to, run)
