"""Clients that mean no good, or stop halfway; servers that go away. Others are answered all the same, never by a crash,
and never by a fault of the console's own."""

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from winnow_test import history
from winnow_test.crowd import Crowd
from winnow_test.poll import wait_until

PATIENT_S = 2  # of a client that means well
TWELVE = '{"source":"client_A","metric":"sale","amount":"twelve","timestamp":"2024-01-01"}'
GOOD = '{"source":"client_A","metric":"sale","amount":"12","timestamp":"2024-01-01"}'
ROWS = 120_000  # more than what the kernel takes off our hands for a client that reads nothing
EXPORT = "/api/v1/events?format=csv"


@pytest.fixture
def filled(stage):
    """A stage with events and a failure."""
    history.fill(stage.database, stage.settings["group"], "elsewhere", ROWS)
    stage.send(TWELVE, GOOD)
    with stage.pool():
        stage.wait_until_caught_up()
    return stage


def peak_memory_mib(console):
    status = Path(f"/proc/{console.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def assert_serves(console):
    """Each kind of route answers in good time."""
    for method, path, body in (("GET", "/livez", None), ("GET", "/", None), ("GET", "/api/v1/events?limit=5", None),
                               ("GET", "/api/v1/failed", None), ("POST", "/api/v1/events", GOOD)):
        begun = time.monotonic()
        answer = console.ask(method, path, body, headers={"Accept-Encoding": "gzip"}, timeout_s=20)
        assert answer.status in (200, 202), (path, answer)
        assert time.monotonic() - begun < PATIENT_S, path


def assert_problem(answer, asked):
    assert answer.media_type == "application/problem+json", (asked, answer)
    told = answer.json
    assert told["status"] == answer.status and told["type"].startswith("/docs#problem-") and told["title"], (asked, answer)


# ---- connections --------------------------------------------------------------------------------------------------

def test_a_crowd(filled, console):
    kinds = {"idle": 1000, "head": 70, "body": 70, "reader": 60}
    with Crowd(console.port, kinds, EXPORT) as crowd:
        for _ in range(5):
            assert_serves(console)
        wait_until(lambda: crowd.cut("head") == 70 and crowd.cut("body") == 70 and crowd.cut("idle") == 1000, 45,
                   "the slow and the silent are cut", interval_s=0.5,
                   on_timeout=lambda: {kind: crowd.cut(kind) for kind in kinds})
        assert_serves(console)
        assert all(guest.cut_after_s > 20 for guest in crowd.of("head")), "nobody is cut early"
        assert crowd.cut("reader") == 60
    assert peak_memory_mib(console) < 64
    assert_serves(console)
