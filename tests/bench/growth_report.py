"""Growth as tables for people, and the goals."""

import statistics

import report

RATE_KEPT = 0.8
VIEW_MS = 50
VIEWS_WITH_GOAL = ("totals_by_client", "totals_by_metric", "completeness")

HEAD = ("rows", "events/s", "(range)", "winnow", "postgres", "kafka", "WAL B", "pages", "table", "key", "rollup_hour",
        "batch_log", "others")
FORMAT = "{:>12} {:>9} {:>17} {:>7} {:>9} {:>6} {:>6} {:>6} {:>7} {:>7} {:>12} {:>10} {:>7}"


def medians(backlogs):
    """Of repeated runs at one point."""
    def median(name):
        return statistics.median(run[name] for run in backlogs)

    cpu = {name: round(statistics.median(run["cpu_us_per_event"][name] for run in backlogs), 3)
           for name in backlogs[0]["cpu_us_per_event"]}
    return {"cpu_us_per_event": cpu, **{name: median(name) for name in (
        "events_per_s", "wal_bytes_per_event", "page_images_per_event", "others_cores")}}


def print_head(machine, settings):
    report.print_machine(machine)
    print(f"backlogs of {settings['backlog']:,} events, {settings['workers']} workers, medians of {settings['repeat']}, "
          f"SEED={settings['seed']}")
    print(FORMAT.format("", "", "", "CPU", "µs an", "event", "an", "event", "GiB", "GiB", "rows", "rows", "cores"))
    print(FORMAT.format(*HEAD), flush=True)


def print_point(point):
    """One line, and one of the views."""
    rates = [run["events_per_s"] for run in point["backlogs"]]
    cpu = point["cpu_us_per_event"]
    print(FORMAT.format(
        f"{point['rows']:,}", f"{point['events_per_s']:,.0f}", f"{min(rates):,}–{max(rates):,}", cpu["winnow"],
        cpu["postgres"], cpu["kafka"], f"{point['wal_bytes_per_event']:.0f}", f"{point['page_images_per_event']:.3f}",
        *(f"{point[name] / (1 << 30):.2f}" for name in ("table_bytes", "key_bytes")), f"{point['rollup_rows']:,}",
        f"{point['batch_rows']:,}", point["others_cores"]))
    print(f"{'':>12} append to commit, ms: " + ", ".join(
        f"{name} {taken}" for name, taken in point["latency_ms"].items()))
    print(f"{'':>12} at {point['rows_stored']:,} rows, ms: " + ", ".join(
        f"{name} {taken}" for name, taken in point["views_ms"].items()), flush=True)
    for line in point["wrong"]:
        print(f"  WRONG: {line}", flush=True)


def goals(points):
    """What was to be reached, what was, and whether that is enough."""
    first, last = points[0], points[-1]
    kept = round(last["events_per_s"] / first["events_per_s"], 3)
    rows = [{"what": f"rate at {last['rows']:,} rows against {first['rows']:,}", "goal": f"≥ {RATE_KEPT}", "found": kept,
             "reached": kept >= RATE_KEPT}]
    for name in VIEWS_WITH_GOAL:
        found = last["views_ms"][name]
        rows.append({"what": f"{name} at {last['rows']:,} rows, ms", "goal": f"≤ {VIEW_MS}", "found": found,
                     "reached": found <= VIEW_MS})
    return rows


def print_goals(rows):
    line = "{:<48} {:>8} {:>8}  {}"
    print("\n" + line.format("what", "goal", "found", ""))
    for row in rows:
        print(line.format(row["what"], row["goal"], row["found"], "reached" if row["reached"] else "missed"))
