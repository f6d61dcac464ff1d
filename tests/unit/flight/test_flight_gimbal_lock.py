"""A camera that looks straight down keeps its heading, whatever float32 makes of the quaternion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from patrol.flight.gimbal import _roll_pitch_yaw


@given(
    yaw_deg=st.floats(-180, 180),
    roll_deg=st.floats(-20, 20),
    short_of_90_deg=st.one_of(st.just(0.0), st.floats(0, 0.2)),
    sign=st.sampled_from([-1, 1]),
)
def test_the_angles_turn_the_camera_as_the_quaternion_does(
    yaw_deg: float, roll_deg: float, short_of_90_deg: float, sign: int
) -> None:
    pitch_deg = sign * (90.0 - short_of_90_deg)
    turn = Rotation.from_euler("ZYX", [yaw_deg, pitch_deg, roll_deg], degrees=True)
    x, y, z, w = turn.as_quat().astype(np.float32).tolist()
    angles = _roll_pitch_yaw([w, x, y, z])
    assert angles is not None
    roll_rad, pitch_rad, yaw_rad = angles
    told = Rotation.from_euler("ZYX", [yaw_rad, pitch_rad, roll_rad])
    assert np.degrees((told.inv() * turn).magnitude()) == pytest.approx(0.0, abs=0.15)
