"""The server beneath the routes: limits, broken requests, many idle and slow connections, its end."""

import http.client
import json
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from winnow_test.poll import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = json.loads((ROOT / "worker/console/openapi.json").read_text())
README = (ROOT / "worker" / "console" / "README.md").read_text(encoding="utf-8")
HELD_UP_S = 10     # whoever has to wait for the slow ones waits until they are cut, for 30 s
ENDS_WITHIN_S = 15  # who waits for an outcome does so for 30 s
EVENT = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}


def raw(console, text, timeout_s=20):
    """What the server answers to these bytes, until it closes."""
    with console.socket(timeout_s) as connection:
        connection.sendall(text)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def resident_kib(console):
    text = Path(f"/proc/{console.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])


def test_the_contract_lists_every_route(console):
    source = (ROOT / "worker/console/route.c").read_text()
    routes = {(method, path) for method, path in re.findall(r'\{"(GET|POST)", "([^"]+)", ROUTE', source)}
    undocumented = {("GET", "/docs"), ("GET", "/docs.js"), ("GET", "/docs.css"), ("GET", "/")}
    told = {(method.upper(), path) for path, item in CONTRACT["paths"].items() for method in item}
    assert routes - undocumented == told
    assert console.get("/openapi.json").json == CONTRACT


def test_names_of_parameters_are_exact(console):
    answer = console.get("/api/v1/events", LIMIT=1)
    assert (answer.status, answer.json["parameter"]) == (400, "LIMIT"), answer
    assert "limit" in answer.json["expected"]


@pytest.mark.parametrize("method, path, status", [("POST", "/api/v1/failed/0/0/undo", 404), ("GET", "/api/v1/session", 200)])
def test_a_body_that_means_nothing(console, method, path, status):
    """Some clients send an empty object with everything."""
    assert console.ask(method, path, {}).status == status
    assert console.ask(method, path, b"x" * 20000).status == 413


def test_the_reference_has_the_icon(console):
    address = re.search(r'rel="icon" href="([^"]+)"', console.get("/docs").text)[1]
    assert console.get(address).media_type == "image/svg+xml"


def test_the_contract_lists_every_problem():
    source = (ROOT / "worker/console/problem.h").read_text()
    listed = {(name, int(status), title) for name, status, title in
              re.findall(r'X\(\w+, "([^"]+)", (\d+), "([^"]+)"\)', source)}
    assert listed == {(kind["name"], kind["status"], kind["title"]) for kind in CONTRACT["x-winnow-problems"]}


def test_the_contract_lists_busy_and_stopping():
    """Any route may be asked while the console is being stopped; whatever a thread answers may find all of them busy."""
    source = " ".join((ROOT / "worker/console/route.c").read_text().split())
    for path, item in CONTRACT["paths"].items():
        for method, operation in item.items():
            inline = f'{{"{method.upper()}", "{path}", ROUTE_INLINE' in source
            assert {"503"} | (set() if inline else {"429"}) <= set(operation["responses"]), (method, path)


def test_contract_parameters_are_those_of_the_routes():
    source = " ".join((ROOT / "worker/console/route.c").read_text().split())
    for path, item in CONTRACT["paths"].items():
        for method, operation in item.items():
            told = {parameter["name"] for parameter in
                    (CONTRACT["components"]["parameters"][one["$ref"].split("/")[-1]] if "$ref" in one else one
                     for one in operation.get("parameters", []))
                    if parameter["in"] == "query"}
            known = re.search(r'\{"%s", "%s", ROUTE_\w+, ROLE_\w+, \w+, \w+, "([^"]*)"' %
                              (method.upper(), re.escape(path)), source)
            assert known and set(known[1].split()) == told, path


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/", 200), ("GET", "/docs", 200), ("HEAD", "/docs", 200), ("GET", "/docs.js", 200),
    ("GET", "/nowhere", 404), ("GET", "/api/v1/nowhere", 404), ("GET", "/api/v1/", 404), ("GET", "//", 404),
    ("PUT", "/api/v1/events", 405), ("DELETE", "/livez", 405), ("POST", "/", 405),
    ("GET", "/api/v1/status?x=1", 400), ("GET", "/api/v1/status?%zz", 400), ("GET", "/api/v1/status?a=%00", 400),
    ("GET", "/api/v1/status?a=%ff", 400), ("GET", "/api/v1/messages/0/x", 400), ("GET", "/api/v1/messages/-1/0", 400),
    ("GET", "/api/v1/messages/99999999999/0", 400), ("GET", "/api/v1/messages/%00/0", 400),
    ("GET", "/api/v1/events?limit=1&limit=2", 400),
])
def test_paths(console, method, path, status):
    answer = console.ask(method, path)
    assert answer.status == status, answer
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status >= 400 and method != "HEAD":
        assert answer.media_type == "application/problem+json"
        assert answer.json["status"] == status
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/api/v1/live", "/api/v1/events?format=csv", "/api/v1/nowhere"])
def test_head_ends_with_its_header(console, path):
    """libmicrohttpd 0.9.75 sends the end of a chunked body after it, which the next answer would begin with."""
    with console.socket() as connection, connection.makefile("rb") as answers:
        connection.sendall(b"HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        header = b"".join(iter(answers.readline, b"\r\n"))
        assert header.startswith(b"HTTP/1.1 "), header
        if b"connection: close" not in header.lower():
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert answers.readline().startswith(b"HTTP/1.1 200 ")
        else:
            assert answers.read() == b""


def test_an_unknown_parameter_gets_a_hint(console):
    told = console.get("/api/v1/events?clinet=a").json
    assert told["parameter"] == "clinet"
    assert "did you mean client?" in told["detail"]


@pytest.mark.parametrize("query, parameter, found", [
    ("client=a&client=b", "client", "client=b"), ("client=%41&cl%69ent=%42+c", "client", "cl%69ent=%42+c"),
    ("client=%ff", "client", "client=%ff"), ("client=%C3%B6%FF", "client", "client=%C3%B6%FF"),
    ("metric=m&client=a%2", "client", "client=a%2"), ("client=a%00b", "client", "client=a%00b"),
    ("%ff=a", "the query", "%ff=a"), ("%ff", "the query", "%ff")])
def test_a_query_is_shown_as_it_was_sent(console, query, parameter, found):
    told = console.get(f"/api/v1/events?{query}")
    assert told.status == 400
    assert (told.json["parameter"], told.json["in"], told.json["found"]) == (parameter, "query", found)


def test_headers_have_the_room_that_the_readme_tells(console):
    """In one header or in many, also before an answer that is long."""
    told = re.search(r"(\d+) KiB for its first line and its headers, each counted with (\d+) bytes more", README)
    room, more = int(told[1]) * 1024, int(told[2])
    for path in ("/api/v1/status", "/api/v1/events?format=csv", "/openapi.json"):
        begin = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        left = room - len(begin) - 2 * more
        one = f"X: {'x' * (left - more - 5)}\r\n"
        few = f"X: {'x' * 995}\r\n" * (left // (1000 + more))
        many = f"X: {'x' * 95}\r\n" * (left // (100 + more))
        short = "X: y\r\n" * (left // (6 + more))
        for headers in (one, few, many, short):
            assert raw(console, (begin + headers + "\r\n").encode()).startswith(b"HTTP/1.1 200 "), (path, headers[:20])
        assert not raw(console, (begin + one + f"Y: {'y' * 2048}\r\n\r\n").encode()).startswith(b"HTTP/1.1 200 ")


def test_etag(console):
    first = console.ask("GET", "/openapi.json")
    again = console.ask("GET", "/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert console.ask("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert json.loads(first.body) == CONTRACT


SUBMIT = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
BROKEN = {
    "short": b"GET\r\n\r\n", "version": b"GET /livez HTTP/9.9\r\n\r\n",
    "old": b"GET /livez HTTP/0.9\r\n\r\n", "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50 + b"\r\n\r\n",
    "header": LIVEZ + b"X: " + b"x" * 70000 + b"\r\n\r\n", "line": b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    "no header": LIVEZ + b"no header\r\n\r\n", "negative": SUBMIT + b"Content-Length: -1\r\n\r\n" + LIVEZ + b"\r\n",
    "twisted": SUBMIT + b"Content-Length: 2x\r\n\r\n{}", "too large": SUBMIT + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n{}",
    "chunk": SUBMIT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "long chunk": SUBMIT + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n"}


def ends(console, text):
    """What is answered, and whether the connection is closed then."""
    with console.socket(20) as connection:
        connection.sendall(text)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        except TimeoutError:
            return answer, False
        return answer, True


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http(console, text):
    """The library refuses it: with one page, or nothing, and the end; nothing behind it is taken for a request. Of
    Content-Length it may send the head twice."""
    answer, closed = ends(console, text)
    assert closed
    assert answer == b"" or int(answer.split()[1]) in (400, 413, 414, 431, 505), answer[:200]
    assert len(set(re.findall(rb"HTTP/1.1 (\d+)", answer))) <= 1 and answer.count(b"<html>") <= 1, answer
    assert not re.search(rb"microhttpd|winnow|localhost|/livez", answer), answer
    assert console.get("/livez").status == 200


@pytest.mark.parametrize("text, header", [
    (b"GET /livez HTTP/1.1\r\n\r\n", "Host"), (LIVEZ + b"Host: localhost\r\n\r\n", "Host"),
    (SUBMIT + b"Content-Length: 2\r\ncontent-length: 3\r\n\r\n{}", "Content-Length"),
    (SUBMIT + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Content-Length"),
    (SUBMIT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding"),
    (SUBMIT + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding"),
    (LIVEZ + b"Content-Length : 48\r\n\r\n" + LIVEZ + b"\r\n", "a header")],
    ids=["no host", "two hosts", "two lengths", "two framings", "two codings", "other coding", "space"])
def test_a_request_that_others_may_read_otherwise(console, text, header):
    """A proxy may see another host in it, or another end."""
    answer, closed = ends(console, text)
    head, body = answer.split(b"\r\n\r\n")
    told = json.loads(body)
    assert closed and head.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in head
    assert (told["parameter"], told["in"]) == (header, "header") and told["expected"]


def test_an_old_client_needs_no_host(console):
    answer, closed = ends(console, b"GET /livez HTTP/1.0\r\n\r\n")
    assert closed and answer.split()[1] == b"200"


def test_a_target_with_a_space(console):
    answer, _ = ends(console, b"GET /a b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert json.loads(answer.split(b"\r\n\r\n")[1])["status"] == 404


def test_a_length_that_never_comes(console):
    answer = raw(console, SUBMIT + b"Content-Length: 9999999999999\r\n\r\n{}", timeout_s=3)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"problem+json" in answer
    assert console.get("/livez").status == 200


def test_requests_behind_one_another(console):
    connection = console.connect()
    for _ in range(50):
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b"ok\n"
        connection.request("POST", "/api/v1/events", b"x", {"Content-Type": "text/plain"})
        assert json.loads(connection.getresponse().read())["status"] == 415
    connection.close()


def test_idle_and_slow_connections_do_no_harm(console):
    """1,000 that say nothing and 200 that say a byte now and then, and everyone else is served as before."""
    idle = [console.socket() for _ in range(1000)]
    slow = [console.socket() for _ in range(200)]
    for connection in slow:
        connection.sendall(b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
                           b"Content-Type: application/json\r\n\r\n")
    took = []
    for _ in range(50):
        for connection in slow[:20]:
            connection.sendall(b"x")
        begun = time.monotonic()
        assert console.get("/livez").status == 200
        assert console.post("/api/v1/events", EVENT).status == 202
        took.append(time.monotonic() - begun)
    assert sorted(took)[45] < HELD_UP_S, took
    assert resident_kib(console) < 64 * 1024
    for connection in idle + slow:
        connection.close()


def test_bodies_are_bounded_together(console):
    """Forty long ones at once: those for which there is no room are refused, and the memory stays."""
    size = 1024 * 1024
    head = (b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % size)
    all_of_them = [console.socket() for _ in range(40)]
    for connection in all_of_them:
        connection.sendall(head + b"x" * (size - 1))
    for connection in all_of_them:
        connection.sendall(b"x")
    statuses = [int(connection.recv(65536).split()[1]) for connection in all_of_them]
    assert statuses.count(200) >= 20
    assert set(statuses) <= {200, 429}
    assert resident_kib(console) < 64 * 1024
    for connection in all_of_them:
        connection.close()
    assert console.post("/api/v1/explain", EVENT).status == 200


def test_a_request_that_never_ends_is_cut(console):
    """A byte now and then is not silence; the request has 30 s all the same."""
    begun = time.monotonic()
    with console.socket() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        ended = False
        while not ended and time.monotonic() - begun < 120:
            ready, _, _ = select.select([connection], [], [], 1)
            try:
                ended = bool(ready) and connection.recv(1000) == b""
                if not ended:
                    connection.sendall(b"X")
            except (BrokenPipeError, ConnectionResetError):
                ended = True
    assert ended and time.monotonic() - begun > 25


def test_a_slow_reader_is_cut(stage, console):
    """A hundred thousand events as CSV and nobody who takes them: memory stays, the thread comes back."""
    stage.database.run("""INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('x', 'y', 'z');
        INSERT INTO winnow.event SELECT '2024-01-01', '2024-01-01', now(), n, md5(n::text)::uuid, 0, 1, repeat('c', 150),
        repeat('m', 150), n FROM generate_series(1, 100000) AS n;
        INSERT INTO winnow.rollup_hour VALUES ('2024-01-01', repeat('c', 150), repeat('m', 150), 1, 0, 100000, 1)""")
    deaf = []
    for _ in range(2):  # of the three that may stream at a time
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", console.port))
        connection.sendall(b"GET /api/v1/events?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        deaf.append(connection)
    assert console.get("/api/v1/events", limit=1).status == 200
    whole = console.get("/api/v1/events", format="csv")
    assert whole.body.count(b"\n") == 100001
    assert resident_kib(console) < 64 * 1024
    wait_until(lambda: stage.database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND "
        "application_name = 'winnow console'") == 0, 90, "the statements of the slow readers have ended")
    for connection in deaf:
        connection.close()


def test_who_asks_alone_has_warm_sessions(stage, console):
    """One question after the other is answered by the thread that was at work last, not by each of the six in turn."""
    connection = console.connect()
    for _ in range(40):
        connection.request("GET", "/api/v1/events?limit=1")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    assert 1 <= stage.database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                                     "application_name = 'winnow console'") <= 3


def test_its_end(stage, console):
    """TERM: who waits is answered, streams end, exit code 0, within seconds."""
    stream = console.connect()
    stream.request("GET", "/api/v1/live")
    assert stream.getresponse().status == 200
    waiting = console.connect()
    waiting.request("POST", "/api/v1/events?wait=30s", json.dumps(EVENT), {"Content-Type": "application/json"})
    wait_until(lambda: len(stage.broker.read_topic(stage.topic)) == 1, 60, "the event was sent")
    idle = console.socket()
    begun = time.monotonic()
    console.process.send_signal(signal.SIGTERM)
    assert waiting.getresponse().status == 202
    assert console.process.wait(20) == 0
    assert time.monotonic() - begun < ENDS_WITHIN_S
    for connection in (stream, waiting, idle):
        connection.close()


def test_its_end_while_a_retry_waits(stage, console):
    """A retry that waits for its outcome waits in a work thread: the end does not wait as long."""
    stage.send('{"client":"a"}')
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    (partition, offset, _), = stage.dead()
    waiting = console.connect()
    waiting.request("POST", f"/api/v1/failed/{partition}/{offset}/retry?wait=30s", "{}", {"Content-Type": "application/json"})
    wait_until(lambda: len(stage.broker.read_topic(stage.topic)) == 2, 60, "it was sent again")
    begun = time.monotonic()
    console.process.send_signal(signal.SIGTERM)
    assert waiting.getresponse().status == 202
    assert console.process.wait(20) == 0
    assert time.monotonic() - begun < ENDS_WITHIN_S
    waiting.close()


def test_its_end_while_kafka_is_away(stage, make_console):
    """What waits for Kafka for as long as the operator allows does not hold up the end for as long."""
    console = make_console(stage, "-X", "message.timeout.ms=60000")
    assert console.post("/api/v1/events", EVENT).status == 202
    stage.broker.command("down")
    try:
        waiting = console.connect()
        waiting.request("POST", "/api/v1/events", json.dumps(EVENT), {"Content-Type": "application/json"})
        assert console.get("/livez").status == 200  # behind it
        console.process.send_signal(signal.SIGTERM)
        assert waiting.getresponse().status == 503
        assert console.process.wait(30) == 0
        waiting.close()
    finally:
        stage.broker.command("up")


def test_requests_while_it_ends(stage, console):
    """Over connections that are there already requests go on to come: they are answered or refused, and the end is
    orderly."""
    statuses = set()

    def ask(path, body):
        connection = console.connect()
        try:
            while True:
                if body is None:
                    connection.request("GET", path)
                else:
                    connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                statuses.add(answer.status)
        except (OSError, http.client.HTTPException):
            return  # the console has ended
        finally:
            connection.close()

    asking = [threading.Thread(target=ask, args=question) for question in (
        ("/api/v1/status", None), ("/api/v1/session", None), ("/api/v1/messages/0/0/raw", None),
        ("/api/v1/events", json.dumps(EVENT)), ("/api/v1/explain", json.dumps(EVENT))) for _ in range(4)]
    for thread in asking:
        thread.start()
    wait_until(lambda: {200, 202} <= statuses, 60, "requests are answered")
    console.process.send_signal(signal.SIGTERM)
    assert console.process.wait(30) == 0
    for thread in asking:
        thread.join()
    assert statuses <= {200, 202, 404, 429, 503}


def test_raw_message(stage, console):
    event = '{"client":"ä","metric":"m"}'
    stage.send(event, partition=1)
    stage.send(b"\xff\x00", partition=1)
    told = console.get("/api/v1/messages/1/0/raw").json
    assert (told["topic"], told["partition"], told["offset"]) == (stage.topic, 1, 0)
    assert told["value_text"] == event
    told = console.get("/api/v1/messages/1/1/raw").json
    assert (told["value_text"], told["value_base64"]) == (None, "/wA=")
    assert console.get("/api/v1/messages/1/2/raw").status == 404
