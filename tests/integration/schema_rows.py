"""Rows as workers leave them behind, written by hand: two batches of one partition."""

import uuid

import psycopg2

TOPIC = "sales"
GROUP = "winnow"
REJECTED = uuid.UUID("00000000-0000-8000-8000-00000000dead")


def event_hash(number):
    return uuid.UUID(int=0x0000_8000_8000_0000_0000_0000 + number)


def add_event(database, offset, *, number=None, day="2024-01-01", partition=0, client="client_A", amount="10.5"):
    database.run(
        "INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, "
        "client_id, metric, amount) VALUES (%(day)s, %(day)s::timestamptz + interval '90 minutes', %(offset)s, "
        "%(hash)s, %(partition)s, (SELECT stream_id FROM winnow.stream), %(client)s, 'sale', %(amount)s)",
        {"day": f"{day} 00:00:00+00", "offset": offset, "partition": partition, "client": client, "amount": amount,
         "hash": str(event_hash(offset if number is None else number))})


def add_batch(database, start, end, stored, duplicate, dead, gap, lost=0):
    database.run(
        "INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, received, stored, "
        "duplicate, dead, gap, lost) SELECT stream_id, 0, %s, %s, 1, %s, %s, %s, %s, %s, %s FROM winnow.stream",
        (start, end, stored + duplicate + dead, stored, duplicate, dead, gap, lost))


def add_dead_letter(database, offset, reason="invalid_json", value=b"{", **columns):
    names = ", ".join(columns)
    marks = ", ".join(["%s"] * len(columns))
    database.run(
        "INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail"
        f"{', ' + names if names else ''}) SELECT stream_id, 0, %s, %s, %s, 'why'{', ' + marks if marks else ''} "
        "FROM winnow.stream", (offset, psycopg2.Binary(value), reason, *columns.values()))


def fill(database):
    """Offsets 100..109: 100-102 stored, 103 duplicate of 100, 104 not JSON, 105 missing in the log, 106-107 stored,
    108 refused by the database, 109 duplicate of 101. The next one is 110."""
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES (%s, %s, 'c')", (GROUP, TOPIC))
    database.run(
        "INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset, epoch, owner, "
        "tail_offset, tail_fingerprint) SELECT stream_id, 0, 100, 110, 1, 'worker 1', 109, 'f' FROM winnow.stream")
    for offset in (100, 101, 102, 106, 107):
        add_event(database, offset)
    add_dead_letter(database, 104)
    add_dead_letter(database, 108, "database_rejected", b'{"a":1}', sqlstate="22003", event_hash=str(REJECTED),
                    bucket="2024-01-01 00:00:00+00", key=psycopg2.Binary(b"k"))
    add_batch(database, 100, 106, stored=3, duplicate=1, dead=1, gap=1)
    add_batch(database, 106, 110, stored=2, duplicate=1, dead=1, gap=0)
    database.run("UPDATE winnow.event AS e SET ingested_at = b.committed_at FROM winnow.batch_log AS b "
                 "WHERE e.origin_offset >= b.start_offset AND e.origin_offset < b.end_offset")  # as in one transaction
    roll_up(database)


def roll_up(database, shards=2):
    """The roll-ups of the events that are there, spread over shards as if by several batches."""
    database.run("TRUNCATE winnow.rollup_hour, winnow.rollup_client, winnow.rollup_metric, winnow.rollup_day")
    database.run(
        "INSERT INTO winnow.rollup_hour SELECT date_bin('1 hour', event_time, 'epoch'), client_id, metric, stream_id, "
        "origin_offset %% %s AS shard, count(*), sum(amount) FROM winnow.event GROUP BY 1, 2, 3, 4, 5", (shards,))
    for table, column in (("rollup_client", "client_id"), ("rollup_metric", "metric"),
                          ("rollup_day", "date_bin('1 day', bucket, 'epoch')")):
        database.run(f"INSERT INTO winnow.{table} SELECT {column}, stream_id, shard, sum(event_count), sum(amount_sum) "
                     "FROM winnow.rollup_hour GROUP BY 1, 2, 3")
