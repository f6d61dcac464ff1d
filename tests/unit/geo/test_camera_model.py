import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.geo.camera import CameraError, CameraModel, Installation, ZoomStep, read_camera
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


def test_a_pixel_beyond_the_fold_is_not_taken_from_its_far_side() -> None:
    # r (1 - 0.4 r^2 + 0.06 r^4) turns back at r = 1.09 (0.664), rises again from 1.68 and meets 0.9 at 2.1.
    lens = CameraModel(640, 480, 500, 500, 320, 240, (-0.4, 0.06, 0.0, 0.0, 0.0))
    far = np.linspace(0.0, 2.5, 500)
    radius = far * (1 - 0.4 * far**2 + 0.06 * far**4)
    assert radius.max() > 0.9
    turns_back = far[np.argmax(np.diff(radius) < 0)]
    reached, _ = lens.undistort(np.column_stack([320 + 500 * np.linspace(0, 0.66, 40), np.full(40, 240.0)]))
    assert (reached[:, 0] < turns_back + 0.01).all()
    beyond, _ = lens.undistort(np.column_stack([320 + 500 * np.linspace(0.7, 1.5, 40), np.full(40, 240.0)]))
    assert np.isnan(beyond).all()


def test_late_pixels_cost_the_others_nothing() -> None:
    barrel = CameraModel(640, 480, 500, 500, 320, 240, (-0.4, 0.0, 0.0, 0.0, 0.0))
    pixels = np.column_stack([320 + np.linspace(0, 320, 200), np.full(200, 240.0)])
    together, derivative = barrel.undistort(pixels)
    for i in (0, 50, 150, 185, 199):
        alone, alone_derivative = barrel.undistort(pixels[i])
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-9)
        np.testing.assert_allclose(derivative[i], alone_derivative[0], rtol=1e-6)
    # 304 px is the lens's reach; 302 px, almost there, is still found.
    assert np.isfinite(barrel.undistort([[320 + 302, 240]])[0]).all()


# Zoom


WIDE = CameraModel(1920, 1080, 1200.0, 1210.0, 950.0, 545.0, (-0.2, 0.05, 1e-3, -5e-4, 0.0))
TELE = ZoomStep(6000.0, 6040.0, 970.0, 535.0, (0.1, -2.0, 2e-3, 0.0, 40.0))
ZOOM = replace(WIDE, zoom_steps=(TELE, ZoomStep(2400.0, 2420.0, 955.0, 540.0, (-0.05, 0.0, 1e-3, 0.0, 0.0))))


def hfov(fx_px: float) -> float:
    return 2 * math.atan(960 / fx_px)


def test_field_of_view_is_that_of_the_focal_length() -> None:
    assert WIDE.hfov_rad == pytest.approx(hfov(1200.0))
    assert WIDE.zoomed_to(hfov(1200.0)).fx_px == pytest.approx(1200.0)


def test_without_steps_the_rays_of_a_zoomed_picture_are_those_nearer_the_axis() -> None:
    tele = WIDE.zoomed_to(hfov(3600.0))
    assert (tele.fx_px, tele.fy_px) == pytest.approx((3600.0, 3630.0))
    offsets_px = np.random.default_rng(1).uniform(-500, 500, (50, 2))
    centre_px = np.array([950.0, 545.0])
    zoomed, _ = tele.undistort(centre_px + 3 * offsets_px)
    np.testing.assert_allclose(zoomed, WIDE.undistort(centre_px + offsets_px)[0], atol=1e-12)


def test_steps_are_met_and_joined() -> None:
    for step in ZOOM.zoom_steps:
        met = ZOOM.zoomed_to(hfov(step.fx_px))
        assert (met.fx_px, met.fy_px, met.cx_px, met.cy_px) == pytest.approx(
            (step.fx_px, step.fy_px, step.cx_px, step.cy_px)
        )
        assert met.distortion == pytest.approx(step.distortion)
    between = ZOOM.zoomed_to(hfov(4200.0))
    assert (between.fx_px, between.fy_px) == pytest.approx((4200.0, 4230.0))
    assert (between.cx_px, between.cy_px) == pytest.approx((962.5, 537.5))
    assert between.distortion == pytest.approx((0.025, -1.0, 1.5e-3, 0.0, 20.0))


def test_zooming_twice_is_zooming_once() -> None:
    once = ZOOM.zoomed_to(hfov(1800.0))
    twice = ZOOM.zoomed_to(hfov(5000.0)).zoomed_to(hfov(1800.0))
    assert (twice.fx_px, twice.cx_px) == pytest.approx((once.fx_px, once.cx_px))
    assert twice.distortion == pytest.approx(once.distortion)


def test_scaling_and_zooming_change_places() -> None:
    one, other = ZOOM.scaled_to(960, 540).zoomed_to(0.4), ZOOM.zoomed_to(0.4).scaled_to(960, 540)
    assert (one.fx_px, one.fy_px, one.cx_px) == pytest.approx((other.fx_px, other.fy_px, other.cx_px))
    assert one.distortion == pytest.approx(other.distortion)


def test_a_zoom_that_was_not_calibrated_is_refused() -> None:
    assert ZOOM.zoomed_to(hfov(6000.0 * 1.009)).fx_px == 6000.0  # the lens rounds
    with pytest.raises(CameraError, match="reaches from 1200 to 6000 px; calibrate a zoom step there"):
        ZOOM.zoomed_to(hfov(6100.0))
    with pytest.raises(CameraError, match="calibrate a zoom step"):
        ZOOM.zoomed_to(hfov(1100.0))


@pytest.mark.parametrize("hfov_rad", [0.0, -0.5, math.pi, math.nan, math.inf])
def test_a_field_of_view_that_no_lens_has_is_refused(hfov_rad: float) -> None:
    for camera in (WIDE, ZOOM):
        with pytest.raises(CameraError, match="which no lens has"):
            camera.zoomed_to(hfov_rad)


# Files


def test_installation_and_zoom_steps_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.camera.yaml"
    path.write_text(
        "width_px: 640\nheight_px: 480\nfx_px: 500\nfy_px: 520\ncx_px: 310\ncy_px: 250\n"
        "installation:\n  lever_arm_frd_m: [0.1, 0, 0.05]\n  heading_bias_rad: 0.02\n  delay_s: 0.35\n"
        "zoom_steps:\n  - {fx_px: 900, fy_px: 910, cx_px: 315, cy_px: 245, distortion: [0.1, 0, 0, 0, 0]}\n"
    )
    camera = read_camera(path)
    assert camera.installation == Installation((0.1, 0.0, 0.05), 0.02, 0.0, 0.35)
    assert camera.zoom_steps == (ZoomStep(900.0, 910.0, 315.0, 245.0, (0.1, 0.0, 0.0, 0.0, 0.0)),)


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
        ("fx_px: 500\ninstallation: {delay: 3}", "installation.delay: unexpected keyword argument"),
        ("fx_px: 500\ninstallation: {lever_arm_frd_m: [0, 0, 120]}", "installation.lever_arm_frd_m[2]: "),
        ("fx_px: 500\ninstallation: {delay_s: .inf}", "installation.delay_s: "),
        ("fx_px: 500\ndistortion: [1.0e+300, 0, 0, 0, 0]", "distortion[0]: "),
        (
            "fx_px: 500\nzoom_steps: [{fx_px: 9, fy_px: 9, cx_px: 9, cy_px: 9},"
            " {fx_px: 9, fy_px: 8, cx_px: 9, cy_px: 9}]",
            "zoom_steps: two have one fx_px; keep one calibration for each focal length",
        ),
    ],
)
def test_faulty_camera_file_is_named(tmp_path: Path, change: str, sentence: str) -> None:
    path = tmp_path / "a.camera.yaml"
    path.write_text(f"width_px: 640\nheight_px: 480\nfy_px: 520\ncx_px: 310\ncy_px: 250\n{change}\n")
    with pytest.raises(DocumentError) as caught:
        read_camera(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
