"""Follow an aircraft in the air until it stands on the ground with its motors off.

It watches, tells, and calls the aircraft home when somebody asks for it. What the autopilot or its pilot does
unasked stays as it is.
"""

from patrol.domain.sorties import SortieState
from patrol.flight.dialects import Dialect
from patrol.flight.facts import AIRBORNE, FactKeeper
from patrol.flight.guardian import Guardian
from patrol.flight.journal import Journal
from patrol.flight.link import Link
from patrol.flight.listener import SortieListener
from patrol.flight.orders import Orders, ReturnWish
from patrol.flight.streams import Streams
from patrol.flight.wire import mavlink
from patrol.plan.qgc import FlightPlan

_TICK_S = 0.2
# Heartbeats come at 1 Hz: asking again sooner would ask before the first answer can show.
_CALL_EVERY_S = 3.0
_CALL_TRIES = 2
# Motors off, but no word that it stands on the ground: after this the sortie is over all the same.
_DISARMED_LONG_ENOUGH_S = 15.0
_WAY_HOME = (SortieState.RETURNING, SortieState.LANDING)


class Follower:
    """Follows one flight.

    Args:
        phase: where the flight stands when following begins.
    """

    def __init__(
        self,
        link: Link,
        dialect: Dialect,
        keeper: FactKeeper,
        plan: FlightPlan,
        *,
        streams: Streams,
        journal: Journal,
        listener: SortieListener,
        guardian: Guardian,
        orders: Orders,
        phase: SortieState,
    ) -> None:
        self._link = link
        self._clock = link.clock
        self._dialect = dialect
        self._keeper = keeper
        self._facts = keeper.facts
        self._plan = plan
        self._streams = streams
        self._journal = journal
        self._listener = listener
        self._guardian = guardian
        self._guardian_spoke = False
        self._orders = orders

        self._phase = phase
        self._mode = keeper.facts.mode
        self._why = ""
        self._cut_short = ""
        self._flown = False
        self._homeward = phase in _WAY_HOME
        self._reached: int | None = keeper.facts.reached_seq
        self._called_at_s: float | None = None
        self._lost_at_s: float | None = None
        self._disarmed_at_s: float | None = None

    def run(self) -> SortieState:
        """Follow to the end; the state as it is when the orders say to detach."""
        while not self._orders.detached:
            self._link.pump(_TICK_S)
            self._heed_guardian()
            if self._link.silent:
                self._go_without_contact()
                continue
            self._note_mode()
            self._note_item()
            self._note_phase()
            self._note_contact()
            end = self._end()
            if end is not None:
                return end
            self._call_home()
            self._streams.keep_up(self._facts)
        return self._journal.state

    # -- contact -------------------------------------------------------------------------------------

    def _go_without_contact(self) -> None:
        """Wait to hear of it again; a wish to return is sent all the same, it may get through."""
        now_s = self._clock.monotonic_s()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
            self._journal.step(
                SortieState.LOST_CONTACT, "the aircraft is not heard; its own failsafes bring it home"
            )
        wish = self._orders.wish
        if (
            wish is None
            or self._phase in _WAY_HOME
            or not self._may_call(wish)
            or not self._call_is_due(now_s)
        ):
            return
        self._called_at_s = now_s
        self._link.send(self._dialect.go_home().message(self._link.target, 0))

    def _note_contact(self) -> None:
        if self._lost_at_s is None:
            return
        silent_s = self._clock.monotonic_s() - self._lost_at_s
        self._lost_at_s = None
        if self._journal.state is SortieState.LOST_CONTACT:
            self._journal.step(self._phase, f"the aircraft is heard again after {silent_s:.0f} s")
        self._streams.renew()

    # -- what it does --------------------------------------------------------------------------------

    def _note_mode(self) -> None:
        mode = self._facts.mode
        if mode is None or mode == self._mode:
            return
        before, self._mode = self._mode, mode
        if before is None:
            return
        wish = self._orders.wish
        if wish is not None and self._dialect.is_going_home(self._facts):
            self._drop_wish()
            self._why = self._cut_short = f"called home: {wish.reason}"
        elif self._dialect.is_flying_mission(self._facts):
            self._why, self._cut_short = "the mission goes on, not at our asking", ""
        else:
            change = f"from {self._name(before)} to {self._name(mode)}"
            self._why = self._cut_short = (
                f"the aircraft went {change} by itself{self._words()}; this is respected"
            )
            self._listener.text(mavlink.MAV_SEVERITY_WARNING, self._why)
        self._journal.step(self._phase, self._why)

    def _note_item(self) -> None:
        reached = self._facts.reached_seq
        if reached is None or reached == self._reached:
            return
        self._reached = reached
        last = self._dialect.first_seq + len(self._plan.items) - 1
        self._listener.text(mavlink.MAV_SEVERITY_INFO, f"mission item {reached} of {last} reached")

    def _note_phase(self) -> None:
        facts = self._facts
        self._flown = self._flown or facts.landed_state in AIRBORNE
        phase = self._dialect.phase(facts, self._current_command(), self._phase)
        if phase in _WAY_HOME and not self._dialect.is_landing_here(facts):
            self._homeward = True
        if facts.mission_state == mavlink.MISSION_STATE_COMPLETE and self._flown:
            self._homeward = True
        if phase is self._phase:
            return
        self._phase = phase
        why, self._why = self._why, ""
        if not why and phase is SortieState.RETURNING:
            why = "the mission has come to its return"
        self._journal.step(phase, why)

    def _current_command(self) -> int | None:
        seq = self._facts.mission_seq
        index = -1 if seq is None else seq - self._dialect.first_seq
        return self._plan.items[index].command if 0 <= index < len(self._plan.items) else None

    # -- calling it home -----------------------------------------------------------------------------

    def _heed_guardian(self) -> None:
        """The guardian asks once. Whoever sends the aircraft out again after that has seen why."""
        if self._guardian_spoke or self._orders.wish is not None or self._phase in _WAY_HOME:
            return
        reason = self._guardian.reason_to_return(self._facts, self._link.age_s, self._clock.monotonic_s())
        if reason is not None and self._dialect.may_be_called_home(self._facts, by_person=False):
            self._guardian_spoke = True
            self._orders.wish = ReturnWish(reason, by_person=False)

    def _call_home(self) -> None:
        wish = self._orders.wish
        if wish is None:
            return
        self._journal.note_return(wish.reason)
        if self._phase in _WAY_HOME:
            self._drop_wish()
            self._cut_short = self._cut_short or f"called home: {wish.reason}"
            return
        if not self._may_call(wish):
            self._drop_wish()
            self._listener.text(
                mavlink.MAV_SEVERITY_WARNING,
                f"mode {self._name(self._facts.mode)} is a pilot's or a failsafe's: "
                f"the aircraft was not called home ({wish.reason})",
            )
            return
        if not self._call_is_due(self._clock.monotonic_s()):
            return
        result = self._link.command(self._dialect.go_home(), attempts=_CALL_TRIES)
        self._called_at_s = self._clock.monotonic_s()
        if not result.accepted:
            self._listener.text(mavlink.MAV_SEVERITY_ERROR, f"{result.sentence}; it is asked again")

    def _drop_wish(self) -> None:
        """It is fulfilled, or cannot be; a restarted process must not take it up again either."""
        self._orders.wish = None
        self._journal.note_return(None)

    def _may_call(self, wish: ReturnWish) -> bool:
        return self._dialect.may_be_called_home(self._facts, by_person=wish.by_person)

    def _call_is_due(self, now_s: float) -> bool:
        return self._called_at_s is None or now_s - self._called_at_s >= self._clock.patience_s(_CALL_EVERY_S)

    # -- the end -------------------------------------------------------------------------------------

    def _end(self) -> SortieState | None:
        facts, now_s = self._facts, self._clock.monotonic_s()
        if facts.armed is not False:
            self._disarmed_at_s = None
            return None
        if self._disarmed_at_s is None:
            self._disarmed_at_s = now_s
        if facts.fresh("EXTENDED_SYS_STATE", now_s) and self._dialect.is_over(facts):
            return self._close("on the ground, motors off")
        if now_s - self._disarmed_at_s > self._clock.patience_s(_DISARMED_LONG_ENOUGH_S):
            self._homeward = False
            return self._close("the motors are off, but the aircraft does not say that it is on the ground")
        return None

    def _close(self, how: str) -> SortieState:
        if not self._flown:
            return self._journal.step(SortieState.ABORTED, f"{how}; it never left the ground{self._words()}")
        if not self._homeward:
            cause = self._cut_short or "it did not come home by a return or by its mission"
            return self._journal.step(SortieState.ABORTED, f"{how}; {cause}")
        if self._cut_short:
            return self._journal.step(SortieState.COMPLETED, f"{how}; {self._cut_short}")
        return self._journal.step(SortieState.COMPLETED, f"{how}; the mission was flown to its end")

    def _name(self, mode: int | None) -> str:
        return "an unknown mode" if mode is None else self._dialect.mode_name(mode)

    def _words(self) -> str:
        reasons = self._keeper.recent_reasons()
        return f" (it says: {'; '.join(reasons)})" if reasons else ""
