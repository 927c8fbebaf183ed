"""A consumer in Go: franz-go and pgx, two workers in one process."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from winnow_test.process import ROOT

from contender import Contender, Unavailable

SOURCE = Path(__file__).parent / "go"
PROGRAM = ROOT / "build" / "peers" / "go" / "peers"
WORKERS = 2
BUILD_TIMEOUT_S = 600


class Go(Contender):
    """Built from go/ with whatever Go is installed."""

    name = "go"
    title = "Go consumer"

    def prepare(self):
        if shutil.which("go") is None:
            raise Unavailable("no Go compiler: the program go is not installed")
        done = subprocess.run(["go", "build", "-buildvcs=false", "-o", PROGRAM, "."], cwd=SOURCE, timeout=BUILD_TIMEOUT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"does not build: {done.stdout.strip()[-300:]}")

    def versions(self):
        modules = dict(re.findall(r"^\s+(\S+) (v\S+)$", (SOURCE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE))
        compiler = subprocess.run(["go", "env", "GOVERSION"], cwd=SOURCE, stdout=subprocess.PIPE, text=True, check=False)
        return (f"franz-go {modules['github.com/twmb/franz-go']}, pgx {modules['github.com/jackc/pgx/v5']}, "
                f"{compiler.stdout.strip()}")

    def processes(self, job, directory):
        return [([PROGRAM, job.brokers, job.topic, job.group, job.database.dsn, WORKERS], dict(os.environ))]
