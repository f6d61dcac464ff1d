"""A stream whose client takes nothing."""

import asyncio


async def test_a_listener_that_takes_nothing_holds_nobody_up(asked, make_report):
    stuck = asyncio.Event()

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            stuck.set()
            await asyncio.Event().wait()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/stream",
        "raw_path": b"/api/v1/stream",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {asked.tokens['officer']}".encode())],
        "client": ("192.0.2.7", 5000),
        "server": ("station.test", 80),
    }
    body = make_report()
    async with asyncio.timeout(20):
        await asked.edge.post("/api/v1/alerts", json=body)
        stream = asyncio.create_task(asked.app(scope, receive, send))
        await stuck.wait()
        cursor = (await asked.officer.get("/api/v1/alerts")).json()["cursor"]
        waiting = asyncio.create_task(
            asked.officer.get("/api/v1/alerts", params={"after": cursor, "wait": 30})
        )
        for revision in range(2, 30):
            answer = await asked.edge.post("/api/v1/alerts", json={**body, "revision": revision})
            assert answer.status_code == 201
        assert (await waiting).json()["items"][0]["id"] == body["id"]
        assert not stream.done()
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
    assert asked.station.fanout.waiting == 0
