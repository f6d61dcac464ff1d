"""Fixtures that every suite shares."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# A busy machine is no fault of what is tested.
settings.register_profile("night-patrol", deadline=None)
settings.load_profile("night-patrol")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The optional folder of real data that does not ship with the project.

    Missing, the test is skipped with the reason; on a continuous-integration machine that is a failure.
    """
    folder = Path(os.environ.get("NIGHT_PATROL_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    reason = f"{folder}: no test data; set NIGHT_PATROL_TEST_DATA to the folder with aerial/, crowd/ ..."
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, eq=False)
class Flight:
    """A scripted flight of the simulated drone: truth and the camera's poses ten a second, and telemetry."""

    truths: list[Any]
    poses: list[Any]
    telemetry: list[Any]
    frame: Any
    ground_amsl_m: float

    def tell(self, history: Any, until_ns: int, since_ns: int = 0) -> None:
        """Give a pose history the telemetry of a stretch of time."""
        adders = {
            "PositionSample": history.add_position,
            "AttitudeSample": history.add_attitude,
            "GimbalSample": history.add_gimbal,
        }
        for sample in self.telemetry:
            if since_ns < sample.at_ns <= until_ns:
                adders[type(sample).__name__](sample)

    def matches(self, camera: Any, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
        """Points of the ground in two of its pictures, found to a third of a pixel."""
        from patrol.domain.heights import Amsl
        from patrol.geo.ground import LevelGround
        from patrol.geo.projection import PoseErrors, ground_to_pixels, pixels_to_ground

        rng = np.random.default_rng(after)
        pixels = rng.uniform((0, 0), (camera.width_px, camera.height_px), (30, 2))
        points = pixels_to_ground(
            camera,
            self.poses[before],
            pixels,
            ground=LevelGround(Amsl(self.ground_amsl_m)),
            pixel_sigma_px=[0.0, 0.0],
            errors=PoseErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        )
        found, in_view = ground_to_pixels(
            camera, self.poses[after], points.lat_deg, points.lon_deg, self.ground_amsl_m
        )
        in_view &= points.valid
        return pixels[in_view], (found + rng.normal(0.0, 0.3, found.shape))[in_view]


@pytest.fixture(scope="session")
def fly() -> Callable[..., Flight]:
    """Flies a script as fast as the processor goes.

    A script gives, for a time in seconds, the wanted speed forward (m/s), heading and gimbal pitch (degrees).
    Telemetry comes as from an autopilot: attitude and gimbal 20 times, position 10 times a second, with the
    errors that the demo's simulation file declares.
    """
    from patrol.domain.heights import Amsl
    from patrol.domain.resources import data_path
    from patrol.domain.telemetry import AttitudeSample, GimbalSample, PositionSample
    from patrol.sim.body import Demand, GimbalTarget
    from patrol.sim.camera import camera_pose
    from patrol.sim.drone import STEP_S, Drone
    from patrol.sim.settings import read_sim_settings

    def make(
        script: Callable[[float], tuple[float, float, float]],
        seconds: float,
        *,
        seed: int = 1,
        with_noise: bool = True,
        start_neu_m: tuple[float, float, float] = (20.0, 15.0, 14.0),
    ) -> Flight:
        settings = read_sim_settings(data_path("flightplans") / "night-market.sim.yaml")
        drone = Drone(settings, utc_at_boot_ns=1_800_000_000 * 10**9, seed=seed, with_noise=with_noise)
        body = drone.body
        body.position_neu_m = start_neu_m
        _, heading_deg, pitch_deg = script(0.0)
        body.yaw_rad, body.gimbal_pitch_rad = math.radians(heading_deg), math.radians(pitch_deg)
        truths, telemetry = [], []
        for step in range(round(seconds / STEP_S)):
            speed_mps, heading_deg, pitch_deg = script(step * STEP_S)
            heading_rad = math.radians(heading_deg)
            velocity = (speed_mps * math.cos(heading_rad), speed_mps * math.sin(heading_rad), 0.0)
            drone.demand = Demand(velocity_neu_mps=velocity, yaw_rad=heading_rad)
            drone.gimbal = GimbalTarget(pitch_rad=math.radians(pitch_deg))
            drone.step()
            told, at_ns = drone.estimate(), drone.utc_ns
            if step % 5 == 0:
                truths.append(drone.truth)
                north, east, up = told.velocity_neu_mps
                height = Amsl(told.height_amsl_m)
                telemetry.append(
                    PositionSample(at_ns, told.lat_deg, told.lon_deg, height, told.up_m, north, east, -up)
                )
            if step % 5 in (1, 3):
                telemetry.append(AttitudeSample(at_ns, told.roll_rad, told.pitch_rad, told.yaw_rad))
            if step % 5 in (2, 4):
                angles = (told.gimbal_roll_rad, told.gimbal_pitch_rad, told.gimbal_yaw_rad)
                telemetry.append(GimbalSample(at_ns, *angles))
        poses = [camera_pose(truth, drone.frame, drone.ground_amsl_m) for truth in truths]
        return Flight(truths, poses, telemetry, drone.frame, drone.ground_amsl_m)

    return make
