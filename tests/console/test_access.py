"""Who may do what: each role at each route, the read-only switch, Origin and Host, and that tokens show nowhere."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from winnow_test.pool import BINARY, environment, run

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "worker/console/openapi.json").read_text())
RANKS = {"viewer": 1, "submitter": 2, "operator": 3}
TOKENS = {role: f"{role}-b2f1c7d04e5a" for role in RANKS}
WRITES = ("submitEvents", "retryGroup", "discardGroup", "retryFailed", "discardFailed", "undoDiscard", "simulateOutage")
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
        with stage.pool(workers=1):
            assert console.post("/api/v1/events", {"client": "a", "metric": "m"}, wait="20s").status == 201
            failed = console.post("/api/v1/events", {"client": "a"}, wait="20s").json["submission"]
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
    assert "Address already in use" in done.stderr
