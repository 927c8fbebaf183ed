"""Progress on a real terminal (tmux) and on a pipe; what it says is tested in tests/unit/test_progress.c."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WINNOW", str(ROOT / "build" / "winnow"))
EVENT = '{"client":"a","metric":"sale","amount":1,"time":"2024-01-01"}\n'
LOCK = "SELECT pg_advisory_lock(7164083951624937265)"
SUBMITTED = r"winnow submit: [\d,]+ events, \d+ %, [\d,]+/s, \d+ s left"


@pytest.fixture(scope="module")
def slow_broker():
    """Takes a fifth of a second to answer."""
    with DevBroker({"events": 1}) as broker:
        broker.command("rtt 200")
        yield broker


@pytest.fixture
def submit(slow_broker, tmp_path):
    """A file that takes about three seconds to send: at most five batches are under way at once."""
    file = tmp_path / "events.jsonl"
    file.write_text(EVENT * 1500)
    return [PROGRAM, "submit", "-b", slow_broker.brokers, "-t", "events", "-f", file, "-X", "batch.num.messages=100"]


def test_submit_redraws_one_line_and_takes_it_away(submit):
    with Terminal(submit) as terminal:
        assert re.fullmatch(SUBMITTED, terminal.wait_for(" left"))
        assert terminal.wait_until_ended() == 0
        assert re.fullmatch(r"sent 1500, acknowledged 1500, .*", terminal.screen())


def test_submit_cuts_the_line_to_a_narrow_terminal(submit):
    with Terminal(submit, columns=30) as terminal:
        shown = terminal.wait_for("events")
        assert "\n" not in shown and len(shown) <= 29
        assert terminal.wait_until_ended() == 0


def test_the_line_fits_when_the_terminal_becomes_narrower(submit):
    with Terminal(submit) as terminal:
        terminal.wait_for(" left")
        terminal.resize(40, 12)
        wait_until(lambda: re.search(r"^(winnow submit: [\d,]+ events.{0,30}|sent 1500.*)$", terminal.screen(), re.MULTILINE),
                   60, "it is drawn anew", on_timeout=terminal.screen)
        assert terminal.wait_until_ended() == 0


def test_submit_of_seconds_shows_nothing_on_a_pipe(submit):
    done = subprocess.run(submit, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_quiet_submit_shows_nothing_on_a_terminal(submit):
    with Terminal([*submit, "--quiet"]) as terminal:
        assert terminal.wait_until_ended() == 0
        assert terminal.screen().startswith("sent 1500")


def test_migrate_tells_what_it_waits_for(empty_database):
    with Database(empty_database.server, empty_database.name) as other:
        other.run(LOCK)
        with Terminal([PROGRAM, "migrate", "-d", empty_database.dsn]) as terminal:
            assert re.fullmatch(r"winnow migrate: waiting for another winnow migrate, \d+ s",
                                terminal.wait_for("another winnow migrate, ").splitlines()[-1])
            other.close()
            assert terminal.wait_until_ended() == 0
            assert "winnow migrate:" not in terminal.screen()
