"""The development broker, build/devbroker (tests/lib/devbroker.c): librdkafka's mock in a process of its own."""

from .kafka import Broker
from .poll import wait_until
from .process import ROOT, Process, make_directory, remove_directory

PROGRAM = ROOT / "build" / "devbroker"


class DevBroker(Broker):
    """`with DevBroker(topics={"events": 4}) as broker:`. It keeps everything in memory and forgets it when it
    ends; other topics come into being when they are first asked for, with `partitions` partitions."""

    def __init__(self, topics=None, partitions=4, program=None):
        self.directory = make_directory("devbroker")
        self.log_path = self.directory / "devbroker.log"
        self._argv = [program or PROGRAM, "--partitions", str(partitions)]
        for name, count in (topics or {}).items():
            self._argv += ["--topic", f"{name}:{count}"]
        self._process = None

    def start(self, timeout_s=60):
        self._process = Process(self._argv, self.log_path, cwd=self.directory, has_input=True)
        self.brokers = wait_until(self._address, timeout_s, "the development broker gives its address",
                                  on_timeout=self._process.log_tail)

    def _address(self):
        if not self._process.is_running():
            raise RuntimeError(f"the development broker ended with {self._process.exit_code}\n"
                               f"{self._process.log_tail()}")
        # The first line of standard output; standard error goes to the same file.
        whole_lines = self._process.log_text().split("\n")[:-1]
        return next((line for line in whole_lines if line.startswith("127.0.0.1:")), None)

    def create_topic(self, name, partitions=1, config=None):
        if config:
            raise ValueError("the development broker's topics have no configuration")
        self.command(f"create {name} {partitions}")

    def command(self, text, timeout_s=60):
        """One of its commands ("error produce REQUEST_TIMED_OUT 3", "down", "rtt 50"); raises when refused."""
        answered = len(self._answers())
        self._process.write_line(text)
        wait_until(lambda: len(self._answers()) > answered, timeout_s, f"the answer to {text!r}",
                   on_timeout=self._process.log_tail)
        answer = self._answers()[answered]
        if answer != "ok":
            raise ValueError(f"devbroker: {text}: {answer}")

    def _answers(self):
        return [line for line in self._process.log_text().split("\n")[:-1]
                if line == "ok" or line.startswith("error ")]

    def is_running(self):
        return self._process is not None and self._process.is_running()

    def kill(self):
        if self._process is not None:
            self._process.kill()

    def close(self):
        self.kill()
        remove_directory(self.directory)
