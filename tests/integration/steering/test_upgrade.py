"""An upgrade while a pool of the version before runs: migrate changes nothing and says what to do, and so do new workers."""

import subprocess

import psycopg2

from winnow_test import pool
from winnow_test.process import ROOT


def at_version_9(database):
    """As the first nine files leave it, with a roll-up of a batch in it."""
    names = sorted((ROOT / "migrations").glob("*.up.sql"))[:9]
    for name in names:
        subprocess.run(["psql", "-qX1", "-v", "ON_ERROR_STOP=1", "-f", name, database.dsn], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    database.run("INSERT INTO winnow.rollup_hour VALUES (to_timestamp(3600), 'a', 'x', 1, 0, 1, 1)")
    database.run("INSERT INTO winnow.rollup_client VALUES ('a', 1, 0, 1, 1)")
    database.run("INSERT INTO winnow.rollup_metric VALUES ('x', 1, 0, 1, 1)")


def test_beside_workers_of_the_version_before(empty_database):
    at_version_9(empty_database)
    objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'winnow'::regnamespace"
    settings = {"database": empty_database.dsn}
    refused = pool.run("worker", settings={**settings, "brokers": "127.0.0.1:1", "topic": "t"})
    assert refused.exit_code == 78 and "run `winnow migrate`" in refused.error, refused
    empty_database.run("CREATE TABLE winnow.schema_migration (version bigint PRIMARY KEY, name text, sha256 text, "
                       "applied_at timestamptz DEFAULT now(), applied_by text DEFAULT current_user, execution_ms bigint)")
    for name in sorted((ROOT / "migrations").glob("*.up.sql"))[:9]:
        sha = subprocess.run(["sha256sum", name], check=True, capture_output=True, text=True).stdout.split()[0]
        empty_database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) VALUES (%s, %s, %s, 1)",
                           (int(name.name[:6]), name.name.removesuffix(".up.sql"), sha))
    refused = pool.run("worker", settings={**settings, "brokers": "127.0.0.1:1", "topic": "t"})
    assert refused.exit_code == 78 and "at version 9" in refused.error, refused
    before = empty_database.value(objects)
    worker = psycopg2.connect(empty_database.dsn, application_name="winnow worker")
    refused = pool.run("migrate", settings=settings)
    assert refused.exit_code != 0 and "stop the pool" in refused.error, refused
    assert empty_database.value(objects) == before
    assert empty_database.value("SELECT max(version) FROM winnow.schema_migration") == 9
    worker.close()
    assert pool.run("migrate", settings=settings).exit_code == 0
    assert pool.run("migrate", "status", settings=settings).exit_code == 0
