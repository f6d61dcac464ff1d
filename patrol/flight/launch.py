"""From clearance to the mission under way. The only file that starts motors."""

from collections.abc import Callable

from patrol.domain.errors import NightPatrolError
from patrol.domain.sorties import SortieState
from patrol.flight.dialects import Dialect, LaunchStep
from patrol.flight.facts import FactKeeper
from patrol.flight.journal import Journal
from patrol.flight.link import Link
from patrol.flight.preflight import Clearance, Preflight

# Heartbeats come at 1 Hz, and the one that shows what was acknowledged may lag by another second.
_SHOWN_IN_HEARTBEAT_S = 4.0
_MOTOR_TRIES = 5
_MOTOR_TRY_EVERY_S = 2.0


class LaunchError(NightPatrolError):
    """The aircraft does not take off; the sentence says why."""


class Launch:
    """One attempt to take off.

    Args:
        stopped: asked between the steps; true ends the launch on the ground.
    """

    def __init__(
        self,
        link: Link,
        dialect: Dialect,
        keeper: FactKeeper,
        journal: Journal,
        *,
        stopped: Callable[[], bool],
    ) -> None:
        self._link = link
        self._dialect = dialect
        self._keeper = keeper
        self._facts = keeper.facts
        self._journal = journal
        self._stopped = stopped
        self._motors_asked_for = False

    def run(self, preflight: Preflight) -> None:
        """Take every step of the dialect's start sequence, each after the one before shows in the heartbeat.

        Raises:
            LaunchError, PreflightError, RecordError: it did not start. If it was asked to arm, it was asked
                to disarm as well; look at the heartbeat before believing that it did.
        """
        try:
            preflight.clear()
            self._journal.step(SortieState.READY, "all checks passed")
            self._rewind()
            for step in self._dialect.launch_steps():
                if step.starts_motors:
                    self._start_motors(step, preflight)
                else:
                    self._take(step)
        except NightPatrolError:
            if self._motors_asked_for and not self._dialect.is_flying_mission(self._facts):
                self._link.command(self._dialect.disarm())
                self._shown(lambda: self._facts.armed is False)
            raise

    def _rewind(self) -> None:
        """A mission that was cut short before may wait in the middle."""
        if (self._facts.mission_seq or 0) <= self._dialect.first_seq:
            return
        rewound = self._link.command(self._dialect.rewind())
        if not rewound.accepted:
            raise LaunchError(self._with_words(rewound.sentence))

    def _take(self, step: LaunchStep) -> None:
        self._go_on()
        result = self._link.command(step.command)
        if not self._shown(lambda: step.shown(self._facts)):
            raise LaunchError(self._with_words(result.sentence))

    def _start_motors(self, step: LaunchStep, preflight: Preflight) -> None:
        sentence = ""
        for _ in range(_MOTOR_TRIES):
            clearance = preflight.clear()
            self._go_on()
            self._keeper.forget_texts()
            sentence = self._ask_for_motors(step, preflight, clearance)
            if self._shown(lambda: step.shown(self._facts)):
                self._journal.step(SortieState.TAKING_OFF)
                return
            self._link.wait_until(self._stopped, _MOTOR_TRY_EVERY_S)
        raise LaunchError(self._with_words(sentence))

    def _ask_for_motors(self, step: LaunchStep, preflight: Preflight, clearance: Clearance) -> str:
        """Ask once, if it is clear this instant; returns the answer as a sentence."""
        if not preflight.is_good(clearance):
            return "the pre-flight checks do not hold any more"
        self._journal.note_launch()
        self._motors_asked_for = True
        return self._link.command(step.command, attempts=1).sentence

    def _go_on(self) -> None:
        if self._stopped():
            raise LaunchError("stopped before take-off")

    def _shown(self, condition: Callable[[], bool]) -> bool:
        """What counts is the heartbeat: an acknowledgement may be lost, and may promise too much."""
        return bool(self._link.wait_until(condition, _SHOWN_IN_HEARTBEAT_S))

    def _with_words(self, sentence: str) -> str:
        reasons = self._keeper.recent_reasons()
        return f"{sentence} (the aircraft says: {'; '.join(reasons)})" if reasons else sentence
