"""What a network does to the connections between winnow and Kafka costs time and nothing else."""

import pytest

from scenario import new_events, wait_for_owners, warm_up
from winnow_test.kafka import Kafka
from winnow_test.poll import wait_until
from winnow_test.proxy import Proxy

# A half-open connection is noticed when a request has had no answer for so long; librdkafka's default is 60 s.
PROPERTIES = {"socket.timeout.ms": "3000"}


@pytest.fixture(scope="module")
def proxy():
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def broker(proxy):
    with Kafka(through=proxy) as broker:
        yield broker


@pytest.fixture
def stage(make_stage, broker, proxy):
    """The pool knows the broker by the proxy's address alone; the test itself goes there directly."""
    stage = make_stage(partitions=2, broker=broker)
    stage.settings["brokers"] = broker.proxied_brokers
    yield stage
    proxy.heal()
    stage.check_end()


@pytest.fixture
def workers(stage):
    with stage.pool(workers=1, properties=PROPERTIES) as workers:
        wait_for_owners(stage, workers.wait_for_workers(1))
        warm_up(stage)
        yield workers


def send_and_catch_up(stage, count):
    stage.send(*new_events(count))
    stage.wait_until_caught_up(40)


def assert_once(stage, workers):
    """Every event, none read into a duplicate, and nobody died of it."""
    assert workers.stop() == 0
    assert len(stage.events()) == len(stage.sent)
    assert stage.database.value("SELECT sum(duplicate)::int FROM winnow.batch_log") == 0


@pytest.mark.parametrize("end", ["drop", "reset"])
def test_connections_that_end(stage, workers, proxy, end):
    for _ in range(3):
        stage.send(*new_events(500))
        assert getattr(proxy, end)() >= 1
        send_and_catch_up(stage, 100)
    assert_once(stage, workers)


def test_half_open_connections(stage, workers, proxy):
    assert proxy.stall() >= 1
    send_and_catch_up(stage, 500)
    assert_once(stage, workers)


def test_a_broker_out_of_reach(stage, workers, proxy):
    """Silent at first, then refusing, then there again."""
    proxy.black_hole()
    assert proxy.reset() >= 1
    stage.send(*new_events(100))
    wait_until(lambda: proxy.silent_count() >= 1, 20, "winnow tries to connect", on_timeout=stage.logs)
    proxy.heal()
    proxy.refuse()
    stage.send(*new_events(100))
    proxy.heal()
    send_and_catch_up(stage, 100)
    assert_once(stage, workers)


def test_slow_connections_that_end(stage, workers, proxy):
    proxy.delay(0.05, 0.05)
    send_and_catch_up(stage, 500)
    proxy.reset()
    send_and_catch_up(stage, 500)
    assert_once(stage, workers)
