"""A message that ends whoever decodes it is set aside after three deaths; nothing else ever is."""

import re
import signal

import pytest

from winnow_test import check, letters, shim
from winnow_test.poll import wait_until

MARKER = "this-message-kills"  # tests/lib/crash_shim.c
# So that the group notices a death soon.
FAST = {"session.timeout.ms": "1500", "heartbeat.interval.ms": "300"}


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return shim.build(tmp_path_factory.mktemp("shim"), "crash_shim")


def _fragile_pool(stage, library, workers=1):
    """A pool whose workers die of the marker."""
    return shim.preloaded(library, stage.pool(workers=workers, properties=FAST))


def _good(begin, count):
    return [{"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"} for number in range(begin, begin + count)]


KILLER = {"client": MARKER, "metric": "m", "amount": 1, "time": "2024-01-01"}


def _suspicions(pool):
    return [(int(offset), int(deaths)) for offset, deaths in re.findall(
        r"message_suspected.*partition 0 offset (\d+) .*dead by it: (\d+)", pool.log_text())]


def test_a_message_that_kills_its_worker(make_stage, library):
    """Its neighbours, before it, behind it and in other partitions, are stored; the pool goes on."""
    stage = make_stage(partitions=2)
    stage.send(*_good(0, 5), KILLER, *_good(5, 5), partition=0)
    stage.send(*_good(100, 10), partition=1)
    with _fragile_pool(stage, library, workers=2) as pool:
        stage.wait_until_caught_up(timeout_s=60)
        letters.wait_until_published(stage.database, 30, pool.log_tail)
        assert pool.is_running()
        stage.send(*_good(200, 5), partition=0)
        stage.wait_until_caught_up()
        assert _suspicions(pool) == [(5, 1), (5, 2), (5, 3)]
        assert pool.log_text().count("was ended by signal 11") == 3
        pool.wait_for_log(r"level=error .*message_quarantined .*partition 0 offset 5")
    assert pool.exit_code == 0
    assert stage.dead() == [(0, 5, "crashed_worker")]
    assert len(stage.events()) == 25
    letter = letters.stored(stage.database)[0, 5]
    assert MARKER.encode() in letter.value and "three workers" in letter.detail
    stage.allowed_reasons = check.REASONS_OF_THE_DATABASE
    assert letters.differences(stage.database, stage.broker.read_topic(stage.topic)) == []
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq") == []


def test_a_restart_does_not_meet_it_again(make_stage, library):
    """Also as the last message of its partition, where the next worker looks at it again to know the topic."""
    stage = make_stage(partitions=1)
    stage.send(*_good(0, 3), KILLER)
    with _fragile_pool(stage, library) as pool:
        stage.wait_until_caught_up(timeout_s=60)
    stage.send(*_good(3, 3))
    with _fragile_pool(stage, library) as pool:
        stage.wait_until_caught_up(timeout_s=30)
        assert "worker_ended" not in pool.log_text()
    assert stage.dead() == [(0, 3, "crashed_worker")]
    stage.allowed_reasons = check.REASONS_OF_THE_DATABASE


def _epoch(database):
    return database.value("SELECT max(epoch) FROM winnow.processing_log") or 0


def test_deaths_of_idle_workers_quarantine_nothing(make_stage):
    """Five in a row at the same offset, with nothing in hand."""
    stage = make_stage(partitions=1)
    stage.send(*_good(0, 3))
    with stage.pool(workers=1, properties=FAST) as pool:
        stage.wait_until_caught_up()
        for _ in range(5):
            epoch = _epoch(stage.database)
            pool.kill_worker(0, signal.SIGKILL)
            wait_until(lambda: _epoch(stage.database) > epoch, 30, "the next worker claims", on_timeout=pool.log_tail)
        assert pool.log_text().count("was ended by signal 9") == 5
        stage.send(*_good(3, 3))
        stage.wait_until_caught_up()
        assert "message_suspected" not in pool.log_text()
        assert "message_quarantined" not in pool.log_text()
    assert stage.dead() == []
    assert len(stage.events()) == 6
