"""What the page offers to whom: without a token, as viewer, as operator, and on a console that takes no writes."""

import hashlib

import pytest

TOKENS = {"viewer": "a-viewer-with-a-long-token", "operator": "an-operator-with-a-long-token"}
BROKEN = {"client": "client_A", "metric": "sale", "amount": "twelve", "time": "2024-01-01"}


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("".join(f"{role}-name {role} {hashlib.sha256(token.encode()).hexdigest()}\n"
                            for role, token in TOKENS.items()))
    return path


def use_token(page, token):
    page.wait_for_text("Token", "dialog h2")
    page.driver.find_element("css selector", "dialog input").send_keys(token)
    page.click("button", "Use it in this tab")


def is_enabled(page, button):
    return page.find("button", button).is_enabled()


def test_token_is_asked_for_and_stays_in_the_tab(browser, make_console, stage, token_file):
    console = make_console(stage, token_file=token_file)
    browser.open(console.address)
    browser.wait_for_text("This console shows itself to those with a token.", "dialog")
    browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("name") == "token", "it can be typed at once")
    use_token(browser, "not the right one")
    browser.wait_for_text("does not know the token", "dialog")
    use_token(browser, TOKENS["operator"])
    browser.wait_for_text("operator-name (operator)", "footer")
    browser.wait(lambda: browser.text(".connection") == "live", "the live connection has the token")
    browser.wait(lambda: is_enabled(browser, "Send"), "an operator may send")
    assert not [url for url in browser.requests() if TOKENS["operator"] in url], "no address holds the token"
    assert TOKENS["operator"] not in console.log_text()
    browser.driver.switch_to.new_window("tab")
    browser.open(console.address)
    browser.wait_for_text("Token", "dialog h2")


def test_viewer_is_offered_no_writes(browser, make_console, stage, token_file):
    stage.send(BROKEN)
    with stage.pool():
        stage.wait_until_caught_up()
    browser.open(make_console(stage, token_file=token_file).address)
    use_token(browser, TOKENS["viewer"])
    browser.wait_for_text("The role viewer may not do this.")
    assert not is_enabled(browser, "Send")
    browser.view("Failed")
    browser.wait_for_text("amount_invalid", "tbody")
    assert browser.find("button", "Retry group amount_invalid of client_A") is None
    assert "Actions" not in browser.texts("thead th"), "no column for what is not offered"
    browser.driver.find_element("css selector", "tbody button.row").click()
    browser.wait_for_text("The role viewer may not do this.", "dialog")
    assert browser.find("button", "Retry as it is") is None
    browser.click("button", "Close")
    browser.click("button", "Forget the token")
    browser.wait_for_text("Token", "dialog h2")


def test_what_cannot_be_copied_is_shown_selected(browser, console):
    """Browsers give a page over plain HTTP on a network no clipboard."""
    browser.open(console.address)
    browser.driver.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.click("button", "Copy as curl")
    browser.wait_for_text("gives this page no clipboard", "dialog")
    shown = browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("value"), "the focus is on what is shown")
    assert shown.startswith("curl -sS 'http://127.0.0.1:")
    browser.wait(lambda: browser.driver.execute_script("return getSelection().toString()") == shown, "it is selected")


def test_read_only_console_offers_no_writes(browser, make_console, stage):
    browser.open(make_console(stage, read_only="yes").address)
    browser.wait_for_text("This console is read-only.")
    assert not is_enabled(browser, "Send")
    browser.wait_for_text("read-only", "footer")


def test_faults_are_offered_only_where_allowed(browser, make_console, stage):
    browser.open(make_console(stage, allow_fault_injection="no").address)
    browser.wait_for_text("loopback", "footer")
    assert browser.find("button", "Cut the database off for 10 s") is None
    browser.open(make_console(stage).address)
    browser.wait(lambda: browser.find("button", "Cut the database off for 10 s"), "the control is there")
