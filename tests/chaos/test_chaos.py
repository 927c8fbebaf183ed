"""Short runs: with all shields, and beside it one after the other with one alone. For more: make chaos SEED=1 MINUTES=10,
or make campaign"""

import os
import sys
import time
from pathlib import Path

import pytest

import shields
from account import Account
from winnow_test.poll import wait_until
from winnow_test.process import Process

LANES = (((shields.ALL, 100),), ((shields.NO_UNIQUE, 40), (shields.NO_FENCE, 40)))
TIMEOUT_S = 600
FAULTS_AT_LEAST = 5
MESSAGES_AT_LEAST = 5000


class Lane:
    """Runs in a row, each a process of its own."""

    def __init__(self, runs, directory):
        self._runs = list(runs)
        self._directory = directory
        self._process = None

    def is_over(self):
        """Starts what is due."""
        if self._process is not None and self._process.is_running():
            return False
        if not self._runs:
            return True
        shield, seconds = self._runs.pop(0)
        seed = os.environ.get("SEED") or str(time.time_ns() // 10**6)
        self._process = Process(
            [sys.executable, Path(__file__).with_name("chaos.py"), "--seed", seed, "--shield", shield, "--seconds",
             seconds, "--json", self._directory / f"{shield}.json"], self._directory / f"{shield}.log")
        return False

    def kill(self):
        if self._process is not None:
            self._process.kill()


@pytest.fixture(scope="module", name="directory")
def _directory(tmp_path_factory):
    """Where each run leaves its account and what it printed."""
    directory = tmp_path_factory.mktemp("chaos")
    lanes = [Lane(runs, directory) for runs in LANES]
    try:
        wait_until(lambda: all([lane.is_over() for lane in lanes]), TIMEOUT_S, "the end of all runs")
    finally:
        for lane in lanes:
            lane.kill()
    return directory


def _account(directory, shield):
    """And what the run printed."""
    text = (directory / f"{shield}.log").read_text(encoding="utf-8")
    path = directory / f"{shield}.json"
    assert path.exists(), f"the run ended before its account\n{text}"
    return Account.from_json(path.read_text(encoding="utf-8")), text


@pytest.mark.parametrize("shield", shields.SHIELDS)
def test_nothing_is_lost_or_double(directory, shield):
    account, text = _account(directory, shield)
    print(text)
    assert account.is_good, text
    assert account.message_count > MESSAGES_AT_LEAST
    assert account.fault_count >= FAULTS_AT_LEAST


@pytest.mark.parametrize("counter", ["resynced", "stale"])
def test_they_have_met_what_they_are_for(directory, counter):
    """All runs together; of one alone only a long one can be asked (judge.demand_proof)."""
    counts = {shield: _account(directory, shield)[0].counters for shield in shields.SHIELDS}
    assert sum(each[counter] for each in counts.values()) > 0, counts
