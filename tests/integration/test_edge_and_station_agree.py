"""What the edge can say fits what the station takes."""

import math

import pytest
from pydantic import TypeAdapter

from api.live.schemas import LiveReport as TakenReport
from patrol.domain.heights import Amsl
from patrol.domain.live import EyesStatus, LiveReport, TrackDot
from patrol.domain.resources import data_path
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import read_camera
from patrol.geo.ground import LevelGround
from patrol.geo.projection import footprint


@pytest.mark.parametrize("pitch_deg", range(-90, 31, 3))
@pytest.mark.parametrize("height_m", [2.0, 12.0, 110.0])
def test_every_footprint_fits_the_live_report(pitch_deg, height_m):
    camera = read_camera(data_path("flightplans") / "night-market.camera.yaml")
    pose = CameraPose(0, 31.3, 120.62, Amsl(4.0 + height_m), 0.0, math.radians(pitch_deg), 0.7)
    seen = footprint(camera, pose, ground=LevelGround(Amsl(4.0)), max_range_m=80.0)
    status = EyesStatus(
        1_763_726_400_000_000_000, "ready", "", seen, (TrackDot(1, 31.3, 120.62, 0.5),), 1, 0, 1, 0
    )
    taken = TakenReport.model_validate_json(
        TypeAdapter(LiveReport).dump_json(LiveReport("drone-1", None, status))
    )
    assert taken.eyes is not None
    assert len(taken.eyes.footprint) == len(seen)
