"""A pool is steered over its socket: who may, what each command does, and that nothing a client does holds it up."""

import json
import os
import signal
import socket
import stat
import threading
import time

import pytest

from scenario import new_events, wait_for_owners
from winnow_test import check, pool as pools
from winnow_test.poll import wait_until
from winnow_test.process import make_directory, remove_directory


HELD_UP_S = 20            # each of five silent ones has five seconds
DRAIN_TIMEOUT_MS = 60000  # of who asks, too: nobody's time is over because the machine is slow


@pytest.fixture
def control():
    """The path of a socket that no other pool has."""
    directory = make_directory("control")
    yield f"{directory}/pool.sock"
    remove_directory(directory)


@pytest.fixture
def stage(devbroker, make_stage):
    return make_stage(broker=devbroker)


def ask(path, text):
    """What the socket answers to these bytes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(text if isinstance(text, bytes) else json.dumps(text).encode() + b"\n")
        answer = b""
        while part := client.recv(65536):
            answer += part
    return json.loads(answer)


def status(path):
    return ask(path, {"command": "status"})


def wait_until_it_listens(pool, path):
    """The socket is there a moment before somebody listens to it."""
    def answers():
        try:
            return status(path)["ok"]
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    wait_until(answers, 30, "the pool answers", on_timeout=pool.log_tail)


def command(stage, path, *words):
    return stage.winnow("pool", *words, control_socket=path, drain_timeout_ms=DRAIN_TIMEOUT_MS)


def total(stage):
    return stage.database.value("SELECT coalesce(sum(received), 0) FROM winnow.batch_log")


def test_the_socket_is_its_owners_alone(stage, control):
    with stage.pool(workers=1, control_socket=control) as pool:
        wait_until(lambda: os.path.exists(control), interval_s=0, what="the socket is there", on_timeout=pool.log_tail)
        assert stat.S_IMODE(os.stat(control).st_mode) == 0o600
        wait_until_it_listens(pool, control)
        answer = status(control)
        assert (answer["ok"], answer["pid"], answer["wanted"]) == (True, pool.pid, 1)
        second = stage.pool(workers=1, control_socket=control)
        second.start()
        wait_until(lambda: second.exit_code is not None, 10, "the second pool ends", on_timeout=second.log_tail)
        assert second.exit_code == 78 and "another pool has" in second.log_text()
        assert status(control)["pid"] == pool.pid
        pool.kill()
    assert os.path.exists(control)  # left behind
    with stage.pool(workers=1, control_socket=control) as pool:
        wait_until(lambda: "event=worker_started" in pool.log_text(), 10, "it starts", on_timeout=pool.log_tail)
        assert status(control)["pid"] == pool.pid
        stopped = command(stage, control, "stop")
        assert (stopped.exit_code, stopped.out) == (0, f"stopped: the pool has ended, pid {pool.pid}\n")
        assert "event=pool_stopped" in pool.log_text()
        wait_until(lambda: pool.exit_code == 0, 20, "the pool ends", on_timeout=pool.log_tail)
    assert not os.path.exists(control)
    gone = command(stage, control, "status")
    assert gone.exit_code == 69 and "is a pool running" in gone.error


def test_other_users_are_refused(stage, control):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with stage.pool(workers=1, control_socket=control) as pool:
        wait_until_it_listens(pool, control)
        os.chmod(control, 0o666)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                status(control)
            except (json.JSONDecodeError, OSError):
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        pool.wait_for_log("event=control_refused .*65534")
        assert status(control)["ok"]


def test_clients_hold_up_nobody(stage, control):
    with stage.pool(workers=1, control_socket=control) as pool:
        wait_until_it_listens(pool, control)
        silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for client in silent:
            client.connect(control)
            client.send(b'{"command":')
        begun = time.monotonic()
        assert status(control)["ok"]
        assert time.monotonic() - begun < HELD_UP_S
        worker = pool.wait_for_workers(1)[0]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: pool.worker_pids() not in ([], [worker]), 10, "the worker is replaced",
                   on_timeout=pool.log_tail)
        for nonsense in (b"\n", b"[]\n", b'{"command":7}\n', b"x" * 512, b'{"command":"dance"}\n',
                         b'{"command":"scale"}\n', b'{"command":"scale","count":257}\n'):
            answer = ask(control, nonsense)
            assert answer["ok"] is False and "expected" in answer["error"], nonsense
        for client in silent:
            client.settimeout(20)
            assert client.recv(1) == b""  # its time is over
            client.close()


def test_scale_quiet_drain_and_resume(stage, control):
    stage.send(*new_events(20))
    with stage.pool(workers=1, control_socket=control, drain_timeout_ms=DRAIN_TIMEOUT_MS,
                    properties={"session.timeout.ms": "3000"}) as pool:
        stage.wait_until_caught_up()
        assert command(stage, control, "scale", "2").exit_code == 0
        pids = pool.wait_for_workers(2)
        wait_for_owners(stage, pids, 60)
        assert command(stage, control, "scale", "0").exit_code == 64

        told = command(stage, control, "quiet")
        assert told.exit_code == 0 and told.out.startswith("quiet: 2 of 2"), told
        before = total(stage)
        for partition in range(4):
            stage.send(*new_events(5), partition=partition)
        other = stage.send(*new_events(1), partition=0)
        wait_until(lambda: status(control)["resting"] == 2, 10, "both rest")
        ends = stage.broker.end_offsets(stage.topic)
        assert total(stage) == before and not check.has_caught_up(stage.database, stage.topic, ends), other
        assert pool.worker_pids() == pids
        shown = command(stage, control, "status")
        assert shown.out.count("quiet") == 3, shown

        assert command(stage, control, "resume").exit_code == 0
        stage.wait_until_caught_up()
        assert command(stage, control, "resume").exit_code == 1

        told = command(stage, control, "drain")
        assert told.exit_code == 0 and told.out.startswith("drained: 0 of 2"), told
        assert pool.worker_pids() == [] and pool.is_running()
        assert command(stage, control, "scale", "3").exit_code == 1
        pool.send_signal(signal.SIGTTIN)
        pool.wait_for_log("event=pool_not_resized")
        stage.send(*new_events(10))
        assert command(stage, control, "resume").exit_code == 0
        pool.wait_for_workers(2)
        stage.wait_until_caught_up()


def test_words_are_checked(stage, control):
    for words, said in ((("statos",), "did you mean"), (("scale",), "a number of workers"),
                        (("scale", "many"), "a number of workers"), (("drain", "now"), "now behind drain")):
        refused = command(stage, control, *words)
        assert refused.exit_code == 64, refused
        assert said.split()[0] in refused.error, refused
    nowhere = pools.run("pool", "status", settings={"group": "nobody", "control_socket": "none"})
    assert nowhere.exit_code == 78 and "control_socket" in nowhere.error


def test_what_is_not_so_in_time_is_no_success(control):
    """A pool that goes on draining: whoever goes by the exit code must not take it for drained."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(control)
        listener.listen()
        ends = threading.Event()
        server = threading.Thread(target=answer_as, args=(listener, ends))
        server.start()
        late = pools.run("pool", "drain", settings={"control_socket": control, "drain_timeout_ms": 1000})
        ends.set()
        server.join()
    assert late.exit_code == 75 and "not so yet" in late.error, late
    assert late.out.startswith("draining: 1 of 1"), late


def test_a_pool_of_an_older_version_cannot_tell_whether_it_is_quiet(control):
    """It says that it is, before its workers are."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(control)
        listener.listen()
        ends = threading.Event()
        server = threading.Thread(target=answer_as, args=(listener, ends, b"quiet"))
        server.start()
        told = pools.run("pool", "quiet", settings={"control_socket": control})
        ends.set()
        server.join()
    assert told.exit_code == 75 and "of an older version and does not tell whether all workers are quiet" in told.error, told


def answer_as(listener, ends, state=b"draining"):
    listener.settimeout(0.1)
    while not ends.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        with client:
            client.recv(512)
            client.sendall(b'{"ok":true,"state":"%b","pid":1,"wanted":1,"joined":1,"age_ms":1}\n' % state)


def test_a_path_that_is_too_long_is_named():
    told = pools.run("pool", "status", settings={"control_socket": "/" + "x" * 120})
    assert told.exit_code == 78 and "a path of at most 107 bytes" in told.error, told
