"""How large an error is that holds the truth with 90 % probability: as an ellipse and as one radius."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import chndtr

from patrol.domain.positions import ErrorEllipse

_PROBABILITY = 0.90
_ELLIPSE_SCALE = float(np.sqrt(-2.0 * np.log(1.0 - _PROBABILITY)))  # chi-square with two degrees of freedom
_NARROWEST = 0.01  # axis ratio below which the radius is that of 0.01: at most 0.005 % too large


def ellipse_90(covariance_en_m2: ArrayLike) -> ErrorEllipse:
    """The ellipse that holds the truth with 90 % probability, of a covariance (2, 2) in east and north."""
    variances, axes = np.linalg.eigh(np.asarray(covariance_en_m2, dtype=np.float64))
    minor_m, major_m = _ELLIPSE_SCALE * np.sqrt(np.maximum(variances, 0.0))
    east, north = axes[:, 1]
    return ErrorEllipse(float(major_m), float(minor_m), float(np.degrees(np.arctan2(east, north)) % 180.0))


def radius_90_m(covariance_en_m2: ArrayLike) -> float:
    """CE90: radius of the circle about the estimate that holds the truth with 90 % probability.

    Exact for the bivariate normal of the covariance (2, 2): the distance follows Hoyt's distribution, whose
    distribution function is a difference of two non-central chi-square ones (Paris 2009, "Nakagami-q (Hoyt)
    distribution function").
    """
    variances = np.linalg.eigvalsh(np.asarray(covariance_en_m2, dtype=np.float64))
    minor_m, major_m = np.sqrt(np.maximum(variances, 0.0))
    if major_m == 0:
        return 0.0
    ratio = max(float(minor_m / major_m), _NARROWEST)

    def too_little(radius: float) -> float:
        # chndtr(b^2, 2, a^2) = 1 - Q1(a, b), Marcum's Q; here for axes 1 and `ratio`.
        near = ((1 - ratio) * radius / (2 * ratio)) ** 2
        far = ((1 + ratio) * radius / (2 * ratio)) ** 2
        return float(chndtr(far, 2, near) - chndtr(near, 2, far)) - _PROBABILITY

    # Between the 90 % points of one normal (1.645) and of two equal ones (2.146).
    return float(major_m) * float(brentq(too_little, 1.6, 2.2, xtol=1e-9))
