"""Brokers: Apache Kafka from its jars (one node, KRaft), and what the tests ask of any broker."""

import base64
import json
import os
import signal
import subprocess
import uuid
from concurrent.futures import TimeoutError as NoAnswer
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from .poll import wait_until
from .process import Process, Started, free_port, make_directory, remove_directory

VERSION = "4.1.2"
ADMIN_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 20    # of one try
# What a broker that has just come back, or thawed, answers or does not: its controller may still take it for gone.
NOT_NOW = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError.REQUEST_TIMED_OUT,
           KafkaError.NETWORK_EXCEPTION, KafkaError.NOT_CONTROLLER, KafkaError.BROKER_NOT_AVAILABLE,
           KafkaError.LEADER_NOT_AVAILABLE, KafkaError.INVALID_REPLICATION_FACTOR)


def jars_directory():
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(cache) / "winnow" / f"kafka-{VERSION}" / "jars"
    if not path.is_dir():
        raise RuntimeError(f"the jars of Apache Kafka are not in {path}; run: make deps")
    return path


def _error_of(answer):
    """None when the order was carried out."""
    try:
        answer.result(ANSWER_TIMEOUT_S)
        return None
    except KafkaException as error:
        return error.args[0]
    except NoAnswer:
        return KafkaError(KafkaError._TIMED_OUT)


def _order(give, done_already, what):
    """give() makes the futures of an order; it is given again while the broker cannot carry it out. done_already: what
    it answers then to what an earlier try has done after all."""
    errors = []

    def is_done():
        found = [error for error in map(_error_of, give())
                 if error is not None and not (errors and error.code() == done_already)]
        errors.extend(found)
        for error in found:
            if error.code() not in NOT_NOW:
                raise KafkaException(error)
        return not found

    wait_until(is_done, ADMIN_TIMEOUT_S, what, interval_s=0.2, on_timeout=lambda: errors[-1])


class Broker(Started):
    """What tests do with topics, whatever serves them."""

    brokers = None  # host:port

    def admin(self):
        return AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def create_topic(self, name, partitions=1, config=None):
        """Creates the topic and waits until its partitions have leaders."""
        self.create_topics([name], partitions, config)

    def create_topics(self, names, partitions=1, config=None):
        """The same for several at once."""
        admin = self.admin()  # must outlive its answers
        new = [NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {}) for name in names]
        _order(lambda: admin.create_topics(new, operation_timeout=ANSWER_TIMEOUT_S).values(),
               KafkaError.TOPIC_ALREADY_EXISTS, f"topics {names[:3]} are created")
        wait_until(lambda: self._have_leaders(names, partitions), ADMIN_TIMEOUT_S, f"topics {names[:3]} have leaders")

    def delete_topic(self, name):
        admin = self.admin()
        _order(lambda: admin.delete_topics([name], operation_timeout=ANSWER_TIMEOUT_S).values(),
               KafkaError.UNKNOWN_TOPIC_OR_PART, f"topic {name} is deleted")
        wait_until(lambda: self.partition_count(name) == 0, ADMIN_TIMEOUT_S, f"topic {name} is gone")

    def add_partitions(self, name, total):
        admin = self.admin()
        new = NewPartitions(name, total)
        _order(lambda: admin.create_partitions([new], operation_timeout=ANSWER_TIMEOUT_S).values(),
               KafkaError.INVALID_PARTITIONS, f"topic {name} is given {total} partitions")
        wait_until(lambda: self._have_leaders([name], total), ADMIN_TIMEOUT_S, f"topic {name} has {total} partitions")

    def alter_topic(self, name, config):
        """Sets the topic's configuration (those not named fall back to their defaults)."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, set_config=config)
        admin = self.admin()
        _order(lambda: admin.alter_configs([resource]).values(), None, f"{name} is configured anew")

    def _have_leaders(self, names, partitions):
        topics = self._metadata()
        found = [topics.get(name) for name in names]
        return all(topic is not None and len(topic.partitions) == partitions and
                   all(partition.leader >= 0 for partition in topic.partitions.values()) for topic in found)

    def _metadata(self):
        """Of all topics, since asking for one by name may create it on some brokers. A broker that does not answer now is
        asked again: it is not one without topics."""
        return self._cluster().topics

    def _cluster(self):
        def ask():
            try:
                return self.admin().list_topics(timeout=ANSWER_TIMEOUT_S)
            except KafkaException:
                return None
        return wait_until(ask, ADMIN_TIMEOUT_S, "the broker tells of its topics")

    def partition_count(self, name):
        topic = self._metadata().get(name)
        return len(topic.partitions) if topic is not None else 0

    def cluster_id(self):
        return self._cluster().cluster_id

    def _reader(self):
        return Consumer({
            "bootstrap.servers": self.brokers, "group.id": f"reader-{uuid.uuid4()}", "log_level": 0,
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
            "isolation.level": "read_committed", "fetch.wait.max.ms": 20, "check.crcs": False,
            "fetch.message.max.bytes": 4 << 20})

    def watermarks(self, topic, partition):
        """(first offset kept, offset behind the last)."""
        reader = self._reader()
        try:
            return _watermarks(reader, topic, partition)
        finally:
            reader.close()

    def end_offsets(self, topic, timeout_s=30):
        """A dict of partition → offset behind the last message. A broker that has just come back may not know yet."""
        partitions = wait_until(lambda: self.partition_count(topic), timeout_s, f"the partitions of {topic}")
        reader = self._reader()
        try:
            return {partition: _watermarks(reader, topic, partition)[1] for partition in range(partitions)}
        finally:
            reader.close()

    def read_topic(self, topic, timeout_s=60):
        """All messages of the topic now, as a list of confluent_kafka.Message: the oracle's truth.

        Up to the ends as they are when it begins; messages that compaction or aborted transactions removed are
        not there."""
        return [message for some in self.read_pieces(topic, timeout_s) for message in some]

    def read_pieces(self, topic, timeout_s=60):
        """The same, as it comes: lists of messages. timeout_s is for each of them."""
        reader = self._reader()
        try:
            wanted = {}
            for partition in range(self.partition_count(topic)):
                low, high = _watermarks(reader, topic, partition)
                if high > low:
                    wanted[partition] = (low, high)
            reader.assign([TopicPartition(topic, partition, low) for partition, (low, _) in wanted.items()])
            yield from _read_until_ends(reader, wanted, timeout_s)
        finally:
            reader.close()


def _watermarks(reader, topic, partition):
    """Also of a broker that does not answer now."""
    def ask():
        try:
            return reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_TIMEOUT_S)
        except KafkaException:
            return None
    return wait_until(ask, ADMIN_TIMEOUT_S, f"the ends of {topic}/{partition}")


def _read_until_ends(reader, wanted, timeout_s):
    unfinished = set(wanted)

    def pick(some):
        for message in some:
            partition = message.partition()
            if message.error() is None and message.offset() < wanted[partition][1]:
                yield message
            elif message.error() is not None and message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            if message.error() is not None or message.offset() >= wanted[partition][1] - 1:
                unfinished.discard(partition)

    while unfinished:
        yield list(pick(wait_until(lambda: reader.consume(10000, timeout=0.2), timeout_s, "more of the topic is read",
                                   interval_s=0)))


class Kafka(Broker):
    """`with Kafka() as broker:` is a fresh Apache Kafka on 127.0.0.1.

    kill() is kill -9; start() afterwards takes the same directories and ports. through: a Proxy, whose target
    becomes a listener of its own; clients of proxied_brokers are told no other address than the proxy's. scram: a dict
    of user → password, for SCRAM-SHA-512. ports: of the broker and of its controller, when settings need them."""

    def __init__(self, settings=None, through=None, scram=None, ports=None):
        self.directory = make_directory("kafka")
        self.log_path = self.directory / "kafka.log"
        self.port, self.controller_port = ports or (free_port(), free_port())
        self.brokers = f"127.0.0.1:{self.port}"
        self._process = None
        self._jars = jars_directory()
        self._properties = self.directory / "server.properties"
        self.proxied_brokers = None
        proxied = self._proxied(through) if through is not None else {}
        self._write_properties({**proxied, **(settings or {})})
        self._format([f"--add-scram=SCRAM-SHA-512=[name={user},password={password}]"
                      for user, password in (scram or {}).items()])

    def _proxied(self, proxy):
        proxy.target = free_port()
        self.proxied_brokers = f"127.0.0.1:{proxy.port}"
        direct = f"PLAINTEXT://127.0.0.1:{self.port}"
        return {"listeners": f"{direct},PROXIED://127.0.0.1:{proxy.target},CONTROLLER://127.0.0.1:{self.controller_port}",
                "advertised.listeners": f"{direct},PROXIED://{self.proxied_brokers}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"}

    def _write_properties(self, settings):
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.directory / "log",
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # Back soon after kill -9: the controller must first see the broker that was as gone. Less, and on a machine
            # that does other things a broker that is there is taken for gone, and its groups stand still.
            "broker.session.timeout.ms": 4000,
            "broker.heartbeat.interval.ms": 300,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.cleaner.dedupe.buffer.size": 8 << 20,
            "log.cleaner.backoff.ms": 500,
            "log.initial.task.delay.ms": 500,
            "log.retention.check.interval.ms": 1000,
            **settings,
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def _java(self, main_class, *arguments):
        return ["java", "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Djava.awt.headless=true", f"-Djava.io.tmpdir={self.directory}",
                "-cp", f"{self._jars}/*", main_class, *arguments]

    @property
    def properties_path(self):
        """The file that it reads when it starts."""
        return self._properties

    def delete_records(self, topic, before):
        """Deletes what stands before an offset: {partition: offset}."""
        partitions = [{"topic": topic, "partition": partition, "offset": offset} for partition, offset in before.items()]
        path = self.directory / "delete-records.json"
        path.write_text(json.dumps({"version": 1, "partitions": partitions}), encoding="ascii")
        subprocess.run(self._java("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.brokers,
                                  "--offset-json-file", path), check=True, stdout=subprocess.DEVNULL)
        for partition, offset in before.items():
            wait_until(lambda p=partition, o=offset: self.watermarks(topic, p)[0] == o, 30, f"{topic}/{partition} begins at {offset}")

    def _format(self, arguments):
        # Behind "=", since one id in 64 begins with a dash.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties),
                       *arguments),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's storage could not be formatted:\n{done.stdout}")

    def start(self, timeout_s=240):
        """Starts it and waits until it answers; does nothing when it runs."""
        if self.is_running():
            return
        self._process = Process(self._java("kafka.Kafka", str(self._properties)), self.log_path, cwd=self.directory)
        wait_until(self._answers, timeout_s, "Kafka answers", on_timeout=self.log_tail)

    def _answers(self):
        if not self._process.is_running():
            raise RuntimeError(f"Kafka ended with {self._process.exit_code}\n{self.log_tail()}")
        try:
            return len(self.admin().list_topics(timeout=1).brokers) > 0
        except KafkaException:
            return False

    @property
    def pid(self):
        return self._process.pid

    def is_running(self):
        return self._process is not None and self._process.is_running()

    def kill(self):
        if self.is_running():
            self._process.kill()

    def stop(self, timeout_s=30):
        if self.is_running():
            self._process.stop(signal.SIGTERM, timeout_s)

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        """Freezes the broker: connections stay open and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self.kill()
        remove_directory(self.directory)

    def log_tail(self, lines=30):
        return self._process.log_tail(lines) if self._process is not None else ""
