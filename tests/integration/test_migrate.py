"""winnow migrate: what it applies, what it refuses, and that two at once do no harm."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from winnow_test import pool
from winnow_test.postgres import Database, Postgres
from winnow_test.process import ROOT

MIGRATIONS = ROOT / "migrations"
NAMES = sorted(path.name.removesuffix(".up.sql") for path in MIGRATIONS.glob("*.up.sql"))
VERSIONS = [int(name.split("_")[0]) for name in NAMES]
ROLES = ("winnow_worker", "winnow_operator", "winnow_analyst")


def migrate(database, *arguments, dsn=None):
    return pool.run("migrate", *arguments, settings={"database": dsn or database.dsn})


def worker(database):
    return pool.run("worker", settings={"database": database.dsn, "brokers": "127.0.0.1:1", "topic": "t"})


@pytest.fixture
def fresh_server():
    """A server without the roles."""
    with Postgres() as server:
        yield server


def test_applies_every_file_once(empty_database):
    first = migrate(empty_database)
    assert (first.exit_code, first.error) == (0, "")
    assert [line.split()[1] for line in first.out.splitlines()] == NAMES
    second = migrate(empty_database)
    assert (second.exit_code, second.out) == (0, f"the schema is current (version {VERSIONS[-1]})\n")
    rows = empty_database.rows("SELECT name, sha256, execution_ms >= 0, applied_by FROM winnow.schema_migration "
                               "ORDER BY version")
    assert [row[0] for row in rows] == NAMES
    assert all(len(row[1]) == 64 and row[2] and row[3] == "postgres" for row in rows)


@pytest.mark.parametrize("made", [lambda files: [*files[:2], *files[3:]], lambda files: files[::-1],
                                  lambda files: [*files, files[-1]]])
def test_numbers_without_gaps(made):
    """A migration that is missing, or there twice, is found when the binary is made."""
    files = [str(MIGRATIONS / f"{name}.up.sql") for name in NAMES]
    embedded = [subprocess.run(["sh", MIGRATIONS / "embed.sh", *some], capture_output=True, text=True, check=False)
                for some in (files, made(files))]
    assert [done.returncode for done in embedded] == [0, 1]
    assert f"migration_count = {len(NAMES)};" in embedded[0].stdout
    assert "expected the migration with number" in embedded[1].stderr


def test_recorded_checksum_is_that_of_the_file(database):
    text = subprocess.run(["sha256sum", *[MIGRATIONS / f"{name}.up.sql" for name in NAMES]], check=True,
                          capture_output=True, text=True).stdout
    assert [row[0] for row in database.rows("SELECT sha256 FROM winnow.schema_migration ORDER BY version")] == [
        line.split()[0] for line in text.splitlines()]


def test_status_tells_by_exit_code_and_changes_nothing(empty_database):
    before = migrate(empty_database, "status")
    assert before.exit_code == 1
    assert before.out.count(" pending") == len(NAMES)
    assert empty_database.value("SELECT to_regnamespace('winnow') IS NULL")
    assert migrate(empty_database).exit_code == 0
    after = migrate(empty_database, "status")
    assert after.exit_code == 0
    assert after.out.count(" applied\n") == len(NAMES)


def test_two_at_once_apply_each_file_once(empty_database):
    with ThreadPoolExecutor(4) as executor:
        results = list(executor.map(lambda _: migrate(empty_database), range(4)))
    assert [result.exit_code for result in results] == [0] * 4, results
    applied = [line.split()[1] for result in results for line in result.out.splitlines()
               if line.startswith("applied ")]
    assert sorted(applied) == NAMES


def test_databases_of_one_cluster_migrate_at_the_same_time(fresh_server):
    databases = [fresh_server.new_database() for _ in range(5)]
    with ThreadPoolExecutor(5) as executor:
        results = list(executor.map(migrate, databases))
    assert [result.exit_code for result in results] == [0] * 5, results
    for database in databases:
        assert database.value("SELECT has_schema_privilege('winnow_worker', 'winnow', 'usage')")


def refuse_grants(database, times):
    """As a server does while another of its databases is migrated: a role that is there cannot be found yet."""
    database.run(f"""
        CREATE SEQUENCE public.refused;
        CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT last_value < {times} OR NOT is_called FROM public.refused) THEN
                PERFORM nextval('public.refused'); -- which no rollback undoes
                RAISE EXCEPTION 'role "winnow_console" does not exist' USING ERRCODE = 'undefined_object';
            END IF;
        END $$;
        CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN tag IN ('GRANT') EXECUTE FUNCTION public.refuse()""")


def test_roles_that_come_a_moment_later_are_waited_for(empty_database):
    refuse_grants(empty_database, 3)
    result = migrate(empty_database)
    assert (result.exit_code, result.error) == (0, "")
    assert [line.split()[1] for line in result.out.splitlines()] == NAMES
    assert empty_database.value("SELECT last_value FROM public.refused") == 3


def test_roles_that_do_not_come_are_told(empty_database):
    refuse_grants(empty_database, 1000)
    result = migrate(empty_database)
    assert result.exit_code == 78
    assert 'role "winnow_console" does not exist' in result.error
    assert empty_database.value("SELECT last_value FROM public.refused") == 5


def test_changed_file_is_named(database):
    database.run("UPDATE winnow.schema_migration SET sha256 = 'x' WHERE version = 2")
    for result in (migrate(database), worker(database)):
        assert result.exit_code == 78
        assert NAMES[1] in result.error and "never changed" in result.error
    status = migrate(database, "status")
    assert status.exit_code == 1
    assert [line.split()[1] for line in status.out.splitlines() if line.endswith(" changed")] == [NAMES[1]]


def test_newer_schema_is_refused(database):
    database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) VALUES (999, 'x', 'y', 1)")
    for result in (migrate(database), worker(database)):
        assert result.exit_code == 78
        assert "newer winnow" in result.error and "999" in result.error
    assert migrate(database, "status").exit_code == 1


def test_worker_refuses_missing_and_old_schema(empty_database, database):
    database.run("DELETE FROM winnow.schema_migration WHERE version = %s", (VERSIONS[-1],))
    for refused, words in ((empty_database, "empty"), (database, f"at version {VERSIONS[-2]}")):
        result = worker(refused)
        assert result.exit_code == 78
        assert words in result.error and "run `winnow migrate`" in result.error


def test_failing_file_leaves_the_version_before_it(empty_database):
    empty_database.run("CREATE SCHEMA analytics")
    result = migrate(empty_database)
    assert result.exit_code == 78
    assert "000004_views" in result.error and "42P06" in result.error
    assert empty_database.value("SELECT max(version) FROM winnow.schema_migration") == 3
    empty_database.run("DROP SCHEMA analytics")
    assert migrate(empty_database).exit_code == 0


def test_mistakes_have_exit_codes(empty_database, postgres):
    assert migrate(empty_database, "stauts").exit_code == 64
    unknown = migrate(None, dsn=postgres.dsn("no_such_database"))
    assert (unknown.exit_code, "create the database" in unknown.error) == (78, True)
    wrong = migrate(None, dsn=postgres.tcp_dsn("postgres", password="secret-that-is-wrong"))
    assert (wrong.exit_code, "password" in wrong.error, "secret" in wrong.error) == (78, True, False)
    nobody = migrate(None, dsn="host=127.0.0.1 port=1")
    assert (nobody.exit_code, "Connection refused" in nobody.error) == (69, True)


def test_owner_with_createrole_can_migrate(fresh_server):
    with fresh_server.new_database() as admin:
        admin.run("CREATE ROLE owner LOGIN CREATEROLE")
        admin.run("CREATE DATABASE owned OWNER owner")
    result = migrate(None, dsn=fresh_server.dsn("owned", user="owner"))
    assert (result.exit_code, "warning" in result.out) == (0, False), result


def test_owner_without_createrole_is_told_what_to_do(fresh_server):
    with fresh_server.new_database() as admin:
        admin.run("CREATE ROLE owner LOGIN")
        admin.run("CREATE DATABASE owned OWNER owner")
        result = migrate(None, dsn=fresh_server.dsn("owned", user="owner"))
        assert result.exit_code == 0
        for role in ROLES:
            assert f"CREATE ROLE {role} NOLOGIN" in result.out
            admin.run(f"CREATE ROLE {role} NOLOGIN")
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", "SELECT winnow.grant_privileges()",
                    fresh_server.dsn("owned", user="owner")], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", "SET ROLE winnow_analyst",
                    "-c", "SELECT * FROM analytics.totals_by_client", fresh_server.dsn("owned")], check=True,
                   stdout=subprocess.DEVNULL)


def _psql(database, path):
    subprocess.run(["psql", "-qX1", "-v", "ON_ERROR_STOP=1", "-f", path, database.dsn], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _objects(database):
    """Everything in the database that is not PostgreSQL's own."""
    return database.rows(
        "SELECT 'relation', relnamespace::regnamespace::text, relname::text FROM pg_class WHERE relnamespace >= 16384 "
        "UNION ALL SELECT 'function', pronamespace::regnamespace::text, proname::text FROM pg_proc "
        "WHERE pronamespace >= 16384 "
        "UNION ALL SELECT 'schema', '', nspname::text FROM pg_namespace "
        "WHERE nspname NOT IN ('information_schema', 'public') AND nspname !~ '^pg_' ORDER BY 1, 2, 3")


def test_down_files_undo_the_up_files_one_by_one(empty_database):
    states = []
    for name in NAMES:
        states.append(_objects(empty_database))
        _psql(empty_database, MIGRATIONS / f"{name}.up.sql")
    assert len(_objects(empty_database)) > 40
    for name in reversed(NAMES):
        _psql(empty_database, MIGRATIONS / f"{name}.down.sql")
        assert _objects(empty_database) == states.pop(), name


@pytest.fixture
def filled_by_version_7(empty_database):
    for name in NAMES[:7]:
        _psql(empty_database, MIGRATIONS / f"{name}.up.sql")
    for bucket, client, metric, shard in ((1, "a", "x", 0), (2, "a", "x", 0), (2, "a", "y", 1), (2, "b", "y", 1)):
        empty_database.run("INSERT INTO winnow.rollup_hour VALUES (to_timestamp(%s * 3600), %s, %s, 1, %s, 10, 0.1)",
                           (bucket, client, metric, shard))
    return empty_database


def test_totals_begin_with_what_is_rolled_up(filled_by_version_7):
    _psql(filled_by_version_7, MIGRATIONS / f"{NAMES[7]}.up.sql")
    assert filled_by_version_7.rows("SELECT client_id, event_count, amount_sum::text FROM analytics.totals_by_client "
                                    "ORDER BY 1") == [("a", 30, "0.3"), ("b", 10, "0.1")]
    assert filled_by_version_7.rows("SELECT metric, event_count FROM analytics.totals_by_metric ORDER BY 1") == [
        ("x", 20), ("y", 20)]
    assert filled_by_version_7.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant = 'I7'") == []


def test_totals_wait_for_workers_of_the_older_version_to_end(filled_by_version_7):
    with psycopg2.connect(filled_by_version_7.dsn, application_name="winnow worker"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            _psql(filled_by_version_7, MIGRATIONS / f"{NAMES[7]}.up.sql")
    assert b"stop the pool" in refused.value.stderr
    assert filled_by_version_7.value("SELECT to_regclass('winnow.rollup_client') IS NULL")


@pytest.fixture
def filled_by_version_9(filled_by_version_7):
    for name in NAMES[7:9]:
        _psql(filled_by_version_7, MIGRATIONS / f"{name}.up.sql")
    return filled_by_version_7


def test_totals_by_day_begin_with_what_is_rolled_up(filled_by_version_9):
    _psql(filled_by_version_9, MIGRATIONS / "000010_speed.up.sql")
    assert filled_by_version_9.rows("SELECT day::date::text, shard, event_count, amount_sum::text FROM winnow.rollup_day "
                                    "ORDER BY 1, 2") == [("1970-01-01", 0, 20, "0.2"), ("1970-01-01", 1, 20, "0.2")]
    assert filled_by_version_9.value("SELECT winnow.keep_days('10 s', '1 s')") == 1  # at once: nothing grows
    assert filled_by_version_9.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant IN ('I7', 'I8')") == []


def test_totals_by_day_wait_for_workers_of_the_older_version_to_end(filled_by_version_9):
    with psycopg2.connect(filled_by_version_9.dsn, application_name="winnow worker"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            _psql(filled_by_version_9, MIGRATIONS / "000010_speed.up.sql")
    assert b"stop the pool" in refused.value.stderr
    assert filled_by_version_9.value("SELECT to_regclass('winnow.rollup_day') IS NULL")


def test_down_file_is_known_to_migrate(database):
    _psql(database, MIGRATIONS / f"{NAMES[-1]}.down.sql")
    assert migrate(database, "status").out.count(" pending") == 1
    assert migrate(database).out.startswith(f"applied {NAMES[-1]}")
    assert migrate(database, "status").exit_code == 0


def test_another_encoding_is_refused_with_advice(postgres):
    with Database(postgres, "postgres") as admin:
        admin.run("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with Database(postgres, "latin") as latin:
        refused = migrate(latin)
        schema = latin.value("SELECT to_regnamespace('winnow')")
    postgres.drop_database("latin")
    assert refused.exit_code == 78
    assert "encoded in LATIN1" in refused.error and "ENCODING 'UTF8'" in refused.error
    assert schema is None


def test_every_up_file_has_a_down_file():
    assert {Path(name).name for name in NAMES} == {
        path.name.removesuffix(".down.sql") for path in MIGRATIONS.glob("*.down.sql")}
