"""GET /api/v1/events, /events/{hash}, /messages/{partition}/{offset}: everything, newest first, by every filter, in
every format, compared with what Python makes of the same rows."""

import csv
import io
import json
import random
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from winnow_test.check import explain
from winnow_test.console import Console

BEGIN = datetime(2024, 3, 1, tzinfo=timezone.utc)
CLIENTS = ["client_A", "client_B", "Ümlaut & Söhne", 'quo"te,comma']
METRICS = ["sale", "refund", "Client_visit"]


def make_rows(count, seed=7):
    """(time, hash, client, metric, amount): bunched in time, with gaps of months, and many of the same moment."""
    random.seed(seed)
    rows = []
    for number in range(count):
        burst = random.choice((0, 0, 1, 40, 45))
        time = BEGIN + timedelta(days=burst, seconds=random.choice((0, 0, random.randrange(7200))),
                                 microseconds=random.choice((0, 500000, random.randrange(1000000))))
        rows.append((time, f"{random.getrandbits(128):032x}", random.choice(CLIENTS), random.choice(METRICS),
                     Decimal(number % 97) / 4))
    return rows


def fill(database, rows, stream_id=1):
    """Stores them as a worker would, roll-ups included."""
    database.run("SELECT winnow.ensure_event_month(make_date(2024, month, 1)) FROM generate_series(3, 4) AS month")
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', 'events', 'c')")
    text = "".join(f"{time.date()} 00:00:00+00\t{time.isoformat()}\t{number}\t{key}\t0\t{stream_id}\t{client}\t{metric}\t"
                   f"{amount}\n" for number, (time, key, client, metric, amount) in enumerate(rows))
    with database._cursor() as cursor:  # pylint: disable=protected-access
        cursor.copy_expert("COPY winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, "
                           "client_id, metric, amount) FROM STDIN", io.StringIO(text))
    database.run("INSERT INTO winnow.rollup_hour SELECT date_bin('1 hour', event_time, 'epoch'), client_id, metric, "
                 "stream_id, 0, count(*), sum(amount) FROM winnow.event GROUP BY 1, 2, 3, 4")
    for name, column in (("client", "client_id"), ("metric", "metric"), ("day", "date_bin('1 day', bucket, 'epoch')")):
        database.run(f"INSERT INTO winnow.rollup_{name} SELECT {column}, stream_id, shard, sum(event_count), "
                     f"sum(amount_sum) FROM winnow.rollup_hour GROUP BY 1, 2, 3")


@pytest.fixture
def filled(stage, console):
    """(console, its rows newest first)."""
    rows = make_rows(3000)
    fill(stage.database, rows)
    return console, sorted(rows, key=lambda row: row[:2], reverse=True)


def keys_of(events):
    return [event["event_hash"].replace("-", "") for event in events]


def page(console, **parameters):
    answer = console.get("/api/v1/events", **parameters)
    assert answer.status == 200, answer
    return answer.json


def all_pages(console, **parameters):
    events, cursor = [], None
    while True:
        told = page(console, **parameters, **({"cursor": cursor} if cursor else {}))
        events += told["events"]
        cursor = told["next_cursor"]
        if cursor is None:
            return events


def test_every_row_once(filled):
    console, rows = filled
    for limit in (1000, 333):
        assert keys_of(all_pages(console, limit=limit)) == [row[1] for row in rows]
    first = page(console)
    assert keys_of(first["events"]) == [row[1] for row in rows[:50]]
    time, _, client, metric, amount = rows[0]
    event = first["events"][0]
    assert (event["client_id"], event["metric"], Decimal(event["amount"])) == (client, metric, amount)
    assert datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")) == time
    assert event["origin"]["topic"] == "events" and event["origin"]["partition"] == 0


FILTERS = [
    ({"client": "client_A"}, lambda row: row[2] == "client_A"),
    ({"client": CLIENTS[2], "metric": "sale"}, lambda row: row[2:4] == (CLIENTS[2], "sale")),
    ({"metric": "refund"}, lambda row: row[3] == "refund"),
    ({"client": "nobody"}, lambda row: False),
    ({"from": "2024-03-02"}, lambda row: row[0] >= BEGIN + timedelta(days=1)),
    ({"to": "2024-03-02T00:00:00Z"}, lambda row: row[0] < BEGIN + timedelta(days=1)),
    ({"from": "2024-03-01T02:00:00+01:00", "to": "2024-03-01T01:30:00.5Z"},
     lambda row: BEGIN + timedelta(hours=1) <= row[0] < BEGIN + timedelta(hours=1.5, seconds=.5)),
    ({"from": "2024-03-01", "to": "2024-03-01"}, lambda row: False),
    ({"amount_min": "10", "amount_max": "10.25"}, lambda row: Decimal(10) <= row[4] <= Decimal("10.25")),
    ({"amount_min": "-1", "amount_max": "0", "client": "client_B"}, lambda row: row[4] == 0 and row[2] == "client_B"),
    ({"amount_min": "1000"}, lambda row: False),
    ({"q": "CLIENT"}, lambda row: "client" in row[2].lower() or "client" in row[3].lower()),
    ({"q": "_b"}, lambda row: "_b" in row[2].lower()),
    ({"q": "ÜML"}, lambda row: row[2] == CLIENTS[2]),
    ({"q": "e,c", "metric": "sale"}, lambda row: row[2:4] == (CLIENTS[3], "sale")),
    ({"q": "%"}, lambda row: False),
]


def test_filters(filled):
    console, rows = filled
    for parameters, let_through in FILTERS:
        expected = [row[1] for row in rows if let_through(row)]
        assert keys_of(all_pages(console, limit=100, **parameters)) == expected, parameters


@pytest.mark.parametrize("future", [0, 3], ids=["silence", "future"])
def test_after_a_silence(stage, console, future):
    """Many events in this hour and the one before, none for a while; or a few that say they will happen yet."""
    random.seed(3)
    now = datetime.now(timezone.utc)
    moments = [now - timedelta(minutes=5, seconds=random.random() * 3600) for _ in range(20000)]
    moments += [now + timedelta(minutes=1, seconds=number) for number in range(future)]
    rows = [(moment, f"{random.getrandbits(128):032x}", random.choice(CLIENTS), "m", Decimal(1)) for moment in moments]
    fill(stage.database, rows)
    rows.sort(key=lambda row: row[:2], reverse=True)
    assert keys_of(page(console)["events"]) == [row[1] for row in rows[:50]]
    assert keys_of(page(console, client="client_A", limit=1000)["events"]) == [
        row[1] for row in rows if row[2] == "client_A"][:1000]
    assert keys_of(page(console, amount_max=1, q="client_b")["events"]) == [
        row[1] for row in rows if row[2] == "client_B"][:50]
    assert keys_of(all_pages(console, limit=1000)) == [row[1] for row in rows]


WINDOW = "SELECT is_all, matches::int FROM winnow.find_window(%s, '1970-01-01', %s, NULL, 51, 48)"


def test_windows_fit_what_is_there(stage):
    """Ten minutes of the newest hour have come, a thousand events a minute; and a client had few, long ago."""
    hour = BEGIN.replace(minute=0, second=0, microsecond=0) + timedelta(days=60)
    rows = [(hour + timedelta(seconds=0.06 * number), f"{number:032x}", "client_A", "m", Decimal(1)) for number in range(10000)]
    rows += [(BEGIN + timedelta(days=1, hours=number), f"{10000 + number:032x}", "client_A", "m", Decimal(1)) for number in range(60)]
    rows += [(BEGIN + timedelta(seconds=number), f"{10060 + number:032x}", "client_B", "m", Decimal(1)) for number in range(30)]
    fill(stage.database, rows)
    for client in (None, "client_A"):
        (is_all, matches), = stage.database.rows(WINDOW, (hour + timedelta(minutes=4), client))
        assert not is_all and 3900 <= matches <= 4100, client
    assert stage.database.rows(WINDOW, (hour + timedelta(minutes=4), "client_B")) == [(True, 30)]
    assert stage.database.rows(WINDOW, (hour + timedelta(minutes=4), "client_C")) == [(True, 0)]


def test_hash(filled):
    console, rows = filled
    time, key, client, _, _ = rows[1234]
    assert keys_of(page(console, hash=key_text(key))["events"]) == [key]
    assert page(console, hash=key_text(key).upper(), client=client)["next_cursor"] is None
    assert page(console, hash=key_text(key), client="nobody")["events"] == []
    assert page(console, hash="00000000-0000-0000-0000-000000000000")["events"] == []
    for parameters in ({}, {"event_time": time.isoformat().replace("+00:00", "Z")}):
        answer = console.get(f"/api/v1/events/{key_text(key)}", **parameters)
        assert answer.status == 200 and keys_of([answer.json]) == [key], answer
    assert console.get(f"/api/v1/events/{key_text(key)}", event_time="2024-05-01").status == 404
    assert console.get("/api/v1/events/00000000-0000-0000-0000-000000000000").status == 404


def key_text(key):
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def test_streams(filled):
    console, rows = filled
    lines = console.get("/api/v1/events", format="ndjson")
    assert lines.media_type == "application/x-ndjson"
    assert keys_of(map(json.loads, lines.text.splitlines())) == [row[1] for row in rows]
    sheet = console.get("/api/v1/events", format="csv", client=CLIENTS[3])
    assert sheet.media_type == "text/csv" and "events.csv" in sheet.headers["content-disposition"]
    told = list(csv.DictReader(io.StringIO(sheet.text, newline="")))
    assert [row["event_hash"].replace("-", "") for row in told] == [row[1] for row in rows if row[2] == CLIENTS[3]]
    assert {row["client_id"] for row in told} == {CLIENTS[3]}
    assert sheet.text.startswith("timestamp,client_id,metric,amount,event_hash,ingested_at,topic,partition,offset\r\n")
    assert len(console.get("/api/v1/events", format="ndjson", limit=10).text.splitlines()) == 10
    assert console.get("/api/v1/events", format="csv", client="nobody").text.count("\r\n") == 1


@pytest.mark.parametrize("path", ["events", "aggregates", "failed", "failed/items"])
def test_a_period_ends_behind_its_begin(console, path):
    period = {"from": "2024-02-01T00:00:00.5Z", "to": "2024-02-01T00:00:00Z"}
    answer = console.get(f"/api/v1/{path}", **period)
    assert (answer.status, answer.json["parameter"], answer.json["found"]) == (400, "from", period["from"]), answer
    assert "`to`" in answer.json["expected"] and period["to"] in answer.json["expected"]
    assert console.get(f"/api/v1/{path}", **{**period, "to": "2024-02-01T01:00:00.5+01:00"}).status == 200


@pytest.mark.parametrize("accept, media_type", [
    (None, "application/json"), ("*/*", "application/json"), ("text/csv", "text/csv"),
    ("text/html, application/x-ndjson;q=0.5", "application/x-ndjson"), ("text/*", "text/csv"),
    ("application/json;q=0.1, text/csv;q=0.2", "text/csv"), ("text/html", None), ("*/*;q=0", None)])
def test_accept(console, accept, media_type):
    answer = console.ask("GET", "/api/v1/events", headers={"Accept": accept} if accept else {})
    if media_type is None:
        assert answer.status == 406 and answer.json["parameter"] == "Accept", answer
    else:
        assert answer.status == 200 and answer.media_type == media_type, answer


@pytest.mark.parametrize("path, parameter", [
    ("events?limit=0", "limit"), ("events?limit=1001", "limit"), ("events?limit=x", "limit"), ("events?from=1", "from"),
    ("events?from=2024-02-30", "from"), ("events?to=2024-01-01T00:00", "to"), ("events?amount_min=1e3", "amount_min"),
    ("events?amount_max=1,0", "amount_max"), ("events?hash=x", "hash"), ("events?client=", "client"),
    ("events?q=" + "x" * 201, "q"), ("events?cursor=1_2", "cursor"), ("events?cursor=" + "9" * 30 + "_" + "0" * 32, "cursor"),
    ("events?cursor=-1_" + "0" * 32, "cursor"), ("events?format=xml", "format"), ("events?clinet=x", "clinet"),
    ("events/x", "hash"), ("messages/x/1", "partition"), ("messages/0/1?event_hash=1", "event_hash"),
    ("messages/0/1?event_time=now", "event_time")])
def test_bad_questions(console, path, parameter):
    answer = console.get(f"/api/v1/{path}")
    assert answer.status == 400, answer
    assert answer.json["parameter"] == parameter


def test_what_was_submitted_is_found(stage, console):
    """From the API's own POST to the page, and the states of its messages."""
    event = {"client": "shop", "metric": "sale", "amount": "1,200.50", "time": "2024-01-01T10:00:00Z"}
    with stage.joined_pool():
        stored = console.post("/api/v1/events", event, wait="30s").json
        again = console.post("/api/v1/events", {**event, "amount": 1200.5}, wait="30s").json
        failed = console.post("/api/v1/events", {**event, "amount": "x"}, wait="30s").json["submission"]
    (found,) = page(console)["events"]
    assert found["event_hash"] == stored["event_hash"] and found["amount"] == "1200.5"
    assert found["origin"] == {name: stored[name] for name in ("topic", "partition", "offset")}
    assert console.follow(stored["state_url"]).json["state"] == "completed"
    told = console.follow(again["state_url"]).json
    assert told["state"] == "duplicate" and told["duplicate_of"] == found["origin"]
    told = console.follow(failed["state_url"]).json
    assert (told["state"], told["reason"], told["resolved"]) == ("failed", "amount_invalid", False)
    (explained,) = explain([json.dumps(event).encode()], 0)
    assert explained["event"]["event_hash"] == found["event_hash"]
    for parameters in ({}, {"event_hash": found["event_hash"]}):
        answer = console.get(f"/api/v1/messages/{stored['partition']}/{stored['offset']}", **parameters)
        assert answer.json["state"] == "completed", answer
    assert console.get(f"/api/v1/messages/{stored['partition']}/99999").json["state"] == "not_seen"
    known = {**stage.settings, "brokers": "127.0.0.1:1"}
    with Console(known) as blind:  # where the log ends is not known: then it may be there
        assert blind.get(f"/api/v1/messages/{stored['partition']}/99999").json["state"] == "processing"


def test_that_nothing_was_stored_takes_no_reading(stage, console):
    """Of a message whose batch is known, only what was stored with that batch is looked at."""
    event = {"client": "shop", "metric": "sale", "amount": 1, "time": "2024-01-01T10:00:00Z"}
    with stage.joined_pool():
        stored = console.post("/api/v1/events", event, wait="30s").json
    stage.database.run("UPDATE winnow.event SET ingested_at = ingested_at - interval '1 day'")
    assert console.get(f"/api/v1/messages/{stored['partition']}/{stored['offset']}").json["state"] == "not_seen"
    stage.database.run("DELETE FROM winnow.batch_log")
    assert console.get(f"/api/v1/messages/{stored['partition']}/{stored['offset']}").json["state"] == "completed"


# ---- many events, as they come: late, early, at the same moment -------------------------------------------------------------

MANY = """
INSERT INTO winnow.event (bucket, event_time, ingested_at, origin_offset, event_hash, origin_partition, stream_id, client_id,
    metric, amount)
SELECT date_bin('1 day', t, 'epoch'), t, i, n, md5(n::text)::uuid, 0, 1,
    CASE WHEN n %% 20000 = 77 THEN 'rare' ELSE 'client_' || floor(40 * power(random(), 3))::int END,
    (ARRAY['sale', 'refund', 'click'])[1 + n %% 3], (n * 7919 %% 10007)::numeric / 100
FROM (SELECT n, i, date_bin('10 ms', CASE
        WHEN n %% 997 = 0 THEN i - random() * interval '3 days'
        WHEN n %% 5003 = 0 THEN i + random() * interval '90 minutes'
        ELSE i - random() * interval '20 s' END, 'epoch') AS t
    FROM (SELECT n, now() - (%(rows)s - n) * %(step)s::interval AS i FROM generate_series(1, %(rows)s) AS n) AS paced) AS made"""
MANY_ROLLUPS = (
    "INSERT INTO winnow.rollup_hour SELECT date_bin('1 hour', event_time, 'epoch'), client_id, metric, 1, 0, count(*), sum(amount) "
    "FROM winnow.event GROUP BY 1, 2, 3",
    *(f"INSERT INTO winnow.rollup_{name} SELECT {column}, 1, 0, sum(event_count), sum(amount_sum) FROM winnow.rollup_hour GROUP BY 1"
      for name, column in (("client", "client_id"), ("metric", "metric"), ("day", "date_bin('1 day', bucket, 'epoch')"))))


def many_filters(draw, moments):
    """(parameters, their condition in SQL)."""
    client, metric, low = f"client_{draw.randrange(40)}", draw.choice(("sale", "refund")), draw.randrange(90)
    begin, end = sorted(draw.sample(moments, 2))
    time = "%Y-%m-%dT%H:%M:%S.%fZ"
    return [({}, "true"), ({"client": client}, f"client_id = '{client}'"), ({"client": "rare"}, "client_id = 'rare'"),
            ({"metric": metric}, f"metric = '{metric}'"),
            ({"client": client, "metric": metric}, f"client_id = '{client}' AND metric = '{metric}'"),
            ({"client": client, "amount_min": str(low), "amount_max": str(low + 10)},
             f"client_id = '{client}' AND amount BETWEEN {low} AND {low + 10}"),
            ({"amount_min": str(low), "amount_max": f"{low}.05"}, f"amount BETWEEN {low} AND {low}.05"),
            ({"from": begin.strftime(time), "to": end.strftime(time)}, f"event_time >= '{begin}' AND event_time < '{end}'"),
            ({"client": client, "to": end.strftime(time)}, f"client_id = '{client}' AND event_time < '{end}'"),
            ({"q": "IENT_1"}, "client_id LIKE '%ient_1%'"), ({"q": client, "from": begin.strftime(time)},
                                                            f"client_id LIKE '%{client}%' AND event_time >= '{begin}'")]


@pytest.mark.parametrize("step", ["1 ms", "3 s"])
def test_pages_of_many_events_are_in_the_order_of_the_database(stage, console, step):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    draw = random.Random(seed)
    database = stage.database
    database.run("SELECT setseed(%s)", (draw.random(),))
    database.run("SELECT winnow.ensure_event_month((now() - make_interval(months => m))::date) FROM generate_series(0, 1) AS m")
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', 'events', 'c')")
    database.run(MANY, {"rows": 90000, "step": step})
    for statement in MANY_ROLLUPS:
        database.run(statement)
    database.run("SELECT winnow.summarize_events()")
    moments = [time for time, in database.rows("SELECT event_time FROM winnow.event WHERE origin_offset %% 1000 = 0", ())]
    for parameters, condition in many_filters(draw, moments):
        wanted = database.rows("SELECT replace(event_hash::text, '-', ''), (extract(epoch FROM event_time) * 1000000)::bigint FROM "
                               f"winnow.event WHERE {condition} ORDER BY event_time DESC, event_hash DESC")
        deep = draw.randrange(len(wanted)) if wanted else 0
        for begin in (0, deep):
            cursor = {"cursor": f"{wanted[begin - 1][1]}_{wanted[begin - 1][0]}"} if begin > 0 else {}
            for _ in range(2):
                limit = draw.choice((1, 50, 300))
                page = console.get("/api/v1/events", limit=limit, **parameters, **cursor).json
                assert keys_of(page["events"]) == [key for key, _ in wanted[begin:begin + limit]], (parameters, cursor, limit)
                begin += limit
                assert (page["next_cursor"] is not None) == (begin < len(wanted))
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}


def test_a_wide_look_is_shared(stage, make_console):
    """A page of few events among very many is looked for by two processes of the server; by one, when it has no other."""
    database = stage.database
    database.run("SELECT winnow.ensure_event_month('2024-03-01')")
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('winnow', 'events', 'c')")
    database.run("INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id, "
                 "metric, amount) SELECT '2024-03-01', '2024-03-01'::timestamptz + n * interval '15 ms', n, md5(n::text)::uuid, 0, 1, "
                 "CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'client' END, 'm', n % 7 FROM generate_series(1, 200000) AS n")
    database.run("INSERT INTO winnow.rollup_hour SELECT '2024-03-01', client_id, 'm', 1, 0, count(*), sum(amount) FROM winnow.event "
                 "GROUP BY client_id")
    database.run("INSERT INTO winnow.rollup_client SELECT client_id, 1, 0, event_count, amount_sum FROM winnow.rollup_hour")
    database.run("ANALYZE winnow.event")
    for setting in ("session_preload_libraries = auto_explain", "auto_explain.log_min_duration = 0",
                    "auto_explain.log_analyze = on", "max_parallel_workers = 8"):
        database.run(f'ALTER DATABASE "{database.name}" SET {setting}')
    expected = [row[0] for row in database.rows("SELECT replace(event_hash::text, '-', '') FROM winnow.event "
                                                "WHERE client_id = 'rare' AND amount >= 3 ORDER BY event_time DESC LIMIT 50")]
    for launched in (1, 0):
        logged = len(database.server.log_text())
        assert keys_of(page(make_console(stage), client="rare", amount_min="3")["events"]) == expected
        text = database.server.log_text()[logged:]
        assert [line.split()[-1] for line in text.splitlines() if "Workers Launched" in line] == [str(launched)], text
        database.run(f'ALTER DATABASE "{database.name}" SET max_parallel_workers = 0')
