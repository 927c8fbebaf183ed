"""Pages and totals of the API beside plain SQL, while events come late, months are dropped, dropped ones are read again, and
days are kept at random moments, by the console and by us. SEED repeats a run."""

import contextlib
import os
import random
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from test_aggregates import COLUMNS, store, told
from test_events import all_pages, keys_of
from winnow_test.postgres import Database

STEPS = 30
BEGIN = datetime(2024, 3, 30, tzinfo=timezone.utc)  # days of two months, and two days of the next
DAYS = 34
MONTHS = ("2024-03-01", "2024-04-01", "2024-05-01")
CLIENTS = ["client_A", "client_B", "b", "Ümlaut"]
METRICS = ["sale", "Client_visit"]
IN_SQL = {"client": "client_id", "metric": "metric", "hour": """to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')""",
          "day": "to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD')"}
CONDITIONS = {"client": "client_id = %s", "metric": "metric = %s", "from": "t >= %s", "to": "t < %s",
              "amount_min": "amount >= %s", "amount_max": "amount <= %s",
              "q": "(strpos(lower(client_id), lower(%s)) > 0 OR strpos(lower(metric), lower(%s)) > 0)"}


class World:
    """What was stored, and a source of chance."""

    def __init__(self, database, seed):
        self.database, self.random = database, random.Random(seed)
        for month in MONTHS:
            database.run("SELECT winnow.ensure_event_month(%s)", (month,))
        database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', 'events', 'c')")
        # The totals of what is dropped stay.
        database.run("CREATE TABLE public.ever_stored (t timestamptz, h uuid, client_id text, metric text, amount numeric)")

    def time(self):
        day = self.random.choice((0, 1, 2, 3, DAYS - 2, DAYS - 1, self.random.randrange(DAYS)))
        return BEGIN + timedelta(days=day, hours=self.random.choice((0, 1, 2, 23)), microseconds=self.random.choice(
            (0, 1, 1800000000, 3599999999)))

    def store(self, times=None):
        """Up to forty, most of them of no day in particular; times: of which they are instead."""
        rows = [(time, f"{self.random.getrandbits(128):032x}", self.random.choice(CLIENTS), self.random.choice(METRICS),
                 Decimal(self.random.randrange(-10000, 10000)) / 16)
                for time in times or [self.time() for _ in range(self.random.randrange(1, 40))]]
        store(self.database, rows)
        self.remember(rows)

    def remember(self, rows):
        for row in rows:
            self.database.run("INSERT INTO public.ever_stored VALUES (%s, %s, %s, %s, %s)", row)

    def store_at_one_day(self):
        day = self.time().replace(hour=0, minute=0, second=0, microsecond=0)
        self.store([day + timedelta(hours=self.random.randrange(24)) for _ in range(10)])

    def drop_month(self):
        """Its events go, in a partition of their own or without one; whatever is read again counts again."""
        month = self.random.choice(MONTHS)
        gone = self.database.rows("SELECT event_time, event_hash::text, client_id, metric, amount FROM winnow.event "
                                  "WHERE date_trunc('month', bucket) = %s LIMIT 3", (month,))
        if self.database.value("SELECT winnow.retire_event_month(%s)", (month,)):
            self.database.run("SELECT winnow.drop_retired_month()")
            if self.random.random() < 0.7:
                store(self.database, gone)
                self.remember(gone)
        else:
            self.database.run("SELECT winnow.drop_default_events('1 month', 1000)")

    def filter(self, names):
        """Some of them: (parameters, SQL, values)."""
        times = sorted((self.time(), self.time()))
        values = {"client": self.random.choice([*CLIENTS, "nobody"]), "metric": self.random.choice(METRICS),
                  "from": times[0], "to": times[1], "q": self.random.choice(("CLIENT", "b", "ü", "nothing")),
                  "amount_min": "-300.5", "amount_max": "300"}
        chosen = self.random.sample(names, self.random.choice((0, 1, 1, 2, 3)))
        parameters = {name: values[name].isoformat() if name in ("from", "to") else values[name] for name in chosen}
        return parameters, {name: values[name] for name in chosen}


def where(values):
    """The condition in SQL, and its values."""
    return (" AND ".join(["true", *(CONDITIONS[name] for name in values)]),
            [value for name, value in values.items() for _ in range(CONDITIONS[name].count("%s"))])


def check_pages(world, console):
    parameters, values = world.filter(list(CONDITIONS))
    condition, arguments = where(values)
    wanted = world.database.rows(
        "SELECT replace(h::text, '-', '') FROM (SELECT event_time AS t, event_hash AS h, client_id, metric, amount "
        f"FROM winnow.event) AS e WHERE {condition} ORDER BY t DESC, h DESC", arguments)
    found = keys_of(all_pages(console, limit=world.random.choice((7, 50, 1000)), **parameters))
    assert found == [row[0] for row in wanted], parameters


def check_totals(world, console):
    parameters, values = world.filter(["client", "metric", "from", "to", "q"])
    by = world.random.sample(["client", "metric", world.random.choice(("hour", "day"))], world.random.randrange(4))
    for name in ("from", "to"):
        if name in values:
            values[name] = values[name].replace(minute=0, second=0, microsecond=0)
    condition, arguments = where(values)
    columns = "".join(f"{IN_SQL[name]}, " for name in by)
    wanted = world.database.rows(
        f"SELECT {columns}count(*), coalesce(sum(amount), 0) FROM public.ever_stored WHERE {condition}"
        + (f" GROUP BY {', '.join(str(place + 1) for place in range(len(by)))}" if by else ""), arguments)
    answer = console.get("/api/v1/aggregates", by=",".join(by), limit=100000, **parameters)
    assert answer.status == 200, answer
    assert told(answer.json, by) == {tuple(row[:-2]): (row[-2], row[-1]) for row in wanted}, (by, parameters)
    total = answer.json["total"]
    assert (total["event_count"], Decimal(total["amount_sum"])) == (
        sum(row[-2] for row in wanted), sum((row[-1] for row in wanted), Decimal(0))), (by, parameters)


@contextlib.contextmanager
def kept_at_random(stage, seed):
    """Days are added up over and over by another session, quiet or growing, as if long ago."""
    end, failures, chance = threading.Event(), [], random.Random(seed)

    def keep():
        try:
            with Database(stage.database.server, stage.database.name) as database:
                while not end.wait(chance.random() / 10):
                    database.run("SELECT winnow.keep_days(%s, '1 hour')", (chance.choice(("0 s", "1 hour")),))
                    database.run("UPDATE winnow.kept_day SET kept_at = '-infinity'")
        except Exception as failure:  # pylint: disable=broad-exception-caught
            failures.append(failure)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
    assert not failures, failures


@pytest.fixture
def seed():
    chosen = int(os.environ.get("SEED") or random.randrange(10 ** 9))
    print(f"SEED={chosen}")
    return chosen


def test_pages_and_totals_are_exact_whatever_comes(stage, console, seed):
    world = World(stage.database, seed)
    assert set(COLUMNS) == set(IN_SQL)
    world.store([world.time() for _ in range(100)])
    with kept_at_random(stage, seed):
        for _ in range(STEPS):
            world.random.choices((world.store, world.store_at_one_day, world.drop_month), (4, 2, 1))[0]()
            for _ in range(6):
                check_pages(world, console)
                check_totals(world, console)
    assert stage.database.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant IN ('I4', 'I7', 'I8')") == []
