"""`patrol eval geo`, sensors that err: does the claimed ellipse hold the truth as often as it says?

A spot on the ground, true flights past it, and a camera that looks at it from a nominal depression. What is
told of the flight errs: position, height, angles and pixel by their errors, and the time of the picture by
telling the pose that the camera truly had a little earlier or later. The truth comes from
`patrol.commands.geo_truth`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from patrol.commands import geo_truth
from patrol.commands.geo_truth import Floats
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.camera import CameraModel
from patrol.geo.ellipses import radius_90_m
from patrol.geo.fusion import CorrelationTimes, View, fuse
from patrol.geo.ground import LevelGround
from patrol.geo.projection import SOURCES, PoseErrors, pixels_to_ground

DEPRESSIONS_DEG = (30, 45, 60, 90)
SHALLOW_DEG = (8, 15)  # towards the grazing limit, where first order might tell too little
HEIGHT_M = 60.0
SPEED_MPS = 8.0
MAX_TURN_RADPS = math.radians(20.0)  # a patrol's turn at a waypoint; the camera turns with it
ERRORS = PoseErrors(
    horizontal_m=1.5,
    height_m=1.5,
    roll_rad=math.radians(0.5),
    pitch_rad=math.radians(0.5),
    yaw_rad=math.radians(2.0),
    time_s=0.05,
)
"""One-sigma errors of calibrated sensors: the defaults of the edge's `sensors` settings."""
GROUND_SIGMA_M = 0.3  # a map's height of level ground, read from a survey
FOOT_SIGMA_SHARE, FOOT_SIGMA_MIN_PX = 0.05, 1.0
"""How well a foot is found, as a share of a person's height in the picture: defaults of the edge's `eyes`."""
VIEWS, VIEW_EVERY_S = 10, 1.0

CAMERA = CameraModel(
    1920, 1080, 1500.0, 1506.0, 972.0, 528.0,
    distortion=(-0.12, 0.06, 8e-4, -6e-4, -0.01),
    mount_roll_rad=0.01, mount_pitch_rad=-0.02, mount_yaw_rad=0.015,
)  # fmt: skip
"""A drone's camera of 65 degrees, every coefficient and angle in use."""

CHI2_90 = -2.0 * math.log(1.0 - 0.90)
"""90 % point of the chi-square distribution with two degrees of freedom."""

_SPOT_LAT_DEG, _SPOT_LON_DEG, _SPOT_AMSL_M = 31.3, 120.62, 4.0
_PERSON_M = 1.7
_AIM_RAD = math.radians(8.0)  # how far off the picture's centre the spot may lie; it stays in the picture
_GIMBAL_ROLL_RAD = math.radians(2.0)
_STEP = 0.05  # sigmas, of a difference that stands for a derivative
_Z_95 = 1.959964  # two-sided 95 % point of the normal distribution
_NS_PER_S = 1_000_000_000
_SPOT_M = geo_truth.earth_centred(_SPOT_LAT_DEG, _SPOT_LON_DEG, _SPOT_AMSL_M)
_SPOT_AXES = geo_truth.level(_SPOT_LAT_DEG, _SPOT_LON_DEG)


UNITS = {
    "height 1 m": ("height", 1.0 / ERRORS.height_m, 0.0),
    "heading 1 deg": ("yaw", math.radians(1.0) / ERRORS.yaw_rad, 0.0),
    "pitch 1 deg": ("pitch", math.radians(1.0) / ERRORS.pitch_rad, 0.0),
    "time 0.1 s": ("time", 0.1 / ERRORS.time_s, 0.0),
    "time 0.1 s, turning": ("time", 0.1 / ERRORS.time_s, MAX_TURN_RADPS),
}
"""What is put wrong alone: source, sigmas, and how fast the aircraft turns while it flies across the view."""

UNTOLD = {
    "time 0.5 s late": {"time": 0.5 / ERRORS.time_s},
    "heading 10 deg off": {"yaw": math.radians(10.0) / ERRORS.yaw_rad},
    "pitch 3 deg off": {"pitch": math.radians(3.0) / ERRORS.pitch_rad},
    "height 10 m off": {"height": 10.0 / ERRORS.height_m},
}
"""Errors that no sigma tells of: a wrong delay, a compass by iron, a gimbal off level, a mixed-up datum."""


LASTING = {"a tenth": 0.1, "ten times": 10.0}
"""How long errors last against what they are fused by."""


@dataclass(frozen=True, eq=False)
class Instants:
    """Instants of true flights, arrays (N,): the camera's place from the spot, its course and where it looks.

    `height_m` is above the ground; the course turns by `path_turn_radps`; rates are those of the camera's own
    yaw and pitch.
    """

    east_m: Floats
    north_m: Floats
    height_m: Floats
    course_rad: Floats
    path_turn_radps: Floats
    yaw_rad: Floats
    pitch_rad: Floats
    roll_rad: Floats
    yaw_rate_radps: Floats
    pitch_rate_radps: Floats

    def __len__(self) -> int:
        return len(self.east_m)

    def after(self, seconds: Floats) -> "Instants":
        """The same flights so many seconds (N,) later: along arcs at `SPEED_MPS`, turning evenly."""
        turned = self.path_turn_radps * seconds
        chord_m = SPEED_MPS * seconds * np.sinc(turned / (2 * np.pi))
        bearing = self.course_rad + turned / 2
        return replace(
            self,
            east_m=self.east_m + chord_m * np.sin(bearing),
            north_m=self.north_m + chord_m * np.cos(bearing),
            course_rad=self.course_rad + turned,
            yaw_rad=self.yaw_rad + self.yaw_rate_radps * seconds,
            pitch_rad=self.pitch_rad + self.pitch_rate_radps * seconds,
        )

    def places(self) -> tuple[Floats, Floats]:
        """Degrees (N,) of where the cameras are."""
        return geo_truth.destination(
            _SPOT_LAT_DEG, _SPOT_LON_DEG, self.east_m, self.north_m, _SPOT_AMSL_M + self.height_m
        )

    def pixels_of(self, above_ground_m: float) -> Floats:
        """Where the spot, or a point so far above it, truly appears (N, 2)."""
        lat_deg, lon_deg = self.places()
        eye_m = geo_truth.earth_centred(lat_deg, lon_deg, _SPOT_AMSL_M + self.height_m)
        gimbal = geo_truth.level(lat_deg, lon_deg).turned(
            yaw=self.yaw_rad, pitch=self.pitch_rad, roll=self.roll_rad
        )
        point_m = _SPOT_M - above_ground_m * _SPOT_AXES.down
        return geo_truth.picture_of(np.broadcast_to(point_m, eye_m.shape), eye_m, gimbal, CAMERA)

    def motion(self, one: int) -> CameraMotion:
        """How the camera of one instant moves and turns."""
        course, yaw = self.course_rad[one], self.yaw_rad[one]
        tilt = self.pitch_rate_radps[one]
        return CameraMotion(
            velocity_ned_mps=(SPEED_MPS * math.cos(course), SPEED_MPS * math.sin(course), 0.0),
            turn_rate_ned_radps=(
                -tilt * math.sin(yaw),
                tilt * math.cos(yaw),
                float(self.yaw_rate_radps[one]),
            ),
        )


@dataclass(frozen=True, eq=False)
class Placed:
    """What was found: offsets (N, 2) from the spot, east and north, and their claimed spread (N, 2, K)."""

    offset_en_m: Floats
    spread_en_m: Floats

    @property
    def covariance_en_m2(self) -> Floats:
        """(N, 2, 2)."""
        return np.asarray(np.einsum("nik,njk->nij", self.spread_en_m, self.spread_en_m))


def place(instants: Instants, errors: Mapping[str, Floats | float]) -> Placed:
    """Where the spot is found from pictures taken at these instants.

    Args:
        instants: of the true flights.
        errors: by the names of `SOURCES`, each in its own sigmas; (N,) or one for all, 0 if not named.
    """
    error = {
        source: np.broadcast_to(np.asarray(errors.get(source, 0.0), float), len(instants))
        for source in SOURCES
    }
    ground_m = _SPOT_AMSL_M + GROUND_SIGMA_M * error["ground"]
    foot_px, head_px = instants.pixels_of(0.0), instants.pixels_of(_PERSON_M)
    sigma_px = np.maximum(FOOT_SIGMA_SHARE * np.hypot(*(head_px - foot_px).T), FOOT_SIGMA_MIN_PX)
    told_px = foot_px + sigma_px[:, None] * np.stack([error["pixel_x"], error["pixel_y"]], axis=1)

    told = instants.after(ERRORS.time_s * error["time"])
    told = replace(
        told,
        east_m=told.east_m + ERRORS.horizontal_m * error["east"],
        north_m=told.north_m + ERRORS.horizontal_m * error["north"],
        height_m=told.height_m + ERRORS.height_m * error["height"],
        yaw_rad=told.yaw_rad + ERRORS.yaw_rad * error["yaw"],
        pitch_rad=told.pitch_rad + ERRORS.pitch_rad * error["pitch"],
        roll_rad=told.roll_rad + ERRORS.roll_rad * error["roll"],
    )
    lat_deg, lon_deg = told.places()
    found_deg = np.empty((len(told), 2))
    spread = np.empty((len(told), 2, len(SOURCES)))
    for n in range(len(told)):
        found = pixels_to_ground(
            CAMERA,
            CameraPose(
                0, float(lat_deg[n]), float(lon_deg[n]), Amsl(_SPOT_AMSL_M + float(told.height_m[n])),
                float(told.roll_rad[n]), float(told.pitch_rad[n]), float(told.yaw_rad[n]),
            ),
            told_px[n],
            ground=LevelGround(Amsl(float(ground_m[n])), GROUND_SIGMA_M),
            pixel_sigma_px=(sigma_px[n], sigma_px[n]),
            errors=ERRORS,
            motion=told.motion(n),
        )  # fmt: skip
        found_deg[n] = found.lat_deg[0], found.lon_deg[0]
        spread[n] = found.spread_en_m[0]
    away_m = geo_truth.earth_centred(found_deg[:, 0], found_deg[:, 1], _SPOT_AMSL_M) - _SPOT_M
    return Placed(np.stack([away_m @ _SPOT_AXES.right, away_m @ _SPOT_AXES.ahead], axis=1), spread)


@dataclass(frozen=True)
class Share:
    """How many of `n` trials, with the 95 % interval of Wilson (1927)."""

    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Median:
    """A median in metres, with the 95 % interval that its order statistics give."""

    m: float
    low_m: float
    high_m: float
    n: int


@dataclass(frozen=True)
class Honesty:
    """How errors compare with what was claimed of them.

    Attributes:
        ellipse_90: share of trials with the truth inside the claimed 90 % ellipse.
        radius_90: the same of the claimed circle (CE90).
        error: how far the places were off.
        claimed_radius_m: median of the claimed radius.
    """

    ellipse_90: Share
    radius_90: Share
    error: Median
    claimed_radius_m: float


@dataclass(frozen=True)
class FusedHonesty:
    """Ten views together: fused, and as if their errors were independent (the usual weighted mean)."""

    fused: Honesty
    naive: Honesty


def wilson(hits: int, n: int) -> Share:
    """The share with its 95 % score interval."""
    share, z2 = hits / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Share(share, middle - half, middle + half, n)


def median(values_m: Floats) -> Median:
    """The median with the order statistics that hold the true one in 95 % of cases (normal approximation)."""
    ordered, n = np.sort(values_m), len(values_m)
    half = _Z_95 * math.sqrt(n) / 2
    low, high = max(math.floor(n / 2 - half), 0), min(math.ceil(n / 2 + half), n - 1)
    return Median(float(np.median(ordered)), float(ordered[low]), float(ordered[high]), n)


def honesty(offset_en_m: Floats, covariance_en_m2: Floats) -> Honesty:
    """Judge places (N, 2), offsets from the truth, by their claimed covariances (N, 2, 2)."""
    distance_m = np.hypot(*offset_en_m.T)
    solved = np.linalg.solve(covariance_en_m2, offset_en_m[:, :, None])[:, :, 0]
    inside = np.einsum("ni,ni->n", offset_en_m, solved) <= CHI2_90
    radius_m = np.array([radius_90_m(one) for one in covariance_en_m2])
    return Honesty(
        ellipse_90=wilson(int(inside.sum()), len(inside)),
        radius_90=wilson(int(np.sum(distance_m <= radius_m)), len(inside)),
        error=median(distance_m),
        claimed_radius_m=float(np.median(radius_m)),
    )


def one_view(
    rng: np.random.Generator, depression_deg: float, trials: int, wrong: Mapping[str, float] | None = None
) -> Honesty:
    """Errors of single views, each from another flight.

    Args:
        rng: where chance comes from.
        depression_deg: of the line of sight to the spot.
        trials: how many.
        wrong: errors that nobody told of, in sigmas (see `place`), on top of the random ones.
    """
    errors = {source: rng.standard_normal(trials) for source in SOURCES}
    for source, sigmas in (wrong or {}).items():
        errors[source] = errors[source] + sigmas
    placed = place(_turning_flights(rng, depression_deg, trials), errors)
    return honesty(placed.offset_en_m, placed.covariance_en_m2)


def fused_views(
    rng: np.random.Generator, depression_deg: float, trials: int, lasting: float = 1.0
) -> FusedHonesty:
    """Ten views, one a second, of flights past the spot.

    Their errors last `lasting` times as long as `CorrelationTimes`, by which they are fused, says.
    """
    times_s = VIEW_EVERY_S * np.arange(-(VIEWS - 1) / 2, VIEWS / 2)
    errors = {
        source: _lasting_noise(rng, trials, lasting * getattr(CorrelationTimes(), f"{source}_s")).ravel()
        for source in SOURCES
    }
    placed = place(_flights_past(rng, depression_deg, trials, times_s), errors)
    offsets = placed.offset_en_m.reshape(trials, VIEWS, 2)
    spreads = placed.spread_en_m.reshape(trials, VIEWS, 2, len(SOURCES))
    fused_m, fused_m2 = np.empty((trials, 2)), np.empty((trials, 2, 2))
    for n in range(trials):
        views = [
            View(round(t * _NS_PER_S), float(east_m), float(north_m), spread)
            for t, (east_m, north_m), spread in zip(times_s, offsets[n], spreads[n], strict=True)
        ]
        found = fuse(views)
        fused_m[n], fused_m2[n] = (found.east_m, found.north_m), found.covariance_en_m2
    return FusedHonesty(
        honesty(fused_m, fused_m2),
        honesty(*_weighted_mean(offsets, placed.covariance_en_m2.reshape(trials, VIEWS, 2, 2))),
    )


def sensitivity(depression_deg: float) -> dict[str, float]:
    """By how many metres a place moves when one thing alone is wrong, by the names of `UNITS`."""
    return {
        name: float(np.hypot(*place(_aimed_flight(depression_deg, turn), {source: sigmas}).offset_en_m[0]))
        for name, (source, sigmas, turn) in UNITS.items()
    }


def spread_error(rng: np.random.Generator, depression_deg: float, flights: int) -> float:
    """By how much the columns of the claimed spread miss what a small error truly does to a place.

    The greatest over random flights and all sources, as a share of the place's whole one-sigma error.
    """
    seen = _turning_flights(rng, depression_deg, flights)
    claimed_m = place(seen, {}).spread_en_m
    sigma_m = np.sqrt(np.sum(claimed_m**2, axis=(1, 2)))
    worst = 0.0
    for column, source in enumerate(SOURCES):
        ahead, behind = (place(seen, {source: step}).offset_en_m for step in (_STEP, -_STEP))
        off_m = np.hypot(*((ahead - behind) / (2 * _STEP) - claimed_m[:, :, column]).T)
        worst = max(worst, float(np.max(off_m / sigma_m)))
    return worst


def _aimed_flight(depression_deg: float, turn_radps: float) -> Instants:
    """One flight that looks at the spot in the north and flies east."""
    range_m = HEIGHT_M / math.tan(math.radians(depression_deg))
    return Instants(
        east_m=np.zeros(1),
        north_m=np.full(1, -range_m),
        height_m=np.full(1, HEIGHT_M),
        course_rad=np.full(1, math.pi / 2),
        path_turn_radps=np.full(1, turn_radps),
        yaw_rad=np.zeros(1),
        pitch_rad=np.full(1, -math.radians(depression_deg)),
        roll_rad=np.zeros(1),
        yaw_rate_radps=np.full(1, turn_radps),
        pitch_rate_radps=np.zeros(1),
    )


def _turning_flights(rng: np.random.Generator, depression_deg: float, count: int) -> Instants:
    """Flights in turns, that see the spot at a depression, somewhere about the picture's middle."""
    range_m = HEIGHT_M / math.tan(math.radians(depression_deg))
    bearing, course = rng.uniform(-np.pi, np.pi, (2, count))
    turn = rng.uniform(-MAX_TURN_RADPS, MAX_TURN_RADPS, count)
    aim_yaw, aim_pitch = rng.uniform(-_AIM_RAD, _AIM_RAD, (2, count))
    pitch = aim_pitch - math.radians(depression_deg)
    return Instants(
        east_m=-range_m * np.sin(bearing),
        north_m=-range_m * np.cos(bearing),
        height_m=np.full(count, HEIGHT_M),
        course_rad=course,
        path_turn_radps=turn,
        yaw_rad=bearing + aim_yaw,
        pitch_rad=np.where(pitch < -np.pi / 2, -np.pi - pitch, pitch),
        roll_rad=rng.uniform(-_GIMBAL_ROLL_RAD, _GIMBAL_ROLL_RAD, count),
        yaw_rate_radps=turn,
        pitch_rate_radps=np.zeros(count),
    )


def _flights_past(rng: np.random.Generator, depression_deg: float, count: int, times_s: Floats) -> Instants:
    """Straight flights past the spot, (count * times), which is nearest and at its depression at time 0.

    The camera follows the spot, but not for 90 degrees: there it keeps looking straight down, its wide side
    along the course, while the spot passes through the picture.
    """
    closest_m = HEIGHT_M / math.tan(math.radians(depression_deg))
    shape = (count, len(times_s))
    course = np.broadcast_to(rng.uniform(-np.pi, np.pi, (count, 1)), shape)
    side = course + rng.choice([-np.pi / 2, np.pi / 2], (count, 1))
    along_m = SPEED_MPS * times_s
    to_east_m = closest_m * np.sin(side) - along_m * np.sin(course)
    to_north_m = closest_m * np.cos(side) - along_m * np.cos(course)
    range_m = np.hypot(to_east_m, to_north_m)
    if depression_deg == 90:
        yaw, pitch, yaw_rate, pitch_rate = side, np.full(shape, -np.pi / 2), np.zeros(shape), np.zeros(shape)
    else:
        aim_yaw, aim_pitch = rng.uniform(-_AIM_RAD, _AIM_RAD, (2, count, 1))
        yaw = np.arctan2(to_east_m, to_north_m) + aim_yaw
        pitch = aim_pitch - np.arctan2(HEIGHT_M, range_m)
        yaw_rate = SPEED_MPS * (to_east_m * np.cos(course) - to_north_m * np.sin(course)) / range_m**2
        away_mps = -SPEED_MPS * (to_east_m * np.sin(course) + to_north_m * np.cos(course)) / range_m
        pitch_rate = HEIGHT_M * away_mps / (range_m**2 + HEIGHT_M**2)
    roll = rng.uniform(-_GIMBAL_ROLL_RAD, _GIMBAL_ROLL_RAD, (count, 1))
    still = np.zeros(shape)
    values = (
        -to_east_m,
        -to_north_m,
        still + HEIGHT_M,
        course,
        still,
        yaw,
        pitch,
        still + roll,
        yaw_rate,
        pitch_rate,
    )
    return Instants(*(np.ravel(value) for value in values))


def _lasting_noise(rng: np.random.Generator, count: int, lasting_s: float) -> Floats:
    """(count, VIEWS) of first-order Gauss-Markov processes of unit sigma, sampled once a view."""
    kept = math.exp(-VIEW_EVERY_S / lasting_s) if lasting_s > 0 else 0.0
    fresh = rng.standard_normal((count, VIEWS))
    noise = fresh.copy()
    for view in range(1, VIEWS):
        noise[:, view] = kept * noise[:, view - 1] + math.sqrt(1 - kept**2) * fresh[:, view]
    return noise


def _weighted_mean(offsets_m: Floats, covariances_m2: Floats) -> tuple[Floats, Floats]:
    """Means (N, 2) of views (N, V, 2), weighted as if errors were independent, and their covariances."""
    weights = np.linalg.inv(covariances_m2)
    covariance_m2 = np.linalg.inv(weights.sum(axis=1))
    return np.einsum("nij,nvjk,nvk->ni", covariance_m2, weights, offsets_m), covariance_m2
