"""The units under a real systemd, with all their hardening: start, status, reload, watchdog, stop."""

import os
import re
import signal
import subprocess

import pytest
from winnow_test.poll import wait_until
from winnow_test.postgres import SUPERUSER
from winnow_test.process import ROOT
from winnow_test.systemd import Systemd

CAN_BOOT = ["unshare", "--mount", "--pid", "--fork", "sh", "-euc",
            "mount -t tmpfs tmpfs /mnt; mkdir /mnt/u /mnt/w /mnt/r; "
            "mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r; test -x /mnt/r/lib/systemd/systemd"]


@pytest.fixture
def installed(stage, postgres, tmp_path):
    """What `make install` installs, and the operator's configuration, below a directory."""
    if os.geteuid() != 0 or subprocess.run(CAN_BOOT, capture_output=True, check=False).returncode != 0:
        pytest.skip("no overlay, no namespaces")
    tmp_path.chmod(0o755)
    root = tmp_path / "stage"
    subprocess.run(["make", "-C", ROOT, "install", f"DESTDIR={root}", "PREFIX=/usr", "BUILD=build"], check=True,
                   stdout=subprocess.DEVNULL)
    config = root / "etc/winnow"
    config.mkdir(parents=True)
    (config / "winnow.conf").write_text(
        f"brokers = {stage.broker.brokers}\ntopic = {stage.topic}\ngroup = {stage.settings['group']}\nworkers = 2\n"
        f"database = host=127.0.0.1 port={postgres.port} dbname={stage.database.name} user={SUPERUSER}\n"
        f"database_password_file = /etc/winnow/password\nlisten = 127.0.0.1:0\nmetrics_listen = off\n")
    (config / "password").write_text(postgres.password + "\n")
    (config / "password").chmod(0o640)
    (root / "etc/systemd/system/winnow.service.d").mkdir(parents=True)
    (root / "etc/systemd/system/winnow.service.d/quick.conf").write_text("[Service]\nWatchdogSec=2\nRestartSec=0\n")
    return root


def make_user(systemd):
    """The service's, which may read its secrets."""
    systemd.run("systemd-sysusers", check=True)
    systemd.run("chgrp", "winnow", "/etc/winnow/password", check=True)


def wait_for_status(systemd, text):
    wait_until(lambda: systemd.property("winnow", "StatusText") == text, 120, f"status is {text}", on_timeout=systemd.journal)


def worker_pids(systemd):
    shown = systemd.run("winnow", "pool", "status", "-c", "/etc/winnow/winnow.conf", check=True).stdout
    return set(re.findall(r"pid (\d+) +running", shown))


def use_credentials(systemd, stage, postgres):
    """By the example: the password is root's alone, and the manager hands the service a copy that libpq takes."""
    systemd.run("sed", "-i", "/^database_password_file/d", "/etc/winnow/winnow.conf", check=True)
    line = f"127.0.0.1:{postgres.port}:{stage.database.name}:{SUPERUSER}:{postgres.password}"
    systemd.run("sh", "-euc", f"umask 077; cd /etc/winnow; echo '{line}' > pgpass; echo unused > sasl-password; rm password; "
                "cp /usr/share/doc/winnow/examples/secrets.conf /etc/systemd/system/winnow.service.d/", check=True)
    systemd.run("systemctl", "daemon-reload", check=True)
    systemd.run("systemctl", "start", "winnow", check=True)
    wait_for_status(systemd, "2 of 2 workers have joined the group")
    systemd.run("systemctl", "stop", "winnow", check=True)
    assert systemd.property("winnow", "Result") == "success"


def test_life_of_a_service(stage, installed, postgres):
    stage.send({"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"})
    with Systemd(installed) as systemd:
        make_user(systemd)
        systemd.run("systemctl", "start", "winnow", "winnow-console", check=True)
        assert systemd.property("winnow-console", "ActiveState") == "active"
        wait_for_status(systemd, "2 of 2 workers have joined the group")
        wait_until(lambda: stage.database.value("SELECT count(*) FROM winnow.event") == 1, 120, "the event is stored",
                   on_timeout=systemd.journal)
        assert "2 workers" in systemd.run("winnow", "pool", "status", "-c", "/etc/winnow/winnow.conf", check=True).stdout
        before = worker_pids(systemd)
        systemd.run("systemctl", "reload", "winnow", check=True)
        after = worker_pids(systemd)
        assert len(before | after) == 4 and len(before) == len(after) == 2, "it comes back when all are replaced"
        systemd.run("sed", "-i", "1i nonsense = 3", "/etc/winnow/winnow.conf", check=True)
        assert systemd.run("systemctl", "reload", "winnow").returncode != 0
        assert systemd.property("winnow", "ActiveState") == "active"
        systemd.run("sed", "-i", "1d", "/etc/winnow/winnow.conf", check=True)
        assert worker_pids(systemd) == after
        first = systemd.property("winnow", "MainPID")
        systemd.run("kill", f"-{signal.SIGSTOP.name[3:]}", first, check=True)
        wait_until(lambda: int(systemd.property("winnow", "NRestarts")) > 0, 120, "a pool that hangs is started again",
                   on_timeout=systemd.journal)
        wait_for_status(systemd, "2 of 2 workers have joined the group")
        assert systemd.property("winnow", "MainPID") != first
        # Retention: nothing by itself, and what the operator says.
        assert systemd.property("winnow-retain.timer", "ActiveState") == "inactive"
        assert systemd.run("systemctl", "start", "winnow-retain").returncode != 0
        assert systemd.property("winnow-retain", "ExecMainStatus") == "64" and "an empty --keep" in systemd.journal()
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 1
        systemd.run("sh", "-c", "echo 'RETAIN_KEEP=13 months' > /etc/winnow/retain.env", check=True)
        systemd.run("systemctl", "start", "winnow-retain", check=True)
        assert stage.database.value("SELECT count(*) FROM winnow.event") == 0
        assert "2024-01: dropped 1 event" in systemd.journal()
        systemd.run("systemctl", "enable", "--now", "winnow-retain.timer", check=True)
        assert systemd.property("winnow-retain.timer", "ActiveState") == "active"
        systemd.run("systemctl", "stop", "winnow", "winnow-console", check=True)
        assert systemd.property("winnow", "Result") == "success"
        assert systemd.property("winnow", "ExecMainStatus") == "0"
        use_credentials(systemd, stage, postgres)
        # A wrong configuration is told, and not tried again.
        systemd.run("sed", "-i", "1i nonsense = 3", "/etc/winnow/winnow.conf", check=True)
        assert systemd.run("systemctl", "start", "winnow").returncode != 0
        assert systemd.property("winnow", "ExecMainStatus") == "78"
        assert systemd.property("winnow", "ActiveState") == "failed"
        wait_until(lambda: "winnow.conf:1: no setting nonsense" in systemd.journal(), 60, "the journal says why",
                   on_timeout=systemd.journal)
