"""What goes wrong: faults in an order, and of durations, that follow from the seed alone."""

import os
import random
import signal
import time
from collections import Counter

import psycopg2

from winnow_test import check
from winnow_test.pool import Pool
from winnow_test.postgres import Database
from winnow_test.process import is_alive, wait_until_gone
from winnow_test.poll import wait_until

SESSION_TIMEOUT_S = 6        # winnow_test.pool.FAST_GROUP
RECOVERY_TIMEOUT_S = 120
GATHER_S = 0.7               # in which workers fill a batch behind the one that waits
WAIT_FOR_RECOVERY_SHARE = 0.4
SECOND_FAULT_SHARE = 0.35
WORKERS_MAX = 8


class NoRecovery(AssertionError):
    """The pool did not catch up after a fault."""


class Nemesis:
    """Faults come in rounds: each kind once, shuffled. A fault that lasts may have a second one in its middle."""

    def __init__(self, options, broker, server, database, topic, pool_options):
        self._random = random.Random(f"nemesis {options.seed}")
        self._partitions = options.partitions
        self._short = options.short
        self._broker = broker
        self._server = server
        self._database = database
        self._topic = topic
        self._pool_options = pool_options
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

    # Each returns whether it hit anything.

    def kill_worker(self):
        return self._signal_worker(signal.SIGKILL) is not None

    def terminate_backends(self):
        whose = self._random.choice(["winnow%", "winnow worker", "winnow publisher"])
        try:
            return self._database.terminate_backends(whose) > 0
        except psycopg2.Error:
            return False  # the server is down in the middle of another fault

    def grow(self):
        if len(self.pool.worker_pids()) >= WORKERS_MAX:
            return False
        self.pool.send_signal(signal.SIGTTIN)
        return True

    def shrink(self):
        self.pool.send_signal(signal.SIGTTOU)
        return True

    def raise_epoch(self):
        """An operator resumes a partition that is running: whatever its worker is about to write must change nothing."""
        partition = self._random.randrange(self._partitions)
        try:
            self._database.run("SELECT winnow.resume_partition(%s, %s, %s)",
                               (self._topic, partition, self._pool_options["settings"]["group"]))
            return True
        except psycopg2.Error:
            self._database.close()
            return False  # the server is down, or nobody has met the partition yet

    def kill_supervisor(self):
        """Its workers are told by the kernel, and a new pool begins while they end."""
        self._orphans += self.pool.worker_pids()
        self.pool.process.kill()
        self.start_pool()
        return True

    # ---- faults that last --------------------------------------------------------------------------------

    def freeze_worker(self):
        return self._freeze_worker(self._seconds(0.5, 3))

    def freeze_worker_beyond_session(self):
        """The group gives its partitions to others, and then it goes on as if nothing had been."""
        return self._freeze_worker(SESSION_TIMEOUT_S + self._seconds(1, 3))

    def freeze_worker_mid_batch(self):
        """The same with one batch at the database and the next one in hand, which it then tries to write though others
        have long done so: what the fence is for."""
        try:
            with Database(self._server, self._database.name) as holder:
                holder.run("BEGIN; LOCK TABLE winnow.processing_log IN EXCLUSIVE MODE")
                time.sleep(GATHER_S)
                pid = self._signal_worker(signal.SIGSTOP)
        except psycopg2.Error:
            return False
        return self._thaw_after(pid, SESSION_TIMEOUT_S + self._seconds(1, 3))

    def _freeze_worker(self, seconds):
        return self._thaw_after(self._signal_worker(signal.SIGSTOP), seconds)

    def _thaw_after(self, pid, seconds):
        self._last(seconds)
        if pid is not None and is_alive(pid):
            os.kill(pid, signal.SIGCONT)
        return pid is not None

    def restart_postgres(self):
        self._server.restart("immediate")
        return True

    def take_postgres_down(self):
        self._server.stop(self._random.choice(["immediate", "fast"]))
        self._last(self._seconds(3, 8))
        self._server.start()
        return True

    def kill_broker(self):
        self._broker.kill()
        self._last(self._seconds(0, 3))
        self._broker.start()
        return True

    def freeze_broker(self):
        self._broker.pause()
        self._last(self._seconds(2, 8))
        self._broker.resume()
        return True

    # ---- the order of things -----------------------------------------------------------------------------

    INSTANT = ("kill_worker", "terminate_backends", "raise_epoch", "grow", "shrink", "kill_supervisor")
    LASTING = ("freeze_worker", "freeze_worker_beyond_session", "freeze_worker_mid_batch", "restart_postgres",
               "take_postgres_down", "kill_broker", "freeze_broker")
    # More often than once a round: they are cheap and hit where it hurts.
    AGAIN = ("kill_worker", "kill_worker", "terminate_backends", "terminate_backends", "raise_epoch")

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
        begun = time.monotonic()
        hit = getattr(self, kind)()
        self.counts[kind] += hit
        self.log.append(f"{time.strftime('%H:%M:%S')} {kind} {time.monotonic() - begun:.1f} s{'' if hit else ', hit nothing'}")

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
