"""The rules in one place: phases of a flight by the dialect, the guardian, the record, the clearance."""

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.domain.sorties import SortieState
from patrol.flight.dialects import ArduPilot, DialectError, Store, dialect_of
from patrol.flight.facts import FactKeeper, Facts
from patrol.flight.guardian import Guardian, GuardianLimits
from patrol.flight.link import Vehicle
from patrol.flight.preflight import Clearance, Preflight, PreflightError, PreflightLimits
from patrol.flight.record import RecordError, SortieRecord, read_record, write_record

S = SortieState
AUTO, GUIDED, LOITER, RTL, LAND, BRAKE, STABILIZE = 3, 4, 5, 6, 9, 17, 0
WAYPOINT, CMD_RTL, CMD_LAND, TAKEOFF = 16, 20, 21, 22
GROUND, AIR, TAKING_OFF, LANDING = 1, 2, 3, 4


@pytest.mark.parametrize(
    ("mode", "landed", "state", "command", "before", "phase"),
    [
        (GUIDED, GROUND, 2, None, S.READY, S.TAKING_OFF),
        (AUTO, GROUND, 3, TAKEOFF, S.TAKING_OFF, S.TAKING_OFF),
        (AUTO, AIR, 3, TAKEOFF, S.TAKING_OFF, S.TAKING_OFF),
        (AUTO, TAKING_OFF, 3, WAYPOINT, S.TAKING_OFF, S.TAKING_OFF),
        (AUTO, AIR, 3, WAYPOINT, S.TAKING_OFF, S.PATROLLING),
        (AUTO, AIR, 4, WAYPOINT, S.PATROLLING, S.HOLDING),  # paused by command 193
        (AUTO, AIR, 3, WAYPOINT, S.HOLDING, S.PATROLLING),
        (AUTO, AIR, 3, CMD_RTL, S.PATROLLING, S.RETURNING),  # a mission's return keeps the mode
        (AUTO, LANDING, 3, CMD_RTL, S.RETURNING, S.LANDING),
        (AUTO, GROUND, 3, CMD_RTL, S.LANDING, S.LANDING),
        (AUTO, GROUND, 5, None, S.LANDING, S.LANDING),  # the counter is back at home
        (AUTO, AIR, 3, CMD_LAND, S.PATROLLING, S.LANDING),
        (RTL, AIR, 3, WAYPOINT, S.PATROLLING, S.RETURNING),
        (RTL, LANDING, 3, WAYPOINT, S.RETURNING, S.LANDING),
        (LAND, AIR, 3, WAYPOINT, S.PATROLLING, S.LANDING),
        (BRAKE, AIR, 3, WAYPOINT, S.PATROLLING, S.HOLDING),
        (GUIDED, AIR, 3, WAYPOINT, S.PATROLLING, S.HOLDING),
        (99, AIR, 3, WAYPOINT, S.PATROLLING, S.HOLDING),
        (AUTO, AIR, 3, None, S.PATROLLING, S.PATROLLING),  # an item that the plan does not have
    ],
)
def test_phases_of_a_flight(mode, landed, state, command, before, phase):
    facts = Facts(armed=True, mode=mode, landed_state=landed, mission_state=state)
    assert ArduPilot().phase(facts, command, before) is phase


@pytest.mark.parametrize(
    ("mode", "person", "guardian"),
    [(AUTO, True, True), (GUIDED, True, True), (LOITER, True, False), (BRAKE, True, False),
     (LAND, False, False), (STABILIZE, False, False), (16, False, False), (None, False, False)],
)  # fmt: skip
def test_who_may_call_it_home_out_of_which_mode(mode, person, guardian):
    facts = Facts(mode=mode)
    assert ArduPilot().may_be_called_home(facts, by_person=True) is person
    assert ArduPilot().may_be_called_home(facts, by_person=False) is guardian


@pytest.mark.parametrize(
    ("armed", "landed", "over"),
    [
        (False, GROUND, True),
        (False, AIR, False),
        (True, GROUND, False),
        (None, GROUND, False),
        (False, None, False),
    ],
)
def test_over_is_motors_off_and_on_the_ground(armed, landed, over):
    assert ArduPilot().is_over(Facts(armed=armed, landed_state=landed)) is over


def test_what_a_plan_leaves_open_goes_out_as_the_autopilot_takes_it(world):
    items = ArduPilot().items(world.plan, Store.MISSION)
    home, takeoff, speed, waypoint = items[:4]
    assert (home.command, home.frame, home.z) == (16, 0, 4.0)
    assert math.isnan(takeoff.params[3])  # yaw left open: not a number
    assert math.isnan(waypoint.params[3])
    assert speed.params == (1.0, 4.5, -1.0, 0.0)
    # Of a return "not a number" would be refused.
    assert items[5].params == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("vehicle", [Vehicle(1, 1, 12, 2), Vehicle(1, 1, 3, 1), Vehicle(1, 1, 99, 2)])
def test_what_is_not_known_is_not_flown(vehicle):
    with pytest.raises(DialectError, match="cannot be flown"):
        dialect_of(vehicle)


def test_the_intervals_asked_for_hold_all_that_a_sortie_needs():
    assert {1, 2, 24, 30, 33, 42, 147, 162, 193, 242, 245, 285} <= set(ArduPilot.intervals_hz)
    assert all(10 <= ArduPilot.intervals_hz[message_id] <= 20 for message_id in (30, 33, 285))


# -- guardian --------------------------------------------------------------------------------------------


def test_a_low_battery_must_last_before_it_counts():
    guardian = Guardian(GuardianLimits(battery_return_percent=25, battery_hold_s=3))
    low, good = Facts(battery_percent=24.0), Facts(battery_percent=60.0)
    assert guardian.reason_to_return(low, 0.5, 10.0) is None
    assert guardian.reason_to_return(good, 0.5, 11.0) is None
    assert guardian.reason_to_return(low, 0.5, 12.0) is None
    assert guardian.reason_to_return(low, 0.5, 14.9) is None
    assert guardian.reason_to_return(low, 0.5, 15.0) == "the battery is down to 24 %"


def test_long_silence_counts_and_an_unknown_battery_does_not():
    guardian = Guardian(GuardianLimits(silence_return_s=30))
    assert guardian.reason_to_return(Facts(), 29.0, 0.0) is None
    assert "31 s" in guardian.reason_to_return(Facts(), 31.0, 0.0)


# -- record ----------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was(tmp_path):
    path = tmp_path / "deep" / "sortie.json"
    record = SortieRecord("s-1", S.PATROLLING, "why", launched=True, at_ns=5, return_reason="rain")
    assert read_record(path) is None
    write_record(path, record)
    assert read_record(path) == record
    assert [p.name for p in path.parent.iterdir()] == ["sortie.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sortie": "a"}', '{"version": 2}', "\0\1"])
def test_a_broken_record_is_a_sentence(tmp_path, text):
    path = tmp_path / "sortie.json"
    path.write_text(text)
    with pytest.raises(RecordError, match="on the ground, then move this file away"):
        read_record(path)


def test_a_crash_while_writing_leaves_the_old_record(tmp_path, monkeypatch):
    path = tmp_path / "sortie.json"
    old = SortieRecord("s-1", S.READY, "", launched=False, at_ns=1)
    write_record(path, old)
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(RecordError, match="No space left"):
        write_record(path, SortieRecord("s-1", S.TAKING_OFF, "", launched=True, at_ns=2))
    assert read_record(path) == old


# -- clearance -------------------------------------------------------------------------------------------


@pytest.fixture
def preflight(world):
    copter = world.copter()
    link = world.open_link()
    dialect = ArduPilot()
    keeper = FactKeeper(link, world.ear, mode_name=dialect.mode_name, gimbal_yaw=dialect.gimbal_yaw)
    copter.intervals = dict.fromkeys(ArduPilot.intervals_hz, 1e5)
    with keeper.listening():
        world.pass_time(3.0)
        yield Preflight(
            link, dialect, keeper, world.plan,
            market=None, battery_start_percent=40, limits=PreflightLimits(ready_timeout_s=5),
            stopped=lambda: False, waiting_for=lambda sentence: None,
        )  # fmt: skip


def test_no_clearance_before_the_plan_was_checked_and_loaded(world, preflight):
    with pytest.raises(PreflightError, match="prepare it first"):
        preflight.clear()
    assert preflight.is_good(Clearance(world.clock.now_s)) is False


def test_a_clearance_ages_and_ends_with_what_it_rests_on(world, preflight):
    preflight.prepare()
    clearance = preflight.clear()
    assert preflight.is_good(clearance)
    world.pass_time(6.0)
    assert not preflight.is_good(clearance)
    renewed = preflight.clear()
    assert preflight.is_good(renewed)
    world.hear(mavlink.MAVLink_ekf_status_report_message(0, 0, 0, 0, 0, 0))
    assert not preflight.is_good(renewed)


def test_facts_that_are_not_repeated_do_not_count(world, preflight):
    preflight.prepare()
    clearance = preflight.clear()
    world.transport.receivers.clear()
    world.clock.world.pop(0)  # the vehicle falls silent
    world.pass_time(3.5)
    assert world.clock.now_s - clearance.given_at_s < 5
    assert not preflight.is_good(clearance)
