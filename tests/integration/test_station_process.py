"""The station as a process of its own: streams, long polls, going down, being killed."""

import asyncio
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uuid_utils
from PIL import Image

from api.auth.roles import Role
from api.bootstrap import prepare

_PATROL = "from patrol.cli import main; main()"
_START_WITHIN_S = 60.0
# Generous: this machine may be busy. Nothing here waits for it to pass.
_SOON_S = 20.0


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    url: str
    data_dir: Path
    tokens: dict[str, str]
    log: Path

    def client(self, role: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.AsyncClient(
            base_url=self.url + "/api/v1", headers=headers, timeout=_SOON_S, trust_env=False
        )


def make_station(data_dir: Path) -> dict[str, str]:
    """A data folder with one user for each role; returns their tokens."""
    return prepare(
        data_dir, users=[(role.value, role, None) for role in Role], tokens=[role.value for role in Role]
    )


@contextmanager
def running(data_dir: Path, tokens: dict[str, str]) -> Iterator[Running]:
    log = data_dir.parent / f"{data_dir.name}.log"
    environment = {**os.environ, "NIGHT_PATROL_STATION_KEEP_ALIVE_S": "0.2"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", _PATROL, "serve", "--port", "0", "--data", str(data_dir)],
            stderr=file,
            env=environment,
        )
    try:
        yield Running(process, _await_url(process, log), data_dir, tokens, log)
    finally:
        process.kill()
        process.wait()


def _await_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        if "startup complete" in text:
            return text.partition("The station is at ")[2].partition(",")[0]
        time.sleep(0.02)
    pytest.fail(f"the station did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp("process") / "station"
    tokens = make_station(data_dir)
    with running(data_dir, tokens) as started:
        yield started


def report(revision: int = 1, id_: str | None = None) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "id": id_ or str(uuid_utils.uuid7()),
        "revision": revision,
        "kind": "gathering",
        "severity": "warning",
        "raised_at": now,
        "updated_at": now,
        "ended_at": None,
        "position": {
            "lat": 31.3,
            "lon": 120.62,
            "radius_m_90": 2.5,
            "ellipse_90": {"semi_major_m": 3.0, "semi_minor_m": 2.0, "bearing_deg": 40.0},
        },
        "place": {"market": "night-market", "zone": None, "name": {"zh": "庭院", "en": "Yard"}},
        "instruction": {"zh": "请前往查看", "en": "Go and look"},
        "measure": {"people": 9.0},
        "confidence": 0.8,
        "evidence": [],
        "source": {"drone": "drone-1", "sortie": "s-1", "model": "people", "model_sha256": "0" * 64},
    }


@dataclass
class Event:
    name: str
    id: str | None
    data: Any


@asynccontextmanager
async def listening(client: httpx.AsyncClient, **request: Any) -> AsyncIterator[AsyncIterator[Event]]:
    async with client.stream("GET", "/stream", **request) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


async def end_of(client: httpx.AsyncClient) -> str:
    cursor = None
    while True:
        page = (await client.get("/alerts", params={} if cursor is None else {"after": cursor})).json()
        cursor = page["cursor"]
        if not page["more"]:
            return cursor


async def test_a_stream_tells_alerts_as_they_come_and_resumes_where_it_broke_off(station):
    async with station.client("edge") as edge, station.client("officer") as officer, asyncio.timeout(_SOON_S):
        start = await end_of(officer)
        async with listening(officer, params={"after": start}) as events:
            first = report()
            await edge.post("/alerts", json=first)
            event = await anext(events)
            assert (event.name, event.data["id"], event.data["revision"]) == ("alert", first["id"], 1)
        missed = [report(), report()]
        for body in missed:
            await edge.post("/alerts", json=body)
        async with listening(officer, params={"after": start}, headers={"Last-Event-ID": event.id}) as events:
            seen = [await anext(events), await anext(events)]
            assert [event.data["id"] for event in seen] == [body["id"] for body in missed]
            await officer.post(f"/alerts/{first['id']}/acknowledge")
            again = await anext(events)
            assert (again.data["id"], again.data["state"]) == (first["id"], "acknowledged")
            assert again.id == await end_of(officer)


async def test_only_operators_hear_of_drones(station):
    live = {"drone": "drone-1", "flight": None, "eyes": None}
    async with (
        station.client("edge") as edge,
        station.client("operator") as operator,
        station.client("officer") as officer,
        asyncio.timeout(_SOON_S),
    ):
        start = await end_of(officer)
        async with (
            listening(operator, params={"after": start}) as to_operator,
            listening(officer, params={"after": start}) as to_officer,
        ):
            await edge.post("/live", json=live)
            event = await anext(to_operator)
            assert (event.name, event.id, event.data["drone"]) == ("live", None, "drone-1")
            body = report()
            await edge.post("/alerts", json=body)
            first = await anext(to_officer)
            assert (first.name, first.data["id"]) == ("alert", body["id"])


async def test_a_stream_with_a_foreign_cursor_is_a_problem(station):
    async with station.client("officer") as officer:
        response = await officer.get("/stream", headers={"Last-Event-ID": "not-ours"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


async def test_streams_end_when_their_token_is_revoked_however_much_there_is_to_tell(station):
    async def keep_reporting(edge: httpx.AsyncClient) -> None:
        while True:
            await edge.post("/live", json={"drone": "drone-1", "flight": None, "eyes": None})

    tokens = await asyncio.to_thread(prepare, station.data_dir, tokens=["operator"])
    headers = {"Authorization": f"Bearer {tokens['operator']}"}
    async with (
        asyncio.timeout(_SOON_S),
        station.client("operator") as client,
        station.client("edge") as edge,
        listening(client, params={"after": await end_of(client)}, headers=headers) as events,
        client.stream("GET", "/live/drone-9/picture.mjpeg", headers=headers) as pictures,
    ):
        reporting = asyncio.create_task(keep_reporting(edge))
        try:
            assert (await anext(events)).name == "live"
            assert (await client.post("/auth/logout", headers=headers)).status_code == 204
            assert b"Content-Type" not in await pictures.aread()
            assert [event async for event in events if event.name == "alert"] == []
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)


async def test_a_long_poll_is_answered_when_something_happens(station):
    async with station.client("edge") as edge, station.client("officer") as officer, asyncio.timeout(_SOON_S):
        cursor = await end_of(officer)
        waiting = asyncio.create_task(officer.get("/alerts", params={"after": cursor, "wait": 15}))
        body = report()
        await edge.post("/alerts", json=body)
        page = (await waiting).json()
        assert [item["id"] for item in page["items"]] == [body["id"]]


async def test_the_live_picture_flows_and_stops_with_its_viewer(station):
    file = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(file, "JPEG")
    picture = file.getvalue()
    headers = {"Content-Type": "image/jpeg"}
    async with (
        station.client("edge") as edge,
        station.client("operator") as operator,
        asyncio.timeout(_SOON_S),
    ):
        await edge.put("/live/drone-1/picture", content=picture, headers=headers)
        async with operator.stream("GET", "/live/drone-1/picture.mjpeg") as response:
            assert response.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=")
            received = b""
            async for chunk in response.aiter_bytes():
                received += chunk
                if received.count(picture) == 1 and b"\xff\xd9\r\n--" in received:
                    await edge.put("/live/drone-1/picture", content=picture, headers=headers)
                if received.count(picture) == 2:
                    break
        assert f"Content-Length: {len(picture)}".encode() in received
    assert "operator opened the live picture of drone drone-1" in station.log.read_text()


async def test_no_token_is_ever_logged(station):
    async with station.client("officer") as officer:
        await officer.get("/alerts")
    log = station.log.read_text()
    assert not [token for token in station.tokens.values() if token in log]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_open_streams_and_long_polls_do_not_keep_it_from_stopping(tmp_path, signum):
    tokens = await asyncio.to_thread(make_station, tmp_path / "s")
    with running(tmp_path / "s", tokens) as own:
        async with (
            own.client("officer") as officer,
            own.client("operator") as operator,
            asyncio.timeout(_SOON_S),
            listening(officer) as events,
            operator.stream("GET", "/live/drone-1/picture.mjpeg"),
        ):
            poll = asyncio.create_task(operator.get("/alerts", params={"wait": 55}))
            await _await_waiters(own, operator)
            own.process.send_signal(signum)
            assert (await poll).json()["items"] == []
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        own.process.wait(timeout=_SOON_S)
        assert own.process.returncode in (0, -signum)
        log = own.log.read_text()
        assert "Traceback" not in log
        assert "timeout graceful shutdown exceeded" not in log


async def _await_waiters(own: Running, client: httpx.AsyncClient) -> None:
    """The poll was sent before this request on another connection; its answer shows that the server reads."""
    assert (await client.get("/auth/me")).status_code == 200


async def test_killed_in_the_middle_of_intake_nothing_is_half_stored_and_nothing_answered_is_lost(tmp_path):
    data_dir = tmp_path / "station"
    tokens = await asyncio.to_thread(make_station, data_dir)
    answered: list[tuple[str, int]] = []
    enough = asyncio.Event()

    async def keep_reporting(edge: httpx.AsyncClient) -> None:
        while True:
            body = report()
            for revision in (1, 2):
                response = await edge.post("/alerts", json={**body, "revision": revision})
                if response.status_code == 201:
                    answered.append((body["id"], revision))
                if len(answered) == 40:
                    enough.set()

    with running(data_dir, tokens) as own:
        async with own.client("edge") as edge, asyncio.timeout(_SOON_S):
            writers = [asyncio.create_task(keep_reporting(edge)) for _ in range(6)]
            await enough.wait()
            own.process.kill()
            for outcome in await asyncio.gather(*writers, return_exceptions=True):
                assert isinstance(outcome, httpx.TransportError)

    with sqlite3.connect(data_dir / "station.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        kept = set(database.execute("SELECT alert_id, revision FROM alert_reports"))
        steps = database.execute("SELECT count(*) FROM alert_history").fetchone()[0]
        last = database.execute("SELECT last_change FROM station").fetchone()[0]
        without_report = database.execute(
            "SELECT count(*) FROM alerts LEFT JOIN alert_reports ON alert_reports.alert_id = alerts.id"
            " AND alert_reports.revision = alerts.report_revision WHERE alert_reports.body IS NULL"
        ).fetchone()[0]
    assert kept >= set(answered)
    assert len(kept) == steps == last
    assert without_report == 0

    with running(data_dir, tokens) as own:
        async with own.client("officer") as officer:
            shown = (await officer.get("/alerts", params={"limit": 500})).json()["items"]
    assert {item["id"] for item in shown} == {alert_id for alert_id, _ in kept}
