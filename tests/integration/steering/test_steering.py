"""Partitions are moved and resumed while workers run: the account stays exact, and who did what is written down."""

import time
from datetime import datetime, timezone

import psycopg2
import pytest

from scenario import new_events, next_offset, read_all
from winnow_test import check

STEERING = ("SELECT action, partition, from_offset, to_offset, skipped, read_again, dead_letters FROM winnow.steering "
            "ORDER BY steering_id")


@pytest.fixture
def stage(devbroker, make_stage):
    return make_stage(broker=devbroker, partitions=2)


def test_back_reads_again_and_forward_skips(stage):
    stage.send(*new_events(40), "no event", "{}", partition=0)
    read_all(stage, batch_rows=10)
    where = f"{stage.topic}/0"
    shown = stage.winnow("seek", where, "--shift-by", "-5")
    assert shown.exit_code == 0 and "add --execute" in shown.out, shown
    assert stage.winnow("seek", where, "--shift-by", "-5", "--dry-run").out == shown.out
    assert next_offset(stage) == 42 and stage.database.rows(STEERING) == []

    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=assigned")
        done = stage.winnow("seek", where, "--to-earliest", "--execute", "--reason", "rules have changed")
        assert done.exit_code == 0 and "reads 42 offsets again" in done.out and "2 dead letters" in done.out, done
        stage.wait_until_caught_up()  # an idle worker hears of it
        pool.wait_for_log("event=steered")
    assert stage.database.rows(STEERING) == [("seek", 0, 42, 0, 0, 42, 2)]
    who, note = stage.database.rows("SELECT actor, note FROM winnow.steering")[0]
    assert who.endswith(" as postgres") and "@" in who and note == "rules have changed"
    assert stage.database.rows("SELECT stored, duplicate, dead, complete FROM analytics.completeness "
                               "WHERE partition = 0") == [(0, 40, 2, True)]
    assert len(stage.events()) == 40 and len(stage.dead()) == 2
    assert stage.database.value("SELECT count(*) FROM winnow.dead_letter_superseded") == 2
    stage.assert_exact()

    stage.exact = False  # from here on messages are passed over
    stage.send(*new_events(30), partition=0)
    done = stage.winnow("seek", where, "--to-latest", "--execute")
    assert "42 -> 72, skipped 30 offsets" in done.out, done
    assert stage.winnow("seek", where, "--to-latest", "--execute").out == "partition 0: stays at 72\n"
    assert stage.database.rows("SELECT state, detail FROM analytics.message_state(%s, 0, 50, consumer_group => %s)", (
        stage.topic, stage.settings["group"])) == [("not_seen", "an operator passed over the offset; see winnow.steering")]
    status = stage.winnow("status")
    assert status.exit_code == 0 and "30 skipped" in status.out, status
    done = stage.winnow("seek", where, "--to-offset", "60", "--execute")  # into what was skipped
    assert "72 -> 60, reads 12 offsets again" in done.out, done
    check.assert_no_violation(stage.database)
    read_all(stage, batch_rows=10)
    assert len(stage.events()) == 52


def test_a_batch_is_read_again_as_a_whole(stage):
    stage.send(*new_events(20), partition=0)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    first, last = stage.database.rows("SELECT start_offset, end_offset FROM winnow.batch_log WHERE partition = 0 "
                                      "ORDER BY end_offset - start_offset DESC LIMIT 1")[0]
    assert last - first > 2
    done = stage.winnow("seek", f"{stage.topic}/0", "--to-offset", last - 1)
    assert f"-> {first}, reads" in done.out and "from a batch's beginning on" in done.out, done


def test_a_time_leads_to_an_offset(kafka, make_stage):
    stage = make_stage(partitions=1, broker=kafka)
    now_ms = int(time.time() * 1000)
    stage.send(*new_events(5), partition=0, timestamp_ms=now_ms - 600_000)
    stage.send(*new_events(5), partition=0, timestamp_ms=now_ms)
    read_all(stage, batch_rows=10)
    done = stage.winnow("seek", f"{stage.topic}/0", "--to-datetime", "2030-01-01T00:00:00Z", "--execute")
    assert done.out == "partition 0: stays at 10\n", done
    done = stage.winnow("seek", f"{stage.topic}/0", "--to-datetime", datetime.fromtimestamp(now_ms / 1000 - 300, timezone.utc).isoformat(timespec="seconds"), "--execute")
    assert "10 -> 5, reads 5 offsets again" in done.out or "from a batch's beginning" in done.out, done
    read_all(stage, batch_rows=10)


def test_mistakes(stage):
    stage.send(*new_events(1), partition=0)
    stage.send(*new_events(1), partition=1)
    read_all(stage, batch_rows=10)
    for words, code, said in ((("--to-earliest", "--to-latest"), 64, "found more than one target"), ((), 64, "found no target"),
                              (("--to-offset", "x"), 64, "an offset"), (("--to-datetime", "soon"), 64, "a time"),
                              ((f"{stage.topic}/x", "--to-earliest"), 64, "events/3"),
                              (("--to-earliest", "--execute", "--dry-run"), 64, "one of them"),
                              (("other/1", "--to-earliest"), 64, "which one is meant"),
                              ((f"{stage.topic}/7", "--to-earliest"), 1, "not known")):
        refused = stage.winnow("seek", *words)
        assert refused.exit_code == code and said in refused.error, refused
    for words, code, said in (((), 64, "found nothing"), (("--at", "soon"), 64, "found soon"),
                              ((f"{stage.topic}/0", "--at", "next"), 1, "not halted")):
        refused = stage.winnow("resume", *words)
        assert refused.exit_code == code and said in refused.error, refused
    assert "No partition is halted" in stage.winnow("resume", "--at", "next").out


def test_a_partition_that_is_gone_is_left_alone(stage):
    """As after a topic was made anew with fewer partitions: where its log is not, there is no beginning."""
    stage.send(*new_events(1), partition=0)
    stage.send(*new_events(1), partition=1)
    read_all(stage, batch_rows=10)
    stage.database.run("INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset) "
                       "SELECT stream_id, 7, 3, 3 FROM winnow.stream")
    refused = stage.winnow("seek", f"{stage.topic}/0,7", "--to-earliest", "--execute")
    assert refused.exit_code == 1 and "partition 7" in refused.error and "not in the topic any more" in refused.error, refused
    done = stage.winnow("seek", "--to-earliest", "--execute")
    assert done.exit_code == 0 and "partition 7: not in the topic any more, left alone" in done.out, done
    assert [next_offset(stage, partition) for partition in (0, 1, 7)] == [0, 0, 3]
    read_all(stage, batch_rows=10)
    stage.database.run("DELETE FROM winnow.processing_log WHERE partition = 7")


def test_only_operators_steer(stage):
    stage.send(*new_events(1), partition=0)
    stage.send(*new_events(1), partition=1)
    read_all(stage, batch_rows=10)
    call = "SELECT winnow.steer_partition(%s, 0, %s, 'seek', 0, 0, false, true, NULL, NULL)"
    for role, allowed in (("winnow_operator", True), ("winnow_worker", False), ("winnow_analyst", False),
                          ("winnow_console", False)):
        with psycopg2.connect(stage.database.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
            if allowed:
                cursor.execute(call, (stage.topic, stage.settings["group"]))
            else:
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(call, (stage.topic, stage.settings["group"]))
        connection.close()
