"""One contender at one topic: how fast, at what cost, and whether the table is exact."""

import itertools
import time

import psycopg2

from winnow_test import check

import servers
import table
from contender import Job, Running
from measure import CpuClock

SAMPLE_S = 0.05
QUIET_S = 0.5   # the table has not grown for so long: look whether all is there
START_S = 90    # until the first row; a JVM that looks at its plugins takes its time
STALL_S = 45    # nothing new for so long: it has given up
RUN_TIMEOUT_S = 600

_numbers = itertools.count(1)


class Watch:
    """Follows the table without reading its rows: by its size, and by counting only when that stands still."""

    def __init__(self, database, wanted_rows):
        self._database = database
        self._wanted_rows = wanted_rows
        self._bytes = 0
        self._grown_at = time.monotonic()
        self._looked_at = self._grown_at

    def grows(self):
        """Looks at the size; True when it is another."""
        now = table.bytes_used(self._database)
        if now == self._bytes:
            return False
        self._bytes = now
        self._grown_at = self._looked_at = time.monotonic()
        return True

    def quiet_s(self):
        return time.monotonic() - self._grown_at

    def is_full(self):
        if self.grows() or time.monotonic() - self._looked_at < QUIET_S:
            return False
        full = table.count(self._database) >= self._wanted_rows
        self._looked_at = time.monotonic()
        return full


def _wait(condition, give_up, timeout_s):
    """Whether the condition came about before give_up() did, or the time was over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if give_up() or time.monotonic() > deadline:
            return False
        time.sleep(SAMPLE_S)
    return True


def _clock(stage, database, running):
    """What is used from now on; the watching is nobody's."""
    own = database.value("SELECT pg_backend_pid()")
    contender = {f"contender {pid}": pid for pid in running.pids()}
    return CpuClock({"postgres": servers.postmaster(stage.server), "kafka": stage.broker.pid, **contender},
                    {"postgres": [own]})


def _cpu_us(used, events):
    contender = sum(seconds for name, seconds in used.items() if name.startswith("contender "))
    all_of_it = {"contender": contender, "postgres": used["postgres"], "kafka": used["kafka"]}
    return {name: round(seconds * 1e6 / events, 3) for name, seconds in all_of_it.items()}


def _judge(contender, database, stage):
    """What is wrong with the table, as lines."""
    wanted, found = stage.expected, table.digest(database)
    wrong = []
    if found[0] != wanted[0]:
        wrong.append(f"{found[0]} rows of {wanted[0]}")
    elif found != wanted:
        wrong.append("other events than those that were sent")
    if contender.name == "winnow":
        wrong += check.invariant_violations(database)
    return wrong


def _measure(contender, stage, database, running):
    watch = Watch(database, stage.expected[0])
    ended = lambda: not running.is_running()  # pylint: disable=unnecessary-lambda-assignment
    if not _wait(watch.grows, ended, START_S):
        return {"wrong": [f"stored nothing: {_last_words(running)}"]}
    clock = _clock(stage, database, running)
    full = _wait(watch.is_full, lambda: ended() or watch.quiet_s() > STALL_S, RUN_TIMEOUT_S)
    used = clock.read()
    wrong = _judge(contender, database, stage)
    if not full:
        wrong.append(f"gave up: {_last_words(running)}")
    seconds = table.seconds(database)
    return {"seconds": round(seconds, 3), "events_per_s": round(stage.feed.events / seconds),
            "rows_per_s": round(stage.expected[0] / seconds), "cpu_us_per_event": _cpu_us(used, stage.feed.events),
            "others_cores": used["others_cores"], "peak_memory_mib": round(running.peak_memory_mib(), 1), "wrong": wrong}


def _last_words(running):
    lines = [line for line in running.log_text().splitlines() if line.strip()]
    return f"exit codes {running.exit_codes()}; " + " / ".join(lines[-3:])[-400:]


class Stage:
    """The servers, what was sent, and the topic of each form."""

    def __init__(self, server, broker, feed, topics, expected):
        self.server = server
        self.broker = broker
        self.feed = feed
        self.topics = topics
        self.expected = expected


def run(contender, stage):
    """From a fresh group and database to the end of the topic: a dict."""
    name = f"peer{next(_numbers)}"
    with servers.fresh_database(stage.server, name) as database:
        table.prepare(database)
        job = Job(stage.server, stage.broker, database, stage.topics[contender.form], name)
        with Running(contender, job) as running:
            try:
                result = _measure(contender, stage, database, running)
            except psycopg2.Error as error:
                result = {"wrong": [str(error)]}
    return {"contender": contender.name, "title": contender.title, "workload": stage.feed.workload, **result}
