"""TLS and SASL as worker/OPERATIONS.md tells of them: what works, and that what is wrong is named."""

import subprocess

import pytest
from winnow_test import pool
from winnow_test.poll import wait_until
from winnow_test.postgres import Database, Postgres, SUPERUSER

EVENT = '{"client":"a","metric":"m","amount":1,"time":"2024-01-01"}'


def arguments(properties):
    return [part for name, value in properties.items() for part in ("-X", f"{name}={value}")]


@pytest.fixture
def tls(secured):
    return {"security.protocol": "SSL", "ssl.ca.location": secured.authority.path}


@pytest.fixture
def login(secured):
    return {"security.protocol": "SASL_SSL", "ssl.ca.location": secured.authority.path, "sasl.mechanisms": "PLAIN",
            "sasl.username": "winnow", "sasl.password.file": secured.password_file}


def run_through(stage, brokers, properties):
    """An event goes in and is stored, and a poison message gets to the dead-letter topic."""
    sent = stage.winnow("submit", EVENT, *arguments(properties), brokers=brokers)
    assert sent.exit_code == 0, sent
    stage.send(b"poison")
    with stage.pool(1, properties, brokers=brokers):
        stage.wait_until_caught_up()
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 1
        assert len(stage.dead()) == 1
    status = stage.winnow("status", *arguments(properties), brokers=brokers)
    assert status.exit_code == 0, status


def test_tls(stage, secured, tls):
    run_through(stage, secured.brokers("TLS"), tls)


def test_tls_with_a_certificate_of_ours(stage, secured, tls):
    run_through(stage, secured.brokers("MUTUAL"), {
        **tls, "ssl.certificate.location": secured.user_certificate, "ssl.key.location": secured.user_key})


def test_plain(stage, secured, login):
    run_through(stage, secured.brokers("LOGIN"), login)


def refused(stage, brokers, properties):
    """What a worker says that cannot start: exit code 78, so that a pool does not try for ever."""
    done = stage.winnow("worker", *arguments(properties), brokers=brokers)
    assert done.exit_code == 78, done
    return next(line for line in done.error.splitlines() if "event=cannot_start" in line)


@pytest.mark.parametrize("listener, authority", [("TLS", "other"), ("STRANGER", "authority")])
def test_a_broker_that_is_not_the_one(stage, secured, tls, listener, authority):
    """Signed by someone else, or for another host."""
    line = refused(stage, secured.brokers(listener), {**tls, "ssl.ca.location": getattr(secured, authority).path})
    assert "certificate verify failed" in line
    assert "check ssl.ca.location, and that the brokers' certificate is in date and names the host that -b/--brokers" in line


def test_no_certificate_of_ours(stage, secured, tls):
    line = refused(stage, secured.brokers("MUTUAL"), tls)
    assert "check ssl.certificate.location and ssl.key.location" in line


def test_authority_is_not_there(stage, secured, tls):
    line = refused(stage, secured.brokers("TLS"), {**tls, "ssl.ca.location": "/nowhere/ca.pem"})
    assert "ssl.ca.location" in line


def test_wrong_password(stage, secured, login, tmp_path):
    password = tmp_path / "password"
    password.write_text("wrong\n")
    line = refused(stage, secured.brokers("LOGIN"), {**login, "sasl.password.file": password})
    assert "Authentication failed: Invalid username or password" in line
    assert "check security.protocol and the sasl.* properties" in line
    assert "wrong\n" not in line


def test_scram(stage, secured, login):
    """librdkafka 2.0.2 sends a nonce that Kafka 4 does not take; with a later one this is a login like any other."""
    brokers = secured.brokers("LOGIN")
    done = stage.winnow("submit", EVENT, *arguments({**login, "sasl.mechanisms": "SCRAM-SHA-512"}), brokers=brokers)
    if done.exit_code == 0:
        return
    line = refused(stage, brokers, {**login, "sasl.mechanisms": "SCRAM-SHA-512"})
    assert "with Kafka 4 use PLAIN over TLS or client certificates" in line


# ---- PostgreSQL ----

@pytest.fixture(scope="module")
def guarded(secured):
    """A server with a certificate for localhost, which takes passwords over TLS alone. The conninfo of a database
    with winnow's schema, without TLS's part and without a password."""
    key, certificate = secured.authority.issue("postgres", "localhost")
    server = Postgres({"ssl": "on"})
    for name, path in (("server.key", key), ("server.crt", certificate)):
        target = server.data / name
        target.write_text(path.read_text())
        target.chmod(0o600)
        server.give_to_user(target)
    (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    with server:
        database = server.new_database()
        pool.run("migrate", settings={"database": database.dsn}, check=True)
        database.close()
        yield server, f"host=localhost hostaddr=127.0.0.1 port={server.port} dbname={database.name} user={SUPERUSER}"


@pytest.fixture
def password(guarded, tmp_path):
    path = tmp_path / "password"
    path.write_text(guarded[0].password)
    return path


def status_of(conninfo, password):
    return pool.run("migrate", "status", settings={"database": conninfo, "database_password_file": password})


def test_database_is_verified(guarded, secured, password):
    conninfo = f"{guarded[1]} sslmode=verify-full sslrootcert={secured.authority.path}"
    assert status_of(conninfo, password).exit_code == 0


def test_pool_over_tls(stage, guarded, secured, password):
    conninfo = f"{guarded[1]} sslmode=verify-full sslrootcert={secured.authority.path}"
    stage.send({"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"})
    server, _ = guarded
    with Database(server, conninfo.split("dbname=")[1].split()[0]) as there, \
            stage.pool(1, database=conninfo, database_password_file=password) as running:
        running.wait_for_log("event=pool_joined")
        wait_until(lambda: there.value("SELECT count(*) FROM winnow.event") == 1, 90, "the event is stored",
                   on_timeout=running.log_tail)
        assert there.value("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                           "WHERE application_name LIKE 'winnow worker%%'")


@pytest.mark.parametrize("change, problem", [
    (lambda conninfo, secured: f"{conninfo} sslrootcert={secured.other.path}", "certificate verify failed"),
    (lambda conninfo, secured: f"{conninfo} sslrootcert=/nowhere/ca.pem", 'root certificate file "/nowhere/ca.pem" does not exist'),
    (lambda conninfo, secured: conninfo.replace("host=localhost", "host=elsewhere.example") +
     f" sslrootcert={secured.authority.path}", 'does not match host name "elsewhere.example"'),
], ids=["other authority", "no file", "other host"])
def test_database_that_is_not_the_one(guarded, secured, password, change, problem):
    refusal = status_of(change(f"{guarded[1]} sslmode=verify-full", secured), password)
    assert refusal.exit_code == 78
    assert problem in refusal.error


def test_certificates_are_what_they_are_taken_for(secured):
    """So that what is refused above is refused for its reason."""
    for authority, good in ((secured.authority, True), (secured.other, False)):
        done = subprocess.run(["openssl", "verify", "-CAfile", authority.path, secured.user_certificate],
                              capture_output=True, check=False)
        assert (done.returncode == 0) == good
