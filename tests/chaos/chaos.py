#!/usr/bin/python3
"""Chaos: a stream of messages, a pool of workers, and a nemesis, on servers of their own. Then the account.

    make chaos SEED=7 MINUTES=5 WORKERS=3 PARTITIONS=6

The same seed gives the same messages and the same faults, as far as timing allows. Ends with 0 when each message that
the broker acknowledged was counted once and every invariant holds."""

import argparse
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from nemesis import Nemesis                 # noqa: E402  pylint: disable=wrong-import-position
from stream import DUPLICATE_SHARE, Stream  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test import check, letters      # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka         # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.poll import wait_until     # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.pool import run            # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres   # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.process import make_directory, remove_directory  # noqa: E402  pylint: disable=wrong-import-position

TOPIC = "events"
RATE = 800              # messages a second
DRAIN_TIMEOUT_S = 180
PUBLISH_TIMEOUT_S = 120  # a lease of 30 s, a back-off of 30 s
SHORT_S = 40
TOPIC_CONFIG = {"retention.ms": "-1"}


class Account:
    """What came of it."""

    def __init__(self, seed):
        self.seed = seed
        self.wrong = []
        self.lost = 0
        self.double = 0
        self.message_count = 0
        self.unknown_count = 0
        self.faults = Counter()
        self.recoveries_s = []
        self.counters = Counter()
        self.notes = []

    @property
    def is_good(self):
        return not self.wrong

    def text(self):
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        worst_s, after = max(self.recoveries_s, default=(0, "nothing"))
        counters = ", ".join(f"{name} {self.counters[name]}"
                             for name in ("taken", "batches", "fenced", "resynced", "rereads", "gaps", "stale", "bisected"))
        return "\n".join([
            f"seed       {self.seed}",
            f"faults     {sum(self.faults.values())}: {faults}",
            f"messages   {self.message_count} acknowledged, {self.unknown_count} without an answer",
            f"lost       {self.lost}",
            f"double     {self.double}",
            f"recovery   {worst_s:.1f} s at worst, after {after}, of {len(self.recoveries_s)} waited for",
            f"workers    {counters} (of those that could tell)",
            *self.notes,
            *(f"WRONG      {line}" for line in self.wrong),
            "verdict    " + ("exact" if self.is_good else "NOT exact")])


def _counters(log):
    """The sums over all worker_done lines; workers that were killed tell nothing."""
    total = Counter()
    for line in re.findall(r"event=worker_done msg=\"([^\"]*)\"", log):
        for name, value in re.findall(r"(\w+)=(\d+)", line):
            total[name] += int(value)
    return total


def _judge(account, broker, database, acknowledged):
    """The database against the topic, and against what the producer was told."""
    messages = broker.read_topic(TOPIC, timeout_s=120)
    findings = check.find(database, messages, acknowledged)
    account.wrong += findings.lines
    account.lost += findings.lost
    account.double += findings.double
    account.wrong += letters.differences(database, messages)[:5]
    account.wrong += letters.publishing_differences(database, broker, TOPIC, f"{TOPIC}.dlq")[:5]
    sent = database.value("SELECT sum(received) FROM winnow.batch_log")
    if sent != len(messages):
        account.wrong.append(f"{sent} messages accounted for, {len(messages)} in the topic")
    last = {message.partition(): message for message in messages}
    if any(message.key() != b"poison" for message in last.values()):
        account.wrong.append("a partition does not end with poison: the producer is wrong")
    copies = sum(map(len, letters.published(broker, f"{TOPIC}.dlq").values()))
    account.notes.append(f"letters    {len(letters.stored(database))} in the table, {copies} in the topic")
    account.notes.append("duplicate  %s of %s events" % database.rows(
        "SELECT sum(duplicate), sum(stored + duplicate) FROM winnow.batch_log")[0])


def _drain(account, nemesis, stream, database):
    nemesis.make_peace()
    stream.finish()
    account.recoveries_s.append((nemesis.recover(), "the end"))
    wait_until(lambda: letters.unpublished_count(database) == 0, PUBLISH_TIMEOUT_S, "all dead letters are published",
               on_timeout=nemesis.pool.log_tail)
    code = nemesis.pool.stop()
    if code != 0:
        account.wrong.append(f"the pool ended with {code}")


def _storm(account, nemesis, stream, database, seconds):
    """Faults for so long, then peace, however it ended."""
    nemesis.start_pool()
    stream.start()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            nemesis.step()
        _drain(account, nemesis, stream, database)
    except AssertionError as error:
        account.wrong.append(str(error))
    finally:
        if nemesis.pool is not None:
            nemesis.pool.kill()


def _drop_unique_keys(database):
    """Three shields keep an event single: the fence, its own key, and that of the account of its batch. Each hides what
    the others let through; here the fence stands alone."""
    database.run("ALTER TABLE winnow.event DROP CONSTRAINT event_pkey")
    database.run("ALTER TABLE winnow.batch_log DROP CONSTRAINT batch_log_stream_id_partition_start_offset_key")


def _prepare(options, server, broker):
    """Topics and a database with the schema."""
    database = server.new_database("winnow")
    run("migrate", settings={"database": database.dsn}, check=True)
    if options.without_unique:
        _drop_unique_keys(database)
    broker.create_topic(TOPIC, options.partitions, TOPIC_CONFIG)
    broker.create_topic(f"{TOPIC}.dlq", 2, TOPIC_CONFIG)
    return database


def _play(options, server, broker, log_path):
    account = Account(options.seed)
    database = _prepare(options, server, broker)
    settings = {"brokers": broker.brokers, "topic": TOPIC, "group": "chaos", "database": database.dsn}
    nemesis = Nemesis(options, broker, server, database, TOPIC,
                      {"settings": settings, "workers": options.workers, "log_path": log_path})
    stream = Stream(broker.brokers, TOPIC, options.partitions, options.seed, RATE,
                    0 if options.without_unique else DUPLICATE_SHARE)
    _storm(account, nemesis, stream, database, options.seconds)
    account.faults = nemesis.counts
    account.recoveries_s += nemesis.recoveries_s
    account.counters = _counters(Path(log_path).read_text(errors="replace"))
    account.message_count = len(stream.acknowledged)
    account.unknown_count = stream.unknown_count
    if account.is_good:
        _judge(account, broker, database, stream.acknowledged)
    if not account.is_good:
        account.notes += [f"fault      {line}" for line in nemesis.log]
    return account


@dataclass
class Options:
    """Of one run; by default the short one."""

    seed: int
    seconds: float = SHORT_S
    workers: int = 3
    partitions: int = 6
    short: bool = True
    log: Optional[str] = None
    without_unique: bool = False


def play(options):
    """One run on servers of its own; an Account."""
    directory = make_directory("chaos")
    with Postgres() as server, Kafka() as broker:
        account = _play(options, server, broker, options.log or directory / "pool.log")
    remove_directory(directory)
    return account


def _read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    parser.add_argument("--minutes", type=float, help="default: the short mode of make test, about one")
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument("--partitions", type=int, default=Options.partitions)
    parser.add_argument("--without-unique", action="store_true", help="without the unique keys of winnow.event and "
                        "winnow.batch_log: the fence alone; no event is sent twice")
    parser.add_argument("--log", help="keep the pools' log there")
    given = parser.parse_args()
    seconds = SHORT_S if given.minutes is None else 60 * given.minutes
    return Options(given.seed, seconds, given.workers, given.partitions, given.minutes is None, given.log,
                   given.without_unique)


def main():
    options = _read_options()
    print(f"chaos with seed {options.seed}", flush=True)
    begun = time.monotonic()
    account = play(options)
    print(account.text())
    print(f"took       {time.monotonic() - begun:.0f} s")
    return 0 if account.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
