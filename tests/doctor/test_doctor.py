"""Each fault in turn: what winnow doctor says of it, and that its mend, carried out as it is printed, mends it."""

import re
import subprocess
import time

import pytest
from confluent_kafka import Consumer, Producer
from winnow_test import shim
from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until
from winnow_test.postgres import Database
from winnow_test.process import free_port
from winnow_test.small_disk import BALLAST, NotPermitted, SmallDisk

from clinic import PASSWORD


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


def test_all_is_well(patient):
    report = patient.doctor()
    assert report.bad() == [] and report.exit_code == 0 and report.error == ""
    assert [name for name, check in report.checks.items() if check["verdict"] == "skip"] == ["disk"]
    assert report.whole["failed"] == 0 and report.whole["ok"] == len(report.checks) - 1


def test_nothing_is_written(patient):
    """Neither into the database nor into Kafka."""
    counters = ("SELECT xact_commit > 0, tup_inserted, tup_updated, tup_deleted FROM pg_stat_database"
                " WHERE datname = current_database()")
    before = patient.database.rows(counters)
    assert patient.doctor().exit_code == 0
    patient.database.run("SELECT pg_stat_clear_snapshot()")
    assert patient.database.rows(counters) == before
    assert sum(patient.kafka.end_offsets(patient.name).values()) == 0
    assert sum(patient.kafka.end_offsets(f"{patient.name}.dlq").values()) == 0
    assert groups(patient) == []


# ---- Kafka ----

def test_no_topic(patient):
    patient.kafka.delete_topic(patient.name)
    report = patient.doctor()
    assert report.bad() == ["topic"] and report.exit_code == 1
    for name in ("workers", "topic-settings", "read-permission", "retention"):
        assert (report[name]["verdict"], report[name]["found"]) == ("skip", "needs topic")
    patient.heal("topic")


def test_no_dead_letter_topic(patient):
    patient.kafka.delete_topic(f"{patient.name}.dlq")
    patient.heal("dead-letter-topic")


def test_dead_letters_deleted_at_once(patient):
    patient.kafka.alter_topic(f"{patient.name}.dlq", {"message.timestamp.type": "CreateTime"})
    report = patient.doctor()
    assert report.exit_code == 0 and patient.doctor("--strict").exit_code == 1
    patient.heal("dead-letter-settings")


def test_large_letters_refused(patient):
    patient.kafka.alter_topic(patient.name, {"max.message.bytes": "2000000"})
    patient.heal("dead-letter-settings")


def test_compacted_and_unclean(patient):
    """One check with two things wrong, and a command for each."""
    patient.kafka.alter_topic(patient.name, {"cleanup.policy": "compact", "unclean.leader.election.enable": "true"})
    patient.heal("topic-settings")


def test_too_many_workers(patient):
    patient.set(workers=6)
    report = patient.doctor()
    assert "2 of them have nothing to do" in report["workers"]["found"]
    patient.heal("workers")


def test_no_acls(patient):
    patient.set(brokers=patient.kafka.guarded, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username="winnow", kafka_sasl_password=PASSWORD)
    report = patient.doctor()
    assert PASSWORD not in repr(report.whole)
    assert report.bad() == ["topic", "group", "dead-letter-topic"]
    patient.shell(report["topic"]["mend"])
    patient.shell(report["group"]["mend"])
    report = patient.doctor()
    assert report.bad() == ["dead-letter-topic"]
    assert report["topic-settings"]["verdict"] == "skip" and "may not see" in report["topic-settings"]["found"]
    patient.heal("dead-letter-topic")
    patient.shell(patient.doctor()["topic-settings"]["mend"])
    assert patient.doctor()["topic-settings"]["verdict"] == "ok"


def test_what_a_shell_would_take_apart_is_quoted(patient):
    patient.set(brokers=patient.kafka.guarded, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username="reader", kafka_sasl_password=PASSWORD, group="a;$(id)")
    assert patient.doctor()["group"]["mend"].endswith("--operation Read --group 'a;$(id)'")


def test_may_see_and_not_use(patient):
    """Describe alone: what is missing shows by a fetch, and by the producer's id."""
    patient.set(brokers=patient.kafka.guarded, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username="reader", kafka_sasl_password=PASSWORD)
    give = f"kafka-acls.sh --bootstrap-server {patient.kafka.brokers} --add --allow-principal User:reader"
    patient.shell(f"{give} --operation Describe --topic {patient.name} --resource-pattern-type prefixed")
    patient.shell(f"{give} --operation Read --group g-{patient.name}")
    patient.heal("read-permission", "write-permission")


def as_login(patient, user, password=PASSWORD):
    patient.set(brokers=patient.kafka.guarded, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username=user, kafka_sasl_password=password)


def ends(patient):
    return patient.kafka.end_offsets(f"{patient.name}.dlq"), patient.kafka.end_offsets(patient.name)


def test_may_write_to_another_topic_only(patient):
    """The brokers give it a producer's id: what is missing shows by a message that is refused in any case."""
    as_login(patient, "reader")
    give = f"kafka-acls.sh --bootstrap-server {patient.kafka.brokers} --add --allow-principal User:reader"
    patient.shell(f"{give} --operation Describe --operation DescribeConfigs --topic {patient.name}.dlq")
    patient.shell(f"{give} --operation Read --topic {patient.name} && {give} --operation Read --group g-{patient.name}")
    patient.shell(f"{give} --operation Write --topic other-{patient.name}")
    before = ends(patient)
    report = patient.doctor()
    assert report.bad() == ["write-permission"]
    assert report["write-permission"]["found"] == f"may not write to topic {patient.name}.dlq"
    report = patient.heal("write-permission")
    assert report["write-permission"]["found"] == f"may write to topic {patient.name}.dlq"
    assert ends(patient) == before


def test_clock_of_the_broker_needs_permissions(patient):
    """Without them nothing is asked and nothing is written; the mend gives just these."""
    as_login(patient, "reader")
    give = f"kafka-acls.sh --bootstrap-server {patient.kafka.brokers} --add --allow-principal User:reader"
    patient.shell(f"{give} --operation Read --topic {patient.name} && {give} --operation Read --group g-{patient.name}")
    patient.shell(f"{give} --operation Write --topic {patient.name}.dlq")
    before = patient.kafka.end_offsets("__consumer_offsets")
    report = patient.doctor()
    assert report.bad() == [] and report["broker-clock"]["verdict"] == "skip"
    assert report["broker-clock"]["found"].startswith("not asked: needs Read of topic __consumer_offsets")
    assert patient.kafka.end_offsets("__consumer_offsets") == before
    patient.shell(report["broker-clock"]["mend"])
    assert "the broker's clock is 0." in patient.doctor()["broker-clock"]["found"]
    assert f"g-{patient.name}.doctor" not in groups(patient)


def groups(patient):
    """Those of this patient."""
    return [group.id for group in patient.kafka.admin().list_groups(timeout=20) if patient.name in group.id]


def test_wrong_kafka_password(patient):
    patient.set(brokers=patient.kafka.guarded, kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                kafka_sasl_username="winnow", kafka_sasl_password="no")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "Authentication failed" in report["brokers"]["found"]
    assert report["topic"]["found"] == "needs brokers"


def test_broker_down(patient):
    patient.kafka.kill()
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "refused" in report["brokers"]["found"]
    patient.heal("brokers")


def test_broker_frozen(patient):
    """Nobody waits for longer than was said, and nobody asks again."""
    patient.kafka.pause()
    begin = time.monotonic()
    try:
        report = patient.doctor()
    finally:
        patient.kafka.resume()
    assert report.bad() == ["brokers"] and report["group"]["found"] == "needs brokers"
    assert time.monotonic() - begin < 10


def test_wrong_protocol(patient):
    patient.set(kafka_security_protocol="SSL")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "SSL" in report["brokers"]["found"]


def test_brokers_advertise_what_cannot_be_reached(patient):
    patient.set(brokers=patient.kafka.lost)
    report = patient.doctor()
    assert report.bad() == ["advertised"] and "127.0.0.1:1: " in report["advertised"]["found"]
    assert report["topic"]["found"] == "needs advertised"
    patient.heal("advertised")


def test_one_of_the_brokers_down(patient):
    port = free_port()
    patient.set(brokers=f"{patient.kafka.brokers},127.0.0.1:{port}")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and report["brokers"]["verdict"] == "warn" and report.exit_code == 0
    assert f"127.0.0.1:{port}" in report["brokers"]["found"] and "1 of 2 answer" in report["brokers"]["found"]


def test_somebody_else_in_the_group(patient):
    other = Consumer({"bootstrap.servers": patient.kafka.brokers, "group.id": f"g-{patient.name}",
                      "client.id": "curious", "partition.assignment.strategy": "range"})
    other.subscribe([patient.name])
    wait_until(lambda: other.poll(0.1) or other.assignment(), 30, "the other one has joined", interval_s=0)
    report = patient.doctor()
    assert report.bad() == ["group"] and "curious at 127.0.0.1" in report["group"]["found"]
    assert "curious" in patient.shell(report["group"]["mend"])  # who it is; to end it is left to a person
    other.close()
    assert patient.doctor().bad() == []


def test_messages_about_to_be_deleted(patient):
    patient.kafka.alter_topic(patient.name, {"retention.ms": "3600000"})
    make_partition(patient)
    producer = Producer({"bootstrap.servers": patient.kafka.brokers})
    old = wall_ms() - 55 * 60000
    producer.produce(patient.name, b"{}", partition=0, timestamp=old)
    producer.flush(20)
    report = patient.doctor()
    assert report.bad() == ["retention"] and "1 messages wait" in report["retention"]["found"]
    patient.heal("retention")


def wall_ms():
    return int(subprocess.run(["date", "+%s%3N"], check=True, capture_output=True, text=True).stdout)


# ---- PostgreSQL ----

def test_postgresql_down(patient):
    patient.postgres.stop()
    report = patient.doctor()
    assert report.bad() == ["postgresql"]
    assert {check["found"] for name, check in report.checks.items() if check["verdict"] == "skip"} == {"needs postgresql"}
    patient.heal("postgresql")


def test_postgresql_frozen(patient):
    frozen = patient.postgres.pause()
    begin = time.monotonic()
    try:
        report = patient.doctor()
    finally:
        patient.postgres.resume(frozen)
    assert report.bad() == ["postgresql"] and "no answer from" in report["postgresql"]["found"]
    assert time.monotonic() - begin < 15


def test_wrong_password(patient):
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "wrong"))
    report = patient.doctor()
    assert report.bad() == ["login"] and "wrong" not in repr(report["login"]["mend"])
    patient.heal("login", stdin="right\n")


def test_wrong_password_in_a_file(patient):
    path = patient.directory / "password"
    path.write_text("wrong")
    path.chmod(0o600)
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "").replace("password=", ""),
                database_password_file=path)
    patient.heal("login", stdin="right\n")


def test_no_such_role(patient):
    patient.set(database=patient.postgres.dsn(patient.name, f"{patient.name}-new"))
    patient.heal("login")


def test_no_database(patient):
    patient.set(database=patient.postgres.dsn(f"{patient.name}-new"))
    patient.heal("database", "schema")
    patient.postgres.drop_database(f"{patient.name}-new")


def test_wrong_encoding(patient):
    admin(patient, f'CREATE DATABASE "{patient.name}-old" ENCODING LATIN1 LOCALE \'C\' TEMPLATE template0')
    patient.set(database=patient.postgres.dsn(f"{patient.name}-old"))
    report = patient.doctor()
    assert "LATIN1, expected UTF8" in report["database"]["found"] and report["schema"]["found"] == "needs database"
    patient.heal("database")
    for name in ("old", "old_utf8"):
        patient.postgres.drop_database(f"{patient.name}-{name}")


def test_no_schema(patient):
    patient.set(database=patient.postgres.new_database(f"{patient.name}-empty").dsn)
    patient.heal("schema")
    patient.postgres.drop_database(f"{patient.name}-empty")


def test_newer_schema(patient):
    patient.database.run("INSERT INTO winnow.schema_migration (version, name, sha256, execution_ms) VALUES (999, 'x', 'y', 0)")
    report = patient.doctor()
    assert report.bad() == ["schema"] and "newer than this winnow" in report["schema"]["found"]


def test_database_read_only(patient):
    admin(patient, f'ALTER DATABASE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_login_read_only(patient):
    admin(patient, f'ALTER ROLE "{patient.name}" SET default_transaction_read_only = on')
    patient.heal("writable")


def test_no_privileges(patient):
    admin(patient, f'REVOKE winnow_worker FROM "{patient.name}"')
    patient.heal("schema")


def test_a_privilege_is_missing(patient):
    patient.database.run("REVOKE INSERT ON winnow.batch_log FROM winnow_worker")
    report = patient.doctor()
    assert "the first is INSERT on winnow.batch_log" in report["privileges"]["found"]
    patient.heal("privileges")


def test_every_privilege_of_a_worker_is_looked_at(patient):
    granted = ("FROM information_schema.role_table_grants WHERE grantee = 'winnow_worker' AND table_schema = 'winnow'"
               " AND table_name <> 'schema_migration'")
    tables = patient.database.value(f"SELECT string_agg(DISTINCT 'winnow.' || table_name, ', ') {granted}")
    count = patient.database.value(f"SELECT count(*) {granted}")
    patient.database.run(f"REVOKE ALL ON {tables} FROM winnow_worker")
    # One of them is of columns, and is granted with them.
    assert f": {count + 1} privileges are missing" in patient.doctor()["privileges"]["found"]
    patient.heal("privileges")


def test_months_are_missing(patient):
    make_stream(patient)
    newest = patient.database.value("SELECT max(relname) FROM pg_class WHERE relname ~ '^event_y' AND relkind = 'r'")
    patient.database.run(f"DROP TABLE winnow.{newest}")
    patient.heal("months-ahead")


def test_events_in_the_default_partition(patient):
    stream = make_stream(patient)
    patient.database.run(
        "INSERT INTO winnow.event (bucket, event_time, origin_offset, event_hash, origin_partition, stream_id, client_id,"
        " metric, amount) SELECT t, t, 1, gen_random_uuid(), 0, %s, 'c', 'm', 1 FROM unnest(ARRAY[now() - interval '1 year',"
        " now() - interval '20 years']) AS t", (stream,))
    report = patient.heal("default-partition")
    assert report["default-partition"]["found"] == "holds only months that are far off"


def test_nothing_is_durable(patient):
    """What three lines say is mended by what is printed, all of it."""
    admin(patient, "ALTER SYSTEM SET fsync = off")
    admin(patient, "ALTER SYSTEM SET full_page_writes = off")
    admin(patient, f'ALTER ROLE "{patient.name}" SET synchronous_commit = off')
    admin(patient, "SELECT pg_reload_conf()")
    wait_until(lambda: patient.doctor()["durability"]["found"].count(" is off") == 3, 20, "all three are seen to be off")
    patient.shell(patient.doctor()["durability"]["mend"])
    wait_until(lambda: patient.doctor().bad() == [], 20, "they are on again")


@pytest.mark.parametrize("name, scope", [("fsync", "SYSTEM"), ("full_page_writes", "SYSTEM"),
                                         ("synchronous_commit", "DATABASE"), ("synchronous_commit", "ROLE")])
def test_not_durable(patient, name, scope):
    target = "SYSTEM" if scope == "SYSTEM" else f'{scope} "{patient.name}"'
    admin(patient, f"ALTER {target} SET {name} = off")
    admin(patient, "SELECT pg_reload_conf()")
    wait_until(lambda: patient.doctor().bad() == ["durability"], 20, f"{name} is seen to be off")
    report = patient.doctor()
    assert f"{name} is off" in report["durability"]["found"]
    patient.shell(report["durability"]["mend"])
    wait_until(lambda: patient.doctor().bad() == [], 20, "it is on again")  # the server reads its configuration soon


def test_too_few_connections(patient):
    admin(patient, f'ALTER ROLE "{patient.name}" CONNECTION LIMIT 3')
    patient.heal("connections")


def test_somebody_holds_a_lock(patient):
    holder = Database(patient.postgres, patient.name)
    holder.run("BEGIN; LOCK TABLE winnow.batch_log")
    waiter = subprocess.Popen(["psql", "-d", patient.database.dsn, "-c", "SELECT count(*) FROM winnow.batch_log"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: patient.doctor().bad() == ["locks"], 20, "the lock is seen")
        report = patient.heal("locks")
    finally:
        waiter.wait(20)
        holder.close()
    assert waiter.returncode == 0 and report.bad() == []


def test_disk(patient):
    """Whoever may know where the database lies learns how much space is left there."""
    admin(patient, f'GRANT pg_monitor TO "{patient.name}"')
    assert "of its disk are free" in patient.doctor()["disk"]["found"]
    patient.set(database=patient.postgres.tcp_dsn(patient.name, patient.name, "right"))
    assert "of its disk are free" in patient.doctor()["disk"]["found"]


def test_disk_full(patient):
    """What takes the space is for a person to judge: the mend shows it."""
    try:
        disk = SmallDisk(64, patient.postgres.user)
    except NotPermitted as error:
        pytest.skip(str(error))
    with disk:
        admin(patient, f"CREATE TABLESPACE small LOCATION '{disk.path}'")
        patient.database.close()
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE small')
        assert patient.doctor()["disk"]["verdict"] == "ok"
        disk.fill()
        report = patient.doctor()
        assert report.bad() == ["disk"] and report["disk"]["verdict"] == "fail"
        assert BALLAST in patient.shell(report["disk"]["mend"])
        disk.free()
        assert patient.doctor().bad() == []
        admin(patient, f'ALTER DATABASE "{patient.name}" SET TABLESPACE pg_default')
        admin(patient, "DROP TABLESPACE small")


# ---- the state of the work ----

def test_another_cluster(patient):
    make_stream(patient, "another")
    patient.heal("cluster")


def test_halted(patient):
    make_partition(patient, state="halted", reason="circuit_breaker")
    report = patient.doctor()
    assert "the first is 0: circuit_breaker: more than half" in report["halted"]["found"]
    assert "winnow resume" in report["halted"]["mend"] and "/0 --at next --yes" in report["halted"]["mend"]
    patient.heal("halted")


def test_halted_for_several_reasons(patient):
    """One command for each kind; where the log is another one it is read from its beginning. Flags are repeated."""
    stream = make_partition(patient, state="halted", reason="circuit_breaker")
    for partition in (1, 3):
        patient.database.run(
            "INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset, epoch, state, halt_reason,"
            " halt_detail) VALUES (%s, %s, 0, 7, 1, 'halted', 'topic_changed', 'offset 6 holds another message')",
            (stream, partition))
        patient.database.run(
            "INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, received, stored, duplicate,"
            " dead, gap) VALUES (%s, %s, 0, 7, 1, 0, 0, 0, 0, 7)", (stream, partition))
    group = patient.environment.pop("WINNOW_GROUP")
    report = patient.doctor("-g", group)
    assert report["halted"]["found"].startswith("3 halted and read nothing")
    mend = report["halted"]["mend"]
    assert f"--group {group}" in mend and f"{patient.name}/0 --at next" in mend and f"{patient.name}/1,3 --at earliest" in mend
    patient.shell(mend)
    assert patient.doctor("-g", group).bad() == []
    assert patient.database.rows("SELECT partition, is_new_log, to_offset FROM winnow.steering ORDER BY 1") == [
        (0, False, 0), (1, True, 0), (3, True, 0)]


def test_letters_that_nobody_publishes(patient):
    stream = make_partition(patient)
    patient.database.run("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail, failed_at)"
                         " VALUES (%s, 0, 0, 'x', 'invalid_json', 'd', now() - interval '1 hour')", (stream,))
    report = patient.doctor()
    assert report.bad() == ["dead-letters"] and report["dead-letters"]["mend"] == "winnow pool"
    pool = subprocess.Popen(["bash", "-c", f"exec {report['dead-letters']['mend']}"], env=patient.environment,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: patient.doctor().bad() == [], 30, "the letter is published")
    finally:
        pool.terminate()
        assert pool.wait(20) == 0


def set_clock(path, ahead_ms):
    """In place: it is mapped."""
    with open(path, "r+b") as file:
        file.write(ahead_ms.to_bytes(8, "little", signed=True))


def seconds_off(report, check, direction):
    return float(re.search(rf"clock is (\d+\.\d+) s {direction}", report[check]["found"])[1])


def test_clock_of_this_host_is_off(patient, tmp_path):
    shift = tmp_path / "shift"
    shift.write_bytes(bytes(8))
    set_clock(shift, 7000)
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "clock_shim")), "CLOCK_SHIM_FILE": str(shift)}
    report = patient.doctor()
    assert report.bad() == ["broker-clock", "database-clock"]
    for check in report.bad():
        assert seconds_off(report, check, "behind") == pytest.approx(7, abs=0.5)
    patient.heal("broker-clock")


def test_clock_of_the_broker_is_off(patient, broker_shift):
    set_clock(broker_shift, 7000)
    patient.environment["CLOCK_SHIM_FILE"] = str(broker_shift)  # for timedatectl
    try:
        report = patient.doctor()
        assert report.bad() == ["broker-clock"]
        assert seconds_off(report, "broker-clock", "ahead of") == pytest.approx(7, abs=0.5)
        patient.heal("broker-clock")
    finally:
        set_clock(broker_shift, 0)


def test_broker_that_does_not_know_the_questions(patient):
    """librdkafka 2.0.2 would end the process for a question about a group that its coordinator does not know."""
    with DevBroker(topics={"t": 4}) as broker:
        patient.set(brokers=broker.brokers, topic="t")
        report = patient.doctor("--timeout", "1")
    assert report.bad() == ["cluster"] or report.bad() == []
    assert [report[name]["verdict"] for name in ("topic-settings", "group", "broker-clock", "dead-letter-settings")] == ["skip"] * 4
    assert "idempotently" in report["write-permission"]["found"] and report["retention"]["verdict"] == "ok"


def test_library_that_aborts_is_told(patient, tmp_path):
    patient.environment |= {"LD_PRELOAD": str(shim.build(tmp_path, "abort_shim"))}
    ended = patient.run("doctor", "--timeout", "3")
    assert ended.returncode == 75
    assert "\nok    topic " in ended.stdout
    assert "ended by signal 6 (Aborted)" in ended.stderr and "try again" in ended.stderr
