"""Fixtures of the tests on servers: one Kafka and one PostgreSQL a run, a database and a topic a test.

    def test_normal(stage):
        stage.send({"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"})
        with stage.pool():
            stage.wait_until_caught_up()
        stage.assert_exact()
"""

import contextlib
import itertools
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lib"))

from winnow_test import check, pool, produce  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.devbroker import DevBroker   # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka           # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Database, Postgres  # noqa: E402  pylint: disable=wrong-import-position

TEMPLATE = "migrated"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka_of_run():
    with Kafka() as broker:
        yield broker


@pytest.fixture
def kafka(kafka_of_run):
    """Apache Kafka, running; a test may kill it and leave it dead."""
    kafka_of_run.start()
    return kafka_of_run


@pytest.fixture
def devbroker():
    """A development broker of the test's own."""
    with DevBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres_of_run():
    with Postgres() as server:
        pool.run("migrate", settings={"database": server.new_database(TEMPLATE).dsn}, check=True)
        yield server


@pytest.fixture
def postgres(postgres_of_run):
    """PostgreSQL, running; a test may stop it and leave it down."""
    postgres_of_run.start()
    return postgres_of_run


@pytest.fixture
def empty_database(postgres):
    """A database without winnow's schema."""
    database = postgres.new_database()
    yield database
    postgres.start()
    database.drop()


@pytest.fixture
def database(postgres):
    """A database with winnow's schema."""
    name = f"m{os.getpid()}_{next(_numbers)}"
    with Database(postgres, "postgres") as admin:
        admin.run(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
    database = Database(postgres, name)
    yield database
    postgres.start()
    database.drop()


class Stage:
    """A broker, a topic of its own, a database of its own, and the pools started on them."""

    def __init__(self, broker, database, topic, partitions):
        self.broker = broker
        self.database = database
        self.topic = topic
        self.partitions = partitions
        self.sent = []
        self.pools = []
        self.settings = {"brokers": broker.brokers, "topic": topic, "group": f"g-{topic}", "database": database.dsn}

    def send(self, *things, **defaults):
        """Sends and remembers what was acknowledged; see produce.send()."""
        sent = produce.send(self.broker.brokers, self.topic, things, **defaults)
        self.sent += sent
        return sent

    def pool(self, workers=2, properties=None, arguments=(), **settings):
        """A Pool for a with statement (workers=0: one worker in the foreground)."""
        made = pool.Pool({**self.settings, **settings}, workers, properties, arguments)
        self.pools.append(made)
        return made

    @contextlib.contextmanager
    def joined_pool(self, *arguments, **settings):
        """A pool whose workers are all members of the group, for those who wait for an outcome only so long: on a busy
        machine the group may take longer to form than an event takes."""
        with self.pool(*arguments, **settings) as made:
            made.wait_for_log("event=pool_joined", 90)
            yield made

    def winnow(self, *arguments, stdin=b"", **settings):
        """Runs a command to its end with the stage's settings in the environment."""
        return pool.run(*arguments, stdin=stdin, settings={**self.settings, **settings})

    def wait_until_caught_up(self, timeout_s=60):
        check.wait_until_caught_up(self.database, self.topic, self.broker, timeout_s, self.logs)

    def events(self):
        """(client_id, metric, amount, event_time) of the stored events, in order."""
        return self.database.rows(
            "SELECT client_id, metric, amount, event_time FROM winnow.event ORDER BY 1, 2, 3, 4")

    def dead(self):
        """(partition, offset, reason) of the dead letters, in order."""
        return self.database.rows(
            "SELECT partition, message_offset, reason FROM winnow.dead_letter ORDER BY 1, 2")

    def assert_exact(self, allowed_reasons=()):
        """The invariants, the verdict, and the comparison with what the topic holds."""
        check.assert_exact(self.database, self.broker.read_topic(self.topic), self.sent, allowed_reasons)

    def logs(self):
        return "\n".join(made.log_tail() for made in self.pools if made.process is not None)

    def close(self):
        for made in self.pools:
            if made.process is not None:
                print(made.log_tail(100))
            made.close()


@pytest.fixture
def make_stage(request, database):
    """Makes stages with other numbers of partitions, or without a dead-letter topic; without `broker` on Apache Kafka,
    which is started when it is first wanted."""
    stages = []

    def make(partitions=4, dead_letter_topic=True, config=None, broker=None):
        broker = broker or request.getfixturevalue("kafka")
        topic = f"events-{os.getpid()}-{next(_numbers)}"
        broker.create_topic(topic, partitions, config)
        if dead_letter_topic:
            broker.create_topic(f"{topic}.dlq", 1)
        stages.append(Stage(broker, database, topic, partitions))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(make_stage):
    """A topic of four partitions with its dead-letter topic, and a database."""
    return make_stage()
