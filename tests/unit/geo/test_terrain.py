import math
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio import warp

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.documents import DocumentError
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import LevelGround
from patrol.geo.projection import PoseErrors, footprint, ground_to_pixels, pixels_to_ground
from patrol.geo.terrain import Terrain, read_terrain

LAT, LON = 31.3, 120.62
FRAME = LocalFrame(LAT, LON)
CAMERA = CameraModel(640, 480, 500.0, 500.0, 320.0, 240.0)
NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def terrain(shape: Shape, *, half_m: float = 400.0, cell_m: float = 2.0, sigma_m: float = 0.0) -> Terrain:
    """A square grid about the origin, of heights by east and north in metres."""
    step_lat, step_lon = cell_m / 110_850.0, cell_m / 95_230.0
    count = int(half_m / cell_m)
    lat = LAT + np.arange(count, -count - 1, -1) * step_lat
    lon = LON + np.arange(-count, count + 1) * step_lon
    east, north = FRAME.to_enu(*np.meshgrid(lat, lon, indexing="ij"))
    heights = np.asarray(shape(east, north), dtype=np.float32) + np.zeros_like(east, dtype=np.float32)
    return Terrain(heights, lat[0], lon[0], step_lat, step_lon, sigma_m)


def plane(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    return 4.0 + 0.1 * east - 0.2 * north


def hill(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    return 30.0 * np.exp(-(east**2 + (north - 60.0) ** 2) / (2 * 15.0**2))


def pose_at(height_amsl_m: float, pitch_deg: float, yaw_deg: float = 0.0) -> CameraPose:
    return CameraPose(0, LAT, LON, Amsl(height_amsl_m), 0.0, math.radians(pitch_deg), math.radians(yaw_deg))


def rays(*ned: tuple[float, float, float]) -> np.ndarray:
    return np.array(ned, dtype=np.float64).T


def test_rays_meet_a_slope_where_geometry_says() -> None:
    rng = np.random.default_rng(3)
    towards = rng.normal(size=(3, 300))
    towards[2] = np.abs(towards[2]) + 1.0
    meeting = terrain(plane).meet(LAT, LON, Amsl(50.0), towards)
    n, e, d = towards
    # 50 - t d = 4 + 0.1 t e - 0.2 t n, but for what the earth falls away by.
    falling = d + 0.1 * e - 0.2 * n
    flat = 46.0 / falling
    bent = flat + flat**2 * (n * n + e * e) / (2 * 6.371e6 * falling)
    np.testing.assert_allclose(meeting.reach, bent, rtol=1e-5)
    np.testing.assert_allclose(meeting.rise_ne, np.tile([[-0.2], [0.1]], (1, 300)), atol=2e-4)


def test_the_first_meeting_counts() -> None:
    ground = terrain(hill, half_m=320, cell_m=0.5)
    # The hill is 30 m high, 60 m north: from 50 m a ray clears it or hits its near side, never its far one.
    for end_north_m in np.linspace(65, 300, 30):
        towards = rays((end_north_m, 0.0, 50.0))
        reach = float(ground.meet(LAT, LON, Amsl(50.0), towards).reach[0])
        north_m = np.linspace(0, 1.05 * end_north_m, 200_001)
        under = 50.0 * (1 - north_m / end_north_m) <= hill(np.zeros(1), north_m)
        assert reach * end_north_m == pytest.approx(north_m[np.argmax(under)], abs=0.05)


def test_the_foot_of_a_wall_is_not_known_better_than_level_ground() -> None:
    ground = terrain(lambda e, n: np.where(n > 40.5, 20.0, 0.0), cell_m=1.0)
    meeting = ground.meet(LAT, LON, Amsl(40.0), rays((38.0, 0.0, 40.0), (40.0, 0.0, 40.0), (50.0, 0.0, 25.0)))
    np.testing.assert_array_equal(meeting.rise_ne, np.zeros((2, 3)))


def test_a_ray_along_a_wall_of_one_cell_is_stopped() -> None:
    ground = terrain(lambda e, n: np.where(np.abs(n - 40) < 1.5, 25.0, 0.0))
    meeting = ground.meet(LAT, LON, Amsl(20.0), rays((100.0, 0.0, 20.0), (100.0, 30.0, 20.0)))
    assert (meeting.reach * 100.0 < 41.0).all()


@pytest.mark.parametrize(
    "towards",
    [(0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (1.0, 0.0, 0.02), (math.nan, 0.0, 1.0), (0.0, 0.0, 0.0)],
    ids=["up", "level", "off the grid", "NaN", "nowhere"],
)
def test_rays_that_meet_no_known_ground_are_lost(towards: tuple[float, float, float]) -> None:
    reach = terrain(plane).meet(LAT, LON, Amsl(60.0), rays(towards, (0.0, 0.0, 1.0))).reach
    assert np.isnan(reach[0])
    assert reach[1] == pytest.approx(56.0, abs=1e-3)


def test_no_known_ground_below_the_eye_is_no_place() -> None:
    down = rays((0.0, 0.0, 1.0))
    assert np.isnan(terrain(plane).meet(LAT, LON, Amsl(3.0), down).reach).all()  # inside the hill
    assert np.isnan(terrain(plane).meet(LAT + 1.0, LON, Amsl(60.0), down).reach).all()
    hole = terrain(lambda e, n: np.where(np.hypot(e, n) < 10, np.nan, 4.0))
    assert np.isnan(hole.meet(LAT, LON, Amsl(60.0), rays((1.0, 0.0, 1.0))).reach).all()


def test_a_hole_on_the_way_hides_what_is_behind_when_the_ray_is_low() -> None:
    hole = terrain(lambda e, n: np.where((n > 50) & (n < 70), np.nan, 0.0))
    reach = hole.meet(
        LAT, LON, Amsl(20.0), rays((40.0, 0.0, 20.0), (60.0, 0.0, 20.0), (75.0, 0.0, 20.0))
    ).reach
    np.testing.assert_array_equal(np.isfinite(reach), [True, False, False])


def test_flat_terrain_is_level_ground() -> None:
    ground = terrain(lambda e, n: 4.0 + 0 * e, half_m=800)
    options = {"pixel_sigma_px": (1.0, 2.0), "errors": PoseErrors(1.0, 1.5, 0.01, 0.02, 0.03, 0.1)}
    on_grid, on_plane = (
        pixels_to_ground(
            CAMERA, pose_at(64.0, -20), [[320, 240], [10, 300], [600, 470]], ground=below, **options
        )
        for below in (ground, LevelGround(Amsl(4.0)))
    )
    assert on_grid.valid.all()
    np.testing.assert_allclose(on_grid.lat_deg, on_plane.lat_deg, rtol=0, atol=1e-9)
    np.testing.assert_allclose(on_grid.lon_deg, on_plane.lon_deg, rtol=0, atol=1e-9)
    np.testing.assert_allclose(on_grid.spread_en_m, on_plane.spread_en_m, rtol=1e-6, atol=1e-9)


def test_what_a_hill_hides_is_placed_on_the_hill() -> None:
    ground = terrain(hill)
    lat, lon = FRAME.to_geodetic(0.0, 110.0)
    pose = pose_at(40.0, -25)
    pixels, in_view = ground_to_pixels(CAMERA, pose, lat, lon, ground.height_amsl_m_at(lat, lon))
    assert in_view[0]
    points = pixels_to_ground(CAMERA, pose, pixels, ground=ground, pixel_sigma_px=(1, 1), errors=NO_ERRORS)
    _, north = FRAME.to_enu(points.lat_deg, points.lon_deg)
    assert 40 < north[0] < 62


@settings(deadline=None, max_examples=60)
@given(st.floats(-60, -30), st.floats(0, 360), st.floats(0, 640), st.floats(0, 480))
def test_pixel_to_terrain_and_back(pitch_deg: float, yaw_deg: float, x: float, y: float) -> None:
    pose = pose_at(70.0, pitch_deg, yaw_deg)
    points = pixels_to_ground(
        CAMERA, pose, [[x, y]], ground=HILLY, pixel_sigma_px=(1.0, 1.0), errors=NO_ERRORS
    )
    if not points.valid[0]:
        return
    height = HILLY.height_amsl_m_at(points.lat_deg, points.lon_deg)
    pixels, _ = ground_to_pixels(CAMERA, pose, points.lat_deg, points.lon_deg, height)
    np.testing.assert_allclose(pixels, [[x, y]], atol=0.001)


HILLY = terrain(lambda e, n: 5 * np.sin(e / 20) * np.cos(n / 30) + hill(e, n), half_m=600)


def test_footprint_lies_on_the_terrain() -> None:
    slope = terrain(lambda e, n: 0.3 * n)
    pose = pose_at(40.0, -60)
    ring = footprint(CAMERA, pose, ground=slope, max_range_m=200)
    lat, lon = np.array([[p.lat_deg, p.lon_deg] for p in ring]).T
    pixels, _ = ground_to_pixels(CAMERA, pose, lat, lon, slope.height_amsl_m_at(lat, lon))
    on_border = np.minimum(np.abs(pixels - (0, 0)), np.abs(pixels - (640, 480))).min(axis=1)
    assert len(ring) > 20
    assert on_border.max() < 0.1
    assert (
        footprint(CAMERA, CameraPose(0, 0.0, 0.0, Amsl(50), 0, -1.5, 0), ground=slope, max_range_m=99) == ()
    )


def test_cells_below_a_ray_agree_with_the_geodesy() -> None:
    from patrol.geo.terrain import _Walk

    for lat in (-70.0, 0.0, 31.3, 70.0):
        grid = Terrain(np.zeros((3, 3), np.float32), lat, LON, 1e-5, 1e-5, 0.0)
        turn = np.linspace(0, 2 * np.pi, 37)
        units = np.array([np.cos(turn), np.sin(turn), np.zeros(37)])
        for far_m, near_m in ((1000.0, 0.003), (5000.0, 0.05)):
            rows, columns = _Walk(grid, lat, LON, 0.0, units).cells(np.full(37, far_m), np.arange(37))
            east, north = LocalFrame(lat, LON).to_enu(lat - rows * 1e-5, LON + columns * 1e-5)
            assert np.hypot(east - far_m * units[1], north - far_m * units[0]).max() < near_m


# Files


def north_up(west: float, north: float, step: float) -> Affine:
    return Affine(step, 0.0, west, 0.0, -step, north)


def write(path: Path, heights: np.ndarray, **changes: object) -> Path:
    profile = {
        "driver": "GTiff", "count": 1, "height": heights.shape[-2], "width": heights.shape[-1],
        "dtype": heights.dtype, "crs": "EPSG:4326", "transform": north_up(LON, LAT, 2e-5),
    } | changes  # fmt: skip
    with rasterio.open(path, "w", **{k: v for k, v in profile.items() if v is not None}) as grid:
        grid.write(heights if heights.ndim == 3 else heights[None])
    return path


def sloped(rows: int = 40, columns: int = 50) -> np.ndarray:
    return (10 + 0.5 * np.arange(rows)[:, None] + 0.25 * np.arange(columns)).astype(np.float32)


def test_a_grid_in_degrees_is_read_as_it_is(tmp_path: Path) -> None:
    grid = read_terrain(write(tmp_path / "a.tif", sloped()), datum="amsl", sigma_m=0.3)
    # The middle of row 2, column 4.
    assert grid.height_amsl_m_at(LAT - 5e-5, LON + 9e-5) == pytest.approx(12.0, abs=1e-6)
    assert grid.height_amsl_m_at([LAT - 4e-5], [LON + 8e-5]) == pytest.approx(11.625, abs=1e-6)
    assert np.isnan(grid.height_amsl_m_at([LAT + 1, math.nan], [LON, LON])).all()
    assert grid.sigma_m == 0.3


def test_heights_above_the_ellipsoid_are_brought_to_sea_level(tmp_path: Path) -> None:
    grid = read_terrain(write(tmp_path / "a.tif", sloped()), datum="hae", geoid_m=9.5, sigma_m=0.3)
    assert grid.height_amsl_m_at(LAT - 5e-5, LON + 9e-5) == pytest.approx(2.5, abs=1e-5)


@pytest.mark.parametrize("crs", ["EPSG:32651", "EPSG:4490", "EPSG:3857", "EPSG:4549"])
def test_any_coordinate_system_gives_the_same_heights(tmp_path: Path, crs: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rasterio about affine, its own dependency
        transform, columns, rows = warp.calculate_default_transform(
            "EPSG:4326", crs, 300, 300, LON - 0.002, LAT - 0.002, LON + 0.002, LAT + 0.002
        )
    xs, ys = np.meshgrid(
        transform.c + transform.a * (np.arange(columns) + 0.5),
        transform.f + transform.e * (np.arange(rows) + 0.5),
    )
    lon, lat = map(np.array, warp.transform(crs, "EPSG:4326", xs.ravel(), ys.ravel()))
    east, north = FRAME.to_enu(lat, lon)
    heights = (20 + 0.1 * east - 0.05 * north + 3 * np.sin(east / 25)).reshape(rows, columns)
    path = write(tmp_path / "a.tif", heights.astype(np.float32), crs=crs, transform=transform)
    grid = read_terrain(path, datum="amsl", sigma_m=0.0)
    east, north = np.random.default_rng(0).uniform(-150, 150, (2, 500))
    found = grid.height_amsl_m_at(*FRAME.to_geodetic(east, north))
    np.testing.assert_allclose(found, 20 + 0.1 * east - 0.05 * north + 3 * np.sin(east / 25), atol=0.02)


def test_unknown_cells_are_unknown_places(tmp_path: Path) -> None:
    heights = sloped()
    heights[10, 10] = -9999
    grid = read_terrain(write(tmp_path / "a.tif", heights, nodata=-9999), datum="amsl", sigma_m=0.0)
    assert np.isnan(grid.height_amsl_m_at(LAT - 20.4e-5, LON + 20.4e-5))
    assert np.isfinite(grid.height_amsl_m_at(LAT - 30e-5, LON + 20e-5))


def test_scaled_integers_are_metres(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((10, 10), 1234, np.int16))
    with rasterio.open(path, "r+") as grid:
        grid.scales, grid.offsets = (0.1,), (-100.0,)
    grid = read_terrain(path, datum="amsl", sigma_m=0.0)
    assert grid.height_amsl_m_at(LAT - 1e-4, LON + 1e-4) == pytest.approx(23.4, abs=1e-5)


FAULTS = {
    "two bands": ({"count": 2}, np.zeros((2, 9, 9), np.float32), "has 2 bands"),
    "no crs": ({"crs": None}, sloped(), "names no coordinate system"),
    "no place": ({"transform": None}, sloped(), "does not say where it lies"),
    "complex": ({}, sloped().astype(np.complex64), "holds complex64"),
    "tiny": ({}, sloped(2, 9), "holds 9 by 2 cells, too few"),
    "all unknown": ({}, np.full((9, 9), np.nan, np.float32), "holds no height at all"),
    "infinite": ({}, np.full((9, 9), np.inf, np.float32), "holds heights from inf to inf m"),
    "undeclared nodata": ({}, np.full((9, 9), -32768, np.int16), "stands for unknown, say so"),
    "beyond the pole": ({"transform": north_up(0, 95, 1e-5)}, sloped(), "lies at 94.9996 to 95 degrees"),
    "the world": ({"transform": north_up(-180, 90, 4)}, sloped(45, 90), "check its coordinate system"),
    "coarse": ({"transform": north_up(100, 30, 0.01)}, sloped(), "has cells of"),
    "microscopic": ({"transform": north_up(100, 30, 1e-9)}, sloped(), "has cells of"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_no_height_grid_is_told(tmp_path: Path, fault: str) -> None:
    changes, heights, sentence = FAULTS[fault]
    path = write(tmp_path / "a.tif", heights, **changes)
    with pytest.raises(DocumentError) as caught:
        read_terrain(path, datum="amsl", sigma_m=0.1)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


def test_heights_in_feet_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", sloped())
    with rasterio.open(path, "r+") as grid:
        grid.units = ("ft",)
    with pytest.raises(DocumentError, match="holds heights in ft; export it in metres"):
        read_terrain(path, datum="amsl", sigma_m=0.1)


def test_missing_file_and_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no such file"):
        read_terrain(tmp_path / "a.tif", datum="amsl", sigma_m=0.1)
    with pytest.raises(DocumentError, match="no such file"):
        read_terrain(tmp_path, datum="amsl", sigma_m=0.1)
    vrt = tmp_path / "a.tif"
    vrt.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')  # could name any other file
    with pytest.raises(DocumentError, match="is not a GeoTIFF that can be read"):
        read_terrain(vrt, datum="amsl", sigma_m=0.1)


def test_an_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", sloped(), tiled=True, blockxsize=64, blockysize=64)
    header = bytearray(path.read_bytes())
    entries = struct.unpack_from("<I", header, 4)[0]
    for entry in range(struct.unpack_from("<H", header, entries)[0]):
        at = entries + 2 + 12 * entry
        if struct.unpack_from("<H", header, at)[0] in (256, 257):  # ImageWidth, ImageLength
            struct.pack_into("<HII", header, at + 2, 4, 1, 2_000_000)
    path.write_bytes(bytes(header))
    with pytest.raises(DocumentError, match=r"cells, more than the 16 million read at most|is not a GeoTIFF"):
        read_terrain(path, datum="amsl", sigma_m=0.1)


def test_without_rasterio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tif", sloped())
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(DocumentError, match=r"pip install 'night-patrol\[terrain\]'"):
        read_terrain(path, datum="amsl", sigma_m=0.1)


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("fuzz")
    return write(folder / "a.tif", sloped(), compress="deflate", nodata=-9999.0).read_bytes()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_sentences_or_sound_terrain(
    tmp_path: Path, sound_file: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(sound_file)
    for _ in range(data.draw(st.integers(0, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    path = tmp_path / "damaged.tif"
    path.write_bytes(bytes(damaged))
    try:
        grid = read_terrain(path, datum="amsl", sigma_m=0.1)
    except DocumentError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017  # either outcome is right
        return
    known = grid.heights_amsl_m[np.isfinite(grid.heights_amsl_m)]
    assert len(known)
    assert (known >= -600).all()
    assert (known <= 9000).all()
    grid.meet(LAT, LON, Amsl(100.0), rays((1.0, 1.0, 1.0)))
