"""Ten thousand failures, a million events: the page shows a part and stays quick."""

import time

import pytest

FAILURES = 10_000
EVENTS = 1_000_000
SOON_S = 2

# Rows alone: neither roll-ups nor an account of them.
INSERT_EVENTS = """
INSERT INTO winnow.event (bucket, event_hash, client_id, metric, amount, event_time, stream_id, origin_partition, origin_offset)
SELECT day, md5(number::text)::uuid, 'client_' || number %% 7, 'sale', number, day + number %% 86400 * interval '1 s', %s, 0, number
FROM generate_series(1, %s) AS number,
     LATERAL (SELECT timestamptz '2024-01-01 00:00Z' + number %% 28 * interval '1 day') AS days (day)
"""


@pytest.fixture
def failing(browser, console, stage):
    """A page behind which all that was sent has failed."""
    stage.send(*(f'{{"client":"client_{number % 3}","metric":"m","amount":"no{number}"}}' for number in range(FAILURES)))
    with stage.pool(breaker_window=0):
        stage.wait_until_caught_up(120)
        browser.open(console.address)
        yield browser


def test_ten_thousand_failures(failing):
    page = failing
    page.view("Failed")
    page.wait(lambda: "10,000" in page.text("tfoot"), "all failures are counted")
    assert len(page.all("tbody tr")) == 3
    page.click("link", "One by one")
    page.wait(lambda: len(page.all("tbody tr")) == 50, "the first page")
    page.click("button", "Older →")
    page.wait_for_text("Page 2")
    page.click("link", "Groups")
    page.click("button", "Discard group amount_invalid of client_0")
    page.fill("Note", "made by a test", within="dialog")
    page.click("button", "Discard 3,334")
    page.wait_for_text("3,334 failures discarded.", ".toasts", 60)
    page.wait_for_text("6,666", "tfoot")
    page.click("button", "Retry group amount_invalid of client_1")
    page.click("button", "Retry 3,333")
    page.wait_for_text("3,333 failures retried.", ".toasts", 60)


@pytest.fixture
def million(stage):
    stage.send({"client": "first", "metric": "m", "amount": 1, "time": "2024-01-01"})
    with stage.pool():
        stage.wait_until_caught_up()
    stream, = stage.database.rows("SELECT DISTINCT stream_id FROM winnow.event")[0]
    stage.database.run(INSERT_EVENTS, (stream, EVENTS))
    stage.database.run("ANALYZE winnow.event")


def test_a_million_events(browser, console, million):
    browser.open(console.address, "processed")
    browser.wait(lambda: len(browser.all("tbody tr")) == 50, "the first page")
    for name, value, first in (("Client", "client_3", "client_3"), ("Amount from", "999990", "999,990"), ("Client", "first", "")):
        begun = time.monotonic()
        browser.fill(name, value)
        browser.wait(lambda first=first: first in browser.text("tbody") and not browser.all("[role=alert]"), f"{name} {value}")
        assert time.monotonic() - begun < SOON_S, f"{name} {value}"
    browser.click("button", "Clear")
    browser.wait(lambda: len(browser.all("tbody tr")) == 50, "all again")
    for number in range(2, 6):
        browser.click("button", "Older →")
        browser.wait_for_text(f"Page {number}")
