"""What makes ArduCopter fly home or land by itself: battery, ground station, radio, loss of position."""

from typing import TYPE_CHECKING

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.dialects.ardupilot.modes import WITHOUT_POSITION

if TYPE_CHECKING:
    from patrol.sim.dialects.ardupilot.copter import Copter

RADIO_LOST_S = 1.0  # measured
ACTION_LAND = 1  # BATT_FS_LOW_ACT and BATT_FS_CRT_ACT
GCS_LAND = 5  # FS_GCS_ENABLE


class Failsafes:
    """The watches; a tripped one is told once and acts once."""

    def __init__(self, copter: "Copter") -> None:
        self._copter = copter
        self._station_heard_s: float | None = None
        self._low_s = 0.0
        self._critical_s = 0.0
        self._radio_lost_s = 0.0
        self.battery_level = mavlink.MAV_BATTERY_CHARGE_STATE_OK
        self.station_tripped = False
        self.radio_tripped = False
        self.position_tripped = False

    @property
    def battery_tripped(self) -> bool:
        """True once the battery was found low; it stays so."""
        return bool(self.battery_level != mavlink.MAV_BATTERY_CHARGE_STATE_OK)

    @property
    def any_tripped(self) -> bool:
        """True while any failsafe is active."""
        return self.battery_tripped or self.station_tripped or self.radio_tripped or self.position_tripped

    def station_heard(self) -> None:
        """A heartbeat of the vehicle's own ground station (SYSID_MYGCS) came in."""
        self._station_heard_s = self._copter.drone.boot_s
        if self.station_tripped:
            self.station_tripped = False
            self._copter.listener.text(mavlink.MAV_SEVERITY_WARNING, "GCS Failsafe Cleared")

    def step(self, dt_s: float) -> None:
        """Watch for another `dt_s`."""
        self._watch_battery(dt_s)
        self._watch_station()
        self._watch_radio(dt_s)
        self._watch_position()

    def _watch_battery(self, dt_s: float) -> None:
        copter, battery = self._copter, self._copter.drone.battery
        parameters = copter.parameters
        low_mah = parameters["BATT_LOW_MAH"]
        is_low = (
            battery.volt < parameters["BATT_LOW_VOLT"]
            or battery.capacity_mah - battery.consumed_mah < low_mah
        )
        is_critical = battery.volt < parameters["BATT_CRT_VOLT"]
        self._low_s = self._low_s + dt_s if is_low else 0.0
        self._critical_s = self._critical_s + dt_s if is_critical else 0.0
        patience_s = parameters["BATT_LOW_TIMER"]
        level, action = self.battery_level, 0.0
        if self._critical_s >= patience_s and is_critical:
            level, action = mavlink.MAV_BATTERY_CHARGE_STATE_CRITICAL, parameters["BATT_FS_CRT_ACT"]
        elif self._low_s >= patience_s and is_low:
            level, action = mavlink.MAV_BATTERY_CHARGE_STATE_LOW, parameters["BATT_FS_LOW_ACT"]
        if level <= self.battery_level:
            return
        self.battery_level = level
        word = "low" if level == mavlink.MAV_BATTERY_CHARGE_STATE_LOW else "critical"
        copter.listener.text(
            mavlink.MAV_SEVERITY_WARNING,
            f"Battery 1 is {word} {battery.volt:.2f}V used {battery.consumed_mah:.0f} mAh",
        )
        self._act(land=action == ACTION_LAND, wanted=action > 0)

    def _watch_station(self) -> None:
        copter = self._copter
        enabled = copter.parameters["FS_GCS_ENABLE"]
        if not enabled or self._station_heard_s is None or self.station_tripped:
            return
        if copter.drone.boot_s - self._station_heard_s > copter.parameters["FS_GCS_TIMEOUT"]:
            self.station_tripped = True
            copter.listener.text(mavlink.MAV_SEVERITY_CRITICAL, "GCS Failsafe")
            self._act(land=enabled == GCS_LAND)

    def _watch_radio(self, dt_s: float) -> None:
        parameters = self._copter.parameters
        lost = bool(parameters["SIM_RC_FAIL"]) and bool(parameters["FS_THR_ENABLE"])
        self._radio_lost_s = self._radio_lost_s + dt_s if lost else 0.0
        tripped = self._radio_lost_s >= RADIO_LOST_S
        if tripped and not self.radio_tripped:
            self._copter.listener.text(mavlink.MAV_SEVERITY_WARNING, "Radio Failsafe")
            self._act(land=False)
        self.radio_tripped = tripped

    def _watch_position(self) -> None:
        copter = self._copter
        tripped = copter.navigation.failsafe
        if tripped and not self.position_tripped and copter.armed and copter.mode not in WITHOUT_POSITION:
            copter.listener.text(mavlink.MAV_SEVERITY_CRITICAL, "EKF Failsafe: changed to LAND Mode")
            self._act(land=True)
        self.position_tripped = tripped

    def _act(self, *, land: bool, wanted: bool = True) -> None:
        """Fly home or land, if there is a flight to end."""
        copter = self._copter
        if not wanted or not copter.armed:
            return
        if copter.landed:
            copter.disarm()
        elif land:
            copter.land()
        else:
            copter.return_or_land()
