"""Draws what the eyes see onto the picture, for people to judge."""

import cv2
import numpy as np
from numpy.typing import NDArray

from patrol.edge.pipeline import FrameResult

# BGR; amber, red and cyan keep apart for the common kinds of colour blindness.
_PERSON = (255, 200, 60)
_IN_INCIDENT = (40, 60, 255)
_TEXT = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate(
    pixels: NDArray[np.uint8],
    result: FrameResult,
    members: frozenset[int],
    caption: str,
    width_px: int | None = None,
) -> NDArray[np.uint8]:
    """Return a copy of the picture with a box for each person, those of an open incident in red.

    Args:
        pixels: (H, W, 3) uint8 BGR; heads are drawn as they are, redact before where that is due.
        result: the analysis of this picture.
        members: ids of the tracks that belong to an open incident.
        caption: a line for the legend, ASCII (OpenCV draws no other letters).
        width_px: scale the picture to this width, None keeps its size.
    """
    scale = 1.0 if width_px is None else width_px / pixels.shape[1]
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    drawn: NDArray[np.uint8] = np.asarray(
        pixels.copy() if scale == 1.0 else cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR),
        dtype=np.uint8,
    )
    thickness = max(1, round(size[0] / 640))
    text_scale = max(0.35, size[0] / 1600)
    for track in result.tracks:
        colour = _IN_INCIDENT if track.track_id in members else _PERSON
        left, top, right, bottom = (round(value * scale) for value in track.box_xyxy_px)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, thickness)
        cv2.putText(
            drawn, str(track.track_id), (left, max(top - 3, 10)), _FONT, text_scale, colour, thickness
        )
    _legend(drawn, caption, text_scale, thickness)
    return drawn


def _legend(drawn: NDArray[np.uint8], caption: str, text_scale: float, thickness: int) -> None:
    line_px = round(34 * text_scale) + 6
    cv2.rectangle(drawn, (0, 0), (drawn.shape[1], line_px), (0, 0, 0), cv2.FILLED)
    cv2.putText(drawn, caption, (6, line_px - 7), _FONT, text_scale, _TEXT, thickness, cv2.LINE_AA)
