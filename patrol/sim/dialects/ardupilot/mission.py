"""How ArduPilot works through a mission: one navigation command at a time, the others beside it.

The commands between two navigation commands run while the second of these is being flown: the first of them
starts just before it, the rest follow one by one. So what stands behind a waypoint runs once that has been
reached and its hold is over, on the way to the next one.
"""

from collections.abc import Callable
from enum import Enum, auto

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.dialects.ardupilot.items import Item

FIRST_REAL = 1  # slot 0 is home
REPEAT_FOREVER = -1
JUMP_LIMIT = 64  # against missions that only jump


class MissionState(Enum):
    """Whether the mission is being worked through."""

    STOPPED = auto()
    RUNNING = auto()
    COMPLETE = auto()


class Mission:
    """The items (slot 0 is home) and the place in them.

    Args:
        start: called with (seq, item) when an item begins.
        verify: called with (seq, item) each step while it runs; True once it is done.
    """

    def __init__(self, start: Callable[[int, Item], None], verify: Callable[[int, Item], bool]) -> None:
        self.items: list[Item] = []
        self.state = MissionState.STOPPED
        self.changes = 0
        self.navigating: int | None = None
        self._navigation_runs = False
        self._doing: int | None = None
        self._doing_runs = False
        self._jumps_done: dict[int, int] = {}
        self._start = start
        self._verify = verify

    @property
    def is_present(self) -> bool:
        """True when there is more than the home slot."""
        return len(self.items) > FIRST_REAL

    @property
    def current(self) -> int:
        """The navigation command being flown, 0 before and after the mission."""
        return self.navigating or 0

    @property
    def starts_with_takeoff(self) -> bool:
        """True when the next navigation command is a take-off."""
        seq = self.navigating or FIRST_REAL
        return any(
            item.command == mavlink.MAV_CMD_NAV_TAKEOFF
            for item in [item for item in self.items[seq:] if item.is_navigation][:1]
        )

    def next_navigation(self, after: int) -> Item | None:
        """The navigation command behind slot `after`, jumps not counted."""
        return next((item for item in self.items[after + 1 :] if item.is_navigation), None)

    def rewind(self) -> None:
        """Go back to before the first command; a running mission begins again at the next update."""
        self.navigating = self._doing = None
        self._navigation_runs = self._doing_runs = False
        self._jumps_done.clear()

    def start_or_resume(self, *, restart: bool) -> None:
        """Begin, or take up the command that was being flown; a command that was interrupted starts anew."""
        if (
            restart
            or self.state is MissionState.COMPLETE
            or self.navigating is None
            or self.current >= len(self.items)
        ):
            self.rewind()
            self.state = MissionState.RUNNING
            self._advance(FIRST_REAL)
            return
        self.state = MissionState.RUNNING
        if self._doing_runs and self._doing is not None:
            self._advance(self._doing)
        else:
            self._advance(self.navigating)

    def stop(self) -> None:
        """Leave off; the place is kept."""
        if self.state is MissionState.RUNNING:
            self.state = MissionState.STOPPED

    def restart_current(self) -> bool:
        """Begin the current command anew after the items changed; False when it is no longer there."""
        if self.navigating is None or self.navigating >= len(self.items):
            return False
        return self._advance(self.navigating)

    def jump_to(self, seq: int) -> bool:
        """Make `seq` the current command."""
        if not 0 <= seq < len(self.items) or not self.is_present:
            return False
        seq = max(seq, FIRST_REAL)
        if self.state is MissionState.RUNNING:
            return self._advance(seq)
        self.navigating, self._navigation_runs, self._doing_runs = seq, False, False
        self.state = MissionState.STOPPED
        return True

    def update(self) -> None:
        """Work on the mission for one step."""
        if self.state is not MissionState.RUNNING:
            return
        if self.navigating is None or not self._navigation_runs:
            self._advance(FIRST_REAL if self.navigating is None else self.navigating + 1)
        elif self.navigating < len(self.items):
            if self._verify(self.navigating, self.items[self.navigating]):
                self._navigation_runs = False
                self._advance(self.navigating + 1)
        else:
            self.complete()
        self._update_doing()

    def complete(self) -> None:
        """End the mission."""
        self.state = MissionState.COMPLETE
        self._navigation_runs = self._doing_runs = False

    def _update_doing(self) -> None:
        if self.state is not MissionState.RUNNING or self._doing is None:
            return
        if self._doing_runs:
            if self._doing >= len(self.items) or self._verify(self._doing, self.items[self._doing]):
                self._doing_runs = False
        elif (seq := self._resolve(self._doing + 1, count=False)) is None or self.items[seq].is_navigation:
            self._doing = None
        else:
            self._doing, self._doing_runs = seq, True
            self._start(seq, self.items[seq])

    def _advance(self, from_seq: int) -> bool:
        """Start the first other command (if any) and the next navigation command at or behind `from_seq`."""
        self._doing, self._doing_runs, self._navigation_runs = None, False, False
        seq = self._resolve(from_seq, count=True)
        for _ in range(len(self.items)):
            if seq is None:
                break
            item = self.items[seq]
            if item.is_navigation:
                self.navigating, self._navigation_runs = seq, True
                self._start(seq, item)
                return True
            if self._doing is None:
                self._doing, self._doing_runs = seq, True
                self._start(seq, item)
            seq = self._resolve(seq + 1, count=True)
        self.complete()
        return False

    def _resolve(self, seq: int, *, count: bool) -> int | None:
        """The first command at or behind `seq` that is no DO_JUMP, its jumps followed; None at the end."""
        for _ in range(JUMP_LIMIT):
            if not 0 < seq < len(self.items):
                return None
            item = self.items[seq]
            if item.command != mavlink.MAV_CMD_DO_JUMP:
                return seq
            target, times = int(item.parameters[0]), int(item.parameters[1])
            done = self._jumps_done.get(seq, 0)
            if times != REPEAT_FOREVER and done >= times:
                seq += 1
                continue
            if count:
                self._jumps_done[seq] = done + 1
            seq = target
        return None
