"""Whatever comes in, the vehicle goes on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mav

from patrol.sim.dialects.ardupilot.parameters import Parameters

HANDLED = (
    "HEARTBEAT", "COMMAND_LONG", "COMMAND_INT", "SET_MODE", "PARAM_REQUEST_LIST", "PARAM_REQUEST_READ",
    "PARAM_SET", "MISSION_COUNT", "MISSION_ITEM", "MISSION_ITEM_INT", "MISSION_REQUEST_LIST",
    "MISSION_REQUEST", "MISSION_REQUEST_INT", "MISSION_CLEAR_ALL", "MISSION_SET_CURRENT", "MISSION_ACK",
    "TIMESYNC", "PING",
)  # fmt: skip
COMMANDS = [
    16, 17, 19, 20, 21, 22, 93, 112, 114, 115, 176, 177, 178, 179, 189, 192, 193, 195, 201, 205, 207, 224,
    300, 400, 410, 510, 511, 512, 520, 1000, 1001, 5000, 5001, 5002, 5003, 5004, 5100, 31_000,
]  # fmt: skip
INTEGERS = {
    "uint8_t": (0, 255), "int8_t": (-128, 127), "uint16_t": (0, 65_535), "int16_t": (-32_768, 32_767),
    "uint32_t": (0, 2**32 - 1), "int32_t": (-(2**31), 2**31 - 1), "uint64_t": (0, 2**64 - 1),
    "int64_t": (-(2**63), 2**63 - 1),
}  # fmt: skip
FLOATS = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0, 2.0, 4.0, 5.0, math.nan, math.inf, -math.inf])
)


BY_NAME = {
    "target_system": st.sampled_from([0, 1, 100, 255]),
    "target_component": st.sampled_from([0, 1, 100, 255]),
    "command": st.sampled_from(COMMANDS),
    "mission_type": st.sampled_from([0, 1, 2, 3, 255]),
    "seq": st.integers(0, 4) | st.integers(0, 65_535),
    "count": st.integers(0, 4) | st.integers(0, 65_535),
    "param_id": st.sampled_from([*(name.encode() for name in Parameters().names), b"\xff", b""]),
}


def values(kind, name):
    if name in BY_NAME:
        return BY_NAME[name]
    return FLOATS if kind == "float" else st.integers(*INTEGERS[kind])


@st.composite
def messages(draw):
    kind = getattr(mav, f"MAVLink_{draw(st.sampled_from(HANDLED)).lower()}_message")
    return kind(*(draw(values(t, n)) for n, t in zip(kind.fieldnames, kind.fieldtypes, strict=True)))


@settings(max_examples=100, deadline=None)
@given(datagrams=st.lists(st.binary(max_size=300), max_size=8))
def test_random_bytes(make_station, datagrams):
    station = make_station()
    for datagram in datagrams:
        station.vehicle.receive(datagram)
        station.run(0.02)
    assert station.request("HEARTBEAT").autopilot == mav.MAV_AUTOPILOT_ARDUPILOTMEGA


@pytest.mark.parametrize("seed", range(12))
def test_parameters_that_make_no_sense(make_station, seed):
    station = make_station(boot_s=0.2)
    station.boot_wait_s = 0.3
    station.start(station.mission(station.item(mav.MAV_CMD_NAV_WAYPOINT, north_m=50, z=10)))
    station.run(3)
    rng = np.random.default_rng(seed)
    for name in Parameters().names:
        station.set_parameter(name, float(rng.choice([0.0, -1.0, 1.0, 1e30, -1e30, rng.normal(0, 1000)])))
    for _ in range(10):
        station.run(0.5)
        ask_for_everything(station)


def ask_for_everything(station):
    for message_id in station.vehicle._telemetry.builders:
        assert station.command(mav.MAV_CMD_REQUEST_MESSAGE, message_id) == mav.MAV_RESULT_ACCEPTED


@settings(max_examples=80, deadline=None)
@given(heard=st.lists(messages(), max_size=20))
def test_random_messages_to_a_vehicle_in_flight(make_station, heard):
    station = make_station(boot_s=0.2)
    station.boot_wait_s = 0.3
    station.start(station.mission(station.item(mav.MAV_CMD_NAV_WAYPOINT, north_m=50, z=10)))
    station.run(3)
    for message in heard:
        station.send(message)
        station.run(0.06)
    station.send(mav.MAVLink_param_request_list_message(1, 1))
    station.run(1)
    ask_for_everything(station)
    assert all(math.isfinite(value) for value in station.drone.body.position_neu_m)


@settings(max_examples=60, deadline=None)
@given(rubbish=st.binary(max_size=280))
def test_rubbish_before_a_message_costs_no_more_than_its_own_datagram(make_station, rubbish):
    station = make_station()
    station.vehicle.receive(b"\xfd\xff" + rubbish)
    assert station.request("HEARTBEAT").type == mav.MAV_TYPE_QUADROTOR
