"""What goes wrong: faults in an order, and of durations, that follow from the seed alone.

The big ones come here, one at a time, each kind once a round; the small ones at the same time from fronts of their own."""

import os
import random
import signal
import time
from collections import Counter

import psycopg2

import shields
from front_network import DatabaseFront, KafkaFront
from front_process import ProcessFront, signal_worker
from winnow_test import check
from winnow_test.pool import Pool
from winnow_test.postgres import Database
from winnow_test.process import birth_of, is_alive
from winnow_test.poll import comes_about, wait_until

SESSION_TIMEOUT_S = 6        # winnow_test.pool.FAST_GROUP
RECOVERY_TIMEOUT_S = 180
REPLACED_TIMEOUT_S = 2 * SESSION_TIMEOUT_S
OWNED_TIMEOUT_S = 2 * SESSION_TIMEOUT_S
WRITING_TIMEOUT_S = 5
WAIT_FOR_RECOVERY_SHARE = 0.35
WAIT_FOR_RECOVERY_SHARE_SHORT = 0.15
WORKERS_MAX = 8
PARTITIONS_ADDED_MAX = 6
DOWN_S = (5, 60)
# So that new partitions are met, and connections on which nothing comes are given up, within a short run.
PROPERTIES = {"topic.metadata.refresh.interval.ms": "3000", "socket.timeout.ms": "10000"}


class NoRecovery(AssertionError):
    """The pool did not catch up after a fault."""


class Nemesis:
    """`proxies`: the pool's only way to Kafka, and to PostgreSQL."""

    KINDS = ("grow", "shrink", "kill_supervisor", "freeze_worker", "freeze_worker_beyond_session",
             "freeze_worker_mid_batch", "restart_postgres", "take_postgres_down", "kill_broker", "freeze_broker",
             "add_partition", "recreate_dead_letter_topic")

    def __init__(self, scene, settings, log_path, binary, proxies):
        self._scene = scene
        self._random = random.Random(f"nemesis {scene.options.seed}")
        self._pool_options = {"settings": settings, "workers": scene.options.workers, "log_path": log_path,
                              "binary": binary, "properties": PROPERTIES}
        self._proxies = proxies
        self._kafka_front = KafkaFront(scene, "kafka", proxies[0])
        self._database_front = DatabaseFront(scene, "database", proxies[1])
        self._process_front = ProcessFront(scene)
        self._fronts = (self._kafka_front, self._database_front, self._process_front)
        self._orphans = {}  # pid → birth
        self._round = []
        self._counts = Counter()

    # ---- the pool ----------------------------------------------------------------------------------------

    def start(self):
        self._start_pool()
        for front in self._fronts:
            front.start()

    def _start_pool(self):
        self._scene.pool = Pool(**self._pool_options).start()

    # ---- faults of an instant ----------------------------------------------------------------------------

    # Each returns whether it hit anything.

    def grow(self):
        if len(self._scene.pool.worker_pids()) >= WORKERS_MAX:
            return False
        self._scene.pool.send_signal(signal.SIGTTIN)
        return True

    def shrink(self):
        if len(self._scene.pool.worker_pids()) <= 1:
            return False
        self._scene.pool.send_signal(signal.SIGTTOU)
        return True

    def kill_supervisor(self):
        """Its workers are told by the kernel, and a new pool begins while they end."""
        self._orphans |= {pid: birth_of(pid) for pid in self._scene.pool.worker_pids()}
        self._scene.pool.process.kill()
        self._start_pool()
        return True

    def add_partition(self):
        places = self._scene.places
        if places.count >= self._scene.options.partitions + PARTITIONS_ADDED_MAX:
            return False
        self._scene.broker.add_partitions(self._scene.topic, places.count + 1)
        places.count += 1
        return True

    # ---- faults that last --------------------------------------------------------------------------------

    def freeze_worker(self):
        return self._freeze_worker(self._seconds(0.5, 3))

    def freeze_worker_beyond_session(self):
        """The group gives its partitions to others, and then it goes on as if nothing had been."""
        return self._freeze_worker(SESSION_TIMEOUT_S + self._seconds(1, 3))

    def freeze_worker_mid_batch(self):
        """The same with one batch at the database and the next one in hand, which it then tries to write though others
        have long done so: what the fence is for. Its connection must last, so the small faults wait."""
        with self._kafka_front, self._database_front, self._process_front, \
                Database(self._scene.server, self._scene.database.name) as database:
            try:
                pid = self._stop_owner(database) if self._hold_batches(database) else None
                database.run("COMMIT")
            except psycopg2.Error:
                return False
            if pid is None:
                return False
            self._wait_until_replaced(database, pid)
            return self._thaw_after(pid, self._seconds(0.2, 1))

    def _owners(self, database):
        """The pids of workers that have partitions."""
        pids = set(self._scene.pool.worker_pids())
        return sorted({int(owner.rsplit("/")[-1]) for owner, in database.rows(
            "SELECT owner FROM winnow.processing_log WHERE owner IS NOT NULL")} & pids)

    def _hold_batches(self, database):
        """Locks the progress rows until every owner's batch waits for them, behind which its next one fills. Whether there
        is one at all."""
        if not comes_about(lambda: self._owners(database), OWNED_TIMEOUT_S):
            return False
        database.run("BEGIN; LOCK TABLE winnow.processing_log IN EXCLUSIVE MODE")
        seen_from_outside = self._scene.database
        comes_about(lambda: check.waiting_count(seen_from_outside) >= len(self._owners(database)), WRITING_TIMEOUT_S)
        return check.waiting_count(seen_from_outside) > 0

    def _stop_owner(self, database):
        """The pid of a worker that has partitions, and stands still now; None when there is none."""
        owners = self._owners(database)
        if not owners:
            return None
        pid = self._random.choice(owners)
        os.kill(pid, signal.SIGSTOP)
        return pid

    @staticmethod
    def _wait_until_replaced(database, pid):
        """Until others have claimed all it had; not for ever, since it may be the only one."""
        comes_about(lambda: database.value("SELECT count(*) FROM winnow.processing_log WHERE owner LIKE %s",
                                           (f"%/{pid}",)) == 0, REPLACED_TIMEOUT_S)

    def _freeze_worker(self, seconds):
        return self._thaw_after(signal_worker(self._scene.pool, self._random, signal.SIGSTOP), seconds)

    @staticmethod
    def _thaw_after(pid, seconds):
        if pid is None:
            return False
        time.sleep(seconds)
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)
        return True

    def restart_postgres(self):
        self._scene.server.restart("immediate")
        return True

    def take_postgres_down(self):
        """Mostly for seconds, now and then for a minute."""
        least, most = DOWN_S
        self._scene.server.stop(self._random.choice(["immediate", "fast"]))
        time.sleep(least + (0 if self._scene.options.short else (most - least) * self._random.random() ** 3))
        self._scene.server.start()
        return True

    def kill_broker(self):
        self._scene.broker.kill()
        time.sleep(self._seconds(0, 3))
        self._scene.broker.start()
        return True

    def freeze_broker(self):
        self._scene.broker.pause()
        time.sleep(self._seconds(2, 8))
        self._scene.broker.resume()
        return True

    def recreate_dead_letter_topic(self):
        """Letters wait in their table meanwhile."""
        with self._kafka_front:
            self._scene.dead_letter_topic.delete()
        time.sleep(self._seconds(0.2, 6))
        self._scene.dead_letter_topic.create()
        return True

    # ---- the order of things -----------------------------------------------------------------------------

    def _seconds(self, least, most):
        seconds = self._random.uniform(least, most)
        return least + (seconds - least) / 3 if self._scene.options.short else seconds

    def _strike(self, kind):
        begun = time.monotonic()
        hit = getattr(self, kind)()
        self._counts[kind.replace("_", " ")] += hit
        took_s = time.monotonic() - begun
        self._scene.log.append(f"{time.strftime('%H:%M:%S')} {kind} {took_s:.1f} s{'' if hit else ', hit nothing'}")

    def step(self, account):
        """A pause, the next fault, and sometimes the wait until the pool has caught up."""
        if not self._round:
            self._round = list(self.KINDS)
            if self._scene.options.shield == shields.NO_FENCE:
                self._round += ["freeze_worker_mid_batch"] * 2  # what the missing fence would have kept out
            self._random.shuffle(self._round)
        time.sleep(self._seconds(0.2, 1.5))
        kind = self._round.pop()
        self._strike(kind)
        if self._random.random() < (WAIT_FOR_RECOVERY_SHARE_SHORT if self._scene.options.short else WAIT_FOR_RECOVERY_SHARE):
            self.recover(account, kind.replace("_", " "))
        self._demand_life()

    def _demand_life(self):
        pool = self._scene.pool
        if not pool.is_running():
            raise NoRecovery(f"the pool ended with {pool.exit_code}\n{pool.log_tail()}")
        for front in self._fronts:
            front.demand_no_error()

    def recover(self, account, kind):
        """Waits until everything that is in the topic now is accounted for. No new small faults come meanwhile."""
        with self._kafka_front, self._database_front, self._process_front:
            begun = time.monotonic()
            check.wait_until_caught_up(self._scene.database, self._scene.topic, self._scene.broker, RECOVERY_TIMEOUT_S,
                                       self._scene.pool.log_tail)
            account.add_recovery(kind, time.monotonic() - begun)

    def faults(self):
        return sum((front.counts for front in self._fronts), self._counts)

    def end(self):
        """However it came."""
        for front in self._fronts:
            front.stop()
        if self._scene.pool is not None:
            self._scene.pool.kill()

    def make_peace(self):
        """Everything runs again, and workers of pools that were killed have ended."""
        for front in self._fronts:
            front.stop()
            front.demand_no_error()
        for proxy in self._proxies:
            proxy.heal()
        self._scene.broker.resume()
        self._scene.broker.start()
        self._scene.server.start()
        pool = self._scene.pool
        assert pool.is_running(), pool.log_tail()
        wait_until(lambda: not self._living_orphans(), 30, "the workers of pools that were killed have ended")

    def _living_orphans(self):
        return [pid for pid, birth in self._orphans.items() if birth is not None and birth_of(pid) == birth]
