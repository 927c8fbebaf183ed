"""A consumer in Go: franz-go and pgx, two workers in one process."""

import os
import re
import subprocess
from pathlib import Path

from winnow_test.process import ROOT

from contender import Contender, need_programs, prepare_by

SOURCE = Path(__file__).parent / "go"
PROGRAM = ROOT / "build" / "peers" / "go" / "peers"
WORKERS = 2


class Go(Contender):
    """Built from go/ with whatever Go is installed."""

    name = "go"
    title = "Go consumer"

    def prepare(self):
        need_programs("go")
        prepare_by("it does not build", ["go", "build", "-buildvcs=false", "-o", PROGRAM, "."], SOURCE)

    def versions(self):
        modules = dict(re.findall(r"^\s+(\S+) (v\S+)$", (SOURCE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE))
        compiler = subprocess.run(["go", "env", "GOVERSION"], cwd=SOURCE, stdout=subprocess.PIPE, text=True, check=False)
        return (f"franz-go {modules['github.com/twmb/franz-go']}, pgx {modules['github.com/jackc/pgx/v5']}, "
                f"{compiler.stdout.strip()}")

    def processes(self, job, directory):
        return [([PROGRAM, job.brokers, job.topic, job.group, job.database.dsn, WORKERS], dict(os.environ))]
