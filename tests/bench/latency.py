"""make bench-latency: how long an event takes, and what a pool costs that has nothing to do.

First the rate with a backlog, the second of two runs. Then loads that do not wait for the pool: from the time at which
Kafka appended a message to the commit that stored it. Then an idle pool of 4, the start of one, and the rate with a
network delay to PostgreSQL.

Environment: LOADS ("10 1000 20000 60%", messages a second or a part of that rate), WORKLOAD of them (live; in live-scattered
an event is sent again to any partition, so to another worker), SECONDS (30), WARMUP (5), WORKERS (2),
EVENTS (1000000, of runs with a backlog), IDLE_SECONDS (20), STARTS (5), REPEAT (3, with and without the delay), PARTS
("loads idle start delay"), and WINNOW_… with BENCH_ before it. Writes build/bench-latency.json. Ends with 1 when a run
lost, doubled or invented anything; a missed goal is only told."""

import json
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import delayed  # pylint: disable=wrong-import-position
import idle     # pylint: disable=wrong-import-position
import paced    # pylint: disable=wrong-import-position
import report   # pylint: disable=wrong-import-position
import runs     # pylint: disable=wrong-import-position
import servers  # pylint: disable=wrong-import-position

from winnow_test import kafka            # pylint: disable=wrong-import-position
from winnow_test.process import ROOT     # pylint: disable=wrong-import-position

POSTGRES = {"track_commit_timestamp": "on", "track_wal_io_timing": "on"}
IDLE_WORKERS = 4
IDLE_EVENTS = 8000
START_EVENTS = 8000
LOAD_LINE = "{:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>10} {:>7} {:>8} {:>6} {:>8} {:>6}"
LOAD_HEAD = ("offered/s", "sent/s", "p50", "p99", "p99.9", "max", "of it:", "waited", "waited", "rows/batch", "winnow",
             "postgres", "kafka", "producer", "others")
LOAD_UNITS = ("", "", "ms", "ms", "ms", "ms", "flush ms", "p50 ms", "p99 ms", "", "cores", "", "", "", "")

# What is measured → its bound, and whether it must not be more than that or not less.
GOALS = {
    "latency at 10/s, p99, ms": (30, "most"),
    "latency at 20000/s, p50, ms": (15, "most"),
    "latency at 20000/s, p99, ms": (80, "most"),
    "idle pool of 4, % of a core": (1, "most"),
    "start of a pool of 4 to its first commit, s": (1.5, "most"),
    "rate with 1 ms of delay to PostgreSQL, of that without": (0.85, "least"),
}


def _setting(name, fallback):
    return os.environ.get(name) or fallback


# ---- the parts; each returns (its result, measured figures by the names of their goals) ------------------------------

def _fastest(stage, workers):
    """The rate with a backlog: Kafka and PostgreSQL have just been started, the first run does not count."""
    done = [runs.run_winnow(stage, workers, runs.worker_settings()) for _ in range(2)]
    print(f"with a backlog of {stage.events:,} and {workers} workers: {done[1]['events_per_s']:,} events/s\n", flush=True)
    return done


def _print_load(run):
    latency, waited = run["latency_ms"], run["until_statement_ms"]
    print(LOAD_LINE.format(f"{run['rate']:,}", f"{run['sent_per_s']:,}", *latency.values(), run["flush_ms"], waited["p50"],
                           waited["p99"], run["rows_per_batch"], *(round(cores, 2) for cores in run["cores"].values()),
                           run["others_cores"]), flush=True)
    _print_wrong(run)


def _print_wrong(run):
    for line in run["wrong"]:
        print(f"  WRONG: {line}", flush=True)


def measure_loads(stage, workers):
    done = _fastest(stage, workers)
    workload, seconds, warmup_s = _setting("WORKLOAD", "live"), int(_setting("SECONDS", "30")), int(_setting("WARMUP", "5"))
    print(LOAD_LINE.format(*LOAD_HEAD))
    print(LOAD_LINE.format(*LOAD_UNITS), flush=True)
    figures, loads = {}, []
    for text in _setting("LOADS", "10 1000 20000 60%").split():
        rate = int(float(text[:-1]) / 100 * done[1]["events_per_s"]) if text.endswith("%") else int(text)
        load = paced.Load(workload, rate, seconds, warmup_s)
        run = paced.run(stage.server, stage.broker, load, workers, runs.worker_settings())
        _print_load(run)
        loads.append({"load": text, **run})
        for name in ("p50", "p99"):
            figures[f"latency at {text}/s, {name}, ms"] = run["latency_ms"][name]
    return {"backlog": done, "loads": loads, "wrong": _wrong_of(done + loads)}, figures


def measure_idle(stage, _workers):
    small = runs.Stage(stage.server, stage.broker, "live", IDLE_EVENTS, 1)
    seconds = int(_setting("IDLE_SECONDS", "20"))
    result = idle.cost(small, IDLE_WORKERS, seconds)
    small.close()
    each = ", ".join(map(str, result["processes"]))
    print(f"\nidle pool of {IDLE_WORKERS} for {seconds} s: {result['percent']} % of a core (its processes: {each}); PostgreSQL "
          f"{result['servers_percent']['postgres']} %, Kafka {result['servers_percent']['kafka']} %", flush=True)
    _print_wrong(result)
    return result, {"idle pool of 4, % of a core": result["percent"]}


def measure_start(stage, _workers):
    """On a Kafka of its own, whose group coordinator has been used before."""
    with kafka.Kafka({"group.initial.rebalance.delay.ms": 0}) as broker:
        small = runs.Stage(stage.server, broker, "live", START_EVENTS, 1)
        done = [idle.start(small, IDLE_WORKERS, number) for number in range(int(_setting("STARTS", "5")) + 1)][1:]
    median = statistics.median(run["first_s"] for run in done)
    print(f"\nstart of a pool of {IDLE_WORKERS}, group.initial.rebalance.delay.ms=0 (Kafka's default is 3000): first commit after "
          f"{median:.2f} s ({', '.join(str(run['first_s']) for run in done)}); all of {START_EVENTS:,} events after "
          f"{statistics.median(run['last_s'] for run in done):.2f} s", flush=True)
    result = {"runs": done, "median_s": median, "wrong": _wrong_of(done)}
    _print_wrong(result)
    return result, {"start of a pool of 4 to its first commit, s": median}


def measure_delay(stage, workers):
    print("\nthrough a relay to PostgreSQL, without a delay and with 1 ms in either direction")
    result = delayed.compare(stage, workers, int(_setting("REPEAT", "3")), runs.worker_settings(), keep=_print_delayed)
    print(f"medians {result['events_per_s']:,.0f} and {result['delayed_events_per_s']:,.0f} events/s", flush=True)
    return result, {"rate with 1 ms of delay to PostgreSQL, of that without": result["ratio"]}


def _print_delayed(run):
    print(f"  {run['delay_us']:>5} µs {run['events_per_s']:>9,} events/s {run['rows_per_batch']:>7,} rows/batch", flush=True)
    _print_wrong(run)


PARTS = {"loads": measure_loads, "idle": measure_idle, "start": measure_start, "delay": measure_delay}


# ---- all of it -----------------------------------------------------------------------------------------------------

def _wrong_of(done):
    return [line for run in done for line in run["wrong"]]


def _print_goals(figures):
    line = "{:<58} {:>9} {:>9}  {}"
    print("\n" + line.format("", "goal", "measured", ""))
    for name, (bound, sort) in GOALS.items():
        if name not in figures:
            continue
        reached = figures[name] <= bound if sort == "most" else figures[name] >= bound
        sign = "≤" if sort == "most" else "≥"
        print(line.format(name, f"{sign} {bound}", round(figures[name], 2), "" if reached else "MISSED"))


def _measure_all(stage, workers):
    results, figures = {}, {}
    for name in _setting("PARTS", " ".join(PARTS)).split():
        results[name], found = PARTS[name](stage, workers)
        figures |= found
    return results, figures


def main():
    workers = int(_setting("WORKERS", "2"))
    with servers.started(POSTGRES) as (server, broker):
        machine = servers.describe(server)
        report.print_machine(machine)
        stage = runs.Stage(server, broker, "live", int(_setting("EVENTS", "1000000")), 1)
        results, figures = _measure_all(stage, workers)
    _print_goals(figures)
    path = ROOT / "build" / "bench-latency.json"
    result = {"machine": machine, "workers": workers, "settings": runs.worker_settings(), "parts": results,
              "figures": figures, "goals": {name: {"bound": bound, "sort": sort} for name, (bound, sort) in GOALS.items()}}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    wrong = sum(len(part["wrong"]) for part in results.values())
    print(f"\n{path.relative_to(ROOT)} has all of it. " + (f"{wrong} things are WRONG" if wrong else
          "Every run accounts for every message."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
