"""Whatever a vehicle says, the runner neither breaks nor starts motors that were not cleared."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.domain.sorties import SortieState
from patrol.flight.preflight import PreflightLimits
from patrol.flight.sortie import SortieLimits, SortieRunner

ARM, START, RTL, SET_INTERVAL = 400, 300, 20, 511
# What the runner listens to, and some that it does not.
KINDS = (
    "HEARTBEAT", "SYS_STATUS", "SYSTEM_TIME", "GPS_RAW_INT", "ATTITUDE", "GLOBAL_POSITION_INT",
    "MISSION_CURRENT", "BATTERY_STATUS", "EKF_STATUS_REPORT", "HOME_POSITION", "EXTENDED_SYS_STATE",
    "MISSION_ITEM_REACHED", "GIMBAL_DEVICE_ATTITUDE_STATUS", "STATUSTEXT", "COMMAND_ACK", "MISSION_ACK",
    "MISSION_COUNT", "MISSION_REQUEST", "MISSION_REQUEST_INT", "MISSION_ITEM_INT", "COMMAND_LONG", "WIND",
    "TIMESYNC", "CAMERA_FOV_STATUS",
)  # fmt: skip
BY_NAME = {kind.msgname: kind for kind in mavlink.mavlink_map.values()}


def frame(kind: str, payload: bytes) -> bytes:
    """A well-formed frame of the vehicle's autopilot with any payload at all."""
    message = BY_NAME[kind]
    payload = payload.ljust(message.unpacker.size, b"\0")[: message.unpacker.size]
    header = struct.pack("<BBBBBBHB", len(payload), 0, 0, 0, 1, 1, message.id & 0xFFFF, message.id >> 16)
    crc = mavlink.x25crc(header + payload + bytes([message.crc_extra])).crc
    return b"\xfd" + header + payload + struct.pack("<H", crc)


EDGES = st.sampled_from([b"\0", b"\1", b"\x03", b"\x7f", b"\x80", b"\xff", struct.pack("<f", float("nan"))])
PAYLOADS = st.one_of(st.binary(max_size=60), st.lists(EDGES, max_size=60).map(b"".join))
CHATTER = st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS), min_size=1, max_size=60)


def run_among(world, chatter, peer=("10.0.0.1", 14550)):
    """Run a sortie while the same vehicle also says all of `chatter`, over and over, for two minutes."""
    link = world.open_link()
    limits = SortieLimits(vehicle_timeout_wall_s=5.0, preflight=PreflightLimits(ready_timeout_s=20.0))
    runner = SortieRunner(link, world.plan, world.ear, world.clock, sortie="fuzz", limits=limits)
    frames = [frame(*one) for one in chatter]
    end_s = world.clock.now_s + 120.0
    said = [0]

    def talk():
        world.transport.inbox.append((frames[said[0] % len(frames)], peer))
        said[0] += 1
        if world.clock.now_s > end_s:
            runner.detach()

    world.clock.world.insert(0, talk)
    return runner.run()


def commands(world):
    return [m.command for m in world.sent() if m.get_type() in ("COMMAND_LONG", "COMMAND_INT")]


@settings(max_examples=40, deadline=None)
@given(chatter=CHATTER)
def test_an_aircraft_whose_mission_does_not_agree_is_never_started(new_world, chatter):
    world = new_world()
    copter = world.copter()

    def lower(seq, item):
        item.z = -1.0
        return item

    copter.mangle = lower
    assert run_among(world, chatter) is not SortieState.COMPLETED
    assert ARM not in commands(world)
    assert START not in commands(world)


@settings(max_examples=25, deadline=None)
@given(chatter=CHATTER)
def test_chatter_alone_never_starts_anything(new_world, chatter):
    world = new_world()
    beat = frame("HEARTBEAT", struct.pack("<IBBBBB", 0, 2, 3, 1, 4, 3))
    world.clock.world.append(lambda: world.transport.inbox.append((beat, ("10.0.0.1", 14550))))
    run_among(world, chatter)
    assert ARM not in commands(world)
    assert START not in commands(world)


@settings(max_examples=25, deadline=None)
@given(chatter=CHATTER)
def test_an_aircraft_in_the_air_is_only_watched_or_called_home(new_world, chatter):
    world = new_world()
    copter = world.copter()
    copter.leg_s = 20.0
    copter.take_off_unseen()
    # Heartbeat and landed state stay true, or it would be right to take it for an aircraft on the ground.
    raving = [one for one in chatter if one[0] not in ("HEARTBEAT", "EXTENDED_SYS_STATE")]
    run_among(world, raving or [("WIND", b"")])
    assert set(commands(world)) <= {SET_INTERVAL, RTL}
