"""When ArduCopter knows where it is: readiness after boot, and what a loss of GPS does to the estimator."""

from pymavlink.dialects.v20 import ardupilotmega as mavlink

# Seconds after boot, measured at speed-up 1 (docs: autopilots).
GPS_FIX_S = 10.0
HOME_SET_S = 20.0
PRE_ARM_S = 23.0
POSITION_S = 41.0
# Seconds after the GPS stops, measured likewise.
FIX_LOST_S = 0.8
POSITION_LOST_S = 7.0
FAILSAFE_S = 8.2
# Seconds after it comes back until the estimator uses it again; not measured.
RECOVERED_S = 3.0

_ALWAYS = mavlink.EKF_ATTITUDE | mavlink.EKF_VELOCITY_VERT | mavlink.EKF_POS_VERT_ABS
FLAGS_WITHOUT_POSITION = _ALWAYS | mavlink.EKF_CONST_POS_MODE
FLAGS_WITH_POSITION = (
    _ALWAYS
    | mavlink.EKF_VELOCITY_HORIZ
    | mavlink.EKF_POS_HORIZ_REL
    | mavlink.EKF_POS_HORIZ_ABS
    | mavlink.EKF_PRED_POS_HORIZ_REL
    | mavlink.EKF_PRED_POS_HORIZ_ABS
)


class Navigation:
    """GPS fix, home, pre-arm and estimator over time."""

    def __init__(self, boot_s: float) -> None:
        """`boot_s` is when the position becomes usable; the earlier steps of readiness are scaled with it."""
        self._scale = boot_s / POSITION_S
        self._now_s = 0.0
        self._without_gps_s = 0.0
        self._with_gps_s = RECOVERED_S
        self._lost_position = False

    def step(self, dt_s: float, *, gps_works: bool) -> None:
        """Move on by `dt_s`."""
        self._now_s += dt_s
        if gps_works:
            self._without_gps_s = 0.0
            self._with_gps_s += dt_s
            self._lost_position = self._lost_position and self._with_gps_s < RECOVERED_S
        else:
            self._with_gps_s = 0.0
            self._without_gps_s += dt_s
            self._lost_position = self._lost_position or self._without_gps_s >= POSITION_LOST_S

    def _is_past(self, booted_s: float) -> bool:
        return self._now_s >= booted_s * self._scale

    @property
    def has_fix(self) -> bool:
        """True with a 3D fix."""
        return self._is_past(GPS_FIX_S) and self._without_gps_s < FIX_LOST_S

    @property
    def may_set_home(self) -> bool:
        """True once home can be set."""
        return self._is_past(HOME_SET_S)

    @property
    def sensors_checked(self) -> bool:
        """True once the pre-arm checks that take time have passed."""
        return self._is_past(PRE_ARM_S) and self.has_fix

    @property
    def has_position(self) -> bool:
        """True while the estimator has an absolute horizontal position."""
        return self._is_past(POSITION_S) and not self._lost_position

    @property
    def failsafe(self) -> bool:
        """True when the loss has lasted long enough to give up flying by position."""
        return self._without_gps_s >= FAILSAFE_S

    @property
    def ekf_flags(self) -> int:
        """Flags of EKF_STATUS_REPORT."""
        return int(FLAGS_WITH_POSITION if self.has_position else FLAGS_WITHOUT_POSITION)
