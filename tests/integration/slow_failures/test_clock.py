"""The wall clock is set back, and ahead, by an hour while the pool runs. No decision may hang on it."""

import re
import struct
from datetime import datetime, timezone

import pytest

from scenario import new_events, wait_for_owners
from winnow_test import letters, shim
from winnow_test.poll import wait_until
from winnow_test.process import make_directory, remove_directory

HOUR_MS = 3600 * 1000
POISON = '{"client":"nobody","note":%d}'


class Clock:
    """What the pool takes for the time of day."""

    def __init__(self, directory):
        self.path = directory / "shift"
        self.set(0)

    def set(self, shift_ms):
        """In place, for the processes have the file mapped."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("=q", shift_ms))


@pytest.fixture
def directory():
    made = make_directory("clock")
    yield made
    remove_directory(made)


def send_and_wait(stage, number):
    stage.send(*new_events(300), POISON % number)
    stage.wait_until_caught_up(timeout_s=60)


def hours_back(pool):
    """How far behind the real time the lines of the log are, in whole hours."""
    now = datetime.now(timezone.utc)
    times = [datetime.fromisoformat(f"{time}+00:00") for time in re.findall(r"\btime=([0-9T:-]+)\.\d+Z ", pool.log_text())]
    return {round((now - time).total_seconds() / 3600) for time in times}


def test_a_clock_that_jumps(stage, directory):
    clock = Clock(directory)
    pool = stage.pool(workers=2)
    with shim.preloaded(shim.build(directory, "clock_shim"), pool, CLOCK_SHIM_FILE=str(clock.path)):
        wait_for_owners(stage, pool.wait_for_workers(2))
        pids = pool.worker_pids()
        send_and_wait(stage, 0)
        for number, shift_ms in enumerate((-HOUR_MS, 0, HOUR_MS, -24 * HOUR_MS)):
            clock.set(shift_ms)
            send_and_wait(stage, 1 + number)
        assert set(pool.worker_pids()) == set(pids)
        # One that dies comes back by the supervisor's own time, while its clock goes back again.
        killed = pool.kill_worker()
        pool.wait_for_log("event=worker_ended")
        clock.set(-48 * HOUR_MS)
        wait_until(lambda: len(pool.worker_pids()) == 2 and killed not in pool.worker_pids(), 60, "it is started again",
                   on_timeout=pool.log_tail)
        send_and_wait(stage, 9)
        assert stage.database.terminate_backends() >= 1
        clock.set(-72 * HOUR_MS)
        send_and_wait(stage, 10)
        letters.wait_until_published(stage.database, on_timeout=stage.logs)
        assert stage.winnow("status").exit_code == 0
        assert hours_back(pool) >= {0, 24, 48}
        clock.set(-96 * HOUR_MS)
        assert pool.stop(timeout_s=60) == 0
    assert len(stage.dead()) == 7


def test_the_clock_of_the_database_is_set_back(make_stage):
    """A lease of a publisher that is gone, from an hour and more ahead, holds nothing up."""
    stage = make_stage(partitions=1, dead_letter_topic=False)
    stage.send(*new_events(3), POISON % 1, POISON % 2)
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert pool.stop() == 0
    stage.database.run("UPDATE winnow.dead_letter SET publish_lease_until = now() + interval '2 hours'")
    stage.broker.create_topic(f"{stage.topic}.dlq", 1)
    with stage.pool(workers=1):
        letters.wait_until_published(stage.database, on_timeout=stage.logs)
