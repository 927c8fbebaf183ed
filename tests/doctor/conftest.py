"""One Kafka with an authorizer and one PostgreSQL that is durable, for all tests of winnow doctor."""

import itertools
import os

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


@pytest.fixture
def patient(guarded_kafka, durable_postgres):
    """All is well with it."""
    name = f"p{os.getpid()}-{next(_numbers)}"
    guarded_kafka.start()
    durable_postgres.start()
    guarded_kafka.create_topic(name, 4)
    guarded_kafka.create_topic(f"{name}.dlq", 1, {"message.timestamp.type": "LogAppendTime"})
    with Database(durable_postgres, "postgres") as admin:
        admin.run(f'CREATE DATABASE "{name}" TEMPLATE migrated')
        admin.run(f'CREATE ROLE "{name}" LOGIN PASSWORD \'right\' IN ROLE winnow_worker')
    directory = make_directory("clinic")
    (directory / "bin").mkdir()
    write_scripts(directory / "bin")
    (directory / "admin.properties").write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config="
        f'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="{ADMIN_PASSWORD}";\n')
    made = Patient(directory, guarded_kafka, durable_postgres, {
        "brokers": guarded_kafka.brokers, "topic": name, "group": f"g-{name}",
        "database": durable_postgres.dsn(name, name)})
    made.name = name
    made.database = Database(durable_postgres, name)
    yield made
    guarded_kafka.start()
    durable_postgres.start()
    made.database.drop()
    remove_directory(directory)
