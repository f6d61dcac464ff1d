"""What holds the aircraft's link must not be able to die of what looks at pictures."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "strangers"),
    [
        ("patrol.edge.flight_process", {"onnxruntime", "cv2", "av", "supervision", "matplotlib"}),
        ("patrol.edge.uplink_process", {"onnxruntime", "cv2", "av", "supervision", "pymavlink"}),
    ],
)
def test_a_process_loads_only_its_own_rooms(module, strangers):
    code = f"import {module}, sys; print(*sorted({strangers!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
