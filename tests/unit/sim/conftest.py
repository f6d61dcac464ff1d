"""A ground station for the tests: raw MAVLink over an in-process pipe, in virtual time."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.dialects.ardupilot.endpoint import ArduPilot
from patrol.sim.drone import STEP_S, Drone
from patrol.sim.settings import BatterySettings, Home, NoiseSettings, SimSettings, WindSettings

UTC_NS = 1_800_000_000_000_000_000
HOME = Home(lat_deg=31.3, lon_deg=120.62, height_amsl_m=4.0, heading_deg=0.0)
METRES_PER_DEGREE = 110_870.0  # of latitude, near 31 degrees north


class Station:
    """Flies the vehicle from outside: sends frames, reads frames, lets virtual time pass."""

    def __init__(
        self,
        *,
        wind: WindSettings | None = None,
        battery: BatterySettings | None = None,
        noise: NoiseSettings | None = None,
        boot_s: float = 2.0,
        seed: int = 1,
        system_id: int = 255,
    ) -> None:
        settings = SimSettings(
            home=HOME, wind=wind or WindSettings(), battery=battery or BatterySettings(), noise=noise
        )
        self.heard: list[tuple[float, Any]] = []
        self.latest: dict[str, Any] = {}
        self.frames: list[bytes] = []
        self.heartbeats = True
        self.answer: Callable[[Any], Any | None] = lambda _message: None
        self._reader = mav.MAVLink(None)
        self._writer = mav.MAVLink(None, srcSystem=system_id, srcComponent=190)
        self._answers: list[Any] = []
        self.drone = Drone(settings, utc_at_boot_ns=UTC_NS, seed=seed)
        self.vehicle = ArduPilot(self.drone, self._hear, boot_s=boot_s)

    @property
    def now_s(self) -> float:
        return self.drone.boot_s

    def _hear(self, frame: bytes) -> None:
        self.frames.append(frame)
        for message in self._reader.parse_buffer(frame):
            self.heard.append((self.now_s, message))
            self.latest[message.get_type()] = message
            answer = self.answer(message)
            if answer is not None:
                self._answers.append(answer)

    def send(self, message: Any) -> None:
        self.vehicle.receive(bytes(message.pack(self._writer)))
        self._flush()

    def _flush(self) -> None:
        while self._answers:
            self.vehicle.receive(bytes(self._answers.pop(0).pack(self._writer)))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP_S)):
            if self.heartbeats and self.drone.boot_ns % 1_000_000_000 == 0:
                self.send(mav.MAVLink_heartbeat_message(mav.MAV_TYPE_GCS, 8, 0, 0, 0, 3))
            self.vehicle.step()
            self.drone.step()
            self._flush()

    def run_until(self, holds: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until something holds; the seconds it took. Fails at the limit."""
        started_s = self.now_s
        while not holds():
            assert self.now_s - started_s < limit_s, f"did not happen within {limit_s} s"
            self.run(STEP_S)
        return self.now_s - started_s

    def command(self, number: int, *parameters: float) -> int:
        """COMMAND_LONG; its MAV_RESULT."""
        filled = [*parameters, *[0.0] * (7 - len(parameters))]
        self.send(mav.MAVLink_command_long_message(1, 1, number, 0, *filled))
        ack = self.latest.pop("COMMAND_ACK")
        assert ack.command == number
        return ack.result

    def set_mode(self, mode: int) -> int:
        return self.command(mav.MAV_CMD_DO_SET_MODE, 1, mode)

    def set_parameter(self, name: str, value: float) -> float:
        self.send(mav.MAVLink_param_set_message(1, 1, name.encode(), value, mav.MAV_PARAM_TYPE_REAL32))
        return self.latest.pop("PARAM_VALUE").param_value

    def stream(self, message_id: int, hertz: float) -> None:
        assert (
            self.command(mav.MAV_CMD_SET_MESSAGE_INTERVAL, message_id, 1e6 / hertz) == mav.MAV_RESULT_ACCEPTED
        )

    def request(self, name: str) -> Any:
        """REQUEST_MESSAGE; the message."""
        self.latest.pop(name, None)
        number = getattr(mav, f"MAVLINK_MSG_ID_{name}")
        assert self.command(mav.MAV_CMD_REQUEST_MESSAGE, number) == mav.MAV_RESULT_ACCEPTED
        return self.latest[name]

    def upload(self, items: Iterable[Any], kind: int = mav.MAV_MISSION_TYPE_MISSION) -> int:
        """Upload items that come with their seq; the type of the MISSION_ACK."""
        items = list(items)
        self.answer = lambda message: items[message.seq] if message.get_type() == "MISSION_REQUEST" else None
        self.latest.pop("MISSION_ACK", None)
        self.send(mav.MAVLink_mission_count_message(1, 1, len(items), kind))
        self.answer = lambda _message: None
        return self.latest.pop("MISSION_ACK").type

    def download(self, kind: int = mav.MAV_MISSION_TYPE_MISSION) -> list[Any]:
        self.send(mav.MAVLink_mission_request_list_message(1, 1, kind))
        items = []
        for seq in range(self.latest["MISSION_COUNT"].count):
            self.send(mav.MAVLink_mission_request_int_message(1, 1, seq, kind))
            items.append(self.latest.pop("MISSION_ITEM_INT"))
        return items

    def texts(self) -> list[str]:
        return [message.text for _, message in self.heard if message.get_type() == "STATUSTEXT"]

    def all(self, name: str) -> list[tuple[float, Any]]:
        return [(at_s, message) for at_s, message in self.heard if message.get_type() == name]

    @property
    def mode(self) -> int:
        return self.request("HEARTBEAT").custom_mode

    @property
    def armed(self) -> bool:
        return bool(self.request("HEARTBEAT").base_mode & mav.MAV_MODE_FLAG_SAFETY_ARMED)

    @property
    def height_m(self) -> float:
        return self.request("GLOBAL_POSITION_INT").relative_alt / 1000.0

    @property
    def landed_state(self) -> int:
        return self.request("EXTENDED_SYS_STATE").landed_state

    def start(self, items: Iterable[Any]) -> None:
        """Boot, upload, arm, start."""
        self.run(self.boot_wait_s)
        assert self.upload(items) == mav.MAV_MISSION_ACCEPTED
        assert self.set_mode(4) == mav.MAV_RESULT_ACCEPTED
        assert self.command(mav.MAV_CMD_COMPONENT_ARM_DISARM, 1) == mav.MAV_RESULT_ACCEPTED
        assert self.command(mav.MAV_CMD_MISSION_START) == mav.MAV_RESULT_ACCEPTED

    boot_wait_s = 3.0

    @staticmethod
    def item(*arguments: Any, **more: Any) -> Any:
        return item(*arguments, **more)

    @staticmethod
    def mission(*items: Any) -> list[Any]:
        return mission(*items)

    @staticmethod
    def numbered(items: Iterable[Any]) -> list[Any]:
        return numbered(items)


def item(
    command: int,
    *parameters: float,
    north_m: float | None = None,
    east_m: float = 0.0,
    z: float = 0.0,
    frame: int = mav.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT,
    kind: int = mav.MAV_MISSION_TYPE_MISSION,
) -> Any:
    """An item without its seq; with `north_m` it has a place, in metres from home."""
    x = y = 0
    if north_m is not None:
        x, y = place_e7(north_m, east_m)
    filled = [*parameters, *[0.0] * (4 - len(parameters))]
    return mav.MAVLink_mission_item_int_message(1, 1, 0, frame, command, 0, 1, *filled, x, y, z, kind)


def place_e7(north_m: float, east_m: float) -> tuple[int, int]:
    """A place in metres from home, in degrees times 1e7."""
    metres_per_degree_east = 95_160.0  # of longitude at 31.3 degrees north
    return (
        round((HOME.lat_deg + north_m / METRES_PER_DEGREE) * 1e7),
        round((HOME.lon_deg + east_m / metres_per_degree_east) * 1e7),
    )


def numbered(items: Iterable[Any]) -> list[Any]:
    """Items with their places in the list."""
    result = list(items)
    for seq, one in enumerate(result):
        one.seq = seq
    return result


def mission(*items: Any) -> list[Any]:
    """A mission: home slot, take-off to 10 m, the items, RTL."""
    return numbered(
        [
            item(mav.MAV_CMD_NAV_WAYPOINT),
            item(mav.MAV_CMD_NAV_TAKEOFF, north_m=0.0, z=10.0),
            *items,
            item(mav.MAV_CMD_NAV_RETURN_TO_LAUNCH, frame=mav.MAV_FRAME_MISSION),
        ]
    )


@pytest.fixture(scope="session")
def make_station() -> type[Station]:
    return Station


@pytest.fixture
def station() -> Station:
    return Station()


@pytest.fixture
def flying() -> Station:
    """A vehicle on a long leg to the north, 10 m up."""
    flying = Station()
    flying.start(mission(item(mav.MAV_CMD_NAV_WAYPOINT, north_m=250.0, z=10.0)))
    flying.run_until(lambda: flying.request("MISSION_CURRENT").seq == 2, 30)
    flying.run(5)
    return flying
