"""From pixels to the ground with honest error, and back.

Errors are first order: each column of a spread is one sensor error times the ground point's derivative by it.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from patrol.domain.positions import GeoPoint
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.frames import EARTH_RADIUS_M, LocalFrame
from patrol.geo.ground import Ground

SOURCES = ("east", "north", "height", "ground", "time", "roll", "pitch", "yaw", "pixel_x", "pixel_y")
"""The independent errors of a place on the ground, in the order of the columns of `spread_en_m`.

"ground" is the height of the ground itself; "time" moves and turns the camera by its motion.
"""

MIN_GRAZING_RAD = np.radians(5.0)
"""Rays flatter than this against the horizon, or against sloping ground, tell no place on the ground.

Range R = h / tan(g) answers an error of pitch with dR / R = dg / (sin g cos g): at 5 degrees half a degree,
what a small gimbal holds, moves the point by a tenth of its range; flatter, the first order tells too little.
"""

_EDGE_SAMPLES = 16
_ARC_STEP_RAD = np.radians(5.0)
_BATCH = 8192  # rays worked on together: their temporaries fit the second-level cache


@dataclass(frozen=True)
class PoseErrors:
    """One-sigma errors of the pose: each horizontal axis, height, three angles, time of the picture."""

    horizontal_m: float
    height_m: float
    roll_rad: float
    pitch_rad: float
    yaw_rad: float
    time_s: float


@dataclass(frozen=True, eq=False)
class GroundPoints:
    """Points on the ground. Where `valid` is False the rest of the row is NaN.

    Attributes:
        lat_deg, lon_deg: (N,) float64, WGS-84.
        spread_en_m: (N, 2, K) float64, by how much one sigma of each of `SOURCES` moves the point, east and
            north of the camera's own meridian.
        valid: (N,) bool, the ray meets known ground steeply enough (`MIN_GRAZING_RAD`).
    """

    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    spread_en_m: NDArray[np.float64]
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def covariance_en_m2(self) -> NDArray[np.float64]:
        """(N, 2, 2) float64, east and north: the sources are independent, so their squares add."""
        return np.asarray(np.einsum("nik,njk->nij", self.spread_en_m, self.spread_en_m))


def pixels_to_ground(
    camera: CameraModel,
    pose: CameraPose,
    pixels: ArrayLike,
    *,
    ground: Ground,
    pixel_sigma_px: ArrayLike,
    errors: PoseErrors,
    motion: CameraMotion = CameraMotion(),  # noqa: B008
) -> GroundPoints:
    """Where the rays of pixels meet the ground.

    For a ray d from the eye o that meets ground of normal n at o + t d, the point moves by

        do - d (n.do) / (n.d)          when the eye moves by do,
        t (dd - d (n.dd) / (n.d))      when the ray turns by dd,

    the differential of n.(o + t d - p) = 0 for a fixed point p of the ground. Ground that lies higher than
    thought moves the point like an eye that sits lower.

    Args:
        camera: the lens and its mounting, as calibrated; `pose.hfov_rad` zooms it.
        pose: where the camera was and looked.
        pixels: (N, 2) x, y.
        ground: what the rays meet.
        pixel_sigma_px: one-sigma error of the pixels, (2,) for all or (N, 2).
        errors: of the pose.
        motion: of the camera, with which an error of time moves and turns it.

    Whatever is not a finite number, in the pose, an error or a pixel, makes the points it touches invalid.

    Raises:
        CameraError: the camera has no calibration for the field of view of the pose.
    """
    pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    sigma_px = np.broadcast_to(np.asarray(pixel_sigma_px, dtype=np.float64), pixels.shape)
    count = len(pixels)
    north_east_m = np.full((2, count), np.nan)
    # Each component in one piece of memory, which is several times faster than point by point.
    spread_en_m = np.full((2, len(SOURCES), count), np.nan)
    told = (*astuple(errors), ground.sigma_m, *motion.velocity_ned_mps, *motion.turn_rate_ned_radps)
    if _is_place(pose) and all(map(math.isfinite, told)):
        zoomed = _zoomed(camera, pose)
        for start in range(0, count, _BATCH):
            part = slice(start, start + _BATCH)
            _project(
                zoomed, pose, pixels[part], sigma_px[part], ground, errors, motion,
                north_east_m[:, part], spread_en_m[:, :, part],
            )  # fmt: skip
    valid = np.isfinite(north_east_m[0])
    lat_deg, lon_deg = np.full(count, np.nan), np.full(count, np.nan)
    if valid.any():
        frame = _level_plane(pose)
        lat_deg[valid], lon_deg[valid] = frame.to_geodetic(north_east_m[1, valid], north_east_m[0, valid])
    return GroundPoints(lat_deg, lon_deg, spread_en_m.transpose(2, 0, 1), valid)


def ground_to_pixels(
    camera: CameraModel, pose: CameraPose, lat_deg: ArrayLike, lon_deg: ArrayLike, height_amsl_m: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where points of the world appear.

    Args:
        camera: the lens and its mounting.
        pose: where the camera was and looked.
        lat_deg: (N,) or a number, WGS-84.
        lon_deg: the same.
        height_amsl_m: (N,), or a number for all.

    Returns:
        Pixels (N, 2), NaN for what lies behind the camera, and (N,) whether they are in the picture; nothing
        is when the pose is not of finite numbers.

    Raises:
        CameraError: the camera has no calibration for the field of view of the pose.
    """
    if not _is_place(pose):
        count = np.broadcast(np.atleast_1d(lat_deg), lon_deg, height_amsl_m).size
        return np.full((count, 2), np.nan), np.zeros(count, dtype=np.bool_)
    camera = _zoomed(camera, pose)
    east_m, north_m = _level_plane(pose).to_enu(np.atleast_1d(lat_deg), np.atleast_1d(lon_deg))
    falls_away_m = (east_m * east_m + north_m * north_m) / (2 * EARTH_RADIUS_M)
    down_m = pose.height.metres - np.asarray(height_amsl_m, dtype=np.float64) + falls_away_m
    rays = np.column_stack([north_m, east_m, down_m]) @ (_ned_from_gimbal(pose) @ camera.gimbal_from_ray)
    ahead = rays[:, 2] > 0
    pixels = np.full((len(rays), 2), np.nan)
    pixels[ahead] = camera.distort(rays[ahead, :2] / rays[ahead, 2:])
    in_view = ahead & np.all((pixels >= 0) & (pixels <= (camera.width_px, camera.height_px)), axis=1)
    # Far outside the picture the polynomial can fold a ray back into it: the way back tells.
    back, _ = camera.undistort(pixels[in_view])
    in_view[in_view] = np.all(np.abs(back - rays[in_view, :2] / rays[in_view, 2:]) < 1e-6, axis=1)
    return pixels, in_view


def footprint(
    camera: CameraModel, pose: CameraPose, *, ground: Ground, max_range_m: float
) -> tuple[GeoPoint, ...]:
    """The ground in the picture as a ring (first point not repeated), cut off `max_range_m` from the nadir.

    The range is cut on the level plane through the ground below the camera, then each corner is moved along
    its ray to the ground; hills may hide part of what lies inside. Empty when the picture holds no ground
    within that range, or when the pose or the ground below the camera is not known.

    Raises:
        CameraError: the camera has no calibration for the field of view of the pose.
    """
    if not _is_place(pose):
        return ()
    below_m = float(ground.height_amsl_m_at(pose.lat_deg, pose.lon_deg)[0])
    height_m = pose.height.metres - below_m
    if not height_m > 0 or max_range_m <= 0:
        return ()
    camera = _zoomed(camera, pose)
    normalised, _ = camera.undistort(_border_pixels(camera))
    normalised = normalised[np.isfinite(normalised).all(axis=1)]
    ned_from_ray = _ned_from_gimbal(pose) @ camera.gimbal_from_ray
    rays_ned = np.column_stack([normalised, np.ones(len(normalised))]) @ ned_from_ray.T
    ring = _cut_to_range(rays_ned, max_range_m / height_m)
    if not ring:
        return ()
    to_ring = np.vstack([np.asarray(ring).T, np.ones(len(ring))])
    reach = ground.meet(pose.lat_deg, pose.lon_deg, pose.height, to_ring).reach
    range_m = reach * np.hypot(to_ring[0], to_ring[1])
    within = max_range_m / np.maximum(range_m, max_range_m)  # falling ground is met further out
    north_east_m = (to_ring[:2] * reach * within)[:, np.isfinite(reach)]
    lat_deg, lon_deg = _level_plane(pose).to_geodetic(north_east_m[1], north_east_m[0])
    return tuple(GeoPoint(float(lat), float(lon)) for lat, lon in zip(lat_deg, lon_deg, strict=True))


def _project(
    camera: CameraModel,
    pose: CameraPose,
    pixels: NDArray[np.float64],
    sigma_px: NDArray[np.float64],
    ground: Ground,
    errors: PoseErrors,
    motion: CameraMotion,
    north_east_m: NDArray[np.float64],
    spread_en_m: NDArray[np.float64],
) -> None:
    """Fill the meetings (2, N) and their spread (2, K, N) of a batch; NaN stays where there is none."""
    normalised, by_pixel = camera.undistort(pixels)
    ned_from_ray = _ned_from_gimbal(pose) @ camera.gimbal_from_ray
    rays = ned_from_ray[:, :2] @ normalised.T + ned_from_ray[:, 2:]
    meeting = ground.meet(pose.lat_deg, pose.lon_deg, pose.height, rays)
    rise_north, rise_east = meeting.rise_ne
    into = rays[2] + rise_north * rays[0] + rise_east * rays[1]  # n.d for n = (rise north, rise east, 1)
    level2 = rays[0] * rays[0] + rays[1] * rays[1]
    ray2 = level2 + rays[2] * rays[2]
    normal2 = 1 + rise_north * rise_north + rise_east * rise_east
    steep = (rays[2] > 0) & (rays[2] * rays[2] >= np.tan(MIN_GRAZING_RAD) ** 2 * level2)
    steep &= (into > 0) & (into * into >= np.sin(MIN_GRAZING_RAD) ** 2 * ray2 * normal2)
    known = steep & np.isfinite(meeting.reach) & np.isfinite(sigma_px).all(axis=1)
    reach = np.where(known, meeting.reach, np.nan)
    np.multiply(rays[:2], reach, out=north_east_m)
    per_depth = rays[:2] / np.where(known, into, np.nan)

    def moved(eye_ned_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a move of the eye (3,) takes the points: (2, N) north and east."""
        north, east, down = eye_ned_m
        into_ground = down + rise_north * north + rise_east * east
        return np.asarray(eye_ned_m[:2, None] - per_depth * into_ground)

    def turned(ray_ned: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where changes of the rays (3, N) take the points: (2, N) north and east."""
        into_ground = ray_ned[2] + rise_north * ray_ned[0] + rise_east * ray_ned[1]
        return np.asarray(reach * (ray_ned[:2] - per_depth * into_ground))

    north, east, down = np.eye(3)
    roll_axis, pitch_axis, yaw_axis = _turning_axes_ned(pose)
    velocity, turn_rate = np.array(motion.velocity_ned_mps), np.array(motion.turn_rate_ned_radps)
    by_x, by_y = ned_from_ray[:, :2] @ by_pixel.transpose(2, 1, 0)
    sigma_x_px, sigma_y_px = np.where(known, sigma_px.T, np.nan)
    columns = {
        "east": moved(errors.horizontal_m * east),
        "north": moved(errors.horizontal_m * north),
        "height": moved(-errors.height_m * down),
        "ground": moved(ground.sigma_m * down),
        "time": moved(errors.time_s * velocity) + turned(_skew(errors.time_s * turn_rate) @ rays),
        "roll": turned(_skew(errors.roll_rad * roll_axis) @ rays),
        "pitch": turned(_skew(errors.pitch_rad * pitch_axis) @ rays),
        "yaw": turned(_skew(errors.yaw_rad * yaw_axis) @ rays),
        "pixel_x": turned(by_x * sigma_x_px),
        "pixel_y": turned(by_y * sigma_y_px),
    }
    for column, source in enumerate(SOURCES):
        spread_en_m[:, column] = columns[source][::-1]


def _is_place(pose: CameraPose) -> bool:
    """Whether a pose is one: all finite numbers, and the place on the globe."""
    numbers = (
        pose.lat_deg,
        pose.lon_deg,
        pose.height.metres,
        pose.roll_rad,
        pose.pitch_rad,
        pose.yaw_ned_rad,
    )
    return all(map(math.isfinite, numbers)) and abs(pose.lat_deg) <= 90


def _level_plane(pose: CameraPose) -> LocalFrame:
    """A plane to measure on; its height counts from the geoid, which costs 2 mm in 100 m at most."""
    return LocalFrame(pose.lat_deg, pose.lon_deg, pose.height.metres)


def _zoomed(camera: CameraModel, pose: CameraPose) -> CameraModel:
    return camera if pose.hfov_rad is None else camera.zoomed_to(pose.hfov_rad)


def _skew(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix (3, 3) that takes a vector to the cross product of `axis` (3,) with it."""
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _ned_from_gimbal(pose: CameraPose) -> NDArray[np.float64]:
    angles = [pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad]
    return np.asarray(Rotation.from_euler("ZYX", angles).as_matrix())


def _turning_axes_ned(pose: CameraPose) -> Sequence[NDArray[np.float64]]:
    """The unit axes (3,) about which a small change of roll, of pitch and of yaw turns the camera."""
    sin_yaw, cos_yaw = np.sin(pose.yaw_ned_rad), np.cos(pose.yaw_ned_rad)
    return _ned_from_gimbal(pose)[:, 0], np.array([-sin_yaw, cos_yaw, 0.0]), np.array([0.0, 0.0, 1.0])


def _border_pixels(camera: CameraModel) -> NDArray[np.float64]:
    """Points (4 * _EDGE_SAMPLES, 2) clockwise along the border of the picture."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (camera.width_px, camera.height_px)
    share = np.linspace(0, 1, _EDGE_SAMPLES, endpoint=False)[:, None]
    return np.vstack(
        [a + share * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    )


def _cut_to_range(rays_ned: NDArray[np.float64], max_range: float) -> list[tuple[float, float]]:
    """Ring of (north, east) in units of height: rays of a border cut off at a range, with an arc along it."""

    def excess(ray: NDArray[np.float64]) -> float:
        """Negative where the ray meets the ground within range."""
        return float(np.hypot(ray[0], ray[1]) - max_range * ray[2])

    def ground(ray: NDArray[np.float64]) -> tuple[float, float]:
        return float(ray[0] / ray[2]), float(ray[1] / ray[2])

    ring: list[tuple[float, float]] = []
    left_at_rad: float | None = None
    count = len(rays_ned)
    starts = [i for i in range(count) if excess(rays_ned[i]) <= 0]
    if not starts:
        return []
    for i in range(starts[0], starts[0] + count):
        here, after = rays_ned[i % count], rays_ned[(i + 1) % count]
        if excess(here) <= 0:
            ring.append(ground(here))
        if (excess(here) <= 0) == (excess(after) <= 0):
            continue
        share = brentq(lambda w, a=here, b=after: excess(a + w * (b - a)), 0.0, 1.0)
        crossing = here + share * (after - here)
        azimuth_rad = float(np.arctan2(crossing[1], crossing[0]))
        if excess(here) <= 0:
            left_at_rad = azimuth_rad
            ring.append(ground(crossing))
        elif left_at_rad is not None:
            turn_rad = float((azimuth_rad - left_at_rad + np.pi) % (2 * np.pi) - np.pi)
            for step in range(1, int(abs(turn_rad) / _ARC_STEP_RAD) + 1):
                on_arc = left_at_rad + turn_rad * step / (int(abs(turn_rad) / _ARC_STEP_RAD) + 1)
                ring.append((max_range * float(np.cos(on_arc)), max_range * float(np.sin(on_arc))))
            ring.append(ground(crossing))
    return ring
