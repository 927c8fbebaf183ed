"""Redpanda Connect: no code but a mapping; one process that keeps 16 inserts in flight.

Its licences are not all open-source ones, so it is neither fetched nor built here: whoever has the program
redpanda-connect on the PATH sees it beside the others."""

import json
import os
import shutil
import subprocess

from contender import Contender, Unavailable

PROGRAM = "redpanda-connect"
IN_FLIGHT = 16
BATCH_ROWS = 5000  # an INSERT has a parameter a column and row, and at most 65,535 of them
BATCH_PERIOD = "20ms"
COLUMNS = ("bucket", "event_hash", "client_id", "metric", "amount", "event_time", "stream_id", "origin_partition",
           "origin_offset")
ARGUMENTS = ("root = [this.bucket, this.event_hash, this.client_id, this.metric, this.amount, this.event_time, 1, "
             '@kafka_partition, @kafka_offset]')


class Redpanda(Contender):
    """Its input keeps the order of each partition, as it does unless told otherwise."""

    name = "redpanda"
    title = "Redpanda Connect"

    def prepare(self):
        if shutil.which(PROGRAM) is None:
            raise Unavailable(f"the program {PROGRAM} is not installed (it is not fetched: not all of it is open source)")

    def versions(self):
        done = subprocess.run([PROGRAM, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        return " ".join(done.stdout.split())

    def processes(self, job, directory):
        path = directory / "connect.yaml"
        path.write_text(json.dumps(_stream(job)), encoding="utf-8")  # which is YAML, too
        return [([PROGRAM, "run", path], dict(os.environ))]


def _stream(job):
    server = job.server
    dsn = f"postgres://postgres:{server.password}@127.0.0.1:{server.port}/{job.database.name}?sslmode=disable"
    return {
        "http": {"enabled": False},
        "input": {"redpanda": {"seed_brokers": [job.brokers], "topics": [job.topic], "consumer_group": job.group,
                               "start_offset": "earliest"}},
        "output": {"sql_insert": {
            "driver": "postgres", "dsn": dsn, "table": "winnow.event", "columns": list(COLUMNS),
            "args_mapping": ARGUMENTS, "suffix": "ON CONFLICT DO NOTHING", "max_in_flight": IN_FLIGHT,
            "conn_max_open": IN_FLIGHT, "conn_max_idle": IN_FLIGHT,
            "batching": {"count": BATCH_ROWS, "period": BATCH_PERIOD}}},
    }
