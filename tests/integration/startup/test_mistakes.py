"""What a person can get wrong before the first event: one clear line each, with what was found, what to do next, and the
documented exit code. All cases are started at once, since some wait for a server that does not answer."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from winnow_test import pool
from winnow_test.postgres import Database

BAD_CONFIG = 78
UNREACHABLE = 69
TOPIC = "startup"
SECRET = "secret-that-is-wrong"


@dataclass
class Case:
    """Settings to start with, and what is to come of it."""

    exit_code: int
    words: tuple
    settings: dict = field(default_factory=dict)
    arguments: tuple = ()


def database(server, name, *statements):
    """A migrated database with something wrong about it; its dsn."""
    with Database(server, "postgres") as admin:
        admin.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.run(f"CREATE DATABASE {name} TEMPLATE migrated")
    with Database(server, name) as made:
        for statement in statements:
            made.run(statement)
    return server.dsn(name)


def make_cases(kafka, server):
    good = database(server, "startup_good", "CREATE ROLE startup_nobody LOGIN")
    other_cluster = database(
        server, "startup_cluster", "INSERT INTO winnow.stream (consumer_group, topic, cluster_id) "
        f"VALUES ('winnow', '{TOPIC}', 'AnotherClusterAltogether')")
    cases = {
        "topic missing": Case(BAD_CONFIG, ('"no-such-topic"', "does not exist", "create it"),
                              {"topic": "no-such-topic"}),
        "topic name impossible": Case(BAD_CONFIG, ("no such topic!", "topic"), {"topic": "no such topic!"}),
        "topic not named": Case(BAD_CONFIG, ("topic", "-t"), {"topic": None}),
        "brokers not named": Case(BAD_CONFIG, ("brokers", "-b"), {"brokers": None}),
        "broker unreachable": Case(UNREACHABLE, ("brokers", "127.0.0.1:1", "Connection refused", "check -b/--brokers"),
                                   {"brokers": "127.0.0.1:1"}),
        "broker's name unknown": Case(UNREACHABLE, ("no-such-host.invalid", "resolve"),
                                      {"brokers": "no-such-host.invalid:9092"}),
        "broker is no Kafka": Case(UNREACHABLE, ("brokers", f"127.0.0.1:{server.port}"),
                                   {"brokers": f"127.0.0.1:{server.port}"}),
        "property impossible": Case(BAD_CONFIG, ("session.timeout.ms", "-X"), arguments=("-X", "session.timeout.ms=soon")),
        "password wrong": Case(BAD_CONFIG, ("password authentication failed", '"postgres"', "check user and password"),
                               {"database": server.tcp_dsn("startup_good", password=SECRET)}),
        "database missing": Case(BAD_CONFIG, ('"no_such_database"', "create the database", "-d"),
                                 {"database": server.dsn("no_such_database")}),
        "schema missing": Case(BAD_CONFIG, ("schema is empty", "needs version", "run `winnow migrate`"),
                               {"database": server.dsn("postgres")}),
        "schema old": Case(BAD_CONFIG, ("schema is at version", "needs version", "run `winnow migrate`"), {
            "database": database(server, "startup_old", "DELETE FROM winnow.schema_migration WHERE version = "
                                 "(SELECT max(version) FROM winnow.schema_migration)")}),
        "schema newer": Case(BAD_CONFIG, ("version 999", "from_the_future", "run a newer winnow"), {
            "database": database(server, "startup_new", "INSERT INTO winnow.schema_migration "
                                 "(version, name, sha256, execution_ms) VALUES (999, '000999_from_the_future', '', 0)")}),
        "rights missing": Case(BAD_CONFIG, ("permission denied", "winnow_worker"),
                               {"database": server.dsn("startup_good", user="startup_nobody")}),
        "another cluster": Case(BAD_CONFIG, ("AnotherClusterAltogether", kafka.cluster_id(), "-b", "-g"),
                                {"database": other_cluster}),
    }
    for case in cases.values():
        merged = {"brokers": kafka.brokers, "topic": TOPIC, "database": good, **case.settings}
        case.settings = {name: value for name, value in merged.items() if value is not None}
    return cases


NAMES = ["topic missing", "topic name impossible", "topic not named", "brokers not named", "broker unreachable",
         "broker's name unknown", "broker is no Kafka", "property impossible", "password wrong", "database missing",
         "schema missing", "schema old", "schema newer", "rights missing", "another cluster"]


@pytest.fixture(scope="module")
def ended(kafka_of_run, postgres_of_run):
    """name → (its Case, the Result of a worker, the Result of a pool of two); where that one goes on trying, it runs."""
    kafka_of_run.start()
    postgres_of_run.start()
    kafka_of_run.create_topic(TOPIC, 2)
    cases = make_cases(kafka_of_run, postgres_of_run)
    assert sorted(cases) == sorted(NAMES)
    with ThreadPoolExecutor(4) as executor, pool.Pool(cases["broker unreachable"].settings, workers=1) as waiting:
        workers = {name: executor.submit(pool.run, "worker", *case.arguments, settings=case.settings)
                   for name, case in cases.items()}
        pools = {name: executor.submit(pool.run, "pool", "-n", 2, *case.arguments, settings=case.settings)
                 for name, case in cases.items() if case.exit_code == BAD_CONFIG}
        results = {name: (case, workers[name].result(), pools[name].result() if name in pools else waiting)
                   for name, case in cases.items()}
        yield results
    kafka_of_run.delete_topic(TOPIC)


@pytest.mark.parametrize("name", NAMES)
def test_worker(ended, name):
    case, result, _ = ended[name]
    print(result.error)
    assert result.exit_code == case.exit_code, result
    assert result.out == ""
    lines = [line for line in result.error.splitlines() if "level=warning" not in line]
    assert len(lines) == 1, result.error
    for word in case.words:
        assert word in lines[0].replace('\\"', '"')
    assert SECRET not in result.error


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("broker")] + ["brokers not named"])
def test_pool_stops_with_the_same_exit_code(ended, name):
    case, _, result = ended[name]
    assert result.exit_code == case.exit_code, result
    told = [line for line in result.error.splitlines() if all(word in line.replace('\\"', '"') for word in case.words)]
    assert told, result.error
    assert SECRET not in result.error


def test_pool_goes_on_trying_to_reach_the_brokers(ended):
    _, worker, waiting = ended["broker unreachable"]
    assert worker.exit_code == UNREACHABLE
    waiting.wait_for_log("event=worker_ended .*exit code 69 .*restart in", timeout_s=30)
    assert waiting.is_running()
    assert waiting.stop() == 0


def test_database_that_does_not_answer_is_waited_for(stage, postgres):
    postgres.stop()
    with stage.pool(workers=0, log_level="debug") as worker:
        worker.wait_for_log(r"event=waiting_for_database .*(?s:.*)trying again in \d{3}")
        assert worker.is_running()
        lines = worker.log_text().splitlines()
        print(lines[0])
        assert all("waiting_for_database" in line for line in lines)
        assert ["level=warning" in line for line in lines] == [True] + [False] * (len(lines) - 1)  # told once
        assert re.search(r"cannot connect to PostgreSQL: .* failed: .*; trying again in \d+ ms", lines[0])
        assert worker.stop() == 0
