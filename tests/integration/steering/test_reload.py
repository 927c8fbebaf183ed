"""HUP reads the configuration again: what is good is in force, what is bad changes nothing, and what needs a restart is
named."""

import signal

import pytest

from scenario import new_events
from test_pool_control import command, status  # pylint: disable=import-error
from winnow_test.poll import wait_until
from winnow_test.process import make_directory, remove_directory


class File:
    """A configuration file that an operator edits."""

    def __init__(self, stage, path):
        self.path = path
        self.values = {**stage.settings, "batch_rows": 500, "workers": 1, "control_socket": f"{path}.sock"}
        self.write()

    def write(self, **values):
        self.values.update(values)
        self.path.write_text("".join(f"{name} = {value}\n" for name, value in self.values.items() if value is not None))


@pytest.fixture
def stage(devbroker, make_stage):
    return make_stage(broker=devbroker)


@pytest.fixture
def file(stage):
    directory = make_directory("reload")
    yield File(stage, directory / "winnow.ini")
    remove_directory(directory)


@pytest.fixture
def pool(stage, file):
    """One whose configuration is the file alone."""
    settings, stage.settings = stage.settings, {}
    made = stage.pool(workers=1, arguments=("-c", str(file.path)), properties={"session.timeout.ms": "3000"})
    made._argv.remove("-n")  # pylint: disable=protected-access
    made._argv.remove("1")  # pylint: disable=protected-access
    stage.settings = settings
    with made:
        stage.send(*new_events(10))
        stage.wait_until_caught_up()
        yield made


def hang_up(pool, event):
    seen = pool.log_text().count(event)
    pool.send_signal(signal.SIGHUP)
    wait_until(lambda: pool.log_text().count(event) > seen, 20, event, on_timeout=pool.log_tail)


def test_a_good_change_is_in_force(stage, file, pool):
    before = pool.worker_pids()
    file.write(batch_rows=7, workers=2)
    hang_up(pool, "event=pool_renewing")
    assert "in force in every worker that is started from now on: workers 1 -> 2, batch_rows 500 -> 7" in \
        pool.log_text() or "batch_rows 500 -> 7, workers 1 -> 2" in pool.log_text()
    wait_until(lambda: len(pool.worker_pids()) == 2 and not set(pool.worker_pids()) & set(before), 40,
               "two new workers", on_timeout=pool.log_tail)
    stage.send(*new_events(100), partition=0)
    stage.wait_until_caught_up()
    largest = stage.database.value("SELECT max(received) FROM (SELECT received FROM winnow.batch_log "
                                   "ORDER BY committed_at DESC, start_offset DESC LIMIT 10) AS b")
    assert largest <= 7


def test_a_bad_file_keeps_the_old_configuration(stage, file, pool):
    before = pool.worker_pids()
    file.write(batch_rows="many")
    hang_up(pool, "event=reload_refused")
    assert f"{file.path}:" in pool.log_text() and "batch_rows" in pool.log_text()
    refused = command(stage, file.values["control_socket"], "reload")
    assert refused.exit_code == 1 and "the configuration is wrong" in refused.error
    assert pool.worker_pids() == before
    pool.kill_worker()  # one that starts now must not read the file
    wait_until(lambda: pool.worker_pids() not in ([], before), 20, "another worker", on_timeout=pool.log_tail)
    stage.send(*new_events(10))
    stage.wait_until_caught_up()
    file.path.unlink()
    hang_up(pool, "event=reload_refused")
    file.write(batch_rows=500)
    hang_up(pool, "event=pool_renewing")
    assert "nothing has changed" in pool.log_text()


@pytest.mark.parametrize("change, problem", [
    ({"database": "dbname='unclosed"}, "unterminated quoted string"),
    ({"brokers": None}, "brokers"),
])
def test_what_workers_would_refuse_is_refused(stage, file, pool, change, problem):
    """Known before any server is asked, so no worker is given up for it."""
    before = pool.worker_pids()
    file.write(**change)
    refused = command(stage, file.values["control_socket"], "reload")
    assert refused.exit_code == 1 and "the configuration is wrong" in refused.error
    assert problem in pool.log_text() and pool.worker_pids() == before
    assert "event=renewal_stopped" not in pool.log_text()


def test_what_needs_a_restart_is_named(stage, file, pool):
    before = pool.worker_pids()
    file.write(topic="elsewhere", batch_age_ms=30)
    told = command(stage, file.values["control_socket"], "reload")
    assert told.exit_code == 0, told
    assert "batch_age_ms 20 -> 30" in told.out.split("not in force")[0]
    assert f"topic {stage.topic} -> elsewhere" in told.out.split("not in force")[1]
    wait_until(lambda: len(pool.worker_pids()) == 1 and pool.worker_pids() != before, 40, "a new worker",
               on_timeout=pool.log_tail)
    stage.send(*new_events(10))
    stage.wait_until_caught_up()  # of the old topic
    assert "elsewhere" in status(file.values["control_socket"])["needs_restart"]
    assert "elsewhere" in command(stage, file.values["control_socket"], "status").out
    file.write(topic=stage.topic)
    assert "needs_restart" in command(stage, file.values["control_socket"], "reload").out or \
        status(file.values["control_socket"])["needs_restart"] is None
