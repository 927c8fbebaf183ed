"""The page stays open while things around it go down and come back."""

import contextlib
import hashlib

import pytest
from selenium.common.exceptions import WebDriverException
from winnow_test.browser import UNTRUSTED_HOST

from test_browser_stories import NESTED, send, wait_for_outcome

TOKEN = "one-that-is-long-enough"
GOOD = {"client": "client_A", "metric": "sale", "amount": 12, "time": "2024-01-01"}


def numbered(count, start=0):
    return [{**GOOD, "amount": number} for number in range(start, start + count)]


def test_console_is_restarted_under_the_page(page, console, stage):
    page.view("Processed")
    stage.send(*numbered(1))
    console.stop()
    page.wait_for_text("reconnecting", "header")
    page.wait_for_text("Not known now", "header")
    page.click("button", "Refresh")
    page.wait_for_text("No answer", "[role=alert]")
    console.start()
    page.wait(lambda: page.text(".connection") == "live", "the page is connected again")
    page.wait(lambda: len(page.all("tbody tr")) == 1 and not page.all("[role=alert]"), "it shows what came meanwhile")
    page.wait_for_text("Complete", "header .verdict")
    send(page, NESTED, "completed")


def test_submission_is_followed_through_a_restart(browser, console, stage):
    browser.open(console.address)
    send(browser, NESTED)
    console.process.kill()
    browser.wait_for_text("The server does not answer; asked again.", ".sent")
    console.start()
    with stage.pool():
        wait_for_outcome(browser, "completed", 60)


def test_worker_is_killed_while_the_page_is_open(browser, console, stage):
    with stage.pool() as pool:
        browser.open(console.address, "workers")
        browser.wait(lambda: len(browser.all(".tile")) == 2, "two workers", 60)
        pool.kill_worker()
        stage.send(*numbered(200))
        stage.wait_until_caught_up()
        browser.wait_for_text("= 200 stored + 0 duplicate + 0 dead-lettered", "header .verdict")
        browser.wait(lambda: [row.split()[0] for row in browser.texts("tbody tr")] == ["0", "1", "2", "3"], "all partitions")
        browser.view("Live")
        browser.wait_for_text("200 in all", ".tiles")


def test_database_is_restarted_under_the_page(page, postgres, stage):
    stage.send(*numbered(2))
    page.view("Processed")
    page.wait(lambda: page.click("button", "Refresh") or len(page.all("tbody tr")) == 2, "two events")
    postgres.stop()
    page.click("button", "Refresh")
    page.wait(lambda: page.all("[role=alert]"), "the problem is told")
    assert len(page.all("tbody tr")) == 2, "what was there stays"
    postgres.start()
    page.wait(lambda: not page.all("[role=alert]"), "the problem goes away by itself")
    page.wait_for_text("Complete", "header .verdict")


class LiveConnections:
    """Those that are open, of all tabs. While a busy machine keeps a tab from hearing another one in time, two may lead for
    a moment; then one of them gives its connection up."""

    def __init__(self, page):
        self.page = page
        self.tabs = {}  # request → tab

    def of(self, tabs, header):
        """The tab of each, as far as it is one of these; with a header's name, of those only that carried it."""
        for tab, method, told in self.page.network():
            if method == "Network.requestWillBeSent" and "/api/v1/live" in told["request"]["url"]:
                if header is None or header in told["request"]["headers"]:
                    self.tabs[told["requestId"]] = tab
            elif method in ("Network.loadingFinished", "Network.loadingFailed"):
                self.tabs.pop(told["requestId"], None)
        return [tab for tab in self.tabs.values() if tab in tabs]

    def wait_for_one(self, tabs, header=None):
        """The tab that has it."""
        return self.page.wait(lambda: (found := self.of(tabs, header)) and len(found) == 1 and found[0],
                              "one connection for all tabs")


def open_tabs(page, count):
    """More tabs, each on Live and connected; their handles, the first one's in front."""
    handles = [page.driver.current_window_handle]
    for _ in range(count):
        page.driver.switch_to.new_window("tab")
        page.open(page.address, "live")
        page.wait(lambda: page.text(".connection") == "live", "another tab is connected")
        handles.append(page.driver.current_window_handle)
    return handles


def close(driver):
    driver.close()


def crash(driver):
    """As the browser's task manager would; the tab stays, and shows that it crashed."""
    with contextlib.suppress(WebDriverException):
        driver.execute_cdp_cmd("Page.crash", {})


def freeze(driver):
    driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})


@pytest.mark.parametrize("leads, end", [(True, close), (False, close), (True, crash), (True, freeze)],
                         ids=["leader closed", "other closed", "leader crashed", "leader frozen"])
def test_tabs_share_one_live_connection(page, stage, leads, end):
    page.wait(lambda: page.text(".connection") == "live", "the first tab is connected")
    page.view("Live")
    connections = LiveConnections(page)
    handles = open_tabs(page, 2)
    leader = connections.wait_for_one(handles)
    ended = leader if leads else next(handle for handle in handles if handle != leader)
    page.driver.switch_to.window(ended)
    end(page.driver)
    left = [handle for handle in handles if handle != ended]
    stage.send(*numbered(7))
    for handle in left:
        page.driver.switch_to.window(handle)
        page.wait_for_text("7 in all", ".tiles")
        page.wait_for_text('"amount": 6', ".tail")
    assert connections.wait_for_one(left) == leader or leads, "one of those that are left goes on"


def test_tabs_share_one_live_connection_on_an_address_that_browsers_do_not_trust(browser, make_console, stage, tmp_path):
    """Over plain HTTP on a network there are no locks. A tab without a token lets one that has one read."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"somebody viewer {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    console = make_console(stage, token_file=tokens)
    browser.open(console.address.replace("127.0.0.1", UNTRUSTED_HOST))
    assert not browser.driver.execute_script("return isSecureContext || 'locks' in navigator")
    browser.wait_for_text("Token", "dialog h2")
    without = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(browser.address, "live")
    browser.wait_for_text("Token", "dialog h2")
    connections = LiveConnections(browser)
    browser.driver.find_element("css selector", "dialog input").send_keys(TOKEN)
    browser.click("button", "Use it in this tab")
    browser.wait_for_text("0 in all", ".tiles")
    assert connections.wait_for_one(browser.driver.window_handles, "Authorization") != without
    browser.driver.switch_to.window(without)
    browser.wait(lambda: browser.text(".connection") == "live", "the tab without a token hears of it")


def test_a_page_that_was_left_is_connected_again_on_the_way_back(page):
    page.wait(lambda: page.text(".connection") == "live", "it is connected")
    page.driver.get(page.address + "/docs")
    page.driver.back()
    page.wait(lambda: page.text(".connection") == "live", "it is connected again")
    page.view("Live")
    page.wait_for_text("0 in all", ".tiles")
