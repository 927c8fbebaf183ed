"""make bench-growth: what becomes of winnow's speed, and of the views, as the rows it has stored grow.

Environment: ROWS (50000000), BACKLOG (1000000 events), PACE (20000 events a second), WORKERS (2), REPEAT (3), SEED (1),
BENCH_… as in bench.py, and POSTGRES ("shared_buffers=6GB max_wal_size=16GB") for a server of another size than that of bench.py.

One stream of the workload "live" is sent in portions to one topic and stored by a pool, up to each of the measuring
points: 1 million rows, 10 million, and ROWS. There the pool is stopped; a backlog is sent, and a pool started that stores
it, REPEAT times; then PACE events a second are sent for ten seconds, and timed from append to commit; then the views are
asked while nothing else happens. Kafka deletes what was read long ago.

Writes build/bench-growth.json. Ends with 1 when anything was lost, doubled or invented, whatever the goals say."""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import growth_report  # pylint: disable=wrong-import-position
import growth_views   # pylint: disable=wrong-import-position
import paced          # pylint: disable=wrong-import-position
import runs           # pylint: disable=wrong-import-position
import servers        # pylint: disable=wrong-import-position

from measure import CpuClock                 # pylint: disable=wrong-import-position
from winnow_test import check                # pylint: disable=wrong-import-position
from winnow_test.pool import Pool            # pylint: disable=wrong-import-position
from winnow_test.process import ROOT, make_directory, remove_directory  # pylint: disable=wrong-import-position

WORKLOAD = "live"
FIRST_POINTS = (1000000, 10000000)
PORTION = 1000000           # events sent at once
STORED_SHARE = 0.95         # of the workload's events; the others are duplicates
COMMIT_TIMES = {"track_commit_timestamp": "on", "track_wal_io_timing": "on"}
PACE_S, PACE_WARMUP_S = 10, 3
DISK_BYTES_PER_ROW = 300    # table and key, with room for the half-empty pages of the key
DISK_BYTES_BESIDES = 12 << 30   # write-ahead log, and what Kafka has not deleted yet
# Per partition. A portion and a backlog are a small part of it: nothing unread is ever deleted.
TOPIC_SETTINGS = {**paced.APPEND_TIME, "segment.bytes": str(32 << 20), "retention.bytes": str(256 << 20)}


class Stream:
    """One topic, one group, one database; how much of the workload was sent so far."""

    def __init__(self, server, broker, database, seed):
        self.server, self.broker, self.database, self._seed = server, broker, database, seed
        self.configuration = {"brokers": broker.brokers, "topic": "growth", "group": "growth", "database": database.dsn,
                              **runs.worker_settings()}
        self.sent = {"events": 0, "new": 0, "repeated": 0}
        servers.make_topic(broker, "growth", TOPIC_SETTINGS)

    def send(self, events):
        """The next events of the stream, a multiple of the partitions."""
        events -= events % servers.PARTITIONS
        done = servers.produce(self.broker, "growth", WORKLOAD, events, self._seed, self.sent["events"])
        self.sent["events"] += events
        for name in ("new", "repeated"):
            self.sent[name] += done[name]

    def pace(self, load, path):
        """The next events at the load's rate; their appends go to the file."""
        done = paced.offer(self.broker, "growth", load, path, self._seed, self.sent["events"])
        for name in ("new", "repeated"):
            self.sent[name] += done[name]
            self.sent["events"] += done[name]

    def grow(self, rows, workers):
        """Until that many rows are stored, by a pool that reads a portion while the next is sent. Returns the rate, or
        None when they were stored already."""
        begun, had = time.monotonic(), self.sent["events"]
        if rows - self.sent["new"] < servers.PARTITIONS:
            return None
        with Pool(self.configuration, workers) as pool:
            while rows - self.sent["new"] >= servers.PARTITIONS:
                before = self.sent["events"]
                missing = int((rows - self.sent["new"]) / STORED_SHARE)
                self.send(max(servers.PARTITIONS, min(PORTION, missing)))
                runs.wait_for_end(self.database, before, pool)
            runs.wait_for_end(self.database, self.sent["events"], pool)
        return round((self.sent["events"] - had) / (time.monotonic() - begun))

    def account_errors(self):
        """Lines about what the database counts otherwise than it was sent."""
        names = ("received", "stored", "duplicate", "dead", "gap", "lost")
        sums = ", ".join(f"sum({name})::bigint" for name in names)
        counted = dict(zip(names, self.database.rows(f"SELECT {sums} FROM winnow.batch_log")[0]))
        wanted = {"received": self.sent["events"], "stored": self.sent["new"], "duplicate": self.sent["repeated"],
                  "dead": 0, "gap": 0, "lost": 0}
        wrong = [f"{name} {counted[name]}, sent {count}" for name, count in wanted.items() if counted[name] != count]
        return wrong if check.is_complete(self.database) else [*wrong, "the completeness verdict is not true"]


def _written(database):
    """Position in the write-ahead log, in bytes, and how many images of whole pages it was given."""
    return database.rows("SELECT pg_current_wal_insert_lsn() - '0/0', wal_fpi FROM pg_stat_wal")[0]


def run_backlog(stream, events, workers):
    """Stores a backlog that is there when the pool starts; the rate from the first statement to the last offset."""
    stream.send(events)
    database = stream.database
    begin_bytes, begin_pages = _written(database)
    own, mark = database.rows("SELECT pg_backend_pid(), clock_timestamp()")[0]
    clock = CpuClock({"postgres": servers.postmaster(stream.server), "kafka": stream.broker.pid}, {"postgres": [own]})
    with Pool(stream.configuration, workers) as pool:
        clock.add("winnow", pool.pid)
        end = runs.wait_for_end(database, stream.sent["events"], pool)
        cpu = clock.read()
    end_bytes, end_pages = _written(database)
    first, batches = database.rows("SELECT min(committed_at), count(DISTINCT xmin::text) FROM winnow.batch_log "
                                   "WHERE committed_at > %s", (mark,))[0]
    return {
        "events_per_s": round(events / (end - first).total_seconds()),
        "cpu_us_per_event": {name: runs.per_event(cpu[name], events) for name in ("winnow", "postgres", "kafka")},
        "others_cores": cpu["others_cores"], "batches": batches,
        "wal_bytes_per_event": round(float(end_bytes - begin_bytes) / events),
        "page_images_per_event": round(float(end_pages - begin_pages) / events, 3),
        "wrong": [] if pool.exit_code == 0 else [f"the pool ended with {pool.exit_code}"],
    }


def run_load(stream, rate, workers):
    """Latency under a load that does not wait, behind a warm-up, with the key at its size."""
    load = paced.Load(WORKLOAD, rate, PACE_S, PACE_WARMUP_S)
    directory = make_directory("growth")
    begun = stream.database.value("SELECT clock_timestamp()")
    try:
        with Pool(stream.configuration, workers) as pool:
            paced.wait_until_shared_out(stream.database, pool, begun)
            before = paced.flushes(stream.database)
            stream.pace(load, directory / "appends")
            runs.wait_for_end(stream.database, stream.sent["events"], pool)
        after = paced.flushes(stream.database)
        flush_ms = (after[1] - before[1]) / max(1, after[0] - before[0])
        return paced.latencies(stream.database, directory / "appends", load.warmup_s, flush_ms)["latency_ms"]
    finally:
        remove_directory(directory)


def measure_point(stream, rows, settings):
    """Grows to the point and measures there."""
    grown = stream.grow(rows, settings["workers"])
    backlogs = [run_backlog(stream, settings["backlog"], settings["workers"]) for _ in range(settings["repeat"])]
    latency_ms = run_load(stream, settings["pace"], settings["workers"])
    wrong = [line for backlog in backlogs for line in backlog["wrong"]] + stream.account_errors()
    point = {"rows": rows, "grown_events_per_s": grown, "backlogs": backlogs, "latency_ms": latency_ms, **growth_report.medians(backlogs),
             **growth_views.sizes(stream.database), "rows_stored": stream.sent["new"]}
    growth_views.wait_until_quiet(stream.database)
    point["views_ms"] = growth_views.times(stream.database, stream.configuration)
    point["wrong"] = wrong
    growth_report.print_point(point)
    return point


def _read_settings():
    names = {"rows": 50000000, "backlog": 1000000, "pace": 20000, "workers": 2, "repeat": 3, "seed": 1}
    settings = {name: int(os.environ.get(name.upper()) or fallback) for name, fallback in names.items()}
    settings["points"] = [*(rows for rows in FIRST_POINTS if rows < settings["rows"]), settings["rows"]]
    settings["postgres"] = dict(pair.split("=", 1) for pair in (os.environ.get("POSTGRES") or "").split())
    return settings


def _demand_disk(rows):
    wanted = rows * DISK_BYTES_PER_ROW + DISK_BYTES_BESIDES
    has = shutil.disk_usage(tempfile.gettempdir()).free
    if has < wanted:
        sys.exit(f"{rows:,} rows take up to {wanted >> 30} GiB in {tempfile.gettempdir()}, which has {has >> 30} left")


def _measure(settings):
    """Everything that goes to the file."""
    with servers.started({**COMMIT_TIMES, **settings["postgres"]}) as (server, broker), servers.fresh_database(server, "growth") as database:
        machine = servers.describe(server)
        growth_report.print_head(machine, settings)
        stream = Stream(server, broker, database, settings["seed"])
        points = [measure_point(stream, rows, settings) for rows in settings["points"]]
        wrong = check.invariant_violations(database)
    return {"machine": machine, "settings": {**settings, **runs.worker_settings()}, "points": points,
            "goals": growth_report.goals(points), "invariant_violations": wrong}


def main():
    settings = _read_settings()
    _demand_disk(settings["rows"])
    result = _measure(settings)
    growth_report.print_goals(result["goals"])
    path = ROOT / "build" / "bench-growth.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    wrong = [line for point in result["points"] for line in point["wrong"]] + result["invariant_violations"]
    print(f"\n{path.relative_to(ROOT)} has all of it. " + (f"{len(wrong)} things are WRONG" if wrong else
          "Every message is accounted for, and a recount of all rows finds nothing else."))
    for line in result["invariant_violations"][:20]:
        print(f"  WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
