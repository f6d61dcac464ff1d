"""How pictures of a textured plane moved, with all that moves otherwise in them."""

import cv2
import numpy as np
import pytest

from patrol.video.motion import MotionMeter

SIZE_PX = (640, 480)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A ground with texture of all sizes, larger than a picture."""
    rng = np.random.default_rng(5)
    grey = sum(
        cv2.resize(
            rng.normal(0, 20, (1200 // cell, 1600 // cell)), (1600, 1200), interpolation=cv2.INTER_CUBIC
        )
        for cell in (4, 10, 40, 100)
    )
    return cv2.merge([np.clip(grey + 110 + shade, 0, 255).astype(np.uint8) for shade in (-20, 0, 20)])


def seen(scene: np.ndarray, homography: np.ndarray, size_px: tuple[int, int] = SIZE_PX) -> np.ndarray:
    """The scene through a homography from its pixels to the picture's."""
    return cv2.warpPerspective(scene, homography, size_px, flags=cv2.INTER_LINEAR)


def placed(x_px: float, y_px: float, *, turn_deg: float = 0.0, zoom: float = 1.0, tilt: float = 0.0):
    """A homography that shows the scene from (x, y) on, turned, zoomed and tilted about the middle."""
    width_px, height_px = SIZE_PX
    about = np.eye(3)
    about[:2] = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), turn_deg, zoom)
    away = np.array([[1.0, 0, -x_px], [0, 1, -y_px], [0, tilt, 1]])
    return about @ away


def moved(before: np.ndarray, after: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Where points of one picture are in the other; pixels count from the corner here, as the meter's do."""
    homography = after @ np.linalg.inv(before)
    return cv2.perspectiveTransform((points_px - 0.5)[None], homography)[0] + 0.5


START = placed(400, 300)


@pytest.mark.parametrize(
    "after",
    [
        placed(400, 300),
        placed(403.3, 298.1),
        placed(520, 300),
        placed(400, 390),
        placed(400, 300, turn_deg=3),
        placed(410, 305, zoom=1.06),
        placed(404, 300, tilt=1e-4),
    ],
    ids=["still", "a little", "far aside", "far down", "turned", "nearer", "tilted"],
)
def test_motion_is_found_to_a_fraction_of_a_pixel(scene, after):
    meter = MotionMeter()
    assert meter.update(seen(scene, START)) is None, "there is nothing to compare the first picture with"
    motion = meter.update(seen(scene, after))
    assert len(motion.before_px) == len(motion.after_px) > 30
    error_px = np.linalg.norm(motion.after_px - moved(START, after, motion.before_px), axis=1)
    assert np.median(error_px) < 0.15
    assert error_px.max() < 3
    assert (motion.before_px.std(axis=0) > np.array(SIZE_PX) / 6).all(), "the points must be spread"


@pytest.mark.parametrize("size_px", [(320, 240), (640, 480), (1280, 960)])
def test_points_are_in_pixels_of_the_picture_whatever_its_size(scene, size_px):
    scale = np.diag([size_px[0] / SIZE_PX[0], size_px[1] / SIZE_PX[1], 1.0])
    meter = MotionMeter()
    meter.update(seen(scene, scale @ START, size_px))
    motion = meter.update(seen(scene, scale @ placed(412, 294), size_px))
    step_px = np.median(motion.after_px - motion.before_px, axis=0)
    assert step_px / size_px == pytest.approx(np.array([-12, 6]) / SIZE_PX, abs=3e-4)
    assert motion.before_px.max(axis=0) == pytest.approx(np.array(size_px), rel=0.2)


def test_people_and_letters_that_move_otherwise_do_not_count(scene):
    """A fifth of the picture walks to the right, and letters stand over it, while the camera moves."""
    rng = np.random.default_rng(6)
    people = [(rng.uniform(0, 600), rng.uniform(0, 400), int(rng.integers(40, 250))) for _ in range(45)]
    meter = MotionMeter()
    for step, homography in enumerate((START, placed(406, 303))):
        picture = seen(scene, homography)
        for x_px, y_px, shade in people:
            corner = (round(x_px + 9 * step), round(y_px))
            cv2.rectangle(picture, corner, (corner[0] + 22, corner[1] + 60), (shade, 60, 255 - shade), -1)
        cv2.putText(picture, "H 12.0m  V 4.1m/s", (10, 470), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,) * 3, 2)
        motion = meter.update(picture)
    error_px = np.linalg.norm(motion.after_px - moved(START, placed(406, 303), motion.before_px), axis=1)
    assert np.median(error_px) < 0.3
    assert (error_px < 3).mean() > 0.9


def test_a_cut_is_no_motion(scene):
    meter = MotionMeter()
    meter.update(seen(scene, START))
    assert meter.update(np.ascontiguousarray(seen(scene, START)[::-1, ::-1])) is None
    assert meter.update(seen(scene, START)) is None
    assert meter.update(seen(scene, placed(402, 300))) is not None, "and then it goes on"


def test_a_picture_with_nothing_to_hold_on_to_tells_nothing():
    dark = np.full((480, 640, 3), 20, np.uint8)
    noisy = np.clip(np.random.default_rng(1).normal(20, 1.0, (2, 480, 640, 3)), 0, 255).astype(np.uint8)
    lettered = dark.copy()
    cv2.putText(lettered, "REC 00:12", (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255,) * 3, 2)
    for before, after in ((dark, dark), (noisy[0], noisy[1]), (lettered, lettered)):
        meter = MotionMeter()
        meter.update(before)
        assert meter.update(after) is None


def test_a_picture_of_another_size_begins_anew(scene):
    meter = MotionMeter()
    meter.update(seen(scene, START))
    half = cv2.resize(seen(scene, START), (320, 240))
    assert meter.update(half) is None
    assert meter.update(half) is not None


@pytest.mark.parametrize("shape", [(1, 1, 3), (24, 24, 3), (8, 640, 3), (2000, 20, 3)])
def test_pictures_of_odd_shapes_do_no_harm(shape):
    picture = np.random.default_rng(2).integers(0, 255, shape).astype(np.uint8)
    meter = MotionMeter()
    meter.update(picture)
    meter.update(picture)
