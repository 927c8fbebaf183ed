"""The log is not the one we know: a topic that was recreated halts, whatever it holds now; what retention took before it
was read is written down; and when nothing is missing, reading goes on."""

import os
import re
import signal

import psycopg2

from scenario import new_events, read_all
from winnow_test.poll import wait_until

HALTED = "SELECT partition, halt_reason, next_offset FROM winnow.processing_log WHERE state = 'halted' ORDER BY 1"


def recreate(stage):
    stage.broker.delete_topic(stage.topic)
    stage.broker.create_topic(stage.topic, stage.partitions)
    stage.sent.clear()
    stage.exact = False  # what the topic holds now was never read


def test_a_recreated_topic_with_more_messages_halts(make_stage):
    stage = make_stage(partitions=2)
    for partition in range(2):
        stage.send(*new_events(5), partition=partition)
    read_all(stage)
    recreate(stage)
    for partition in range(2):
        stage.send(*new_events(9), partition=partition)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log(r"event=partition_halted(?s:.*)event=partition_halted")
    assert stage.database.rows(HALTED) == [(0, "topic_changed", 5), (1, "topic_changed", 5)]
    assert len(stage.events()) == 10
    done = stage.winnow("status")
    assert (done.exit_code, "topic_changed" in done.out) == (1, True), done


def test_a_recreated_topic_with_fewer_messages_halts(make_stage):
    stage = make_stage(partitions=1)
    stage.send(*new_events(5), partition=0)
    read_all(stage)
    recreate(stage)
    stage.send(*new_events(2), partition=0)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted")
    assert stage.database.rows(HALTED) == [(0, "offset_out_of_range", 5)]
    assert len(stage.events()) == 5


def test_what_retention_took_is_written_down(make_stage):
    stage = make_stage(partitions=2)
    stage.send(*new_events(5), partition=0)
    stage.send(*new_events(5), partition=1)
    read_all(stage)
    stage.exact = False  # seven messages were acknowledged and are in nobody's hands any more
    stage.send(*new_events(10), partition=0)
    stage.send(*new_events(10), partition=1)
    stage.broker.delete_records(stage.topic, {0: 12})
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert "event=retention_loss" in pool.log_text()
    assert stage.database.rows("SELECT partition, lost, stored, complete FROM analytics.completeness ORDER BY 1") == [
        (0, 7, 8, True), (1, 0, 15, True)]
    assert "7" in stage.winnow("status").out


def test_reading_goes_on_when_only_what_was_read_is_gone(make_stage):
    stage = make_stage(partitions=1)
    stage.send(*new_events(5), partition=0)
    read_all(stage)
    stage.send(*new_events(3), partition=0)
    stage.broker.delete_records(stage.topic, {0: 5})
    stage.exact = False  # the topic no longer holds what the table does
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert "event=retention_loss" not in pool.log_text()
    assert len(stage.events()) == 8
    assert stage.database.value("SELECT lost FROM analytics.completeness") == 0


def test_a_recreated_topic_with_as_many_messages_halts(make_stage):
    """Nothing new need come: the last applied message is looked at before anything else."""
    stage = make_stage(partitions=1)
    stage.send(*new_events(5), partition=0)
    read_all(stage)
    recreate(stage)
    stage.send(*new_events(5), partition=0)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted .*offset 4 holds another message")
    assert stage.database.rows(HALTED) == [(0, "topic_changed", 5)]
    assert len(stage.events()) == 5


def commands(pool):
    """What the log tells the operator to run, word for word."""
    return re.findall(r"SELECT winnow\.resume_partition\(.*?\);", pool.log_text())


def run_as_operator(stage, sql):
    with psycopg2.connect(stage.database.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE winnow_operator")
        cursor.execute(sql)
    connection.close()


def test_the_command_of_the_log_resumes(make_stage):
    """The operator has looked and wants the messages from the next offset on."""
    stage = make_stage(partitions=2)
    for partition in range(2):
        stage.send(*new_events(5), partition=partition)
    read_all(stage)
    recreate(stage)
    for partition in range(2):
        stage.send(*new_events(9), partition=partition)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log(r"event=partition_halted(?s:.*)event=partition_halted")
        told = commands(pool)
        assert len(told) == 2
        for command in told:
            run_as_operator(stage, command)
        stage.wait_until_caught_up()  # workers look every 30 s
    assert stage.database.rows(HALTED) == []
    assert len(stage.events()) == 10 + 2 * 4
    assert stage.winnow("status").exit_code == 0


def test_another_group_reads_what_the_topic_holds_now(make_stage):
    """For who wants to keep the account of the old topic as it is; shorter than before, so that to resume behind what is
    stored would only halt again. What is in the table already is a duplicate."""
    stage = make_stage(partitions=1)
    known = new_events(5)
    stage.send(*known, partition=0)
    read_all(stage)
    recreate(stage)
    stage.send(*known[:2], *new_events(1), partition=0)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted .*")
        run_as_operator(stage, commands(pool)[0])
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted")
    with stage.pool(workers=1, group="second"):
        wait_until(lambda: len(stage.events()) == 6, 30, "the new messages are stored", on_timeout=stage.logs)
    assert stage.winnow("status", group="second").exit_code == 0
    assert stage.database.rows(
        "SELECT consumer_group, stored, duplicate FROM analytics.completeness ORDER BY 1 DESC") == [
            ("second", 1, 2), (stage.settings["group"], 5, 0)]


def test_what_retention_takes_from_a_running_pool_is_written_down(make_stage):
    """The worker is frozen while it happens: its next fetch is behind what the topic still holds."""
    stage = make_stage(partitions=1)
    stage.exact = False  # the messages were acknowledged and are in nobody's hands any more
    with stage.pool(workers=1, properties={"session.timeout.ms": "300000"}) as pool:
        stage.send(*new_events(5), partition=0)
        stage.wait_until_caught_up()
        worker = pool.kill_worker(number=signal.SIGSTOP)
        try:
            stage.send(*new_events(20), partition=0)
            stage.broker.delete_records(stage.topic, {0: 15})
        finally:
            os.kill(worker, signal.SIGCONT)
        stage.wait_until_caught_up()
        held = len(stage.events())  # an answer of the broker, with some of them, may have been under way already
        lost = stage.database.value("SELECT sum(lost) FROM analytics.completeness")
        assert held + lost == 25 and 0 <= lost <= 10
        assert (lost > 0) == ("event=retention_loss" in pool.log_text())
        assert pool.worker_pids() == [worker]
    assert stage.winnow("status").exit_code == 0
