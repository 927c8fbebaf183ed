"""The producers, each in a thread of its own: a stream that doubles nothing by itself, a sender whose own retries
double messages, and one that works in transactions (transactions.py).

What a producer was told decides what may not be lost. What it sent without an answer may or may not be there."""

import time

from feed import ACKNOWLEDGED_TIMEOUT_S, Feed
from mixture import Mixture
from transactions import TransactionalStream
from winnow_test.produce import Sender

SLICE_S = 0.05
RETRY_KEY = b"sent-with-retries"


class Stream(Feed):
    """The bulk, at so many messages a second whatever happens. Idempotent."""

    properties = {}

    def __init__(self, brokers, topic, places, mixture, rate):
        super().__init__(brokers, topic, places)
        self._mixture = mixture
        self._rate = rate

    def _send_all(self):
        while not self._stopping.is_set():
            self._live()

    def _next(self, partitions):
        return self._mixture.next(partitions)

    def _live(self):
        """The life of one client, which ends when it gave up a message, or when there are more partitions."""
        partitions = self._places.count
        with Sender(self._brokers, self._topic, properties=self.properties) as sender:
            debt = 0.0
            before = time.monotonic()
            while not self._stopping.wait(SLICE_S) and not sender.failed_count and partitions == self._places.count:
                now = time.monotonic()
                debt += min(now - before, 1) * self._rate
                before = now
                while debt >= 1:
                    debt -= 1
                    sender.send(self._next(partitions))
                sender.poll(0)
            self._collect(sender)

    def _collect(self, sender):
        acknowledged = sender.finish(ACKNOWLEDGED_TIMEOUT_S, must_succeed=False)
        self.acknowledged += acknowledged
        self.unknown_count += sender.sent_count - len(acknowledged)

    def end_with_poison(self):
        """When no other sends any more: each partition's last message."""
        with Sender(self._brokers, self._topic) as sender:
            for partition in range(self._places.count):
                sender.send(self._mixture.poison(partition))
            sent = sender.finish(ACKNOWLEDGED_TIMEOUT_S)
        self.acknowledged += sent


class RetryingStream(Stream):
    """Without idempotence: what is sent again, because the connection was lost before the answer, is there twice."""

    properties = {"enable.idempotence": False, "acks": "all", "retry.backoff.ms": 50}

    def _next(self, partitions):
        message = self._mixture.next(partitions)
        if message.key is None:
            message.key = RETRY_KEY
        return message


class Producers:
    """All of them. has_retries: also the one whose retries double messages."""

    def __init__(self, broker, topic, places, seed, rate, duplicate_share, has_retries=True):
        def mixture(name, cents):
            return Mixture(name, seed, cents, duplicate_share)

        self._stream = Stream(broker.brokers, topic, places, mixture("stream", 25), rate)
        self._transactions = TransactionalStream(broker.brokers, topic, places, seed, duplicate_share)
        self._retries = None
        self._feeds = [self._transactions, self._stream]
        if has_retries:
            self._retries = RetryingStream(broker.proxied_brokers, topic, places, mixture("retries", 50), rate / 20)
            self._feeds.insert(0, self._retries)

    def start(self):
        for feed in self._feeds:
            feed.start()

    def finish(self):
        """Ends them; each partition then ends with poison."""
        for feed in self._feeds:
            feed.stop()
        self._stream.end_with_poison()

    @property
    def acknowledged(self):
        return [sent for feed in self._feeds for sent in feed.acknowledged]

    @property
    def unknown_count(self):
        return sum(feed.unknown_count for feed in self._feeds)

    @property
    def committed_count(self):
        return self._transactions.committed_count

    @property
    def aborted_count(self):
        return self._transactions.aborted_count


def count_sent_twice(messages):
    """Messages that a client's own retry put into the topic once more: the same, and of the same millisecond."""
    times = {}
    for message in messages:
        if message.key() == RETRY_KEY:
            times.setdefault((message.partition(), message.value()), []).append(message.timestamp()[1])
    return sum(len(each) - len(set(each)) for each in times.values())
