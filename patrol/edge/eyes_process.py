"""The eyes of one sortie: pictures in, alerts into the outbox, live state to the uplink."""

import base64
import json
import logging
import threading
import time
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

from patrol.domain.alerts import AlertSource
from patrol.domain.live import EyesStatus, TrackDot
from patrol.domain.positions import GroundTrack, covariance_matrix
from patrol.domain.telemetry import (
    AttitudeSample,
    CameraPose,
    ClockSample,
    GimbalSample,
    LensSample,
    PositionSample,
)
from patrol.edge.alert_desk import AlertDesk
from patrol.edge.bus import LARGEST_PICTURE_BYTES, Bus, LivePicture
from patrol.edge.capture_time import CaptureTimes, TimedFrame
from patrol.edge.drawing import annotate
from patrol.edge.job import Job, background, run_process
from patrol.edge.pipeline import FrameResult, Pipeline
from patrol.edge.settings import EyesSettings
from patrol.edge.telemetry_log import TELEMETRY_FILE, TelemetryLog
from patrol.geo.camera import Installation, read_camera
from patrol.geo.coverage import FILE_NAME as COVERAGE_FILE
from patrol.geo.coverage import CoverageLog
from patrol.geo.ellipses import radius_90_m
from patrol.geo.history import PoseHistory
from patrol.plan.market import read_market
from patrol.uplink.outbox import Outbox
from patrol.video.redaction import encode_jpeg
from patrol.video.source import SourceState, SourceStatus, VideoSource
from patrol.vision.registry import load_manifest

_LOG = logging.getLogger(__name__)

_STATUS_EVERY_S = 0.5
# Small sources are enlarged to this, so that the boxes' numbers can be read.
_LEAST_LIVE_WIDTH_PX = 640
# How long pictures may come without a place before people are told; telemetry gaps of a second are common.
_POSE_PATIENCE_S = 3.0
_NO_POSE = (
    "no telemetry fits the time of the pictures, so nobody's place is known and no alert can be raised; "
    "check the aircraft's link, its gimbal and the clocks of camera and aircraft"
)
# The station takes no longer ones.
_LONGEST_REASON = 500


class _Telemetry:
    """Pose history fed from the bus; a picture waits here until its instant is covered.

    `heard` tells whether the aircraft has said anything at all.
    """

    def __init__(self, installation: Installation, times: CaptureTimes) -> None:
        self.history = PoseHistory(installation=installation)
        self._times = times
        self._grown = threading.Condition()
        self.heard = False

    def listen(self, bus: Bus, stop: threading.Event, log: TelemetryLog | None) -> None:
        """Take what comes, and write it to the log if there is one."""
        while not stop.is_set():
            message = bus.receive(timeout_s=0.2)
            match message:
                case PositionSample():
                    self.history.add_position(message)
                case AttitudeSample():
                    self.history.add_attitude(message)
                case GimbalSample():
                    self.history.add_gimbal(message)
                case LensSample():
                    self.history.add_lens(message)
                case ClockSample():
                    self._times.hear(message)
                case _:
                    continue
            if log is not None:
                log.write(message)
            with self._grown:
                self.heard = True
                self._grown.notify_all()

    def pose_at(self, at_ns: int, wait_s: float) -> CameraPose | None:
        """The camera's pose at the instant of a picture; None when telemetry does not cover it in time."""
        deadline_s = time.monotonic() + wait_s
        with self._grown:
            while (pose := self.history.pose_at(at_ns)) is None:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._grown.wait(left_s)
        return pose


class _Reporter:
    """Tells the uplink, a few times a second, what is seen now."""

    def __init__(
        self, bus: Bus, eyes: EyesSettings, source: VideoSource, desk: AlertDesk, telemetry: _Telemetry
    ) -> None:
        self._bus = bus
        self._eyes = eyes
        self._telemetry = telemetry
        self._placed_at_s = time.monotonic()
        self._lost_pose = False
        self._source = source
        self._desk = desk
        self._frames_analysed = 0
        self._people: set[int] = set()
        self._picture_due_s = 0.0
        self._status_due_s = 0.0
        self._dots: tuple[TrackDot, ...] = ()
        self._latest: FrameResult | None = None
        self._timed: TimedFrame | None = None

    def saw(self, timed: TimedFrame, result: FrameResult) -> None:
        """Take note of an analysed picture."""
        self._timed, self._latest = timed, result
        self._frames_analysed += 1
        self._people.update(track.track_id for track in result.tracks)
        now_s = time.monotonic()
        self._note_pose(result, now_s)
        if now_s >= self._picture_due_s:
            self._picture_due_s = now_s + 1.0 / self._eyes.live_hz
            self._send_picture(result)
        self.tell()

    def tell(self) -> None:
        """Send the status when it is due."""
        now_s = time.monotonic()
        if now_s < self._status_due_s:
            return
        self._status_due_s = now_s + _STATUS_EVERY_S
        camera = self._source.status()
        state, reason = self._state(camera)
        status = EyesStatus(
            at_ns=time.time_ns(),
            camera=state.value,
            camera_reason=reason[:_LONGEST_REASON],
            footprint=self._latest.footprint if self._latest else (),
            tracks=self._track_dots(),
            frames_analysed=self._frames_analysed,
            frames_dropped=camera.dropped,
            people_tracked=len(self._people),
            incidents_open=self._desk.open_incidents,
        )
        self._bus.send("uplink", status)
        self._bus.send("supervisor", status)

    def _state(self, camera: SourceStatus) -> tuple[SourceState, str]:
        """What people are told of the camera: its source's trouble first, then that of time and place."""
        if camera.state is not SourceState.READY:
            return camera.state, camera.reason
        if self._timed is not None and self._timed.is_degraded:
            return SourceState.DEGRADED, self._timed.reason
        if self._lost_pose:
            return SourceState.DEGRADED, _NO_POSE
        reasons = [camera.reason, self._timed.reason if self._timed else ""]
        return camera.state, "; ".join(filter(None, reasons))

    def _note_pose(self, result: FrameResult, now_s: float) -> None:
        """Say so, once, when pictures come whose place nobody knows: no alert can come of them."""
        is_trusted = self._timed is None or self._timed.is_trusted
        if result.pose is not None or not is_trusted or not self._telemetry.heard:
            self._placed_at_s = now_s
        lost = now_s - self._placed_at_s > _POSE_PATIENCE_S
        if lost and not self._lost_pose:
            _LOG.warning("%s", _NO_POSE)
        self._lost_pose = lost

    def _track_dots(self) -> tuple[TrackDot, ...]:
        if self._latest is None:
            return ()
        return tuple(
            TrackDot(
                track.track_id,
                track.lat_deg,
                track.lon_deg,
                round(radius_90_m(covariance_matrix(track.covariance_en_m2)), 2),
            )
            for track in self._latest.ground_tracks
        )

    def _send_picture(self, result: FrameResult) -> None:
        at_ns = result.frame.captured_at_ns
        clock = datetime.fromtimestamp(at_ns / 1e9).astimezone().strftime("%H:%M:%S")
        caption = f"{clock}  people {len(result.tracks)}"
        width_px = min(self._eyes.live_width_px, max(result.frame.pixels.shape[1], _LEAST_LIVE_WIDTH_PX))
        jpeg = encode_jpeg(annotate(result.frame.pixels, result, self._desk.members, caption, width_px))
        while len(jpeg) > LARGEST_PICTURE_BYTES:
            # Noise at night makes pictures large; a smaller one is better than none.
            width_px = width_px * 3 // 4
            jpeg = encode_jpeg(annotate(result.frame.pixels, result, self._desk.members, caption, width_px))
        self._bus.send("uplink", LivePicture(at_ns, base64.b64encode(jpeg).decode()))


def _recorded(track: GroundTrack) -> dict[str, Any]:
    """What the record keeps of a track: of its errors only what they add up to."""
    fields = asdict(track)
    del fields["spread_en_m"]
    return fields | {"covariance_en_m2": track.covariance_en_m2}


def _record(log: TextIO, result: FrameResult) -> None:
    line = {
        "captured_at_ns": result.frame.captured_at_ns,
        "tracks": [
            _recorded(ground) | {"box_xyxy_px": track.box_xyxy_px}
            for ground in result.ground_tracks
            for track in result.tracks
            if track.track_id == ground.track_id
        ],
    }
    log.write(json.dumps(line) + "\n")


def _analyse(timed: TimedFrame, pipeline: Pipeline, telemetry: _Telemetry, wait_s: float) -> FrameResult:
    at_ns = timed.frame.captured_at_ns
    pose = telemetry.pose_at(at_ns, wait_s) if timed.is_trusted else None
    motion = telemetry.history.motion_at(at_ns)
    # How wrong a wrong time makes a place is told by the motion: without it the place is not known either.
    return pipeline.process(timed.frame, pose if motion is not None else None, motion)


def _run(job: Job, bus: Bus, stop: threading.Event) -> int:
    settings = job.settings
    manifest = load_manifest(settings.eyes.model)
    market = read_market(settings.market)
    camera = read_camera(settings.camera_model)
    pipeline = Pipeline(camera, market, manifest, settings.eyes, settings.sensors)
    times = CaptureTimes(camera, market.ground)
    telemetry = _Telemetry(camera.installation, times)
    coverage = CoverageLog(job.folder / COVERAGE_FILE, market.frame, market.outline.bounds)
    with (
        Outbox(settings.outbox_path) as outbox,
        VideoSource(settings.camera) as source,
        (job.folder / "tracks.jsonl").open("a") as tracks_log,
        TelemetryLog(job.folder / TELEMETRY_FILE)
        if settings.record_tracks
        else nullcontext() as telemetry_log,
        background(lambda stopped: telemetry.listen(bus, stopped, telemetry_log), stop),
    ):
        alert_source = AlertSource(settings.drone, job.sortie, manifest.name, manifest.sha256)
        desk = AlertDesk(market, alert_source, outbox.put)
        reporter = _Reporter(bus, settings.eyes, source, desk, telemetry)
        for frame in source.frames(timeout_s=0.2):
            if stop.is_set():
                break
            # What a full disk would not take is tried again as long as this process lives.
            outbox.flush()
            if frame is None:
                reporter.tell()
                continue
            timed = times.place(frame, telemetry.history)
            result = _analyse(timed, pipeline, telemetry, settings.eyes.pose_wait_s)
            desk.handle(result)
            if result.camera is not None and result.pose is not None:
                coverage.saw(result.camera, result.pose, market.ground, now_s=time.monotonic())
            reporter.saw(timed, result)
            if settings.record_tracks and result.ground_tracks:
                _record(tracks_log, result)
        desk.close(pipeline.finish())
        coverage.save()
    return 0


if __name__ == "__main__":
    run_process("eyes", _run)
