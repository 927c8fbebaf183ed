"""What a contender is: how it gets here, and which processes it consists of."""

import os
import shutil
import subprocess
from pathlib import Path

from winnow_test import pool
from winnow_test.process import ROOT, Process, children_of, make_directory, remove_directory

from measure import peak_memory_mib

STOP_S = 20
PREPARE_TIMEOUT_S = 600


class Unavailable(Exception):
    """Why a contender cannot take part on this machine."""


def need_programs(*programs):
    """Raises Unavailable, naming the first that is not on the PATH."""
    for program in programs:
        if shutil.which(program) is None:
            raise Unavailable(f"the program {program} is not installed")


def prepare_by(what, argv, cwd=None):
    """Runs a step of a build or an installation; Unavailable, with the end of what it said, when it fails."""
    try:
        done = subprocess.run(list(map(str, argv)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=PREPARE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{what}: not done within {PREPARE_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise Unavailable(f"{what}: " + " ".join(done.stdout.split())[-300:])


class Job:
    """What a contender has to do: read the topic to its end, into the table winnow.event of the database."""

    def __init__(self, server, broker, database, topic, group):
        self.server = server
        self.brokers = broker.brokers
        self.database = database
        self.topic = topic
        self.group = group


class Contender:
    """form: of its topic. prepare() brings it here or raises Unavailable; processes() says how to run it."""

    name = None
    title = None
    form = "canonical"

    def prepare(self):
        """Nothing to do, or a build, or an installation."""

    def versions(self):
        raise NotImplementedError

    def processes(self, job, directory):
        """A list of (argv, environment or None); files that it needs go into the directory."""
        raise NotImplementedError

    def group_of(self, job):
        """The consumer group under which its offsets are found."""
        return job.group


class Running:
    """`with Running(contender, job) as running:` is the contender at work; its output ends in build/logs/peer-NAME.log."""

    def __init__(self, contender, job):
        self._directory = make_directory("peer")
        self._name = contender.name
        self._commands = contender.processes(job, self._directory)
        self._processes = []
        self.restarts = 0

    def __enter__(self):
        self._processes = [self._start(index) for index in range(len(self._commands))]
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.send_signal(15)
        for process in self._processes:
            process.stop(timeout_s=STOP_S)
        self._keep_log()
        remove_directory(self._directory)

    def _keep_log(self):
        folder = ROOT / "build" / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"peer-{self._name}.log").write_text(self.log_text(), encoding="utf-8")

    def _start(self, index):
        argv, environment = self._commands[index]
        return Process(argv, self._directory / f"{index}.log", env=environment, cwd=self._directory)

    def pids(self):
        return [process.pid for process in self._processes]

    def is_running(self):
        return all(process.is_running() for process in self._processes)

    def start_ended(self):
        """As a supervisor would."""
        for index, process in enumerate(self._processes):
            if not process.is_running():
                self._processes[index] = self._start(index)
                self.restarts += 1

    def peak_memory_mib(self):
        """The peaks of all its processes, added up."""
        pids = [pid for parent in self.pids() for pid in (parent, *children_of(parent))]
        return sum(map(peak_memory_mib, pids))

    def exit_codes(self):
        return [process.exit_code for process in self._processes]

    def log_text(self):
        return "\n".join(process.log_text() for process in self._processes)


def cache_directory():
    """Where installations live, outside the tree."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winnow" / "peers"


class Winnow(Contender):
    """Reads the loose bytes, from a topic of its own; normalizes, hashes, rolls up and keeps its account besides."""

    name = "winnow"
    title = "winnow"
    form = "loose"

    def __init__(self, workers, settings):
        self._workers = workers
        self._settings = settings

    def versions(self):
        settings = "".join(f", {name}={value}" for name, value in self._settings.items())
        return f"{pool.run('--version').out.strip()}, {self._workers} workers{settings}"

    def processes(self, job, directory):
        settings = {"brokers": job.brokers, "topic": job.topic, "group": job.group, "database": job.database.dsn,
                    **self._settings}
        return [([ROOT / "build/winnow", "pool", "-n", self._workers], pool.environment(settings))]
