"""Second part of make bench-console: how many events a second the console takes in over connections that stay open, on a real
Kafka, while a pool stores them.

Environment: CONNECTIONS (50), SECONDS (10), WARMUP (3), WORKERS (2), CLIENT_PROCESSES (1). Each connection sends one event and
waits for its 202, which Kafka's acknowledgement (acks=all) precedes. Then the same with ?wait=10s, where the answer tells what
became of the event. Writes build/bench-console-submit.json. Ends with 1 when an answer was another than expected, or when an
event that was acknowledged is not stored; a missed goal is only told."""

import json
import multiprocessing
import os
import selectors
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import report   # pylint: disable=wrong-import-position
import servers  # pylint: disable=wrong-import-position
from measure import CpuClock, peak_memory_mib  # pylint: disable=wrong-import-position

from winnow_test import check             # pylint: disable=wrong-import-position
from winnow_test.console import Console   # pylint: disable=wrong-import-position
from winnow_test.pool import Pool         # pylint: disable=wrong-import-position
from winnow_test.process import ROOT      # pylint: disable=wrong-import-position

GOAL_PER_S = 3000
GOAL_MIB = 64


class Line:
    """A connection with one request under way."""

    def __init__(self, port, number, path):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = number
        self._head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        self._count = 0
        self._answer = b""
        self.begun = 0.0

    def ask(self):
        self._count += 1
        body = (f'{{"source":"client_{self._number:03d}","payload":{{"metric":"sale","amount":"{self._count}.25",'
                f'"timestamp":"2024-06-{1 + self._count % 28:02d}T10:30:00Z"}}}}')
        self._answer = b""
        self.begun = time.perf_counter()
        self.socket.sendall(f"{self._head}{len(body)}\r\n\r\n{body}".encode())

    def take(self):
        """The status, or None as long as the answer is not whole."""
        self._answer += self.socket.recv(65536)
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return None
        at = head.lower().index(b"content-length:") + len("content-length:")
        return int(head[9:12]) if len(body) >= int(head[at:].split(b"\r\n", 1)[0]) else None


def _load(port, path, numbers, warmup_s, seconds, told):
    """In a process of its own: (milliseconds of each answer in the measured time, {status: count of all})."""
    lines = [Line(port, number, path) for number in numbers]
    taken, statuses, open_count = [], {}, len(lines)
    begin = time.perf_counter() + warmup_s
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.ask()
        while open_count > 0:
            for key, _ in selector.select():
                status = key.data.take()
                if status is None:
                    continue
                now = time.perf_counter()
                statuses[status] = statuses.get(status, 0) + 1
                if begin <= now < begin + seconds:
                    taken.append((now - key.data.begun) * 1000)
                if now < begin + seconds:
                    key.data.ask()
                else:
                    selector.unregister(key.fileobj)
                    open_count -= 1
    told.put((taken, statuses))


def run(console, path, settings):
    """One load; what it came to."""
    told, count = multiprocessing.Queue(), settings["client_processes"]
    processes = [multiprocessing.Process(target=_load, args=(
        console.port, path, range(first, settings["connections"], count), settings["warmup"], settings["seconds"], told))
        for first in range(count)]
    clock = CpuClock({"console": console.process.pid})
    for process in processes:
        process.start()
    answers = [told.get() for _ in processes]
    for process in processes:
        process.join()
    cpu = clock.read()
    taken = sorted(milliseconds for times, _ in answers for milliseconds in times)
    statuses = {}
    for _, counts in answers:
        for status, number in counts.items():
            statuses[status] = statuses.get(status, 0) + number
    return {"path": path, "per_s": round(len(taken) / settings["seconds"]), "statuses": statuses,
            "p50_ms": round(taken[len(taken) // 2], 1), "p99_ms": round(taken[int(len(taken) * 0.99)], 1),
            "max_ms": round(taken[-1], 1), "console_us_per_event": round(cpu["console"] * 1e6 / sum(statuses.values()), 1),
            "others_cores": cpu["others_cores"]}


def _print_run(done):
    print(f"POST {done['path']:28} {done['per_s']:7,} events/s   p50 {done['p50_ms']} ms   p99 {done['p99_ms']} ms   max "
          f"{done['max_ms']} ms   console {done['console_us_per_event']} µs CPU an event", flush=True)


def _measure(server, broker, settings):
    topic = "console-submit"
    servers.make_topic(broker, topic)
    with servers.fresh_database(server, "submit") as database:
        configuration = {"brokers": broker.brokers, "topic": topic, "group": "submit", "database": database.dsn}
        with Pool(configuration, settings["workers"]) as pool, Console(configuration) as console:
            runs = []
            for path in ("/api/v1/events", "/api/v1/events?wait=10s"):
                runs.append(run(console, path, settings))
                _print_run(runs[-1])
            check.wait_until_caught_up(database, topic, broker, 60, pool.log_tail)
            memory = round(peak_memory_mib(console.process.pid), 1)
            stored, received = database.rows("SELECT sum(stored)::bigint, sum(received)::bigint FROM winnow.batch_log")[0]
            wrong = check.invariant_violations(database)
    sent = sum(sum(done["statuses"].values()) for done in runs)
    wrong += [f"{done['path']}: {done['statuses']}" for done in runs if not set(done["statuses"]) <= {200, 201, 202}]
    wrong += [] if sent == received else [f"{sent} events were acknowledged, the pool read {received}"]
    return {"runs": runs, "peak_memory_mib": memory, "stored": stored, "received": received, "wrong": wrong}


def main():
    names = {"connections": 50, "seconds": 10, "warmup": 3, "workers": 2, "client_processes": 1}
    settings = {name: int(os.environ.get(name.upper()) or fallback) for name, fallback in names.items()}
    with servers.started() as (server, broker):
        machine = servers.describe(server)
        report.print_machine(machine)
        result = _measure(server, broker, settings)
    goals = {"events/s over 50 connections": (f"≥ {GOAL_PER_S}", result["runs"][0]["per_s"],
                                              result["runs"][0]["per_s"] >= GOAL_PER_S),
             "console's memory, MiB": (f"≤ {GOAL_MIB}", result["peak_memory_mib"], result["peak_memory_mib"] <= GOAL_MIB)}
    print()
    for name, (goal, measured, reached) in goals.items():
        print(f"{name:44} {goal:>9} {measured:>9,}  {'' if reached else 'MISSED'}")
    path = ROOT / "build" / "bench-console-submit.json"
    path.write_text(json.dumps({"machine": machine, "settings": settings, **result}, indent=1) + "\n", encoding="utf-8")
    for line in result["wrong"]:
        print(f"  WRONG: {line}")
    print(f"\n{path.relative_to(ROOT)} has all of it.")
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
