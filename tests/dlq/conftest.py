"""One broker, one database and one topic for all tests of winnow dlq, with a pool that runs: each test has clients of its
own."""

import contextlib
import itertools
import json
import subprocess

import pytest

from winnow_test import pool
from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until
from winnow_test.produce import send

TOPIC = "events"
GROUP = "winnow"
_numbers = itertools.count(1)


class Bench:
    """A stream with its pool, and winnow dlq beside it."""

    def __init__(self, broker, database):
        self.broker = broker
        self.database = database
        self.settings = {"brokers": broker.brokers, "topic": TOPIC, "group": GROUP, "database": database.dsn}

    def dlq(self, *arguments, stdin=b"", timeout_s=60, **settings):
        return pool.run("dlq", *arguments, stdin=stdin, settings={**self.settings, **settings}, timeout_s=timeout_s)

    def start(self, *arguments):
        """The same in the background."""
        return subprocess.Popen([pool.BINARY, "dlq", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.environment())

    def environment(self):
        return pool.environment(self.settings)

    def fail(self, client, count=1, *, valid_later=False, **defaults):
        """Sends so many messages that become dead letters; returns their ids. valid_later: the database refuses them, so
        that sending them again succeeds."""
        values = [{"client": client, "metric": "sale", "amount": i if valid_later else f"x{i}", "time": "2024-01-01"}
                  for i in range(count)]
        return self.fail_values([json.dumps(value).encode() for value in values], simulated=valid_later,
                                key=client.encode(), **defaults)

    def fail_values(self, values, simulated=False, headers=None, **defaults):
        headers = list(headers or []) + ([("winnow-simulate-failure", b"database")] if simulated else [])
        sent = send(self.broker.brokers, TOPIC, values, headers=headers or None, **defaults)
        ids = [f"{TOPIC}/{message.partition}/{message.offset}" for message in sent]
        wait_until(lambda: self.count_letters(ids) == len(ids), 90, "they are dead letters")
        return ids

    def count_letters(self, ids):
        return self.database.value(
            "SELECT count(*) FROM winnow.dead_letter WHERE format('events/%%s/%%s', partition, message_offset) = ANY (%s)",
            (ids,))

    def states(self, ids):
        rows = dict(self.database.rows(
            "SELECT format('events/%%s/%%s', partition, message_offset), state FROM winnow.dead_letter_work "
            "WHERE format('events/%%s/%%s', partition, message_offset) = ANY (%s)", (ids,)))
        return [rows[name] for name in ids]

    def stored(self, client):
        """How many events of the client are stored, and their amounts."""
        return [row[0] for row in self.database.rows(
            "SELECT amount FROM winnow.event WHERE client_id = %s ORDER BY 1", (client,))]

    @contextlib.contextmanager
    def slow(self, event, seconds):
        """Each INSERT or UPDATE of what was done takes so long, so that there is time for others in the middle."""
        self.database.run(
            "CREATE OR REPLACE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END'; "
            f"CREATE TRIGGER slow BEFORE {event} ON winnow.dead_letter_action EXECUTE FUNCTION public.slow()")
        try:
            yield
        finally:
            self.database.run("DROP TRIGGER slow ON winnow.dead_letter_action")

    def end_sessions(self):
        """Of replays; those of one that was killed go on with what they were told last."""
        def count():
            return self.database.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                       "WHERE application_name = 'winnow dlq replay' AND datname = current_database()")
        wait_until(lambda: count() == 0, 60, "the sessions have ended")

    def in_doubt(self):
        """The actions of which it is not known whether they sent their letter."""
        return self.database.rows("SELECT action_id FROM winnow.dead_letter_retry WHERE outcome = 'in_doubt'")

    def actions(self, ids):
        return self.database.rows(
            "SELECT action, actor, note, sent_offset IS NOT NULL, error FROM winnow.dead_letter_action "
            "WHERE format('events/%%s/%%s', partition, message_offset) = ANY (%s) ORDER BY action_id", (ids,))


@pytest.fixture(scope="session")
def bench(postgres_of_run):
    database = postgres_of_run.new_database("dlq")
    settings = {"database": database.dsn}
    pool.run("migrate", settings=settings, check=True)
    with DevBroker({TOPIC: 3, f"{TOPIC}.dlq": 1}) as broker:
        made = Bench(broker, database)
        with pool.Pool(made.settings, workers=1, arguments=("--allow-fault-injection", "--breaker-window", "0")) as running:
            made.pool = running
            running.wait_for_log("event=partition_opened", 90)
            yield made


@pytest.fixture
def client(request):
    """A client of the test's own."""
    return f"{request.node.name.split('[')[0].removeprefix('test_')}_{next(_numbers)}"
