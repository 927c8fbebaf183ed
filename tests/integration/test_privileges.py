"""What each role may do, and may not."""

import psycopg2
import pytest

from schema_rows import fill
from test_migrate import migrate


@pytest.fixture
def filled(database):
    fill(database)
    return database


DISCARD = ("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, note) "
           "SELECT stream_id, partition, message_offset, 'discard', 'me', 'n' FROM winnow.dead_letter LIMIT 1")
REPORT = "SELECT winnow.report_retries('[]')"
FIND = "SELECT winnow.find_event(gen_random_uuid(), NULL)"
FIND_BY_ORIGIN = "SELECT winnow.find_event_by_origin(1::smallint, 0, 1)"

MAY = {
    "winnow_worker": [
        "INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('g', 't', 'c')",
        "UPDATE winnow.processing_log SET epoch = epoch + 1", "SELECT * FROM winnow.dead_letter FOR UPDATE SKIP LOCKED",
        "UPDATE winnow.dead_letter SET published_at = now(), publish_lease_until = NULL, publish_attempts = 1, "
        "publish_error = 'x'", "SELECT winnow.ensure_event_month('2024-01-01')",
        "SELECT winnow.ensure_event_months_ahead()", "SELECT version FROM winnow.schema_migration",
        "INSERT INTO winnow.event SELECT * FROM winnow.event ON CONFLICT DO NOTHING RETURNING amount",
        "UPDATE winnow.rollup_hour SET event_count = event_count + 0",
        "UPDATE winnow.rollup_client SET event_count = event_count + 0",
        "INSERT INTO winnow.rollup_metric VALUES ('m', 1, 1, 1, 1)",
        "INSERT INTO winnow.batch_log VALUES (1, 1, 0, 1, 1, 1, 1, 0, 0)",
        "SELECT * FROM winnow.count_outcomes(1::smallint, '{0}')",
        "INSERT INTO winnow.dead_letter_count VALUES (1, 0, 'too_deep', 1) ON CONFLICT (stream_id, partition, reason) "
        "DO UPDATE SET dead = 2",
    ],
    "winnow_operator": [
        "SELECT * FROM winnow.batch_log", "SELECT * FROM winnow.event", "SELECT * FROM winnow.invariant_violation()",
        "SELECT winnow.resume_partition('sales', 0)", "UPDATE winnow.dead_letter SET published_at = NULL",
        "SELECT * FROM analytics.completeness_verdict", "SELECT * FROM analytics.failed_events",
        "SELECT * FROM analytics.message_state('sales', 0, 103)", "SELECT * FROM winnow.schema_migration", DISCARD,
        REPORT,
    ],
    "winnow_analyst": [
        "SELECT * FROM analytics.totals_by_client_metric_day", "SELECT * FROM analytics.failed_events",
        "SELECT * FROM analytics.events_recent", "SELECT * FROM analytics.completeness_verdict",
        "SELECT * FROM analytics.message_state('sales', 0, 103)", "SELECT * FROM analytics.ingest_rate_minute",
    ],
    "winnow_console": [
        "SELECT * FROM winnow.event", "SELECT * FROM winnow.dead_letter_work", "SELECT * FROM winnow.dead_letter_action",
        "SELECT * FROM analytics.completeness_verdict", "SELECT * FROM analytics.message_state('sales', 0, 103)",
        "SELECT * FROM winnow.find_window('2200-01-01', '1970-01-01', NULL, NULL, 1, 1)", FIND, FIND_BY_ORIGIN,
    ],
    "winnow_retry": [
        DISCARD, "SELECT * FROM winnow.dead_letter_work", "SELECT * FROM winnow.dead_letter",
        REPORT,
    ],
}

MAY_NOT = {
    "winnow_worker": [
        "DELETE FROM winnow.event", "TRUNCATE winnow.event", "DROP TABLE winnow.event", "UPDATE winnow.event SET amount = 0",
        "DELETE FROM winnow.dead_letter", "UPDATE winnow.dead_letter SET reason = 'empty'",
        "DELETE FROM winnow.dead_letter_count",
        "UPDATE winnow.batch_log SET stored = 0", "DELETE FROM winnow.batch_log", "DELETE FROM winnow.processing_log",
        "DELETE FROM winnow.rollup_hour", "DELETE FROM winnow.rollup_client", "CREATE TABLE winnow.x ()", "ALTER TABLE winnow.event ADD COLUMN x int",
        "DELETE FROM winnow.schema_migration", "SELECT winnow.resume_partition('sales', 0)",
        "SELECT winnow.create_event_month('x', now(), now())", "SELECT winnow.move_event_month('winnow.stream', now(), now())",
        "SELECT winnow.grant_privileges()",
    ],
    "winnow_operator": [
        "DELETE FROM winnow.event", "INSERT INTO winnow.event SELECT * FROM winnow.event",
        "UPDATE winnow.processing_log SET next_offset = 0", "DELETE FROM winnow.dead_letter",
        "UPDATE winnow.dead_letter SET value = NULL", "UPDATE winnow.rollup_hour SET event_count = 0",
        "SELECT winnow.grant_privileges()", "TRUNCATE winnow.batch_log", "UPDATE winnow.dead_letter_action SET error = 'x'",
    ],
    "winnow_analyst": [
        "SELECT * FROM winnow.event", "SELECT * FROM winnow.dead_letter", "SELECT * FROM winnow.invariant_violation()",
        "SELECT winnow.resume_partition('sales', 0)", "CREATE TABLE analytics.x ()", "DROP VIEW analytics.completeness",
        "SELECT winnow.ensure_event_month('2024-01-01')",
    ],
    "winnow_console": [
        DISCARD, REPORT, "INSERT INTO winnow.event SELECT * FROM winnow.event", "UPDATE winnow.dead_letter SET published_at = NULL",
        "DELETE FROM winnow.dead_letter", "UPDATE winnow.dead_letter_action SET error = 'x'",
        "SELECT winnow.resume_partition('sales', 0)", "SELECT winnow.ensure_event_month('2024-01-01')",
        "SELECT * FROM winnow.event FOR UPDATE", "CREATE TABLE winnow.x ()", "SELECT winnow.grant_privileges()",
    ],
    "winnow_retry": [
        "DELETE FROM winnow.dead_letter_action", "UPDATE winnow.dead_letter_action SET actor = 'x'",
        "UPDATE winnow.dead_letter_action SET sent_partition = 1, sent_offset = 1",
        "UPDATE winnow.dead_letter_action SET action = 'undo', note = NULL", DISCARD.replace("note)", "note, acted_at)").replace(
            "'n' FROM", "'n', '2000-01-01' FROM"), "UPDATE winnow.dead_letter SET value = NULL", "DELETE FROM winnow.dead_letter",
        "UPDATE winnow.dead_letter SET published_at = NULL", "SELECT * FROM winnow.event", "SELECT * FROM winnow.rollup_hour",
        "INSERT INTO winnow.event SELECT", "UPDATE winnow.processing_log SET epoch = 0", "SELECT winnow.resume_partition('sales', 0)",
        "SELECT * FROM analytics.totals_by_client", "CREATE TABLE winnow.x ()",
    ],
}


def _as_role(database, role, sql):
    connection = psycopg2.connect(database.dsn)
    try:
        cursor = connection.cursor()
        cursor.execute(f"SET ROLE {role}")
        cursor.execute(sql)
    finally:
        connection.close()


@pytest.mark.parametrize("role,sql", [(role, sql) for role, statements in MAY.items() for sql in statements])
def test_role_may(filled, role, sql):
    _as_role(filled, role, sql)


@pytest.mark.parametrize("role", MAY_NOT)
def test_role_may_not(filled, role):
    for sql in MAY_NOT[role]:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _as_role(filled, role, sql)
            pytest.fail(f"{role} may: {sql}")


def test_public_may_nothing(filled):
    filled.run(f"CREATE ROLE nobody_{filled.name}")
    for sql in ("SELECT * FROM analytics.totals_by_client", "SELECT * FROM winnow.event",
                "SELECT winnow.ensure_event_months_ahead()"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _as_role(filled, f"nobody_{filled.name}", sql)
    filled.run(f"DROP ROLE nobody_{filled.name}")


def test_analyst_who_logs_in_reads_only(empty_database):
    assert migrate(empty_database).exit_code == 0
    assert sorted(empty_database.rows(
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole JOIN pg_database "
        "ON pg_database.oid = setdatabase WHERE rolname = 'winnow_analyst' AND datname = current_database()")) == [
            ("default_transaction_read_only=on",), ("statement_timeout=5min",)]


def test_console_summarizes_new_events_without_writing(filled):
    filled.run("INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, "
               "client_id, metric, amount) SELECT '2024-01-01', '2024-01-01', n, gen_random_uuid(), 0, 1, 'c', 'm', 0 "
               "FROM generate_series(1, 20000) AS n")
    filled.run("SELECT pg_stat_force_next_flush()")
    filled.run("SET ROLE winnow_console; SET default_transaction_read_only = on")
    assert filled.value("SELECT winnow.summarize_events()") > 0
    assert filled.value("SELECT winnow.summarize_events()") == 0
