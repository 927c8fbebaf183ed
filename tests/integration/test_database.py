"""Connections to PostgreSQL (worker/database.c) as `winnow migrate status` shows them: faults, deadlines, signals."""

import os
import signal
import socket
import subprocess
import time

import pytest

from winnow_test import pool
from winnow_test.poll import wait_until


def status(conninfo, **environment):
    return subprocess.run([str(pool.BINARY), "migrate", "status", "-d", conninfo], capture_output=True, text=True,
                          timeout=180, check=False, env={**pool.environment({}), **environment})


@pytest.fixture
def login(postgres):
    """A role that has to give a password over TCP."""
    name = f"login_{os.getpid()}"
    with postgres.new_database(f"of_{name}") as database:
        database.run(f"CREATE ROLE {name} LOGIN PASSWORD 'sesame'")
        yield postgres.tcp_dsn(database.name, user=name, password="open")
        database.run(f"DROP ROLE {name}")
        database.drop()


@pytest.fixture
def silent_port():
    """Takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.fixture
def black_hole_port():
    """Does not even take connections: the queue of the listener is full, and further ones get no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield address[1]
        for one in waiting:
            one.close()


@pytest.mark.parametrize("conninfo,exit_code,words", [
    ("host=/nowhere", 69, "No such file or directory"),
    ("host=127.0.0.1 port=1", 69, "Connection refused"),
    ("host=nosuch.invalid", 69, "could not translate host name"),
    ("host=127.0.0.1 port=99999", 78, "invalid port number"),
    ("sslmode=nonsense", 78, "invalid sslmode value"),
    ("service=nope", 78, 'definition of service "nope" not found'),
])
def test_unusable_settings(conninfo, exit_code, words):
    result = status(conninfo)
    assert (result.returncode, words in result.stderr, result.stderr.count("\n")) == (exit_code, True, 1), result


@pytest.mark.parametrize("conninfo", ["host=h password=my sesame", "postgres://u:ses:ame@@h/x?p", "password='sesame",
                                      "postgresql://u:sesame@h:p/x"])
def test_password_is_not_told_when_the_conninfo_is_malformed(conninfo):
    result = status(conninfo)
    assert result.returncode == 78
    assert not any(part in result.stdout + result.stderr for part in ("sesame", "ses:", "ame@")), result


def test_refusals_are_told_from_outages(login, postgres):
    wrong = status(login)
    assert (wrong.returncode, "28P01" in wrong.stderr, "check user and password" in wrong.stderr) == (78, True, True)
    assert "open" not in wrong.stderr
    none = status(login.replace("password=open", ""))
    assert (none.returncode, "no password supplied" in none.stderr) == (78, True)
    right = status(login.replace("password=open", ""), PGPASSWORD="sesame")
    assert (right.returncode, right.stderr) == (1, "")
    assert status(login.replace("open", "sesame") + " sslmode=require").returncode == 78
    assert status(postgres.dsn("postgres", user="nobody_at_all")).returncode == 78


def test_a_name_without_equals_sign_is_a_database(empty_database, postgres):
    result = status(empty_database.name, PGHOST=str(postgres.socket_directory), PGPORT=str(postgres.port),
                    PGUSER="postgres")
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize("port", ["silent_port", "black_hole_port"])
def test_a_host_that_does_not_answer_is_given_up(request, port):
    begin = time.monotonic()
    result = status(f"host=127.0.0.1 port={request.getfixturevalue(port)} connect_timeout=1")
    assert (result.returncode, "no answer from 127.0.0.1" in result.stderr) == (69, True), result
    assert 0.9 < time.monotonic() - begin < 30  # by itself TCP gives up after minutes


def test_the_next_host_is_taken(empty_database, postgres, black_hole_port):
    result = status(f"host=127.0.0.1,127.0.0.1,{postgres.socket_directory} port=1,{black_hole_port},{postgres.port} "
                    f"user=postgres dbname={empty_database.name} connect_timeout=3")
    assert (result.returncode, result.stderr) == (1, ""), result


def test_a_standby_is_passed_over_unless_asked_for(empty_database):
    empty_database.run(f'ALTER DATABASE "{empty_database.name}" SET default_transaction_read_only = on')
    refused = status(empty_database.dsn)
    assert (refused.returncode, "session is read-only" in refused.stderr) == (69, True), refused
    assert status(empty_database.dsn + " target_session_attrs=any").returncode == 1
    assert status(empty_database.dsn, PGTARGETSESSIONATTRS="any").returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_connecting(number, silent_port):
    with subprocess.Popen([str(pool.BINARY), "migrate", "-d", f"host=127.0.0.1 port={silent_port} connect_timeout=100"],
                          env=pool.environment({}), stderr=subprocess.PIPE, text=True) as process:
        def is_connected():
            with open("/proc/net/tcp", encoding="ascii") as table:
                return any(f":{silent_port:04X} 01 " in line for line in table)
        wait_until(lambda: process.poll() is not None or is_connected(), 20, "it connects")
        assert process.poll() is None
        process.send_signal(number)
        begin = time.monotonic()
        error = process.communicate(timeout=120)[1]
        assert (process.returncode, "asked to stop" in error) == (69, True)
        assert time.monotonic() - begin < 50


def test_a_signal_ends_a_wait_without_limit(database):
    """`winnow migrate` waits for another one that holds the lock."""
    database.run("SELECT pg_advisory_lock(7164083951624937265)")
    with subprocess.Popen([str(pool.BINARY), "migrate", "-d", database.dsn], env=pool.environment({}),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "waiting for it" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=120)[1]
        assert (process.returncode, "asked to stop" in error) == (75, True)


def test_a_connection_that_is_cut_is_told(database):
    database.run("SELECT pg_advisory_lock(7164083951624937265)")
    with subprocess.Popen([str(pool.BINARY), "migrate", "-d", database.dsn], env=pool.environment({}),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "waiting for it" in process.stdout.readline()
        wait_until(lambda: database.terminate_backends("winnow migrate") == 1, 20, "it has a connection to end")
        error = process.communicate(timeout=120)[1]
        assert (process.returncode, "57P01" in error) == (75, True)
