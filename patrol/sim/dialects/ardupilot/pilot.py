"""Flies one leg at a time, whoever asked for it: a mode, a command or a mission item."""

import math
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from patrol.sim.body import HORIZONTAL_ACCELERATION_MPS2, POSITION_GAIN_PER_S, STILL, Vector, wrap_pi
from patrol.sim.dialects.ardupilot.guidance import (
    CENTI,
    Descent,
    Return,
    SpeedLimits,
    bearing_rad,
    distance_m,
    horizontal_distance_m,
    velocity_towards,
)
from patrol.sim.dialects.ardupilot.parameters import Parameters
from patrol.sim.drone import STEP_S, Drone

ARRIVED_M = 0.3  # where the real controller's moving target is when it calls a stop reached
TAKEOFF_TOLERANCE_M = 0.2
LOWEST_TAKEOFF_M = 1.0
LOOK_AHEAD_MINIMUM_M = 2.0  # ArduCopter turns the nose along a leg only while more than this is left
YAW_SLEW_RADPS = math.radians(60.0)  # ATC_SLEW_YAW
YAW_REACHED_RAD = math.radians(2.0)
UNCHANGED = SpeedLimits(0.0, 0.0, 0.0)


class Leg(Enum):
    """What is being flown."""

    NONE = auto()
    TAKEOFF = auto()
    WAYPOINT = auto()
    HOLD = auto()
    RETURN = auto()
    LAND = auto()


class Nose(Enum):
    """What the nose follows."""

    HOLD = auto()
    AHEAD = auto()
    FIXED = auto()


class Pilot:
    """The leg being flown, and where the nose points meanwhile."""

    def __init__(self, drone: Drone, parameters: Parameters) -> None:
        self._drone = drone
        self._parameters = parameters
        self.leg = Leg.NONE
        self.target: Vector = STILL
        self.paused = False
        self._stops = True
        self._return: Return | None = None
        self._descent: Descent | None = None
        self._speeds = UNCHANGED
        self._nose = Nose.HOLD
        self._ahead_rad = drone.body.yaw_rad
        self._turn_rad = drone.body.yaw_rad
        self._turn_rate_radps = YAW_SLEW_RADPS

    @property
    def position(self) -> Vector:
        """Metres north, east and up of where the drone was switched on."""
        return self._drone.body.position_neu_m

    @property
    def is_at_target(self) -> bool:
        """True when the end of the leg is reached; one that is flown through ends earlier."""
        radius_m = ARRIVED_M if self._stops else self._parameters["WPNAV_RADIUS"] * CENTI
        return distance_m(self.position, self.target) <= radius_m

    @property
    def is_up(self) -> bool:
        """True when a take-off has reached its height."""
        return self.position[2] >= self.target[2] - TAKEOFF_TOLERANCE_M

    @property
    def is_coming_down(self) -> bool:
        """True in the descent of a landing or of the way home."""
        return self._descent is not None or (self._return is not None and self._return.is_landing)

    @property
    def has_turned(self) -> bool:
        """True when the nose points where it was told to."""
        return abs(wrap_pi(self._turn_rad - self._drone.body.yaw_rad)) < YAW_REACHED_RAD

    @property
    def yaw_rate_radps(self) -> float:
        """How fast the nose may turn in the coming step."""
        return self._turn_rate_radps if self._nose is Nose.FIXED else YAW_SLEW_RADPS

    def idle(self) -> None:
        """Fly nothing."""
        self._begin(Leg.NONE, self.position)

    def hold(self) -> None:
        """Come to rest and stay."""
        self._begin(Leg.HOLD, self._stopping_point())

    def reset(self) -> None:
        """Come to rest and forget what commands had set, as at a change of mode."""
        self.hold()
        self.paused = False
        self._speeds = UNCHANGED

    def fly_to(self, target: Vector, *, stop: bool, leg: Leg = Leg.WAYPOINT) -> None:
        """Fly straight to a place, nose ahead."""
        self._begin(leg, target, stops=stop)
        self._nose, self._ahead_rad = Nose.AHEAD, self._drone.body.yaw_rad

    def take_off(self, up_m: float) -> None:
        """Climb straight up."""
        north_m, east_m, here_up_m = self.position
        on_ground = self._drone.body.on_ground
        lowest_m = here_up_m + (LOWEST_TAKEOFF_M if on_ground else 0.0)
        self._begin(Leg.TAKEOFF, (north_m, east_m, max(up_m, lowest_m)))

    def go_home(self, home: Vector, rally_points: Iterable[Vector]) -> None:
        """Return to home or to the nearest rally point, and land there."""
        here = self.position
        reach_m = self._parameters["RALLY_LIMIT_KM"] * 1000.0
        places = [place for place in rally_points if horizontal_distance_m(here, place) <= reach_m]
        if self._parameters["RALLY_INCL_HOME"] or not places:
            places.append(home)
        north_m, east_m, _ = min(places, key=lambda place: horizontal_distance_m(here, place))
        self._begin(Leg.RETURN, here)
        self._return = Return(here, (north_m, east_m, home[2]), self._parameters)

    def descend(self) -> None:
        """Come straight down: at the end of the present leg, else here."""
        place = self.target if self.leg is Leg.LAND else self._stopping_point()
        self._begin(Leg.LAND, place)
        self._descent = Descent(place, self._parameters)

    def turn_to(self, angle_deg: float, rate_degps: float, direction: float, *, relative: bool) -> bool:
        """Turn the nose and keep it there for the present leg; False for what is no angle."""
        if not all(map(math.isfinite, (angle_deg, rate_degps, direction))):
            return False
        base_rad = self._drone.body.yaw_rad if relative else 0.0
        sign = -1.0 if relative and direction < 0 else 1.0
        self._turn_rad = wrap_pi(base_rad + sign * math.radians(angle_deg))
        self._turn_rate_radps = math.radians(rate_degps) if rate_degps > 0 else YAW_SLEW_RADPS
        self._nose = Nose.FIXED
        return True

    def keep_turning(self) -> None:
        """Take the nose back for the last `turn_to` after a leg that began meanwhile took it."""
        self._nose = Nose.FIXED

    def set_speed(self, kind: float, speed_mps: float) -> bool:
        """Change a speed (0 and 1 over ground, 2 up, 3 down) until the mode changes; False for nonsense."""
        if not 0 < speed_mps < math.inf or kind not in (0, 1, 2, 3):
            return False
        field = {2: "up_mps", 3: "down_mps"}.get(int(kind), "horizontal_mps")
        self._speeds = replace(self._speeds, **{field: speed_mps})
        return True

    def velocity(self) -> Vector:
        """The velocity for the coming step."""
        wind = self._drone.wind
        if self.paused or self.leg is Leg.NONE:
            return STILL
        if self._return is not None:
            return self._return.velocity(self.position, wind, STEP_S)
        if self._descent is not None:
            return self._descent.velocity(self.position, wind)
        return velocity_towards(self.position, self.target, self._limits(), wind, stop=self._stops)

    def yaw_rad(self) -> float | None:
        """Where the nose shall point in the coming step; None leaves it."""
        if self._nose is Nose.FIXED:
            return self._turn_rad
        if self._nose is Nose.HOLD or not self._parameters["WP_YAW_BEHAVIOR"]:
            return None
        if horizontal_distance_m(self.position, self.target) > LOOK_AHEAD_MINIMUM_M:
            self._ahead_rad = bearing_rad(self.position, self.target)
        return self._ahead_rad

    def _begin(self, leg: Leg, target: Vector, *, stops: bool = True) -> None:
        self.leg, self.target, self._stops = leg, target, stops
        self._return = self._descent = None
        self._nose = Nose.HOLD

    def _limits(self) -> SpeedLimits:
        default, changed = SpeedLimits.from_parameters(self._parameters), self._speeds
        return SpeedLimits(
            changed.horizontal_mps or default.horizontal_mps,
            changed.up_mps or default.up_mps,
            changed.down_mps or default.down_mps,
        )

    def _stopping_point(self) -> Vector:
        """Where the vehicle comes to rest if it brakes now: v / 2a, then the position loop's lag."""
        velocity = self._drone.body.velocity_neu_mps
        speed_mps = math.hypot(*velocity[:2])
        reach_s = speed_mps / (2.0 * HORIZONTAL_ACCELERATION_MPS2) + 0.5 / POSITION_GAIN_PER_S
        north_m, east_m, up_m = (p + v * reach_s for p, v in zip(self.position, velocity, strict=True))
        return north_m, east_m, max(0.0, up_m)
