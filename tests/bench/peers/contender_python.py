"""A consumer in Python: confluent-kafka and psycopg 3, two processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from contender import Contender, Unavailable, cache_directory

SOURCE = Path(__file__).parent / "consumer.py"
PACKAGES = ("confluent-kafka==2.16.1", "psycopg[binary]==3.3.9")
PROCESSES = 2
INSTALL_TIMEOUT_S = 600


class Python(Contender):
    """In a virtual environment of its own: the distribution's packages are older."""

    name = "python"
    title = "Python consumer"

    def __init__(self):
        self._environment = cache_directory() / "-".join(("python", *(package.split("==")[1] for package in PACKAGES)))

    def prepare(self):
        if (self._environment / "complete").exists():
            return
        shutil.rmtree(self._environment, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", self._environment)
        self._run(self._environment / "bin" / "pip", "install", "-q", "--only-binary", ":all:", *PACKAGES)
        (self._environment / "complete").touch()

    @staticmethod
    def _run(*argv):
        try:
            subprocess.run(argv, timeout=INSTALL_TIMEOUT_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=True)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"its packages cannot be installed: {error.stdout.strip()[-300:]}") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"its packages were not installed within {INSTALL_TIMEOUT_S} s") from None

    def versions(self):
        return f"{', '.join(package.replace('==', ' ') for package in PACKAGES)}, Python {sys.version.split()[0]}"

    def processes(self, job, directory):
        argv = [self._environment / "bin" / "python", SOURCE, job.brokers, job.topic, job.group, job.database.dsn]
        return [(argv, dict(os.environ))] * PROCESSES
