"""make bench: how fast winnow is, beside what PostgreSQL itself can take of the same rows.

Environment: EVENTS (1000000), WORKLOAD ("live backfill resend loose", each also with -scattered behind it, which sends
events again to any partition), WORKERS ("1 2 4 8"), REPEAT (3), SEED (1), and WINNOW_… for the workers' settings with
BENCH_ before it (BENCH_BATCH_ROWS=2000). Each workload's topic is made once; each run has a group and a database of its
own. First every number of workers once; then the best one until there are REPEAT of it, both COPYs behind each.

Writes build/bench.json. Ends with 1 when a run lost, doubled or invented anything."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import report   # pylint: disable=wrong-import-position
import runs     # pylint: disable=wrong-import-position
import servers  # pylint: disable=wrong-import-position

from winnow_test.process import ROOT  # pylint: disable=wrong-import-position


def _setting(name, fallback):
    return os.environ.get(name) or fallback


def _measure(stage, worker_counts, repeat):
    """All runs of a workload, and the summary; each run is printed as it ends."""
    done = []

    def keep(run):
        done.append(run)
        report.print_run(run)
        return run

    settings = runs.worker_settings()
    swept = [keep(runs.run_winnow(stage, workers, settings)) for workers in worker_counts]
    best = max(swept, key=lambda run: run["events_per_s"])
    repeated, copies = [best], {order: [keep(runs.run_copy(stage, order))] for order in runs.COPY_ORDERS}
    while len(repeated) < repeat:
        repeated.append(keep(runs.run_winnow(stage, best["workers"], settings)))
        for order, kept in copies.items():
            kept.append(keep(runs.run_copy(stage, order)))
    return done, report.summarize(stage.workload, repeated, copies)


def main():
    events, seed, repeat = (int(_setting(*pair)) for pair in (("EVENTS", 1000000), ("SEED", 1), ("REPEAT", 3)))
    worker_counts = list(map(int, _setting("WORKERS", "1 2 4 8").split()))
    all_runs, summaries = [], []
    with servers.started() as (server, broker):
        machine = servers.describe(server)
        report.print_machine(machine)
        print(f"{events:,} events in {servers.PARTITIONS} partitions, lz4, SEED={seed}")
        report.print_head()
        for workload in _setting("WORKLOAD", "live backfill resend loose").split():
            stage = runs.Stage(server, broker, workload, events, seed)
            done, summary = _measure(stage, worker_counts, repeat)
            all_runs += done
            summaries.append(summary)
            stage.close()
    report.print_summary(summaries)
    result = {"machine": machine, "events": events, "seed": seed, "settings": runs.worker_settings(), "runs": all_runs,
              "summaries": summaries}
    path = ROOT / "build" / "bench.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    wrong = sum(len(run["wrong"]) for run in all_runs)
    print(f"\n{path.relative_to(ROOT)} has all of it. " + (f"{wrong} things are WRONG" if wrong else
          "Every run accounts for every message."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
