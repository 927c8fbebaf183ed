"""The producer: a continuous stream in which every fifth event was sent before and every hundredth is poison."""

import json
import random
import threading
import time

from winnow_test.produce import Message, NotSent, Sender

DUPLICATE_SHARE = 0.20
POISON_SHARE = 0.01
REMEMBERED = 5000       # events that a duplicate may be of
SLICE_S = 0.05
ACKNOWLEDGED_TIMEOUT_S = 150


class Stream:
    """Sends from a thread of its own; what was acknowledged is in `acknowledged`, also after the client had to be
    replaced. What was sent without an answer may or may not be in the topic."""

    def __init__(self, brokers, topic, partitions, seed, rate, duplicate_share=DUPLICATE_SHARE):
        self._brokers = brokers
        self._topic = topic
        self._partitions = partitions
        self._random = random.Random(f"stream {seed}")
        self._rate = rate
        self._duplicate_share = duplicate_share
        self._events = []
        self._count = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sender = None
        self.acknowledged = []
        self.sent_count = 0
        self.unknown_count = 0
        self.error = None

    def start(self):
        self._thread.start()
        return self

    @property
    def now_acknowledged_count(self):
        sender = self._sender
        return len(self.acknowledged) + (sender.acknowledged_count if sender is not None else 0)

    def _next(self):
        chance = self._random.random()
        partition = self._random.randrange(self._partitions)
        if chance < POISON_SHARE:
            return self._poison(partition)
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
        body = {"metric": self._random.choice(["sale", "refund", "view"]), "amount": f"{self._count}.25",
                "timestamp": f"2024-0{1 + day // 30}-{1 + day % 28:02}T{hour:02}:00:00Z"}
        event = {"source": f"client_{self._random.randrange(8)}", "payload": body}
        return json.dumps(event).encode()

    def _poison(self, partition):
        self._count += 1
        return Message(b'{"source":"client_1","payload":{"metric":"sale","amount":"poison %d"}}' % self._count,
                       b"poison", partition, [("number", b"%d" % self._count)])

    def _run(self):
        try:
            while not self._stopping.is_set():
                self._send_until_trouble()
            self._end_each_partition_with_poison()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _send_until_trouble(self):
        """One client's life: idempotent, so that its own retries double nothing."""
        with Sender(self._brokers, self._topic) as self._sender:
            debt = 0.0
            before = time.monotonic()
            while not self._stopping.wait(SLICE_S) and not self._sender.failed_count:
                now = time.monotonic()
                debt += min(now - before, 1) * self._rate
                before = now
                while debt >= 1:
                    debt -= 1
                    self._sender.send(self._next())
                self._sender.poll(0)
            self._collect()

    def _collect(self):
        sender, self._sender = self._sender, None
        acknowledged = sender.finish(ACKNOWLEDGED_TIMEOUT_S, must_succeed=False)
        self.acknowledged += acknowledged
        self.sent_count += sender.sent_count
        self.unknown_count += sender.sent_count - len(acknowledged)

    def _end_each_partition_with_poison(self):
        with Sender(self._brokers, self._topic) as self._sender:
            for partition in range(self._partitions):
                self._sender.send(self._poison(partition))
            self._collect()

    def finish(self):
        """Ends the stream; all partitions end with poison then."""
        self._stopping.set()
        self._thread.join(2 * ACKNOWLEDGED_TIMEOUT_S)
        if self._thread.is_alive():
            raise NotSent("the producer does not come to its end")
        if self.error is not None:
            raise self.error
