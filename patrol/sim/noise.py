"""Declared sensor errors: Gauss-Markov processes, added to what the vehicle reports and never to the truth.

x(t + dt) = x(t) * exp(-dt / tau) + sigma * sqrt(1 - exp(-2 dt / tau)) * w, w ~ N(0, 1): the standard exact
discretisation (Gelb, Applied Optimal Estimation, 1974, section 3.8).
"""

import math
from dataclasses import dataclass

import numpy as np

from patrol.sim.settings import ErrorModel, NoiseSettings


class GaussMarkov:
    """One error that wanders with a stated standard deviation and correlation time."""

    def __init__(self, model: ErrorModel, rng: np.random.Generator) -> None:
        self._model = model
        self._rng = rng
        self.value = model.sigma * float(rng.standard_normal())

    def step(self, dt_s: float) -> float:
        """Move on by `dt_s` and return the error."""
        keep = math.exp(-dt_s / self._model.correlation_s)
        spread = self._model.sigma * math.sqrt(1.0 - keep * keep)
        self.value = keep * self.value + spread * float(self._rng.standard_normal())
        return self.value


@dataclass(frozen=True)
class SensorErrors:
    """What has to be added to the truth to get what the vehicle reports."""

    north_m: float = 0.0
    east_m: float = 0.0
    height_m: float = 0.0
    roll_deg: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0


class SensorNoise:
    """The six errors of the declared noise; all zero when there is none."""

    def __init__(self, settings: NoiseSettings | None, rng: np.random.Generator) -> None:
        self._processes: tuple[GaussMarkov, ...] = ()
        self.errors = SensorErrors()
        if settings is not None:
            models = (
                settings.horizontal_m,
                settings.horizontal_m,
                settings.height_m,
                settings.roll_pitch_deg,
                settings.roll_pitch_deg,
                settings.yaw_deg,
            )
            self._processes = tuple(GaussMarkov(model, rng) for model in models)
            self.errors = SensorErrors(*(process.value for process in self._processes))

    def step(self, dt_s: float) -> None:
        """Let the errors wander for `dt_s`."""
        if self._processes:
            self.errors = SensorErrors(*(process.step(dt_s) for process in self._processes))
