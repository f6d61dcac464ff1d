"""A sortie is one flight of one plan."""

from dataclasses import dataclass
from enum import StrEnum


class SortieState(StrEnum):
    """Where a sortie stands."""

    PREPARED = "prepared"
    READY = "ready"
    TAKING_OFF = "taking_off"
    PATROLLING = "patrolling"
    HOLDING = "holding"
    INVESTIGATING = "investigating"
    RETURNING = "returning"
    LANDING = "landing"
    COMPLETED = "completed"
    ABORTED = "aborted"
    LOST_CONTACT = "lost_contact"

    @property
    def is_final(self) -> bool:
        """True when nothing more will happen in this sortie."""
        return self in (SortieState.COMPLETED, SortieState.ABORTED)


@dataclass(frozen=True)
class SortieEvent:
    """One step of a sortie. `reason` is a sentence for people, empty when the step speaks for itself."""

    at_ns: int
    state: SortieState
    reason: str = ""
