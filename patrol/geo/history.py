"""What the aircraft said of itself, looked up at the instant of a picture instead of "latest"."""

import math
import threading
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import (
    AttitudeSample,
    CameraMotion,
    CameraPose,
    GimbalSample,
    LensSample,
    PositionSample,
)
from patrol.geo.camera import Installation
from patrol.geo.frames import LocalFrame

_SECOND_NS = 1_000_000_000

KEEP_S = 30.0  # a picture is never analysed later than this
MAX_GAP_S = 1.0  # telemetry comes 4 to 50 times a second; a second without is a lost link
_REORDER_S = 1.0  # datagrams overtake each other by less; a longer step back is a clock set anew
_MAX_SAMPLES = 10_000  # 30 s at 300 samples a second

_TURN_HALF_NS = 50_000_000  # turning is measured over a tenth of a second: attitude comes 10 times a second
_SAME_LENS = 0.01  # relative; fields of view that differ by less are one setting, told with noise
_HEIGHTS_AMSL_M = (-1000.0, 20_000.0)  # below the Dead Sea, above what flies here
_LARGEST_ANGLE_RAD = 2 * math.pi  # some send yaw from 0 to 2 pi, none more

Sample = TypeVar("Sample", PositionSample, AttitudeSample, GimbalSample, LensSample)

_Angles = tuple[float, float, float]  # yaw, pitch, roll


@dataclass
class _Series(Generic[Sample]):
    """Samples of one kind in order of time."""

    keep_ns: int
    max_gap_ns: int
    times_ns: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Put a sample in its place; the first of two at one time stays."""
        place = bisect_left(self.times_ns, sample.at_ns)
        if place < len(self.times_ns) and self.times_ns[place] == sample.at_ns:
            return
        self.times_ns.insert(place, sample.at_ns)
        self.samples.insert(place, sample)
        # The last one before the kept time stays, for it holds into it.
        stale = bisect_left(self.times_ns, self.times_ns[-1] - self.keep_ns) - 1
        stale = max(stale, len(self.times_ns) - _MAX_SAMPLES)
        if stale > 0:
            del self.times_ns[:stale]
            del self.samples[:stale]

    def is_set_back(self, at_ns: int) -> bool:
        """Whether a sample of this time tells that the clock was set anew."""
        return bool(self.times_ns) and at_ns < self.times_ns[-1] - _REORDER_S * _SECOND_NS

    def clear(self) -> None:
        """Forget all samples."""
        self.times_ns.clear()
        self.samples.clear()

    def around(self, at_ns: int) -> tuple[Sample, Sample, float] | None:
        """The samples before and after, and the share of the way between; None outside or across a gap."""
        after = bisect_left(self.times_ns, at_ns)
        if after == len(self.times_ns):
            return None
        if self.times_ns[after] == at_ns:
            return self.samples[after], self.samples[after], 0.0
        if after == 0:
            return None
        span_ns = self.times_ns[after] - self.times_ns[after - 1]
        if span_ns > self.max_gap_ns:
            return None
        return self.samples[after - 1], self.samples[after], (at_ns - self.times_ns[after - 1]) / span_ns

    def held(self, at_ns: int) -> tuple[Sample | None, Sample | None]:
        """The last sample until a time and the first after it, each None where there is none."""
        after = bisect_right(self.times_ns, at_ns)
        return (
            self.samples[after - 1] if after > 0 else None,
            self.samples[after] if after < len(self.samples) else None,
        )

    def stretch(self, start_ns: int, end_ns: int) -> list[Sample]:
        """The samples between two times, with the last before and the first after."""
        first = max(0, bisect_right(self.times_ns, start_ns) - 1)
        return self.samples[first : bisect_left(self.times_ns, end_ns) + 1]


@dataclass(frozen=True, eq=False)
class Recorded:
    """Samples in order of time, as the aircraft told them."""

    positions: list[PositionSample]
    attitudes: list[AttitudeSample]
    gimbals: list[GimbalSample]


class PoseHistory:
    """The last seconds of position, attitude, gimbal and lens, each looked up on its own at the asked time.

    Safe to fill from one thread and to ask from another. Samples may come late by up to a second and more
    than once. A step further back means the clock was set anew: what was known before is forgotten. A sender
    that is stuck repeats its time; of two samples at one time the first stays, so that leaves a gap. Samples
    that hold no number or an impossible one are not taken: a fix at 0 N 0 E is what autopilots send without.

    Position, attitude and gimbal are interpolated. The lens is not: a setting holds until another is told.
    Between two that differ the lens was moving, and before the first nobody knows: no pose then. The newest
    is taken to hold still, for some cameras tell nothing but changes; a lens that moves must tell so often.

    Args:
        installation: how the camera sits on the aircraft. Its `delay_s` belongs to the pictures' times and is
            not used here.
        keep_s: how far back it reaches.
        max_gap_s: no answer between two samples further apart than this.
    """

    def __init__(
        self,
        *,
        installation: Installation = Installation(),  # noqa: B008
        keep_s: float = KEEP_S,
        max_gap_s: float = MAX_GAP_S,
    ) -> None:
        keep_ns, max_gap_ns = int(keep_s * _SECOND_NS), int(max_gap_s * _SECOND_NS)
        self._installation = installation
        self._positions: _Series[PositionSample] = _Series(keep_ns, max_gap_ns)
        self._attitudes: _Series[AttitudeSample] = _Series(keep_ns, max_gap_ns)
        self._gimbals: _Series[GimbalSample] = _Series(keep_ns, max_gap_ns)
        self._lenses: _Series[LensSample] = _Series(keep_ns, max_gap_ns)
        self._lock = threading.Lock()

    def add_position(self, sample: PositionSample) -> None:
        """Remember where the aircraft was."""
        lat_deg, lon_deg, (lowest_m, highest_m) = sample.lat_deg, sample.lon_deg, _HEIGHTS_AMSL_M
        velocity = (sample.velocity_north_mps, sample.velocity_east_mps, sample.velocity_down_mps)
        possible = abs(lat_deg) <= 90 and abs(lon_deg) <= 180 and not lat_deg == lon_deg == 0
        if possible and lowest_m <= sample.height.metres <= highest_m and all(map(math.isfinite, velocity)):
            self._add(self._positions, sample)

    def add_attitude(self, sample: AttitudeSample) -> None:
        """Remember how the airframe was turned."""
        if _are_angles(sample.roll_rad, sample.pitch_rad, sample.yaw_ned_rad):
            self._add(self._attitudes, sample)

    def add_gimbal(self, sample: GimbalSample) -> None:
        """Remember how the gimbal was turned."""
        if _are_angles(sample.roll_rad, sample.pitch_rad, sample.yaw_vehicle_rad):
            self._add(self._gimbals, sample)

    def add_lens(self, sample: LensSample) -> None:
        """Remember what the zoom lens was set to."""
        if 0 < sample.hfov_rad < math.pi:
            self._add(self._lenses, sample)

    def pose_at(self, at_ns: int) -> CameraPose | None:
        """The camera's pose at a UTC time; None outside the history, across a gap or while the lens moved.

        The gimbal's yaw is against the nose, so the camera's yaw is the sum of both; the gimbal's roll and
        pitch are against the horizon, so the airframe's do not enter. The airframe turns the lever arm.
        """
        with self._lock:
            around = self._positions.around(at_ns)
            lens, next_lens = self._lenses.held(at_ns)
        turned = self._turned_at(at_ns)
        if around is None or turned is None:
            return None
        if next_lens is not None and not _holds(lens, at_ns, next_lens):
            return None
        before, after, share = around
        lat_deg = _between(before.lat_deg, after.lat_deg, share)
        lon_deg = _between_longitudes(before.lon_deg, after.lon_deg, share)
        north_m, east_m, down_m = turned.lever_arm_ned_m
        if north_m or east_m:
            lat_deg, lon_deg = map(float, LocalFrame(lat_deg, lon_deg).to_geodetic(east_m, north_m))
        height_m = _between(before.height.metres, after.height.metres, share)
        yaw_rad, pitch_rad, roll_rad = turned.camera
        return CameraPose(
            at_ns=at_ns,
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            height=Amsl(height_m - self._installation.height_bias_m - float(down_m)),
            roll_rad=roll_rad,
            pitch_rad=pitch_rad,
            yaw_ned_rad=yaw_rad % (2 * math.pi),
            hfov_rad=None if lens is None else lens.hfov_rad,
        )

    def motion_at(self, at_ns: int) -> CameraMotion | None:
        """How the camera moved and turned at a UTC time; None outside the history or across a gap.

        Velocity is the aircraft's own with that of the lever arm; turning and the lever arm's motion are
        differences over a tenth of a second, or over the half of it that the history covers.
        """
        with self._lock:
            around = self._positions.around(at_ns)
        now = self._turned_at(at_ns)
        if around is None or now is None:
            return None
        starts, ends = self._turned_at(at_ns - _TURN_HALF_NS), self._turned_at(at_ns + _TURN_HALF_NS)
        span_s = ((starts is not None) + (ends is not None)) * _TURN_HALF_NS / _SECOND_NS
        if span_s == 0:
            return None
        starts, ends = starts or now, ends or now
        turn = Rotation.from_euler("ZYX", ends.camera) * Rotation.from_euler("ZYX", starts.camera).inv()
        turn_rate_radps = turn.as_rotvec() / span_s
        arm_mps = (ends.lever_arm_ned_m - starts.lever_arm_ned_m) / span_s
        before, after, share = around
        aircraft_mps = [
            _between(before.velocity_north_mps, after.velocity_north_mps, share),
            _between(before.velocity_east_mps, after.velocity_east_mps, share),
            _between(before.velocity_down_mps, after.velocity_down_mps, share),
        ]
        return CameraMotion(_vector(arm_mps + aircraft_mps), _vector(turn_rate_radps))

    def recorded(self, start_ns: int, end_ns: int) -> Recorded:
        """The samples between two UTC times, of each kind with the last before and the first after."""
        with self._lock:
            return Recorded(
                self._positions.stretch(start_ns, end_ns),
                self._attitudes.stretch(start_ns, end_ns),
                self._gimbals.stretch(start_ns, end_ns),
            )

    def _add(self, series: _Series[Sample], sample: Sample) -> None:
        """Keep a sample; where the clock was set back, samples of all kinds are of the time before."""
        with self._lock:
            if series.is_set_back(sample.at_ns):
                for each in (self._positions, self._attitudes, self._gimbals, self._lenses):
                    each.clear()
            series.add(sample)

    def _turned_at(self, at_ns: int) -> "_Turned | None":
        with self._lock:
            attitude = self._attitudes.around(at_ns)
            gimbal = self._gimbals.around(at_ns)
        if attitude is None or gimbal is None:
            return None
        airframe_before, airframe_after, airframe_share = attitude
        gimbal_before, gimbal_after, gimbal_share = gimbal
        airframe_yaw_rad, airframe_pitch_rad, airframe_roll_rad = _turned_between(
            (airframe_before.yaw_ned_rad, airframe_before.pitch_rad, airframe_before.roll_rad),
            (airframe_after.yaw_ned_rad, airframe_after.pitch_rad, airframe_after.roll_rad),
            airframe_share,
        )
        airframe_yaw_rad -= self._installation.heading_bias_rad
        gimbal_yaw_rad, pitch_rad, roll_rad = _turned_between(
            (gimbal_before.yaw_vehicle_rad, gimbal_before.pitch_rad, gimbal_before.roll_rad),
            (gimbal_after.yaw_vehicle_rad, gimbal_after.pitch_rad, gimbal_after.roll_rad),
            gimbal_share,
        )
        airframe = Rotation.from_euler("ZYX", [airframe_yaw_rad, airframe_pitch_rad, airframe_roll_rad])
        lever_arm_ned_m = airframe.apply(self._installation.lever_arm_frd_m)
        return _Turned((airframe_yaw_rad + gimbal_yaw_rad, pitch_rad, roll_rad), lever_arm_ned_m)


@dataclass(frozen=True, eq=False)
class _Turned:
    """The camera's angles in north-east-down, and its lever arm (3,) there."""

    camera: _Angles
    lever_arm_ned_m: NDArray[np.float64]


def _are_angles(*angles_rad: float) -> bool:
    return all(abs(angle_rad) <= _LARGEST_ANGLE_RAD for angle_rad in angles_rad)  # not so for NaN


def _holds(lens: LensSample | None, at_ns: int, following: LensSample) -> bool:
    """Whether a setting is known at a time from it until the one that follows."""
    if lens is None:
        return False
    return lens.at_ns == at_ns or abs(following.hfov_rad / lens.hfov_rad - 1) <= _SAME_LENS


def _vector(components: NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = map(float, components)
    return first, second, third


def _between(before: float, after: float, share: float) -> float:
    return before + share * (after - before)


def _between_longitudes(before_deg: float, after_deg: float, share: float) -> float:
    """On the short way, also where it crosses the date line; from -180 to 180."""
    step_deg = (after_deg - before_deg + 180) % 360 - 180
    return before_deg if share == 0.0 else (before_deg + share * step_deg + 180) % 360 - 180


def _turned_between(before: _Angles, after: _Angles, share: float) -> _Angles:
    """(yaw, pitch, roll) on the shortest turn between two attitudes."""
    if share == 0.0 or before == after:
        return before
    turn = Slerp([0.0, 1.0], Rotation.from_euler("ZYX", [before, after]))
    # Straight down yaw and roll are one turn; that their sum is right is enough.
    yaw, pitch, roll = turn(share).as_euler("ZYX", suppress_warnings=True)
    return float(yaw), float(pitch), float(roll)
