"""What the vehicle reports: one builder for each message that can be asked for."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from pymavlink.dialects.v20 import ardupilotmega as mavlink
from scipy.spatial.transform import Rotation

from patrol.sim.body import GRAVITY_MPS2, limited
from patrol.sim.dialects.ardupilot.copter import Copter
from patrol.sim.dialects.ardupilot.modes import WITHOUT_POSITION
from patrol.sim.dialects.ardupilot.parameters import GimbalFault

Message: TypeAlias = Any  # a pymavlink message; the library ships no types
NO_VALUE_U16 = 65_535
GIMBAL_DEVICE_ID = 1
SATELLITES = 10
SENSORS = (
    mavlink.MAV_SYS_STATUS_SENSOR_3D_GYRO
    | mavlink.MAV_SYS_STATUS_SENSOR_3D_ACCEL
    | mavlink.MAV_SYS_STATUS_SENSOR_3D_MAG
    | mavlink.MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
    | mavlink.MAV_SYS_STATUS_SENSOR_GPS
    | mavlink.MAV_SYS_STATUS_SENSOR_ANGULAR_RATE_CONTROL
    | mavlink.MAV_SYS_STATUS_SENSOR_ATTITUDE_STABILIZATION
    | mavlink.MAV_SYS_STATUS_SENSOR_YAW_POSITION
    | mavlink.MAV_SYS_STATUS_SENSOR_MOTOR_OUTPUTS
    | mavlink.MAV_SYS_STATUS_SENSOR_RC_RECEIVER
    | mavlink.MAV_SYS_STATUS_GEOFENCE
    | mavlink.MAV_SYS_STATUS_AHRS
    | mavlink.MAV_SYS_STATUS_SENSOR_BATTERY
    | mavlink.MAV_SYS_STATUS_PREARM_CHECK
)
POSITION_CONTROL = (
    mavlink.MAV_SYS_STATUS_SENSOR_Z_ALTITUDE_CONTROL | mavlink.MAV_SYS_STATUS_SENSOR_XY_POSITION_CONTROL
)
CAPABILITIES = (
    mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_FLOAT
    | mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_FLOAT
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_INT
    | mavlink.MAV_PROTOCOL_CAPABILITY_COMMAND_INT
    | mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_FENCE
    | mavlink.MAV_PROTOCOL_CAPABILITY_MISSION_RALLY
)
LARGEST_UTC_STEP_S = 1e9  # 30 years: no further than to 1970
VERSION = (4 << 24) | (6 << 16)  # 4.6.0, FIRMWARE_VERSION_TYPE_DEV


class Telemetry:
    """Builds messages from the vehicle's state. A builder gives None when there is nothing to say."""

    def __init__(self, copter: Copter) -> None:
        self._copter = copter
        self._charge_state = mavlink.MAV_BATTERY_CHARGE_STATE_OK
        self._charge_state_s = 0.0
        self._gimbal_q = [1.0, 0.0, 0.0, 0.0]
        ids = mavlink
        self.builders: dict[int, Callable[[], Message | None]] = {
            ids.MAVLINK_MSG_ID_HEARTBEAT: self.heartbeat,
            ids.MAVLINK_MSG_ID_SYS_STATUS: self.sys_status,
            ids.MAVLINK_MSG_ID_SYSTEM_TIME: self.system_time,
            ids.MAVLINK_MSG_ID_GPS_RAW_INT: self.gps_raw_int,
            ids.MAVLINK_MSG_ID_ATTITUDE: self.attitude,
            ids.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: self.global_position_int,
            ids.MAVLINK_MSG_ID_MISSION_CURRENT: self.mission_current,
            ids.MAVLINK_MSG_ID_VFR_HUD: self.vfr_hud,
            ids.MAVLINK_MSG_ID_BATTERY_STATUS: self.battery_status,
            ids.MAVLINK_MSG_ID_AUTOPILOT_VERSION: self.autopilot_version,
            ids.MAVLINK_MSG_ID_FENCE_STATUS: self.fence_status,
            ids.MAVLINK_MSG_ID_WIND: self.wind,
            ids.MAVLINK_MSG_ID_EKF_STATUS_REPORT: self.ekf_status_report,
            ids.MAVLINK_MSG_ID_HOME_POSITION: self.home_position,
            ids.MAVLINK_MSG_ID_EXTENDED_SYS_STATE: self.extended_sys_state,
            ids.MAVLINK_MSG_ID_GIMBAL_MANAGER_INFORMATION: self.gimbal_manager_information,
            ids.MAVLINK_MSG_ID_GIMBAL_MANAGER_STATUS: self.gimbal_manager_status,
            ids.MAVLINK_MSG_ID_GIMBAL_DEVICE_ATTITUDE_STATUS: self.gimbal_device_attitude_status,
            ids.MAVLINK_MSG_ID_CAMERA_INFORMATION: lambda: (
                None
            ),  # accepted, yet nothing comes: there is no camera
        }

    @property
    def _boot_ms(self) -> int:
        return self._copter.drone.boot_ns // 1_000_000 & 0xFFFFFFFF

    def heartbeat(self) -> Message:
        """HEARTBEAT."""
        copter = self._copter
        base_mode = (
            mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
            | mavlink.MAV_MODE_FLAG_STABILIZE_ENABLED
            | mavlink.MAV_MODE_FLAG_MANUAL_INPUT_ENABLED
        )
        if copter.armed:
            base_mode |= mavlink.MAV_MODE_FLAG_SAFETY_ARMED
        if copter.mode not in WITHOUT_POSITION:
            base_mode |= mavlink.MAV_MODE_FLAG_GUIDED_ENABLED
        state = mavlink.MAV_STATE_STANDBY if copter.landed else mavlink.MAV_STATE_ACTIVE
        if copter.failsafes.any_tripped:
            state = mavlink.MAV_STATE_CRITICAL
        return mavlink.MAVLink_heartbeat_message(
            mavlink.MAV_TYPE_QUADROTOR,
            mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA,
            base_mode,
            copter.mode,
            state,
            3,  # MAVLink version field, always 3
        )

    def sys_status(self) -> Message:
        """SYS_STATUS."""
        copter, battery = self._copter, self._copter.drone.battery
        enabled = SENSORS & ~mavlink.MAV_SYS_STATUS_GEOFENCE
        if copter.fence.enabled:
            enabled |= mavlink.MAV_SYS_STATUS_GEOFENCE
        if copter.mode not in WITHOUT_POSITION:
            enabled |= POSITION_CONTROL
        health = SENSORS | POSITION_CONTROL
        if not copter.navigation.has_fix:
            health &= ~mavlink.MAV_SYS_STATUS_SENSOR_GPS
        if not copter.navigation.sensors_checked:
            health &= ~mavlink.MAV_SYS_STATUS_AHRS
        if copter.failsafes.radio_tripped:
            health &= ~mavlink.MAV_SYS_STATUS_SENSOR_RC_RECEIVER
        if copter.failsafes.battery_tripped:
            health &= ~mavlink.MAV_SYS_STATUS_SENSOR_BATTERY
        if copter.fence.breaches:
            health &= ~mavlink.MAV_SYS_STATUS_GEOFENCE
        if not copter.armed and copter.pre_arm_fault is not None:
            health &= ~mavlink.MAV_SYS_STATUS_PREARM_CHECK
        return mavlink.MAVLink_sys_status_message(
            SENSORS | POSITION_CONTROL, enabled, health, 150, round(battery.volt * 1000),
            round(battery.current_a * 100), round(battery.charge * 100), 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def system_time(self) -> Message:
        """SYSTEM_TIME; the clock is set by the GPS, until then it says zero."""
        unix_us = 0
        if self._copter.navigation.has_fix:
            step_us = round(limited(self._copter.parameters["SIM_UTC_STEP"], LARGEST_UTC_STEP_S) * 1e6)
            unix_us = self._copter.drone.utc_ns // 1000 + step_us
        return mavlink.MAVLink_system_time_message(unix_us, self._boot_ms)

    def gps_raw_int(self) -> Message:
        """GPS_RAW_INT."""
        boot_us = self._copter.drone.boot_ns // 1000
        if not self._copter.navigation.has_fix:
            return mavlink.MAVLink_gps_raw_int_message(
                boot_us, mavlink.GPS_FIX_TYPE_NO_FIX, 0, 0, 0, 9999, 9999, 0, 0, 0
            )
        estimate = self._copter.drone.estimate()
        north, east, _ = estimate.velocity_neu_mps
        course_cdeg = round(math.degrees(math.atan2(east, north)) % 360.0 * 100) % 36_000
        return mavlink.MAVLink_gps_raw_int_message(
            boot_us, mavlink.GPS_FIX_TYPE_RTK_FIXED, round(estimate.lat_deg * 1e7),
            round(estimate.lon_deg * 1e7), round(estimate.height_amsl_m * 1000), 121, 200,
            round(math.hypot(north, east) * 100), course_cdeg, SATELLITES,
        )  # fmt: skip

    def attitude(self) -> Message:
        """ATTITUDE."""
        estimate, rates = self._copter.drone.estimate(), self._copter.drone.body.rates_radps
        return mavlink.MAVLink_attitude_message(
            self._boot_ms, estimate.roll_rad, estimate.pitch_rad, estimate.yaw_rad, *rates
        )

    def global_position_int(self) -> Message:
        """GLOBAL_POSITION_INT; without a position it says zeros."""
        copter, estimate = self._copter, self._copter.drone.estimate()
        heading_cdeg = round(math.degrees(estimate.yaw_rad) % 360.0 * 100) % 36_000
        if not copter.has_position:
            return mavlink.MAVLink_global_position_int_message(
                self._boot_ms, 0, 0, 0, round(estimate.up_m * 1000), 0, 0, 0, heading_cdeg
            )
        north, east, up = estimate.velocity_neu_mps
        home_up_m = copter.home_or_start[2]
        return mavlink.MAVLink_global_position_int_message(
            self._boot_ms, round(estimate.lat_deg * 1e7), round(estimate.lon_deg * 1e7),
            round(estimate.height_amsl_m * 1000), round((estimate.up_m - home_up_m) * 1000),
            round(north * 100), round(east * 100), round(-up * 100), heading_cdeg,
        )  # fmt: skip

    def mission_current(self) -> Message:
        """MISSION_CURRENT."""
        mission = self._copter.mission
        return mavlink.MAVLink_mission_current_message(
            mission.current, max(0, len(mission.items) - 1), self._copter.mission_state
        )

    def vfr_hud(self) -> Message:
        """VFR_HUD."""
        estimate, body = self._copter.drone.estimate(), self._copter.drone.body
        north, east, up = estimate.velocity_neu_mps
        speed_mps = math.hypot(north, east)
        throttle = 0
        if self._copter.armed and not body.on_ground:
            throttle = min(100, round(36.0 * (1.0 + up / GRAVITY_MPS2)))  # SITL hovers at 36 %
        heading_deg = round(math.degrees(estimate.yaw_rad)) % 360
        return mavlink.MAVLink_vfr_hud_message(
            speed_mps, speed_mps, heading_deg, max(0, throttle), estimate.height_amsl_m, up
        )

    def battery_status(self) -> Message:
        """BATTERY_STATUS; its charge state follows a failsafe by up to a second, as measured."""
        copter, battery = self._copter, self._copter.drone.battery
        now_s = copter.drone.boot_s
        if now_s - self._charge_state_s >= 1.0:
            self._charge_state, self._charge_state_s = copter.failsafes.battery_level, now_s
        voltages = [round(battery.volt * 1000)] + [NO_VALUE_U16] * 9
        return mavlink.MAVLink_battery_status_message(
            0, mavlink.MAV_BATTERY_FUNCTION_ALL, mavlink.MAV_BATTERY_TYPE_LIPO, 32_767, voltages,
            round(battery.current_a * 100), round(battery.consumed_mah), -1, round(battery.charge * 100), 0,
            self._charge_state,
        )  # fmt: skip

    def autopilot_version(self) -> Message:
        """AUTOPILOT_VERSION."""
        empty = [0] * 8
        return mavlink.MAVLink_autopilot_version_message(
            CAPABILITIES, VERSION, 0, 0, 0, list(b"simulate"), empty, empty, 0, 0, 0
        )

    def fence_status(self) -> Message:
        """FENCE_STATUS."""
        fence = self._copter.fence
        return mavlink.MAVLink_fence_status_message(
            int(fence.breaches != 0), fence.breach_count, fence.breach_type, fence.breach_boot_ms
        )

    def wind(self) -> Message:
        """WIND: the real vehicle was measured to say zero in any wind."""
        return mavlink.MAVLink_wind_message(0.0, 0.0, 0.0)

    def ekf_status_report(self) -> Message:
        """EKF_STATUS_REPORT."""
        variance = 0.02 if self._copter.navigation.has_position else 0.0
        return mavlink.MAVLink_ekf_status_report_message(
            self._copter.navigation.ekf_flags, variance, variance, 0.01, 0.01, 0.0
        )

    def home_position(self) -> Message | None:
        """HOME_POSITION, once there is one."""
        copter = self._copter
        if copter.home is None:
            return None
        north, east, up = copter.home
        lat_deg, lon_deg = copter.drone.frame.to_geodetic(east, north)
        return mavlink.MAVLink_home_position_message(
            round(float(lat_deg) * 1e7), round(float(lon_deg) * 1e7),
            round((up + copter.drone.ground_amsl_m) * 1000), north, east, -up, [1.0, 0.0, 0.0, 0.0],
            0.0, 0.0, 0.0, copter.drone.boot_ns // 1000,
        )  # fmt: skip

    def extended_sys_state(self) -> Message:
        """EXTENDED_SYS_STATE."""
        return mavlink.MAVLink_extended_sys_state_message(
            mavlink.MAV_VTOL_STATE_UNDEFINED, self._copter.landed_state
        )

    def gimbal_manager_information(self) -> Message:
        """GIMBAL_MANAGER_INFORMATION."""
        parameters = self._copter.parameters
        flags = (
            mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_NEUTRAL
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_ROLL_LOCK
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_PITCH_AXIS
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_PITCH_LOCK
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_YAW_AXIS
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_YAW_FOLLOW
            | mavlink.GIMBAL_MANAGER_CAP_FLAGS_HAS_YAW_LOCK
        )
        limits = (parameters[f"MNT1_{axis}"] for axis in ("PITCH_MIN", "PITCH_MAX", "YAW_MIN", "YAW_MAX"))
        return mavlink.MAVLink_gimbal_manager_information_message(
            self._boot_ms,
            flags,
            GIMBAL_DEVICE_ID,
            math.radians(-30.0),
            math.radians(30.0),
            *map(math.radians, limits),
        )

    def gimbal_manager_status(self) -> Message:
        """GIMBAL_MANAGER_STATUS: nobody needs to take control."""
        return mavlink.MAVLink_gimbal_manager_status_message(
            self._boot_ms, self._gimbal_flags, GIMBAL_DEVICE_ID, 0, 0, 0, 0
        )

    @property
    def _gimbal_flags(self) -> int:
        flags = mavlink.GIMBAL_DEVICE_FLAGS_ROLL_LOCK | mavlink.GIMBAL_DEVICE_FLAGS_PITCH_LOCK
        if self._copter.drone.gimbal.yaw_locked:
            flags |= mavlink.GIMBAL_DEVICE_FLAGS_YAW_LOCK
        return int(flags)

    def gimbal_device_attitude_status(self) -> Message | None:
        """GIMBAL_DEVICE_ATTITUDE_STATUS; its yaw is against the nose whatever the flags say, as measured."""
        parameters = self._copter.parameters
        fault = int(parameters["SIM_MNT_FAULT"])
        if fault == GimbalFault.SILENT:
            return None
        if fault != GimbalFault.FROZEN:
            estimate = self._copter.drone.estimate()
            angles = [estimate.gimbal_yaw_rad, estimate.gimbal_pitch_rad, estimate.gimbal_roll_rad]
            x, y, z, w = Rotation.from_euler("ZYX", angles).as_quat()
            self._gimbal_q = [w, x, y, z]
        q = [math.nan] * 4 if fault == GimbalFault.NOT_A_NUMBER else self._gimbal_q
        return mavlink.MAVLink_gimbal_device_attitude_status_message(
            0, 0, self._boot_ms, self._gimbal_flags, q, math.nan, math.nan, math.nan,
            int(parameters["SIM_MNT_FAIL"]) & 0xFFFFFFFF, math.nan, math.nan, GIMBAL_DEVICE_ID,
        )  # fmt: skip
