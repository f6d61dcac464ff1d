"""The steps of a sortie: kept on disk first, then told."""

import logging
from pathlib import Path

from patrol.domain.sorties import SortieEvent, SortieState
from patrol.flight.clock import Clock
from patrol.flight.listener import SortieListener
from patrol.flight.record import RecordError, SortieRecord, write_record

_LOG = logging.getLogger(__name__)


class Journal:
    """Where the sortie stands, on disk at `path` (None: nowhere) and for the listener."""

    def __init__(self, listener: SortieListener, clock: Clock, sortie: str, path: Path | None) -> None:
        self._listener = listener
        self._clock = clock
        self._path = path
        self._reason = ""
        self._return_reason: str | None = None
        self._launched = False
        self.sortie = sortie
        self.state = SortieState.PREPARED

    def adopt(self, record: SortieRecord) -> None:
        """Go on with a sortie that was begun before this process was."""
        self.sortie = record.sortie
        self.state = record.state
        self._launched = record.launched
        self._return_reason = record.return_reason

    def step(self, state: SortieState, reason: str = "") -> SortieState:
        """Take a step and return it; one that was taken already is not told again."""
        if (state, reason) == (self.state, self._reason) and reason:
            return state
        self.state, self._reason = state, reason
        self._keep()
        self._listener.sortie(SortieEvent(self._clock.utc_ns(), state, reason))
        return state

    def note_launch(self) -> None:
        """Remember that the motors are about to start.

        Raises:
            RecordError: it cannot be remembered; do not start them.
        """
        self._launched = True
        self._write()

    def note_return(self, reason: str | None) -> None:
        """Remember that the aircraft is to be called home, or (None) that this is settled."""
        if reason != self._return_reason:
            self._return_reason = reason
            self._keep()

    def _keep(self) -> None:
        try:
            self._write()
        except RecordError as error:
            # The flight matters more than its record: without one a restart still follows an armed vehicle.
            _LOG.error("%s; the sortie goes on", error)

    def _write(self) -> None:
        if self._path is None:
            return
        record = SortieRecord(
            sortie=self.sortie,
            state=self.state,
            reason=self._reason,
            launched=self._launched,
            at_ns=self._clock.utc_ns(),
            return_reason=self._return_reason,
        )
        write_record(self._path, record)
