"""One sortie, from the plan to the aircraft on the ground with its motors off.

The autopilot flies; this room starts it, follows it and tells. Whether to launch or to follow is decided
here, once, by what the vehicle says of itself and by the record of a process before this one.

    prepared -> ready -> taking off -> patrolling <-> holding -> returning -> landing -> completed
    from everywhere: aborted, or lost contact and back
"""

from dataclasses import dataclass, field
from pathlib import Path

from patrol.domain.errors import NightPatrolError
from patrol.domain.sorties import SortieState
from patrol.flight.clock import Clock
from patrol.flight.dialects import Dialect, dialect_of
from patrol.flight.facts import AIRBORNE, FactKeeper, Facts
from patrol.flight.follow import Follower
from patrol.flight.guardian import Guardian, GuardianLimits
from patrol.flight.journal import Journal
from patrol.flight.launch import Launch
from patrol.flight.link import Link, LinkError
from patrol.flight.listener import GuardedListener, SortieListener
from patrol.flight.orders import Orders, ReturnWish
from patrol.flight.preflight import Preflight, PreflightLimits
from patrol.flight.record import RecordError, SortieRecord, read_record
from patrol.flight.streams import Streams
from patrol.flight.wire import mavlink
from patrol.plan.market import MarketMap
from patrol.plan.qgc import FlightPlan

__all__ = ["SortieLimits", "SortieListener", "SortieRunner"]

# The heartbeat and the landed state come within this after they were asked for, or the link is no good.
_FIRST_FACTS_S = 10.0
# MISSION_CURRENT is asked for several times a second; where it has no state, not much is lost.
_MISSION_STATE_S = 2.0


@dataclass(frozen=True)
class SortieLimits:
    """The sortie's figures.

    Attributes:
        vehicle_timeout_wall_s: how long to wait for a vehicle that is not in the air. By the wall's clock: a
            simulation's speed-up does not hurry those who switch it on.
        preflight, guardian: those of these rooms.
    """

    vehicle_timeout_wall_s: float = 60.0
    preflight: PreflightLimits = field(default_factory=PreflightLimits)
    guardian: GuardianLimits = field(default_factory=GuardianLimits)


class SortieRunner:
    """Flies one sortie, or follows one that is already in the air.

    Args:
        link: open; this runner is its only user while it runs.
        plan: what to fly.
        listener: told everything, on the thread that calls `run`.
        clock: the link's clock.
        sortie: the id of this sortie; the same again after a restart of the process.
        record_path: where the sortie's record is kept; None keeps none, and a restart knows only the vehicle.
        market: for the checks of the plan against its market.
        limits: the figures.
    """

    def __init__(
        self,
        link: Link,
        plan: FlightPlan,
        listener: SortieListener,
        clock: Clock,
        *,
        sortie: str,
        record_path: Path | None = None,
        market: MarketMap | None = None,
        limits: SortieLimits | None = None,
    ) -> None:
        self._link = link
        self._plan = plan
        self._listener = GuardedListener(listener)
        self._record_path = record_path
        self._market = market
        self._limits = limits or SortieLimits()
        self._orders = Orders()
        self._journal = Journal(self._listener, clock, sortie, record_path)

    # -- for other threads ---------------------------------------------------------------------------

    @property
    def sortie(self) -> str:
        """The id of the sortie; that of the record when its aircraft turned out to be still in the air."""
        return self._journal.sortie

    @property
    def state(self) -> SortieState:
        """Where the sortie stands."""
        return self._journal.state

    def request_return(self, reason: str) -> None:
        """Bring the aircraft home, or do not start it. May be called from any thread or a signal handler."""
        if self._orders.wish is None:
            self._orders.wish = ReturnWish(reason, by_person=True)

    def detach(self) -> None:
        """Leave the aircraft alone: `run` returns soon, and a later run of this sortie follows it again."""
        self._orders.detached = True

    # -- the sortie ----------------------------------------------------------------------------------

    def run(self) -> SortieState:
        """Fly the sortie to its end, or follow to its end the one that is in the air.

        Returns:
            COMPLETED when the aircraft came home by its mission's end or by a return, ABORTED when it never
            flew or came down otherwise; another state only after `detach`. The last event says why.
        """
        record, unreadable = self._read_record()
        if record is not None and record.sortie == self.sortie and record.state.is_final:
            self._journal.adopt(record)
            return self._journal.step(record.state, f"this sortie is over: {record.reason}")
        try:
            dialect = self._meet(record)
            if dialect is None:
                return self._journal.state
            return self._fly_or_follow(dialect, record, unreadable)
        except NightPatrolError as error:
            return self._refuse(str(error))

    def _read_record(self) -> tuple[SortieRecord | None, str]:
        """The record, if there is one, and what is wrong with it, if something is."""
        try:
            return (read_record(self._record_path) if self._record_path else None), ""
        except RecordError as error:
            return None, str(error)

    def _meet(self, record: SortieRecord | None) -> Dialect | None:
        """Wait for the vehicle, for one that may be in the air as long as it takes; None when detached."""
        in_the_air = record is not None and record.unfinished
        orders = self._orders
        timeout_wall_s = self._limits.vehicle_timeout_wall_s
        timeout_s = timeout_wall_s * self._link.clock.speed_up
        while True:
            self._link.wait_until(
                lambda: self._link.vehicle or orders.detached or (orders.stopped and not in_the_air),
                timeout_s,
            )
            if orders.detached:
                return None
            if self._link.vehicle is not None:
                return dialect_of(self._link.vehicle)
            if orders.stopped and not in_the_air:
                raise LinkError("stopped before the aircraft was heard")
            if not in_the_air:
                raise LinkError(
                    f"{self._link.url}: no vehicle was heard in {timeout_wall_s:.0f} s; "
                    "check that it is on and sends to this address"
                )
            self._journal.step(SortieState.LOST_CONTACT, "the aircraft was in the air and is not heard")

    def _fly_or_follow(self, dialect: Dialect, record: SortieRecord | None, unreadable: str) -> SortieState:
        keeper = FactKeeper(
            self._link, self._listener, mode_name=dialect.mode_name, gimbal_yaw=dialect.gimbal_yaw
        )
        streams = Streams(self._link, dialect)
        with keeper.listening():
            streams.ask_all()
            if not self._learn(keeper.facts, record):
                return self._refuse("the aircraft does not tell whether it is on the ground")
            if _is_up(keeper.facts):
                phase = self._attach(record)
            elif record is not None and record.unfinished and record.sortie == self.sortie:
                return self._close_unwatched(record, keeper.facts)
            elif unreadable:
                return self._refuse(unreadable)
            else:
                phase = SortieState.TAKING_OFF
                if not self._launch(dialect, keeper):
                    return self._journal.state
            return Follower(
                self._link,
                dialect,
                keeper,
                self._plan,
                streams=streams,
                journal=self._journal,
                listener=self._listener,
                guardian=Guardian(self._limits.guardian),
                orders=self._orders,
                phase=phase,
            ).run()

    def _learn(self, facts: Facts, record: SortieRecord | None) -> bool:
        """Wait until it is known whether the aircraft is up; as long as it takes if it may be in the air."""

        def known() -> bool:
            return facts.armed is True or None not in (facts.armed, facts.landed_state)

        while not known():
            self._link.wait_until(lambda: known() or self._orders.detached, _FIRST_FACTS_S)
            if self._orders.detached or (not known() and (record is None or not record.unfinished)):
                return False
            if not known():
                self._journal.step(
                    SortieState.LOST_CONTACT, "the aircraft was in the air and says too little"
                )
        return True

    def _close_unwatched(self, record: SortieRecord, facts: Facts) -> SortieState:
        """The aircraft came down while no process followed it. It is not started again by itself."""
        self._journal.adopt(record)
        self._link.wait_until(lambda: facts.mission_state is not None, _MISSION_STATE_S)
        came_home = record.state in (SortieState.RETURNING, SortieState.LANDING)
        if came_home or facts.mission_state == mavlink.MISSION_STATE_COMPLETE:
            return self._journal.step(
                SortieState.COMPLETED, "the aircraft came home while nobody followed it"
            )
        return self._journal.step(
            SortieState.ABORTED, "the aircraft is on the ground, and nobody followed how it came down"
        )

    def _attach(self, record: SortieRecord | None) -> SortieState:
        """Take over an aircraft whose motors are on: nothing is loaded, nothing is started."""
        phase = SortieState.PATROLLING
        if record is not None and record.unfinished:
            self._journal.adopt(record)
            if record.state is not SortieState.LOST_CONTACT:
                phase = record.state
            if record.return_reason is not None:
                self.request_return(record.return_reason)
        return self._journal.step(phase, "the aircraft's motors are on already; it is followed, not started")

    def _launch(self, dialect: Dialect, keeper: FactKeeper) -> bool:
        """Check, load and start it; False when it stays on the ground."""
        preflight = Preflight(
            self._link,
            dialect,
            keeper,
            self._plan,
            market=self._market,
            battery_start_percent=self._limits.guardian.battery_start_percent,
            limits=self._limits.preflight,
            stopped=lambda: self._orders.stopped,
            waiting_for=self._wait_on_ground,
        )
        launch = Launch(self._link, dialect, keeper, self._journal, stopped=lambda: self._orders.stopped)
        try:
            preflight.prepare()
            launch.run(preflight)
        except NightPatrolError as error:
            if not _is_up(keeper.facts):
                self._refuse(str(error))
                return False
            # It was asked to start and something went wrong, but the motors run: follow it down.
            self._listener.text(mavlink.MAV_SEVERITY_ERROR, str(error))
        return True

    def _wait_on_ground(self, sentence: str) -> None:
        self._journal.step(SortieState.PREPARED, sentence)

    def _refuse(self, sentence: str) -> SortieState:
        """End a sortie on the ground; one that was only detached stays open."""
        if self._orders.detached:
            return self._journal.state
        wish = self._orders.wish
        return self._journal.step(SortieState.ABORTED, f"{sentence}: {wish.reason}" if wish else sentence)


def _is_up(facts: Facts) -> bool:
    """In the air, or about to be."""
    return facts.armed is True or facts.landed_state in AIRBORNE
