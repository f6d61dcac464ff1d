"""May it fly? Everything that must be true before the motors start, checked in this very run.

`Preflight.clear` is the only maker of a `Clearance`, and arming takes a clearance that is still good.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pymap3d

from patrol.domain.errors import NightPatrolError
from patrol.flight.dialects import Dialect, Store
from patrol.flight.facts import FactKeeper
from patrol.flight.link import Link
from patrol.flight.transfer import Transfer
from patrol.flight.wire import mavlink
from patrol.plan.checks import check_plan
from patrol.plan.market import MarketMap
from patrol.plan.qgc import FlightPlan


@dataclass(frozen=True)
class PreflightLimits:
    """How long to wait and how near is near.

    Attributes:
        home_tolerance_m: the aircraft may stand so far from the plan's home. It covers the error of a
            receiver between buildings and a launch pad that is not always the same spot, and no more: the
            first leg is flown from where the aircraft stands.
        ready_timeout_s: ArduPilot needs 41 s after power-up, a cold receiver minutes.
    """

    home_tolerance_m: float = 30.0
    ready_timeout_s: float = 180.0


# The fence was refused once right after its upload; the vehicle needs a moment to load it.
_FENCE_ENABLE_TRIES = 5
_FENCE_ENABLE_EVERY_S = 1.0
# Arming uses the facts of now; a clearance older than this must be renewed.
_CLEARANCE_GOOD_FOR_S = 5.0
_STOPPED = "stopped before take-off"


class PreflightError(NightPatrolError):
    """The aircraft must not take off; the sentence says why."""


@dataclass(frozen=True)
class Clearance:
    """Proof that every pre-flight check passed in this run, at `given_at_s` on the link's clock."""

    given_at_s: float


class Preflight:
    """The checks of one run, in the order in which they make sense.

    Args:
        stopped: asked during every wait; true ends the checks with an error.
        waiting_for: told what is missing, whenever that changes.
    """

    def __init__(
        self,
        link: Link,
        dialect: Dialect,
        keeper: FactKeeper,
        plan: FlightPlan,
        *,
        market: MarketMap | None,
        battery_start_percent: float,
        limits: PreflightLimits,
        stopped: Callable[[], bool],
        waiting_for: Callable[[str], None],
    ) -> None:
        self._link = link
        self._dialect = dialect
        self._keeper = keeper
        self._plan = plan
        self._market = market
        self._battery_start_percent = battery_start_percent
        self._limits = limits
        self._stopped = stopped
        self._waiting_for = waiting_for
        self._plan_is_good = False
        self._loaded = False

    def prepare(self) -> None:
        """Check the plan, see that the aircraft stands at its home, load it and read it back.

        Raises:
            PreflightError: the plan has errors, the aircraft is not where or as it should be, or not in time.
            TransferError: the aircraft does not hold the plan.
        """
        check_plan_for_flight(self._plan, self._market)
        self._plan_is_good = True
        self._wait(self._not_in_place)
        self._load()
        self._loaded = True

    def clear(self) -> Clearance:
        """Wait until all of it holds at once.

        Raises:
            PreflightError: it does not in time, or `prepare` did not succeed before.
        """
        if not (self._plan_is_good and self._loaded):
            raise PreflightError("the plan was not checked and loaded in this run; prepare it first")
        self._wait(self._not_clear)
        return Clearance(self._link.clock.monotonic_s())

    def is_good(self, clearance: Clearance) -> bool:
        """The clearance is recent and what it rests on still holds."""
        age_s = self._link.clock.monotonic_s() - clearance.given_at_s
        return (
            self._plan_is_good
            and self._loaded
            and age_s <= self._link.clock.patience_s(_CLEARANCE_GOOD_FOR_S)
            and not self._not_clear()
        )

    def _wait(self, missing: Callable[[], tuple[str, ...]]) -> None:
        told = ""

        def good() -> bool:
            nonlocal told
            if self._stopped():
                raise PreflightError(_STOPPED)
            lacking = missing()
            sentence = self._sentence(lacking) if lacking else ""
            if sentence and sentence != told:
                told = sentence
                self._waiting_for(sentence)
            return not lacking

        if not self._link.wait_until(good, self._limits.ready_timeout_s):
            raise PreflightError(f"not ready after {self._limits.ready_timeout_s:.0f} s: {told}")

    def _sentence(self, missing: tuple[str, ...]) -> str:
        reasons = self._keeper.recent_reasons()
        said = f" (the aircraft says: {'; '.join(reasons)})" if reasons else ""
        return "; ".join(missing) + said

    def _not_in_place(self) -> tuple[str, ...]:
        facts, now_s = self._keeper.facts, self._link.clock.monotonic_s()
        if self._link.silent:
            return ("the aircraft is not heard",)
        missing = self._dialect.not_located(facts, now_s)
        if facts.armed is not False:
            missing = (*missing, "the motors are on" if facts.armed else "no heartbeat")
        if (
            not facts.fresh("EXTENDED_SYS_STATE", now_s)
            or facts.landed_state != mavlink.MAV_LANDED_STATE_ON_GROUND
        ):
            missing = (*missing, "the aircraft does not say that it is on the ground")
        distance_m = self._distance_to_home_m()
        if distance_m is not None and not distance_m <= self._limits.home_tolerance_m:
            missing = (
                *missing,
                f"the aircraft stands {distance_m:.0f} m from the plan's home, at most "
                f"{self._limits.home_tolerance_m:.0f} m are allowed: carry it there or take another plan",
            )
        return missing

    def _not_clear(self) -> tuple[str, ...]:
        facts, now_s = self._keeper.facts, self._link.clock.monotonic_s()
        missing = self._not_in_place()
        missing += tuple(one for one in self._dialect.not_ready(facts, now_s) if one not in missing)
        charge = facts.battery_percent
        if charge is not None and charge < self._battery_start_percent:
            missing = (
                *missing,
                f"the battery has {charge:.0f} %, {self._battery_start_percent:.0f} % are needed",
            )
        return missing

    def _distance_to_home_m(self) -> float | None:
        position = self._keeper.facts.position
        if position is None:
            return None
        home = self._plan.home
        east_m, north_m, _ = pymap3d.geodetic2enu(
            position.lat_deg, position.lon_deg, 0.0, home.lat_deg, home.lon_deg, 0.0
        )
        return float((east_m**2 + north_m**2) ** 0.5)

    def _load(self) -> None:
        transfer = Transfer(self._link, self._dialect, self._stopped)
        for store in Store:
            if store is Store.MISSION or self._dialect.items(self._plan, store):
                self._waiting_for(f"loading the {store.word}")
                transfer.put(self._plan, store)
            else:
                # Emptying a fence that somebody set is less safe than leaving it.
                self._waiting_for(f"the plan has no {store.word}; what the aircraft holds stays")
        if self._dialect.items(self._plan, Store.FENCE):
            self._enable_fence()

    def _enable_fence(self) -> None:
        for _ in range(_FENCE_ENABLE_TRIES):
            if self._stopped():
                raise PreflightError(_STOPPED)
            result = self._link.command(self._dialect.enable_fence())
            if result.accepted:
                return
            self._link.wait_until(self._stopped, _FENCE_ENABLE_EVERY_S)
        raise PreflightError(f"{result.sentence}; the aircraft must not fly without its fence")


def check_plan_for_flight(plan: FlightPlan, market: MarketMap | None) -> None:
    """Refuse a plan that has errors.

    Raises:
        PreflightError: with all of them.
    """
    errors = [finding.sentence for finding in check_plan(plan, market) if finding.level == "error"]
    if errors:
        raise PreflightError(" ".join(errors))
