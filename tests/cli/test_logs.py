"""The log of a pool as its readers find it: in each format, line by line, and when nobody reads."""

import json
import os
import subprocess
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from winnow_test import pool
from winnow_test.check import wait_until_caught_up
from winnow_test.process import full_pipe

HOSTILE = [b'{"client":"\xff\xfe\x1b[31m","metric":"m","amount":1}', b"\x00\x01\x02", b'"\\u2028', b"{" * 5000]


@pytest.fixture
def stage(make_stage, devbroker):
    return make_stage(partitions=2, broker=devbroker)


def events(count, start=0):
    return [{"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"} for number in range(start, count)]


def test_json_is_valid_on_every_line(stage):
    stage.send(*events(200), *HOSTILE, *events(400, 200))
    with stage.pool(workers=2, log_format="json", log_level="debug", batch_rows=50, breaker_window=0) as running:
        running.wait_for_log('"pool_joined"')
        stage.wait_until_caught_up()
        assert running.stop() == 0
        lines = [json.loads(line) for line in running.log_text().splitlines()]
    for line in lines:
        assert list(line)[:4] == ["time", "level", "pid", "role"] and {"event", "msg"} <= set(line), line
        assert abs(datetime.fromisoformat(line["time"].replace("Z", "+00:00")) - datetime.now(timezone.utc)) < \
            timedelta(minutes=5)
        assert (line["role"] == "worker") == ("worker" in line)
    count = Counter(line["event"] for line in lines)
    assert count["worker_started"] == count["worker_done"] == 2
    batches = stage.database.value("SELECT count(*) FROM winnow.batch_log")  # by partition
    assert 0 < count["batch"] <= batches, "one line a batch"


@pytest.mark.parametrize("log_format, begins", [("auto", "<3>time="), ("logfmt", "time="), ("journal", "<3>time="),
                                                ("json", '{"time":')])
def test_the_journal_is_known_by_its_stream(log_format, begins):
    reading, writing = os.pipe()
    status = os.fstat(writing)
    variables = {**pool.environment({"brokers": "127.0.0.1:1", "topic": "t", "log_format": log_format}),
                 "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    subprocess.run([pool.BINARY, "worker", "superfluous"], stderr=writing, env=variables, timeout=30, check=False)
    os.close(writing)
    with open(reading, encoding="utf-8") as log:
        assert log.read().startswith(begins)


def test_nobody_reads_the_log(stage):
    """The pipe is full before the first event comes; then its reader goes away. Nothing waits for it."""
    reading, writing = full_pipe()
    variables = pool.environment({**stage.settings, "log_level": "debug"})
    stage.send(*events(500))
    with subprocess.Popen([pool.BINARY, "pool", "-n", "2"], stderr=writing, env=variables) as running:
        os.close(writing)
        try:
            wait_until_caught_up(stage.database, stage.topic, stage.broker, 90)
            os.close(reading)
            stage.send(*events(1000, 500))
            wait_until_caught_up(stage.database, stage.topic, stage.broker, 90)
            assert running.poll() is None
        finally:
            running.terminate()
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:  # it waits for its reader
                subprocess.run(["pkill", "-KILL", "-P", str(running.pid)], check=False)
                running.kill()
    assert running.returncode == 0
    assert len(stage.events()) == 1000
