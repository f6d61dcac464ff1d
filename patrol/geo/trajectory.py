"""The camera's way over a stretch of time, at even steps and all at once: `PoseHistory` for whole arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from patrol.domain.telemetry import AttitudeSample, GimbalSample, PositionSample
from patrol.geo.camera import Installation
from patrol.geo.history import MAX_GAP_S, Recorded

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where the camera was and how its gimbal was turned, at N times `step_s` apart from `start_ns` on.

    Attributes:
        ned_from_gimbal: (N, 3, 3) float64 rotations.
        way_ned_m: (N, 3) float64, the way gone since `start_ns`: the integral of the aircraft's velocity. Its
            steps are free of what makes positions jump: rounding, and corrections by satellites.
        height_amsl_m: (N,) float64.
        known: (N,) bool, no gap in the telemetry there.
    """

    start_ns: int
    step_s: float
    ned_from_gimbal: NDArray[np.float64]
    way_ned_m: NDArray[np.float64]
    height_amsl_m: NDArray[np.float64]
    known: NDArray[np.bool_]

    def at(self, at_ns: int, earlier_s: NDArray[np.float64]) -> "Waypoints":
        """The poses at a time less each of (M,) seconds, on straight lines between the steps.

        Rotations are interpolated entry by entry: over 20 ms of a turn of 60 degrees a second they shrink by
        5e-5, which cancels where only directions count.
        """
        step = ((at_ns - self.start_ns) / _SECOND_NS - earlier_s) / self.step_s
        first = np.floor(step).astype(int)
        within = (first >= 0) & (first < len(self.known) - 1)
        first = first.clip(0, len(self.known) - 2)
        share = (step - first)[:, None]
        return Waypoints(
            ned_from_gimbal=_lerp(self.ned_from_gimbal, first, share[..., None]),
            way_ned_m=_lerp(self.way_ned_m, first, share),
            height_amsl_m=_lerp(self.height_amsl_m, first, share[:, 0]),
            known=within & self.known[first] & self.known[first + 1],
        )


@dataclass(frozen=True, eq=False)
class Waypoints:
    """Poses out of a `Trajectory`, with its attributes' meanings, at M times of their own."""

    ned_from_gimbal: NDArray[np.float64]
    way_ned_m: NDArray[np.float64]
    height_amsl_m: NDArray[np.float64]
    known: NDArray[np.bool_]


def trajectory(
    recorded: Recorded, installation: Installation, start_ns: int, end_ns: int, step_s: float
) -> Trajectory | None:
    """Interpolate samples between two UTC times; None when there are too few of a kind.

    As `PoseHistory.pose_at` does it, but for the lever arm, which is left out: one of 0.2 m moves the camera
    by 0.2 m/s when the aircraft turns by 60 degrees a second.
    """
    if min(len(recorded.positions), len(recorded.attitudes), len(recorded.gimbals)) < 2:
        return None
    at_s = np.arange(0.0, (end_ns - start_ns) / _SECOND_NS + step_s, step_s)
    position_s, attitude_s, gimbal_s = (
        _seconds(samples, start_ns) for samples in (recorded.positions, recorded.attitudes, recorded.gimbals)
    )
    known = _covered(at_s, position_s) & _covered(at_s, attitude_s) & _covered(at_s, gimbal_s)

    airframe_yaw_rad = np.interp(
        at_s, attitude_s, np.unwrap([sample.yaw_ned_rad for sample in recorded.attitudes])
    )
    gimbal = Slerp(
        gimbal_s,
        Rotation.from_euler(
            "ZYX",
            [(sample.yaw_vehicle_rad, sample.pitch_rad, sample.roll_rad) for sample in recorded.gimbals],
        ),
    )(np.clip(at_s, gimbal_s[0], gimbal_s[-1]))
    heading = Rotation.from_euler("Z", (airframe_yaw_rad - installation.heading_bias_rad)[:, None])

    table = np.array(
        [
            (
                sample.velocity_north_mps,
                sample.velocity_east_mps,
                sample.velocity_down_mps,
                sample.height.metres,
            )
            for sample in recorded.positions
        ]
    )
    north, east, down, height_amsl_m = (np.interp(at_s, position_s, column) for column in table.T)
    velocity_ned_mps = np.stack([north, east, down], axis=1)
    way_ned_m = np.zeros_like(velocity_ned_mps)
    way_ned_m[1:] = np.cumsum((velocity_ned_mps[1:] + velocity_ned_mps[:-1]) * (step_s / 2), axis=0)
    return Trajectory(
        start_ns=start_ns,
        step_s=step_s,
        ned_from_gimbal=np.asarray((heading * gimbal).as_matrix()),
        way_ned_m=way_ned_m,
        height_amsl_m=height_amsl_m - installation.height_bias_m,
        known=known,
    )


def _lerp(
    values: NDArray[np.float64], first: NDArray[np.intp], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    return values[first] + share * (values[first + 1] - values[first])


def _seconds(
    samples: Sequence[PositionSample | AttitudeSample | GimbalSample], start_ns: int
) -> NDArray[np.float64]:
    return np.array([sample.at_ns - start_ns for sample in samples]) / _SECOND_NS


def _covered(at_s: NDArray[np.float64], sampled_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether a time lies between two samples that are close enough to interpolate."""
    after = np.searchsorted(sampled_s, at_s).clip(1, len(sampled_s) - 1)
    inside = (at_s >= sampled_s[0]) & (at_s <= sampled_s[-1])
    return np.asarray(inside & (sampled_s[after] - sampled_s[after - 1] <= MAX_GAP_S))
