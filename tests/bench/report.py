"""Runs as a table for people. All figures of a table are of one run of the benchmark."""

import statistics

HEAD = ("workload", "workers", "events/s", "rows/s", "winnow", "postgres", "kafka", "MiB", "batches", "rows/batch",
        "others")
FORMAT = "{:<10} {:>10} {:>10} {:>10} {:>8} {:>9} {:>7} {:>6} {:>8} {:>11} {:>7}"


def print_machine(machine):
    settings = " ".join(f"{name}={value}" for name, value in machine["postgresql_settings"].items())
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, load "
          f"{machine['load_at_begin']:.1f} at the beginning\n"
          f"winnow {machine['commit']}, librdkafka {machine['librdkafka']}, {machine['compiler']}\n"
          f"Apache Kafka {machine['kafka']}, PostgreSQL {machine['postgresql']}: {settings}\n")


def print_head():
    print(FORMAT.format("", "", "", "", "CPU", "µs an", "event", "peak of", "", "", "cores"))
    print(FORMAT.format(*HEAD), flush=True)


def print_run(run):
    """One line as soon as it is known."""
    cpu = run["cpu_us_per_event"]
    if run["kind"] == "copy":
        cells = (run["workload"], f"by {run['order']}", "COPY", f"{run['rows_per_s']:,}", "", cpu["postgres"], "", "", "", "", "")
    else:
        cells = (run["workload"], run["workers"], f"{run['events_per_s']:,}", f"{run['rows_per_s']:,}",
                 cpu["winnow"], cpu["postgres"], cpu["kafka"], run["peak_memory_mib"], run["batches"],
                 f"{run['rows_per_batch']:,}", run["others_cores"])
    print(FORMAT.format(*cells), flush=True)
    for line in run["wrong"]:
        print(f"  WRONG: {line}", flush=True)


def summarize(workload, runs, copies):
    """Medians of the repeated runs and their ratio to COPY: rows stored to rows stored, and events read to them."""
    def median(name, of):
        return statistics.median(run[name] for run in of)

    def cpu(name):
        return statistics.median(run["cpu_us_per_event"][name] for run in runs)

    def ceiling(of):
        rate = median("rows_per_s", of)
        return {"rows_per_s": rate, "range": _range("rows_per_s", of),
                "events_to_copy": round(median("events_per_s", runs) / rate, 3),
                "rows_to_copy": round(median("rows_per_s", runs) / rate, 3)}

    return {
        "workload": workload, "workers": runs[0]["workers"], "repetitions": len(runs),
        "events_per_s": median("events_per_s", runs), "rows_per_s": median("rows_per_s", runs),
        "events_per_s_range": _range("events_per_s", runs),
        "copy": {order: ceiling(of) for order, of in copies.items()},
        "cpu_us_per_event": {name: cpu(name) for name in ("winnow", "postgres", "kafka")},
        "peak_memory_mib": max(run["peak_memory_mib"] for run in runs),
    }


def _range(name, of):
    return [min(run[name] for run in of), max(run[name] for run in of)]


def print_summary(summaries):
    """The medians, with their ranges: what may be quoted."""
    print("\nMedians at the best number of workers, interleaved with COPY of the same canonical rows by 2 connections, in "
          "the order\nin which they arrive and sorted by key")
    line = "{:<10} {:>7} {:>4} {:>10} {:>18}" + 2 * " {:>12} {:>18} {:>7}"
    print(line.format("workload", "workers", "runs", "events/s", "(range)", "COPY arrival", "(range)", "ratio",
                      "COPY by key", "(range)", "ratio"))
    for summary in summaries:
        cells = [summary["workload"], summary["workers"], summary["repetitions"], f"{summary['events_per_s']:,.0f}",
                 "{:,}–{:,}".format(*summary["events_per_s_range"])]
        for copy in summary["copy"].values():
            cells += [f"{copy['rows_per_s']:,.0f}", "{:,}–{:,}".format(*copy["range"]), copy["events_to_copy"]]
        print(line.format(*cells))
