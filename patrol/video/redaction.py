"""Makes heads unrecognisable in whatever is stored or sent, so that nothing can bring the faces back."""

import cv2
import numpy as np
from numpy.typing import NDArray

from patrol.video.frames import VideoError

# A head is 0.13 of the stature (Drillis and Contini 1966). Looking down by an angle shortens the body by its
# cosine but not the head, a ball: 0.26 of the box at 60 degrees. The rest is for a box that is a little off.
_HEAD_SHARE = 0.30
_MARGIN_SHARE = 0.15  # of the box, beyond its top and its sides: detectors cut hair and turned faces
# A box hardly taller than wide shows somebody seen from straight above, sitting or bent: no telling where the
# head is, so all of it goes.
_UPRIGHT_RATIO = 1.2
# Nine averages of a head are all that is left. Trained networks have recognised mosaics of more cells
# (McPherson, Shokri, Shmatikov 2016); face recognition needs some 24 x 24 pixels.
_CELLS = 3
_SMALLEST_CELL_PX = 4
_JPEG_QUALITY = 85


def blur_heads(image: NDArray[np.uint8], boxes_xyxy_px: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a copy of a picture in which the head of each person is averaged away.

    Args:
        image: (H, W, 3) uint8; stays as it is.
        boxes_xyxy_px: (N, 4), left, top, right, bottom of each person; may reach beyond the picture.
    """
    redacted = image.copy()
    height, width = image.shape[:2]
    for box in boxes_xyxy_px:
        left, top, right, bottom = _head_region(*(float(edge) for edge in box))
        rows = slice(max(0, int(np.floor(top))), min(height, int(np.ceil(bottom))))
        columns = slice(max(0, int(np.floor(left))), min(width, int(np.ceil(right))))
        if rows.start < rows.stop and columns.start < columns.stop:
            redacted[rows, columns] = _averaged(redacted[rows, columns])
    return redacted


def encode_jpeg(image: NDArray[np.uint8], quality: int = _JPEG_QUALITY) -> bytes:
    """Return a picture, (H, W, 3) uint8 BGR, as JPEG without any metadata (no EXIF, no place, no device).

    Raises:
        VideoError: the picture is empty or larger than JPEG allows.
    """
    try:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise VideoError(f"a picture of shape {image.shape} cannot be written as JPEG") from error
    return bytes(data)


def _head_region(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    width, height = right - left, bottom - top
    sideways, upward = _MARGIN_SHARE * width, _MARGIN_SHARE * height
    if height >= _UPRIGHT_RATIO * width:
        bottom = top + _HEAD_SHARE * height
    else:
        bottom += upward
    return left - sideways, top - upward, right + sideways, bottom


def _averaged(region: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = region.shape[:2]
    cells = tuple(max(1, min(_CELLS, length // _SMALLEST_CELL_PX)) for length in (width, height))
    mosaic = cv2.resize(
        cv2.resize(region, cells, interpolation=cv2.INTER_AREA),
        (width, height),
        interpolation=cv2.INTER_NEAREST,
    )
    sigma_px = max(width / cells[0], height / cells[1]) / 2
    return np.asarray(cv2.GaussianBlur(mosaic, (0, 0), sigma_px), np.uint8)
