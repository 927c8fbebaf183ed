"""The units, as systemd reads them, and what a pool tells its service manager."""

import re
import signal
import subprocess

import pytest
from winnow_test.poll import comes_about, wait_until
from winnow_test.pool import Pool
from winnow_test.console import Console
from winnow_test.process import ROOT
from winnow_test.service_manager import ServiceManager, variables_of

SERVICES = ("winnow.service", "winnow@.service", "winnow-console.service", "winnow-retain.service")
TIMER = "winnow-retain.timer"
EXPOSURE_MAX = 2.0


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """Where `make install` put them."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["make", "-C", ROOT, "install", f"PREFIX={prefix}", "BUILD=build"], check=True, stdout=subprocess.DEVNULL)
    yield prefix / "lib/systemd/system"
    subprocess.run(["make", "-C", ROOT, "uninstall", f"PREFIX={prefix}", "BUILD=build"], check=True, stdout=subprocess.DEVNULL)
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == []


def systemd_analyze(*arguments):
    done = subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_units_are_right(units):
    assert systemd_analyze("verify", "--man=no", *(units / name for name in (*SERVICES, TIMER))) == (0, "")


def test_a_unit_that_is_wrong_is_found(units, tmp_path):
    """verify would see it, if something were wrong."""
    broken = tmp_path / "winnow.service"
    broken.write_text((units / "winnow.service").read_text().replace("WatchdogSec=30", "WatchdogSec=often"))
    assert systemd_analyze("verify", "--man=no", broken)[1] != ""


@pytest.mark.parametrize("name", SERVICES)
def test_exposure(units, name):
    _, told = systemd_analyze("security", "--offline=true", units / name)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", told).group(1))
    assert exposure < EXPOSURE_MAX, told


@pytest.mark.parametrize("name", SERVICES)
def test_commands_and_options_exist(units, name):
    """The command of ExecStart= is one that the program has, with the options that it has."""
    program, command, *options = re.search(r"^ExecStart=(.+)$", (units / name).read_text(), re.MULTILINE)[1].split()
    told = subprocess.run([program, command, "--help"], capture_output=True, text=True, check=True).stdout
    named = [option for option in options if option.startswith("--")]
    assert named[0] == "--config" and all(re.search(rf"{option}\b", told) for option in named)


def test_timer_comes_once_a_month(units):
    """And starts the service of its name, which nothing else starts."""
    when = re.search(r"^OnCalendar=(.+)$", (units / TIMER).read_text(), re.MULTILINE)[1]
    code, told = systemd_analyze("calendar", "--iterations=3", "--base-time=2026-01-15", when)
    assert code == 0 and re.findall(r"(20\d\d-\d\d-\d\d) ", told) == ["2026-02-02", "2026-03-02", "2026-04-02"], told
    assert "[Install]" not in (units / "winnow-retain.service").read_text()


def test_pool_tells_how_it_goes(stage):
    with ServiceManager() as manager:
        pool = stage.pool(2)
        pool.variables = manager.variables(watchdog_s=1)
        with pool:
            manager.wait_for("READY=1")
            manager.wait_for("STATUS=2 of 2 workers have joined the group")
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & variables_of(pool.worker_pids()[0])
            before = manager.signs()
            wait_until(lambda: manager.signs() >= before + 3, 60, "three signs of life")
            pool.send_signal(signal.SIGHUP)
            manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
            manager.wait_for("READY=1", count=2)
            assert pool.stop() == 0
        assert manager.told()[0].startswith("STATUS=the first worker looks at")
        assert manager.told()[-2:] == ["STOPPING=1", "STATUS=stopping: workers drain"]


def test_no_sign_of_life_from_a_pool_that_hangs(stage):
    with ServiceManager() as manager:
        pool = stage.pool(1)
        pool.variables = manager.variables(watchdog_s=0.4)
        with pool:
            wait_until(lambda: manager.signs() > 3, 60, "signs of life")
            pool.send_signal(signal.SIGSTOP)
            wait_until(lambda: is_stopped(pool.pid), 60, "the pool is frozen")
            before = manager.signs()
            assert not comes_about(lambda: manager.signs() > before, 1.5), "a sign of life"
            pool.send_signal(signal.SIGCONT)
            wait_until(lambda: manager.signs() > before, 60, "signs of life again")


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def test_never_ready_without_a_database(stage, postgres):
    """A pool that waits for its database is not ready, and says what it does."""
    postgres.stop()
    with ServiceManager() as manager:
        pool = stage.pool(2)
        pool.variables = manager.variables()
        with pool:
            pool.wait_for_log("event=waiting_for_database")
            assert manager.told() == ["STATUS=the first worker looks at configuration, topic and schema"]
            postgres.start()
            manager.wait_for("READY=1")


def test_without_a_service_manager_nothing_is_told(stage):
    """An address that nobody listens at is told once, and changes nothing."""
    pool = stage.pool(1)
    pool.variables = {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "100000"}
    with pool:
        pool.wait_for_log("event=pool_joined")
        assert pool.stop() == 0
    assert pool.log_text().count("event=notify_failed") == 1


def test_console_is_ready_when_it_listens(stage):
    with ServiceManager() as manager:
        with Console({**stage.settings}, variables=manager.variables()) as console:
            manager.wait_for("READY=1\nSTATUS=listening on port ")
            assert console.get("/livez").status == 200
        manager.wait_for("STOPPING=1")
