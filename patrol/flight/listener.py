"""Who is told of a sortie."""

import logging
from collections.abc import Callable
from typing import Protocol

from patrol.domain.sorties import SortieEvent
from patrol.domain.telemetry import (
    AttitudeSample,
    ClockSample,
    GimbalSample,
    LensSample,
    PositionSample,
    VehicleStatus,
)

_LOG = logging.getLogger(__name__)


class SortieListener(Protocol):
    """Who wants to know. All calls come from the thread that runs the sortie; they must return at once."""

    def sortie(self, event: SortieEvent) -> None:
        """The sortie took a step."""
        ...

    def position(self, sample: PositionSample) -> None:
        """Where the aircraft was."""
        ...

    def attitude(self, sample: AttitudeSample) -> None:
        """How the airframe was turned."""
        ...

    def gimbal(self, sample: GimbalSample) -> None:
        """How the gimbal was turned."""
        ...

    def lens(self, sample: LensSample) -> None:
        """What the zoom lens was set to, where the vehicle has one."""
        ...

    def clock(self, sample: ClockSample) -> None:
        """How this machine's clock runs against the time of the samples, about once a second."""
        ...

    def vehicle(self, status: VehicleStatus) -> None:
        """The slow facts, about once a second."""
        ...

    def text(self, severity: int, sentence: str) -> None:
        """A sentence of the vehicle or of the runner; `severity` as MAV_SEVERITY, 0 emergency .. 7 debug."""
        ...


class GuardedListener:
    """A listener whose faults are logged and kept from the flight."""

    def __init__(self, listener: SortieListener) -> None:
        self._listener = listener

    def sortie(self, event: SortieEvent) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.sortie(event))

    def position(self, sample: PositionSample) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.position(sample))

    def attitude(self, sample: AttitudeSample) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.attitude(sample))

    def gimbal(self, sample: GimbalSample) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.gimbal(sample))

    def lens(self, sample: LensSample) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.lens(sample))

    def clock(self, sample: ClockSample) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.clock(sample))

    def vehicle(self, status: VehicleStatus) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.vehicle(status))

    def text(self, severity: int, sentence: str) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.text(severity, sentence))

    @staticmethod
    def _guard(call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - no listener may end a flight
            _LOG.exception("a listener of the sortie failed; the flight goes on")
