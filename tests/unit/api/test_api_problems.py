"""Every error is a problem document with a sentence, and nothing odd gets in."""

import json
from datetime import UTC, datetime
from itertools import product

import pytest
import uuid_utils
from sqlalchemy.exc import OperationalError

ALERTS = "/api/v1/alerts"
LIVE = {"drone": "drone-1", "flight": None, "eyes": None}


def assert_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["instance"] == response.request.url.path
    assert problem["detail"].endswith(".")
    return problem


def changed(body, path, value):
    copy = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    target = copy
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target[parent]
    target[last] = value
    return copy


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/nothing.js", 404),
        ("GET", "/api/v1/alerts/", 404),
        ("DELETE", "/api/v1/alerts", 405),
        ("GET", "/api/v1/auth/login", 405),
        ("POST", "/console", 405),
        ("GET", "/api/v1/alerts", 401),
    ],
)
async def test_errors_of_the_framework_are_problems_too(asked, method, path, status):
    response = await asked.anonymous.request(method, path)
    assert_problem(response, status)
    assert ("allow" in response.headers) == (status == 405)


BAD_FIELDS = [
    ("id", "0b5a8c1e-3f63-4b0e-8d2b-6f0d3f2c9a11"),
    ("id", "alert-1"),
    ("id", None),
    ("revision", 0),
    ("revision", -1),
    ("revision", 2**31),
    ("revision", 10**30),
    ("revision", 1.5),
    ("revision", "1"),
    ("revision", True),
    ("kind", "party"),
    ("severity", "Critical"),
    ("raised_at", "2026-05-01T12:00:00"),
    ("raised_at", "0001-01-01T00:00:00+14:00"),
    ("raised_at", "9999-12-31T23:59:59-14:00"),
    ("raised_at", 1777636800),
    ("raised_at", "yesterday"),
    ("position.lat", 95),
    ("position.lat", "31.3"),
    ("position.lon", -180.1),
    ("position.radius_m_90", -1),
    ("position.ellipse_90.bearing_deg", 361),
    ("position.height_m", 3),
    ("confidence", 1.01),
    ("measure.people", "nine"),
    ("measure.people of note", 9),
    ("measure", {f"figure_{number}": 1.0 for number in range(65)}),
    ("place.market", ""),
    ("place.market", "\0"),
    ("place.name.en", "x" * 501),
    ("instruction.fr", "Allez voir"),
    ("source.model_sha256", "abc"),
    ("evidence", [{}] * 33),
    ("evidence", "none"),
    ("state", "closed"),
]


async def test_a_report_with_a_bad_field_names_the_field(asked, make_report, subtests):
    for path, value in BAD_FIELDS:
        with subtests.test(path, value=str(value)[:40]):
            response = await asked.edge.post(ALERTS, json=changed(make_report(), path, value))
            problem = assert_problem(response, 422)
            assert problem["errors"][0]["field"].startswith(path)
            assert path in problem["detail"]
    assert (await asked.officer.get(ALERTS)).json()["items"] == []


async def test_numbers_are_finite(asked, make_report, subtests):
    for path, number in product(
        ("position.lat", "confidence", "measure.people", "position.radius_m_90"),
        ("NaN", "Infinity", "-Infinity", "1e999"),
    ):
        with subtests.test(path, number=number):
            text = json.dumps(changed(make_report(), path, "NUMBER")).replace('"NUMBER"', number)
            response = await asked.edge.post(
                ALERTS, content=text, headers={"Content-Type": "application/json"}
            )
            assert path in assert_problem(response, 422)["detail"]


NO_REPORTS = [
    (b"", "body"),
    (b"{", "not JSON at character 1"),
    (b"null", "body"),
    (b"[]", "JSON object"),
    (b'"text"', "JSON object"),
    (b"\xff\xff{}", "UTF-8"),
    (b"[" * 100_000, "well-formed JSON"),
    (b"9" * 5000, "well-formed JSON"),
    (b'{"id": "\\ud800"}', "id"),
]


async def test_bodies_that_are_no_report(asked, subtests):
    for content, words in NO_REPORTS:
        with subtests.test(content[:20]):
            response = await asked.edge.post(
                ALERTS, content=content, headers={"Content-Type": "application/json"}
            )
            assert words in assert_problem(response, 422)["detail"]


async def test_a_report_must_say_that_it_is_json(asked, make_report):
    content = json.dumps(make_report())
    response = await asked.edge.post(ALERTS, content=content, headers={"Content-Type": "text/plain"})
    assert "Content-Type: application/json" in assert_problem(response, 422)["detail"]


async def test_a_long_unknown_name_is_not_echoed_whole(asked, make_report):
    response = await asked.edge.post(ALERTS, json={**make_report(), "x" * 50_000: 1})
    assert_problem(response, 422)
    assert len(response.content) < 2000


async def test_bad_queries_name_the_parameter(asked, subtests):
    for query in ("wait=56", "wait=-1", "wait=nan", "wait=soon", "limit=0", "limit=501", "after=" + "A" * 65):
        with subtests.test(query):
            problem = assert_problem(await asked.officer.get(f"{ALERTS}?{query}"), 422)
            assert problem["errors"][0]["field"] == query.partition("=")[0]


async def test_an_id_in_the_path_is_a_uuid7(asked):
    assert_problem(await asked.officer.get(f"{ALERTS}/1"), 422)
    accepted = await asked.officer.get(f"{ALERTS}/{str(uuid_utils.uuid7()).upper()}")
    assert accepted.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/v1/alerts", 256 * 1024),
        ("POST", "/api/v1/auth/login", 256 * 1024),
        ("PUT", "/api/v1/evidence/" + "a" * 64, 5_000_000),
        ("PUT", "/api/v1/live/drone-1/picture", 1_000_000),
    ],
)
async def test_a_body_that_is_too_long_is_refused_while_it_is_read(asked, method, path, limit, make_report):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 20 * limit:
            sent += 65536
            yield b" " * 65536

    if "evidence" in path:
        await asked.edge.post(ALERTS, json=make_report(evidence=("a" * 64,)))
    headers = {"Content-Type": "image/jpeg" if method == "PUT" else "application/json"}
    declared = await asked.edge.request(method, path, content=b" " * (limit + 1), headers=headers)
    assert str(limit) in assert_problem(declared, 413)["detail"]
    undeclared = await asked.edge.request(method, path, content=endless(), headers=headers)
    assert str(limit) in assert_problem(undeclared, 413)["detail"]
    assert sent <= limit + 2 * 65536


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(28, "No space left on device"), 507, "disk is full"),
        (OperationalError("INSERT", {}, Exception("database or disk is full")), 507, "disk is full"),
        (OperationalError("INSERT", {}, Exception("database is locked")), 503, "storage"),
        (RuntimeError("secret inner words"), 500, "its log says why"),
    ],
)
async def test_faults_of_the_station_are_told_without_their_insides(
    asked, make_report, monkeypatch, error, status, words
):
    async def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("api.alerts.service.take_in", fail)
    response = await asked.edge.post(ALERTS, json=make_report())
    problem = assert_problem(response, status)
    assert words in problem["detail"]
    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (status != 500)
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


BAD_LIVE_FIELDS = [
    ("drone", "../etc"),
    ("drone", ""),
    ("flight.lat_deg", 91),
    ("flight.state", "dancing"),
    ("flight.armed", "yes"),
    ("eyes.camera", "asleep"),
    ("eyes.tracks", [{}] * 1001),
    ("eyes.frames_analysed", -1),
    ("pilot", "Zhang"),
]


async def test_a_live_report_with_a_bad_field_names_the_field(asked, subtests):
    now_ns = int(datetime.now(UTC).timestamp() * 1e9)
    flight = {
        **dict.fromkeys(
            ("lat_deg", "lon_deg", "height_above_home_m", "heading_deg", "speed_mps", "battery_percent")
        ),
        "at_ns": now_ns,
        "sortie": "sortie-1",
        "state": "ready",
        "reason": "",
        "mode": "AUTO",
        "armed": False,
    }
    eyes = {
        **dict.fromkeys(("frames_analysed", "frames_dropped", "people_tracked", "incidents_open"), 0),
        "at_ns": now_ns,
        "camera": "ready",
        "camera_reason": "",
        "footprint": [],
        "tracks": [],
    }
    body = {**LIVE, "flight": flight, "eyes": eyes}
    assert (await asked.edge.post("/api/v1/live", json=body)).status_code == 204
    for path, value in BAD_LIVE_FIELDS:
        with subtests.test(path, value=str(value)[:40]):
            response = await asked.edge.post("/api/v1/live", json=changed(body, path, value))
            assert assert_problem(response, 422)["errors"][0]["field"].startswith(path)
