"""winnow dlq list, show, export, discard and undo."""

import base64
import csv
import getpass
import io
import json
import re
import subprocess
from pathlib import Path

import pytest

from winnow_test import letters, pool
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.produce import Message
from winnow_test.terminal import Terminal

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def shape(text):
    """Times and hashes stand for themselves."""
    return re.sub(TIME, "TIME", text)


# ---- list ----

def test_groups(bench, client):
    first = bench.fail(client, 2)
    second = bench.fail_values([Message(b"{\xff}", key=client.encode())])
    result = bench.dlq("list", "--client", client)
    assert (result.exit_code, result.error) == (0, "")
    latest = max(first, key=lambda name: bench.database.value(
        "SELECT (failed_at, partition, message_offset)::text FROM winnow.dead_letter WHERE format('events/%%s/%%s', "
        "partition, message_offset) = %s", (name,)))
    number = first.index(latest)
    assert shape(result.out).replace("TIME to TIME", "TIME") == (
        "events, group winnow: 2 dead letters in 1 group\n\n"
        f"2  amount_invalid, client {client}, TIME\n"
        f'   {latest}  A-2: amount: found "x{number}", expected a number such as 1200, "1,234.50" or 1.2e3\n'
        f'   {{"client": "{client}", "metric": "sale", "amount": "x{number}", "time": "2024-01-01"}}\n')
    unknown = bench.dlq("list", "--client", "", "--reason", "invalid_json", "--since", "1m").out
    assert f"   {second[0]}  M-3: byte 1: found \\xff" in unknown and "client unknown" in unknown and "(not UTF-8)" in unknown


def test_groups_as_json(bench, client):
    names = bench.fail(client, 3)
    (stream,) = [json.loads(line) for line in bench.dlq("list", "--client", client, "--json").out.splitlines()]
    assert (stream["topic"], stream["group"], stream["total"], stream["truncated"]) == ("events", "winnow", 3, False)
    (group,) = stream["groups"]
    assert (group["reason"], group["client_id"], group["count"]) == ("amount_invalid", client, 3)
    assert group["sample"]["id"] in names and group["sample"]["state"] == "open"


def test_each_and_filters(bench, client):
    names = bench.fail(client, 3, partition=1) + bench.fail(client, 2, partition=2)
    lines = bench.dlq("list", "--each", "--client", client).out.splitlines()
    assert sorted(line.split("  ")[0] for line in lines) == sorted(names)
    assert re.fullmatch(rf"{lines[0].split('  ')[0]}  {TIME}  open  {client}  amount_invalid: A-2: amount: found .*", lines[0])
    count = lambda *arguments: len(bench.dlq("list", "--each", "--client", client, *arguments).out.splitlines())  # noqa: E731
    assert count("--partition", "1") == 3 and count("--partition", "0") == 0
    assert count("--limit", "2") == 2 and count("--reason", "empty") == 0
    assert count("--state", "resolved") == 0 and count("--state", "all") == 5
    assert count("--since", "1h") == 5 and count("--since", "2199-01-01") == 0
    assert count("--until", "1h") == 0 and count("--until", "2199-01-01T00:00:00Z") == 5
    found = [json.loads(line) for line in
             bench.dlq("list", "--each", "--client", client, "--json", "--partition", "2").out.splitlines()]
    assert sorted(letter["id"] for letter in found) == sorted(names[3:])


def test_all_streams(bench, client):
    bench.fail(client)
    result = pool.run("dlq", "list", "--client", client, settings={"database": bench.database.dsn})
    assert result.exit_code == 0 and result.out.startswith("events, group winnow: 1 dead letter in")
    assert bench.dlq("list", topic="other").out == "other, group winnow: no such dead letters\n"


@pytest.mark.parametrize("arguments, found", [
    (("--reason", "amount_invalids"), "--reason: found amount_invalids, expected a reason as winnow dlq list shows them, "
                                      "did you mean amount_invalid?"),
    (("--state", "opn"), "--state: found opn, expected open, retried, resolved, discarded or all, did you mean open?"),
    (("--partition", "x"), "--partition: found x, expected a partition's number"),
    (("--since", "yesterday"), "--since: found yesterday, expected a time from 1970 to 2199 such as 2026-01-31T12:00:00Z"),
    (("--until", "3x"), "--until: found 3x, expected a time"),
    (("--limit", "none"), "--limit: found none, expected a number from 1 on"),
    (("events/0/1",), "found events/0/1, expected options only; one alone: winnow dlq show events/0/1"),
])
def test_bad_filters(bench, arguments, found):
    result = bench.dlq("list", *arguments)
    assert (result.exit_code, result.out) == (64, "")
    assert found in result.error and len(result.error.splitlines()) == 1


def test_commands(bench):
    assert bench.dlq("lst").exit_code == 64 and "did you mean winnow dlq list?" in bench.dlq("lst").error
    result = bench.dlq("--help")
    assert result.exit_code == 0 and "replay    send them again, as they are or edited" in result.out


def test_database_down(bench):
    nowhere = "host=127.0.0.1 port=1 dbname=x"
    for arguments in (("list",), ("show", "events/0/1"), ("replay", "--yes"), ("export",),
                      ("discard", "--note", "x", "--yes"), ("undo", "--yes")):
        result = bench.dlq(*arguments, database=nowhere)
        assert (result.exit_code, result.out) == (69, ""), arguments
        assert result.error.startswith(f"winnow dlq {arguments[0]}: cannot connect to PostgreSQL")
        assert len(result.error.splitlines()) == 1


# ---- show ----

def test_show(bench, client):
    (name,) = bench.fail(client, headers=[("trace", b"7"), ("odd", b"\x00\xff")], timestamp_ms=1700000000000)
    bench.dlq("replay", name, "--even-rejected", "--as", "alice", "--note", "try")
    bench.dlq("discard", name, "--note", "no use", "--as", "bob")
    result = bench.dlq("show", name)
    assert (result.exit_code, result.error) == (0, "")
    found = shape(result.out)
    value = f'{{"client": "{client}", "metric": "sale", "amount": "x0", "time": "2024-01-01"}}'
    assert found.startswith(
        f"{name}\nstate      discarded\nreason     amount_invalid\n"
        'detail     A-2: amount: found "x0", expected a number such as 1200, "1,234.50" or 1.2e3\n'
        f"client     {client}\nfailed     TIME\nsent       TIME\npublished  ")
    assert (f"key        {client}\nheaders\n  trace: 7\n  odd: \\x00\\xff\nvalue      {len(value)} bytes\n{value}\n\n"
            "By today's rules: rejected: amount_invalid\n") in found
    assert re.search(r"What was done\n  TIME  retry by alice, sent as events/\d/\d+, failed: try\n"
                     r"  TIME  discard by bob: no use\n$", found)


def test_show_tells_what_it_would_be_now(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    assert "By today's rules: accepted" in bench.dlq("show", name).out
    found = json.loads(bench.dlq("show", "--json", name).out)
    assert (found["id"], found["reason"], found["now"]["event"]["client_id"]) == (name, "database_rejected", client)
    assert found["now"]["event"]["event_hash"] == found["event_hash"] and found["history"] == []
    bench.dlq("replay", name)
    assert "  resolved: its event is stored from events/" in bench.dlq("show", name).out


def test_show_the_value_byte_by_byte(bench):
    raw = b'\x00\xff{"a":1}\n'
    (name,) = bench.fail_values([raw])
    import subprocess
    out = subprocess.run([pool.BINARY, "dlq", "show", "--value", name], capture_output=True, env=bench.environment(),
                         check=True, timeout=30).stdout
    assert out == raw
    (name,) = bench.fail_values([None])
    assert "value      none (a tombstone)\n" in bench.dlq("show", name).out


def test_show_unknown(bench):
    result = bench.dlq("show", "events/0/888888")
    assert (result.exit_code, result.out) == (1, "") and "is no dead letter of group winnow" in result.error
    assert bench.dlq("show").exit_code == 64 and bench.dlq("show", "17").exit_code == 64


def test_export_where_there_is_no_room(bench, client):
    bench.fail_values([b"x" * 3000] * 3, key=client.encode())
    with open("/dev/full", "wb") as full:
        done = subprocess.run([pool.BINARY, "dlq", "export"], stdout=full, stderr=subprocess.PIPE, env=bench.environment(),
                              timeout=60, check=False)
    assert done.returncode == 75
    assert re.fullmatch(rb"winnow: cannot write to standard output: (No space left on device|an earlier write failed; .*)\n",
                        done.stderr), done.stderr


# ---- discard, undo ----

def test_discard_and_undo(bench, client):
    names = bench.fail(client, 3)
    result = bench.dlq("discard", "--client", client, "--note", "test traffic", "--yes")
    assert result.exit_code == 0 and re.fullmatch(
        r"3 discarded\nto take back exactly these: winnow dlq undo --actions \d+-\d+\n", result.out), result
    assert set(bench.states(names)) == {"discarded"}
    assert {row[:3] for row in bench.actions(names)} == {("discard", getpass.getuser(), "test traffic")}
    assert bench.dlq("replay", "--client", client, "--yes").out == "sent 0 of 0\n"
    assert bench.dlq("list", "--client", client).out == "events, group winnow: no such dead letters\n"
    again = bench.dlq("discard", names[0], "--note", "again")
    assert (again.exit_code, again.out) == (1, "0 discarded, 1 left out: something else was done about it\n")
    assert f"{names[0]} is discarded: not discarded" in again.error
    result = bench.dlq("undo", names[0], "--as", "carol")
    assert (result.exit_code, result.out) == (0, "1 taken back\n")
    assert bench.states(names) == ["open", "discarded", "discarded"]
    assert bench.dlq("undo", "--client", client, "--yes").out == "2 taken back\n"
    assert set(bench.states(names)) == {"open"}


def test_who_called_sudo_did_it(bench, client, monkeypatch):
    names = bench.fail(client)
    monkeypatch.setenv("SUDO_USER", "alice")
    assert bench.dlq("discard", names[0], "--note", "no use").exit_code == 0
    assert bench.dlq("undo", names[0]).exit_code == 0
    assert bench.dlq("discard", names[0], "--note", "no use", "--as", "bob").exit_code == 0
    monkeypatch.delenv("SUDO_USER")
    assert [row[1] for row in bench.actions(names)] == ["alice", "alice", "bob"]


def test_a_login_without_rights_gets_one_advice(bench):
    bench.database.run("CREATE ROLE stranger LOGIN")
    try:
        told = bench.dlq("list", database=bench.database.server.dsn(bench.database.name, user="stranger"))
    finally:
        bench.database.run("DROP ROLE stranger")
    assert told.exit_code == 78 and re.fullmatch(
        r"winnow dlq list: PostgreSQL: permission denied for [a-z_ ]+; this needs a login that is a member of winnow_operator, or of "
        r"winnow_retry: GRANT winnow_operator TO …, SQLSTATE 42501\n", told.error), told


def test_a_line_each_on_a_terminal(bench, client):
    """Cut there, whole on a pipe."""
    (name,) = bench.fail(f"{client}{'x' * 100}")
    arguments = ("dlq", "list", "--each", "--client", f"{client}{'x' * 100}")
    with Terminal([pool.BINARY, *arguments], bench.environment()) as terminal:
        assert terminal.wait_until_ended() == 0
        (line,) = terminal.screen().splitlines()
    assert line.startswith(name) and len(line) == 79 and "amount_invalid" not in line, line
    assert bench.dlq(*arguments[1:]).out.endswith("such as 1200, \"1,234.50\" or 1.2e3\n")


def test_undo_takes_back_what_one_discard_did(bench, client):
    """What somebody else discarded of the same client, in the middle of it or since, stays as it is."""
    names = bench.fail(client, 600, partition=1)  # more than are discarded at once
    with letters.discarded_between(bench.database, client):
        out = bench.dlq("discard", "--client", client, "--note", "mine", "--yes").out
    assert out.startswith("599 discarded\n"), out
    later = names[3]
    assert bench.dlq("undo", later).exit_code == 0 and bench.dlq("discard", later, "--note", "again").exit_code == 0
    numbers = re.search(r"--actions (\S+)\n", out)[1]
    assert len(numbers.split(",")) == 2  # theirs is between
    result = bench.dlq("undo", "--actions", numbers, "--yes")
    assert (result.exit_code, result.out) == (0, "598 taken back\n")
    states = dict(zip(names, bench.states(names)))
    assert {name for name, state in states.items() if state == "discarded"} == {names[-1], later}
    for bad in ("", "1-", "5-3", "x", "1,", "1;2", "-1", "1-9223372036854775807"):
        refused = bench.dlq("undo", "--actions", bad, "--yes")
        assert refused.exit_code == 64 and "expected numbers of actions, such as 17-300,305" in refused.error, bad


def test_discard_needs_a_note_and_a_yes(bench, client):
    names = bench.fail(client, 2)
    result = bench.dlq("discard", names[0])
    assert result.exit_code == 64 and "--note: found nothing, expected why, in 1 to 500 characters" in result.error
    assert bench.dlq("discard", names[0], "--note", "x" * 501).exit_code == 64
    result = bench.dlq("discard", "--client", client, "--note", "x")
    assert result.exit_code == 64 and "Discard 2 dead letters of events?" in result.error and "--yes" in result.error
    result = bench.dlq("discard", "--client", client, "--note", "x", "--dry-run")
    assert (result.exit_code, result.out) == (0, f"2 dead letters of events are meant: open, client {client}\n")
    result = bench.dlq("discard", "events/0/777777", "--note", "x")
    assert (result.exit_code, result.out) == (1, "0 discarded, 1 is no dead letter\n")
    assert bench.actions(names) == []


def test_what_could_not_be_looked_at_is_not_said_to_be_none(bench, client, postgres_of_run):
    names = bench.fail(client)
    with Database(postgres_of_run, bench.database.name) as holder:
        holder.run("BEGIN; LOCK TABLE winnow.dead_letter_action IN SHARE MODE")
        result = bench.dlq("discard", names[0], "--note", "x", statement_timeout_ms=1000)
    assert result.exit_code == 69 and "SQLSTATE" in result.error, result
    assert result.out == "0 discarded\n"


def test_roles(bench, client, postgres_of_run):
    names = bench.fail(client, 2, valid_later=True)
    for role in ("winnow_operator", "winnow_retry", "winnow_analyst"):
        bench.database.run(f"CREATE ROLE dlq_{role} LOGIN PASSWORD 'p' IN ROLE {role}")
    logins = {role: bench.database.dsn.replace("user=postgres", f"user=dlq_{role}")
              for role in ("winnow_operator", "winnow_retry", "winnow_analyst")}
    for role, name in zip(("winnow_operator", "winnow_retry"), names):
        for arguments in (("list", "--client", client), ("show", name), ("discard", name, "--note", "x"), ("undo", name),
                          ("export", name), ("replay", name, "--dry-run"), ("replay", name)):
            result = bench.dlq(*arguments, database=logins[role])
            assert result.exit_code == 0, (role, arguments, result)
    for arguments in (("list",), ("discard", names[0], "--note", "x"), ("replay", names[0])):
        result = bench.dlq(*arguments, database=logins["winnow_analyst"])
        assert (result.exit_code, result.out) == (78, "")
        assert "GRANT winnow_operator TO" in result.error and "42501" in result.error


# ---- export ----

def test_export(bench, client):
    values = [b'{"client":"%s","metric":"m","amount":"one, \\"two\\""}' % client.encode(),
              b'{"client":"%s","metric":"m","amount":"\xc3\xa9"}' % client.encode()]
    names = [bench.fail_values([Message(value, key=b"\xff\x00")])[0] for value in values]
    found = [json.loads(line) for line in bench.dlq("export", "--client", client).out.splitlines()]
    assert [letter["id"] for letter in found] == names
    assert [letter["value_text"].encode() for letter in found] == values
    assert {letter["value_base64"] for letter in found} == {None}
    assert [(letter["key_text"], base64.b64decode(letter["key_base64"])) for letter in found] == [(None, b"\xff\x00")] * 2
    assert (found[0]["reason"], found[0]["client_id"], found[0]["state"]) == ("amount_invalid", client, "open")
    rows = list(csv.DictReader(io.StringIO(bench.dlq("export", "--client", client, "--format", "csv").out, newline="")))
    assert [(row["id"], row["value_encoding"], row["value"].encode()) for row in rows] == [
        (name, "text", value) for name, value in zip(names, values)]
    assert base64.b64decode(rows[0]["key"]) == b"\xff\x00" and rows[0]["key_encoding"] == "base64"
    assert bench.dlq("export", "--format", "xml").exit_code == 64


def test_export_of_bytes_and_nothing(bench):
    binary, nothing = bench.fail_values([b"\xfe\x00\x01"]), bench.fail_values([None])
    found = [json.loads(line) for line in bench.dlq("export", *binary, *nothing).out.splitlines()]
    assert [(letter["value_text"], letter["value_base64"]) for letter in found] == [
        (None, base64.b64encode(b"\xfe\x00\x01").decode()), (None, None)]
    missing = bench.dlq("export", "events/0/666666")
    assert (missing.exit_code, missing.out) == (1, "") and "1 of 1 is no dead letter" in missing.error


def test_export_in_pages(bench, client):
    """More than one page, by number and by size."""
    bench.fail(client, 1100)
    large = [json.dumps({"client": f"{client}-large", "metric": "m", "amount": "?" * 800000}).encode() for _ in range(6)]
    bench.fail_values(large)
    assert len(set(bench.dlq("export", "--client", client).out.splitlines())) == 1100
    found = bench.dlq("export", "--client", f"{client}-large").out.splitlines()
    assert [len(json.loads(line)["value_text"]) for line in found] == [len(value) for value in large]


# ---- many ----

def fill(bench, topic, count, sql="'v'", headers=b""):
    """So many dead letters of a topic of their own, whose value is what the SQL makes of the number i."""
    bench.database.run("INSERT INTO winnow.stream (topic, consumer_group, cluster_id) VALUES (%s, 'winnow', 'x')", (topic,))
    bench.database.run(
        "INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, message_time, value, headers, reason, detail, "
        f"published_at) SELECT s.stream_id, 9, i, now(), convert_to({sql}, 'UTF8'), %s, 'invalid_json', 'M-3', now() "
        "FROM winnow.stream AS s, generate_series(900001, 900000 + %s) AS i WHERE s.topic = %s", (headers or None, count, topic))


def export(bench, topic, *arguments):
    return subprocess.Popen([pool.BINARY, "dlq", "export", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=pool.environment({**bench.settings, "topic": topic}))


def peak_kib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


@pytest.mark.parametrize("arguments", [(), ("--format", "csv")])
def test_export_is_flat(bench, client, arguments):
    """However much there is, and whatever of the messages is large."""
    fill(bench, client, 400, "repeat('v', 150000)")
    fill(bench, f"{client}-headers", 400, headers=letters.encode_headers([("h", b"h" * 150000)]))
    for topic in (client, f"{client}-headers"):
        run = export(bench, topic, *arguments)
        size = 0
        peak = 0
        while size < 55_000_000:
            size += len(run.stdout.read(1_000_000))
            peak = peak_kib(run)
        size += len(run.communicate()[0])
        assert run.returncode == 0 and size >= 400 * 150_000
        assert peak < 32 * 1024, (topic, peak)


def test_export_to_a_reader_that_leaves(bench, client):
    fill(bench, client, 3000, "repeat('v', 1000)")
    run = export(bench, client)
    assert run.stdout.readline().startswith(f'{{"id":"{client}/9/900001",'.encode())
    run.stdout.close()
    assert (run.wait(60), run.stderr.read()) == (75, b"")


def test_export_on_a_terminal(bench, client):
    """To a reader that takes its time with the first ones."""
    fill(bench, client, 3000)
    script = f"{pool.BINARY} dlq export -t {client} | {{ for _ in {{1..1500}}; do read -r line; sleep 0.003; done; cat > /dev/null; }}"
    with Terminal(["bash", "-c", script], bench.environment(), columns=100) as terminal:
        shown = terminal.wait_for(" left").splitlines()[-1]
        assert re.fullmatch(r"winnow dlq export: [\d,]+ dead letters, \d+ %, [\d,.]+/s, \d+ s left", shown), shown
        assert terminal.wait_until_ended() == 0
        assert " left" not in terminal.screen()


def test_what_is_exported_can_be_sent(bench, client):
    """The way round: what JSON and CSV hold is what was sent."""
    values = [f'{{"client":"{client}","metric":"m","amount":"{amount}"}}' for amount in ("one", "\\u00e9", "a\tb\\n")]
    names = [bench.fail_values([value.encode()])[0] for value in values]
    lines = bench.dlq("export", *names).out.splitlines()
    sent = "".join(json.loads(line)["value_text"].replace('"amount":"', '"amount":1,"was":"').replace("\t", " ") + "\n" for line in lines)
    result = pool.run("submit", "-f", "-", stdin=sent.encode(), settings=bench.settings)
    assert result.exit_code == 0, result
    wait_until(lambda: bench.stored(client) == [1], 60, "it is stored")


def test_hostile_content_reaches_no_terminal(bench, client):
    """Neither what steers it, nor what turns the reading direction; and JSON stays JSON."""
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\u200f\r\x08"
    headers = [("\x1b[31mname", evil.encode()), ("bytes", b"\xff\xfe\x1b[0m"), ("huge", b"\x1bh" * 100_000), ("none", None)]
    names = [bench.fail_values([Message(value, key=evil.encode(), headers=headers)])[0] for value in (
        evil.encode(), b"\xff\x1b[2J" + evil.encode(), json.dumps({"client": evil, "metric": "m", "amount": evil}).encode(),
        json.dumps({"client": client, "metric": evil, "amount": evil}, ensure_ascii=False).encode())]
    bench.dlq("discard", names[0], "--note", evil, "--as", evil)
    for arguments in (("list", "--state", "all"), ("list", "--each", "--state", "all"), *(("show", name) for name in names),
                      ("replay", "--dry-run", "--even-rejected"), ("replay", *names, "--dry-run", "--even-rejected")):
        result = bench.dlq(*arguments)
        for text in (result.out, result.error):
            found = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
            assert not found, (arguments, found[:5], text[:3000])
        assert names[0] not in arguments or len(result.out) < 200_000
    for arguments in (("list", "--json", "--state", "all"), ("list", "--each", "--json", "--state", "all"), ("export", *names),
                      *(("show", "--json", name) for name in names)):
        lines = bench.dlq(*arguments).out.splitlines()
        assert lines and all(json.loads(line) for line in lines), arguments


@pytest.mark.parametrize("key, code", [("C-c", 75), ("Enter", 1)])
def test_a_question_can_be_left(bench, client, key, code):
    names = bench.fail(client, 2)
    argv = [pool.BINARY, "dlq", "discard", "--client", client, "--note", "x"]
    with Terminal(argv, bench.environment()) as terminal:
        terminal.wait_for("Discard 2 dead letters of events? [y/N]")
        terminal.press(key)
        assert terminal.wait_until_ended() == code
        assert "winnow dlq discard: nothing was done" in terminal.screen()
    assert bench.states(names) == ["open", "open"]
