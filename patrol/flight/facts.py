"""What the vehicle says of itself, as last heard, and the same passed on in the words of the house.

All numbers from the vehicle are checked here: what is not finite or lies outside the possible is not used.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, GimbalSample, LensSample, PositionSample, VehicleStatus
from patrol.flight.gimbal import GimbalReader, YawAgainstNose
from patrol.flight.link import Link
from patrol.flight.listener import GuardedListener, SortieListener
from patrol.flight.texts import TextAssembler, VehicleText
from patrol.flight.vehicle_clock import VehicleClock
from patrol.flight.wire import Message, mavlink

# Texts that explain what happens now: the latest few. ArduPilot repeats its pre-arm reasons every 30 s.
_TEXTS_KEPT = 8
_TEXT_EXPLAINS_FOR_S = 35.0
# Facts older than this say nothing about now. All of them are asked for at 1 Hz or more.
_GOOD_FOR_S = 3.0
_UNKNOWN_UINT16 = 65_535
_MAIN_BATTERY = 0
# Cameras of the autopilot are numbered from 1, 0 where there is but one; the first is looked through.
_FIRST_CAMERA = (0, 1)

# The states of EXTENDED_SYS_STATE in which it has left the ground.
AIRBORNE = (
    mavlink.MAV_LANDED_STATE_IN_AIR,
    mavlink.MAV_LANDED_STATE_TAKEOFF,
    mavlink.MAV_LANDED_STATE_LANDING,
)


@dataclass
class Facts:
    """The vehicle as last heard. None: not heard yet.

    `heard_at_s` holds when each kind of message came last, `good_for_s` how long it counts.
    """

    armed: bool | None = None
    mode: int | None = None
    landed_state: int | None = None
    position: PositionSample | None = None
    heading_rad: float | None = None
    estimator_flags: int | None = None
    home_known: bool = False
    prearm_good: bool | None = None
    gps_fix: int | None = None
    gps_satellites: int | None = None
    battery_percent: float | None = None
    battery_volt: float | None = None
    mission_seq: int | None = None
    mission_state: int | None = None
    reached_seq: int | None = None
    heard_at_s: dict[str, float] = field(default_factory=dict)
    texts: list[tuple[float, VehicleText]] = field(default_factory=list)
    good_for_s: float = _GOOD_FOR_S

    def fresh(self, kind: str, now_s: float) -> bool:
        """True when what messages of this kind told still counts."""
        return now_s - self.heard_at_s.get(kind, -math.inf) <= self.good_for_s


class FactKeeper:
    """Keeps `facts` from the link's messages and passes telemetry on to the listener."""

    def __init__(
        self,
        link: Link,
        listener: SortieListener,
        *,
        mode_name: Callable[[int], str],
        gimbal_yaw: YawAgainstNose,
    ) -> None:
        self.facts = Facts(good_for_s=link.clock.patience_s(_GOOD_FOR_S))
        self._link = link
        self._listener = GuardedListener(listener)
        self._mode_name = mode_name
        self._time = VehicleClock(link.clock)
        self._gimbal_reader = GimbalReader(gimbal_yaw, self._listener.text)
        self._texts = TextAssembler()
        self._handlers: dict[str, Callable[[Message], None]] = {
            "HEARTBEAT": self._heartbeat,
            "SYSTEM_TIME": self._system_time,
            "TIMESYNC": self._timesync,
            "SYS_STATUS": self._sys_status,
            "BATTERY_STATUS": self._battery,
            "GPS_RAW_INT": self._gps,
            "EKF_STATUS_REPORT": self._estimator,
            "HOME_POSITION": self._home,
            "EXTENDED_SYS_STATE": self._extended_state,
            "GLOBAL_POSITION_INT": self._position,
            "ATTITUDE": self._attitude,
            "GIMBAL_DEVICE_ATTITUDE_STATUS": self._gimbal,
            "CAMERA_FOV_STATUS": self._lens,
            "MISSION_CURRENT": self._mission_current,
            "MISSION_ITEM_REACHED": self._item_reached,
            "STATUSTEXT": self._statustext,
        }

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the facts up to date while the block runs."""
        with ExitStack() as stack:
            for kind in self._handlers:
                stack.enter_context(self._link.subscribed(self._take, kind))
            yield

    def recent_reasons(self) -> tuple[str, ...]:
        """The vehicle's latest warnings, oldest first, each once."""
        since_s = self._link.clock.monotonic_s() - _TEXT_EXPLAINS_FOR_S
        return tuple(
            dict.fromkeys(
                text.sentence
                for heard_at_s, text in self.facts.texts
                if heard_at_s >= since_s and text.severity <= mavlink.MAV_SEVERITY_WARNING
            )
        )

    def forget_texts(self) -> None:
        """Start afresh: what the vehicle said so far explains nothing that comes."""
        self.facts.texts.clear()

    def _take(self, message: Message) -> None:
        kind = message.get_type()
        self.facts.heard_at_s[kind] = self._link.clock.monotonic_s()
        self._handlers[kind](message)
        self._ask_time()

    def _heartbeat(self, message: Message) -> None:
        facts = self.facts
        facts.armed = bool(message.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED)
        facts.mode = message.custom_mode
        self._listener.vehicle(
            VehicleStatus(
                at_ns=self._link.clock.utc_ns(),
                armed=facts.armed,
                mode=self._mode_name(message.custom_mode),
                landed=_landed(facts.landed_state),
                battery_percent=facts.battery_percent,
                battery_volt=facts.battery_volt,
                mission_item=facts.mission_seq,
                gps_satellites=facts.gps_satellites,
            )
        )
        self._tell_texts(self._texts.stale(self._link.clock.monotonic_s()))

    def _sys_status(self, message: Message) -> None:
        facts = self.facts
        facts.prearm_good = bool(message.onboard_control_sensors_health & mavlink.MAV_SYS_STATUS_PREARM_CHECK)
        facts.battery_percent = _percent(message.battery_remaining)
        if message.voltage_battery != _UNKNOWN_UINT16:
            facts.battery_volt = message.voltage_battery / 1000.0

    def _battery(self, message: Message) -> None:
        if message.id == _MAIN_BATTERY and _percent(message.battery_remaining) is not None:
            self.facts.battery_percent = _percent(message.battery_remaining)

    def _gps(self, message: Message) -> None:
        self.facts.gps_fix = message.fix_type
        self.facts.gps_satellites = None if message.satellites_visible == 255 else message.satellites_visible

    def _estimator(self, message: Message) -> None:
        self.facts.estimator_flags = message.flags

    def _home(self, message: Message) -> None:
        self.facts.home_known = _on_earth(message.latitude / 1e7, message.longitude / 1e7)

    def _extended_state(self, message: Message) -> None:
        self.facts.landed_state = message.landed_state

    def _mission_current(self, message: Message) -> None:
        self.facts.mission_seq = message.seq
        self.facts.mission_state = message.mission_state

    def _item_reached(self, message: Message) -> None:
        self.facts.reached_seq = message.seq

    def _position(self, message: Message) -> None:
        lat_deg, lon_deg = message.lat / 1e7, message.lon / 1e7
        if not _on_earth(lat_deg, lon_deg):
            return
        at_ns = self._utc_ns(message)
        self.facts.position = PositionSample(
            at_ns=self._link.clock.utc_ns() if at_ns is None else at_ns,
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            height=Amsl(message.alt / 1000.0),
            height_above_home_m=message.relative_alt / 1000.0,
            velocity_north_mps=message.vx / 100.0,
            velocity_east_mps=message.vy / 100.0,
            velocity_down_mps=message.vz / 100.0,
        )
        if at_ns is not None:
            self._listener.position(self.facts.position)

    def _attitude(self, message: Message) -> None:
        if not _finite(message.roll, message.pitch, message.yaw):
            return
        at_ns = self._utc_ns(message)
        self.facts.heading_rad = message.yaw
        if at_ns is not None:
            self._listener.attitude(AttitudeSample(at_ns, message.roll, message.pitch, message.yaw))

    def _gimbal(self, message: Message) -> None:
        now_s = self._link.clock.monotonic_s()
        heading_rad = self.facts.heading_rad if self.facts.fresh("ATTITUDE", now_s) else None
        angles = self._gimbal_reader.angles(message, heading_rad, now_s)
        if angles is None:
            return
        at_ns = self._utc_ns(message)
        if at_ns is not None:
            self._listener.gimbal(GimbalSample(at_ns, *angles))

    def _lens(self, message: Message) -> None:
        if message.camera_device_id not in _FIRST_CAMERA or not 0.0 < message.hfov < 180.0:
            return
        at_ns = self._utc_ns(message)
        if at_ns is not None:
            self._listener.lens(LensSample(at_ns, math.radians(message.hfov)))

    # -- time ----------------------------------------------------------------------------------------

    def _system_time(self, message: Message) -> None:
        if self._time.set(message.time_unix_usec, message.time_boot_ms):
            self._tell_clock()

    def _timesync(self, message: Message) -> None:
        if self._time.answer(message.tc1, message.ts1, message.arrived_ns):
            self._tell_clock()

    def _tell_clock(self) -> None:
        sample = self._time.sample()
        if sample is not None:
            self._listener.clock(sample)

    def _ask_time(self) -> None:
        """Ask for the vehicle's time when it is due; only a vehicle that is heard is asked."""
        ts1 = self._time.request()
        if ts1 is not None:
            self._link.send(mavlink.MAVLink_timesync_message(tc1=0, ts1=ts1))

    def _statustext(self, message: Message) -> None:
        self._tell_texts(self._texts.add(message, self._link.clock.monotonic_s()))

    def _tell_texts(self, texts: list[VehicleText]) -> None:
        for text in texts:
            heard = (self._link.clock.monotonic_s(), text)
            self.facts.texts = [*self.facts.texts[1 - _TEXTS_KEPT :], heard]
            self._listener.text(text.severity, text.sentence)

    def _utc_ns(self, message: Message) -> int | None:
        return self._time.utc_ns(message.get_type(), message.time_boot_ms, message.arrived_ns)


def _landed(landed_state: int | None) -> bool | None:
    if landed_state in (None, mavlink.MAV_LANDED_STATE_UNDEFINED):
        return None
    return bool(landed_state == mavlink.MAV_LANDED_STATE_ON_GROUND)


def _percent(value: int) -> float | None:
    return float(value) if 0 <= value <= 100 else None


def _finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def _on_earth(lat_deg: float, lon_deg: float) -> bool:
    """True for a place; exactly 0, 0 is what an autopilot says before it knows."""
    return abs(lat_deg) <= 90.0 and abs(lon_deg) <= 180.0 and (lat_deg, lon_deg) != (0.0, 0.0)
