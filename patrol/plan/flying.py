"""How a route will be flown: where the camera is at each instant, how long it takes and what it draws.

The kinematics are those of a multicopter with ArduCopter's default parameters; PX4's are alike. Everything is
chosen so that a real flight takes less: each leg is flown against the wind, and each stop takes its time.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.coverage import Coverage
from patrol.geo.frames import LocalFrame
from patrol.geo.ground import Ground
from patrol.plan.routes.airspace import ACCELERATION_MPS2, Xy
from patrol.plan.routes.lanes import YAW_RATE_DEGPS
from patrol.plan.routes.runs import Stop

CLIMB_MPS = 2.5  # ArduCopter's WPNAV_SPEED_UP
SINK_MPS = 1.5  # WPNAV_SPEED_DN
VERTICAL_ACCELERATION_MPS2 = 1.0  # WPNAV_ACCEL_Z
RETURN_HEIGHT_M = 15.0  # RTL_ALT; set PX4's RTL_RETURN_ALT, 60 m by default, alike
RETURN_WAITS_S = 5.0  # RTL_LOIT_TIME
LANDS_SLOWLY_BELOW_M = 10.0  # LAND_ALT_LOW
LAND_MPS = 0.5  # LAND_SPEED
TURN_RADIUS_M = 2.0  # WPNAV_RADIUS; PX4's NAV_ACC_RAD on multicopters is 2 m, too
STOP_S = 2.0  # the position loop's last 2.5 m, at ArduCopter's PSC_POSXY_P of 1 / s, beyond even braking
NOSE_FOLLOWS_M = 2.0  # ArduCopter turns the nose along a leg only while more than this is left

YAW_GAIN_PER_S = 2.5  # as the simulated drone's
GIMBAL_GAIN_PER_S = 4.0
GIMBAL_RATE_DEGPS = 60.0

MAX_WIND_MPS = 12.0
"""The strongest wind in which an ArduCopter's legs have been timed; beyond it nothing is known."""

_CALM_LIMIT_MPS = 12.1
_LOST_PER_HEADWIND = 0.585
_DRAG_PER_M = 0.0178
_CLIMB_EXTRA = 0.36
_GRAVITY_MPS2 = 9.80665

STEP_S = 0.2
_FINE_STEP_S = 0.05
_SHOT_M, _SHOT_DEG = 2.0, 5.0  # a cell of the coverage's grid; a seventh of the demonstration's picture

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flight:
    """A route from its first stop to its last, each `STEP_S`; and what the whole flight takes.

    Attributes:
        east_m, north_m, up_m: (T,) float64 in the market's frame, up from home.
        yaw_rad, pitch_rad: (T,) float64 of the camera, true.
        patrol_s, return_s: from the ground until the return begins, and from there to the ground.
        patrol_hover_s, return_hover_s: for how long the same charge would hover.
        farthest_return_hover_s: the most that coming home takes from anywhere on the route.
        length_m: of the way, home to home, over ground.
    """

    east_m: _Floats
    north_m: _Floats
    up_m: _Floats
    yaw_rad: _Floats
    pitch_rad: _Floats
    patrol_s: float
    return_s: float
    patrol_hover_s: float
    return_hover_s: float
    farthest_return_hover_s: float
    length_m: float

    def look(
        self,
        coverage: Coverage,
        camera: CameraModel,
        ground: Ground,
        home: LocalFrame,
        tell: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Add what the camera sees along the route to a coverage.

        Args:
            coverage: in the market's frame.
            camera: with its mounting.
            ground: below.
            home: a frame about home, whose ground the heights count from.
            tell: told the share of the work that is done.
        """
        home_amsl_m = float(ground.height_amsl_m_at(home.origin_lat_deg, home.origin_lon_deg)[0])
        lat_deg, lon_deg = coverage.frame.to_geodetic(self.east_m, self.north_m)
        shots = self._shots()
        for shot, after in itertools.pairwise([*shots, len(self.east_m)]):
            at_ns = 1 + round(shot * STEP_S * 1e9)
            pose = CameraPose(
                at_ns=at_ns,
                lat_deg=float(lat_deg[shot]),
                lon_deg=float(lon_deg[shot]),
                height=Amsl(home_amsl_m + float(self.up_m[shot])),
                roll_rad=0.0,
                pitch_rad=float(self.pitch_rad[shot]),
                yaw_ned_rad=float(self.yaw_rad[shot]),
            )
            coverage.add(camera, pose, ground, at_ns=at_ns, dwell_s=(after - shot) * STEP_S)
            tell(after / len(self.east_m))

    def _shots(self) -> list[int]:
        """The steps that show enough new ground to be looked at; each stands for the time until the next."""
        moved_m = np.hypot(np.diff(self.east_m), np.diff(self.north_m)) + np.abs(np.diff(self.up_m))
        turned_rad = np.abs(np.diff(self.yaw_rad)) + np.abs(np.diff(self.pitch_rad))
        change = np.concatenate([[0.0], np.cumsum(moved_m / _SHOT_M + turned_rad / math.radians(_SHOT_DEG))])
        return np.flatnonzero(np.diff(np.floor(change), prepend=-1.0) > 0).tolist()


def ground_speed_mps(speed_mps: float, wind_mps: float) -> float:
    """What is left over ground of a wanted speed against a wind.

    Measured: one leg of an ArduCopter that wanted 10 m/s took 33, 42 and 59 s against 0, 8 and 12 m/s of
    wind, which fits at most 12.1 - 0.585 wind.
    """
    return min(speed_mps, _CALM_LIMIT_MPS - _LOST_PER_HEADWIND * wind_mps)


def hover_equivalent(airspeed_mps: _Floats | float, climb_mps: _Floats | float = 0.0) -> _Floats:
    """Power of a multicopter in flight, as a multiple of what hovering takes.

    Thrust T carries the weight W and the drag: T / W = sqrt(1 + (k v^2 / g)^2), with k = 0.0178 / m measured
    on a 3 kg quadrotor (it leans 24 degrees at 15.6 m/s). Power grows with T^1.5, as in hovering (momentum
    theory). That leaves out that moving air makes lift cheaper: by the model of Zeng, Xu and Zhang (2019,
    "Energy minimization for wireless communication with rotary-wing UAV") flight takes less than hovering up
    to 18 m/s, so this is more than is drawn at any speed flown here.

    Climbing lifts the weight as well: g per kilogram and m/s, against the 68 W/kg of the simulated drone in
    hovering, 36 % at 2.5 m/s. Real ones of this size take more to hover, so the share is less.
    """
    lean = _DRAG_PER_M * np.asarray(airspeed_mps, dtype=np.float64) ** 2 / _GRAVITY_MPS2
    return np.asarray((1 + lean * lean) ** 0.75 + _CLIMB_EXTRA / CLIMB_MPS * np.maximum(climb_mps, 0.0))


def fly(
    stops: Sequence[Stop], up_m: Sequence[float], home: Xy, *, speed_mps: float, wind_mps: float
) -> Flight:
    """Fly a route on paper.

    Args:
        stops: where to, in order.
        up_m: the height of each above home.
        home: in the stops' frame.
        speed_mps: over ground, when there is no wind to hinder it.
        wind_mps: taken to be ahead on every leg.
    """
    headway_mps = ground_speed_mps(speed_mps, wind_mps)
    points = np.array([(*home, up_m[0]), *((*stop.xy, up) for stop, up in zip(stops, up_m, strict=True))])
    holds_s = np.array([0.0, *(stop.hold_s for stop in stops)])
    fine_s, distance_m, leg = _along(points, holds_s, headway_mps)
    at_s = np.arange(0.0, fine_s[-1], STEP_S)
    ends_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    flown_m = np.interp(at_s, fine_s, distance_m)
    east_m, north_m, height_m = (np.interp(flown_m, ends_m, axis) for axis in points.T)
    legs = leg[np.searchsorted(fine_s, at_s, side="right") - 1]
    nose_rad = _nose_rad(points, legs)
    pitch_rad, yaw_rad = _gimbal_rad(stops, points, legs, nose_rad)

    ground_mps = np.hypot(np.gradient(east_m, STEP_S), np.gradient(north_m, STEP_S))
    drawn_s = float(hover_equivalent(ground_mps + wind_mps, np.gradient(height_m, STEP_S)).sum() * STEP_S)
    climb_s = up_m[0] / CLIMB_MPS + CLIMB_MPS / VERTICAL_ACCELERATION_MPS2 + STOP_S
    drawn_s += climb_s * float(hover_equivalent(wind_mps, CLIMB_MPS))
    away_m = np.hypot(east_m - home[0], north_m - home[1])
    return_s, return_drawn_s = _return(away_m, height_m, headway_mps, wind_mps)
    # On the way to the first stop the gimbal is on its way, too: from where is not known.
    begun = slice(int(np.searchsorted(flown_m, ends_m[1])), None)
    return Flight(
        east_m=east_m[begun],
        north_m=north_m[begun],
        up_m=height_m[begun],
        yaw_rad=yaw_rad[begun],
        pitch_rad=pitch_rad[begun],
        patrol_s=climb_s + float(fine_s[-1]),
        return_s=float(return_s[-1]),
        patrol_hover_s=drawn_s,
        return_hover_s=float(return_drawn_s[-1]),
        farthest_return_hover_s=float(return_drawn_s.max()),
        length_m=float(np.hypot(*np.diff(points[:, :2], axis=0).T).sum() + away_m[-1]),
    )


def _along(
    points: _Floats, holds_s: _Floats, headway_mps: float
) -> tuple[_Floats, _Floats, NDArray[np.int64]]:
    """Times, distances along the way and numbers of the leg, finely stepped."""
    legs = np.diff(points, axis=0)
    lengths_m = np.linalg.norm(legs, axis=1)
    limits_mps, accelerations = _limits(legs, lengths_m, headway_mps)
    corner_mps = _corner_speeds(legs, lengths_m, holds_s, limits_mps)
    for i in range(len(legs)):  # speed up no faster than it can ...
        corner_mps[i + 1] = min(
            corner_mps[i + 1], _reached_mps(corner_mps[i], accelerations[i], lengths_m[i])
        )
    for i in reversed(range(len(legs))):  # ... and brake in time
        corner_mps[i] = min(corner_mps[i], _reached_mps(corner_mps[i + 1], accelerations[i], lengths_m[i]))
    times, distances, numbers = [np.zeros(1)], [np.zeros(1)], [np.zeros(1, np.int64)]
    now_s = gone_m = 0.0
    for i, length_m in enumerate(lengths_m):
        start_mps, end_mps = float(corner_mps[i]), float(corner_mps[i + 1])
        within_s, within_m = _trapezoid(
            float(length_m), start_mps, end_mps, float(limits_mps[i]), float(accelerations[i])
        )
        times.append(now_s + within_s)
        distances.append(gone_m + within_m)
        numbers.append(np.full(len(within_s), i))
        now_s, gone_m = float(times[-1][-1]), gone_m + float(length_m)
        stays_s = holds_s[i + 1] + (STOP_S if end_mps == 0 else 0.0)
        if stays_s:
            now_s += float(stays_s)
            times.append(np.array([now_s]))
            distances.append(np.array([gone_m]))
            numbers.append(np.array([i]))
    return np.concatenate(times), np.concatenate(distances), np.concatenate(numbers)


def _limits(legs: _Floats, lengths_m: _Floats, headway_mps: float) -> tuple[_Floats, _Floats]:
    """What the level and the upright part of each leg (L,) allow: speed along it, and acceleration."""
    flat_m, up_m = np.hypot(legs[:, 0], legs[:, 1]), legs[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_level = np.where(flat_m > 0, headway_mps * lengths_m / flat_m, np.inf)
        upright_mps = np.where(up_m > 0, CLIMB_MPS, SINK_MPS)
        by_height = np.where(up_m != 0, upright_mps * lengths_m / np.abs(up_m), np.inf)
    steep = np.abs(up_m) > flat_m
    limits = np.minimum(np.minimum(by_level, by_height), max(headway_mps, CLIMB_MPS))
    return limits, np.where(steep, VERTICAL_ACCELERATION_MPS2, ACCELERATION_MPS2)


def _corner_speeds(legs: _Floats, lengths_m: _Floats, holds_s: _Floats, limits_mps: _Floats) -> _Floats:
    """The most at each point (L + 1,): what a turn within `TURN_RADIUS_M` of the corner allows.

    v^2 = a d tan(alpha / 2) for an arc that touches both legs at a distance d from the corner, alpha between
    them (PX4's computeMaxSpeedInWaypoint).
    """
    speeds = np.zeros(len(legs) + 1)
    for i in range(1, len(legs)):
        if holds_s[i] or min(lengths_m[i - 1], lengths_m[i]) == 0:
            continue
        cosine = float(legs[i - 1] @ legs[i] / (lengths_m[i - 1] * lengths_m[i]))
        half_alpha = (math.pi - math.acos(max(-1.0, min(1.0, cosine)))) / 2
        reach_m = min(TURN_RADIUS_M, lengths_m[i - 1] / 2, lengths_m[i] / 2)
        turning_mps = math.sqrt(ACCELERATION_MPS2 * reach_m * math.tan(half_alpha))
        speeds[i] = min(turning_mps, limits_mps[i - 1], limits_mps[i])
    return speeds


def _reached_mps(from_mps: float, acceleration_mps2: float, over_m: float) -> float:
    return math.sqrt(from_mps**2 + 2 * acceleration_mps2 * over_m)


def _trapezoid(
    length_m: float, start_mps: float, end_mps: float, limit_mps: float, acceleration_mps2: float
) -> tuple[_Floats, _Floats]:
    """Times and distances along a leg that speeds up, keeps its speed and brakes."""
    if length_m == 0:
        return np.zeros(1), np.zeros(1)
    a = acceleration_mps2
    top_mps = min(limit_mps, math.sqrt((2 * a * length_m + start_mps**2 + end_mps**2) / 2))
    faster_s, slower_s = max(0.0, top_mps - start_mps) / a, max(0.0, top_mps - end_mps) / a
    faster_m = (start_mps + top_mps) / 2 * faster_s
    slower_m = (top_mps + end_mps) / 2 * slower_s
    steady_s = max(0.0, length_m - faster_m - slower_m) / top_mps
    whole_s = faster_s + steady_s + slower_s
    at_s = np.append(np.arange(_FINE_STEP_S, whole_s, _FINE_STEP_S), whole_s)
    to_go_s = whole_s - at_s
    at_m = np.select(
        [at_s < faster_s, to_go_s < slower_s],
        [
            start_mps * at_s + a / 2 * at_s**2,
            length_m - (end_mps * to_go_s + a / 2 * to_go_s**2),
        ],
        faster_m + top_mps * (at_s - faster_s),
    )
    return at_s, np.minimum(at_m, length_m)


def _nose_rad(points: _Floats, legs: NDArray[np.int64]) -> _Floats:
    """Where the nose points (T,): along the leg, as fast as it turns."""
    east_m, north_m = np.diff(points[:, :2], axis=0).T
    bearings = np.arctan2(east_m, north_m)
    long = np.flatnonzero(np.hypot(east_m, north_m) > NOSE_FOLLOWS_M)
    if not len(long):
        return np.zeros(len(legs))
    # A leg too short or upright leaves the nose as it is.
    followed = long[np.maximum(np.searchsorted(long, np.arange(len(bearings)), side="right") - 1, 0)]
    return _slewed(bearings[followed][legs], YAW_GAIN_PER_S, math.radians(YAW_RATE_DEGPS))


def _gimbal_rad(
    stops: Sequence[Stop], points: _Floats, legs: NDArray[np.int64], nose_rad: _Floats
) -> tuple[_Floats, _Floats]:
    """Pitch and true yaw of the camera (T,)."""
    angles_deg = gimbal_angles_deg(stops, (float(points[0, 0]), float(points[0, 1])))
    pitches, pans = np.radians(np.array(angles_deg, dtype=np.float64)).T
    rate = math.radians(GIMBAL_RATE_DEGPS)
    return (
        _slewed(pitches[legs], GIMBAL_GAIN_PER_S, rate),
        nose_rad + _slewed(pans[legs], GIMBAL_GAIN_PER_S, rate),
    )


def gimbal_angles_deg(stops: Sequence[Stop], start: Xy) -> list[tuple[float, float]]:
    """Pitch, and pan to the right of the nose, on the way to each stop.

    A look in a true direction becomes a pan against the leg's bearing, along which the nose points.
    """
    angles: list[tuple[float, float]] = []
    at, nose_deg = start, 0.0
    pitch_deg = pan_deg = 0.0
    for stop in stops:
        if math.dist(at, stop.xy) > NOSE_FOLLOWS_M:
            nose_deg = math.degrees(math.atan2(stop.east_m - at[0], stop.north_m - at[1]))
        at = stop.xy
        if stop.look is not None:
            pitch_deg, pan_deg = stop.look.pitch_deg, stop.look.pan_deg
            if stop.look.yaw_deg is not None:
                pan_deg = (stop.look.yaw_deg - nose_deg + 180.0) % 360.0 - 180.0
        angles.append((pitch_deg, pan_deg))
    return angles


def _slewed(wanted_rad: _Floats, gain_per_s: float, rate_radps: float) -> _Floats:
    """Angles (T,) that follow those wanted, slowly when near and at a limited rate when far."""
    angles = np.empty_like(wanted_rad)
    angle = float(wanted_rad[0])
    for i, wanted in enumerate(wanted_rad.tolist()):
        error = math.remainder(wanted - angle, math.tau)
        angle += max(-rate_radps, min(rate_radps, gain_per_s * error)) * STEP_S
        angles[i] = angle
    return angles


def _return(away_m: _Floats, up_m: _Floats, headway_mps: float, wind_mps: float) -> tuple[_Floats, _Floats]:
    """Seconds to come home and land from each place, and the hovering that takes as much charge."""
    high_m = np.maximum(up_m, RETURN_HEIGHT_M)
    climb_s = (high_m - up_m) / CLIMB_MPS
    level_s = away_m / headway_mps + headway_mps / ACCELERATION_MPS2 + STOP_S
    down_s = (high_m - LANDS_SLOWLY_BELOW_M) / SINK_MPS + LANDS_SLOWLY_BELOW_M / LAND_MPS
    still_s = RETURN_WAITS_S + down_s
    drawn_s = (
        climb_s * hover_equivalent(wind_mps, CLIMB_MPS)
        + level_s * hover_equivalent(headway_mps + wind_mps)
        + still_s * hover_equivalent(wind_mps)
    )
    return climb_s + level_s + still_s, drawn_s
