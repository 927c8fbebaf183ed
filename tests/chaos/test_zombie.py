"""A worker that was given up for dead writes its batch after all: the fence alone must keep it out."""

import re

import pytest

from winnow_test import check, shim
from winnow_test.poll import wait_until
from winnow_test.pool import Pool

COUNT = 50
# The group lets go of a member whose main thread stands still, though its heartbeats go on.
IMPATIENT = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300", "max.poll.interval.ms": "3000"}


@pytest.fixture
def library(tmp_path):
    return shim.build(tmp_path, "hold_shim")


def _drop_other_shields(database):
    """The keys of events and of batches would refuse a second copy as well, and so hide a broken fence."""
    database.run("ALTER TABLE winnow.event DROP CONSTRAINT event_pkey")
    database.run("ALTER TABLE winnow.batch_log DROP CONSTRAINT batch_log_stream_id_partition_start_offset_key")


def test_a_zombies_batch_changes_nothing(stage, library, tmp_path):
    _drop_other_shields(stage.database)
    stage.send(*[{"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"} for number in range(COUNT)])
    hold = tmp_path / "hold"
    hold.touch()
    zombie = Pool(stage.settings, workers=0, properties=IMPATIENT)
    with shim.preloaded(library, zombie, HOLD_FILE=str(hold)):
        wait_until((tmp_path / "hold.held").exists, 30, "the worker has a batch in hand", on_timeout=zombie.log_tail)
        with stage.pool(workers=1, properties=IMPATIENT):
            stage.wait_until_caught_up()
            hold.unlink()
            wait_until(lambda: zombie.log_text().count("event=assigned") == 2, 30, "the worker is back in its group",
                       on_timeout=zombie.log_tail)
        assert zombie.stop() == 0
    assert re.search(r"event=worker_done.* fenced=1 ", zombie.log_text()), zombie.log_tail()
    assert len(stage.events()) == COUNT
    check.assert_invariants(stage.database)
    stage.assert_exact()
