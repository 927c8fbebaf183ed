"""One point: a worker passes it and ends there, another one finishes, and the account is drawn."""

import re
import signal
from dataclasses import dataclass

from databases import wait_for_sessions
from scenes import PARTITIONS, SETTINGS, mend_fingerprint

from winnow_test import check, letters
from winnow_test.poll import wait_until
from winnow_test.pool import Pool

# One that is to be gone is missed soon. Brokers have a lower limit (group.min.session.timeout.ms).
# Not so soon that one that waits for a processor is taken for gone.
IMPATIENT = {"session.timeout.ms": "4000", "heartbeat.interval.ms": "300", "max.poll.interval.ms": "10000"}
# All others may wait as long as they have to.
PATIENT = {**IMPATIENT, "session.timeout.ms": "60000", "max.poll.interval.ms": "120000"}
TIMEOUT_S = 240
INTERVAL_S = 0.1


@dataclass(frozen=True)
class World:
    """What all plays share."""

    databases: object
    broker: object
    topic: str
    ends: dict      # partition → offset behind the last message
    messages: list  # as the broker gives them
    sent: list      # as it acknowledged them
    expected: object
    library: object
    directory: object


@dataclass(frozen=True)
class Point:
    """scene; place: "socket:3:after" (tests/lib/crash_point_shim.c); way: kill, stop, reset, or none to pass it."""

    scene: object
    place: str
    way: str

    def __str__(self):
        return f"{self.scene.name}: {self.place} {self.way}"


class NotReached(AssertionError):
    """The worker did not come by."""


class Play:
    """A database, a group and a dead-letter topic of its own, and the workers on them."""

    def __init__(self, world, point, number):
        self.world = world
        self.point = point
        self.name = f"crash{number}"
        self.dead_letter_topic = f"{world.topic}-{self.name}.dlq"
        self.trace_path = world.directory / f"{self.name}.trace"
        self.database = None
        self.victim = None
        self.others = []
        self.good_fingerprint = None

    def _worker(self, role, dsn, variables=None, properties=None):
        settings = {**SETTINGS, "brokers": self.world.broker.brokers, "topic": self.world.topic, "group": self.name,
                    "database": dsn, "dead_letter_topic": self.dead_letter_topic}
        return Pool(settings, workers=0, properties=properties or PATIENT, variables=variables,
                    log_path=self.world.directory / f"{self.name}.{role}.log")

    def run(self):
        """Raises when the point was not reached or something is not exact. Returns the points that were passed."""
        with self.world.databases.lend(self.point.scene.is_begun, self.name) as self.database:
            try:
                self._start_victim()
                self._reach()
                getattr(self, f"_after_{self.point.way}")()
                self._finish()
                self._assert_exact()
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self._logs()}") from error
            finally:
                self._kill_workers()
        return self.trace()

    def _start_victim(self):
        self.good_fingerprint = self.database.value(
            "SELECT tail_fingerprint FROM winnow.processing_log WHERE partition = 1")
        if self.point.scene.prepare is not None:
            self.point.scene.prepare(self.database)
        orders = (*self.point.scene.orders, f"{self.point.place}={self.point.way}")
        self.victim = self._worker("victim", self.database.server.tcp_dsn(self.database.name), {
            "LD_PRELOAD": str(self.world.library), "CRASH_POINT_TRACE": str(self.trace_path),
            "CRASH_POINT_HOLD": str(self.point.scene.hold), "CRASH_POINTS": ",".join(orders)},
            IMPATIENT if self.point.way in ("kill", "stop") else PATIENT)
        self.victim.start()

    def _kill_workers(self):
        for worker in (self.victim, *self.others):
            if worker is not None and worker.is_running():
                worker.kill()

    def _wait(self, condition, what):
        wait_until(condition, TIMEOUT_S, what, INTERVAL_S)

    # ---- what can be seen -----------------------------------------------------------------------------------

    def _trace_lines(self):
        return self.trace_path.read_text().splitlines() if self.trace_path.exists() else []

    def trace(self):
        """The points that the worker passed, in order."""
        return [line for line in self._trace_lines() if not line.startswith("visited ")]

    def is_visited(self):
        return f"visited {self.point.place}" in self._trace_lines()

    def _is_settled(self):
        """Everything is applied that can be."""
        halted = self.database.value("SELECT count(*) FROM winnow.processing_log WHERE state = 'halted'")
        at = check.cursors(self.database, self.world.topic)
        behind = sum(at.get(partition, 0) < end for partition, end in self.world.ends.items())
        return behind == halted == (1 if self.point.scene.halts else 0)

    def _is_published(self):
        return letters.unpublished_count(self.database) == 0

    def _claims_of(self, worker):
        return self.database.value("SELECT count(*) FROM winnow.processing_log WHERE owner LIKE %s",
                                   (f"%/{worker.pid}",))

    def _assignments(self):
        return self.victim.log_text().count("event=assigned")

    # ---- the acts -------------------------------------------------------------------------------------------

    def _reach(self):
        """To the point; those that the end of a worker passes come when there is nothing else left to do."""
        self._wait(lambda: self.is_visited() or not self.victim.is_running() or
                   (self._is_settled() and self._is_published()), "the worker comes to its point")
        if not self.is_visited():
            self.victim.send_signal(signal.SIGTERM)
            self._wait(lambda: self.is_visited() or not self.victim.is_running(), "the worker ends")
        if not self.is_visited() and self.point.way != "none":
            raise NotReached(f"{self.point} was not reached; passed: {self.trace()}")

    def _start_other(self):
        self.others.append(self._worker(f"other{len(self.others)}", self.database.dsn))
        self.others[-1].start()
        return self.others[-1]

    def _after_none(self):
        self._wait(lambda: not self.victim.is_running(), "the worker ends")

    def _after_kill(self):
        self._wait(lambda: self.victim.exit_code == -signal.SIGKILL, "the worker is dead")
        wait_for_sessions(self.database)
        # A lease is for 30 s, which nobody wants to wait for.
        self.database.run("UPDATE winnow.dead_letter SET publish_lease_until = now() WHERE published_at IS NULL "
                          "AND publish_lease_until IS NOT NULL")
        other = self._start_other()
        self._wait(lambda: self._claims_of(other) == PARTITIONS, "another worker has taken over")

    def _after_stop(self):
        before = self._assignments()
        other = self._start_other()
        self._wait(lambda: self._claims_of(other) == PARTITIONS and self._is_settled(), "another worker has taken over")
        self.victim.send_signal(signal.SIGCONT)
        self._wait(lambda: not self.victim.is_running() or self._assignments() > before,
                   "the worker is back in its group")

    def _after_reset(self):
        other = self._start_other()
        self._wait(lambda: self._claims_of(other) > 0, "another worker has joined it")

    def _finish(self):
        self._wait(self._is_settled, "the topic is read")
        if self.point.scene.halts:
            mend_fingerprint(self.database, self.good_fingerprint, self.world.topic, self.name)
            self._start_other()
            self._wait(lambda: check.has_caught_up(self.database, self.world.topic, self.world.ends),
                       "the partition that was halted is read")
        self._wait(self._is_published, "the dead letters are published")
        for worker in self.others:
            assert worker.stop(TIMEOUT_S) == 0, f"another worker ended with {worker.exit_code}"
        code = self.victim.stop(TIMEOUT_S)
        assert code == (-signal.SIGKILL if self.point.way == "kill" else 0), f"the worker ended with {code}"

    def _assert_exact(self):
        findings = check.find(self.database, self.world.messages, self.world.sent, expected=self.world.expected)
        found = findings.lines + letters.differences(self.database, self.world.messages) + letters.publishing_differences(
            self.database, self.world.broker, self.world.topic, self.dead_letter_topic)
        assert not found, "\n".join(found)

    def fenced_count(self):
        """Statements of the worker that found another owner."""
        if self.victim is None:
            return 0
        return sum(int(count) for count in re.findall(r"event=worker_done.* fenced=(\d+)", self.victim.log_text()))

    def _logs(self):
        return "\n".join(f"---- {worker.log_path.name}\n{worker.log_tail()}" for worker in (self.victim, *self.others)
                         if worker is not None and worker.process is not None)
