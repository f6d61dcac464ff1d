"""Ground that is not level: heights on a grid, read from a GeoTIFF.

Needs rasterio, which the extra `terrain` installs; it is imported only when a file is read.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter

from patrol.domain.heights import Amsl
from patrol.geo.documents import DocumentError
from patrol.geo.frames import EARTH_RADIUS_M
from patrol.geo.ground import Meeting

_SEMI_MAJOR_M, _ECCENTRICITY_SQUARED = 6_378_137.0, 6.69437999014e-3  # WGS-84

_FARTHEST_M = 5000.0  # a person there is smaller than any pixel; nothing is found that far away
_BLOCKS = (4, 16, 64)  # cells a side of the blocks that rays high enough above them cross in one step
_PLUMB = 1e-3  # level part of a ray, below which it counts as straight down
_STEEPEST = 0.7  # rise of the steepest stairs for the public: 0.175 m on 0.26 m (GB 50352-2019)
_HALVINGS = 30  # of a step of half a cell, to a billionth; of 500 m straight down, to a micrometre

_LARGEST_CELLS = 16_000_000  # 4 km square at 1 m, or a tile of SRTM at one second
_LARGEST_FILE_BYTES = 512_000_000  # as many cells of 8 bytes, uncompressed, thrice over for pyramids
_CELLS_M = (0.01, 100.0)  # finer is a mistake in the georeference, coarser has no market on it
_HEIGHTS_M = (-600.0, 9000.0)  # the Dead Sea's shore to the highest summit, with the geoid's 106 m
_METRES = (None, "", "m", "metre", "metres", "meter", "meters")

# Nothing beside the file is read, nothing is fetched: one file says all.
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "PROJ_NETWORK": "OFF",
}


@dataclass(frozen=True, eq=False)
class Terrain:
    """Heights on a grid of degrees, bilinear between the middles of its cells; a `Ground`.

    Attributes:
        heights_amsl_m: (rows, columns) float32, from north to south and west to east; NaN is unknown.
        north_deg, west_deg: WGS-84 place of the middle of the first cell.
        step_lat_deg, step_lon_deg: southwards from row to row, eastwards from column to column.
        sigma_m: one-sigma error of the heights.
    """

    heights_amsl_m: NDArray[np.float32]
    north_deg: float
    west_deg: float
    step_lat_deg: float
    step_lon_deg: float
    sigma_m: float

    def height_amsl_m_at(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
        """Heights (N,) float64 at WGS-84 places (N,) or numbers; NaN off the grid and beside unknown ones."""
        lat_deg, lon_deg = np.broadcast_arrays(np.atleast_1d(lat_deg), np.atleast_1d(lon_deg))
        return self.heights_at(self.cells(lat_deg, lon_deg))

    def meet(self, lat_deg: float, lon_deg: float, height: Amsl, rays_ned: NDArray[np.float64]) -> Meeting:
        """Where rays (3, N) first go below the ground; see `Ground.meet`.

        Each is followed in steps of half a cell, or of a whole block of cells where it is above all ground
        near by, until it is below the ground; then the step is halved. A ridge that a ray cuts over less than
        half a cell can be missed. A ray is lost (NaN) that begins below the ground, points up, leaves the
        grid, passes low over an unknown cell or meets nothing within 5 km.

        Slopes are those between the neighbouring cells on both sides. Steeper than stairs is no ground to
        stand on but a wall in a surface model, whose slope would claim to know too well where its foot is:
        there the ground counts as level.
        """
        length = np.sqrt((rays_ned * rays_ned).sum(axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            walk = _Walk(self, lat_deg, lon_deg, height.metres, rays_ned / length)
        reach_m = walk.first_below()
        met = np.isfinite(reach_m)
        places = walk.cells(reach_m[met], met)
        south, east = np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])
        rise_ne = np.full((2, len(reach_m)), np.nan)
        rise_ne[0, met] = self.heights_at(places - south) - self.heights_at(places + south)
        rise_ne[1, met] = self.heights_at(places + east) - self.heights_at(places - east)
        rise_ne /= 2 * walk.cell_m[:, None]
        reach_m[~np.isfinite(rise_ne).all(axis=0)] = np.nan
        rise_ne[:, np.hypot(rise_ne[0], rise_ne[1]) > _STEEPEST] = 0.0
        return Meeting(reach_m / length, rise_ne)

    def cells(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
        """Fractional rows and columns (2, ...) of places, also across the date line."""
        rows = (self.north_deg - np.asarray(lat_deg)) / self.step_lat_deg
        columns = ((np.asarray(lon_deg) - self.west_deg + 180) % 360 - 180) / self.step_lon_deg
        return np.stack([rows, columns])

    def heights_at(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights (N,) at fractional rows and columns (2, N), NaN off the grid and beside unknown ones."""
        last = np.array(self.heights_amsl_m.shape)[:, None] - 1
        inside = ((cells >= 0) & (cells <= last)).all(axis=0)  # not so for NaN
        cells = np.where(inside, cells, 0.0)
        top, left = corner = np.minimum(cells.astype(np.intp), last - 1)
        down, right = cells - corner
        grid = self.heights_amsl_m
        upper = grid[top, left] * (1 - right) + grid[top, left + 1] * right
        lower = grid[top + 1, left] * (1 - right) + grid[top + 1, left + 1] * right
        return np.where(inside, upper * (1 - down) + lower * down, np.nan)

    @cached_property
    def _tops_m(self) -> dict[int, NDArray[np.float32]]:
        """For blocks of so many cells a side, the greatest height in each block and its eight neighbours.

        Infinite where a height is unknown.
        """
        tops = np.nan_to_num(self.heights_amsl_m, nan=np.inf)
        levels: dict[int, NDArray[np.float32]] = {}
        for cells in _BLOCKS:
            ratio = int(cells / max(levels, default=1))
            padding = [(0, -side % ratio) for side in tops.shape]
            padded = np.pad(tops, padding, constant_values=-np.inf)
            tops = padded.reshape(padded.shape[0] // ratio, ratio, -1, ratio).max(axis=(1, 3))
            levels[cells] = maximum_filter(tops, size=3, mode="constant", cval=-np.inf)
        return levels


class _Walk:
    """The way of rays (3, N) of unit length over a terrain."""

    def __init__(
        self,
        terrain: Terrain,
        lat_deg: float,
        lon_deg: float,
        eye_amsl_m: float,
        units_ned: NDArray[np.float64],
    ) -> None:
        self._terrain = terrain
        self._eye_amsl_m = eye_amsl_m
        north, east, self._down = units_ned
        self._level = np.hypot(north, east)
        lat_rad = np.radians(lat_deg)
        flattened = 1 - _ECCENTRICITY_SQUARED * np.sin(lat_rad) ** 2
        normal_m = _SEMI_MAJOR_M / np.sqrt(flattened) + eye_amsl_m
        meridian_m = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / flattened**1.5 + eye_amsl_m
        parallel_m = normal_m * np.cos(lat_rad)
        self.cell_m = np.radians([terrain.step_lat_deg, terrain.step_lon_deg]) * (meridian_m, parallel_m)
        # Series of the tangent plane on the ellipsoid: rows and columns by metres, and by their squares.
        self._start = np.array(terrain.cells(lat_deg, lon_deg))[:, None]
        self._rate = np.array([-north, east]) / self.cell_m[:, None]
        self._bend = (
            np.array(
                [east * east * np.tan(lat_rad) / (2 * normal_m), east * north * np.sin(lat_rad) / parallel_m]
            )
            / self.cell_m[:, None]
        )

    def cells(self, along_m: NDArray[np.float64], of: NDArray[Any]) -> NDArray[np.float64]:
        """Fractional rows and columns (2, M) below the points (M,) along the rays that `of` picks.

        Within 5 km and 70 degrees of latitude they are 5 cm from the exact ones at most.
        """
        return np.asarray(self._start + along_m * (self._rate[:, of] + along_m * self._bend[:, of]))

    def first_below(self) -> NDArray[np.float64]:
        """Metres (N,) along each ray to its first meeting with the ground; NaN without one."""
        above_m, below_m = np.full((2, len(self._level)), np.nan)
        left = np.flatnonzero(self._down > 0)  # those still above the ground; not so for NaN
        left = left[self._above_ground_m(np.zeros(len(left)), left) > 0]
        along_m = np.zeros(len(left))
        while len(left):
            beyond_m = along_m + self._step_m(along_m, left)
            clearance_m = self._above_ground_m(beyond_m, left)
            met = clearance_m <= 0
            above_m[left[met]], below_m[left[met]] = along_m[met], beyond_m[met]
            going_on = (clearance_m > 0) & (beyond_m * self._level[left] < _FARTHEST_M)  # not so for NaN
            left, along_m = left[going_on], beyond_m[going_on]
        everyone = np.arange(len(self._level))
        for _ in range(_HALVINGS):
            middle_m = (above_m + below_m) / 2
            is_above = self._above_ground_m(middle_m, everyone) > 0
            above_m, below_m = np.where(is_above, middle_m, above_m), np.where(is_above, below_m, middle_m)
        return np.asarray((above_m + below_m) / 2)

    def _step_m(self, along_m: NDArray[np.float64], of: NDArray[np.intp]) -> NDArray[np.float64]:
        """How far rays may go on: half a cell, or the side of the largest block whose ground they clear."""
        # Steps are measured on the level: straight down one is enough, for there is one height.
        cell_m = self.cell_m.min() / np.maximum(self._level[of], _PLUMB)
        step_m = cell_m / 2
        cells = self.cells(along_m, of).astype(np.intp)
        for side, tops_m in self._terrain._tops_m.items():
            rows, columns = (np.clip(c // side, 0, n - 1) for c, n in zip(cells, tops_m.shape, strict=True))
            clear = self._ray_amsl_m(along_m + side * cell_m, of) > tops_m[rows, columns]
            step_m = np.where(clear, side * cell_m, step_m)
        return np.asarray(step_m)

    def _ray_amsl_m(self, along_m: NDArray[np.float64], of: NDArray[np.intp]) -> NDArray[np.float64]:
        falls_away_m = np.square(along_m * self._level[of]) / (2 * EARTH_RADIUS_M)
        return np.asarray(self._eye_amsl_m - along_m * self._down[of] + falls_away_m)

    def _above_ground_m(self, along_m: NDArray[np.float64], of: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._ray_amsl_m(along_m, of) - self._terrain.heights_at(self.cells(along_m, of))


def read_terrain(
    path: Path, *, datum: Literal["amsl", "hae"], geoid_m: float = 0.0, sigma_m: float
) -> Terrain:
    """Read a height grid from a GeoTIFF of one band in any coordinate system.

    A grid that is not north up in WGS-84 degrees is resampled to that, bilinearly and as finely.

    Args:
        path: the file.
        datum: what its heights count from: mean sea level, or the ellipsoid. Files do not say it reliably.
        geoid_m: how far the geoid lies above the ellipsoid there, for heights above the ellipsoid.
        sigma_m: one-sigma error of the heights.

    Raises:
        DocumentError: rasterio is not installed, or the file is no such grid; the message says what to do.
    """
    try:
        import rasterio  # noqa: PLC0415  # an optional extra
        from rasterio._err import CPLE_BaseError  # noqa: PLC0415  # some of GDAL's errors come unwrapped
    except ImportError as error:
        raise DocumentError(
            f"{path}: terrain needs the package rasterio; install it by: pip install 'night-patrol[terrain]'"
        ) from error
    if not path.is_file():
        raise DocumentError(f"{path}: no such file; check the name of the terrain")
    if path.stat().st_size > _LARGEST_FILE_BYTES:
        raise DocumentError(
            f"{path}: is {path.stat().st_size / 1e6:.0f} MB, more than the "
            f"{_LARGEST_FILE_BYTES / 1e6:.0f} MB read at most; cut the market out of it with gdalwarp -te"
        )
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is checked below
            with rasterio.open(path, driver="GTiff") as grid:
                _check(path, grid)
                heights_m = _heights_m(path, grid)
                heights_m, transform = _in_degrees(path, rasterio, heights_m, grid)
    except (rasterio.errors.RasterioError, CPLE_BaseError, ValueError, OSError, MemoryError) as error:
        if isinstance(error, DocumentError):
            raise
        why = " ".join(str(error).split())
        raise DocumentError(
            f"{path}: is not a GeoTIFF that can be read ({why[:200]}); export the terrain again"
        ) from error
    if datum == "hae":
        heights_m -= np.float32(geoid_m)
    return Terrain(
        heights_amsl_m=heights_m,
        north_deg=transform.f + transform.e / 2,
        west_deg=transform.c + transform.a / 2,
        step_lat_deg=-transform.e,
        step_lon_deg=transform.a,
        sigma_m=sigma_m,
    )


def _check(path: Path, grid: Any) -> None:
    """Refuse by its header what is no height grid, before anything of it is read."""
    rows, columns = grid.shape
    block_cells = max(a * b for a, b in grid.block_shapes)
    if grid.count != 1:
        raise DocumentError(f"{path}: has {grid.count} bands; write the heights alone with gdal_translate -b")
    if max(rows * columns, block_cells) > _LARGEST_CELLS:
        raise DocumentError(
            f"{path}: holds {columns} by {rows} cells, more than the {_LARGEST_CELLS / 1e6:.0f} million read "
            "at most; cut the market out of it with gdalwarp -te"
        )
    if min(rows, columns) < 3:
        raise DocumentError(
            f"{path}: holds {columns} by {rows} cells, too few for slopes; export a larger part"
        )
    if grid.crs is None:
        raise DocumentError(f"{path}: names no coordinate system; give it one with gdal_edit -a_srs")
    if grid.transform.is_identity or grid.transform.is_degenerate:
        raise DocumentError(f"{path}: does not say where it lies; export it with its georeference")
    if np.dtype(grid.dtypes[0]).kind not in "iuf":
        raise DocumentError(f"{path}: holds {grid.dtypes[0]}, which are no heights; export them as Float32")
    if str(grid.units[0] or "").lower() not in _METRES:
        raise DocumentError(f"{path}: holds heights in {grid.units[0]}; export it in metres")


def _heights_m(path: Path, grid: Any) -> NDArray[np.float32]:
    """(rows, columns) as read, NaN where the file says that it knows nothing."""
    with np.errstate(all="ignore"):  # what overflows is refused below
        scaled = grid.read(1, masked=True).astype(np.float64) * grid.scales[0] + grid.offsets[0]
        heights_m = np.ma.filled(scaled, np.nan).astype(np.float32)
    known = heights_m[~np.isnan(heights_m)]
    if not len(known):
        raise DocumentError(f"{path}: holds no height at all; export the terrain again")
    lowest_m, highest_m = float(known.min()), float(known.max())
    if not (_HEIGHTS_M[0] <= lowest_m and highest_m <= _HEIGHTS_M[1]):
        raise DocumentError(
            f"{path}: holds heights from {lowest_m:g} to {highest_m:g} m, where no ground is; if one of them "
            "stands for unknown, say so with gdal_edit -a_nodata"
        )
    return np.asarray(heights_m)


def _in_degrees(
    path: Path, rasterio: ModuleType, heights_m: NDArray[np.float32], grid: Any
) -> tuple[NDArray[np.float32], Any]:
    """Heights and affine transform of the grid in WGS-84 degrees, north up."""
    from rasterio import warp  # noqa: PLC0415

    transform, wgs84 = grid.transform, rasterio.crs.CRS.from_epsg(4326)
    north_up = transform.b == transform.d == 0 and transform.a > 0 > transform.e
    if not (north_up and grid.crs == wgs84):
        rows, columns = grid.shape
        transform, columns, rows = warp.calculate_default_transform(
            grid.crs, wgs84, columns, rows, *rasterio.transform.array_bounds(rows, columns, transform)
        )
        if rows * columns > 2 * _LARGEST_CELLS or min(rows, columns) < 3:
            raise DocumentError(f"{path}: cannot be laid out in degrees; check its coordinate system")
        resampled = np.full((rows, columns), np.nan, np.float32)
        warp.reproject(
            heights_m, resampled, src_transform=grid.transform, src_crs=grid.crs, src_nodata=np.nan,
            dst_transform=transform, dst_crs=wgs84, dst_nodata=np.nan,
            resampling=warp.Resampling.bilinear, tolerance=0,
        )  # fmt: skip
        heights_m = resampled
    rows, columns = heights_m.shape
    north_deg, south_deg = transform.f, transform.f + rows * transform.e
    if not (
        -90 <= south_deg < north_deg <= 90 and -360 <= transform.c <= 360 and columns * transform.a < 180
    ):
        raise DocumentError(
            f"{path}: lies at {south_deg:g} to {north_deg:g} degrees of latitude and from {transform.c:g} of "
            "longitude on; check its coordinate system"
        )
    cell_m = -transform.e * np.pi / 180 * EARTH_RADIUS_M
    if not _CELLS_M[0] <= cell_m <= _CELLS_M[1]:
        raise DocumentError(
            f"{path}: has cells of {cell_m:.3g} m; use a grid of {_CELLS_M[0]:g} to {_CELLS_M[1]:g} m"
        )
    if not np.isfinite(heights_m).any():
        raise DocumentError(f"{path}: holds no height once laid out in degrees; check its coordinate system")
    return heights_m, transform
