"""Faults of the server, the login, the database and the schema."""

import contextlib
import shutil
import subprocess
import time

import psycopg2
import pytest
from winnow_test import pool
from winnow_test.certificates import Authority
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.process import ROOT
from winnow_test.proxy import Proxy
from winnow_test.small_disk import BALLAST, NotPermitted, SmallDisk
from winnow_test.standby import Standby

from clinic import admin, make_stream


def test_postgresql_down(patient):
    patient.postgres.stop()
    report = patient.doctor()
    assert report.bad() == ["postgresql"]
    assert {check["found"] for name, check in report.checks.items() if check["verdict"] == "skip"} == {"needs postgresql"}
    patient.heal("postgresql", seen=report)


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
    patient.heal("login", stdin="right\n", seen=report)


def test_wrong_password_in_a_file(patient):
    path = patient.directory / "password"
    path.write_text("wrong")
    path.chmod(0o600)
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "").replace("password=", ""),
                database_password_file=path)
    patient.heal("login", stdin="right\n")


@pytest.fixture
def sealed_postgres(patient):
    """Its server speaks TLS meanwhile, as localhost. Yields the authority that signed its certificate."""
    authority = Authority(patient.directory)
    for name, path in zip(("ssl_key_file", "ssl_cert_file"), authority.issue("postgres", "localhost")):
        place = patient.postgres.data / path.name
        shutil.copy(path, place)
        patient.postgres.give_to_user(place)
        place.chmod(0o600)
        admin(patient, f"ALTER SYSTEM SET {name} = '{place}'")
    admin(patient, "ALTER SYSTEM SET ssl = on")
    admin(patient, "SELECT pg_reload_conf()")
    try:
        yield authority
    finally:
        for name in ("ssl", "ssl_key_file", "ssl_cert_file"):
            admin(patient, f"ALTER SYSTEM RESET {name}")
        admin(patient, "SELECT pg_reload_conf()")


def sealed_dsn(patient, host, more=""):
    return patient.postgres.tcp_dsn(patient.name, patient.name, "right").replace(
        "host=127.0.0.1", f"host={host} hostaddr=127.0.0.1 sslmode=verify-full {more}")


def test_server_of_an_unknown_authority(patient, sealed_postgres):
    """With no file of authorities, and with one that has others."""
    patient.environment["HOME"] = str(patient.directory)
    patient.set(database=sealed_dsn(patient, "localhost"))
    wait_until(lambda: "certificate" in patient.doctor()["login"]["found"], 20, "it speaks TLS")
    report = patient.doctor()
    assert report.bad() == ["login"] and "CREATE ROLE" not in report["login"]["mend"]
    look, ask = report["login"]["mend"].splitlines()
    shown = patient.shell(look)
    assert "issuer=CN = winnow test ca" in shown and "unable to" in shown
    assert ask.startswith("read -r PGSSLROOTCERT && export PGSSLROOTCERT ")
    patient.heal("login", stdin=f"{sealed_postgres.path}\n")
    del patient.environment["PGSSLROOTCERT"]
    path = Authority(patient.directory, "another").path
    patient.set(database=sealed_dsn(patient, "localhost", f"sslrootcert={path}"))
    patient.heal("login", stdin=f"{sealed_postgres.path}\n")


def test_server_by_another_name_than_its_certificate_has(patient, sealed_postgres):
    patient.set(database=sealed_dsn(patient, "db.example", f"sslrootcert={sealed_postgres.path}"))
    wait_until(lambda: "match host name" in patient.doctor()["login"]["found"], 20, "it speaks TLS")
    assert "right" not in patient.doctor()["login"]["mend"]
    patient.heal("login", stdin="right\n")
    assert "host=localhost hostaddr=127.0.0.1" in patient.environment["WINNOW_DATABASE"]


def test_no_such_role(patient):
    """Of a name that the shell and SQL take only in quotes."""
    patient.set(database=patient.postgres.dsn(patient.name, f"{patient.name}-o'\"neil"))
    patient.heal("login")


def check_missing_entry(patient, entries, added):
    """With these entries alone we are not let in; the mend adds one for this login alone."""
    path = patient.postgres.data / "pg_hba.conf"
    before = path.read_text()
    path.write_text(entries)
    admin(patient, "SELECT pg_reload_conf()")
    patient.environment["PGPASSWORD"] = patient.postgres.password  # of the superuser
    try:
        wait_until(lambda: "no pg_hba.conf entry" in patient.doctor()["login"]["found"], 20, "we are not let in")
        patient.shell(patient.doctor()["login"]["mend"])
        wait_until(lambda: patient.doctor().bad() == [], 20, "we are let in")
        assert path.read_text() == entries + added
    finally:
        path.write_text(before)
        admin(patient, "SELECT pg_reload_conf()")


def test_no_entry_for_this_host(patient):
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "right"))
    check_missing_entry(patient, "local all all trust\nhost all postgres 127.0.0.1/32 scram-sha-256\n",
                        f'host "{patient.name}" "{patient.name}" 127.0.0.1/32 scram-sha-256\n')


def test_no_entry_for_this_host_by_tls(patient, sealed_postgres):
    patient.set(database=sealed_dsn(patient, "localhost", f"sslrootcert={sealed_postgres.path}"))
    check_missing_entry(patient, "local all all trust\nhostssl all postgres 127.0.0.1/32 scram-sha-256\n",
                        f'hostssl "{patient.name}" "{patient.name}" 127.0.0.1/32 scram-sha-256\n')


def test_no_entry_for_the_socket(patient):
    patient.set(database=f"{patient.postgres.dsn(patient.name, patient.name)} password=right")
    check_missing_entry(patient, "local all postgres trust\n",
                        f'local "{patient.name}" "{patient.name}" scram-sha-256\n')


@pytest.mark.parametrize("what", ["ROLE", "DATABASE"])
def test_no_connection_is_left_for_us(patient, what):
    patient.database.close()
    admin(patient, f'ALTER {what} "{patient.name}" CONNECTION LIMIT 0')
    patient.heal("postgresql")


def test_no_connection_is_left(patient):
    """The server keeps some for its superuser, who gives it more; the mend restarts it."""
    taken = []
    with contextlib.suppress(psycopg2.OperationalError):
        while True:
            taken.append(psycopg2.connect(patient.postgres.dsn(patient.name, patient.name)))
    try:
        patient.heal("postgresql")
    finally:
        for connection in taken:
            connection.close()
        admin(patient, "ALTER SYSTEM RESET max_connections")
        patient.postgres.restart()


def test_no_database(patient):
    patient.set(database=patient.postgres.dsn(f"{patient.name}-new"))
    patient.heal("database", "schema")
    patient.postgres.drop_database(f"{patient.name}-new")


def test_wrong_encoding(patient):
    admin(patient, f'CREATE DATABASE "{patient.name}-old" ENCODING LATIN1 LOCALE \'C\' TEMPLATE template0')
    patient.set(database=patient.postgres.dsn(f"{patient.name}-old"))
    report = patient.doctor()
    assert "LATIN1, expected UTF8" in report["database"]["found"] and report["schema"]["found"] == "needs database"
    patient.heal("database", seen=report)
    for name in ("old", "old_utf8"):
        patient.postgres.drop_database(f"{patient.name}-{name}")


def test_no_schema(patient):
    patient.set(database=patient.postgres.new_database(f"{patient.name}-empty").dsn)
    patient.heal("schema")
    patient.postgres.drop_database(f"{patient.name}-empty")


def test_newer_schema(patient):
    """A winnow that was installed before the newest migration came: its sources bring, make and install one that knows it."""
    newest = max((ROOT / "migrations").glob("*.up.sql"))
    sources, origin, prefix = (patient.directory / name for name in ("sources", "origin", "usr"))
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(winnow_before(), prefix / "bin" / "winnow")
    git(patient.directory, "init", "--quiet", "--bare", "--initial-branch=main", origin)
    git(patient.directory, "clone", "--quiet", origin, sources)
    (sources / "Makefile").write_text(f"all: ;\ninstall:\n\tinstall {pool.BINARY} $(PREFIX)/bin/winnow\n")
    commit(sources)
    clone = patient.directory / "clone"
    git(patient.directory, "clone", "--quiet", origin, clone)
    (sources / "migrations").mkdir()
    shutil.copy(newest, sources / "migrations")
    commit(sources)
    patient.program = prefix / "bin" / "winnow"
    report = patient.doctor()
    assert report.bad() == ["schema"] and "newer than this winnow" in report["schema"]["found"]
    assert f"{newest.name.removesuffix('.up.sql')} was applied on 20" in report["schema"]["found"]
    patient.shell(f"cd {clone}; {report['schema']['mend']}")
    assert patient.doctor().bad() == []


def winnow_before():
    subprocess.run(["make", "CI=1", "build/winnow_before"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build" / "winnow_before"


def git(directory, *arguments):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *map(str, arguments)], cwd=directory, check=True,
                   capture_output=True)


def commit(directory):
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "a step")
    git(directory, "push", "--quiet", "origin", "HEAD:main")


def test_database_read_only(patient):
    admin(patient, f'ALTER DATABASE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_login_read_only(patient):
    admin(patient, f'ALTER ROLE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_standby(patient):
    """The mend makes no second primary of it: it leads to the primary, which a superuser is asked for, or which a login
    that may see it is told of."""
    with Standby(patient.postgres) as standby:
        for may_see in (False, True):
            if may_see:
                admin(patient, f'GRANT pg_read_all_stats TO "{patient.name}"')
            standby.wait_until_level()
            patient.set(database=standby.dsn(patient.name, patient.name))
            report = patient.doctor()
            assert "a standby" in report["writable"]["found"]
            assert (f"it follows {patient.postgres.socket_directory} port {patient.postgres.port}" in
                    report["writable"]["found"]) == may_see
            patient.heal("writable")
            assert f"port={patient.postgres.port}" in patient.environment["WINNOW_DATABASE"]


def test_no_privileges(patient):
    admin(patient, f'REVOKE winnow_worker FROM "{patient.name}"')
    patient.heal("schema")


def test_a_privilege_is_missing(patient):
    patient.database.run("REVOKE INSERT ON winnow.batch_log FROM winnow_worker")
    report = patient.doctor()
    assert "the first is INSERT on winnow.batch_log" in report["privileges"]["found"]
    patient.heal("privileges", seen=report)


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


def test_not_durable_by_its_command_line(careless_patient):
    """ALTER SYSTEM would change nothing."""
    mend = careless_patient.doctor()["durability"]["mend"]
    assert "take fsync out of how the server is started" in mend and "ALTER SYSTEM" not in mend
    careless_patient.shell(mend)
    assert "fsync=off" in (careless_patient.postgres.data / "postmaster.opts").read_text()


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
    patient.heal("connections", seen=report)
    admin(patient, "ALTER SYSTEM RESET max_connections")
    patient.postgres.restart()


def test_disk(patient):
    """Whoever may know where the database lies learns how much space is left there; on another machine, how to look."""
    report = patient.doctor()
    assert report["disk"]["verdict"] == "skip" and "pg_monitor" in report["disk"]["found"]
    patient.shell(report["disk"]["mend"])
    assert "of its disk are free" in patient.doctor()["disk"]["found"]
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "right"))
    assert "of its disk are free" in patient.doctor()["disk"]["found"]
    with open(patient.postgres.data / "pg_hba.conf", "a", encoding="utf-8") as file:
        file.write("host all all 127.0.0.2/32 scram-sha-256\n")
    admin(patient, "SELECT pg_reload_conf()")
    with Proxy(patient.postgres.port, source="127.0.0.2") as proxy:
        patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "right", proxy.port))
        wait_until(lambda: patient.doctor()["login"]["verdict"] == "ok", 20, "we are let in from there")
        report = patient.doctor()
    assert report["disk"]["verdict"] == "skip" and "on its own machine" in report["disk"]["found"]
    assert report["disk"]["mend"] == f"ssh 127.0.0.1 df -h {patient.postgres.data}"
    assert "Avail" in patient.shell(report["disk"]["mend"])


MONTHS = ("SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - m * interval '1 month', 'YYYY-MM')"
          " FROM unnest(ARRAY[1, 2, 3]) AS m")


def fill_months(patient):
    """The three months before this one, the oldest with little in it."""
    stream = make_stream(patient)
    for age, events in ((1, 20000), (2, 60000), (3, 100)):
        patient.database.run(
            "SELECT winnow.ensure_event_month((date_trunc('month', now() AT TIME ZONE 'UTC') - %s * interval '1 month')::date)",
            (age,))
        patient.database.run(
            "INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id,"
            " metric, amount) SELECT t, t, i, gen_random_uuid(), 0, %s, 'c', 'm', 1 FROM generate_series(1, %s) AS i,"
            " (SELECT date_trunc('month', now()) - %s * interval '1 month' + interval '2 days') AS at (t)", (stream, events, age))


def test_disk_full(patient):
    """The mend shows what takes the space, and drops as many of the oldest months as are needed, and no more."""
    try:
        disk = SmallDisk(64, patient.postgres.user)
    except NotPermitted as error:
        pytest.skip(str(error))
    with disk:
        admin(patient, f"CREATE TABLESPACE small LOCATION '{disk.path}'")
        patient.database.close()
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE small')
        fill_months(patient)
        last, kept, _ = (row[0] for row in patient.database.rows(MONTHS))
        assert patient.doctor()["disk"]["verdict"] == "ok"
        disk.fill(but_for=1 << 20)
        report = patient.doctor()
        assert report.bad() == ["disk"] and report["disk"]["verdict"] == "fail"
        assert BALLAST in patient.shell(report["disk"]["mend"].splitlines()[0])
        assert f"--keep '1 months'   # drops what is before {last}: " in report["disk"]["mend"] and kept not in report["disk"]["mend"]
        patient.heal("disk")
        assert patient.database.value("SELECT count(*) FROM winnow.event") == 20000
        patient.database.close()
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE pg_default')
        admin(patient, "DROP TABLESPACE small")
