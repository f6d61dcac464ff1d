"""The officer's phone."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

ARRIVES_WITHIN_MS = 3_000
PHONE = (390, 844)
SMALLEST_TOUCH_PX = 48


def test_an_alert_arrives_is_opened_and_acknowledged(
    visit: Callable, edge, station, draw_jpeg: Callable
) -> None:
    officer = visit(*PHONE)
    page = officer.page
    officer.log_in("/terminal", "li.wei")
    expect(page.get_by_role("status").filter(has_text="Online")).to_be_visible()
    rows = page.locator(".alert-row")
    before = rows.count()
    page.evaluate("window.notReloaded = true")

    alert = edge.post_alert(draw_jpeg("an alert's picture"))
    expect(rows).to_have_count(before + 1, timeout=ARRIVES_WITHIN_MS)
    announcement = page.get_by_role("status").filter(has_text="New alert: People gathering, Warning")
    expect(announcement).to_be_attached()

    page.locator(f"[data-alert='{alert['id']}']").click()
    expect(page.get_by_role("heading", name="People gathering")).to_be_visible()
    expect(page.get_by_text("Market yard, near Lao Wu's chicken wings", exact=True)).to_be_visible()
    expect(page.get_by_text("82% · Not yet checked by a person")).to_be_visible()
    for datum, coordinates in (
        ("WGS-84 (GPS)", "31.299960, 120.619940"),
        ("GCJ-02 (Amap, Tencent)", "31.297783, 120.624117"),
        ("BD-09 (Baidu)", "31.303888, 120.630571"),
    ):
        expect(page.locator(".facts__coordinates").filter(has_text=datum)).to_contain_text(coordinates)
        expect(page.get_by_role("button", name=f"Copy the {datum} coordinates")).to_be_visible()
    picture = page.get_by_role("img", name="Picture from the drone, heads blurred")
    expect(picture).to_have_js_property("naturalWidth", 480)
    expect(page.locator(".map__canvas[data-ready=true]")).to_be_attached()
    assert not officer.scrolls_sideways()

    take = page.get_by_role("button", name="Got it")
    box = take.bounding_box()
    assert box is not None
    assert box["height"] >= SMALLEST_TOUCH_PX
    assert box["y"] + box["height"] <= PHONE[1], "the button must be in reach without scrolling"
    take.click()
    expect(page.get_by_text(re.compile(r"You acknowledged this at \d\d:\d\d:\d\d"))).to_be_visible()

    known = station.read_alert(alert["id"])
    assert (known["state"], known["acknowledged_by"]) == ("acknowledged", "li.wei")
    assert page.evaluate("window.notReloaded")
    assert officer.complaints == []


def test_who_was_faster_is_shown_to_the_other(visit: Callable, edge, station) -> None:
    alert = edge.post_alert()
    officer = visit(*PHONE)
    officer.log_in(f"/terminal#/alerts/{alert['id']}", "li.wei")
    expect(officer.page.get_by_role("button", name="Got it")).to_be_visible()
    station.acknowledge(alert["id"])
    expect(officer.page.get_by_text("Acknowledged by zhang.min")).to_be_visible(timeout=ARRIVES_WITHIN_MS)
    assert officer.complaints == []


def test_the_language_changes_everywhere_and_stays(visit: Callable, edge) -> None:
    edge.post_alert()
    officer = visit(*PHONE, "zh-CN")
    page = officer.page
    officer.log_in("/terminal", "li.wei")
    expect(page.get_by_text("夜市后院，老吴烤鸡翅附近").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("Market yard, near Lao Wu's chicken wings").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_title(re.compile("Night Patrol"))
    page.reload()
    expect(page.get_by_text("Market yard, near Lao Wu's chicken wings").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert not officer.scrolls_sideways()
    assert officer.complaints == []


def test_without_network_it_says_so_and_recovers(visit: Callable, edge) -> None:
    officer = visit(*PHONE)
    page = officer.page
    officer.log_in("/terminal", "li.wei")
    expect(page.get_by_role("status").filter(has_text="Online")).to_be_visible()
    rows = page.locator(".alert-row")
    before = rows.count()

    officer.context.set_offline(True)
    expect(page.get_by_role("alert").filter(has_text="Offline since")).to_be_visible()
    edge.post_alert()
    officer.context.set_offline(False)
    expect(rows).to_have_count(before + 1)
    expect(page.get_by_role("status").filter(has_text="Online")).to_be_visible()


def test_a_wrong_password_is_told_in_a_sentence(visit: Callable) -> None:
    visitor = visit(*PHONE)
    page = visitor.page
    page.goto(f"{visitor.station.url}/terminal")
    page.get_by_label("User name").fill("li.wei")
    page.get_by_label("Password").fill("not it")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")


def test_a_session_that_ends_leads_to_the_login(visit: Callable) -> None:
    officer = visit(*PHONE)
    page = officer.page
    officer.log_in("/terminal", "li.wei")
    expect(page.get_by_role("status").filter(has_text="Online")).to_be_visible()
    # The cookie is gone, as when its time is over; the next look at the page asks the station again.
    officer.context.clear_cookies()
    page.evaluate("window.dispatchEvent(new Event('online'))")
    # At once when the page heeds the event; else with its next look, which comes every 20 s.
    expect(page.get_by_text("Your session is over. Log in again to go on.")).to_be_visible(timeout=30_000)
