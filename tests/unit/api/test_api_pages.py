"""Pages, files and the headers around them."""

import httpx
import pytest

from api.app import create_app
from api.settings import StationSettings


@pytest.fixture
async def built(tmp_path):
    """A browser before a station with pages as the web build leaves them."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>built</title>")
    (static / "assets" / "index-DiwrgTda.js").write_text("export {}")
    (static / "assets" / "icon-maskable.svg").write_text("<svg/>")
    (static / "worker.js").write_text("self")
    (tmp_path / "secret.txt").write_text("secret")
    async with browser(tmp_path, static) as client:
        yield client


def browser(tmp_path, static):
    app = create_app(StationSettings(data_dir=tmp_path / "station"), static=static)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://station.test")


@pytest.mark.parametrize("path", ["/console", "/terminal", "/console/alerts/1", "/terminal/map/x.y"])
async def test_one_page_draws_console_and_terminal(built, path):
    response = await built.get(path)
    assert response.status_code == 200
    assert "built" in response.text
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-cache"


async def test_the_first_page_lets_people_choose(asked):
    response = await asked.anonymous.get("/")
    assert 'href="/console"' in response.text
    assert 'href="/terminal"' in response.text


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/assets/index-DiwrgTda.js", "public, max-age=31536000, immutable"),
        ("/assets/icon-maskable.svg", "no-cache"),
        ("/worker.js", "no-cache"),
    ],
)
async def test_only_names_with_a_hash_are_kept_for_ever(built, path, caching):
    response = await built.get(path)
    assert response.status_code == 200
    assert response.headers["cache-control"] == caching


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/assets/gone-DiwrgTda.js"],
)
async def test_nothing_outside_the_pages_is_served(built, path):
    response = await built.get(path)
    assert response.status_code == 404
    assert "immutable" not in response.headers["cache-control"]


async def test_a_checkout_without_pages_says_how_to_build_them(tmp_path):
    async with browser(tmp_path, tmp_path / "nothing") as client:
        response = await client.get("/console")
    assert response.status_code == 503
    assert "make setup" in response.text


@pytest.mark.parametrize("path", ["/", "/console", "/api/v1/health", "/api/v1/alerts", "/nothing"])
async def test_every_answer_carries_the_security_headers(asked, path):
    headers = (await asked.anonymous.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


async def test_answers_of_the_api_are_not_stored_by_browsers(asked):
    assert (await asked.officer.get("/api/v1/auth/me")).headers["cache-control"] == "no-store"
