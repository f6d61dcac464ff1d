"""The camera: pinhole with Brown-Conrady distortion, and how it sits in its gimbal.

Pixels are continuous: (0, 0) is the upper left corner of the picture, x right, y down, as boxes have it.
Normalised coordinates (x, y) are the ray (x right, y down, 1 ahead) of the undistorted pinhole.
"""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from scipy.spatial.transform import Rotation

from patrol.domain.errors import UsageError
from patrol.geo.documents import DocumentError, first_fault, read_yaml

# Ray axes (right, down, ahead) written in aerospace body axes (ahead, right, down).
_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

_USUAL_STEPS = 6  # of Newton's method; after these few points are left
_FURTHER_STEPS = 14
_NEWTON_TOLERANCE = 1e-11  # normalised; a hundred-millionth of a pixel
_INVERSION_TOLERANCE = 1e-8
_LEAST_FOLD = 1e-6  # of 1 / r^2: whoever turns back further out, 89.9 degrees off the axis, does not
_SHAPE_TOLERANCE = 0.01  # scalers round a side to even pixels
_ZOOM_TOLERANCE = 0.01  # by which a reported field of view may pass the calibrated ends; our choice: rounding

_Coefficient = Annotated[float, Field(ge=-1e9, le=1e9)]
Distortion = tuple[_Coefficient, _Coefficient, _Coefficient, _Coefficient, _Coefficient]
"""(k1, k2, p1, p2, k3) of Brown (1966) in OpenCV's order, on normalised coordinates."""

# The three different entries xx, xy and yy, each (N,), of a symmetric (2, 2) matrix for each point.
_Symmetric = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_Metres = Annotated[float, Field(ge=-50, le=50)]  # of a lever arm: larger is centimetres mistaken for metres


class CameraError(UsageError):
    """A camera model does not fit the picture or the zoom."""


@dataclass(frozen=True)
class Installation:
    """How a camera is installed on its aircraft.

    Attributes:
        lever_arm_frd_m: the camera from the aircraft's navigation centre: forward, right, down in the
            airframe's own axes, which its roll and pitch turn.
        heading_bias_rad: by how much the aircraft's heading reads too much; it is subtracted.
        height_bias_m: by how much its height reads too much; it is subtracted.
        delay_s: by how much the times of the pictures are late; it is subtracted from them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    lever_arm_frd_m: tuple[_Metres, _Metres, _Metres] = (0.0, 0.0, 0.0)
    heading_bias_rad: Annotated[float, Field(ge=-np.pi, le=np.pi)] = 0.0
    height_bias_m: Annotated[float, Field(ge=-200, le=200)] = 0.0
    delay_s: Annotated[float, Field(ge=-10, le=10)] = 0.0


@dataclass(frozen=True)
class ZoomStep:
    """The calibration of a zoom lens at one focal length; its fields are those of `CameraModel`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    fx_px: Annotated[float, Field(gt=0)]
    fy_px: Annotated[float, Field(gt=0)]
    cx_px: float
    cy_px: float
    distortion: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)

    def scaled(self, x_scale: float, y_scale: float) -> "ZoomStep":
        """The same lens over a picture of another resolution."""
        return ZoomStep(
            self.fx_px * x_scale, self.fy_px * y_scale, self.cx_px * x_scale, self.cy_px * y_scale,
            self.distortion,
        )  # fmt: skip

    @staticmethod
    def between(steps: Sequence["ZoomStep"], fx_px: float) -> "ZoomStep":
        """The lens at a focal length, from steps in order of theirs; beyond the ends, the end."""
        table = np.array([[*astuple(step)[:4], *step.distortion] for step in steps])
        fx, fy, cx, cy, k1, k2, p1, p2, k3 = (float(np.interp(fx_px, table[:, 0], row)) for row in table.T)
        return ZoomStep(fx, fy, cx, cy, (k1, k2, p1, p2, k3))


@dataclass(frozen=True)
class CameraModel:
    """One camera at one picture size.

    Attributes:
        width_px, height_px: the picture.
        fx_px, fy_px, cx_px, cy_px: focal lengths and principal point in its pixels.
        distortion: of the lens, see `Distortion`.
        mount_roll_rad, mount_pitch_rad, mount_yaw_rad: how the camera is turned in its gimbal, aerospace
            order (yaw, then pitch, then roll) and signs (roll right, pitch up, yaw right).
        installation: how the camera sits on the aircraft.
        zoom_steps: its calibrations at other focal lengths, each of another `fx_px`; see `zoomed_to`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    width_px: Annotated[int, Field(gt=0, le=100_000)]
    height_px: Annotated[int, Field(gt=0, le=100_000)]
    fx_px: Annotated[float, Field(gt=0)]
    fy_px: Annotated[float, Field(gt=0)]
    cx_px: float
    cy_px: float
    distortion: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
    mount_roll_rad: float = 0.0
    mount_pitch_rad: float = 0.0
    mount_yaw_rad: float = 0.0
    installation: Installation = Installation()
    zoom_steps: tuple[ZoomStep, ...] = ()

    def __post_init__(self) -> None:
        focal_px = [lens.fx_px for lens in self.zoom_steps]
        if len(set(focal_px)) < len(focal_px):
            raise ValueError("zoom_steps: two have one fx_px; keep one calibration for each focal length")

    @property
    def hfov_rad(self) -> float:
        """Horizontal field of view as makers and streams state it: of a centred pinhole, 2 atan(w / 2f)."""
        return float(2 * np.arctan(self.width_px / (2 * self.fx_px)))

    @cached_property
    def gimbal_from_ray(self) -> NDArray[np.float64]:
        """(3, 3) rotation that takes a ray (right, down, ahead) to the gimbal's (ahead, right, down)."""
        angles = [self.mount_yaw_rad, self.mount_pitch_rad, self.mount_roll_rad]
        return np.asarray(Rotation.from_euler("ZYX", angles).as_matrix() @ _BODY_FROM_OPTICAL)

    def scaled_to(self, width_px: int, height_px: int) -> "CameraModel":
        """The same camera with its whole picture scaled, as a stream of lower resolution has it.

        Raises:
            CameraError: the other size has another shape, so that it cannot be the whole picture.
        """
        x_scale, y_scale = width_px / self.width_px, height_px / self.height_px
        if abs(x_scale / y_scale - 1) > _SHAPE_TOLERANCE:
            raise CameraError(
                f"the picture is {width_px}x{height_px}, the camera model {self.width_px}x{self.height_px}, "
                "another shape; calibrate the camera at the stream's shape"
            )
        lens, *steps = (lens.scaled(x_scale, y_scale) for lens in (self._lens, *self.zoom_steps))
        return replace(self, width_px=width_px, height_px=height_px, zoom_steps=tuple(steps), **asdict(lens))

    def zoomed_to(self, hfov_rad: float) -> "CameraModel":
        """The same camera with its lens set to another `hfov_rad`, as a lens reports it.

        With `zoom_steps`, everything is interpolated linearly by focal length between the calibrations.

        Without them the focal lengths scale about the principal point, and the distortion of normalised
        coordinates stays. That is exact for a digital zoom about that point, which shows less of the same
        rays. For an optical zoom it is a guess: it makes distortion fall with the square of the focal length,
        while measured lenses follow other powers and their principal points wander (Al-Ajlouni and Fraser
        2006, "Zoom-dependent calibration for consumer-grade cameras"); calibrate such a lens in steps.

        Raises:
            CameraError: no lens has this field of view, or it lies outside the calibrated steps.
        """
        if not 0 < hfov_rad < np.pi:
            raise CameraError(
                f"the lens reports a field of view of {hfov_rad} rad, which no lens has; "
                "check what the camera sends"
            )
        fx_px = float(self.width_px / (2 * np.tan(hfov_rad / 2)))
        if not self.zoom_steps:
            return replace(self, fx_px=fx_px, fy_px=self.fy_px * fx_px / self.fx_px)
        lenses = sorted((self._lens, *self.zoom_steps), key=attrgetter("fx_px"))
        shortest_px, longest_px = lenses[0].fx_px, lenses[-1].fx_px
        if not shortest_px * (1 - _ZOOM_TOLERANCE) <= fx_px <= longest_px * (1 + _ZOOM_TOLERANCE):
            raise CameraError(
                f"the lens reports a field of view of {np.degrees(hfov_rad):.1f} degrees, a focal length of "
                f"{fx_px:.0f} px; the camera model reaches from {shortest_px:.0f} to {longest_px:.0f} px; "
                "calibrate a zoom step there"
            )
        lens = ZoomStep.between(lenses, fx_px)
        # What lies on the line between two steps changes no later interpolation: all steps can stay.
        return replace(self, zoom_steps=tuple(lenses), **asdict(lens))

    @property
    def _lens(self) -> ZoomStep:
        return ZoomStep(self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.distortion)

    def distort(self, normalised: ArrayLike) -> NDArray[np.float64]:
        """Pixels (N, 2) of undistorted normalised coordinates (N, 2)."""
        image, _ = self._distort(np.asarray(normalised, dtype=np.float64).reshape(-1, 2).T)
        return image.T * (self.fx_px, self.fy_px) + (self.cx_px, self.cy_px)

    def undistort(self, pixels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Undo the lens, by Newton's method.

        Args:
            pixels: (N, 2).

        Returns:
            Normalised coordinates (N, 2), and their derivative by the pixel (N, 2, 2). Both are NaN where no
            ray within the lens model's reach meets the pixel.
        """
        focal_px, centre_px = np.array([self.fx_px, self.fy_px]), np.array([self.cx_px, self.cy_px])
        # Each component in one piece of memory, which is several times faster than point by point.
        wanted = np.asarray(pixels, dtype=np.float64).reshape(-1, 2).T - centre_px[:, None]
        wanted /= focal_px[:, None]
        # A pixel far outside the picture diverges; it is told by the residual.
        with np.errstate(all="ignore"):
            found, off, (xx, xy, yy) = self._newton(wanted, wanted, _USUAL_STEPS)
            late = np.abs(off).max(axis=0, initial=0.0) > _INVERSION_TOLERANCE
            if late.any():
                found[:, late], _, _ = self._newton(wanted[:, late], found[:, late], _FURTHER_STEPS)
                found, off, (xx, xy, yy) = self._newton(wanted, found, 0)
            determinant = xx * yy - xy * xy
            sound = np.abs(off).max(axis=0, initial=0.0) <= _INVERSION_TOLERANCE
            sound &= (determinant > 0) & (found[0] * found[0] + found[1] * found[1] < self._fold_radius2)
            inverse = np.where(sound, 1 / determinant, np.nan)
        by_pixel = np.empty((2, 2, len(sound)))  # by x and by y of the pixel, then x and y of the ray
        by_pixel[0, 0] = yy * inverse
        by_pixel[1, 1] = xx * inverse
        by_pixel[0, 1] = by_pixel[1, 0] = -xy * inverse
        by_pixel /= focal_px[:, None, None]
        found[:, ~sound] = np.nan
        return found.T, by_pixel.transpose(2, 1, 0)

    @cached_property
    def _fold_radius2(self) -> float:
        """The squared radius at which the radial polynomial turns back: further out rays cross."""
        k1, k2, _, _, k3 = self.distortion
        # d (r + k1 r^3 + k2 r^5 + k3 r^7) / dr = 0, by 1 / r^2 so that vanishing coefficients do no harm.
        roots = np.roots([1.0, 3 * k1, 5 * k2, 7 * k3])
        folds = roots.real[(np.abs(roots.imag) < _INVERSION_TOLERANCE) & (roots.real > _LEAST_FOLD)]
        return float(1 / max(folds)) if len(folds) else np.inf

    def _newton(
        self, wanted: NDArray[np.float64], start: NDArray[np.float64], steps: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], _Symmetric]:
        """Coordinates (2, N) that the lens takes nearer to the wanted ones (2, N) than it takes `start`.

        With them come what they still miss (2, N) and the lens's derivative there.
        """
        found = start.copy()
        while True:
            image, (xx, xy, yy) = self._distort(found)
            off = np.subtract(wanted, image, out=image)
            if steps == 0 or not (off > _NEWTON_TOLERANCE).any() | (off < -_NEWTON_TOLERANCE).any():
                return found, off, (xx, xy, yy)
            inverse = 1 / (xx * yy - xy * xy)
            found[0] += (yy * off[0] - xy * off[1]) * inverse
            found[1] += (xx * off[1] - xy * off[0]) * inverse
            steps -= 1

    def _distort(self, xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], _Symmetric]:
        """Distorted normalised coordinates (2, N) and their derivative by the undistorted ones (2, N)."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = xy
        x2, y2, two_xy = x * x, y * y, 2 * x * y
        r2 = x2 + y2
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        twice_slope = 2 * k1 + r2 * (4 * k2 + r2 * (6 * k3))  # 2 d radial / d r2
        image = np.empty_like(xy)
        image[0] = x * radial + p1 * two_xy + p2 * (r2 + 2 * x2)
        image[1] = y * radial + p1 * (r2 + 2 * y2) + p2 * two_xy
        x_by_x = radial + x2 * twice_slope + 2 * p1 * y + 6 * p2 * x
        x_by_y = two_xy * (0.5 * twice_slope) + 2 * p1 * x + 2 * p2 * y
        y_by_y = radial + y2 * twice_slope + 6 * p1 * y + 2 * p2 * x
        return image, (x_by_x, x_by_y, y_by_y)


def read_camera(path: Path) -> CameraModel:
    """Read a camera from YAML whose keys are the fields of `CameraModel`.

    Raises:
        DocumentError: the file cannot be read, lacks a key, has one too many or a value out of range.
    """
    try:
        return TypeAdapter(CameraModel).validate_python(read_yaml(path))
    except ValidationError as error:
        raise DocumentError(
            f"{path}: {first_fault(error)}; see flightplans/night-market.camera.yaml"
        ) from error
