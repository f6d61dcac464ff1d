"""Closed by default: every route, every role."""

import sqlite3
from collections.abc import Iterator

import pytest
import uuid_utils
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.auth.limiter import LoginLimiter
from api.auth.roles import Role

OPEN = {None, *Role}
EVERYBODY = set(Role)
PEOPLE = {Role.OPERATOR, Role.OFFICER}
ALLOWED = {
    ("GET", "/"): OPEN,
    ("GET", "/console"): OPEN,
    ("GET", "/console/{path:path}"): OPEN,
    ("GET", "/terminal"): OPEN,
    ("GET", "/terminal/{path:path}"): OPEN,
    ("GET", "/api/v1/health"): OPEN,
    ("POST", "/api/v1/auth/login"): OPEN,
    ("POST", "/api/v1/auth/token"): OPEN,
    ("POST", "/api/v1/auth/logout"): EVERYBODY,
    ("GET", "/api/v1/auth/me"): EVERYBODY,
    ("GET", "/api/v1/market"): EVERYBODY,
    ("POST", "/api/v1/alerts"): {Role.EDGE},
    ("GET", "/api/v1/alerts"): PEOPLE,
    ("GET", "/api/v1/alerts/{alert_id}"): PEOPLE,
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): PEOPLE,
    ("PUT", "/api/v1/evidence/{sha256}"): {Role.EDGE},
    ("GET", "/api/v1/evidence/{sha256}"): PEOPLE,
    ("POST", "/api/v1/live"): {Role.EDGE},
    ("GET", "/api/v1/live"): {Role.OPERATOR},
    ("PUT", "/api/v1/live/{drone}/picture"): {Role.EDGE},
    ("GET", "/api/v1/live/{drone}/picture.jpg"): {Role.OPERATOR},
    ("GET", "/api/v1/live/{drone}/picture.mjpeg"): {Role.OPERATOR},
    ("GET", "/api/v1/stream"): PEOPLE,
}


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    for included in app.routes:
        for route in included.original_router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods:
                yield method, route.path


async def test_every_route_is_in_the_table(asked):
    assert set(routes_of(asked.app)) == set(ALLOWED)
    described = {
        (method.upper(), path) for path, item in asked.app.openapi()["paths"].items() for method in item
    }
    assert described <= set(ALLOWED)


@pytest.mark.parametrize("role", [None, *Role])
async def test_every_route_for_every_role(asked, role):
    asked.station.stop_waiting()  # streams end at once instead of waiting for news
    wrong = []
    # Logging out is last: it makes the token useless.
    for (method, template), roles in sorted(ALLOWED.items(), key=lambda item: "logout" in item[0][1]):
        path = template.replace("{path:path}", "x").format(
            alert_id=uuid_utils.uuid7(), sha256="a" * 64, drone="drone-1"
        )
        response = await asked.by_role(role).request(method, path)
        expected = None if role in roles else 401 if role is None else 403
        if expected is None and response.status_code in (401, 403):
            wrong.append((method, path, response.status_code, "should be let in"))
        elif expected is not None and response.status_code != expected:
            wrong.append((method, path, response.status_code, f"should be {expected}"))
    assert wrong == []


async def test_health_says_the_version(asked):
    body = (await asked.anonymous.get("/api/v1/health")).json()
    assert body["status"] == "ok"
    assert body["version"]


async def test_the_schema_and_its_viewers_are_not_served(asked):
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert (await asked.operator.get(path)).status_code == 404


async def test_a_browser_session_from_login_to_logout(asked, password):
    browser = asked.anonymous
    login = await browser.post("/api/v1/auth/login", json={"username": "Operator", "password": password})
    assert login.status_code == 200
    assert login.json() == {"user": {"username": "operator", "role": "operator", "name": "operator"}}
    cookie = login.headers["set-cookie"].lower()
    assert "night_patrol_session=" in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await browser.get("/api/v1/auth/me")).json()["role"] == "operator"

    forged = await browser.post("/api/v1/auth/logout")
    assert forged.status_code == 403
    assert "X-Night-Patrol" in forged.json()["detail"]

    logout = await browser.post("/api/v1/auth/logout", headers={"X-Night-Patrol": "1"})
    assert logout.status_code == 204
    assert (await browser.get("/api/v1/auth/me")).status_code == 401


async def test_the_cookie_is_for_https_only_when_the_station_is(asked, password):
    asked.anonymous.base_url = "https://station.test"
    login = await asked.anonymous.post(
        "/api/v1/auth/login", json={"username": "operator", "password": password}
    )
    assert "secure" in login.headers["set-cookie"].lower()


async def test_a_logged_out_cookie_is_useless_even_when_kept(asked, password):
    login = await asked.anonymous.post(
        "/api/v1/auth/login", json={"username": "officer", "password": password}
    )
    kept = login.cookies["night_patrol_session"]
    await asked.anonymous.post("/api/v1/auth/logout", headers={"X-Night-Patrol": "1"})
    again = await asked.anonymous.get("/api/v1/auth/me", headers={"Cookie": f"night_patrol_session={kept}"})
    assert again.status_code == 401


async def test_a_token_is_no_cookie_and_a_cookie_no_token(asked, password):
    token = (
        await asked.anonymous.post("/api/v1/auth/token", json={"username": "officer", "password": password})
    ).json()["access_token"]
    as_cookie = await asked.anonymous.get(
        "/api/v1/auth/me", headers={"Cookie": f"night_patrol_session={token}"}
    )
    assert as_cookie.status_code == 401
    as_token = await asked.anonymous.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert as_token.status_code == 200


async def test_a_session_expires(asked, password):
    await asked.anonymous.post("/api/v1/auth/login", json={"username": "officer", "password": password})
    asked.clock.move(hours=11.9)
    assert (await asked.anonymous.get("/api/v1/auth/me")).status_code == 200
    asked.clock.move(hours=0.2)
    expired = await asked.anonymous.get("/api/v1/auth/me")
    assert expired.status_code == 401
    assert "expired" in expired.json()["detail"]


async def test_no_secret_is_readable_in_the_database(asked, password):
    token = (
        await asked.anonymous.post("/api/v1/auth/token", json={"username": "officer", "password": password})
    ).json()["access_token"]
    with sqlite3.connect(asked.data_dir / "station.sqlite3") as database:
        everything = "\n".join(database.iterdump())
    assert "$argon2id$" in everything
    assert password not in everything
    assert token not in everything
    assert asked.tokens["edge"] not in everything


@pytest.mark.parametrize(
    ("username", "given"),
    [("officer", "wrong password"), ("nobody", "wrong password"), ("edge", "wrong password")],
)
async def test_a_failed_login_does_not_tell_which_part_was_wrong(asked, username, given):
    response = await asked.anonymous.post(
        "/api/v1/auth/login", json={"username": username, "password": given}
    )
    assert response.status_code == 401
    assert response.json()["detail"] == "The user name or the password is wrong."
    assert "set-cookie" not in response.headers


async def test_the_sixth_guess_has_to_wait(asked, password):
    for _ in range(5):
        guess = await asked.anonymous.post(
            "/api/v1/auth/login", json={"username": "officer", "password": "a bad guess"}
        )
        assert guess.status_code == 401
    refused = await asked.anonymous.post(
        "/api/v1/auth/login", json={"username": "OFFICER", "password": password}
    )
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    other = await asked.anonymous.post(
        "/api/v1/auth/login", json={"username": "operator", "password": password}
    )
    assert other.status_code == 200


def test_the_limiter_forgets_after_its_window_and_after_success():
    now_s = 0.0
    limiter = LoginLimiter(lambda: now_s)
    assert [limiter.seconds_to_wait("a", "x") for _ in range(5)] == [0.0] * 5
    assert limiter.seconds_to_wait("a", "x") == 60.0
    assert limiter.seconds_to_wait("a", "y") == 0.0
    now_s = 60.0
    assert limiter.seconds_to_wait("a", "x") == 0.0
    limiter.succeeded("a", "x")
    assert [limiter.seconds_to_wait("a", "x") for _ in range(5)] == [0.0] * 5


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer ümlaut", "Bearer " + "x" * 5000]
)
async def test_malformed_credentials_are_no_credentials(asked, header):
    response = await asked.anonymous.get("/api/v1/alerts", headers={"Authorization": header.encode()})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
