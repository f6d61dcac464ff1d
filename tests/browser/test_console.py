"""The operator's desk."""

import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

DESK = (1440, 900)
PHONE = (390, 844)
REPORT_EVERY_S = 0.3
PERSON_BGR = (0xDE, 0xF1, 0xF4)  # web/src/map/style.ts


@pytest.fixture
def flying(edge, draw_jpeg: Callable) -> Iterator[threading.Event]:
    """A drone that reports until the event is set."""
    landed = threading.Event()
    jpeg = draw_jpeg("live")

    def report() -> None:
        while not landed.wait(REPORT_EVERY_S):
            edge.post_live(people=5)
            edge.put_picture(jpeg)

    edge.post_live(people=5)
    thread = threading.Thread(target=report)
    thread.start()
    yield landed
    landed.set()
    thread.join()


def test_drone_people_alert_and_picture_share_a_screen(
    visit: Callable, edge, flying, draw_jpeg: Callable
) -> None:
    operator = visit(*DESK)
    page = operator.page
    operator.log_in("/console", "zhang.min")

    bar = page.get_by_role("region", name="Flight")
    for words in ("drone-1", "On patrol", "AUTO", "76 %", "7.1 m", "0.2 m/s"):
        expect(bar.get_by_text(words, exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Drone drone-1", exact=True)).to_be_visible()
    live = page.get_by_role("img", name="Live picture of drone drone-1")
    expect(live).to_have_js_property("naturalWidth", 480)
    first = live.get_attribute("src")
    expect(live).not_to_have_attribute("src", first or "")
    _wait_for(page, lambda: _dots_drawn(page) > 0, "no people are drawn on the map")

    alert = edge.post_alert(draw_jpeg("evidence"))
    row = page.locator(f"[data-alert='{alert['id']}']")
    row.click()
    detail = page.get_by_role("article", name="Alert")
    evidence = detail.get_by_role("img", name="Picture from the drone, heads blurred")
    expect(evidence).to_have_js_property("naturalWidth", 480)
    expect(page.locator(".alert-marker.is-selected")).to_be_visible()
    row.press("a")
    expect(detail.get_by_text("You acknowledged this at")).to_be_visible()
    assert operator.complaints == []


def _wait_for(page: Page, holds: Callable[[], bool], complaint: str) -> None:
    for _ in range(20):
        if holds():
            return
        page.wait_for_timeout(250)
    pytest.fail(complaint)


def _dots_drawn(page: Page) -> int:
    """How many pixels of the map have the colour of people: a canvas has no elements to ask for."""
    expect(page.locator(".map__canvas[data-ready=true]")).to_be_attached()
    shot = page.locator(".console__map").screenshot()
    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    return int((np.abs(image.astype(int) - PERSON_BGR).max(axis=2) < 12).sum())


def test_old_data_looks_old(visit: Callable, flying: threading.Event) -> None:
    operator = visit(*DESK)
    page = operator.page
    operator.log_in("/console", "zhang.min")
    bar = page.locator(".flight-bar")
    expect(bar).not_to_have_class("flight-bar is-stale")
    flying.set()
    expect(bar).to_have_class("flight-bar is-stale", timeout=6_000)
    expect(page.get_by_text("Old data: last heard of")).to_be_visible()
    assert operator.complaints == []


def test_the_console_fits_a_phone(visit: Callable, edge, flying) -> None:
    alert = edge.post_alert()
    operator = visit(*PHONE, "zh-CN")
    page = operator.page
    operator.log_in("/console", "zhang.min")
    expect(page.locator(".map__canvas[data-ready=true]")).to_be_attached()
    assert not operator.scrolls_sideways()
    page.locator(f"[data-alert='{alert['id']}']").click()
    expect(page.get_by_role("button", name="收到", exact=True)).to_be_in_viewport()
    assert not operator.scrolls_sideways()
    assert operator.complaints == []


def test_an_officer_is_led_to_the_terminal(visit: Callable) -> None:
    officer = visit(*DESK)
    officer.log_in("/console", "li.wei")
    expect(officer.page.get_by_text("The console is for operators.")).to_be_visible()
    officer.page.get_by_role("link", name="Open the terminal").click()
    expect(officer.page.get_by_role("status").filter(has_text="Online")).to_be_visible()
    assert officer.complaints == []
