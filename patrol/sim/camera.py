"""The simulated camera: footage or scenery, sent live with its capture times, and the truth beside it."""

import contextlib
import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.frames import LocalFrame
from patrol.sim.body import Truth, wrap_pi
from patrol.sim.footage import Cue, Director

log = logging.getLogger(__name__)

PICTURES_PER_SECOND = 10.0
POLL_S = 0.1
BACKLOG = 5  # pictures that may wait to be drawn, and as many to be sent; half a second

Work = TypeVar("Work")


class PictureSink(Protocol):
    """Where pictures go."""

    def write(self, image: NDArray[np.uint8], captured_at_ns: int) -> None:
        """Take one picture: (height, width, 3) uint8 BGR, and its UTC capture time."""


class TruthLog:
    """One JSON line for each picture: when, which picture of the footage or null, and the true camera pose.

    Keys: captured_at_ns, footage_frame, lat_deg, lon_deg, height_amsl_m, roll_rad, pitch_rad, yaw_ned_rad.
    """

    def __init__(self, path: Path) -> None:
        """Open the file anew.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be written ({error.strerror}); name a file in another folder"
            ) from error

    def write(self, pose: CameraPose, footage_frame: int | None) -> None:
        """Append one line."""
        line = {
            "captured_at_ns": pose.at_ns,
            "footage_frame": footage_frame,
            "lat_deg": pose.lat_deg,
            "lon_deg": pose.lon_deg,
            "height_amsl_m": pose.height.metres,
            "roll_rad": pose.roll_rad,
            "pitch_rad": pose.pitch_rad,
            "yaw_ned_rad": pose.yaw_ned_rad,
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, eq=False)
class _Order:
    pose: CameraPose
    cue: Cue | None
    due_s: float  # when it shall be sent, on the monotonic clock


@dataclass(frozen=True, eq=False)
class _Drawn:
    order: _Order
    picture: NDArray[np.uint8]
    footage_frame: int | None


def camera_pose(truth: Truth, frame: LocalFrame, ground_amsl_m: float) -> CameraPose:
    """Where the camera truly is and looks; it sits at the drone's own place."""
    lat_deg, lon_deg = frame.to_geodetic(truth.east_m, truth.north_m)
    return CameraPose(
        at_ns=truth.at_ns,
        lat_deg=float(lat_deg),
        lon_deg=float(lon_deg),
        height=Amsl(truth.up_m + ground_amsl_m),
        roll_rad=truth.gimbal_roll_rad,
        pitch_rad=truth.gimbal_pitch_rad,
        yaw_ned_rad=wrap_pi(truth.yaw_rad + truth.gimbal_yaw_rad),
    )


class LiveCamera:
    """Draws and sends in threads of its own; a picture that would have to wait too long is left out.

    Args:
        frame, ground_amsl_m: of the drone.
        director: says when footage is due.
        paint: draws the scenery from a pose.
        sink: takes the pictures.
        truth_log: takes the truth of each picture that was sent.
        late_s: how long after its capture each picture is sent, by the clock on the wall.
        stamp_error_ns: by how much the capture times lie that go with the pictures.
    """

    def __init__(
        self,
        frame: LocalFrame,
        ground_amsl_m: float,
        director: Director,
        paint: Callable[[CameraPose], NDArray[np.uint8]],
        sink: PictureSink,
        truth_log: TruthLog | None = None,
        *,
        late_s: float = 0.0,
        stamp_error_ns: int = 0,
    ) -> None:
        self._frame = frame
        self._ground_amsl_m = ground_amsl_m
        self._director = director
        self._paint = paint
        self._sink = sink
        self._truth_log = truth_log
        self._late_s = late_s
        self._stamp_error_ns = stamp_error_ns
        self._orders: queue.Queue[_Order] = queue.Queue(BACKLOG)
        self._drawn: queue.Queue[_Drawn] = queue.Queue(BACKLOG + math.ceil(late_s * PICTURES_PER_SECOND))
        self._over = threading.Event()
        self._threads = (
            threading.Thread(target=self._work, args=(self._orders, self._draw), name="draw", daemon=True),
            threading.Thread(target=self._work, args=(self._drawn, self._send), name="send", daemon=True),
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def capture(self, truth: Truth) -> None:
        """Order a picture of this instant."""
        pose = camera_pose(truth, self._frame, self._ground_amsl_m)
        try:
            self._orders.put_nowait(_Order(pose, self._director.cue(truth), time.monotonic() + self._late_s))
        except queue.Full:
            log.debug("a picture was left out: drawing and sending cannot keep up")

    def _work(self, waiting: "queue.Queue[Work]", do: Callable[[Work], None]) -> None:
        told = ""
        while not self._over.is_set():
            try:
                do(waiting.get(timeout=POLL_S))
            except queue.Empty:
                continue
            except NightPatrolError as error:
                if str(error) != told:  # once, not ten times a second
                    told = str(error)
                    log.warning("%s", error)

    def _draw(self, order: _Order) -> None:
        picture, footage_frame = None, None
        if order.cue is not None:
            picture, footage_frame = order.cue.shot.reader.picture(order.cue.index), order.cue.index
        if picture is None:  # no footage here, or it has ended
            picture, footage_frame = self._paint(order.pose), None
        drawn = _Drawn(order, picture, footage_frame)
        is_handed_over = False
        while not is_handed_over and not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._drawn.put(drawn, timeout=POLL_S)
                is_handed_over = True

    def _send(self, drawn: _Drawn) -> None:
        order = drawn.order
        if self._over.wait(order.due_s - time.monotonic()):
            return
        self._sink.write(drawn.picture, order.pose.at_ns + self._stamp_error_ns)
        if self._truth_log is not None:
            self._truth_log.write(order.pose, drawn.footage_frame)
