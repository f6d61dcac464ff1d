"""One frame's way: from pixels to incidents. No I/O, no clock; all times are those of the pictures."""

import logging
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import uuid_utils

from patrol.anomaly.gathering import GatheringDetector, GatheringRule
from patrol.anomaly.incidents import IncidentBook, IncidentChange
from patrol.domain.detections import Detections, Track
from patrol.domain.positions import GeoPoint, GroundTrack
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.edge.settings import EyesSettings, SensorSettings
from patrol.geo.camera import CameraError, CameraModel
from patrol.geo.projection import PoseErrors, footprint, ground_to_pixels, pixels_to_ground
from patrol.plan.market import MarketMap
from patrol.video.frames import Frame
from patrol.vision.detector import Detector
from patrol.vision.registry import Manifest
from patrol.vision.tiles import plan_tiles
from patrol.vision.tracking import Tracker, TrackingParameters

_LOG = logging.getLogger(__name__)

# Beyond this a footprint drawn on the map says nothing: people there are too small to be found.
_FOOTPRINT_RANGE_M = 80.0
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All that one picture gave. Without a pose there is nothing on the ground: position unknown.

    `camera` is the lens as it was for this picture, None without a pose.
    """

    frame: Frame
    camera: CameraModel | None
    pose: CameraPose | None
    people: Detections
    tracks: list[Track]
    ground_tracks: list[GroundTrack]
    changes: list[IncidentChange]
    footprint: tuple[GeoPoint, ...]


class Pipeline:
    """Carries state from frame to frame: tracks, groups and incidents."""

    def __init__(
        self,
        camera: CameraModel,
        market: MarketMap,
        manifest: Manifest,
        eyes: EyesSettings,
        sensors: SensorSettings,
    ) -> None:
        self._camera = camera
        self._market = market
        self._ground = market.ground
        self._person_classes = frozenset(manifest.person_classes)
        self._tracking = TrackingParameters()
        # The tracker continues tracks with boxes too weak to begin one, so the detector must give them.
        self._detector = Detector(manifest, threads=eyes.threads, score_threshold=self._tracking.least_score)
        self._eyes = eyes
        self._pose_errors = PoseErrors(
            horizontal_m=sensors.horizontal_m,
            height_m=sensors.height_m,
            roll_rad=float(np.radians(sensors.roll_deg)),
            pitch_rad=float(np.radians(sensors.pitch_deg)),
            yaw_rad=float(np.radians(sensors.yaw_deg)),
            time_s=sensors.time_s,
        )
        self._tracker = Tracker(self._tracking, manifest.person_classes)
        self._gathering = GatheringDetector(self._thresholds)
        self._latest_ns: int | None = None
        self._told_zoom = False
        self._incidents = IncidentBook(lambda: str(uuid_utils.uuid7()))

    def process(
        self, frame: Frame, pose: CameraPose | None, motion: CameraMotion | None = None
    ) -> FrameResult:
        """Analyse one picture taken from `pose` (None: not known); without `motion` the camera was still."""
        self._latest_ns = frame.captured_at_ns
        height_px, width_px = frame.pixels.shape[:2]
        tiles = plan_tiles(width_px, height_px, self._eyes.tile_px)
        people = self._detector.detect(frame.pixels, tiles).of_classes(self._person_classes)
        tracks = [track for track in self._tracker.update(people, frame.captured_at_ns) if track.confirmed]
        scaled = self._camera.scaled_to(width_px, height_px)
        if pose is None or not self._knows_zoom(scaled, pose):
            return FrameResult(frame, None, None, people, tracks, [], [], ())

        ground_tracks = self._on_ground(scaled, frame, tracks, pose, motion or CameraMotion())
        observations = self._gathering.update(frame.captured_at_ns, ground_tracks)
        seen = footprint(scaled, pose, ground=self._ground, max_range_m=_FOOTPRINT_RANGE_M)

        def in_view(lat_deg: float, lon_deg: float) -> bool:
            height_amsl_m = self._ground.height_amsl_m_at(lat_deg, lon_deg)
            _, visible = ground_to_pixels(scaled, pose, lat_deg, lon_deg, height_amsl_m)
            return bool(visible[0])

        changes = self._incidents.update(frame.captured_at_ns, observations, in_view)
        return FrameResult(frame, scaled, pose, people, tracks, ground_tracks, changes, seen)

    def finish(self) -> list[IncidentChange]:
        """The end of the pictures: close the incidents that are open, for nobody watches them any more."""
        return [] if self._latest_ns is None else self._incidents.close(self._latest_ns)

    def _knows_zoom(self, camera: CameraModel, pose: CameraPose) -> bool:
        """Whether the lens is calibrated as it was zoomed; what is wrong is said once."""
        if pose.hfov_rad is None:
            trouble = "the aircraft has not said how far its lens is zoomed" if camera.zoom_steps else ""
        else:
            trouble = ""
            try:
                camera.zoomed_to(pose.hfov_rad)
            except CameraError as error:
                trouble = str(error)
        if trouble and not self._told_zoom:
            self._told_zoom = True
            _LOG.warning("%s; until then nobody's place is known", trouble)
        return not trouble

    def _on_ground(
        self,
        camera: CameraModel,
        frame: Frame,
        tracks: list[Track],
        pose: CameraPose,
        motion: CameraMotion,
    ) -> list[GroundTrack]:
        if not tracks:
            return []
        heights_px = np.array([track.box_xyxy_px[3] - track.box_xyxy_px[1] for track in tracks])
        sigma_px = np.maximum(self._eyes.foot_sigma_min_px, self._eyes.foot_sigma_share * heights_px)
        capture_sigma_s = frame.captured_at_sigma_ns / _SECOND_NS
        errors = replace(self._pose_errors, time_s=math.hypot(self._pose_errors.time_s, capture_sigma_s))
        points = pixels_to_ground(
            camera,
            pose,
            np.array([track.foot_px for track in tracks]),
            ground=self._ground,
            pixel_sigma_px=np.column_stack([sigma_px, sigma_px]),
            errors=errors,
            motion=motion,
        )
        east_m, north_m = self._market.frame.to_enu(points.lat_deg, points.lon_deg)
        return [
            GroundTrack(
                track_id=track.track_id,
                at_ns=pose.at_ns,
                lat_deg=float(points.lat_deg[i]),
                lon_deg=float(points.lon_deg[i]),
                east_m=float(east_m[i]),
                north_m=float(north_m[i]),
                spread_en_m=(
                    tuple(points.spread_en_m[i, 0].tolist()),
                    tuple(points.spread_en_m[i, 1].tolist()),
                ),
                observed=track.observed,
            )
            for i, track in enumerate(tracks)
            if points.valid[i]
        ]

    def _thresholds(self, lat_deg: float, lon_deg: float, at_ns: int) -> GatheringRule:
        zone = self._market.zone_at(lat_deg, lon_deg)
        rule = self._market.gathering_rule(zone, datetime.fromtimestamp(at_ns / 1e9, UTC))
        return GatheringRule(
            zone=zone.id if zone else None,
            min_people=rule.min_people,
            radius_m=rule.radius_m,
            hold_s=rule.hold_s,
        )
