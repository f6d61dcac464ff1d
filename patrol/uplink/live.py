"""Shows the station what the patrol does now: the newest state and picture, never a queue of old ones."""

import logging
import threading

from patrol.domain.errors import NightPatrolError
from patrol.domain.live import EyesStatus, FlightStatus, LiveReport
from patrol.uplink.station import Station

_log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 0.25  # how soon `run` notices that it shall stop
_AFTER_FAILURE_S = 2.0


class LivePublisher:
    """Posts the newest state and picture of one drone. Run it in a thread, with a station client of its own.

    What is newer replaces what has not gone out; what fails is not sent again. So a slow network makes the
    live picture coarser in time, never late, and never holds up an alert.
    """

    def __init__(self, station: Station, drone: str) -> None:
        """Post to `station` in the name of `drone`."""
        self._station = station
        self._drone = drone
        self._changed = threading.Condition()
        self._flight: FlightStatus | None = None
        self._eyes: EyesStatus | None = None
        self._state_is_new = False
        self._jpeg: bytes | None = None
        self.trouble = ""
        """A sentence while posting fails, else empty."""

    def flight(self, status: FlightStatus) -> None:
        """Show a new state of the aircraft."""
        with self._changed:
            self._flight, self._state_is_new = status, True
            self._changed.notify()

    def eyes(self, status: EyesStatus) -> None:
        """Show a new state of the eyes."""
        with self._changed:
            self._eyes, self._state_is_new = status, True
            self._changed.notify()

    def picture(self, jpeg: bytes) -> None:
        """Show a new picture."""
        with self._changed:
            self._jpeg = jpeg
            self._changed.notify()

    def run(self, stop: threading.Event) -> None:
        """Post until `stop` is set."""
        while not stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._state_is_new or self._jpeg is not None, _LONGEST_WAIT_S)
            if not self.step():
                stop.wait(_AFTER_FAILURE_S)

    def step(self) -> bool:
        """Post what is new, once; False when that failed."""
        with self._changed:
            report = LiveReport(self._drone, self._flight, self._eyes) if self._state_is_new else None
            jpeg = self._jpeg
            self._state_is_new, self._jpeg = False, None
        try:
            if report is not None:
                self._station.post_live(report)
            if jpeg is not None:
                self._station.put_picture(self._drone, jpeg)
        except NightPatrolError as error:
            if not self.trouble:
                _log.warning("the live picture does not get through: %s", error)
            self.trouble = str(error)
            return False
        if self.trouble and (report or jpeg):
            _log.info("the live picture gets through again")
            self.trouble = ""
        return True
