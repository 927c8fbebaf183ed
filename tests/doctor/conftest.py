"""One Kafka with an authorizer and one PostgreSQL that is durable, for all tests of winnow doctor."""

import itertools
import os
from contextlib import contextmanager

import pytest

from clinic import ADMIN_PASSWORD, GuardedKafka, Patient, write_scripts
from winnow_test import pool
from winnow_test.postgres import Database, Postgres
from winnow_test.process import make_directory, remove_directory

_numbers = itertools.count(1)
# As servers are by themselves: what a mend changes must not be fixed on the command line.
OWN = {name: None for name in ("fsync", "synchronous_commit", "full_page_writes", "max_connections")}


@pytest.fixture(scope="session")
def broker_shift():
    """By how much the broker's clock is off: a file of eight bytes of milliseconds (tests/lib/clock_shim.c)."""
    directory = make_directory("clock")
    path = directory / "shift"
    path.write_bytes(bytes(8))
    yield path
    remove_directory(directory)


@pytest.fixture(scope="session")
def guarded_kafka(broker_shift):
    with GuardedKafka(broker_shift) as broker:
        yield broker


@pytest.fixture(scope="session")
def durable_postgres():
    with Postgres(OWN) as server:
        pool.run("migrate", settings={"database": server.new_database("migrated").dsn}, check=True)
        yield server


@pytest.fixture(scope="session")
def aging_postgres():
    """Where little is old, and transactions can be prepared."""
    with Postgres({**OWN, "autovacuum_freeze_max_age": "100000", "max_prepared_transactions": "2"}) as server:
        pool.run("migrate", settings={"database": server.new_database("migrated").dsn}, check=True)
        yield server


@pytest.fixture
def patient(guarded_kafka, durable_postgres):
    """All is well with it."""
    with admitted(guarded_kafka, durable_postgres) as made:
        yield made


@pytest.fixture
def old_patient(guarded_kafka, aging_postgres):
    with admitted(guarded_kafka, aging_postgres) as made:
        yield made


@pytest.fixture
def careless_patient(guarded_kafka):
    """Its server was started with -c fsync=off."""
    with Postgres({**OWN, "fsync": "off"}) as server:
        pool.run("migrate", settings={"database": server.new_database("migrated").dsn}, check=True)
        with admitted(guarded_kafka, server) as made:
            yield made


@contextmanager
def admitted(kafka, postgres):
    name = f"p{os.getpid()}-{next(_numbers)}"
    kafka.start()
    postgres.start()
    kafka.create_topic(name, 4)
    kafka.create_topic(f"{name}.dlq", 1, {"message.timestamp.type": "LogAppendTime"})
    with Database(postgres, "postgres") as database:
        database.run(f'CREATE DATABASE "{name}" TEMPLATE migrated')
        database.run(f'CREATE ROLE "{name}" LOGIN PASSWORD \'right\' IN ROLE winnow_worker')
    directory = make_directory("clinic")
    (directory / "bin").mkdir()
    write_scripts(directory / "bin")
    (directory / "admin.properties").write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config="
        f'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="{ADMIN_PASSWORD}";\n')
    made = Patient(directory, kafka, postgres, {
        "brokers": kafka.brokers, "topic": name, "group": f"g-{name}",
        "database": postgres.dsn(name, name)})
    made.name = name
    made.database = Database(postgres, name)
    yield made
    kafka.start()
    postgres.start()
    made.database.drop()
    remove_directory(directory)
