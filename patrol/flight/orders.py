"""What people ask of a running sortie, from other threads and from signal handlers.

Both fields are only ever assigned as a whole and every wait looks at them, so no lock is needed, and a signal
that interrupts the sortie's own thread cannot block on it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReturnWish:
    """The aircraft should come home. `Dialect.may_be_called_home` grants a person more than the guardian."""

    reason: str
    by_person: bool


class Orders:
    """The wishes that are open."""

    def __init__(self) -> None:
        self.wish: ReturnWish | None = None
        self.detached = False

    @property
    def stopped(self) -> bool:
        """An aircraft that is still on the ground should stay there."""
        return self.detached or self.wish is not None
