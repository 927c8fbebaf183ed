"""Starting `winnow console`."""

import json
import signal
import urllib.error
import urllib.request

from .poll import wait_until
from .pool import BINARY, environment
from .process import Process, free_port, make_directory, remove_directory


class Console:
    """A `winnow console` on a free port, from `with` to its end; restart() takes the same port.

    settings: brokers, topic, group, database, ... as in WINNOW_…"""

    def __init__(self, settings, arguments=()):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._settings = settings
        self._arguments = arguments
        self._directory = make_directory("console")
        self._process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def start(self):
        self._process = Process([BINARY, "console", "--listen", f"127.0.0.1:{self.port}", *self._arguments],
                                self._directory / "console.log", env=environment(self._settings))
        wait_until(self._lives, 20, "the console answers", on_timeout=self._process.log_tail)
        return self

    def _lives(self):
        assert self._process.is_running(), f"the console ended with {self._process.exit_code}\n{self._process.log_tail()}"
        try:
            with urllib.request.urlopen(f"{self.address}/livez", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    @property
    def pid(self):
        return self._process.pid

    def log_tail(self, lines=40):
        return self._process.log_tail(lines)

    def stop(self):
        """TERM, and waits; the exit code."""
        return self._process.stop(signal.SIGTERM)

    def kill(self):
        self._process.kill()

    def restart(self):
        self.stop()
        self.start()

    def get(self, path):
        """The JSON that a path answers with."""
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def close(self):
        if self._process is not None:
            self._process.kill()
        remove_directory(self._directory)
