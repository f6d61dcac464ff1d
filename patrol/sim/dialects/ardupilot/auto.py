"""AUTO: what each mission item makes the vehicle do, and when it counts as done."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.body import Vector
from patrol.sim.dialects.ardupilot.guidance import distance_m
from patrol.sim.dialects.ardupilot.items import RELATIVE_FRAMES, Item
from patrol.sim.dialects.ardupilot.mission import Mission, MissionState
from patrol.sim.dialects.ardupilot.pilot import Leg
from patrol.sim.drone import STEP_S

if TYPE_CHECKING:
    from patrol.sim.dialects.ardupilot.copter import Copter

FLOWING = (
    mavlink.MAV_CMD_NAV_WAYPOINT,
    mavlink.MAV_CMD_NAV_LOITER_UNLIM,
    mavlink.MAV_CMD_NAV_LOITER_TIME,
)


class Auto:
    """Flies the mission."""

    def __init__(self, copter: "Copter") -> None:
        self._copter = copter
        self._pilot = copter.pilot
        self.mission = Mission(self._start, self._verify)
        self._waits = False
        self._changes_seen = 0
        self._held_s: float | None = None
        self._delay_s = 0.0
        self._starters: dict[int, Callable[[int, Item], None]] = {
            mavlink.MAV_CMD_NAV_WAYPOINT: self._start_waypoint,
            mavlink.MAV_CMD_NAV_LOITER_UNLIM: self._start_waypoint,
            mavlink.MAV_CMD_NAV_LOITER_TIME: self._start_waypoint,
            mavlink.MAV_CMD_NAV_TAKEOFF: lambda _, item: self._pilot.take_off(self._target(item)[2]),
            mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: lambda _seq, _item: copter.go_home(),
            mavlink.MAV_CMD_NAV_LAND: self._start_land,
            mavlink.MAV_CMD_NAV_DELAY: self._start_delay,
            mavlink.MAV_CMD_CONDITION_DELAY: self._start_delay,
            mavlink.MAV_CMD_CONDITION_YAW: self._start_yaw,
            mavlink.MAV_CMD_DO_CHANGE_SPEED: self._start_speed,
            mavlink.MAV_CMD_DO_MOUNT_CONTROL: self._start_mount,
            mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW: self._start_gimbal,
            mavlink.MAV_CMD_DO_FENCE_ENABLE: self._start_fence,
        }
        self._verifiers: dict[int, Callable[[Item], bool]] = {
            mavlink.MAV_CMD_NAV_WAYPOINT: self._verify_waypoint,
            mavlink.MAV_CMD_NAV_LOITER_UNLIM: lambda _: False,
            mavlink.MAV_CMD_NAV_LOITER_TIME: self._verify_waypoint,
            mavlink.MAV_CMD_NAV_TAKEOFF: lambda _: not copter.landed and self._pilot.is_up,
            mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH: lambda _: copter.landed and self._pilot.is_coming_down,
            mavlink.MAV_CMD_NAV_LAND: self._verify_land,
            mavlink.MAV_CMD_NAV_DELAY: self._verify_delay,
            mavlink.MAV_CMD_CONDITION_DELAY: self._verify_delay,
            mavlink.MAV_CMD_CONDITION_DISTANCE: self._verify_distance,
            mavlink.MAV_CMD_CONDITION_YAW: self._verify_yaw,
        }

    def enter(self) -> None:
        """The mode has become AUTO; the mission begins or goes on at the next step."""
        self._waits = True

    def begin(self) -> None:
        """Begin the mission, or take it up again."""
        self._waits = False
        self._changes_seen = self.mission.changes
        self.mission.start_or_resume(restart=self._copter.parameters["MIS_RESTART"] == 1)

    def step(self) -> None:
        """Work on the mission for one step."""
        if self._waits:
            self.begin()
            return
        if self.mission.changes != self._changes_seen:
            self._changes_seen = self.mission.changes
            self._take_changes()
        if self._pilot.paused:
            return
        was_running = self.mission.state is MissionState.RUNNING
        self.mission.update()
        if was_running and self.mission.state is MissionState.COMPLETE:
            self._end()

    def _take_changes(self) -> None:
        if self.mission.state is not MissionState.RUNNING or self._pilot.leg is not Leg.WAYPOINT:
            return
        restarted = self.mission.restart_current()
        words = "changed, restarted command" if restarted else "changed but failed to restart command"
        self._copter.listener.text(mavlink.MAV_SEVERITY_CRITICAL, f"Auto mission {words}")
        if not restarted:
            self._end()

    def _end(self) -> None:
        if self._copter.landed:
            self._copter.disarm()
        else:
            self._pilot.hold()

    def _start(self, seq: int, item: Item) -> None:
        name = mavlink.enums["MAV_CMD"][item.command].name.removeprefix("MAV_CMD_").removeprefix("NAV_")
        self._copter.listener.text(mavlink.MAV_SEVERITY_INFO, f"Mission: {seq} {name}")
        if item.is_navigation:
            self._held_s = None
        starter = self._starters.get(item.command)
        if starter is not None:
            starter(seq, item)

    def _verify(self, seq: int, item: Item) -> bool:
        verifier = self._verifiers.get(item.command)
        done = verifier is None or verifier(item)
        if done:
            if item.command in FLOWING:
                self._copter.listener.text(mavlink.MAV_SEVERITY_INFO, f"Reached command #{seq}")
            self._copter.listener.item_reached(seq)
        return done

    def _target(self, item: Item) -> Vector:
        """Where an item leads; zeros in it mean the present place or height."""
        pilot, home_up_m = self._pilot, self._copter.home_or_start[2]
        arrived = pilot.leg is Leg.WAYPOINT and pilot.is_at_target
        north_m, east_m, up_m = pilot.target if arrived else pilot.position
        if item.has_position:
            north_m, east_m = self._copter.place_of(item.x, item.y)
        if item.z != 0:
            up_m = item.z + (
                home_up_m if item.frame in RELATIVE_FRAMES else -self._copter.drone.ground_amsl_m
            )
        return north_m, east_m, up_m

    def _start_waypoint(self, seq: int, item: Item) -> None:
        following = self.mission.next_navigation(seq)
        flows_on = following is not None and following.command in FLOWING and item.parameters[0] == 0
        stop = item.command != mavlink.MAV_CMD_NAV_WAYPOINT or not flows_on
        self._pilot.fly_to(self._target(item), stop=stop)

    def _start_land(self, _seq: int, item: Item) -> None:
        north_m, east_m, _ = self._target(item)
        self._pilot.fly_to((north_m, east_m, self._pilot.position[2]), stop=True, leg=Leg.LAND)

    def _start_delay(self, _seq: int, item: Item) -> None:
        self._delay_s = item.parameters[0]

    def _start_yaw(self, _seq: int, item: Item) -> None:
        angle_deg, rate_degps, direction, relative = item.parameters
        self._pilot.turn_to(angle_deg, rate_degps, direction, relative=relative > 0)

    def _start_speed(self, _seq: int, item: Item) -> None:
        self._pilot.set_speed(*item.parameters[:2])

    def _start_mount(self, _seq: int, item: Item) -> None:
        pitch_deg, roll_deg, yaw_deg, _ = item.parameters
        self._copter.point_gimbal(pitch_deg, roll_deg, yaw_deg, yaw_locked=False)

    def _start_gimbal(self, _seq: int, item: Item) -> None:
        pitch_deg, yaw_deg, _, _ = item.parameters
        locked = bool(item.x & mavlink.GIMBAL_MANAGER_FLAGS_YAW_LOCK)
        self._copter.point_gimbal(pitch_deg, 0.0, yaw_deg, yaw_locked=locked)

    def _start_fence(self, _seq: int, item: Item) -> None:
        self._copter.parameters.set("FENCE_ENABLE", float(item.parameters[0] == 1))

    def _verify_waypoint(self, item: Item) -> bool:
        if self._held_s is None:
            if not self._pilot.is_at_target:
                return False
            self._held_s = 0.0
        self._held_s += STEP_S
        return self._held_s >= item.parameters[0]

    def _verify_land(self, _item: Item) -> bool:
        """Never done: the vehicle disarms on the ground, and the item is not reported as reached."""
        if not self._pilot.is_coming_down and self._pilot.is_at_target:
            self._pilot.descend()
        return False

    def _verify_delay(self, _item: Item) -> bool:
        self._delay_s -= STEP_S
        return self._delay_s <= 0

    def _verify_distance(self, item: Item) -> bool:
        return distance_m(self._pilot.position, self._pilot.target) < item.parameters[0]

    def _verify_yaw(self, _item: Item) -> bool:
        self._pilot.keep_turning()
        return self._pilot.has_turned
