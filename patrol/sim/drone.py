"""The drone without its autopilot: body, battery, sensors and the two clocks, moved on in fixed steps."""

import math
from dataclasses import dataclass

import numpy as np

from patrol.geo.frames import LocalFrame
from patrol.sim.battery import Battery
from patrol.sim.body import Body, Demand, GimbalTarget, Truth, Vector, Wind
from patrol.sim.noise import GaussMarkov, SensorNoise
from patrol.sim.settings import ErrorModel, SimSettings

STEP_NS = 20_000_000  # 50 Hz
STEP_S = STEP_NS / 1e9
GUST_CORRELATION_S = 2.0  # of the order of the Dryden model's at low height


@dataclass(frozen=True)
class Estimate:
    """What the drone's own navigation says: the truth with the declared errors."""

    lat_deg: float
    lon_deg: float
    height_amsl_m: float
    up_m: float
    velocity_neu_mps: Vector
    roll_rad: float
    pitch_rad: float
    yaw_rad: float
    gimbal_roll_rad: float
    gimbal_pitch_rad: float
    gimbal_yaw_rad: float


class Drone:
    """Body, battery and sensors. The autopilot sets `demand`, `gimbal` and `motors_on`, then calls `step`."""

    def __init__(
        self, settings: SimSettings, *, utc_at_boot_ns: int, seed: int, with_noise: bool = True
    ) -> None:
        home = settings.home
        self.frame = LocalFrame(home.lat_deg, home.lon_deg)
        self.ground_amsl_m = home.height_amsl_m
        self.wind: Wind = settings.wind.wind
        self.boot_ns = 0
        # By how much the clock has gone past the last step; for what happens between steps.
        self.since_step_ns = 0
        self.demand = Demand()
        self.gimbal = GimbalTarget()
        self.motors_on = False
        # Gusts and sensors draw from streams of their own, so that `noise off` flies the very same flight.
        gust_rng, noise_rng = np.random.default_rng(seed).spawn(2)
        gust = ErrorModel(sigma=settings.wind.gust_mps, correlation_s=GUST_CORRELATION_S)
        self._gusts = (GaussMarkov(gust, gust_rng), GaussMarkov(gust, gust_rng))
        self.body = Body(yaw_rad=math.radians(home.heading_deg), gust_mps=self._gust_mps)
        self.battery = Battery(settings.battery)
        self._noise = SensorNoise(settings.noise if with_noise else None, noise_rng)
        self._utc_at_boot_ns = utc_at_boot_ns

    @property
    def boot_s(self) -> float:
        """Seconds since the drone was switched on."""
        return self.boot_ns / 1e9

    @property
    def utc_ns(self) -> int:
        """UTC now, in the drone's own (simulated) time."""
        return self._utc_at_boot_ns + self.boot_ns

    @property
    def truth(self) -> Truth:
        """The true state now."""
        return self.body.truth(self.boot_ns, self.utc_ns)

    def step(self) -> None:
        """Move on by one step."""
        self.boot_ns += STEP_NS
        self.since_step_ns = 0
        self.body.step(STEP_S, self.demand, self.gimbal, self.wind)
        self._noise.step(STEP_S)
        lean = math.cos(self.body.roll_rad) * math.cos(self.body.pitch_rad)
        self.battery.step(STEP_S, motors_on=self.motors_on, load=0.0 if self.body.on_ground else lean**-1.5)

    def estimate(self) -> Estimate:
        """What the drone's navigation says now."""
        body, errors = self.body, self._noise.errors
        roll_error_rad, pitch_error_rad = math.radians(errors.roll_deg), math.radians(errors.pitch_deg)
        north, east, up = body.position_neu_m
        lat_deg, lon_deg = self.frame.to_geodetic(east + errors.east_m, north + errors.north_m)
        return Estimate(
            lat_deg=float(lat_deg),
            lon_deg=float(lon_deg),
            height_amsl_m=self.ground_amsl_m + up + errors.height_m,
            up_m=up + errors.height_m,
            velocity_neu_mps=body.velocity_neu_mps,
            roll_rad=body.roll_rad + roll_error_rad,
            pitch_rad=body.pitch_rad + pitch_error_rad,
            yaw_rad=body.yaw_rad + math.radians(errors.yaw_deg),
            gimbal_roll_rad=body.gimbal_roll_rad + roll_error_rad,
            gimbal_pitch_rad=body.gimbal_pitch_rad + pitch_error_rad,
            gimbal_yaw_rad=body.gimbal_yaw_rad,
        )

    def _gust_mps(self, dt_s: float) -> tuple[float, float]:
        return self._gusts[0].step(dt_s), self._gusts[1].step(dt_s)
