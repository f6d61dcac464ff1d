"""`patrol users`, `patrol serve` up to the point where it listens, and the bootstrap of the demo."""

import asyncio
import fcntl
import logging
import socket
import stat
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from api.app import create_app
from api.auth.roles import Role
from api.bootstrap import prepare, write_token
from api.settings import BootstrapUser, StationSettings, read_settings
from patrol.cli import app
from patrol.domain.errors import UsageError


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "station"


def patrol(*arguments: str, stdin: str = "") -> str:
    """Run a command as `patrol` would; a NightPatrolError comes out as it is."""
    return CliRunner().invoke(app, arguments, input=stdin, catch_exceptions=False).output


async def me(data_dir: Path, token: str) -> httpx.Response:
    station = create_app(StationSettings(data_dir=data_dir))
    async with (
        station.router.lifespan_context(station),
        httpx.AsyncClient(transport=httpx.ASGITransport(station), base_url="http://station.test") as client,
    ):
        return await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})


async def login(data_dir: Path, username: str, password: str, **settings: object) -> int:
    station = create_app(StationSettings(data_dir=data_dir, **settings))
    async with (
        station.router.lifespan_context(station),
        httpx.AsyncClient(transport=httpx.ASGITransport(station), base_url="http://station.test") as client,
    ):
        body = {"username": username, "password": password}
        return (await client.post("/api/v1/auth/login", json=body)).status_code


def test_users_are_added_listed_and_removed(data_dir):
    data = ("--data", str(data_dir))
    said = patrol(
        "users", "add", "Li.Wei", "--role", "officer", "--name", "李伟", *data, stdin="long enough\n"
    )
    assert said == "li.wei is now a user with the role officer.\n"
    patrol("users", "add", "edge-1", "--role", "edge", "--token-only", *data)
    listed = patrol("users", "list", *data)
    assert "li.wei" in listed
    assert "李伟" in listed
    assert "edge-1" in listed
    patrol("users", "remove", "LI.WEI", *data)
    assert "li.wei" not in patrol("users", "list", *data)


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("add", "a b", "--role", "officer"), "long enough\n", "letters, digits"),
        (("add", "new", "--role", "officer"), "short\n", "5 characters; use 8 to 256"),
        (("add", "new", "--role", "officer"), "", "no password"),
        (("add", "known", "--role", "officer"), "long enough\n", "exists already"),
        (("remove", "nobody"), "", "no user nobody"),
        (("token", "nobody", "--out", "unused"), "", "patrol users add nobody --role edge"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(data_dir, arguments, stdin, words):
    prepare(data_dir, users=[("known", Role.OFFICER, None)])
    with pytest.raises(UsageError, match=words):
        patrol("users", *arguments, "--data", str(data_dir), stdin=stdin)


def test_no_password_can_be_given_as_an_argument():
    assert "--password" not in patrol("users", "add", "--help")


async def test_a_token_goes_to_a_private_file_and_works(data_dir, tmp_path):
    await asyncio.to_thread(prepare_one_edge, data_dir)
    out = tmp_path / "edge-1.token"
    patrol_output = await asyncio.to_thread(
        patrol, "users", "token", "edge-1", "--out", str(out), "--data", str(data_dir)
    )
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    token = out.read_text().strip()
    assert token not in patrol_output
    assert (await me(data_dir, token)).json() == {"username": "edge-1", "role": "edge", "name": "edge-1"}


def test_a_token_never_overwrites_a_file(data_dir, tmp_path):
    prepare(data_dir, users=[("edge-1", Role.EDGE, None)])
    out = tmp_path / "precious"
    out.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        patrol("users", "token", "edge-1", "--out", str(out), "--data", str(data_dir))
    assert out.read_text() == "precious"
    with pytest.raises(UsageError, match="cannot be written"):
        write_token(tmp_path / "no" / "folder", "x")


async def test_a_removed_users_token_stops_working(data_dir):
    tokens = await asyncio.to_thread(prepare_one_edge, data_dir)
    assert (await me(data_dir, tokens["edge-1"])).status_code == 200
    await asyncio.to_thread(patrol, "users", "remove", "edge-1", "--data", str(data_dir))
    assert (await me(data_dir, tokens["edge-1"])).status_code == 401


async def test_preparing_twice_gives_the_new_password_and_keeps_other_tokens(data_dir):
    first = await asyncio.to_thread(prepare_one_edge, data_dir)
    await asyncio.to_thread(lambda: prepare(data_dir, users=[("op", Role.OPERATOR, "first password")]))
    await asyncio.to_thread(lambda: prepare(data_dir, users=[("op", Role.OPERATOR, "second password")]))
    assert await login(data_dir, "op", "first password") == 401
    assert await login(data_dir, "op", "second password") == 200
    assert (await me(data_dir, first["edge-1"])).status_code == 200


async def test_a_token_expires(data_dir):
    tokens = await asyncio.to_thread(
        lambda: prepare(
            data_dir, users=[("e", Role.EDGE, None)], tokens=["e"], token_lifetime=timedelta(seconds=-1)
        )
    )
    assert (await me(data_dir, tokens["e"])).status_code == 401


async def test_users_of_the_settings_are_added_once_and_not_changed_later(data_dir, caplog):
    def settings(password: str) -> tuple[BootstrapUser, ...]:
        return (BootstrapUser(username="op", role=Role.OPERATOR, password=password),)

    assert await login(data_dir, "op", "first password", users=settings("first password")) == 200
    assert await login(data_dir, "op", "second password", users=settings("second password")) == 401
    assert "no users yet" not in caplog.text


async def test_an_empty_station_says_how_to_add_the_first_user(data_dir, caplog):
    assert await login(data_dir, "op", "any password") == 401
    assert f"patrol users add NAME --role operator --data {data_dir}" in caplog.text


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NIGHT_PATROL_STATION_PORT", "9000")
    monkeypatch.setenv("NIGHT_PATROL_STATION_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(
        "NIGHT_PATROL_STATION_USERS", '[{"username": "op", "role": "operator", "password": "a password"}]'
    )
    settings = read_settings(host="127.0.0.2", port=None)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.2", 9000, tmp_path)
    assert settings.users[0].role is Role.OPERATOR
    assert "a password" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", r"setting port \(NIGHT_PATROL_STATION_PORT\)"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("SESSION_HOURS", "0", "session_hours"),
        ("TLS_KEY", "key.pem", "both or neither"),
        ("USERS", "not json", "users"),
        ("USERS", '[{"username": "op", "role": "king"}]', "role"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(monkeypatch, name, value, words):
    monkeypatch.setenv(f"NIGHT_PATROL_STATION_{name}", value)
    with pytest.raises(UsageError, match=words):
        read_settings()


def test_a_port_in_use_is_told_in_a_sentence(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is in use") as refused:
            patrol("serve", "--port", str(port), "--data", str(data_dir))
    assert refused.value.exit_code == 2


def test_a_second_station_on_the_same_data_is_refused_in_a_sentence(data_dir):
    data_dir.mkdir()
    with (data_dir / "station.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another station is running with this data folder"):
            patrol("serve", "--port", "0", "--data", str(data_dir))


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--host", "127.0.0.1"), False),
        (("--host", "0.0.0.0"), True),
        (("--host", "0.0.0.0", "--tls-cert", "certificate.pem", "--tls-key", "key.pem"), False),
    ],
)
def test_listening_to_the_world_without_tls_is_warned_about(data_dir, monkeypatch, caplog, options, warned):
    served = []
    monkeypatch.setattr("api.server._check_tls", lambda _settings: None)
    monkeypatch.setattr("api.server._Server.run", lambda _server, sockets: served.extend(sockets))
    with caplog.at_level(logging.INFO):
        patrol("serve", *options, "--port", "0", "--data", str(data_dir))
    assert len(served) == 1
    assert f"://{options[1]}:" in caplog.text
    assert ("there is no TLS" in caplog.text) == warned


def test_a_certificate_that_cannot_be_used_is_told_in_a_sentence(data_dir, tmp_path):
    (tmp_path / "certificate.pem").write_text("no certificate")
    for certificate in ("certificate.pem", "missing.pem"):
        options = ("--tls-cert", str(tmp_path / certificate), "--tls-key", str(tmp_path / "key.pem"))
        with pytest.raises(UsageError, match=rf"{certificate}.*not a TLS certificate and its key"):
            patrol("serve", *options, "--data", str(data_dir))


def test_an_address_that_is_not_ours_is_told_in_a_sentence(data_dir):
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1"):
        patrol("serve", "--host", "192.0.2.1", "--port", "0", "--data", str(data_dir))


@pytest.mark.parametrize(
    "command", [("serve",), ("users", "add"), ("users", "list"), ("users", "token"), ("users", "remove")]
)
def test_help_has_an_example(command):
    assert f"patrol {' '.join(command)} " in patrol(*command, "--help").partition("Example")[2]


def prepare_one_edge(data_dir: Path) -> dict[str, str]:
    return prepare(data_dir, users=[("edge-1", Role.EDGE, None)], tokens=["edge-1"])
