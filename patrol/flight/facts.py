"""What the vehicle says of itself, as last heard, and the same passed on in the words of the house.

All numbers from the vehicle are checked here: what is not finite or lies outside the possible is not used.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, GimbalSample, PositionSample, VehicleStatus
from patrol.flight.link import Link
from patrol.flight.listener import GuardedListener, SortieListener
from patrol.flight.texts import TextAssembler, VehicleText
from patrol.flight.wire import Message, mavlink

_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
# A receiver without a fix sends 0 or the start of some epoch; no aircraft of ours flew before 2020.
_EARLIEST_UTC_NS = 1_577_836_800 * 1_000_000_000
_LATEST_UTC_NS = 4_102_444_800 * 1_000_000_000
# The boot clock may seem to go back by as much when messages overtake each other; more is a reboot.
_REORDERING_MS = 5_000
# Texts that explain what happens now: the latest few. ArduPilot repeats its pre-arm reasons every 30 s.
_TEXTS_KEPT = 8
_TEXT_EXPLAINS_FOR_S = 35.0
# Facts older than this say nothing about now. All of them are asked for at 1 Hz or more.
_GOOD_FOR_S = 3.0
_UNKNOWN_UINT16 = 65_535
_MAIN_BATTERY = 0


# The states of EXTENDED_SYS_STATE in which it has left the ground.
AIRBORNE = (
    mavlink.MAV_LANDED_STATE_IN_AIR,
    mavlink.MAV_LANDED_STATE_TAKEOFF,
    mavlink.MAV_LANDED_STATE_LANDING,
)


class VehicleClock:
    """UTC of what the vehicle stamps with its time since boot, by its SYSTEM_TIME.

    Until the vehicle knows UTC, the time of arrival stands in.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._latest_boot_ms = 0

    def set(self, time_unix_usec: int, time_boot_ms: int) -> None:
        """Take one SYSTEM_TIME."""
        self._watch_for_reboot(time_boot_ms)
        unix_ns = time_unix_usec * _NS_PER_US
        if _EARLIEST_UTC_NS < unix_ns < _LATEST_UTC_NS:
            self._offset_ns = unix_ns - time_boot_ms * _NS_PER_MS

    def utc_ns(self, time_boot_ms: int, arrived_utc_ns: int) -> int:
        """UTC of an instant on the vehicle's boot clock."""
        self._watch_for_reboot(time_boot_ms)
        return arrived_utc_ns if self._offset_ns is None else time_boot_ms * _NS_PER_MS + self._offset_ns

    def _watch_for_reboot(self, time_boot_ms: int) -> None:
        if time_boot_ms < self._latest_boot_ms - _REORDERING_MS:
            self._offset_ns = None
            self._latest_boot_ms = time_boot_ms
        self._latest_boot_ms = max(self._latest_boot_ms, time_boot_ms)


@dataclass
class Facts:
    """The vehicle as last heard. None: not heard yet.

    `heard_at_s` holds when each kind of message came last, `good_for_s` how long it counts.
    """

    armed: bool | None = None
    mode: int | None = None
    landed_state: int | None = None
    position: PositionSample | None = None
    attitude: AttitudeSample | None = None
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
        gimbal_yaw: Callable[[int, float, float], float],
    ) -> None:
        self.facts = Facts(good_for_s=link.clock.patience_s(_GOOD_FOR_S))
        self._link = link
        self._listener = GuardedListener(listener)
        self._mode_name = mode_name
        self._gimbal_yaw = gimbal_yaw
        self._time = VehicleClock()
        self._texts = TextAssembler()
        self._handlers: dict[str, Callable[[Message], None]] = {
            "HEARTBEAT": self._heartbeat,
            "SYSTEM_TIME": lambda message: self._time.set(message.time_unix_usec, message.time_boot_ms),
            "SYS_STATUS": self._sys_status,
            "BATTERY_STATUS": self._battery,
            "GPS_RAW_INT": self._gps,
            "EKF_STATUS_REPORT": self._estimator,
            "HOME_POSITION": self._home,
            "EXTENDED_SYS_STATE": self._extended_state,
            "GLOBAL_POSITION_INT": self._position,
            "ATTITUDE": self._attitude,
            "GIMBAL_DEVICE_ATTITUDE_STATUS": self._gimbal,
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
        self.facts.position = PositionSample(
            at_ns=self._utc_ns(message),
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            height=Amsl(message.alt / 1000.0),
            height_above_home_m=message.relative_alt / 1000.0,
            velocity_north_mps=message.vx / 100.0,
            velocity_east_mps=message.vy / 100.0,
            velocity_down_mps=message.vz / 100.0,
        )
        self._listener.position(self.facts.position)

    def _attitude(self, message: Message) -> None:
        if not _finite(message.roll, message.pitch, message.yaw):
            return
        self.facts.attitude = AttitudeSample(self._utc_ns(message), message.roll, message.pitch, message.yaw)
        self._listener.attitude(self.facts.attitude)

    def _gimbal(self, message: Message) -> None:
        angles = _roll_pitch_yaw(message.q)
        if angles is None:
            return
        roll_rad, pitch_rad, yaw_rad = angles
        vehicle_yaw_rad = self.facts.attitude.yaw_ned_rad if self.facts.attitude else 0.0
        yaw_vehicle_rad = math.remainder(self._gimbal_yaw(message.flags, yaw_rad, vehicle_yaw_rad), math.tau)
        self._listener.gimbal(GimbalSample(self._utc_ns(message), roll_rad, pitch_rad, yaw_vehicle_rad))

    def _statustext(self, message: Message) -> None:
        self._tell_texts(self._texts.add(message, self._link.clock.monotonic_s()))

    def _tell_texts(self, texts: list[VehicleText]) -> None:
        for text in texts:
            heard = (self._link.clock.monotonic_s(), text)
            self.facts.texts = [*self.facts.texts[1 - _TEXTS_KEPT :], heard]
            self._listener.text(text.severity, text.sentence)

    def _utc_ns(self, message: Message) -> int:
        return self._time.utc_ns(message.time_boot_ms, self._link.clock.utc_ns())


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


def _roll_pitch_yaw(q: list[float]) -> tuple[float, float, float] | None:
    """Tait-Bryan angles z-y'-x'' of a quaternion w, x, y, z; None when it is no rotation.

    Diebel, "Representing Attitude", 2006, section 8.
    """
    if not _finite(*q):
        return None
    norm = math.hypot(*q)
    # Four floats on the wire keep the length of a rotation to far better than this.
    if not 0.9 < norm < 1.1:
        return None
    w, x, y, z = (value / norm for value in q)
    roll_rad = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch_rad = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw_rad = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return roll_rad, pitch_rad, yaw_rad
