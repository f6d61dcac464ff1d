"""One picture and when it was taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patrol.domain.errors import NightPatrolError
from patrol.video.clock import Timing


class VideoError(NightPatrolError):
    """A video cannot be read or written."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        pixels: (H, W, 3) uint8, BGR.
        captured_at_ns: UTC, nanoseconds since 1970, when the picture was taken.
        captured_at_sigma_ns: one-sigma uncertainty of `captured_at_ns`.
        index: number of the picture in its stream from 0; a gap tells of pictures that were dropped.
        timing: where `captured_at_ns` comes from. `Timing.ARRIVAL` is on this machine's clock and late.
        epoch: rises where the stream began anew or its link changed, so that times before and after need not
            be late by the same.
    """

    pixels: NDArray[np.uint8]
    captured_at_ns: int
    captured_at_sigma_ns: int
    index: int
    timing: Timing
    epoch: int = 0
