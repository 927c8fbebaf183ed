"""A pool under a load that does not wait for it: from the broker's time of each message to the commit that stored it.

PostgreSQL notes the time of a commit before it flushes the WAL, so the mean time of a flush is added to each figure.
Kafka's times are whole milliseconds, rounded down: figures are up to one too large. Duplicates store nothing and have no
latency."""

import itertools
import json
import os
import subprocess
from collections import namedtuple

from winnow_test.poll import wait_until
from winnow_test.pool import Pool
from winnow_test.process import ROOT, make_directory, remove_directory

import runs
import servers
from measure import CpuClock

APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1}
JOIN_TIMEOUT_S = 60

# From the first message after the warm-up on; `waited` ends with the beginning of the statement that stored it.
LATENCIES = """
WITH message AS (
    SELECT partition, generate_series(first, last) AS message_offset, appended_ms FROM append
    WHERE appended_ms >= (SELECT min(appended_ms) FROM append) + %s),
stored AS (
    SELECT extract(epoch FROM ingested_at)::float8 * 1000 - appended_ms AS waited,
           extract(epoch FROM pg_xact_commit_timestamp(event.xmin))::float8 * 1000 - appended_ms AS took
    FROM message JOIN winnow.event ON origin_partition = partition AND origin_offset = message_offset)
SELECT count(*), percentile_disc(%s) WITHIN GROUP (ORDER BY took), percentile_disc(%s) WITHIN GROUP (ORDER BY waited)
FROM stored"""

# A session that has been at rest for a second has told what it did.
QUIET = """SELECT coalesce(min(clock_timestamp() - state_change) > interval '1.5 s', true) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""

Load = namedtuple("Load", "workload rate seconds warmup_s")
Sent = namedtuple("Sent", "events sent")  # what runs.judge() wants to know of a stage

_numbers = itertools.count(1)


def wait_until_shared_out(database, pool, since="-infinity"):
    """Until every partition was claimed after that; the warm-up covers what the group still has to settle."""
    wait_until(lambda: database.value("SELECT count(*) FROM winnow.processing_log WHERE owner IS NOT NULL "
                                      "AND claimed_at > %s", (since,)) == servers.PARTITIONS,
               JOIN_TIMEOUT_S, "all partitions are claimed", on_timeout=pool.log_tail)


def flushes(database):
    """How often the WAL was flushed, and how many milliseconds that took."""
    return database.rows("SELECT wal_sync, wal_sync_time + wal_write_time FROM pg_stat_wal")[0]


def offer(broker, topic, load, path, seed=1, begin=0):
    """Messages from number `begin` on, until the load has ended; what was sent, by kind, and how late at the most."""
    argv = [ROOT / "build/tests/bench/bench_pace", broker.brokers, topic, load.workload, load.rate,
            load.warmup_s + load.seconds, seed, servers.PARTITIONS, path, begin]
    done = subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def latencies(database, path, warmup_s, flush_ms):
    """Of the messages whose appends are in the file."""
    database.run("DROP TABLE IF EXISTS append")
    database.run("CREATE UNLOGGED TABLE append (partition integer, first bigint, last bigint, appended_ms bigint)")
    database.copy("append", path)
    database.run("ANALYZE append")
    database.run("SET work_mem = '512MB'")
    wanted = list(PERCENTILES.values())
    count, took, waited = database.rows(LATENCIES, (warmup_s * 1000, wanted, wanted))[0]
    database.run("RESET work_mem")
    names = list(PERCENTILES)
    return {"measured": count, "latency_ms": {name: round(ms + flush_ms, 1) for name, ms in zip(names, took)},
            "until_statement_ms": {name: round(ms, 1) for name, ms in zip(names, waited)}}


def _clock(server, broker, pool):
    """What everyone uses from now on. The producer is found with us once it has ended; the servers are our children."""
    roots = {"winnow": pool.pid, "postgres": servers.postmaster(server), "kafka": broker.pid}
    return CpuClock({**roots, "producer": os.getpid()}, {"producer": list(roots.values())})


def _measure(stage, pool, load, path):
    """Offers the load and waits for its end: a dict of what is known without looking at single events."""
    database, broker, topic = stage
    clock = _clock(database.server, broker, pool)
    before = flushes(database)
    account = offer(broker, topic, load, path)
    used = clock.read()
    events = account["new"] + account["repeated"]
    runs.wait_for_end(database, events, pool)
    wait_until(lambda: database.value(QUIET), 30, "all sessions have told their statistics")
    after = flushes(database)
    flush_ms = (after[1] - before[1]) / max(1, after[0] - before[0])
    return Sent(events, account), {
        "workload": load.workload, "rate": load.rate, "late_ms": account["late_ms"],
        "sent_per_s": round(events / account["seconds"]),
        "flush_ms": round(flush_ms, 2), "others_cores": used.pop("others_cores"),
        "cores": {name: round(seconds / account["seconds"], 3) for name, seconds in used.items()}}


def run(server, broker, load, workers, settings=None):
    """One Load, in a topic, a group and a database of its own: a dict."""
    topic = f"paced-{next(_numbers)}"
    servers.make_topic(broker, topic, APPEND_TIME)
    directory = make_directory("paced")
    try:
        with servers.fresh_database(server, topic) as database:
            configuration = {"brokers": broker.brokers, "topic": topic, "group": topic, "database": database.dsn,
                             **(settings or {})}
            with Pool(configuration, workers) as pool:
                wait_until_shared_out(database, pool)
                sent, result = _measure((database, broker, topic), pool, load, directory / "appends")
            account = runs.account_of(database)
            wrong = runs.judge(sent, database, account)
            result |= latencies(database, directory / "appends", load.warmup_s, result["flush_ms"])
    finally:
        remove_directory(directory)
        broker.delete_topic(topic)
        broker.delete_topic(f"{topic}.dlq")
    return {**result, "rows_per_batch": round(sent.events / account["batches"]), "wrong": wrong}
