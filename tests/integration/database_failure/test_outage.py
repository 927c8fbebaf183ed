"""Story 3, first half: a database that is away costs nothing but time."""

import time

import pytest

from scenario import new_events, wait_for_owners, wait_for_statements, warm_up
from winnow_test import pool
from winnow_test.poll import wait_until
from winnow_test.postgres import Database, Postgres
from winnow_test.produce import Sender

OUTAGE_S = 20
MESSAGES_AT_LEAST = 1000


@pytest.fixture
def own_postgres():
    """A server that no other test needs."""
    with Postgres() as server:
        yield server


@pytest.fixture
def own_stage(stage, own_postgres):
    stage.database = own_postgres.new_database()
    stage.settings["database"] = stage.database.dsn
    pool.run("migrate", settings=stage.settings, check=True)
    yield stage
    stage.check_end()


def wait_until_stored(stage, count):
    wait_until(lambda: stage.database.value("SELECT count(*) FROM winnow.event") >= count, 30, f"{count} events",
               on_timeout=stage.logs)


def send_for(sender, seconds, look, count=0):
    """Sends new events all the time, so many at the least, and looks."""
    end = time.monotonic() + seconds

    def send_some():
        for event in new_events(20):
            sender.send(event)
        sender.poll()
        look()
        return time.monotonic() >= end and sender.sent_count >= count

    wait_until(send_some, seconds + 10, f"{seconds} s have passed", interval_s=0.1)


def test_twenty_seconds_without_database(own_stage, own_postgres):
    stage = own_stage
    with stage.pool(workers=2) as workers, Sender(stage.broker.brokers, stage.topic) as sender:
        pids = workers.wait_for_workers(2)
        wait_for_owners(stage, pids)
        send_for(sender, 1, lambda: None)
        wait_until_stored(stage, 1)
        own_postgres.stop("immediate")

        def same_workers():
            assert set(workers.worker_pids()) == set(pids), workers.log_tail()

        send_for(sender, OUTAGE_S, same_workers, MESSAGES_AT_LEAST)
        stage.sent += sender.finish()
        own_postgres.start()
        begun = time.monotonic()
        stage.wait_until_caught_up()
        log = workers.log_text()
        assert 2 <= log.count("event=retrying") <= 8  # told, but not each of some fifty attempts
        workers.wait_for_log("event=recovered")
        print(f"caught up {len(stage.sent)} events {time.monotonic() - begun:.1f} s after the outage")
        same_workers()
        assert workers.stop() == 0
    assert stage.dead() == []
    assert len(stage.events()) == len(stage.sent) >= MESSAGES_AT_LEAST
    assert "event=retrying" in workers.log_text()


def test_restarts_in_quick_succession(own_stage, own_postgres):
    stage = own_stage
    with stage.pool(workers=2) as workers, Sender(stage.broker.brokers, stage.topic) as sender:
        pids = workers.wait_for_workers(2)
        wait_for_owners(stage, pids)
        for mode in ("immediate", "fast", "immediate"):
            send_for(sender, 0.5, lambda: None)
            own_postgres.restart(mode)
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        assert set(workers.worker_pids()) == set(pids)
    assert stage.dead() == []
    assert len(stage.events()) == len(stage.sent)


def test_database_that_is_down_when_the_pool_starts(own_stage, own_postgres):
    stage = own_stage
    stage.send(*new_events(100))
    own_postgres.stop()
    with stage.pool(workers=2) as workers:
        pids = workers.wait_for_workers(2)
        workers.wait_for_log("event=waiting_for_database.*trying again in")
        own_postgres.start()
        stage.wait_until_caught_up()
        assert set(workers.worker_pids()) == set(pids)
    assert len(stage.events()) == 100


def terminate(stage, postgres):
    assert stage.database.terminate_backends("winnow worker") >= 1


def crash(stage, postgres):
    postgres.restart("immediate")


@pytest.mark.parametrize("lose", [terminate, crash])
def test_a_single_event_in_flight_is_not_to_blame(stage, postgres, lose):
    """With one row in the statement there is nothing left to cut in halves."""
    with stage.pool(workers=1) as workers, Database(postgres, stage.database.name) as locker:
        wait_for_owners(stage, workers.wait_for_workers(1))
        warm_up(stage)
        locker.run("BEGIN; LOCK TABLE winnow.event IN EXCLUSIVE MODE")
        stage.send(*new_events(1))
        wait_for_statements(stage, 1)
        lose(stage, postgres)
        workers.wait_for_log("event=retrying .*connection to PostgreSQL lost|event=retrying .*terminating connection")
        locker.close()
        stage.wait_until_caught_up()
    assert stage.dead() == []
    assert len(stage.events()) == 5
