"""The demo's events: as different clients would write them, with known counts of repeated and broken ones."""

import json
import random
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from winnow_test.produce import Message

CLIENTS = ("client_A", "client_B", "client_C", "shop-oslo", "shop-lima")
METRICS = ("sale", "purchase", "refund")
REPEATED_PERCENT = 5
POISON_PERCENT = 1
REPEATED_WITHIN = 500  # events: how far behind its first sending an event is sent again
FIRST_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)


def _plain_amount(cents):
    return f"{cents // 100}.{cents % 100:02d}"


def _seed_1(client, metric, cents, moment):
    return {"source": client, "payload": {"metric": metric, "amount": _plain_amount(cents),
                                          "timestamp": moment.strftime("%Y/%m/%d")}}


def _seed_2(client, metric, cents, moment):
    return {"client": client, "payload": {"type": metric, "value": cents / 100,
                                          "time": moment.strftime("%Y-%m-%d")}}


def _seed_3(client, metric, cents, moment):
    return {"source": client, "payload": {"metricName": metric, "sum": _plain_amount(cents),
                                          "created_at": f"{moment.year}/{moment.month}/{moment.day}"}}


def _flat(client, metric, cents, moment):
    return {"Client-Id": client, "METRIC": metric, "amount": f"{cents // 100:,}.{cents % 100:02d}",
            "timestamp": int(moment.timestamp() * 1000)}


def _wrapped(client, metric, cents, moment):
    inner = {"metric_name": metric, "value": f"+{_plain_amount(cents)}0", "time": format_datetime(moment, usegmt=True)}
    return {"client_id": f"  {client} ", "payload": json.dumps(inner), "trace": {"id": cents}}


def _nested(client, metric, cents, moment):
    return {"source": client, "data": {"type": metric, "sum": f"{cents}e-2",
                                       "created_at": moment.isoformat(timespec="milliseconds")}}


SHAPES = (_seed_1, _seed_2, _seed_3, _flat, _wrapped, _nested)

POISON = (
    lambda number: None,                                                                # a tombstone
    lambda number: b'{"source":"client_A","payload":{"metric":"sale","amo',             # cut off
    lambda number: b'{"payload":{"metric":"sale","amount":%d}}' % number,               # nobody sent it
    lambda number: b'{"source":"client_B","payload":{"amount":"%d"}}' % number,         # nothing was measured
    lambda number: b'{"client":"client_C","metric":"sale","amount":"twelve"}',          # not a number
    lambda number: b'{"client":"client_C","metric":"sale","time":"2024-02-30"}',        # not a day
    lambda number: b'{"client":"client_A","metric":"caf\xe9"}',                         # not UTF-8
    lambda number: b"[" * 40 + b"]" * 40,                                               # too deep
    lambda number: b'["client_A","sale",%d]' % number,                                  # no object
    lambda number: b"\x00\x00\x00\x00\x2a\x02Hclient_A",                                # some binary format
)


class Stream:
    """`count` messages in a fixed order, the same for the same seed; unique, repeated and poison count them."""

    def __init__(self, count, partitions, seed=1):
        self._random = random.Random(seed)
        self._partitions = partitions
        self._earlier = []
        self._count = count
        self.unique = 0
        self.repeated = 0
        self.poison = 0

    def __iter__(self):
        for number in range(self._count):
            draw = self._random.random() * 100
            if draw < POISON_PERCENT:
                yield self._broken(number)
            elif draw < POISON_PERCENT + REPEATED_PERCENT and self._earlier:
                yield self._again()
            else:
                yield self._new(number)

    def _message(self, event, partition):
        shape = self._random.choice(SHAPES)
        value = json.dumps(shape(*event), ensure_ascii=False).encode()
        return Message(value, key=event[0].encode(), partition=partition)

    def _new(self, number):
        client, metric = self._random.choice(CLIENTS), self._random.choice(METRICS)
        # Each amount occurs once, so that each event is one of a kind; the day is part of its identity too.
        cents = 100 + 7 * number
        moment = FIRST_DAY + timedelta(days=self._random.randrange(60), seconds=self._random.randrange(86400))
        event = (client, metric, cents, moment)
        self._earlier.append(event)
        self.unique += 1
        return self._message(event, CLIENTS.index(client) % self._partitions)

    def _again(self):
        """The same event, perhaps written in another way, perhaps to another partition: a client's retry."""
        self.repeated += 1
        event = self._random.choice(self._earlier[-REPEATED_WITHIN:])
        return self._message(event, self._random.randrange(self._partitions))

    def _broken(self, number):
        self.poison += 1
        return Message(self._random.choice(POISON)(number), key=b"client_A",
                       partition=self._random.randrange(self._partitions))
