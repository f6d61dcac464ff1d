"""`patrol eval geo`, exact inputs: how far from the truth a ground point lies when nothing errs.

What is told is a flight as an aircraft and a lens say it: samples of position, attitude, gimbal and zoom
around the picture's instant, and an installation with lever arm and biases. The truth comes from
`patrol.commands.geo_truth`. Level ground is what a map means by it: one height above the ellipsoid (above sea
level with the geoid's separation the same all over the picture), so it curves with the earth.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from patrol.commands import geo_truth
from patrol.commands.geo_truth import Arrows, Floats
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, CameraMotion, GimbalSample, LensSample, PositionSample
from patrol.geo.camera import CameraModel, Installation, ZoomStep
from patrol.geo.ground import Ground, LevelGround
from patrol.geo.history import PoseHistory
from patrol.geo.projection import MIN_GRAZING_RAD, PoseErrors, pixels_to_ground
from patrol.geo.terrain import read_terrain

Heights = Callable[[Floats, Floats], Floats]
"""Heights above sea level in metres (N,) at latitudes and longitudes in degrees (N,)."""

NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
RANGE_ENDS_M = (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)

_PICTURE_NS = 1_790_000_000_123_456_789
_NS_PER_S = 1_000_000_000
_PIXELS_A_POSE = 8
_MOTION_EVERY = 10  # flights; the motion takes longer to tell than all the rest
_SKY_M = 500.0  # how far away the points are that stand for the sky
_LIMIT_TOLERANCE_RAD = (
    1e-4  # the earth's curvature over the furthest range: neither side of the limit is wrong
)

# Brown-Conrady coefficients and fields of view of cameras that drones carry, from straight to much bent.
_WIDTH_PX, _HEIGHT_PX = 1920, 1080
_HFOV_DEG = (20.0, 84.0)
_K1, _K2, _K3, _TANGENTIAL = (-0.3, 0.12), (-0.1, 0.15), (-0.05, 0.05), (-2e-3, 2e-3)
_SOUND_MARGIN = 1.15  # a lens that can be calibrated is one-to-one over its picture and some way beyond

_TERRAIN_CELL_DEG = 1e-4  # 11 m to the north
_TERRAIN_CELLS = 201
_TERRAIN_SLOPE = 0.06
_TERRAIN_RELIEF_M = 6.0
_TERRAIN_MIN_DEPRESSION_DEG = 20.0  # steeper than its slopes by more than the grazing limit
_SIGHT_SHARES = np.linspace(0.0, 0.999, 400)


@dataclass(frozen=True)
class Exactness:
    """How exact ground points are.

    Attributes:
        poses, points: how many were tried; the points are those answered.
        max_error_m, median_error_m: distance from the truth.
        max_error_m_by_range: the greatest between the last key and this one, metres from below the camera.
        refused: rays told to have no place, and rightly: above the horizon or flatter than the grazing limit.
        refused_wrongly, answered_wrongly: on the other side of that limit than the truth is.
        max_velocity_error_mps, max_turn_rate_error_radps: of the camera's motion as the history tells it.
    """

    poses: int
    points: int
    max_error_m: float
    median_error_m: float
    max_error_m_by_range: dict[str, float]
    refused: int
    refused_wrongly: int
    answered_wrongly: int
    max_velocity_error_mps: float
    max_turn_rate_error_radps: float


@dataclass(frozen=True, eq=False)
class _Flight:
    """One picture: where its camera truly was, and all that is told of it.

    `lens` drew the picture; `camera` is the calibration as a user would write it.
    """

    lat_deg: float
    lon_deg: float
    height_amsl_m: float
    geoid_m: float
    eye_m: Floats
    gimbal: Arrows
    motion: CameraMotion
    lens: CameraModel
    camera: CameraModel
    history: PoseHistory


@dataclass
class _Tally:
    errors_m: list[Floats] = field(default_factory=list)
    ranges_m: list[Floats] = field(default_factory=list)
    velocity_errors_mps: list[float] = field(default_factory=list)
    turn_rate_errors_radps: list[float] = field(default_factory=list)
    flights: int = 0
    refused: int = 0
    refused_wrongly: int = 0
    answered_wrongly: int = 0

    def add_motion(self, told: CameraMotion | None, true: CameraMotion) -> None:
        if told is None:
            raise RuntimeError("the history has no motion between its samples")
        self.velocity_errors_mps.append(math.dist(told.velocity_ned_mps, true.velocity_ned_mps))
        self.turn_rate_errors_radps.append(math.dist(told.turn_rate_ned_radps, true.turn_rate_ned_radps))

    def result(self) -> Exactness:
        errors_m, ranges_m = np.concatenate(self.errors_m), np.concatenate(self.ranges_m)
        place = np.digitize(ranges_m, RANGE_ENDS_M[:-1])
        return Exactness(
            poses=self.flights,
            points=len(errors_m),
            max_error_m=float(errors_m.max()),
            median_error_m=float(np.median(errors_m)),
            max_error_m_by_range={
                f"{RANGE_ENDS_M[i]:g}": float(errors_m[place == i].max()) for i in np.unique(place)
            },
            refused=self.refused,
            refused_wrongly=self.refused_wrongly,
            answered_wrongly=self.answered_wrongly,
            max_velocity_error_mps=max(self.velocity_errors_mps),
            max_turn_rate_error_radps=max(self.turn_rate_errors_radps),
        )


def over_level_ground(rng: np.random.Generator, poses: int, tell: Callable[[], object]) -> Exactness:
    """Random poses anywhere from 70 S to 70 N, 10 to 120 m over ground of -100 to 4000 m above sea level.

    `tell` is called after each.
    """
    tally = _Tally()
    for _ in range(poses):
        ground_amsl_m = float(rng.uniform(-100.0, 4000.0))
        place = float(rng.uniform(-70.0, 70.0)), float(rng.uniform(-180.0, 180.0))
        flight = _random_flight(rng, *place, ground_amsl_m + float(rng.uniform(10.0, 120.0)))

        def heights(lat_deg: Floats, _lon_deg: Floats, height_m: float = ground_amsl_m) -> Floats:
            return np.full(lat_deg.shape, height_m)

        _judge(rng, flight, LevelGround(Amsl(ground_amsl_m)), heights, tally)
        tell()
    return tally.result()


def over_terrain(rng: np.random.Generator, poses: int, tell: Callable[[], object]) -> Exactness:
    """Random poses over sloping, rolling ground read from a GeoTIFF that is written for the purpose.

    The truth between the raster's cells is the bilinear surface through their centres. Points that a hill
    hides are left out, since a ray meets the hill.

    Raises:
        ImportError: rasterio is not installed.
    """
    south_deg, west_deg = 31.0, 120.0
    raster = _rolling_ground(rng)
    centres_deg = (np.arange(_TERRAIN_CELLS) + 0.5) * _TERRAIN_CELL_DEG
    surface = RegularGridInterpolator(
        (south_deg + centres_deg, west_deg + centres_deg), raster, bounds_error=False
    )

    def heights(lat_deg: Floats, lon_deg: Floats) -> Floats:
        return np.asarray(surface(np.stack([lat_deg, lon_deg], axis=-1)))

    tally = _Tally()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "terrain.tif"
        _write_geotiff(file, raster, south_deg=south_deg, west_deg=west_deg)
        ground = read_terrain(file, datum="amsl", sigma_m=0.0)
        middle = np.array([0.4, 0.6]) * _TERRAIN_CELLS * _TERRAIN_CELL_DEG
        for _ in range(poses):
            place = south_deg + float(rng.uniform(*middle)), west_deg + float(rng.uniform(*middle))
            below_m = float(heights(*np.array(place)[:, None])[0])
            flight = _random_flight(rng, *place, below_m + float(rng.uniform(10.0, 120.0)))
            _judge(rng, flight, ground, heights, tally, has_hills=True)
            tell()
    return tally.result()


def _judge(
    rng: np.random.Generator,
    flight: _Flight,
    ground: Ground,
    heights: Heights,
    tally: _Tally,
    *,
    has_hills: bool = False,
) -> None:
    """Draw some points of ground and sky through a flight's lens, ask for their places, count the errors."""
    lat_deg, lon_deg, hae_m = _points_ahead(rng, flight, heights)
    points_m = geo_truth.earth_centred(lat_deg, lon_deg, hae_m)
    range_m, depression_rad = _range_and_depression(flight, points_m - flight.eye_m)
    pixels = geo_truth.picture_of(points_m, flight.eye_m, flight.gimbal, flight.lens)
    asked = np.all((pixels > 0) & (pixels < (_WIDTH_PX, _HEIGHT_PX)), axis=1)
    if has_hills:
        asked &= depression_rad > math.radians(_TERRAIN_MIN_DEPRESSION_DEG)
        asked &= _in_sight(flight, heights, lat_deg, lon_deg, hae_m)

    pose = flight.history.pose_at(_PICTURE_NS)
    if pose is None:
        raise RuntimeError("the history has no pose between its samples")
    if tally.flights % _MOTION_EVERY == 0:
        tally.add_motion(flight.history.motion_at(_PICTURE_NS), flight.motion)
    tally.flights += 1
    found = pixels_to_ground(
        flight.camera,
        pose,
        pixels[asked],
        ground=ground,
        pixel_sigma_px=(0, 0),
        errors=NO_ERRORS,
    )
    found_m = geo_truth.earth_centred(found.lat_deg, found.lon_deg, hae_m[asked])
    tally.errors_m.append(np.linalg.norm(found_m - points_m[asked], axis=1)[found.valid])
    tally.ranges_m.append(range_m[asked][found.valid])
    steep = depression_rad[asked] - MIN_GRAZING_RAD
    tally.refused += int(np.sum(~found.valid & (steep < _LIMIT_TOLERANCE_RAD)))
    tally.refused_wrongly += int(np.sum(~found.valid & (steep >= _LIMIT_TOLERANCE_RAD)))
    tally.answered_wrongly += int(np.sum(found.valid & (steep < -_LIMIT_TOLERANCE_RAD)))


def _random_flight(rng: np.random.Generator, lat_deg: float, lon_deg: float, height_amsl_m: float) -> _Flight:
    """An aircraft with everything turned, moved and set off that can be."""
    installation = Installation(
        lever_arm_frd_m=tuple(rng.uniform(-0.5, 0.5, 3)),
        heading_bias_rad=float(rng.uniform(-0.2, 0.2)),
        height_bias_m=float(rng.uniform(-20.0, 20.0)),
    )
    velocity_ned = rng.uniform(-8.0, 8.0, 3) * (1.0, 1.0, 0.25)
    airframe_yaw, gimbal_yaw = rng.uniform(-np.pi, np.pi, 2)
    airframe_pitch, airframe_roll, gimbal_roll = rng.uniform(-0.3, 0.3, 3)
    gimbal_pitch = rng.uniform(-np.pi / 2, 0.1)
    airframe_rate, gimbal_rate = rng.uniform(-0.5, 0.5, 2)
    geoid_m = float(rng.uniform(-100.0, 80.0))
    lens, camera, hfov_rad = _random_lens(rng, installation)

    history = PoseHistory(installation=installation)
    for seconds in (-0.13, 0.11):
        at_ns = _PICTURE_NS + round(seconds * _NS_PER_S)
        north_m, east_m, down_m = velocity_ned * seconds
        lat, lon = geo_truth.destination(lat_deg, lon_deg, east_m, north_m, height_amsl_m + geoid_m)
        told_m = height_amsl_m - down_m + installation.height_bias_m
        history.add_position(PositionSample(at_ns, float(lat), float(lon), Amsl(told_m), 0.0, *velocity_ned))
        told_yaw = airframe_yaw + airframe_rate * seconds + installation.heading_bias_rad
        history.add_attitude(AttitudeSample(at_ns, airframe_roll, airframe_pitch, told_yaw))
        history.add_gimbal(GimbalSample(at_ns, gimbal_roll, gimbal_pitch, gimbal_yaw + gimbal_rate * seconds))
        if hfov_rad is not None:
            history.add_lens(LensSample(at_ns, hfov_rad))

    level = geo_truth.level(lat_deg, lon_deg)
    airframe = Arrows(*np.eye(3)).turned(yaw=airframe_yaw, pitch=airframe_pitch, roll=airframe_roll)
    arm_ned_m = airframe.times(installation.lever_arm_frd_m)
    swing_mps = np.cross((0.0, 0.0, airframe_rate), arm_ned_m)
    return _Flight(
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        height_amsl_m=height_amsl_m,
        geoid_m=geoid_m,
        eye_m=geo_truth.earth_centred(lat_deg, lon_deg, height_amsl_m + geoid_m) + level.times(arm_ned_m),
        gimbal=level.turned(yaw=airframe_yaw + gimbal_yaw, pitch=gimbal_pitch, roll=gimbal_roll),
        motion=CameraMotion(tuple(velocity_ned + swing_mps), (0.0, 0.0, airframe_rate + gimbal_rate)),
        lens=lens,
        camera=camera,
        history=history,
    )


def _random_lens(
    rng: np.random.Generator, installation: Installation
) -> tuple[CameraModel, CameraModel, float | None]:
    """The lens that draws, the calibration as written, the field of view told: fixed, digital or stepped."""
    mount = dict(
        zip(("mount_roll_rad", "mount_pitch_rad", "mount_yaw_rad"), rng.uniform(-0.1, 0.1, 3), strict=True)
    )
    one, other = _random_step(rng), _random_step(rng)
    size = {"width_px": _WIDTH_PX, "height_px": _HEIGHT_PX, "installation": installation}

    def camera(step: ZoomStep, **more: object) -> CameraModel:
        return CameraModel(**size, **mount, **vars(step), **more)  # type: ignore[arg-type]

    kind = rng.integers(3)
    if kind == 0:
        return camera(one), camera(one), None
    if kind == 1:
        nearer = float(rng.uniform(1.0, 4.0))
        drawing = camera(replace(one, fx_px=one.fx_px * nearer, fy_px=one.fy_px * nearer))
        return drawing, camera(one), _hfov_rad(drawing)
    return camera(other), camera(one, zoom_steps=(other,)), _hfov_rad(camera(other))


def _hfov_rad(camera: CameraModel) -> float:
    return 2 * math.atan2(camera.width_px / 2, camera.fx_px)


def _random_step(rng: np.random.Generator) -> ZoomStep:
    """A lens whose polynomial does not fold within its picture."""
    while True:
        fx_px = _WIDTH_PX / 2 / math.tan(math.radians(rng.uniform(*_HFOV_DEG)) / 2)
        k1, k2, k3 = rng.uniform(*_K1), rng.uniform(*_K2), rng.uniform(*_K3)
        radius = np.linspace(0.0, 1.5, 300)
        image = radius * (1 + k1 * radius**2 + k2 * radius**4 + k3 * radius**6)
        folds = np.flatnonzero(np.diff(image) <= 0)
        reach = image[folds[0]] if len(folds) else image[-1]
        if reach > _SOUND_MARGIN * math.hypot(_WIDTH_PX, _HEIGHT_PX) / 2 / fx_px:
            break
    p1, p2 = rng.uniform(*_TANGENTIAL, 2)
    off_x, off_y = rng.uniform(-0.03, 0.03, 2)
    return ZoomStep(
        fx_px=fx_px,
        fy_px=fx_px * float(rng.uniform(0.98, 1.02)),
        cx_px=_WIDTH_PX * float(0.5 + off_x),
        cy_px=_HEIGHT_PX * float(0.5 + off_y),
        distortion=(float(k1), float(k2), float(p1), float(p2), float(k3)),
    )


def _points_ahead(
    rng: np.random.Generator, flight: _Flight, heights: Heights
) -> tuple[Floats, Floats, Floats]:
    """Places (P,), degrees and metres above the ellipsoid, of ground or sky about within the picture."""
    lens = flight.lens
    pixels = rng.uniform((0, 0), (_WIDTH_PX, _HEIGHT_PX), (_PIXELS_A_POSE, 2))
    across, below = ((pixels - (lens.cx_px, lens.cy_px)) / (lens.fx_px, lens.fy_px)).T
    camera = flight.gimbal.turned(
        yaw=lens.mount_yaw_rad, pitch=lens.mount_pitch_rad, roll=lens.mount_roll_rad
    )
    rays = camera.times(np.stack([np.ones_like(across), across, below], axis=1))
    level = geo_truth.level(flight.lat_deg, flight.lon_deg)
    north, east, down = rays @ level.ahead, rays @ level.right, rays @ level.down
    above_m = flight.height_amsl_m - heights(*(np.full(1, d) for d in (flight.lat_deg, flight.lon_deg)))
    meets = down > math.radians(1.0)
    reach = np.where(meets, above_m / np.where(meets, down, 1.0), _SKY_M)
    eye_hae_m = flight.height_amsl_m + flight.geoid_m
    lat_deg, lon_deg = geo_truth.destination(
        flight.lat_deg, flight.lon_deg, reach * east, reach * north, eye_hae_m
    )
    hae_m = np.where(meets, heights(lat_deg, lon_deg) + flight.geoid_m, eye_hae_m - reach * down)
    return lat_deg, lon_deg, hae_m


def _range_and_depression(flight: _Flight, away_m: Floats) -> tuple[Floats, Floats]:
    level = geo_truth.level(flight.lat_deg, flight.lon_deg)
    range_m = np.hypot(away_m @ level.ahead, away_m @ level.right)
    return range_m, np.arctan2(away_m @ level.down, range_m)


def _in_sight(
    flight: _Flight, heights: Heights, lat_deg: Floats, lon_deg: Floats, hae_m: Floats
) -> NDArray[np.bool_]:
    """Whether no hill stands before points (P,)."""
    share = _SIGHT_SHARES[:, None]
    line_m = flight.height_amsl_m + share * (hae_m - flight.geoid_m - flight.height_amsl_m)
    hill_m = heights(
        flight.lat_deg + share * (lat_deg - flight.lat_deg),
        flight.lon_deg + share * (lon_deg - flight.lon_deg),
    )
    return np.asarray(np.all(line_m > hill_m, axis=0))


def _rolling_ground(rng: np.random.Generator) -> Floats:
    """Heights (cells, cells), south to north and west to east: a slope with hills of some cells' width."""
    north, east = np.meshgrid(*(2 * [np.arange(_TERRAIN_CELLS)]), indexing="ij")
    slope_m = _TERRAIN_SLOPE * 10.0 * (north - 0.5 * east)
    turns = rng.uniform(0, 2 * np.pi, 2)
    hills_m = _TERRAIN_RELIEF_M * np.sin(north / 7.0 + turns[0]) * np.sin(east / 5.0 + turns[1])
    return np.asarray(500.0 + slope_m + hills_m, dtype=np.float64)


def _write_geotiff(path: Path, south_to_north: Floats, *, south_deg: float, west_deg: float) -> None:
    import rasterio  # noqa: PLC0415  # an extra: without it the rest of the evaluation still runs
    from affine import Affine  # noqa: PLC0415

    rows, columns = south_to_north.shape
    north_deg = south_deg + rows * _TERRAIN_CELL_DEG
    place = Affine(_TERRAIN_CELL_DEG, 0.0, west_deg, 0.0, -_TERRAIN_CELL_DEG, north_deg)
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=columns, count=1, dtype="float64", crs="EPSG:4326",
        transform=place,
    ) as raster:  # fmt: skip
        raster.write(south_to_north[::-1], 1)
