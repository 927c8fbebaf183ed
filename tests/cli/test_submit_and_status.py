"""winnow submit and winnow status between the development broker and a private PostgreSQL."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until
from winnow_test.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WINNOW", str(ROOT / "build" / "winnow"))
EVENT = '{"source":"client_A","payload":{"metric":"sale","amount":"1200","timestamp":"2024/01/01"}}'
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def broker():
    with DevBroker() as broker:
        yield broker


@pytest.fixture
def topic(broker, request):
    name = re.sub(r"\W+", "-", request.node.name)
    broker.command(f"create {name} 2")
    return name


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("WINNOW_", "PG"))}


def run(*arguments, stdin=""):
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          env=environment(), timeout=90, check=False)


def submit(broker, topic, *arguments, stdin=""):
    return run("submit", "-b", broker.brokers, "-t", topic, *arguments, stdin=stdin)


def read_topic(broker, topic):
    reader = Consumer({"bootstrap.servers": broker.brokers, "group.id": "reader", "enable.partition.eof": True})
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(2)])
    messages, ended = [], 0
    while ended < 2:
        message = reader.poll(10)
        assert message is not None
        if message.error():
            ended += 1
        else:
            messages.append(message)
    reader.close()
    return messages


# ---- submit ----

def test_one_event(broker, topic):
    result = submit(broker, topic, EVENT)
    assert (result.returncode, result.stderr) == (0, "")
    place = re.fullmatch(topic + r"/(\d)/0  event_hash ([0-9a-f-]{36})\n", result.stdout)
    explained = json.loads(run("explain", "--json", EVENT).stdout)
    assert place.group(2) == explained["event"]["event_hash"]
    (message,) = read_topic(broker, topic)
    assert (message.value(), message.key()) == (EVENT.encode(), b"client_A")
    assert message.partition() == int(place.group(1))


def test_one_event_as_json(broker, topic):
    first, second = (json.loads(submit(broker, topic, "--json", EVENT).stdout) for _ in range(2))
    assert first == {**second, "offset": 0} and second["offset"] == 1
    assert set(first) == {"topic", "partition", "offset", "event_hash"}


def test_hash_takes_the_timestamp_that_is_sent(broker, topic):
    event = '{"client":"a","type":"x"}'  # D-1
    found = json.loads(submit(broker, topic, "--json", event).stdout)
    (message,) = read_topic(broker, topic)
    explained = run("explain", "--json", "--broker-timestamp-ms", message.timestamp()[1], event).stdout
    assert json.loads(explained)["event"]["event_hash"] == found["event_hash"]


def test_lines(broker, topic, tmp_path):
    lines = [f'{{"client":"c{i % 7}","type":"sale","sum":{i}}}' for i in range(5000)]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines[:10] + ["", " \t "] + lines[10:]))  # blank lines; no \n at the end
    result = submit(broker, topic, "-f", path)
    assert result.returncode == 0 and result.stderr == ""
    assert re.fullmatch(r"sent 5000, acknowledged 5000, failed 0, will become dead letters 0; [\d.]+ s, \d+/s\n",
                        result.stdout)
    messages = read_topic(broker, topic)
    assert sorted(message.value().decode() for message in messages) == sorted(lines)
    for message in messages:
        assert message.key().decode() == json.loads(message.value())["client"]


def test_standard_input_and_summary_as_json(broker, topic):
    result = submit(broker, topic, "--json", stdin=EVENT + "\n" + EVENT + "\n")
    found = json.loads(result.stdout)
    assert (found["sent"], found["acknowledged"], found["failed"], found["will_be_dead_letters"]) == (2, 2, 0, 0)


def test_dead_letters_are_sent_and_told(broker, topic):
    lines = ["nonsense", '{"client":"a","type":"x","sum":"12abc"}', '{"type":"x"}', "[]", EVENT]
    result = submit(broker, topic, stdin="\n".join(lines) + "\n")
    assert result.returncode == 0
    assert "will become dead letters 4;" in result.stdout
    told = result.stderr.splitlines()
    assert [re.match(r"winnow submit: line (\d) will become a dead letter: (\w+): ", line).groups()
            for line in told[:3]] == [("1", "invalid_json"), ("2", "amount_invalid"), ("3", "client_id_missing")]
    assert "only counted" in told[3] and len(told) == 4
    keys = {message.value().decode(): message.key() for message in read_topic(broker, topic)}
    assert keys == {lines[0]: None, lines[1]: b"a", lines[2]: None, lines[3]: None, lines[4]: b"client_A"}


def test_some_failed(broker, topic):
    broker.command("error produce INVALID_RECORD")
    result = submit(broker, topic, stdin=EVENT + "\n")
    assert result.returncode == 1
    assert "1 not acknowledged; the first: " in result.stderr
    assert result.stdout.startswith("sent 1, acknowledged 0, failed 1,")


@pytest.mark.parametrize("arguments, exit_code, sentence", [
    (("/etc/hostname",), 64, "is a file: send its lines with -f /etc/hostname"),
    (("a", "b"), 64, "expected one event"),
    (("-f", "/nowhere"), 64, "cannot open /nowhere: No such file"),
    (("--timeout", "0", EVENT), 64, "expected seconds from 1"),
])
def test_wrong_arguments(broker, arguments, exit_code, sentence):
    result = submit(broker, "whatever", *arguments)
    assert (result.returncode, result.stdout) == (exit_code, "")
    assert sentence in result.stderr and len(result.stderr.splitlines()) == 1


def test_unknown_topic(broker, topic):
    broker.command(f"topic-error {topic} UNKNOWN_TOPIC_OR_PART")
    result = submit(broker, topic, EVENT)
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr == (f'winnow submit: topic "{topic}" does not exist on these brokers: '
                             "check the name, or create it\n")


def test_nobody_there():
    result = run("submit", "-b", NOBODY, "-t", "t", "--timeout", "1", EVENT)
    assert (result.returncode, result.stdout) == (69, "")
    assert NOBODY in result.stderr and "refused" in result.stderr and len(result.stderr.splitlines()) == 1


def test_brokers_that_fall_silent(broker, topic):
    broker.command("rtt 30000")
    try:
        result = submit(broker, topic, "--timeout", "2", EVENT)
    finally:
        broker.command("rtt 0")
    assert (result.returncode, result.stdout) == (69, "")


def test_stopped_while_it_waits_for_input(broker, topic):
    process = subprocess.Popen([PROGRAM, "submit", "-b", broker.brokers, "-t", topic], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    process.stdin.write(EVENT + "\n")
    process.stdin.flush()
    wait_until(lambda: len(read_topic(broker, topic)) == 1, 60, "the event is in the topic")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert out.startswith("sent 1, acknowledged 1, failed 0,") and "stopped at line 1" in err


def test_what_is_no_file_of_events_is_refused_before_anything_is_sent(broker, topic, tmp_path):
    odd = tmp_path / "utf-16.jsonl"
    odd.write_bytes((EVENT + "\n").encode("utf-16"))
    for path, problem in ((tmp_path, "Is a directory"), (odd, "it is in UTF-16, not UTF-8")):
        refused = submit(broker, topic, "-f", path)
        assert (refused.returncode, refused.stdout, refused.stderr) == (
            64, "", f"winnow submit: cannot open {path}: {problem}; expected a file with one event a line\n")


def test_files_of_other_systems(broker, topic, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + f"{EVENT}\r\n{EVENT}\r\n".encode())
    done = submit(broker, topic, "-f", file)
    assert (done.returncode, done.stderr) == (0, "") and "will become dead letters 0;" in done.stdout
    file.write_bytes(b"\n \n")
    done = submit(broker, topic, "-f", file)
    assert done.returncode == 0 and done.stdout.startswith("sent 0,")
    assert done.stderr == f"winnow submit: found no event in {file}, expected one a line\n"


def test_a_pipe_with_a_name_is_waited_for(broker, topic, tmp_path):
    """Also where nobody writes to it: TERM ends that."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    command = [PROGRAM, "submit", "-b", broker.brokers, "-t", topic, "-f", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        with open(path, "w", encoding="utf-8") as pipe:  # opened when it reads
            pipe.write(EVENT + "\n")
        assert process.communicate(timeout=60)[0].startswith("sent 1, acknowledged 1,")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        wait_until(lambda: any(os.path.realpath(f"/proc/{process.pid}/fd/{fd}") == str(path)
                               for fd in os.listdir(f"/proc/{process.pid}/fd")), 60, "it has opened the pipe")
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 75 and (out == "" or out.startswith("sent 0,")), (out, error)


# ---- status ----

def status(broker, topic, database, *arguments):
    return run("status", "-b", broker.brokers, "-t", topic, "-d", database.dsn, *arguments)


def store(database, topic, partition, stored, end, duplicate=0, dead=0, state="running", reason=None):
    """A partition read from 0 to `end`."""
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', %s, 'c') "
                 "ON CONFLICT DO NOTHING", (topic,))
    stream = database.value("SELECT stream_id FROM winnow.stream WHERE topic = %s", (topic,))
    database.run("INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset, epoch, owner, "
                 "state, halt_reason, halt_detail) VALUES (%s, %s, 0, %s, 1, 'host/1', %s, %s, %s)",
                 (stream, partition, end, state, reason, reason and f"{reason} in detail"))
    database.run("INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, received, "
                 "stored, duplicate, dead) VALUES (%s, %s, 0, %s, 1, %s, %s, %s, %s)",
                 (stream, partition, stored + duplicate + dead, stored + duplicate + dead, stored, duplicate, dead))
    for offset in range(dead):
        database.run("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, reason, detail) "
                     "VALUES (%s, %s, %s, 'empty', 'M-1')", (stream, partition, offset))


def fill(broker, topic, count):
    """`count` messages, all of one client: in one partition, which is returned."""
    submit(broker, topic, stdin=(EVENT + "\n") * count)
    return read_topic(broker, topic)[0].partition()


def test_complete(broker, topic, database):
    partition = fill(broker, topic, 10)
    store(database, topic, partition, 6, 9, duplicate=2, dead=1)
    store(database, topic, 1 - partition, 0, 0)
    result = status(broker, topic, database)
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [str(partition), "9", "1", "6", "2", "1", "0", "0", "running", "host/1"] in rows
    assert ["total", "-", "1", "6", "2", "1", "0", "0"] in rows
    assert f"1 dead letter is not in topic {topic}.dlq yet." in result.stdout
    assert result.stdout.endswith("Complete: 9 offsets read = 6 stored + 2 duplicate + 1 dead-lettered + 0 gap + 0 lost.\n")


def test_as_json(broker, topic, database):
    partition = fill(broker, topic, 10)
    store(database, topic, partition, 8, 8)
    found = json.loads(status(broker, topic, database, "--json").stdout)
    assert found["complete"] is True and found["halted"] is False and found["lag_error"] is None
    assert found["total"]["lag"] == 2 and found["total"]["stored"] == 8
    started, other = found["partitions"][partition], found["partitions"][1 - partition]
    assert (started["next_offset"], started["lag"], started["state"]) == (8, 2, "running")
    assert (other["next_offset"], other["lag"], other["state"], other["owner"]) == (None, 0, "not started", None)


def test_halted(broker, topic, database):
    store(database, topic, 0, 3, 3, state="halted", reason="breaker")
    result = status(broker, topic, database)
    assert result.returncode == 1
    assert "halted: breaker: breaker in detail" in result.stdout
    assert "1 of 2 partitions is halted and reads nothing" in result.stdout and f"winnow resume {topic} -g " in result.stdout


def test_incomplete(broker, topic, database):
    store(database, topic, 0, 3, 4)  # one offset unaccounted for
    store(database, topic, 1, 3, 3)
    result = status(broker, topic, database)
    assert result.returncode == 1
    assert "INCOMPLETE: 1 of 2 partitions" in result.stdout


def test_another_topics_hole_is_told_and_not_ours(broker, topic, database):
    store(database, topic, 0, 3, 3)
    store(database, "another", 0, 3, 4)
    result = status(broker, topic, database)
    assert result.returncode == 0
    assert "Elsewhere in this database: INCOMPLETE: 1 of 2" in result.stdout


def test_nothing_read_yet(broker, topic, database):
    partition = fill(broker, topic, 3)
    result = status(broker, topic, database)
    assert result.returncode == 1
    assert "Nothing has been read yet by group winnow" in result.stdout
    assert [str(partition), "-", "3"] in [line.split()[:3] for line in result.stdout.splitlines()]


def test_without_brokers(topic, database):
    store(database, topic, 0, 3, 3)
    result = run("status", "-b", NOBODY, "-t", topic, "-d", database.dsn)
    assert result.returncode == 0
    assert "The lag is not known: the brokers do not answer; last heard: " in result.stdout
    assert ["0", "3", "-", "3"] in [line.split()[:4] for line in result.stdout.splitlines()]
    assert run("status", "-t", topic, "-d", database.dsn).returncode == 0


def test_status_unknown_topic(broker, topic, database):
    broker.command(f"topic-error {topic} UNKNOWN_TOPIC_OR_PART")
    result = status(broker, topic, database)
    assert (result.returncode, result.stdout) == (78, "")
    assert "does not exist" in result.stderr


def test_schema_missing(broker, topic, empty_database):
    result = status(broker, topic, empty_database)
    assert (result.returncode, result.stdout) == (78, "")
    assert "winnow migrate" in result.stderr and len(result.stderr.splitlines()) == 1


def test_database_unreachable(broker, topic):
    result = run("status", "-b", broker.brokers, "-t", topic, "-d", "host=127.0.0.1 port=1 dbname=x")
    assert (result.returncode, result.stdout) == (69, "")
    assert len(result.stderr.splitlines()) == 1


def test_wait_drained(broker, topic, database):
    partition = fill(broker, topic, 5)
    store(database, topic, partition, 3, 3)
    assert status(broker, topic, database, "--wait-drained", "1").returncode == 75
    process = subprocess.Popen([PROGRAM, "status", "-b", broker.brokers, "-t", topic, "-d", database.dsn,
                                "--wait-drained", "30"], stdout=subprocess.PIPE, text=True, env=environment())
    wait_until(lambda: database.value("SELECT count(*) FROM pg_stat_activity "
                                      "WHERE application_name = 'winnow status'") == 1, 60, "it waits")
    database.run("WITH b AS (UPDATE winnow.batch_log SET end_offset = 5, received = 5, stored = 5) "
                 "UPDATE winnow.processing_log SET next_offset = 5")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Complete: 5 offsets read" in out


def test_status_fits_a_terminal(broker, topic, database):
    store(database, topic, 0, 123456789012, 123456789012)
    store(database, topic, 1, 3, 3, state="halted", reason="breaker")
    with Terminal([PROGRAM, "status", "-b", broker.brokers, "-t", topic, "-d", database.dsn]) as terminal:
        terminal.wait_until_ended()
        lines = terminal.screen().splitlines()
    assert lines[1].split() == ["partition", "next", "lag", "stored", "duplicate", "dead", "state", "owner"], lines
    assert lines[-1].endswith(" lost.") and any(line.startswith("  ") and not line.strip()[0].isdigit() for line in lines[5:]), lines
    assert "  gap  " in status(broker, topic, database).stdout
