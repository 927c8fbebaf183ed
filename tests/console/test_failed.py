"""/api/v1/failed: dead letters by group and one by one; retried, edited, discarded, taken back; all written down."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from winnow_test import pool
from winnow_test.poll import wait_until
from winnow_test.produce import Message

TWELVE = b'{"source":"client_A","metric":"sale","amount":"twelve","timestamp":"2024-01-01"}'
MENDED = '{"source":"client_A","metric":"sale","amount":"12","timestamp":"2024-01-01"}'
FAILURES = [TWELVE, b'{"source":"client_A","metric":"sale","amount":"eleven"}', b'{"a":"\xff"}', None,
            b'{"metric":"sale","amount":1}']


@pytest.fixture
def failures(stage):
    """Five failures of four groups, and one event that is stored."""
    stage.send(*(Message(value, partition=0, headers=[("trace", b"t-1"), ("raw", b"\xff")]) for value in FAILURES),
               {"client": "client_A", "metric": "sale", "amount": 1, "time": "2024-01-01"})
    with stage.pool():
        stage.wait_until_caught_up()
    return stage


def items(console, **parameters):
    answer = console.get("/api/v1/failed/items", **parameters)
    assert answer.status == 200, answer
    return answer.json["items"]


def item(console, partition, offset):
    answer = console.get(f"/api/v1/failed/{partition}/{offset}")
    assert answer.status == 200, answer
    return answer.json


def act(console, letter, action, body=None, **parameters):
    return console.post(f"/api/v1/failed/{letter['partition']}/{letter['offset']}/{action}", body, **parameters)


def test_groups(failures, console):
    answer = console.get("/api/v1/failed")
    assert answer.status == 200, answer
    told = answer.json
    groups = [(group["reason"], group["client_id"], group["count"]) for group in told["groups"]]
    assert groups == [("amount_invalid", "client_A", 2), ("client_id_missing", None, 1), ("empty", None, 1),
                      ("invalid_utf8", None, 1)]
    assert told["total"] == 5 and not told["truncated"]
    sample = told["groups"][0]["sample"]
    assert sample["offset"] == 1 and sample["value_preview"] == FAILURES[1].decode() and '"eleven"' in sample["detail"]
    assert told["groups"][3]["sample"]["value_preview"] is None
    assert failures.database.value("SELECT count(*) FROM winnow.dead_letter") == 5


FILTERS = [
    ({}, [4, 3, 2, 1, 0]), ({"reason": "amount_invalid"}, [1, 0]), ({"client": "client_A"}, [1, 0]),
    ({"client": ""}, [4, 3, 2]), ({"client": "nobody"}, []), ({"state": "discarded"}, []),
    ({"state": "all"}, [4, 3, 2, 1, 0]), ({"to": "2020-01-01"}, []), ({"from": "2020-01-01T00:00:00Z"}, [4, 3, 2, 1, 0]),
    ({"reason": "empty", "client": "", "from": "2020-01-01"}, [3])]


def test_filters(failures, console):
    for parameters, offsets in FILTERS:
        assert [letter["offset"] for letter in items(console, **parameters)] == offsets, parameters
        groups = console.get("/api/v1/failed", **parameters).json
        assert groups["total"] == len(offsets) == sum(group["count"] for group in groups["groups"]), parameters


def test_pages(failures, console):
    seen, cursor = [], None
    while True:
        page = console.get("/api/v1/failed/items", limit=2, **({"cursor": cursor} if cursor else {})).json
        seen += [letter["offset"] for letter in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [4, 3, 2, 1, 0]


def test_one(failures, console):
    told = item(console, 0, 0)
    assert base64.b64decode(told["value_base64"]) == TWELVE and told["value_text"] == TWELVE.decode()
    assert {"name": "trace", "value_text": "t-1"} in told["headers"]
    assert {"name": "raw", "value_text": None} in told["headers"]
    assert told["state"] == "open" and told["history"] == [] and told["stored_as"] is None
    assert told["value_bytes"] == len(TWELVE)
    bytes_told = item(console, 0, 2)
    assert bytes_told["value_text"] is None and base64.b64decode(bytes_told["value_base64"]) == FAILURES[2]
    tombstone = item(console, 0, 3)
    assert tombstone["value_base64"] is None and tombstone["value_bytes"] is None
    unknown = console.get("/api/v1/failed/0/5")
    assert unknown.status == 404 and unknown.json["parameter"] == "offset"


def test_edited_retry(failures, console):
    letter = items(console)[-1]
    with failures.joined_pool():
        answer = act(console, letter, "retry", {"value": MENDED, "note": "in digits"}, wait="30s")
        assert answer.status == 200, answer
    told = answer.json["submission"]
    assert told["state"] == "completed" and told["event"]["amount"] == "12"
    after = item(console, 0, 0)
    assert after["state"] == "resolved"
    assert after["stored_as"] == {name: told[name] for name in ("topic", "partition", "offset")}
    (done,) = after["history"]
    assert (done["action"], done["actor"], done["note"], done["outcome"]) == (
        "edited_retry", "loopback", "in digits", "completed")
    assert done["sent_to"] == after["stored_as"] and done["action_id"] == answer.json["action_id"]
    state = console.get("/api/v1/messages/0/0").json
    assert state["state"] == "failed" and state["resolved"] is True and state["duplicate_of"] == after["stored_as"]
    assert [letter["offset"] for letter in items(console)] == [4, 3, 2, 1]
    again = act(console, letter, "retry", {})
    assert again.status == 409 and again.json["type"] == "/docs#problem-conflict"
    sent = {(message.partition(), message.offset()): message for message in failures.broker.read_topic(failures.topic)}
    message = sent[(told["partition"], told["offset"])]
    assert message.value().decode() == MENDED
    assert ("trace", b"t-1") in message.headers() and ("raw", b"\xff") in message.headers()


def test_retry_as_it_is_fails_again(failures, console):
    letter = items(console)[-1]
    with failures.joined_pool():
        answer = act(console, letter, "retry", {}, wait="30s")
    assert answer.status == 200 and answer.json["submission"]["state"] == "failed", answer
    told = item(console, 0, 0)
    assert told["state"] == "retried" and told["history"][0]["outcome"] == "failed"
    sent = told["history"][0]["sent_to"]
    assert item(console, sent["partition"], sent["offset"])["state"] == "open"


def test_retry_keeps_the_message(failures, console):
    """Nobody processes: it is sent and no more is known."""
    letter = items(console)[-1]
    before = {(message.partition(), message.offset()) for message in failures.broker.read_topic(failures.topic)}
    answer = act(console, letter, "retry", {})
    assert answer.status == 202, answer
    (message,) = [message for message in failures.broker.read_topic(failures.topic)
                  if (message.partition(), message.offset()) not in before]
    first = next(message for message in failures.broker.read_topic(failures.topic)
                 if (message.partition(), message.offset()) == (0, 0))
    assert message.value() == TWELVE and message.key() == first.key() and message.headers() == first.headers()
    assert message.timestamp()[1] == first.timestamp()[1]
    assert item(console, 0, 0)["history"][0]["outcome"] in ("not_seen", "processing")


def test_discard_and_undo(failures, console):
    letter = items(console)[0]
    assert act(console, letter, "undo").status == 409
    done = act(console, letter, "discard", {"note": "a test"})
    assert done.status == 200 and (done.json["action"], done.json["note"]) == ("discard", "a test"), done
    assert letter["offset"] not in [left["offset"] for left in items(console)]
    assert [left["offset"] for left in items(console, state="discarded")] == [letter["offset"]]
    again = act(console, letter, "discard", {"note": "again"})
    assert again.status == 409 and "discarded" in again.json["detail"]
    refused = act(console, letter, "retry", {})
    assert refused.status == 409 and "undo" in refused.json["detail"]
    assert act(console, letter, "undo").status == 200
    assert items(console)[0]["state"] == "open"
    assert [done["action"] for done in item(console, letter["partition"], letter["offset"])["history"]] == [
        "discard", "undo"]
    assert act(console, letter, "discard", {"note": "after all"}).status == 200
    assert item(console, letter["partition"], letter["offset"])["state"] == "discarded"
    actions = console.get("/api/v1/failed/actions", limit=2).json
    assert [done["action"] for done in actions["actions"]] == ["discard", "undo"]
    rest = console.get("/api/v1/failed/actions", cursor=actions["next_cursor"]).json
    assert [done["action"] for done in rest["actions"]] == ["discard"] and rest["next_cursor"] is None


def test_group(failures, console):
    body = {"reason": "amount_invalid", "client_id": "client_A", "limit": 1, "note": "the oldest"}
    with failures.pool():
        first = console.post("/api/v1/failed/retry", body)
        assert first.status == 200 and first.json == {"retried": 1, "failed": 0, "remaining": 1}, first
        failures.wait_until_caught_up()
    assert [letter["offset"] for letter in items(console, state="retried")] == [0]
    body = {"reason": "client_id_missing", "client_id": None, "note": "nobody's"}
    done = console.post("/api/v1/failed/discard", body).json
    assert (done["discarded"], done["remaining"], done["last_action_id"]) == (1, 0, done["first_action_id"]), done
    nothing = console.post("/api/v1/failed/discard", body).json
    assert (nothing["discarded"], nothing["first_action_id"], nothing["last_action_id"]) == (0, None, None)
    assert [letter["reason"] for letter in items(console, state="discarded")] == ["client_id_missing"]
    nothing = console.post("/api/v1/failed/retry", {"reason": "too_deep", "client_id": "x"})
    assert nothing.json == {"retried": 0, "failed": 0, "remaining": 0}


def test_the_discard_of_a_group_is_undone(stage, console):
    """What this request discarded, and nothing else: neither what others did before, nor what was done since."""
    stage.send(*(Message(b'{"client":"c","metric":"m","amount":"x%d"}' % i, partition=0) for i in range(6)))
    with stage.pool(breaker_window=0):
        stage.wait_until_caught_up()
    group = {"reason": "amount_invalid", "client_id": "c"}
    before = console.post("/api/v1/failed/discard", {**group, "note": "one", "limit": 1}).json
    done = console.post("/api/v1/failed/discard", {**group, "note": "the others"}).json
    assert (before["discarded"], done["discarded"]) == (1, 5)
    for action, body in (("undo", None), ("discard", {"note": "again"})):
        assert console.post(f"/api/v1/failed/0/3/{action}", body).status == 200
    these = {**group, "first_action_id": done["first_action_id"], "last_action_id": done["last_action_id"]}
    assert console.post("/api/v1/failed/undo", {**these, "client_id": "other"}).json == {"undone": 0}
    assert [console.post("/api/v1/failed/undo", {**these, "limit": 3}).json["undone"] for _ in range(3)] == [3, 1, 0]
    assert sorted(letter["offset"] for letter in items(console, state="discarded")) == [0, 3]
    assert [done["action"] for done in item(console, 0, 5)["history"]] == ["discard", "undo"]


def test_group_that_fails_again(stage, console):
    """Each letter is sent once: those that fail again are new ones, for a person to look at."""
    stage.send(*(Message(b'{"client":"c","metric":"m","amount":"x%d"}' % i, partition=0) for i in range(800)))
    with stage.pool(breaker_window=0, batch_age_ms=10):
        stage.wait_until_caught_up()
        answer = console.post("/api/v1/failed/retry", {"reason": "amount_invalid", "client_id": "c"})
        assert answer.json["retried"] == 800 and answer.json["failed"] == 0, answer
        stage.wait_until_caught_up()
    assert console.get("/api/v1/failed").json["total"] == 800


REFUSED = [
    ("0/0/discard", {}, "note"), ("0/0/discard", {"note": ""}, "note"), ("0/0/discard", {"note": "x" * 501}, "note"),
    ("0/0/retry", {"valeu": "x"}, "valeu"), ("0/0/retry", {"value": 1}, "value"), ("0/0/retry", [], "the body"),
    ("0/0/retry?wait=31s", {}, "wait"), ("retry", {"reason": "bad_luck", "client_id": None}, "reason"),
    ("retry", {"reason": "empty"}, "client_id"), ("discard", {"reason": "empty", "client_id": None}, "note"),
    ("retry", {"reason": "empty", "client_id": None, "limit": 1001}, "limit"),
    ("retry", {"reason": "empty", "client_id": None, "first_action_id": 1}, "first_action_id"),
    ("undo", {"reason": "empty", "client_id": None, "first_action_id": 1}, "last_action_id"),
    ("undo", {"reason": "empty", "client_id": None, "first_action_id": 0, "last_action_id": 1}, "first_action_id")]


def test_refused(failures, console):
    for path, body, parameter in REFUSED:
        answer = console.post(f"/api/v1/failed/{path}", body)
        assert answer.status == 400 and answer.json["parameter"] == parameter, (path, body, answer)
    assert failures.database.value("SELECT count(*) FROM winnow.dead_letter_action") == 0


@pytest.mark.parametrize("path, parameter", [
    ("failed?reason=bad", "reason"), ("failed?state=gone", "state"), ("failed/items?limit=0", "limit"),
    ("failed/items?cursor=1", "cursor"), ("failed/items?cursor=1_2_3_4", "cursor"),
    ("failed/items?cursor=9999999999999999999_1_1", "cursor"), ("failed/actions?cursor=x", "cursor"),
    ("failed/items?from=yesterday", "from"), ("failed?from=2200-01-01", "from"), ("failed/4294967296/0", "partition"), ("failed/0/-1", "offset"),
    ("failed/0/99999999999999999999", "offset")])
def test_bad_questions(console, path, parameter):
    answer = console.get(f"/api/v1/{path}")
    assert answer.status == 400, answer
    assert answer.json["parameter"] == parameter


def test_kafka_away(failures, console):
    letter = items(console)[-1]
    failures.broker.command("down")
    try:
        answer = act(console, letter, "retry", {})
    finally:
        failures.broker.command("up")
    assert answer.status == 503 and answer.json["type"] == "/docs#problem-kafka-unavailable", answer
    told = item(console, 0, 0)
    assert told["state"] == "open", "what Kafka did not take is as it was"
    assert told["history"][0]["sent_to"] is None


@pytest.fixture
def patient_console(failures, make_console):
    """Its client of Kafka tries for a minute: what does not wait for that is seen on a busy machine, too."""
    return make_console(failures, "-X", "message.timeout.ms=60000")


def test_kafka_away_for_longer_than_is_waited(failures, patient_console):
    """The answer comes in time; where the retry went is written down when Kafka is back."""
    console = patient_console
    letter = items(console)[-1]
    failures.broker.command("down")
    try:
        begun = time.monotonic()
        answer = act(console, letter, "retry", {}, wait="500ms")
        assert time.monotonic() - begun < 30
    finally:
        failures.broker.command("up")
    assert answer.status == 503 and "may still take it" in answer.json["detail"], answer
    wait_until(lambda: item(console, 0, 0)["history"][0]["sent_to"], 60, "where the retry went is written down")


def test_many_retries_while_kafka_is_away(failures, patient_console):
    """They keep half of the console's threads; the others answer whoever asks."""
    console = patient_console
    with ThreadPoolExecutor() as asking:
        failures.broker.command("down")
        try:
            answers = [asking.submit(act, console, letter, "retry", {}) for letter in 2 * items(console)[:4]]
            wait_until(lambda: 429 in [answer.result().status for answer in answers if answer.done()], 30, "one is refused")
            assert console.get("/api/v1/events").status == 200
            assert not all(answer.done() for answer in answers), "Kafka's client still tries"
        finally:
            failures.broker.command("up")
    assert {answer.result().status for answer in answers} <= {202, 429, 503}


def test_too_long_for_kafka(failures, make_console):
    """An edited value that no broker takes is the client's fault, and the letter is as it was."""
    console = make_console(failures, "-X", "message.max.bytes=2000")
    answer = act(console, items(console)[-1], "retry", {"value": "x" * 3000})
    assert answer.status == 400 and answer.json["type"] == "/docs#problem-invalid-body", answer
    assert item(console, 0, 0)["state"] == "open"


def test_connection_lost_while_sending(failures, patient_console):
    """Where a retry went is written down though the connection that wrote the retry down is gone by then."""
    console = patient_console
    letter = items(console)[-1]
    answers = []
    failures.broker.command("down")
    try:
        sending = threading.Thread(target=lambda: answers.append(act(console, letter, "retry", {})))
        sending.start()
        wait_until(lambda: failures.database.value("SELECT count(*) FROM winnow.dead_letter_action") == 1, 30,
                   "the retry is written down")
        assert failures.database.value("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                       "WHERE application_name = 'winnow console retry'")
    finally:
        failures.broker.command("up")
    sending.join()
    assert answers[0].status == 202, answers
    assert item(console, 0, 0)["history"][0]["sent_to"]["offset"] == answers[0].json["submission"]["offset"]


@pytest.mark.parametrize("action, path", [("retry", "/api/v1/failed/0/0/retry"), ("group", "/api/v1/failed/retry")])
def test_what_cannot_be_written_down(failures, console, action, path):
    """Kafka has it, and the table does not say where: whoever asked is told so, and the last word is the table's."""
    failures.database.run(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no pages left''; END'; "
        "CREATE TRIGGER refuse BEFORE UPDATE ON winnow.dead_letter_action EXECUTE FUNCTION public.refuse()")
    ends = failures.broker.end_offsets(failures.topic)
    answer = console.post(path, {} if action == "retry" else {"reason": "amount_invalid", "client_id": "client_A", "limit": 1})
    assert answer.status == 500, answer
    assert "Kafka took 1 of 1 messages, but that could not be written down: PostgreSQL: no pages left" in answer.json["detail"]
    assert sum(failures.broker.end_offsets(failures.topic).values()) == sum(ends.values()) + 1
    assert failures.database.rows("SELECT sent_offset, error FROM winnow.dead_letter_action") == [(None, None)]
    assert item(console, 0, 0)["state"] == "retried"


def test_a_retry_of_which_nothing_is_known(failures, console):
    """The console died between writing a retry down and sending it: soon the letter is open again."""
    begin = ("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, acted_at) SELECT "
             "stream_id, partition, message_offset, 'retry', 'gone', now() - interval '%s' FROM winnow.dead_letter "
             "WHERE message_offset = %d")
    failures.database.run(begin % ("50 seconds", 0))
    failures.database.run(begin % ("70 seconds", 1))
    assert item(console, 0, 0)["state"] == "retried"
    assert item(console, 0, 1)["state"] == "open"
    group = {"reason": "amount_invalid", "client_id": "client_A"}
    assert console.post("/api/v1/failed/retry", group).json == {"retried": 1, "failed": 0, "remaining": 0}
    assert item(console, 0, 1)["history"][-1]["sent_to"] is not None


def test_what_a_killed_replay_may_have_sent(failures, console):
    """The next replay looks for it in the topic; until then nobody sends it a second time."""
    failures.database.run(
        "WITH run AS (INSERT INTO winnow.dead_letter_replay (stream_id, actor, selection, begin_offsets) "
        "SELECT stream_id, 'gone', 'all', '{}' FROM winnow.stream RETURNING replay_id) "
        "INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, acted_at, replay_id) "
        "SELECT stream_id, partition, message_offset, 'retry', 'gone', now() - interval '1 hour', replay_id "
        "FROM winnow.dead_letter, run WHERE message_offset = 1")
    ends = failures.broker.end_offsets(failures.topic)
    doubtful = item(console, 0, 1)
    assert doubtful["state"] == "open"
    for action, body in (("retry", {}), ("retry", {"value": MENDED}), ("discard", {"note": "n"})):
        answer = act(console, doubtful, action, body)
        assert answer.status == 409 and "run that again, it looks in the topic first" in answer.json["detail"], answer
    assert act(console, doubtful, "undo").status == 409
    assert failures.broker.end_offsets(failures.topic) == ends
    group = {"reason": "amount_invalid", "client_id": "client_A"}
    assert console.post("/api/v1/failed/retry", group).json == {"retried": 1, "failed": 0, "remaining": 0}
    assert console.post("/api/v1/failed/discard", {**group, "note": "n"}).json["discarded"] == 0
    with failures.pool():
        assert pool.run("dlq", "replay", "--yes", "--even-rejected", settings=failures.settings).exit_code in (0, 1)
    assert [action["sent_to"] is not None for action in item(console, 0, 1)["history"]] == [False, True]


def test_what_is_told_of_a_retry_stays(failures, console):
    """Where it went is written down once; of a discard there is nothing to tell."""
    first, second = items(console)[:2]
    act(console, first, "discard", {"note": "no"})
    assert act(console, second, "retry", {}).status == 202
    before = failures.database.rows("SELECT * FROM winnow.dead_letter_action ORDER BY action_id")
    ids = failures.database.rows("SELECT action_id FROM winnow.dead_letter_action")
    for (action_id,) in ids:
        failures.database.run("SELECT winnow.report_retries(jsonb_build_array(jsonb_build_object('action_id', "
                              f"{action_id}, 'error', 'x')))")
    assert failures.database.rows("SELECT * FROM winnow.dead_letter_action ORDER BY action_id") == before


def test_database_restarts(failures, console, postgres):
    """Whoever asks while it is away is told to come again; whoever asks after notices nothing."""
    assert console.get("/api/v1/failed").status == 200
    postgres.stop()
    answer = console.get("/api/v1/failed")
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, answer
    assert answer.json["type"] == "/docs#problem-database-unavailable"
    answer = console.get("/api/v1/events", format="csv")
    assert answer.status == 503 and "content-disposition" not in answer.headers, answer
    postgres.start()
    for path in ("failed", "failed/items", "events", "aggregates"):
        assert console.get(f"/api/v1/{path}").status == 200


def test_ten_thousand(stage, console):
    stage.send(*(Message(b'{"client":"c%d","metric":"m","amount":"x%d"}' % (i % 3, i), partition=i % 4)
                 for i in range(10000)))
    with stage.pool(breaker_window=0):
        stage.wait_until_caught_up()
    groups = console.get("/api/v1/failed").json
    assert groups["total"] == 10000 and len(groups["groups"]) == 3
    seen, cursor = set(), None
    while True:
        page = console.get("/api/v1/failed/items", limit=1000, **({"cursor": cursor} if cursor else {})).json
        seen |= {(letter["partition"], letter["offset"]) for letter in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == 10000
    answer = console.post("/api/v1/failed/retry", {"reason": "amount_invalid", "client_id": "c0"})
    assert answer.json == {"retried": 1000, "failed": 0, "remaining": 2334}, answer


def test_a_simulated_failure_is_mended(stage, make_console):
    """PostgreSQL itself refused the row. What is sent again goes without the header that made it."""
    console = make_console(stage, allow_fault_injection="yes")
    event = {"client": "shop", "metric": "sale", "amount": 5}  # without a time: that of its message is kept
    with stage.joined_pool(allow_fault_injection="yes"):
        failed = console.ask("POST", "/api/v1/events", event, {"wait": "30s"}, {"Winnow-Simulate-Failure": "database"})
        assert failed.status == 422 and failed.json["reason"] == "database_rejected", failed
        (letter,) = items(console)
        assert letter["sqlstate"] and letter["client_id"] == "shop"
        before = item(console, letter["partition"], letter["offset"])
        answer = act(console, letter, "retry", {}, wait="30s")
    assert answer.status == 200 and answer.json["submission"]["state"] == "completed", answer
    assert answer.json["submission"]["event_hash"] == before["event_hash"]
    after = item(console, letter["partition"], letter["offset"])
    assert after["state"] == "resolved" and after["stored_as"]["offset"] == answer.json["submission"]["offset"]
    assert console.get("/api/v1/failed").json["groups"] == []
    stage.assert_exact(("database_rejected",))
