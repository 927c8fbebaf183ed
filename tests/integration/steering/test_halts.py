"""Each kind of halt is resumed by the command that the log names, or at another place of the operator's choice."""

import re
import shlex
import struct

import pytest

from scenario import new_events, next_offset, read_all
from winnow_test import check, produce
from winnow_test.poll import wait_until

HALTED = "SELECT partition, halt_reason, next_offset FROM winnow.processing_log WHERE state = 'halted' ORDER BY 1"
ACCOUNT = ("SELECT partition, start_offset, next_offset, stored, duplicate, dead, skipped, complete FROM analytics.completeness "
           "ORDER BY 1")


@pytest.fixture
def stage(devbroker, make_stage):
    return make_stage(broker=devbroker, partitions=2)


def told_command(pool, partition):
    """What the log says to run, as a shell would take it."""
    line = pool.wait_for_log(rf"event=partition_halted .*partition {partition} is halted.*run (winnow resume .*?); with psql")
    return shlex.split(line[1])[1:]


def resume(stage, *words):
    """As the log words it, or only the words behind it; without asking."""
    done = stage.winnow(*([] if words[0] == "resume" else ["resume"]), *words, "--yes")
    assert done.exit_code == 0 and "Done" in done.out, done
    return done.out


def test_the_breaker(stage):
    stage.exact = False  # what is skipped was sent
    settings = {"breaker_window": 10}
    stage.send(*["no event"] * 30, *new_events(5), partition=0)
    with stage.pool(workers=1, **settings) as pool:
        pool.wait_for_log("event=partition_halted.*circuit_breaker")
        wait_until(lambda: stage.database.rows(HALTED), 20, "the halt is in the database", on_timeout=pool.log_tail)
        asked = stage.winnow("resume", f"{stage.topic}/0", "--at", "30")
        plan = re.search(r"partition 0: (\d+) -> 30, skips (\d+) offsets", asked.out)  # the last batch may just be stored
        assert asked.exit_code == 1 and plan and int(plan[1]) + int(plan[2]) == 30, asked
        assert "add --yes" in asked.out and stage.database.rows(HALTED) != []
        done = stage.winnow("resume", f"{stage.topic}/0", "--at", "30", "--yes")
        assert done.exit_code == 0 and "Done" in done.out, done
        wait_until(lambda: next_offset(stage) == 35, 20, "it goes on at once", on_timeout=pool.log_tail)
    assert len(stage.events()) == 5


def test_the_command_of_the_breaker(stage):
    """Behind what is stored: it halts again while messages are dead, and goes on when they are events."""
    stage.send(*["no event"] * 12, *new_events(8), partition=1)
    with stage.pool(workers=1, breaker_window=10) as pool:
        command = told_command(pool, 1)
        assert command == ["resume", "-g", stage.settings["group"], f"{stage.topic}/1", "--at", "next"]
        at = next_offset(stage, 1)
        resume(stage, *command)
        wait_until(lambda: next_offset(stage, 1) > at and stage.database.rows(HALTED), 20, "it goes on and halts again",
                   on_timeout=pool.log_tail)
        while stage.database.rows(HALTED):
            at = next_offset(stage, 1)
            resume(stage, *command)
            wait_until(lambda: next_offset(stage, 1) == 20 or next_offset(stage, 1) > at and stage.database.rows(HALTED), 20,
                       "it goes on", on_timeout=pool.log_tail)
    assert stage.database.rows(ACCOUNT)[1] == (1, 0, 20, 8, 0, 12, 0, True)


def test_a_recreated_topic_that_is_longer(make_stage):
    """Each partition at another place: what the log says, behind what is stored, at the end, at an offset."""
    stage = make_stage(partitions=4)
    stage.exact = False  # the table holds what the topic does not
    known = [new_events(5) for _ in range(4)]
    for partition in range(4):
        stage.send(*known[partition], partition=partition)
    read_all(stage, batch_rows=10)
    stage.broker.delete_topic(stage.topic)
    stage.broker.create_topic(stage.topic, 4)
    for partition in range(4):
        stage.send(*known[partition][:2], "nonsense", *new_events(6), partition=partition)
    with stage.pool(workers=1) as pool:
        command = told_command(pool, 0)
        wait_until(lambda: len(stage.database.rows(HALTED)) == 4, 30, "all halt", on_timeout=pool.log_tail)
        assert {row[1:] for row in stage.database.rows(HALTED)} == {("topic_changed", 5)}
        assert command == ["resume", "-g", stage.settings["group"], f"{stage.topic}/0", "--at", "earliest"]
        assert "its account begins anew" in resume(stage, *command)
        assert "stays at 5" in resume(stage, f"{stage.topic}/1", "--at", "next")
        resume(stage, f"{stage.topic}/2", "--at", "latest")
        resume(stage, f"{stage.topic}/3", "--at", "7")
        stage.send(*new_events(1), partition=2)
        wait_until(lambda: [row[2] for row in stage.database.rows(ACCOUNT)] == [9, 9, 10, 9], 30, "all are read",
                   on_timeout=pool.log_tail)
    assert stage.database.rows(ACCOUNT) == [
        (0, 0, 9, 6, 2, 1, 0, True), (1, 0, 9, 9, 0, 0, 0, True), (2, 9, 10, 1, 0, 0, 0, True), (3, 7, 9, 2, 0, 0, 0, True)]
    assert len(stage.events()) == 4 * 5 + 6 + 4 + 1 + 2


def test_a_recreated_topic_from_its_beginning(kafka, make_stage):
    """Its offsets are those of another log: a dead letter there is not that of the old one."""
    stage = make_stage(partitions=1, broker=kafka)
    known = new_events(5)
    stage.send(*known, "old nonsense", partition=0)
    read_all(stage, batch_rows=10)
    stage.broker.delete_topic(stage.topic)
    stage.broker.create_topic(stage.topic, 1)
    stage.sent.clear()
    stage.send("new nonsense", *known[:2], *new_events(1), partition=0)
    stage.exact = False  # the table holds what the topic does not
    with stage.pool(workers=1) as pool:
        told_command(pool, 0)
    assert stage.database.rows(HALTED) == [(0, "offset_out_of_range", 6)]
    refused = stage.winnow("resume", f"{stage.topic}/0", "--at", "next", "--yes")
    assert refused.exit_code == 1 and "only halt again" in refused.error, refused
    assert "its account begins anew" in resume(stage, f"{stage.topic}/0", "--at", "earliest")
    read_all(stage, batch_rows=10)
    assert stage.database.rows("SELECT start_offset, next_offset, stored, duplicate, dead, complete "
                               "FROM analytics.completeness") == [(0, 4, 1, 2, 1, True)]
    assert stage.database.rows("SELECT convert_from(value, 'UTF8') FROM winnow.dead_letter") == [("new nonsense",)]
    assert len(stage.events()) == 6
    assert check.is_complete(stage.database)


def batch_ends(path):
    """next offset → bytes of a segment of Kafka's log up to there."""
    ends, position, content = {}, 0, path.read_bytes()
    while position < len(content):
        base, length = struct.unpack_from(">qi", content, position)
        last, = struct.unpack_from(">i", content, position + 23)
        position += 12 + length
        ends[base + last + 1] = position
    return ends


def test_a_truncated_topic(kafka, make_stage):
    """As after an unclean election of a leader: the end of the log is gone."""
    stage = make_stage(partitions=2, broker=kafka)
    stage.exact = False  # the table holds what the topic does not
    for partition in range(2):
        stage.send(*new_events(4), partition=partition)
        stage.send(*new_events(3), "nonsense", partition=partition)
    read_all(stage, batch_rows=10)
    kafka.kill()
    for partition in range(2):
        segment = kafka.directory / "log" / f"{stage.topic}-{partition}" / f"{0:020}.log"
        with open(segment, "r+b") as file:
            file.truncate(batch_ends(segment)[4])
    kafka.start()
    assert kafka.end_offsets(stage.topic) == {0: 4, 1: 4}
    with stage.pool(workers=1) as pool:
        command = told_command(pool, 0)
        told_command(pool, 1)
        assert [row[1:] for row in stage.database.rows(HALTED)] == [("offset_out_of_range", 8)] * 2
        refused = stage.winnow("resume", stage.topic, "--at", "next", "--yes")
        assert refused.exit_code == 1 and "only halt again" in refused.error and len(stage.database.rows(HALTED)) == 2, refused
        resume(stage, *command)
        resume(stage, f"{stage.topic}/1", "--at", "latest")
        for partition in range(2):
            stage.send(*new_events(2), partition=partition)
        wait_until(lambda: [row[2] for row in stage.database.rows(ACCOUNT)] == [6, 6], 30, "both are read", on_timeout=pool.log_tail)
    assert stage.database.rows(ACCOUNT) == [(0, 0, 6, 2, 4, 0, 0, True), (1, 4, 6, 2, 0, 0, 0, True)]
    assert len(stage.events()) == 14 + 4
    assert stage.database.value("SELECT count(*) FROM winnow.dead_letter_superseded") == 2


def test_another_cluster(stage, kafka):
    """No choice adopts it: running workers of the old one would take its offsets for theirs. Another group reads it, and
    knows what is stored."""
    known = new_events(3)
    stage.send(*known, partition=0)
    read_all(stage, batch_rows=10)
    kafka.create_topic(stage.topic, 2)
    kafka.end_offsets(stage.topic)  # when its leaders know that they are
    for words in (("seek", stage.topic, "--to-earliest", "--execute"), ("resume", stage.topic, "--at", "earliest", "--yes")):
        refused = stage.winnow(*words, brokers=kafka.brokers)
        assert refused.exit_code == 78 and "another group (-g)" in refused.error, refused
    with stage.pool(workers=1, brokers=kafka.brokers) as pool:
        pool.wait_for_log("event=cannot_start .*was read from Kafka cluster .*another group")
        wait_until(lambda: not pool.is_running(), 20, "the pool ends", on_timeout=pool.log_tail)
        assert pool.exit_code == 78
    produce.send(kafka.brokers, stage.topic, [*known[:2], *new_events(2)], partition=0)
    with stage.pool(workers=1, brokers=kafka.brokers, group="second", dead_letter_topic="second.dlq"):
        wait_until(lambda: len(stage.events()) == 5, 30, "the new ones are stored", on_timeout=stage.logs)
    assert stage.database.rows("SELECT consumer_group, stored, duplicate, complete FROM analytics.completeness WHERE partition = 0 "
                               "ORDER BY 1 DESC") == [("second", 2, 2, True), (stage.settings["group"], 3, 0, True)]
    stage.exact = False  # more groups than one
