"""What winnow's own tables say is wrong with the work."""

import subprocess
import time

from confluent_kafka import Producer
from winnow_test.devbroker import DevBroker
from winnow_test.poll import wait_until

from clinic import make_partition, make_stream


def test_another_cluster(patient):
    make_stream(patient, "another")
    patient.heal("cluster")


def test_halted(patient):
    make_partition(patient, state="halted", reason="circuit_breaker")
    report = patient.doctor()
    assert "the first is 0: circuit_breaker: more than half" in report["halted"]["found"]
    assert "winnow resume" in report["halted"]["mend"] and "/0 --at next --yes" in report["halted"]["mend"]
    patient.heal("halted", seen=report)


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
    assert report["halted"]["found"].startswith("3 are halted and read nothing")
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
        wait_until(lambda: patient.doctor().bad() == [], 90, "the letter is published")
    finally:
        pool.terminate()
        assert pool.wait(60) == 0


def test_messages_wait_in_very_many_partitions(patient):
    """How long they have waited is looked at for as long as a check may take, and it is told where it was not."""
    with DevBroker(topics={"t": 600}) as broker:
        producer = Producer({"bootstrap.servers": broker.brokers})
        for partition in range(600):
            producer.produce("t", b"{}", partition=partition)
        producer.flush(60)
        patient.set(brokers=broker.brokers, topic="t")
        patient.database.run(
            "WITH s AS (INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES (%s, 't', 'c') RETURNING stream_id)"
            " INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset, epoch, owner, state)"
            " SELECT stream_id, p, 0, 0, 1, 'h/1', 'running' FROM s, generate_series(0, 599) AS p", (f"g-{patient.name}",))
        begin = time.monotonic()
        found = patient.doctor("--timeout", "1")["retention"]["found"]
    assert found.startswith("600 messages wait, the oldest for 0.0 h")
    assert "more partitions were not looked at in time (--timeout)" in found
    assert time.monotonic() - begin < 30
