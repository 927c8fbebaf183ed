"""Fixtures of the tests in a browser: one Chromium a run, a console on the stage of each test."""

import pytest

from winnow_test.browser import Browser


@pytest.fixture(scope="session")
def browser_of_run():
    with Browser() as browser:
        yield browser


@pytest.fixture
def stage(make_stage):
    """Four partitions on Apache Kafka, and a database; failures of the database may be simulated."""
    stage = make_stage()
    stage.settings["allow_fault_injection"] = "yes"
    return stage


@pytest.fixture
def browser(browser_of_run):
    """With one empty tab in the size of a laptop's window, and nothing complained of yet."""
    browser_of_run.driver.get("about:blank")
    browser_of_run.resize(1280, 900)
    browser_of_run.complaints()
    browser_of_run.requests()
    yield browser_of_run
    driver = browser_of_run.driver
    for other in set(driver.window_handles) - {driver.current_window_handle}:
        driver.execute_cdp_cmd("Target.closeTarget", {"targetId": other})  # also one that crashed
    driver.get("about:blank")


@pytest.fixture
def page(browser, console, stage):
    """The console's page, with a pool of two workers behind it."""
    with stage.pool():
        browser.open(console.address)
        yield browser
