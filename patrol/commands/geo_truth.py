"""The world as `patrol eval geo` holds it to be true: where a point of the ground appears in a picture.

It shares nothing with patrol.geo but the names of what it is told (`CameraModel` as a list of numbers), so
that the two cannot confirm each other's mistakes: points are earth-centred, the ground is the curved one of
WGS-84, a camera is three arrows turned one after the other, and the lens is OpenCV's.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from patrol.geo.camera import CameraModel

Floats = NDArray[np.float64]

# WGS-84: NIMA TR8350.2, table 3.1.
_SEMI_MAJOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_SQUARED = _FLATTENING * (2 - _FLATTENING)


@dataclass(frozen=True, eq=False)
class Arrows:
    """Unit vectors (N, 3) ahead, to the right and down of something, written in some common axes."""

    ahead: Floats
    right: Floats
    down: Floats

    def turned(self, *, yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike) -> "Arrows":
        """First to the right by yaw, then up by pitch, then right side down by roll; radians, (N,) or one."""
        sin_yaw, cos_yaw = _sin_cos(yaw)
        sin_pitch, cos_pitch = _sin_cos(pitch)
        sin_roll, cos_roll = _sin_cos(roll)
        ahead = cos_yaw * self.ahead + sin_yaw * self.right
        right = cos_yaw * self.right - sin_yaw * self.ahead
        ahead, down = cos_pitch * ahead - sin_pitch * self.down, cos_pitch * self.down + sin_pitch * ahead
        right, down = cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right
        return Arrows(ahead, right, down)

    def times(self, components: ArrayLike) -> Floats:
        """The vectors (N, 3) that have these components (N, 3) ahead, right and down."""
        parts = np.asarray(components, dtype=np.float64)
        return parts[..., :1] * self.ahead + parts[..., 1:2] * self.right + parts[..., 2:] * self.down


def earth_centred(lat_deg: ArrayLike, lon_deg: ArrayLike, hae_m: ArrayLike) -> Floats:
    """ECEF metres (N, 3) of WGS-84 degrees and heights above the ellipsoid, each (N,) or one."""
    lat, lon, height = np.broadcast_arrays(np.radians(lat_deg), np.radians(lon_deg), np.asarray(hae_m, float))
    normal_m = _SEMI_MAJOR_M / np.sqrt(1 - _ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    ring_m = (normal_m + height) * np.cos(lat)
    axis_m = (normal_m * (1 - _ECCENTRICITY_SQUARED) + height) * np.sin(lat)
    return np.stack([ring_m * np.cos(lon), ring_m * np.sin(lon), axis_m], axis=-1)


def level(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Arrows:
    """North, east and down in ECEF axes at places (N,): an airframe that stands level and looks north."""
    lat, lon = np.broadcast_arrays(np.radians(lat_deg), np.radians(lon_deg))
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)
    return Arrows(
        ahead=np.stack([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat], axis=-1),
        right=np.stack([-sin_lon, cos_lon, np.zeros_like(lon)], axis=-1),
        down=np.stack([-cos_lat * cos_lon, -cos_lat * sin_lon, -sin_lat], axis=-1),
    )


def destination(
    lat_deg: ArrayLike, lon_deg: ArrayLike, east_m: ArrayLike, north_m: ArrayLike, hae_m: ArrayLike = 0.0
) -> tuple[Floats, Floats]:
    """Degrees of what lies about so many metres away, each (N,) or one.

    To choose places with, never to judge them by: it is exact to the metres' square over the earth's radius.
    """
    lat = np.radians(lat_deg)
    shrink = 1 - _ECCENTRICITY_SQUARED * np.sin(lat) ** 2
    meridian_m = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_SQUARED) / shrink**1.5 + np.asarray(hae_m)
    parallel_m = (_SEMI_MAJOR_M / np.sqrt(shrink) + np.asarray(hae_m)) * np.cos(lat)
    return (
        np.asarray(lat_deg) + np.degrees(np.asarray(north_m) / meridian_m),
        (np.asarray(lon_deg) + np.degrees(np.asarray(east_m) / parallel_m) + 180.0) % 360.0 - 180.0,
    )


def picture_of(points_m: Floats, camera_m: Floats, gimbal: Arrows, lens: CameraModel) -> Floats:
    """Pixels (N, 2) of points through one lens, by OpenCV; NaN for what lies behind the camera.

    Args:
        points_m: (N, 3), ECEF.
        camera_m: (N, 3) or (3,), where the camera is, ECEF.
        gimbal: how the gimbal is turned, (N, 3) or (3,) each, in ECEF axes.
        lens: its focal lengths, principal point, distortion and mounting angles are read.
    """
    camera = gimbal.turned(yaw=lens.mount_yaw_rad, pitch=lens.mount_pitch_rad, roll=lens.mount_roll_rad)
    away = points_m - camera_m
    seen = np.stack(
        [np.sum(away * arrow, axis=-1) for arrow in (camera.right, camera.down, camera.ahead)], axis=-1
    )
    matrix = np.array([[lens.fx_px, 0, lens.cx_px], [0, lens.fy_px, lens.cy_px], [0, 0, 1]])
    pixels = np.full((len(seen), 2), np.nan)
    ahead = seen[:, 2] > 0
    if ahead.any():
        nothing = np.zeros(3)
        drawn, _ = cv2.projectPoints(seen[ahead], nothing, nothing, matrix, np.array(lens.distortion))
        pixels[ahead] = drawn.reshape(-1, 2)
    return pixels


def _sin_cos(angle: ArrayLike) -> tuple[Floats, Floats]:
    """Sines and cosines (N, 1), or (1,) of one angle."""
    angles = np.asarray(angle, dtype=np.float64)[..., None]
    return np.sin(angles), np.cos(angles)
