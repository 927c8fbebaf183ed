"""The page stays open while things around it go down and come back."""

import pytest

from test_browser_stories import NESTED, send, wait_for_outcome

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


@pytest.mark.parametrize("closed", [0, 1])
def test_tabs_share_one_live_connection(page, stage, closed):
    page.wait(lambda: page.text(".connection") == "live", "the first tab is connected")
    first = page.driver.current_window_handle
    page.requests()
    page.driver.switch_to.new_window("tab")
    page.open(page.address, "live")
    page.wait_for_text("0 in all", ".tiles")
    assert [url for url in page.requests() if "/api/v1/live" in url] == [], "the second tab opens no connection"
    tabs = [first, page.driver.current_window_handle]
    page.driver.switch_to.window(tabs[closed])
    page.driver.close()
    page.driver.switch_to.window(tabs[1 - closed])
    page.view("Live")
    stage.send(*numbered(7))
    page.wait_for_text("7 in all", ".tiles")
    page.wait_for_text('"amount": 6', ".tail")
