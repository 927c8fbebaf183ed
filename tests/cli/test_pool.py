"""A pool without servers, whose workers wait at the database: nothing that is around it holds up the process that watches over
them, and what it says about itself is so."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from winnow_test import pool as pools
from winnow_test.poll import wait_until
from winnow_test.process import children_of, full_pipe, make_directory, remove_directory

NOBODY = 65534
TICK = os.sysconf("SC_CLK_TCK")


class Around:
    """A pool with its file, socket and endpoint, and a database that takes connections and says nothing."""

    def __init__(self, directory):
        self.directory = directory
        self.file = directory / "winnow.ini"
        self.socket = str(directory / "pool.sock")
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.write()

    def write(self, **more):
        port = self.silent.getsockname()[1]
        values = {"brokers": "127.0.0.1:1", "topic": "t", "group": "g", "control_socket": self.socket, "metrics_listen": "127.0.0.1:0",
                  "database": f"host=127.0.0.1 port={port} dbname=x user=x sslmode=disable gssencmode=disable connect_timeout=60",
                  "drain_timeout_ms": 1000, **more}
        self.file.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))

    def pool(self, workers=1, **more):
        return pools.Pool({}, workers=workers, properties={}, arguments=("-c", str(self.file)), **more)

    def command(self, *words, **settings):
        return pools.run("pool", *words, settings={"control_socket": self.socket, **settings})

    def status(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.socket)
            client.sendall(b'{"command":"status"}\n')
            answer = b""
            while part := client.recv(65536):
                answer += part
        return json.loads(answer)

    def close(self):
        self.silent.close()
        remove_directory(self.directory)


@pytest.fixture
def around():
    made = Around(make_directory("pool-alone"))
    yield made
    made.close()


@pytest.fixture
def running(around):
    # The endpoint's address of a file: the helper would switch it off.
    with pools.Pool({"metrics_listen": "127.0.0.1:0"}, workers=1, arguments=("-c", str(around.file))) as pool:
        pool.wait_for_log("event=worker_started")
        pool.wait_for_workers(1)  # it has become one
        yield pool


def port_of(pool):
    return int(pool.wait_for_log(r'event=metrics_listening msg="http://127.0.0.1:(\d+)/').group(1))


def hang_up(pool, event, count=1):
    seen = pool.log_text().count(event)
    pool.send_signal(signal.SIGHUP)
    wait_until(lambda: pool.log_text().count(event) >= seen + count, 60, event, on_timeout=pool.log_tail)


def make_pipe(path):
    os.mkfifo(path)


def make_endless(path):
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # takes no room


def make_loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize("make, said", [
    (make_pipe, "it is no file"), (lambda path: path.mkdir(), "it is no file"), (make_endless, "it is longer than 1 MiB"),
    (make_loop, "Too many levels"), (lambda path: path.symlink_to("/dev/zero"), "it is no file"), (lambda path: None, "No such file")],
    ids=["pipe", "directory", "endless", "loop", "device", "nothing"])
def test_a_file_that_became_something_else(around, running, make, said):
    """A reload neither waits for it nor takes it, and the pool goes on with what it had."""
    before = running.worker_pids()
    around.file.unlink()
    make(around.file)
    hang_up(running, "event=reload_refused")
    assert f"event=configuration_wrong msg=\"--config: cannot read {around.file}: {said}" in running.log_text()
    refused = around.command("reload")
    assert refused.exit_code == 1 and "the configuration is wrong" in refused.error, refused
    if around.file.is_dir():
        around.file.rmdir()
    elif around.file.is_symlink() or around.file.exists():
        around.file.unlink()
    assert running.worker_pids() == before
    around.write(batch_rows=77)
    hang_up(running, "event=pool_renewing")
    assert "batch_rows " in running.log_text() and "-> 77" in running.log_text()


def test_a_pipe_is_no_configuration_to_begin_with(around):
    around.file.unlink()
    make_pipe(around.file)
    done = pools.run("pool", "-c", str(around.file))
    assert done.exit_code == 78 and "it is no file, expected one, which a pool can read again" in done.error, done


def test_nobody_reads_what_a_reload_finds_wrong(around):
    """The pipe behind standard error is full, and the file has more mistakes than would go into one."""
    reading, writing = full_pipe()
    with subprocess.Popen([pools.BINARY, "pool", "-c", around.file], stderr=writing, env=pools.environment({})) as pool:
        try:
            wait_until(lambda: os.path.exists(around.socket) and children_of(pool.pid), 60, "it runs")
            around.write(**{f"nonsense{number}": "x" * 50 for number in range(3000)})
            pool.send_signal(signal.SIGHUP)
            assert around.command("reload").exit_code == 1
            assert around.status()["state"] == "starting"
        finally:
            pool.terminate()
            try:
                code = pool.wait(60)
            except subprocess.TimeoutExpired:
                pool.kill()
                raise
            os.close(reading)
            os.close(writing)
    assert code in (0, 75)


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def test_no_descriptor_is_left(around, running):
    """Whoever waits at its doors is not let in, and does not make it spin; with one free, all are answered."""
    port = port_of(running)
    before = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as scraper, socket.socket(socket.AF_UNIX) as client:
        scraper.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        client.connect(around.socket)
        client.sendall(b'{"command":"status"}\n')
        for who in ("the control socket", "the metrics endpoint"):
            running.wait_for_log(f"event=out_of_descriptors msg=\"{who}")
        counted, spent = time.monotonic(), cpu_s(running.pid)
        wait_until(lambda: time.monotonic() - counted > 1, 60, "time has passed")
        assert cpu_s(running.pid) - spent < 0.3
        # Each of the two looks twice a second; round and round there would be 20 lines at once, as many as are let through.
        assert running.log_text().count("event=out_of_descriptors") <= 4 + 4 * (time.monotonic() - begun)
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, before)
        for answered in (scraper, client):
            answered.settimeout(60)
        assert b"200 OK" in scraper.recv(4096) and b'"ok":true' in client.recv(4096)


def test_one_that_begins_is_neither_quiet_nor_drained(around, running):
    """It has not obeyed before it has come so far, or has ended."""
    pid = running.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)  # in its start
    for word, state in (("quiet", "quiet"), ("drain", "draining")):
        told = around.command(word, drain_timeout_ms=300)
        assert told.exit_code == 75 and "not so yet" in told.error and told.out.startswith(f"{state}: 0 of 1"), told
    os.kill(pid, signal.SIGCONT)
    assert around.command("drain").exit_code == 1, "it is asked to already"
    wait_until(lambda: around.status()["state"] == "drained", 60, "it is drained", on_timeout=running.log_tail)
    assert running.worker_pids() == []


def test_what_scale_takes(around, running):
    for count, code in (("0", 64), ("257", 64), ("1000", 64), ("99999999999999999999", 64), ("3", 0)):
        told = around.command("scale", count)
        assert told.exit_code == code and (code == 0 or "expected a number of workers from 1 to 256" in told.error), (count, told)
    running.wait_for_log("asked for 3 workers")
    assert around.status()["wanted"] == 3
    assert around.command("drain", drain_timeout_ms=60000).exit_code == 0
    told = around.command("scale", "2")
    assert told.exit_code == 1 and "resume it first" in told.error
    assert around.command("resume").exit_code == 0 and around.status()["wanted"] == 3


def test_scale_while_workers_crash(around, running):
    def crash():
        for pid in running.worker_pids():
            os.kill(pid, signal.SIGKILL)
        return running.log_text().count("event=worker_ended") >= 6

    wait_until(crash, 60, "workers crash again and again", on_timeout=running.log_tail)
    for count in (5, 1, 3):
        assert around.command("scale", str(count)).exit_code == 0
        assert around.status()["wanted"] == count
        crash()
    wait_until(lambda: len(running.worker_pids()) == 3, 60, "three are there", on_timeout=running.log_tail)


def test_a_storm_of_reloads(around, running):
    before = running.worker_pids()
    open_files = len(os.listdir(f"/proc/{running.pid}/fd"))
    for number in range(300):
        running.send_signal(signal.SIGHUP)
        if number % 50 == 0:
            around.status()
    hang_up(running, "event=pool_renewing")
    wait_until(lambda: running.worker_pids() not in ([], before), 60, "a new worker", on_timeout=running.log_tail)
    assert around.status()["alive"] == 1
    assert len(os.listdir(f"/proc/{running.pid}/fd")) <= open_files
    assert running.is_running()


@pytest.mark.parametrize("journal", ["", "1:2"], ids=["full disk", "another's journal"])
def test_the_log_has_no_room(around, journal):
    """As a file on a full disk, and as one that was a journal's stream before: the pool works, and stops as it should."""
    with open("/dev/full", "wb") as full, subprocess.Popen(
            [pools.BINARY, "pool", "-c", around.file], stderr=full, env={**pools.environment({}), "JOURNAL_STREAM": journal}) as pool:
        try:
            wait_until(lambda: os.path.exists(around.socket) and children_of(pool.pid), 60, "it runs")
            pool.send_signal(signal.SIGHUP)
            assert around.command("reload").exit_code == 0 and around.command("scale", "2").exit_code == 0
        finally:
            pool.terminate()
            try:
                code = pool.wait(60)
            except subprocess.TimeoutExpired:
                pool.kill()
                raise
    assert code in (0, 75)


def as_nobody(*words, **settings):
    return subprocess.run([pools.BINARY, *words], env=pools.environment(settings), user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True, text=True, timeout=60, check=False)


def test_a_socket_of_another_user_is_called_so(around, running):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    told = as_nobody("pool", "status", control_socket=around.socket)
    assert told.returncode == 69 and "Permission denied: the pool runs as user root, " in told.stderr, told
    assert "go on with: sudo winnow pool --control-socket " in told.stderr
    os.chmod(around.socket, 0o666)
    told = as_nobody("pool", "status", control_socket=around.socket)
    assert told.returncode == 69 and "no answer: the pool runs as user root, " in told.stderr, told
    running.wait_for_log("event=control_refused .*65534")


def test_where_no_socket_can_be(around):
    """It was asked for by name, so the pool does not begin."""
    for path, code, said in ((around.directory / "missing/pool.sock", 78, "No such file or directory"),
                             (around.file, 78, "no socket"),
                             (around.directory / ("x" * 120), 64, "or a path of at most 107 bytes")):
        done = pools.run("pool", "-c", str(around.file), "--control-socket", str(path))
        assert done.exit_code == code and said in done.error, done
        assert ("event=cannot_start" in done.error) == (code == 78), done
    assert around.file.is_file()


def ask(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_scrapers(running):
    """As Prometheus asks, as others do, slowly, and many at once."""
    port = port_of(running)
    code, headers, body = ask(port, "/metrics")
    assert (code, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8") and b"# HELP" in body
    code, headers, body = ask(port, "/metrics", "HEAD")
    assert (code, headers["Content-Type"], body) == (200, "text/plain; version=0.0.4; charset=utf-8", b"")
    assert int(headers["Content-Length"]) > 1000
    code, _, body = ask(port, "/nowhere")
    assert code == 404 and b"/metrics" in body
    code, headers, _ = ask(port, "/metrics", "POST")
    assert (code, headers["Allow"]) == (405, "GET, HEAD")
    code, headers, body = ask(port, "/readyz")
    assert (code, headers["Content-Type"]) == (503, "application/json") and "no_worker_joined" in str(json.loads(body))
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(24)]
    for guest in slow:
        guest.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert ask(port, "/livez")[0] == 200
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    for guest in crowd:
        guest.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    for guest in crowd:
        guest.settimeout(60)
        answer = b""
        while part := guest.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\n"), answer[:200]
        guest.close()
    for guest in slow:
        guest.close()
