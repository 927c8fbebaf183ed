#!/usr/bin/python3
"""Chaos: a stream of messages, a pool of workers, and a nemesis, on servers of their own. Then the account.

    make chaos SEED=7 MINUTES=5 WORKERS=3 PARTITIONS=6 SHIELD=no-unique

The same seed gives the same messages and the same faults, as far as timing allows. Ends with 0 when each message that
the broker acknowledged was counted once and every invariant holds."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import shields                              # noqa: E402
from account import Account, counters       # noqa: E402
from dead_letter_topic import DeadLetterTopic  # noqa: E402
from front import Scene                     # noqa: E402
from judge import demand_no_refusal, demand_proof, judge  # noqa: E402
from mixture import DUPLICATE_SHARE, Places  # noqa: E402
from nemesis import Nemesis                 # noqa: E402
from stream import Producers                # noqa: E402
from winnow_test import letters, metrics    # noqa: E402
from winnow_test.kafka import Kafka         # noqa: E402
from winnow_test.pool import run            # noqa: E402
from winnow_test.postgres import Postgres   # noqa: E402
from winnow_test.process import keep_directory, make_directory, remove_directory  # noqa: E402
from winnow_test.proxy import Proxy         # noqa: E402

TOPIC = "events"
GROUP = "chaos"
RATE = 1000             # messages a second
PUBLISH_TIMEOUT_S = 120  # a lease of 30 s, a back-off of 30 s
SHORT_S = 40
TOPIC_CONFIG = {"retention.ms": "-1"}
# A transaction whose producer is gone holds up all readers of its partitions: not for long here.
BROKER_SETTINGS = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000}
# A statement on a connection that is stalled without a word is given up after this and 5 s.
STATEMENT_TIMEOUT_MS = 10000
DRAIN_TIMEOUT_MS = 30000  # that it takes longer is a fault here, and machines may be slow


@dataclass
class Options:
    """Of one run; by default the short one, which need not have met everything that a long one must."""

    seed: int
    seconds: float = SHORT_S
    workers: int = 3
    partitions: int = 6
    short: bool = True
    log: Optional[str] = None
    shield: str = shields.ALL
    rate: int = RATE


def _prepare(scene):
    """Topics and the schema, less what this run goes without."""
    run("migrate", settings={"database": scene.database.dsn}, check=True)
    if scene.options.shield == shields.NO_UNIQUE:
        shields.drop_unique_keys(scene.database)
    elif scene.options.shield == shields.NO_FENCE:
        shields.drop_keys_of_the_account(scene.database)
    scene.broker.create_topic(scene.topic, scene.places.count, TOPIC_CONFIG)
    scene.dead_letter_topic.create()


def _make_scene(options, server, broker, proxy):
    scene = Scene(options, broker=broker, server=server, database=server.new_database("winnow"), topic=TOPIC, group=GROUP,
                  places=Places(options.partitions),
                  dead_letter_topic=DeadLetterTopic(broker, proxy, f"{TOPIC}.dlq", TOPIC_CONFIG))
    _prepare(scene)
    return scene


def _make_nemesis(scene, proxies, log_path):
    settings = {"brokers": scene.broker.proxied_brokers, "topic": TOPIC, "group": GROUP,
                "database": scene.server.tcp_dsn(scene.database.name, port=proxies[1].port),
                "statement_timeout_ms": STATEMENT_TIMEOUT_MS, "drain_timeout_ms": DRAIN_TIMEOUT_MS, **metrics.LISTEN}
    binary = shields.binary_without_fence() if scene.options.shield == shields.NO_FENCE else None
    return Nemesis(scene, settings, log_path, binary, proxies)


def _drain(account, scene, nemesis, producers):
    nemesis.make_peace()
    producers.finish()
    nemesis.recover(account, "the end")
    letters.wait_until_published(scene.database, PUBLISH_TIMEOUT_S, scene.pool.log_tail)
    if account.shield != shields.NO_FENCE:  # without it two workers may add to one total
        account.wrong += metrics.lasting_differences(scene.pool, scene.database, scene.topic)
    code = scene.pool.stop()
    if code != 0:
        account.wrong.append(f"the pool ended with {code}")


def _storm(account, scene, nemesis, producers):
    """Faults for so long, then peace, however it ended."""
    begun = time.monotonic()
    with account.noting():
        try:
            nemesis.start()
            producers.start()
            while time.monotonic() < begun + scene.options.seconds:
                nemesis.step(account)
            account.storm_s = time.monotonic() - begun
            _drain(account, scene, nemesis, producers)
        finally:
            nemesis.end()


def _play(account, scene, nemesis, log_path):
    duplicate_share = 0 if account.shield == shields.NO_UNIQUE else DUPLICATE_SHARE
    producers = Producers(scene.broker, TOPIC, scene.places, account.seed, scene.options.rate, duplicate_share,
                          has_retries=account.shield != shields.NO_UNIQUE)
    _storm(account, scene, nemesis, producers)
    account.faults = nemesis.faults()
    log = log_path.read_text(errors="replace")
    account.counters = counters(log)
    demand_no_refusal(account, log)
    account.message_count = len(producers.acknowledged)
    account.unknown_count = producers.unknown_count
    account.committed_count = producers.committed_count
    account.aborted_count = producers.aborted_count
    if account.is_good:
        with account.noting():
            judge(account, scene, producers)
    if not scene.options.short:
        demand_proof(account)
    if not account.is_good:
        account.notes += [f"fault      {line}" for line in scene.log]


def play(options):
    """One run on servers of its own; an Account. When it is not good, its logs are kept."""
    account = Account(options.seed, options.shield)
    begun = time.monotonic()
    directory = make_directory("chaos")
    log_path = Path(options.log or directory / "pool.log")
    log_path.touch()
    with Proxy() as kafka_proxy, Proxy() as database_proxy, Postgres() as server, \
            Kafka(BROKER_SETTINGS, through=kafka_proxy) as broker:
        database_proxy.target = server.port
        scene = _make_scene(options, server, broker, kafka_proxy)
        _play(account, scene, _make_nemesis(scene, (kafka_proxy, database_proxy), log_path), log_path)
        if not account.is_good:
            keep_directory(directory, server.log_path, broker.log_path)
            account.notes.append(f"logs       {directory}")
    account.took_s = time.monotonic() - begun
    if account.is_good:
        remove_directory(directory)
    return account


def _read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    parser.add_argument("--minutes", type=float, help="default: a short run, under a minute of faults")
    parser.add_argument("--seconds", type=float, default=SHORT_S, help="of a short run, default: %(default)s")
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument("--partitions", type=int, default=Options.partitions)
    parser.add_argument("--rate", type=int, default=RATE, help="messages a second")
    parser.add_argument("--shield", choices=shields.SHIELDS, default=shields.ALL,
                        help="no-unique: without the unique keys of events, batches and dead letters, and nothing is sent twice; "
                        "no-fence: a program without the fence, and events and totals alone are judged")
    parser.add_argument("--log", help="keep the pools' log there")
    parser.add_argument("--json", help="append the account to this file, as one line")
    return parser.parse_args()


def _options(given):
    seconds = given.seconds if given.minutes is None else 60 * given.minutes
    return Options(given.seed, seconds, given.workers, given.partitions, given.minutes is None, given.log, given.shield,
                   given.rate)


def main():
    given = _read_arguments()
    options = _options(given)
    print(f"chaos with seed {options.seed}, shields: {options.shield}", flush=True)
    account = play(options)
    print(account.text())
    print(f"took       {account.took_s:.0f} s", flush=True)
    if given.json:
        with open(given.json, "a", encoding="utf-8") as file:
            file.write(account.to_json() + "\n")
    return 0 if account.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
