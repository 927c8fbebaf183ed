"""make demo: a broker, a PostgreSQL, a pool of four, twenty thousand messy events, two accidents, and the count.

KAFKA=real   on Apache Kafka instead of the development broker
KEEP=1       leaves everything running and says how to look around
EVENTS=N     another number of events (20000)"""

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
sys.dont_write_bytecode = True

import summary  # noqa: E402  pylint: disable=wrong-import-position
from screen import Screen  # noqa: E402  pylint: disable=wrong-import-position
from stream import Stream  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test import check, pool  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.console import Console  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.devbroker import DevBroker  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.kafka import Kafka  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.poll import DeadlinePassed, wait_until  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.postgres import Postgres  # noqa: E402  pylint: disable=wrong-import-position
from winnow_test.produce import Sender  # noqa: E402  pylint: disable=wrong-import-position

TOPIC = "events"
PARTITIONS = 8
WORKERS = 4
STREAM_S = 10.0
KILL_AT = 0.25       # of the stream
TERMINATE_AT = 0.65
CATCH_UP_S = 60
# How long the group waits for a worker that was killed. 6 s is the least that Kafka's brokers allow.
SESSION_S = 6 if os.environ.get("KAFKA") == "real" else 4


class Demo:
    """Everything that runs, and the accidents that happened to it."""

    def __init__(self, stack, screen):
        self._screen = screen
        self._stack = stack
        self._tick = time.monotonic()
        self.accidents = []
        self.broker = self._start_broker()
        self.server = self._start_postgres()
        self.database = self._migrate()
        self.settings = {"brokers": self.broker.brokers, "topic": TOPIC, "database": self.database.dsn,
                         "allow_fault_injection": "yes"}
        self.pool = self._start_pool()
        self.console = self._start_console()

    def _step(self, text, note=""):
        now = time.monotonic()
        self._screen.line(f"  {self._screen.good('ready')}  {text}  {self._screen.dim(f'{now - self._tick:.1f} s')}")
        if note:
            self._screen.line(f"         {self._screen.dim(note)}")
        self._tick = now

    def _start_broker(self):
        if os.environ.get("KAFKA") == "real":
            broker = self._stack.enter_context(Kafka())
            self._step(f"Apache Kafka 4.1 on {broker.brokers}")
        else:
            broker = self._stack.enter_context(DevBroker())
            self._step(f"a broker on {broker.brokers}",
                       "for development: librdkafka's mock, in memory. KAFKA=real runs Apache Kafka instead")
        broker.create_topic(TOPIC, PARTITIONS)
        broker.create_topic(f"{TOPIC}.dlq", 1)
        return broker

    def _start_postgres(self):
        server = self._stack.enter_context(Postgres())
        self._step(f"a private PostgreSQL in {server.directory}")
        return server

    def _migrate(self):
        database = self.server.new_database("winnow")
        self._stack.callback(database.close)
        pool.run("migrate", settings={"database": database.dsn}, check=True)
        self._step("its schema, by `winnow migrate`")
        return database

    def _start_pool(self):
        started = self._stack.enter_context(
            pool.Pool(self.settings, WORKERS, {"session.timeout.ms": SESSION_S * 1000}, log_path=self.server.directory / "pool.log"))
        started.wait_for_log("event=pool_joined", CATCH_UP_S)
        wait_until(lambda: len(check.cursors(self.database, TOPIC)) == PARTITIONS, CATCH_UP_S,
                   "the pool claims all partitions", on_timeout=started.log_tail)
        self._step(f"`winnow pool -n {WORKERS}`, its workers sharing the {PARTITIONS} partitions of topic {TOPIC}")
        return started

    def _start_console(self):
        console = self._stack.enter_context(Console(self.settings))
        self._step(f"the console: open {console.address}/ in a browser and watch")
        return console

    def counters(self):
        """read, stored, duplicate, dead: what the transactions so far came to."""
        return self.database.rows(
            "SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(stored), 0)::bigint, "
            "coalesce(sum(duplicate), 0)::bigint, coalesce(sum(dead), 0)::bigint FROM winnow.batch_log")[0]

    def show(self, sender, at_once=False):
        read, stored, duplicate, dead = self.counters()
        sent = sender.acknowledged_count
        self._screen.live(f"sent {sent:6,}   read {read:6,}   stored {stored:6,}   duplicate {duplicate:5,}   "
                          f"dead {dead:4,}   lag {max(0, sent - read):6,}", at_once)
        return read

    def kill_worker(self):
        pid = self.pool.kill_worker(0)
        notes = [f"its partitions wait {SESSION_S} s, the group's session timeout; the others go on meanwhile"]
        if os.environ.get("KAFKA") != "real":
            notes.append("then all stand still for 3 s: so long this mock shares out partitions (Apache Kafka: 15 ms)")
        self._accident(f"kill -9 of worker process {pid}", *notes)

    def terminate_connections(self):
        count = self.database.terminate_backends()
        self._accident(f"terminated all {count} connections of the pool to PostgreSQL",
                       "the workers open new ones and go back to where the database says they are")

    def _accident(self, text, *notes):
        self.accidents.append(text)
        self._screen.event(text)
        for note in notes:
            self._screen.line(self._screen.dim(f"         {note}"))


def send(demo, stream, count):
    """Sends the stream over STREAM_S seconds with the accidents in between, and waits until all is read."""
    accidents = [(KILL_AT, demo.kill_worker), (TERMINATE_AT, demo.terminate_connections)]
    begun = time.monotonic()
    with Sender(demo.broker.brokers, TOPIC, linger_ms=20) as sender:
        for number, message in enumerate(stream):
            due = begun + STREAM_S * number / count
            while time.monotonic() < due:
                sender.poll(0.01)
                demo.show(sender)
            if accidents and number >= accidents[0][0] * count:
                accidents.pop(0)[1]()
            sender.send(message)
        acknowledged = sender.finish()
        wait_until(lambda: demo.show(sender) >= len(acknowledged), CATCH_UP_S, "the pool reads all that was sent",
                   on_timeout=demo.pool.log_tail)
        demo.show(sender, at_once=True)
    check.wait_until_caught_up(demo.database, TOPIC, demo.broker, CATCH_UP_S, demo.pool.log_tail)
    return acknowledged


def run(stack, screen):
    """The demo itself. Returns the Demo and whether every message is accounted for."""
    screen.line(screen.bold("winnow: loose JSON events from Kafka, each stored exactly once in PostgreSQL"))
    screen.line()
    demo = Demo(stack, screen)
    count = int(os.environ.get("EVENTS") or 20000)
    stream = Stream(count, PARTITIONS)
    screen.title(f"{count:,} messy events from five clients, in {STREAM_S:.0f} seconds")
    screen.line(screen.dim("six shapes of JSON, 5 % sent again in other words, 1 % broken"))
    screen.start_clock()
    acknowledged = send(demo, stream, count)
    screen.keep_live()
    return demo, summary.show(screen, demo, stream, acknowledged)


def _stop(_number, _frame):
    raise KeyboardInterrupt


def _stay_for_a_person(screen, demo):
    """On a terminal the console is worth a look before everything is removed; nobody else is kept waiting."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    screen.line()
    screen.line(f"The console, in a browser:  {screen.bold(demo.console.address + '/')}   (Enter ends the demo)")
    sys.stdin.readline()


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    screen = Screen()
    try:
        with ExitStack() as stack:
            demo, is_exact = run(stack, screen)
            summary.show_next(screen)
            _stay_for_a_person(screen, demo)
            return 0 if is_exact else 1
    except KeyboardInterrupt:
        screen.keep_live()
        screen.line("stopped; nothing is left behind")
        return 130
    except BrokenPipeError:  # our reader has gone, as in "make demo | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (DeadlinePassed, RuntimeError, AssertionError) as error:
        screen.keep_live()
        screen.line(screen.bad("the demo failed: ") + str(error))
        return 1


def main_keeping():
    """KEEP=1: a child of ours runs the demo and stays with the servers, which end with it; we end when it has
    shown its summary."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os.setsid()
        _run_and_stay(write_end)
    os.close(write_end)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    answer = os.read(read_end, 1)
    if answer:
        return int(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_and_stay(write_end):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop)
    screen = Screen()
    code = 1
    try:
        with ExitStack() as stack:
            demo, is_exact = run(stack, screen)
            summary.show_around(screen, demo, os.getpid())
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
            os.write(write_end, b"0" if is_exact else b"1")
            os.close(write_end)
            code = 0
            while True:
                signal.pause()
    except KeyboardInterrupt:
        if code != 0:
            screen.line("stopped; nothing is left behind")
    except (DeadlinePassed, RuntimeError, AssertionError) as error:
        screen.line(screen.bad("the demo failed: ") + str(error))
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main_keeping() if os.environ.get("KEEP") == "1" else main())
