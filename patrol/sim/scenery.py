"""The market as the camera would see it: the map's shapes on flat ground through the true camera pose.

No person is ever painted; whoever is to be found comes from footage.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.plan.market import MarketMap

METRES_PER_PIXEL = 0.1
MARGIN_M = 40.0  # of ground drawn around the market
SHAPE_BITS = 4  # fractional bits of OpenCV's fixed-point coordinates
LOWEST_EYE_M = 0.15  # a camera on its landing gear
HAZE_M = 80.0  # distance at which 1/e of the colour is left
FLATTEST_RAY = math.sin(math.radians(0.3))  # flatter ones count as sky
GROUND_ROUGHNESS = 15.0  # one sigma of the grain's grey values before it is smoothed; it makes motion visible
GRAIN_TILE_PX = (512, 512)

RAY_GRID_PX = 4

# Blue, green, red of a market at night.
FIELD = (38, 40, 40)
MARKET = (58, 60, 62)
LANE = (96, 98, 102)
STALL = (70, 120, 190)
STALL_EDGE = (120, 180, 235)
ZONE_EDGE = (120, 130, 90)
SKY = (30, 22, 18)
HAZE = (34, 30, 28)
CAPTION = (200, 200, 200)


class Scenery:
    """Draws pictures of a market."""

    def __init__(self, market: MarketMap, camera: CameraModel) -> None:
        self._camera = camera
        self._ground_amsl_m = market.ground_amsl_m
        self._frame = market.frame
        west, south, east, north = market.outline.bounds
        self._west_m, self._north_m = west - MARGIN_M, north + MARGIN_M
        size_px = (
            math.ceil((east + MARGIN_M - self._west_m) / METRES_PER_PIXEL),
            math.ceil((self._north_m - south + MARGIN_M) / METRES_PER_PIXEL),
        )
        self._map = self._draw_map(market, size_px)
        self._rays = _rays(camera)

    def picture(self, pose: CameraPose) -> NDArray[np.uint8]:
        """What the camera sees from `pose`: (height, width, 3) uint8 BGR."""
        camera = self._camera
        angles = [pose.yaw_ned_rad, pose.pitch_rad, pose.roll_rad]
        ned_from_ray = Rotation.from_euler("ZYX", angles).as_matrix() @ camera.gimbal_from_ray
        north, east, down = cv2.split(cv2.transform(self._rays, ned_from_ray.astype(np.float32)))
        eye_m = max(LOWEST_EYE_M, pose.height.metres - self._ground_amsl_m)
        sky = ~(down > FLATTEST_RAY)  # also where the lens model gives no ray
        range_m = np.where(sky, np.float32(0), np.float32(eye_m) / np.where(sky, np.float32(1), down))
        eye_east_m, eye_north_m = (float(value) for value in self._frame.to_enu(pose.lat_deg, pose.lon_deg))
        columns = ((eye_east_m - self._west_m) + range_m * east) / METRES_PER_PIXEL
        rows = ((self._north_m - eye_north_m) - range_m * north) / METRES_PER_PIXEL
        ground = cv2.remap(
            self._map, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=FIELD
        )
        clear = np.exp(-range_m / np.float32(HAZE_M))[..., None]
        picture = clear * ground + (1 - clear) * np.array(HAZE, np.float32)
        picture[sky] = SKY
        picture = np.ascontiguousarray(picture, dtype=np.uint8)
        cv2.putText(
            picture,
            "SIMULATED",
            (8, camera.height_px - 10),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            CAPTION,
            1,
            cv2.LINE_AA,
        )
        return picture

    def _draw_map(self, market: MarketMap, size_px: tuple[int, int]) -> NDArray[np.uint8]:
        """The ground from above, north up."""
        width, height = size_px
        ground = np.full((height, width, 3), FIELD, np.uint8)

        def points(coordinates: NDArray[np.float64]) -> list[NDArray[np.int32]]:
            east_m, north_m = np.asarray(coordinates, dtype=np.float64)[:, :2].T
            pixels = np.stack([east_m - self._west_m, self._north_m - north_m], axis=1) / METRES_PER_PIXEL
            return [np.round(pixels * (1 << SHAPE_BITS)).astype(np.int32)]

        def fill(coordinates: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
            cv2.fillPoly(ground, points(coordinates), colour, cv2.LINE_AA, SHAPE_BITS)

        def outline(coordinates: NDArray[np.float64], colour: tuple[int, int, int], width_m: float) -> None:
            thickness = max(1, round(width_m / METRES_PER_PIXEL))
            cv2.polylines(ground, points(coordinates), False, colour, thickness, cv2.LINE_AA, SHAPE_BITS)

        fill(market.outline.exterior.coords, MARKET)
        for zone in market.zones:
            outline(zone.polygon.exterior.coords, ZONE_EDGE, 0.25)
        for lane in market.lanes:
            outline(lane.line.coords, LANE, lane.width_m)
        for stall in market.stalls:
            fill(stall.polygon.exterior.coords, STALL)
            outline(stall.polygon.exterior.coords, STALL_EDGE, 0.16)
        grain = cv2.blur(np.random.default_rng(0).normal(0.0, GROUND_ROUGHNESS, GRAIN_TILE_PX), (5, 5))
        repeats = [-(-side // tile) for side, tile in zip((height, width), GRAIN_TILE_PX, strict=True)]
        tiled = np.tile(grain.astype(np.int8), repeats)[:height, :width, None]
        return np.asarray(np.clip(ground.astype(np.int16) + tiled, 0, 255), dtype=np.uint8)


def _rays(camera: CameraModel) -> NDArray[np.float32]:
    """(height, width, 3) rays through the pixels' centres, of length 1 to a thousandth.

    The lens is undone on a grid and the rest interpolated. Where its model reaches no ray there is zero.
    """
    columns, rows = (
        np.arange(0, side_px + RAY_GRID_PX, RAY_GRID_PX, dtype=np.float64)
        for side_px in (camera.width_px, camera.height_px)
    )
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1)
    normalised, _ = camera.undistort(pixels.reshape(-1, 2))
    rays = np.column_stack([normalised, np.ones(len(normalised))])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    grid = np.nan_to_num(rays).reshape(*pixels.shape[:2], 3).astype(np.float32)
    step = 1.0 / RAY_GRID_PX
    grid_from_pixel = np.array([[step, 0.0, 0.5 * step], [0.0, step, 0.5 * step]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size_px = (camera.width_px, camera.height_px)
    return np.asarray(cv2.warpAffine(grid, grid_from_pixel, size_px, flags=flags), dtype=np.float32)
