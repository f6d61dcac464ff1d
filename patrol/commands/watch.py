"""`patrol watch`: the eyes on a video file, without a drone."""

import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from patrol.domain.alerts import AlertReport, AlertSource
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, GimbalSample, PositionSample
from patrol.edge.alert_desk import AlertDesk
from patrol.edge.drawing import annotate
from patrol.edge.pipeline import Pipeline
from patrol.edge.settings import EyesSettings, SensorSettings
from patrol.geo.camera import Installation, read_camera
from patrol.geo.documents import DocumentError, first_fault, read_yaml
from patrol.geo.history import PoseHistory
from patrol.plan.market import read_market
from patrol.uplink.outbox import EvidenceFile
from patrol.video.frames import VideoError
from patrol.video.source import VideoSource
from patrol.video.writer import VideoFile
from patrol.vision.registry import load_manifest

app = typer.Typer(add_completion=False)

_SECOND_NS = 1_000_000_000
_DRAWN_WIDTH_PX = 960
# A recording whose poses are given by hand may name one for minutes; only the ends of the list bound it.
_LONGEST_RECORDING_S = 24 * 3600.0


class _Pose(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at_s: float = Field(default=0.0, ge=0, le=_LONGEST_RECORDING_S)
    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)
    height_amsl_m: float
    roll_deg: float = 0.0
    pitch_deg: float = Field(ge=-90, le=30)
    yaw_deg: float


class PoseFile(BaseModel):
    """Where the camera of a recording was, and which market it looked at.

    `poses` are interpolated between their times; the last one holds to the end. Paths are relative to this
    file.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    camera_model: Path
    market: Path
    started_at: AwareDatetime | None = None
    poses: list[_Pose] = Field(min_length=1)
    sensors: SensorSettings = SensorSettings()

    def history(self, start_ns: int, installation: Installation = Installation()) -> PoseHistory:  # noqa: B008
        """The poses as telemetry of a recording that began at `start_ns` (UTC).

        They are the camera's own, so of an installation only what is wrong with heading and height counts.
        """
        biases = replace(installation, lever_arm_frd_m=(0.0, 0.0, 0.0))
        history = PoseHistory(
            installation=biases, keep_s=_LONGEST_RECORDING_S, max_gap_s=_LONGEST_RECORDING_S
        )
        last = self.poses[-1]
        for pose in [*self.poses, last.model_copy(update={"at_s": last.at_s + _LONGEST_RECORDING_S / 2})]:
            at_ns = start_ns + round(pose.at_s * _SECOND_NS)
            history.add_position(
                PositionSample(
                    at_ns, pose.lat_deg, pose.lon_deg, Amsl(pose.height_amsl_m), math.nan, 0.0, 0.0, 0.0
                )
            )
            history.add_attitude(AttitudeSample(at_ns, 0.0, 0.0, math.radians(pose.yaw_deg)))
            history.add_gimbal(
                GimbalSample(at_ns, math.radians(pose.roll_deg), math.radians(pose.pitch_deg), 0.0)
            )
        return history


def read_poses(path: Path) -> PoseFile:
    """Read a pose file.

    Raises:
        DocumentError: it cannot be read or does not say what it must.
    """
    try:
        poses = PoseFile.model_validate(read_yaml(path))
    except ValidationError as error:
        raise DocumentError(
            f"{path}: {first_fault(error)}; see flightplans/footage/pets2009-s2l1-view1.pose.yaml"
        ) from error
    return poses.model_copy(
        update={"camera_model": path.parent / poses.camera_model, "market": path.parent / poses.market}
    )


@app.command(
    epilog="Example: `patrol watch flightplans/footage/pets2009-s2l1-view1.mp4 "
    "--pose flightplans/footage/pets2009-s2l1-view1.pose.yaml --draw seen.mp4`"
)
def watch(
    video: Annotated[Path, typer.Argument(help="Video file.")],
    pose: Annotated[Path, typer.Option(help="YAML: where the camera was, its model and the market map.")],
    out: Annotated[
        Path | None, typer.Option(help="Write incidents here as JSON lines; default: print them.")
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Write the annotated video here (H.264 MP4).")] = None,
    model: Annotated[str, typer.Option(help="Detector, see `patrol models list`.")] = EyesSettings().model,
    tile: Annotated[
        int | None, typer.Option(help="Side of detection tiles in pixels; default: whole picture.", min=64)
    ] = None,
) -> None:
    """Find people and incidents in VIDEO.

    Each incident is a JSON line (an alert revision, as the station would get it).
    """
    poses = read_poses(pose)
    started_at = poses.started_at or datetime.now().astimezone()
    start_ns = int(started_at.timestamp() * _SECOND_NS)
    camera = read_camera(poses.camera_model)
    history = poses.history(start_ns, camera.installation)
    market = read_market(poses.market)
    manifest = load_manifest(model)
    eyes = EyesSettings(model=model, tile_px=tile) if tile else EyesSettings(model=model)
    pipeline = Pipeline(camera, market, manifest, eyes, poses.sensors)

    with ExitStack() as stack:
        source = stack.enter_context(VideoSource(video, starts_at_ns=start_ns))
        lines = stack.enter_context(out.open("w")) if out else sys.stdout
        alerts: set[str] = set()

        def keep(report: AlertReport, _evidence: list[EvidenceFile]) -> None:
            alerts.add(report.id)
            lines.write(TypeAdapter(AlertReport).dump_json(report).decode() + "\n")
            lines.flush()

        desk = AlertDesk(market, AlertSource("recording", video.stem, manifest.name, manifest.sha256), keep)
        writer: VideoFile | None = None
        people: set[int] = set()
        frames = 0
        progress = stack.enter_context(
            Progress(
                TextColumn("pictures: {task.completed},"),
                TextColumn("people: {task.fields[people]}, incidents: {task.fields[alerts]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        )
        task = progress.add_task("", people=0, alerts=0, total=None)
        for frame in source:
            result = pipeline.process(frame, history.pose_at(frame.captured_at_ns))
            desk.handle(result)
            people.update(track.track_id for track in result.tracks)
            frames += 1
            progress.update(task, completed=frames, people=len(people), alerts=len(alerts))
            if draw is None:
                continue
            seconds = (frame.captured_at_ns - start_ns) / _SECOND_NS
            caption = f"{seconds:6.1f} s  people {len(result.tracks)}  incidents open {desk.open_incidents}"
            drawn = annotate(frame.pixels, result, desk.members, caption, _DRAWN_WIDTH_PX)
            if writer is None:
                writer = stack.enter_context(
                    VideoFile(draw, source.frame_rate_hz or 25.0, (drawn.shape[1], drawn.shape[0]))
                )
            writer.write(drawn)
        desk.close(pipeline.finish())
    if not frames:
        raise VideoError(f"{video}: holds no picture; give another file")
    Console(stderr=True).print(f"pictures: {frames}, people tracked: {len(people)}, incidents: {len(alerts)}")
