"""The stories that winnow is for, as a person lives through them in a browser."""

import re
from decimal import Decimal

from selenium.webdriver.common.keys import Keys

NESTED = '{"source":"client_A","payload":{"metric":"sale","amount":"1,200.50","timestamp":"2024/01/01"}}'
FLAT = '{"client":"client_A","type":"sale","value":1200.5,"time":"2024-01-01T00:00:00Z"}'
BROKEN = '{"source":"client_A","payload":{"metric":"sale","amount":"twelve","timestamp":"2024/01/01"}}'
MENDED = '{"source":"client_A","payload":{"metric":"sale","amount":"12","timestamp":"2024/01/01"}}'


def send(page, text, outcome=None, timeout_s=60):
    """Sends an event; waits for its outcome when one is named."""
    if page.text("h1") != "Submit":
        page.view("Submit")
    before = len(page.all(".sent > li"))
    page.fill("Event", text)
    page.click("button", "Send")
    page.wait(lambda: len(page.all(".sent > li")) > before, "the event is listed as sent")
    if outcome:
        wait_for_outcome(page, outcome, timeout_s)


def wait_for_outcome(page, outcome, timeout_s=60):
    """Of what was sent last."""
    page.wait(lambda: page.all(".sent > li")[0].get_attribute("data-state") == outcome, f"its outcome is {outcome}",
              timeout_s)


def test_submitted_event_is_stored(page, stage):
    page.fill("Event", NESTED)
    page.wait_for_text("1200.5", ".explanation")
    page.wait_for_text("new", ".explanation")
    page.press(Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page.all(".sent > li"), "the event is listed as sent")
    wait_for_outcome(page, "completed")
    assert [(client, metric, amount) for client, metric, amount, _ in stage.events()] == \
        [("client_A", "sale", Decimal("1200.5"))]
    page.click("link", "Show it in Processed")
    page.wait(lambda: len(page.all("tbody tr")) == 1, "one event matches the hash")
    page.wait_for_text("client_A sale 1,200.5", "tbody")
    page.click("button", "2024-01-01 00:00:00")
    page.wait(lambda: NESTED in page.text("dialog pre"), "the message as it came")
    assert "1200.5" in page.text("dialog")


def test_duplicate_in_other_words(page, stage):
    send(page, NESTED, "completed")
    page.fill("Event", FLAT)
    page.wait_for_text("would be a duplicate", ".explanation")
    send(page, FLAT, "duplicate")
    newest = page.texts(".sent > li")[0]
    assert "Event already processed (duplicate detected)" in newest
    assert f"First stored from {stage.topic}/" in newest
    assert len(stage.events()) == 1


def test_failed_event_is_mended_and_retried(page, stage):
    page.fill("Event", BROKEN)
    page.wait_for_text("would fail amount_invalid", ".explanation")
    send(page, BROKEN, "failed")
    assert "amount_invalid" in page.texts(".sent > li")[0]
    page.click("link", "Mend it in Failed")
    page.wait_for_text('found "twelve"', "dialog")
    page.fill("Message", MENDED, within="dialog")
    page.wait_for_text("accepted", "dialog .explanation")
    page.fill("Note", "digits, please", within="dialog")
    page.click("button", "Send the edited message", within="dialog")
    page.wait_for_text("resolved", "dialog dl.pairs")
    assert "digits, please" in page.text("dialog .history")
    assert [amount for _, _, amount, _ in stage.events()] == [Decimal(12)]
    page.press(Keys.ESCAPE)
    page.wait_for_text("No failure waits for anybody.")
    page.click("link", "History")
    page.wait_for_text("edited and retried", "tbody")


def test_totals_move(page):
    for amount in ("0.1", "0.2", "9007199254740993"):
        send(page, NESTED.replace("1,200.50", amount), "completed")
    page.view("Aggregates")
    page.wait_for_text("9,007,199,254,740,993.3", "tfoot")
    page.wait(lambda: page.texts(".scroll tbody tr") == ["client_A sale 3 9,007,199,254,740,993.3"], "the row")
    page.wait(lambda: page.all(".chart canvas"), "the chart, which asks for itself")
    page.click("field", "metric")
    page.wait(lambda: page.texts(".scroll tbody tr") == ["client_A 3 9,007,199,254,740,993.3"], "grouped by client alone")
    page.click("field", "day")
    page.wait(lambda: page.texts(".scroll tbody tr") == ["client_A 2024-01-01 3 9,007,199,254,740,993.3"], "and by day")
    page.fill("Client", "client_B")
    page.wait_for_text("Nothing is stored that these filters let through.")


def test_refused_row_is_stored_when_sent_again(page, stage):
    page.click("field", "PostgreSQL refuses this event’s row")
    send(page, NESTED, "failed")
    assert "database_rejected" in page.texts(".sent > li")[0]
    page.click("field", "PostgreSQL refuses this event’s row")
    send(page, NESTED, "completed")
    assert len(stage.events()) == 1
    page.view("Failed")
    page.fill("State", "resolved")
    page.wait_for_text("database_rejected", "tbody")


def waits_while_cut_off(page, amount):
    """Whether an event that is sent into an outage is seen to wait for a while before it is stored."""
    page.click("button", "Cut the database off for 10 s")
    page.wait_for_text("cut off the database", ".toasts")
    send(page, NESTED.replace("1,200.50", str(amount)))
    seen = page.wait(lambda: re.search(r"Waits in the log for a worker, [1-9][\d.]* s so far|Stored\.", page.texts(".sent > li")[0]),
                     "it waits")
    return seen[0].startswith("Waits")


def test_database_cut_off_for_ten_seconds(page, stage):
    page.view("Workers")
    page.wait(lambda: page.texts("tbody tr") and "not started" not in page.text("tbody"), "all partitions have a worker", 60)
    page.view("Submit")
    # On a busy machine the ten seconds may be over when the event goes: then the database is cut off once more.
    cuts = next((number for number in range(1, 6) if waits_while_cut_off(page, number)), None)
    assert cuts, "an event is seen to wait"
    for amount in (1, 2):
        send(page, NESTED.replace("1,200.50", f"0.{amount}"))
    page.wait(lambda: [entry.get_attribute("data-state") for entry in page.all(".sent > li")] == ["completed"] * (cuts + 2),
              "all arrive")
    assert stage.dead() == []
