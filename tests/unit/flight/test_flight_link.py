"""The link: whose word counts, heartbeats, commands and answers, recording, and sentences for faults."""

import os
import pty
import socket
import threading
from pathlib import Path

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.flight.clock import SystemClock
from patrol.flight.commands import Command
from patrol.flight.link import Link, LinkError
from patrol.flight.transport import open_transport

OTHER = ("10.9.9.9", 666)
RTL = Command(20, (), "return home")


def attitude(roll=0.0):
    return mavlink.MAVLink_attitude_message(1, roll, 0, 0, 0, 0, 0)


@pytest.fixture
def rolls(world):
    """The link, and the roll angles that got through it."""
    link = world.open_link()
    heard = []
    with link.subscribed(lambda message: heard.append(round(message.roll, 3)), "ATTITUDE"):
        yield heard


def test_it_answers_to_whom_the_vehicles_heartbeat_came_from(world, heartbeat):
    link = world.open_link()
    world.hear(attitude(), peer=OTHER)
    assert link.vehicle is None
    world.hear(heartbeat())
    assert (link.vehicle.system, link.vehicle.component, link.vehicle.autopilot) == (1, 1, 3)
    world.pass_time(1.1)
    assert {peer for _, peer in world.transport.sent} == {("10.0.0.1", 14550)}


@pytest.mark.parametrize(
    "fields", [{"type": 6, "autopilot": 8}, {"type": 26, "autopilot": 8}, {"type": 18, "autopilot": 3}]
)
def test_what_is_no_aircraft_is_not_taken_for_one(world, heartbeat, fields):
    link = world.open_link()
    world.hear(heartbeat(**fields))
    assert link.vehicle is None


def test_a_companions_or_our_own_heartbeat_is_not_the_vehicles(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat(), component=191)
    world.hear(heartbeat(), system=255)
    world.hear(heartbeat(), system=0)
    assert link.vehicle is None


def test_the_wanted_system_is_waited_for(world, heartbeat):
    link = world.open_link(vehicle_system=7)
    world.hear(heartbeat(), system=1)
    assert link.vehicle is None
    world.hear(heartbeat(), system=7, peer=OTHER)
    assert link.vehicle.system == 7


def test_another_sender_is_ignored_until_the_vehicle_is_lost(world, heartbeat, rolls):
    world.hear(heartbeat())
    world.hear(attitude(0.1))
    world.hear(heartbeat(), peer=OTHER)
    world.hear(attitude(0.2), peer=OTHER)
    assert rolls == [0.1]
    assert world.link.counters.foreign_datagrams == 2

    world.pass_time(6.0)
    assert world.link.silent
    world.hear(heartbeat(), system=9, peer=OTHER)  # another aircraft is no replacement
    assert world.link.silent
    world.hear(heartbeat(), peer=OTHER)
    assert not world.link.silent
    world.hear(attitude(0.3), peer=OTHER)
    assert rolls == [0.1, 0.3]


def test_other_systems_and_components_behind_the_same_address_are_filtered(world, heartbeat, rolls):
    world.hear(heartbeat())
    world.hear(attitude(0.5), system=2)
    world.hear(attitude(0.6), component=100)
    world.hear(attitude(0.7))
    assert rolls == [0.7]
    assert world.link.counters.foreign_messages == 2


def test_the_heartbeat_is_a_ground_stations_at_1_hz(world, heartbeat):
    world.open_link()
    world.hear(heartbeat())
    world.pass_time(10.0)
    beats = [m for m in world.sent() if m.get_type() == "HEARTBEAT"]
    assert 9 <= len(beats) <= 12
    assert {(m.get_srcSystem(), m.get_srcComponent(), m.type, m.autopilot) for m in beats} == {
        (255, 190, 6, 8)
    }


def test_the_clock_scales_time_outs_but_not_below_what_a_busy_machine_needs():
    clock = SystemClock(20.0)
    assert clock.patience_s(60.0) == 60.0
    assert clock.patience_s(1.5) / 20.0 == pytest.approx(1.0)
    assert SystemClock().patience_s(1.5) == 1.5


def acks(world, *results, command=20, target=(0, 0)):
    """Have the vehicle answer each command with the next of `results`; None is silence."""
    left = list(results)

    def answer(data):
        message = mavlink.MAVLink(None).decode(bytearray(data))
        if message.get_type() != "COMMAND_LONG" or not left:
            return
        given = left.pop(0)
        for result in given if isinstance(given, tuple) else (given,):
            if result is not None:
                ack = mavlink.MAVLink_command_ack_message(command, result, 0, 0, *target)
                frame = ack.pack(mavlink.MAVLink(None, srcSystem=1, srcComponent=1))
                world.transport.inbox.append((frame, ("10.0.0.1", 14550)))

    world.transport.receivers.append(answer)


def sent_commands(world):
    return [m for m in world.sent() if m.get_type() == "COMMAND_LONG"]


def test_a_command_is_repeated_until_it_is_answered(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, None, None, 0)
    assert link.command(RTL).accepted
    assert [m.confirmation for m in sent_commands(world)] == [0, 1, 2]


def test_a_refusal_is_a_sentence_and_not_repeated(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, 2)
    result = link.command(RTL)
    assert result.sentence == "the vehicle was asked to return home: refused"
    assert len(sent_commands(world)) == 1


def test_no_answer_is_told_apart_from_a_refusal(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    result = link.command(RTL)
    assert result.result is None
    assert "did not answer" in result.sentence
    assert len(sent_commands(world)) == 4


def test_in_progress_is_waited_out_without_asking_again(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, (5, 5, 0))
    assert link.command(RTL).accepted
    assert len(sent_commands(world)) == 1


def test_in_progress_without_an_end_times_out(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, 5)
    started_s = world.clock.now_s
    assert link.command(RTL).result is None
    assert world.clock.now_s - started_s < 30


@pytest.mark.parametrize(("command", "target"), [(400, (0, 0)), (20, (254, 190)), (20, (255, 1))])
def test_answers_to_others_do_not_count(world, heartbeat, command, target):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, 0, 0, 0, 0, command=command, target=target)
    assert link.command(RTL).result is None


def test_a_flood_of_foreign_answers_does_not_prolong_the_wait(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    sender = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    flood = mavlink.MAVLink_command_ack_message(400, 0).pack(sender)
    world.clock.world.insert(0, lambda: world.transport.inbox.append((flood, ("10.0.0.1", 14550))))
    started_s = world.clock.now_s
    assert link.command(RTL).result is None
    assert world.clock.now_s - started_s < 7


def test_an_accepted_request_that_delivers_nothing_times_out(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, 0, command=512)
    assert link.request_message(259) is None


def test_a_requested_message_is_returned(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    acks(world, 0, command=512)
    world.clock.world.append(lambda: world.hear(mavlink.MAVLink_mission_current_message(3)))
    assert link.request_message(42).seq == 3


def test_nothing_is_commanded_to_everybody(world):
    link = world.open_link()
    assert link.command(RTL).result is None
    assert sent_commands(world) == []
    with pytest.raises(LinkError, match="no vehicle was heard"):
        link.target  # noqa: B018


def test_a_command_with_a_place_travels_as_command_int():
    message = Command(192, (5.0, 0, 0, 0, 31.25, -120.5, 20.0), "go there", frame=6).message((1, 1), 0)
    assert message.get_type() == "COMMAND_INT"
    assert (message.x, message.y, message.z, message.frame) == (312500000, -1205000000, 20.0, 6)


def test_what_cannot_be_sent_is_counted(world, heartbeat):
    link = world.open_link()
    world.hear(heartbeat())
    before = link.counters.unsent_messages
    world.transport.broken = True
    assert link.command(RTL).result is None
    assert link.counters.unsent_messages >= before + 4


def test_an_owner_that_does_not_look_loses_the_oldest(world, heartbeat, rolls, monkeypatch):
    monkeypatch.setattr("patrol.flight.link._LONGEST_QUEUE", 10)
    world.hear(heartbeat())
    sender = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    for number in range(25):
        frame = attitude(number / 100).pack(sender)
        world.transport.inbox.append((frame, ("10.0.0.1", 14550)))
    world.serve()
    world.link.pump(0.0)
    assert rolls == [number / 100 for number in range(15, 25)]
    assert world.link.counters.overrun_messages == 15


def test_the_recording_is_read_by_the_usual_tools(world, heartbeat, tmp_path):
    path = tmp_path / "a.tlog"
    link = world.open_link(tlog_path=path)
    world.hear(heartbeat())
    world.hear(attitude(0.25), component=154)  # recorded, though nobody is told
    world.pass_time(1.5)
    link.close()
    log = mavutil.mavlogfile(str(path))
    read = []
    while (message := log.recv_msg()) is not None:
        read.append((message.get_srcSystem(), message.get_type()))
        assert message._timestamp == pytest.approx(world.clock.utc_ns() / 1e9, abs=3)
    log.close()
    assert (1, "HEARTBEAT") in read
    assert (1, "ATTITUDE") in read
    assert (255, "HEARTBEAT") in read


def test_a_full_disk_ends_the_recording_only(world, heartbeat, caplog):
    link = world.open_link(tlog_path=Path("/dev/full"))
    world.hear(heartbeat())
    world.pass_time(5.0)
    link.close()
    assert "flight recording stopped" in caplog.text
    assert link.vehicle is not None


# -- real ports ------------------------------------------------------------------------------------------


def test_a_port_in_use_is_a_sentence_that_says_what_to_do():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=rf"port {port} is in use by another program; stop that"):
            Link(f"udp://127.0.0.1:{port}").open()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "14550",
        "udp://",
        "udp://:x",
        "udp://h:99999",
        "http://a:1",
        "tcp://:5760",
        "serial:",
        "serial:///d?baud=x",
    ],
)
def test_a_wrong_url_is_a_usage_error(url):
    with pytest.raises(UsageError, match=r"udp://HOST:PORT"):
        open_transport(url)


def test_faults_of_other_kinds_are_sentences_too(tmp_path):
    with pytest.raises(LinkError, match="cannot listen there"):
        open_transport("udp://203.0.113.7:14550")
    with pytest.raises(LinkError, match="no connection"):
        open_transport("tcp://127.0.0.1:1")
    with pytest.raises(NightPatrolError, match="choose another place for the flight recording"):
        Link("udp://127.0.0.1:0", tlog_path=tmp_path / "no" / "a.tlog").open()


def test_a_vehicle_over_udp_is_met_and_answered(heartbeat, sender):
    transport = open_transport("udp://127.0.0.1:0")
    with (
        Link("udp://127.0.0.1:0", transport=transport) as link,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle,
    ):
        vehicle.settimeout(5.0)
        vehicle.sendto(sender(3, 1).pack(heartbeat()), ("127.0.0.1", transport.port))
        assert link.wait_for_vehicle(5.0).system == 3
        data = vehicle.recv(1000)
    assert mavlink.MAVLink(None).decode(bytearray(data)).get_type() == "HEARTBEAT"


def test_a_vehicle_over_tcp_is_met_again_after_the_connection_broke(heartbeat, sender):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5.0)
        port = server.getsockname()[1]
        with Link(f"tcp://127.0.0.1:{port}") as link:
            for _ in range(2):
                vehicle, _ = server.accept()
                with vehicle:
                    vehicle.sendall(b"rubbish" + sender().pack(heartbeat()))
                    heard = []
                    with link.subscribed(heard.append, "HEARTBEAT"):
                        assert link.wait_until(lambda heard=heard: heard, 5.0)


def test_a_vehicle_on_a_serial_line_is_met(heartbeat, sender):
    pytest.importorskip("serial", reason="pyserial is optional")
    ours, theirs = pty.openpty()
    try:
        with Link(f"serial://{os.ttyname(theirs)}?baud=115200") as link:
            os.write(ours, sender().pack(heartbeat()))
            assert link.wait_for_vehicle(5.0) is not None
            answer = []
            reader = threading.Thread(target=lambda: answer.append(os.read(ours, 300)))
            reader.start()
            link.send(heartbeat())
            reader.join(5.0)
            assert answer[0][0] == 0xFD
    finally:
        os.close(ours)
        os.close(theirs)
