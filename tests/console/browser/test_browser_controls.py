"""The controls that no story needs: each is used once, and does what it says."""

import hashlib

import pytest
from selenium.webdriver.support.ui import Select

GOOD = {"client": "client_A", "metric": "sale", "amount": 12, "time": "2024-01-01"}
BROKEN = '{"client":"client_A","metric":"sale","amount":"twelve","time":"2024-01-01"}'
TOKEN = "an-operator-with-a-long-token"


@pytest.fixture
def downloads(browser, tmp_path):
    """Takes the text of the file that a link gives."""
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})

    def download(link, name):
        browser.click("link", link)
        browser.wait((tmp_path / name).exists, f"{name} is there")
        browser.wait(lambda: not list(tmp_path.glob("*.crdownload")), f"{name} is whole")
        return (tmp_path / name).read_text(encoding="utf-8")

    yield download
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})


def copied(page, button, within="body"):
    """What the button puts on the clipboard, which is replaced: a page without a focus has none."""
    page.driver.execute_script("Object.defineProperty(navigator, 'clipboard', {configurable: true, value: "
                               "{writeText: async (text) => { window.copied = text; }}})")
    page.driver.execute_script("window.copied = null")
    page.click("button", button, within)
    return page.wait(lambda: page.driver.execute_script("return window.copied"), "it is copied")


def written(page, within):
    """In the message that may be edited; None while there is none."""
    field = page.find("field", "Message", within)
    return field and field.get_attribute("value")


def test_examples_and_copies_of_an_event(page, stage):
    names = [option.text for option in Select(page.wait(lambda: page.find("field", "Example"), "examples")).options[1:]]
    assert len(names) >= 6
    page.wait_for_text("accepted", ".explanation")
    for name in names[1:] + names[:1]:  # the first one is there
        before = page.text(".explanation")
        page.fill("Example", name)
        page.wait(lambda before=before: page.text(".explanation") not in ("", before), f"what becomes of {name}")
        page.wait_for_text("would fail" if name.startswith("Broken") else "accepted", ".explanation")
    page.fill("Event", '{"client":"it\'s"}')
    command = copied(page, "Copy as kcat")
    assert command.startswith("printf '%s\\n' ") and command.endswith(f"kcat -P -b '{stage.broker.brokers}' -t '{stage.topic}'")
    assert "it'\\''s" in command, "quoted as a shell wants it"
    page.wait_for_text("Copied a kcat command.", ".toasts")
    page.click("button", "Dismiss", ".toasts")
    page.wait(lambda: not page.all(".toast"), "the message is gone")


def test_tail_is_held_and_narrowed(page, stage):
    page.view("Live")
    page.wait(lambda: page.text(".connection") == "live", "it is connected")
    stage.send({**GOOD, "client": "the first"})
    page.wait_for_text("the first", ".tail")
    page.click("button", "Pause")
    page.wait(lambda: page.find("button", "Go on"), "it is paused")
    stage.send({**GOOD, "client": "the second"}, {**GOOD, "client": "the third", "amount": "x"})
    page.wait_for_text("3 in all", ".tiles")
    assert "the second" not in page.text(".tail")
    page.click("button", "Go on")
    page.wait(lambda: len(page.all(".tail > li")) == 3, "what came meanwhile")
    page.fill("Outcome", "failed")
    page.wait(lambda: ["the third" in text for text in page.texts(".tail > li")] == [True], "the one that failed")
    page.fill("Outcome", "all")
    page.fill("Contains", "the second")
    page.wait(lambda: ["the second" in text for text in page.texts(".tail > li")] == [True], "the one that says so")


def test_a_list_is_refreshed_followed_and_taken_along(page, stage, downloads):
    stage.send(GOOD)
    stage.wait_until_caught_up()
    page.view("Processed")
    page.wait(lambda: len(page.all("tbody tr")) == 1, "one event")
    stage.send({**GOOD, "amount": 13})
    stage.wait_until_caught_up()
    page.click("button", "Refresh")
    page.wait(lambda: len(page.all("tbody tr")) == 2, "two events")
    page.click("field", "Follow")
    stage.send({**GOOD, "amount": 14})
    page.wait(lambda: len(page.all("tbody tr")) == 3, "it shows by itself")
    assert downloads("CSV", "events.csv").count("client_A") == 3
    assert downloads("NDJSON", "events.ndjson").count('"client_A"') == 3
    page.click_first("tbody button")
    event_hash = copied(page, "Copy hash", "dialog")
    assert event_hash and event_hash in copied(page, "Copy as JSON", "dialog")


def test_totals_are_taken_along(page, stage, downloads):
    stage.send(GOOD, {**GOOD, "amount": 13})
    stage.wait_until_caught_up()
    page.view("Aggregates")
    page.wait_for_text("25", "tfoot")
    (row,) = stage.database.rows(copied(page, "Copy as SQL"))
    assert row[:3] == ("client_A", "sale", 2)
    assert "client_A,sale,2,25" in downloads("CSV", "aggregates.csv")
    assert '"amount_sum":"25"' in downloads("JSON", "aggregates.json")
    page.fill("Show", "sum of amounts")
    page.wait(lambda: any(title.startswith("Sum of amounts by day") for title in page.texts("h2")), "sums are drawn")
    stage.send({**GOOD, "amount": 5})
    stage.wait_until_caught_up()
    page.click("button", "Refresh")
    page.wait_for_text("30", "tfoot")


def test_a_file_is_given_to_whoever_has_the_token(browser, make_console, stage, downloads, tmp_path):
    """A browser follows a link without it: the page fetches the file itself."""
    stage.send(GOOD)
    with stage.pool():
        stage.wait_until_caught_up()
    path = tmp_path / "tokens"
    path.write_text(f"alice operator {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    browser.open(make_console(stage, token_file=path).address, "processed")
    browser.wait_for_text("Token", "dialog h2")
    browser.driver.find_element("css selector", "dialog input").send_keys(TOKEN)
    browser.click("button", "Use it in this tab")
    browser.wait_for_text("client_A", "tbody")
    assert downloads("CSV", "events.csv").count("client_A") == 1


def test_an_edit_and_a_discard_are_taken_back(page, stage):
    (sent,) = stage.send(BROKEN)
    stage.wait_until_caught_up()
    place = f"{sent.partition}/{sent.offset}"
    page.view("Failed")
    page.click("link", "One by one")
    page.click_first("tbody button")
    page.wait(lambda: written(page, "dialog") == BROKEN, "the message can be edited")
    page.fill("Message", "{}", "dialog")
    page.wait(lambda: page.find("button", "Send the edited message"), "it is edited")
    page.click("button", "Take the edit back", "dialog")
    page.wait(lambda: written(page, "dialog") == BROKEN and page.find("button", "Retry as it is"), "it is as it was")
    page.fill("Why", "no use", "dialog")
    page.click("button", "Discard", "dialog")
    page.wait_for_text(f"{place} is discarded.", ".toasts")
    page.click("button", "Undo", ".toasts")
    page.wait_for_text(f"{place} is open again.", ".toasts")
    page.click_first("tbody button")
    page.fill("Why", "still no use", "dialog")
    page.click("button", "Discard", "dialog")
    page.wait(lambda: not page.all("dialog"), "it closes")
    page.driver.execute_script("location.hash = '#/failed?item=' + arguments[0]", place)
    page.click("button", "Undo the discard", "dialog")
    page.wait(lambda: page.find("button", "Retry as it is", "dialog"), "it is open again")
    page.wait_for_text("took the discard back", "dialog .history")
    assert stage.database.value("SELECT state FROM winnow.dead_letter_work") == "open"
