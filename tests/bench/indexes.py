"""make bench-indexes: what each index for people's filters costs the live rate.

Environment: EVENTS (1000000), WORKERS (3), REPEAT (3), SEED (1), SETS ("none time …": those of SETS below), BENCH_… as in
bench.py. The sets take turns, so that a slow minute of the machine hits all alike. CPU of PostgreSQL an event is the
steadier figure; the rate is what it costs.

Writes build/bench-indexes.json. Ends with 1 when a run lost, doubled or invented anything."""

import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import runs     # pylint: disable=wrong-import-position
import servers  # pylint: disable=wrong-import-position

from winnow_test.process import ROOT  # pylint: disable=wrong-import-position

# Those that the migrations make, and those that were not taken.
ON_EVENT = {
    "brin_time": "USING brin (event_time, ingested_at) WITH (pages_per_range = 32)",
    "brin_name": "USING brin (event_time, client_id text_bloom_ops (n_distinct_per_range = 100), "
                 "metric text_bloom_ops (n_distinct_per_range = 50), hashtextextended(client_id, "
                 "hashtextextended(metric, 0)) int8_bloom_ops (n_distinct_per_range = 200)) WITH (pages_per_range = 8)",
    "time": "(event_time, event_hash)",
    "client": '(client_id COLLATE "C", event_time)',
    "metric": '(metric COLLATE "C", event_time)',
    "amount": "(amount)",
}
SETS = {"none": (), "brin": ("brin_time", "brin_name"),
        **{name: (name,) for name in ON_EVENT if not name.startswith("brin")}}
# So that summarizing is part of the measured time.
SERVER = {"autovacuum_naptime": "1s"}


def _statements(names):
    yield "DROP INDEX winnow.event_by_time, winnow.event_by_name"
    yield from (f"CREATE INDEX event_{name}_bench ON winnow.event {ON_EVENT[name]}" for name in names)


def _run(stage, workers, names):
    def prepare(database):
        for statement in _statements(names):
            database.run(statement)
        return database.dsn
    return runs.run_winnow(stage, workers, runs.worker_settings(), prepare)


def _summary(done, base):
    rate = statistics.median(run["events_per_s"] for run in done)
    cpu = statistics.median(run["cpu_us_per_event"]["postgres"] for run in done)
    return {"events_per_s": round(rate), "postgres_us_per_event": round(cpu, 3),
            "rate_lost_percent": round(100 * (1 - rate / base[0]), 1) if base else 0.0,
            "cpu_more_percent": round(100 * (cpu / base[1] - 1), 1) if base else 0.0,
            "range": [min(run["events_per_s"] for run in done), max(run["events_per_s"] for run in done)]}


def _print_summaries(results):
    print(f"\n{'indexes':20} {'events/s':>9} {'range':>19} {'less':>7} {'µs PostgreSQL':>14} {'more':>7}")
    base, summaries = None, {}
    for name, done in results.items():
        summary = summaries[name] = _summary(done, base)
        base = base or (summary["events_per_s"], summary["postgres_us_per_event"])
        low, high = summary["range"]
        print(f"{name:20} {summary['events_per_s']:9,} {low:9,}-{high:9,} {summary['rate_lost_percent']:6}% "
              f"{summary['postgres_us_per_event']:14} {summary['cpu_more_percent']:6}%")
    return summaries


def main():
    events, workers, repeat, seed = (int(os.environ.get(name) or fallback) for name, fallback in (
        ("EVENTS", 1000000), ("WORKERS", 3), ("REPEAT", 3), ("SEED", 1)))
    wanted = (os.environ.get("SETS") or " ".join(SETS)).split()
    results = {name: [] for name in wanted}
    with servers.started(SERVER) as (server, broker):
        machine = servers.describe(server)
        stage = runs.Stage(server, broker, "live", events, seed)
        for _ in range(repeat):
            for name in wanted:
                results[name].append(_run(stage, workers, SETS[name]))
                print(f"{name:20} {results[name][-1]['events_per_s']:9,}", flush=True)
        stage.close()
    summaries = _print_summaries(results)
    path = ROOT / "build" / "bench-indexes.json"
    path.write_text(json.dumps({"machine": machine, "events": events, "seed": seed, "workers": workers,
                                "summaries": summaries, "runs": results}, indent=1) + "\n", encoding="utf-8")
    wrong = [line for done in results.values() for run in done for line in run["wrong"]]
    print(f"\n{path.relative_to(ROOT)} has all of it. " + (f"{len(wrong)} things are WRONG, the first: {wrong[0]}" if wrong else "Every message is accounted for."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
