"""Watches the flight and may ask for one thing only: that the aircraft comes home.

It never commands anything itself, and the autopilot's own failsafes stay as they are; it only speaks earlier
than those do.
"""

from dataclasses import dataclass

from patrol.flight.facts import Facts


@dataclass(frozen=True)
class GuardianLimits:
    """When to come home.

    Attributes:
        battery_return_percent: comes home at this charge. A quarter is the reserve that multirotor handbooks
            ask for; ArduPilot's own low-battery action acts later, at the voltage set there.
        battery_start_percent: does not take off below this.
        battery_hold_s: the charge must stay low so long; one wrong report turns nobody round.
        silence_return_s: comes home when nothing was heard for so long. The request may get through where
            the answers do not.
    """

    battery_return_percent: float = 25.0
    battery_start_percent: float = 40.0
    battery_hold_s: float = 3.0
    silence_return_s: float = 30.0


class Guardian:
    """Decides from the facts whether the aircraft should come home."""

    def __init__(self, limits: GuardianLimits) -> None:
        self._limits = limits
        self._low_since_s: float | None = None

    def reason_to_return(self, facts: Facts, link_age_s: float, now_s: float) -> str | None:
        """Why it should come home now, as a sentence; None when it need not."""
        if link_age_s > self._limits.silence_return_s:
            return f"nothing was heard from the aircraft for {link_age_s:.0f} s"
        charge = facts.battery_percent
        if charge is None or charge > self._limits.battery_return_percent:
            self._low_since_s = None
            return None
        if self._low_since_s is None:
            self._low_since_s = now_s
        if now_s - self._low_since_s < self._limits.battery_hold_s:
            return None
        return f"the battery is down to {charge:.0f} %"
