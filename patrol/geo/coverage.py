"""What ground was looked at, when, for how long and how well: footprints accumulated on a grid.

How well is the height in pixels that a standing person has, had, or would have had there. Nothing is known of
roofs and stalls: a cell behind one counts as seen.
"""

import io
import logging
import math
import os
import threading
import zipfile
import zlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.spatial.transform import Rotation
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.documents import DocumentError, first_fault
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import Ground
from patrol.geo.projection import MIN_GRAZING_RAD, ground_to_pixels

_LOG = logging.getLogger(__name__)

PERSON_M = 1.7
"""Height of a standing person. In China men of 18 to 44 are 1.70 m tall on average and women 1.58 m (Report
on Nutrition and Chronic Diseases of Chinese Residents 2020); shoes add 3 cm."""

USABLE_HEIGHT_PX = 20.0
"""From here on a person may be found: of people 20 to 30 px high 48 % were in a single picture, of smaller
ones 15 %, of larger ones 84 % (models/night-patrol-nano.md, VisDrone in tiles of 320, 158 people in all;
measured by `patrol eval detect`)."""

LEAST_MARKED_PX = 8.0
"""Smaller people are not marked at all. The detector is meant for 12 px and more in its input
(models/night-patrol-nano.md), which these are where tiles are enlarged by half."""

MAX_DWELL_S = 1.0
"""A longer time between two analysed pictures is a gap in which nothing was seen, and counts as this much:
the slowest eyes analyse more than one a second, and telemetry gaps of a second are a lost link
(`PoseHistory`)."""

SAVE_EVERY_S = 10.0

LOG_CELL_M = 2.0
LOG_CELLS = 250_000
"""A log keeps a square kilometre in cells of 2 m, and larger markets in larger ones."""

MAX_CELLS = 4_000_000
"""Four kilometres square at 2 m: more than a market is, and 100 MB of memory."""

FILE_NAME = "coverage.npz"
"""What the file is called in the folder of a sortie."""

_HEADER = "header"
_ARRAYS: dict[str, np.dtype[Any]] = {
    "dwell_s": np.dtype("<f4"),
    "best_height_px": np.dtype("<f4"),
    "height_dwell_px_s": np.dtype("<f4"),
    "first_seen_ns": np.dtype("<i8"),
    "last_seen_ns": np.dtype("<i8"),
}
_NPY_HEADER_BYTES = 1000
_EDGE_SAMPLES = 17
_WHOLE = f"name a {FILE_NAME} that a sortie has kept"
# What zipfile, zlib and numpy raise on bytes that are not theirs.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError)

Bounds = tuple[float, float, float, float]
"""(west, south, east, north) in metres of a local frame."""


class CoverageError(DocumentError):
    """A coverage cannot be kept or read; the message says what, where and what to do."""


class _Header(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal["night-patrol coverage"] = "night-patrol coverage"
    version: Literal[1] = 1
    origin_lat_deg: float = Field(ge=-90, le=90)
    origin_lon_deg: float = Field(ge=-180, le=180)
    bounds_m: Bounds
    cell_m: float = Field(gt=0)


class Coverage:
    """A grid of square cells on the ground. Arrays are (rows, columns), from south to north, west to east.

    Attributes:
        frame, bounds_m, cell_m: where the grid lies; its last row and column may reach over the bounds.
        dwell_s: float32, how long each cell was in the picture.
        best_height_px: float32, the largest height that a standing person had there; 0 where never seen.
        height_dwell_px_s: float32, sum of that height times the dwell it had.
        first_seen_ns, last_seen_ns: int64 UTC; 0 where never seen.
    """

    def __init__(self, frame: LocalFrame, bounds_m: Bounds, cell_m: float = 2.0) -> None:
        """Nothing seen yet.

        Raises:
            CoverageError: the bounds hold nothing, or more than `MAX_CELLS` cells.
        """
        west, south, east, north = bounds_m
        sides_m = (north - south, east - west)
        if not (cell_m > 0 and min(sides_m) > 0 and np.isfinite([*bounds_m, cell_m]).all()):
            raise CoverageError(
                f"bounds {bounds_m} m in cells of {cell_m} m hold nothing; give west before east"
            )
        if sides_m[0] / cell_m * (sides_m[1] / cell_m) > MAX_CELLS:
            raise CoverageError(
                f"{sides_m[1]:.0f} by {sides_m[0]:.0f} m in cells of {cell_m:g} m are more than {MAX_CELLS} "
                "cells; take larger ones"
            )
        self.frame = frame
        self.bounds_m = bounds_m
        self.cell_m = cell_m
        shape = tuple(max(1, int(np.ceil(side_m / cell_m - 1e-9))) for side_m in sides_m)
        self.dwell_s = np.zeros(shape, np.float32)
        self.best_height_px = np.zeros(shape, np.float32)
        self.first_seen_ns = np.zeros(shape, np.int64)
        self.last_seen_ns = np.zeros(shape, np.int64)
        self.height_dwell_px_s = np.zeros(shape, np.float32)
        self._ground: Ground | None = None
        self._ground_amsl_m = np.zeros(shape)

    @property
    def mean_height_px(self) -> NDArray[np.float32]:
        """(rows, columns) float32 height of a standing person, mean over the dwell; 0 without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.dwell_s > 0, self.height_dwell_px_s / self.dwell_s, np.float32(0))

    @property
    def extent_m(self) -> Bounds:
        """(west, south, east, north) of all cells."""
        rows, columns = self.dwell_s.shape
        west, south, _, _ = self.bounds_m
        return west, south, west + columns * self.cell_m, south + rows * self.cell_m

    def add(
        self, camera: CameraModel, pose: CameraPose, ground: Ground, *, at_ns: int, dwell_s: float
    ) -> None:
        """Mark what a picture shows.

        A cell counts when a person who stands at its centre is in the picture from foot to head, seen no
        flatter than `MIN_GRAZING_RAD`. A pose that is no number marks nothing.

        Args:
            camera: the lens and its mounting, as calibrated; `pose.hfov_rad` zooms it.
            pose: where the camera was and looked.
            ground: below it.
            at_ns: UTC of the picture.
            dwell_s: for how long this picture stands.

        Raises:
            CameraError: the camera has no calibration for the field of view of the pose.
        """
        place = (pose.lat_deg, pose.lon_deg, pose.height.metres)
        if not np.isfinite([*place, pose.roll_rad, pose.pitch_rad, pose.yaw_ned_rad]).all():
            return
        lens = camera if pose.hfov_rad is None else camera.zoomed_to(pose.hfov_rad)
        east_m, north_m = self.frame.to_enu(pose.lat_deg, pose.lon_deg)
        window = self._window(float(east_m), float(north_m), _range_m(lens))
        feet_amsl_m = self._heights_amsl_m(ground)[window]
        rows_m, columns_m = self._centres_m
        rays_ned = rows_m[window[0], None] - north_m, columns_m[window[1]] - east_m, place[2] - feet_amsl_m
        shown = _near_the_picture(lens, pose, *rays_ned)
        lat_deg, lon_deg = (np.tile(places[window][shown], 2) for places in self._places)
        feet_and_heads_amsl_m = np.concatenate([feet_amsl_m[shown], feet_amsl_m[shown] + PERSON_M])
        pixels, in_view = ground_to_pixels(camera, pose, lat_deg, lon_deg, feet_and_heads_amsl_m)
        feet_px, heads_px = np.split(pixels, 2)
        height_px = np.hypot(*(feet_px - heads_px).T)
        whole = np.logical_and(*np.split(in_view, 2)) & (height_px >= LEAST_MARKED_PX)
        shown[shown] = whole
        self._mark(window, shown, height_px[whole].astype(np.float32), at_ns, dwell_s)

    def _mark(
        self,
        window: tuple[slice, slice],
        shown: NDArray[np.bool_],
        height_px: NDArray[np.float32],
        at_ns: int,
        dwell_s: float,
    ) -> None:
        """Count a picture in the cells of a window that it has shown."""
        self.dwell_s[window][shown] += np.float32(dwell_s)
        self.height_dwell_px_s[window][shown] += height_px * np.float32(dwell_s)
        for array, best, value in (
            (self.best_height_px, np.maximum, height_px),
            (self.last_seen_ns, np.maximum, at_ns),
        ):
            array[window][shown] = best(array[window][shown], value)
        first_ns = self.first_seen_ns[window][shown]
        self.first_seen_ns[window][shown] = np.where(first_ns > 0, np.minimum(first_ns, at_ns), at_ns)

    def merge(self, other: "Coverage") -> None:
        """Take over what another coverage of the same grid has seen, as if by one pair of eyes.

        Raises:
            CoverageError: it is of another grid.
        """
        if (self.frame, self.bounds_m, self.cell_m) != (other.frame, other.bounds_m, other.cell_m):
            raise CoverageError("two coverages are of different grids; merge those of one market map")
        self.dwell_s += other.dwell_s
        self.height_dwell_px_s += other.height_dwell_px_s
        np.maximum(self.best_height_px, other.best_height_px, out=self.best_height_px)
        np.maximum(self.last_seen_ns, other.last_seen_ns, out=self.last_seen_ns)
        new = (other.first_seen_ns > 0) & (
            (self.first_seen_ns == 0) | (other.first_seen_ns < self.first_seen_ns)
        )
        self.first_seen_ns[new] = other.first_seen_ns[new]

    def seen(self, least_height_px: float = USABLE_HEIGHT_PX) -> NDArray[np.bool_]:
        """(rows, columns) whether a standing person was at least so high in some picture."""
        return (self.last_seen_ns > 0) & (self.best_height_px >= least_height_px)

    def share_seen(self, region: BaseGeometry, least_height_px: float = USABLE_HEIGHT_PX) -> float:
        """Share of a region (metres of the frame) where a standing person was at least so high.

        What of it lies outside the grid counts as not seen. A region without the centre of any cell is judged
        by the cell of its middle; an empty one gives 0.
        """
        cells = self._cells_of(region)
        if not cells.any():
            return 0.0
        inside = region.intersection(box(*self.extent_m)).area / region.area if region.area else 1.0
        return float(self.seen(least_height_px)[cells].mean()) * min(1.0, inside)

    def mean_dwell_s(self, region: BaseGeometry) -> float:
        """How long a place of a region (metres of the frame) was in the picture, on average."""
        cells = self._cells_of(region)
        return float(self.dwell_s[cells].mean()) if cells.any() else 0.0

    def save(self, path: Path) -> None:
        """Write the file that `load` reads; whoever reads meanwhile finds the old one or the new one.

        Raises:
            CoverageError: it cannot be written.
        """
        header = _Header(
            origin_lat_deg=self.frame.origin_lat_deg,
            origin_lon_deg=self.frame.origin_lon_deg,
            bounds_m=self.bounds_m,
            cell_m=self.cell_m,
        )
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays[_HEADER] = np.frombuffer(header.model_dump_json().encode(), np.uint8)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise CoverageError(
                f"{path}: the coverage cannot be written ({error.strerror}); make room or name another folder"
            ) from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            CoverageError: no such file, none of ours, damaged, or larger than any market.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                header = _Header.model_validate_json(_read(archive, _HEADER, np.dtype(np.uint8)).tobytes())
                frame = LocalFrame(header.origin_lat_deg, header.origin_lon_deg)
                coverage = cls(frame, header.bounds_m, header.cell_m)
                for name, dtype in _ARRAYS.items():
                    getattr(coverage, name)[:] = _read(archive, name, dtype, coverage.dwell_s.shape)
        except FileNotFoundError as error:
            raise CoverageError(
                f"{path}: no such file; name a {FILE_NAME} or the folder it lies in"
            ) from error
        except OSError as error:
            raise CoverageError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
        except CoverageError as error:
            raise CoverageError(f"{path}: {error}") from error
        except ValidationError as error:
            raise CoverageError(f"{path}: its header, {first_fault(error)}; {_WHOLE}") from error
        except _DAMAGE as error:
            raise CoverageError(f"{path}: is no coverage or a damaged one ({error}); {_WHOLE}") from error
        if not coverage._is_sound():
            raise CoverageError(f"{path}: holds what no camera can have seen; {_WHOLE}")
        return coverage

    def _window(self, east_m: float, north_m: float, range_m: float) -> tuple[slice, slice]:
        """The rows and columns that reach into a square about a place; none where it lies too far away."""
        west, south, _, _ = self.bounds_m
        square_m = np.array([[north_m - south], [east_m - west]]) + np.array([-range_m, range_m])
        edges = np.floor(square_m / self.cell_m) + np.array([0.0, 1.0])
        limits = np.clip(edges, 0, np.array(self.dwell_s.shape)[:, None])
        rows, columns = (slice(int(first), int(last)) for first, last in limits)
        return rows, columns

    @cached_property
    def _centres_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far north the middles of the rows lie, and how far east those of the columns."""
        west, south, _, _ = self.bounds_m
        rows, columns = (np.arange(count, dtype=np.float64) + 0.5 for count in self.dwell_s.shape)
        return south + rows * self.cell_m, west + columns * self.cell_m

    @cached_property
    def _places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitude and longitude of the cells' middles, (rows, columns) each."""
        north_m, east_m = self._centres_m
        lat_deg, lon_deg = self.frame.to_geodetic(*np.meshgrid(east_m, north_m))
        return lat_deg, lon_deg

    def _heights_amsl_m(self, ground: Ground) -> NDArray[np.float64]:
        """(rows, columns) height of the ground; kept, for it is the same ground picture after picture."""
        if self._ground is not ground:
            lat_deg, lon_deg = self._places
            heights = ground.height_amsl_m_at(lat_deg.ravel(), lon_deg.ravel())
            self._ground, self._ground_amsl_m = ground, heights.reshape(lat_deg.shape)
        return self._ground_amsl_m

    def _cells_of(self, region: BaseGeometry) -> NDArray[np.bool_]:
        """(rows, columns) the cells whose middle lies in a region, or the one that holds its middle."""
        north_m, east_m = self._centres_m
        cells = shapely.contains_xy(region, *np.meshgrid(east_m, north_m))
        if not cells.any() and not region.is_empty:
            middle = region.representative_point()
            west, south, _, _ = self.bounds_m
            row, column = int((middle.y - south) // self.cell_m), int((middle.x - west) // self.cell_m)
            if 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]:
                cells[row, column] = True
        return np.asarray(cells)

    def _is_sound(self) -> bool:
        """Whether the numbers can have come from `add`."""
        sums = (self.dwell_s, self.best_height_px, self.height_dwell_px_s)
        if not all(np.isfinite(array).all() and (array >= 0).all() for array in sums):
            return False
        seen = self.last_seen_ns > 0
        in_order = (self.first_seen_ns >= 0) & (self.first_seen_ns <= self.last_seen_ns)
        agree = ((self.first_seen_ns > 0) == seen) & ((self.best_height_px > 0) == seen)
        return bool((in_order & agree).all())


class CoverageLog:
    """Keeps the coverage of a sortie in a file, also over restarts of the process that adds to it.

    A file that cannot be read, or of another grid, is replaced; one that cannot be written costs a warning:
    the sortie is worth more than its coverage. While pictures come a thread of its own writes.
    """

    def __init__(self, path: Path, frame: LocalFrame, bounds_m: Bounds) -> None:
        """Go on where the file ends, if there is one.

        Raises:
            CoverageError: the bounds hold nothing.
        """
        west, south, east, north = bounds_m
        cell_m = max(LOG_CELL_M, math.sqrt(max(0.0, (east - west) * (north - south)) / LOG_CELLS))
        self.coverage = Coverage(frame, bounds_m, cell_m)
        self._path = path
        self._writer = threading.Thread()
        self._last_ns: int | None = None
        self._due_s: float | None = None
        self._told = ""
        if path.exists():
            try:
                self.coverage.merge(Coverage.load(path))
            except CoverageError as error:
                _LOG.warning("%s; it is begun anew", error)

    def saw(self, camera: CameraModel, pose: CameraPose, ground: Ground, *, now_s: float) -> None:
        """Add an analysed picture, taken at the pose's time; save now and then.

        The picture stands for the time since the one before, at most `MAX_DWELL_S`, and for none when time
        went back. `now_s` is a monotonic clock's.

        Raises:
            CameraError: the camera has no calibration for the field of view of the pose.
        """
        before_ns, self._last_ns = self._last_ns, pose.at_ns
        since_s = 0.0 if before_ns is None else (pose.at_ns - before_ns) / 1e9
        dwell_s = min(max(since_s, 0.0), MAX_DWELL_S)
        self.coverage.add(camera, pose, ground, at_ns=pose.at_ns, dwell_s=dwell_s)
        if self._due_s is None:
            self._due_s = now_s + SAVE_EVERY_S
        elif now_s >= self._due_s and not self._writer.is_alive():
            self._due_s = now_s + SAVE_EVERY_S
            kept = Coverage(self.coverage.frame, self.coverage.bounds_m, self.coverage.cell_m)
            kept.merge(self.coverage)
            self._writer = threading.Thread(target=self._write, args=(kept,), name="coverage")
            self._writer.start()

    def save(self) -> None:
        """Write the file before this returns; when it cannot be, say so once."""
        self.wait()
        self._write(self.coverage)

    def wait(self) -> None:
        """Wait until a file that is being written is written."""
        if self._writer.is_alive():
            self._writer.join()

    def _write(self, coverage: Coverage) -> None:
        try:
            coverage.save(self._path)
        except CoverageError as error:
            if str(error) != self._told:
                self._told = str(error)
                _LOG.warning("%s", error)


def _near_the_picture(
    camera: CameraModel,
    pose: CameraPose,
    north_m: NDArray[np.float64],
    east_m: NDArray[np.float64],
    down_m: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether rays (arrays of one shape) lie in the cone around the picture, and steeply enough."""
    to_ned = Rotation.from_euler("ZYX", [pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad])
    ahead_north, ahead_east, ahead_down = to_ned.apply(camera.gimbal_from_ray[:, 2])
    away2_m2 = north_m * north_m + east_m * east_m
    ahead_m = north_m * ahead_north + east_m * ahead_east + down_m * ahead_down
    in_cone = ahead_m >= _cos_to_the_corners(camera) * np.sqrt(away2_m2 + down_m * down_m)
    steep = (down_m > 0) & (down_m * down_m >= np.tan(MIN_GRAZING_RAD) ** 2 * away2_m2)
    return np.asarray(in_cone & steep)


def _range_m(camera: CameraModel) -> float:
    """Further out nobody is large enough: in a pinhole's corner an angle takes f / cos^2 pixels, no more."""
    cosine = _cos_to_the_corners(camera)
    if cosine < 0:
        return np.inf
    return max(camera.fx_px, camera.fy_px) * PERSON_M / LEAST_MARKED_PX / cosine**2


@lru_cache(maxsize=16)
def _cos_to_the_corners(camera: CameraModel) -> float:
    """Cosine of the angle from the middle ray to the picture's outermost; -1 where the lens tells none."""
    share = np.linspace(0, 1, _EDGE_SAMPLES)
    edges = [(share, share * 0), (share, share * 0 + 1), (share * 0, share), (share * 0 + 1, share)]
    pixels = np.hstack(edges).T * (camera.width_px, camera.height_px)
    rays, _ = camera.undistort(pixels)
    return float(1 / np.sqrt(1 + (rays * rays).sum(axis=1)).max()) if np.isfinite(rays).all() else -1.0


def _read(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """One array of an npz. Nothing is allocated on the word of a header alone, and nothing is unpickled."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > MAX_CELLS * dtype.itemsize + _NPY_HEADER_BYTES:
        raise ValueError(f"{name} is larger than any coverage's")
    with archive.open(info) as member:
        content = io.BytesIO(member.read(info.file_size))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{name} is of another format")
    found_shape, in_columns, found_dtype = np.lib.format.read_array_header_1_0(content)
    if found_dtype != dtype or in_columns or (shape is not None and found_shape != shape):
        raise ValueError(f"{name} is of another shape or kind")
    return np.frombuffer(content.read(), dtype).reshape(found_shape)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
