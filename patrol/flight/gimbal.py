"""What can be believed of GIMBAL_DEVICE_ATTITUDE_STATUS."""

import math
from collections.abc import Callable

from patrol.flight.wire import Message, mavlink

# Faults by which ArduPilot takes a gimbal for unhealthy (AP_Mount_Gremsy::healthy): what measures, holds or
# reports the angles does not work. The angles of a gimbal that calibrates itself are still to be defined. At
# a limit (AT_*_LIMIT) it does not look where it was told, and without a manager (NO_MANAGER) nobody tells it,
# but it looks where it says.
_FAULTS = {
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_ENCODER_ERROR: "its encoders fail",
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_POWER_ERROR: "its power fails",
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_MOTOR_ERROR: "its motors fail",
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_SOFTWARE_ERROR: "its software fails",
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_COMMS_ERROR: "its communication fails",
    mavlink.GIMBAL_DEVICE_ERROR_FLAGS_CALIBRATION_RUNNING: "it calibrates itself",
}
# A fault that comes and goes is one fault. A gimbal that recovers also needs a moment to stand still.
_SOUND_AFTER_S = 1.0
# The gimbals of an autopilot are numbered from 1; senders from before there were numbers say 0. The camera
# that is looked through hangs in the first.
_FIRST_GIMBAL = (0, 1)
# Nearer to straight up or down than this (0.06 degrees) the arguments of roll and yaw drown in the rounding
# of four floats: at the limit that moves yaw by 0.01 degrees.
_LOCKED_COSINE = 1e-3

YawAgainstNose = Callable[[int, float, float | None], float | None]


class GimbalReader:
    """Reads the angles of the first gimbal, and tells when its own faults make them untrue.

    Args:
        yaw_against_nose: as `Dialect.gimbal_yaw`.
        tell: given a severity (MAV_SEVERITY) and a sentence, once when faults begin and once when they end.
    """

    def __init__(self, yaw_against_nose: YawAgainstNose, tell: Callable[[int, str], None]) -> None:
        self._yaw_against_nose = yaw_against_nose
        self._tell = tell
        self._faulty_at_s: float | None = None

    def angles(
        self, message: Message, heading_rad: float | None, now_s: float
    ) -> tuple[float, float, float] | None:
        """Roll and pitch against the horizon, yaw against the nose; None when they cannot be told.

        Args:
            message: a GIMBAL_DEVICE_ATTITUDE_STATUS.
            heading_rad: the aircraft's, for a yaw that is against north; None when it is not known.
            now_s: the link's time.
        """
        if message.gimbal_device_id not in _FIRST_GIMBAL or not self._is_sound(message.failure_flags, now_s):
            return None
        angles = _roll_pitch_yaw(message.q)
        if angles is None:
            return None
        roll_rad, pitch_rad, yaw_rad = angles
        # Beside a yaw against north the gimbal tells the heading that it used. A sender that does not know
        # the field seems to say 0 (MAVLink 2 cuts zeros off); where 0 is meant the aircraft's own is near it.
        if math.isfinite(message.delta_yaw) and message.delta_yaw != 0.0:
            heading_rad = message.delta_yaw
        yaw_vehicle_rad = self._yaw_against_nose(message.flags, yaw_rad, heading_rad)
        if yaw_vehicle_rad is None:
            return None
        return roll_rad, pitch_rad, math.remainder(yaw_vehicle_rad, math.tau)

    def _is_sound(self, failure_flags: int, now_s: float) -> bool:
        faults = [words for flag, words in _FAULTS.items() if failure_flags & flag]
        if faults:
            if self._faulty_at_s is None:
                self._tell(
                    mavlink.MAV_SEVERITY_WARNING,
                    f"the gimbal reports that {' and that '.join(faults)}: its angles are not used, "
                    "and what the camera sees has no place until that is over",
                )
            self._faulty_at_s = now_s
        elif self._faulty_at_s is not None and now_s - self._faulty_at_s >= _SOUND_AFTER_S:
            self._faulty_at_s = None
            self._tell(mavlink.MAV_SEVERITY_INFO, "the gimbal reports no fault any more: its angles are used")
        return self._faulty_at_s is None


def _roll_pitch_yaw(q: list[float]) -> tuple[float, float, float] | None:
    """Tait-Bryan angles z-y'-x'' of a quaternion w, x, y, z; None when it is no rotation.

    Diebel, "Representing Attitude", 2006, section 8. Straight up or down only the sum or difference of roll
    and yaw is told; roll is then taken to be 0.
    """
    norm = math.hypot(*q)
    # Four floats on the wire keep the length of a rotation to far better than this. False for "not a number".
    if not 0.9 < norm < 1.1:
        return None
    w, x, y, z = (value / norm for value in q)
    pitch_rad = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    if math.cos(pitch_rad) < _LOCKED_COSINE:
        return 0.0, pitch_rad, 2 * math.atan2(z, w)
    roll_rad = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    yaw_rad = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return roll_rad, pitch_rad, yaw_rad
