"""Starting build/winnow: pools, workers, and commands that end by themselves."""

import os
import re
import signal
import subprocess
from pathlib import Path

from .poll import wait_until
from .process import ROOT, Process, children_of, make_directory, remove_directory, wait_until_gone

# Another build of it, for instance with sanitizers: WINNOW=build/san/winnow
BINARY = ROOT / os.environ.get("WINNOW", "build/winnow")

# So that a worker that was killed is noticed soon. Brokers have a lower limit (group.min.session.timeout.ms).
FAST_GROUP = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}


def environment(settings):
    """Ours without anything that would configure winnow or libpq, plus WINNOW_… from settings."""
    clean = {name: value for name, value in os.environ.items() if not re.match(r"(WINNOW_|PG[A-Z]+$)", name)}
    for name, value in settings.items():
        clean[f"WINNOW_{name.upper()}"] = str(value)
    return clean


def _properties(properties):
    return [part for name, value in properties.items() for part in ("-X", f"{name}={value}")]


class Result:
    """How a command ended."""

    def __init__(self, done):
        self.exit_code = done.returncode
        self.out = done.stdout
        self.error = done.stderr

    def __repr__(self):
        return f"exit code {self.exit_code}\n--- standard output\n{self.out}--- standard error\n{self.error}"


def run(*arguments, stdin=b"", settings=None, timeout_s=180, check=False, binary=None):
    """Runs `winnow ARGUMENTS` to its end. stdin is bytes; output comes as text. check: exit code 0 is demanded."""
    done = subprocess.run(
        [str(binary or BINARY), *map(str, arguments)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(settings or {}), timeout=timeout_s, check=False)
    done.stdout = done.stdout.decode(errors="replace")
    done.stderr = done.stderr.decode(errors="replace")
    result = Result(done)
    if check and result.exit_code != 0:
        raise AssertionError(f"winnow {' '.join(map(str, arguments))}: {result!r}")
    return result


class Pool:
    """A `winnow pool` (or, with workers=0, one `winnow worker` in the foreground), from `with` to its end.

    settings: brokers, topic, group, database, ... as in WINNOW_…; metrics_listen is off unless it is among them; properties: -X for librdkafka; variables: more of
    the environment, which nothing else gets."""

    def __init__(self, settings, workers=2, properties=None, arguments=(), log_path=None, binary=None, variables=None):
        self.settings = settings
        self.variables = variables or {}
        self._directory = None if log_path is not None else make_directory("pool")
        self.log_path = Path(log_path or self._directory / "pool.log")
        command = ["worker"] if workers == 0 else ["pool", "-n", str(workers)]
        self._argv = [binary or BINARY, *command, *_properties({**FAST_GROUP, **(properties or {})}), *arguments]
        self._is_worker = workers == 0
        self.process = None
        self._last_log = ""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        # TERM lets the pool end its workers itself, should we be killed.
        settings = {"metrics_listen": "off", **self.settings}
        self.process = Process(self._argv, self.log_path, env={**environment(settings), **self.variables},
                               death_signal=signal.SIGTERM)
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def exit_code(self):
        return self.process.exit_code

    def is_running(self):
        return self.process is not None and self.process.is_running()

    def worker_pids(self):
        return [self.pid] if self._is_worker else [pid for pid in children_of(self.pid) if _has_role(pid, "worker")]

    def wait_for_workers(self, count, timeout_s=30):
        """Waits until that many worker processes exist, and returns their pids."""
        wait_until(lambda: len(self.worker_pids()) == count, timeout_s, f"{count} workers run",
                   on_timeout=self.log_tail)
        return self.worker_pids()

    def kill_worker(self, index=0, number=signal.SIGKILL):
        """Sends a signal to one worker; returns its pid. One that is killed is gone then, and no longer counts as one."""
        pid = self.worker_pids()[index]
        os.kill(pid, number)
        if number == signal.SIGKILL:
            wait_until_gone([pid])
        return pid

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout_s=90):
        """TERM, and waits. Returns the exit code; after the deadline everything is killed (exit code -9)."""
        workers = self.worker_pids()
        code = self.process.stop(signal.SIGTERM, timeout_s)
        self._kill_left_over(workers)
        return code

    def kill(self):
        """SIGKILL to the pool and to its workers."""
        workers = self.worker_pids()
        self.process.kill()
        self._kill_left_over(workers)

    def _kill_left_over(self, pids):
        for pid in pids:
            if pid != self.pid:
                _kill_if_winnow(pid)
        wait_until_gone([pid for pid in pids if pid != self.pid], 10)

    def close(self):
        if self.process is not None:
            self.stop()
            self._last_log = self.log_text()
        if self._directory is not None:
            remove_directory(self._directory)

    def log_text(self):
        """Also after close(), which removes the file."""
        return self.process.log_text() if self.log_path.exists() else self._last_log

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_for_log(self, pattern, timeout_s=30):
        """Waits for a line that matches the regular expression, and returns the match."""
        return wait_until(lambda: re.search(pattern, self.log_text()), timeout_s, f"a log line like {pattern!r}",
                          on_timeout=self.log_tail)


def _has_role(pid, role):
    """A pool has a housekeeper for a child, too."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2] == [role.encode()]
    except (FileNotFoundError, ProcessLookupError):
        return False


def _kill_if_winnow(pid):
    """A pid may have gone to someone else by now."""
    try:
        if "winnow" in os.readlink(f"/proc/{pid}/exe"):
            os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
