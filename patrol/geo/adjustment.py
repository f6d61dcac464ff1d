"""Least squares over points of known place: how a camera is installed, whatever each picture's sensors err.

A point with known coordinates that is seen in a picture gives two equations in pixels. What all pictures
share is solved for: the camera's turn in its gimbal, by how much the aircraft's heading and height read too
much, and by how much the pictures' times are late. What differs from picture to picture is the sensors' own
error: each picture's position, height, angles and time are off by stated sigmas, and these errors wander
slowly (`CorrelationTimes`), so that ten pictures within a second are no ten measurements. They are solved
along as nuisance parameters with those sigmas as prior. Left out, the boresight would swallow the errors of
the position fixes, and would claim to be as sure as clicks on a screen.

The biases have Gaussian priors, too, centred on the camera as it was given: what the points do not determine
stays where it was instead of running away. The solution is the maximum of the posterior, its covariance the
inverse of the Gauss-Newton Hessian over all unknowns there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from patrol.domain.errors import UsageError
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import CameraMotion, CameraPose
from patrol.geo.camera import CameraModel, Installation
from patrol.geo.frames import EARTH_RADIUS_M, LocalFrame
from patrol.geo.fusion import CorrelationTimes
from patrol.geo.ground import level_reach
from patrol.geo.projection import MIN_GRAZING_RAD, SOURCES, PoseErrors, ground_to_pixels

MOUNT = ("mount_roll_rad", "mount_pitch_rad", "mount_yaw_rad")
"""The biases that are fields of `CameraModel`; the others are fields of its `Installation`."""

BIASES = (*MOUNT, "heading_bias_rad", "height_bias_m", "delay_s")

_SOURCES = ("east", "north", "height", "roll", "pitch", "yaw", "time")
_SMALL = 1e-4  # radians: below, the first term of a series is exact to rounding
_COST_TOLERANCE = 1e-6  # relative; of a cost of a hundred points this is a hundredth of a sigma
_JITTER = 1e-9  # keeps the covariance of errors at nearly one time positive definite


class CalibrationError(UsageError):
    """The points cannot calibrate this camera; the message says why and what to do."""


@dataclass(frozen=True)
class KnownPoint:
    """A point of known place (WGS-84) seen in a picture; `picture` is the picture's index."""

    name: str
    picture: int
    x_px: float
    y_px: float
    lat_deg: float
    lon_deg: float
    height: Amsl


@dataclass(frozen=True)
class Snapshot:
    """Where the camera was at a picture, and how it moved."""

    pose: CameraPose
    motion: CameraMotion


SnapshotsUnder = Callable[[Installation], Sequence[Snapshot]]
"""The snapshots of all pictures if the camera is installed like this, in the pictures' order."""


@dataclass(frozen=True)
class BiasSigmas:
    """One-sigma of the biases before anything is measured: how far off an installation plausibly is.

    Our choice: a bracket is screwed on to 3 degrees; a compass beside motors and steel errs by 10; a
    barometer and the height of its home err by 5 m together; pictures are up to a second late.
    """

    boresight_rad: float = math.radians(3.0)
    heading_rad: float = math.radians(10.0)
    height_m: float = 5.0
    delay_s: float = 0.5

    def of(self, bias: str) -> float:
        """The sigma of one of `BIASES`."""
        others = {
            "heading_bias_rad": self.heading_rad,
            "height_bias_m": self.height_m,
            "delay_s": self.delay_s,
        }
        return others.get(bias, self.boresight_rad)


@dataclass(frozen=True)
class ErrorModel:
    """One-sigma errors of what a picture tells.

    `pixel_px` is a click's, on each axis; `pose` the pose's, and `correlation` how long those last.
    """

    pixel_px: float
    pose: PoseErrors
    correlation: CorrelationTimes = CorrelationTimes()  # noqa: RUF009


@dataclass(frozen=True, eq=False)
class Residuals:
    """How far the points lie from where a camera puts them; no picture's own error is taken away.

    Attributes:
        pixels: (N, 2) float64, where the known place appears less where it was clicked; NaN behind the
            camera.
        ground_en_m: (N, 2) float64, where the clicked pixel's ray meets the point's height less the known
            place, east and north; NaN for rays flatter than `MIN_GRAZING_RAD`.
    """

    pixels: NDArray[np.float64]
    ground_en_m: NDArray[np.float64]

    @property
    def length_px(self) -> NDArray[np.float64]:
        """(N,) distances in the picture, infinite where there is none."""
        return _lengths(self.pixels)

    @property
    def length_m(self) -> NDArray[np.float64]:
        """(N,) distances on the ground, infinite where there is none."""
        return _lengths(self.ground_en_m)


@dataclass(frozen=True, eq=False)
class _Sight:
    """How the points are seen under some unknowns: M pictures, N points, north-east-down."""

    camera: CameraModel
    velocity_mps: NDArray[np.float64]  # (M, 3)
    turn_rate_radps: NDArray[np.float64]  # (M, 3)
    yaw_rad: NDArray[np.float64]  # (M,)
    gimbals: NDArray[np.float64]  # (M, 3, 3), north-east-down from the gimbal's axes
    cameras: NDArray[np.float64]  # (N, 3, 3), north-east-down from a ray's, of each point's picture
    towards: NDArray[np.float64]  # (N, 3), unit vectors to the points
    distance_m: NDArray[np.float64]  # (N,)
    across: NDArray[np.float64]  # (N, 2), their part across the clicked ray
    cosine: NDArray[np.float64]  # (N,), their part along it


class Adjustment:
    """The equations of all points, and their solution.

    The unknowns x are whitened: first the biases over their prior sigmas; then, for each source of a pose's
    errors, the independent normal numbers, one a picture, of which its Gauss-Markov course is made.

    Args:
        camera: as given; the centre of the priors.
        points: what is known.
        times_ns: of the pictures.
        snapshots_under: the pictures' snapshots; asked again for each trial of the installation.
        solve: which of `BIASES`.
        prior: how far off each bias may be.
        errors: of the pictures.

    Raises:
        CalibrationError: a pixel that no ray through the lens meets.
    """

    def __init__(
        self,
        camera: CameraModel,
        points: Sequence[KnownPoint],
        times_ns: Sequence[int],
        snapshots_under: SnapshotsUnder,
        *,
        solve: Sequence[str],
        prior: BiasSigmas,
        errors: ErrorModel,
    ) -> None:
        self.camera = camera
        self.points = points
        self.biases = tuple(solve)
        self.sigmas = np.array([prior.of(name) for name in solve])
        self.picture = np.array([point.picture for point in points])
        self._members = [np.flatnonzero(self.picture == picture) for picture in range(len(times_ns))]
        self._snapshots_under = lru_cache(maxsize=2)(snapshots_under)
        self._lat_deg = np.array([point.lat_deg for point in points])
        self._lon_deg = np.array([point.lon_deg for point in points])
        self._height_amsl_m = np.array([point.height.metres for point in points])
        self._clicked = np.array([(point.x_px, point.y_px) for point in points])
        sigmas = (errors.pose.horizontal_m, *astuple(errors.pose))
        self._sources = tuple(name for name, sigma in zip(_SOURCES, sigmas, strict=True) if sigma > 0)
        alike = errors.correlation.between(np.asarray(times_ns, dtype=np.int64))
        # (S, M, M): each makes a source's errors in all pictures from as many independent normal numbers.
        self._courses = np.array(
            [
                sigma * np.linalg.cholesky(alike[SOURCES.index(name)] + _JITTER * np.eye(len(times_ns)))
                for name, sigma in zip(_SOURCES, sigmas, strict=True)
                if sigma > 0
            ]
        ).reshape(-1, len(times_ns), len(times_ns))
        self.unknowns = len(self.biases) + len(self._sources) * len(times_ns)
        self._rays, by_pixel, length = self._clicked_rays()
        across = np.cross(np.cross(self._rays, (1.0, 0.0, 0.0)), self._rays)  # no lens looks along its right
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        self._across = np.stack([across, np.cross(self._rays, across)], axis=2)
        by_across = np.linalg.inv(self._across[:, :2].transpose(0, 2, 1)) * length[:, None, None]
        self._sigmas_by_across = np.linalg.inv(by_pixel) @ by_across / errors.pixel_px

    def _clicked_rays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Unit rays (N, 3), normalised coordinates by the pixel (N, 2, 2), the rays' lengths at depth 1."""
        normalised, by_pixel = np.empty((len(self.points), 2)), np.empty((len(self.points), 2, 2))
        for members, snapshot in zip(self._members, self.snapshots(self.camera), strict=True):
            hfov_rad = snapshot.pose.hfov_rad
            camera = self.camera if hfov_rad is None else self.camera.zoomed_to(hfov_rad)
            normalised[members], by_pixel[members] = camera.undistort(self._clicked[members])
        for point, ray in zip(self.points, normalised, strict=True):
            if not np.isfinite(ray).all():
                raise CalibrationError(
                    f"no ray through the lens meets pixel {point.x_px:g}, {point.y_px:g} of "
                    f"{point.name}; check the pixel, and the size and distortion in the camera file"
                )
        rays = np.column_stack([normalised, np.ones(len(self.points))])
        length = np.linalg.norm(rays, axis=1)
        return rays / length[:, None], by_pixel, length

    def installed(self, x: NDArray[np.float64]) -> CameraModel:
        """The camera with the biases of x."""
        change = dict(zip(self.biases, x[: len(self.biases)] * self.sigmas, strict=True))
        values: dict[str, Any] = {name: bias_of(self.camera, name) + float(by) for name, by in change.items()}
        mount = {name: values.pop(name) for name in MOUNT if name in values}
        return replace(self.camera, installation=replace(self.camera.installation, **values), **mount)

    def snapshots(self, camera: CameraModel) -> Sequence[Snapshot]:
        """Of all pictures, for a camera installed as it says."""
        return self._snapshots_under(camera.installation)

    def residuals(self, camera: CameraModel) -> Residuals:
        """Of all points under a camera."""
        pixels, ground = np.empty((len(self.points), 2)), np.empty((len(self.points), 2))
        snapshots = self.snapshots(camera)
        cameras = _rotations(_yaw_pitch_roll(snapshots)) @ camera.gimbal_from_ray
        for members, snapshot, ned_from_ray in zip(self._members, snapshots, cameras, strict=True):
            places = self._lat_deg[members], self._lon_deg[members], self._height_amsl_m[members]
            pixels[members] = ground_to_pixels(camera, snapshot.pose, *places)[0] - self._clicked[members]
            to_points = self._to_points(members, snapshot.pose)
            north, east, down = rays_ned = ned_from_ray @ self._rays[members].T
            above_m = snapshot.pose.height.metres - self._height_amsl_m[members]
            meets = (np.arctan2(down, np.hypot(north, east)) >= MIN_GRAZING_RAD) & (above_m > 0)
            reach = np.where(meets, level_reach(above_m, rays_ned), np.nan)
            ground[members] = np.column_stack([reach * east, reach * north]) - to_points[:, 1::-1]
        return Residuals(pixels, ground)

    def offsets(self, camera: CameraModel) -> tuple[NDArray[np.float64], list[CameraPose]]:
        """By how much each point lies away from where its pixel looks, and the pictures' poses.

        (N, 2) metres east and north. A ray that is too flat to tell is taken to look at the ground below the
        camera.
        """
        offset_en_m = -self.residuals(camera).ground_en_m
        poses = [snapshot.pose for snapshot in self.snapshots(camera)]
        for members, pose in zip(self._members, poses, strict=True):
            from_nadir = self._to_points(members, pose)[:, 1::-1]
            offset_en_m[members] = np.where(np.isnan(offset_en_m[members]), from_nadir, offset_en_m[members])
        return offset_en_m, poses

    def solve(
        self, start: NDArray[np.float64], used: NDArray[np.bool_], width_sigmas: float = math.inf
    ) -> NDArray[np.float64]:
        """The unknowns of the greatest posterior given the points `used` (N,).

        With a finite width the points are under Cauchy's loss, which heeds little what is further off.
        """
        count = 2 * int(used.sum())

        def loss(squares: NDArray[np.float64]) -> NDArray[np.float64]:
            rho = np.stack([squares, np.ones_like(squares), np.zeros_like(squares)])
            if math.isfinite(width_sigmas):
                share = 1 + squares[:count] / width_sigmas**2
                rho[:, :count] = width_sigmas**2 * np.log(share), 1 / share, -1 / (width_sigmas * share) ** 2
            return rho

        solution = least_squares(
            lambda x: np.concatenate([self.rows(x)[used].ravel(), x]),
            start,
            jac=lambda x: np.vstack([self.derivative(x, used), np.eye(self.unknowns)]),
            loss=loss,
            ftol=_COST_TOLERANCE,
            xtol=_COST_TOLERANCE,
        )
        return np.asarray(solution.x)

    def covariance(
        self, x: NDArray[np.float64], used: NDArray[np.bool_], *, scale: float = 1.0, wider: float = 1.0
    ) -> NDArray[np.float64]:
        """Posterior covariance of the whitened biases.

        Args:
            x: the solution.
            used: the points it was made from.
            scale: by how much the variances of clicks and poses are larger than stated.
            wider: by how much the prior sigmas of the biases are wider than stated.
        """
        is_bias = np.arange(self.unknowns) < len(self.biases)
        slope = self.derivative(x, used)
        information = (slope.T @ slope + np.diag(~is_bias * 1.0)) / scale + np.diag(is_bias / wider**2)
        chosen = np.eye(self.unknowns)[:, is_bias]
        return np.asarray(chosen.T @ cho_solve(cho_factor(information), chosen))

    def rows(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residuals (N, 2) in sigmas of a click, with the pictures' own errors taken away.

        A residual is the turn from the clicked ray to the point's, as a vector across the ray, counted in
        pixels at the clicked one: the distance in the picture where that is small and, unlike it, finite and
        growing when a point falls behind the camera.
        """
        sight = self._sight(x)
        stretch, _ = _stretch(sight)
        return np.asarray(np.einsum("nij,nj->ni", self._sigmas_by_across, stretch[:, None] * sight.across))

    def derivative(self, x: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(2n, unknowns): of the used points' rows, one after the other."""
        sight = self._sight(x)
        # Each unknown turns and moves a picture's camera: (N, K, 3) axes and shifts for a unit of it.
        axes, shifts = (twists[self.picture] for twists in self._twists(sight))
        along = np.einsum("nki,ni->nk", shifts, sight.towards)[:, :, None] * sight.towards[:, None]
        change = np.cross(sight.towards[:, None], axes) - (shifts - along) / sight.distance_m[:, None, None]
        change = np.einsum("nji,nkj->nki", sight.cameras, change)
        stretch, growth = _stretch(sight)
        across = stretch[:, None, None] * np.einsum("nji,nkj->nki", self._across, change)
        grown = growth[:, None] * np.einsum("ni,nki->nk", self._rays, change)
        across += grown[:, :, None] * sight.across[:, None]
        by_twist = np.einsum("nij,nkj->nik", self._sigmas_by_across, across)[used]

        biases = len(self.biases)
        derivative = np.empty((len(by_twist), 2, self.unknowns))
        derivative[:, :, :biases] = by_twist[:, :, :biases] * self.sigmas
        courses = self._courses[:, self.picture[used]].swapaxes(0, 1)
        by_course = by_twist[:, :, biases:, None] * courses[:, None]
        derivative[:, :, biases:] = by_course.reshape(len(by_twist), 2, -1)
        return derivative.reshape(-1, self.unknowns)

    def _to_points(self, members: NDArray[np.intp], pose: CameraPose) -> NDArray[np.float64]:
        """Vectors (n, 3) from the camera to points, north, east and down."""
        frame = LocalFrame(pose.lat_deg, pose.lon_deg, pose.height.metres)
        east_m, north_m = frame.to_enu(self._lat_deg[members], self._lon_deg[members])
        falls_away_m = (east_m * east_m + north_m * north_m) / (2 * EARTH_RADIUS_M)
        down_m = pose.height.metres - self._height_amsl_m[members] + falls_away_m
        return np.column_stack([north_m, east_m, down_m])

    def _sight(self, x: NDArray[np.float64]) -> _Sight:
        camera = self.installed(x)
        snapshots = self.snapshots(camera)
        own = dict.fromkeys(_SOURCES, np.zeros(len(snapshots)))
        numbers = x[len(self.biases) :].reshape(len(self._sources), len(snapshots))
        for source, course, of_source in zip(self._sources, self._courses, numbers, strict=True):
            own[source] = course @ of_source
        late_s = own["time"][:, None]
        velocity_mps = np.array([snapshot.motion.velocity_ned_mps for snapshot in snapshots])
        turn_rate_radps = np.array([snapshot.motion.turn_rate_ned_radps for snapshot in snapshots])
        moved = np.column_stack([own["north"], own["east"], -own["height"]]) + velocity_mps * late_s
        angles = _yaw_pitch_roll(snapshots) + np.column_stack([own["yaw"], own["pitch"], own["roll"]])
        gimbals = Rotation.from_rotvec(turn_rate_radps * late_s).as_matrix() @ _rotations(angles)
        cameras = (gimbals @ camera.gimbal_from_ray)[self.picture]

        to_points = np.empty((len(self.points), 3))
        for members, snapshot in zip(self._members, snapshots, strict=True):
            to_points[members] = self._to_points(members, snapshot.pose)
        to_points -= moved[self.picture]
        distance_m = np.linalg.norm(to_points, axis=1)
        towards = to_points / distance_m[:, None]
        seen = np.einsum("nji,nj->ni", cameras, towards)
        return _Sight(
            camera, velocity_mps, turn_rate_radps, angles[:, 0], gimbals, cameras, towards, distance_m,
            across=np.einsum("nji,nj->ni", self._across, seen),
            cosine=np.einsum("ni,ni->n", self._rays, seen),
        )  # fmt: skip

    def _twists(self, sight: _Sight) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How a unit of each bias and source turns (axes) and moves the cameras: two (M, K, 3).

        That a bias of heading also swings the camera about the aircraft's centre is left out: the lever arm
        is a hundredth of the distance, and a derivative so little off changes the steps, not where they end.
        """
        gimbals, still = sight.gimbals, np.zeros_like(sight.velocity_mps)
        north, east, down = (still + axis for axis in np.eye(3))
        after_yaw = Rotation.from_euler("Z", sight.camera.mount_yaw_rad)
        after_pitch = after_yaw * Rotation.from_euler("Y", sight.camera.mount_pitch_rad)
        level = np.column_stack([-np.sin(sight.yaw_rad), np.cos(sight.yaw_rad), still[:, 0]])
        twists = {
            "mount_roll_rad": (gimbals @ after_pitch.apply((1.0, 0.0, 0.0)), still),
            "mount_pitch_rad": (gimbals @ after_yaw.apply((0.0, 1.0, 0.0)), still),
            "mount_yaw_rad": (gimbals[:, :, 2], still),
            "heading_bias_rad": (-down, still),
            "height_bias_m": (still, down),
            "delay_s": (-sight.turn_rate_radps, -sight.velocity_mps),
            "east": (still, east),
            "north": (still, north),
            "height": (still, -down),
            "roll": (gimbals[:, :, 0], still),
            "pitch": (level, still),
            "yaw": (down, still),
            "time": (sight.turn_rate_radps, sight.velocity_mps),
        }
        axes, shifts = zip(*(twists[name] for name in (*self.biases, *self._sources)), strict=True)
        return np.stack(axes, axis=1), np.stack(shifts, axis=1)


def bias_of(camera: CameraModel, name: str) -> float:
    """The value of one of `BIASES`."""
    return float(getattr(camera if name in MOUNT else camera.installation, name))


def _stretch(sight: _Sight) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle over its sine, between the clicked ray and the point's, (N,); and that by the angle's cosine."""
    sine = np.linalg.norm(sight.across, axis=1)
    angle = np.arctan2(sine, sight.cosine)
    small = angle < _SMALL
    divisor = np.where(small, 1.0, sine)
    stretch = np.where(small, 1.0, angle / divisor)
    return stretch, np.where(small, -1 / 3, (angle * sight.cosine - sine) / divisor**3)


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    return np.where(np.isnan(length), np.inf, length)


def _yaw_pitch_roll(snapshots: Sequence[Snapshot]) -> NDArray[np.float64]:
    """(M, 3)."""
    return np.array([(s.pose.yaw_ned_rad, s.pose.pitch_rad, s.pose.roll_rad) for s in snapshots])


def _rotations(yaw_pitch_roll_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 3, 3) from the gimbal's axes to north-east-down."""
    return np.asarray(Rotation.from_euler("ZYX", yaw_pitch_roll_rad).as_matrix())
