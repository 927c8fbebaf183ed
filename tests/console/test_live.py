"""The live stream: counters each second, a sample of what was processed, and coming back where one was."""

import json
import time

import pytest
from winnow_test.poll import wait_until

EVENT = '{"client":"c%d","metric":"m","amount":%d,"time":"2024-01-01"}'


class Stream:
    """Reads server-sent events as they come."""

    def __init__(self, console, sample=None, last_id=None):
        headers = {"Last-Event-ID": str(last_id)} if last_id is not None else {}
        self.connection = console.connect()
        self.connection.request("GET", "/api/v1/live" + (f"?sample={sample}" if sample is not None else ""),
                                headers=headers)
        self.response = self.connection.getresponse()
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def read(self):
        """The next (id, event, data)."""
        fields = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                self.events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                return self.events[-1]
            name, _, value = line.partition(": ")
            fields[name] = value

    def read_until(self, condition, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            event = self.read()
            if condition(event):
                return event
        raise AssertionError(f"not seen: {self.events[-5:]}")

    def of(self, kind):
        return [(number, data) for number, name, data in self.events if name == kind]


def test_counters_and_messages(stage, console):
    with stage.pool(workers=1), Stream(console, sample=50) as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        stage.send(EVENT % (0, 0))
        stream.read_until(lambda event: event[1] == "counters" and event[2]["stored"] == 1)
        stage.send(EVENT % (1, 1), EVENT % (1, 1), '{"client":"x"}', b"\xff\xfe")
        stream.read_until(lambda event: event[1] == "counters" and event[2]["read"] == 5)
        stream.read_until(lambda event: len(stream.of("message")) == 5)
        stream.read_until(lambda event: event[1] == "counters" and event[2]["failed_open"] == 2)
    told = {data["state"]: data for _, data in stream.of("message")[-4:]}
    assert set(told) == {"completed", "duplicate", "failed"}
    assert json.loads(told["completed"]["value_text"])["client"] == "c1"
    assert told["completed"]["event"]["client_id"] == "c1"
    assert told["duplicate"]["duplicate_of"]["offset"] == told["completed"]["offset"]
    assert {data["reason"] for _, data in stream.of("message")} >= {"metric_missing"}
    assert any(data["value_text"] is None for _, data in stream.of("message"))
    last = stream.of("counters")[-1][1]
    assert (last["read"], last["stored"], last["duplicate"], last["dead"]) == (5, 2, 1, 2)
    assert last["complete"]


def test_coming_back(stage, console):
    with stage.pool(workers=1):
        with Stream(console) as first:
            stage.send(EVENT % (0, 0))
            first.read_until(lambda event: event[1] == "counters" and event[2]["stored"] == 1)
            stage.send(*(EVENT % (1, number) for number in range(3)))
            seen, _, _ = first.read_until(lambda event: event[1] == "message" and event[2]["event"]["client_id"] == "c1")
            first.read_until(lambda event: len([1 for _, data in first.of("message")
                                                if data["event"]["client_id"] == "c1"]) == 3)
        with Stream(console, last_id=seen) as second:
            missed = [second.read() for _ in range(2)]
    assert [number for number, _, _ in missed] == sorted(number for number, _ in first.of("message") if number > seen)


def test_what_passed_while_nobody_listened(stage, console):
    with stage.joined_pool(workers=1):  # before: for half a minute what passes is kept for who left
        with Stream(console) as first:
            seen, _, _ = first.read()
        stage.send(EVENT % (1, 1))
        stage.wait_until_caught_up()
        with Stream(console, last_id=seen) as second:
            second.read_until(lambda event: event[1] == "message" and event[2]["event"]["client_id"] == "c1")


def test_counters_alone(stage, console):
    with stage.pool(workers=1), Stream(console, sample=0) as stream:
        stage.send(EVENT % (0, 0))
        stream.read_until(lambda event: event[1] == "counters" and event[2]["stored"] == 1)
        stream.read()
    assert stream.of("message") == []


def test_too_many_streams(console):
    streams = [Stream(console) for _ in range(64)]
    answer = console.get("/api/v1/live")
    assert answer.status == 429, answer
    for stream in streams:
        stream.connection.close()
    wait_until(lambda: Stream(console).response.status == 200, 60, "the places are free again")


@pytest.mark.parametrize("headers, path", [({"Last-Event-ID": "x"}, "/api/v1/live"), ({}, "/api/v1/live?sample=51")])
def test_refused(console, headers, path):
    assert console.ask("GET", path, headers=headers).status == 400


def test_one_that_reads_nothing_does_not_stop_the_others(stage, console):
    deaf = console.socket()
    deaf.sendall(b"GET /api/v1/live?sample=50 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with stage.pool(workers=1), Stream(console, sample=50) as stream:
        for turn in range(3):
            stage.send(*('{"client":"c","metric":"m%d","amount":%d,"time":"2024-01-01","note":"%s"}'
                         % (turn, number, "x" * 1500) for number in range(200)))
            stream.read_until(lambda event, wanted=200 * (turn + 1): event[1] == "counters" and
                              event[2]["stored"] == wanted)
    deaf.close()
