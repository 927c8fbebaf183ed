"""TERM drains: what is with the database is finished, and all processes are gone, with exit code 0, by themselves: a pool
that took longer than its drain_timeout_ms would end otherwise. Those that hang are gone then. How soon all of it is, to a
tenth of a second, is for make recovery to tell."""

import re
import signal
import time
from pathlib import Path

import pytest

from scenario import new_events, wait_for_owners, wait_for_statements, warm_up
from winnow_test import check
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.process import is_alive

DRAIN_TIMEOUT_S = 5     # of those that hang; of less the pool leaves them less than half a second to end
STATEMENT_TIMEOUT_S = 60
HANGS_S = 30            # far less than what they wait for would take by itself


def wait_until_gone(process, pids, what):
    """Seconds until neither the process nor these are there, once it has been asked to end."""
    begun = time.monotonic()
    wait_until(lambda: process.exit_code is not None and not any(map(is_alive, pids)), 30, "all are gone",
               interval_s=0.01, on_timeout=process.log_tail)
    took = time.monotonic() - begun
    print(f"{what}, {len(pids)} workers: ended with {process.exit_code} after {took:.2f} s")
    return took


def judge_end(stage, process, pids, what):
    wait_until_gone(process, pids, what)
    assert process.exit_code == 0, process.log_tail()
    assert "event=worker_killed" not in process.log_text()
    # All that was taken and not written down is read again later, none of it is half done.
    check.assert_no_violation(stage.database)


def stop(stage, process, what):
    pids = process.worker_pids()
    process.send_signal(signal.SIGTERM)
    judge_end(stage, process, pids, what)


def stop_hanging(process):
    """The exit code."""
    pids = process.worker_pids()
    process.send_signal(signal.SIGTERM)
    assert wait_until_gone(process, pids, "hanging") < HANGS_S, process.log_tail()
    return process.exit_code


def takes_signals(pid):
    """TERM is blocked: it is read, and no longer ends the process at once."""
    mask = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return int(mask.group(1), 16) & 1 << (signal.SIGTERM - 1)


def stored(stage):
    return stage.database.value("SELECT coalesce(sum(received), 0) FROM winnow.batch_log")


@pytest.mark.parametrize("workers", [0, 2])
def test_idle(stage, workers):
    with stage.pool(workers=workers) as process:
        process.wait_for_log("event=assigned")
        wait_until(lambda: len(stage.database.rows("SELECT FROM winnow.processing_log WHERE owner IS NOT NULL")) == 4)
        stop(stage, process, "idle")


@pytest.mark.parametrize("workers", [0, 2])
def test_busy(stage, workers):
    """Each worker has a batch at the database and the next one in hand: the first one is finished."""
    with stage.pool(workers=workers, batch_rows=500) as process:
        pids = process.wait_for_workers(max(1, workers))
        wait_for_owners(stage, pids)
        warm_up(stage)
        before = stored(stage)
        with Database(stage.database.server, stage.database.name) as locker:
            locker.run("BEGIN; LOCK TABLE winnow.event IN EXCLUSIVE MODE")
            stage.send(*new_events(30000))
            wait_for_statements(stage, len(pids))
            process.send_signal(signal.SIGTERM)
            if workers > 0:
                process.wait_for_log("event=pool_stopping")
        judge_end(stage, process, pids, "busy")
        assert before < stored(stage) < before + 30000, "what was with the database is stored, and no more"
    with stage.pool(workers=2):
        stage.wait_until_caught_up()
    assert len(stage.events()) == before + 30000


@pytest.mark.parametrize("workers", [0, 2])
def test_just_started(stage, workers):
    """Also a worker that the group has not let in yet."""
    with stage.pool(workers=workers) as process:
        wait_until(lambda: takes_signals(process.pid), interval_s=0.002)
        stop(stage, process, "just started")


def test_without_database(stage, postgres):
    with stage.pool(workers=2) as process:
        wait_for_owners(stage, process.wait_for_workers(2))
        postgres.stop("immediate")
        stage.send(*new_events(1000))
        process.wait_for_log("event=retrying")
        assert process.stop() == 0
        assert "event=worker_killed" not in process.log_text()
    postgres.start()
    with stage.pool(workers=1):
        stage.wait_until_caught_up()


CLAIMS_WAIT = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
               "AND query LIKE 'WITH mine AS %%'")


@pytest.mark.parametrize("workers", [0, 4])
def test_a_claim_that_hangs_ends_at_the_deadline(stage, workers):
    """The wait for a claim reads no signals, and its own time is longer than that for draining. The worker has a deadline of its
    own for that, half a second before the pool would kill it."""
    with stage.pool(workers=1):
        warm_up(stage)
    with Database(stage.database.server, stage.database.name) as holder:
        holder.run("BEGIN; SELECT FROM winnow.processing_log FOR UPDATE")
        with stage.pool(workers=workers, drain_timeout_ms=DRAIN_TIMEOUT_S * 1000,
                        statement_timeout_ms=STATEMENT_TIMEOUT_S * 1000) as process:
            wait_until(lambda: stage.database.value(CLAIMS_WAIT, ()) > 0, 30, "a claim hangs",
                       on_timeout=process.log_tail)
            assert stop_hanging(process) == 75, process.log_tail()
            assert "event=worker_killed" not in process.log_text()


def test_a_database_that_hangs(stage, postgres):
    with stage.pool(workers=4, drain_timeout_ms=DRAIN_TIMEOUT_S * 1000,
                    statement_timeout_ms=STATEMENT_TIMEOUT_S * 1000) as process:
        wait_for_owners(stage, process.wait_for_workers(4))
        frozen = postgres.pause()
        try:
            for partition in range(stage.partitions):
                stage.send(*new_events(10), partition=partition)
            assert stop_hanging(process) in (0, 75), process.log_tail()
        finally:
            postgres.resume(frozen)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()


def test_a_second_term_does_not_wait(stage, postgres):
    """The database hangs, so the statement in flight does not end."""
    with stage.pool(workers=1, properties={"session.timeout.ms": 2000}, drain_timeout_ms=600000) as process:
        wait_for_owners(stage, process.wait_for_workers(1))
        warm_up(stage)
        lock = stage.database
        lock.run("BEGIN")
        lock.run("LOCK TABLE winnow.event IN EXCLUSIVE MODE")
        try:
            stage.send(*new_events(10))
            wait_for_statements(stage, 1)
            process.send_signal(signal.SIGTERM)
            process.wait_for_log("event=pool_stopping")
            begun = time.monotonic()

            def asked_again():
                process.send_signal(signal.SIGTERM)
                return process.exit_code is not None

            wait_until(asked_again, 30, "the pool ends", interval_s=0.3, on_timeout=process.log_tail)
            print(f"second TERM: ended with {process.exit_code} after {time.monotonic() - begun:.2f} s")
            assert re.search("event=pool_killing", process.log_text())
            assert process.exit_code == 75
        finally:
            lock.close()
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    assert len(stage.events()) == 14
