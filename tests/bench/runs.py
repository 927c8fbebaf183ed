"""One run of winnow over a topic, and one of COPY: what each came to, as a dict."""

import itertools
import json
import os
import subprocess
import time

from winnow_test import check
from winnow_test.pool import Pool
from winnow_test.process import ROOT

import servers
from measure import CpuClock, peak_memory_mib

SAMPLE_S = 0.05
RUN_TIMEOUT_S = 300
COPY_CONNECTIONS = 2
COPY_ORDERS = ("arrival", "key")
COPY_ROWS = 20000  # as many as a worker's batch holds at most

_numbers = itertools.count(1)


class Stage:
    """Where runs happen: the servers, one topic and what is in it."""

    def __init__(self, server, broker, workload, events, seed):
        self.server = server
        self.broker = broker
        self.workload = workload
        self.events = events
        self.seed = seed
        self.topic = f"{workload}-{next(_numbers)}"
        self.sent = servers.fill_topic(broker, self.topic, workload, events, seed)

    def close(self):
        """Gives the disk back."""
        self.broker.delete_topic(self.topic)
        self.broker.delete_topic(f"{self.topic}.dlq")


def worker_settings():
    """What BENCH_… in the environment says about the workers' settings."""
    return {name[len("BENCH_"):].lower(): value for name, value in os.environ.items() if name.startswith("BENCH_")}


def per_event(seconds, events):
    """In microseconds."""
    return round(seconds * 1e6 / events, 3)


def wait_for_end(database, events, pool):
    """When, on the database's clock, the last offset was found to be processed."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while time.monotonic() < deadline:
        now, done = database.rows(
            "SELECT clock_timestamp(), coalesce(sum(next_offset), 0) FROM winnow.processing_log")[0]
        if done >= events:
            return now
        if not pool.is_running():
            break
        time.sleep(SAMPLE_S)
    raise AssertionError(f"winnow did not reach the end of the topic\n{pool.log_tail()}")


def _account(database):
    """Sums of the audit, and when the first statement began (its rows carry the time of its transaction)."""
    names = ("begin", "received", "stored", "duplicate", "dead", "batches")
    row = database.rows("SELECT min(committed_at), sum(received)::bigint, sum(stored)::bigint, sum(duplicate)::bigint, "
                        "sum(dead)::bigint, count(DISTINCT xmin::text) FROM winnow.batch_log")[0]
    return dict(zip(names, row))


def _judge(stage, database, account):
    """What is wrong, as lines; none when every message is accounted for exactly as it was made."""
    wrong = check.invariant_violations(database)
    wanted = {"received": stage.events, "stored": stage.sent["new"], "duplicate": stage.sent["repeated"],
              "dead": stage.sent["poison"]}
    wrong += [f"{name} {account[name]}, sent {count}" for name, count in wanted.items() if account[name] != count]
    if not check.is_complete(database):
        wrong.append("the completeness verdict is not true")
    return wrong


def run_winnow(stage, workers, settings=None):
    """From a fresh group and database to the end of the topic."""
    name = f"w{next(_numbers)}"
    with servers.fresh_database(stage.server, name) as database:
        own = database.value("SELECT pg_backend_pid()")
        roots = {"postgres": servers.postmaster(stage.server), "kafka": stage.broker.pid}
        clock = CpuClock(roots, {"postgres": [own]})  # the sampling is not winnow's
        configuration = {"brokers": stage.broker.brokers, "topic": stage.topic, "group": name,
                         "database": database.dsn, **(settings or {})}
        with Pool(configuration, workers) as pool:
            clock.add("winnow", pool.pid)
            end = wait_for_end(database, stage.events, pool)
            cpu = clock.read()
            memory = max(map(peak_memory_mib, pool.worker_pids()), default=0.0)
        account = _account(database)
        seconds = (end - account["begin"]).total_seconds()
        wrong = _judge(stage, database, account)
        if pool.exit_code != 0:
            wrong.append(f"the pool ended with {pool.exit_code}")
    return {
        "kind": "winnow", "workload": stage.workload, "workers": workers, "seconds": round(seconds, 3),
        "events_per_s": round(stage.events / seconds), "rows_per_s": round(account["stored"] / seconds),
        "cpu_us_per_event": {name: per_event(cpu[name], stage.events) for name in ("winnow", "postgres", "kafka")},
        "others_cores": cpu["others_cores"],
        "peak_memory_mib": round(memory, 1), "batches": account["batches"],
        "rows_per_batch": round(stage.events / account["batches"]), "wrong": wrong,
    }


def run_copy(stage, order):
    """The same canonical rows by COPY into the same table: what PostgreSQL can take, in the order of "arrival" or sorted
    by "key"."""
    with servers.fresh_database(stage.server, f"c{next(_numbers)}") as database:
        argv = [ROOT / "build/tests/bench/bench_copy", database.dsn, stage.workload, stage.events, stage.seed,
                servers.PARTITIONS, COPY_ROWS, COPY_CONNECTIONS, order]
        with subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loader:
            if loader.stdout.readline() != "ready\n":
                raise AssertionError("bench_copy could not begin; its message is above")
            clock = CpuClock({"postgres": servers.postmaster(stage.server), "loader": loader.pid})
            out, _ = loader.communicate("go\n", RUN_TIMEOUT_S)
            cpu = clock.read()
        done = json.loads(out)
        stored = database.value("SELECT count(*) FROM winnow.event")
        wrong = [] if stored == done["rows"] == stage.sent["new"] else [f"COPY stored {stored} of {stage.sent['new']}"]
    return {
        "kind": "copy", "order": order, "workload": stage.workload, "seconds": round(done["seconds"], 3),
        "rows_per_s": round(done["rows"] / done["seconds"]),
        "cpu_us_per_event": {"postgres": per_event(cpu["postgres"], done["rows"])}, "wrong": wrong,
    }
