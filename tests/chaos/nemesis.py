"""What goes wrong: faults in an order, and of durations, that follow from the seed alone."""

import os
import random
import signal
import time
from collections import Counter

import psycopg2

from winnow_test import check
from winnow_test.pool import Pool
from winnow_test.process import is_alive, wait_until_gone
from winnow_test.poll import wait_until

SESSION_TIMEOUT_S = 6        # winnow_test.pool.FAST_GROUP
RECOVERY_TIMEOUT_S = 120
WAIT_FOR_RECOVERY_SHARE = 0.4
SECOND_FAULT_SHARE = 0.35
WORKERS_MAX = 8


class NoRecovery(AssertionError):
    """The pool did not catch up after a fault."""


class Nemesis:
    """Faults come in rounds: each kind once, shuffled. A fault that lasts may have a second one in its middle."""

    def __init__(self, seed, broker, server, database, topic, pool_options, short):
        self._random = random.Random(f"nemesis {seed}")
        self._broker = broker
        self._server = server
        self._database = database
        self._topic = topic
        self._pool_options = pool_options
        self._short = short
        self._orphans = []
        self._round = []
        self.pool = None
        self.counts = Counter()
        self.recoveries_s = []
        self.log = []

    # ---- the pool ----------------------------------------------------------------------------------------

    def start_pool(self):
        self.pool = Pool(**self._pool_options).start()

    def _worker(self):
        """A worker's pid, None when there is none just now."""
        pids = self.pool.worker_pids()
        return self._random.choice(pids) if pids else None

    def _signal_worker(self, number):
        pid = self._worker()
        try:
            if pid is not None and "winnow" in os.readlink(f"/proc/{pid}/exe"):
                os.kill(pid, number)
                return pid
        except (FileNotFoundError, ProcessLookupError):
            pass
        return None

    # ---- faults of an instant ----------------------------------------------------------------------------

    def kill_worker(self):
        self._signal_worker(signal.SIGKILL)

    def terminate_backends(self):
        try:
            self._database.terminate_backends(self._random.choice(["winnow%", "winnow worker", "winnow publisher"]))
        except psycopg2.Error:
            pass  # the server is down in the middle of another fault

    def grow(self):
        if len(self.pool.worker_pids()) < WORKERS_MAX:
            self.pool.send_signal(signal.SIGTTIN)

    def shrink(self):
        self.pool.send_signal(signal.SIGTTOU)

    def kill_supervisor(self):
        """Its workers are told by the kernel, and a new pool begins while they end."""
        self._orphans += self.pool.worker_pids()
        self.pool.process.kill()
        self.start_pool()

    # ---- faults that last --------------------------------------------------------------------------------

    def freeze_worker(self):
        self._freeze_worker(self._seconds(0.5, 3))

    def freeze_worker_beyond_session(self):
        """The group gives its partitions to others, and then it goes on as if nothing had been."""
        self._freeze_worker(SESSION_TIMEOUT_S + self._seconds(1, 3))

    def _freeze_worker(self, seconds):
        pid = self._signal_worker(signal.SIGSTOP)
        self._last(seconds)
        if pid is not None and is_alive(pid):
            os.kill(pid, signal.SIGCONT)

    def restart_postgres(self):
        self._server.restart("immediate")

    def take_postgres_down(self):
        self._server.stop(self._random.choice(["immediate", "fast"]))
        self._last(self._seconds(3, 8))
        self._server.start()

    def kill_broker(self):
        self._broker.kill()
        self._last(self._seconds(0, 3))
        self._broker.start()

    def freeze_broker(self):
        self._broker.pause()
        self._last(self._seconds(2, 8))
        self._broker.resume()

    # ---- the order of things -----------------------------------------------------------------------------

    INSTANT = ("kill_worker", "terminate_backends", "grow", "shrink", "kill_supervisor")
    LASTING = ("freeze_worker", "freeze_worker_beyond_session", "restart_postgres", "take_postgres_down", "kill_broker",
               "freeze_broker")
    # More often than once a round: they are cheap and hit where it hurts.
    AGAIN = ("kill_worker", "kill_worker", "terminate_backends", "terminate_backends")

    def _seconds(self, least, most):
        seconds = self._random.uniform(least, most)
        return least + (seconds - least) / 3 if self._short else seconds

    def _last(self, seconds):
        """A fault goes on, perhaps with a second one in its middle."""
        second = self._random.choice(self.INSTANT) if self._random.random() < SECOND_FAULT_SHARE else None
        at = self._random.random()
        time.sleep(seconds * at)
        if second is not None:
            self._strike(second)
        time.sleep(seconds * (1 - at))

    def _strike(self, kind):
        self.counts[kind] += 1
        begun = time.monotonic()
        getattr(self, kind)()
        self.log.append(f"{time.strftime('%H:%M:%S')} {kind} {time.monotonic() - begun:.1f} s")

    def step(self):
        """A pause, the next fault, and sometimes the wait until the pool has caught up."""
        if not self._round:
            self._round = [*self.INSTANT, *self.LASTING, *self.AGAIN]
            self._random.shuffle(self._round)
        time.sleep(self._seconds(0.2, 2.5))
        kind = self._round.pop()
        self._strike(kind)
        if self._random.random() < WAIT_FOR_RECOVERY_SHARE:
            self.recoveries_s.append((self.recover(), kind))
        if not self.pool.is_running():
            raise NoRecovery(f"the pool ended with {self.pool.exit_code}\n{self.pool.log_tail()}")

    def recover(self):
        """Seconds until everything that is in the topic now is accounted for."""
        begun = time.monotonic()
        check.wait_until_caught_up(self._database, self._topic, self._broker, RECOVERY_TIMEOUT_S, self.pool.log_tail)
        return time.monotonic() - begun

    def make_peace(self):
        """Everything runs again, and workers of pools that were killed have ended."""
        self._broker.resume()
        self._broker.start()
        self._server.start()
        wait_until(self.pool.is_running, 1, "the pool runs")
        wait_until_gone([pid for pid in self._orphans if pid not in self.pool.worker_pids()], 30)
