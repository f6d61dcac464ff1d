"""Where the simulated drone truly is: a point of limited acceleration, a leaning airframe, a gimbal.

Positions are metres north, east and up of where it was switched on; the ground lies at zero everywhere.
Angles are aerospace (yaw clockwise from true north, pitch up, roll right); the gimbal's roll and pitch are
against the horizon, its yaw against the nose.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

GRAVITY_MPS2 = 9.80665
HORIZONTAL_ACCELERATION_MPS2 = 2.5  # ArduCopter WPNAV_ACCEL default
VERTICAL_ACCELERATION_MPS2 = 1.0  # ArduCopter WPNAV_ACCEL_Z default
POSITION_GAIN_PER_S = 1.0  # ArduCopter PSC_POSXY_P default
YAW_GAIN_PER_S = 2.5
VERTICAL_SPEED_LIMIT_MPS = 10.0  # what the motors give, whatever is asked of them
LEAN_TIME_CONSTANT_S = 0.25
LEAN_LIMIT_RAD = math.radians(30.0)  # ArduCopter ANGLE_MAX default
DRAG_PER_M = 0.0178  # leans 24 degrees at 15.6 m/s, where a 3 kg quadrotor runs out of speed
GIMBAL_GAIN_PER_S = 4.0
GIMBAL_RATE_LIMIT_RADPS = math.radians(60.0)
# Measured: one leg of an ArduCopter took 33, 42 and 59 s against 0, 8 and 12 m/s of wind (docs: autopilots).
# At 10 m/s cruise and 2.5 m/s2 that is a ground speed of 12.1 - 0.585 * headwind.
CALM_SPEED_LIMIT_MPS = 12.1
SPEED_LOST_PER_HEADWIND = 0.585
MINIMUM_HEADWAY_MPS = 0.5

Vector = tuple[float, float, float]
STILL: Vector = (0.0, 0.0, 0.0)


def wrap_pi(angle_rad: float) -> float:
    """The same angle in -pi..pi."""
    return math.remainder(angle_rad, math.tau)


def limited(value: float, bound: float) -> float:
    """The value brought into -bound..bound."""
    return max(-bound, min(bound, value))


def approach_speed_mps(distance_m: float, acceleration_mps2: float) -> float:
    """How fast a vehicle may go to stop after `distance_m`: linear when near, square root when far.

    The same shape as the square-root controller of ArduPilot's position loop, so stops look alike.
    """
    linear_m = acceleration_mps2 / POSITION_GAIN_PER_S**2
    if distance_m < linear_m:
        return distance_m * POSITION_GAIN_PER_S
    return math.sqrt(2.0 * acceleration_mps2 * (distance_m - linear_m / 2.0))


@dataclass(frozen=True)
class Wind:
    """A steady wind. `from_deg` is where it comes from, clockwise from true north."""

    speed_mps: float = 0.0
    from_deg: float = 0.0

    @property
    def velocity_ne_mps(self) -> tuple[float, float]:
        """Where the air goes, (north, east)."""
        towards_rad = math.radians(self.from_deg + 180.0)
        return self.speed_mps * math.cos(towards_rad), self.speed_mps * math.sin(towards_rad)

    def ground_speed_limit_mps(self, north: float, east: float) -> float:
        """The fastest ground speed along the unit direction (north, east)."""
        wind_north, wind_east = self.velocity_ne_mps
        headwind_mps = max(0.0, -(wind_north * north + wind_east * east))
        return max(MINIMUM_HEADWAY_MPS, CALM_SPEED_LIMIT_MPS - SPEED_LOST_PER_HEADWIND * headwind_mps)


@dataclass(frozen=True)
class GimbalTarget:
    """Where the gimbal shall look. With `yaw_locked` the yaw is against north, else against the nose."""

    roll_rad: float = 0.0
    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    yaw_locked: bool = False


@dataclass(frozen=True)
class Demand:
    """What the autopilot asks of the airframe for one step."""

    velocity_neu_mps: Vector = STILL
    yaw_rad: float | None = None
    yaw_rate_limit_radps: float = math.radians(60.0)  # ArduCopter ATC_SLEW_YAW default


@dataclass(frozen=True)
class Truth:
    """The true state at one instant; `at_ns` is UTC."""

    at_ns: int
    boot_ns: int
    north_m: float
    east_m: float
    up_m: float
    velocity_neu_mps: Vector
    roll_rad: float
    pitch_rad: float
    yaw_rad: float
    rates_radps: Vector
    gimbal_roll_rad: float
    gimbal_pitch_rad: float
    gimbal_yaw_rad: float
    on_ground: bool


class Body:
    """The airframe and its gimbal; `step` moves them on by one time step."""

    def __init__(self, *, yaw_rad: float, gust_mps: Callable[[float], tuple[float, float]]) -> None:
        """`gust_mps(dt_s)` gives the wind's departure (north, east) from its mean for the next step."""
        self.position_neu_m: Vector = STILL
        self.velocity_neu_mps: Vector = STILL
        self.roll_rad = 0.0
        self.pitch_rad = 0.0
        self.yaw_rad = yaw_rad
        self.rates_radps: Vector = STILL
        self.gimbal_roll_rad = 0.0
        self.gimbal_pitch_rad = 0.0
        self.gimbal_yaw_rad = 0.0
        self._gust_mps = gust_mps

    @property
    def on_ground(self) -> bool:
        """True while the feet touch the ground."""
        return self.position_neu_m[2] <= 0.0

    def step(self, dt_s: float, demand: Demand, gimbal: GimbalTarget, wind: Wind) -> None:
        """Move by `dt_s` seconds towards what is demanded."""
        acceleration_ne_mps2 = self._move(dt_s, demand.velocity_neu_mps)
        before = (self.roll_rad, self.pitch_rad, self.yaw_rad)
        self._turn(dt_s, demand)
        self._lean(dt_s, acceleration_ne_mps2, wind)
        self.rates_radps = (
            (self.roll_rad - before[0]) / dt_s,
            (self.pitch_rad - before[1]) / dt_s,
            wrap_pi(self.yaw_rad - before[2]) / dt_s,
        )
        self._point(dt_s, gimbal)

    def _move(self, dt_s: float, wanted_neu_mps: Vector) -> tuple[float, float]:
        north, east, up = self.velocity_neu_mps
        delta_north, delta_east = wanted_neu_mps[0] - north, wanted_neu_mps[1] - east
        change, allowed = math.hypot(delta_north, delta_east), HORIZONTAL_ACCELERATION_MPS2 * dt_s
        share = 1.0 if change <= allowed else allowed / change
        wanted_up = limited(wanted_neu_mps[2], VERTICAL_SPEED_LIMIT_MPS)
        up += limited(wanted_up - up, VERTICAL_ACCELERATION_MPS2 * dt_s)
        self.velocity_neu_mps = (north + share * delta_north, east + share * delta_east, up)
        height_m = self.position_neu_m[2] + up * dt_s
        if height_m <= 0.0:
            height_m, self.velocity_neu_mps = 0.0, STILL if up <= 0.0 else self.velocity_neu_mps
        self.position_neu_m = (
            self.position_neu_m[0] + self.velocity_neu_mps[0] * dt_s,
            self.position_neu_m[1] + self.velocity_neu_mps[1] * dt_s,
            height_m,
        )
        return share * delta_north / dt_s, share * delta_east / dt_s

    def _turn(self, dt_s: float, demand: Demand) -> None:
        if demand.yaw_rad is None or self.on_ground:
            return
        rate = limited(YAW_GAIN_PER_S * wrap_pi(demand.yaw_rad - self.yaw_rad), demand.yaw_rate_limit_radps)
        self.yaw_rad = wrap_pi(self.yaw_rad + rate * dt_s)

    def _lean(self, dt_s: float, acceleration_ne_mps2: tuple[float, float], wind: Wind) -> None:
        """Lean so that thrust balances acceleration and drag."""
        forward = right = 0.0
        if not self.on_ground:
            gust_north, gust_east = self._gust_mps(dt_s)
            wind_north, wind_east = wind.velocity_ne_mps
            air_north = self.velocity_neu_mps[0] - wind_north - gust_north
            air_east = self.velocity_neu_mps[1] - wind_east - gust_east
            drag = DRAG_PER_M * math.hypot(air_north, air_east)
            thrust_north = acceleration_ne_mps2[0] + drag * air_north
            thrust_east = acceleration_ne_mps2[1] + drag * air_east
            cos_yaw, sin_yaw = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
            forward = cos_yaw * thrust_north + sin_yaw * thrust_east
            right = -sin_yaw * thrust_north + cos_yaw * thrust_east
        blend = min(1.0, dt_s / LEAN_TIME_CONSTANT_S)
        pitch_rad = limited(-math.atan(forward / GRAVITY_MPS2), LEAN_LIMIT_RAD)
        roll_rad = limited(math.atan(right / GRAVITY_MPS2), LEAN_LIMIT_RAD)
        self.pitch_rad += blend * (pitch_rad - self.pitch_rad)
        self.roll_rad += blend * (roll_rad - self.roll_rad)

    def _point(self, dt_s: float, target: GimbalTarget) -> None:
        yaw_rad = wrap_pi(target.yaw_rad - self.yaw_rad) if target.yaw_locked else target.yaw_rad
        bound = GIMBAL_RATE_LIMIT_RADPS

        def slew(error_rad: float) -> float:
            return limited(GIMBAL_GAIN_PER_S * error_rad, bound) * dt_s

        self.gimbal_roll_rad += slew(target.roll_rad - self.gimbal_roll_rad)
        self.gimbal_pitch_rad += slew(target.pitch_rad - self.gimbal_pitch_rad)
        self.gimbal_yaw_rad = wrap_pi(self.gimbal_yaw_rad + slew(wrap_pi(yaw_rad - self.gimbal_yaw_rad)))

    def truth(self, boot_ns: int, at_ns: int) -> Truth:
        """The state now, stamped with both clocks."""
        return Truth(
            at_ns=at_ns,
            boot_ns=boot_ns,
            north_m=self.position_neu_m[0],
            east_m=self.position_neu_m[1],
            up_m=self.position_neu_m[2],
            velocity_neu_mps=self.velocity_neu_mps,
            roll_rad=self.roll_rad,
            pitch_rad=self.pitch_rad,
            yaw_rad=self.yaw_rad,
            rates_radps=self.rates_radps,
            gimbal_roll_rad=self.gimbal_roll_rad,
            gimbal_pitch_rad=self.gimbal_pitch_rad,
            gimbal_yaw_rad=self.gimbal_yaw_rad,
            on_ground=self.on_ground,
        )
