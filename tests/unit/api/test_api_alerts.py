"""Intake, reading by cursor, acknowledging."""

import asyncio
import sqlite3

import pytest
import uuid_utils

from api.alerts import cursor as cursors
from api.problems import ProblemError
from patrol.geo.datums import wgs84_to_bd09, wgs84_to_gcj02

ALERTS = "/api/v1/alerts"


async def report(asked, body, expected=201):
    response = await asked.edge.post(ALERTS, json=body)
    assert response.status_code == expected, response.text
    return response.json()


async def read(asked, **query):
    response = await asked.officer.get(ALERTS, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_new_alert_is_shown_as_reported(asked, make_report):
    body = make_report()
    alert = await report(asked, body)
    for field in (
        "id",
        "kind",
        "severity",
        "place",
        "instruction",
        "measure",
        "confidence",
        "source",
    ):
        assert alert[field] == body[field]
    assert alert["position"] == {"datum": "WGS-84", **body["position"]}
    assert alert["state"] == "open"
    assert alert["verification"] == "unverified"
    assert alert["revision"] == alert["report_revision"] == 1
    assert alert["acknowledged_by"] is None
    assert [(entry["actor"], entry["action"], entry["revision"]) for entry in alert["history"]] == [
        ("edge", "reported", 1)
    ]
    assert (await read(asked))["items"] == [alert]
    assert (await asked.operator.get(f"{ALERTS}/{body['id']}")).json() == alert


async def test_an_alert_tells_its_place_in_the_datums_of_chinese_maps(asked, make_report):
    alert = await report(asked, make_report())
    lat, lon = alert["position"]["lat"], alert["position"]["lon"]
    for name, datum, convert in (
        ("position_gcj02", "GCJ-02", wgs84_to_gcj02),
        ("position_bd09", "BD-09", wgs84_to_bd09),
    ):
        expected_lat, expected_lon = convert(lat, lon)
        assert alert[name] == {"datum": datum, "lat": float(expected_lat), "lon": float(expected_lon)}


async def test_an_edge_cannot_report_in_another_datum(asked, make_report):
    body = make_report()
    body["position"]["datum"] = "GCJ-02"
    problem = await report(asked, body, expected=422)
    assert "datum" in str(problem)


async def test_the_same_report_again_changes_nothing(asked, make_report):
    body = make_report()
    first = await report(asked, body)
    # The same instant in another zone is the same report.
    again = await report(asked, {**body, "raised_at": "2026-05-01T20:00:00+08:00"}, expected=200)
    assert again == first


async def test_the_same_revision_with_other_content_is_refused(asked, make_report):
    body = make_report()
    first = await report(asked, body)
    conflict = await report(asked, {**body, "confidence": 0.9}, expected=409)
    assert conflict["type"] == "urn:night-patrol:report-conflict"
    assert "higher revision" in conflict["detail"]
    assert (await read(asked))["items"] == [first]


async def test_a_newer_revision_replaces_what_is_shown(asked, make_report):
    body = make_report()
    await report(asked, body)
    newer = await report(asked, {**body, "revision": 3, "severity": "critical"})
    assert newer["severity"] == "critical"
    assert (newer["revision"], newer["report_revision"]) == (2, 3)
    assert [entry["action"] for entry in newer["history"]] == ["reported", "updated"]


async def test_a_late_revision_is_kept_and_lowers_nothing(asked, make_report):
    body = make_report(revision=3, severity="critical")
    shown = await report(asked, body)
    before = await read(asked)
    late = await report(asked, {**body, "revision": 2, "severity": "watch"}, expected=200)
    assert late == shown
    assert await read(asked) == before
    with sqlite3.connect(asked.data_dir / "station.sqlite3") as database:
        revisions = database.execute("SELECT revision FROM alert_reports ORDER BY revision").fetchall()
    assert revisions == [(2,), (3,)]
    await report(asked, {**body, "revision": 2, "severity": "warning"}, expected=409)


async def test_many_posts_of_the_same_report_at_once_make_one_alert(asked, make_report):
    body = make_report()
    answers = await asyncio.gather(*(asked.edge.post(ALERTS, json=body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len((await read(asked))["items"]) == 1


async def test_changes_are_numbered_without_gaps_whoever_makes_them(asked, make_report):
    bodies = [make_report() for _ in range(8)]
    newer = [{**body, "revision": 2, "confidence": 0.9} for body in bodies]
    refused = [{**body, "confidence": 0.1} for body in bodies]
    await asyncio.gather(*(asked.edge.post(ALERTS, json=body) for body in bodies))
    answers = await asyncio.gather(
        *(asked.edge.post(ALERTS, json=body) for body in newer + refused),
        *(asked.officer.post(f"{ALERTS}/{body['id']}/acknowledge") for body in bodies),
    )
    assert {answer.status_code for answer in answers} == {200, 201, 409}
    with sqlite3.connect(asked.data_dir / "station.sqlite3") as database:
        (steps,) = database.execute("SELECT count(*) FROM alert_history").fetchone()
        (last,) = database.execute("SELECT last_change FROM station").fetchone()
        changes = [change for (change,) in database.execute("SELECT change FROM alerts")]
    assert last == steps == 24
    assert max(changes) == last
    assert all(len(alert["history"]) == alert["revision"] == 3 for alert in (await read(asked))["items"])


async def test_reading_by_cursor_gives_each_alert_once_in_its_newest_form(asked, make_report):
    first, second, third = (make_report() for _ in range(3))
    for body in (first, second, third):
        await report(asked, body)
    await report(asked, {**first, "revision": 2})
    page = await read(asked, limit=2)
    assert [item["id"] for item in page["items"]] == [second["id"], third["id"]]
    assert page["more"] is True
    rest = await read(asked, limit=2, after=page["cursor"])
    assert [(item["id"], item["revision"]) for item in rest["items"]] == [(first["id"], 2)]
    assert rest["more"] is False
    nothing = await read(asked, after=rest["cursor"])
    assert nothing == {"items": [], "cursor": rest["cursor"], "more": False}


async def test_an_empty_station_gives_a_cursor_to_begin_with(asked, make_report):
    page = await read(asked)
    assert page["items"] == []
    body = make_report()
    await report(asked, body)
    assert [item["id"] for item in (await read(asked, after=page["cursor"]))["items"]] == [body["id"]]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        "not a cursor",
        "é",
        "=" * 22,
        cursors.encode("f" * 32, 0),
        "A" * 64,
    ],
)
async def test_a_cursor_that_is_not_of_this_station_says_to_begin_again(asked, cursor):
    response = await asked.officer.get(ALERTS, params={"after": cursor})
    assert response.status_code == 400
    assert response.json()["type"] == "urn:night-patrol:cursor"
    assert "from the start" in response.json()["detail"]


def test_a_cursor_ahead_of_the_station_is_refused():
    station_id = "0123456789abcdef" * 2
    ahead = cursors.encode(station_id, 7)
    assert cursors.decode(station_id, ahead, last_change=7) == 7
    with pytest.raises(ProblemError, match="restored from a backup"):
        cursors.decode(station_id, ahead, last_change=6)


async def test_an_unchanged_list_is_not_sent_again(asked, make_report):
    body = make_report()
    await report(asked, body)
    first = await asked.officer.get(ALERTS)
    again = await asked.officer.get(ALERTS, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    await report(asked, {**body, "revision": 2})
    changed = await asked.officer.get(ALERTS, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_a_long_poll_wakes_for_the_next_alert(asked, make_report):
    cursor = (await read(asked))["cursor"]
    waiting = asyncio.create_task(read(asked, after=cursor, wait=30))
    body = make_report()
    async with asyncio.timeout(10):
        await asked.until_somebody_waits()
        await report(asked, body)
        page = await waiting
    assert [item["id"] for item in page["items"]] == [body["id"]]


async def test_a_long_poll_without_news_comes_back_empty(asked):
    cursor = (await read(asked))["cursor"]
    assert await read(asked, after=cursor, wait=0.01) == {"items": [], "cursor": cursor, "more": False}


async def test_a_long_poll_ends_when_the_station_goes_down(asked):
    cursor = (await read(asked))["cursor"]
    waiting = asyncio.create_task(read(asked, after=cursor, wait=55))
    async with asyncio.timeout(10):
        await asked.until_somebody_waits()
        asked.station.stop_waiting()
        assert (await waiting)["items"] == []


async def test_acknowledging_is_remembered_with_who_and_when(asked, make_report):
    body = make_report()
    await report(asked, body)
    cursor = (await read(asked))["cursor"]
    asked.clock.move(seconds=42)
    response = await asked.officer.post(f"{ALERTS}/{body['id']}/acknowledge", json={"note": "路上"})
    assert response.status_code == 200
    alert = response.json()
    assert alert["state"] == "acknowledged"
    assert alert["acknowledged_by"] == "officer"
    assert alert["revision"] == 2
    assert response.headers["etag"] == '"2"'
    step = alert["history"][-1]
    assert (step["actor"], step["action"], step["note"]) == ("officer", "acknowledged", "路上")
    assert step["at"] == alert["acknowledged_at"]
    assert (await read(asked, after=cursor))["items"] == [alert]


async def test_acknowledging_twice_is_the_same_even_with_the_revision_seen_before(asked, make_report):
    body = make_report()
    await report(asked, body)
    path = f"{ALERTS}/{body['id']}/acknowledge"
    first = await asked.officer.post(path, headers={"If-Match": '"1"'})
    again = await asked.officer.post(path, headers={"If-Match": '"1"'})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


async def test_somebody_elses_acknowledgement_stands(asked, make_report):
    body = make_report()
    await report(asked, body)
    path = f"{ALERTS}/{body['id']}/acknowledge"
    await asked.officer.post(path)
    refused = await asked.other_officer.post(path)
    assert refused.status_code == 409
    assert "acknowledged by officer" in refused.json()["detail"]
    assert (await asked.operator.get(f"{ALERTS}/{body['id']}")).json()["acknowledged_by"] == "officer"


async def test_of_two_officers_at_once_one_gets_the_alert(asked, make_report):
    body = make_report()
    await report(asked, body)
    path = f"{ALERTS}/{body['id']}/acknowledge"
    answers = await asyncio.gather(asked.officer.post(path), asked.other_officer.post(path))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_decision_on_an_old_revision_is_refused(asked, make_report):
    body = make_report()
    await report(asked, body)
    await report(asked, {**body, "revision": 2, "severity": "critical"})
    path = f"{ALERTS}/{body['id']}/acknowledge"
    refused = await asked.officer.post(path, headers={"If-Match": '"1"'})
    assert refused.status_code == 412
    assert "revision 2" in refused.json()["detail"]
    assert (await asked.officer.post(path, headers={"If-Match": '"2"'})).status_code == 200


async def test_an_acknowledged_alert_stays_so_when_the_edge_reports_again(asked, make_report):
    body = make_report()
    await report(asked, body)
    await asked.officer.post(f"{ALERTS}/{body['id']}/acknowledge")
    newer = await report(asked, {**body, "revision": 2, "severity": "critical"})
    assert (newer["state"], newer["acknowledged_by"], newer["severity"]) == (
        "acknowledged",
        "officer",
        "critical",
    )


@pytest.mark.parametrize("what", ["", "/acknowledge"])
async def test_an_unknown_alert_is_not_found(asked, what):
    method = "POST" if what else "GET"
    response = await asked.officer.request(method, f"{ALERTS}/{uuid_utils.uuid7()}{what}")
    assert response.status_code == 404
    assert "There is no alert" in response.json()["detail"]
