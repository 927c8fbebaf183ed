#!/usr/bin/python3
"""Messages nobody would want, by the hundred thousand, through a real pool: each becomes a row, a duplicate or a dead
letter that holds what was sent, byte for byte, in the table and in its topic.

    make hostile COUNT=1000000 SEED=7

They are made, sent and accounted for in rounds, so that memory holds fingerprints and not messages. Ends with 0 when
all is exact and no worker ended."""

import argparse
import hashlib
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

import hostile_messages                      # noqa: E402  pylint: disable=wrong-import-position
from winnow_test import check, letters, produce  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka          # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.poll import wait_until      # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.pool import Pool, run       # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres    # noqa: E402  pylint: disable=wrong-import-position

PARTITIONS = 4
WORKERS = 4
ROUND = 20000
GOOD_SHARE = 0.2
AGAIN_SHARE = 0.04
STALL_S = 120  # nothing may stand still for longer
# Nothing that a producer sends is refused on the way.
OPEN_TOPIC = {"retention.ms": "-1", "max.message.bytes": str(16 << 20), "message.timestamp.before.max.ms": str(2**63 - 1),
              "message.timestamp.after.max.ms": str(2**63 - 1)}


@dataclass
class Delivered:
    """A message as confluent_kafka would give it back, for check.expect()."""

    sent: produce.Sent

    def value(self):
        return self.sent.message.value

    def partition(self):
        return self.sent.partition

    def offset(self):
        return self.sent.offset

    def timestamp(self):
        return (1, self.sent.message.timestamp_ms)


def _digest(value):
    return b"-" * 8 if value is None else hashlib.sha256(value).digest()[:8]


# The parts of a fingerprint.
KEY, VALUE, HEADERS = slice(0, 8), slice(8, 16), slice(16, 24)


def fingerprint(key, value, headers):
    return _digest(key) + _digest(value) + _digest(letters.encode_headers(headers) or None)


# The same of a row.
ROWS = """SELECT partition, message_offset, (extract(epoch FROM message_time) * 1000)::bigint, detail <> '',
    coalesce(substr(sha256(key), 1, 8), '--------') || coalesce(substr(sha256(value), 1, 8), '--------')
    || coalesce(substr(sha256(nullif(headers, '')), 1, 8), '--------') FROM winnow.dead_letter"""


class Campaign:
    """The messages of a seed, on their way through one topic, and what must have become of them."""

    def __init__(self, broker, database, topic, seed):
        self._broker = broker
        self._database = database
        self._topic = topic
        self._rng = random.Random(seed)
        self._sent = {}  # (partition, offset) of a dead letter → (timestamp_ms, number of headers, fingerprint)
        self.expected = check.Expected()
        self.kinds = Counter()
        self.acknowledged = []  # of the last round

    def _make(self, count):
        good = int(count * GOOD_SHARE)
        again = int(count * AGAIN_SHARE)
        made = hostile_messages.hostile(self._rng, count - good - again)
        made += [("good", produce.Message(hostile_messages.good(self._rng), None, self._rng.randrange(PARTITIONS), [],
                                          self._rng.choice(hostile_messages.USUAL_TIMESTAMPS_MS))) for _ in range(good)]
        made += [("again", produce.Message(message.value, message.key, self._rng.randrange(PARTITIONS), message.headers,
                                           message.timestamp_ms)) for _, message in self._rng.choices(made, k=again)]
        self._rng.shuffle(made)
        self.kinds.update(kind for kind, _ in made)
        return [message for _, message in made]

    def send(self, count):
        """Makes and sends so many, and notes what each must become."""
        sent = produce.send(self._broker.brokers, self._topic, self._make(count), timeout_s=STALL_S,
                            properties={"compression.codec": "lz4"})
        before = self.expected.dead.keys() | set()
        check.expect([Delivered(one) for one in sent], self.expected)
        for one in sent:
            place = (one.partition, one.offset)
            if place in self.expected.dead and place not in before:
                message = one.message
                self._sent[place] = (message.timestamp_ms, len(message.headers),
                                     fingerprint(message.key, message.value, message.headers))
        self.acknowledged = sent

    def wait(self, pool):
        """Until the pool has read everything; as long as it gets on."""
        ends = self._broker.end_offsets(self._topic)
        left = sum(ends.values()) + 1
        while left > 0:
            left = wait_until(lambda before=left: self._progress(ends, before), STALL_S, "the pool gets on",
                              0.2, pool.log_tail) - 1

    def _progress(self, ends, before):
        """One more than what is left to be read, when that has become less."""
        at = check.cursors(self._database, self._topic)
        left = sum(max(0, end - at.get(partition, 0)) for partition, end in ends.items())
        return left + 1 if left < before else None

    def wait_until_published(self, pool):
        left = letters.unpublished_count(self._database)
        while left > 0:
            left = wait_until(lambda before=left: self._fewer_unpublished(before), STALL_S, "letters are published",
                              0.5, pool.log_tail) - 1

    def _fewer_unpublished(self, before):
        left = letters.unpublished_count(self._database)
        return left + 1 if left < before else None

    def differences(self):
        """All that is wrong, as lines."""
        findings = check.Findings()
        check.compare(self._database, self.expected, findings)
        return [*findings.lines, *self._wrong_rows(), *self._wrong_messages()]

    def _wrong_rows(self):
        for partition, offset, timestamp_ms, has_detail, print_of_row in self._database.rows(ROWS):
            sent_ms, _, print_of_sent = self._sent.get((partition, offset), (None, 0, None))
            kept_ms = sent_ms if sent_ms in letters.KEPT_TIMESTAMPS_MS else None
            if (timestamp_ms, bytes(print_of_row)) != (kept_ms, print_of_sent) or not has_detail:
                yield f"the row of {(partition, offset)} is not what was sent"

    def _wrong_messages(self):
        """A letter may be in the topic more than once."""
        missing = set(self._sent)
        for some in self._broker.read_pieces(f"{self._topic}.dlq"):
            for message in some:
                _, partition, offset = letters.last_header(message, "winnow-id").decode().rsplit("/", 2)
                place = (int(partition), int(offset))
                if place not in self._sent:
                    yield f"{place} is in the topic, and no dead letter"
                elif not self._is_as_sent(message, place):
                    yield f"the message of {place} is not what was sent"
                missing.discard(place)
        yield from (f"{place} is not in the topic" for place in missing)

    def _is_as_sent(self, message, place):
        """All of it that the message does not say it omits."""
        _, count, print_of_sent = self._sent[place]
        found = fingerprint(message.key(), message.value(), letters.headers_of(message)[:count])
        parts = []
        if letters.last_header(message, "winnow-headers-omitted") is None:
            parts += [KEY, HEADERS]
        if letters.last_header(message, "winnow-value-omitted") is None:
            parts += [VALUE]
        return all(found[part] == print_of_sent[part] for part in parts)

    def totals(self):
        return self._database.rows("SELECT sum(received)::bigint, sum(stored)::bigint, sum(duplicate)::bigint, "
                                   "sum(dead)::bigint FROM winnow.batch_log")[0]


def rounds_of(count):
    return [min(ROUND, count - begin) for begin in range(0, count, ROUND)]


def run_campaign(campaign, pool, count):
    """Sends everything; the lines that tell what is wrong."""
    pids = pool.wait_for_workers(WORKERS)
    for number, size in enumerate(rounds_of(count)):
        campaign.send(size)
        if number % 10 == 9:
            campaign.wait(pool)
    campaign.wait(pool)
    campaign.wait_until_published(pool)
    wrong = campaign.differences()
    if "worker_ended" in pool.log_text() or sorted(pool.worker_pids()) != sorted(pids):
        wrong.append("a worker ended")
    return wrong


def _tell(campaign, wrong, seconds):
    received, stored, duplicate, dead = campaign.totals()
    reasons = Counter(campaign.expected.dead.values())
    print(f"messages   {received:,}: stored {stored:,}, duplicate {duplicate:,}, dead {dead:,}")
    print("kinds      " + ", ".join(f"{kind} {count:,}" for kind, count in campaign.kinds.most_common()))
    print("dead       " + ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common()))
    print(f"took       {seconds:.0f} s")
    for line in wrong[:20]:
        print(f"WRONG      {line}")
    print(f"verdict    {'exact' if not wrong else f'{len(wrong)} differences'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    print(f"hostile with seed {options.seed}", flush=True)
    begun = time.monotonic()
    with Postgres({"max_wal_size": "2GB"}) as server, Kafka() as broker, server.new_database() as database:
        run("migrate", settings={"database": database.dsn}, check=True)
        broker.create_topic("events", PARTITIONS, OPEN_TOPIC)
        broker.create_topic("events.dlq", PARTITIONS, OPEN_TOPIC)
        campaign = Campaign(broker, database, "events", options.seed)
        settings = {"brokers": broker.brokers, "topic": "events", "database": database.dsn, "breaker_window": 0}
        with Pool(settings, WORKERS) as pool:
            wrong = run_campaign(campaign, pool, options.count)
        if pool.exit_code != 0:
            wrong.append(f"the pool ended with {pool.exit_code}")
        _tell(campaign, wrong, time.monotonic() - begun)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
