"""Servers with something wrong on purpose, winnow doctor beside them, and a shell in which its mends are run as they are
printed. The names that a mend uses and that only an installed system has (kafka-topics.sh, sudo, systemctl …) are small
scripts on PATH."""

import json
import os
import subprocess

from winnow_test import pool, shim
from winnow_test.certificates import Authority
from winnow_test.kafka import Kafka, jars_directory
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.process import ROOT, free_port

KAFKA_TOOLS = {"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
               "kafka-configs.sh": "kafka.admin.ConfigCommand",
               "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
               "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"}
PASSWORD = "correct horse"  # of Kafka's users winnow and reader
ADMIN_PASSWORD = "battery staple"
TIMEOUT_S = 10  # of a check: a server that is merely slow is well


class GuardedKafka(Kafka):
    """Kafka with an authorizer: who comes by the plain listener may do everything, and by the other one, `guarded`, the
    users winnow and reader may do what ACLs let them. A third one, `lost`, advertises an address where nobody is; a fourth
    one, `sealed`, speaks TLS. shift: the file that sets its clock."""

    def __init__(self, shift):
        self._shift = shift
        self._shim = shim.build(shift.parent, "clock_shim")
        super().__init__()

    def _java(self, main_class, *arguments):
        variables = [f"LD_PRELOAD={self._shim}", f"CLOCK_SHIM_FILE={self._shift}"]
        return ["env", *variables, *super()._java(main_class, *arguments)]

    def _write_properties(self, settings):
        self.guarded, self.lost = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.sealed = f"localhost:{free_port()}"
        self.authority = Authority(self.directory)
        both = self.directory / "both.pem"
        both.write_text("".join(path.read_text() for path in self.authority.issue("server", "localhost")))
        direct = f"PLAINTEXT://127.0.0.1:{self.port}"
        super()._write_properties({
            "listeners": f"{direct},GUARDED://{self.guarded},LOST://{self.lost},SEALED://{self.sealed},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"{direct},GUARDED://{self.guarded},SEALED://{self.sealed},LOST://127.0.0.1:1",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,LOST:PLAINTEXT,SEALED:SSL,CONTROLLER:PLAINTEXT",
            "listener.name.sealed.ssl.keystore.type": "PEM",
            "listener.name.sealed.ssl.keystore.location": both,
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.guarded.scram-sha-256.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.guarded.plain.sasl.jaas.config":
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_admin="{ADMIN_PASSWORD}" user_winnow="{PASSWORD}" user_reader="{PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
            **settings})


def write_scripts(directory):
    """The commands of mends, in a directory for PATH."""
    scripts = {
        name: f'exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto '
              f'-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "{jars_directory()}/*" {main_class} "$@"'
        for name, main_class in KAFKA_TOOLS.items()}
    scripts["sudo"] = 'exec "$@"'
    # Servers are children of the test, which starts them when it sees the request.
    scripts["systemctl"] = ('echo "$*" > "$CLINIC/request.new" && mv "$CLINIC/request.new" "$CLINIC/request"\n'
                            'until [ -e "$CLINIC/answer" ]; do read -rt 0.05 <> <(:) || :; done; rm "$CLINIC/answer"')
    # An operator's editor: puts in the address that is listened at.
    scripts["sudoedit"] = 'sed -i "s|LOST://127.0.0.1:1$|LOST://$LOST|" "$KAFKA_PROPERTIES"'
    scripts["timedatectl"] = 'head -c 8 /dev/zero | dd of="$CLOCK_SHIM_FILE" conv=notrunc status=none'
    scripts["ssh"] = 'shift; exec sh -c "$*"'  # as the other machine's shell reads it
    # Of what it would install there must be a candidate; with the new version the old one's fault is gone.
    scripts["apt-get"] = ('[ "$1 $2" = "install --only-upgrade" ] && apt-cache policy "$3" | grep -q "Candidate: [0-9]" && '
                          'rm "$VERSION_SHIM_FILE"')
    for name, text in scripts.items():
        path = directory / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)


class Report:
    """What winnow doctor --json said."""

    def __init__(self, done):
        self.exit_code = done.returncode
        self.error = done.stderr
        try:
            self.whole = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"no JSON: {done.stdout}{done.stderr}") from None
        self.checks = {check["check"]: check for check in self.whole["checks"]}

    def __getitem__(self, name):
        return self.checks[name]

    def bad(self):
        """Checks that failed or warn, in order."""
        return [name for name, check in self.checks.items() if check["verdict"] in ("fail", "warn")]

    def __repr__(self):
        return "\n".join(f"{check['verdict']:5} {name:22} {check['found']}\n      $ {check['mend']}"
                         for name, check in self.checks.items() if check["verdict"] != "ok") or "all is well"


class Patient:
    """A topic and a database of its own, and the environment of a shell that winnow doctor and its mends run in."""

    def __init__(self, directory, kafka, postgres, settings):
        self.directory = directory
        self.kafka = kafka
        self.postgres = postgres
        self.options = ()  # of every winnow doctor
        self.program = pool.BINARY
        self.starters = {"start kafka": kafka.start, "restart kafka": kafka.restart, "start postgresql": postgres.start,
                         "restart postgresql": postgres.restart}
        self.environment = {**pool.environment(settings), "CLINIC": str(directory), "TERM": "dumb",
                            "LOST": kafka.lost, "KAFKA_PROPERTIES": str(kafka.properties_path),
                            "PATH": f"{ROOT / 'build'}:{directory / 'bin'}:{os.environ['PATH']}"}

    def set(self, **settings):
        for name, value in settings.items():
            self.environment[f"WINNOW_{name.upper()}"] = str(value)

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], env=self.environment, cwd=self.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False)

    def doctor(self, *arguments):
        return Report(self.run("doctor", "--json", "--timeout", TIMEOUT_S, *self.options, *arguments))

    def shell(self, command, stdin=""):
        """Runs the command in a shell whose exports last."""
        after = self.directory / "environment"
        process = subprocess.Popen(["bash", "-c", f"trap 'code=$?; env -0 > {after}; exit $code' EXIT; set -e; {command}"],
                                   env=self.environment, cwd=self.directory, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        process.stdin.write(stdin)
        process.stdin.close()
        wait_until(lambda: self._serve() or process.poll() is not None, 180, f"the end of: {command}", interval_s=0.05)
        out = process.stdout.read()
        assert process.returncode == 0, f"{command}\n{out}"
        self.environment = dict(line.split("=", 1) for line in after.read_text().split("\0") if line)
        return out

    def _serve(self):
        request = self.directory / "request"
        if request.exists():
            wanted = request.read_text().strip()
            request.unlink()
            self.starters[wanted]()
            if wanted.endswith("kafka"):
                self.kafka.end_offsets(self.environment["WINNOW_TOPIC"])  # when its partitions have their leader again
            (self.directory / "answer").touch()

    def heal(self, *expected, stdin="", seen=None):
        """Carries out what the doctor says, one mend after the other, until nothing is left. The checks that were bad, in
        this order, must be those expected, and each must be ok after its mend. seen: what the doctor said just before."""
        healed = []
        report = seen or self.doctor()
        while report.bad():
            name = report.bad()[0]
            assert len(healed) < len(expected), f"expected {expected}, found {name} too\n{report!r}"
            assert name == expected[len(healed)], f"expected {expected}\n{report!r}"
            assert report[name]["mend"], f"{name} has no mend\n{report!r}"
            self.shell(report[name]["mend"], stdin)
            healed.append(name)
            after = self.doctor()
            assert after[name]["verdict"] == "ok" or name in expected[len(healed):], \
                f"not mended by {report[name]['mend']}\n{after!r}"
            report = after
        assert healed == list(expected), f"expected {expected}\n{report!r}"
        assert report.exit_code == 0
        return report


# ---- what tests make and look at ----

def admin(patient, sql):
    """As a superuser of the server."""
    with Database(patient.postgres, "postgres") as database:
        database.run(sql)


def make_stream(patient, cluster_id=None):
    """As if a pool had begun: a stream and the months of events."""
    patient.database.run(
        "INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES (%s, %s, %s)",
        (f"g-{patient.name}", patient.name, cluster_id or patient.kafka.cluster_id()))
    patient.database.run("SELECT winnow.ensure_event_months_ahead()")
    return patient.database.value("SELECT max(stream_id) FROM winnow.stream")


def make_partition(patient, next_offset=0, state="running", reason=None):
    stream = make_stream(patient)
    patient.database.run(
        "INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset, epoch, owner, state, halt_reason,"
        " halt_detail) VALUES (%s, 0, %s, %s, 1, 'h/1', %s, %s, %s)",
        (stream, next_offset, next_offset, state, reason, reason and "more than half of the last 200 are dead"))
    return stream


def groups(patient):
    """Those of this patient."""
    return [group.id for group in patient.kafka.admin().list_groups(timeout=20) if patient.name in group.id]


def wall_ms():
    return int(subprocess.run(["date", "+%s%3N"], check=True, capture_output=True, text=True).stdout)
