"""Workers share the partitions, whoever of them comes and goes."""

import os
import re
import signal
import subprocess
from collections import Counter

from scenario import committed, new_events, owners, wait_for_owners
from winnow_test import check, pool
from winnow_test.kafka import jars_directory
from winnow_test.poll import wait_until
from winnow_test.process import is_alive, wait_until_gone
from winnow_test.produce import Sender


def send_to_each_partition(stage, count):
    for partition in range(stage.partitions):
        stage.send(*new_events(count), partition=partition)


def test_two_workers_have_half_each(stage):
    with stage.pool(workers=2) as workers:
        pids = workers.wait_for_workers(2)
        assert Counter(wait_for_owners(stage, pids).values()) == {pids[0]: 2, pids[1]: 2}
        workers.wait_for_log("event=pool_joined .*all 2 workers joined")
        send_to_each_partition(stage, 200)
        stage.wait_until_caught_up()
    assert len(stage.events()) == 800


def test_partitions_of_a_killed_worker_go_on(stage):
    with stage.pool(workers=2, properties={"session.timeout.ms": 3000}) as workers, \
            Sender(stage.broker.brokers, stage.topic) as sender:
        pids = workers.wait_for_workers(2)
        before = wait_for_owners(stage, pids)
        for event in new_events(3000):
            sender.send(event)
        dead = workers.kill_worker()
        for event in new_events(3000):
            sender.send(event)
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
        after = workers.wait_for_workers(2)
        assert dead not in after and set(after) & set(pids)
        assert dead in before.values()
        wait_for_owners(stage, after)
    assert len(stage.events()) == 6000


def test_every_worker_killed_again_and_again(stage):
    with stage.pool(workers=2, properties={"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}) as workers, \
            Sender(stage.broker.brokers, stage.topic) as sender:
        wait_for_owners(stage, workers.wait_for_workers(2))
        for _ in range(4):
            for event in new_events(2000):
                sender.send(event)
            sender.poll()
            for pid in workers.worker_pids():
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: workers.is_running() and len(workers.worker_pids()) == 2, 20, "workers are there again")
        stage.sent += sender.finish()
        stage.wait_until_caught_up()
    assert len(stage.events()) == 8000


def test_one_more_and_one_fewer(stage):
    with stage.pool(workers=1) as workers:
        first = workers.wait_for_workers(1)
        wait_for_owners(stage, first)
        workers.send_signal(signal.SIGTTIN)
        both = workers.wait_for_workers(2)
        assert set(first) < set(both)
        wait_for_owners(stage, both)
        send_to_each_partition(stage, 50)
        workers.send_signal(signal.SIGTTOU)
        left = workers.wait_for_workers(1)
        assert left == first
        wait_for_owners(stage, left)
        send_to_each_partition(stage, 50)
        stage.wait_until_caught_up()
        assert workers.stop() == 0
        # The one that was sent away had drained.
        assert not re.search("exit code [1-9]|by signal", workers.log_text()), workers.log_tail()


def test_more_workers_than_partitions(make_stage):
    stage = make_stage(partitions=1)
    with stage.pool(workers=3) as workers:
        workers.wait_for_workers(3)
        workers.wait_for_log("level=warning .*event=no_partitions .*more workers than partitions")
        stage.send(*new_events(100))
        stage.wait_until_caught_up()
        assert workers.stop() == 0


def test_killed_supervisor_takes_its_workers_along(stage):
    with stage.pool(workers=2, properties={"session.timeout.ms": 3000}) as first:
        pids = first.wait_for_workers(2)
        wait_for_owners(stage, pids)
        send_to_each_partition(stage, 100)
        os.kill(first.pid, signal.SIGKILL)
        wait_until_gone(pids, 5)
        assert first.exit_code == -signal.SIGKILL
    with stage.pool(workers=2) as second:
        wait_for_owners(stage, second.wait_for_workers(2))
        send_to_each_partition(stage, 100)
        stage.wait_until_caught_up()
    assert len(stage.events()) == 800


def test_two_pools_of_one_group(stage):
    properties = {"session.timeout.ms": 3000}
    with stage.pool(workers=1, properties=properties) as one, stage.pool(workers=1, properties=properties) as other:
        pids = one.wait_for_workers(1) + other.wait_for_workers(1)
        wait_for_owners(stage, pids)
        send_to_each_partition(stage, 500)
        one.kill()
        assert not is_alive(pids[0])
        send_to_each_partition(stage, 500)
        stage.wait_until_caught_up()
        assert set(owners(stage).values()) == set(other.worker_pids()) == {pids[1]}
    assert len(stage.events()) == 4000


def test_offsets_in_kafka_follow(stage):
    """A hint for lag monitors: the tool of Kafka itself shows the group without lag."""
    with stage.pool(workers=2) as workers:
        wait_for_owners(stage, workers.wait_for_workers(2))
        send_to_each_partition(stage, 300)
        stage.wait_until_caught_up()
        wait_until(lambda: committed(stage) == check.cursors(stage.database, stage.topic), 10,
                   "the committed offsets are those of the database")
        assert committed(stage) == dict.fromkeys(range(4), 300)
        told = subprocess.run(
            ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{jars_directory()}/*",
             "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", stage.broker.brokers,
             "--group", stage.settings["group"], "--describe"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=True).stdout
    # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    rows = [line.split() for line in told.splitlines() if line.split()[1:2] == [stage.topic]]
    assert sorted(row[2:6] for row in rows) == [[str(partition), "300", "300", "0"] for partition in range(4)]


def test_partitions_that_appear_later(make_stage):
    """What was sent to them before a worker knew of them is read, too."""
    stage = make_stage(partitions=1)
    with stage.pool(workers=2, properties={"topic.metadata.refresh.interval.ms": 500}) as workers:
        workers.wait_for_log("event=assigned")
        stage.send(*new_events(10))
        stage.broker.add_partitions(stage.topic, 3)
        stage.partitions = 3
        for partition in (1, 2):
            stage.send(*new_events(100), partition=partition)
        stage.wait_until_caught_up()
    assert stage.database.rows("SELECT partition, start_offset, next_offset FROM winnow.processing_log ORDER BY 1") == [
        (0, 0, 10), (1, 0, 100), (2, 0, 100)]


def test_status_tells_of_owners_and_lag(stage):
    send_to_each_partition(stage, 25)
    before = pool.run("status", settings=stage.settings)
    assert before.exit_code == 1 and "100" in before.out, before
    with stage.pool(workers=2) as workers:
        pids = workers.wait_for_workers(2)
        wait_for_owners(stage, pids)
        stage.wait_until_caught_up()
        status = pool.run("status", "--json", settings=stage.settings)
        assert status.exit_code == 0, status
        for pid in pids:
            assert f"/{pid}" in status.out, status
