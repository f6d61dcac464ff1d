"""A three-cell lithium pack: charge, voltage and current. Percent is what the current sensor integrates."""

from itertools import pairwise

from patrol.sim.settings import BatterySettings

CELLS = 3
INTERNAL_RESISTANCE_OHM = 0.015
IDLE_CURRENT_A = 0.6  # electronics, motors off
SECONDS_PER_HOUR = 3600.0
# Open-circuit voltage of one lithium-polymer cell against its charge: a typical discharge curve at low rate.
CELL_CURVE: tuple[tuple[float, float], ...] = (
    (0.0, 3.27),
    (0.1, 3.61),
    (0.3, 3.73),
    (0.5, 3.80),
    (0.8, 3.98),
    (1.0, 4.20),
)


def cell_voltage(charge: float) -> float:
    """Open-circuit volts of a cell holding `charge` (0..1), on straight lines between the curve's points."""
    for (low, low_v), (high, high_v) in pairwise(CELL_CURVE):
        if charge <= high:
            return low_v + (high_v - low_v) * (charge - low) / (high - low)
    return CELL_CURVE[-1][1]


class Battery:
    """The pack; `step` draws from it."""

    def __init__(self, settings: BatterySettings) -> None:
        self._settings = settings
        self.consumed_mah = settings.capacity_mah * (1.0 - settings.start_percent / 100.0)
        self.current_a = IDLE_CURRENT_A
        self.forced_volt: float | None = None

    def step(self, dt_s: float, *, motors_on: bool, load: float) -> None:
        """Draw for `dt_s`; `load` is the thrust as a multiple of what hovering needs."""
        self.current_a = IDLE_CURRENT_A
        if motors_on:
            self.current_a += self._settings.hover_current_a * load
        drawn_mah = self.current_a * 1000.0 * dt_s / SECONDS_PER_HOUR
        self.consumed_mah = min(self._settings.capacity_mah, self.consumed_mah + drawn_mah)

    @property
    def charge(self) -> float:
        """What is left, 0..1."""
        return 1.0 - self.consumed_mah / self._settings.capacity_mah

    @property
    def capacity_mah(self) -> float:
        """What the full pack holds."""
        return self._settings.capacity_mah

    @property
    def volt(self) -> float:
        """Volts at the terminals under the present load, unless a fault is being injected."""
        if self.forced_volt is not None:
            return self.forced_volt
        return CELLS * cell_voltage(self.charge) - INTERNAL_RESISTANCE_OHM * self.current_a
