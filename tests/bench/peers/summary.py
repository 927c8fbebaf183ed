"""The runs of all contenders for people."""

import statistics

FORMAT = "{:<24} {:>10} {:>10} {:>10} {:>9} {:>7} {:>7} {:>7}  {}"
NO_VALUE = "–"


def print_contenders(contenders, skipped):
    for contender in contenders:
        print(f"{contender.title}: {contender.versions()}")
    for title, reason in skipped.items():
        print(f"SKIPPED {title}: {reason}")
    print()


def print_head():
    print(FORMAT.format("", "", "", "CPU", "µs an", "event", "MiB at", "others", ""))
    print(FORMAT.format("contender", "events/s", "rows/s", "contender", "postgres", "kafka", "peak", "cores", "table"),
          flush=True)


def print_run(run):
    """One line as soon as it is known."""
    cpu = run.get("cpu_us_per_event", {})
    print(FORMAT.format(run["title"], _grouped(run.get("events_per_s")), _grouped(run.get("rows_per_s")),
                        cpu.get("contender", NO_VALUE), cpu.get("postgres", NO_VALUE), cpu.get("kafka", NO_VALUE),
                        run.get("peak_memory_mib", NO_VALUE), run.get("others_cores", NO_VALUE),
                        "WRONG" if run["wrong"] else "exact"), flush=True)
    for line in run["wrong"]:
        print(f"  WRONG: {line}", flush=True)


def _grouped(number):
    return NO_VALUE if number is None else f"{number:,}"


def _medians(runs):
    """title → (median of events/s, of CPU of all three together) over the runs that ended well."""
    by_title = {}
    for run in runs:
        if not run["wrong"]:
            by_title.setdefault(run["title"], []).append(run)
    return {title: (statistics.median(run["events_per_s"] for run in some),
                    statistics.median(sum(run["cpu_us_per_event"].values()) for run in some),
                    statistics.median(run["peak_memory_mib"] for run in some))
            for title, some in by_title.items()}


def ratios(runs):
    """Winnow to each contender that came to an exact table; empty when winnow did not."""
    medians = _medians(runs)
    if "winnow" not in medians:
        return []
    rate, cpu, memory = medians["winnow"]
    return [{"title": title, "events_per_s": round(its[0]), "winnow_is_times_faster": round(rate / its[0], 2),
             "takes_times_the_cpu": round(its[1] / cpu, 2) if cpu > 0 else None,
             "takes_times_the_memory": round(its[2] / memory, 2)}
            for title, its in medians.items() if title != "winnow"]


def print_ratios(found):
    """What may be quoted."""
    line = "{:<24} {:>10} {:>18} {:>22} {:>12}"
    print("\nBeside winnow, in this run (medians; CPU of contender, PostgreSQL and Kafka together)")
    print(line.format("contender", "events/s", "winnow/contender", "its CPU/winnow's", "its memory/"))
    for ratio in found:
        print(line.format(ratio["title"], f"{ratio['events_per_s']:,}", ratio["winnow_is_times_faster"],
                          ratio["takes_times_the_cpu"] or NO_VALUE, ratio["takes_times_the_memory"]))


def _fate(run):
    """What a contender did, in words."""
    if run["stored"] == run["of"] and run["kept"] == 2:
        return "goes on; both kept as dead letters, with the reason"
    if run["stored"] == run["of"]:
        return f"goes on; of the two, {run['poison_passed']} passed over and kept nowhere"
    if run["ended"]:
        return f"ended, and again after {run['restarts']} restarts"
    return "stands still, though its process runs"


def print_poison(runs, events):
    """A line for each, and its own last complaint below it."""
    line = "{:<24} {:>15} {:>7} {:>9}  {}"
    print(f"\nTwo messages in {events:,} that are no events: one is not JSON, of one the amount is no number")
    print(line.format("contender", "stored", "lost", "waiting", ""))
    for run in runs:
        print(line.format(run["title"], f"{run['stored']:,}/{run['of']:,}", run["lost"], f"{run['waiting']:,}", _fate(run)))
        if run["stored"] < run["of"] and run["complaint"]:
            print(f"    {run['complaint']}")
