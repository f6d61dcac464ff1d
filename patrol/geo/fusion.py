"""One place from several views of it, by generalised least squares over errors that last.

Ten pictures within a second do not make a place three times better known: the GPS error, the boresight and
the map's height are the same in all of them. Each view tells how far one sigma of each source of error moves
its place; a source's errors in two views are correlated by how far apart in time they were taken, and across
sources they are independent. From that follow the covariance of all views together, their best linear
combination and its honest covariance (Gauss-Markov theorem; Aitken 1936, "On least squares and linear
combination of observations").

Assumed: the thing stood still; the errors are Gaussian and small enough for first order; each source is a
first-order Gauss-Markov process of a known correlation time. Views from other places tell errors that last
apart from the place, so a correlation time that is too long makes the fused place claim too much there.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import chdtri

_SECOND_NS = 1_000_000_000

# What every view has for itself: our allowance for what no source describes, such as the roughness of the
# ground. It also keeps apart views that share all their errors, whose covariance would have no inverse.
_OWN_SIGMA_M = 0.02
_LEAST_SHARE = 1e-10  # of the mean variance, added for the same reason where kilometres meet centimetres
_WHITE_S = 1e-9  # two views of one picture share even a white error
_DOUBT = 0.001  # probability of views that fit together so badly, above which they are taken at their word


@dataclass(frozen=True)
class CorrelationTimes:
    """Seconds after which the correlation of a source's error has fallen to 1/e; 0 white, inf constant.

    The fields are those of `SOURCES`, in their order.

    GPS errs for a minute in one direction (60 s in the simulated receivers of PX4 and RotorS; multipath lasts
    10 to 900 s; that it is no white noise is measured in Sensors 2020, 20, 6050). The rest is our choice:
    barometers drift with weather and rotor wash, five minutes; a map's ground and a stream's delay stay as
    they are for a flight, ten minutes; a gimbal's level creeps, a minute; a compass errs with the heading and
    with iron near by, two minutes; a box stands on the same feet for half a step.
    """

    east_s: float = 60.0
    north_s: float = 60.0
    height_s: float = 300.0
    ground_s: float = 600.0
    time_s: float = 600.0
    roll_s: float = 60.0
    pitch_s: float = 60.0
    yaw_s: float = 120.0
    pixel_x_s: float = 0.5
    pixel_y_s: float = 0.5

    def between(self, times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """(K, N, N) correlation of each source's error between times (N,)."""
        apart_s = np.abs(times_ns[:, None] - times_ns) / _SECOND_NS
        lasting_s = np.maximum(astuple(self), _WHITE_S)
        return np.asarray(np.exp(-apart_s / lasting_s[:, None, None]))


@dataclass(frozen=True, eq=False)
class View:
    """One sight of a thing: when, where it seemed to be and how far one sigma of each source moves it.

    `spread_en_m` (2, K) is a row of `GroundPoints.spread_en_m`.
    """

    at_ns: int
    east_m: float
    north_m: float
    spread_en_m: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FusedPosition:
    """The place that all views together tell, with its covariance (2, 2), east and north."""

    east_m: float
    north_m: float
    covariance_en_m2: NDArray[np.float64]


def fuse(views: Sequence[View], correlation: CorrelationTimes = CorrelationTimes()) -> FusedPosition:
    """The best linear unbiased place of views of one thing, at least one, in any order.

    With C the covariance of all views' errors and H the stack of unit matrices, the place is
    (H' C^-1 H)^-1 H' C^-1 z and its covariance (H' C^-1 H)^-1.

    Views that contradict each other more than their errors allow (residuals beyond the 99.9 % point of
    chi-square) widen the covariance by how much they do (the ratio of Birge 1932, "The calculation of errors
    by the method of least squares"): the thing moved, or a sigma is wrong.

    Raises:
        ValueError: no view, or one that is not finite.
    """
    places_m = np.array([[view.east_m, view.north_m] for view in views])
    spread_m = np.array([view.spread_en_m for view in views])
    if not views or not (np.isfinite(places_m).all() and np.isfinite(spread_m).all()):
        raise ValueError("fuse takes one view at least, and finite ones; leave out points that are not valid")
    count = len(views)
    correlated = correlation.between(np.array([view.at_ns for view in views]))
    covariance = np.einsum("kij,iak,jbk->iajb", correlated, spread_m, spread_m).reshape(2 * count, 2 * count)
    own_m2 = _OWN_SIGMA_M**2 + _LEAST_SHARE * float(np.trace(covariance)) / (2 * count)
    factor = cho_factor(covariance + own_m2 * np.eye(2 * count))
    # About the first view: coordinates are large, differences small.
    offsets_m = (places_m - places_m[0]).ravel()
    each = np.tile(np.eye(2), (count, 1))
    weights = cho_solve(factor, each)
    fused_m2 = np.linalg.inv(each.T @ weights)
    fused_m = fused_m2 @ (weights.T @ offsets_m)
    residual_m = offsets_m - each @ fused_m
    misfit, freedom = float(residual_m @ cho_solve(factor, residual_m)), 2 * count - 2
    if freedom and misfit > chdtri(freedom, _DOUBT):
        fused_m2 = fused_m2 * (misfit / freedom)
    east_m, north_m = map(float, places_m[0] + fused_m)
    return FusedPosition(east_m, north_m, fused_m2)


class ViewBook:
    """The views of one thing that are worth keeping: the newest of each second, and at most 32 of them.

    What lies closer together shares nearly all its errors, and 32 views make a system that is solved in a
    millisecond. Times that step back start anew.
    """

    def __init__(
        self,
        *,
        every_s: float = 1.0,
        most: int = 32,
        correlation: CorrelationTimes = CorrelationTimes(),
    ) -> None:
        self._every_ns = int(every_s * _SECOND_NS)
        self._correlation = correlation
        self._views: deque[View] = deque(maxlen=most)

    def add(self, view: View) -> None:
        """Keep a view, in the place of the last one if that is of the same second."""
        if self._views and view.at_ns < self._views[-1].at_ns:
            self._views.clear()
        if self._views and view.at_ns // self._every_ns == self._views[-1].at_ns // self._every_ns:
            self._views.pop()
        self._views.append(view)

    def fused(self) -> FusedPosition | None:
        """What all kept views together tell; None before the first."""
        return fuse(self._views, self._correlation) if self._views else None
