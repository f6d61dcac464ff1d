"""A real station in a process of its own, a real browser, and an edge that uses the station's HTTP API."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import uuid_utils
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from api.auth.roles import Role
from api.bootstrap import prepare
from patrol.domain.resources import data_path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PASSWORD = "late shift at the river"
OFFICER, OPERATOR, EDGE = "li.wei", "zhang.min", "edge-1"
STARTS_WITHIN_S = 30.0
# WebGL in software: the map must draw without a GPU. And the browser fetches nothing that no page asked for.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Asked before anybody has logged in: the browser notes the refusal in its console.
EXPECTED_REFUSAL = "/api/v1/auth/me"


@dataclass(frozen=True)
class RunningStation:
    url: str
    edge_token: str
    operator_token: str

    def read_alert(self, alert_id: str) -> dict[str, Any]:
        """The alert as the station's API has it."""
        return self._ask("GET", f"/alerts/{alert_id}", None)

    def acknowledge(self, alert_id: str) -> None:
        """The operator acknowledges, on some other screen."""
        self._ask("POST", f"/alerts/{alert_id}/acknowledge", {})

    def _ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.operator_token}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, json=body)
        return dict(answer.raise_for_status().json())


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStation]:
    if not (REPOSITORY / "api" / "static" / "index.html").is_file():
        _lacking("the pages are not built; run `npm ci && npm run build` in web/")
    data = tmp_path_factory.mktemp("station")
    tokens = prepare(
        data,
        users=[
            (OFFICER, Role.OFFICER, PASSWORD),
            (OPERATOR, Role.OPERATOR, PASSWORD),
            (EDGE, Role.EDGE, None),
        ],
        tokens=[EDGE, OPERATOR],
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = data / "station.log"
    market = data_path("flightplans") / "night-market.market.geojson"
    command = [sys.executable, "-m", "patrol.cli", "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data", str(data), "--market", str(market)],
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process, log)
        yield RunningStation(url, tokens[EDGE], tokens[OPERATOR])
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/v1/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the station did not start:\n{log.read_text()}")


# Not for the whole session: while it lives, its event loop keeps other tests of this process from theirs.
@pytest.fixture(scope="module")
def browser(station: RunningStation) -> Iterator[Browser]:
    # The station comes first: making its database runs an event loop, which Playwright's own would not allow.
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        _lacking("there is no chromium on the PATH; install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


def _lacking(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Visitor:
    """Somebody with a browser at the station; `complaints` must stay empty."""

    station: RunningStation
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every complaint in the console, every failed script and every request to somewhere else."""
        self.page.on(
            "console", lambda message: self._note_console(message.type, message.text, message.location)
        )
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.context.on("request", lambda request: self._note_request(request.url))

    def log_in(self, path: str, username: str) -> None:
        self.page.goto(self.station.url + path)
        self.page.locator("input[name=username]").fill(username)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.locator("button[type=submit]").click()

    def scrolls_sideways(self) -> bool:
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )

    def _note_console(self, kind: str, text: str, location: Any) -> None:
        if kind in ("error", "warning") and EXPECTED_REFUSAL not in location.get("url", ""):
            self.complaints.append(f"console: {text} ({location.get('url')})")

    def _note_request(self, url: str) -> None:
        if not url.startswith((self.station.url, "blob:", "data:")):
            self.complaints.append(f"request to another origin: {url}")


@pytest.fixture
def visit(station: RunningStation, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens a browser window of its own: visit(width, height, language)."""
    contexts: list[BrowserContext] = []

    def open_window(width: int, height: int, locale: str = "en-GB") -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            has_touch=width < 600,
            timezone_id="Asia/Shanghai",
            # Also spares the software renderer the pulsing of the pins.
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        visitor = Visitor(station, context, context.new_page())
        visitor.watch()
        return visitor

    yield open_window
    for context in contexts:
        context.close()


def utc_text() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture
def draw_jpeg() -> Callable[[str], bytes]:
    """Makes a small picture that says something, as the edge would send it."""
    return _draw_jpeg


def _draw_jpeg(words: str) -> bytes:
    image = np.full((360, 480, 3), (60, 40, 20), np.uint8)
    cv2.putText(image, words, (20, 180), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (240, 240, 240), 2)
    done, encoded = cv2.imencode(".jpg", image)
    assert done
    return encoded.tobytes()


class Edge:
    """The box beside the drone, as far as the station can tell."""

    def __init__(self, station: RunningStation) -> None:
        self.client = httpx.Client(
            base_url=f"{station.url}/api/v1", headers={"Authorization": f"Bearer {station.edge_token}"}
        )

    def post_alert(self, picture: bytes | None = None, **changes: Any) -> dict[str, Any]:
        now = utc_text()
        evidence = []
        if picture is not None:
            sha256 = hashlib.sha256(picture).hexdigest()
            evidence.append(
                {
                    "kind": "picture",
                    "sha256": sha256,
                    "media_type": "image/jpeg",
                    "captured_at": now,
                    "redacted": True,
                }
            )
        report = {
            "id": str(uuid_utils.uuid7()),
            "revision": 1,
            "kind": "gathering",
            "severity": "warning",
            "raised_at": now,
            "updated_at": now,
            "ended_at": None,
            "position": {
                "lat": 31.29996,
                "lon": 120.61994,
                "radius_m_90": 2.6,
                "ellipse_90": {"semi_major_m": 3.4, "semi_minor_m": 1.5, "bearing_deg": 54.0},
            },
            "place": {
                "market": "riverside-night-market",
                "zone": "yard",
                "name": {"zh": "夜市后院，老吴烤鸡翅附近", "en": "Market yard, near Lao Wu's chicken wings"},
            },
            "instruction": {
                "zh": "后院夜间不开放，请前往查看并劝离。",
                "en": "The yard is closed at night: go, look, and ask them to leave.",
            },
            "measure": {"people": 6.0, "radius_m": 2.4, "lasted_s": 21.5},
            "confidence": 0.82,
            "evidence": evidence,
            "source": {
                "drone": "drone-1",
                "sortie": "night-1",
                "model": "people-480",
                "model_sha256": "ab" * 32,
            },
            **changes,
        }
        alert = self.client.post("/alerts", json=report).raise_for_status().json()
        if picture is not None:
            headers = {"Content-Type": "image/jpeg"}
            self.client.put(f"/evidence/{sha256}", content=picture, headers=headers).raise_for_status()
        return dict(alert)

    def post_live(self, drone: str = "drone-1", *, people: int = 5, heading_deg: float = 54.35) -> None:
        at_ns = time.time_ns()
        report = {
            "drone": drone,
            "flight": {
                "at_ns": at_ns,
                "sortie": "night-1",
                "state": "patrolling",
                "reason": "",
                "lat_deg": 31.299824,
                "lon_deg": 120.619696,
                "height_above_home_m": 7.07,
                "heading_deg": heading_deg,
                "speed_mps": 0.2,
                "battery_percent": 76.0,
                "mode": "AUTO",
                "armed": True,
            },
            "eyes": {
                "at_ns": at_ns,
                "camera": "ready",
                "camera_reason": "",
                "footprint": [
                    {"lat_deg": lat, "lon_deg": lon}
                    for lat, lon in (
                        (31.29991, 120.61975),
                        (31.29985, 120.61983),
                        (31.29998, 120.62028),
                        (31.30022, 120.62001),
                    )
                ],
                "tracks": [
                    {
                        "track_id": number,
                        "lat_deg": 31.29994 + 0.00002 * (number % 3),
                        "lon_deg": 120.6199 + 0.00003 * (number // 3),
                        "radius_m_90": 1.5,
                    }
                    for number in range(people)
                ],
                "frames_analysed": 1200,
                "frames_dropped": 3,
                "people_tracked": people,
                "incidents_open": 1,
            },
        }
        self.client.post("/live", json=report).raise_for_status()

    def put_picture(self, jpeg: bytes, drone: str = "drone-1") -> None:
        headers = {"Content-Type": "image/jpeg"}
        self.client.put(f"/live/{drone}/picture", content=jpeg, headers=headers).raise_for_status()


@pytest.fixture
def edge(station: RunningStation) -> Iterator[Edge]:
    box = Edge(station)
    yield box
    box.client.close()
