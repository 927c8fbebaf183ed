"""Ten thousand failures, a million events: the page shows a part and stays quick."""

import subprocess
import time

import pytest

from winnow_test import letters
from winnow_test.process import ROOT

FAILURES = 10_000
MESSAGES = 1_100_000  # 5 % of them sent again
SOON_S = 20  # with other tests beside it; whoever reads all rows for each that is shown takes minutes


SECOND_DISCARD_FAILS = """
const ask = window.fetch.bind(window);
let asked = 0;
window.fetch = (address, options) => address.endsWith('/failed/discard') && ++asked === 2
  ? Promise.reject(new TypeError('the network is away')) : ask(address, options);
"""


@pytest.fixture
def failing(browser, console, stage):
    """A page behind which all that was sent has failed."""
    stage.send(*(f'{{"client":"client_{number % 3}","metric":"m","amount":"no{number}"}}' for number in range(FAILURES)))
    with stage.pool(breaker_window=0):
        stage.wait_until_caught_up(120)
        browser.open(console.address)
        yield browser


def test_ten_thousand_failures(failing, stage):
    page = failing
    page.view("Failed")
    page.wait(lambda: "10,000" in page.text("tfoot"), "all failures are counted")
    assert len(page.all("tbody tr")) == 3
    page.click("link", "One by one")
    page.wait(lambda: len(page.all("tbody tr")) == 50, "the first page")
    page.click("button", "Older →")
    page.wait_for_text("Page 2")
    page.click("button", "← Newer")
    page.wait_for_text("Page 1")
    page.click("link", "Groups")
    page.driver.execute_script(SECOND_DISCARD_FAILS)
    page.click("button", "Discard group amount_invalid of client_2")
    page.fill("Note", "made by a test", within="dialog")
    page.click("button", "Discard 3,333")
    page.wait_for_text("No answer", ".toasts", 60)
    page.wait_for_text("1,000 failures discarded.", ".toasts")
    page.wait_for_text("9,000", "tfoot")
    page.click("button", "Undo", within=".toasts")
    page.wait_for_text("1,000 failures open again.", ".toasts", 60)
    page.wait_for_text("10,000", "tfoot")
    page.click("button", "Discard group amount_invalid of client_0")
    page.fill("Note", "made by a test", within="dialog")
    with letters.discarded_between(stage.database, "client_0"):
        page.click("button", "Discard 3,334")
        page.wait_for_text("3,333 failures discarded.", ".toasts", 120)
    page.wait_for_text("6,666", "tfoot")
    page.click("button", "Undo", within=".toasts")
    page.wait_for_text("3,333 failures open again.", ".toasts", 120)
    page.wait_for_text("9,999", "tfoot")
    assert stage.database.value("SELECT count(*) FROM winnow.dead_letter_work WHERE state = 'discarded'") == 1  # not ours
    page.click("button", "Retry group amount_invalid of client_1")
    page.click("button", "Retry 3,333")
    page.wait_for_text("3,333 failures retried.", ".toasts", 120)


@pytest.fixture
def million(browser, console, stage):
    """A page behind which a million events are stored."""
    subprocess.run([ROOT / "build/tests/bench/bench_produce", stage.broker.brokers, stage.topic, "backfill", str(MESSAGES), "1",
                    str(stage.partitions)], check=True, stdout=subprocess.PIPE)
    with stage.pool():
        stage.wait_until_caught_up(300)
        browser.open(console.address, "processed")
        yield browser


def test_a_million_events(million, stage):
    page = million
    stored = stage.database.value("SELECT count(*) FROM winnow.event")
    assert stored > 1_000_000
    page.wait(lambda: len(page.all("tbody tr")) == 50, "the first page")
    for name, value in (("Client", "client_003"), ("Metric", "sale"), ("Amount from", "900"), ("Search", "CLIENT_003")):
        begun = time.monotonic()
        page.fill(name, value)
        page.wait(lambda: value in page.driver.current_url and page.all("tbody tr") and not page.all("[role=alert]")
                  and all("client_003" in row for row in page.texts("tbody tr")), f"{name} {value}")
        assert time.monotonic() - begun < SOON_S, f"{name} {value}"
    page.click("button", "Clear")
    page.wait(lambda: len({row.split()[2] for row in page.texts("tbody tr")}) > 1, "all clients again")
    for number in range(2, 6):
        page.click("button", "Older →")
        page.wait_for_text(f"Page {number}")
    page.view("Aggregates")
    page.wait_for_text(f"{stored:,}", "tfoot")
