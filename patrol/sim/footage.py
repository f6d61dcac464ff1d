"""Real footage at watch points: when it is shown, and reading it picture by picture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from patrol.domain.errors import UsageError
from patrol.geo.frames import LocalFrame
from patrol.plan.market import MarketMap, WatchPoint
from patrol.sim.body import Truth, wrap_pi
from patrol.sim.settings import Footage

STANDING_MPS = 0.1  # a drone that hovers; slower than any approach that is still centimetres from its end

ROUNDING = 1e-6  # of a picture, so that 0.1 s at 10 pictures a second is one picture


class FootageReader:
    """The pictures of one file, in order; going back opens it again."""

    def __init__(self, path: Path, size_px: tuple[int, int]) -> None:
        """Open the file. `size_px` is the (width, height) that its pictures must have.

        Raises:
            UsageError: it cannot be read, or its pictures have another size.
        """
        self._path = path
        self._pictures = self._decode()
        self._next = 0
        self._latest: NDArray[np.uint8] | None = None
        first = self.picture(0)
        if first is None:
            raise UsageError(f"{path}: holds no picture; put a video there")
        height_px, width_px, _ = first.shape
        if (width_px, height_px) != size_px:
            raise UsageError(
                f"{path}: has pictures of {width_px}x{height_px}, the camera of {size_px[0]}x{size_px[1]}; "
                "scale the video or name its own camera file"
            )

    def picture(self, index: int) -> NDArray[np.uint8] | None:
        """Picture `index` from 0, (height, width, 3) uint8 BGR; None behind the last one."""
        if index == self._next - 1:
            return self._latest
        if index < self._next:
            self._pictures, self._next = self._decode(), 0
        self._latest = None
        for frame in self._pictures:
            self._next += 1
            if self._next > index:
                self._latest = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
                break
        return self._latest

    def _decode(self) -> Iterator[av.VideoFrame]:
        try:
            with av.open(str(self._path)) as container:
                yield from container.decode(video=0)
        except (av.FFmpegError, OSError, IndexError) as error:
            raise UsageError(f"{self._path}: cannot be read as a video; put the footage there") from error


@dataclass(frozen=True, eq=False)
class Shot:
    """Footage for one watch point."""

    watch_point: WatchPoint
    settings: Footage
    reader: FootageReader


@dataclass(frozen=True)
class Cue:
    """Picture `index` of a shot is due."""

    shot: Shot
    index: int


class Director:
    """Decides from the truth whether footage is due, and which picture of it.

    It starts with its first picture once the drone stands at the watch point and looks as that says, and runs
    at its own pace until the drone leaves.
    """

    def __init__(self, shots: tuple[Shot, ...], frame: LocalFrame) -> None:
        self._shots = shots
        self._frame = frame
        self._running: Shot | None = None
        self._since_ns = 0

    def cue(self, truth: Truth) -> Cue | None:
        """What is due now."""
        if self._running is not None and not self._sees(self._running, truth):
            self._running = None
        if self._running is None and math.hypot(*truth.velocity_neu_mps) < STANDING_MPS:
            self._running = next((shot for shot in self._shots if self._sees(shot, truth)), None)
            self._since_ns = truth.boot_ns
        if self._running is None:
            return None
        passed_s = (truth.boot_ns - self._since_ns) / 1e9
        return Cue(self._running, math.floor(passed_s * self._running.settings.fps + ROUNDING))

    def _sees(self, shot: Shot, truth: Truth) -> bool:
        point, settings = shot.watch_point, shot.settings
        east_m, north_m = self._frame.to_enu(point.lat_deg, point.lon_deg)
        offset_m = math.dist(
            (truth.north_m, truth.east_m, truth.up_m),
            (float(north_m), float(east_m), point.height_above_ground_m),
        )
        angles_rad = (
            truth.yaw_rad + truth.gimbal_yaw_rad - math.radians(point.yaw_deg),
            truth.gimbal_pitch_rad - math.radians(point.pitch_deg),
            truth.gimbal_roll_rad,
        )
        turned_rad = max(abs(wrap_pi(angle_rad)) for angle_rad in angles_rad)
        return offset_m <= settings.position_tolerance_m and turned_rad <= math.radians(
            settings.angle_tolerance_deg
        )


def shots_of(
    footage: tuple[Footage, ...], folder: Path, market: MarketMap, size_px: tuple[int, int]
) -> tuple[Shot, ...]:
    """Open the footage of a simulation file that lies in `folder`.

    Raises:
        UsageError: a file is missing, or the map lacks the watch point.
    """
    points = {point.id: point for point in market.watch_points}
    shots = []
    for settings in footage:
        path = folder / settings.file
        if not path.is_file():
            raise UsageError(f"{path}: no such footage; put it there or take it out of the simulation file")
        if settings.watch_point not in points:
            raise UsageError(
                f"footage {settings.file}: the market map has no watch point {settings.watch_point}; "
                f"name one of {', '.join(points) or 'none'}"
            )
        shots.append(Shot(points[settings.watch_point], settings, FootageReader(path, size_px)))
    return tuple(shots)
