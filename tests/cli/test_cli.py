"""The command line as people meet it, without any server. WINNOW names the program (build/winnow)."""

import base64
import json
import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WINNOW", str(ROOT / "build" / "winnow"))
COMMANDS = ("migrate", "pool", "submit", "explain", "status", "worker", "config")
GOOD = '{"source":"client_A","payload":{"METRIC":"sale","amount":"1,200.0","timestamp":"2024/01/01"}}'


def run(*arguments, stdin=b"", **variables):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WINNOW_", "PG"))}
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True,
                          env={**clean, **variables}, timeout=60, check=False)


def said(result, exit_code):
    """Standard error of a process that had nothing else to say."""
    assert (result.returncode, result.stdout) == (exit_code, b""), result
    return result.stderr.decode()


def heard(result, exit_code=0):
    """Standard output of a process that had nothing to complain about."""
    assert (result.returncode, result.stderr) == (exit_code, b""), result
    return result.stdout.decode()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "winnow.ini"


# ---- the front door ----

def fits_a_screen(text):
    """Of 80 columns and 24 lines, the last of which is the prompt."""
    return len(text.splitlines()) <= 23 and max(map(len, text.splitlines())) <= 79


def test_first_contact():
    text = heard(run(), 64)  # an empty variable in a script must not look like success
    examples = re.findall(r"\$ winnow ([a-z]+) ", text)
    assert len(examples) == 5 and set(examples) >= {"migrate", "pool", "submit", "status"}
    assert fits_a_screen(text)


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("help",), ("help", "--help")])
def test_list_of_commands(arguments):
    text = heard(run(*arguments))
    listed = re.findall(r"^  ([a-z]+)  +[a-z]", text, re.MULTILINE)
    assert set(COMMANDS) <= set(listed) and "housekeep" not in listed
    assert fits_a_screen(text)


def test_examples_of_the_summary_work():
    example = re.search(r"\$ winnow explain '(.*)'", heard(run("help", "explain"))).group(1)
    assert heard(run("explain", example)).startswith("accepted\n")


def test_version():
    assert re.fullmatch(r"winnow \S+\n", heard(run("--version")))


def all_commands():
    """Every command and subcommand that help tells of."""
    for name in re.findall(r"^  ([a-z]+)  +[a-z]", heard(run("help")), re.MULTILINE):
        text = heard(run("help", name))
        words = re.findall(r"^  ([a-z]+) +[a-z]", text, re.MULTILINE)
        subcommands = words if words and heard(run("help", name, words[0])) != text else []
        yield from [(name,), *((name, sub) for sub in subcommands)]


def test_help_of_every_command_fits_a_screen():
    for command in all_commands():
        text = heard(run(*command, "--help"))
        assert text.startswith(f"Usage: winnow {' '.join(command)}"), command
        assert heard(run("help", *command)) == text == heard(run(*command, "-h")), command
        assert fits_a_screen(text), text
        assert re.search(rf"\n  \$ .*winnow {command[0]}", text), command
        assert not re.search("slot|FD", text)  # what only the pool gives


def test_options_that_do_not_fit_are_named_and_told_elsewhere():
    short, full = heard(run("dlq", "replay", "--help")), heard(run("help", "--all", "dlq", "replay"))
    named = re.search(r"`winnow help --all dlq replay`:\n((?:  --.*\n)+)", short).group(1).split()
    assert named and all(re.search(rf"^ +{flag} ", full, re.MULTILINE) for flag in named)
    assert set(re.findall(r"--[a-z-]+", full)) >= set(re.findall(r"--[a-z-]+", short)) - {"--all"}


def test_settings_that_do_not_fit_are_named_and_told_elsewhere():
    short, full = heard(run("pool", "--help")), heard(run("help", "settings"))
    named = re.search(r"`winnow help settings`:\n((?:  --.*\n)+)", short).group(1).split()
    assert {"--breaker-percent", "--log-level"} <= set(named)
    assert all(re.search(rf"^ +(-\w, )?{flag} ", full, re.MULTILINE) for flag in named)
    assert max(map(len, full.splitlines())) <= 79


def test_help_of_events():
    listed = re.findall(r"^  ([a-z_]+) +\S", heard(run("help", "events")), re.MULTILINE)
    assert listed == sorted(listed) and {"partition_halted", "retrying"} <= set(listed)
    assert heard(run("help", "fenced")) == ("fenced (warning)\n"
                                            "Means: another worker has claimed the partition; nothing was written twice\n"
                                            "To do: nothing\n")


@pytest.mark.parametrize("written, meant", [("chek", "check"), ("exmaple", "example")])
def test_did_you_mean_a_word(written, meant):
    assert said(run("config", written), 64) == \
        f"winnow config: found {written}, expected check, print or example, did you mean {meant}?; see: winnow config --help\n"


@pytest.mark.parametrize("written, meant", [("sumbit", "submit"), ("stats", "status"), ("Pool", "pool"),
                                            ("--halp", "--help")])
def test_did_you_mean_a_command(written, meant):
    assert said(run(written), 64) == f"winnow: {written} is no command, did you mean winnow {meant}?\n"


def test_unknown_commands():
    assert said(run("frobnicate"), 64) == "winnow: frobnicate is no command; see: winnow --help\n"
    assert said(run("help", "frobnicate"), 64) == \
        "winnow help: frobnicate is no command and no event of the log; see: winnow --help\n"
    assert said(run("\x1b[31m"), 64) == "winnow: \\x1b[31m is no command; see: winnow --help\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_options(command):
    assert said(run(command, "--confg", "x"), 64) == \
        f"winnow {command}: --confg is no option, did you mean --config?; see: winnow {command} --help\n"


@pytest.mark.parametrize("arguments", [["--version"], ["explain", "{}"]])
def test_output_that_cannot_be_written(arguments):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stderr) == \
        (75, b"winnow: cannot write to standard output: No space left on device\n")


# ---- config ----

def test_example_passes_the_check(file):
    file.write_text(heard(run("config", "example")))
    assert heard(run("config", "check", "-c", file)) == "ok\n"


def test_example_names_every_setting_with_an_acceptable_value(file):
    text = heard(run("config", "example"))
    secret = file.with_name("secret")
    secret.write_text("x\n")
    text = re.sub(r"/etc/winnow/\S+-password", str(secret), text)  # it must be there
    file.write_text(re.sub(r"(?m)^#(?=\S)(?!#)", "", text))
    assert heard(run("config", "check", "-c", file)) == "ok\n"
    names = [line.split()[0] for line in heard(run("config", "print")).splitlines()]
    assert all(re.search(rf"(?m)^#?{name} = ", text) for name in names)


def test_check_names_what_is_missing():
    assert said(run("config", "check"), 78).splitlines() == [
        "winnow: no brokers given, expected -b/--brokers HOST:PORT, WINNOW_BROKERS or a line `brokers = ...` in a file",
        "winnow: no topic given, expected -t/--topic NAME, WINNOW_TOPIC or a line `topic = ...` in a file"]


def test_check_names_every_mistake(file):
    file.write_text("topc = x\nworkers = 0\nnonsense\n[kafka]\nauto.offset.reset = latest\n")
    assert said(run("config", "check", "-c", file, WINNOW_TOPICS="x"), 78).splitlines() == [
        f"winnow: {file}:1: no setting topc; did you mean topic?",
        f"winnow: {file}:2: workers: found 0, expected a whole number from 1 to 256",
        f"winnow: {file}:3: expected a line like: name = value",
        f"winnow: {file}:5: auto.offset.reset is refused: an offset that is gone must stop the partition and not be "
        "skipped; a new group begins at the earliest one",
        "winnow: WINNOW_TOPICS: no such setting; did you mean WINNOW_TOPIC?"]


def test_print_tells_where_values_come_from(file):
    file.write_text("topic = t\ngroup = g\nworkers = 2\n[kafka]\ndebug = cgrp\n")
    text = heard(run("config", "print", "-n", "3", "-X", "client.id=x", WINNOW_GROUP="h", WINNOW_CONFIG=str(file)))
    rows = {row[0]: row[1:] for row in (re.split(r"\s{2,}", line) for line in text.splitlines()) if len(row) > 1}
    assert rows["topic"] == ["t", f"file {file}:1"]
    assert rows["group"] == ["h", "environment WINNOW_GROUP"]
    assert rows["workers"] == ["3", "flag --workers"]
    assert rows["batch_rows"] == ["20000", "default"]
    assert rows["dead_letter_topic"] == ["t.dlq", "default"]
    assert rows["brokers"] == ["not given"]
    assert rows["debug"] == ["cgrp", f"file {file}:5"]
    assert rows["client.id"] == ["x", "flag -X"]


@pytest.mark.parametrize("database, shown", [
    ("host=h password='s3cret ;x' user=u", "host=h password=*** user=u"),
    ("postgres://u:s3cret@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
    ("postgres://u@h/d?password=s3cret", "postgres://u@h/d?password=***"),
    ("host=h password='s3cret", "***"),
])
@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_passwords_of_the_database_are_masked(file, database, shown, source):
    file.write_text(f"database = {database}\n")
    result = {"flag": lambda: run("config", "print", "-d", database),
              "environment": lambda: run("config", "print", WINNOW_DATABASE=database),
              "file": lambda: run("config", "print", "-c", file)}[source]()
    text = heard(result)
    assert shown in text
    assert "s3cret" not in text


@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password",
                                  "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret"])
def test_secret_properties_are_masked(name):
    variable = "WINNOW_KAFKA_" + name.upper().replace(".", "_")
    for result in (run("config", "print", "-X", f"{name}=s3cret"), run("config", "print", **{variable: "s3cret"})):
        text = heard(result)
        assert "s3cret" not in text
        assert re.search(rf"(?m)^{re.escape(name)} +\*\*\* +(flag -X|environment {variable})$", text)


def test_mistakes_do_not_tell_secrets(file):
    file.write_text('database = "password=s3cret"\nsasl.password = s3cret\n[kafka]\nsasl.password s3cret\n')
    text = said(run("config", "check", "-c", file, WINNOW_SASL_PASSWORD="s3cret"), 78)
    assert len(text.splitlines()) == 4
    assert "s3cret" not in text
    for arguments in (("-X", "sasl.password s3cret"), ("-Xs3cret",), ("--databas=password=s3cret",)):
        assert "s3cret" not in said(run("config", "check", *arguments), 64)


@pytest.mark.parametrize("arguments, text", [
    (("chek",), "winnow config: found chek, expected check, print or example, did you mean check?"),
    ((), "winnow config: found nothing, expected check, print or example"),
    (("print", "check"), "winnow config: found check behind print, expected nothing"),
])
def test_usage_of_config(arguments, text):
    assert said(run("config", *arguments), 64) == f"{text}; see: winnow config --help\n"


def test_table_has_a_row_for_every_setting():
    rows = heard(run("config", "table")).splitlines()
    names = [line.split()[0] for line in heard(run("config", "print")).splitlines()]
    assert [re.match(r"\| `(\w+)`", row).group(1) for row in rows[2:]] == names
    assert {row.count("|") for row in rows} == {6}


# ---- explain, for people ----

def test_explain_accepted():
    assert heard(run("explain", GOOD)) == """accepted

  client_id = client_A
    F-3  place      top level
    F-2  name       "source"
    C-2  as written client_A

  metric = sale
    F-3  place      payload
    F-2  name       "METRIC"
    T-2  as written sale

  amount = 1200
    F-3  place      payload
    F-2  name       "amount"
    A-2  as written 1,200.0
    A-4  canonical  1200

  timestamp = 2024-01-01T00:00:00Z
    F-3  place      payload
    F-2  name       "timestamp"
    D-2  as written 2024/01/01

  event_hash = 0b8d4822-3822-8c49-88b8-13690a9224f4
    H-2  bucket     2024-01-01T00:00:00Z, the timestamp cut to its day
    H-1  duplicate  any event with this client_id, metric and amount on this day
"""


def test_explain_rejected():
    text = heard(run("explain", '{"client":"a","metric":"m","amount":"1.234,50"}'), 1)
    assert text.startswith("rejected: amount_invalid\n\n  the amount is not a number\n  A-2: amount: found ")
    assert '    F-2  name       "amount"\n         as written 1.234,50\n' in text


@pytest.mark.parametrize("written, rule", [
    ('"2024-01-01"', "D-2"), ('"20240101"', "D-2"), ("20240101", "D-3"), ("1704067200", "D-3"), ("1704067200.5", "D-3"),
    ('"1704067200123"', "D-3"), ('"Mon, 15 Jan 2024 10:30:00 GMT"', "D-4"), ('"2024-01-01T10:00Z"', "D-2"), ("null", "D-1")])
def test_explain_names_the_rule_of_the_time(written, rule):
    text = heard(run("explain", '{"client":"a","metric":"m","time":%s}' % written, "--broker-timestamp-ms", 1))
    assert re.search(r"timestamp = .*\n(    F-.*\n)*    (D-.) ", text).group(2) == rule


def test_explain_absent_fields():
    text = heard(run("explain", '{"client":"a","metric":"m"}'))
    assert "    A-1  absent     0 is taken\n" in text
    assert "here the present (--broker-timestamp-ms)\n" in text
    text = heard(run("explain", '{"client":"a","metric":"m"}', "--broker-timestamp-ms", 1704067200123))
    assert "timestamp = 2024-01-01T00:00:00.123Z\n    D-1  absent     the message's timestamp is taken\n" in text


def test_explain_from_standard_input():
    pretty = json.dumps(json.loads(GOOD), indent=2).encode()
    assert heard(run("explain", stdin=pretty + b"\n")) == heard(run("explain", GOOD))
    assert heard(run("explain", stdin=b"\n"), 1).startswith("rejected: empty\n")
    assert heard(run("explain", stdin=b""), 1).startswith("rejected: empty\n")


def test_explain_does_not_write_control_characters():
    text = run("explain", '{"client":"a\x1b[31m\xc2\x9b","metric":"m"}').stdout
    assert b"\x1b" not in text and b"\xc2\x9b" not in text


def test_usage_of_explain():
    assert said(run("explain", "{", "}"), 64) == \
        "winnow explain: found 2 arguments, expected one event; is it in quotes?; see: winnow explain --help\n"
    assert said(run("explain", "{}", "--broker-timestamp-ms", "soon"), 64) == \
        "winnow explain: --broker-timestamp-ms: found soon, expected milliseconds since 1970; see: winnow explain --help\n"
    assert said(run("explain", "-t", "x", "{}"), 64).startswith("winnow explain: -t is not for this command;")


def test_explain_minds_the_limit():
    assert heard(run("explain", GOOD, "--event-bytes-max", len(GOOD))).startswith("accepted\n")
    assert heard(run("explain", GOOD, WINNOW_EVENT_BYTES_MAX=str(len(GOOD) - 1)), 1).startswith("rejected: too_large\n")


# ---- explain --json ----

def explain(lines, *arguments):
    """The answers to raw messages without line feeds; the last one has none behind it either."""
    text = heard(run("explain", "--json", *arguments, stdin=b"\n".join(lines)))
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in text.split("\n")[:-1]]


def golden_rows():
    with open(ROOT / "tests" / "golden" / "normalize.jsonl", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            value = row["value"].encode("utf-8", "surrogatepass") if row.get("value") is not None else None
            if row.get("value_base64") is not None:
                value = base64.b64decode(row["value_base64"])
            if not value or b"\n" in value or {"rules", "event_bytes_max", "same", "different"} & row.keys():
                continue
            yield row, value


def test_golden_rows():
    rows = list(golden_rows())
    assert len(rows) >= 20
    for stamp in {row.get("broker_timestamp_ms") for row, _ in rows}:
        chosen = [(row, value) for row, value in rows if row.get("broker_timestamp_ms") == stamp]
        options = ("--broker-timestamp-ms", stamp) if stamp is not None and stamp >= 0 else ()
        if stamp is not None and stamp < 0:
            continue  # a message without a timestamp cannot be asked about
        for (row, value), answer in zip(chosen, explain([value for _, value in chosen], *options), strict=True):
            if "reason" in row:
                assert answer["reason"] == row["reason"], (row, answer)
                assert answer["detail"], row
                continue
            event = {**row["event"], "amount": Decimal(row["event"]["amount"])}
            assert {name: answer["event"][name] for name in event} == event, (row, value, answer)


def test_lines_are_taken_as_they_are():
    answers = explain([b"", b"\r", b'{"client":"a","metric":"m"}\r', b"abc\0d", b'{"client":"\xff","metric":"m"}', b"\xc3"])
    assert [answer.get("reason", "event") for answer in answers] == \
        ["empty", "invalid_json", "event", "invalid_json", "invalid_utf8", "invalid_json"]
    assert explain([b"", b""])[0]["reason"] == "empty"
    assert len(explain([b"", b"", b""])) == 2  # a line that has no line feed and nothing else is none
    assert explain([]) == []


def test_long_lines():
    long = b'{"client":"a","metric":"m","x":"%s"}' % (b"x" * 700_000)
    answers = explain([long, b"", b"x" * 3_000_000, long])
    assert [answer.get("reason", "event") for answer in answers] == ["event", "empty", "too_large", "event"]


def test_any_client_id_comes_out_right():
    for client in ('quote " and \\', "\u2028\u2029", "é€😀", "/", "\u00ad\ufeff"):
        message = json.dumps({"client": "x" + client + "x", "metric": "m"}).encode()
        text = heard(run("explain", "--json", stdin=message))
        assert len(text.splitlines()) == 1
        assert json.loads(text)["event"]["client_id"] == "x" + client + "x"


def test_amounts_are_exact():
    digits = "123456789012345678901234567890.12345678"
    text = heard(run("explain", "--json", '{"client":"a","metric":"m","amount":%s}' % digits))
    assert f'"amount":{digits},' in text


def test_answers_come_before_the_next_question():
    with subprocess.Popen([PROGRAM, "explain", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for question in (GOOD.encode(), b"", b"{}"):
            process.stdin.write(question + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(b"{")
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_input_that_cannot_be_read():
    directory = os.open("/tmp", os.O_RDONLY)
    try:
        result = subprocess.run([PROGRAM, "explain", "--json"], stdin=directory, capture_output=True, check=False)
    finally:
        os.close(directory)
    assert said(result, 75) == "winnow explain: cannot read standard input: Is a directory\n"


@pytest.mark.parametrize("command", [("explain", "--json"), ("submit", "-b", "localhost:1", "-t", "x", "--timeout", "1")])
def test_closed_descriptors_are_not_taken_by_others(command):
    line = " ".join((f"'{PROGRAM}'", *command))
    result = subprocess.run(["/bin/sh", "-c", f"{line} <&-"], capture_output=True, timeout=60, check=False)
    assert result.returncode != 0
    assert result.stderr.startswith(f"winnow {command[0]}: ".encode())


def test_check_asks_the_libraries():
    given = ("config", "check", "-b", "localhost:9092", "-t", "events")
    assert run(*given).returncode == 0
    assert 'No such configuration property: "no.such"' in said(run(*given, "-X", "no.such=1"), 78)
    assert "session.timeout.ms" in said(run(*given, "-X", "session.timeout.ms=abc"), 78)
    text = said(run(*given, "-d", "host=h passwordd=hush"), 78)
    assert "neither a conninfo" in text and "hush" not in text
