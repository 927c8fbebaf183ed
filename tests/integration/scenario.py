"""What several stories send and ask."""

import itertools
import re
from datetime import datetime, timezone

from confluent_kafka import Consumer, TopicPartition
from winnow_test import check
from winnow_test.poll import wait_until

_numbers = itertools.count(1)

SEED = '{"source":"client_A","payload":{"metric":"sale","amount":"1200","timestamp":"2024/01/01"}}'
NEW_YEAR = datetime(2024, 1, 1, tzinfo=timezone.utc)


def new_events(count, client="client_L", padding=0):
    """Events that were never sent before."""
    fill = ',"note":"' + "x" * padding + '"' if padding else ""
    return ['{"client":"%s","metric":"load","amount":%d,"time":"2024-02-03"%s}' % (client, next(_numbers), fill)
            for _ in range(count)]


def read_all(stage, **settings):
    """By a pool of one worker, which ends then."""
    with stage.pool(workers=1, **settings) as pool:
        stage.wait_until_caught_up()
        assert pool.stop() == 0


def next_offset(stage, partition=0):
    return stage.database.value("SELECT next_offset FROM winnow.processing_log WHERE partition = %s", (partition,))


def batches(stage):
    """(partition, start, end, received, stored, duplicate, dead) in order."""
    return stage.database.rows(
        "SELECT partition, start_offset, end_offset, received, stored, duplicate, dead FROM winnow.batch_log "
        "ORDER BY partition, start_offset")


def owners(stage):
    """partition → pid of the worker that claimed it last."""
    return {partition: int(owner.rsplit("/", 1)[1]) for partition, owner in stage.database.rows(
        "SELECT partition, owner FROM winnow.processing_log WHERE owner IS NOT NULL")}


def wait_for_owners(stage, pids, timeout_s=30):
    """Waits until every partition is claimed by one of these workers, and each of them has one."""
    wait_until(lambda: len(owners(stage)) == stage.partitions and set(owners(stage).values()) == set(pids), timeout_s,
               f"{stage.topic} is shared by the workers {pids}", on_timeout=stage.logs)
    return owners(stage)


def committed(stage):
    """partition → offset committed to Kafka, a hint that winnow gives when it has the database's answer."""
    consumer = Consumer({"bootstrap.servers": stage.broker.brokers, "group.id": stage.settings["group"]})
    try:
        asked = [TopicPartition(stage.topic, partition) for partition in range(stage.partitions)]
        return {place.partition: place.offset for place in consumer.committed(asked, timeout=60)}
    finally:
        consumer.close()


def wait_until_committed(stage):
    ends = stage.broker.end_offsets(stage.topic)
    wait_until(lambda: committed(stage) == ends, 60, "the offsets are committed to Kafka", on_timeout=stage.logs)


def message_state(stage, partition, offset, event_hash=None, event_time=None):
    """analytics.message_state() as a dictionary."""
    row = stage.database.rows(
        "SELECT row_to_json(s) FROM analytics.message_state(%s, %s, %s, %s, %s, %s) AS s",
        (stage.topic, partition, offset, event_hash, event_time, stage.settings["group"]))
    return row[0][0]


def final_counters(pool):
    """The sum of the workers' own counters, as they told them when they ended."""
    total = {}
    for line in pool.log_text().splitlines():
        if "event=worker_done" in line:
            for name, value in re.findall(r"(\w+)=(\d+)", line.split("msg=", 1)[1]):
                total[name] = total.get(name, 0) + int(value)
    return total


def warm_up(stage):
    """One event in each partition: after it the table's month is there and every worker knows it."""
    for partition in range(stage.partitions):
        stage.send(*new_events(1), partition=partition)
    stage.wait_until_caught_up()


def wait_for_statements(stage, count):
    """Waits until so many workers' statements wait for a lock that the test holds."""
    wait_until(lambda: check.waiting_count(stage.database) == count, 30, f"{count} statements wait",
               on_timeout=stage.logs)
