"""Runs as a table for people. All figures of a table are of one run of the benchmark."""

import statistics

HEAD = ("workload", "workers", "events/s", "rows/s", "winnow", "postgres", "kafka", "MiB", "batches", "rows/batch",
        "others")
FORMAT = "{:<10} {:>7} {:>10} {:>10} {:>8} {:>9} {:>7} {:>6} {:>8} {:>11} {:>7}"


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
        cells = (run["workload"], "COPY", "", f"{run['rows_per_s']:,}", "", cpu["postgres"], "", "", "", "", "")
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

    ceiling = median("rows_per_s", copies)
    return {
        "workload": workload, "workers": runs[0]["workers"], "repetitions": len(runs),
        "events_per_s": median("events_per_s", runs), "rows_per_s": median("rows_per_s", runs),
        "events_per_s_range": [min(run["events_per_s"] for run in runs), max(run["events_per_s"] for run in runs)],
        "copy_rows_per_s": ceiling,
        "copy_range": [min(run["rows_per_s"] for run in copies), max(run["rows_per_s"] for run in copies)],
        "events_to_copy": round(median("events_per_s", runs) / ceiling, 3),
        "rows_to_copy": round(median("rows_per_s", runs) / ceiling, 3),
        "cpu_us_per_event": {name: cpu(name) for name in ("winnow", "postgres", "kafka")},
        "peak_memory_mib": max(run["peak_memory_mib"] for run in runs),
    }


def print_summary(summaries):
    """The medians, with their ranges: what may be quoted."""
    print("\nMedians at the best number of workers, interleaved with COPY of the same canonical rows by 2 connections")
    line = "{:<10} {:>7} {:>4} {:>10} {:>20} {:>10} {:>20} {:>12} {:>10}"
    print(line.format("workload", "workers", "runs", "events/s", "(range)", "COPY", "(range)", "events/COPY",
                      "rows/COPY"))
    for summary in summaries:
        print(line.format(
            summary["workload"], summary["workers"], summary["repetitions"], f"{summary['events_per_s']:,.0f}",
            "{:,}–{:,}".format(*summary["events_per_s_range"]), f"{summary['copy_rows_per_s']:,.0f}",
            "{:,}–{:,}".format(*summary["copy_range"]), summary["events_to_copy"], summary["rows_to_copy"]))
