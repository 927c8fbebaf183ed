"""winnow dlq replay: what is sent, and what becomes of it."""

import json
import os
import random
import re
import signal
import subprocess
import time

import pytest

from winnow_test import check, letters, pool
from winnow_test.poll import wait_until
from winnow_test.terminal import Terminal


def topic(bench):
    """(partition, offset) → message, of the whole topic."""
    return {(message.partition(), message.offset()): message for message in bench.broker.read_topic("events")}


def replays_of(bench, names):
    """id → the messages that are its replays."""
    found = {name: [] for name in names}
    for message in topic(bench).values():
        original = letters.last_header(message, "winnow-replay-of")
        if original is not None and original.decode() in found:
            found[original.decode()].append(message)
    return found


def place(name):
    return tuple(int(part) for part in name.split("/")[1:])


# ---- one ----

def test_one(bench, client):
    (name,) = bench.fail(client, valid_later=True, timestamp_ms=1700000000123)
    result = bench.dlq("replay", name, "--as", "alice", "--note", "mended")
    assert (result.exit_code, result.error) == (0, "")
    assert result.out == "sent 1 of 1: 1 stored\n"
    assert bench.states([name]) == ["resolved"] and bench.stored(client) == [0]
    assert bench.actions([name]) == [("retry", "alice", "mended", True, None)]
    (again,) = replays_of(bench, [name])[name]
    before = topic(bench)[place(name)]
    assert (again.key(), again.value(), again.partition()) == (before.key(), before.value(), before.partition())
    assert again.timestamp()[1] == before.timestamp()[1] == 1700000000123


def test_headers_are_kept_and_told(bench, client):
    kept = [("trace", b"1"), ("trace", None), ("binary", b"\xff\x00")]
    (name,) = bench.fail(client, valid_later=True, headers=kept)
    assert bench.dlq("replay", name).exit_code == 0
    (again,) = replays_of(bench, [name])[name]
    headers = letters.headers_of(again)
    assert headers[:3] == kept
    assert [header for header, _ in headers[3:]] == ["winnow-replay", "winnow-replay-of", "winnow-replay-attempt"]
    assert headers[5][1] == b"1"


def test_event_without_a_time_of_its_own_keeps_its_hash(bench, client):
    value = json.dumps({"client": client, "metric": "m", "amount": 1}).encode()
    (name,) = bench.fail_values([value], simulated=True, timestamp_ms=1600000000000)
    wanted = bench.database.value("SELECT event_hash FROM winnow.dead_letter WHERE client_id = %s", (client,))
    assert bench.dlq("replay", name).exit_code == 0
    assert bench.database.rows("SELECT event_hash, event_time::text FROM winnow.event WHERE client_id = %s", (client,)) == [
        (wanted, "2020-09-13 12:26:40+00")]


def test_stored_already_ends_as_a_duplicate_and_is_resolved(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    value = topic(bench)[place(name)].value()
    from winnow_test.produce import send
    send(bench.broker.brokers, "events", [value])
    wait_until(lambda: bench.stored(client), 90, "it is stored")
    # the database had refused it: the view knows without a replay
    assert bench.states([name]) == ["resolved"]
    (other,) = bench.fail_values([b'{"client":"%s","metric":"sale","amount":"zero"}' % client.encode()])
    result = bench.dlq("replay", other, "--edit-with", "-", stdin=value)
    assert (result.exit_code, result.out) == (0, "sent 1 of 1: 1 duplicate, stored before\n")
    assert bench.states([other]) == ["resolved"]
    assert bench.database.value("SELECT resolved FROM analytics.failed_events WHERE partition = %s AND message_offset = %s",
                                place(other))
    assert bench.database.value("SELECT resolved FROM analytics.message_state('events', %s, %s)", place(other))


def test_resolved_is_not_sent_again(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    assert bench.dlq("replay", name).exit_code == 0
    result = bench.dlq("replay", name)
    assert result.exit_code == 1
    assert "sent 0 of 1\nleft out 1: 1 in the hands of somebody else, or no longer open\n" in result.out
    assert len(replays_of(bench, [name])[name]) == 1


def test_edit_with_an_editor(bench, client, tmp_path):
    (name,) = bench.fail(client)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/x0/12.5/' \"$1\"; echo >> \"$1\"\n")
    editor.chmod(0o755)
    run = subprocess.run(
        [str(pool.BINARY), "dlq", "replay", "--edit", name], capture_output=True, text=True, check=False,
        env={**bench.environment(), "EDITOR": str(editor), "VISUAL": "", "TMPDIR": str(tmp_path)}, timeout=60)
    assert (run.returncode, run.stdout) == (0, "sent 1 of 1: 1 stored\n"), run.stderr
    assert [float(amount) for amount in bench.stored(client)] == [12.5]
    assert bench.actions([name])[0][0] == "edited_retry"
    assert [path.name for path in tmp_path.iterdir()] == ["editor"]


def test_edit_that_changes_nothing_or_does_not_help(bench, client, tmp_path):
    (name,) = bench.fail(client)
    environment = {**bench.environment(), "VISUAL": "true"}
    program = str(pool.BINARY)
    run = subprocess.run([program, "dlq", "replay", "--edit", name], capture_output=True, text=True, check=False,
                         env=environment, timeout=60)
    assert run.returncode == 1 and "nothing was changed, and nothing sent" in run.stderr
    run = subprocess.run([program, "dlq", "replay", "--edit", name], capture_output=True, text=True, check=False,
                         env={**environment, "VISUAL": "false"}, timeout=60)
    assert run.returncode == 64 and "the editor false did not end well" in run.stderr
    still = tmp_path / "still_wrong.json"
    still.write_text('{"client":"a","metric":"m","amount":"?"}\n')
    result = bench.dlq("replay", name, "--edit-with", still)
    assert result.exit_code == 1
    assert "left out 1: 1 would fail again by today's rules" in result.out and "amount_invalid" in result.out
    assert bench.actions([name]) == []


# ---- many ----

def test_filter_sends_all_that_can_succeed(bench, client):
    good = bench.fail(client, 30, valid_later=True)
    bad = bench.fail(client, 5)
    result = bench.dlq("replay", "--client", client, "--yes", "--as", "bob")
    assert result.exit_code == 1
    assert result.out.splitlines()[:2] == [
        "sent 30 of 35: 30 stored",
        "left out 5: 5 would fail again by today's rules (--edit mends one, --even-rejected sends them)"]
    assert set(bench.states(good)) == {"resolved"} and set(bench.states(bad)) == {"open"}
    assert bench.stored(client) == list(range(30))
    assert {len(found) for found in replays_of(bench, good).values()} == {1}
    again = bench.dlq("replay", "--client", client, "--reason", "database_rejected", "--yes")
    assert (again.exit_code, again.out) == (0, "sent 0 of 0\n")


def test_sum_as_json(bench, client):
    bench.fail(client, 3, valid_later=True)
    bench.fail(client, 2)
    result = bench.dlq("replay", "--client", client, "--yes", "--json", "--even-rejected")
    found = json.loads(result.out)
    assert result.exit_code == 1
    assert (found["looked_at"], found["sent"], found["stored"], found["failed_again"]) == (5, 5, 3, 2)
    assert found["sent"] == sum(found[name] for name in ("stored", "duplicate", "failed_again", "not_stored",
                                                         "not_processed_yet"))


def test_dry_run_sends_nothing(bench, client):
    good, bad = bench.fail(client, valid_later=True), bench.fail(client)
    before = len(topic(bench))
    result = bench.dlq("replay", "--client", client, "--dry-run")
    assert (result.exit_code, result.error) == (0, "")
    lines = result.out.splitlines()
    partition = place(good[0])[0]
    assert lines[0].startswith(f"{good[0]}  send to partition {partition}, key {client}, ")
    assert lines[0].endswith(f"attempt 1: client {client}, metric sale, amount 0, 2024-01-01T00:00:00Z")
    assert lines[1].startswith(f"{bad[0]}  leave out: would fail again: amount_invalid: ")
    assert lines[2] == "would send 1 of 2; nothing was sent"
    assert len(topic(bench)) == before and bench.actions(good + bad) == []


def test_group_needs_a_yes(bench, client):
    names = bench.fail(client, 2, valid_later=True)
    result = bench.dlq("replay", "--client", client)
    assert (result.exit_code, result.out) == (64, "")
    assert f"Send up to 2 dead letters to events again (open, client {client})?" in result.error and "--yes" in result.error
    assert bench.actions(names) == []


def test_limit_takes_the_oldest(bench, client):
    names = bench.fail(client, 1, valid_later=True) + bench.fail(client, 2, valid_later=True)
    result = bench.dlq("replay", "--client", client, "--yes", "--limit", "1")
    assert result.out == "sent 1 of 1: 1 stored\n"
    assert bench.actions(names[:1]) and bench.actions(names[1:]) == []


def test_rate(bench, client):
    bench.fail(client, 30, valid_later=True)
    begun = time.monotonic()
    result = bench.dlq("replay", "--client", client, "--yes", "--rate", "20/s")
    assert result.out == "sent 30 of 30: 30 stored\n"
    assert 1.2 < time.monotonic() - begun < 60


def test_loop_guard(bench, client):
    name = bench.fail(client)[0]
    for attempt in (1, 2, 3):
        before = topic(bench)
        result = bench.dlq("replay", name, "--even-rejected")
        assert result.exit_code == 1 and result.out.startswith("sent 1 of 1: 1 failed again"), attempt
        (found,) = [message for key, message in topic(bench).items() if key not in before]
        assert letters.last_header(found, "winnow-replay-attempt") == b"%d" % attempt
        name = f"events/{found.partition()}/{found.offset()}"  # it is a dead letter of its own now
    result = bench.dlq("replay", name, "--even-rejected")
    assert result.exit_code == 1
    assert "sent 0 of 1\nleft out 1: 1 sent again 3 times already (--max-attempts 4 sends them once more)\n" in result.out
    result = bench.dlq("replay", "--client", client, "--even-rejected", "--yes")
    assert result.out.startswith("sent 0 of 1\n")
    assert bench.dlq("replay", name, "--even-rejected", "--max-attempts", "4").out.startswith("sent 1 of 1")


def test_loop_guard_holds_over_a_move_back(bench, client):
    """What an operator has read again fails again, and has been sent as often as before."""
    (name,) = bench.fail(client, partition=2)
    for _ in range(3):
        assert bench.dlq("replay", name, "--even-rejected").out.startswith("sent 1 of 1: 1 failed again")
    sought = pool.run("seek", f"events/{place(name)[0]}", "--to-offset", place(name)[1], "--execute",
                      settings=bench.settings)
    assert sought.exit_code == 0, sought
    wait_until(lambda: bench.database.value("SELECT count(*) FROM winnow.dead_letter WHERE client_id = %s", (client,)) == 4,
               90, "the letter and its three replays have failed again")
    assert bench.states([name]) == ["open"] and bench.actions([name]) == []
    result = bench.dlq("replay", "--client", client, "--even-rejected", "--yes", "--json")
    assert (json.loads(result.out)["sent"], json.loads(result.out)["left_out_attempts"]) == (2, 2), result
    assert "3 times already" in bench.dlq("replay", name, "--even-rejected").out


def test_runs_beside_each_other_share_the_work(bench, client):
    names = bench.fail(client, 300, valid_later=True)
    with bench.slow("INSERT", 0.05):  # all have looked before the first one has written
        runs = [bench.start("replay", "--client", client, "--yes", "--json", "--rate", "300/s") for _ in range(3)]
        sums = [json.loads(run.communicate(timeout=120)[0].splitlines()[-1]) for run in runs]
    assert sum(found["sent"] for found in sums) == 300
    assert {len(found) for found in replays_of(bench, names).values()} == {1}
    assert bench.stored(client) == list(range(300))


# ---- in the middle ----

# Each is sent once: what fails again is a dead letter with one attempt.
ONCE_EACH = ("replay", "--yes", "--even-rejected", "--max-attempts", "1")


def kill_in_the_middle(bench, client, between):
    """Starts a replay and kills it when it has taken letters, and `between` has happened. Returns the letters in doubt."""
    known = set(bench.in_doubt())
    run = bench.start(*ONCE_EACH, "--client", client, "--rate", "150/s", "--wait", "0")
    wait_until(lambda: run.poll() is not None or set(bench.in_doubt()) - known, 60, "it has taken some", interval_s=0)
    between()
    assert run.poll() is None, run.communicate()[0]
    run.send_signal(signal.SIGKILL)
    run.communicate()
    bench.end_sessions()  # the server would carry out what it was told last
    return set(bench.in_doubt())


def kill_before_it_is_written_down(bench, client):
    """What was taken is in the topic, and nobody has told."""
    before = len(topic(bench))
    with bench.slow("UPDATE", 20):
        return kill_in_the_middle(bench, client, lambda: wait_until(
            lambda: len(topic(bench)) > before, 60, "the messages have arrived", interval_s=0))


def kill_before_it_is_sent(bench, client):
    """What was taken does not reach the topic."""
    bench.broker.command("error produce REQUEST_TIMED_OUT 1000")
    try:
        return kill_in_the_middle(bench, client, lambda: None)
    finally:
        bench.broker.command("clear produce")


def kill_somewhere(bench, client):
    """Before or after it is written down. Each time it is in doubt for long enough to be seen."""
    with bench.slow("UPDATE", 0.2):
        return kill_in_the_middle(bench, client, lambda: time.sleep(random.uniform(0, 0.25)))


def test_many_are_asked_for_on_a_terminal(bench, client):
    names = bench.fail(client, 20, valid_later=True)
    argv = [pool.BINARY, "dlq", "replay", "--client", client, "--rate", "3/s"]
    with Terminal(argv, bench.environment(), columns=160) as terminal:
        terminal.wait_for(f"Send up to 20 dead letters to events again (open, client {client})? [y/N]")
        terminal.press("n", "Enter")
        assert terminal.wait_until_ended() == 1
    assert bench.actions(names) == []
    with Terminal(argv, bench.environment(), columns=160) as terminal:
        terminal.wait_for("[y/N]")
        terminal.press("y", "Enter")
        terminal.wait_for(" s left")
        assert re.search(r"winnow dlq replay: \d+ dead letters, \d+ %, [\d.]+/s, \d+ s left", terminal.screen())
        terminal.wait_for("sent 20 of 20: 20 stored")
        assert terminal.wait_until_ended() == 0 and "left" not in terminal.screen()


def test_killed_ten_times_and_exact_at_the_end(bench, client):
    """Of what fails again the database cannot tell that it was sent; only the topic can."""
    names = bench.fail(client, 300) + bench.fail(client, 300, valid_later=True)
    for attempt in range(10):
        before = replays_of(bench, names)
        kill = (kill_before_it_is_written_down, kill_before_it_is_sent, kill_somewhere)[attempt % 3]
        doubt = kill(bench, client)
        sent = sum(len(found) for found in replays_of(bench, names).values()) - sum(map(len, before.values()))
        assert kill is kill_somewhere or doubt, kill
        assert (kill is not kill_before_it_is_written_down or sent > 0) and (kill is not kill_before_it_is_sent or sent == 0)
    result = bench.dlq(*ONCE_EACH, "--client", client, timeout_s=90)
    assert result.exit_code == 1, result
    assert "an earlier run had ended in the middle: " in result.out
    counts = {name: len(found) for name, found in replays_of(bench, names).items()}
    check.assert_same({name: count for name, count in counts.items() if count != 1}, {}, "sent again other than once")
    assert set(bench.states(names[:300])) == {"retried"} and set(bench.states(names[300:])) == {"resolved"}
    check.assert_same(bench.stored(client), list(range(300)), "what is stored")
    wait_until(lambda: bench.database.value("SELECT count(*) FROM winnow.dead_letter WHERE client_id = %s", (client,)) == 900,
               90, "each of 300 has failed twice, and 300 once")
    assert bench.in_doubt() == []


def test_in_doubt_in_front_of_what_was_told(bench, client):
    """Kafka had the first and did not say so, and acknowledged the second: the first is looked for in front of it."""
    names = bench.fail(client, 2)
    assert "sent 2 of 2" in bench.dlq(*ONCE_EACH, "--client", client).out
    bench.database.run("UPDATE winnow.dead_letter_action SET sent_partition = NULL, sent_offset = NULL, "
                       "acted_at = acted_at - interval '20 s' WHERE action_id = (SELECT min(action_id) "
                       "FROM winnow.dead_letter_action AS a JOIN winnow.dead_letter AS d USING (stream_id, partition, "
                       "message_offset) WHERE d.client_id = %s)", (client,))
    result = bench.dlq(*ONCE_EACH, *names)
    assert "1 of its messages had arrived, 0 had not" in result.out, result
    assert {len(found) for found in replays_of(bench, names).values()} == {1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_ends_in_order(bench, client, number):
    bench.fail(client, 100, valid_later=True)
    run = bench.start("replay", "--client", client, "--yes", "--rate", "5/s")
    wait_until(lambda: bench.stored(client), 20, "some are stored")
    run.send_signal(number)
    out = run.communicate(timeout=60)[0]
    assert run.returncode == 75
    assert re.search(r"sent \d+ of \d+: \d+ stored", out) and "the same command goes on" in out
    assert bench.database.value("SELECT count(*) FROM winnow.dead_letter_retry WHERE outcome = 'in_doubt'") == 0


# ---- faults ----

def test_brokers_down(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    result = bench.dlq("replay", name, brokers="127.0.0.1:1")
    assert result.exit_code == 69
    assert "winnow dlq replay: " in result.error and bench.actions([name]) == []


def test_of_a_stream_that_nobody_has_read(bench):
    result = bench.dlq("replay", group="nobody")
    assert result.exit_code == 78
    assert ("nothing has been read yet by group nobody from topic events: is a pool running, and are the names right?"
            in result.error), result


def test_kafka_refuses_one(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    letters.wait_until_published(bench.database)  # so that nobody else sends
    bench.broker.command("error produce MSG_SIZE_TOO_LARGE 1")
    result = bench.dlq("replay", name)
    assert result.exit_code == 1, result
    assert "sent 0 of 1\n1 not taken by Kafka: open as before\nthe first of these: " in result.out
    assert bench.states([name]) == ["open"]
    assert bench.dlq("replay", name).out == "sent 1 of 1: 1 stored\n"


def test_nobody_reads(bench, client):
    (name,) = bench.fail(client, valid_later=True)
    bench.pool.send_signal(signal.SIGSTOP)
    workers = bench.pool.worker_pids()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        result = bench.dlq("replay", name, "--wait", "1")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        bench.pool.send_signal(signal.SIGCONT)
    assert result.exit_code == 75
    assert result.out == "sent 1 of 1: 1 not processed yet (is a pool running? see: winnow status)\n"
    wait_until(lambda: bench.states([name]) == ["resolved"], 30, "it is stored in the end")


@pytest.mark.parametrize("arguments, found", [
    (("--edit",), "--edit: found a filter, expected one ID"),
    (("--edit", "events/0/1", "events/0/2"), "--edit: found several IDs, expected one ID"),
    (("--rate", "fast"), "--rate: found fast, expected messages a second, such as 50/s"),
    (("--limit", "0"), "--limit: found 0, expected a number from 1 on"),
    (("--max-attempts", "x"), "--max-attempts: found x, expected a number from 1 on"),
    (("--wait", "-1"), "--wait: found -1, expected seconds"),
    (("events/0/1", "other/0/1"), "ID: found other/0/1, expected ids of one topic"),
    (("events/0/1", "--client", "a"), "found events/0/1, expected either ids or a filter"),
    (("events/0",), "ID: found events/0, expected topic/partition/offset"),
    (("events/x/1",), "ID: found events/x/1, expected topic/partition/offset"),
    (("events/0/1x",), "ID: found events/0/1x, expected topic/partition/offset"),
])
def test_bad_arguments(bench, arguments, found):
    result = bench.dlq("replay", *arguments)
    assert (result.exit_code, result.out) == (64, "")
    assert found in result.error and len(result.error.splitlines()) == 1


def test_unknown_id(bench):
    result = bench.dlq("replay", "events/0/999999")
    assert (result.exit_code, result.out) == (1, "")
    assert "events/0/999999 is no dead letter of group winnow; see: winnow dlq list --each" in result.error
