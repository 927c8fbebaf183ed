"""What each command prints, word for word, on a real Kafka and PostgreSQL: NAME.txt beside this file, as a session in a
shell. What differs from run to run (names, times, rates, process ids, addresses) stands there as <THING>. ACKNOWLEDGE=1
writes them anew; read the difference before you commit it. Errors are in tests/cli/test_errors.py, winnow doctor and what
status says in trouble in tests/doctor."""

import getpass
import os
import re
import shlex
import signal
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from scenario import read_all
from winnow_test import letters, pool as pools
from winnow_test.console import Console
from winnow_test.poll import wait_until
from winnow_test.process import make_directory, remove_directory
from winnow_test.produce import Message

HERE = Path(__file__).parent
SALE = '{"client":"shop","metric":"sale","amount":"1,200.50","time":"2024-01-15"}'
LOOSE = '{"source":"shop","payload":{"type":"sale","sum":1200.5,"created_at":"2024/1/15"}}'
BROKEN = '{"client":"shop","metric":"sale","amount":"twelve","time":"2024-01-15"}'
TODAY = "|".join(f"{datetime.now(timezone.utc).date() + timedelta(days=day)}" for day in (-1, 0, 1))
MASKS = (
    (r"^Events from \d{4}-\d\d-01 on", "Events from <MONTH> on"),
    (rf"\b({TODAY})[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<TIME>"),
    (r"\b(in|up|for|after) +\d+(\.\d+)? (ms|s)\b", r"\1 <DURATION>"),
    (r"[\d.]+ s, \d+/s$", "<DURATION>, <RATE>"),
    (r'"seconds":[\d.]+,"per_second":\d+', '"seconds":<DURATION>,"per_second":<RATE>'),
    (r"\bpid \d+ +", "pid <PID>  "),
    (r"\bpid([ =])\d+", r"pid\1<PID>"),
    (rf"\b{re.escape(socket.gethostname())}/\d+", "<HOST>/<PID>"),
    (rf"(?<= by ){re.escape(getpass.getuser())}\b", "<USER>"),
)


class Session:
    """Commands with the same settings, and what they print. names: (what is of this run, what stands for it)."""

    def __init__(self, settings, names):
        self.settings = settings
        self.names = names
        self.text = ""

    def run(self, line, stdin="", **settings):
        """One command as it is typed, with nothing but quotes for the shell to expand, and the lines on its standard
        input. First its output is written down, then what it says on standard error."""
        done = pools.run(*shlex.split(line)[1:], stdin=stdin.encode(), settings={**self.settings, **settings})
        given = "".join(f"< {piece}\n" for piece in stdin.splitlines())
        code = "" if done.exit_code == 0 else f"exit code {done.exit_code}\n"
        self.text += self.masked(f"$ {line}\n{given}{done.out}{done.error}{code}\n".replace("\r\n", "\n"))
        return done

    def masked(self, text):
        for found, name in self.names:
            text = text.replace(found, name)
        for pattern, name in MASKS:
            text = re.sub(pattern, name, text, flags=re.MULTILINE)
        return text

    def judge(self, name):
        path = HERE / f"{name}.txt"
        if os.environ.get("ACKNOWLEDGE"):
            path.write_text(self.text)
        assert self.text == path.read_text(), f"ACKNOWLEDGE=1 writes {path.name} anew"


@pytest.fixture
def directory():
    made = make_directory("transcript")
    yield made
    remove_directory(made)


def session_of(stage, **settings):
    names = ((f"{stage.topic}", "events"), (stage.broker.brokers, "<BROKERS>"), (stage.settings["database"], "<DATABASE>"),
             (stage.database.name, "<NAME>"))
    return Session({**stage.settings, **settings}, names)


def wait_until_nobody_is_in_the_group(stage):
    """Kafka hears of a worker's end a moment later."""
    admin = stage.broker.admin()
    wait_until(lambda: not any(group.members for group in admin.list_groups(stage.settings["group"], timeout=20)), 30,
               "the group is empty")


def test_first_contact():
    session = Session({}, ())
    for line in ("winnow", "winnow --help", "winnow help operator_needed", "winnow dlq"):
        session.run(line)
    session.judge("help")


def test_schema(empty_database):
    session = Session({"database": empty_database.dsn}, ((empty_database.name, "<NAME>"),))
    for line in ("winnow migrate status", "winnow migrate", "winnow migrate", "winnow migrate status"):
        session.run(line)
    session.judge("migrate")


def test_configuration(directory):
    (directory / "winnow.conf").write_text(
        "brokers = kafka:9092\ntopic = events\nworkers = 8\ndatabase = host=db user=winnow password=secret\n"
        "[kafka]\nsasl.password = secret\n")
    session = Session({"log_level": "debug"}, ((str(directory), "/etc/winnow"),))
    for line in ("check", "print"):
        session.run(f"winnow config {line} -c {directory}/winnow.conf -n 2")
    session.run("winnow config example")
    session.judge("config")


def test_explain():
    session = Session({}, ())
    session.run(f"winnow explain '{LOOSE}'")
    session.run(f"winnow explain '{BROKEN}'")
    session.run(f"winnow explain --json '{SALE}'")
    session.run("winnow explain", f"{SALE}\n{BROKEN}\n")
    session.judge("explain")


def test_submit(stage, directory):
    stage.exact = False  # nobody reads it
    session = session_of(stage)
    (directory / "events.jsonl").write_text(f"{SALE}\n\n{LOOSE}\n{BROKEN}\n")
    session.names += ((f"{directory}/", ""),)
    session.run(f"winnow submit '{SALE}'")
    session.run(f"winnow submit --json '{LOOSE}'")
    session.run(f"winnow submit '{BROKEN}'")
    session.run(f"winnow submit -f {directory}/events.jsonl")
    session.run("winnow submit --json", f"{SALE}\n")
    session.run("winnow submit", "\n")
    session.judge("submit")


def test_status(stage, directory):
    control = f"{directory}/pool.sock"
    session = session_of(stage, control_socket=control, drain_timeout_ms=60000)
    session.run("winnow status")
    with stage.pool(workers=1):
        for partition in (0, 1):  # one after the other: what is stored first is no duplicate
            stage.send(SALE, LOOSE, BROKEN, partition=partition)
            stage.wait_until_caught_up()
        letters.wait_until_published(stage.database)
        session.run("winnow status --wait-drained 60")
    wait_until_nobody_is_in_the_group(stage)
    session.run("winnow status")
    session.run("winnow status --json")
    with stage.pool(workers=1, control_socket=control, drain_timeout_ms=60000) as pool:
        pool.wait_for_log("event=pool_joined")
        for line in ("pool quiet", "status", "pool drain", "status"):
            session.run(f"winnow {line}")
    session.judge("status")


def test_pool(stage, directory):
    control = f"{directory}/pool.sock"
    session = session_of(stage, control_socket=control, drain_timeout_ms=60000)
    session.names += ((control, "/run/winnow/winnow.sock"),)
    session.run("winnow pool status")
    with stage.pool(workers=1, control_socket=control, drain_timeout_ms=60000,
                    properties={"session.timeout.ms": "6000"}) as pool:
        pool.wait_for_log("event=pool_joined")
        for line in ("status", "scale 0", "quiet", "status", "resume", "resume", "scale 2"):
            session.run(f"winnow pool {line}")
        pool.wait_for_log("2 workers joined")
        for line in ("status", "reload", "drain", "status", "stop"):
            session.run(f"winnow pool {line}")
        wait_until(lambda: pool.exit_code == 0, 20, "the pool ends", on_timeout=pool.log_tail)
    session.judge("pool")


def test_worker(make_stage):
    """What a worker says from its beginning to its end, but for the course of its joining the group."""
    stage = make_stage(partitions=1)
    session = session_of(stage)
    stage.send(SALE, LOOSE, BROKEN, partition=0)
    with stage.pool(workers=0, log_level="info") as worker:
        stage.wait_until_caught_up()
        assert worker.stop() == 0
        session.text = session.masked(f"$ winnow worker\n{worker.log_text()}")
    session.judge("worker")


def test_dead_letters(make_stage):
    stage = make_stage(partitions=1, config={"retention.ms": "-1"})  # it is of the past
    stage.allowed_reasons = ("database_rejected",)
    session = session_of(stage)
    simulated = [("winnow-simulate-failure", b"database")]
    when = {"partition": 0, "timestamp_ms": 1700000000000}
    with stage.pool(workers=1, batch_rows=1, breaker_window=0, allow_fault_injection="yes"):
        stage.send(BROKEN, '{"client":"shop"}', Message(b"{\xff", key=b"shop"), **when)
        stage.send(SALE, headers=simulated, **when)
        stage.wait_until_caught_up()
        letters.wait_until_published(stage.database)
        for line in ("list", "list --each", "list --json", "list --since 2199-01-01", "show events/0/0", "show --json events/0/3",
                     "replay --reason database_rejected --dry-run", "replay --reason database_rejected --yes",
                     "replay --reason database_rejected --yes", "replay events/0/0", "discard --note 'no use' events/0/1",
                     "discard --note 'no use' --client shop --dry-run", "undo events/0/1", "list --state all", "show events/0/3",
                     "export", "export --format csv events/0/0"):
            session.run(f"winnow dlq {line}".replace("events/", f"{stage.topic}/"))
    session.judge("dlq")


def test_steering(make_stage):
    stage = make_stage(partitions=2)
    stage.exact = False  # messages are passed over
    session = session_of(stage)
    for partition in (0, 1):
        stage.send(*[BROKEN] * 10, SALE, partition=partition)
    with stage.pool(workers=1, breaker_window=10, batch_rows=1) as pool:
        wait_until(lambda: pool.log_text().count("event=partition_halted") == 2, 30, "both halt", on_timeout=pool.log_tail)
        letters.wait_until_published(stage.database)
        assert pool.stop() == 0
    wait_until_nobody_is_in_the_group(stage)
    session.run("winnow status")
    for line in ("resume --at next", "resume events/1 --at latest", "resume events/1 --at latest --yes", "resume --at next --yes",
                 "resume --at next --yes", "seek events/0 --shift-by -2", "seek events/0 --shift-by -2 --execute",
                 "seek --to-latest --execute", "seek --to-latest"):
        session.run(f"winnow {line}".replace("events/", f"{stage.topic}/"))
    session.judge("steering")


def test_retention(make_stage):
    stage = make_stage(partitions=1)
    stage.exact = False  # the table no longer holds what the topic does
    session = session_of(stage)
    with stage.pool(workers=1, batch_rows=1):
        for message in (SALE, LOOSE.replace("/1/", "/2/"), BROKEN):  # each a batch: a dead letter fills none
            stage.send(message, partition=0)
            stage.wait_until_caught_up()
    stage.database.run("UPDATE winnow.batch_log SET committed_at = '2024-01-16'")
    for line in ("--dry-run --keep '1 month'", "--keep '1 month'", "--keep '1 month'", ""):
        session.run(f"winnow retain {line}".rstrip())
    session.judge("retain")


def test_console(stage):
    session = session_of(stage)
    with Console(stage.settings) as console:
        assert console.stop() == 0
        text = console.log_text().replace(f":{console.port}/", ":<PORT>/")
        session.text = session.masked(f"$ winnow console\n{text}")
    session.judge("console")


ELSEWHERE = {"doctor": "tests/doctor/transcripts", "completion": "tests/packaging/test_completion.py"}


def test_every_command_is_here():
    """Each that `winnow --help` shows, those of dlq, and those that a pool is asked."""
    typed = [line for file in HERE.glob("*.txt") for line in file.read_text().splitlines() if line.startswith("$ winnow ")]
    wanted = [word for word in words_of_help() if word != "winnow"]
    wanted += [f"{parent} {word}" for parent in ("dlq", "pool") for word in words_of_help(parent)]
    missing = [words for words in wanted if not any(line.startswith(f"$ winnow {words}") for line in typed)]
    assert len(wanted) > 20 and sorted(missing) == sorted(ELSEWHERE)


def words_of_help(*command):
    return re.findall(r"^  (\w+)  ", pools.run(*command, "--help").out, re.MULTILINE)
