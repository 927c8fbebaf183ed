"""A consumer in Python: one of the contenders of make bench-peers.

    consumer.py BROKERS TOPIC GROUP CONNINFO

One process of a group. Offsets are committed after the transaction; what is read again after a crash is dropped by
ON CONFLICT DO NOTHING. A message that cannot be stored ends the process: going on would lose it."""

import json
import signal
import sys

import confluent_kafka
import psycopg

BATCH_ROWS = 10000
POLL_S = 0.1

# Amounts stay text, so that they never pass through a float.
INSERT = """
    INSERT INTO winnow.event (bucket, event_hash, client_id, metric, amount, event_time, stream_id,
        origin_partition, origin_offset)
    SELECT e.bucket, e.hash, e.client_id, e.metric, e.amount, e.time, 1, e.partition, e.message_offset
    FROM unnest(%s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::numeric[], %s::timestamptz[], %s::int4[],
        %s::int8[]) AS e (bucket, hash, client_id, metric, amount, time, partition, message_offset)
    ON CONFLICT DO NOTHING"""


def _row(message):
    if message.error() is not None:
        raise confluent_kafka.KafkaException(message.error())
    event = json.loads(message.value())
    return (event["bucket"], event["event_hash"], event["client_id"], event["metric"], event["amount"],
            event["event_time"], message.partition(), message.offset())


def _store(connection, messages):
    """In the order of the key, so that two processes with the same events cannot deadlock."""
    columns = list(map(list, zip(*sorted(map(_row, messages)))))
    connection.execute(INSERT, columns)  # a transaction of its own: the connection is in autocommit mode


def _open(brokers, topic, group):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    return consumer


def main(brokers, topic, group, conninfo):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    consumer = _open(brokers, topic, group)
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while True:
                messages = consumer.consume(BATCH_ROWS, POLL_S)
                if messages:
                    _store(connection, messages)
                    consumer.commit(asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
