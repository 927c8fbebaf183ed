"""Who may do what: each role at each route, the read-only switch, Origin and Host, and that tokens show nowhere."""

import hashlib
import http.client
import json
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from winnow_test.poll import wait_until
from winnow_test.pool import BINARY, environment, run

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "worker/console/openapi.json").read_text())
RANKS = {"viewer": 1, "submitter": 2, "operator": 3}
TOKENS = {role: f"{role}-b2f1c7d04e5a" for role in RANKS}
WRITES = ("submitEvents", "retryGroup", "discardGroup", "undoGroup", "retryFailed", "discardFailed", "undoDiscard", "simulateOutage")
VALUES = {"hash": "f30e1009-fd53-83a8-b737-f74f8de1a698", "partition": "0", "offset": "0"}


def operations():
    for path, item in CONTRACT["paths"].items():
        for method, operation in item.items():
            yield pytest.param(method.upper(), path, operation, id=operation["operationId"])


def ask(console, method, path, operation, **options):
    """A well-formed request; its body says nothing that could be done."""
    for name, value in VALUES.items():
        path = path.replace("{%s}" % name, value)
    body = None
    if "requestBody" in operation:
        body = {"x": "y"}
    if operation["operationId"] == "live":  # has no end
        options.setdefault("headers", {})["Last-Event-ID"] = "x"
    return console.ask(method, path, body, **options)


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text("# name role sha256\n\n" + "".join(
        f"{role}@example.org  {role}\t{hashlib.sha256(token.encode()).hexdigest()}  # {role}\n"
        for role, token in TOKENS.items()))
    return path


@pytest.fixture
def guarded(stage, make_console, token_file):
    return make_console(stage, "--token-file", token_file, "--allow-fault-injection")


@pytest.fixture(scope="module")
def loopback():
    """A console without servers: whoever may not ask is refused before any is needed."""
    return {"brokers": "127.0.0.1:1", "topic": "events", "database": "host=127.0.0.1 port=1 connect_timeout=2"}


def test_matrix(guarded):
    """One console for the whole matrix: starting one for each cell would take longer than all cells."""
    wrong = []
    for parameter in operations():
        method, path, operation = parameter.values
        free = operation.get("security") == []
        for role in (None, "unknown", *RANKS):
            token = TOKENS.get(role, role)
            status = ask(guarded, method, path, operation, token=token).status
            if free:
                good = status == 200
            elif role not in RANKS:
                good = status == 401
            elif RANKS[role] < RANKS[operation["x-winnow-role"]]:
                good = status == 403
            else:
                good = status not in (401, 403, 405, 500, 501)
            if not good:
                wrong.append((operation["operationId"], role, status))
    assert wrong == []


def test_unauthorized_says_how(guarded):
    answer = guarded.get("/api/v1/status")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json["type"] == "/docs#problem-unauthorized"


@pytest.mark.parametrize("header", ["Basic dTpw", "Bearer", "Bearer ", "bearer x", "Token x", "Bearer \x00", "B" * 4000])
def test_broken_authorization(guarded, header):
    with guarded.socket() as connection:
        connection.sendall(f"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           f"Authorization: {header}\r\n\r\n".encode())
        assert connection.recv(65536).split()[1] in (b"401", b"400")


def test_actor_is_the_name(guarded):
    told = guarded.ask("GET", "/api/v1/session", token=TOKENS["submitter"]).json
    assert (told["actor"], told["role"], told["token_required"]) == ("submitter@example.org", "submitter", True)


def test_tokens_show_nowhere(stage, make_console, token_file):
    console = make_console(stage, "--token-file", token_file, log_level="debug")
    for token in (*TOKENS.values(), "a-wrong-token"):
        console.ask("GET", "/api/v1/status", token=token)
        answer = console.ask("GET", "/api/v1/nowhere", token=token)
        assert token not in answer.text
    console.stop()
    for token in (*TOKENS.values(), "a-wrong-token"):
        assert token not in console.log_text()


def test_read_only(stage, make_console):
    console = make_console(stage, "--read-only")
    assert console.get("/api/v1/session").json["read_only"] is True
    for parameter in operations():
        method, path, operation = parameter.values
        answer = ask(console, method, path, operation)
        if operation["operationId"] in WRITES:
            assert answer.status == 403, operation["operationId"]
            assert answer.json["type"] == "/docs#problem-read-only"
        else:
            assert answer.status != 403, operation["operationId"]


@pytest.mark.parametrize("headers, status", [
    ({}, 202),
    ({"Origin": "http://127.0.0.1:%d"}, 202),
    ({"Origin": "https://127.0.0.1:%d"}, 202),
    ({"Origin": "http://127.0.0.1:1"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 202),
    ({"Host": "evil.example"}, 403),
    ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.evil.example"}, 403),
    ({"Host": "localhost:1234"}, 202),
])
def test_other_sites(console, headers, status):
    headers = {name: value % console.port if "%d" in value else value for name, value in headers.items()}
    answer = console.ask("POST", "/api/v1/events", {"client": "a", "metric": "m"}, headers=headers)
    assert answer.status == status, answer
    if status == 403:
        assert answer.json["type"] == "/docs#problem-foreign-origin"


def test_least_privileges(stage, make_console):
    """A login that is a member of the console's two roles and of nothing else."""
    stage.database.run("CREATE ROLE console_login LOGIN IN ROLE winnow_console, winnow_retry")
    try:
        console = make_console(stage, database=stage.database.server.dsn(stage.database.name, "console_login"))
        with stage.joined_pool(workers=1):
            assert console.post("/api/v1/events", {"client": "a", "metric": "m"}, wait="30s").status == 201
            failed = console.post("/api/v1/events", {"client": "a"}, wait="30s").json["submission"]
        place = f"/api/v1/failed/{failed['partition']}/{failed['offset']}"
        for path in ("status", "workers", "completeness", "events", "aggregates", "failed", "failed/items"):
            assert console.get(f"/api/v1/{path}").status == 200, path
        assert console.post(f"{place}/discard", {"note": "a test"}).status == 200
        assert console.post(f"{place}/undo").status == 200
        assert console.post(f"{place}/retry", {}).status == 202
        assert console.get(place).json["state"] == "retried"
        console.stop()
    finally:
        stage.database.run("DROP ROLE console_login")


def test_no_cross_origin_headers(console):
    for method in ("GET", "OPTIONS"):
        answer = console.ask(method, "/api/v1/status", headers={"Origin": "https://evil.example",
                                                                "Access-Control-Request-Method": "POST"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


ORIGIN = "https://dashboard.example.org"


def test_pages_of_listed_origins(stage, make_console):
    console = make_console(stage, "--cors-origins", f"http://localhost:3000,{ORIGIN}")
    asked = console.ask("OPTIONS", "/api/v1/events", headers={
        "Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
    assert (asked.status, asked.body) == (204, b""), asked
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert asked.headers["access-control-allow-methods"] == "POST, GET, HEAD"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in asked.headers
    cross = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
    for answer in (console.ask("POST", "/api/v1/events", {"client": "a", "metric": "m"}, headers=cross),
                   console.ask("GET", "/api/v1/status", headers=cross),
                   console.ask("GET", "/api/v1/nowhere", headers=cross)):
        assert answer.status in (202, 200, 404), answer
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "Origin" in answer.headers["vary"] and "Retry-After" in answer.headers["access-control-expose-headers"]
    assert console.ask("OPTIONS", "/api/v1/nowhere", headers={"Origin": ORIGIN}).status == 404


@pytest.mark.parametrize("origin", ["https://dashboard.example.org:444", "https://dashboard.example.or", "https://x.org",
                                    "http://dashboard.example.org", "null", "*", "", ORIGIN + ".evil.example"])
def test_pages_of_other_origins(stage, make_console, origin):
    console = make_console(stage, "--cors-origins", ORIGIN)
    assert console.ask("POST", "/api/v1/events", {"client": "a", "metric": "m"}, headers={"Origin": origin}).status == 403
    for method, status in (("OPTIONS", 405), ("GET", 200)):
        answer = console.ask(method, "/api/v1/status", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin" and answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origins", ["*", "null", "dashboard.example.org", "https://", "https://a.example/", "https://A.example",
                                     "https://a.example,", "https://a.example https://b.example", "https://a.example:x"])
def test_broken_origins(loopback, origins):
    done = run("console", "--cors-origins", origins, settings=loopback)
    assert done.exit_code == 64
    assert "expected https://host" in done.error and "cors" in done.error


def token_line(name, role="viewer"):
    return f"{name} {role} {hashlib.sha256(name.encode()).hexdigest()}\n"


def test_tokens_are_read_again(stage, make_console, tmp_path):
    """At HUP: who was taken out is out, streams that were open included; a broken file changes nothing."""
    path = tmp_path / "tokens"
    path.write_text(token_line("alice") + token_line("bob"))
    console = make_console(stage, "--token-file", path)

    def status(name):
        return console.ask("GET", "/api/v1/session", token=name).status

    connection = console.connect()
    connection.request("GET", "/api/v1/live", headers={"Authorization": "Bearer bob"})
    stream = connection.getresponse()
    assert stream.status == 200 and [status(name) for name in ("alice", "bob", "carol")] == [200, 200, 401]
    path.write_text(token_line("alice") + token_line("carol", "chief"))
    console.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=tokens_kept" in console.log_text(), 60, "the console says that it keeps the tokens")
    assert f"{path}:2: expected viewer, submitter or operator" in console.log_text()
    assert [status(name) for name in ("alice", "bob", "carol")] == [200, 200, 401]
    path.write_text(token_line("alice") + token_line("carol"))
    console.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=tokens_reloaded" in console.log_text(), 60, "the console has read the tokens again")
    assert [status(name) for name in ("alice", "bob", "carol")] == [200, 401, 200]
    assert stream.read().startswith(b"retry:")
    connection.close()


def test_one_address_does_not_take_all(stage, make_console, token_file):
    """Elsewhere than on a loopback address."""
    console = make_console(stage, "--listen", "0.0.0.0:0", "--token-file", token_file, "--connections-per-address", "3")
    with ExitStack() as open_ones:
        for _ in range(3):
            connection = open_ones.enter_context(console.socket())
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            console.get("/livez")
    wait_until(lambda: _answers(console), 60, "there is room again")


def _answers(console):
    try:
        return console.get("/livez").status == 200
    except (ConnectionError, http.client.RemoteDisconnected):
        return False


def test_another_address_needs_tokens(loopback):
    done = run("console", "--listen", "0.0.0.0:0", settings=loopback)
    assert done.exit_code == 78
    assert "token_file" in done.error and "--token-file" in done.error


@pytest.mark.parametrize("text, expected", [
    ("", "holds no token"), ("alice operator", ":1: expected name, role and SHA-256"),
    ("\nalice chief " + "0" * 64, ":2: expected viewer, submitter or operator"),
    ("alice operator secret-token", ":1: expected 64 lower-case hexadecimal digits"),
    ("a/b operator " + "0" * 64, ":1: expected a name"),
])
def test_broken_token_files(tmp_path, loopback, text, expected):
    path = tmp_path / "tokens"
    path.write_text(text)
    done = run("console", "--listen", "127.0.0.1:0", "--token-file", path, settings=loopback)
    assert done.exit_code == 78
    assert expected in done.error
    assert "secret-token" not in done.error


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "example.org:80", "::1:80", "[::1]"])
def test_broken_addresses(loopback, listen):
    done = run("console", "--listen", listen, settings=loopback)
    assert done.exit_code == 64
    assert "expected an address and a port" in done.error


def test_an_address_in_use(console, loopback):
    done = subprocess.run([BINARY, "console", "--listen", f"127.0.0.1:{console.port}"], env=environment(loopback),
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert "Address already in use; choose another with --listen" in done.stderr
