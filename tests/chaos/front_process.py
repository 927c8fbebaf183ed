"""Faults of an instant: a worker dies, a connection is ended by the server, a partition gets another epoch."""

import os
import signal

import psycopg2

import shields
from front import Front
from winnow_test.postgres import Database


def signal_worker(pool, random, number):
    """The pid of the worker that got the signal, None when there was none."""
    pids = pool.worker_pids()
    pid = random.choice(pids) if pids else None
    try:
        if pid is not None and "winnow" in os.readlink(f"/proc/{pid}/exe"):
            os.kill(pid, number)
            return pid
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


class ProcessFront(Front):
    """A kill makes the others wait for the group, so there are few of these."""

    kinds = ("kill_worker", *["terminate_backends"] * 6, *["raise_epoch"] * 7)

    def __init__(self, scene):
        super().__init__(scene, "process")
        self._database = Database(scene.server, scene.database.name)
        if scene.options.shield == shields.NO_FENCE:
            self.kinds = ("kill_worker", *["terminate_backends"] * 12)  # nobody looks at the epoch

    def _label(self, kind):
        return kind.replace("_", " ")

    def kill_worker(self):
        return signal_worker(self.scene.pool, self.random, signal.SIGKILL) is not None

    def terminate_backends(self):
        whose = self.random.choice(["winnow%", "winnow worker", "winnow publisher"])
        try:
            return self._database.terminate_backends(whose) > 0
        except psycopg2.Error:
            return False  # the server is down in the middle of another fault

    def raise_epoch(self):
        """An operator resumes a partition that is running: whatever its worker is about to write must change nothing."""
        partition = self.random.randrange(self.scene.places.count)
        try:
            self._database.run("SELECT winnow.resume_partition(%s, %s, %s)",
                               (self.scene.topic, partition, self.scene.group))
            return True
        except psycopg2.Error:
            self._database.close()
            return False  # the server is down, or nobody has met the partition yet
