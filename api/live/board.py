"""What each drone said last. In memory only: after a restart the next reports fill it within a second."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from api.live.schemas import LiveReport, LiveState

# A station serves one market; the bound only keeps a runaway edge from filling the memory.
_MAX_DRONES = 64

Content = TypeVar("Content")


@dataclass(frozen=True)
class Posted(Generic[Content]):
    """Something a drone sent: `number` rises with everything posted, `age_s` is taken when it is read."""

    content: Content
    number: int
    received_at: datetime
    age_s: float


class _Newest(Generic[Content]):
    """The newest content of each drone."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._numbers = itertools.count(1)
        self._by_drone: dict[str, tuple[Content, int, datetime, float]] = {}

    def put(self, drone: str, content: Content, received_at: datetime) -> None:
        self._by_drone.pop(drone, None)
        self._by_drone[drone] = (content, next(self._numbers), received_at, self._monotonic_s())
        if len(self._by_drone) > _MAX_DRONES:
            self._by_drone.pop(next(iter(self._by_drone)))

    def get(self, drone: str) -> Posted[Content] | None:
        if drone not in self._by_drone:
            return None
        content, number, received_at, received_s = self._by_drone[drone]
        return Posted(content, number, received_at, self._monotonic_s() - received_s)

    def drones(self) -> list[str]:
        return sorted(self._by_drone)


class LiveBoard:
    """The newest state and the newest picture of every drone."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._reports: _Newest[LiveReport] = _Newest(monotonic_s)
        self._pictures: _Newest[bytes] = _Newest(monotonic_s)

    def put_report(self, report: LiveReport, received_at: datetime) -> None:
        """Replace what the drone said before."""
        self._reports.put(report.drone, report, received_at)

    def put_picture(self, drone: str, jpeg: bytes, received_at: datetime) -> None:
        """Replace the drone's picture."""
        self._pictures.put(drone, jpeg, received_at)

    def picture(self, drone: str) -> Posted[bytes] | None:
        """The newest picture of a drone, None when it has sent none."""
        return self._pictures.get(drone)

    def states(self, after: int = 0) -> list[tuple[int, LiveState]]:
        """Number and state of every drone whose newest report came after number `after`."""
        newest = [
            posted for drone in self._reports.drones() if (posted := self._reports.get(drone)) is not None
        ]
        return [(posted.number, _state(posted)) for posted in newest if posted.number > after]


def _state(posted: Posted[LiveReport]) -> LiveState:
    # The report is valid already; checking hundreds of tracks for each listener again would be waste.
    return LiveState.model_construct(
        datum="WGS-84",
        drone=posted.content.drone,
        flight=posted.content.flight,
        eyes=posted.content.eyes,
        received_at=posted.received_at,
        age_s=round(posted.age_s, 3),
    )
