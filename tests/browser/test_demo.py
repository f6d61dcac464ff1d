"""The whole loop as a new user has it: one command, the officer's phone, the operator's desk, the report."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

SECONDS = 180
# Boot, checks, take-off and the way to the yard come before the gathering; a busy machine takes longer.
ALERT_WITHIN_MS = 120_000
ENDS_WITHIN_S = SECONDS + 60


@dataclass(frozen=True)
class RunningDemo:
    process: subprocess.Popen[str]
    url: str
    passwords: dict[str, str]
    report: Path


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningDemo]:
    report, logins = tmp_path / "report.json", tmp_path / "logins.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "patrol.cli", "demo", "--headless", "--seconds", str(SECONDS)),
            *("--report", str(report), "--logins", str(logins)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        where = _await_station(process, logins)
        yield RunningDemo(process, where["url"], where["users"], report)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _await_station(process: subprocess.Popen[str], logins: Path) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            where = json.loads(logins.read_text())
            httpx.get(f"{where['url']}/api/v1/health").raise_for_status()
        except (OSError, ValueError, httpx.HTTPError):
            time.sleep(0.2)
        else:
            return where
    pytest.fail("the demo's station did not come up")


def _log_in(browser: Browser, demo: RunningDemo, role: str, path: str, size: tuple[int, int]) -> Page:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, locale="en-GB", reduced_motion="reduce"
    )
    page.goto(demo.url + path)
    page.locator("input[name=username]").fill(role)
    page.locator("input[name=password]").fill(demo.passwords[role])
    page.locator("button[type=submit]").click()
    return page


def _keep_picture(page: Page, name: str) -> None:
    """Refresh a picture of the README when asked to."""
    folder = os.environ.get("NIGHT_PATROL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / name)


def test_the_whole_loop(demo: RunningDemo, browser: Browser, request: pytest.FixtureRequest) -> None:
    console = _log_in(browser, demo, "operator", "/console", (1440, 900))
    phone = _log_in(browser, demo, "officer", "/terminal", (390, 844))
    request.addfinalizer(console.close)
    request.addfinalizer(phone.close)

    alert = phone.locator(".alert-row").first
    expect(alert).to_be_visible(timeout=ALERT_WITHIN_MS)
    alert.click()
    expect(phone.get_by_text("Market yard").first).to_be_visible()
    picture = phone.get_by_role("img", name="Picture from the drone, heads blurred")
    expect(picture).to_have_js_property("naturalWidth", 480, timeout=20_000)
    expect(phone.locator(".map__canvas[data-ready=true]")).to_be_attached(timeout=20_000)
    _keep_picture(phone, "terminal-390.png")
    phone.get_by_role("button", name="Got it").click()
    expect(phone.get_by_text(re.compile(r"You acknowledged this at \d\d:\d\d:\d\d"))).to_be_visible()

    expect(console.locator("[data-alert]").first).to_be_visible()
    expect(console.get_by_text("officer").first).to_be_visible(timeout=20_000)
    expect(console.locator(".map__canvas[data-ready=true]").first).to_be_attached(timeout=20_000)
    _keep_picture(console, "console-1440.png")

    said, _ = demo.process.communicate(timeout=ENDS_WITHIN_S)
    assert demo.process.returncode == 0, said
    assert "Traceback" not in said
    report = json.loads(demo.report.read_text())
    assert report["sortie"]["state"] == "completed"
    assert report["frames_analysed"] > 300
    assert report["people_tracked"] > 5
    assert report["alerts_raised"] >= 1
    assert report["alerts_delivered"] == report["alerts_raised"]
    assert 0 < report["frame_to_alert_s"]["p50"] <= report["frame_to_alert_s"]["p95"] < 10
    if "geolocation" in report:
        assert report["geolocation"]["n"] > 500
        assert 0.85 <= report["geolocation"]["inside_ellipse_90"] <= 0.95
