"""How ArduCopter flies from here to there: straight legs, landing and the way home, as velocities."""

import math
from dataclasses import dataclass
from enum import Enum, auto

from patrol.sim.body import (
    HORIZONTAL_ACCELERATION_MPS2,
    STILL,
    VERTICAL_ACCELERATION_MPS2,
    Vector,
    Wind,
    approach_speed_mps,
)
from patrol.sim.dialects.ardupilot.parameters import Parameters

CENTI = 0.01
PHASE_DONE_M = 0.3


def distance_m(a: Vector, b: Vector) -> float:
    """Straight distance between two points."""
    return math.dist(a, b)


def horizontal_distance_m(a: Vector, b: Vector) -> float:
    """Distance over ground."""
    return math.hypot(b[0] - a[0], b[1] - a[1])


def bearing_rad(a: Vector, b: Vector) -> float:
    """Bearing from a to b, clockwise from north."""
    return math.atan2(b[1] - a[1], b[0] - a[0])


@dataclass(frozen=True)
class SpeedLimits:
    """The fastest a leg may be flown."""

    horizontal_mps: float
    up_mps: float
    down_mps: float

    @classmethod
    def from_parameters(cls, parameters: Parameters, horizontal_mps: float | None = None) -> "SpeedLimits":
        """WPNAV_SPEED and its kin, or another horizontal speed."""
        return cls(
            horizontal_mps or parameters["WPNAV_SPEED"] * CENTI,
            parameters["WPNAV_SPEED_UP"] * CENTI,
            parameters["WPNAV_SPEED_DN"] * CENTI,
        )


def velocity_towards(
    position: Vector, target: Vector, limits: SpeedLimits, wind: Wind, *, stop: bool
) -> Vector:
    """Velocity (north, east, up) along the straight line to `target`, slowed in time if it is to `stop`."""
    north, east, up = (t - p for t, p in zip(target, position, strict=True))
    flat_m, whole_m = math.hypot(north, east), math.hypot(north, east, up)
    if whole_m < 1e-6:
        return STILL
    speed_mps = math.inf
    if flat_m > 1e-6:
        horizontal_mps = min(
            limits.horizontal_mps, wind.ground_speed_limit_mps(north / flat_m, east / flat_m)
        )
        speed_mps = horizontal_mps * whole_m / flat_m
    if abs(up) > 1e-6:
        speed_mps = min(speed_mps, (limits.up_mps if up > 0 else limits.down_mps) * whole_m / abs(up))
    if stop:
        steep = abs(up) > flat_m
        acceleration = VERTICAL_ACCELERATION_MPS2 if steep else HORIZONTAL_ACCELERATION_MPS2
        speed_mps = min(speed_mps, approach_speed_mps(whole_m, acceleration))
    return north / whole_m * speed_mps, east / whole_m * speed_mps, up / whole_m * speed_mps


class Descent:
    """Straight down at a fixed place until the ground is felt."""

    def __init__(self, place: Vector, parameters: Parameters) -> None:
        self._place = place
        self._parameters = parameters

    def velocity(self, position: Vector, wind: Wind) -> Vector:
        """Fast above LAND_ALT_LOW, slow below it, towards the place all the while."""
        parameters = self._parameters
        high_mps = (parameters["LAND_SPEED_HIGH"] or parameters["WPNAV_SPEED_DN"]) * CENTI
        is_high = position[2] > parameters["LAND_ALT_LOW"] * CENTI
        limits = SpeedLimits.from_parameters(parameters)
        target = (self._place[0], self._place[1], position[2])
        north, east, _ = velocity_towards(position, target, limits, wind, stop=True)
        return north, east, -(high_mps if is_high else parameters["LAND_SPEED"] * CENTI)


class ReturnPhase(Enum):
    """The steps of ArduCopter's RTL."""

    CLIMB = auto()
    RETURN = auto()
    LOITER = auto()
    LAND = auto()


class Return:
    """The way home: climb, fly, wait, land (RTL)."""

    MINIMUM_CLIMB_M = 2.5  # RTL_ABS_MIN_CLIMB

    def __init__(self, position: Vector, destination: Vector, parameters: Parameters) -> None:
        """`destination` is the landing place; its height is the ground's."""
        self.phase = ReturnPhase.CLIMB
        self._parameters = parameters
        self._destination = destination
        self._loitered_s = 0.0
        self._descent = Descent(destination, parameters)
        here_m = position[2]
        climb_to_m = destination[2] + parameters["RTL_ALT"] * CENTI
        slope = parameters["RTL_CONE_SLOPE"]
        if slope > 0:  # near home there is no need to climb all the way
            cone_m = horizontal_distance_m(position, destination) * slope
            climb_to_m = min(climb_to_m, max(cone_m, here_m + self.MINIMUM_CLIMB_M))
        self._cruise_up_m = max(here_m, climb_to_m)
        self._climb_place = position

    @property
    def is_landing(self) -> bool:
        """True in the last phase."""
        return self.phase is ReturnPhase.LAND

    def velocity(self, position: Vector, wind: Wind, dt_s: float) -> Vector:
        """Velocity for the next step; moves through the phases."""
        horizontal_mps = self._parameters["RTL_SPEED"] * CENTI or None
        limits = SpeedLimits.from_parameters(self._parameters, horizontal_mps)
        above = (self._destination[0], self._destination[1], self._cruise_up_m)
        match self.phase:
            case ReturnPhase.CLIMB:
                target = (self._climb_place[0], self._climb_place[1], self._cruise_up_m)
                if self._cruise_up_m - position[2] < PHASE_DONE_M:
                    self.phase = ReturnPhase.RETURN
            case ReturnPhase.RETURN:
                target = above
                if distance_m(position, above) < PHASE_DONE_M:
                    self.phase = ReturnPhase.LOITER
            case ReturnPhase.LOITER:
                target = above
                self._loitered_s += dt_s
                if self._loitered_s >= self._parameters["RTL_LOIT_TIME"] / 1000.0:
                    self.phase = ReturnPhase.LAND
            case ReturnPhase.LAND:
                return self._descent.velocity(position, wind)
        return velocity_towards(position, target, limits, wind, stop=True)
