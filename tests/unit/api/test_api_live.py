"""Live state and live picture."""

import asyncio
import logging

import pytest

from api.live.board import LiveBoard
from api.live.schemas import LiveReport

JPEG = {"Content-Type": "image/jpeg"}
REPORT = {"drone": "drone-1", "flight": None, "eyes": None}


async def test_the_newest_report_of_each_drone_is_shown_with_its_age(asked):
    await asked.edge.post("/api/v1/live", json=REPORT)
    await asked.edge.post("/api/v1/live", json={**REPORT, "drone": "drone-2"})
    first, second = (await asked.operator.get("/api/v1/live")).json()["drones"]
    assert (first["drone"], second["drone"]) == ("drone-1", "drone-2")
    assert first["age_s"] >= 0


def test_what_is_old_looks_old():
    now_s = 100.0
    board = LiveBoard(lambda: now_s)
    board.put_report(LiveReport(**REPORT), received_at=None)
    now_s = 107.5
    ((_, state),) = board.states()
    assert state.age_s == 7.5


def test_states_are_given_once_to_a_reader_that_keeps_the_number():
    board = LiveBoard()
    board.put_report(LiveReport(**REPORT), received_at=None)
    ((number, _),) = board.states()
    assert board.states(after=number) == []
    board.put_report(LiveReport(**REPORT), received_at=None)
    assert len(board.states(after=number)) == 1


def test_a_runaway_edge_does_not_fill_the_memory():
    board = LiveBoard()
    for number in range(1000):
        board.put_report(LiveReport(**{**REPORT, "drone": f"drone-{number}"}), received_at=None)
    assert len(board.states()) == 64
    assert "drone-999" in {state.drone for _, state in board.states()}


async def test_the_live_picture_is_shown_to_an_operator_and_the_look_is_logged(asked, make_jpeg, caplog):
    path = "/api/v1/live/drone-1/picture"
    assert (await asked.operator.get(f"{path}.jpg")).status_code == 404
    assert (await asked.edge.put(path, content=make_jpeg("red"), headers=JPEG)).status_code == 204
    assert (await asked.edge.put(path, content=make_jpeg("blue"), headers=JPEG)).status_code == 204
    with caplog.at_level(logging.INFO, "api.live"):
        response = await asked.operator.get(f"{path}.jpg")
    assert response.content == make_jpeg("blue")
    assert response.headers["age"] == "0"
    assert response.headers["cache-control"] == "no-store"
    assert "operator opened the live picture of drone drone-1" in caplog.text


async def test_a_picture_that_is_old_already_says_so_to_a_new_viewer(asked, make_jpeg):
    now_s = 100.0
    asked.station.live = LiveBoard(lambda: now_s)
    await asked.edge.put("/api/v1/live/drone-1/picture", content=make_jpeg(), headers=JPEG)
    now_s = 165.25
    looking = asyncio.create_task(asked.operator.get("/api/v1/live/drone-1/picture.mjpeg"))
    await asked.until_somebody_waits()
    asked.station.stop_waiting()
    assert b"\r\nX-Age-Ms: 65250\r\n\r\n" + make_jpeg() in (await looking).content


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff no picture"])
async def test_what_is_no_picture_does_not_replace_one(asked, make_jpeg, content):
    path = "/api/v1/live/drone-1/picture"
    await asked.edge.put(path, content=make_jpeg(), headers=JPEG)
    assert (await asked.edge.put(path, content=content, headers=JPEG)).status_code == 422
    assert (await asked.operator.get(f"{path}.jpg")).content == make_jpeg()
