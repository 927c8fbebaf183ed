"""What the console does so that its answers come quickly, and that it does no more."""

import itertools

import psycopg2
import pytest
from test_aggregates import store
from test_events import fill, make_rows
from winnow_test.poll import wait_until

FIND_NOTHING = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT FROM {} WHERE client_id = '' AND metric = ''"
ROWS = """
INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id, metric, amount)
SELECT '2024-03-01', '2024-03-01'::timestamptz + n * interval '1 ms', n, md5(n::text)::uuid, 0, 1, 'client', 'sale', 1
FROM generate_series(1, 100000) AS n"""


def pages_of_nothing(database, part):
    with psycopg2.connect(database.dsn, options="-c enable_seqscan=off") as connection, connection.cursor() as cursor:
        cursor.execute(FIND_NOTHING.format(part))
        return cursor.fetchone()[0][0]["Plan"].get("Lossy Heap Blocks", 0)


def break_off(database, index, after_ms):
    """Summarizes anew, and is cancelled in the middle, if that is so long after; then what is left, as autovacuum would."""
    database.run(f"SELECT brin_desummarize_range('{index}', page) FROM generate_series(0, 1200, 8) AS page")
    with psycopg2.connect(database.dsn, options=f"-c statement_timeout={after_ms}") as connection:
        with pytest.raises(psycopg2.errors.QueryCanceled), connection.cursor() as cursor:
            cursor.execute(f"SELECT brin_summarize_new_values('{index}'), pg_sleep(1)")
    database.run(f"SELECT brin_summarize_new_values('{index}')")


@pytest.fixture
def broken_off(stage):
    """(database, partition) with a summary that was broken off."""
    database = stage.database
    database.run("SELECT winnow.ensure_event_month('2024-03-01')")
    database.run(ROWS)
    index = database.value("SELECT i.indexrelid::regclass::text FROM pg_index AS i JOIN pg_attribute AS a ON "
                           "a.attrelid = i.indexrelid WHERE i.indrelid = 'winnow.event_y2024m03'::regclass AND a.attname = 'metric'")
    times_ms = itertools.cycle((5, 10, 20, 40))  # how much is summarized in that time only the machine knows
    wait_until(lambda: break_off(database, index, next(times_ms)) or pages_of_nothing(database, "winnow.event_y2024m03") > 200, 90,
               "summarizing was broken off in time")
    return database, "winnow.event_y2024m03"


def test_a_summary_that_was_broken_off_is_finished(broken_off):
    database, part = broken_off
    assert database.value("SELECT winnow.mend_summaries()") >= 1
    assert pages_of_nothing(database, part) <= 128
    assert database.value("SELECT winnow.mend_summaries()") == 0


def test_the_console_finishes_it(broken_off, stage, make_console):
    database, part = broken_off
    make_console(stage)
    wait_until(lambda: pages_of_nothing(database, part) <= 128, 60, "the summary is finished")


def test_the_console_adds_days_up(stage, make_console):
    rows = make_rows(200)
    fill(stage.database, rows[:100])
    stage.database.run("UPDATE winnow.rollup_day SET updated_at = '-infinity'")
    make_console(stage)
    kept = "SELECT bool_and(kept) FROM winnow.total_days('-infinity', 'infinity', false)"
    wait_until(lambda: stage.database.value(kept), 60, "all days are kept")
    store(stage.database, rows[100:])
    assert not stage.database.value(kept)
    stage.database.run("UPDATE winnow.rollup_day SET updated_at = '-infinity'")
    wait_until(lambda: stage.database.value(kept), 60, "they are kept again")
    assert stage.database.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant > 'I6'") == []


def test_two_consoles_do_not_wait_for_each_other(stage):
    fill(stage.database, make_rows(50))
    with psycopg2.connect(stage.database.dsn) as other, other.cursor() as cursor:
        cursor.execute("SELECT winnow.keep_days('0 s', '1 s')")
        assert stage.database.value("SELECT winnow.keep_days('0 s', '1 s')") == 0
    assert stage.database.value("SELECT count(*) FROM winnow.kept_day WHERE day > '-infinity'") == 4


def test_what_is_kept_of_a_day_that_is_gone_goes(stage):
    fill(stage.database, make_rows(50))
    stage.database.run("SELECT winnow.keep_days('0 s', '1 hour')")
    for table, column in (("rollup_day", "day"), ("rollup_hour", "bucket")):
        stage.database.run(f"DELETE FROM winnow.{table} WHERE {column} < '2024-03-02'")
    stage.database.run("UPDATE winnow.kept_day SET kept_at = '-infinity'")
    stage.database.run("SELECT winnow.keep_days('0 s', '1 hour')")
    for table in ("kept_day", "kept_client", "kept_client_hours", "kept_metric"):
        assert stage.database.value(f"SELECT count(*) FROM winnow.{table} WHERE day < '2024-03-02' AND day > '-infinity'") == 0
    assert stage.database.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant > 'I7'") == []


def test_days_are_those_of_utc_whatever_the_session_thinks(stage):
    """Where clocks change, a day of the session's zone has 23 hours, and another one 25."""
    database = stage.database
    for statement in (
            "INSERT INTO winnow.rollup_hour SELECT d + h * interval '1 hour', 'a', 'x', 1, 0, 1, 2 "
            "FROM unnest('{2024-03-31,2024-04-01,2024-10-27,2024-10-28}'::timestamptz[]) AS d, generate_series(0, 23) AS h",
            "INSERT INTO winnow.rollup_day SELECT date_bin('1 day', bucket, 'epoch'), stream_id, shard, sum(event_count), "
            "sum(amount_sum) FROM winnow.rollup_hour GROUP BY 1, 2, 3",
            "SET timezone = 'Europe/Berlin'", "SELECT winnow.keep_days('0 s', '1 hour')"):
        database.run(statement)
    try:
        assert database.rows("SELECT event_count FROM winnow.kept_client WHERE day > '-infinity'") == [(24,)] * 4
        assert database.rows("SELECT sum(extract(epoch FROM ends - begins) / 3600)::int FROM "
                             "winnow.total_days('-infinity', 'infinity', false) GROUP BY day") == [(24,)] * 4
        assert database.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant = 'I8'") == []
    finally:
        database.run("SET timezone = 'UTC'")
