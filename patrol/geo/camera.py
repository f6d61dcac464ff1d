"""The camera: pinhole with Brown-Conrady distortion, and how it sits in its gimbal.

Pixels are continuous: (0, 0) is the upper left corner of the picture, x right, y down, as boxes have it.
Normalised coordinates (x, y) are the ray (x right, y down, 1 ahead) of the undistorted pinhole.
"""

from dataclasses import dataclass, replace
from functools import cached_property
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

_NEWTON_STEPS = 20
_NEWTON_TOLERANCE = 1e-12  # normalised; a billionth of a pixel
_INVERSION_TOLERANCE = 1e-8
_SHAPE_TOLERANCE = 0.01  # scalers round a side to even pixels


class CameraError(UsageError):
    """A camera model does not fit the picture."""


@dataclass(frozen=True)
class CameraModel:
    """One camera at one picture size.

    Attributes:
        width_px, height_px: the picture.
        fx_px, fy_px, cx_px, cy_px: focal lengths and principal point in its pixels.
        distortion: (k1, k2, p1, p2, k3) of Brown (1966) in OpenCV's order, on normalised coordinates.
        mount_roll_rad, mount_pitch_rad, mount_yaw_rad: how the camera is turned in its gimbal, aerospace
            order (yaw, then pitch, then roll) and signs (roll right, pitch up, yaw right).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    width_px: Annotated[int, Field(gt=0, le=100_000)]
    height_px: Annotated[int, Field(gt=0, le=100_000)]
    fx_px: Annotated[float, Field(gt=0)]
    fy_px: Annotated[float, Field(gt=0)]
    cx_px: float
    cy_px: float
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    mount_roll_rad: float = 0.0
    mount_pitch_rad: float = 0.0
    mount_yaw_rad: float = 0.0

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
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            fx_px=self.fx_px * x_scale,
            fy_px=self.fy_px * y_scale,
            cx_px=self.cx_px * x_scale,
            cy_px=self.cy_px * y_scale,
        )

    def distort(self, normalised: ArrayLike) -> NDArray[np.float64]:
        """Pixels (N, 2) of undistorted normalised coordinates (N, 2)."""
        distorted, _ = self._distort(np.asarray(normalised, dtype=np.float64).reshape(-1, 2))
        return distorted * (self.fx_px, self.fy_px) + (self.cx_px, self.cy_px)

    def undistort(self, pixels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Undo the lens, by Newton's method.

        Args:
            pixels: (N, 2).

        Returns:
            Normalised coordinates (N, 2), and their derivative by the pixel (N, 2, 2). Both are NaN where no
            ray within the lens model's reach meets the pixel.
        """
        focal = np.array([self.fx_px, self.fy_px])
        wanted = (np.asarray(pixels, dtype=np.float64).reshape(-1, 2) - (self.cx_px, self.cy_px)) / focal
        with np.errstate(
            all="ignore"
        ):  # a pixel far outside the picture diverges; it is told by the residual
            found = wanted.copy()
            for _ in range(_NEWTON_STEPS):
                distorted, jacobian = self._distort(found)
                step = _solve_2x2(jacobian, wanted - distorted)
                found += step
                if not np.any(np.abs(step) > _NEWTON_TOLERANCE):
                    break
            distorted, jacobian = self._distort(found)
            determinant = np.linalg.det(jacobian)
            # Beyond the radius where the polynomial turns back the determinant is no longer positive.
            sound = (np.abs(distorted - wanted).max(axis=1, initial=0.0) < _INVERSION_TOLERANCE) & (
                determinant > 0
            )
        derivative = np.full((len(wanted), 2, 2), np.nan)
        derivative[sound] = np.linalg.inv(jacobian[sound]) / focal
        found[~sound] = np.nan
        return found, derivative

    def _distort(self, xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distorted normalised coordinates (N, 2) and their derivative (N, 2, 2) by the undistorted ones."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = xy[:, 0], xy[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = k1 + r2 * (2 * k2 + 3 * r2 * k3)  # d radial / d r2
        distorted = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )
        cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        jacobian = np.empty((len(xy), 2, 2))
        jacobian[:, 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
        jacobian[:, 0, 1] = jacobian[:, 1, 0] = cross
        jacobian[:, 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
        return distorted, jacobian


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


def _solve_2x2(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve (N, 2, 2) against (N, 2) by Cramer's rule; a singular one gives NaN or inf, not an exception."""
    (a, b), (c, d) = matrix[:, 0].T, matrix[:, 1].T
    first, second = right.T
    determinant = a * d - b * c
    return np.stack([(d * first - b * second) / determinant, (a * second - c * first) / determinant], axis=1)
