"""What the tests of vision share: the shipped model and a real frame with people on it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from patrol.domain.resources import data_path
from patrol.vision.detector import Detector
from patrol.vision.registry import Manifest, load_manifest


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return load_manifest("night-patrol-nano")


@pytest.fixture(scope="session")
def detector(manifest: Manifest) -> Detector:
    return Detector(manifest, threads=1)


@pytest.fixture(scope="session")
def street() -> NDArray[np.uint8]:
    """A frame of the demonstration footage, 480x360, in which several people walk."""
    footage = sorted((data_path("flightplans") / "footage").glob("*.mp4"))
    if not footage:
        pytest.skip("flightplans/footage: holds no video yet")
    video = cv2.VideoCapture(str(footage[0]))
    for _ in range(40):
        good, frame = video.read()
        assert good, f"{footage[0]}: fewer than 40 frames"
    video.release()
    return frame
