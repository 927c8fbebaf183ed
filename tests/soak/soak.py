#!/usr/bin/python3
"""Soak: a pool at full load for as long as asked. Its memory and its files must not grow, and its account must be exact.

    make soak MINUTES=10 WORKERS=2

A backlog always waits, of events that were sent before and of new ones, one message in a hundred is poison. Prints the
rate, each process's memory in each fifth of the time and its open files, and the verdict, which the
exit code tells too."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from winnow_test import check              # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka        # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.poll import wait_until    # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.pool import Pool, run     # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.process import ROOT       # noqa: E402  pylint: disable=wrong-import-position

TOPIC = "events"
PARTITIONS = 8
PRODUCER = ROOT / "build" / "tests" / "bench" / "bench_produce"
SEED = 1
BACKLOG = 300000       # messages that wait at least, so that the pool never rests
CHUNK = 200000         # a multiple of PARTITIONS
TIMES = 10             # each chunk is sent: repetitions keep the database small and the pool as busy
LOW = 20000            # messages that wait: a full batch
SAMPLE_S = 0.25
DRAIN_TIMEOUT_S = 300
GIVE_UP_S = 300        # of what is to be read after the time
GROWTH_SHARE = 0.05    # what a process may have grown: the larger of the two
GROWTH_MIB = 2
FILES_GROWTH = 2
RESTS_SHARE = 0.05     # of the samples: how often the backlog may be low
ALWAYS = ("VmRSS", "VmHWM")
# Before that a process still opens its connections.
WARM = """SELECT (SELECT count(DISTINCT owner) FROM winnow.processing_log WHERE next_offset > 0),
    EXISTS (SELECT FROM winnow.dead_letter WHERE published_at IS NOT NULL)"""


class Load:
    """Sends in chunks, each one several times, and knows how many messages, different events and poison there were.

    By a program of its own: one in Python is slower than the pool."""

    def __init__(self, brokers):
        self._brokers = brokers
        self._first = 0
        self._times = 0
        self.sent = 0
        self.unique = 0
        self.poison = 0

    def send_chunk(self):
        argv = [PRODUCER, self._brokers, TOPIC, "loose", CHUNK, SEED, PARTITIONS, self._first]
        counts = json.loads(subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE).stdout)
        self.sent += CHUNK
        self.poison += counts["poison"]
        if self._times == 0:
            self.unique += counts["new"]
        self._times += 1
        if self._times == TIMES:
            self._times = 0
            self._first += CHUNK


def look_at(pid):
    """(memory in MiB, most memory ever in MiB, open files)"""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    memory = [int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ALWAYS]
    return (*memory, len(os.listdir(f"/proc/{pid}/fd")))


def curve(samples, column):
    """The least in each fifth of the time: what a process keeps. What it has in hand comes on top, and varies."""
    fifth = max(1, len(samples) // 5)
    begins = [min(number * fifth, len(samples) - 1) for number in range(5)]
    return [min(sample[column] for sample in samples[begin:begin + fifth]) for begin in begins]


class Soak:
    """What was seen of each process, and what is wrong."""

    def __init__(self, minutes, workers, growth_share=GROWTH_SHARE, growth_mib=GROWTH_MIB,
                 rests_share=RESTS_SHARE, messages=0):
        """Goes on for so long, and until so many messages are read: what a worker holds follows from those."""
        self._minutes = minutes
        self._messages = messages
        self._workers = workers
        self._growth_share = growth_share
        self._growth_mib = growth_mib
        self._rests_share = rests_share
        self.samples = {}
        self.lines = []
        self.wrong = []
        self.inexact = []

    def run(self):
        with Kafka() as broker, Postgres() as server:
            broker.create_topic(TOPIC, PARTITIONS, {"retention.ms": "-1"})
            broker.create_topic(f"{TOPIC}.dlq", 1)
            database = server.new_database()
            settings = {"brokers": broker.brokers, "topic": TOPIC, "database": database.dsn}
            run("migrate", settings=settings, check=True)
            with Pool(settings, self._workers) as pool:
                self._load(pool, Load(broker.brokers), database)
            database.close()
        self._judge_growth()
        return self

    def _load(self, pool, load, database):
        pids = pool.wait_for_workers(self._workers)
        load.send_chunk()
        wait_until(lambda: database.rows(WARM) == [(self._workers, True)], 120, "every worker stores and publishes",
                   on_timeout=pool.log_tail)
        begun = time.monotonic()
        read = 0
        rested = 0
        while time.monotonic() < begun + self._minutes * 60 or read < self._messages:
            assert time.monotonic() < begun + self._minutes * 60 + GIVE_UP_S, f"{read:,} messages are read\n{pool.log_tail()}"
            read = sum(check.cursors(database, TOPIC).values())
            rested += load.sent - read < LOW
            while load.sent - read < BACKLOG:
                load.send_chunk()
            time.sleep(SAMPLE_S)  # the rhythm of the samples; nothing is waited for
            self._sample("supervisor", pool.pid)
            for number, pid in enumerate(pids):
                self._sample(f"worker {number}", pid)
        took_s = time.monotonic() - begun
        self.lines.append(f"{read:,} messages in {took_s:.0f} s: {read / took_s:,.0f} a second; "
                          f"the backlog ran low {rested} times")
        if rested > self._rests_share * len(self.samples["supervisor"]):
            self.wrong.append("that was no full load")
        self._check_end(pool, load, database, pids)

    def _sample(self, name, pid):
        self.samples.setdefault(name, []).append(look_at(pid))

    def _check_end(self, pool, load, database, pids):
        wait_until(lambda: sum(check.cursors(database, TOPIC).values()) >= load.sent, DRAIN_TIMEOUT_S,
                   "the backlog is read", on_timeout=pool.log_tail)
        if pool.worker_pids() != pids:
            self.wrong.append(f"a worker was started anew\n{pool.log_tail()}")
        stored = database.value("SELECT count(*) FROM winnow.event")
        dead = database.value("SELECT count(*) FROM winnow.dead_letter")
        self.lines.append(f"stored {stored:,} of {load.unique:,}, dead letters {dead:,} of {load.poison:,}, "
                          f"sent {load.sent:,}")
        if (stored, dead) != (load.unique, load.poison) or not check.is_complete(database):
            self.inexact.append("the account is not exact")
        self.inexact += check.invariant_violations(database)
        self.wrong += self.inexact

    def _judge_growth(self):
        for name, samples in self.samples.items():
            memory, files = curve(samples, 0), curve(samples, 2)
            # Heaps find their size in the first minutes.
            before, after, files_before, files_after = memory[2], memory[-1], files[2], files[-1]
            limit = max(before * self._growth_share, self._growth_mib)
            self.lines.append(f"{name:<12} memory {' '.join(f'{least:.1f}' for least in memory)} MiB by fifths of the time "
                              f"(from the third to the last it may grow {limit:.1f}), peak {samples[-1][1]:.1f}, "
                              f"files {files_before:.0f} -> {files_after:.0f}")
            if after - before > limit:
                self.wrong.append(f"{name}'s memory grows")
            if files_after - files_before > FILES_GROWTH:
                self.wrong.append(f"{name}'s open files grow")

    def text(self):
        verdict = "; ".join(self.wrong) if self.wrong else "flat, exact"
        return "\n".join([*self.lines, f"verdict: {verdict}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    soak = Soak(arguments.minutes, arguments.workers).run()
    print(soak.text())
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
