"""Whole sorties against a scripted copter, on a clock that only moves when somebody waits."""

import pytest

from patrol.domain.sorties import SortieState
from patrol.flight.record import read_record
from patrol.flight.sortie import SortieLimits, SortieRunner

S = SortieState
ARM, START, RTL = 400, 300, 20


@pytest.fixture
def fly(world, tmp_path):
    """A runner on an open link; the record lies in `fly.record`."""

    def make(sortie="s-1", **options):
        if world.link is None:
            world.open_link()
        options.setdefault("record_path", tmp_path / "sortie.json")
        return SortieRunner(world.link, world.plan, world.ear, world.clock, sortie=sortie, **options)

    return make


def test_a_plan_is_flown_to_its_end(world, fly, tmp_path):
    copter = world.copter()

    assert fly().run() is S.COMPLETED

    assert world.ear.states == [
        S.PREPARED, S.READY, S.TAKING_OFF, S.PATROLLING, S.RETURNING, S.LANDING, S.COMPLETED,
    ]  # fmt: skip
    assert [c for c in copter.commands if c in (176, ARM, START)] == [176, ARM, START]
    assert len(copter.stores[0]) == 6  # home and five items
    assert len(copter.stores[1]) == 4
    assert len(copter.stores[2]) == 1
    assert 207 in copter.commands
    assert read_record(tmp_path / "sortie.json").state is S.COMPLETED
    assert "flown to its end" in world.ear.events[-1].reason


def test_telemetry_reaches_the_listener_with_the_vehicles_utc(world, fly):
    world.copter()
    fly().run()
    sample = world.ear.positions[-1]
    assert abs(sample.at_ns - world.clock.utc_ns()) < 2e9
    assert sample.lat_deg == pytest.approx(31.3)
    assert world.ear.gimbals[-1].pitch_rad == pytest.approx(-0.5)
    assert {status.mode for status in world.ear.statuses} >= {"GUIDED", "AUTO"}


def test_it_waits_for_all_four_signs_of_readiness_and_says_what_is_missing(world, fly):
    copter = world.copter()
    copter.prearm = False

    def mend():
        if world.clock.now_s > 110 and copter.due("reason", 60):
            copter.text("PreArm: Compass not calibrated")
        if world.clock.now_s > 120:
            copter.prearm = True

    world.clock.world.append(mend)
    assert fly().run() is S.COMPLETED
    assert world.clock.now_s > 120
    waiting = [event.reason for event in world.ear.events if event.state is S.PREPARED]
    assert any("pre-arm" in reason and "Compass not calibrated" in reason for reason in waiting)


@pytest.mark.parametrize(
    ("knob", "value", "words"),
    [
        ("fix", 2, "satellite fix"),
        ("ekf_flags", 831 & ~16, "estimator"),
        ("home_known", False, "home position"),
        ("prearm", False, "pre-arm"),
        ("battery", 30, "battery has 30 %"),
        ("lat_deg", 31.301, "from the plan's home"),
        ("landed", 0, "on the ground"),
    ],
)
def test_it_does_not_arm_when_one_sign_is_missing(world, fly, knob, value, words):
    copter = world.copter()
    setattr(copter, knob, value)
    assert fly().run() is S.ABORTED
    assert words in world.ear.events[-1].reason
    assert ARM not in copter.commands
    assert START not in copter.commands


def test_a_plan_with_errors_is_not_even_loaded(world, fly):
    copter = world.copter()
    object.__setattr__(world.plan, "fence", ())
    assert fly().run() is S.ABORTED
    assert "fence" in world.ear.events[-1].reason
    assert copter.stores[0] == []
    assert ARM not in copter.commands


def test_a_mission_that_reads_back_differently_is_not_flown(world, fly):
    copter = world.copter()

    def lower(seq, item):
        if seq == 3:
            item.z = 5.0
        return item

    copter.mangle = lower
    assert fly().run() is S.ABORTED
    assert "mission item 3 (NAV_WAYPOINT): height 15.00 m was sent, 5.00 m came back" in (
        world.ear.events[-1].reason
    )
    assert ARM not in copter.commands


def test_the_fence_is_switched_on_at_a_later_try(world, fly):
    copter = world.copter()
    tries = iter([4, 4])
    copter.refuse[207] = lambda: next(tries, 0)
    assert fly().run() is S.COMPLETED
    assert copter.commands.count(207) == 3


def test_without_its_fence_it_stays_on_the_ground(world, fly):
    copter = world.copter()
    copter.refuse[207] = 4
    assert fly().run() is S.ABORTED
    assert "without its fence" in world.ear.events[-1].reason
    assert ARM not in copter.commands


def test_arming_is_tried_again_and_the_reason_shown(world, fly):
    copter = world.copter()
    tries = iter([4])

    def refuse_once():
        result = next(tries, 0)
        if result:
            copter.text("Arm: Gyros inconsistent")
        return result

    copter.refuse[ARM] = refuse_once
    assert fly().run() is S.COMPLETED
    assert copter.commands.count(ARM) == 2
    assert (4, "Arm: Gyros inconsistent") in world.ear.texts


def test_a_refusal_to_arm_ends_on_the_ground_with_its_words(world, fly):
    copter = world.copter()

    def refuse():
        copter.text("Arm: Battery 1 low voltage failsafe")
        return 4

    copter.refuse[ARM] = refuse
    assert fly().run() is S.ABORTED
    assert "Battery 1 low voltage failsafe" in world.ear.events[-1].reason
    assert START not in copter.commands


def test_the_heartbeat_counts_not_the_acknowledgement(world, fly):
    copter = world.copter()
    copter.refuse[ARM] = lambda: (setattr(copter, "armed", True), None)[1]  # arms, but never answers
    assert fly().run() is S.COMPLETED


def test_a_refused_start_disarms_it(world, fly):
    copter = world.copter()
    copter.refuse[START] = 2
    assert fly().run() is S.ABORTED
    assert copter.armed is False
    assert "start the mission: refused" in world.ear.events[-1].reason


def test_what_stops_holding_at_the_last_instant_stops_the_motors(world, fly, monkeypatch):
    copter = world.copter()
    monkeypatch.setattr("patrol.flight.preflight.Preflight.is_good", lambda self, clearance: False)
    assert fly().run() is S.ABORTED
    assert ARM not in copter.commands
    assert "do not hold any more" in world.ear.events[-1].reason


def test_an_old_mission_counter_is_wound_back_before_the_start(world, fly):
    copter = world.copter()
    copter.seq = 4
    fly().run()
    assert copter.commands.index(224) < copter.commands.index(START)


def call_home_when(world, runner, state, reason="operator pressed return"):
    def on_event(event):
        if event.state is state:
            runner.request_return(reason)

    world.ear.on_event = on_event


def test_it_comes_home_when_asked(world, fly):
    copter = world.copter()
    runner = fly()
    call_home_when(world, runner, S.PATROLLING)
    assert runner.run() is S.COMPLETED
    assert copter.mode == 6
    assert "called home: operator pressed return" in world.ear.events[-1].reason
    assert world.ear.states[-3:] == [S.RETURNING, S.LANDING, S.COMPLETED]
    # Asked for, so it is not told as something that the aircraft did by itself.
    assert not any("by itself" in sentence for _, sentence in world.ear.texts)


def test_the_call_home_is_repeated_until_the_heartbeat_shows_it(world, fly):
    copter = world.copter()
    copter.leg_s = 30.0
    tries = iter([4, 4])
    copter.refuse[RTL] = lambda: next(tries, 0)
    runner = fly()
    call_home_when(world, runner, S.PATROLLING)
    assert runner.run() is S.COMPLETED
    assert copter.commands.count(RTL) == 3


def test_asked_before_take_off_it_stays_on_the_ground(world, fly):
    copter = world.copter()
    runner = fly()
    call_home_when(world, runner, S.READY, "operator pressed stop")
    assert runner.run() is S.ABORTED
    assert ARM not in copter.commands
    assert "stopped before take-off: operator pressed stop" in world.ear.events[-1].reason


def test_asked_between_arming_and_start_it_is_disarmed(world, fly):
    copter = world.copter()
    runner = fly()
    call_home_when(world, runner, S.TAKING_OFF)
    assert runner.run() is S.ABORTED
    assert ARM in copter.commands
    assert START not in copter.commands
    assert copter.armed is False


@pytest.mark.parametrize("mode", [5, 6, 9, 16, 17])
def test_what_the_autopilot_does_by_itself_is_respected(world, fly, mode):
    copter = world.copter()
    copter.leg_s = 20.0

    def failsafe():
        if copter.mode == 3 and copter.seq == 3:
            copter.text("Failsafe")
            copter.mode = mode
            world.clock.world.remove(failsafe)

    def land_in_the_end():
        if copter.mode == mode and world.clock.now_s > 260:
            copter.landed, copter.armed = 1, False

    world.clock.world += [failsafe, land_in_the_end]
    fly().run()
    after = copter.commands[copter.commands.index(START) + 1 :]
    assert set(after) <= {511}  # asking for telemetry is all it did
    told = [sentence for _, sentence in world.ear.texts if "by itself" in sentence]
    assert len(told) == 1
    assert "Failsafe" in told[0]


def test_a_landing_away_from_home_is_no_completed_sortie(world, fly):
    copter = world.copter()
    copter.leg_s = 20.0

    def gps_loss():
        if copter.mode == 3 and copter.seq == 3:
            copter.mode = 9
        if copter.mode == 9:
            copter.height_m -= 0.2
            copter.landed = 4
            if copter.height_m <= 0:
                copter.landed, copter.armed = 1, False

    world.clock.world.append(gps_loss)
    assert fly().run() is S.ABORTED
    assert S.LANDING in world.ear.states
    assert "from AUTO to LAND by itself" in world.ear.events[-1].reason


@pytest.mark.parametrize("mode", [0, 2, 9])
def test_a_pilots_or_failsafes_mode_is_not_overridden_by_a_call_home(world, fly, mode):
    copter = world.copter()
    copter.leg_s = 20.0
    runner = fly()

    def take_over():
        if copter.mode == 3 and copter.seq == 3:
            copter.mode = mode
        if copter.mode == mode and copter.height_m > 0 and world.clock.now_s > 200:
            copter.height_m, copter.landed, copter.armed = 0.0, 1, False

    world.clock.world.append(take_over)
    call_home_when(world, runner, S.LANDING if mode == 9 else S.HOLDING)
    runner.run()
    assert RTL not in copter.commands


def test_a_silent_aircraft_is_lost_contact_and_back(world, fly):
    copter = world.copter()
    copter.leg_s = 20.0

    def radio_shadow():
        copter.quiet = 145 < world.clock.now_s < 157

    world.clock.world.append(radio_shadow)
    assert fly().run() is S.COMPLETED
    states = world.ear.states
    at = states.index(S.LOST_CONTACT)
    assert states[at - 1 : at + 2] == [S.PATROLLING, S.LOST_CONTACT, S.PATROLLING]
    assert any("heard again" in event.reason for event in world.ear.events)


def test_after_long_silence_it_is_called_home_though_nothing_is_heard(world, fly):
    copter = world.copter()
    copter.leg_s = 40.0
    deaf_since = []

    def downlink_lost():
        if copter.mode == 3 and copter.seq == 3 and not deaf_since:
            deaf_since.append(world.clock.now_s)
        # Only what the aircraft says is lost; what is sent to it arrives.
        if deaf_since and world.clock.now_s < deaf_since[0] + 50:
            world.transport.inbox.clear()

    world.clock.world.insert(1, downlink_lost)
    assert fly().run() is S.COMPLETED
    assert RTL in copter.commands
    assert S.LOST_CONTACT in world.ear.states


def test_a_low_battery_brings_it_home_before_the_autopilots_failsafe(world, fly):
    copter = world.copter()
    copter.leg_s = 30.0

    def drain():
        if copter.seq == 3:
            copter.battery = 22

    world.clock.world.append(drain)
    assert fly().run() is S.COMPLETED
    assert copter.commands.count(RTL) == 1
    assert "battery is down to 22 %" in world.ear.events[-1].reason


def test_whoever_sends_it_out_again_with_a_low_battery_is_not_overruled(world, fly):
    copter = world.copter()
    copter.leg_s = 60.0
    pilot = []

    def drain_and_insist():
        if copter.seq == 3:
            copter.battery = 22
        if copter.mode == 6 and not pilot:
            pilot.append(world.clock.now_s + 2.5)
        if copter.mode == 6 and world.clock.now_s > pilot[0]:
            copter.mode = 3

    world.clock.world.append(drain_and_insist)
    fly().run()
    assert copter.commands.count(RTL) == 1


def test_an_old_word_about_the_ground_does_not_end_a_flight(world, fly):
    """Motors off, but the last word on the landed state is from before: it may as well have fallen."""
    copter = world.copter()
    copter.armed, copter.mode = True, 3
    armed_until_s = world.clock.now_s + 30.0

    def fall():
        if world.clock.now_s > armed_until_s - 10:
            copter.refuse[511] = 3
            copter.intervals.pop(245, None)
        if world.clock.now_s > armed_until_s:
            copter.armed = False

    world.clock.world.append(fall)
    assert fly().run() is S.ABORTED
    assert "does not say that it is on the ground" in world.ear.events[-1].reason
    assert world.clock.now_s > armed_until_s + 10


def test_a_restarted_process_follows_what_is_in_the_air(world, fly, tmp_path):
    copter = world.copter()
    copter.leg_s = 10.0
    first = fly()
    world.ear.on_event = lambda event: first.detach() if event.state is S.PATROLLING else None
    assert first.run() is S.PATROLLING
    assert read_record(tmp_path / "sortie.json").unfinished
    before = list(copter.commands)
    world.ear.on_event = None

    assert fly().run() is S.COMPLETED
    later = copter.commands[len(before) :]
    assert set(later) == {511}
    assert "followed, not started" in next(e for e in world.ear.events if "followed" in e.reason).reason


def test_a_restarted_process_takes_up_a_call_home_that_was_not_fulfilled(world, fly, tmp_path):
    copter = world.copter()
    copter.leg_s = 30.0
    copter.refuse[RTL] = 4
    first = fly()
    call_home_when(world, first, S.PATROLLING, "rain")

    def crash():
        if copter.commands.count(RTL) == 2:
            first.detach()

    world.clock.world.append(crash)
    assert first.run() is S.PATROLLING
    assert read_record(tmp_path / "sortie.json").return_reason == "rain"
    world.clock.world.remove(crash)
    world.ear.on_event = None
    copter.refuse.clear()

    assert fly().run() is S.COMPLETED
    assert "called home: rain" in world.ear.events[-1].reason
    assert read_record(tmp_path / "sortie.json").return_reason is None


def test_telemetry_that_never_comes_is_not_asked_for_for_ever(world, fly):
    copter = world.copter()
    copter.leg_s = 40.0
    fly().run()
    asked = [m.param1 for m in world.sent() if m.get_type() == "COMMAND_LONG" and m.command == 511]
    assert asked.count(30.0) == 1  # attitude comes
    assert 3 <= asked.count(162.0) <= 5  # the fence's status does not, in this copter


def test_an_aircraft_in_the_air_without_a_record_is_followed_too(world, fly):
    copter = world.copter()
    copter.leg_s = 5.0
    copter.take_off_unseen()
    assert fly().run() is S.COMPLETED
    assert copter.stores[0] == []
    assert set(copter.commands) == {511}


def test_a_restart_keeps_the_older_sorties_id_while_its_aircraft_flies(world, fly):
    copter = world.copter()
    copter.leg_s = 10.0
    first = fly("older")
    world.ear.on_event = lambda event: first.detach() if event.state is S.PATROLLING else None
    first.run()
    world.ear.on_event = None
    second = fly("newer")
    assert second.run() is S.COMPLETED
    assert second.sortie == "older"


def test_a_restart_after_the_landing_does_not_launch_again(world, fly):
    copter = world.copter()
    copter.leg_s = 10.0
    first = fly()
    world.ear.on_event = lambda event: first.detach() if event.state is S.PATROLLING else None
    first.run()
    world.ear.on_event = None
    world.pass_time(200)
    assert copter.armed is False
    copter.commands.clear()

    assert fly().run() is S.COMPLETED
    assert ARM not in copter.commands
    assert "while nobody followed" in world.ear.events[-1].reason
    # And once more, now that the record says it is over.
    assert fly().run() is S.COMPLETED
    assert ARM not in copter.commands


def test_an_unreadable_record_stops_a_launch_but_not_the_following(world, fly, tmp_path):
    copter = world.copter()
    (tmp_path / "sortie.json").write_text("{")
    assert fly().run() is S.ABORTED
    assert "move this file away" in world.ear.events[-1].reason
    assert ARM not in copter.commands

    (tmp_path / "sortie.json").write_text("{")
    copter.take_off_unseen()
    assert fly().run() is S.COMPLETED


def test_without_a_place_for_its_record_it_does_not_start(world, fly, tmp_path):
    copter = world.copter()
    (tmp_path / "file").write_text("")
    assert fly(record_path=tmp_path / "file" / "sortie.json").run() is S.ABORTED
    assert ARM not in copter.commands


def test_no_vehicle_is_a_sentence(world, fly):
    assert fly(limits=SortieLimits(vehicle_timeout_wall_s=5.0)).run() is S.ABORTED
    assert world.ear.events[-1].reason == (
        "udp://test:1: no vehicle was heard in 5 s; check that it is on and sends to this address"
    )


def test_an_autopilot_that_is_not_known_is_not_flown(world, fly, heartbeat):
    world.clock.world.append(lambda: world.hear(heartbeat(autopilot=12)))
    assert fly().run() is S.ABORTED
    assert "MAV_AUTOPILOT_PX4" in world.ear.events[-1].reason


def test_a_listener_that_fails_does_not_end_the_flight(world, fly, caplog):
    world.copter()
    world.ear.position = lambda sample: 1 / 0
    assert fly().run() is S.COMPLETED
    assert "the flight goes on" in caplog.text


def test_an_item_reached_again_and_again_is_told_once(world, fly):
    copter = world.copter()
    copter.leg_s = 10.0
    from pymavlink.dialects.v20 import ardupilotmega as mavlink

    def repeat():
        if copter.seq == 4 and copter.due("repeat", 1.0):
            copter.say(mavlink.MAVLink_mission_item_reached_message(3))

    world.clock.world.append(repeat)
    fly().run()
    assert sum("item 3 of 5 reached" in sentence for _, sentence in world.ear.texts) == 1
