"""Faults of brokers, topics, groups and permissions."""

import time

from confluent_kafka import Consumer, Producer
from winnow_test.certificates import Authority
from winnow_test.poll import wait_until
from winnow_test.process import free_port

from clinic import ADMIN_PASSWORD, PASSWORD, groups, make_partition, wall_ms


def test_no_topic(patient):
    patient.kafka.delete_topic(patient.name)
    report = patient.doctor()
    assert report.bad() == ["topic"] and report.exit_code == 1
    for name in ("workers", "topic-settings", "read-permission", "retention"):
        assert (report[name]["verdict"], report[name]["found"]) == ("skip", "needs topic")
    patient.heal("topic", seen=report)


def test_no_dead_letter_topic(patient):
    patient.kafka.delete_topic(f"{patient.name}.dlq")
    patient.heal("dead-letter-topic")


def test_dead_letters_deleted_at_once(patient):
    patient.kafka.alter_topic(f"{patient.name}.dlq", {"message.timestamp.type": "CreateTime"})
    report = patient.doctor()
    assert report.exit_code == 0 and patient.doctor("--strict").exit_code == 1
    patient.heal("dead-letter-settings", seen=report)


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
    patient.heal("workers", seen=report)


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
    patient.heal("dead-letter-topic", seen=report)
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
    report = patient.heal("write-permission", seen=report)
    assert report["write-permission"]["found"] == f"may write to topic {patient.name}.dlq"
    assert ends(patient) == before


def test_permission_to_write_whatever_a_producer_is_set_to(patient):
    topic = f"{patient.name}.dlq"
    patient.kafka.alter_topic(topic, {"max.message.bytes": "4194304", "message.timestamp.type": "LogAppendTime"})
    report = patient.doctor("-X", "queue.buffering.max.kbytes=1024", "-X", "linger.ms=10000")
    assert report["write-permission"]["found"] == f"may write to topic {topic}" and report.bad() == []


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


def test_wrong_kafka_password(patient):
    as_login(patient, "admin", "no")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "Authentication failed" in report["brokers"]["found"]
    assert report["topic"]["found"] == "needs brokers"
    patient.heal("brokers", stdin=f"{ADMIN_PASSWORD}\n", seen=report)


def test_broker_down(patient):
    patient.kafka.kill()
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "refused" in report["brokers"]["found"]
    patient.heal("brokers", seen=report)


def test_broker_frozen(patient):
    """Nobody waits for longer than was said, and nobody asks again."""
    patient.kafka.pause()
    begin = time.monotonic()
    try:
        report = patient.doctor("--timeout", "3")
    finally:
        patient.kafka.resume()
    assert report.bad() == ["brokers"] and report["group"]["found"] == "needs brokers"
    assert time.monotonic() - begin < 20


def test_wrong_protocol(patient):
    patient.set(kafka_security_protocol="SSL")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "SSL" in report["brokers"]["found"]
    assert "what listens there speaks PLAINTEXT" in report["brokers"]["found"]
    patient.heal("brokers", seen=report)


def test_brokers_speak_tls(patient):
    patient.set(brokers=patient.kafka.sealed, kafka_ssl_ca_location=patient.kafka.authority.path)
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "what listens there speaks SSL" in report["brokers"]["found"]
    patient.heal("brokers", seen=report)


def test_brokers_of_an_unknown_authority(patient):
    """With no file of authorities, and with one that has others: what openssl shows tells whose certificate is asked for."""
    authority = patient.kafka.authority
    patient.set(brokers=patient.kafka.sealed, kafka_security_protocol="SSL")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "certificate verify failed" in report["brokers"]["found"]
    look, ask = report["brokers"]["mend"].splitlines()
    shown = patient.shell(look)
    assert "issuer=CN = winnow test ca" in shown and "unable to" in shown
    assert ask.startswith("read -r WINNOW_KAFKA_SSL_CA_LOCATION && export ")
    patient.heal("brokers", stdin=f"{authority.path}\n")
    path = Authority(patient.directory, "another").path
    patient.set(kafka_ssl_ca_location=path)
    patient.heal("brokers", stdin=f"{authority.path}\n")
    assert path.read_text().count("BEGIN CERTIFICATE") == 2
    assert "Verification: OK" in patient.shell(look.replace(" < ", f" -CAfile {path} < ", 1))


def test_brokers_by_another_name_than_their_certificate_has(patient):
    address = patient.kafka.sealed
    patient.set(brokers=address.replace("localhost", "127.0.0.1"), kafka_security_protocol="SSL",
                kafka_ssl_ca_location=patient.kafka.authority.path)
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "for other names" in report["brokers"]["found"]
    assert "DNS:localhost" in patient.shell(report["brokers"]["mend"].splitlines()[0])
    patient.heal("brokers", stdin=f"{address}\n")


def test_login_by_scram(patient):
    """Kafka 4 refuses this library's: no newer one is to be had from Debian, so that the way in is another one."""
    as_login(patient, "admin", ADMIN_PASSWORD)
    patient.set(kafka_sasl_mechanism="SCRAM-SHA-256")
    report = patient.doctor()
    assert report["libraries"]["verdict"] == "ok" and report["libraries"]["mend"] is None
    assert "nonce is sent twice" in report["libraries"]["found"]
    assert report.bad() == ["brokers"]
    patient.heal("brokers", seen=report)


def test_brokers_ask_for_a_login(patient):
    patient.set(brokers=patient.kafka.guarded)
    report = patient.doctor()
    assert report.bad() == ["brokers"] and "what listens there speaks SASL_PLAINTEXT" in report["brokers"]["found"]
    patient.heal("brokers", stdin=f"admin\n{ADMIN_PASSWORD}\n", seen=report)


def test_brokers_advertise_what_cannot_be_reached(patient):
    patient.set(brokers=patient.kafka.lost)
    report = patient.doctor()
    assert report.bad() == ["advertised"] and "127.0.0.1:1: " in report["advertised"]["found"]
    assert report["topic"]["found"] == "needs advertised"
    patient.heal("advertised", seen=report)


def test_one_of_the_brokers_down(patient):
    port = free_port()
    patient.set(brokers=f"{patient.kafka.brokers},127.0.0.1:{port}")
    report = patient.doctor()
    assert report.bad() == ["brokers"] and report["brokers"]["verdict"] == "warn" and report.exit_code == 0
    assert f"127.0.0.1:{port}" in report["brokers"]["found"] and "1 of 2 answer" in report["brokers"]["found"]


def join(patient):
    """Somebody else."""
    other = Consumer({"bootstrap.servers": patient.kafka.brokers, "group.id": f"g-{patient.name}",
                      "client.id": "curious", "partition.assignment.strategy": "range"})
    other.subscribe([patient.name])
    wait_until(lambda: other.poll(0.1) or other.assignment(), 30, "the other one has joined", interval_s=0)
    return other


def test_somebody_else_in_the_group(patient):
    """Either may be done: another group, or an end to the other one where it runs."""
    other = join(patient)
    report = patient.doctor()
    assert report.bad() == ["group"]
    assert "curious at 127.0.0.1; end them there, or give winnow another group" in report["group"]["found"]
    assert report["group"]["mend"].startswith(f"export WINNOW_GROUP=g-{patient.name}-2 ")
    patient.heal("group", seen=report)
    assert "and leave out its flag" in patient.doctor("--group", f"g-{patient.name}")["group"]["mend"]
    patient.set(group=f"g-{patient.name}")
    assert patient.doctor().bad() == ["group"]
    other.close()
    assert patient.doctor().bad() == []


def test_messages_about_to_be_deleted(patient):
    patient.kafka.alter_topic(patient.name, {"retention.ms": "3600000"})
    make_partition(patient)
    producer = Producer({"bootstrap.servers": patient.kafka.brokers})
    old = wall_ms() - 55 * 60000
    producer.produce(patient.name, b"{}", partition=0, timestamp=old)
    producer.flush(60)
    report = patient.doctor()
    assert report.bad() == ["retention"] and "1 message waits" in report["retention"]["found"]
    patient.heal("retention", seen=report)
