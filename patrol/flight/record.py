"""What a restarted process must know of its sortie, on disk.

The record is written before anything is done that it must tell of: one that says "launched" may stand for an
aircraft that never left the ground, never the other way round.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from patrol.domain.errors import NightPatrolError
from patrol.domain.sorties import SortieState


class RecordError(NightPatrolError):
    """The record of a sortie cannot be read or written."""


@dataclass(frozen=True)
class SortieRecord:
    """Where a sortie stood.

    Attributes:
        sortie: its id.
        state, reason: its latest step.
        launched: arming was begun; from then on a restarted process must follow and never launch again.
        at_ns: UTC of that step.
        return_reason: why the aircraft is to be called home, until that is settled; None otherwise.
        version: of this format.
    """

    sortie: str
    state: SortieState
    reason: str
    launched: bool
    at_ns: int
    return_reason: str | None = None
    version: Literal[1] = 1

    @property
    def unfinished(self) -> bool:
        """The aircraft may be flying this sortie."""
        return self.launched and not self.state.is_final


_ADAPTER = TypeAdapter(SortieRecord)


def read_record(path: Path) -> SortieRecord | None:
    """The record at `path`; None where there is none.

    Raises:
        RecordError: there is one, but it cannot be read or understood.
    """
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise RecordError(
            f"{path}: the record of the last sortie cannot be read; "
            "see that the aircraft is on the ground, then move this file away"
        ) from error


def write_record(path: Path, record: SortieRecord) -> None:
    """Replace the record. After a crash the old or the new one is there, never half of one.

    Raises:
        RecordError: the file system refuses.
    """
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(_ADAPTER.dump_json(record, indent=2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RecordError(
            f"{path}: cannot be written ({error.strerror}); free space or give rights"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
