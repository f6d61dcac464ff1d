"""Where the camera was at the pictures of a table of points: from telemetry, or from a list of poses."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from patrol.commands.watch import PoseFile
from patrol.domain.errors import UsageError
from patrol.domain.telemetry import (
    AttitudeSample,
    CameraMotion,
    CameraPose,
    GimbalSample,
    LensSample,
    PositionSample,
)
from patrol.edge.telemetry_log import read_telemetry
from patrol.geo.adjustment import CalibrationError, Snapshot, SnapshotsUnder
from patrol.geo.camera import Installation
from patrol.geo.fusion import CorrelationTimes
from patrol.geo.history import PoseHistory
from patrol.geo.known_points import PointTable

_SECOND_NS = 1_000_000_000
_AROUND_NS = 100_000_000  # `PoseHistory` asks the samples within 50 ms, and the next on either side
_LONG_S = 24 * 3600.0

Sample = TypeVar("Sample", PositionSample, AttitudeSample, GimbalSample, LensSample)


@dataclass(frozen=True)
class Pictures:
    """The pictures of a table.

    Attributes:
        times_ns: of each.
        of_row: index of each row's picture.
        snapshots_under: where the camera was at them, however it is installed.
        correlation: how long the errors of their poses last.
    """

    times_ns: tuple[int, ...]
    of_row: tuple[int, ...]
    snapshots_under: SnapshotsUnder
    correlation: CorrelationTimes


def pictures_in_telemetry(path: Path, table: PointTable, installation: Installation) -> Pictures:
    """Pictures told by their time, with the poses of a sortie's `telemetry.jsonl`.

    Raises:
        UsageError: the table counts frames, or a picture has no pose under the installation as thought.

    `snapshots_under` raises CalibrationError when a trial of the delay leads to a time without pose.
    """
    if table.pictures_by != "captured_at":
        raise UsageError(f"{path}: telemetry has times, no frames; give captured_at in the table of points")
    flight = _Flight(read_telemetry(path))
    times_ns = tuple(sorted({row.picture for row in table.rows}))

    def snapshots_under(trial: Installation) -> list[Snapshot]:
        snapshots = []
        for at_ns in times_ns:
            snapshot = flight.snapshot(at_ns - round(trial.delay_s * _SECOND_NS), trial)
            if snapshot is None:
                raise CalibrationError(
                    f"the picture of {_utc(at_ns)} is too near an end or a gap of the telemetry to try a "
                    f"delay of {trial.delay_s:.1f} s; leave it out"
                )
            snapshots.append(snapshot)
        return snapshots

    for row in table.rows:
        at_ns = row.picture - round(installation.delay_s * _SECOND_NS)
        if flight.snapshot(at_ns, installation) is None:
            raise UsageError(
                f"{row.where}: {path} has no pose at {_utc(at_ns)}; it {flight.reach()}; check "
                "captured_at and its time zone, or take a picture outside the gaps"
            )
    of_row = tuple(times_ns.index(row.picture) for row in table.rows)
    return Pictures(times_ns, of_row, snapshots_under, CorrelationTimes())


def pictures_at_poses(path: Path, poses: PoseFile, table: PointTable) -> Pictures:
    """Pictures told by their time or by the number of their pose, with the poses of a list.

    A pose that holds for several pictures has one error, so these count as one picture; the poses of a list
    were measured each by itself, so their errors are independent. They are the camera's own: no lever arm.

    Raises:
        UsageError: the list has no such pose, or does not say when it began.
    """
    if table.pictures_by == "captured_at" and poses.started_at is None:
        raise UsageError(
            f"{path}: does not say started_at, so no time can be found in it; add it, or give frames"
        )
    history = poses.history(_nanoseconds(poses.started_at) if poses.started_at else 0)
    found = []
    for row in table.rows:
        pose: CameraPose | None = None
        if table.pictures_by == "captured_at":
            pose = history.pose_at(row.picture)
        elif row.picture <= len(poses.poses):
            alone = poses.poses[row.picture - 1].model_copy(update={"at_s": 0.0})
            pose = poses.model_copy(update={"poses": [alone]}).history(0).pose_at(0)
        if pose is None:
            wanted = f"for {_utc(row.picture)}" if table.pictures_by == "captured_at" else f"{row.picture}"
            raise UsageError(
                f"{row.where}: {path} has no pose {wanted}; it lists {len(poses.poses)}, "
                "add one or correct the line"
            )
        found.append(replace(pose, at_ns=0))
    distinct = list(dict.fromkeys(found))

    def snapshots_under(trial: Installation) -> list[Snapshot]:
        return [
            Snapshot(
                replace(
                    pose,
                    height=pose.height + -trial.height_bias_m,
                    yaw_ned_rad=(pose.yaw_ned_rad - trial.heading_bias_rad) % (2 * math.pi),
                ),
                CameraMotion(),
            )
            for pose in distinct
        ]

    return Pictures(
        tuple(range(len(distinct))), tuple(map(distinct.index, found)), snapshots_under,
        CorrelationTimes(*[0.0] * len(fields(CorrelationTimes))),
    )  # fmt: skip


@dataclass
class _Series(Generic[Sample]):
    """Samples of one kind, in order of time once sorted."""

    samples: list[Sample] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)

    def sort(self) -> None:
        self.samples.sort(key=lambda sample: sample.at_ns)
        self.times_ns = [sample.at_ns for sample in self.samples]

    def around(self, at_ns: int) -> list[Sample]:
        first = bisect_left(self.times_ns, at_ns - _AROUND_NS) - 1
        last = bisect_right(self.times_ns, at_ns + _AROUND_NS)
        return self.samples[max(0, first) : last + 1]


class _Flight:
    """All telemetry of a sortie. `PoseHistory` gives the poses, as it does in flight."""

    def __init__(self, samples: Iterable[object]) -> None:
        self._positions: _Series[PositionSample] = _Series()
        self._attitudes: _Series[AttitudeSample] = _Series()
        self._gimbals: _Series[GimbalSample] = _Series()
        self._lenses: _Series[LensSample] = _Series()
        for sample in samples:
            match sample:
                case PositionSample():
                    self._positions.samples.append(sample)
                case AttitudeSample():
                    self._attitudes.samples.append(sample)
                case GimbalSample():
                    self._gimbals.samples.append(sample)
                case LensSample():
                    self._lenses.samples.append(sample)
        for series in (self._positions, self._attitudes, self._gimbals, self._lenses):
            series.sort()

    def reach(self) -> str:
        """From when to when all three kinds were told, for people."""
        needed = (self._positions.times_ns, self._attitudes.times_ns, self._gimbals.times_ns)
        names = ("positions", "attitudes", "gimbal angles")
        missing = [name for name, times_ns in zip(names, needed, strict=True) if not times_ns]
        if missing:
            return f"holds no {' and no '.join(missing)}"
        first_ns, last_ns = max(times[0] for times in needed), min(times[-1] for times in needed)
        return f"reaches from {_utc(first_ns)} to {_utc(last_ns)}"

    def snapshot(self, at_ns: int, installation: Installation) -> Snapshot | None:
        """Where a camera so installed was; None outside the telemetry or across a gap."""
        history = PoseHistory(installation=installation, keep_s=_LONG_S)
        for position in self._positions.around(at_ns):
            history.add_position(position)
        for attitude in self._attitudes.around(at_ns):
            history.add_attitude(attitude)
        for gimbal in self._gimbals.around(at_ns):
            history.add_gimbal(gimbal)
        for lens in self._lenses.around(at_ns):
            history.add_lens(lens)
        pose = history.pose_at(at_ns)
        return None if pose is None else Snapshot(pose, history.motion_at(at_ns) or CameraMotion())


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * _SECOND_NS)


def _utc(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // _SECOND_NS, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns % _SECOND_NS // 1_000_000:03d}Z"
