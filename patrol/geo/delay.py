"""How late pictures are, told by their own motion, and whether they move as the telemetry says.

What a picture shows when its camera turns or moves over level ground follows from the camera's poses. For two
pictures in a row that is predicted from the poses at their claimed times less a delay, for every delay of a
grid, and compared with how the picture moved. What is wrong with all poses alike, a heading that is off or a
place, hardly matters: both pictures share it.

Of each pair four numbers are kept, in radians: by how much its points shift (x, y), turn and spread, fitted
to them by least squares. What of them a delay leaves unexplained is summed over a second, so that the noise
of the angles, which comes and goes, weighs less against turns, which stay. The sums E_j(d) make the cost of a
delay

    cost(d) = sum over j of 2 c^2 (sqrt(1 + |E_j(d)|^2 / c^2) - 1)

with c twice the median of |E_j| at the best delay (pseudo-Huber, as scipy's `soft_l1`). Its least is the
delay. With s^2 the variance of what is left of one number there, and m the count of sums that tell as much as
one (for they overlap, and errors of the telemetry last),

    ratio(d) = (cost(d) - least cost) / (m s^2)

is twice the logarithm of a likelihood ratio. One sigma is a quarter of the way from the delay to where the
ratio reaches 16 (a profile likelihood: Cox and Hinkley 1974, "Theoretical Statistics", chapter 9), on the
side where that is further: a second delay that fits nearly as well widens it, as it should. The curvature at
the least would not do: there noise of the telemetry, moved against itself, bends the curve just as turns do.
"""

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from patrol.geo.camera import CameraError, CameraModel
from patrol.geo.ground import Ground
from patrol.geo.history import PoseHistory
from patrol.geo.trajectory import Trajectory, trajectory

_SECOND_NS = 1_000_000_000

# The delays that are tried. Links are late by 0.1 to 0.6 s, bad ones by more; a stamped time may be early.
_FIRST_DELAY_S, _LAST_DELAY_S = -0.5, 2.0
_STEP_S = 0.02  # of the grid of delays and of poses; between its points a parabola is good to a millisecond
DELAYS_S: NDArray[np.float64] = np.arange(
    round(_FIRST_DELAY_S / _STEP_S), round(_LAST_DELAY_S / _STEP_S) + 1
) * np.float64(_STEP_S)

_WINDOW_NS = 60 * _SECOND_NS
_MOST_PAIRS = 900
_LONGEST_PAIR_NS = _SECOND_NS  # slower pictures share too little
_LOST_NS = 5 * _SECOND_NS  # telemetry that has not come by then will not
_SUM_S = 1.0
_LEAST_PAIRS = 10
_CELLS = 3  # along each side: points are averaged in cells, so that each part of the picture counts alike

# Below this a height error of some metres spoils the prediction, and people walk in the way.
_LOWEST_M = 5.0
_NEAREST_DEPTH = 0.1  # of a predicted ray; what turned further out of the picture is wrong enough as it is

_RATIO = 16.0  # four sigma squared
# What the sampling of telemetry costs: interpolated noise is least between two samples, so delays that ask
# for poses there look better. Estimates from simulated flights came out 2 to 8 ms too small on average.
_SAMPLING_SIGMA_S = 0.008
_LARGEST_SIGMA_S = 0.025  # a curve that is flatter than this can have its least by chance

# When the last seconds tell whether picture and telemetry agree, by the variance of sums over a second.
# Simulated flights leave at most 0.02 unexplained, 0.05 with a heading off by 10 degrees or a height by 3 m;
# a pitch told wrongly by 11 degrees leaves 0.07 to 0.2, by 17 degrees 0.14 to 0.4; another flight's leaves 1.
_RECENT_NS = 10 * _SECOND_NS
_LEAST_MOTION_RAD = math.radians(5.0)  # ten times what the angles' noise makes
_CROWD_MPS = 4.0  # a crowd that fills the picture and runs may be taken for the camera's motion
_CONTRADICTED_SHARE = 0.2
_CONFIRMED_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class ScenePair:
    """Points of the scene in two pictures.

    Attributes:
        before_ns, after_ns: when the pictures claim to have been taken, on the clock of the telemetry.
        before_px, after_px: (N, 2) pixels.
        size_px: (width, height) of the pictures.
    """

    before_ns: int
    after_ns: int
    before_px: NDArray[np.float64]
    after_px: NDArray[np.float64]
    size_px: tuple[int, int]


@dataclass(frozen=True)
class DelayEstimate:
    """By how much claimed times are late.

    Attributes:
        at_ns: the latest claimed time that has a part in it.
        delay_s, sigma_s: the delay and its one sigma.
        explained: the share of the variance of the picture's motion that the telemetry explains.
    """

    at_ns: int
    delay_s: float
    sigma_s: float
    explained: float


@dataclass(frozen=True, eq=False)
class Agreement:
    """Whether picture and telemetry moved as one over the last seconds.

    Attributes:
        unexplained: (D,) float64, by delay as in `DELAYS_S`: the share of the motion on which they differ,
            NaN where neither moved enough to tell.
    """

    unexplained: NDArray[np.float64]

    def is_contradicted(self, least_s: float = -math.inf, most_s: float = math.inf) -> bool:
        """Whether no delay in a range makes them agree."""
        return bool((self._within(least_s, most_s) > _CONTRADICTED_SHARE).all())

    def is_confirmed(self, least_s: float = -math.inf, most_s: float = math.inf) -> bool:
        """Whether a delay in a range does, and they moved."""
        return bool((self._within(least_s, most_s) < _CONFIRMED_SHARE).any())

    def _within(self, least_s: float, most_s: float) -> NDArray[np.float64]:
        first, last = np.searchsorted(DELAYS_S, (least_s - _STEP_S / 2, most_s + _STEP_S / 2))
        return self.unexplained[min(first, len(DELAYS_S) - 1) : max(last, 1)]


@dataclass(frozen=True, eq=False)
class _Compared:
    """One pair: its motion (4,), what it leaves unexplained at each delay (D, 4), and crowds' share of it."""

    after_ns: int
    motion: NDArray[np.float64]
    residuals: NDArray[np.float32]
    crowd_rad: float


class DelayEstimator:
    """Compares pictures with poses over the last minute.

    Give it pairs as they come, call `compare` now and then, and ask. What costs time is done once for a pair.

    Args:
        camera: of the pictures.
        ground: below them; its height under the aircraft stands for all of it.
    """

    def __init__(self, camera: CameraModel, ground: Ground) -> None:
        self._camera = camera
        self._ground = ground
        self._waiting: deque[ScenePair] = deque(maxlen=_MOST_PAIRS)
        self._compared: deque[_Compared] = deque(maxlen=_MOST_PAIRS)

    def add(self, pair: ScenePair) -> None:
        """Take note of a pair, unless too long a time lies between; a clock that is set back begins anew."""
        newest = self._waiting or self._compared
        if newest and pair.after_ns <= newest[-1].after_ns:
            self.forget()
        if 0 < pair.after_ns - pair.before_ns <= _LONGEST_PAIR_NS:
            self._waiting.append(pair)

    def forget(self) -> None:
        """Begin anew."""
        self._waiting.clear()
        self._compared.clear()

    def forget_all_but_recent(self) -> None:
        """Keep what `agreement` looks at: the delay has changed."""
        newest_ns = self._compared[-1].after_ns if self._compared else 0
        while self._compared and self._compared[0].after_ns < newest_ns - _RECENT_NS:
            self._compared.popleft()

    def compare(self, history: PoseHistory) -> None:
        """Compare what waits with the poses, where the telemetry has come that far.

        Call it about once a second: where a lens zooms or pictures change their size, what waits is left out.
        """
        if not self._waiting:
            return
        earliest_ns = self._waiting[0].before_ns - round(_LAST_DELAY_S * _SECOND_NS)
        latest_ns = self._waiting[-1].after_ns - round(_FIRST_DELAY_S * _SECOND_NS) + _SECOND_NS
        recorded = history.recorded(earliest_ns, latest_ns)
        kinds = (recorded.positions, recorded.attitudes, recorded.gimbals)
        told_ns = min((samples[-1].at_ns if samples else 0) for samples in kinds)
        ready: list[ScenePair] = []
        while self._waiting and self._waiting[0].after_ns - _FIRST_DELAY_S * _SECOND_NS <= told_ns:
            ready.append(self._waiting.popleft())
        while self._waiting and self._waiting[0].after_ns < self._waiting[-1].after_ns - _LOST_NS:
            self._waiting.popleft()
        way = trajectory(recorded, self._camera.installation, earliest_ns, latest_ns, _STEP_S)
        if not ready or way is None:
            return
        starts = history.pose_at(ready[0].before_ns - round(_LAST_DELAY_S * _SECOND_NS))
        ends = history.pose_at(ready[-1].after_ns - round(_FIRST_DELAY_S * _SECOND_NS))
        if starts is None or ends is None or starts.hfov_rad != ends.hfov_rad:
            return
        try:
            camera = self._camera.scaled_to(*ready[-1].size_px)
            camera = camera if ends.hfov_rad is None else camera.zoomed_to(ends.hfov_rad)
        except CameraError:
            return
        ground_amsl_m = float(self._ground.height_amsl_m_at(ends.lat_deg, ends.lon_deg)[0])
        for pair in ready:
            if pair.size_px != ready[-1].size_px:
                continue
            compared = _compare(pair, camera, ground_amsl_m, way)
            if compared is not None:
                self._compared.append(compared)
        while self._compared and self._compared[0].after_ns < self._compared[-1].after_ns - _WINDOW_NS:
            self._compared.popleft()

    def estimate(self) -> DelayEstimate | None:
        """By how much the claimed times are late; None when the motion of the last minute does not tell."""
        if len(self._compared) < _LEAST_PAIRS:
            return None
        sums = _Sums(list(self._compared))
        least = int(sums.cost.argmin())
        if not 0 < least < len(DELAYS_S) - 1 or sums.explained(least) < 1 - _CONFIRMED_SHARE:
            return None
        delay_s = DELAYS_S[least] + _STEP_S * _vertex(*sums.cost[least - 1 : least + 2])
        sigma_s = math.hypot(sums.reach_s(least, delay_s) / math.sqrt(_RATIO), _SAMPLING_SIGMA_S)
        if sigma_s > _LARGEST_SIGMA_S:
            return None
        return DelayEstimate(self._compared[-1].after_ns, float(delay_s), sigma_s, sums.explained(least))

    def agreement(self) -> Agreement:
        """How picture and telemetry fitted over the last ten seconds.

        That motion counts which varied: steady flow may be people's. Where only the picture moved, it must
        have moved by more than a running crowd can make it.
        """
        newest_ns = self._compared[-1].after_ns if self._compared else 0
        recent = [pair for pair in self._compared if pair.after_ns >= newest_ns - _RECENT_NS]
        unexplained = np.full(len(DELAYS_S), np.nan)
        if len(recent) >= _LEAST_PAIRS:
            sums = _Sums(recent)
            shown = np.full(len(DELAYS_S), _variance(sums.motion))
            told = _variance(sums.motion[:, None] - sums.residuals)
            crowd_rad = float(sums.crowd_rad.mean())
            moved = (told >= _LEAST_MOTION_RAD**2) | (shown >= (_LEAST_MOTION_RAD + crowd_rad) ** 2)
            left = (sums.size**2).mean(axis=0)
            unexplained[moved] = left[moved] / np.maximum(shown, told)[moved]
        return Agreement(unexplained)


class _Sums:
    """Pairs summed over the second up to each of them.

    Attributes:
        motion: (K, 4) how the picture moved.
        residuals: (K, D, 4) what of it each delay leaves.
        size: (K, D) the length of that.
        crowd_rad: (K,) how much of it running crowds may make.
        cost: (D,) see the top of this file.
    """

    def __init__(self, pairs: list[_Compared]) -> None:
        after_s = np.array([pair.after_ns - pairs[-1].after_ns for pair in pairs]) / _SECOND_NS
        first = np.searchsorted(after_s, after_s - _SUM_S, side="right")

        def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
            total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
            return np.asarray(total[1:] - total[first])

        self.motion = summed(np.array([pair.motion for pair in pairs]))
        self.residuals = summed(np.array([pair.residuals for pair in pairs], dtype=np.float64))
        self.crowd_rad = summed(np.array([pair.crowd_rad for pair in pairs]))
        self.size = np.linalg.norm(self.residuals, axis=2)
        self._rate_hz = 1.0 / float(np.median(np.diff(after_s))) if len(pairs) > 1 else 1.0

    @cached_property
    def cost(self) -> NDArray[np.float64]:
        cost = 2 * self._scale**2 * (np.hypot(1.0, self.size / self._scale) - 1.0)
        return np.asarray(cost.sum(axis=0))

    @cached_property
    def _scale(self) -> float:
        best = int(self.size.sum(axis=0).argmin())
        return max(2.0 * float(np.median(self.size[:, best])), float(np.finfo(np.float32).eps))

    def explained(self, delay: int) -> float:
        """The share of the variance of motion that a delay explains."""
        left = float((self.size[:, delay] ** 2).mean())
        return 1.0 - left / max(float(_variance(self.motion)), left, np.finfo(float).tiny)

    def reach_s(self, least: int, delay_s: float) -> float:
        """The way from the best delay to where the ratio is `_RATIO`, the longer one; the grid ends it."""
        weights = 1.0 / np.hypot(1.0, self.size[:, least] / self._scale)
        weighted = np.sqrt(weights)[:, None] * self.residuals[:, least]
        variance = max(float((weighted**2).mean() / weights.mean()), float(np.finfo(float).tiny))
        ratio = (self.cost - self.cost[least]) / (variance * self._counting_as_one(weighted))
        within = np.flatnonzero(ratio < _RATIO)
        ends = [_crossing(ratio, int(within[0]), -1), _crossing(ratio, int(within[-1]), 1)]
        return max(abs(end - delay_s) for end in ends)

    def _counting_as_one(self, weighted: NDArray[np.float64]) -> float:
        """How many sums tell as much as one that is free of the others: 1 + 2 times their correlations' sum.

        At least as many as overlap. Correlations are followed for three seconds and weigh less the longer the
        lag (Bartlett's window).
        """
        lags = min(len(weighted) - 1, int(3 * _SUM_S * self._rate_hz))
        power = max(float((weighted**2).sum()), float(np.finfo(float).tiny))
        correlation = [
            max(0.0, (weighted[lag:] * weighted[:-lag]).sum() / power) for lag in range(1, lags + 1)
        ]
        fading = 1.0 - np.arange(1, lags + 1) / (lags + 1)
        return max(1.0 + 2.0 * float(fading @ correlation), _SUM_S * self._rate_hz)


def _compare(pair: ScenePair, camera: CameraModel, ground_amsl_m: float, way: Trajectory) -> _Compared | None:
    """None where poses are not known, the camera is too low or its model does not reach."""
    earlier, later = way.at(pair.before_ns, DELAYS_S), way.at(pair.after_ns, DELAYS_S)
    height_m = earlier.height_amsl_m - ground_amsl_m
    if not (earlier.known & later.known & (height_m > _LOWEST_M)).all():
        return None
    normalised, _ = camera.undistort(np.concatenate(_in_cells(pair.before_px, pair.after_px)))
    before, after = np.split(normalised, 2)
    sound = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    before, after = before[sound], after[sound]
    if len(before) == 0:
        return None

    ned_from_ray = earlier.ned_from_gimbal @ camera.gimbal_from_ray
    ray_from_ned = (later.ned_from_gimbal @ camera.gimbal_from_ray).swapaxes(1, 2)
    rays = np.vstack([before.T, np.ones(len(before))])
    # One over the depth; what lies above the horizon is infinitely far and only turns.
    nearness = np.maximum(ned_from_ray[:, 2] @ rays, 0.0) / height_m[:, None]
    step_ned_m = earlier.way_ned_m - later.way_ned_m
    seen = ray_from_ned @ (ned_from_ray @ rays + step_ned_m[:, :, None] * nearness[:, None])
    predicted = (seen[:, :2] / np.maximum(seen[:, 2:], _NEAREST_DEPTH)).swapaxes(1, 2)

    similarity = _similarity((before + after) / 2)
    span_s = (pair.after_ns - pair.before_ns) / _SECOND_NS
    return _Compared(
        after_ns=pair.after_ns,
        motion=similarity @ (after - before).ravel(),
        residuals=((after - predicted).reshape(len(DELAYS_S), -1) @ similarity.T).astype(np.float32),
        crowd_rad=_CROWD_MPS * span_s * float(nearness.mean()),
    )


def _in_cells(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matched points (N, 2) averaged in the cells of the box around them, (C, 2) each; C at most nine."""
    corner, side = before.min(axis=0), np.maximum(np.ptp(before, axis=0), np.finfo(float).tiny)
    column, row = np.minimum((before - corner) / side * _CELLS, _CELLS - 1).astype(int).T
    cell = row * _CELLS + column
    count = np.bincount(cell, minlength=_CELLS**2)

    def averaged(points: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.stack([np.bincount(cell, axis, _CELLS**2) for axis in points.T], axis=1)
        return np.asarray(sums[count > 0] / count[count > 0, None])

    return averaged(before), averaged(after)


def _similarity(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 2 C) least squares of a shift, a turn and a spread to the motion of points (C, 2), flattened.

    Turn and spread are scaled to the points' mean distance, so that all four are lengths in the picture.
    """
    count = len(points)
    offset = points - points.mean(axis=0)
    turned = np.stack([-offset[:, 1], offset[:, 0]], axis=1)
    size = max(math.sqrt(float((offset**2).sum()) * count), np.finfo(float).tiny)
    shift_x, shift_y = np.tile([1.0 / count, 0.0], count), np.tile([0.0, 1.0 / count], count)
    return np.stack([shift_x, shift_y, turned.ravel() / size, offset.ravel() / size])


def _variance(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of motions (K, ..., 4) about their mean, all four together."""
    return np.asarray(motion.var(axis=0).sum(axis=-1))


def _vertex(left: float, middle: float, right: float) -> float:
    """Where the parabola through three values one step apart has its least, in steps from the middle."""
    return 0.5 * (left - right) / max(left - 2.0 * middle + right, np.finfo(float).tiny)


def _crossing(ratio: NDArray[np.float64], inside: int, outwards: int) -> float:
    """The delay at which the ratio passes its limit, from the last grid point inside."""
    outside = inside + outwards
    if not 0 <= outside < len(ratio):
        return float(DELAYS_S[inside])
    share = (_RATIO - ratio[inside]) / (ratio[outside] - ratio[inside])
    return float(DELAYS_S[inside] + outwards * _STEP_S * share)
