#!/usr/bin/python3
"""How long winnow takes to be back: after kill -9 of a worker, after a restart of the database, and to be gone after TERM.

    make recovery KILLS=50 RESTARTS=20 STOPS=10 SEED=7

A steady stream on servers of its own, a pool of four, eight partitions. Prints a table of figures and ends with 0 when all
are within their limits and what was stored is exact. The seed decides who is killed, and how long the database is away."""

import argparse
import math
import os
import random
import signal
import sys
import time
import traceback
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mixture import DUPLICATE_SHARE, Mixture, Places  # noqa: E402  pylint: disable=wrong-import-position
from stream import Stream                   # noqa: E402  pylint: disable=wrong-import-position
from winnow_test import check               # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka         # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.poll import wait_until     # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.pool import FAST_GROUP, Pool, run  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres   # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.process import children_of, is_alive, keep_directory, make_directory, remove_directory  # noqa: E402  pylint: disable=wrong-import-position

TOPIC = "events"
WORKERS = 4
PARTITIONS = 8
RATE = 500               # messages a second
BACKLOG_RATE = 4000      # to keep the database busy
SESSION_TIMEOUT_S = int(FAST_GROUP["session.timeout.ms"]) / 1000
DRAIN_TIMEOUT_S = 3      # of the pool that is stopped while the database hangs
AWAY_MAX_S = 8           # the longest time the database is away
LOOK_S = 0.01            # between two looks: the figures are not finer
LOOKS_S = 0.1            # how late a look may come on a machine that is busy
GIVE_UP_S = 60
KEPT_LOGS = 4000         # characters of the pool's log shown with what went wrong

# How long it may take, in seconds; `share` of the measurements has to be within.
Limit = namedtuple("Limit", "seconds share")
LIMITS = {
    "kill -9 of a worker: its partitions store again": Limit(SESSION_TIMEOUT_S + 2, 0.99),
    "database restart: the first commit": Limit(2, 1),
    "database restart: all partitions store again": Limit(2, 1),
    "TERM, database idle: the pool is gone": Limit(5, 1),
    "TERM, database busy: the pool is gone": Limit(5, 1),
    "TERM, database hangs: the pool is gone": Limit(DRAIN_TIMEOUT_S + LOOKS_S, 1),
}
KILL, COMMIT, STORE, IDLE, BUSY, HANGING = LIMITS


def percentile(figures, share):
    """The smallest figure that at least so large a share of them does not exceed."""
    return sorted(figures)[max(0, math.ceil(share * len(figures)) - 1)]


@dataclass
class Options:
    """Of one run; by default the short one. slack_s: added to each limit, on machines that do other things."""

    seed: int
    kills: int = 3
    restarts: int = 3
    stops: int = 2
    slack_s: float = 0
    log: object = None


@dataclass
class Account:
    """What was measured, and what is wrong."""

    options: Options
    figures: dict = field(default_factory=lambda: {name: [] for name in LIMITS})
    wrong: list = field(default_factory=list)
    message_count: int = 0

    def judge_figures(self):
        for name, limit in LIMITS.items():
            figures = self.figures[name]
            if figures and percentile(figures, limit.share) > limit.seconds + self.options.slack_s:
                self.wrong.append(f"{name}: {percentile(figures, limit.share):.2f} s, limit {limit.seconds:g} s")

    @property
    def is_good(self):
        return not self.wrong

    def text(self):
        lines = [f"{'seconds':<50} {'count':>5} {'median':>7} {'p90':>7} {'p99':>7} {'max':>7}   limit"]
        for name, limit in LIMITS.items():
            figures = self.figures[name]
            shown = " ".join(f"{percentile(figures, share):7.2f}" for share in (0.5, 0.9, 0.99, 1)) if figures else ""
            which = "max" if limit.share == 1 else f"p{100 * limit.share:.0f}"
            lines.append(f"{name:<50} {len(figures):>5} {shown:<31}   {which} {limit.seconds:g}")
        return "\n".join([*lines, f"seed {self.options.seed}, {self.message_count} messages",
                          *(f"WRONG  {line}" for line in self.wrong),
                          "verdict: " + ("within the limits, and exact" if self.is_good else "NOT good")])


class Scene:
    """The servers, a pool, and what can be asked about them."""

    def __init__(self, account, server, broker, log_path):
        self.account = account
        self.random = random.Random(f"recovery {account.options.seed}")
        self.server = server
        self.broker = broker
        self.database = server.new_database("winnow")
        run("migrate", settings={"database": self.database.dsn}, check=True)
        broker.create_topic(TOPIC, PARTITIONS, {"retention.ms": "-1"})
        broker.create_topic(f"{TOPIC}.dlq", 2, {"retention.ms": "-1"})
        self._settings = {"brokers": broker.brokers, "topic": TOPIC, "group": "recovery", "database": self.database.dsn}
        self._log_path = log_path
        self._stream_count = 0
        self.acknowledged = []
        self.pool = None

    # ---- the pool and the stream ----------------------------------------------------------------------------

    def start_pool(self, drain_timeout_s=None):
        """Without a time it has as long as the limits give one that does not hang."""
        drain_timeout_s = drain_timeout_s or LIMITS[BUSY].seconds + self.account.options.slack_s
        self.pool = Pool({**self._settings, "drain_timeout_ms": round(drain_timeout_s * 1000)}, workers=WORKERS,
                         log_path=self._log_path).start()

    def stream(self, rate):
        """Started; a seed of its own makes its events different from those before."""
        self._stream_count += 1
        mixture = Mixture("recovery", self.account.options.seed, 25, DUPLICATE_SHARE, self._stream_count * 10_000_000)
        stream = Stream(self.broker.brokers, TOPIC, Places(PARTITIONS), mixture, rate)
        stream.start()
        return stream

    def end(self, stream):
        stream.stop()
        stream.end_with_poison()
        self.acknowledged += stream.acknowledged

    def pool_log(self):
        return self.pool.log_text()[-KEPT_LOGS:]

    # ---- questions ------------------------------------------------------------------------------------------

    # Empty while the database is away.

    def cursors(self):
        """partition → next_offset."""
        try:
            return check.cursors(self.database, TOPIC)
        except psycopg2.Error:
            self.database.close()
            return {}

    def owners(self):
        """partition → pid of the worker that claimed it last."""
        try:
            rows = self.database.rows("SELECT partition, owner FROM winnow.processing_log")
        except psycopg2.Error:
            self.database.close()
            return {}
        return {partition: int(owner.rsplit("/", 1)[1]) for partition, owner in rows if owner}

    def is_whole(self):
        """Each worker has partitions, and nobody else has."""
        pids = self.pool.worker_pids()
        owners = self.owners()
        return len(pids) == WORKERS and len(owners) == PARTITIONS and set(owners.values()) == set(pids)

    def wait_until_whole(self):
        """And until every partition stores again."""
        wait_until(self.is_whole, GIVE_UP_S, "the pool is whole", on_timeout=self.pool_log)
        self.wait_until_stored(self.ends())

    def ends(self):
        return self.broker.end_offsets(TOPIC)

    def stores_beyond(self, ends):
        cursors = self.cursors()
        return all(cursors.get(partition, -1) > end for partition, end in ends.items())

    def wait_until_stored(self, ends):
        """Messages from behind these ends are stored, in each partition."""
        wait_until(lambda: self.stores_beyond(ends), GIVE_UP_S, f"messages are stored beyond {ends}",
                   interval_s=LOOK_S, on_timeout=self.pool_log)

    def wait_until_first_commit(self, before):
        wait_until(lambda: self.cursors() != before, GIVE_UP_S, "a commit", interval_s=LOOK_S, on_timeout=self.pool_log)


# ---- what is measured ---------------------------------------------------------------------------------------

def measure_kill(scene):
    """Seconds from the death of a worker until messages sent after it are stored in all its partitions."""
    scene.wait_until_whole()
    owners = scene.owners()
    pid = scene.random.choice(sorted(set(owners.values())))
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    ends = {partition: end for partition, end in scene.ends().items() if owners[partition] == pid}
    scene.wait_until_stored(ends)
    scene.account.figures[KILL].append(time.monotonic() - begun)


def measure_restart(scene):
    """Seconds from when the database accepts connections until a commit, and until all partitions store."""
    scene.wait_until_whole()
    scene.server.stop("immediate")
    time.sleep(scene.random.choice([0, scene.random.uniform(0, AWAY_MAX_S)]))
    scene.server.start()
    begun = time.monotonic()
    before = scene.cursors()
    ends = scene.ends()
    scene.wait_until_first_commit(before)
    scene.account.figures[COMMIT].append(time.monotonic() - begun)
    scene.wait_until_stored(ends)
    scene.account.figures[STORE].append(time.monotonic() - begun)


def stop_pool(scene, name):
    """Seconds from TERM until neither the pool nor a child of it is there."""
    children = children_of(scene.pool.pid)
    begun = time.monotonic()
    scene.pool.send_signal(signal.SIGTERM)
    wait_until(lambda: not scene.pool.is_running() and not any(map(is_alive, children)), GIVE_UP_S,
               "the pool is gone", interval_s=LOOK_S, on_timeout=scene.pool_log)
    scene.account.figures[name].append(time.monotonic() - begun)


def measure_idle_stop(scene):
    scene.start_pool()
    wait_until(scene.is_whole, GIVE_UP_S, "the pool is whole", on_timeout=scene.pool_log)
    check.wait_until_caught_up(scene.database, TOPIC, scene.broker, GIVE_UP_S, scene.pool_log)
    stop_pool(scene, IDLE)
    _expect_exit_code(scene, 0)


def _storing_pool(scene, drain_timeout_s=None):
    scene.start_pool(drain_timeout_s)
    before = scene.cursors()
    wait_until(scene.is_whole, GIVE_UP_S, "the pool is whole", on_timeout=scene.pool_log)
    scene.wait_until_first_commit(before)


def measure_busy_stop(scene):
    stream = scene.stream(BACKLOG_RATE)
    _storing_pool(scene)
    stop_pool(scene, BUSY)
    _expect_exit_code(scene, 0)
    scene.end(stream)


def _wait_until_all_hang(scene):
    """So much has come that each worker has something at the database."""
    count = sum(scene.ends().values()) + BACKLOG_RATE
    wait_until(lambda: sum(scene.ends().values()) >= count, GIVE_UP_S, f"{BACKLOG_RATE} messages come")


def measure_hanging_stop(scene):
    """The database's processes are frozen while it stores: nothing answers. Every other time the connections break, too,
    and the workers hang in opening new ones."""
    stream = scene.stream(BACKLOG_RATE)
    _storing_pool(scene, DRAIN_TIMEOUT_S)
    frozen = scene.server.pause()
    try:
        _wait_until_all_hang(scene)
        if len(scene.account.figures[HANGING]) % 2:
            for pid in frozen[1:]:
                os.kill(pid, signal.SIGKILL)
            _wait_until_all_hang(scene)
        stop_pool(scene, HANGING)
    finally:
        scene.server.resume(frozen)
    scene.end(stream)


def _expect_exit_code(scene, expected):
    if scene.pool.exit_code != expected:
        scene.account.wrong.append(f"the pool ended with {scene.pool.exit_code}\n{scene.pool_log()}")


def _measure_all(scene):
    options = scene.account.options
    stream = scene.stream(RATE)
    scene.start_pool()
    for _ in range(options.kills):
        measure_kill(scene)
    for _ in range(options.restarts):
        measure_restart(scene)
    scene.end(stream)
    check.wait_until_caught_up(scene.database, TOPIC, scene.broker, GIVE_UP_S, scene.pool_log)
    scene.pool.stop()
    for measure in (measure_idle_stop, measure_busy_stop, measure_hanging_stop):
        for _ in range(options.stops):
            measure(scene)


def _judge(scene):
    """After all that, the account is exact."""
    scene.start_pool()
    check.wait_until_caught_up(scene.database, TOPIC, scene.broker, GIVE_UP_S, scene.pool_log)
    scene.pool.stop()
    messages = scene.broker.read_topic(TOPIC, timeout_s=120)
    scene.account.message_count = len(messages)
    scene.account.wrong += check.find(scene.database, messages, scene.acknowledged).lines
    scene.account.judge_figures()


def measure(options):
    """One run on servers of its own; an Account."""
    account = Account(options)
    directory = make_directory("recovery")
    with Postgres() as server, Kafka() as broker:
        scene = Scene(account, server, broker, options.log or directory / "pool.log")
        try:
            _measure_all(scene)
            _judge(scene)
        except Exception as error:  # pylint: disable=broad-except
            account.wrong.append(str(error) if isinstance(error, AssertionError) else traceback.format_exc())
        finally:
            if scene.pool is not None:
                scene.pool.kill()
        if not account.is_good:
            keep_directory(directory, server.log_path, broker.log_path)
            account.wrong.append(f"logs are in {directory}")
    if account.is_good:
        remove_directory(directory)
    return account


def _read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--stops", type=int, default=10, help="of each kind")
    parser.add_argument("--log", help="keep the pools' log there")
    given = parser.parse_args()
    return Options(given.seed, given.kills, given.restarts, given.stops, log=given.log)


def main():
    options = _read_options()
    print(f"recovery with seed {options.seed}", flush=True)
    begun = time.monotonic()
    account = measure(options)
    print(account.text())
    print(f"took {time.monotonic() - begun:.0f} s")
    return 0 if account.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
