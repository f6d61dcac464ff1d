"""Which process that ended has done its work, and which is started again."""

import threading

import pytest

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.live import FlightStatus
from patrol.domain.resources import data_path
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.edge.bus import Notice
from patrol.edge.checks import check_before_start
from patrol.edge.job import EXIT_STOPPED, background
from patrol.edge.settings import load_settings
from patrol.edge.supervisor import Supervisor, _Child, _only_patrol_of, sortie_to_fly
from patrol.flight.record import SortieRecord, write_record

USAGE = 2


@pytest.fixture
def settings(tmp_path):
    flightplans = data_path("flightplans")
    return load_settings(
        plan=flightplans / "night-market.plan",
        market=flightplans / "night-market.market.geojson",
        camera_model=flightplans / "night-market.camera.yaml",
        link="udp://127.0.0.1:14550",
        camera="udp://127.0.0.1:5600",
        data_dir=tmp_path,
    )


@pytest.fixture
def supervisor(settings):
    said: list[str] = []
    it = Supervisor(settings, "night-1", lambda message: said.append(getattr(message, "sentence", "")))
    it.said = said
    return it


def in_the_air(supervisor):
    record = SortieRecord("night-1", SortieState.PATROLLING, "", launched=True, at_ns=1)
    write_record(supervisor.settings.sortie_record_path, record)
    supervisor._children["flight"] = _Child("flight")


def ends(supervisor, name, code) -> _Child:
    child = supervisor._children.setdefault(name, _Child(name))
    supervisor._note_exit(child, code, now_s=100.0)
    return child


@pytest.mark.parametrize("code", [1, USAGE, EXIT_STOPPED, -9])
@pytest.mark.parametrize("name", ["flight", "eyes", "uplink"])
def test_whatever_dies_in_the_air_is_started_again(supervisor, name, code):
    in_the_air(supervisor)
    child = ends(supervisor, name, code)
    assert not child.finished
    assert child.restart_at_s > 100.0
    assert "starts again" in supervisor.said[-1]


def test_an_uplink_that_ends_well_is_started_again_too(supervisor):
    in_the_air(supervisor)
    assert not ends(supervisor, "uplink", 0).finished


def test_restarts_come_slower_and_slower_until_a_process_is_well(supervisor):
    in_the_air(supervisor)
    waits = []
    for _ in range(7):
        waits.append(ends(supervisor, "eyes", -11).restart_at_s - 100.0)
        supervisor._children["eyes"].started_at_s = 99.0
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    supervisor._children["eyes"].started_at_s = 10.0
    assert ends(supervisor, "eyes", -11).restart_at_s - 100.0 == 0.5


def test_a_flight_process_that_gives_up_on_the_ground_ends_the_sortie_with_its_reason(supervisor):
    supervisor._last_error = "port 14550 is in use"
    assert ends(supervisor, "flight", 1).finished
    assert supervisor._event == SortieEvent(
        supervisor._event.at_ns, SortieState.ABORTED, "port 14550 is in use"
    )


def test_an_unreadable_record_counts_as_a_drone_in_the_air(supervisor):
    supervisor.settings.sortie_record_path.parent.mkdir(parents=True)
    supervisor.settings.sortie_record_path.write_text("{half a rec")
    assert not ends(supervisor, "flight", 1).finished


def test_eyes_that_cannot_run_stop_the_start_and_never_the_flight(supervisor):
    supervisor._last_error = "the model file is missing"
    with pytest.raises(NightPatrolError, match="eyes cannot run: the model file is missing"):
        ends(supervisor, "eyes", USAGE)
    in_the_air(supervisor)
    assert not ends(supervisor, "eyes", USAGE).finished


def test_a_final_state_is_taken_from_the_flight_status(supervisor):
    class OneMessage:
        def receive(self, timeout_s):
            return FlightStatus(
                5, "night-1", SortieState.COMPLETED, "home", None, None, None, None, None, None, "RTL", False
            )

    assert supervisor._pump(OneMessage())
    assert ends(supervisor, "flight", 1).finished


def test_a_sortie_left_unfinished_is_taken_up_again(settings):
    record = SortieRecord("night-7", SortieState.RETURNING, "", launched=True, at_ns=1)
    write_record(settings.sortie_record_path, record)
    assert sortie_to_fly(settings.sortie_record_path) == "night-7"
    over = SortieRecord("night-7", SortieState.COMPLETED, "", launched=True, at_ns=1)
    write_record(settings.sortie_record_path, over)
    assert sortie_to_fly(settings.sortie_record_path) != "night-7"


def test_one_drone_has_one_patrol_at_a_time(settings):
    with _only_patrol_of(settings):
        second = _only_patrol_of(settings)
        with pytest.raises(UsageError, match="drone-1: another patrol"):
            second.__enter__()
    with _only_patrol_of(settings):
        pass


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("link", "nonsense", "not a link to a vehicle"),
        ("link", "udp://127.0.0.1", "the port is missing"),
        ("camera", "rstp://operator:secret@10.0.0.5/main", r"rstp://operator:\*\*\*@10"),
        ("station", "localhost:8400", "begins with http"),
    ],
)
def test_a_wrong_address_is_refused_before_the_start(settings, monkeypatch, name, value, says):
    monkeypatch.setenv("NIGHT_PATROL_STATION_TOKEN", "a token")
    with pytest.raises(NightPatrolError, match=says):
        check_before_start(settings.model_copy(update={name: value}))


def test_the_failure_of_a_thread_ends_its_process():
    stop = threading.Event()

    def fails(_stop: threading.Event) -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), background(fails, stop):
        assert stop.wait(5.0)


def test_a_notice_of_an_error_becomes_the_reason(supervisor):
    class OneMessage:
        def receive(self, timeout_s):
            return Notice("flight", 40, "no position")

    supervisor._pump(OneMessage())
    ends(supervisor, "flight", 1)
    assert supervisor._event.reason == "no position"
