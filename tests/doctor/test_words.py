"""What winnow doctor and winnow status print, word for word: tests/doctor/transcripts/. Names, addresses, versions and sizes
are those of the run and stand there as <NAME>. ACKNOWLEDGE=1 writes them anew."""

import os
import re
from pathlib import Path

import pytest
from winnow_test import pool
from winnow_test.terminal import Terminal

TRANSCRIPTS = Path(__file__).with_name("transcripts")


def masked(patient, text):
    for found, name in ((patient.kafka.guarded, "<GUARDED>"), (patient.kafka.brokers, "<BROKERS>"),
                        (patient.kafka.cluster_id(), "<CLUSTER>"), (str(patient.postgres.socket_directory), "<SOCKET>"),
                        (str(patient.postgres.port), "<PORT>"), (patient.name, "<NAME>")):
        text = text.replace(found, name)
    text = re.sub(r"librdkafka [\d.]+, json-c [\d.]+, libpq [\d.]+", "<LIBRARIES>", text)
    text = re.sub(r"(?m)^(ok    postgresql +)[\d.]+.* at", r"\1<VERSION> at", text)
    text = re.sub(r"[\d.]+ [KMGT]iB", "<SIZE>", text)
    text = re.sub(r"disk are free, \d+ %", "disk are free, <N> %", text)
    text = re.sub(r"-?\d+\.\d{3} s (behind|ahead of)", "<SECONDS>", text)
    text = re.sub(r"\(to \d+\.\d{3} s\)", "(to <SECONDS>)", text)
    text = re.sub(r"\d+ of \d+ in use", "<N> of <N> in use", text)
    text = re.sub(r"version \d+", "version <N>", text)
    return re.sub(r"\d{4}-\d\d\b", "<MONTH>", text)


def judge(patient, name, done):
    path = TRANSCRIPTS / f"{name}.txt"
    text = masked(patient, f"{done.stdout}{done.stderr}exit code {done.returncode}\n")
    if os.environ.get("ACKNOWLEDGE"):
        TRANSCRIPTS.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_doctor_all_well(patient):
    judge(patient, "doctor-well", patient.run("doctor"))


def test_doctor_without_topics_and_schema(patient):
    patient.kafka.delete_topic(patient.name)
    patient.kafka.delete_topic(f"{patient.name}.dlq")
    database = patient.postgres.new_database(f"{patient.name}-empty")
    patient.set(database=database.dsn)
    judge(patient, "doctor-first-day", patient.run("doctor", "--strict"))
    database.drop()


def test_doctor_servers_down(patient):
    cluster = patient.kafka.cluster_id()
    patient.set(brokers="127.0.0.1:1", database="host=127.0.0.1 port=1 dbname=winnow user=winnow password=secret")
    done = patient.run("doctor", "--timeout", "2")
    assert cluster and "secret" not in done.stdout
    judge(patient, "doctor-down", done)


def test_doctor_on_a_terminal(patient):
    """What is found is broken to its width, below its beginning; a command stays one line, which the terminal breaks."""
    command = [pool.BINARY, "doctor", "-b", "127.0.0.1:1", "-d", "host=127.0.0.1 port=1 user=u", "--timeout", "1"]
    with Terminal(command, patient.environment, columns=80, lines=100) as terminal:
        assert terminal.wait_until_ended() == 1
        lines = terminal.screen().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("fail  brokers"))
    assert lines[place + 1].startswith(28 * " ") and not lines[place + 1].startswith(29 * " ")
    assert "      $ sudo systemctl start kafka   # on 127.0.0.1" in lines
    with Terminal(command, patient.environment, columns=200, lines=100) as terminal:
        terminal.wait_until_ended()
        assert any(line.startswith("fail  brokers") and line.endswith("refused") for line in terminal.screen().splitlines())


def test_help_is_in_columns(patient):
    lines = patient.run("help", "doctor").stdout.splitlines()
    meanings = [line[32:] for line in lines if line.startswith("      --")]
    assert len(meanings) == 4 and all(re.match("[a-z]", meaning) for meaning in meanings)


def test_doctor_without_settings(patient):
    for name in ("BROKERS", "TOPIC"):
        del patient.environment[f"WINNOW_{name}"]
    judge(patient, "doctor-no-settings", patient.run("doctor"))


@pytest.mark.parametrize("arguments", [("what",), ("--timeout", "0")])
def test_doctor_misused(patient, arguments):
    judge(patient, f"doctor-misused{arguments[0]}", patient.run("doctor", *arguments))


def test_status_before_the_first_pool(patient):
    judge(patient, "status-first-day", patient.run("status"))
