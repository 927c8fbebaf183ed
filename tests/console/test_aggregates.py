"""GET /api/v1/aggregates: sums by any columns with any filters, compared with what Python adds up; and the SQL."""

import csv
import io
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import chain, combinations

import pytest
from test_events import BEGIN, CLIENTS, fill, make_rows

COLUMNS = {"client": ("client_id", lambda row: row[2]), "metric": ("metric", lambda row: row[3]),
           "hour": ("hour", lambda row: row[0].strftime("%Y-%m-%dT%H:00:00Z")),
           "day": ("day", lambda row: row[0].strftime("%Y-%m-%d"))}
FILTERS = [
    ({}, lambda row: True),
    ({"client": "client_A"}, lambda row: row[2] == "client_A"),
    ({"client": CLIENTS[3], "metric": "sale"}, lambda row: row[2:4] == (CLIENTS[3], "sale")),
    ({"metric": "refund"}, lambda row: row[3] == "refund"),
    ({"from": "2024-03-01T01:59:00Z"}, lambda row: row[0] >= BEGIN + timedelta(hours=1)),
    ({"from": "2024-03-01", "to": "2024-03-01T01:59:59Z"}, lambda row: row[0] < BEGIN + timedelta(hours=1)),
    ({"from": "2024-03-01T01:00:00Z", "to": "2024-04-10T01:30:00Z"},
     lambda row: BEGIN + timedelta(hours=1) <= row[0] < BEGIN + timedelta(days=40, hours=1)),
    ({"q": "CLIENT_"}, lambda row: "client_" in row[2].lower() or "client_" in row[3].lower()),
    ({"q": "'"}, lambda row: False),
    ({"client": "it's"}, lambda row: False)]


ADD = """
WITH new AS (SELECT %(time)s::timestamptz AS t, %(client)s::text AS client_id, %(metric)s::text AS metric, %(amount)s::numeric AS amount),
stored AS (INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id, metric, amount)
    SELECT date_bin('1 day', t, 'epoch'), t, %(offset)s, %(hash)s, 0, 1, client_id, metric, amount FROM new),
hour AS (INSERT INTO winnow.rollup_hour AS r SELECT date_bin('1 hour', t, 'epoch'), client_id, metric, 1, 0, 1, amount FROM new
    ON CONFLICT (bucket, client_id COLLATE "C", metric COLLATE "C", stream_id, shard) DO UPDATE
    SET event_count = r.event_count + 1, amount_sum = r.amount_sum + excluded.amount_sum),
client AS (INSERT INTO winnow.rollup_client AS r SELECT client_id, 1, 0, 1, amount FROM new
    ON CONFLICT (client_id COLLATE "C", stream_id, shard) DO UPDATE
    SET event_count = r.event_count + 1, amount_sum = r.amount_sum + excluded.amount_sum),
metric AS (INSERT INTO winnow.rollup_metric AS r SELECT metric, 1, 0, 1, amount FROM new
    ON CONFLICT (metric COLLATE "C", stream_id, shard) DO UPDATE
    SET event_count = r.event_count + 1, amount_sum = r.amount_sum + excluded.amount_sum)
INSERT INTO winnow.rollup_day AS r SELECT date_bin('1 day', t, 'epoch'), 1, 0, 1, amount FROM new
    ON CONFLICT (day, stream_id, shard) DO UPDATE
    SET event_count = r.event_count + 1, amount_sum = r.amount_sum + excluded.amount_sum, updated_at = excluded.updated_at"""
KEEP_ALL = "SELECT winnow.keep_days('0 s', '1 hour')"
KEEP_GROWING = "SELECT winnow.keep_days('1 hour', '1 hour')"


def store(database, rows):
    """One after the other, as late events come."""
    for number, (time, key, client, metric, amount) in enumerate(rows):
        database.run(ADD, {"time": time, "hash": key, "client": client, "metric": metric, "amount": amount,
                           "offset": 100000 + number})


# What is kept of the days, and whether it is of use.
def nothing_is_kept(database, rows):
    fill(database, rows)


def all_is_kept(database, rows):
    fill(database, rows)
    database.run(KEEP_ALL)
    assert database.value("SELECT bool_and(kept) FROM winnow.total_days('-infinity', 'infinity', false)")
    assert database.rows("SELECT day::text FROM winnow.total_days('-infinity', 'infinity', true)") == [("-infinity",)]


def late_events_came(database, rows):
    fill(database, rows[60:])
    database.run(KEEP_ALL)
    store(database, rows[:60])
    assert not database.value("SELECT bool_and(kept) FROM winnow.total_days('-infinity', 'infinity', false)")


def the_last_hour_grows(database, rows):
    last = [row for row in rows if row[0] >= BEGIN + timedelta(days=45, hours=1)][:40]
    fill(database, [row for row in rows if row not in last])
    database.run(KEEP_GROWING)
    store(database, last)
    assert database.rows("SELECT kept, ends - begins FROM winnow.total_days('2024-04-15', 'infinity', false)") == [
        (True, timedelta(hours=1)), (False, timedelta(hours=23))]


@pytest.fixture(params=[nothing_is_kept, all_is_kept, late_events_came, the_last_hour_grows], ids=lambda state: state.__name__)
def filled(stage, console, request):
    rows = make_rows(3000)
    request.param(stage.database, rows)
    assert stage.database.rows("SELECT * FROM winnow.invariant_violation() WHERE invariant IN ('I4', 'I7', 'I8')") == []
    return console, rows


def expected(rows, by):
    """{values of the columns: (count, sum)}; without columns there is always one row."""
    sums = defaultdict(lambda: [0, Decimal(0)])
    if not by:
        sums[()] = [0, Decimal(0)]
    for row in rows:
        entry = sums[tuple(COLUMNS[name][1](row) for name in by)]
        entry[0] += 1
        entry[1] += row[4]
    return {key: tuple(entry) for key, entry in sums.items()}


def told(answer, by):
    return {tuple(row[COLUMNS[name][0]] for name in by): (row["event_count"], Decimal(row["amount_sum"]))
            for row in answer["rows"]}


def test_all_combinations(filled):
    console, rows = filled
    for by in chain.from_iterable(combinations(COLUMNS, size) for size in range(4)):
        if {"hour", "day"} <= set(by):
            continue
        for parameters, let_through in FILTERS:
            left = [row for row in rows if let_through(row)]
            answer = console.get("/api/v1/aggregates", by=",".join(by), **parameters)
            assert answer.status == 200, (by, parameters, answer)
            assert told(answer.json, by) == expected(left, by), (by, parameters)
            total = answer.json["total"]
            assert (total["event_count"], Decimal(total["amount_sum"])) == expected(left, ())[()], (by, parameters)
            assert answer.json["by"] == list(by) and answer.json["truncated"] is False


def test_the_sql_gives_the_same(filled, stage):
    """As an analyst who sees nothing but the views."""
    console, _ = filled
    stage.database.run("SET ROLE winnow_analyst")
    try:
        for by in ((), ("client",), ("metric", "client"), ("hour",), ("day", "metric")):
            for parameters, _ in FILTERS:
                answer = console.get("/api/v1/aggregates", by=",".join(by), limit=5, **parameters).json
                rows = [(*map(str, row[:-2]), int(row[-2]), str(row[-1])) for row in stage.database.rows(answer["sql"])]
                wanted = [(*(row[COLUMNS[name][0]].replace("T", " ").replace("Z", "+00:00") if name == "hour"
                             else row[COLUMNS[name][0]] for name in by), row["event_count"], row["amount_sum"])
                          for row in answer["rows"]]
                assert rows == wanted, answer["sql"]
    finally:
        stage.database.run("RESET ROLE")


def test_limit_and_order(filled):
    console, rows = filled
    answer = console.get("/api/v1/aggregates", by="metric,client", limit=4).json
    assert answer["truncated"] is True and len(answer["rows"]) == 4
    names = [(row["metric"], row["client_id"]) for row in answer["rows"]]
    assert names == sorted({(row[3], row[2]) for row in rows})[:4]
    assert answer["total"]["event_count"] == len(rows)


def test_csv(filled):
    console, rows = filled
    answer = console.get("/api/v1/aggregates", by="client,day", format="csv")
    assert answer.media_type == "text/csv" and "aggregates.csv" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {(line["client_id"], line["day"]): (int(line["event_count"]), Decimal(line["amount_sum"])) for line in lines} \
        == expected(rows, ("client", "day"))


def test_a_sheet_is_whole_or_says_that_it_is_not(stage, console):
    fill(stage.database, [(BEGIN, f"{number:032x}", f"client_{number}", "m", Decimal(1)) for number in range(1500)])
    sheet = console.get("/api/v1/aggregates", by="client", format="csv")
    assert len(sheet.text.splitlines()) == 1 + 1500 and "winnow-truncated" not in sheet.headers
    cut = console.get("/api/v1/aggregates", by="client", format="csv", limit=1000)
    assert len(cut.text.splitlines()) == 1 + 1000 and cut.headers["winnow-truncated"] == "true"
    page = console.get("/api/v1/aggregates", by="client")
    assert len(page.json["rows"]) == 1000 and page.json["truncated"] and page.headers["winnow-truncated"] == "true"


def test_the_sql_has_the_limit_that_was_asked_for(filled):
    console, _ = filled
    assert "LIMIT" not in console.get("/api/v1/aggregates", by="client").json["sql"]
    assert console.get("/api/v1/aggregates", by="client", limit=7).json["sql"].endswith(" LIMIT 7")


def test_nothing_stored(console):
    answer = console.get("/api/v1/aggregates")
    assert answer.json["rows"] == [{"event_count": 0, "amount_sum": "0"}]
    assert console.get("/api/v1/aggregates", by="client").json["total"] == {"event_count": 0, "amount_sum": "0"}


def test_exact(stage, console):
    """What no double can add up."""
    fill(stage.database, [(BEGIN, f"{number:032x}", "c", "m", amount) for number, amount in enumerate(
        (Decimal("99999999999999999999999999999.9"), Decimal("0.000000000000000001"), Decimal("-0.9")))])
    answer = console.get("/api/v1/aggregates", by="client").json
    assert answer["rows"][0]["amount_sum"] == "99999999999999999999999999999.000000000000000001"


@pytest.mark.parametrize("query, parameter", [
    ("by=hour,day", "by"), ("by=client,client", "by"), ("by=amount", "by"), ("by=client,", "by"), ("by=,", "by"),
    ("limit=0", "limit"), ("limit=100001", "limit"), ("format=ndjson", "format"), ("amount_min=1", "amount_min"),
    ("from=2024", "from"), ("metric=", "metric")])
def test_bad_questions(console, query, parameter):
    answer = console.get(f"/api/v1/aggregates?{query}")
    assert answer.status == 400, answer
    assert answer.json["parameter"] == parameter
