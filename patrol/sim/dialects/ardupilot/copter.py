"""ArduCopter's mind: modes, arming, and the failsafes that take over."""

import math
from typing import Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.body import STILL, Demand, GimbalTarget, Vector, Wind, limited, wrap_pi
from patrol.sim.dialects.ardupilot.auto import Auto
from patrol.sim.dialects.ardupilot.failsafes import Failsafes
from patrol.sim.dialects.ardupilot.fence import NAMES, Fence
from patrol.sim.dialects.ardupilot.guidance import CENTI
from patrol.sim.dialects.ardupilot.mission import MissionState
from patrol.sim.dialects.ardupilot.modes import ARMABLE, BY_HAND, WITHOUT_POSITION, Mode
from patrol.sim.dialects.ardupilot.navigation import Navigation
from patrol.sim.dialects.ardupilot.parameters import Parameters
from patrol.sim.dialects.ardupilot.pilot import Leg, Pilot
from patrol.sim.drone import STEP_S, Drone

LANDED_AFTER_S = 1.0  # ArduCopter LAND_DETECTOR_TRIGGER_SEC
SPOOL_UP_S = 1.5  # from arming to thrust that lifts
AUTO_ALLOW_ARMING = 1  # bits of AUTO_OPTIONS
AUTO_TAKEOFF_WITHOUT_THROTTLE = 2
LARGEST_VOLT = 65.0  # that SYS_STATUS can tell
ROLL_LIMIT_DEG = 30.0
MOUNT_KEEPS_TARGET = 2  # MNT1_DEFLT_MODE: MAVLink targeting


class Listener(Protocol):
    """Hears what the vehicle says unasked."""

    def text(self, severity: int, text: str) -> None:
        """A STATUSTEXT."""

    def item_reached(self, seq: int) -> None:
        """A mission item is done."""

    def home_moved(self) -> None:
        """Home has been set."""


class Copter:
    """The autopilot's state; `step` decides what the drone is asked to do next."""

    def __init__(self, drone: Drone, listener: Listener, *, boot_s: float) -> None:
        self.drone = drone
        self.listener = listener
        self.parameters = Parameters()
        self.parameters.set("BATT_CAPACITY", drone.battery.capacity_mah)
        self.parameters.set("SIM_WIND_SPD", drone.wind.speed_mps)
        self.parameters.set("SIM_WIND_DIR", drone.wind.from_deg)
        self.navigation = Navigation(boot_s)
        self.fence = Fence(self.parameters, drone.frame)
        self.failsafes = Failsafes(self)
        self.pilot = Pilot(drone, self.parameters)
        self._auto = Auto(self)
        self.mission = self._auto.mission
        self.rally_points: tuple[Vector, ...] = ()
        self.mode = Mode.STABILIZE
        self.armed = False
        self.landed = True
        self.home: Vector | None = None
        self._told_position = False
        self._may_take_off = False
        self._armed_s = self._idle_s = self._grounded_s = 0.0

    # What others may ask

    @property
    def position(self) -> Vector:
        """Where the vehicle is, metres north, east and up of where it was switched on."""
        return self.drone.body.position_neu_m

    @property
    def home_or_start(self) -> Vector:
        """Home, before it is set the place where the vehicle was switched on."""
        return self.home if self.home is not None else STILL

    @property
    def has_position(self) -> bool:
        """True when modes that need a position may be flown."""
        return self.navigation.has_position and self.home is not None

    @property
    def pre_arm_fault(self) -> str | None:
        """Why the pre-arm bit is not set, None when it is."""
        faults = {
            "GPS 1: Bad fix": not self.navigation.has_fix,
            "AHRS: not ready": not self.navigation.sensors_checked,
            "Battery 1 low voltage failsafe": self.failsafes.battery_tripped,
            "Radio failsafe on": self.failsafes.radio_tripped,
            "Vehicle breaching Fence": self.fence.enabled
            and self.fence.broken_at(self.position, self.home_or_start) != 0,
        }
        return next((fault for fault, found in faults.items() if found), None)

    @property
    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        state: int = mavlink.MAV_LANDED_STATE_IN_AIR
        if self.landed:
            state = mavlink.MAV_LANDED_STATE_ON_GROUND
        elif self.pilot.is_coming_down:
            state = mavlink.MAV_LANDED_STATE_LANDING
        elif self.pilot.leg is Leg.TAKEOFF:
            state = mavlink.MAV_LANDED_STATE_TAKEOFF
        return state

    @property
    def mission_state(self) -> int:
        """MISSION_STATE."""
        state: int = {
            MissionState.STOPPED: mavlink.MISSION_STATE_NOT_STARTED,
            MissionState.RUNNING: mavlink.MISSION_STATE_ACTIVE,
            MissionState.COMPLETE: mavlink.MISSION_STATE_COMPLETE,
        }[self.mission.state]
        if not self.mission.is_present:
            state = mavlink.MISSION_STATE_NO_MISSION
        if self.pilot.paused:
            state = mavlink.MISSION_STATE_PAUSED
        return state

    def place_of(self, lat_e7: int, lon_e7: int) -> tuple[float, float]:
        """(north, east) in metres of a position in degrees times 1e7."""
        east_m, north_m = self.drone.frame.to_enu(lat_e7 / 1e7, lon_e7 / 1e7)
        return float(north_m), float(east_m)

    # What a ground station may command

    def arm(self, *, force: bool) -> bool:
        """Arm; a refusal is told by STATUSTEXT."""
        if self.armed:
            return True
        fault = None if force else self._arming_fault()
        if fault is not None:
            self.listener.text(mavlink.MAV_SEVERITY_CRITICAL, f"Arm: {fault}")
            return False
        self.listener.text(mavlink.MAV_SEVERITY_INFO, "Arming motors")
        self.armed, self._armed_s, self._idle_s = True, 0.0, 0.0
        by_itself = int(self.parameters["AUTO_OPTIONS"]) & AUTO_TAKEOFF_WITHOUT_THROTTLE
        self._may_take_off = self.mode is Mode.AUTO and bool(by_itself)
        if self.home is not None:
            self.set_home(self.position)
        return True

    def _arming_fault(self) -> str | None:
        in_auto = self.mode is Mode.AUTO and int(self.parameters["AUTO_OPTIONS"]) & AUTO_ALLOW_ARMING
        if (fault := self.pre_arm_fault) is not None:
            return fault
        if self.mode not in ARMABLE and not in_auto:
            return f"{self.mode.name} mode not armable"
        if self.mode not in WITHOUT_POSITION and not self.has_position:
            return "Need Position Estimate"
        return None

    def disarm(self, *, force: bool = False) -> bool:
        """Disarm; refused in the air unless forced."""
        if self.armed and not self.landed and not force:
            return False
        if self.armed:
            self.listener.text(mavlink.MAV_SEVERITY_INFO, "Disarming motors")
            self.armed = self._may_take_off = self.pilot.paused = False
            self.pilot.idle()
            self.mission.rewind()
        return True

    def set_mode(self, mode: Mode) -> bool:
        """Change the mode; a refusal is told by STATUSTEXT."""
        if mode is self.mode:
            return True
        fault = self._mode_fault(mode)
        if fault is not None:
            self.listener.text(mavlink.MAV_SEVERITY_WARNING, f"Mode change to {mode.name} failed: {fault}")
            return False
        if self.mode is Mode.AUTO:
            self.mission.stop()
            if int(self.parameters["MNT1_DEFLT_MODE"]) != MOUNT_KEEPS_TARGET:
                self.drone.gimbal = GimbalTarget()
        self.mode = mode
        self.pilot.reset()
        match mode:
            case Mode.AUTO:
                self._auto.enter()
            case Mode.RTL:
                self.go_home()
            case Mode.LAND:
                self.pilot.descend()
        return True

    def _mode_fault(self, mode: Mode) -> str | None:
        if mode not in WITHOUT_POSITION and not self.has_position:
            return "requires position"
        if mode is Mode.AUTO and not self.mission.is_present:
            return "init failed"
        if mode is Mode.AUTO and self.armed and self.landed and not self.mission.starts_with_takeoff:
            self.listener.text(mavlink.MAV_SEVERITY_CRITICAL, "Auto: Missing Takeoff Cmd")
            return "init failed"
        return None

    def start_mission(self) -> bool:
        """MISSION_START: enter AUTO and allow the take-off."""
        if not self.set_mode(Mode.AUTO):
            return False
        self._may_take_off = True
        if self.mission.state is not MissionState.RUNNING:
            self._auto.begin()
        return True

    def set_paused(self, *, paused: bool) -> bool:
        """DO_PAUSE_CONTINUE: possible in GUIDED, and on a leg of AUTO that has not ended."""
        pilot = self.pilot
        on_leg = self.mode is Mode.AUTO and pilot.leg is Leg.WAYPOINT and not pilot.is_at_target
        possible = self.mode is Mode.GUIDED or on_leg or (self.mode is Mode.AUTO and not paused)
        if possible:
            pilot.paused = paused
        return possible

    def take_off(self, height_above_home_m: float) -> bool:
        """NAV_TAKEOFF as a command: only in GUIDED, armed and on the ground."""
        if self.mode is not Mode.GUIDED or not self.armed or not self.landed:
            return False
        if not 0 < height_above_home_m < math.inf:
            return False
        self._may_take_off = True
        self.pilot.take_off(self.home_or_start[2] + height_above_home_m)
        return True

    def reposition(self, target: Vector, *, change_mode: bool) -> bool:
        """DO_REPOSITION: fly there in GUIDED."""
        if self.landed or (self.mode is not Mode.GUIDED and not (change_mode and self.set_mode(Mode.GUIDED))):
            return False
        self.pilot.fly_to(target, stop=True)
        return True

    def point_gimbal(self, pitch_deg: float, roll_deg: float, yaw_deg: float, *, yaw_locked: bool) -> bool:
        """Turn the gimbal, clamped to its limits; False for what are no angles."""
        if not all(map(math.isfinite, (pitch_deg, roll_deg, yaw_deg))):
            return False
        parameters = self.parameters
        pitch_deg = max(parameters["MNT1_PITCH_MIN"], min(parameters["MNT1_PITCH_MAX"], pitch_deg))
        if not yaw_locked:
            yaw_deg = max(parameters["MNT1_YAW_MIN"], min(parameters["MNT1_YAW_MAX"], yaw_deg))
        self.drone.gimbal = GimbalTarget(
            math.radians(limited(roll_deg, ROLL_LIMIT_DEG)),
            math.radians(pitch_deg),
            wrap_pi(math.radians(yaw_deg)),
            yaw_locked,
        )
        return True

    def set_home(self, place: Vector) -> None:
        """Set home and tell it."""
        self.home = place
        self.listener.home_moved()

    # What the vehicle does by itself

    def go_home(self) -> None:
        """Return to home or a rally point, in RTL as in a mission."""
        self.pilot.go_home(self.home_or_start, self.rally_points)

    def land(self) -> None:
        """Come down here; possible without a position."""
        self.set_mode(Mode.LAND)

    def return_or_land(self) -> None:
        """Come home if the position allows it, else come down."""
        if self.mode not in (Mode.RTL, Mode.LAND) and not self.set_mode(Mode.RTL):
            self.land()

    def step(self) -> None:
        """Decide what the drone is asked to do in the coming step."""
        self._take_injected_faults()
        self._navigate()
        self.failsafes.step(STEP_S)
        self._keep_fence()
        if self.mode is Mode.AUTO:
            self._auto.step()
        self.drone.motors_on = self.armed
        velocity = self._velocity()
        self.drone.demand = Demand(velocity, self.pilot.yaw_rad(), self.pilot.yaw_rate_radps)
        self._detect_ground(velocity)

    def _take_injected_faults(self) -> None:
        self.drone.wind = Wind(self.parameters["SIM_WIND_SPD"], self.parameters["SIM_WIND_DIR"])
        volt = self.parameters["SIM_BATT_VOLTAGE"]
        self.drone.battery.forced_volt = min(volt, LARGEST_VOLT) if volt > 0 else None

    def _navigate(self) -> None:
        self.navigation.step(STEP_S, gps_works=self.parameters["SIM_GPS1_ENABLE"] == 1)
        if self.home is None and self.navigation.may_set_home:
            self.set_home(self.position)
        if self.has_position and not self._told_position:
            self._told_position = True
            self.listener.text(mavlink.MAV_SEVERITY_INFO, "EKF3 IMU0 is using GPS")

    def _keep_fence(self) -> None:
        if not self.armed or self.landed:
            return
        new = self.fence.update(self.position, self.home_or_start, int(self.drone.boot_s * 1000))
        if new:
            names = "+".join(name for bit, name in NAMES.items() if new & bit)
            self.listener.text(mavlink.MAV_SEVERITY_WARNING, f"{names} fence breached")
            if self.parameters["FENCE_ACTION"] > 0:
                self.return_or_land()

    def _velocity(self) -> Vector:
        if not self.armed or (self.landed and not self._lifts_off):
            return STILL
        if self.mode in BY_HAND:  # nobody holds the sticks: throttle is down
            return 0.0, 0.0, -self.parameters["PILOT_SPEED_UP"] * CENTI
        if self.mode is Mode.BRAKE:
            return STILL
        if self.mode is Mode.GUIDED and self.pilot.leg is Leg.TAKEOFF and self.pilot.is_up:
            self.pilot.hold()
        return self.pilot.velocity()

    @property
    def _lifts_off(self) -> bool:
        wants_up = self.pilot.leg is Leg.TAKEOFF and self._may_take_off and not self.pilot.paused
        return wants_up and self._armed_s >= SPOOL_UP_S

    def _detect_ground(self, velocity: Vector) -> None:
        """Tell landed from flying, and disarm on the ground when nothing is left to do."""
        self._armed_s += STEP_S
        if not self.drone.body.on_ground:
            self.landed, self._grounded_s, self._idle_s = False, 0.0, 0.0
            return
        if not self.landed and velocity[2] <= 0:
            self._grounded_s += STEP_S
            self.landed = self._grounded_s >= LANDED_AFTER_S
        if not self.armed or not self.landed or self._lifts_off:
            return
        self._idle_s += STEP_S
        # A mission's way home ends with its item, in the next step; a mission's landing ends here.
        mission_goes_on = self.mode is Mode.AUTO and self.pilot.leg is Leg.RETURN
        has_come_down = self.pilot.is_coming_down and not mission_goes_on
        if has_come_down or self._idle_s >= self.parameters["DISARM_DELAY"] > 0:
            self.disarm()
