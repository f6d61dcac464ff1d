"""What the aircraft said of itself, looked up at the instant of a picture instead of "latest"."""

import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, CameraPose, GimbalSample, PositionSample

_SECOND_NS = 1_000_000_000

KEEP_S = 30.0  # a picture is never analysed later than this
MAX_GAP_S = 1.0  # telemetry comes 4 to 50 times a second; a second without is a lost link
_REORDER_S = 1.0  # datagrams overtake each other by less; a longer step back is a clock set anew
_MAX_SAMPLES = 10_000  # 30 s at 300 samples a second

Sample = TypeVar("Sample", PositionSample, AttitudeSample, GimbalSample)


@dataclass
class _Series(Generic[Sample]):
    """Samples of one kind in order of time."""

    keep_ns: int
    max_gap_ns: int
    times_ns: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Put a sample in its place; the first of two at one time stays."""
        if self.times_ns and sample.at_ns < self.times_ns[-1] - _REORDER_S * _SECOND_NS:
            self.times_ns.clear()
            self.samples.clear()
        place = bisect_left(self.times_ns, sample.at_ns)
        if place < len(self.times_ns) and self.times_ns[place] == sample.at_ns:
            return
        self.times_ns.insert(place, sample.at_ns)
        self.samples.insert(place, sample)
        stale = bisect_left(self.times_ns, self.times_ns[-1] - self.keep_ns)
        stale = max(stale, len(self.times_ns) - _MAX_SAMPLES)
        if stale > 0:
            del self.times_ns[:stale]
            del self.samples[:stale]

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


class PoseHistory:
    """The last seconds of position, attitude and gimbal, each interpolated on its own at the asked time.

    Safe to fill from one thread and to ask from another. Samples may come late by up to a second and more
    than once. A step further back means the clock was set anew: what was known before is forgotten.

    Args:
        keep_s: how far back it reaches.
        max_gap_s: no answer between two samples further apart than this.
    """

    def __init__(self, *, keep_s: float = KEEP_S, max_gap_s: float = MAX_GAP_S) -> None:
        keep_ns, max_gap_ns = int(keep_s * _SECOND_NS), int(max_gap_s * _SECOND_NS)
        self._positions: _Series[PositionSample] = _Series(keep_ns, max_gap_ns)
        self._attitudes: _Series[AttitudeSample] = _Series(keep_ns, max_gap_ns)
        self._gimbals: _Series[GimbalSample] = _Series(keep_ns, max_gap_ns)
        self._lock = threading.Lock()

    def add_position(self, sample: PositionSample) -> None:
        """Remember where the aircraft was."""
        with self._lock:
            self._positions.add(sample)

    def add_attitude(self, sample: AttitudeSample) -> None:
        """Remember how the airframe was turned."""
        with self._lock:
            self._attitudes.add(sample)

    def add_gimbal(self, sample: GimbalSample) -> None:
        """Remember how the gimbal was turned."""
        with self._lock:
            self._gimbals.add(sample)

    def pose_at(self, at_ns: int) -> CameraPose | None:
        """The camera's pose at a UTC time; None outside the history or across a gap in any of the three.

        The gimbal's yaw is against the nose, so the camera's yaw is the sum of both; the gimbal's roll and
        pitch are against the horizon, so the airframe's do not enter.
        """
        with self._lock:
            position = self._positions.around(at_ns)
            attitude = self._attitudes.around(at_ns)
            gimbal = self._gimbals.around(at_ns)
        if position is None or attitude is None or gimbal is None:
            return None
        before, after, share = position
        airframe_before, airframe_after, airframe_share = attitude
        gimbal_before, gimbal_after, gimbal_share = gimbal
        airframe_yaw_rad, _, _ = _turned_between(
            (airframe_before.yaw_ned_rad, airframe_before.pitch_rad, airframe_before.roll_rad),
            (airframe_after.yaw_ned_rad, airframe_after.pitch_rad, airframe_after.roll_rad),
            airframe_share,
        )
        gimbal_yaw_rad, pitch_rad, roll_rad = _turned_between(
            (gimbal_before.yaw_vehicle_rad, gimbal_before.pitch_rad, gimbal_before.roll_rad),
            (gimbal_after.yaw_vehicle_rad, gimbal_after.pitch_rad, gimbal_after.roll_rad),
            gimbal_share,
        )
        return CameraPose(
            at_ns=at_ns,
            lat_deg=_between(before.lat_deg, after.lat_deg, share),
            lon_deg=_between(before.lon_deg, after.lon_deg, share),
            height=Amsl(_between(before.height.metres, after.height.metres, share)),
            roll_rad=roll_rad,
            pitch_rad=pitch_rad,
            yaw_ned_rad=float(np.remainder(airframe_yaw_rad + gimbal_yaw_rad, 2 * np.pi)),
        )

    def velocity_at(self, at_ns: int) -> tuple[float, float] | None:
        """Velocity (east, north) in m/s at a UTC time; None outside the history or across a gap."""
        with self._lock:
            around = self._positions.around(at_ns)
        if around is None:
            return None
        before, after, share = around
        return (
            _between(before.velocity_east_mps, after.velocity_east_mps, share),
            _between(before.velocity_north_mps, after.velocity_north_mps, share),
        )


def _between(before: float, after: float, share: float) -> float:
    return before + share * (after - before)


def _turned_between(
    before: tuple[float, float, float], after: tuple[float, float, float], share: float
) -> tuple[float, float, float]:
    """(yaw, pitch, roll) on the shortest turn between two attitudes."""
    if share == 0.0 or before == after:
        return before
    turn = Slerp([0.0, 1.0], Rotation.from_euler("ZYX", [before, after]))
    yaw, pitch, roll = turn(share).as_euler("ZYX")
    return float(yaw), float(pitch), float(roll)
