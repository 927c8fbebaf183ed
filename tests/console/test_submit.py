"""POST /api/v1/events: what was sent arrives byte by byte, and the answer tells what became of it."""

import contextlib
import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from winnow_test.check import explain
from winnow_test.poll import wait_until

SEED = b'{"source":"client_A","payload":{"metric":"sale","amount":"1200","timestamp":"2024/01/01"}}'
SAME = b'{"client_id":"client_A","metric":"sale","amount":1200.00,"timestamp":"2024-01-01T07:00:00Z"}'
NOT_AN_EVENT = b'{"source":"client_A","metric":"sale","amount":"twelve"}'


def submit(console, body, **parameters):
    return console.post("/api/v1/events", body, **parameters)


def test_acknowledged(stage, console):
    answer = submit(console, SEED)
    assert answer.status == 202, answer
    told = answer.json
    (message,) = stage.broker.read_topic(stage.topic)
    assert (message.partition(), message.offset()) == (told["partition"], told["offset"])
    assert message.value() == SEED
    assert message.key() == b"client_A"
    assert told["topic"] == stage.topic
    assert told["event"] == {"client_id": "client_A", "metric": "sale", "amount": "1200",
                             "timestamp": "2024-01-01T00:00:00Z", "event_hash": told["event_hash"]}
    assert told["state"] == "processing"


def test_stored_then_duplicate(stage, console):
    with stage.joined_pool(workers=1):
        stored = submit(console, SEED, wait="30s")
        again = submit(console, SAME, wait="30s")
    assert stored.status == 201, stored
    assert stored.json["state"] == "completed"
    assert stored.headers["location"] == f"/api/v1/events/{stored.json['event_hash']}"
    assert again.status == 200, again
    assert again.json["state"] == "duplicate"
    assert again.json["message"] == "Event already processed (duplicate detected)"
    assert again.json["duplicate_of"] == {name: stored.json[name] for name in ("topic", "partition", "offset")}
    assert again.json["event_hash"] == stored.json["event_hash"]


def test_failed(stage, console):
    with stage.joined_pool(workers=1):
        answer = submit(console, NOT_AN_EVENT, wait="30s")
    assert answer.status == 422, answer
    assert answer.media_type == "application/problem+json"
    told = answer.json
    assert told["reason"] == "amount_invalid"
    assert '"twelve"' in told["detail"]
    assert told["submission"]["state"] == "failed"
    assert told["submission"]["event_hash"] is None


def test_nobody_processes(console):
    assert submit(console, SEED).status == 202  # the console's client of Kafka has to get to know the topic first
    answer = submit(console, SEED, wait="1s")
    assert answer.status == 202, answer
    assert answer.json["state"] == "processing"


def test_several(stage, console):
    lines = [SEED, SAME, NOT_AN_EVENT, b'{"client":"b","metric":"sale","amount":2,"time":"2024-01-02"}']
    with stage.joined_pool(workers=1):
        answer = console.ask("POST", "/api/v1/events", b"\n".join(lines) + b"\n\n", {"wait": "30s"},
                             {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    states = [told["state"] for told in answer.json["submissions"]]
    assert states == ["completed", "duplicate", "failed", "completed"]
    assert sorted(message.value() for message in stage.broker.read_topic(stage.topic)) == sorted(lines)


def test_a_thousand(stage, console):
    body = b"".join(b'{"client":"c%d","metric":"m","amount":%d,"time":"2024-01-02"}\n' % (i % 7, i) for i in range(1000))
    with stage.joined_pool(workers=1):
        answer = console.ask("POST", "/api/v1/events", body, {"wait": "30s"}, {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    assert {told["state"] for told in answer.json["submissions"]} == {"completed"}
    assert len({(told["partition"], told["offset"]) for told in answer.json["submissions"]}) == 1000


@pytest.mark.parametrize("body", [b"\x00\xff\xfe", b"[]", b'{"a":' * 40, b'"' + b"x" * 900000 + b'"'],
                         ids=["bytes", "array", "cut", "long"])
def test_any_bytes_are_sent(stage, console, body):
    answer = submit(console, body)
    assert answer.status == 202, answer
    assert [message.value() for message in stage.broker.read_topic(stage.topic)] == [body]
    (told,) = explain([body], 0)
    assert answer.json["reason"] == told["reason"]


@pytest.mark.parametrize("body, media_type, parameters, status, parameter", [
    (b"", "application/json", {}, 400, "the body"),
    (b"\n\r\r\n\r\r\r", "application/x-ndjson", {}, 400, "the body"),
    (b"{}\n" * 1001, "application/x-ndjson", {}, 400, "the body"),
    (b"x" * (4 * 1024 * 1024 + 1), "application/json", {}, 413, "the body"),
    (SEED, "text/plain", {}, 415, "Content-Type"),
    (SEED, "application/json", {"wait": "31s"}, 400, "wait"),
    (SEED, "application/json", {"wait": "5"}, 400, "wait"),
    (SEED, "application/json", {"wait": "-1s"}, 400, "wait"),
    (SEED, "application/json", {"wiat": "1s"}, 400, "wiat"),
], ids=["empty", "blank", "1001", "long", "text", "31s", "no-unit", "negative", "unknown"])
def test_refused(stage, console, body, media_type, parameters, status, parameter):
    answer = console.ask("POST", "/api/v1/events", body, parameters, {"Content-Type": media_type})
    assert answer.status == status, answer
    told = answer.json
    assert answer.media_type == "application/problem+json"
    assert told["parameter"] == parameter
    assert told["expected"] in told["detail"]
    assert stage.broker.read_topic(stage.topic) == []


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/explain", "/api/v1/failed/discard"])
def test_no_coding_but_identity(stage, console, path):
    """Packed bytes are no event: they must not come to the topic as if they were."""
    for coding in ("gzip", "identity, br"):
        answer = console.ask("POST", path, gzip.compress(SEED), headers={"Content-Encoding": coding})
        assert (answer.status, answer.media_type) == (415, "application/problem+json"), answer
        told = answer.json
        assert (told["parameter"], told["in"], told["found"]) == ("Content-Encoding", "header", coding)
        assert told["expected"].startswith("identity") and answer.headers["accept-encoding"] == "identity"
    assert stage.broker.read_topic(stage.topic) == []


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_identity_is_no_coding(console, coding):
    assert console.ask("POST", "/api/v1/events", SEED, headers={"Content-Encoding": coding}).status == 202


def test_a_body_of_unknown_length_is_limited(console):
    def parts():
        for _ in range(80):
            yield b"x" * 65536

    connection = console.connect()
    connection.request("POST", "/api/v1/events", parts(), {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_many_that_wait_hold_up_none(stage, console):
    """More events wait than one question asks for, and nobody processes them: others learn their outcome."""
    places = {}
    for name in "abcdefghijklmnop":
        places.setdefault(submit(console, {"client": name, "metric": "m"}).json["partition"], name)
    (partition, known), (_, stuck), *_ = sorted(places.items())
    with stage.pool():
        stage.wait_until_caught_up()
    with ThreadPoolExecutor(4) as asking:
        begun = time.monotonic()
        waiting = asking.submit(submit, console, {"client": known, "metric": "m", "amount": 7}, wait="30s")
        wait_until(lambda: len(stage.broker.read_topic(stage.topic)) == 17, 60, "the event was sent")
        many = [asking.submit(console.ask, "POST", "/api/v1/events",
                              b"".join(b'{"client":"%s","metric":"m","amount":%d}\n' % (stuck.encode(), number * 1000 + i)
                                       for i in range(1000)),
                              {"wait": "30s"}, {"Content-Type": "application/x-ndjson"}) for number in range(3)]
        wait_until(lambda: len(stage.broker.read_topic(stage.topic)) == 3017, 60, "all were sent")
        stage.database.run(f"UPDATE winnow.processing_log SET next_offset = 100000 WHERE partition = {partition}")
        assert waiting.result().status == 202
        assert time.monotonic() - begun < 30, "it is told before it has waited to the end"
        assert all(answer.result().status == 202 for answer in many)


def test_longer_than_kafka_takes(stage, make_console):
    console = make_console(stage, "-X", "message.max.bytes=2000")
    answer = submit(console, b'{"client":"a","metric":"' + b"m" * 3000 + b'"}')
    assert answer.status == 400 and answer.json["type"] == "/docs#problem-invalid-body", answer
    assert "too large" in answer.json["detail"]


def test_kafka_away(stage, console):
    """The answer says that it may have arrived: nothing is promised that is not known."""
    assert submit(console, SEED).status == 202
    stage.broker.command("down")
    try:
        with ThreadPoolExecutor() as asking:
            patient = asking.submit(submit, console, SAME)
            answers = [submit(console, SAME, wait="500ms")]
            assert not patient.done(), "who waits for less is told before Kafka's client gives up"
            answers.append(patient.result())
    finally:
        stage.broker.command("up")
    for answer in answers:
        assert answer.status == 503, answer
        assert answer.json["type"] == "/docs#problem-kafka-unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    wait_until(lambda: submit(console, SAME).status == 202, 60, "Kafka is back")


def test_database_away(stage, console, postgres):
    """Submitting needs Kafka alone; the outcome is told when the database is back in time."""
    with stage.joined_pool(workers=1):
        assert submit(console, SEED, wait="30s").status == 201
        postgres.stop()
        assert submit(console, b'{"client":"x","metric":"y"}').status == 202
        assert submit(console, b'{"client":"x","metric":"z"}', wait="1s").status == 202
        postgres.start()
        stage.wait_until_caught_up()  # the pool has noticed
        answer = submit(console, json.dumps({"client": "x", "metric": "w"}), wait="30s")
    assert answer.status == 201, answer


def test_database_refuses(stage, make_console):
    """A server that refuses is asked again now and then, however many wait."""
    refused = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        console = make_console(stage, database=f"host=127.0.0.1 port={port} user=nobody sslmode=disable gssencmode=disable")
        begun = time.monotonic()
        with ThreadPoolExecutor() as asking:
            answers = [asking.submit(submit, console, SEED, wait="3s") for _ in range(4)]
            while not all(answer.done() for answer in answers):
                with contextlib.suppress(TimeoutError), server.accept()[0] as connection:
                    refused.append(connection.getpeername())
    assert [answer.result().status for answer in answers] == [202] * 4
    assert 3 < len(refused) < 25 / 3 * (time.monotonic() - begun), "others of the console look once a second"


def took_s(send):
    begun = time.monotonic()
    assert send().status == 202
    return time.monotonic() - begun


def test_database_slow(stage, console):
    """A question that PostgreSQL keeps for long holds nobody's answer for as long."""
    with stage.joined_pool(workers=1):
        assert submit(console, SEED, wait="30s").status == 201
        stage.wait_until_caught_up()
    with psycopg2.connect(stage.database.dsn) as other:
        other.cursor().execute("LOCK TABLE winnow.processing_log IN ACCESS EXCLUSIVE MODE")
        # A question may take two seconds. A busy machine adds to the one that is waited for, but not each time so much.
        assert any(took_s(lambda: submit(console, SAME, wait="1s")) < 2 for _ in range(5))
    other.close()
