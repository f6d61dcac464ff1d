"""How well people are placed on the ground, against hand annotations of real footage.

`compare` judges the tracks of a demo sortie, `feet_apart_m` the camera model alone. The truth comes by
another way than ours: the published Tsai calibration of the camera (R. Y. Tsai, "A versatile camera
calibration technique", IEEE J. Robotics and Automation 3(4), 1987), applied to the annotated boxes' bottom
centres. Both files belong to the optional test data.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from patrol.domain.heights import Amsl
from patrol.domain.positions import covariance_matrix
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.projection import PoseErrors, pixels_to_ground
from patrol.plan.market import MarketMap

# The annotations are in pixels of the original 768x576 pictures, the footage is 480x360.
_FOOTAGE_SCALE = 0.625
# A track and an annotation are the same person when their boxes overlap at least so (PASCAL VOC's threshold).
SAME_PERSON_IOU = 0.5
# 90 % quantile of the chi-squared distribution with two degrees of freedom.
_CHI2_90 = 4.605
_NO_ERRORS = PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Geolocation:
    """Errors of the tracks' ground positions.

    Attributes:
        median_error_m: median distance to the annotated feet.
        inside_ellipse_90: share of them inside the claimed 90 % ellipse.
        n: number of comparisons (tracks times pictures).
    """

    median_error_m: float
    inside_ellipse_90: float
    n: int


def compare(tracks_file: Path, truth_file: Path, pets_folder: Path, market: MarketMap) -> Geolocation | None:
    """Compare a sortie's recorded tracks with the annotations; None when nothing could be compared."""
    frame_of = _footage_frames(truth_file)
    annotated = annotated_boxes(pets_folder / "PETS2009-S2L1.xml")
    camera = TsaiCamera(pets_folder / "View_001.xml")
    errors: list[float] = []
    inside: list[bool] = []
    for line in tracks_file.read_text().splitlines():
        picture = json.loads(line)
        footage_frame = frame_of.get(picture["captured_at_ns"])
        boxes = annotated.get(footage_frame) if footage_frame is not None else None
        if boxes is None:
            continue
        for track in picture["tracks"]:
            box = _matching_box(np.array(track["box_xyxy_px"]), boxes)
            if box is None or not track["observed"]:
                continue
            east_m, north_m = camera.feet_on_ground(box[None])[0]
            offset = np.array([track["east_m"] - east_m, track["north_m"] - north_m])
            errors.append(float(np.hypot(*offset)))
            covariance = covariance_matrix(tuple(track["covariance_en_m2"]))
            inside.append(float(offset @ np.linalg.solve(covariance, offset)) <= _CHI2_90)
    if not errors:
        return None
    return Geolocation(round(float(np.median(errors)), 3), round(float(np.mean(inside)), 3), len(errors))


def feet_apart_m(pets_folder: Path, camera: CameraModel, market: MarketMap) -> NDArray[np.float64]:
    """How far apart (N,) the annotated feet lie by our model of the demonstration's camera and by Tsai's.

    Args:
        pets_folder: holds PETS2009-S2L1.xml and View_001.xml.
        camera: the demonstration's.
        market: the demonstration's; the camera stands at its watch point `yard`.
    """
    boxes = np.vstack(list(annotated_boxes(pets_folder / "PETS2009-S2L1.xml").values()))
    feet_px = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    yard = next(watch for watch in market.watch_points if watch.id == "yard")
    pose = CameraPose(
        0, yard.lat_deg, yard.lon_deg, Amsl(market.ground_amsl_m + yard.height_above_ground_m),
        0.0, math.radians(yard.pitch_deg), math.radians(yard.yaw_deg),
    )  # fmt: skip
    found = pixels_to_ground(
        camera, pose, feet_px, ground=market.ground, pixel_sigma_px=(0.0, 0.0), errors=_NO_ERRORS
    )
    found_m = np.stack(market.frame.to_enu(found.lat_deg, found.lon_deg), axis=1)
    apart_m = found_m - TsaiCamera(pets_folder / "View_001.xml").feet_on_ground(boxes)
    return np.asarray(np.hypot(apart_m[:, 0], apart_m[:, 1]))


def _footage_frames(truth_file: Path) -> dict[int, int]:
    frames = {}
    for line in truth_file.read_text().splitlines():
        record = json.loads(line)
        if record["footage_frame"] is not None:
            frames[record["captured_at_ns"]] = record["footage_frame"]
    return frames


def annotated_boxes(path: Path) -> dict[int, NDArray[np.float64]]:
    """Boxes (N, 4) left, top, right, bottom by frame number, in pixels of the footage."""
    # The file comes with the test data that the user put there.
    root = ET.parse(path).getroot()  # noqa: S314
    annotated = {}
    for frame in root.iter("frame"):
        rows = []
        for box in frame.iter("box"):
            h, w, xc, yc = (float(box.attrib[key]) for key in ("h", "w", "xc", "yc"))
            rows.append((xc - w / 2, yc - h / 2, xc + w / 2, yc + h / 2))
        annotated[int(frame.attrib["number"])] = np.array(rows).reshape(-1, 4) * _FOOTAGE_SCALE
    return annotated


def _matching_box(box: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.float64] | None:
    if not len(candidates):
        return None
    low = np.maximum(box[:2], candidates[:, :2])
    high = np.minimum(box[2:], candidates[:, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(candidates[:, 2:] - candidates[:, :2], axis=1) - overlap
    best = int(np.argmax(overlap / area))
    return candidates[best] if overlap[best] / area[best] >= SAME_PERSON_IOU else None


class TsaiCamera:
    """The published camera: distorted sensor coordinates to the ground plane z = 0, in metres."""

    def __init__(self, path: Path) -> None:
        root = ET.parse(path).getroot()  # noqa: S314
        geometry, intrinsic, extrinsic = (
            {key: float(value) for key, value in root.find(name).attrib.items()}  # type: ignore[union-attr]
            for name in ("Geometry", "Intrinsic", "Extrinsic")
        )
        self._dpx, self._dpy = geometry["dpx"], geometry["dpy"]
        self._focal, self._kappa1 = intrinsic["focal"], intrinsic["kappa1"]
        self._cx, self._cy, self._sx = intrinsic["cx"], intrinsic["cy"], intrinsic["sx"]
        angles = [extrinsic[key] for key in ("rx", "ry", "rz")]
        self._rotation = Rotation.from_euler("xyz", angles).as_matrix()
        self._centre_m = -self._rotation.T @ np.array([extrinsic[key] for key in ("tx", "ty", "tz")]) / 1000.0

    def feet_on_ground(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """East and north in metres (N, 2) of where bottom centres of boxes (N, 4; footage pixels) are."""
        x_px = (boxes[:, 0] + boxes[:, 2]) / 2 / _FOOTAGE_SCALE
        y_px = boxes[:, 3] / _FOOTAGE_SCALE
        x_mm = (x_px - self._cx) * self._dpx / self._sx
        y_mm = (y_px - self._cy) * self._dpy
        undistort = 1.0 + self._kappa1 * (x_mm**2 + y_mm**2)
        rays = np.stack([x_mm * undistort, y_mm * undistort, np.full(len(boxes), self._focal)], axis=1)
        rays = rays @ self._rotation
        ground = self._centre_m - rays * (self._centre_m[2] / rays[:, 2:])
        return np.asarray(ground[:, :2])
