"""What `patrol demo` does around its flight."""

import json
import os
import signal
import stat
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from patrol.cli import app
from patrol.commands import demo
from patrol.commands.geolocation import Geolocation
from patrol.commands.sim import Noise
from patrol.domain.errors import UsageError


class Started(Exception):
    """The demo began to start its processes."""


@pytest.fixture
def starts_nothing(monkeypatch):
    """A demo that ends where it would start its first process."""

    @contextmanager
    def refuse(*_arguments):
        raise Started
        yield

    monkeypatch.setattr(demo, "_child", refuse)


def run_demo(*arguments):
    CliRunner().invoke(app, ["demo", "--headless", *map(str, arguments)], catch_exceptions=False)


def test_settings_of_a_real_station_and_edge_do_not_reach_the_demo(monkeypatch, tmp_path, starts_nothing):
    real = tmp_path / "real.sqlite3"
    monkeypatch.setenv("NIGHT_PATROL_STATION_DATABASE_URL", f"sqlite+aiosqlite:///{real}")
    monkeypatch.setenv("NIGHT_PATROL_EDGE_SPEED_UP", "7")
    monkeypatch.setenv("night_patrol_station_host", "0.0.0.0")
    monkeypatch.setenv("NIGHT_PATROL_TEST_DATA", "kept")
    with pytest.raises(Started):
        run_demo("--keep", tmp_path / "kept")
    assert not real.exists()
    assert (tmp_path / "kept" / "station" / "station.sqlite3").exists()
    left = {name.upper() for name in os.environ}
    assert not [name for name in left if name.startswith(("NIGHT_PATROL_STATION", "NIGHT_PATROL_EDGE"))]
    assert "NIGHT_PATROL_TEST_DATA" in left


@pytest.mark.parametrize("before", [None, "a text longer than the logins " * 100])
def test_the_logins_are_for_their_owner_alone(tmp_path, starts_nothing, before):
    logins = tmp_path / "logins.json"
    if before is not None:
        logins.write_text(before)
        logins.chmod(0o644)
    with pytest.raises(Started):
        run_demo("--logins", logins)
    assert stat.S_IMODE(logins.stat().st_mode) == 0o600
    assert set(json.loads(logins.read_text())["users"]) == {"operator", "officer"}


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        ("--report", "missing/report.json", r"--report .*missing/report\.json: .*No such file.*another file"),
        ("--report", ".", r"--report .*: .*directory"),
        ("--logins", "missing/logins.json", r"--logins .*: .*No such file"),
        ("--keep", "file", r"--keep .*file: .*another folder"),
        ("--keep", "file/below", r"--keep .*below: .*another folder"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_starts(
    monkeypatch, tmp_path, starts_nothing, option, path, words
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(demo, "prepare", lambda *_, **__: pytest.fail("the station was prepared"))
    with pytest.raises(UsageError, match=words):
        run_demo(option, tmp_path / path)


class Patience:
    """An event that is set once it has been waited for three times."""

    def __init__(self):
        self.waits = 0

    def is_set(self):
        return self.waits >= 3

    def wait(self, _timeout_s):
        self.waits += 1


def test_the_officer_waits_a_little_when_the_station_cannot_answer(monkeypatch):
    asked = []

    def answer(request):
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t"})
        asked.append(request)
        assert len(asked) < 10, "asks again and again without a wait"
        return httpx.Response(503)

    connected = httpx.Client(base_url="http://station.test", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(demo.httpx, "Client", lambda **_: connected)
    demo._Officer("http://station.test", "officer", "password", _stop=Patience()).run()
    assert len(asked) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_lets_everything_be_cleaned_up(number):
    former = signal.getsignal(number)
    cleaned = []

    def clean_up(*_exception):
        signal.raise_signal(number)  # a second one does not break off the cleaning
        cleaned.append(number)

    cleaning = ExitStack()
    cleaning.push(clean_up)
    with pytest.raises(SystemExit) as ended, demo._ended_in_order(), cleaning:
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert cleaned == [number]
    assert signal.getsignal(number) is former


def test_nohup_is_respected():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with demo._ended_in_order():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_signal_while_a_child_starts_ends_the_demo_when_it_can_be_stopped(tmp_path, monkeypatch):
    started = []

    class Process:
        def __init__(self, *_arguments, **_options):
            signal.raise_signal(signal.SIGTERM)
            self.stopped = False
            started.append(self)

        def terminate(self):
            self.stopped = True

        def wait(self, _timeout_s):
            assert self.stopped

    monkeypatch.setattr(demo.subprocess, "Popen", Process)
    with pytest.raises(SystemExit), demo._ended_in_order(), demo._child(["serve"], tmp_path / "log"):
        pytest.fail("went on after the signal")
    assert [process.stopped for process in started] == [True]


def test_the_report_says_what_its_positions_were_compared_with(monkeypatch, tmp_path):
    (tmp_path / "aerial" / "pets2009_s2l1").mkdir(parents=True)
    (tmp_path / "tracks.jsonl").touch()
    scene = demo._Scene(tmp_path, 1, Noise.DECLARED)
    scene.truth_file.touch()
    monkeypatch.setenv("NIGHT_PATROL_TEST_DATA", str(tmp_path))
    monkeypatch.setattr(demo, "compare", lambda *_: Geolocation(0.4, 0.9, 1000))
    figures = demo._geolocation(scene, SimpleNamespace(folder=tmp_path))
    assert "IoU >= 0.5" in figures["compared"]
    assert figures["noise"] == "declared"
