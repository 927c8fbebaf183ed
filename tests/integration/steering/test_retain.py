"""Old months go beside a running pool, also when the tool is killed: totals and invariants stay."""

import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import psycopg2
import pytest

from winnow_test import check
from winnow_test.poll import wait_until
from winnow_test.pool import BINARY, environment
from winnow_test.process import Process, make_directory, remove_directory

_numbers = itertools.count(1)


@pytest.fixture
def stage(devbroker, make_stage):
    stage = make_stage(broker=devbroker, partitions=2)
    stage.exact = False  # the table no longer holds what the topic does
    return stage


def month_ago(count):
    """The middle of a month."""
    now = datetime.now(timezone.utc)
    months = now.year * 12 + now.month - 1 - count
    return f"{months // 12:04}-{months % 12 + 1:02}-15T12:00:00Z"


def events_of(months_ago, count):
    return [{"client": "c", "metric": f"m{number % 3}", "amount": number, "time": month_ago(months_ago)}
            for number in itertools.islice(_numbers, count)]


def fill(stage, *months_ago):
    for months in months_ago:
        for partition in range(2):
            stage.send(*events_of(months, 20), partition=partition)
    stage.wait_until_caught_up()


def totals(stage):
    return stage.database.rows("SELECT client_id, metric, event_count, amount_sum FROM analytics.totals_by_client_metric "
                               "ORDER BY 1, 2")


SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'winnow retain'"


def retain(stage, *arguments):
    return stage.winnow("retain", "-q", *arguments)


def test_old_months_are_dropped_and_written_down(stage):
    with stage.pool(workers=1):
        fill(stage, 30, 14, 3, 0, 140)  # the last one has no partition of its own
        before = totals(stage)
        told = retain(stage, "--keep", "13 months", "--dry-run")
        assert told.exit_code == 0 and told.out.count("40 events") == 3, told
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 200
        done = retain(stage, "--keep", "13 months")
        assert done.exit_code == 0 and done.out.count("dropped 40 events") == 3, done
        assert totals(stage) == before
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 80
        assert stage.database.rows("SELECT event_count FROM analytics.dropped_months") == [(40,)] * 3
        check.assert_no_violation(stage.database)
        assert stage.winnow("status").exit_code == 0
        # A resend of a dropped month is stored again, as the tool says; and dropped again.
        stage.send(*[sent.message for sent in stage.sent[:40]], partition=0)
        stage.wait_until_caught_up()
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 120
        check.assert_no_violation(stage.database)
        assert "dropped 40 events" in retain(stage, "--keep", "13 months").out
        check.assert_no_violation(stage.database)
        assert "dropped" not in retain(stage, "--keep", "13 months").out


def test_mistakes(stage):
    for words, code, said in (((), 64, "no --keep"), (("--keep", "13 moons"), 64, "13 moons"),
                              (("--keep", "3 days"), 64, "1 month"), (("--keep", "1 year", "now"), 64, "found now")):
        refused = retain(stage, *words)
        assert refused.exit_code == code and said in refused.error, refused
    holder = psycopg2.connect(stage.database.dsn)
    holder.cursor().execute("SELECT pg_advisory_lock(hashtextextended('winnow.retain', 0))")
    refused = retain(stage, "--keep", "13 months")
    assert refused.exit_code == 78 and "another winnow retain" in refused.error
    holder.close()


def test_a_reader_is_waited_for_and_holds_up_nobody(stage):
    with stage.pool(workers=1):
        fill(stage, 20, 0)
        reader = psycopg2.connect(stage.database.dsn)
        reader.cursor().execute("SELECT count(*) FROM winnow.event")  # its transaction stays open
        directory = make_directory("retain")
        tool = Process([BINARY, "retain", "-q", "--keep", "13 months"], directory / "log",
                       env=environment(stage.settings))
        for _ in range(3):  # it gives up after a second, and tries again
            wait_until(lambda: stage.database.value(f"{SESSIONS} AND wait_event_type = 'Lock'") == 1, 30, "retain waits",
                       on_timeout=tool.log_tail)
            stage.send(*events_of(0, 5))
            stage.wait_until_caught_up()  # batches pass
        assert tool.is_running()
        reader.close()
        wait_until(lambda: tool.exit_code == 0, 30, "retain ends", on_timeout=tool.log_tail)
        remove_directory(directory)
    check.assert_no_violation(stage.database)


def test_killed_anywhere_it_goes_on(stage):
    with stage.pool(workers=2, batch_rows=10, properties={"session.timeout.ms": "3000"}):
        fill(stage, *range(20, 14, -1), 140, 0)
        before = totals(stage)
        directory = make_directory("retain")
        for delay_s in (0.02, 0.05, 0.08, 0.12, 0.2, 0.3):
            tool = Process([BINARY, "retain", "-q", "--keep", "13 months"], directory / "log",
                           env=environment(stage.settings))
            deadline = time.monotonic() + delay_s
            wait_until(lambda: time.monotonic() >= deadline or not tool.is_running(), 5, interval_s=0.005)
            if tool.is_running():
                tool.send_signal(signal.SIGKILL)
            # The statement that it had sent may go on for a while, and so does its lock against a second one.
            wait_until(lambda: tool.exit_code is not None and stage.database.value(SESSIONS) == 0, 30, "it is gone")
            check.assert_no_violation(stage.database)
            assert totals(stage) == before
        assert retain(stage, "--keep", "13 months").exit_code == 0
        remove_directory(directory)
    assert stage.database.value("SELECT count(*) FROM winnow.event") == 40
    assert stage.database.value("SELECT sum(event_count) FROM winnow.retention") == 7 * 40
    assert stage.database.value("SELECT count(*) FROM winnow.event_retired") == 0


def test_old_account_rows_are_merged(stage):
    with stage.pool(workers=1, batch_rows=5):
        fill(stage, 1, 0)
        stage.send("no event", partition=0)
        stage.wait_until_caught_up()
    rows = stage.database.value("SELECT count(*) FROM winnow.batch_log")
    sums = "SELECT partition, received, stored, duplicate, dead FROM analytics.processing_status ORDER BY 1"
    before = stage.database.rows(sums)
    # Two old days; what is younger stays.
    for column, table in (("committed_at", "batch_log"), ("ingested_at", "event")):
        stage.database.run(f"UPDATE winnow.{table} SET {column} = {column} - interval '20 days'")
    where = "(SELECT count(*) FROM winnow.event AS e, winnow.find_event_by_origin(e.stream_id, e.origin_partition, e.origin_offset))"
    assert stage.database.value(f"SELECT {where}") == 80
    told = retain(stage, "--keep", "10 years", "--merge-after", "19 days", "--dry-run")
    assert f"{rows} rows of the account would be merged into 2" in told.out, told
    done = retain(stage, "--keep", "10 years", "--merge-after", "19 days")
    assert f"the account has {rows - 2} rows fewer" in done.out, done
    check.assert_no_violation(stage.database)
    assert stage.database.rows(sums) == before
    assert stage.database.value(f"SELECT {where}") == 80  # events are still found by their message
    assert "0 rows fewer" in retain(stage, "--keep", "10 years", "--merge-after", "19 days").out
    with stage.pool(workers=1):
        fill(stage, 0)
    check.assert_no_violation(stage.database)


WAITS = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
         "AND application_name = 'winnow steer'")


def test_a_seek_waits_while_the_account_is_merged(stage):
    with stage.pool(workers=1, batch_rows=5):
        fill(stage, 0)
    stage.database.run("UPDATE winnow.batch_log SET committed_at = committed_at - interval '20 days'")
    border = stage.database.value("SELECT max(start_offset) FROM winnow.batch_log WHERE partition = 0")
    assert border > 0
    connection = psycopg2.connect(stage.database.dsn)
    with ThreadPoolExecutor(1) as executor:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT removed FROM winnow.processing_log AS l, LATERAL winnow.merge_batches(l.stream_id, "
                           "l.partition, 0, now() - interval '19 days', 20000) WHERE l.partition = 0")
            assert cursor.fetchone()[0] > 0
            seek = executor.submit(stage.winnow, "seek", f"{stage.topic}/0", "--to-offset", border, "--execute")
            wait_until(lambda: stage.database.value(WAITS) == 1, 30)
        assert "-> 0, reads" in seek.result().out, seek.result()  # what was merged is one batch now
    connection.close()
    check.assert_no_violation(stage.database)


def test_only_operators_drop(stage):
    for role, allowed in (("winnow_operator", True), ("winnow_worker", False), ("winnow_analyst", False)):
        with psycopg2.connect(stage.database.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
            if allowed:
                cursor.execute("SELECT winnow.drop_retired_month()")
            else:
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute("SELECT winnow.drop_retired_month()")
        connection.close()
