"""What a pool counts is what the database holds, whoever died in between; and it says why it is not ready."""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from scenario import new_events, owners, wait_for_owners, wait_for_statements
from winnow_test import check, metrics
from winnow_test.metrics import LISTEN, value
from winnow_test.poll import comes_about, wait_until
from winnow_test.postgres import Database
from winnow_test.process import ROOT
from winnow_test.produce import Sender

POISON = ['{"client":"a"', '{"metric":"m"}', "[]", '{"client":"a","metric":"m","amount":"x"}']


def mixed(count):
    """New events, one in ten of them twice, one in twenty poison."""
    events = new_events(count)
    return events + events[::10] + [POISON[i % len(POISON)] for i in range(count // 20)]


def wait_until_equal(pool, stage):
    check.assert_same(metrics.lasting_differences(pool, stage.database, stage.topic), [], "what the metrics tell otherwise")


def wait_for_reasons(pool, expected, timeout_s=30):
    wait_until(lambda: metrics.reasons(pool) == expected, timeout_s, f"/readyz says {expected}",
               on_timeout=lambda: f"it says {metrics.ready(pool)}\n{pool.log_tail()}")


def test_agrees_exactly_across_deaths(stage):
    """Workers killed, the database restarted, epochs raised, the pool killed: nothing is missed, nothing goes back."""
    before = {}
    with stage.pool(workers=2, batch_rows=100, **LISTEN) as pool, Sender(stage.broker.brokers, stage.topic) as sender:
        wait_for_owners(stage, pool.wait_for_workers(2))
        for fault in ("kill", "restart", "kill", "epoch", "kill"):
            for thing in mixed(400):
                sender.send(thing)
            sender.poll()
            if fault == "restart":
                stage.database.close()
                stage.database.server.restart("immediate")
            elif fault == "epoch":
                stage.database.run("UPDATE winnow.processing_log SET epoch = epoch + 1")
            else:
                pool.kill_worker()
            after = metrics.scrape(pool)
            assert metrics.went_back(before, after) == []
            before = after
            pool.wait_for_workers(2)
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        samples = metrics.scrape(pool)
        assert metrics.went_back(before, samples) == []
        assert value(samples, "winnow_worker_restarts_total") >= 3
        assert value(samples, "winnow_worker_exits_total", how="crashed") >= 3
        assert value(samples, "winnow_events_total") == len(stage.sent)
        pool.kill()
    with stage.pool(workers=2, **LISTEN) as second:
        wait_for_owners(stage, second.wait_for_workers(2))
        wait_until_equal(second, stage)
        assert metrics.went_back({key: number for key, number in samples.items() if key[0] == "winnow_events_total"},
                                 metrics.scrape(second)) == []


def test_killed_between_commit_and_counting(stage):
    """The batch commits while its worker is frozen, and then that is killed: its successor counts it."""
    stage.send(*mixed(100), partition=0)
    with stage.pool(workers=1, **LISTEN) as pool:
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        before = value(metrics.scrape(pool), "winnow_events_total")
        worker = pool.worker_pids()[0]
        with Database(stage.database.server, stage.database.name) as session:
            session.run("BEGIN; SELECT FROM winnow.processing_log FOR UPDATE")
            stage.send(*mixed(100), partition=0)
            wait_for_statements(stage, 1)
            os.kill(worker, signal.SIGSTOP)
            offsets = "SELECT sum(next_offset) FROM winnow.processing_log"
            told = session.value(offsets)
            session.run("COMMIT")
        wait_until(lambda: stage.database.value(offsets) > told, 20, "the batch is committed", on_timeout=stage.logs)
        assert value(metrics.scrape(pool), "winnow_events_total") == before, "nobody has told the pool"
        os.kill(worker, signal.SIGKILL)
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)


def test_unknown_outcome_is_counted_once_it_is_known(stage):
    """The answer to a batch never comes: the connections are cut while statements run."""
    with stage.pool(workers=2, batch_rows=50, **LISTEN) as pool, Sender(stage.broker.brokers, stage.topic) as sender:
        wait_for_owners(stage, pool.wait_for_workers(2))
        for _ in range(10):
            for thing in mixed(200):
                sender.send(thing)
            sender.poll()
            stage.database.terminate_backends("winnow worker")
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        samples = metrics.scrape(pool)
        assert value(samples, "winnow_resyncs_total") > 0
        assert sum(value(samples, "winnow_database_errors_total", **{"class": name}) for name in ("57", "none")) > 0


def test_what_a_winnow_that_did_not_count_has_applied(stage):
    """As after an upgrade with the pool running: a claim counts it."""
    stage.send(*mixed(100))
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    stage.database.run("UPDATE winnow.processing_log SET counted_offset = start_offset, stored = 0, duplicate = 0, dead = 0; "
                       "DELETE FROM winnow.dead_letter_count")
    with stage.pool(workers=1, **LISTEN) as pool:
        wait_for_owners(stage, pool.wait_for_workers(1))
        wait_until_equal(pool, stage)


def test_what_is_read_again_counts_again(stage):
    """Counters count what was done: after a move back a dead letter is one more, an event a duplicate, and nothing goes
    back; the account says what is there. Also when the pool is not there, and when the reading is cut short."""
    stage.send(*mixed(100), partition=0)
    with stage.pool(workers=1, **LISTEN) as pool:
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        before = metrics.scrape(pool)
        assert metrics.outcomes(before)[0, "dead"] == 5
        assert stage.winnow("seek", f"{stage.topic}/0", "--to-earliest", "--execute").exit_code == 0
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        after = metrics.scrape(pool)
        assert metrics.went_back(before, after) == []
        assert [metrics.outcomes(after)[0, outcome] for outcome in ("stored", "duplicate", "dead")] == [100, 10 + 110, 10]
        assert sum(metrics.outcomes(after, "winnow_dead_letters_total", "reason").values()) == 10
        pool.stop()
    assert stage.winnow("seek", f"{stage.topic}/0", "--to-earliest", "--execute").exit_code == 0
    assert stage.winnow("seek", f"{stage.topic}/0", "--to-latest", "--execute").exit_code == 0  # skipped: not counted
    with stage.pool(workers=1, **LISTEN) as pool:
        wait_for_owners(stage, pool.wait_for_workers(1))
        wait_until_equal(pool, stage)
        assert metrics.went_back({key: number for key, number in after.items() if key[0] == "winnow_events_total"},
                                 metrics.scrape(pool)) == []
        assert stage.winnow("seek", f"{stage.topic}/0", "--to-earliest", "--execute").exit_code == 0
        stage.wait_until_caught_up()
        wait_until_equal(pool, stage)
        assert metrics.outcomes(metrics.scrape(pool))[0, "dead"] == 15
    assert stage.database.value("SELECT dead FROM analytics.completeness WHERE partition = 0") == 5


def test_migration_counts_what_is_there(stage):
    """The counts begin with what earlier versions have stored."""
    stage.send(*mixed(100))
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    for direction in ("down", "up"):
        stage.database.run((ROOT / "migrations" / f"000013_outcome_counts.{direction}.sql").read_text())
    assert stage.database.rows("SELECT sum(stored), sum(duplicate), sum(dead) FROM winnow.processing_log") == \
        stage.database.rows("SELECT sum(stored), sum(duplicate), sum(dead) FROM winnow.batch_log")
    assert stage.database.value("SELECT count(*) FROM winnow.processing_log WHERE counted_offset <> next_offset") == 0
    stage.database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) SELECT 13, "
                       "'000013_outcome_counts', %s, 1", (hashlib.sha256((ROOT / "migrations" / "000013_outcome_counts.up.sql")
                                                                         .read_bytes()).hexdigest(),))
    with stage.pool(workers=1, **LISTEN) as pool:
        wait_for_owners(stage, pool.wait_for_workers(1))
        wait_until_equal(pool, stage)


def test_families_and_content_type(stage):
    """Prometheus' own checker, the histograms' sums, and what a batch leaves in them."""
    stage.send(*mixed(100))
    with stage.pool(workers=2, **LISTEN) as pool:
        stage.wait_until_caught_up()
        wait_for_reasons(pool, [])
        wait_until_equal(pool, stage)
        wait_until(lambda: value(metrics.scrape(pool), "winnow_partitions_held") == stage.partitions, 30,
                   "all that joined have their partitions", on_timeout=pool.log_tail)
        code, headers, text = metrics.get(metrics.url(pool, "/metrics"))
        assert (code, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        head = metrics.get(metrics.url(pool, "/metrics"), "HEAD")
        assert (head[0], head[1]["Content-Type"], head[2]) == (200, headers["Content-Type"], "")
        assert metrics.get(metrics.url(pool, "/metrics"), "DELETE")[0] == 405
        assert metrics.get(metrics.url(pool, "/nowhere"))[0] == 404
        assert metrics.get(metrics.url(pool, "/livez"))[::2] == (200, '{"alive":true}\n')
        samples = metrics.parse(text)
        assert value(samples, "winnow_batch_rows_sum") == len(stage.sent)
        assert value(samples, "winnow_event_latency_seconds_count") == len(stage.sent)
        assert value(samples, "winnow_batch_duration_seconds_count") == value(samples, "winnow_batch_rows_count")
        assert value(samples, "winnow_database_up") == value(samples, "winnow_broker_up") == 1
        wait_until(lambda: value(metrics.scrape(pool), "winnow_lag_records") == 0, 10, "no lag is left")
        assert value(metrics.scrape(pool), "winnow_lag_seconds") == 0
        assert re.search(r'winnow_build_info\{version="[^"]+"\} 1\n', text)
        assert value(samples, "process_start_time_seconds") > 1.7e9
    checked = subprocess.run([shutil.which("promtool"), "check", "metrics"], input=text, capture_output=True, text=True,
                             timeout=60, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_not_ready_while_the_database_is_away(stage):
    with stage.pool(workers=2, **LISTEN) as pool:
        wait_for_owners(stage, pool.wait_for_workers(2))
        wait_for_reasons(pool, [])
        wait_until(lambda: [lag for (name, _), lag in metrics.scrape(pool).items() if name == "winnow_lag_records"] == [0] * 4,
                   10, "the ends of all partitions are known")
        stage.database.server.stop()
        begun = time.time()
        stage.send(*new_events(50))
        sent = time.time()
        wait_until(lambda: "database_away" in metrics.reasons(pool), 30, "/readyz tells", on_timeout=pool.log_tail)
        wait_until(lambda: value(metrics.scrape(pool), "winnow_lag_records") == 50, 30, "the lag is told",
                   on_timeout=pool.log_tail)
        waited = time.time() - sent

        def lags():
            return [lag for (name, _), lag in metrics.scrape(pool).items() if name == "winnow_lag_seconds" and lag > 0]
        # No less than they have waited at the last look, and not much more: the one at which nothing waited was not long before.
        wait_until(lambda: lags() and all(lag >= waited for lag in lags()), 10, "the lag in seconds", on_timeout=pool.log_tail)
        assert all(lag <= time.time() - begun + 15 for lag in lags())
        assert value(metrics.scrape(pool), "winnow_database_up") == 0
        stage.database.server.start()
        wait_for_reasons(pool, [])
        stage.wait_until_caught_up()
        wait_until(lambda: value(metrics.scrape(pool), "winnow_lag_records") == 0, 10, "no lag is left")


def test_not_ready_while_the_broker_is_away(stage):
    with stage.pool(workers=1, **LISTEN) as pool:
        wait_for_reasons(pool, [])
        stage.broker.kill()
        wait_until(lambda: "broker_away" in metrics.reasons(pool), 30, "/readyz tells", on_timeout=pool.log_tail)
        assert value(metrics.scrape(pool), "winnow_broker_up") == 0
        stage.broker.start()
        wait_for_reasons(pool, [], 60)


def test_not_ready_with_a_halted_partition(stage):
    stage.exact = False
    with stage.pool(workers=1, breaker_window=10, **LISTEN) as pool:
        stage.send(*["no event"] * 20, partition=2)
        wait_for_reasons(pool, ["partition_halted"])
        code, body = metrics.ready(pool)
        assert (code, body["ready"], body["reasons"][0]["partitions"]) == (503, False, [2])
        samples = metrics.scrape(pool)
        assert value(samples, "winnow_partition_halted", partition=2) == value(samples, "winnow_partition_halted") == 1


def test_not_ready_before_a_worker_has_joined(stage):
    with stage.pool(workers=1, brokers="127.0.0.1:1", **LISTEN) as pool:
        wait_for_reasons(pool, ["no_worker_joined"])
        assert metrics.get(metrics.url(pool, "/livez"))[0] == 200
    stage.exact = False


def test_guests_who_say_nothing_hold_nobody_up(stage):
    with stage.pool(workers=1, **LISTEN) as pool:
        wait_for_reasons(pool, [])
        host, port = re.search(r"//(.*):(\d+)/", metrics.url(pool, "/")).groups()
        guests = [socket.create_connection((host, int(port)), timeout=10) for _ in range(40)]
        guests[0].sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        pid = pool.kill_worker()
        wait_until(lambda: pool.worker_pids() not in ([], [pid]), 20, "the worker is started again",
                   on_timeout=pool.log_tail)
        wait_until(lambda: metrics.get(metrics.url(pool, "/livez"), timeout_s=30)[0] == 200, 30, "guests were sent away")
        for guest in guests:
            guest.close()


def test_unpublished_letters(make_stage):
    stage = make_stage(dead_letter_topic=False)
    stage.send(*POISON)
    with stage.pool(workers=1, **LISTEN) as pool:
        stage.wait_until_caught_up()
        wait_until(lambda: value(metrics.scrape(pool), "winnow_dead_letters_unpublished") == len(POISON), 60,
                   "waiting letters are told", on_timeout=pool.log_tail)
        wait_until(lambda: value(metrics.scrape(pool), "winnow_dead_letters_unpublished_oldest_seconds") > 0, 10, "and how old")
        assert owners(stage)


@pytest.mark.parametrize("asked", [False, True])
def test_address_in_use(stage, asked):
    """Missed at the default address, which another pool may have; a mistake where it was asked for."""
    with socket.socket() as taken:
        default = "127.0.0.1:8078"
        address = default
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def take():
            try:
                taken.bind(("127.0.0.1", 8078))
                taken.listen()
                return True
            except OSError:
                return False
        comes_about(take, 30)  # who has it for longer keeps it: as good
        settings = {"metrics_listen": address} if asked else {"metrics_listen": ""}
        with stage.pool(workers=1, **settings) as pool:
            if asked:
                wait_until(lambda: not pool.is_running(), 20, "the pool ends", on_timeout=pool.log_tail)
                assert pool.exit_code == 78
            else:
                wait_until(lambda: owners(stage), 30, "the pool works", on_timeout=pool.log_tail)
            assert "--metrics-listen off" in pool.log_text()
    stage.exact = False
