"""The database's disk is full: the pool waits, says so, loses nothing, and goes on when there is space again."""

import os
import pwd
import re
import shutil
import subprocess

import psycopg2
import pytest

from scenario import new_events, wait_for_owners
from winnow_test import check
from winnow_test.poll import wait_until
from winnow_test.postgres import Database, Postgres
from winnow_test.small_disk import NotPermitted, SmallDisk

EVENTS = 6000


@pytest.fixture
def disk():
    """72 MB that belong to PostgreSQL's user: four segments of WAL, or a database."""
    try:
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        made = SmallDisk(72, user)
    except NotPermitted as error:
        pytest.skip(str(error))
    with made:
        yield made


def wait_until_stored(stage, count):
    wait_until(lambda: stage.database.value("SELECT count(*) FROM winnow.event") >= count, 30, f"{count} events",
               on_timeout=stage.logs)


def no_crash_loop(pool, pids):
    log = pool.log_text()
    assert set(pool.worker_pids()) == set(pids), pool.log_tail()
    assert "event=worker_ended" not in log and "event=partition_halted" not in log
    assert log.count("event=retrying") <= 20, log  # told, but not each attempt


def test_no_space_for_tables(stage, move_to, disk):
    with Postgres() as server:
        with Database(server, "postgres") as admin:
            admin.run(f"CREATE TABLESPACE small LOCATION '{disk.path}'")
            admin.run("CREATE DATABASE small TABLESPACE small")
        move_to(server, Database(server, "small"))
        with stage.pool(workers=2) as pool:
            pids = pool.wait_for_workers(2)
            wait_for_owners(stage, pids)
            stage.send(*new_events(100))
            stage.wait_until_caught_up()
            disk.fill()
            stage.send(*new_events(EVENTS), '{"client":"no amount"}')
            pool.wait_for_log("event=retrying .*No space left on device")
            stage.send(*new_events(100))
            # The cursor stands behind what is stored, and nothing was blamed on an event.
            assert stage.database.value("SELECT count(*) FROM winnow.event") < EVENTS
            assert stage.dead() == []
            no_crash_loop(pool, pids)
            assert stage.winnow("status").exit_code in (0, 1)
            disk.free()
            stage.wait_until_caught_up(timeout_s=30)
            pool.wait_for_log("event=recovered")
            no_crash_loop(pool, pids)
            assert pool.stop() == 0
        assert len(stage.events()) == EVENTS + 200
        stage.check_end()
        stage.database.close()


def move_wal(server, disk):
    subprocess.run(["cp", "-a", server.data / "pg_wal", disk.path], check=True)
    shutil.rmtree(server.data / "pg_wal")
    (server.data / "pg_wal").symlink_to(disk.path / "pg_wal")


def is_stored(stage):
    """False, too, while the database is away."""
    try:
        return check.has_caught_up(stage.database, stage.topic, stage.broker.end_offsets(stage.topic))
    except psycopg2.Error:
        return False


def send_until_panic(stage, server):
    def has_panicked():
        if is_stored(stage):
            stage.send(*new_events(EVENTS))
        return "PANIC" in server.log_text()

    wait_until(has_panicked, 120, "PostgreSQL has no space for WAL", on_timeout=server.log_tail)
    assert re.search("PANIC: .*No space left on device", server.log_text())


def start_again(stage, server):
    """The server may still be about to end for want of space that is there again."""
    def answers():
        try:
            server.start()
            return stage.database.value("SELECT 1") == 1
        except (psycopg2.Error, RuntimeError):
            return False

    wait_until(answers, 60, "PostgreSQL is back", on_timeout=server.log_tail)


def test_no_space_for_wal(stage, move_to, disk):
    """PostgreSQL panics, cannot recover either, and ends; it is started again when there is space."""
    with Postgres({"max_wal_size": "32MB", "min_wal_size": "32MB"}) as server:
        server.stop()
        move_wal(server, disk)
        server.start()
        move_to(server)
        with stage.pool(workers=2) as pool:
            pids = pool.wait_for_workers(2)
            wait_for_owners(stage, pids)
            stage.send(*new_events(100))
            stage.wait_until_caught_up()
            stage.database.run("SELECT pg_switch_wal()")
            disk.fill()
            send_until_panic(stage, server)
            pool.wait_for_log("event=retrying")
            stage.send(*new_events(100))
            no_crash_loop(pool, pids)
            disk.free()
            start_again(stage, server)
            stage.wait_until_caught_up(timeout_s=60)
            pool.wait_for_log("event=recovered")
            no_crash_loop(pool, pids)
            assert stage.dead() == []
            assert pool.stop() == 0
        assert len(stage.events()) == len(stage.sent)
        stage.check_end()
        stage.database.close()
