"""A pool with nothing to do: what it costs, and how soon it has stored something after it was started."""

import time

from winnow_test.pool import Pool
from winnow_test.process import children_of

import runs
import servers
from measure import CpuClock, scheduled_s

SETTLE_S = 3
# The product's own: the tests' time savers are taken back.
GROUP = {"session.timeout.ms": "10000", "heartbeat.interval.ms": "1000"}


def _configuration(stage, database, name):
    return {"brokers": stage.broker.brokers, "topic": stage.topic, "group": name, "database": database.dsn}


def cost(stage, workers, seconds):
    """What a pool that has read its topic to the end uses then, in per cent of one core."""
    name = "idle"
    with servers.fresh_database(stage.server, name) as database, \
            Pool(_configuration(stage, database, name), workers, GROUP) as pool:
        runs.wait_for_end(database, stage.events, pool)
        time.sleep(SETTLE_S)
        pids = [pool.pid, *children_of(pool.pid)]
        clock = CpuClock({"postgres": servers.postmaster(stage.server), "kafka": stage.broker.pid})
        before, begun = [scheduled_s(pid) for pid in pids], time.monotonic()
        time.sleep(seconds)
        taken = time.monotonic() - begun
        used = [scheduled_s(pid) - begin for pid, begin in zip(pids, before)]
        servers_used = clock.read()
        wrong = runs.judge(stage, database, runs.account_of(database))
    percent = {name: round(100 * servers_used[name] / taken, 2) for name in ("postgres", "kafka")}
    return {"percent": round(100 * sum(used) / taken, 2), "processes": [round(100 * s / taken, 2) for s in used],
            "servers_percent": percent, "wrong": wrong}


def start(stage, workers, number):
    """Seconds from the start of a pool to its first commit, in a group and a database that are new."""
    name = f"start{number}"
    with servers.fresh_database(stage.server, name) as database:
        begun = time.time()
        with Pool(_configuration(stage, database, name), workers, GROUP) as pool:
            runs.wait_for_end(database, stage.events, pool)
        stored = database.value("SELECT extract(epoch FROM min(pg_xact_commit_timestamp(xmin)))::float8 FROM winnow.event")
        wrong = runs.judge(stage, database, runs.account_of(database))
        end = database.value("SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))::float8 FROM winnow.event")
    return {"first_s": round(stored - begun, 3), "last_s": round(end - begun, 3), "wrong": wrong}
