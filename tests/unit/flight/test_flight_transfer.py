"""Uploads and downloads over a bad line and with a vehicle that says anything."""

import itertools
import math
import random

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.flight.dialects import ArduPilot, Store
from patrol.flight.transfer import Transfer, TransferError


@pytest.fixture
def copter(world):
    copter = world.copter()
    link = world.open_link()
    assert link.wait_for_vehicle(5.0)
    return copter


@pytest.fixture
def transfer(world, copter):
    return Transfer(world.link, ArduPilot())


def test_all_three_lists_arrive_and_agree(world, copter, transfer):
    assert [transfer.put(world.plan, store) for store in Store] == [6, 4, 1]
    assert [item.command for item in copter.stores[0]] == [16, 22, 178, 16, 16, 20]
    assert {item.get_type() for item in copter.stores[0]} == {"MISSION_ITEM_INT"}
    assert copter.stores[0][3].x == 313002000
    assert {(item.command, item.param1) for item in copter.stores[1]} == {(5001, 4.0)}


def test_requests_for_int_items_are_answered_the_same_way(world, copter, transfer):
    copter.ask_next = lambda: copter.say(
        mavlink.MAVLink_mission_request_int_message(255, 190, len(copter.upload[2]), copter.upload[0])
    )
    assert transfer.put(world.plan, Store.MISSION) == 6


def repeat_requests(copter):
    """As ArduPilot does: ask again each second for what is missing, give up after 8 s."""

    def nag():
        if copter.upload is not None and copter.due("nag", 1.0):
            copter.ask_next()

    copter.clock.world.append(nag)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("seed", range(8))
def test_loss_doubling_and_reordering_are_survived(world, seed, loss):
    copter = world.copter()
    link = world.open_link()
    assert link.wait_for_vehicle(30.0)
    repeat_requests(copter)
    noise = random.Random(seed)
    copter.lose = lambda frame: noise.random() < loss

    def shake():
        inbox = list(world.transport.inbox)
        inbox += [one for one in inbox if noise.random() < 0.2]
        noise.shuffle(inbox)
        world.transport.inbox.clear()
        world.transport.inbox.extend(inbox)

    world.clock.world.insert(1, shake)
    assert Transfer(link, ArduPilot()).put(world.plan, Store.MISSION) == 6
    assert [item.command for item in copter.stores[0]] == [16, 22, 178, 16, 16, 20]


def test_a_refused_item_is_named_with_the_reason(world, copter, transfer):
    def refuse(message):
        if message.seq == 3:
            copter.say(mavlink.MAVLink_mission_ack_message(255, 190, 10, 0))
        else:
            type(copter).on_mission_item_int(copter, message)

    copter.on_mission_item_int = refuse
    with pytest.raises(TransferError, match=r"mission item 3 \(NAV_WAYPOINT\): the latitude is invalid"):
        transfer.put(world.plan, Store.MISSION)


def test_a_stall_is_begun_again(world, copter, transfer):
    """The vehicle goes quiet in the middle, calls the upload off after 8 s, and takes it the second time."""
    stalled = []

    def stall(message):
        if message.seq == 2 and not stalled:
            stalled.append(copter.clock.now_s)
            copter.upload = None
            return
        type(copter).on_mission_item_int(copter, message)

    def call_off():
        if stalled and copter.clock.now_s - stalled[0] > 8 and copter.due("off", 1e9):
            copter.say(mavlink.MAVLink_mission_ack_message(255, 190, 15, 0))

    copter.on_mission_item_int = stall
    copter.clock.world.append(call_off)
    assert transfer.put(world.plan, Store.MISSION) == 6


def test_silence_is_an_error_after_a_bounded_time(world, copter, transfer):
    copter.on_mission_count = lambda message: None
    started_s = world.clock.now_s
    with pytest.raises(TransferError, match="did not get through"):
        transfer.put(world.plan, Store.MISSION)
    assert world.clock.now_s - started_s < 15


def test_an_early_yes_does_not_count(world, copter, transfer):
    """An acceptance of something else, before all items were asked for."""
    copter.on_mission_count = lambda message: copter.say(mavlink.MAVLink_mission_ack_message(255, 190, 0, 0))
    with pytest.raises(TransferError):
        transfer.upload(ArduPilot().items(world.plan, Store.MISSION), Store.MISSION)


def test_another_lists_answer_does_not_count(world, copter, transfer):
    copter.on_mission_count = lambda message: copter.say(mavlink.MAVLink_mission_ack_message(255, 190, 4, 1))
    with pytest.raises(TransferError, match="did not get through"):
        transfer.upload(ArduPilot().items(world.plan, Store.MISSION), Store.MISSION)


def test_a_vehicle_that_asks_for_ever_is_given_up(world, copter, transfer):
    copter.on_mission_item_int = lambda message: copter.ask_next()
    with pytest.raises(TransferError, match="did not get through"):
        transfer.upload(ArduPilot().items(world.plan, Store.MISSION), Store.MISSION)


@pytest.mark.parametrize("seq", [6, 7, 65535])
def test_a_request_for_what_there_is_not_is_ignored(world, copter, transfer, seq):
    def ask_nonsense_first():
        copter.say(mavlink.MAVLink_mission_request_message(255, 190, seq, 0))
        type(copter).ask_next(copter)

    copter.ask_next = ask_nonsense_first
    assert transfer.put(world.plan, Store.MISSION) == 6


@pytest.mark.parametrize(
    ("count", "words"), [(7, "7 items where 6 were sent"), (65535, "65535 items"), (0, "0 came back")]
)
def test_a_wrong_count_is_a_difference(world, copter, transfer, count, words):
    copter.on_mission_request_list = lambda message: copter.say(
        mavlink.MAVLink_mission_count_message(255, 190, count, message.mission_type)
    )
    with pytest.raises(TransferError, match=words):
        transfer.put(world.plan, Store.MISSION)


@pytest.mark.parametrize(
    ("seq", "field", "value", "words"),
    [
        (1, "z", 10.0, r"item 1 \(NAV_TAKEOFF\): height 15.00 m was sent, 10.00 m"),
        (1, "frame", 10, "frame 3 was sent, one in frame 10"),
        (2, "param2", 9.0, r"item 2 \(DO_CHANGE_SPEED\): parameter 2 was sent as 4.5, 9 came back"),
        (2, "param2", math.nan, "parameter 2 was sent as 4.5, nan"),
        (3, "x", 313002100, "place 31.3002000, 120.6200000 was sent, 31.3002100"),
        (3, "command", 19, "command 16 was sent, 19 came back"),
        (3, "frame", 0, "frame 3 was sent, one in frame 0"),
        (3, "param1", 9.0, "parameter 1"),
        (5, "command", 21, "command 20 was sent, 21"),
    ],
)
def test_a_change_of_meaning_is_named(world, copter, transfer, seq, field, value, words):
    def change(at, item):
        if at == seq:
            setattr(item, field, value)
        return item

    copter.mangle = change
    with pytest.raises(TransferError, match=words):
        transfer.put(world.plan, Store.MISSION)


@pytest.mark.parametrize(
    ("seq", "changes"),
    [
        (0, {"x": 1, "y": 2, "z": 99.0, "frame": 3, "command": 179}),  # home, the vehicle's own
        (1, {"x": 313000500, "y": 1206200500, "param1": 15.0, "frame": 6}),
        (1, {"frame": 0, "z": 19.2}),  # the same height, above sea level
        (3, {"x": 313002003, "param1": 5.4, "param4": 0.0, "z": 15.01, "frame": 6}),
        (5, {"x": 5, "z": 30.0, "frame": 3}),
    ],
)
def test_what_the_vehicle_only_writes_differently_is_no_difference(world, copter, transfer, seq, changes):
    def change(at, item):
        if at == seq:
            for field, value in changes.items():
                setattr(item, field, value)
        return item

    copter.mangle = change
    assert transfer.put(world.plan, Store.MISSION) == 6


def test_a_height_that_is_no_number_is_never_taken(world, copter, transfer):
    def change(at, item):
        item.z = math.nan if at == 3 else item.z
        return item

    copter.mangle = change
    with pytest.raises(TransferError, match="does not tell item 3"):
        transfer.put(world.plan, Store.MISSION)


def test_a_number_that_does_not_fit_the_wire_is_named(world, transfer):
    item = world.plan.items[2]
    object.__setattr__(item, "param1", 1e300)
    with pytest.raises(TransferError, match=r"mission item 3 \(NAV_WAYPOINT\): a number is too large"):
        transfer.put(world.plan, Store.MISSION)


def test_it_can_be_stopped(world, copter):
    asked = itertools.count()
    transfer = Transfer(world.link, ArduPilot(), lambda: next(asked) > 3)
    with pytest.raises(TransferError, match="stopped"):
        transfer.put(world.plan, Store.MISSION)
