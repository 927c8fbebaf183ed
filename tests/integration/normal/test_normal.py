"""Story 1: one event in, one exact row out, and the totals tell of it."""

from datetime import date, timedelta
from decimal import Decimal

from scenario import NEW_YEAR, SEED, message_state
from winnow_test import check

EVENT = ("client_A", "sale", Decimal(1200), NEW_YEAR)


def totals(stage, view, columns):
    return stage.database.rows(f"SELECT {columns}, event_count, amount_sum FROM analytics.{view}")


def assert_stored_and_counted(stage):
    assert stage.events() == [EVENT]
    assert totals(stage, "totals_by_client", "client_id") == [("client_A", 1, 1200)]
    assert totals(stage, "totals_by_metric", "metric") == [("sale", 1, 1200)]
    assert totals(stage, "totals_by_client_metric", "client_id, metric") == [("client_A", "sale", 1, 1200)]
    assert totals(stage, "totals_by_client_metric_hour", "hour, client_id, metric") == [
        (NEW_YEAR, "client_A", "sale", 1, 1200)]
    assert totals(stage, "totals_by_client_metric_day", "day, client_id, metric") == [
        (date(2024, 1, 1), "client_A", "sale", 1, 1200)]
    assert stage.database.rows("SELECT client_id, metric, amount, event_time FROM analytics.events_recent") == [EVENT]


def test_the_event_is_stored_and_counted(stage):
    sent = stage.send(SEED)[0]
    with stage.pool(workers=2):
        stage.wait_until_caught_up()
    assert_stored_and_counted(stage)
    assert message_state(stage, sent.partition, sent.offset)["state"] == "completed"
    assert message_state(stage, sent.partition, sent.offset + 1)["state"] in ("processing", "not_seen")


def test_a_worker_in_the_foreground_does_the_same(stage):
    stage.send(SEED)
    with stage.pool(workers=0) as worker:
        stage.wait_until_caught_up()
        assert worker.stop() == 0
    assert_stored_and_counted(stage)


def test_the_event_is_stored_with_its_hash_and_origin(stage):
    sent = stage.send(SEED, partition=2)[0]
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    expected = check.explain([SEED.encode()], 0)[0]["event"]
    assert stage.database.rows(
        "SELECT event_hash::text, amount::text, origin_partition, origin_offset, bucket, now() - ingested_at < %s "
        "FROM winnow.event", (timedelta(minutes=5),)) == [
            (expected["event_hash"], "1200", 2, sent.offset, NEW_YEAR, True)]


def test_commands_submit_and_status_see_it_through(stage):
    assert stage.winnow("submit", stdin=SEED.encode() + b"\n").exit_code == 0
    before = stage.winnow("status")
    assert before.exit_code == 1, before
    with stage.pool(workers=1):
        drained = stage.winnow("status", "--wait-drained", "120")
        assert drained.exit_code == 0, drained
    after = stage.winnow("status")
    assert after.exit_code == 0, after
    assert_stored_and_counted(stage)
