"""The rate through a relay to PostgreSQL that holds every byte back, against the same relay without a delay."""

import contextlib
import socket
import statistics

from winnow_test.poll import wait_until
from winnow_test.process import ROOT, Process, free_port, make_directory, remove_directory

import runs


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def _relay(server, delay_us):
    """The port of a relay that leads to PostgreSQL."""
    port = free_port()
    directory = make_directory("relay")
    relay = Process([ROOT / "build/tests/bench/bench_relay", port, server.port, delay_us], directory / "relay.log")
    try:
        wait_until(lambda: _answers(port), 10, "the relay listens", on_timeout=relay.log_tail)
        yield port
    finally:
        relay.kill()
        remove_directory(directory)


def _run(stage, workers, settings, delay_us):
    with _relay(stage.server, delay_us) as port:
        route = lambda database: stage.server.tcp_dsn(database.name, port=port)  # pylint: disable=unnecessary-lambda-assignment
        return {**runs.run_winnow(stage, workers, settings, route), "delay_us": delay_us}


def compare(stage, workers, repeat, settings=None, delay_us=1000, keep=lambda run: None):
    """Interleaved runs, REPEAT of each, behind one that does not count; keep() gets each as it ends. The medians and their ratio, as a dict."""
    rates = {0: [], delay_us: []}
    wrong = _run(stage, workers, settings, 0)["wrong"]
    for _ in range(repeat):
        for delay, found in rates.items():
            run = _run(stage, workers, settings, delay)
            keep(run)
            found.append(run["events_per_s"])
            wrong += run["wrong"]
    plain, late = (statistics.median(found) for found in rates.values())
    return {"events_per_s": plain, "delayed_events_per_s": late, "ratio": round(late / plain, 3),
            "runs": {str(delay): found for delay, found in rates.items()}, "wrong": wrong}
