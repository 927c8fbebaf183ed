"""Names, bytes and addresses that nobody expects, on a small screen: nothing is cut, hidden, out of reach or mixed up."""

import base64
import json
import os
import re

import pytest

from winnow_test.produce import Message

LONG = "client_" + "x" * 180
NAMES = ["\u202eright to left\u202c", "עברית", "naïve 👩‍👩‍👧 <b>\"'&amp;</b>", LONG]
HUGE = "123456789012345678901234567890.12345678"
FAILING = {"metric": "sale", "amount": "twelve", "time": "2024-01-01"}
BYTES = {"not UTF-8": b'{"client":"\xff\xfe"}', "with NUL": b'{"client":"a\x00b"}', "a megabyte": b"\x80\x00" * 450_000}
NARROW = """
const seen = ({left, right, width}) => width > 0 && right > innerWidth + 1;
return [...document.querySelectorAll('body *')].filter((element) => !element.closest('.scroll, nav, pre, .u-wrap')
  && seen(element.getBoundingClientRect())).map((element) => element.outerHTML.slice(0, 120))"""
OVERLAPPING = """
const parts = [...document.querySelectorAll('.top > :not(nav), .top .badge')];
const boxes = parts.map((element) => [element, element.getBoundingClientRect()]);
return boxes.flatMap(([one, a]) => boxes.filter(([two, b]) => !one.contains(two) && !two.contains(one) && a.left < b.left
  && a.right > b.left + 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1).map(([two]) => `${one.textContent} / ${two.textContent}`))"""
# What scrolls and holds nothing to focus must take the focus itself.
UNREACHABLE = """
return [...document.querySelectorAll('body *')].filter((element) => element.scrollWidth > element.clientWidth + 1
  && ['auto', 'scroll'].includes(getComputedStyle(element).overflowX) && element.tabIndex < 0
  && !element.querySelector('a, button, input')).map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture
def odd(page, stage):
    """A page behind which is what nobody expects."""
    good = [{"client": name, "metric": f"m {name[:20]}", "amount": HUGE, "time": "2024-01-01"} for name in NAMES]
    failing = [{**FAILING, "client": name} for name in NAMES]
    stage.send(*(json.dumps(event, ensure_ascii=False) for event in good + failing),
               *(Message(value, partition=0) for value in BYTES.values()))
    stage.wait_until_caught_up()
    page.open(page.address)
    return page


def show(page, address, text, css="main"):
    page.driver.execute_script("location.hash = '#/' + arguments[0]", address)
    page.wait_for_text(text, css)


def assert_fits(page, what):
    if "PICTURES" in os.environ:
        page.driver.save_screenshot(f"{os.environ['PICTURES']}/{re.sub('[^a-z0-9]+', '-', what.lower())[:60]}.png")
    assert page.driver.execute_script(NARROW) == [], what
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), what
    assert page.driver.execute_script(UNREACHABLE) == [], what
    assert page.driver.execute_script(OVERLAPPING) == [], what
    assert page.axe() == [], what


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow_in_every_state(odd, stage, console, theme):
    """Lists, an open row, dialogs, nothing found, an error, another error: 375 px wide."""
    partition, offset = stage.database.rows("SELECT partition, message_offset FROM winnow.dead_letter WHERE client_id = %s",
                                            (LONG,))[0]
    odd.driver.execute_script("localStorage.setItem('winnow.theme', arguments[0])", theme)
    odd.resize(375, 800)
    odd.open(odd.address)
    for address, text, css in (
            ("submit", "accepted", ".explanation"), ("processed", LONG, "tbody"), ("processed?client=nobody", "No event", "main"),
            ("processed?hash=x", "hash", "[role=alert]"), ("failed", LONG, "tbody"), ("failed?client=nobody", "No failure", "main"),
            ("failed?show=items", LONG, "tbody"), ("failed?show=history", "Nobody has", "main"),
            (f"failed?item={partition}/{offset}", "twelve", "dialog pre"), ("failed?item=0/999999", "no such", "dialog"),
            ("aggregates?by=client,metric,day", LONG, "tbody"), ("aggregates?client=nobody", "Nothing is stored", "main"),
            ("live", "in all", ".tiles"), ("workers", "Complete", "thead")):
        show(odd, address, text, css)
        assert_fits(odd, f"{address}, {theme}")
    show(odd, "processed", LONG, "tbody")
    odd.click_first("tbody button")
    odd.wait_for_text("Copy hash", "dialog")
    odd.wait(lambda: odd.all("dialog pre"), "the message as it came")
    assert_fits(odd, f"an open row, {theme}")
    show(odd, "failed", LONG, "tbody")
    for button in ("Retry", "Discard"):
        odd.click("button", f"{button} group amount_invalid of {LONG}")
        odd.wait_for_text("amount_invalid", "dialog")
        assert_fits(odd, f"{button} group, {theme}")
        odd.click("button", "Close")
    console.stop()
    odd.wait_for_text("reconnecting", "header")
    for view in ("Processed", "Failed", "Aggregates", "Workers"):
        odd.view(view)
        odd.wait(lambda: odd.all("[role=alert]"), "what went wrong is told")
        assert_fits(odd, f"{view} without a server, {theme}")


def test_odd_names_are_shown_as_they_are(odd, stage):
    stored = {client for client, *_ in stage.events()}
    assert len(stored) == len(NAMES)
    show(odd, "processed", LONG, "tbody")
    cells = odd.driver.execute_script("return [...document.querySelectorAll('tbody td:nth-child(2)')].map((td) => td.textContent)")
    assert set(cells) == stored
    assert not odd.all("tbody b"), "no name is markup"
    odd.driver.find_element("xpath", f"//tr[td='{NAMES[1]}']//button").click()
    odd.wait_for_text(NAMES[1], "dialog pre")


@pytest.mark.parametrize("name", BYTES)
def test_odd_bytes(odd, stage, name):
    value = BYTES[name]
    (partition, offset), = stage.database.rows(
        "SELECT partition, message_offset FROM winnow.dead_letter WHERE value = %s", (value,))
    show(odd, f"failed?item={partition}/{offset}", value[:8].hex(" "), "dialog pre")
    told = odd.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then((r) => r.json()).then(done)", f"/api/v1/failed/{partition}/{offset}")
    assert base64.b64decode(told["value_base64"]) == value


@pytest.mark.parametrize("address, text", [
    ("%", "What becomes of it"), ("%E0%A4%A", "What becomes of it"), ("nowhere?x=%", "What becomes of it"),
    ("failed?item=items", "Reason"), ("failed?item=../session", "Reason"), ("failed?show=constructor", "Reason"),
    ("aggregates?by=constructor,client", "Client"), ("aggregates?by=", "Events"), ("processed?limit=9&unknown=1", LONG)])
def test_odd_addresses(odd, address, text):
    """From elsewhere, and again after a reload."""
    odd.driver.get("about:blank")
    odd.driver.get(f"{odd.address}/#/{address}")
    odd.wait_for_text(text)
    odd.driver.refresh()
    odd.wait_for_text(text)
    assert not odd.all("dialog") and "This view failed" not in odd.text()
    assert odd.complaints() == []


def test_the_way_back(odd, stage):
    """Through views and an open failure, by the browser's own buttons."""
    (partition, offset), = stage.database.rows(
        "SELECT partition, message_offset FROM winnow.dead_letter WHERE client_id = %s", (LONG,))
    odd.view("Processed")
    odd.view("Failed")
    odd.wait_for_text(LONG, "tbody")
    odd.driver.execute_script(f"location.hash = '#/failed?item={partition}/{offset}'")
    odd.wait_for_text("twelve", "dialog pre")
    odd.driver.back()
    odd.wait(lambda: not odd.all("dialog"), "the failure is closed")
    odd.driver.back()
    odd.wait(lambda: odd.text("h1") == "Processed", "the view before")
    odd.driver.forward()
    odd.driver.forward()
    odd.wait_for_text("twelve", "dialog pre")
