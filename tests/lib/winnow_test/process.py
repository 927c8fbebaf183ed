"""Child processes that end with their parent, temporary directories, free ports."""

import ctypes
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from .poll import DeadlinePassed, wait_until

ROOT = Path(__file__).resolve().parents[3]
PR_SET_PDEATHSIG = 1
DIRECTORY_PREFIX = "winnow-run-"
PORTS = range(15000, 32000)

_ports_given = set()
_libc = ctypes.CDLL(None, use_errno=True)


def full_pipe():
    """(reading, writing): descriptors of a pipe that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def _end_with_parent(parent_pid, death_signal):
    """Runs in the child after it has become its user: changing credentials clears the setting."""

    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


class Started:
    """`with` starts it, and closes it at the end, also when it could not start."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()


class Process:
    """A child in a session of its own, with its output in a file, and a pipe to its input if has_input.

    The kernel sends it death_signal when the *thread* that made it ends: make it in the main thread."""

    def __init__(self, argv, log_path, env=None, cwd=None, user=None, death_signal=signal.SIGKILL,
                 has_input=False):
        self.argv = [str(argument) for argument in argv]
        self.log_path = Path(log_path)
        credentials = {}
        if user is not None:
            credentials = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with open(self.log_path, "ab") as log:
            self._popen = subprocess.Popen(
                self.argv, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL, env=env, cwd=cwd, start_new_session=True,
                preexec_fn=_end_with_parent(os.getpid(), death_signal), **credentials)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit_code(self):
        """None while it runs; -N after signal N."""
        return self._popen.poll()

    def is_running(self):
        return self.exit_code is None

    def write_line(self, text):
        """To its standard input (has_input)."""
        self._popen.stdin.write(text.encode() + b"\n")
        self._popen.stdin.flush()

    def send_signal(self, number):
        if self.is_running():
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL to all of its session's first process group, and waits for the first process."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()

    def wait(self, timeout_s=90):
        """The exit code; kills it and raises DeadlinePassed when it does not end in time."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DeadlinePassed(f"{self.argv[0]} did not end within {timeout_s} s\n{self.log_tail()}") from None

    def stop(self, number=signal.SIGTERM, timeout_s=90):
        """Asks it to end, insists by SIGKILL at the deadline. Returns the exit code."""
        self.send_signal(number)
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.exit_code

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])


def children_of(pid):
    """Pids of the direct children of a process, oldest first; empty when it is gone."""
    pids = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            pids += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return sorted(int(child) for child in pids)


def birth_of(pid):
    """When the process began, in ticks of the kernel's: a pid is given again, the two together are not. None when it is
    gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def is_alive(pid):
    """True when the process exists and is no zombie."""
    return birth_of(pid) is not None


def wait_until_gone(pids, timeout_s=30):
    wait_until(lambda: not [pid for pid in pids if is_alive(pid)], timeout_s, f"the end of processes {pids}")


def free_port():
    """A port on 127.0.0.1 below the range from which the kernel picks, and that no other process of tests gets as long
    as we live, so that a server that is restarted finds its own port free again."""
    for _ in range(200):
        port = random.choice(PORTS)
        if port not in _ports_given and _is_free(port):
            _ports_given.add(port)
            return port
    raise RuntimeError(f"no free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def _is_free(port):
    """Takes the port's byte of a file in which each process locks those of its ports: its server may be down just now.
    The file is opened once, for to close it would give up all our locks."""
    try:
        fcntl.lockf(_open_ports_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


@lru_cache(maxsize=None)
def _open_ports_file():
    return os.open(f"{tempfile.gettempdir()}/winnow-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def make_directory(purpose):
    """A directory under the temporary one that everyone may enter (PostgreSQL runs as another user). Its name
    holds our pid: those of processes that were killed are removed by the next run."""
    _remove_left_over()
    path = Path(tempfile.mkdtemp(prefix=f"{DIRECTORY_PREFIX}{os.getpid()}-{purpose}-"))
    path.chmod(0o755)
    return path


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)


def keep_directory(path, *logs):
    """For a person who has to find out what happened: the next run does not remove it, and the logs are copied into it."""
    (path / "keep").touch()
    for log in logs:
        shutil.copy(log, path)


def _remove_left_over():
    for path in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        owner = path.name[len(DIRECTORY_PREFIX):].split("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}") and not (path / "keep").exists():
            remove_directory(path)
