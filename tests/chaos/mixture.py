"""What is sent: events of many clients, some that were sent before, and poison."""

import json
import random

from winnow_test.produce import Message

POISON_SHARE = 0.01
DUPLICATE_SHARE = 0.20
REMEMBERED = 5000       # events that a duplicate may be of


class Places:
    """The partitions that messages may be sent to; more may come while senders run."""

    def __init__(self, count):
        self.count = count


class Mixture:
    """An endless series of messages that follows from the seed. Amounts of another series end in other cents, or begin
    at another count, so that no event of one is equal to an event of another."""

    def __init__(self, name, seed, cents, duplicate_share, count=0):
        self._random = random.Random(f"{name} {seed}")
        self._cents = cents
        self._duplicate_share = duplicate_share
        self._events = []
        self._count = count

    def next(self, partitions):
        """A message for one of so many partitions."""
        chance = self._random.random()
        partition = self._random.randrange(partitions)
        if chance < POISON_SHARE:
            return self.poison(partition)
        if chance < POISON_SHARE + self._duplicate_share and self._events:
            return Message(self._random.choice(self._events), partition=partition)
        event = self._event()
        self._events.append(event)
        del self._events[:-REMEMBERED]
        return Message(event, partition=partition)

    def _event(self):
        """Different from all others by its amount. In two months, several hours."""
        self._count += 1
        day, hour = self._random.randrange(1, 60), self._random.randrange(24)
        body = {"metric": self._random.choice(["sale", "refund", "view"]), "amount": f"{self._count}.{self._cents}",
                "timestamp": f"2024-0{1 + day // 30}-{1 + day % 28:02}T{hour:02}:00:00Z"}
        event = {"source": f"client_{self._random.randrange(8)}", "payload": body}
        return json.dumps(event).encode()

    def poison(self, partition):
        """A message that cannot become an event, unlike any other."""
        self._count += 1
        value = b'{"source":"client_1","payload":{"metric":"sale","amount":"poison %d.%d"}}' % (self._count, self._cents)
        return Message(value, b"poison", partition, [("number", b"%d" % self._count)])
