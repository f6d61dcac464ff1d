from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.geo.camera import CameraError, CameraModel, read_camera
from patrol.geo.documents import DocumentError

LENS = CameraModel(640, 480, 500.0, 520.0, 310.0, 250.0, (-0.28, 0.09, 0.0011, -0.0007, -0.012))


def opencv(camera: CameraModel) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.array([[camera.fx_px, 0, camera.cx_px], [0, camera.fy_px, camera.cy_px], [0, 0, 1]])
    return matrix, np.array(camera.distortion)


def test_distort_agrees_with_opencv() -> None:
    rays = np.random.default_rng(1).uniform(-0.5, 0.5, (200, 2))
    points = np.column_stack([rays, np.ones(200)])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), *opencv(LENS))
    np.testing.assert_allclose(LENS.distort(rays), expected[:, 0], atol=1e-9)


def test_undistort_agrees_with_opencv() -> None:
    pixels = np.random.default_rng(2).uniform((0, 0), (640, 480), (200, 2))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    expected = cv2.undistortPoints(pixels[:, None], *opencv(LENS), criteria=criteria)
    np.testing.assert_allclose(LENS.undistort(pixels)[0], expected[:, 0], atol=1e-7)


@given(
    k1=st.floats(-0.2, 0.2),
    k2=st.floats(-0.05, 0.05),
    p1=st.floats(-0.002, 0.002),
    p2=st.floats(-0.002, 0.002),
    x=st.floats(0, 640),
    y=st.floats(0, 480),
)
def test_there_and_back_is_the_same_pixel(
    k1: float, k2: float, p1: float, p2: float, x: float, y: float
) -> None:
    camera = CameraModel(640, 480, 600, 600, 320, 240, (k1, k2, p1, p2, 0.0))
    there, _ = camera.undistort([[x, y]])
    np.testing.assert_allclose(camera.distort(there), [[x, y]], atol=1e-7)


def test_derivative_is_that_of_small_steps() -> None:
    pixel = np.array([[95.0, 410.0]])
    _, derivative = LENS.undistort(pixel)
    step = 1e-3
    numeric = np.column_stack(
        [
            (LENS.undistort(pixel + d)[0] - LENS.undistort(pixel - d)[0])[0] / (2 * step)
            for d in (np.array([step, 0]), np.array([0, step]))
        ]
    )
    np.testing.assert_allclose(derivative[0], numeric, rtol=1e-6)


def test_pixel_beyond_the_lens_polynomial_has_no_ray() -> None:
    barrel = CameraModel(640, 480, 500, 500, 320, 240, (-0.4, 0.0, 0.0, 0.0, 0.0))
    # r (1 - 0.4 r^2) is greatest at r = 0.913, 0.609: no ray meets a pixel further out than 304.
    normalised, derivative = barrel.undistort([[320 + 300, 240], [320 + 310, 240]])
    assert np.isfinite(normalised[0]).all()
    assert np.isnan(normalised[1]).all()
    assert np.isnan(derivative[1]).all()


def test_mount_angles_turn_in_aerospace_order() -> None:
    camera = CameraModel(640, 480, 500, 500, 320, 240, mount_yaw_rad=np.pi / 2, mount_roll_rad=np.pi / 2)
    ahead, right, down = np.eye(3)
    # Yaw right: the optical axis leaves the gimbal on the right; rolled right, the picture's right is down.
    np.testing.assert_allclose(camera.gimbal_from_ray @ (0, 0, 1), right, atol=1e-12)
    np.testing.assert_allclose(camera.gimbal_from_ray @ (1, 0, 0), down, atol=1e-12)
    np.testing.assert_allclose(camera.gimbal_from_ray @ (0, 1, 0), ahead, atol=1e-12)


def test_scaled_camera_sees_the_same_rays() -> None:
    half = LENS.scaled_to(320, 240)
    pixels = np.random.default_rng(3).uniform((0, 0), (640, 480), (50, 2))
    np.testing.assert_allclose(half.undistort(pixels / 2)[0], LENS.undistort(pixels)[0], atol=1e-12)


def test_scaling_to_another_shape_is_refused() -> None:
    with pytest.raises(CameraError, match="the picture is 640x360, the camera model 640x480"):
        LENS.scaled_to(640, 360)


def test_camera_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.camera.yaml"
    path.write_text(
        "width_px: 640\nheight_px: 480\nfx_px: 500\nfy_px: 520\ncx_px: 310\ncy_px: 250\n"
        "distortion: [-0.28, 0.09, 0.0011, -0.0007, -0.012]\n"
    )
    assert read_camera(path) == LENS


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("fx_px: -1", "fx_px: input should be greater than 0 (found -1)"),
        ("fx_px: .nan", "fx_px: "),
        ("fx_px: 500\nfov: 3", "fov: unexpected keyword argument"),
        ("fx_px: 500\ndistortion: [1, 2]", "distortion[2]: field required"),
        ("fx_px: [", "is not YAML"),
    ],
)
def test_faulty_camera_file_is_named(tmp_path: Path, change: str, sentence: str) -> None:
    path = tmp_path / "a.camera.yaml"
    path.write_text(f"width_px: 640\nheight_px: 480\nfy_px: 520\ncx_px: 310\ncy_px: 250\n{change}\n")
    with pytest.raises(DocumentError) as caught:
        read_camera(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
