"""make screenshots: the pictures of the console that the README shows, in worker/console/screenshots/.

A development broker, a PostgreSQL, a pool and a console; the demo's messy events; each view once they are processed."""

import itertools
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "demo")]
sys.dont_write_bytecode = True

from stream import Stream  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test import check, pool  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.browser import Browser  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.console import Console  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.devbroker import DevBroker  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.produce import Sender  # noqa: E402  pylint: disable=wrong-import-position

TARGET = ROOT / "worker/console/screenshots"
TOPIC = "events"
PARTITIONS = 8
EVENTS = 20_000
LIVE_EVENTS_S = 400  # events a second while the views are shown
WIDTH, HEIGHT = 1200, 760


def send(broker, messages, per_second=None, stop=None):
    begun = time.monotonic()
    with Sender(broker.brokers, TOPIC) as sender:
        for number, message in enumerate(messages):
            while per_second and time.monotonic() < begun + number / per_second:
                sender.poll(0.01)
            if stop is not None and stop.is_set():
                break
            sender.send(message)
        sender.finish()


def submit(browser):
    browser.fill("Event", '{"client": "client_A", "type": "sale", "value": "1,200.50", "time": "2024-01-15T10:00:00+02:00"}')
    browser.click("button", "Send")
    browser.wait(lambda: browser.all('.sent > li[data-state="completed"]'), "it is stored")
    browser.fill("Example", "Broken: amount in words")
    browser.click("button", "Send")
    browser.wait(lambda: browser.all('.sent > li[data-state="failed"]'), "it fails")
    browser.fill("Example", "Thousands, epoch milliseconds")
    browser.wait_for_text("accepted", ".explanation")


def failed_item(browser):
    browser.click("link", "One by one")
    browser.fill("Reason", "amount_invalid")
    browser.wait(lambda: browser.all("tbody tr"), "failures")
    browser.driver.find_element("css selector", "tbody button").click()
    browser.wait_for_text("would fail", "dialog")


def live(browser):
    # Ten come a second: the chart has a history by then.
    browser.wait(lambda: len(browser.all(".tail > li")) == 100, "a long tail", 60)


PICTURES = (
    ("submit", "Submit", "light", submit), ("processed", "Processed", "light", lambda browser: browser.wait(
        lambda: len(browser.all("tbody tr")) == 50, "a page of events")),
    ("failed", "Failed", "light", lambda browser: browser.wait(lambda: browser.all("tbody tr"), "groups")),
    ("failed-item", "Failed", "dark", failed_item),
    ("aggregates", "Aggregates", "dark", lambda browser: browser.wait(
        lambda: browser.all("tbody tr") and browser.all(".chart canvas"), "figures")),
    ("live", "Live", "light", live),
    ("workers", "Workers", "dark", lambda browser: browser.wait(lambda: browser.all("tbody tr"), "partitions")),
)


def take_pictures(browser, address):
    for name, view, theme, prepare in PICTURES:
        browser.open(address)
        browser.driver.execute_script("localStorage.setItem('winnow.theme', arguments[0])", theme)
        browser.open(address)
        browser.view(view)
        prepare(browser)
        browser.driver.execute_script("scrollTo(0, 0)")
        browser.driver.save_screenshot(str(TARGET / f"{name}.png"))
        print(f"  {(TARGET / f'{name}.png').relative_to(ROOT)}", flush=True)


def main():
    TARGET.mkdir(exist_ok=True)
    with ExitStack() as stack:
        broker = stack.enter_context(DevBroker(topics={TOPIC: PARTITIONS, f"{TOPIC}.dlq": 1}))
        database = stack.enter_context(Postgres()).new_database("winnow")
        settings = {"brokers": broker.brokers, "topic": TOPIC, "database": database.dsn, "allow_fault_injection": "yes"}
        pool.run("migrate", settings=settings, check=True)
        stack.callback(database.close)
        stack.enter_context(pool.Pool(settings, 3))
        send(broker, Stream(EVENTS, PARTITIONS))
        check.wait_until_caught_up(database, TOPIC, broker, 60)
        console = stack.enter_context(Console(settings))
        browser = stack.enter_context(Browser())
        browser.resize(WIDTH, HEIGHT)
        stop = threading.Event()
        endless = itertools.chain.from_iterable(Stream(EVENTS, PARTITIONS, seed) for seed in itertools.count(2))
        sending = threading.Thread(target=send, args=(broker, endless, LIVE_EVENTS_S, stop))
        sending.start()
        try:
            take_pictures(browser, console.address)
        finally:
            stop.set()
            sending.join()


if __name__ == "__main__":
    main()
