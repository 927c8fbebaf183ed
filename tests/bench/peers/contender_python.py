"""A consumer in Python: confluent-kafka and psycopg 3, in one process or several."""

import os
import shutil
import sys
from pathlib import Path

from contender import Contender, cache_directory, prepare_by

SOURCE = Path(__file__).parent / "consumer.py"
PACKAGES = ("confluent-kafka==2.16.1", "psycopg[binary]==3.3.9")


class Python(Contender):
    """In a virtual environment of its own: the distribution's packages are older."""

    def __init__(self, processes):
        self._processes = processes
        self.name = "python" if processes == 1 else f"python-{processes}"
        self.title = "Python consumer" if processes == 1 else f"Python consumer, {processes} processes"
        self._environment = cache_directory() / "-".join(("python", *(package.split("==")[1] for package in PACKAGES)))

    def prepare(self):
        if (self._environment / "complete").exists():
            return
        shutil.rmtree(self._environment, ignore_errors=True)
        pip = self._environment / "bin" / "pip"
        prepare_by("no virtual environment", [sys.executable, "-m", "venv", self._environment])
        prepare_by("its packages cannot be installed", [pip, "install", "-q", "--only-binary", ":all:", *PACKAGES])
        (self._environment / "complete").touch()

    def versions(self):
        return f"{', '.join(package.replace('==', ' ') for package in PACKAGES)}, Python {sys.version.split()[0]}"

    def processes(self, job, directory):
        argv = [self._environment / "bin" / "python", SOURCE, job.brokers, job.topic, job.group, job.database.dsn]
        return [(argv, dict(os.environ))] * self._processes
