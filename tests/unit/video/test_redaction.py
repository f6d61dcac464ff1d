"""Heads that cannot be read back."""

import cv2
import numpy as np
import pytest

from patrol.video.frames import VideoError
from patrol.video.redaction import blur_heads, encode_jpeg

RNG = np.random.default_rng(1)


def noise(height: int = 200, width: int = 300) -> np.ndarray:
    """A picture in which every pixel says something."""
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_head_of_an_upright_person_goes_and_the_rest_stays():
    image = noise()
    redacted = blur_heads(image, np.array([[100.0, 50.0, 140.0, 150.0]]))
    changed = (redacted != image).any(axis=2)
    assert changed[50:80, 100:140].mean() > 0.98  # 0.3 of the box from its top
    assert changed[36:50, 95:145].mean() > 0.98  # the margin
    assert not changed[80:, :].any()
    assert not changed[:35, :].any()


def test_what_is_left_of_a_head_is_nine_averages():
    image = noise()
    head = blur_heads(image, np.array([[100.0, 50.0, 140.0, 150.0]]))[35:80, 94:146].astype(float)
    assert image[35:80, 94:146].std() > 70
    assert head.std() < 6
    # Two pictures with the same averages give the same result: detail cannot come back.
    shuffled = image.copy()
    for rows in np.array_split(np.arange(35, 80), 3):
        cell = shuffled[rows[0] : rows[-1] + 1, 94:146]
        cell[:] = cell[::-1]
    again = blur_heads(shuffled, np.array([[100.0, 50.0, 140.0, 150.0]]))[35:80, 94:146]
    np.testing.assert_allclose(again, head, atol=1)


def test_somebody_seen_from_above_goes_wholly():
    image = noise()
    changed = (blur_heads(image, np.array([[100.0, 50.0, 140.0, 90.0]])) != image).any(axis=2)
    assert changed[50:90, 100:140].mean() > 0.98


@pytest.mark.parametrize(
    "box",
    [
        (-30.0, -20.0, 12.0, 90.0),
        (290.0, 150.0, 330.0, 260.0),
        (10.0, 10.0, 11.0, 12.0),
        (10.0, 10.0, 13.0, 16.0),
    ],
)
def test_boxes_at_the_border_and_tiny_ones_are_redacted(box):
    image = noise()
    redacted = blur_heads(image, np.array([box]))
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    assert (redacted[top, left] != image[top, left]).any()
    assert redacted.shape == image.shape


@pytest.mark.parametrize(
    "box", [(400.0, 10.0, 440.0, 100.0), (50.0, 50.0, 50.0, 50.0), (50.0, -90.0, 60.0, -50.0)]
)
def test_boxes_outside_and_empty_ones_change_nothing(box):
    image = noise()
    np.testing.assert_array_equal(blur_heads(image, np.array([box])), image)


def test_the_picture_given_is_never_altered():
    image = noise()
    before = image.copy()
    blur_heads(image, np.array([[100.0, 50.0, 140.0, 150.0]]))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(blur_heads(image, np.empty((0, 4))), before)


def test_jpeg_opens_and_tells_nothing_else():
    image = cv2.GaussianBlur(noise(), (0, 0), 5)
    data = encode_jpeg(image)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - image).mean() < 3
    for marker in (b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xfe", b"Exif"):  # EXIF, ICC, IPTC, comment
        assert marker not in data[: data.index(b"\xff\xda")]


def test_an_empty_picture_is_refused_in_a_sentence():
    with pytest.raises(VideoError, match="cannot be written as JPEG"):
        encode_jpeg(np.empty((0, 0, 3), np.uint8))
