"""An upgrade while pools run: what does not fit says what to do and changes nothing, and no message is lost."""

import hashlib
import os

import psycopg2
import pytest

from scenario import new_events, wait_for_owners
from winnow_test import check, pool, produce
from winnow_test.poll import wait_until
from winnow_test.process import ROOT

RELEASED = 9  # files of the version before
CURRENT = len(list((ROOT / "migrations").glob("*.up.sql")))


@pytest.fixture
def old_database(empty_database):
    """As a winnow of the version before has left it, with an event of it in the totals."""
    empty_database.run("CREATE SCHEMA winnow; CREATE TABLE winnow.schema_migration (version bigint PRIMARY KEY, name text, "
                       "sha256 text, applied_at timestamptz DEFAULT now(), applied_by text DEFAULT current_user, execution_ms bigint)")
    for path in sorted((ROOT / "migrations").glob("*.up.sql"))[:RELEASED]:
        empty_database.run(path.read_text())
        empty_database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) VALUES (%s, %s, %s, 1)",
                           (int(path.name[:6]), path.name.removesuffix(".up.sql"), hashlib.sha256(path.read_bytes()).hexdigest()))
    return empty_database


# Another one, such as a release: PREVIOUS=path
BEFORE = ROOT / os.environ.get("PREVIOUS", "build/winnow_before")


def objects(database):
    return database.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'winnow'::regnamespace")


def test_beside_workers_of_the_version_before(old_database):
    """migrate refuses while they are connected."""
    settings = {"database": old_database.dsn}
    old_database.run("INSERT INTO winnow.rollup_hour VALUES (to_timestamp(3600), 'a', 'x', 1, 0, 1, 1)")
    old_database.run("INSERT INTO winnow.rollup_client VALUES ('a', 1, 0, 1, 1)")
    old_database.run("INSERT INTO winnow.rollup_metric VALUES ('x', 1, 0, 1, 1)")
    refused = pool.run("worker", settings={**settings, "brokers": "127.0.0.1:1", "topic": "t"})
    assert refused.exit_code == 78 and "at version 9" in refused.error, refused
    before = objects(old_database)
    worker = psycopg2.connect(old_database.dsn, application_name="winnow worker")
    refused = pool.run("migrate", settings=settings)
    assert refused.exit_code != 0 and "stop the pool" in refused.error, refused
    assert objects(old_database) == before
    assert old_database.value("SELECT max(version) FROM winnow.schema_migration") == RELEASED
    worker.close()
    assert pool.run("migrate", settings=settings).exit_code == 0
    assert pool.run("migrate", "status", settings=settings).exit_code == 0


def test_a_pool_that_is_newer_than_the_schema(devbroker, old_database):
    """It ends at once and says what to run; nothing was taken, and after that all of it is stored."""
    topic = f"events-{os.getpid()}"
    for name, partitions in ((topic, 2), (f"{topic}.dlq", 1)):
        devbroker.create_topic(name, partitions)
    sent = produce.send(devbroker.brokers, topic, [*new_events(50), "no event"])
    settings = {"brokers": devbroker.brokers, "topic": topic, "group": f"g-{topic}", "database": old_database.dsn}
    before = objects(old_database)
    with pool.Pool(settings) as early:
        wait_until(lambda: not early.is_running(), 30, "the pool ends", on_timeout=early.log_tail)
        assert early.exit_code == 78
        assert f"at version {RELEASED} and this winnow needs version {CURRENT}: run `winnow migrate`" in early.log_text()
        assert "event=assigned" not in early.log_text()
    assert objects(old_database) == before and old_database.value("SELECT count(*) FROM winnow.processing_log") == 0
    assert pool.run("migrate", settings={"database": old_database.dsn}).exit_code == 0
    with pool.Pool(settings) as current:
        check.wait_until_caught_up(old_database, topic, devbroker, 60, current.log_tail)
    check.assert_exact(old_database, devbroker.read_topic(topic), sent, ())


MIGRATES = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'winnow migrate'"


def test_migrate_beside_a_pool_when_nothing_is_to_be_done(devbroker, make_stage):
    """It says so, and the pool does not notice."""
    stage = make_stage(broker=devbroker, partitions=2)
    with stage.pool(workers=2) as running, produce.Sender(devbroker.brokers, stage.topic) as sender:
        pids = running.wait_for_workers(2)
        wait_for_owners(stage, pids)  # one that joins later takes partitions from the other, whose batch may be under way
        for _ in range(5):
            for thing in (*new_events(300), "[]"):
                sender.send(thing)
            wait_until(lambda: stage.database.value(MIGRATES) == 0, 30, "the session of the one before, and its lock, are gone")
            done = stage.winnow("migrate")
            assert (done.exit_code, done.out) == (0, f"the schema is current (version {CURRENT})\n"), done
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        assert running.worker_pids() == pids
        assert "event=retrying" not in running.log_text() and "event=fenced" not in running.log_text()


def test_the_newest_migration_beside_a_pool(devbroker, make_stage, empty_database):
    """Workers of the version before go on while the schema changes below them, or are named as what is in the way; a pool of
    this version takes over from them. Messages come all the time, and each of them counts once."""
    stage = make_stage(broker=devbroker, partitions=4)
    stage.exact = False  # another database than the stage's
    settings = {**stage.settings, "database": empty_database.dsn}
    assert pool.run("migrate", settings=settings, binary=BEFORE).exit_code == 0
    version = "SELECT max(version) FROM winnow.schema_migration"
    assert empty_database.value(version) == CURRENT - 1
    fast = {"session.timeout.ms": "3000"}
    with pool.Pool(settings, workers=2, binary=BEFORE, properties=fast, variables={"WINNOW_BATCH_ROWS": "50"}) as old, \
            produce.Sender(devbroker.brokers, stage.topic) as sender:

        def send(count=200):
            for thing in (*new_events(count), "[]", *new_events(1) * 2):
                sender.send(thing)
            sender.poll()

        def stored():
            return empty_database.value("SELECT coalesce(sum(received), 0) FROM winnow.batch_log")

        def wait_until_more(log):
            send()
            before = stored()
            send()
            wait_until(lambda: stored() > before, 30, "more is stored", on_timeout=log)

        pids = old.wait_for_workers(2)
        wait_until_more(old.log_tail)
        migrated = pool.run("migrate", settings=settings)
        if migrated.exit_code != 0:
            assert "stop the pool" in migrated.error and empty_database.value(version) == CURRENT - 1, migrated
            wait_until_more(old.log_tail)
            assert old.stop() == 0
            migrated = pool.run("migrate", settings=settings)
        assert migrated.exit_code == 0 and f"applied {CURRENT:06}" in migrated.out, migrated
        send()
        if old.is_running():
            wait_until_more(old.log_tail)
            assert old.worker_pids() == pids and "event=retrying" not in old.log_text()
            # One that is started now says what is the matter; the others go on.
            old.kill_worker()
            old.wait_for_log("newer than this winnow")
            wait_until(lambda: len(old.worker_pids()) == 1, 30, "that one ends", on_timeout=old.log_tail)
            assert old.is_running()
        with pool.Pool(settings, workers=2, properties=fast) as new:
            wait_until_more(new.log_tail)
            if old.is_running():
                assert old.stop() == 0
            wait_until_more(new.log_tail)
            sent = sender.finish()
            check.wait_until_caught_up(empty_database, stage.topic, devbroker, 60, new.log_tail)
            assert new.stop() == 0
    check.assert_exact(empty_database, devbroker.read_topic(stage.topic), sent, ())
