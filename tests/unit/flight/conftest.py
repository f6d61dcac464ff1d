"""A small scripted copter, a clock that only moves when somebody waits, and a transport between them."""

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.domain.sorties import SortieState
from patrol.flight.link import Link
from patrol.plan.qgc import FencePolygon, FlightPlan, HomePosition, MissionItem, RallyPoint

HOME_LAT_DEG, HOME_LON_DEG = 31.3, 120.62
STEP_S = 0.1
START_UTC_NS = 1_790_000_000 * 10**9


def make_plan() -> FlightPlan:
    """Take off, change speed, two waypoints, return."""

    def item(command, frame, lat=None, lon=None, height=None, params=(None,) * 4, rest=(None,) * 3):
        return MissionItem(command, frame, *params, lat, lon, height, True, *rest)

    return FlightPlan(
        path=Path("test.plan"),
        home=HomePosition(HOME_LAT_DEG, HOME_LON_DEG, 4.0),
        items=(
            item(22, 3, height=15.0, params=(0.0, 0.0, 0.0, None)),
            item(178, 2, params=(1.0, 4.5, -1.0, 0.0)),
            item(16, 3, 31.3002, 120.62, 15.0, params=(5.0, 0.0, 0.0, None)),
            item(16, 3, 31.3002, 120.6202, 15.0, params=(0.0, 0.0, 0.0, None)),
            item(20, 2),
        ),
        fence=(
            FencePolygon(
                ((31.299, 120.619), (31.301, 120.619), (31.301, 120.621), (31.299, 120.621)), inclusion=True
            ),
        ),
        fence_circles=(),
        rally=(RallyPoint(31.3001, 120.6201, 20.0),),
        cruise_speed_mps=5.0,
        hover_speed_mps=5.0,
        raw={},
    )


class FakeClock:
    """Time passes only in `wait`, in small steps; `world` is moved along."""

    def __init__(self, speed_up: float = 1.0) -> None:
        self.speed_up = speed_up
        self.now_s = 100.0
        self.world = []

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return START_UTC_NS + round(self.now_s * 1e9)

    def patience_s(self, nominal_s: float) -> float:
        return nominal_s

    def wait(self, condition, timeout_s: float) -> None:
        del condition
        self.now_s += min(timeout_s, STEP_S)
        for part in self.world:
            part()


class FakeTransport:
    """Datagrams by hand. `inbox` holds (bytes, peer) for the link; what it sends goes to `receivers`."""

    datagrams = True

    def __init__(self) -> None:
        self.inbox = deque()
        self.sent = []
        self.receivers = []
        self.broken = False

    def read(self, timeout_wall_s: float):
        del timeout_wall_s
        return self.inbox.popleft() if self.inbox else None

    def write(self, data: bytes, peer) -> None:
        if self.broken:
            raise OSError("cable out")
        self.sent.append((data, peer))
        for receive in self.receivers:
            receive(data)

    def close(self) -> None:
        pass


def decode(data: bytes):
    return mavlink.MAVLink(None).decode(bytearray(data))


class Sender:
    """Packs messages as some system and component would."""

    def __init__(self, system: int = 1, component: int = 1) -> None:
        self.encoder = mavlink.MAVLink(None, srcSystem=system, srcComponent=component)

    def pack(self, message) -> bytes:
        frame = message.pack(self.encoder)
        self.encoder.seq = (self.encoder.seq + 1) % 256
        return frame


PEER = ("10.0.0.1", 14550)


class FakeCopter:
    """Enough of an ArduCopter to fly the test plan, with knobs for what goes wrong."""

    boot_s = 40.0

    def __init__(self, clock: FakeClock, transport: FakeTransport) -> None:
        self.clock = clock
        self.transport = transport
        self.sender = Sender()
        transport.receivers.append(self.receive)
        clock.world.append(self.step)

        self.quiet = False
        self.lat_deg, self.lon_deg, self.height_m = HOME_LAT_DEG, HOME_LON_DEG, 0.0
        self.armed = False
        self.shown_armed_at_s = 0.0
        self.mode = 0
        self.landed = 1
        self.ekf_flags = 831
        self.fix = 3
        self.home_known = True
        self.prearm = True
        self.battery = 90
        self.seq, self.mission_state = 0, 2
        self.stores = {0: [], 1: [], 2: []}
        self.intervals = {}
        self.commands = []
        self.refuse = {}  # command -> result
        self.arm_lag_s = 1.0
        self.leg_s = 3.0
        self.texts_on_arm = []
        self.mangle = lambda seq, item: item  # what a download says instead
        self.lose = lambda frame: False
        self.started_at_s = None
        self.upload = None
        self.last_sent_s = {}

    # -- out -----------------------------------------------------------------------------------------

    def say(self, message) -> None:
        frame = self.sender.pack(message)
        if not self.quiet and not self.lose(frame):
            self.transport.inbox.append((frame, PEER))

    def text(self, sentence: str, severity: int = 4) -> None:
        self.say(mavlink.MAVLink_statustext_message(severity, sentence.encode().ljust(50, b"\0")))

    def due(self, name: str, every_s: float) -> bool:
        if self.clock.now_s - self.last_sent_s.get(name, -99.0) < every_s:
            return False
        self.last_sent_s[name] = self.clock.now_s
        return True

    def boot_ms(self) -> int:
        return round((self.clock.now_s - self.boot_s) * 1000)

    def step(self) -> None:
        self.fly()
        if self.due("HEARTBEAT", 1.0):
            shown = self.armed and self.clock.now_s >= self.shown_armed_at_s
            self.say(mavlink.MAVLink_heartbeat_message(2, 3, 1 | (128 if shown else 0), self.mode, 4, 3))
        for message_id in self.intervals:
            if self.due(str(message_id), 0.25):
                self.telemetry(message_id)

    def telemetry(self, message_id: int) -> None:
        lat, lon, boot_ms = round(self.lat_deg * 1e7), round(self.lon_deg * 1e7), self.boot_ms()
        health = mavlink.MAV_SYS_STATUS_PREARM_CHECK if self.prearm else 0
        made = {
            1: lambda: mavlink.MAVLink_sys_status_message(
                0, 0, health, 0, 15200, 0, self.battery, 0, 0, 0, 0, 0, 0
            ),
            2: lambda: mavlink.MAVLink_system_time_message(self.clock.utc_ns() // 1000, boot_ms),
            24: lambda: mavlink.MAVLink_gps_raw_int_message(0, self.fix, lat, lon, 0, 80, 80, 0, 0, 14),
            30: lambda: mavlink.MAVLink_attitude_message(boot_ms, 0.01, -0.02, 1.0, 0, 0, 0),
            33: lambda: mavlink.MAVLink_global_position_int_message(
                boot_ms, lat, lon, 4000 + round(self.height_m * 1000), round(self.height_m * 1000), 1, 2, 3, 0
            ),
            42: lambda: mavlink.MAVLink_mission_current_message(self.seq, 5, self.mission_state),
            193: lambda: mavlink.MAVLink_ekf_status_report_message(self.ekf_flags, 0, 0, 0, 0, 0),
            242: lambda: (
                mavlink.MAVLink_home_position_message(lat, lon, 4000, 0, 0, 0, [1, 0, 0, 0], 0, 0, 0)
                if self.home_known
                else None
            ),
            245: lambda: mavlink.MAVLink_extended_sys_state_message(0, self.landed),
            285: lambda: mavlink.MAVLink_gimbal_device_attitude_status_message(
                0, 0, boot_ms, 32, [math.cos(-0.25), 0.0, math.sin(-0.25), 0.0], 0, 0, 0, 0
            ),
        }.get(message_id)
        message = made() if made else None
        if message is not None:
            self.say(message)

    # -- flying --------------------------------------------------------------------------------------

    def fly(self) -> None:
        if self.mode == 6 and self.armed and self.landed != 1:  # RTL
            self.descend()
        if self.mode != 3 or self.started_at_s is None or not self.armed:
            return
        leg = int((self.clock.now_s - self.started_at_s) / self.leg_s)
        if leg == 0:
            self.seq, self.landed, self.mission_state, self.height_m = 1, 3, 3, 7.0
        elif leg < 3:
            self.landed, self.height_m = 2, 15.0
            if self.seq != leg + 2:
                self.say(mavlink.MAVLink_mission_item_reached_message(self.seq))
            self.seq = leg + 2
        else:
            self.seq = 5
            self.descend()

    def descend(self) -> None:
        self.height_m -= 0.25
        self.landed = 2 if self.height_m > 8 else 4
        if self.height_m <= 0:
            self.height_m, self.landed, self.armed = 0.0, 1, False
            if self.mode == 3:
                self.seq, self.mission_state, self.started_at_s = 0, 5, None

    def take_off_unseen(self) -> None:
        """As if it had been flying before anybody listened."""
        self.armed, self.mode, self.landed, self.height_m = True, 3, 2, 15.0
        self.seq, self.mission_state = 3, 3
        self.started_at_s = self.clock.now_s - self.leg_s

    # -- in ------------------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        if self.quiet or self.lose(frame):
            return
        message = decode(frame)
        handler = getattr(self, "on_" + message.get_type().lower(), None)
        if handler:
            handler(message)

    def on_command_long(self, message) -> None:
        self.commands.append(message.command)
        result = self.refuse.get(message.command, 0)
        if callable(result):
            result = result()
        if result == 0:
            self.do(message)
        if result is not None:
            self.say(mavlink.MAVLink_command_ack_message(message.command, result))

    def do(self, message) -> None:
        if message.command == 511:
            self.intervals[int(message.param1)] = message.param2
        elif message.command == 176:
            self.mode = int(message.param2)
        elif message.command == 400:
            for sentence in self.texts_on_arm:
                self.text(sentence)
            self.armed = message.param1 == 1
            self.shown_armed_at_s = self.clock.now_s + self.arm_lag_s
        elif message.command == 300:
            self.mode, self.started_at_s = 3, self.clock.now_s
        elif message.command == 20:
            self.mode = 6

    def on_timesync(self, message) -> None:
        self.say(mavlink.MAVLink_timesync_message(round((self.clock.now_s - self.boot_s) * 1e9), message.ts1))

    def on_mission_count(self, message) -> None:
        self.upload = (message.mission_type, message.count, [])
        self.ask_next()

    def ask_next(self) -> None:
        store, _, items = self.upload
        self.say(mavlink.MAVLink_mission_request_message(255, 190, len(items), store))

    def on_mission_item_int(self, message) -> None:
        if self.upload is None:
            return
        store, count, items = self.upload
        if message.mission_type != store or message.seq != len(items):
            self.say(mavlink.MAVLink_mission_ack_message(255, 190, 13, store))
            return
        items.append(message)
        if len(items) < count:
            self.ask_next()
            return
        self.stores[store] = items
        self.upload = None
        self.say(mavlink.MAVLink_mission_ack_message(255, 190, 0, store))

    def on_mission_request_list(self, message) -> None:
        count = len(self.stores[message.mission_type])
        self.say(mavlink.MAVLink_mission_count_message(255, 190, count, message.mission_type))

    def on_mission_request_int(self, message) -> None:
        item = self.stores[message.mission_type][message.seq]
        frame, x, y = item.frame, item.x, item.y
        if item.command == 20:  # read back with another frame, as ArduCopter does
            frame, x, y = 0, 0, 0
        said = mavlink.MAVLink_mission_item_int_message(
            255, 190, item.seq, frame, item.command, 0, 1,
            item.param1, 0.0 if item.command == 16 else item.param2, item.param3,
            0.0 if math.isnan(item.param4) else item.param4, x, y, item.z, message.mission_type,
        )  # fmt: skip
        self.say(self.mangle(message.seq, said))


@dataclass
class Ear:
    """A listener that keeps everything."""

    events: list = field(default_factory=list)
    positions: list = field(default_factory=list)
    attitudes: list = field(default_factory=list)
    gimbals: list = field(default_factory=list)
    lenses: list = field(default_factory=list)
    clocks: list = field(default_factory=list)
    statuses: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    on_event: object = None

    def sortie(self, event) -> None:
        self.events.append(event)
        if self.on_event:
            self.on_event(event)

    def position(self, sample) -> None:
        self.positions.append(sample)

    def attitude(self, sample) -> None:
        self.attitudes.append(sample)

    def gimbal(self, sample) -> None:
        self.gimbals.append(sample)

    def lens(self, sample) -> None:
        self.lenses.append(sample)

    def clock(self, sample) -> None:
        self.clocks.append(sample)

    def vehicle(self, status) -> None:
        self.statuses.append(status)

    def text(self, severity, sentence) -> None:
        self.texts.append((severity, sentence))

    @property
    def states(self) -> list[SortieState]:
        """The states in order, repetitions left out."""
        seen = []
        for event in self.events:
            if not seen or seen[-1] is not event.state:
                seen.append(event.state)
        return seen


class World:
    """All of it together. Tests take it apart as they need."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport()
        self.ear = Ear()
        self.plan = make_plan()
        self.link = None

    def copter(self) -> FakeCopter:
        """A copter that talks over the link."""
        return FakeCopter(self.clock, self.transport)

    def open_link(self, **options) -> Link:
        """A link without a thread: it is served whenever somebody waits."""
        self.link = Link("udp://test:1", clock=self.clock, transport=self.transport, **options)
        self.link.open(in_background=False)
        self.clock.world.append(self.serve)
        return self.link

    def serve(self) -> None:
        """Do what the link's thread does."""
        while self.link.service(0.0):
            pass

    def pass_time(self, seconds: float) -> None:
        """Let the world run for so long."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.link.pump(STEP_S)

    def hear(self, message, *, system: int = 1, component: int = 1, peer=PEER) -> None:
        """Have the link receive one message."""
        self.transport.inbox.append((Sender(system, component).pack(message), peer))
        self.serve()
        self.link.pump(0.0)

    def sent(self) -> list:
        """All messages that the link sent."""
        return [decode(data) for data, _ in self.transport.sent]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def new_world():
    """Makes a world; for tests that need one for each example."""
    return World


@pytest.fixture
def heartbeat():
    """A heartbeat of a copter with ArduPilot in STABILIZE, disarmed; fields by name to change it."""

    def make(**fields):
        given = {
            "type": 2, "autopilot": 3, "base_mode": 1, "custom_mode": 0, "system_status": 4,
            "mavlink_version": 3,
        } | fields  # fmt: skip
        return mavlink.MAVLink_heartbeat_message(**given)

    return make


@pytest.fixture
def sender():
    return Sender
