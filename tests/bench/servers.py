"""The servers of a benchmark: PostgreSQL as durable as it comes, sized for a machine like this one, and Kafka."""

import contextlib
import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

import confluent_kafka

from winnow_test import kafka, pool
from winnow_test.postgres import Database, Postgres
from winnow_test.process import ROOT

PARTITIONS = 8
TEMPLATE = "bench_template"
YEAR = 2024  # of the workloads' events

# Where nothing is said, PostgreSQL's own defaults hold: the tests' time savers are taken back.
POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "jit": "on",
}
SHOWN_SETTINGS = (*POSTGRES_SETTINGS, "wal_level", "wal_compression", "wal_buffers", "checkpoint_timeout",
                  "work_mem", "autovacuum", "max_connections")
# As Kafka comes: a group that is new waits for more members, so that all workers begin together.
KAFKA_SETTINGS = {"group.initial.rebalance.delay.ms": 2000, "log.retention.check.interval.ms": 300000,
                  "log.cleaner.backoff.ms": 15000}


@contextlib.contextmanager
def started(more_settings=None):
    """(PostgreSQL with a migrated template, Kafka)."""
    with Postgres({**POSTGRES_SETTINGS, **(more_settings or {})}) as server, kafka.Kafka(KAFKA_SETTINGS) as broker:
        template = server.new_database(TEMPLATE)
        pool.run("migrate", settings={"database": template.dsn}, check=True)
        template.rows("SELECT winnow.ensure_event_month(make_date(%s, month, 1)) FROM generate_series(1, 12) AS month",
                      (YEAR,))
        template.close()
        yield server, broker


@contextlib.contextmanager
def fresh_database(server, name):
    """A database with winnow's schema and the partitions that the workloads need; nothing is left to write."""
    with Database(server, "postgres") as admin:
        admin.run(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
        admin.run("CHECKPOINT")
    database = Database(server, name)
    try:
        yield database
    finally:
        database.drop()


def postmaster(server):
    """The pid that all of PostgreSQL's processes descend from."""
    return int((server.data / "postmaster.pid").read_text(encoding="ascii").split("\n", maxsplit=1)[0])


def make_topic(broker, topic, config=None):
    """The topic and that of its dead letters. config: of the first."""
    broker.create_topic(topic, PARTITIONS, config)
    broker.create_topic(f"{topic}.dlq", 1)


def produce(broker, topic, workload, events, seed, first=0):
    """Sends a part of the workload; a dict of what it was: new, repeated, poison, bytes, seconds."""
    done = subprocess.run([ROOT / "build/tests/bench/bench_produce", broker.brokers, topic, workload, str(events),
                           str(seed), str(PARTITIONS), str(first)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def fill_topic(broker, topic, workload, events, seed):
    """Makes the topic, and what the workload says was sent."""
    make_topic(broker, topic)
    return produce(broker, topic, workload, events, seed)


def _first_match(path, start):
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(start)), "unknown")


def _output(*argv):
    return subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False).stdout.strip()


def describe(server):
    """The machine, the versions and the settings that the figures belong to."""
    with Database(server, "postgres") as admin:
        settings = {name: admin.value("SELECT current_setting(%s)", (name,)) for name in SHOWN_SETTINGS}
        version = admin.value("SHOW server_version")
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _output("git", "describe", "--always", "--dirty", "--tags"),
        "cpu": _first_match("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "kernel": platform.release(),
        "load_at_begin": os.getloadavg()[0],
        "postgresql": version,
        "postgresql_settings": settings,
        "kafka": kafka.VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
        "compiler": _output("gcc", "--version").split("\n", maxsplit=1)[0],
    }
