"""Databases that are used again: to copy one takes a third of a second of a processor, to empty one a hundredth."""

import queue
from contextlib import contextmanager

from winnow_test import check
from winnow_test.poll import wait_until
from winnow_test.pool import Pool
from winnow_test.postgres import Database

# In the order of their references.
TABLES = ("stream", "processing_log", "event", "batch_log", "dead_letter", "rollup_hour", "rollup_client",
          "rollup_metric", "rollup_day", "dead_letter_count", "steering", "batch_log_superseded", "dead_letter_superseded")


class Databases:
    """`count` copies of a database that has stored what the topic holds when this is made."""

    def __init__(self, server, broker, topic, template, count):
        self._server = server
        self._free = queue.Queue()
        begun = self._copy(template, f"{topic}-begun")
        settings = {"brokers": broker.brokers, "topic": topic, "group": "begun", "database": begun.dsn}
        with begun, Pool(settings, workers=0) as worker:
            check.wait_until_caught_up(begun, topic, broker, on_timeout=worker.log_tail)
            begun.run("CREATE SCHEMA kept")
            for table in TABLES:
                begun.run(f"CREATE TABLE kept.{table} AS TABLE winnow.{table}")
        for number in range(count):
            self._free.put(self._copy(begun.name, f"{topic}-{number}"))
        begun.drop()

    def _copy(self, template, name):
        with Database(self._server, "postgres") as admin:
            admin.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return Database(self._server, name)

    @contextmanager
    def lend(self, is_begun, group):
        """One that the group has stored the earlier messages in, or that is empty. Nobody else uses it, and when it
        is given back no session of a worker may be left that could still write to it."""
        database = self._free.get()
        try:
            database.run(";".join([
                *(f"DELETE FROM winnow.{table}" for table in reversed(TABLES)),
                *(f"INSERT INTO winnow.{table} OVERRIDING SYSTEM VALUE TABLE kept.{table}" for table in TABLES if is_begun)]))
            database.run("UPDATE winnow.stream SET consumer_group = %s", (group,))
            yield database
        finally:
            database.terminate_backends()
            wait_for_sessions(database)
            self._free.put(database)

    def close(self):
        """The databases go with their server."""
        while not self._free.empty():
            self._free.get().close()


def wait_for_sessions(database):
    """Waits until no worker has a session any more."""
    wait_until(lambda: database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s "
        "AND application_name <> 'winnow test'", ("winnow%",)) == 0, 30, "the workers' statements have ended")
