"""winnow dlq replay on Apache Kafka."""

import signal
import subprocess

import pytest

from winnow_test import check, letters, pool
from winnow_test.poll import wait_until
from winnow_test.produce import Message

COUNT = 200


@pytest.fixture
def running(make_stage):
    stage = make_stage(config={"retention.ms": "-1"})  # the times of the messages lie long ago
    with stage.pool(arguments=("--allow-fault-injection", "--breaker-window", "0")):
        yield stage


def fail(stage, values, **defaults):
    """Lets the database refuse them; their ids."""
    stage.allowed_reasons = ("database_rejected",)
    headers = [("winnow-simulate-failure", b"database")]
    sent = stage.send(*[Message(value, headers=list(headers), **defaults) for value in values])
    wait_until(lambda: len(stage.dead()) >= len(sent), 60, "they are dead letters", on_timeout=stage.logs)
    return [f"{stage.topic}/{message.partition}/{message.offset}" for message in sent]


def replays(stage):
    return [letters.last_header(message, "winnow-replay-of").decode() for message in stage.broker.read_topic(stage.topic)
            if letters.last_header(message, "winnow-replay-of") is not None]


def test_killed_and_exact(running):
    stage = running
    names = fail(stage, [b'{"client":"c%d","metric":"m","amount":%d}' % (i % 7, i) for i in range(COUNT)],
                 key=b"k", timestamp_ms=1700000000000)
    for attempt in range(4):
        run = subprocess.Popen([pool.BINARY, "dlq", "replay", "--yes", "--rate", "20/s", "--wait", "0"],
                               env=pool.environment(stage.settings), stdout=subprocess.DEVNULL)
        taken = "SELECT count(*) FROM winnow.dead_letter_action"
        before = stage.database.value(taken)
        wait_until(lambda: stage.database.value(taken) > before + attempt, 30, "it has taken some", interval_s=0)  # pylint: disable=cell-var-from-loop
        run.send_signal(signal.SIGKILL)
        run.wait()
    result = stage.winnow("dlq", "replay", "--yes")
    assert result.exit_code == 0, result
    check.assert_same(sorted(replays(stage)), sorted(names), "what was sent again")
    assert stage.database.value("SELECT count(*) FROM winnow.event WHERE event_time = '2023-11-14 22:13:20+00'") == COUNT
    assert stage.database.value("SELECT count(*) FROM winnow.dead_letter_work WHERE state = 'resolved'") == COUNT
    check.assert_no_violation(stage.database)


def test_topic_that_gives_its_own_time(make_stage):
    stage = make_stage(partitions=1, config={"message.timestamp.type": "LogAppendTime"})
    with stage.pool(workers=1, arguments=("--allow-fault-injection",)):
        (name,) = fail(stage, [b'{"client":"c","metric":"m","amount":1}'])
        result = stage.winnow("dlq", "replay", name)
        assert result.exit_code == 0 and result.out.startswith("sent 1 of 1: 1 stored\n1 got the present as timestamp"), result
        assert stage.winnow("dlq", "list", "--each", "--state", "resolved").out.startswith(name)
