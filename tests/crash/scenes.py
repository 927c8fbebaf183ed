"""What a worker is in the middle of when it ends: one batch that touches everything a batch can touch."""

from dataclasses import dataclass
from typing import Callable, Optional

from winnow_test import produce

PARTITIONS = 2
# Rows go out when the source has no more at hand, and never for their age: one batch. A worker that is frozen while it
# ends has more than the time that others need to take over.
SETTINGS = {"batch_age_ms": 60000, "drain_timeout_ms": 120000}
POISON_BYTES = 7000


def _event(number):
    return {"client": f"client {number % 5}", "metric": f"a metric with a name that is not short {number % 3}",
            "amount": number, "time": f"2024-01-{1 + number % 3:02}T{number % 24:02}:30:00Z"}


def _poison(number):
    """No JSON, and as long as a batch needs to be for several calls of send(2)."""
    return b'{"client": "poison %d' % number + b" " * POISON_BYTES


def earlier_messages():
    """Stored before the batch, so that its partitions have totals, a history and a last message."""
    return [produce.as_message(_event(number)) for number in range(40)]


def _part(begin):
    """New events, some twice, some that the other partition has too, and poison. None that the worker has not read and
    that is stored already: it would be refused first, in an answer that comes in pieces as it happens."""
    numbers = [*range(begin, begin + 60), *range(begin, begin + 15), *range(100, 105)]
    events = [produce.as_message(_event(number)) for number in numbers]
    return [*events[:30], produce.Message(_poison(begin)), *events[30:], produce.Message(_poison(begin + 1))]


def batch_messages():
    """The batch: both partitions end with poison."""
    first, second = _part(100), _part(200)
    for message in first:
        message.partition = 0
    for message in second:
        message.partition = 1
    return [*first, *second]


@dataclass(frozen=True)
class Scene:
    """is_begun: the earlier messages are stored; hold: messages that are gathered first; keeps(point) tells which of
    the points that are passed belong to the scene; orders are carried out on the way to the point; prepare(database)
    sets the stage; halts: partition 1 halts, until it is mended."""

    name: str
    is_begun: bool
    hold: int
    keeps: Callable
    orders: tuple = ()
    prepare: Optional[Callable] = None
    halts: bool = False


def _spoil_fingerprint(database):
    """As though partition 1's topic had been made anew."""
    database.run("UPDATE winnow.processing_log SET tail_fingerprint = decode(md5('another'), 'hex') || "
                 "substr(tail_fingerprint, 17) WHERE partition = 1")


def mend_fingerprint(database, good, topic, group):
    """What the operator does: mends the cause, and resumes."""
    database.run("UPDATE winnow.processing_log SET tail_fingerprint = %s WHERE partition = 1", (good,))
    database.run("SELECT winnow.resume_partition(%s, 1, %s)", (topic, group))


def _is_first_or_last(point, count):
    name, number, _ = point.split(":")
    return name != "message" or int(number) in (1, count)


def make_scenes(earlier_count, batch_count):
    """The scenes, given the numbers of messages."""
    last_messages = PARTITIONS  # each is read again, and compared with the stored fingerprint
    in_batch = batch_count + last_messages
    in_all = earlier_count + batch_count
    return [
        # The batch goes through the whole ring.
        Scene("batch", True, in_batch, lambda point: _is_first_or_last(point, in_batch)),
        # A group that is new opens its partitions first.
        Scene("first claim", False, in_all, lambda point: point.split(":")[0] in ("claim", "open", "assign")),
        # The outcome is unknown: claim again, go back, write again.
        Scene("resync", True, in_batch, orders=("socket:2:after=reset",),
              keeps=lambda point: point.split(":")[0] in ("seek", "commit") or
              point.rsplit(":", 1)[0] in ("claim:2", "write:2", "exit:1")),
        Scene("halt", True, 0, lambda point: point.startswith("halt:"), prepare=_spoil_fingerprint, halts=True),
    ]
