"""The parameters of the simulated ArduCopter, with the SIM_ ones by which faults are injected, as in SITL."""

import math
from dataclasses import dataclass
from enum import IntEnum

from pymavlink.dialects.v20 import ardupilotmega as mavlink

INT8 = mavlink.MAV_PARAM_TYPE_INT8
INT16 = mavlink.MAV_PARAM_TYPE_INT16
INT32 = mavlink.MAV_PARAM_TYPE_INT32
REAL32 = mavlink.MAV_PARAM_TYPE_REAL32

READ_ONLY = ("FENCE_TOTAL", "MIS_TOTAL", "RALLY_TOTAL")


class GimbalFault(IntEnum):
    """Values of SIM_MNT_FAULT: what is wrong with the angles that the gimbal reports.

    FROZEN is what a driver does that has lost its gimbal: it goes on with the last angles, newly stamped.
    """

    NONE = 0
    FROZEN = 1
    SILENT = 2
    NOT_A_NUMBER = 3


@dataclass
class Parameter:
    """One parameter and its MAV_PARAM_TYPE."""

    value: float
    kind: int


# ArduCopter's defaults but for those that an operator sets for a patrol: the battery failsafe returns
# (BATT_FS_LOW_ACT 2), leaving AUTO leaves the gimbal where it looks (MNT1_DEFLT_MODE 2). SITL does not have
# SIM_MNT_FAIL (the failure flags that the gimbal reports), SIM_MNT_FAULT (see `GimbalFault`), SIM_TSYNC_LAG
# (by how many milliseconds answers to TIMESYNC leave late), SIM_UTC_STEP (seconds that SYSTEM_TIME is ahead).
_DEFAULTS: dict[str, tuple[float, int]] = {
    "SYSID_THISMAV": (1, INT16),
    "SYSID_MYGCS": (255, INT16),
    "ARMING_CHECK": (1, INT32),
    "AUTO_OPTIONS": (0, INT32),
    "BATT_CAPACITY": (5200, INT32),
    "BATT_CRT_VOLT": (0, REAL32),
    "BATT_FS_CRT_ACT": (1, INT8),
    "BATT_FS_LOW_ACT": (2, INT8),
    "BATT_LOW_MAH": (0, REAL32),
    "BATT_LOW_TIMER": (10, INT8),
    "BATT_LOW_VOLT": (10.5, REAL32),
    "BATT_MONITOR": (4, INT8),
    "DISARM_DELAY": (10, INT8),
    "FENCE_ACTION": (1, INT8),
    "FENCE_ALT_MAX": (100, REAL32),
    "FENCE_ENABLE": (0, INT8),
    "FENCE_MARGIN": (2, REAL32),
    "FENCE_RADIUS": (300, REAL32),
    "FENCE_TOTAL": (0, INT8),
    "FENCE_TYPE": (7, INT8),
    "FRAME_CLASS": (1, INT8),
    "FS_EKF_ACTION": (1, INT8),
    "FS_GCS_ENABLE": (0, INT8),
    "FS_GCS_TIMEOUT": (5, REAL32),
    "FS_OPTIONS": (16, INT32),
    "FS_THR_ENABLE": (1, INT8),
    "LAND_ALT_LOW": (1000, INT16),
    "LAND_SPEED": (50, INT16),
    "LAND_SPEED_HIGH": (0, INT16),
    "MIS_RESTART": (0, INT8),
    "MIS_TOTAL": (0, INT16),
    "MNT1_DEFLT_MODE": (2, INT8),
    "MNT1_PITCH_MAX": (20, INT16),
    "MNT1_PITCH_MIN": (-90, INT16),
    "MNT1_TYPE": (1, INT8),
    "MNT1_YAW_MAX": (180, INT16),
    "MNT1_YAW_MIN": (-180, INT16),
    "PILOT_SPEED_UP": (250, INT16),
    "RALLY_INCL_HOME": (1, INT8),
    "RALLY_LIMIT_KM": (0.3, REAL32),
    "RALLY_TOTAL": (0, INT8),
    "RTL_ALT": (1500, INT32),
    "RTL_ALT_FINAL": (0, INT16),
    "RTL_CONE_SLOPE": (3, REAL32),
    "RTL_LOIT_TIME": (5000, INT32),
    "RTL_SPEED": (0, INT16),
    "SIM_BATT_VOLTAGE": (0, REAL32),
    "SIM_GPS1_ENABLE": (1, INT8),
    "SIM_MNT_FAIL": (0, INT32),
    "SIM_MNT_FAULT": (0, INT8),
    "SIM_RC_FAIL": (0, INT8),
    "SIM_TSYNC_LAG": (0, REAL32),
    "SIM_UTC_STEP": (0, REAL32),
    "SIM_WIND_DIR": (180, REAL32),
    "SIM_WIND_SPD": (0, REAL32),
    "WPNAV_RADIUS": (200, REAL32),
    "WPNAV_SPEED": (1000, REAL32),
    "WPNAV_SPEED_DN": (150, REAL32),
    "WPNAV_SPEED_UP": (250, REAL32),
    "WP_YAW_BEHAVIOR": (2, INT8),
}
_BOUNDS = {INT8: 127.0, INT16: 32_767.0, INT32: 2_147_483_647.0}


class Parameters:
    """The parameter table, in the order of its indices."""

    def __init__(self) -> None:
        self._table = {name: Parameter(value, kind) for name, (value, kind) in _DEFAULTS.items()}
        self.names = tuple(self._table)

    def __getitem__(self, name: str) -> float:
        return self._table[name].value

    def __contains__(self, name: str) -> bool:
        return name in self._table

    def __len__(self) -> int:
        return len(self._table)

    def kind(self, name: str) -> int:
        """The MAV_PARAM_TYPE of a parameter."""
        return self._table[name].kind

    def index(self, name: str) -> int:
        """The index of a parameter in the list."""
        return self.names.index(name)

    def set(self, name: str, value: float) -> None:
        """Set a parameter as the vehicle itself does."""
        self._table[name].value = value

    def set_by_station(self, name: str, value: float) -> bool:
        """Set a parameter as a ground station may; False when it stays as it was."""
        if name in READ_ONLY or not math.isfinite(value):
            return False
        bound = _BOUNDS.get(self._table[name].kind)
        self._table[name].value = value if bound is None else float(round(max(-bound, min(bound, value))))
        return True
