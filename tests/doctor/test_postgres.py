"""Faults of the server, the login, the database and the schema."""

import subprocess
import time

import pytest
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.small_disk import BALLAST, NotPermitted, SmallDisk
from winnow_test.standby import Standby

from clinic import admin, make_stream


def test_postgresql_down(patient):
    patient.postgres.stop()
    report = patient.doctor()
    assert report.bad() == ["postgresql"]
    assert {check["found"] for name, check in report.checks.items() if check["verdict"] == "skip"} == {"needs postgresql"}
    patient.heal("postgresql")


def test_postgresql_frozen(patient):
    frozen = patient.postgres.pause()
    begin = time.monotonic()
    try:
        report = patient.doctor("--timeout", "3")
    finally:
        patient.postgres.resume(frozen)
    assert report.bad() == ["postgresql"] and "no answer from" in report["postgresql"]["found"]
    assert time.monotonic() - begin < 30


def test_wrong_password(patient):
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "wrong"))
    report = patient.doctor()
    assert report.bad() == ["login"] and "wrong" not in repr(report["login"]["mend"])
    patient.heal("login", stdin="right\n")


def test_wrong_password_in_a_file(patient):
    path = patient.directory / "password"
    path.write_text("wrong")
    path.chmod(0o600)
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "").replace("password=", ""),
                database_password_file=path)
    patient.heal("login", stdin="right\n")


def test_no_such_role(patient):
    patient.set(database=patient.postgres.dsn(patient.name, f"{patient.name}-new"))
    patient.heal("login")


def test_no_database(patient):
    patient.set(database=patient.postgres.dsn(f"{patient.name}-new"))
    patient.heal("database", "schema")
    patient.postgres.drop_database(f"{patient.name}-new")


def test_wrong_encoding(patient):
    admin(patient, f'CREATE DATABASE "{patient.name}-old" ENCODING LATIN1 LOCALE \'C\' TEMPLATE template0')
    patient.set(database=patient.postgres.dsn(f"{patient.name}-old"))
    report = patient.doctor()
    assert "LATIN1, expected UTF8" in report["database"]["found"] and report["schema"]["found"] == "needs database"
    patient.heal("database")
    for name in ("old", "old_utf8"):
        patient.postgres.drop_database(f"{patient.name}-{name}")


def test_no_schema(patient):
    patient.set(database=patient.postgres.new_database(f"{patient.name}-empty").dsn)
    patient.heal("schema")
    patient.postgres.drop_database(f"{patient.name}-empty")


def test_newer_schema(patient):
    patient.database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) VALUES (999, 'x', 'y', 0)")
    report = patient.doctor()
    assert report.bad() == ["schema"] and "newer than this winnow" in report["schema"]["found"]


def test_database_read_only(patient):
    admin(patient, f'ALTER DATABASE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_login_read_only(patient):
    admin(patient, f'ALTER ROLE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_standby(patient):
    """The mend makes no second primary of it: it tells who the primary is."""
    with Standby(patient.postgres) as standby:
        standby.wait_until_level()
        patient.set(database=standby.dsn(patient.name, patient.name))
        report = patient.doctor()
        assert "a standby" in report["writable"]["found"]
        primary = patient.shell(report["writable"]["mend"])
        assert str(patient.postgres.port) in primary
    patient.set(database=patient.postgres.dsn(patient.name, patient.name))
    assert patient.doctor().exit_code == 0


def test_no_privileges(patient):
    admin(patient, f'REVOKE winnow_worker FROM "{patient.name}"')
    patient.heal("schema")


def test_a_privilege_is_missing(patient):
    patient.database.run("REVOKE INSERT ON winnow.batch_log FROM winnow_worker")
    report = patient.doctor()
    assert "the first is INSERT on winnow.batch_log" in report["privileges"]["found"]
    patient.heal("privileges")


def test_every_privilege_of_a_worker_is_looked_at(patient):
    granted = ("FROM information_schema.role_table_grants WHERE grantee = 'winnow_worker' AND table_schema = 'winnow'"
               " AND table_name <> 'schema_migration'")
    tables = patient.database.value(f"SELECT string_agg(DISTINCT 'winnow.' || table_name, ', ') {granted}")
    count = patient.database.value(f"SELECT count(*) {granted}")
    patient.database.run(f"REVOKE ALL ON {tables} FROM winnow_worker")
    # One of them is of columns, and is granted with them.
    assert f": {count + 1} privileges are missing" in patient.doctor()["privileges"]["found"]
    patient.heal("privileges")


def test_months_are_missing(patient):
    make_stream(patient)
    newest = patient.database.value("SELECT max(relname) FROM pg_class WHERE relname ~ '^event_y' AND relkind = 'r'")
    patient.database.run(f"DROP TABLE winnow.{newest}")
    patient.heal("months-ahead")


def test_events_in_the_default_partition(patient):
    stream = make_stream(patient)
    patient.database.run(
        "INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id,"
        " metric, amount) SELECT t, t, 1, gen_random_uuid(), 0, %s, 'c', 'm', 1 FROM unnest(ARRAY[now() - interval '1 year',"
        " now() - interval '20 years']) AS t", (stream,))
    report = patient.heal("default-partition")
    assert report["default-partition"]["found"] == "holds only months that are far off"


def test_nothing_is_durable(patient):
    """What three lines say is mended by what is printed, all of it."""
    admin(patient, "ALTER SYSTEM SET fsync = off")
    admin(patient, "ALTER SYSTEM SET full_page_writes = off")
    admin(patient, f'ALTER ROLE "{patient.name}" SET synchronous_commit = off')
    admin(patient, "SELECT pg_reload_conf()")
    wait_until(lambda: patient.doctor()["durability"]["found"].count(" is off") == 3, 60, "all three are seen to be off")
    patient.shell(patient.doctor()["durability"]["mend"])
    wait_until(lambda: patient.doctor().bad() == [], 60, "they are on again")


@pytest.mark.parametrize("name, scope", [("fsync", "SYSTEM"), ("full_page_writes", "SYSTEM"),
                                         ("synchronous_commit", "DATABASE"), ("synchronous_commit", "ROLE")])
def test_not_durable(patient, name, scope):
    target = "SYSTEM" if scope == "SYSTEM" else f'{scope} "{patient.name}"'
    admin(patient, f"ALTER {target} SET {name} = off")
    admin(patient, "SELECT pg_reload_conf()")
    wait_until(lambda: patient.doctor().bad() == ["durability"], 20, f"{name} is seen to be off")
    report = patient.doctor()
    assert f"{name} is off" in report["durability"]["found"]
    patient.shell(report["durability"]["mend"])
    wait_until(lambda: patient.doctor().bad() == [], 60, "it is on again")  # the server reads its configuration soon


def test_too_few_connections(patient):
    admin(patient, f'ALTER ROLE "{patient.name}" CONNECTION LIMIT 3')
    patient.heal("connections")


def test_somebody_holds_a_lock(patient):
    holder = Database(patient.postgres, patient.name)
    holder.run("BEGIN; LOCK TABLE winnow.batch_log")
    waiter = subprocess.Popen(["psql", "-d", patient.database.dsn, "-c", "SELECT count(*) FROM winnow.batch_log"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: patient.doctor().bad() == ["locks"], 60, "the lock is seen")
        report = patient.heal("locks")
    finally:
        waiter.wait(60)
        holder.close()
    assert waiter.returncode == 0 and report.bad() == []


def grow_old(patient):
    """Takes so many transactions that autovacuum would freeze the database, if nobody kept it from that."""
    with Database(patient.postgres, patient.name) as database:
        database.run("CREATE TEMPORARY TABLE step (i integer)")
        database.run("DO $$ BEGIN FOR i IN 1..210000 LOOP BEGIN INSERT INTO step VALUES (i); EXCEPTION WHEN OTHERS THEN RAISE; "
                     "END; END LOOP; END $$")


def test_old_transactions(old_patient):
    """One that is open, one that is prepared, and a database that could not be frozen meanwhile: a command for each."""
    patient = old_patient
    admin(patient, f'GRANT pg_read_all_stats TO "{patient.name}"')
    patient.options = ("--transaction-age", "1")
    holder = Database(patient.postgres, patient.name)
    holder.run("BEGIN; CREATE TEMPORARY TABLE mine (i integer); SELECT pg_current_xact_id()")
    patient.database.run("BEGIN; CREATE TABLE theirs (i integer); PREPARE TRANSACTION 'it''s mine'")
    grow_old(patient)
    try:
        wait_until(lambda: "waits for" in patient.doctor()["locks"]["found"], 60, "they are old")
        report = patient.doctor()
        assert report.bad() == ["locks"] and report["locks"]["verdict"] == "warn"
        for words in ("a transaction of postgres (winnow test, idle in transaction) is open for", "a prepared transaction, it's mine, waits",
                      "thousand transactions since the database was frozen"):
            assert words in report["locks"]["found"]
        assert report["locks"]["mend"].count("\n") == 2
        patient.heal("locks")
    finally:
        holder.close()
    assert patient.database.value("SELECT count(*) FROM pg_prepared_xacts") == 0


def test_a_server_for_fewer_connections(patient):
    """The mend restarts it."""
    patient.kafka.add_partitions(patient.name, 60)
    patient.set(workers=60)
    report = patient.doctor()
    assert "too few are left" in report["connections"]["found"]
    patient.heal("connections")
    admin(patient, "ALTER SYSTEM RESET max_connections")
    patient.postgres.restart()


def test_disk(patient):
    """Whoever may know where the database lies learns how much space is left there."""
    admin(patient, f'GRANT pg_monitor TO "{patient.name}"')
    assert "of its disk are free" in patient.doctor()["disk"]["found"]
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "right"))
    assert "of its disk are free" in patient.doctor()["disk"]["found"]


def test_disk_full(patient):
    """What takes the space is for a person to judge: the mend shows it."""
    try:
        disk = SmallDisk(64, patient.postgres.user)
    except NotPermitted as error:
        pytest.skip(str(error))
    with disk:
        admin(patient, f"CREATE TABLESPACE small LOCATION '{disk.path}'")
        patient.database.close()
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE small')
        assert patient.doctor()["disk"]["verdict"] == "ok"
        disk.fill()
        report = patient.doctor()
        assert report.bad() == ["disk"] and report["disk"]["verdict"] == "fail"
        assert BALLAST in patient.shell(report["disk"]["mend"])
        disk.free()
        assert patient.doctor().bad() == []
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE pg_default')
        admin(patient, "DROP TABLESPACE small")
