"""The schema itself: comments, partitions, views, states and invariants."""

import re
import struct
import threading
from datetime import date, timedelta

import psycopg2
import pytest

from winnow_test.process import ROOT

import schema_rows
from schema_rows import add_batch, add_dead_letter, add_event, event_hash, fill, roll_up


@pytest.fixture
def filled(database):
    fill(database)
    return database


def violations(database):
    return sorted({row[0] for row in database.rows("SELECT invariant FROM winnow.invariant_violation()")})


def verdict(database):
    return database.rows("SELECT complete, sentence FROM analytics.completeness_verdict")[0]


# Comments and lists


def test_everything_has_a_comment(database):
    assert database.rows(
        "SELECT 'schema', nspname::text FROM pg_namespace WHERE nspname IN ('winnow', 'analytics') "
        "AND obj_description(oid, 'pg_namespace') IS NULL "
        "UNION ALL SELECT 'relation', oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') "
        "AND relnamespace::regnamespace::text IN ('winnow', 'analytics') AND obj_description(oid, 'pg_class') IS NULL "
        "UNION ALL SELECT 'column', attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class AS c "
        "ON c.oid = attrelid WHERE relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped "
        "AND NOT relispartition AND relnamespace::regnamespace::text IN ('winnow', 'analytics') "
        "AND col_description(attrelid, attnum) IS NULL "
        "UNION ALL SELECT 'function', oid::regprocedure::text FROM pg_proc "
        "WHERE pronamespace::regnamespace::text IN ('winnow', 'analytics') AND obj_description(oid, 'pg_proc') IS NULL "
        "UNION ALL SELECT 'role', rolname::text FROM pg_roles WHERE rolname LIKE 'winnow%' "
        "AND shobj_description(oid, 'pg_authid') IS NULL") == []


def test_reasons_are_those_of_the_code(database):
    in_code = re.findall(r'X\(REJECT_\w+, "(\w+)"', (ROOT / "include" / "reject.h").read_text())
    check = database.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'dead_letter_reason'")
    assert re.findall(r"'(\w+)'::text", check) == in_code
    with pytest.raises(psycopg2.errors.CheckViolation):
        fill(database)
        add_dead_letter(database, 99, reason="bad_luck")


# Partitions


def month(offset):
    today = date.today().replace(day=1)
    index = today.year * 12 + today.month - 1 + offset
    return date(index // 12, index % 12 + 1, 1)


def partition_name(first_day):
    return f"event_y{first_day:%Y}m{first_day:%m}"


def where_is(database, offset):
    return database.value("SELECT tableoid::regclass::text FROM winnow.event WHERE origin_offset = %s", (offset,))


@pytest.mark.parametrize("offset,made", [(0, True), (2, True), (3, False), (-120, True), (-121, False)])
def test_month_is_made_within_ten_years_back_and_two_months_ahead(database, offset, made):
    day = month(offset) + timedelta(days=20)
    for _ in range(2):
        assert database.value("SELECT winnow.ensure_event_month(%s)", (day,)) is made
    assert database.value("SELECT to_regclass(%s) IS NOT NULL", (f"winnow.{partition_name(day)}",)) is made
    assert database.value("SELECT winnow.ensure_event_month(NULL)") is False


def test_months_ahead(database):
    assert database.value("SELECT winnow.ensure_event_months_ahead()") is True
    assert [row[0] for row in database.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'winnow.event'::regclass ORDER BY 1")] == [
            "winnow.event_default", *(f"winnow.{partition_name(month(offset))}" for offset in range(3))]


def test_bounds_are_utc_whatever_the_session_thinks(database):
    database.run("SET timezone = 'Pacific/Kiritimati'")
    database.run("SELECT winnow.ensure_event_month('2024-02-29')")
    database.run("SET timezone = 'UTC'")
    assert database.value("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'event_y2024m02'") == (
        "FOR VALUES FROM ('2024-02-01 00:00:00+00') TO ('2024-03-01 00:00:00+00')")


def test_rows_of_the_month_move_out_of_the_default_partition(filled):
    add_event(filled, 900, day="2024-02-01")
    before = filled.rows("SELECT * FROM winnow.event ORDER BY origin_offset")
    assert filled.value("SELECT winnow.ensure_event_month('2024-01-15')") is True
    assert filled.rows("SELECT * FROM winnow.event ORDER BY origin_offset") == before
    assert where_is(filled, 100) == "winnow.event_y2024m01"
    assert where_is(filled, 900) == "winnow.event_default"
    with pytest.raises(psycopg2.errors.UniqueViolation):
        add_event(filled, 999, number=100)


def test_new_partition_is_like_the_others(database):
    database.run("SELECT winnow.ensure_event_month('2024-01-15')")
    assert database.value("SELECT count(*) FROM pg_constraint WHERE conrelid = 'winnow.event_y2024m01'::regclass "
                          "AND contype = 'c'") == 0
    assert database.rows("SELECT p.inhparent::regclass::text FROM pg_index AS i "
                         "JOIN pg_inherits AS p ON p.inhrelid = i.indexrelid "
                         "WHERE i.indrelid = 'winnow.event_y2024m01'::regclass ORDER BY 1") == [
        ("winnow.event_by_name",), ("winnow.event_by_time",), ("winnow.event_pkey",)]


def test_detached_month_is_not_taken_for_a_partition(database):
    database.run("SELECT winnow.ensure_event_month('2024-01-15')")
    database.run("ALTER TABLE winnow.event DETACH PARTITION winnow.event_y2024m01")
    assert database.value("SELECT winnow.ensure_event_month('2024-01-15')") is False


class Writer(threading.Thread):
    """Inserts one event after the other, each in a transaction of its own, until told to stop."""

    def __init__(self, database, number):
        super().__init__()
        self.database = type(database)(database.server, database.name)
        self.number = number
        self.written = 0
        self.errors = []
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            offset = self.number * 1_000_000 + self.written
            try:
                add_event(self.database, offset, day=f"2024-01-{1 + self.written % 31:02}")
                self.written += 1
            except psycopg2.Error as error:
                self.errors.append(error)
                if error.pgcode != "23514" or error.diag.constraint_name is not None:
                    break
        self.database.close()


def test_moving_while_writers_insert_loses_and_doubles_nothing(filled):
    filled.run("DELETE FROM winnow.event")
    writers = [Writer(filled, number) for number in range(1, 5)]
    for writer in writers:
        writer.start()
    while sum(writer.written for writer in writers) < 400:
        assert any(writer.is_alive() for writer in writers)
    assert filled.value("SELECT winnow.ensure_event_month('2024-01-15')") is True
    at_move = sum(writer.written for writer in writers)
    while sum(writer.written for writer in writers) < at_move + 400:
        assert any(writer.is_alive() for writer in writers)
    for writer in writers:
        writer.stop.set()
        writer.join()
    assert [error for writer in writers for error in writer.errors] == []
    written = sum(writer.written for writer in writers)
    assert filled.rows("SELECT count(*), count(DISTINCT origin_offset), min(tableoid::regclass::text), "
                       "max(tableoid::regclass::text) FROM winnow.event") == [
        (written, written, "winnow.event_y2024m01", "winnow.event_y2024m01")]


def test_row_that_slips_into_the_default_partition_is_moved_too(filled):
    """A writer that is not done yet: its row is in nobody's sight when the month is looked for."""
    slow = psycopg2.connect(filled.dsn)
    slow.cursor().execute(
        "INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, "
        "client_id, metric, amount) VALUES ('2024-05-01', '2024-05-01', 5, gen_random_uuid(), 0, 1, 'c', 'm', 1)")
    ensure = threading.Thread(target=lambda: filled.run("SELECT winnow.ensure_event_month('2024-05-02')"))
    ensure.start()
    with type(filled)(filled.server, filled.name) as other:
        while not other.value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            assert ensure.is_alive()
    slow.commit()
    slow.close()
    ensure.join()
    assert where_is(filled, 5) == "winnow.event_y2024m05"


def test_two_ask_for_the_same_month(database):
    others = [type(database)(database.server, database.name) for _ in range(6)]
    answers = []
    threads = [threading.Thread(target=lambda other=other: answers.append(
        other.value("SELECT winnow.ensure_event_month('2023-07-01')"))) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert answers == [True] * 6


# Invariants


def test_no_violation_on_consistent_rows(filled):
    assert filled.rows("SELECT * FROM winnow.invariant_violation()") == []
    complete, sentence = verdict(filled)
    assert complete is True
    assert sentence == ("Complete: 10 offsets read in 1 partitions = 5 stored + 2 duplicate + 2 dead-lettered + 1 gap "
                        "+ 0 lost.")


def test_nothing_read_is_no_violation(database):
    assert violations(database) == []
    assert verdict(database) == (True, "Nothing has been read yet.")


BREAKS = {
    "I1": "UPDATE winnow.batch_log SET start_offset = 101, received = 4, gap = 1, stored = 3, duplicate = 0 "
          "WHERE start_offset = 100",
    "I2": "ALTER TABLE winnow.batch_log DROP CONSTRAINT batch_log_check; "
          "UPDATE winnow.batch_log SET duplicate = 0 WHERE start_offset = 106",
    "I4": "UPDATE winnow.rollup_hour SET amount_sum = amount_sum + 0.000001 WHERE shard = 0; "
          "UPDATE winnow.rollup_client SET amount_sum = amount_sum + 0.000001 WHERE shard = 0; "
          "UPDATE winnow.rollup_metric SET amount_sum = amount_sum + 0.000001 WHERE shard = 0; "
          "UPDATE winnow.rollup_day SET amount_sum = amount_sum + 0.000001 WHERE shard = 0",
    "I5": "DELETE FROM winnow.dead_letter WHERE message_offset = 104",
    "I6": "UPDATE winnow.processing_log SET next_offset = 111",
    "I7": "UPDATE winnow.rollup_metric SET amount_sum = amount_sum + 0.000001 WHERE shard = 0",
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_invariant_is_named_when_broken(filled, name):
    filled.run(BREAKS[name])
    assert violations(filled) == [name]
    row = filled.rows("SELECT stream, detail FROM winnow.invariant_violation()")[0]
    assert row[0] == "winnow/sales" and re.search(r"\d", row[1])


@pytest.mark.parametrize("sql,what", [
    ("UPDATE winnow.kept_client SET amount_sum = amount_sum + 0.000001 WHERE day > '-infinity'", ["clients"]),
    ("DELETE FROM winnow.kept_client WHERE day = '-infinity'", ["clients"]),
    ("UPDATE winnow.kept_client_hours SET event_counts[1] = 7", ["hours of clients"]),
    ("UPDATE winnow.kept_client_hours SET counts_so_far[1] = 7", ["hours of clients"]),
    ("UPDATE winnow.kept_client_hours SET amounts_so_far[1] = 7", ["hours of clients"]),
    ("DELETE FROM winnow.kept_client_hours", ["hours of clients"]),
    ("INSERT INTO winnow.kept_metric SELECT day, hour, 'nothing', 1, 1 FROM winnow.kept_metric", ["metrics"]),
])
def test_what_is_kept_of_days_is_an_invariant(filled, sql, what):
    filled.run("SELECT winnow.keep_days('0 s', '1 hour')")
    assert violations(filled) == []
    filled.run(sql)
    assert violations(filled) == ["I8"]
    details = [detail for detail, in filled.rows("SELECT detail FROM winnow.invariant_violation()")]
    assert [re.search("kept of its (.*) is not", detail)[1] for detail in details] == what


def test_events_that_batches_did_not_store_are_named(filled):
    filled.run("DELETE FROM winnow.event WHERE origin_offset = 102")
    roll_up(filled)
    assert violations(filled) == ["I3"]


@pytest.mark.parametrize("sql,expected", [
    ("DELETE FROM winnow.batch_log WHERE start_offset = 100", ["I1", "I3", "I5"]),
    ("DELETE FROM winnow.batch_log WHERE start_offset = 106", ["I3", "I5", "I6"]),
    ("DELETE FROM winnow.batch_log", ["I3", "I5", "I6"]),
    ("DELETE FROM winnow.rollup_hour", ["I4", "I7"]),
    ("UPDATE winnow.rollup_hour SET event_count = event_count + 1", ["I4", "I7"]),
    ("INSERT INTO winnow.rollup_hour SELECT bucket, 'nobody', metric, stream_id, shard, 1, 0 FROM winnow.rollup_hour "
     "WHERE shard = 0", ["I4", "I7"]),
    ("DELETE FROM winnow.rollup_client WHERE shard = 0", ["I7"]),
    ("INSERT INTO winnow.rollup_metric SELECT 'nothing', stream_id, shard, 0, 0 FROM winnow.rollup_client", ["I7"]),
    ("DELETE FROM winnow.rollup_day WHERE shard = 0", ["I7"]),
    ("UPDATE winnow.rollup_day SET event_count = event_count + 1", ["I7"]),
    ("DELETE FROM winnow.processing_log", ["I1", "I6"]),
])
def test_missing_rows_are_violations(filled, sql, expected):
    filled.run(sql)
    assert violations(filled) == expected


@pytest.mark.parametrize("sql", [
    "DELETE FROM winnow.batch_log WHERE start_offset = 100",
    "DELETE FROM winnow.batch_log WHERE start_offset = 106",
    "DELETE FROM winnow.batch_log",
    "DELETE FROM winnow.dead_letter WHERE message_offset = 108",
    "UPDATE winnow.processing_log SET next_offset = 111",
    "UPDATE winnow.processing_log SET start_offset = 99",
])
def test_completeness_notices(filled, sql):
    filled.run(sql)
    complete, sentence = verdict(filled)
    assert complete is False
    assert sentence.startswith("INCOMPLETE: 1 of 1 partitions do not add up, the first is sales/0")


def test_batches_that_overlap_and_leave_a_hole_are_not_complete(filled):
    """The sums are right all the same."""
    filled.run("DELETE FROM winnow.batch_log")
    add_batch(filled, 100, 104, stored=3, duplicate=1, dead=0, gap=0)
    add_batch(filled, 105, 110, stored=2, duplicate=1, dead=2, gap=0)
    add_batch(filled, 107, 108, stored=0, duplicate=0, dead=0, gap=1)
    assert filled.rows("SELECT offsets_read, stored + duplicate + dead + gap FROM analytics.completeness") == [(10, 10)]
    assert verdict(filled)[0] is False


# Views


def test_totals(filled):
    add_event(filled, 101, number=1, day="2024-01-02", client="client_B", amount="0.1")
    roll_up(filled, shards=3)
    def totals(view):
        return [tuple(map(str, row)) for row in filled.rows(f"SELECT * FROM analytics.{view} ORDER BY 1, 2")]
    assert totals("totals_by_client") == [("client_A", "5", "52.5"), ("client_B", "1", "0.1")]
    assert totals("totals_by_metric") == [("sale", "6", "52.6")]
    assert totals("totals_by_client_metric") == [("client_A", "sale", "5", "52.5"), ("client_B", "sale", "1", "0.1")]
    assert totals("totals_by_client_metric_day") == [
        ("2024-01-01", "client_A", "sale", "5", "52.5"), ("2024-01-02", "client_B", "sale", "1", "0.1")]
    assert totals("totals_by_client_metric_hour") == [
        ("2024-01-01 01:00:00+00:00", "client_A", "sale", "5", "52.5"),
        ("2024-01-02 01:00:00+00:00", "client_B", "sale", "1", "0.1")]


def test_status_and_rates(filled):
    assert filled.rows("SELECT topic, partition, state, next_offset, owner, received, stored, duplicate, dead, gap, lost "
                       "FROM analytics.processing_status") == [
        ("sales", 0, "running", 110, "worker 1", 9, 5, 2, 2, 1, 0)]
    assert filled.rows("SELECT sum(batch_count), sum(received), sum(stored), sum(duplicate), sum(dead) "
                       "FROM analytics.ingest_rate_minute") == [(2, 9, 5, 2, 2)]
    assert filled.rows("SELECT reason, message_count, unpublished FROM analytics.dead_letters_by_reason ORDER BY 1") == [
        ("database_rejected", 1, 1), ("invalid_json", 1, 1)]


def test_recent_events(filled):
    add_event(filled, 700, day="2024-03-05")
    add_event(filled, 701, day="2150-01-01")
    filled.run("SELECT winnow.ensure_event_month('2024-03-05')")
    assert [row[0] for row in filled.rows("SELECT origin_offset FROM analytics.events_recent")][0] == 700
    assert sorted(filled.rows("SELECT origin_offset FROM analytics.events_recent")) == [
        (100,), (101,), (102,), (106,), (107,), (700,)]


def header(name, value):
    encoded = b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value
    return struct.pack(">I", len(name)) + name + encoded


@pytest.mark.parametrize("headers,expected", [
    (b"", {}),
    (header(b"a", b"1") + header("grüß".encode(), "süß".encode()) + header(b"n", None) + header(b"e", b""),
     {"a": "1", "grüß": "süß", "n": None, "e": ""}),
    (header(b"b", b"\xff\x00"), {"b": "ff00"}),
    (header(b"z", b"\x00"), {"z": "00"}),
    (header(b"a", b"1") + b"\x00\x00\x00", {"a": "1", "(damaged)": "000000"}),
    (struct.pack(">I", 9) + b"a", {"(damaged)": "0000000961"}),
    (b"\xff\xff\xff\xff" + b"a" * 9, {"(damaged)": "ffffffff" + "61" * 9}),
    (struct.pack(">I", 1) + b"a" + struct.pack(">I", 99) + b"b", {"(damaged)": "62"}),
])
def test_header_text(database, headers, expected):
    assert database.value("SELECT winnow.header_text(%s)", (psycopg2.Binary(headers),)) == expected
    assert database.value("SELECT winnow.header_text(NULL)") is None


def test_failed_events_are_readable_and_resolved_once_stored(filled):
    add_dead_letter(filled, 98, reason="invalid_utf8", value=b"\xff\x00", headers=psycopg2.Binary(header(b"a", b"b")))
    query = ("SELECT message_offset, reason, value_text, value_bytes, key_text, headers, resolved, stored_offset "
             "FROM analytics.failed_events ORDER BY 1")
    assert filled.rows(query) == [
        (98, "invalid_utf8", None, 2, None, {"a": "b"}, False, None),
        (104, "invalid_json", "{", 1, None, None, False, None),
        (108, "database_rejected", '{"a":1}', 7, "k", None, False, None)]
    add_event(filled, 500, number=schema_rows.REJECTED.int - event_hash(0).int)
    assert filled.rows(query)[2][6:] == (True, 500)


# The state of a message


def state(database, offset, hash_=None, time=None, partition=0, group="winnow"):
    return database.rows(
        "SELECT state, duplicate_of_topic, duplicate_of_partition, duplicate_of_offset, reason, resolved "
        "FROM analytics.message_state('sales', %s, %s, %s, %s, %s)",
        (partition, offset, hash_ and str(hash_), time, group))[0]


NOTHING = (None, None, None, None, None)


def test_message_state_by_progress(filled):
    assert state(filled, 110) == ("processing", *NOTHING)
    assert state(filled, 99) == ("not_seen", *NOTHING)
    assert state(filled, 100, partition=1) == ("not_seen", *NOTHING)
    assert state(filled, 100, group="other") == ("not_seen", *NOTHING)
    filled.run("UPDATE winnow.processing_log SET state = 'halted', halt_reason = 'breaker'")
    assert state(filled, 110) == ("not_seen", *NOTHING)
    assert state(filled, 100) == ("completed", *NOTHING)


@pytest.mark.parametrize("time", [None, "2024-01-01 01:30:00+00", "2024-01-01 23:59:59.999999+00"])
def test_message_state_by_hash(filled, time):
    assert state(filled, 102, event_hash(102), time) == ("completed", *NOTHING)
    assert state(filled, 103, event_hash(100), time) == ("duplicate", "sales", 0, 100, None, None)
    assert state(filled, 103, event_hash(7), time) == ("not_seen", *NOTHING)


@pytest.mark.parametrize("bucket", ["2024-01-05 00:00:00+00", "2024-01-05 13:00:00+00", "2024-01-05 13:14:00+00",
                                    "2024-01-05 13:14:15+00", "2024-01-05 13:14:15.161718+00"])
def test_message_state_finds_every_granularity(filled, bucket):
    filled.run("UPDATE winnow.event SET bucket = %s WHERE origin_offset = 106", (bucket,))
    assert state(filled, 106, event_hash(106), "2024-01-05 13:14:15.161718+00") == ("completed", *NOTHING)


def test_message_state_without_hash(filled):
    assert state(filled, 102) == ("completed", *NOTHING)
    assert state(filled, 103) == ("duplicate", *NOTHING)


def test_message_state_of_failures(filled):
    assert state(filled, 104) == ("failed", None, None, None, "invalid_json", False)
    assert state(filled, 108) == ("failed", None, None, None, "database_rejected", False)
    add_event(filled, 500, number=schema_rows.REJECTED.int - event_hash(0).int)
    assert state(filled, 108) == ("failed", "sales", 0, 500, "database_rejected", True)


def test_resume_partition(filled):
    filled.run("UPDATE winnow.processing_log SET state = 'halted', halt_reason = 'breaker', halt_detail = 'x'")
    assert filled.value("SELECT winnow.resume_partition('sales', 0)") == 110
    assert filled.rows("SELECT state, halt_reason, halt_detail, tail_offset, tail_fingerprint, epoch, next_offset "
                       "FROM winnow.processing_log") == [("running", None, None, None, None, 2, 110)]
    with pytest.raises(psycopg2.errors.NoDataFound, match='no partition 7 of topic "sales"'):
        filled.value("SELECT winnow.resume_partition('sales', 7)")
