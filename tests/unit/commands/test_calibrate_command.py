"""`patrol calibrate` on files: a simulated flight over the night market, and a fixed camera."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner, Result

from patrol.commands.calibrate import app
from patrol.commands.geolocation import TsaiCamera
from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.domain.telemetry import AttitudeSample, CameraPose, ClockSample, GimbalSample, PositionSample
from patrol.edge.telemetry_log import TelemetryLog
from patrol.geo.camera import CameraModel, Installation, read_camera
from patrol.geo.camera_file import write_camera
from patrol.geo.projection import ground_to_pixels
from patrol.plan.market import read_market

MARKET = data_path("flightplans") / "night-market.market.geojson"
PETS_CAMERA = data_path("flightplans") / "night-market.camera.yaml"
PETS_POSE = data_path("flightplans") / "footage" / "pets2009-s2l1-view1.pose.yaml"
START_NS = 1_795_262_400_000_000_000
CLICK_PX = 1.5
CAMERA = CameraModel(
    1280, 720, 900.0, 900.0, 640.0, 360.0, (-0.08, 0.01, 0.0, 0.0, 0.0),
    installation=Installation(lever_arm_frd_m=(0.2, 0.0, 0.15)),
)  # fmt: skip
TRUTH = replace(
    CAMERA,
    mount_roll_rad=0.03,
    mount_pitch_rad=-0.02,
    mount_yaw_rad=0.025,
    installation=Installation((0.2, 0.0, 0.15), math.radians(7.0), 3.0, 0.35),
)


@dataclass(frozen=True)
class State:
    """Where the aircraft truly is: an eight over the market in 48 s, nodding with the camera."""

    at_s: float

    def place_enu_m(self) -> np.ndarray:
        phase = 2 * math.pi * self.at_s / 48
        return np.array(
            [20 + 30 * math.sin(phase), 5 + 20 * math.sin(2 * phase), 38 + 8 * math.sin(phase / 2)]
        )

    def velocity_enu_mps(self) -> np.ndarray:
        return (State(self.at_s + 1e-3).place_enu_m() - State(self.at_s - 1e-3).place_enu_m()) / 2e-3

    def airframe_rad(self) -> tuple[float, float, float]:
        east, north, _ = self.velocity_enu_mps()
        return math.atan2(east, north), 0.08 * math.cos(0.7 * self.at_s), 0.05 * math.sin(self.at_s)

    def gimbal_pitch_rad(self) -> float:
        return math.radians(-58 + 22 * math.sin(0.4 * self.at_s))


def record(path: Path, seconds: float) -> None:
    """Telemetry whose heading and height read too much, with position fixes that wander by 0.3 m."""
    market, installation = read_market(MARKET), TRUTH.installation
    rng = np.random.default_rng(2)
    wander = 0.3 * rng.standard_normal(3)
    with TelemetryLog(path) as log:
        log.write(ClockSample(START_NS, 0, 1_000_000))
        for step in range(round(seconds * 10)):
            at_ns, state = START_NS + step * 100_000_000, State(step / 10)
            keep = math.exp(-0.1 / 60)
            wander = keep * wander + 0.3 * math.sqrt(1 - keep * keep) * rng.standard_normal(3)
            east_m, north_m, above_m = state.place_enu_m() + wander
            lat_deg, lon_deg = map(float, market.frame.to_geodetic(east_m, north_m))
            height = Amsl(market.ground_amsl_m + above_m + installation.height_bias_m)
            east, north, up = map(float, state.velocity_enu_mps())
            log.write(PositionSample(at_ns, lat_deg, lon_deg, height, above_m, north, east, -up))
            for half in (0, 50_000_000):
                state = State((at_ns + half - START_NS) / 1e9)
                yaw, pitch, roll = state.airframe_rad()
                heading = (yaw + installation.heading_bias_rad + math.pi) % (2 * math.pi) - math.pi
                log.write(AttitudeSample(at_ns + half, roll, pitch, heading))
                log.write(GimbalSample(at_ns + half, 0.0, state.gimbal_pitch_rad(), 0.0))


def photograph(seconds: float, pictures: int, points_each: int) -> list[dict[str, str]]:
    """Rows of the table: corners of stalls, seen by the camera as it is truly installed."""
    market, installation = read_market(MARKET), TRUTH.installation
    rng = np.random.default_rng(1)
    corners_en_m = np.array([corner for s in market.stalls for corner in list(s.polygon.exterior.coords)[:2]])
    lat_deg, lon_deg = market.frame.to_geodetic(*corners_en_m.T)
    rows: list[dict[str, str]] = []
    for at_s in np.linspace(3, seconds - 3, 3 * pictures):
        state = State(float(at_s))
        yaw, pitch, roll = state.airframe_rad()
        north, east, down = Rotation.from_euler("ZYX", [yaw, pitch, roll]).apply(installation.lever_arm_frd_m)
        east_m, north_m, above_m = state.place_enu_m() + np.array([east, north, -down])
        eye_lat_deg, eye_lon_deg = map(float, market.frame.to_geodetic(east_m, north_m))
        height = Amsl(market.ground_amsl_m + above_m)
        pose = CameraPose(0, eye_lat_deg, eye_lon_deg, height, 0.0, state.gimbal_pitch_rad(), yaw)
        pixels, _ = ground_to_pixels(TRUTH, pose, lat_deg, lon_deg, market.ground_amsl_m)
        clicked = pixels + rng.normal(0, CLICK_PX, pixels.shape)
        seen = np.flatnonzero(np.all((clicked >= 0) & (clicked <= (1280, 720)), axis=1))
        if len(seen) < points_each or len({row["captured_at"] for row in rows}) == pictures:
            continue
        rows += [
            {
                "captured_at": str(START_NS + round((at_s + installation.delay_s) * 1e9)),
                "x_px": f"{clicked[i, 0]:.1f}",
                "y_px": f"{clicked[i, 1]:.1f}",
                "lat_deg": f"{lat_deg[i]:.8f}",
                "lon_deg": f"{lon_deg[i]:.8f}",
                "name": f"corner {i}",
            }
            for i in rng.permutation(seen)[:points_each]
        ]
    return rows


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with points.csv, telemetry.jsonl and drone.camera.yaml."""
    folder = tmp_path_factory.mktemp("flown")
    record(folder / "telemetry.jsonl", 60)
    write_table(folder / "points.csv", photograph(60, pictures=10, points_each=5))
    write_camera(folder / "drone.camera.yaml", CAMERA)
    return folder


def calibrate(
    folder: Path, *options: str, points: str = "points.csv", poses: str = "telemetry.jsonl"
) -> Result:
    files = [
        str(folder / points),
        "--camera",
        str(folder / "drone.camera.yaml"),
        "--poses",
        str(folder / poses),
    ]
    return CliRunner().invoke(app, [*files, *options])


def refused(result: Result) -> str:
    assert isinstance(result.exception, UsageError), result.output
    return str(result.exception)


def test_a_flight_is_calibrated(flown: Path, tmp_path: Path) -> None:
    out, picture, report = tmp_path / "new.camera.yaml", tmp_path / "residuals.png", tmp_path / "report.json"
    stated = ("horizontal_m=0.3", "height_m=0.3", "roll_deg=0.1", "pitch_deg=0.1", "yaw_deg=0.1")
    sigmas = [f"--sigma={one}" for one in (*stated, f"pixel_px={CLICK_PX}")]
    options = ["--market", str(MARKET), "--out", str(out), "--picture", str(picture), "--report", str(report)]
    result = calibrate(flown, *options, *sigmas)
    assert result.exit_code == 0, result.exception
    assert result.output.splitlines()[-1] == f"{out}: written"
    found = json.loads(report.read_text())
    assert found["solve"] == ["boresight", "heading", "height", "delay"]
    assert (found["findings"], found["refusal"]) == ([], None)
    solved = read_camera(out)
    for name, figures in found["parameters"].items():
        was, value, truth = (
            getattr(one if "mount" in name else one.installation, name) for one in (CAMERA, solved, TRUTH)
        )
        assert (figures["before"], figures["value"]) == (was, value)
        assert figures["determined"]
        assert abs(value - truth) < 3 * figures["sigma"]
    assert solved.installation.lever_arm_frd_m == CAMERA.installation.lever_arm_frd_m
    residuals = found["residuals"]
    assert residuals["before"]["median_m"] > 4
    assert residuals["held_out"]["median_m"] < residuals["before"]["median_m"] / 6
    assert len(found["points"]) == 50
    assert found["points"][0]["name"].endswith("(line 2)")
    comments = [line for line in out.read_text().splitlines() if line.startswith("#")]
    assert "#   camera drone.camera.yaml, points points.csv (50 used), poses telemetry.jsonl" in comments
    assert any(line.startswith("#   delay: 0.3") for line in comments)
    with Image.open(picture) as image:
        assert image.size == (2850, 1290)


def fixed_camera(
    folder: Path, truth: CameraModel, *, poses: Mapping[str, object] | None = None, frames: bool = True
) -> None:
    """The shipped camera and pose, and a grid of points that `truth` sees from there, clicked to 0.3 px."""
    pose = yaml.safe_load(PETS_POSE.read_text()) | {"market": str(MARKET), "camera_model": str(PETS_CAMERA)}
    pose |= poses or {}
    (folder / "poses.yaml").write_text(yaml.safe_dump(pose, default_flow_style=False))
    (folder / "drone.camera.yaml").write_text(PETS_CAMERA.read_text())
    market, rng = read_market(MARKET), np.random.default_rng(3)
    east_m, north_m = (axis.ravel() for axis in np.meshgrid(np.arange(-22, 5, 3.0), np.arange(-12, 12, 3.0)))
    lat_deg, lon_deg = market.frame.to_geodetic(east_m, north_m)
    camera_pose = CameraPose(
        0, 31.29982387, 120.61969587, Amsl(11.0657), 0.0, math.radians(-16.4822), math.radians(54.3492)
    )
    pixels, seen = ground_to_pixels(truth, camera_pose, lat_deg, lon_deg, market.ground_amsl_m)
    picture = {"frame": "1"} if frames else {"captured_at": "2026-11-21T20:00:03+08:00"}
    rows = []
    for i in np.flatnonzero(seen)[::2]:
        x_px, y_px = np.clip(pixels[i] + rng.normal(0, 0.3, 2), 0, (480, 360))
        point = {"x_px": x_px, "y_px": y_px, "lat_deg": lat_deg[i], "lon_deg": lon_deg[i]}
        rows.append(picture | {name: f"{value:.8f}" for name, value in point.items()})
    write_table(folder / "points.csv", rows)


DISTURBED = {"mount_roll_rad": 0.02, "mount_pitch_rad": -0.03, "mount_yaw_rad": 0.04}


def disturbed(camera: CameraModel) -> CameraModel:
    return replace(camera, **{name: getattr(camera, name) + by for name, by in DISTURBED.items()})


@pytest.mark.parametrize("frames", [True, False])
def test_a_fixed_camera_is_calibrated(tmp_path: Path, frames: bool) -> None:
    given = read_camera(PETS_CAMERA)
    fixed_camera(tmp_path, disturbed(given), frames=frames)
    out = tmp_path / "new.camera.yaml"
    result = calibrate(tmp_path, "--out", str(out), "--sigma", "pixel_px=0.3", poses="poses.yaml")
    assert result.exit_code == 0, result.exception
    assert "told by" in result.output
    solved = read_camera(out)
    for name, by in DISTURBED.items():
        # The pose file states its angles to 0.05 degrees.
        assert getattr(solved, name) - getattr(given, name) == pytest.approx(by, abs=math.radians(0.1))
    assert solved.installation == given.installation


def test_no_camera_is_written_when_nothing_is_gained(tmp_path: Path) -> None:
    fixed_camera(tmp_path, read_camera(PETS_CAMERA))
    out, report = tmp_path / "new.camera.yaml", tmp_path / "report.json"
    result = calibrate(
        tmp_path, "--out", str(out), "--report", str(report), "--solve", "boresight,heading,height",
        "--sigma", "pixel_px=0.3", poses="poses.yaml",
    )  # fmt: skip
    assert isinstance(result.exception, NightPatrolError)
    assert result.exception.exit_code == 1
    assert "keep the camera as it is" in str(result.exception)
    assert not out.exists()
    assert json.loads(report.read_text())["refusal"] in str(result.exception)
    assert "Heading, mount yaw and mount roll cannot be told apart" in " ".join(result.output.split())


def test_files_are_not_written_over(tmp_path: Path) -> None:
    fixed_camera(tmp_path, disturbed(read_camera(PETS_CAMERA)))
    old = tmp_path / "old.camera.yaml"
    old.write_text("old")
    assert "is there already; name another file or add --force" in refused(
        calibrate(tmp_path, "--out", str(old), poses="poses.yaml")
    )
    same = ["--out", str(tmp_path / "drone.camera.yaml"), "--force"]
    assert "is the camera that is calibrated" in refused(calibrate(tmp_path, *same, poses="poses.yaml"))
    assert "no such folder" in refused(
        calibrate(tmp_path, "--out", str(tmp_path / "no" / "new.yaml"), poses="poses.yaml")
    )
    assert old.read_text() == "old"
    assert calibrate(tmp_path, "--out", str(old), "--force", poses="poses.yaml").exit_code == 0
    assert read_camera(old).width_px == 480


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--solve", "boresight,roll"], "--solve boresight,roll: 'roll' is unknown; choose from"),
        (["--solve", "delay"], "--solve delay: a list of poses does not tell motion, so no delay; give"),
        (["--sigma", "pixel_px"], "--sigma pixel_px: write NAME=VALUE; names are horizontal_m"),
        (["--sigma", "pixels=2"], "--sigma pixels=2: write NAME=VALUE; names are horizontal_m"),
        (["--sigma", "pixel_px=0"], "--sigma: pixel_px: input should be greater than 0 (found '0'); correct"),
        (["--prior", "heading_deg=much"], "--prior: heading_deg: input should be a valid number"),
        (["--market", "none.geojson"], "none.geojson: no such file"),
    ],
)  # fmt: skip
def test_wrong_options_are_sentences(tmp_path: Path, options: list[str], sentence: str) -> None:
    fixed_camera(tmp_path, read_camera(PETS_CAMERA))
    assert sentence in refused(calibrate(tmp_path, *options, poses="poses.yaml"))


def change(flown: Path, folder: Path, **cells: str) -> str:
    """A table beside the flight whose second point has other cells; returns its path."""
    rows = photograph(60, pictures=10, points_each=5)
    rows[1] |= cells
    return str(write_table(folder / "changed.csv", rows))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"x_px": "1900"}, "changed.csv:3: pixel 1900, "),
        ({"captured_at": "2026-11-21T20:01:02+08:00"}, "no pose at 2026-11-21T12:01:02.000Z; it reaches"),
        ({"captured_at": "2026-11-21T20:00:10Z"}, "check captured_at and its time zone"),
        ({"lat_deg": "91"}, "changed.csv:3: lat_deg 91 is beyond 90 degrees"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(flown: Path, tmp_path: Path, cells: dict[str, str], sentence: str) -> None:
    table = change(flown, tmp_path, **cells)
    assert sentence in refused(calibrate(flown, "--ground-amsl-m", "4", points=table))


def test_points_without_height_are_refused(flown: Path) -> None:
    sentence = refused(calibrate(flown))
    assert "points.csv:2: has no height; give height_amsl_m, --ground-amsl-m or --market" in sentence


def test_frames_belong_to_lists_of_poses(flown: Path, tmp_path: Path) -> None:
    fixed_camera(tmp_path, read_camera(PETS_CAMERA))
    table = str(tmp_path / "points.csv")
    assert "telemetry has times, no frames; give captured_at" in refused(calibrate(flown, points=table))


def test_lists_of_poses_without_the_pose_are_refused(tmp_path: Path) -> None:
    fixed_camera(tmp_path, read_camera(PETS_CAMERA))
    table = tmp_path / "points.csv"
    table.write_text(table.read_text().replace("\n1,", "\n2,"))
    assert "points.csv:2: " in refused(calibrate(tmp_path, poses="poses.yaml"))
    assert "has no pose 2; it lists 1" in refused(calibrate(tmp_path, poses="poses.yaml"))
    fixed_camera(tmp_path, read_camera(PETS_CAMERA), frames=False, poses={"started_at": None})
    assert "does not say started_at" in refused(calibrate(tmp_path, poses="poses.yaml"))


def test_rubbish_for_telemetry_is_a_sentence(flown: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"kind": "position"}\n')
    assert "t.jsonl, line 1" in refused(calibrate(flown, poses=str(tmp_path / "t.jsonl")))
    (tmp_path / "t.jsonl").write_text("")
    sentence = refused(calibrate(flown, poses=str(tmp_path / "t.jsonl")))
    assert "it holds no positions and no attitudes and no gimbal angles" in sentence


def test_help_has_an_example() -> None:
    output = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert (
        "Example: `patrol calibrate points.csv --camera drone.camera.yaml --poses telemetry.jsonl" in output
    )


def test_the_published_calibration_of_a_real_camera_is_recovered(test_data: Path, tmp_path: Path) -> None:
    """PETS 2009, view 001: pixels and ground by its published Tsai calibration, our boresight disturbed."""
    given = read_camera(PETS_CAMERA)
    fixed_camera(tmp_path, given)
    tsai_points(tmp_path, test_data)
    write_camera(tmp_path / "drone.camera.yaml", disturbed(given))
    out, report = tmp_path / "new.camera.yaml", tmp_path / "report.json"
    options = ["--out", str(out), "--report", str(report), "--sigma", "pixel_px=0.3"]
    result = calibrate(tmp_path, *options, poses="poses.yaml")
    assert result.exit_code == 0, result.exception
    solved, residuals = read_camera(out), json.loads(report.read_text())["residuals"]
    for name in DISTURBED:
        assert getattr(solved, name) == pytest.approx(getattr(given, name), abs=math.radians(0.03))
    assert residuals["before"]["median_m"] > 1.5
    assert residuals["held_out"]["median_m"] < 0.03


def test_a_real_camera_whose_pose_is_rough_is_put_right(test_data: Path, tmp_path: Path) -> None:
    given = read_camera(PETS_CAMERA)
    fixed_camera(tmp_path, given)
    tsai_points(tmp_path, test_data)
    write_camera(tmp_path / "drone.camera.yaml", disturbed(given))
    document = yaml.safe_load((tmp_path / "poses.yaml").read_text())
    pose = document["poses"][0]
    pose["lat_deg"] += 0.5 / 111_000
    pose["height_amsl_m"] += 0.3
    pose["yaw_deg"] += 5.0
    (tmp_path / "poses.yaml").write_text(yaml.safe_dump(document))
    report = tmp_path / "report.json"
    rough = [f"--sigma={one}" for one in ("horizontal_m=0.5", "height_m=0.3", "yaw_deg=0.5", "pixel_px=0.3")]
    options = ["--report", str(report), "--solve", "boresight,heading,height", *rough]
    result = calibrate(tmp_path, *options, poses="poses.yaml")
    assert result.exit_code == 0, result.exception
    found = json.loads(report.read_text())
    assert found["residuals"]["before"]["median_m"] > 1.5
    # Heading and height are put right; the half metre to the side, which is not solved for, is left.
    assert found["residuals"]["held_out"]["median_m"] < 0.6
    assert any("cannot be told apart" in finding for finding in found["findings"])


def tsai_points(folder: Path, test_data: Path) -> None:
    """Points over the lower two thirds of the picture, put on the ground by the published calibration."""
    x_px, y_px = (axis.ravel() for axis in np.meshgrid(np.arange(40, 460, 60.0), np.arange(120, 350, 45.0)))
    tsai = TsaiCamera(test_data / "aerial" / "pets2009_s2l1" / "View_001.xml")
    on_ground = tsai.feet_on_ground(np.column_stack([x_px, y_px - 1, x_px, y_px]))
    lat_deg, lon_deg = read_market(MARKET).frame.to_geodetic(*on_ground.T)
    names = ("frame", "x_px", "y_px", "lat_deg", "lon_deg")
    rows = zip(x_px, y_px, lat_deg, lon_deg, strict=True)
    lines = [dict(zip(names, ("1", *(f"{value:.9f}" for value in row)), strict=True)) for row in rows]
    write_table(folder / "points.csv", lines)
