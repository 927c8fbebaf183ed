"""make bench-peers: winnow beside other ways to bring the same events from Kafka into the same table.

All read 8 partitions of the same events and fill a table with the same columns, key and partitions, one after the
other on the same servers. The others get canonical events with the hash computed; winnow gets the loose bytes, and
normalizes, hashes, rolls up and keeps its account besides. All are timed in one way: from the beginning of the first
transaction that stored something to the last commit, as PostgreSQL noted them.

Environment: EVENTS (1000000), WORKLOAD (live; backfill and resend will do as well), WORKERS of winnow (2, as many as the
others have), PEERS ("go python python-2 redpanda debezium", or some), REPEAT (1), SEED (1), POISON_EVENTS (20000; 0:
without that part), and WINNOW_… with BENCH_ before it. Writes build/bench-peers.json. Ends with 1 when winnow's table is
not exact."""

import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "lib"), str(Path(__file__).resolve().parents[1])]

import contender_debezium  # pylint: disable=wrong-import-position
import contender_go        # pylint: disable=wrong-import-position
import contender_python    # pylint: disable=wrong-import-position
import contender_redpanda  # pylint: disable=wrong-import-position
import poison              # pylint: disable=wrong-import-position
import report              # pylint: disable=wrong-import-position
import servers             # pylint: disable=wrong-import-position
import summary             # pylint: disable=wrong-import-position
import table               # pylint: disable=wrong-import-position
import topics              # pylint: disable=wrong-import-position
import trial               # pylint: disable=wrong-import-position

from contender import Unavailable, Winnow  # pylint: disable=wrong-import-position
from winnow_test.process import ROOT       # pylint: disable=wrong-import-position

COMMIT_TIMES = {"track_commit_timestamp": "on"}
# In the order in which they run, behind winnow.
PEERS = (contender_go.Go(), contender_python.Python(1), contender_python.Python(2), contender_redpanda.Redpanda(),
         contender_debezium.Debezium())


def _setting(name, fallback):
    return os.environ.get(name) or fallback


def _winnow():
    settings = {name[len("BENCH_"):].lower(): value for name, value in os.environ.items() if name.startswith("BENCH_")}
    return Winnow(int(_setting("WORKERS", "2")), settings)


def _gather():
    """(those that can take part, name → why not of the others); winnow is the first."""
    ready, skipped = [_winnow()], {}
    wanted = _setting("PEERS", " ".join(peer.name for peer in PEERS)).split()
    for peer in PEERS:
        if peer.name not in wanted:
            continue
        print(f"preparing {peer.title} …", flush=True)
        try:
            peer.prepare()
            ready.append(peer)
        except Unavailable as reason:
            skipped[peer.title] = str(reason)
    return ready, skipped


def _spoiled(server, broker, contenders):
    """Two messages that are no events; nothing when POISON_EVENTS is 0."""
    events = int(_setting("POISON_EVENTS", "20000"))
    if events == 0:
        return []
    feed = topics.Feed("live", events, int(_setting("SEED", "1")), poison.numbers(events))
    stage = _fill(server, broker, feed, contenders, "poison")
    runs = [poison.run(contender, stage) for contender in contenders]
    summary.print_poison(runs, events)
    return runs


def _fill(server, broker, feed, contenders, prefix):
    """A topic of each form that someone reads."""
    filled = {form: f"{prefix}-{form}" for form in dict.fromkeys(contender.form for contender in contenders)}
    for form, topic in filled.items():
        topics.fill(broker, topic, feed, form)
    return trial.Stage(server, broker, feed, filled, table.expected(server, feed))


def _race(server, broker, contenders):
    """All timed runs, one contender after the other, REPEAT times."""
    feed = topics.Feed(_setting("WORKLOAD", "live"), int(_setting("EVENTS", "1000000")), int(_setting("SEED", "1")))
    stage = _fill(server, broker, feed, contenders, "race")
    print(f"{feed.events:,} events, {stage.expected[0]:,} of them different, in {servers.PARTITIONS} partitions, lz4, "
          f"workload {feed.workload}, SEED={feed.seed}")
    summary.print_head()
    trial.run(contenders[0], stage)  # Kafka and PostgreSQL have just been started: the first run does not count
    runs = []
    for _ in range(int(_setting("REPEAT", "1"))):
        for contender in contenders:
            runs.append(trial.run(contender, stage))
            summary.print_run(runs[-1])
    for topic in stage.topics.values():
        broker.delete_topic(topic)
    return runs


def main():
    contenders, skipped = _gather()
    with servers.started(COMMIT_TIMES) as (server, broker):
        machine = servers.describe(server)
        report.print_machine(machine)
        summary.print_contenders(contenders, skipped)
        runs = _race(server, broker, contenders)
        ratios = summary.ratios(runs)
        summary.print_ratios(ratios)
        spoiled = _spoiled(server, broker, contenders)
    result = {"machine": machine, "contenders": {peer.name: peer.versions() for peer in contenders}, "skipped": skipped,
              "events": int(_setting("EVENTS", "1000000")), "seed": int(_setting("SEED", "1")),
              "runs": runs, "ratios": ratios, "poison": spoiled}
    path = ROOT / "build" / "bench-peers.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\n{path.relative_to(ROOT)} has all of it.")
    return 1 if any(run["wrong"] for run in runs if run["contender"] == "winnow") else 0


if __name__ == "__main__":
    sys.exit(main())
