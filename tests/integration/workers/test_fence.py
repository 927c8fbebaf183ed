"""Whoever has lost a partition can change nothing any more, whatever it still holds."""

import os
import re
import signal
from pathlib import Path

from scenario import final_counters, new_events, owners, wait_for_owners, wait_for_statements, warm_up
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.produce import Sender

EPOCHS = "SELECT partition, epoch FROM winnow.processing_log ORDER BY 1"


def received(stage):
    return stage.database.value("SELECT coalesce(sum(received), 0) FROM winnow.batch_log")


def send_some(sender, count=200):
    for event in new_events(count):
        sender.send(event)
    sender.poll()


def keep_sending_until(sender, condition, timeout_s, what, on_timeout):
    def look():
        send_some(sender)
        return condition()

    wait_until(look, timeout_s, what, interval_s=0.02, on_timeout=on_timeout)


def test_epochs_raised_under_load(stage):
    """What a claim of another worker does to this one, by SQL, many times while it writes."""
    with stage.pool(workers=2, batch_rows=200) as workers, Sender(stage.broker.brokers, stage.topic) as sender:
        wait_for_owners(stage, workers.wait_for_workers(2))
        for _ in range(15):
            seen = received(stage)
            keep_sending_until(sender, lambda: received(stage) > seen, 30, "batches go on", stage.logs)
            stage.database.run("UPDATE winnow.processing_log SET epoch = epoch + 1")
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        workers.wait_for_log("level=warning .*event=fenced .*nothing was written")
        assert workers.stop() == 0
    counters = final_counters(workers)
    assert counters["fenced"] >= 15, counters
    assert counters["taken"] > len(stage.sent), "what was fenced is read again"
    assert len(stage.events()) == len(stage.sent)
    assert stage.database.value("SELECT sum(duplicate) FROM winnow.batch_log") == 0


def test_the_expected_offset_fences_too(stage):
    """With the epoch unchanged: a cursor that somebody moved on is taken as it stands."""
    stage.exact = False  # ten messages are skipped by hand, which the batches cannot know
    with stage.pool(workers=0) as worker:
        stage.send(*new_events(100), partition=0)
        stage.wait_until_caught_up()
        stage.database.run("UPDATE winnow.processing_log SET next_offset = 110, tail_fingerprint = NULL "
                           "WHERE partition = 0")
        stage.send(*new_events(50), partition=0)
        worker.wait_for_log("event=fenced")
        stage.wait_until_caught_up()
        assert worker.stop() == 0
    assert stage.database.rows("SELECT start_offset, end_offset FROM winnow.batch_log WHERE start_offset >= 100 "
                               "ORDER BY 1")[0][0] == 110
    stage.database.run("UPDATE winnow.batch_log SET end_offset = 110, gap = gap + 10 WHERE end_offset = 100")


def processor_time(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]


def wait_until_busy_no_more(pid):
    """It waits for the database with all it can hold in its hands: its processor time stands still."""
    seen = []

    def look():
        seen.append(processor_time(pid))
        return len(seen) > 10 and seen[-1] == seen[-10]

    wait_until(look, 30, f"process {pid} rests")


def freeze_full_handed(stage, pids):
    """Stops the first of two workers with a batch at the database and the next one in its hands."""
    warm_up(stage)
    with Database(stage.database.server, stage.database.name) as locker:
        locker.run("BEGIN; LOCK TABLE winnow.event IN EXCLUSIVE MODE")
        stage.send(*new_events(20000))
        wait_for_statements(stage, 2)
        wait_until_busy_no_more(pids[0])
        os.kill(pids[0], signal.SIGSTOP)


def test_zombie(stage):
    """Frozen beyond the session timeout; the other worker takes over; it wakes up with its hands full. Whether it writes
    before it hears that it has lost the group is left to chance here; in chaos/test_zombie.py it always does."""
    properties = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}
    with stage.pool(workers=2, properties=properties, batch_rows=500) as workers:
        pids = workers.wait_for_workers(2)
        wait_for_owners(stage, pids)
        zombie, other = pids
        try:
            freeze_full_handed(stage, pids)
            wait_until(lambda: set(owners(stage).values()) == {other}, 30, "the other one has all partitions",
                       on_timeout=stage.logs)
        finally:
            os.kill(zombie, signal.SIGCONT)
        wait_for_owners(stage, pids)
        stage.send(*new_events(1000))
        stage.wait_until_caught_up()
        assert set(workers.worker_pids()) == set(pids), workers.log_tail()
        assert workers.stop() == 0
    assert len(stage.events()) == 21004
    assert stage.database.value("SELECT sum(duplicate) FROM winnow.batch_log") == 0


def test_claims_raise_the_epoch_every_time(stage):
    for expected in (1, 2):
        with stage.pool(workers=0):
            wait_until(lambda: [row[1] for row in stage.database.rows(EPOCHS)] == [expected] * 4, 30,
                       f"epoch {expected}", on_timeout=stage.logs)


def test_connections_terminated_midway(stage):
    with stage.pool(workers=2, batch_rows=500) as workers, Sender(stage.broker.brokers, stage.topic) as sender:
        pids = workers.wait_for_workers(2)
        wait_for_owners(stage, pids)
        terminated = 0
        for _ in range(10):
            seen = received(stage)
            keep_sending_until(sender, lambda: received(stage) > seen, 30, "batches go on", stage.logs)
            terminated += stage.database.terminate_backends()
        assert terminated >= 10
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        assert set(workers.worker_pids()) == set(pids)
        assert workers.stop() == 0
    assert stage.dead() == []
    assert len(stage.events()) == len(stage.sent)
    assert final_counters(workers)["resynced"] >= 1
    assert re.search("level=warning .*event=retrying", workers.log_text())
