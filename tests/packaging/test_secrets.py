"""Passwords by file: what is read, what is refused, and that nobody else gets to see them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from winnow_test import pool
from winnow_test.postgres import SUPERUSER
from winnow_test.process import ROOT

SECRET = "s3cret of the broker"
NEEDED = {"brokers": "localhost:1", "topic": "t"}


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def printed(result):
    assert result.exit_code == 0, result
    assert SECRET not in result.out + result.error
    return re.sub(" +", " ", result.out)


def test_by_environment(secret):
    out = printed(pool.run("config", "print", settings={"kafka_sasl_password_file": secret}))
    assert "\nsasl.password *** environment WINNOW_KAFKA_SASL_PASSWORD_FILE\n" in out


def test_by_option(secret):
    assert "\nsasl.password *** " in printed(pool.run("config", "print", "-X", f"sasl.password.file={secret}"))


def test_by_configuration(secret, tmp_path):
    file = tmp_path / "winnow.conf"
    file.write_text(f"[kafka]\nsasl.password.file = {secret}\n")
    assert f"file {file}:2" in printed(pool.run("config", "print", "-c", file))
    file.write_text(f"[kafka]\nsasl.password = x\nsasl.password.file = {secret}\n")
    twice = pool.run("config", "print", "-c", file)
    assert twice.exit_code == 78
    assert f"winnow: {file}:3: sasl.password is given twice, before at {file}:2" in twice.error


def test_other_properties_take_no_file():
    told = pool.run("config", "check", "-X", "client.id.file=/etc/hostname", settings=NEEDED)
    assert told.exit_code == 78
    assert 'No such configuration property: "client.id.file"' in told.error


@pytest.mark.parametrize("make, problem", [
    (lambda path: None, "No such file or directory"),
    (lambda path: path.write_text("\n"), "it is empty, expected the secret in it"),
    (lambda path: path.write_bytes(b"a\0b"), "it holds a NUL byte"),
    (lambda path: path.write_text("a" * 65537), "it is longer than 64 KiB"),
    (lambda path: path.mkdir(), "it is no file, expected one that holds the secret alone"),
    (os.mkfifo, "it is no file, expected one that holds the secret alone"),
])
@pytest.mark.parametrize("name", ["database_password_file", "kafka_sasl_password_file"])
def test_what_is_refused(name, make, problem, tmp_path):
    path = tmp_path / "secret"
    make(path)
    told = pool.run("config", "check", settings={**NEEDED, name: path})
    assert (told.exit_code, told.error) == (78, f"winnow: WINNOW_{name.upper()}: cannot read {path}: {problem}\n")


def test_longest_secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("a" * 65536)
    assert pool.run("config", "check", settings={**NEEDED, "database_password_file": path}).out == "ok\n"


def test_database_password(database, postgres, tmp_path):
    """Over TCP the server wants the password; it comes from the file, with a URI too, and the wrong one is refused."""
    path = tmp_path / "password"
    path.write_text(postgres.password + "\r\n")
    uri = f"postgresql://{SUPERUSER}@127.0.0.1:{postgres.port}/{database.name}"
    for conninfo in (uri, postgres.tcp_dsn(database.name, password="").replace("password=", "")):
        done = pool.run("migrate", "status", "-d", conninfo, "--database-password-file", path)
        assert done.exit_code == 0, done
    path.write_text("wrong")
    refused = pool.run("migrate", "status", "-d", uri, "--database-password-file", path)
    assert refused.exit_code != 0
    assert "password authentication failed" in refused.error


def test_not_in_the_list_of_processes(stage, secret, postgres, tmp_path):
    """Neither the pool's nor its workers' arguments hold a password that came from a file."""
    password = tmp_path / "password"
    password.write_text(postgres.password)
    dsn = f"host=127.0.0.1 port={postgres.port} dbname={stage.database.name} user={SUPERUSER}"
    with stage.pool(1, {"sasl.password.file": secret}, database=dsn, database_password_file=password) as running:
        running.wait_for_log("event=pool_joined")
        arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in [running.pid, *running.worker_pids()])
    assert SECRET.encode() not in arguments
    assert postgres.password.encode() not in arguments
    assert SECRET not in running.log_text()


def test_examples_name_files():
    """What people copy holds no password, but names the file of one."""
    example = subprocess.run([pool.BINARY, "config", "example"], capture_output=True, text=True, check=True).stdout
    assert "#sasl.password.file = " in example
    assert "password = " not in example
    assert "WINNOW_KAFKA_SASL_PASSWORD_FILE" in (ROOT / "worker/packaging/systemd/secrets.conf").read_text()
