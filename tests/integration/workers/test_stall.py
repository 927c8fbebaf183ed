"""A client that stops reading a partition for good, while everything else looks healthy."""

import re
import threading
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer
from scenario import final_counters
from winnow_test import shim
from winnow_test.poll import wait_until

STALL_TIMEOUT_MS = 3000  # the first time is then half as much later, the third after 25 s
NEW_CLIENT_TIMEOUT_S = 120


@pytest.fixture
def stuck(tmp_path):
    """What the worker needs for partition 1 to be stuck; as long as the file is there."""
    file = tmp_path / "stuck"
    file.touch()
    return shim.build(tmp_path, "stall_shim"), file, {"STALL_FILE": str(file), "STALL_PARTITION": "1"}


def _event(number):
    return {"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"}


def _send_to_each(stage, first):
    for partition in range(stage.partitions):
        stage.send(*(_event(first + 10 * partition + number) for number in range(3)), partition=partition)


def _stalls(log):
    """The partitions that were found stalled, by the first worker."""
    log = log.split("event=worker_ended", maxsplit=1)[0]
    return re.findall(r"event=partition_stalled msg=\"nothing comes of partition (\d+)", log)


def test_reading_it_anew_helps(stage, stuck):
    library, file, environment = stuck
    pool = stage.pool(workers=0, stall_timeout_ms=STALL_TIMEOUT_MS)
    with shim.preloaded(library, pool, **environment):
        _send_to_each(stage, 0)
        pool.wait_for_log("event=partition_stalled")
        file.unlink()
        stage.wait_until_caught_up()
        _send_to_each(stage, 100)
        stage.wait_until_caught_up()
        assert pool.stop() == 0
    assert set(_stalls(pool.log_text())) == {"1"}
    assert final_counters(pool)["stalled"] >= 1
    stage.assert_exact()


def test_a_new_client_takes_over(stage, stuck):
    """The exit code lets the pool start the worker again, which is all there is to do."""
    library, file, environment = stuck
    pool = stage.pool(workers=1, stall_timeout_ms=STALL_TIMEOUT_MS)
    with shim.preloaded(library, pool, **environment):
        _send_to_each(stage, 0)
        pool.wait_for_log("event=worker_ended .*exit code 75", NEW_CLIENT_TIMEOUT_S)
        file.unlink()
        stage.wait_until_caught_up()
        assert pool.stop() == 0
    assert _stalls(pool.log_text())[:2] == ["1", "1"]
    assert set(_stalls(pool.log_text())) == {"1"}
    stage.assert_exact()


def _transactions(stage):
    producer = Producer({"bootstrap.servers": stage.broker.brokers, "transactional.id": stage.topic, "log_level": 0,
                         "linger.ms": 0})
    producer.init_transactions(30)
    return producer


def _send_in_transaction(stage, producer, partition):
    producer.begin_transaction()
    producer.produce(stage.topic, b'{"client":"a","metric":"m","amount":7,"time":"2024-01-01"}', partition=partition)
    producer.flush(30)


def _send_transaction(stage, partition):
    """Its marker is an offset behind the last message, which no reader ever gets."""
    producer = _transactions(stage)
    _send_in_transaction(stage, producer, partition)
    producer.commit_transaction(30)


@contextmanager
def _aborting(stage, partition):
    """One transaction after the other is aborted there: no reader ever gets a message, nor comes to an end."""
    ended = threading.Event()

    def run():
        producer = _transactions(stage)
        while not ended.is_set():
            _send_in_transaction(stage, producer, partition)
            producer.abort_transaction(30)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_aborted_transactions_are_no_reason_for_a_new_client(stage):
    """It would have to pass over them from the same cursor, for ever."""
    with stage.pool(workers=0, stall_timeout_ms=STALL_TIMEOUT_MS) as pool:
        with _aborting(stage, 0):
            wait_until(lambda: len(_stalls(pool.log_text())) == 3 or pool.exit_code is not None, 60,
                       "three times of patience are over", on_timeout=pool.log_tail)
        assert pool.exit_code is None, pool.log_tail()
        _send_transaction(stage, 0)
        wait_until(lambda: len(stage.events()) == 1, 60, "what was committed is stored", on_timeout=stage.logs)
        assert pool.stop() == 0
    stage.assert_exact()


def test_a_marker_at_the_end_is_no_stall(stage, stuck):
    """While partition 1 is watched in vain until the worker gives up, the others had as many chances to be blamed."""
    library, file, environment = stuck
    _send_transaction(stage, 0)
    stage.send(_event(1), partition=1)
    pool = stage.pool(workers=0, stall_timeout_ms=STALL_TIMEOUT_MS)
    with shim.preloaded(library, pool, **environment):
        wait_until(lambda: pool.exit_code == 75, NEW_CLIENT_TIMEOUT_S, "the worker asks for a new client", on_timeout=pool.log_tail)
    stalls = _stalls(pool.log_text())
    assert set(stalls) == {"1"} and len(stalls) >= 2
    assert final_counters(pool)["rereads"] >= 1, pool.log_tail()
    file.unlink()
    with stage.pool(workers=1):
        wait_until(lambda: len(stage.events()) == 2, 60, "both are stored", on_timeout=stage.logs)
    stage.assert_exact()
