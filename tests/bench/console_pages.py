"""First part of make bench-console: how long the console's pages and totals take at many stored rows.

Environment: ROWS (10000000), ROUNDS (20), SEED (1), SPREAD ("hours": the events of three hours, a thousand a second, as the
workload "live" has them; "days": the same events over 60 days, so that nearly each has a roll-up of its own), KEPT (an absolute
path: a data directory of PostgreSQL to make there, or to use again, with a filled database for each SPREAD and ROWS), and ASK (a
regular expression: only the questions whose name, such as "totals: by hour", it is found in, and no export).

PostgreSQL is filled by SQL: 200 clients, the busiest with a seventh of the events and the least with one in a thousand, eight
metrics, times within 30 s of the order of arrival. Each question is asked ROUNDS times, on a connection that stays open, in turn
with all others; names, times and amounts are drawn anew for each. Then everything is exported. Writes
build/bench-console-SPREAD.json; ends with 1 when an answer was no 200."""

import hashlib
import json
import os
import random
import re
import statistics
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import servers  # pylint: disable=wrong-import-position
from measure import peak_memory_mib  # pylint: disable=wrong-import-position

from winnow_test import pool                   # pylint: disable=wrong-import-position
from winnow_test.console import Console        # pylint: disable=wrong-import-position
from winnow_test.postgres import Database, Postgres  # pylint: disable=wrong-import-position
from winnow_test.process import ROOT           # pylint: disable=wrong-import-position

SPREADS = {"hours": timedelta(milliseconds=1), "days": None}  # between two events; None: 60 days for all
CLIENTS = 200
METRICS = ("sale", "purchase", "refund", "page_view", "signup", "login", "click", "transfer")
PORTION = 1000000
GOAL_MS = 50
GOAL_MIB = 64

FILL = """
INSERT INTO winnow.event (bucket, event_time, ingested_at, origin_offset, event_hash, origin_partition, stream_id,
    client_id, metric, amount)
SELECT date_trunc('day', t), t, i, n / 8, md5(n::text)::uuid, n %% 8, 1,
    CASE WHEN n %% 200000 = 100000 THEN 'client_rare'
         ELSE 'client_' || lpad(least(199, floor(200 * u * u * u))::int::text, 3, '0') END,
    (%(metrics)s::text[])[1 + (v * 8)::int %% 8], trim_scale(((n * 7919) %% 1000007)::numeric / 100)
FROM (SELECT n, random() AS u, random() AS v, i,
        date_trunc('milliseconds', i - random() * interval '30 s') AS t
    FROM (SELECT n, %(end)s::timestamptz - (%(rows)s - n) * %(step)s::interval AS i
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS arrived) AS drawn"""
KEEP_DAYS = "SELECT winnow.keep_days('10 s', '1 hour')"
# A pool of four workers writes four shards, hour after hour. The last day is one to which something is added all the time:
# but for its last hour it is kept added up, all others whole.
ROLLUPS = (
    "INSERT INTO winnow.rollup_hour SELECT date_bin('1 hour', event_time, 'epoch'), client_id, metric, 1, "
    "origin_partition / 2, count(*), sum(amount) FROM winnow.event GROUP BY 1, 2, 3, 5 ORDER BY 1",
    "INSERT INTO winnow.rollup_client SELECT client_id, 1, shard, sum(event_count), sum(amount_sum) "
    "FROM winnow.rollup_hour GROUP BY 1, 3",
    "INSERT INTO winnow.rollup_metric SELECT metric, 1, shard, sum(event_count), sum(amount_sum) "
    "FROM winnow.rollup_hour GROUP BY 1, 3",
    "INSERT INTO winnow.rollup_day SELECT date_bin('1 day', bucket, 'epoch'), 1, shard, sum(event_count), sum(amount_sum), "
    "'-infinity' FROM winnow.rollup_hour GROUP BY 1, 3",
    "UPDATE winnow.rollup_day SET updated_at = 'infinity' WHERE day = (SELECT max(day) FROM winnow.rollup_day)",
    KEEP_DAYS,
    "VACUUM ANALYZE",
    "SELECT winnow.mend_summaries()",
    "CHECKPOINT")


def fill(database, rows, step):
    end = datetime.now(timezone.utc)
    database.run("SELECT setseed(0.5)")
    database.run("SELECT winnow.ensure_event_month((now() - make_interval(months => m))::date) "
                 "FROM generate_series(0, 3) AS m")
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', 'events', 'c')")
    for first in range(0, rows, PORTION):
        database.run(FILL, {"metrics": list(METRICS), "end": end, "rows": rows, "step": step, "first": first,
                            "last": min(first + PORTION, rows) - 1})
    for statement in ROLLUPS:
        database.run(statement)


class Load:
    """What was stored, up to `end`, and questions about it."""

    def __init__(self, rows, step, seed, end):
        self.rows, self.step, self.end = rows, step, end
        self.begin = end - rows * step
        self._random = random.Random(seed)

    def client(self):
        return f"client_{self._random.randrange(CLIENTS):03d}"

    def metric(self):
        return self._random.choice(METRICS)

    def hash(self):
        """Of a stored event."""
        return str(uuid.UUID(hashlib.md5(str(self._random.randrange(self.rows)).encode()).hexdigest()))

    def cursor(self):
        """Of some page: one that leads somewhere deep into the list."""
        return f"{int(self.moment().timestamp() * 1000000)}_{self._random.getrandbits(128):032x}"

    def moment(self):
        return self.begin + self._random.random() * (self.end - self.begin)

    def day_range(self):
        """A tenth of the time."""
        begin = self.begin + self._random.random() * 0.9 * (self.end - self.begin)
        return {"from": _text(begin), "to": _text(begin + 0.1 * (self.end - self.begin))}

    def half_range(self):
        begin = self.begin + self._random.random() * 0.5 * (self.end - self.begin)
        return {"from": _text(begin), "to": _text(begin + 0.5 * (self.end - self.begin))}

    def amounts(self, share):
        width = 10000 * share
        low = self._random.random() * (10000 - width)
        return {"amount_min": f"{low:.2f}", "amount_max": f"{low + width:.2f}"}


def _text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


PAGES = {
    "the newest": lambda load: {},
    "1,000 of the newest": lambda load: {"limit": 1000},
    "of a client": lambda load: {"client": load.client()},
    "of a metric": lambda load: {"metric": load.metric()},
    "of a client and a metric": lambda load: {"client": load.client(), "metric": load.metric()},
    "before a time": lambda load: {"to": _text(load.moment())},
    "of a client before a time": lambda load: {"client": load.client(), "to": _text(load.moment())},
    "of a client in a tenth of the time": lambda load: {"client": load.client(), **load.day_range()},
    "of a client with 50 events": lambda load: {"client": "client_rare"},
    "of an unknown client": lambda load: {"client": "nobody"},
    "with a text in 10 names": lambda load: {"q": load.client()[1:-1].upper()},
    "with a text in one name": lambda load: {"q": load.client()[3:]},
    "with an amount in 1 %": lambda load: load.amounts(0.01),
    "of a client, with an amount in 10 %": lambda load: {"client": load.client(), **load.amounts(0.1)},
    "with an amount in 0.1 %": lambda load: load.amounts(0.001),
}
PAGES |= {
    "by the hash": lambda load: {"hash": load.hash()},
    "by an unknown hash": lambda load: {"hash": "00000000-0000-0000-0000-000000000001"},
    "deep in the list": lambda load: {"cursor": load.cursor()},
    "deep in the list of a metric": lambda load: {"metric": load.metric(), "cursor": load.cursor()},
}
TOTALS = {
    "all": lambda load: {},
    "by client": lambda load: {"by": "client"},
    "by metric": lambda load: {"by": "metric"},
    "by hour": lambda load: {"by": "hour"},
    "by day and metric": lambda load: {"by": "day,metric"},
    "by client and metric": lambda load: {"by": "client,metric"},
    "by hour, of a client": lambda load: {"by": "hour", "client": load.client()},
    "by hour, a tenth of the time": lambda load: {"by": "hour", **load.day_range()},
    "by hour, of a metric": lambda load: {"by": "hour", "metric": load.metric()},
    "by hour and metric": lambda load: {"by": "hour,metric"},
    "by hour, of a client and a metric": lambda load: {"by": "hour", "client": load.client(), "metric": load.metric()},
    "by day": lambda load: {"by": "day"},
    "by day and metric, of a client": lambda load: {"by": "day,metric", "client": load.client()},
    "by day, with a text in 10 names": lambda load: {"by": "day", "q": load.client()[1:-1].upper()},
    "by client, of a metric": lambda load: {"by": "client", "metric": load.metric()},
    "by client, a tenth of the time": lambda load: {"by": "client", **load.day_range()},
    "by client, half of the time": lambda load: {"by": "client", **load.half_range()},
    "by client and metric, half of the time": lambda load: {"by": "client,metric", **load.half_range()},
}
# Many groups, of which a page shows the first 1,000: these are told, and have no goal.
TOTALS_OF_MANY = {
    "by day and client": lambda load: {"by": "day,client"},
    "by hour and client": lambda load: {"by": "hour,client"},
}


def _ask(connection, path, parameters):
    """(milliseconds, answer)."""
    begun = time.perf_counter()
    connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
    response = connection.getresponse()
    body = response.read()
    took = (time.perf_counter() - begun) * 1000
    return took, json.loads(body) if response.status == 200 else (response.status, body[:300])


def _questions(load, wanted):
    for kind, path, questions in (("pages", "events", PAGES), ("totals", "aggregates", TOTALS),
                                  ("many groups", "aggregates", TOTALS_OF_MANY)):
        for name, parameters in questions.items():
            if wanted.search(f"{kind}: {name}"):
                yield kind, name, path, parameters(load)


def ask_all(console, load, rounds, wanted):
    """{(kind, name): [ms]}, and the answers that were none. The page behind each page is asked for too."""
    times, wrong = {}, []
    connection = console.connect()
    for turn in range(rounds + 1):
        for kind, name, path, parameters in _questions(load, wanted):
            took, answer = _ask(connection, path, parameters)
            if isinstance(answer, tuple):
                wrong.append(f"{path} {parameters}: {answer}")
                continue
            asked = [took]
            if answer.get("next_cursor"):
                asked.append(_ask(connection, path, {**parameters, "cursor": answer["next_cursor"]})[0])
            if turn > 0:  # the first one warms up
                times.setdefault((kind, name), []).extend(asked)
    return times, wrong


def _quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(times):
    print(f"\n{'':44} {'median':>9} {'p99':>9} {'most':>9}  ms")
    summary = {}
    for kind in ("pages", "totals", "many groups"):
        everything = [value for (of_kind, _), values in times.items() if of_kind == kind for value in values]
        if not everything:
            continue
        for name, values in [*((name, values) for (of_kind, name), values in times.items() if of_kind == kind),
                             ("all of these", everything)]:
            row = [statistics.median(values), _quantile(values, 0.99), max(values)]
            summary[f"{kind}: {name}"] = [round(value, 1) for value in row]
            print(f"{kind + ': ' + name:44} {row[0]:9.1f} {row[1]:9.1f} {row[2]:9.1f}")
    return summary


def print_goals(summary, memory_mib):
    """The slowest page and the slowest total, and the memory of the process, against what is wanted."""
    figures = {name: row[1] for name, row in summary.items() if not name.endswith("all of these")}
    slowest = [max((value, name) for name, value in figures.items() if name.startswith(kind))
               for kind in ("pages", "totals") if f"{kind}: all of these" in summary]
    print(f"\n{'':60} {'goal':>7} {'measured':>9}")
    for name, goal, value in (*((f"slowest p99, {name}, ms", GOAL_MS, value) for value, name in slowest),
                              ("console's memory, MiB", GOAL_MIB, memory_mib)):
        print(f"{name:60} {'≤ ' + str(goal):>7} {value:9.1f}  {'' if value <= goal else 'MISSED'}")


def export(console, rows):
    """Everything as CSV: (seconds, lines)."""
    begun, lines = time.monotonic(), 0
    connection = console.connect(600)
    connection.request("GET", "/api/v1/events?format=csv")
    response = connection.getresponse()
    while part := response.read(1 << 20):
        lines += part.count(b"\n")
    seconds = time.monotonic() - begun
    print(f"export of {lines - 1:,} rows as CSV: {seconds:.1f} s, {(lines - 1) / seconds:,.0f} rows/s, console's memory "
          f"{peak_memory_mib(console.process.pid):.1f} MiB at most" + ("" if lines == rows + 1 else "  WRONG"))
    return {"seconds": round(seconds, 1), "lines": lines, "peak_memory_mib": peak_memory_mib(console.process.pid)}


def filled_database(server, name, rows, step):
    """(database, the end of what is stored in it), filled unless that was done before."""
    with Database(server, "postgres") as admin:
        if not admin.value("SELECT count(*) FROM pg_database WHERE datname = %s", (name,)):
            admin.run("DROP DATABASE IF EXISTS half_filled")
            database = server.new_database("half_filled")
            pool.run("migrate", settings={"database": database.dsn}, check=True)
            fill(database, rows, step)
            database.close()
            admin.run(f"ALTER DATABASE half_filled RENAME TO {name}")
    database = Database(server, name)
    pool.run("migrate", settings={"database": database.dsn}, check=True)
    database.run(KEEP_DAYS)
    return database, database.value("SELECT max(ingested_at) FROM winnow.event") + step


def main():
    rows, rounds, seed = (int(os.environ.get(name) or fallback) for name, fallback in (
        ("ROWS", 10000000), ("ROUNDS", 60), ("SEED", 1)))
    spread = os.environ.get("SPREAD") or "hours"
    step = SPREADS[spread] or timedelta(days=60) / rows
    kept = Path(os.environ["KEPT"]) if os.environ.get("KEPT") else None
    wanted = os.environ.get("ASK") or ""
    exported = None
    with Postgres({**servers.POSTGRES_SETTINGS, "fsync": "off", "max_wal_size": "8GB"}, kept) as server:
        database, end = filled_database(server, f"{spread}_{rows}", rows, step)
        load = Load(rows, step, seed, end)
        print(f"{rows:,} rows over {load.end - load.begin}, "
              f"{database.value('SELECT count(*) FROM winnow.rollup_hour'):,} roll-ups by the hour, index "
              f"{float(database.value(INDEX_SIZE)) / 1e6:.1f} MB", flush=True)
        settings = {"brokers": "127.0.0.1:1", "topic": "events", "group": "winnow", "database": database.dsn}
        with Console(settings) as console:
            times, wrong = ask_all(console, load, rounds, re.compile(wanted))
            summary = report(times)
            if not wanted:
                exported = export(console, rows)
            print_goals(summary, peak_memory_mib(console.process.pid))
    path = ROOT / "build" / f"bench-console-{spread}{'-part' if wanted else ''}.json"
    path.write_text(json.dumps({"rows": rows, "spread": spread, "ms": summary, "export": exported, "wrong": wrong},
                               indent=1) + "\n", encoding="utf-8")
    print(f"\n{path.relative_to(ROOT)} has all of it." + (f" {len(wrong)} answers are WRONG: {wrong[0]}" if wrong else ""))
    return 1 if wrong or exported and exported["lines"] != rows + 1 else 0


INDEX_SIZE = ("SELECT sum(pg_relation_size(inhrelid)) FROM pg_inherits "
              "WHERE inhparent IN ('winnow.event_by_time'::regclass, 'winnow.event_by_name'::regclass)")

if __name__ == "__main__":
    sys.exit(main())
