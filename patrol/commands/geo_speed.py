"""`patrol eval geo`, speed: how many pixels a second become places with covariance, beside others in one run.

Rates are per second of processor time of this process, all its threads together: what one core does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from patrol.commands.geo_noise import CAMERA, ERRORS, HEIGHT_M, SPEED_MPS
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.ground import LevelGround
from patrol.geo.projection import pixels_to_ground

_MANY, _CROWD = 100_000, 200
_ROUNDS, _CALLS = 7, 50
_POSE = CameraPose(0, 31.3, 120.62, Amsl(HEIGHT_M), 0.02, -0.9, 1.0)
_GROUND = LevelGround(Amsl(0.0), 0.3)
_MOTION = CameraMotion((SPEED_MPS, 0.0, 0.0), (0.0, 0.0, 0.2))


@dataclass(frozen=True)
class Speed:
    """Points a second, the best of several rounds.

    Attributes:
        points_per_s: `pixels_to_ground` with covariances, 100,000 pixels a call, all lens coefficients used.
        points_per_s_in_crowds: the same, 200 pixels a call, as the people of one picture are.
        points_per_s_one_by_one: the same, one pixel a call: a loop over pixels.
        undistorted_per_s: `cv2.undistortPoints` on the 100,000 pixels, on one thread: the lens alone, with
            neither ground nor covariance.
        wall_s: of the best round of the first.
    """

    points_per_s: float
    points_per_s_in_crowds: float
    points_per_s_one_by_one: float
    undistorted_per_s: float
    wall_s: float


def measure() -> Speed:
    """Measure; it takes some seconds."""
    pixels = np.random.default_rng(0).uniform((0, 0), (CAMERA.width_px, CAMERA.height_px), (_MANY, 2))
    matrix = np.array([[CAMERA.fx_px, 0, CAMERA.cx_px], [0, CAMERA.fy_px, CAMERA.cy_px], [0, 0, 1.0]])
    distortion = np.array(CAMERA.distortion)

    def ours(count: int) -> None:
        found = pixels_to_ground(
            CAMERA, _POSE, pixels[:count], ground=_GROUND, pixel_sigma_px=(1.0, 1.0), errors=ERRORS,
            motion=_MOTION,
        )  # fmt: skip
        if not np.isfinite(found.covariance_en_m2).any():
            raise RuntimeError("the speed was measured on points that are not valid")

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        lens_s, _ = _best_s(lambda: cv2.undistortPoints(pixels, matrix, distortion))
    finally:
        cv2.setNumThreads(threads)
    many_s, wall_s = _best_s(lambda: ours(_MANY))
    crowds_s, _ = _best_s(lambda: ours(_CROWD), _CALLS)
    single_s, _ = _best_s(lambda: ours(1), _CALLS)
    return Speed(_MANY / many_s, _CROWD / crowds_s, 1 / single_s, _MANY / lens_s, wall_s)


def _best_s(work: Callable[[], object], calls: int = 1) -> tuple[float, float]:
    """Processor time and wall time of a call, in the best of some rounds of so many."""
    rounds = []
    for _ in range(_ROUNDS):
        wall, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            work()
        rounds.append(((time.process_time() - used) / calls, (time.perf_counter() - wall) / calls))
    return min(rounds)
