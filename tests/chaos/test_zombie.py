"""A worker that was given up for dead writes its batch after all: the fence alone must keep it out, and so must the key
of events. With neither, the tests must see what it did."""

import re

import pytest

import shields
from winnow_test import check, shim
from winnow_test.poll import wait_until
from winnow_test.pool import Pool

COUNT = 50
# The group lets go of a member whose main thread stands still, though its heartbeats go on.
IMPATIENT = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300", "max.poll.interval.ms": "3000"}
# Of the other one, which may wait for a processor.
PATIENT = {"session.timeout.ms": "60000", "heartbeat.interval.ms": "300"}


@pytest.fixture(name="library")
def _library(tmp_path):
    return shim.build(tmp_path, "hold_shim")


def _let_a_zombie_write(stage, library, tmp_path, binary=None):
    """What the zombie logged, after all is over."""
    stage.send(*[{"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"} for number in range(COUNT)])
    hold = tmp_path / "hold"
    hold.touch()
    zombie = Pool(stage.settings, workers=0, properties=IMPATIENT, binary=binary)
    with shim.preloaded(library, zombie, HOLD_FILE=str(hold)):
        wait_until((tmp_path / "hold.held").exists, 30, "the worker has a batch in hand", on_timeout=zombie.log_tail)
        with stage.pool(workers=1, properties=PATIENT):
            stage.wait_until_caught_up()
            hold.unlink()
            wait_until(lambda: zombie.log_text().count("event=assigned") >= 2, 30, "the worker is back in its group",
                       on_timeout=zombie.log_tail)
        assert zombie.stop() == 0
    return zombie.log_text()


def test_a_zombies_batch_changes_nothing(stage, library, tmp_path):
    shields.drop_unique_keys(stage.database)
    log = _let_a_zombie_write(stage, library, tmp_path)
    assert re.search(r"event=worker_done.* fenced=[1-9]", log), log
    assert len(stage.events()) == COUNT
    check.assert_invariants(stage.database)
    stage.assert_exact()


def _was_refused_by_a_key(stage):
    return re.search(rf" {stage.database.name} .*duplicate key value", stage.database.server.log_text()) is not None


def test_without_the_fence_the_key_of_events_keeps_them_single(stage, library, tmp_path):
    """Its events look new to it: the key refuses the batch, and it may still send it again, carefully."""
    shields.drop_keys_of_the_account(stage.database)
    _let_a_zombie_write(stage, library, tmp_path, shields.binary_without_fence())
    assert shields.overlap_count(stage.database) > 0 or _was_refused_by_a_key(stage)
    findings = check.find_events(stage.database, stage.broker.read_topic(stage.topic), stage.sent)
    assert not findings.lines, findings.lines


def test_without_either_the_oracle_sees_events_twice(stage, library, tmp_path):
    """Those of the batch that the zombie had in hand."""
    shields.drop_unique_keys(stage.database)
    _let_a_zombie_write(stage, library, tmp_path, shields.binary_without_fence())
    assert check.find_events(stage.database, stage.broker.read_topic(stage.topic), stage.sent).double > 0
    assert any(line.startswith("I1") for line in check.invariant_violations(stage.database))
