"""Replays on Apache Kafka: kept byte for byte, and exact when a server goes away in the middle."""

import contextlib
import json
import signal
import subprocess

import pytest

from winnow_test import check, letters, pool
from winnow_test.poll import wait_until
from winnow_test.produce import Message

ONCE_EACH = ("replay", "--yes", "--even-rejected", "--max-attempts", "1")


class Replays:
    """A stage whose dead letters are sent again."""

    def __init__(self, stage):
        self.stage = stage

    def fail(self, *things, **settings):
        """The ids of what was sent and failed."""
        sent = self.stage.send(*things)
        with self.stage.pool(breaker_window=0, **settings):
            self.stage.wait_until_caught_up()
        return [f"{self.stage.topic}/{message.partition}/{message.offset}" for message in sent]

    def run(self, *arguments):
        return pool.run("dlq", *arguments, settings=self.stage.settings, timeout_s=120)

    def start(self, *arguments):
        return subprocess.Popen([pool.BINARY, "dlq", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=pool.environment(self.stage.settings))

    def found(self, names):
        """id → the messages that are its replays."""
        found = {name: [] for name in names}
        for message in self.stage.broker.read_topic(self.stage.topic):
            original = letters.last_header(message, "winnow-replay-of")
            if original is not None and original.decode() in found:
                found[original.decode()].append(message)
        return found

    def count_sent(self):
        return self.stage.database.value("SELECT count(*) FROM winnow.dead_letter_action WHERE sent_offset IS NOT NULL")

    def wait_until_sent(self, count):
        wait_until(lambda: self.count_sent() >= count, 90, "some are sent", interval_s=0)

    def assert_once_each(self, names):
        counts = {name: len(found) for name, found in self.found(names).items()}
        check.assert_same({name: count for name, count in counts.items() if count != 1}, {}, "sent again other than once")
        assert self.stage.database.value("SELECT count(*) FROM winnow.dead_letter_retry WHERE outcome = 'in_doubt'") == 0


@pytest.fixture
def replays(make_stage):
    return Replays(make_stage(partitions=3, config={"retention.ms": "-1"}))  # whatever their timestamps


@pytest.fixture
def retimed(make_stage):
    """On a topic that gives messages timestamps of its own."""
    return Replays(make_stage(partitions=1, config={"message.timestamp.type": "LogAppendTime"}))


def test_kept_byte_for_byte(replays):
    headers = [("a", b"1"), ("a", b"2"), ("b", None), ("a", None), ("c", b""), ("", b"unnamed"), ("\u00e9", b"\xff\x00")]
    sent = [Message(b"{", key=None, timestamp_ms=1), Message(b"", key=b"", timestamp_ms=946684800123),
            Message(None, key=b"k", timestamp_ms=1700000000001), Message(None, key=None),
            Message(b"\x00\xff\n" * 333_333, key=b"\xff" * 1000), Message(b'"' + b"\xc3\xa9" * 500_000 + b'"', key=b"long"),
            *(Message(b"[%d]" % number, key=b"h", headers=headers, partition=number) for number in range(3))]
    names = replays.fail(*sent)
    originals = {f"{replays.stage.topic}/{message.partition()}/{message.offset()}": message
                 for message in replays.stage.broker.read_topic(replays.stage.topic)}
    result = replays.run(*ONCE_EACH, "--wait", "0")
    assert result.out == f"sent {len(sent)} of {len(sent)}: {len(sent)} not processed yet\n", result
    for name, found in replays.found(names).items():
        (again,) = found
        before = originals[name]
        assert (again.key(), again.value(), again.timestamp(), again.partition()) == (
            before.key(), before.value(), before.timestamp(), before.partition()), name
        kept = letters.headers_of(before)
        assert letters.headers_of(again)[:len(kept)] == kept
        assert [header for header, _ in letters.headers_of(again)[len(kept):]] == [
            "winnow-replay", "winnow-replay-of", "winnow-replay-attempt"]


def test_hash_is_kept(replays):
    """Of an event without a time of its own, whose day is that of the message."""
    value = b'{"client":"c","metric":"m","amount":1}'
    for timestamp_ms in (1, 1000000000000):
        replays.fail(Message(value, headers=[("winnow-simulate-failure", b"database")], timestamp_ms=timestamp_ms),
                     allow_fault_injection="yes")
    wanted = replays.stage.database.rows("SELECT event_hash, bucket FROM winnow.dead_letter ORDER BY bucket")
    replays.stage.database.run("UPDATE winnow.dead_letter SET message_time = 'epoch' WHERE bucket = 'epoch'")  # Kafka's client cannot
    with replays.stage.pool():
        assert replays.run("replay", "--yes").out == "sent 2 of 2: 2 stored\n"
    assert replays.stage.database.rows("SELECT event_hash, bucket FROM winnow.event ORDER BY bucket") == wanted


def test_another_timestamp_is_told(retimed, replays):
    untimed = b'{"client":"c","metric":"m","amount":1}'
    simulated = {"headers": [("winnow-simulate-failure", b"database")]}
    for where, said in ((retimed, 2), (replays, 1)):
        where.fail(Message(untimed, **simulated), Message(b'{"client":"d","metric":"m","time":"2024-01-01"}', **simulated),
                   allow_fault_injection="yes")
    replays.stage.database.run("UPDATE winnow.dead_letter AS d SET message_time = NULL FROM winnow.stream AS s "
                               "WHERE s.stream_id = d.stream_id AND s.topic = %s AND d.client_id = 'c'", (replays.stage.topic,))
    for where, said in ((retimed, 2), (replays, 1)):
        out = where.run("replay", "--yes", "--wait", "0").out
        assert out.startswith("sent 2 of 2: 2 not processed yet\n" + f"{said} got the present as timestamp, ") and (
            "LogAppendTime" in out), out


@contextlib.contextmanager
def away(server, stop):
    stop()
    try:
        yield
    finally:
        server.start()


def test_servers_away_in_the_middle(replays, postgres, kafka):
    """The database is restarted while letters are sent, and Kafka killed: whoever runs the same again finds each sent
    once. Meanwhile workers consume what is sent."""
    names = replays.fail(*(f'{{"client":"c{number % 3}","metric":"m","amount":"x{number}"}}' for number in range(1200)))
    paced = (*ONCE_EACH, "--rate", "300/s", "--wait", "0")
    with replays.stage.pool(breaker_window=0):
        run = replays.start(*paced, "--limit", "600")
        replays.wait_until_sent(100)
        with away(postgres, lambda: postgres.stop("immediate")):
            pass
        out = run.communicate(timeout=120)[0]  # between two steps it does not even notice
        assert run.returncode in (0, 1, 69), out
        assert run.returncode != 69 or "it ended early; the same command goes on from here" in out, out
        sent = replays.count_sent()
        run = replays.start(*paced)
        replays.wait_until_sent(sent + 100)
        with away(kafka, kafka.kill):
            out = run.communicate(timeout=120)[0]
        assert run.returncode == 69 and "it ended early; the same command goes on from here" in out, out
        result = replays.run(*ONCE_EACH)
        assert result.exit_code in (0, 1), result
        replays.stage.wait_until_caught_up()
    replays.assert_once_each(names)
    assert set(replays.stage.database.rows("SELECT DISTINCT state FROM winnow.dead_letter_work")) <= {("open",), ("retried",)}
