"""Topics that hold the same events in the form that each contender reads, and what they come to."""

import json
import re
import subprocess

from confluent_kafka import KafkaException, Producer

from winnow_test.process import ROOT

import servers

# As the C program of the other benchmark sends.
PRODUCER = {"enable.idempotence": True, "compression.type": "lz4", "linger.ms": 50, "batch.size": 262144,
            "queue.buffering.max.kbytes": 131072, "log_level": 3}
NO_JSON = b'{"event_hash":"5c0f7d3e-9b1a-8c62-8e47-d2a6f1b39c85","bucket":'
FLUSH_S = 120


def _no_number(line):
    return re.sub(rb'"amount":("[^"]*"|[^,]*)', b'"amount":"twelve"', line)


class Feed:
    """The events of a workload; `poison` is the numbers of two messages that are replaced: by one that is not JSON,
    and by one whose amount is no number."""

    def __init__(self, workload, events, seed, poison=()):
        self.workload = workload
        self.events = events
        self.seed = seed
        self.poison = poison

    def lines(self, form):
        """(number, message) of all, in a form: loose, canonical or enveloped."""
        argv = [ROOT / "build/tests/bench/peers/bench_messages", self.workload, self.events, self.seed,
                servers.PARTITIONS, form]
        with subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE) as program:
            for number, line in enumerate(program.stdout):
                yield number, self._spoil(number, line.rstrip(b"\n"))
        if program.returncode != 0:
            raise AssertionError("bench_messages failed; its message is above")

    def _spoil(self, number, line):
        if number not in self.poison:
            return line
        return NO_JSON if number == self.poison[0] else _no_number(line)

    def places(self):
        """(partition, offset) → event hash, of all messages that are events."""
        return {(number % servers.PARTITIONS, number // servers.PARTITIONS): json.loads(line)["event_hash"]
                for number, line in self.lines("canonical") if number not in self.poison}

    def poison_places(self):
        return [(number % servers.PARTITIONS, number // servers.PARTITIONS) for number in self.poison]


def fill(broker, topic, feed, form):
    """Makes the topic and sends all of the feed's messages to it."""
    broker.create_topic(topic, servers.PARTITIONS)
    refused = []

    def on_delivery(error, _message):
        if error is not None:
            refused.append(error)

    producer = Producer({**PRODUCER, "bootstrap.servers": broker.brokers, "on_delivery": on_delivery})
    for number, line in feed.lines(form):
        _send(producer, topic, number % servers.PARTITIONS, line)
    if producer.flush(FLUSH_S) > 0 or refused:
        raise KafkaException(refused[0] if refused else f"{topic} was not filled within {FLUSH_S} s")


def _send(producer, topic, partition, line):
    while True:
        try:
            producer.produce(topic, line, partition=partition)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)
