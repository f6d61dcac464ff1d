"""What a camera usefully sees at a height and a tilt: the widths that routes are spaced by."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patrol.domain.errors import UsageError
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.coverage import LEAST_MARKED_PX, PERSON_M, Coverage
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround

_CELLS_PER_HEIGHT = 60  # 25 cm at 15 m
_REACH_IN_HEIGHTS = 6.0  # further out rays are flatter than 9.5 degrees
_HALF_WIDTH_IN_HEIGHTS = 4.0
_LEAST_DEPTH_M = 4.0  # two cells of the coverage's grid; narrower views cannot sweep anything
_SOME_ROOM = 0.9  # where people are only just large enough, a view has no depth


class RouteError(UsageError):
    """No route can be made as asked; the message says what is in the way and what to change."""


@dataclass(frozen=True, eq=False)
class View:
    """The level ground on which a standing person is large enough, for a camera that looks ahead.

    Attributes:
        ahead_m: (R,) float64, distances ahead of the place below the camera.
        half_width_m: (R,) float64, how far to both sides everything at that distance is seen; may be 0.
        near_m, far_m: the distances between which it is seen in the middle of the picture.
    """

    ahead_m: NDArray[np.float64]
    half_width_m: NDArray[np.float64]
    near_m: float
    far_m: float

    @property
    def depth_m(self) -> float:
        """Width of the strip that is seen in passing when the camera looks to the side."""
        return self.far_m - self.near_m

    @property
    def middle_m(self) -> float:
        """How far to the side the middle of that strip lies."""
        return (self.near_m + self.far_m) / 2

    def ahead_of(self, half_width_m: float) -> float:
        """The least distance ahead at which so much to both sides is seen, or else as much as ever is."""
        wide = np.flatnonzero(self.half_width_m >= min(half_width_m, self.half_width_m.max()))
        return float(self.ahead_m[wide[0]])


def view_of(camera: CameraModel, *, height_m: float, pitch_deg: float, least_height_px: float) -> View:
    """The useful view over level ground, by projecting people onto the picture (see `Coverage`).

    Raises:
        RouteError: nobody is large enough anywhere in the picture.
    """
    cell_m = height_m / _CELLS_PER_HEIGHT
    frame = LocalFrame(0.0, 0.0)
    side_m = _HALF_WIDTH_IN_HEIGHTS * height_m
    seen = Coverage(frame, (-side_m, -height_m, side_m, _REACH_IN_HEIGHTS * height_m), cell_m)
    pose = CameraPose(
        at_ns=1, lat_deg=0.0, lon_deg=0.0, height=Amsl(height_m),
        roll_rad=0.0, pitch_rad=math.radians(pitch_deg), yaw_ned_rad=0.0,
    )  # fmt: skip
    seen.add(camera, pose, LevelGround(Amsl(0.0)), at_ns=1, dwell_s=0.0)
    useful = seen.seen(least_height_px)
    ahead_m = (np.arange(len(useful), dtype=np.float64) + 0.5) * cell_m - height_m
    middle = useful.shape[1] // 2
    rows = np.flatnonzero(useful[:, middle])
    if np.ptp(ahead_m[rows] if len(rows) else 0.0) < _LEAST_DEPTH_M:
        best_px = float(seen.best_height_px[:, middle].max())
        raise RouteError(_nobody(best_px, height_m, pitch_deg, least_height_px))
    right, left = _run_length(useful[:, middle:]), _run_length(useful[:, :middle][:, ::-1])
    return View(ahead_m, np.minimum(left, right) * cell_m, float(ahead_m[rows[0]]), float(ahead_m[rows[-1]]))


def _run_length(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many cells of each row are True before the first that is not."""
    return np.asarray(np.cumprod(rows, axis=1).sum(axis=1))


def _nobody(best_px: float, height_m: float, pitch_deg: float, least_height_px: float) -> str:
    at = f"at {height_m:g} m and a pitch of {pitch_deg:g} degrees"
    if best_px == 0:
        return f"{at} the camera shows nobody of {LEAST_MARKED_PX:g} px or more; fly lower, or tilt it to -45"
    # The height in pixels falls with the height of flight.
    lower_m = math.floor(_SOME_ROOM * height_m * best_px / least_height_px)
    return (
        f"{at} a standing person ({PERSON_M:g} m) is at most {best_px:.0f} px high, and {least_height_px:g} "
        f"are wanted; fly at {lower_m} m or lower, zoom in, or take a camera with more pixels"
    )
