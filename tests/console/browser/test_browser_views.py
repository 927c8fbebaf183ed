"""Every view: for people with a small screen, a keyboard or a screen reader, in light and dark, and without the network."""

import gzip
import os
import statistics

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from winnow_test.process import ROOT

VIEWS = ("Submit", "Processed", "Failed", "Aggregates", "Live", "Workers")
GOOD = {"client": "client_A", "metric": "sale", "amount": 12, "time": "2024-01-01"}
PAGE_BYTES_MAX = 80_000
PAINTS = 7
# The page's own work until its first picture, in CPU time, as other tests run beside this one: 100 ms. On a quiet machine
# the time that passes can be judged, too: FIRST_PAINT_MS_MAX=300.
FIRST_PAINT_CPU_MS_MAX = 500
FIRST_PAINT_MS_MAX = float(os.environ.get("FIRST_PAINT_MS_MAX", "inf"))
AA_TEXT = 4.5


@pytest.fixture
def filled(page, stage):
    """A page with something in each view: stored, duplicate and failed."""
    stage.send(GOOD, GOOD, {**GOOD, "amount": "twelve"}, b"\x00\x01 no text", {**GOOD, "client": "client_B"})
    stage.wait_until_caught_up()
    page.open(page.address)
    return page


def addresses(stage):
    """Each view, and what opens inside one."""
    (partition, offset), = stage.database.rows(
        "SELECT partition, message_offset FROM winnow.dead_letter WHERE reason = 'amount_invalid'")
    return ("submit", "processed", "failed", "failed?show=items", "failed?show=history",
            f"failed?item={partition}/{offset}", "aggregates?by=client,metric,day", "live", "workers")


def wait_until_shown(page, address):
    """What the view asks the server for is there."""
    shown = {"submit": ".explanation dl", "processed": "tbody tr", "failed?show=history": ".notice", "live": ".tiles dd",
             "workers": "tbody tr"}
    css = "dialog textarea" if "item=" in address else shown.get(address, "tbody tr")
    page.wait(lambda: page.all(css), f"{css} of {address}")


def go(page, address):
    page.driver.execute_script("location.hash = '#/' + arguments[0]", address)
    wait_until_shown(page, address)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(filled, stage, theme):
    filled.driver.execute_script("localStorage.setItem('winnow.theme', arguments[0])", theme)
    filled.open(filled.address)
    for address in addresses(stage):
        go(filled, address)
        assert filled.axe() == [], f"{address}, {theme}"


def test_axe_sees_what_is_wrong(filled):
    filled.driver.execute_script("document.querySelector('main').append(document.createElement('button'))")
    assert [(impact, rule) for impact, rule, _ in filled.axe()] == [("critical", "button-name")]


def test_fits_a_narrow_screen(filled, stage):
    filled.resize(375, 800)
    for address in addresses(stage):
        go(filled, address)
        beyond = filled.driver.execute_script(
            "return [...document.querySelectorAll('body *')].filter((element) => !element.closest('.scroll, nav, pre')"
            " && element.getBoundingClientRect().right > innerWidth + 1).map((element) => element.outerHTML.slice(0, 100))")
        assert beyond == [], address
        assert filled.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), address


def test_keyboard_alone(filled):
    press = ActionChains(filled.driver).send_keys
    for number, name in [*enumerate(VIEWS[1:], 2), (1, VIEWS[0])]:
        press(str(number)).perform()
        filled.wait(lambda name=name: filled.text("h1") == name, f"key {number} shows {name}")
        filled.wait(lambda name=name: filled.driver.switch_to.active_element.text == name, "the heading has the focus")
        assert filled.driver.title == f"{name} – winnow"
    press("?").perform()
    filled.wait_for_text("Keys", "dialog")
    press(Keys.ESCAPE).perform()
    filled.wait(lambda: not filled.all("dialog"), "Escape closes it")
    press("2").perform()
    filled.wait(lambda: filled.all("tbody button"), "events to open")
    filled.driver.execute_script("document.querySelector('tbody button').focus()")
    press(Keys.ENTER).perform()
    filled.wait_for_text("Stored event", "dialog")
    press(Keys.ESCAPE).perform()
    filled.wait(lambda: not filled.all("dialog"), "Escape closes it")
    filled.wait(lambda: filled.driver.execute_script("return document.activeElement === document.querySelector('tbody button')"),
                "the focus is back where it was")
    press("/").perform()
    filled.wait(lambda: filled.driver.switch_to.active_element.get_attribute("name") == "q", "the first filter has the focus")
    press("2").perform()
    filled.wait(lambda: filled.driver.switch_to.active_element.get_attribute("value") == "2", "keys are text in a field")


def test_theme_is_kept(filled):
    ground = "return getComputedStyle(document.body).backgroundColor"
    filled.click("button", "Theme: system. Change to light")
    light = filled.driver.execute_script(ground)
    filled.click("button", "Theme: light. Change to dark")
    dark = filled.driver.execute_script(ground)
    assert light != dark
    filled.open(filled.address)
    assert filled.driver.execute_script(ground) == dark


def test_no_request_leaves_the_machine_and_nothing_is_complained_of(filled, stage, console):
    for address in addresses(stage):
        go(filled, address)
    requests = filled.requests()
    assert len(requests) > 10
    assert [url for url in requests if not url.startswith((console.address + "/", "about:", "data:"))] == []
    assert filled.complaints() == []


def first_paint_ms(browser, console):
    """(what passed, CPU time of the page's thread until it was seen)."""
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.open(console.address)
    passed = browser.wait(lambda: browser.driver.execute_script(
        "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"), "a first paint")
    spent = {told["name"]: told["value"] for told in browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    browser.driver.execute_cdp_cmd("Performance.disable", {})
    assert spent["TaskDuration"] > 0
    return passed, 1000 * spent["TaskDuration"]


def test_first_paint_and_size(browser, console):
    passed, spent = zip(*(first_paint_ms(browser, console) for _ in range(PAINTS)))
    print("first paint after", [round(paint) for paint in passed], "ms, with", [round(cpu) for cpu in spent], "ms of the CPU")
    assert statistics.median(spent) < FIRST_PAINT_CPU_MS_MAX
    assert statistics.median(passed) < FIRST_PAINT_MS_MAX
    files = list((ROOT / "build/page/files").iterdir())
    assert len(files) >= 4
    assert sum(len(gzip.compress(file.read_bytes(), 9)) for file in files) < PAGE_BYTES_MAX


def test_verdict_is_on_every_view(filled):
    for name in VIEWS:
        filled.view(name)
        filled.wait_for_text("Complete", "header .verdict")
        filled.wait_for_text("= 2 stored + 1 duplicate + 2 dead-lettered", "header .verdict")


def test_bytes_that_are_no_text_are_shown_in_hexadecimal(filled):
    filled.view("Failed")
    filled.click("link", "One by one")
    filled.fill("Reason", "unsupported_framing")
    filled.wait(lambda: len(filled.all("tbody tr")) == 1, "one failure")
    filled.click_first("tbody button")
    filled.wait_for_text("00 01 20 6e 6f 20 74 65 78 74", "dialog pre")


def test_filters_live_in_the_address(filled):
    filled.view("Processed")
    filled.fill("Client", "client_B")
    filled.wait(lambda: len(filled.all("tbody tr")) == 1, "one event of client_B")
    shown = filled.text("tbody")
    address = filled.driver.current_url
    filled.driver.get("about:blank")
    filled.driver.get(address)
    filled.wait(lambda: filled.text("tbody") == shown, "the same from the address alone")
    filled.click("button", "Clear")
    filled.wait(lambda: len(filled.all("tbody tr")) == 2, "both events")


def test_filters_typed_in_a_hurry(filled):
    filled.view("Processed")
    filled.fill("Client", "client_B")
    filled.fill("Metric", "sale")
    filled.wait(lambda: "client=client_B" in filled.driver.current_url and "metric=sale" in filled.driver.current_url, "both")
    filled.fill("Hash", "no hash")
    filled.click("button", "Clear")
    filled.wait(lambda: len(filled.all("tbody tr")) == 2, "both events")
    filled.fill("Client", "client_A")
    filled.wait(lambda: len(filled.all("tbody tr")) == 1, "one event of client_A")
    assert filled.driver.current_url.endswith("#/processed?client=client_A"), "what was cleared does not come back"


def test_wrong_filter_is_told(filled):
    filled.view("Processed")
    filled.fill("Amount from", "much")
    filled.wait_for_text("amount_min", "[role=alert]")
    filled.fill("Amount from", "5")
    filled.wait(lambda: filled.all("tbody tr") and not filled.all("[role=alert]"), "right again")
