"""Debezium's JDBC sink on Kafka Connect: no code, two tasks in one JVM."""

import shutil
import tempfile
from pathlib import Path

from winnow_test import kafka
from winnow_test.process import free_port

from contender import Contender, cache_directory, need_programs, prepare_by

VERSION = "3.6.0.Final"
ARTIFACT = f"io.debezium:debezium-connector-jdbc:{VERSION}:tar.gz:plugin"
TASKS = 2
BATCH_ROWS = 10000
# As Kafka's own script starts Connect.
JAVA = ["java", "-Xms256M", "-Xmx2G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


class Debezium(Contender):
    """Reads a topic of its own: each message holds its schema, as Connect's JSON converter asks for."""

    name = "debezium"
    title = "Debezium JDBC sink"
    form = "enveloped"

    def __init__(self):
        self._plugins = cache_directory() / f"debezium-{VERSION}"

    def prepare(self):
        need_programs("java", "mvn")
        if not self._plugins.is_dir():
            self._fetch()

    def _fetch(self):
        """Whole or not at all: beside its place, and renamed into it."""
        self._plugins.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._plugins.parent) as beside:
            prepare_by("Maven could not fetch it", ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}",
                                                    f"-DoutputDirectory={beside}"], beside)
            archive = next(Path(beside).glob("*.tar.gz"))
            shutil.unpack_archive(archive, Path(beside) / "plugins")
            (Path(beside) / "plugins").rename(self._plugins)

    def versions(self):
        return f"Debezium {VERSION}, Kafka Connect {kafka.VERSION}"

    def processes(self, job, directory):
        worker, sink = directory / "worker.properties", directory / "sink.properties"
        _write(worker, self._worker_properties(job, directory))
        _write(sink, _sink_properties(job))
        classes = f"{kafka.jars_directory()}/*"
        return [([*JAVA, "-cp", classes, "org.apache.kafka.connect.cli.ConnectStandalone", worker, sink], None)]

    def group_of(self, job):
        return f"connect-{job.group}"

    def _worker_properties(self, job, directory):
        return {
            "bootstrap.servers": job.brokers,
            "listeners": f"http://127.0.0.1:{free_port()}",
            "plugin.path": self._plugins,
            "plugin.discovery": "service_load",
            "offset.storage.file.filename": directory / "offsets",
            "offset.flush.interval.ms": 5000,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
        }


def _sink_properties(job):
    return {
        "name": job.group,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": TASKS,
        "topics": job.topic,
        "connection.url": f"jdbc:postgresql://127.0.0.1:{job.server.port}/{job.database.name}",
        "connection.username": "postgres",
        "connection.password": job.server.password,
        "collection.name.format": "winnow.event",
        "schema.evolution": "none",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "bucket,event_hash",
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "batch.size": BATCH_ROWS,
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.max.poll.records": BATCH_ROWS,
    }


def _write(path, properties):
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="ascii")
