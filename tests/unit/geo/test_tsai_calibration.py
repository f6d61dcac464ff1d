"""The demonstration's camera against the calibration it was made from (PETS 2009, Tsai's model)."""

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import read_camera
from patrol.geo.frames import LocalFrame
from patrol.geo.projection import PoseErrors, pixels_to_ground
from patrol.plan.market import read_market


@pytest.fixture(scope="module")
def pets(test_data: Path) -> Path:
    return test_data / "aerial" / "pets2009_s2l1"


def annotated_feet_px(path: Path) -> np.ndarray:
    """(N, 2) bottom centres of all boxes, pixels of 768x576."""
    boxes = [box.attrib for box in ET.parse(path).getroot().iter("box")]
    return np.array([[float(b["xc"]), float(b["yc"]) + float(b["h"]) / 2] for b in boxes])


def tsai_ground_m(calibration: Path, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) on the plane z = 0 of pixels (N, 2), by Tsai (1987): sensor mm, kappa1, rotation, homography."""
    values = {k: float(v) for part in ET.parse(calibration).getroot() for k, v in part.attrib.items()}
    x_mm = (pixels[:, 0] - values["cx"]) * values["dpx"] / values["sx"]
    y_mm = (pixels[:, 1] - values["cy"]) * values["dpy"]
    lift = 1 + values["kappa1"] * (x_mm**2 + y_mm**2)
    sin, cos = ({axis: function(values[f"r{axis}"]) for axis in "xyz"} for function in (math.sin, math.cos))
    rotation = np.array(
        [
            [
                cos["y"] * cos["z"],
                cos["z"] * sin["x"] * sin["y"] - cos["x"] * sin["z"],
                sin["x"] * sin["z"] + cos["x"] * cos["z"] * sin["y"],
            ],
            [
                cos["y"] * sin["z"],
                sin["x"] * sin["y"] * sin["z"] + cos["x"] * cos["z"],
                cos["x"] * sin["y"] * sin["z"] - cos["z"] * sin["x"],
            ],
            [-sin["y"], cos["y"] * sin["x"], cos["x"] * cos["y"]],
        ]
    )
    translation = np.array([values["tx"], values["ty"], values["tz"]])
    # The plane's homography: (x, y, 1) in the image plane is f (r1 X + r2 Y + t).
    homography = np.column_stack([rotation[:, 0], rotation[:, 1], translation])
    rays = np.column_stack([x_mm * lift, y_mm * lift, np.full(len(pixels), values["focal"])])
    ground = np.linalg.solve(homography, rays.T).T
    return ground[:, :2] / ground[:, 2:] / 1000.0


def test_feet_lie_where_tsai_puts_them(pets: Path) -> None:
    feet_px = annotated_feet_px(pets / "PETS2009-S2L1.xml")
    assert len(feet_px) == 4650
    expected_m = tsai_ground_m(pets / "View_001.xml", feet_px)

    market = read_market(data_path("flightplans") / "night-market.market.geojson")
    camera = read_camera(data_path("flightplans") / "night-market.camera.yaml")
    watch = next(w for w in market.watch_points if w.id == "yard")
    pose = CameraPose(
        0,
        watch.lat_deg,
        watch.lon_deg,
        Amsl(market.ground_amsl_m + watch.height_above_ground_m),
        0.0,
        math.radians(watch.pitch_deg),
        math.radians(watch.yaw_deg),
    )
    points = pixels_to_ground(
        camera,
        pose,
        feet_px * 0.625,
        ground=market.ground,
        pixel_sigma_px=(0.0, 0.0),
        errors=PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    )
    assert points.valid.all()
    found_m = np.column_stack(market.frame.to_enu(points.lat_deg, points.lon_deg))
    assert market.frame == LocalFrame(31.3, 120.62)
    apart_m = np.hypot(*(found_m - expected_m).T)
    assert np.median(apart_m) < 0.05
    assert apart_m.max() < 0.1

    zones = [
        market.zone_at(lat, lon) for lat, lon in zip(points.lat_deg[::25], points.lon_deg[::25], strict=True)
    ]
    assert {zone.id if zone else None for zone in zones} == {"yard"}
