"""Clients that mean no good, or stop halfway; servers that go away. Others are answered all the same, never by a crash,
and never by a fault of the console's own."""

import http.client
import json
import os
import random
import re
import resource
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from winnow_test import history
from winnow_test.console import Answer
from winnow_test.crowd import Crowd
from winnow_test.poll import wait_until
from winnow_test.process import ROOT

PATIENT_S = 10  # of a client that means well; whoever is held up by others waits until they are cut, for 30 s
TWELVE = '{"source":"client_A","metric":"sale","amount":"twelve","timestamp":"2024-01-01"}'
GOOD = '{"source":"client_A","metric":"sale","amount":"12","timestamp":"2024-01-01"}'
ROWS = 60_000  # more than what the kernel takes off our hands for a client that reads nothing
HELD_UP_S = 20  # of a question that waits for a statement's end instead of for the database
WORK_THREADS = 6  # each may have a connection to PostgreSQL
MEMORY_MIB = 64
EXPORT = "/api/v1/events?format=csv"


@pytest.fixture
def filled(stage):
    """A stage with events and a failure."""
    history.fill(stage.database, stage.settings["group"], "elsewhere", ROWS)
    stage.send(TWELVE, GOOD)
    with stage.pool():
        stage.wait_until_caught_up()
    return stage


def peak_memory_mib(console):
    status = Path(f"/proc/{console.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def descriptors(console):
    return len(list(Path(f"/proc/{console.process.pid}/fd").iterdir()))


def assert_serves(console):
    """Each kind of route answers in good time."""
    for method, path, body in (("GET", "/livez", None), ("GET", "/", None), ("GET", "/api/v1/events?limit=5", None),
                               ("GET", "/api/v1/failed", None), ("POST", "/api/v1/events", GOOD)):
        begun = time.monotonic()
        answer = console.ask(method, path, body, headers={"Accept-Encoding": "gzip"})
        assert answer.status in (200, 202), (path, answer)
        assert time.monotonic() - begun < PATIENT_S, path


def assert_problem(answer, asked):
    assert answer.media_type == "application/problem+json", (asked, answer)
    told = answer.json
    assert told["status"] == answer.status and told["type"].startswith("/docs#problem-") and told["title"], (asked, answer)


# ---- connections --------------------------------------------------------------------------------------------------

@pytest.fixture
def console_as_from_a_login(stage, make_console):
    """Started with 1,024 descriptors at most, unless it asks for more; we ourselves need more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        made = make_console(stage)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield made
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_crowd(filled, console_as_from_a_login):
    """1,000 that say nothing, 200 that are slow. A slow reader still has what it was sent when it is cut: whether it was
    is seen by the descriptors."""
    console = console_as_from_a_login
    assert_serves(console)
    had = descriptors(console)
    kinds = {"idle": 1000, "head": 70, "body": 70, "reader": 60}
    with Crowd(console.port, kinds, EXPORT) as crowd:
        wait_until(lambda: descriptors(console) > 1150, 20, "they are let in")
        for _ in range(5):
            assert_serves(console)
        wait_until(lambda: descriptors(console) <= had + WORK_THREADS, 90, "all of them are cut", interval_s=0.5,
                   on_timeout=lambda: {kind: crowd.cut(kind) for kind in kinds})
        for kind in ("idle", "head", "body"):
            wait_until(lambda kind=kind: crowd.cut(kind) == kinds[kind], 60, f"those of {kind} notice")
            assert min(guest.cut_after_s for guest in crowd.of(kind)) > 20, "nobody is cut early"
        assert_serves(console)
    assert peak_memory_mib(console) < MEMORY_MIB


def test_few_read_long_answers_at_a_time(filled, console):
    """The fourth is told so, and all may when one has ended."""
    with Crowd(console.port, {"reader": 3}, EXPORT):
        answer = wait_until(lambda: (told := console.get("/api/v1/events", format="csv", limit=1)).status == 429 and told, 20,
                            "there is no room for another")
        assert_problem(answer, EXPORT)
        assert int(answer.headers["retry-after"]) >= 1
        assert console.get("/api/v1/events", limit=1000).status == 200
    wait_until(lambda: console.get("/api/v1/events", format="csv", limit=1).status == 200, 60, "the readers were given up")
    assert console.ask("GET", EXPORT).body.count(b"\n") > ROWS


def test_long_bodies_that_never_end(console):
    """They take all that bodies may take together; an event is short."""
    size = 1024 * 1024
    crowd = [console.socket() for _ in range(40)]
    for connection in crowd:
        connection.sendall(b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % size + b"x" * (size - 1))
    wait_until(lambda: console.post("/api/v1/explain", "x" * 1_500_000).status == 429, 20, "there is no room for long bodies")
    for _ in range(20):
        assert console.post("/api/v1/explain", "x" * 16_000).status == 200
    assert_serves(console)
    for connection in crowd:
        connection.close()
    wait_until(lambda: console.post("/api/v1/explain", "x" * 1_500_000).status == 200, 60, "there is room again")


# ---- what is no HTTP ------------------------------------------------------------------------------------------------

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BROKEN = {
    "nothing": b"\r\n\r\n\r\n", "zeros": b"\x00" * 4096, "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 512,
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no version": b"GET /\r\n\r\n", "version 9": b"GET / HTTP/9.9\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n", "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ",
    "negative length": POST + b"Content-Length: -1\r\n\r\n{}", "endless length": POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "length in words": POST + b"Content-Length: ten\r\n\r\n{}", "both lengths": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", "endless chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    "unknown coding": POST + b"Transfer-Encoding: zip\r\n\r\n{}", "long header": GET + b"X: " + b"x" * 60000 + b"\r\n\r\n",
    "many headers": GET + b"X: y\r\n" * 20000 + b"\r\n", "header without colon": GET + b"nonsense\r\n\r\n",
    "folded": GET + b"X: y\r\n z\r\n\r\n", "nul in header": GET + b"X: a\x00b\r\n\r\n", "long line": b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "nul in path": b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n", "long method": b"A" * 20000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "other host": b"GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", "line feeds": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", "upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "cut in body": POST + b"Content-Length: 100\r\n\r\n{", "many at once": (GET + b"\r\n") * 500,
}


SILENCE_S = 0.5
OK = b"HTTP/1.1 200 "


def send_broken(console, name):
    """What is answered until the end of the connection, until nothing more comes, or until all that are expected came."""
    told, expected = b"", BROKEN[name].count(GET + b"\r\n")
    with console.socket(40 if expected > 1 else SILENCE_S) as connection:
        try:
            connection.sendall(BROKEN[name])
            while (expected <= 1 or told.count(OK) < expected) and (part := connection.recv(65536)):
                told += part
        except OSError:
            pass  # cut, or silent until it is cut
    return told


def test_broken_http(console):
    """An answer that says so, or none; all else goes on."""
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(BROKEN, pool.map(lambda name: send_broken(console, name), BROKEN)))
    for name, told in answers.items():
        statuses = [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", told, re.MULTILINE)]
        assert all(status < 500 or status in (501, 503, 505) for status in statuses), (name, told[:500])
    assert answers["many at once"].count(OK) == 500
    assert_serves(console)


# ---- what is HTTP and nonsense -------------------------------------------------------------------------------------

SEED = int(os.environ.get("SEED") or 0) or random.randrange(1, 1 << 31)
REQUESTS = 3000
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROB", "get")
TEXTS = ("", "0", "1", "-1", "9" * 40, "1e400", "NaN", "null", "true", "a", "client_001", "sale", "amount_invalid", "\x00", "\x7f",
         "\ud7ff", "\U0001f600", "%", "'", "\"", "'; DROP TABLE winnow.event; --", "{}", "[]", "$1", "\\", "../../etc/passwd", "2024-01-01",
         "2024-02-30", "2024-01-01T00:00:00Z", "infinity", "0001-01-01", "9999-12-31T23:59:60+99:99", "client,metric", "client,client",
         "hour,day", "csv", "ndjson", "json", "xml", "all", "open", "1h", "30s", "250ms", "x" * 300, "ä" * 200, "😀" * 201,
         "00000000-0000-0000-0000-000000000000", "1700000000000000_" + "0" * 32, "9223372036854775807", "2147483648", "0.1", "-0.5",
         "1" * 31, "." , "0." + "1" * 19)
BODIES = ("", "{}", "[]", "null", "\x00", "{", "\"\\ud800\"", "{\"a\":" * 200, "[" * 5000, GOOD, TWELVE, "\n\n", GOOD + "\n" + TWELVE,
          '{"value":"x"}', '{"value":null}', '{"note":""}', '{"note":"n"}', '{"note":"n","extra":1}', '{"reason":"nonsense","client_id":null}',
          '{"reason":"amount_invalid","client_id":"client_A","note":"n","limit":0}', '{"reason":"amount_invalid","client_id":1}',
          '{"reason":"amount_invalid","client_id":"client_A","note":"n","limit":1e9}', '{"value":"x","value":"y"}', '{"note":"' + "n" * 501 + '"}',
          '{"note":"\\u0000"}', '{"value":"\\u0000"}', '{"value":"\\ud800"}')
TYPES = ("application/json", "application/x-ndjson", "text/plain", "", "application/json; charset=latin-1", "multipart/form-data; boundary=x")


def make_request(chance, routes):
    """(method, target, body, headers), mostly near what is right."""
    path, operations = chance.choice(routes)
    path = re.sub(r"\{\w+\}", lambda _: quote(chance.choice(("0", "1", "x", *TEXTS)), safe=""), path)
    if chance.random() < 0.15:
        at = chance.randrange(len(path) + 1)
        path = path[:at] + chance.choice(("/", "%", "%00", "%ff", "%2e%2e", "//", ";", "~", "%E2%82")) + path[at:]
    known = sorted({name for operation in operations.values() for name in operation})
    chosen = [(chance.choice(known) if known and chance.random() < 0.9 else chance.choice(TEXTS), chance.choice(TEXTS))
              for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 8)))]
    if chosen:
        path += "?" + (urlencode(chosen) if chance.random() < 0.9 else "&".join(f"{quote(name)}%zz={quote(text)}" for name, text in chosen))
    method = chance.choice((*operations, *operations, *operations, chance.choice(METHODS)))
    body = chance.choice((None, *BODIES)) if method in ("POST", "PUT", "PATCH") or chance.random() < 0.05 else None
    headers = {"Accept-Encoding": "gzip"}
    if body is not None:
        headers["Content-Type"] = chance.choice((*TYPES[:1] * 6, *TYPES))
    if chance.random() < 0.1:
        headers[chance.choice(("Origin", "Accept", "If-None-Match", "Last-Event-ID", "Authorization", "Sec-Fetch-Site"))] = (
            chance.choice(("null", "x", "*/*", "http://localhost", "text/csv;q=0", "Bearer x", "cross-site", "9" * 30, "é")))
    return method, path, body.encode("utf-8", "surrogatepass") if body is not None else None, headers


def routes_of():
    document = json.loads((ROOT / "worker/console/openapi.json").read_text(encoding="utf-8"))
    shared = {name: parameter["name"] for name, parameter in document["components"]["parameters"].items()}

    def names(operation):
        return [parameter["name"] if "name" in parameter else shared[parameter["$ref"].split("/")[-1]]
                for parameter in operation.get("parameters", ())]

    made = [(path, {method.upper(): names(operation) for method, operation in item.items() if method in ("get", "post")})
            for path, item in document["paths"].items()]
    return [*made, ("/", {"GET": []}), ("/docs", {"GET": []}), ("/nothing", {"GET": []})]


def judge(answer, asked):
    assert answer.status < 500 or answer.status == 503, (asked, answer)
    if answer.status >= 400 and asked[0] != "HEAD":
        assert_problem(answer, asked)


def send_nonsense(console, seed, count):
    """On a connection that is kept as long as it lasts. Returns what statuses came."""
    chance, routes, statuses = random.Random(seed), routes_of(), Counter()
    connection = console.connect(40)
    for number in range(count):
        asked = make_request(chance, routes)
        if asked[1].startswith("/api/v1/live") and asked[0] == "GET":
            continue  # has no end
        try:
            connection.request(*asked)
            response = connection.getresponse()
            answer = Answer(response, response.read())
        except (http.client.HTTPException, OSError) as error:
            raise AssertionError(f"request {number} of seed {seed}: {asked}: {error!r}") from error
        judge(answer, (*asked, f"request {number} of seed {seed}"))
        statuses[answer.status] += 1
    connection.close()
    return statuses


def test_nonsense(filled, console):
    """SEED= replays."""
    print(f"SEED={SEED}")
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(send_nonsense, console, SEED + number, REQUESTS // 4) for number in range(4)]
        statuses = sum((done.result() for done in made), Counter())
    print(dict(statuses))
    assert {200, 400, 404, 405, 415} <= set(statuses)
    assert_serves(console)
    assert filled.database.value("SELECT count(*) FROM winnow.event") >= ROWS


# ---- servers that go away ------------------------------------------------------------------------------------------

def ask_on(console, path, stop, seen):
    """Asks again and again; (status, seconds) of each."""
    while not stop.is_set():
        begun = time.monotonic()
        answer = console.get(path)
        seen.append((answer.status, time.monotonic() - begun))
        judge(answer, ("GET", path))
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1


def test_database_restarts_under_load(filled, console, postgres):
    paths = ("/api/v1/events?limit=3", "/api/v1/aggregates?by=client", "/api/v1/failed", "/api/v1/messages/0/0", "/livez") * 2
    stop, seen = threading.Event(), {path: [] for path in paths}
    with ThreadPoolExecutor(len(paths)) as pool:
        asking = [pool.submit(ask_on, console, path, stop, seen[path]) for path in paths]
        try:
            for mode in ("fast", "immediate"):
                postgres.stop(mode)
                wait_until(lambda: all(seen[path][-1:] and seen[path][-1][0] == 503 for path in paths[:4]), 60, "all are told")
                postgres.start()
                wait_until(lambda: all(seen[path][-1][0] == 200 for path in paths[:4]), 60, "all are answered again")
        finally:
            stop.set()
        for done in asking:
            done.result()
    assert {status for status, _ in seen["/livez"]} == {200}
    assert max(seconds for answers in seen.values() for _, seconds in answers) < HELD_UP_S


def test_kafka_goes_under_load(stage, console):
    def submit(number):
        return console.post("/api/v1/events", {"client": f"c{number}", "metric": "m", "amount": number})

    with ThreadPoolExecutor(60) as pool:
        stage.broker.command("down")
        try:
            answers = list(pool.map(submit, range(60)))
            assert console.get("/api/v1/events").status == 200
        finally:
            stage.broker.command("up")
        assert {answer.status for answer in answers} <= {202, 503} and any(answer.status == 503 for answer in answers)
        for answer in answers:
            judge(answer, ("POST",))
        wait_until(lambda: submit(0).status == 202, 60, "Kafka is back")
        assert {answer.status for answer in pool.map(submit, range(200))} == {202}
