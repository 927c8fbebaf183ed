"""Sending messages, byte for byte, and knowing which the broker acknowledged."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Optional

from confluent_kafka import Producer

from .poll import wait_until


@dataclass
class Message:
    """A message as it is sent. value None is a tombstone; partition None leaves the choice to the key."""

    value: Optional[bytes]
    key: Optional[bytes] = None
    partition: Optional[int] = None
    headers: list = field(default_factory=list)
    timestamp_ms: Optional[int] = None


@dataclass(frozen=True)
class Sent:
    """What the broker acknowledged."""

    message: Message
    partition: int
    offset: int


class NotSent(AssertionError):
    """The broker did not acknowledge a message."""


def as_message(thing):
    """A Message from a Message, bytes, None (tombstone), text, or anything json.dumps() takes."""
    if isinstance(thing, Message):
        return thing
    if thing is None or isinstance(thing, bytes):
        return Message(thing)
    return Message(thing.encode() if isinstance(thing, str) else json.dumps(thing).encode())


def send(brokers, topic, things, timeout_s=60, must_succeed=True, **defaults):
    """Sends and waits for all delivery reports. Returns a list of Sent in the order given.

    `defaults` fill what a message leaves open (partition=0, timestamp_ms=…). With must_succeed=False messages
    that were not acknowledged are left out; whether the broker has them is then unknown. Idempotent, so the
    client's own retries double nothing."""
    with Sender(brokers, topic, **defaults) as sender:
        for thing in things:
            sender.send(thing)
        return sender.finish(timeout_s, must_succeed)


class Sender:
    """The same in pieces, for a stream that runs while other things happen."""

    def __init__(self, brokers, topic, linger_ms=2, properties=None, **defaults):
        self._topic = topic
        self._defaults = defaults
        self._acknowledged = {}
        self._failed = {}
        self._order = itertools.count()
        self.sent_count = 0
        self._producer = Producer({
            "bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": linger_ms, "log_level": 0,
            "message.timeout.ms": 120000, "message.max.bytes": 10 << 20, "queue.buffering.max.messages": 1000000,
            **(properties or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._producer.purge()

    def send(self, thing):
        message = as_message(thing)
        for name, value in self._defaults.items():
            if not getattr(message, name):
                setattr(message, name, value)
        number = next(self._order)

        def delivered(error, report):
            if error is None:
                self._acknowledged[number] = Sent(message, report.partition(), report.offset())
            else:
                self._failed[number] = error

        places = {} if message.partition is None else {"partition": message.partition}
        if message.timestamp_ms is not None:
            places["timestamp"] = message.timestamp_ms
        while True:
            try:
                self._producer.produce(self._topic, message.value, message.key, headers=message.headers or None,
                                       on_delivery=delivered, **places)
                break
            except BufferError:
                self._producer.poll(0.05)
        self.sent_count += 1
        self._producer.poll(0)

    def poll(self, timeout_s=0):
        """Handles delivery reports that came in, waiting for one at most that long."""
        self._producer.poll(timeout_s)

    @property
    def acknowledged_count(self):
        return len(self._acknowledged)

    @property
    def failed_count(self):
        """Messages that were given up."""
        return len(self._failed)

    def finish(self, timeout_s=60, must_succeed=True):
        """Waits for the outstanding reports; the list of Sent in the order of sending."""
        wait_until(lambda: self._producer.flush(0.1) == 0, timeout_s, "all messages are acknowledged", interval_s=0)
        if must_succeed and self._failed:
            raise NotSent(f"{len(self._failed)} of {self.sent_count} messages: {next(iter(self._failed.values()))}")
        return [self._acknowledged[number] for number in sorted(self._acknowledged)]
