"""winnow status as an operator sees it: in words, on a terminal, on a pipe, and as JSON, with a real pool."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from winnow_test import pool, produce
from winnow_test.poll import wait_until
from winnow_test.terminal import Terminal

EVENTS = [{"client": f"c{i % 7}", "metric": "m", "amount": i, "time": "2024-01-01"} for i in range(200)]


def send(patient, events):
    return produce.send(patient.kafka.brokers, patient.name, events)


def settings_of(patient):
    return {name: value for name, value in patient.environment.items() if name.startswith("WINNOW_")}


def start_pool(patient, workers=2):
    return pool.Pool({name[len("WINNOW_"):].lower(): value for name, value in settings_of(patient).items()}, workers)


def status(patient, *arguments):
    return patient.run("status", *arguments)


def wait_until_read(patient):
    wait_until(lambda: status(patient).returncode == 0 and
               json.loads(status(patient, "--json").stdout)["total"]["lag"] == 0, 120, "all is read")


class Watch:
    """winnow status --watch on a pipe."""

    def __init__(self, patient, *arguments):
        self._out = open(patient.directory / "watch", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([pool.BINARY, "status", "--watch", "--every", "1", *arguments],
                                        env=patient.environment, stdout=self._out, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._out.close()

    def text(self):
        with open(self._out.name, encoding="utf-8") as file:
            return file.read()

    def wait_for(self, pattern, timeout_s=90):
        return wait_until(lambda: re.search(pattern, self.text()), timeout_s, f"a line like {pattern!r}", on_timeout=self.text)

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(60)


def test_words_without_a_pool(patient):
    send(patient, EVENTS)
    done = status(patient)
    assert done.returncode == 1
    assert f"No worker is in group g-{patient.name}: nothing is read until a pool runs (winnow pool)." in done.stdout
    assert re.search(r"^200 messages wait, the oldest for \d+ s\.$", done.stdout, re.MULTILINE)


def test_json(patient):
    """What the documentation promises: names and types, with a pool and without brokers."""
    send(patient, EVENTS)
    with start_pool(patient) as running:
        running.wait_for_workers(2)
        wait_until_read(patient)
        wait_until(lambda: json.loads(status(patient, "--json").stdout)["workers"] == 2, 60, "two members of the group")
        found = json.loads(status(patient, "--json").stdout)
    assert set(found) == {"group", "topic", "complete", "halted", "unpublished_dead_letters", "workers", "pool", "lag_error", "words",
                          "total", "partitions"}
    assert found["words"] == [] and found["total"]["stored"] == 200 and found["total"]["lag_seconds"] == 0
    assert set(found["partitions"][0]) == {
        "partition", "next_offset", "lag", "lag_seconds", "offsets_read", "stored", "duplicate", "dead", "gap", "lost", "skipped",
        "complete", "state", "halt_reason", "halt_detail", "owner"}
    del patient.environment["WINNOW_BROKERS"]
    found = json.loads(status(patient, "--json").stdout)
    assert found["workers"] is None and found["total"]["lag"] is None and found["total"]["lag_seconds"] is None
    assert found["words"] == ["The lag is not known: no brokers are configured (-b)"]


def test_pipe(patient):
    with start_pool(patient) as running, Watch(patient) as watch:
        running.wait_for_workers(2)
        send(patient, EVENTS + EVENTS[:10] + ["nonsense"] * 5)
        line = watch.wait_for(r"(?m)^\d\d:\d\d:\d\d  [\d,]+/s  lag 0 \(0\.0 s\)  stored 93\.0 %  duplicate 4\.7 %  dead 2\.3 %  "
                              r"2 workers$")
        assert line and "\033" not in watch.text()
        assert watch.end() == 0
    assert re.fullmatch(r"(\d\d:\d\d:\d\d  .*\n)+", watch.text())


def test_pipe_of_json(patient):
    with Watch(patient, "--json") as watch:
        wait_until(lambda: watch.text().count("\n") >= 2, 60, "two objects")
        assert watch.end(signal.SIGTERM) == 0
    objects = [json.loads(line) for line in watch.text().splitlines()]
    assert objects[0]["rate"] is None and objects[1]["rate"] == 0.0
    assert {"at_ms", "database_away_ms", "total", "partitions", "words"} <= set(objects[0])
    assert objects[1]["at_ms"] > objects[0]["at_ms"]


def test_reader_of_the_pipe_goes_away(patient):
    done = subprocess.run(f"{pool.BINARY} status --watch --every 1 | head -n 1", shell=True, env=patient.environment,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("\n") == 1


def test_database_away_and_back(patient):
    with Watch(patient) as watch:
        watch.wait_for(r"/s  lag 0")
        patient.postgres.stop()
        watch.wait_for(r"Waiting for the database for [1-9]\d* s: .*nothing is lost")
        patient.postgres.start()
        watch.wait_for(r"(?s)Waiting for.*\d\d:\d\d:\d\d  0/s  lag 0")
        assert watch.end() == 0


def test_database_away_at_the_first_look(patient):
    patient.postgres.stop()
    with Watch(patient, "--json") as watch:
        wait_until(lambda: watch.text().count("\n") >= 2, 60, "two objects")
        patient.postgres.start()
        watch.wait_for(r'"partitions"')
    first = json.loads(watch.text().splitlines()[0])
    assert first["words"][0].startswith("Waiting for the database") and "partitions" not in first


def test_schema_missing(patient):
    database = patient.postgres.new_database(f"{patient.name}-empty")
    patient.set(database=database.dsn)
    done = status(patient, "--watch")
    assert done.returncode == 78 and "winnow migrate" in done.stderr and done.stdout == ""
    database.drop()


def test_brokers_away_and_back(patient):
    with Watch(patient) as watch:
        watch.wait_for(r"lag 0")
        patient.kafka.kill()
        watch.wait_for(r"(?s)lag \? \(\?\).*The lag is not known: ")
        patient.kafka.start()
        watch.wait_for(r"(?s)The lag is not known: .*lag 0", 90)


def test_a_worker_is_missing(patient):
    with start_pool(patient, 2) as running, Watch(patient) as watch:
        watch.wait_for(r"2 workers", 90)
        os.kill(running.pid, signal.SIGTTOU)
        watch.wait_for(r"1 of the 2 workers that were here is in the group\.", 90)


def test_halted_and_refused(patient):
    send(patient, EVENTS)
    with start_pool(patient) as running:
        running.wait_for_workers(2)
        wait_until_read(patient)
    patient.database.run("UPDATE winnow.processing_log SET state = 'halted', halt_reason = 'circuit_breaker', halt_detail = "
                         "'more than half' WHERE partition = 2")
    patient.database.run(
        "INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, reason, detail, publish_error) "
        "SELECT stream_id, 0, 999, 'empty', 'M-1', 'the topic \x1b[2J refuses it' FROM winnow.stream")
    words = json.loads(status(patient, "--json").stdout)["words"]
    assert words[0] == "Partition 2 is halted: circuit_breaker: more than half"
    assert words[1].startswith("1 of 4 partitions is halted") and f"run winnow resume {patient.name} -g g-{patient.name} --at next," in words[1]
    assert f"SELECT winnow.resume_partition('{patient.name}', PARTITION, 'g-{patient.name}')" in words[1]
    assert (f"1 dead letter is not in topic {patient.name}.dlq yet: the topic \\x1b[2J refuses it. It is kept and tried again."
            in words)


def test_lag_grows(patient):
    """Nobody reads, and messages come."""
    with Watch(patient) as watch:
        watch.wait_for(r"lag 0")

        def grows():
            send(patient, EVENTS * 2)
            return re.search(r"The lag grows by [\d,]+ a second: [\d,]+ come in, 0 are read", watch.text())

        wait_until(grows, 60, "the lag is said to grow", interval_s=0.5, on_timeout=watch.text)


# ---- on a terminal ----

@pytest.fixture
def terminal(patient):
    with Terminal([pool.BINARY, "status", "--watch", "--every", "1"], patient.environment, columns=100) as made:
        yield made


def test_terminal(patient, terminal):
    screen = terminal.wait_for("(q ends)").splitlines()
    assert screen[0].startswith(f"group g-{patient.name}, topic {patient.name}")
    assert len([line for line in screen if "not started" in line]) == 4
    send(patient, EVENTS)
    terminal.wait_for(f"No worker is in group g-{patient.name}")
    with start_pool(patient) as running:
        running.wait_for_workers(2)
        terminal.wait_for("2 workers")
        terminal.wait_for("running")
        terminal.wait_for("/s  lag 0 ")
    terminal.press("q")
    assert terminal.wait_until_ended() == 0
    assert re.search(r"\d\d:\d\d:\d\d  \S+/s  lag 0 ", terminal.screen())
    assert "(q ends)" not in terminal.screen()


def wait_until_still(terminal, for_s=2.5):
    """The time of day on the screen has stopped: a look is under way that is not answered."""
    seen = {"screen": None, "since": 0.0}

    def is_still():
        screen = terminal.screen()
        if screen != seen["screen"]:
            seen.update(screen=screen, since=time.monotonic())
        return time.monotonic() - seen["since"] > for_s

    wait_until(is_still, 90, "the screen stands still")


@pytest.mark.parametrize("key", ["q", "C-c"])
def test_terminal_while_the_database_does_not_answer(patient, terminal, key):
    """It is frozen, and the wait for it has begun: a key ends it, and the terminal is as it was."""
    terminal.wait_for("(q ends)")
    frozen = patient.postgres.pause()
    try:
        wait_until_still(terminal)
        begin = time.monotonic()
        terminal.press(key)
        assert terminal.wait_until_ended() == 0
        assert time.monotonic() - begin < 20
    finally:
        patient.postgres.resume(frozen)
    assert "(q ends)" not in terminal.screen()


def test_terminal_is_given_back(patient):
    """Ctrl-C, and then a line editor's view of the terminal: it echoes, and lines end by Enter."""
    script = f"{pool.BINARY} status --watch --every 1; echo code $?; stty -a; echo told; cat"
    with Terminal(["bash", "-c", f"trap : INT; {script}"], patient.environment, columns=120) as terminal:
        terminal.wait_for("(q ends)")
        terminal.press("C-c")
        shown = terminal.wait_for("told")
        assert "code 0" in shown and " icanon" in shown and " echo " in shown and "susp = ^Z" in shown


def test_terminal_is_resized(patient, terminal):
    terminal.wait_for("(q ends)")
    terminal.resize(40, 8)
    wait_until(lambda: "more" in terminal.screen(), 60, "fewer lines", on_timeout=terminal.screen)
    assert all(len(line) <= 40 for line in terminal.screen().splitlines())
    terminal.resize(100, 24)
    wait_until(lambda: terminal.screen().count("not started") == 4, 60, "all lines again", on_timeout=terminal.screen)
    terminal.press("q")
    assert terminal.wait_until_ended() == 0
