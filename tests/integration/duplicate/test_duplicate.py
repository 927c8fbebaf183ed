"""Story 2: the same event sent twice is one row and counts once; the second is counted as a duplicate and its state
says of which message."""

from scenario import NEW_YEAR, SEED, batches, message_state, wait_for_owners
from winnow_test import check

# The same event in another shape: same client, metric, amount and day.
SAME = '{"CLIENT":"client_A","type":"sale","data":{"sum":1200.00,"time":"2024-01-01T17:30:00+02:00"}}'


def assert_one_of(stage, sent):
    """One row, counted once; every other message is a duplicate, and its state says of which."""
    rows = stage.database.rows(
        "SELECT event_hash::text, event_time, client_id, metric, amount, origin_partition, origin_offset "
        "FROM winnow.event")
    assert len(rows) == 1
    event_hash, event_time, *content, partition, offset = rows[0]
    assert content == ["client_A", "sale", 1200]
    assert event_hash == check.explain([SEED.encode()], 0)[0]["event"]["event_hash"]
    assert stage.database.rows("SELECT * FROM analytics.totals_by_client") == [("client_A", 1, 1200)]
    assert stage.database.rows("SELECT sum(stored), sum(duplicate) FROM analytics.completeness WHERE complete") == [
        (1, len(sent) - 1)]
    assert stage.database.rows("SELECT sum(received), sum(stored), sum(duplicate) FROM winnow.batch_log") == [
        (len(sent), 1, len(sent) - 1)]
    assert (partition, offset) in [(message.partition, message.offset) for message in sent]
    for message in sent:
        state = message_state(stage, message.partition, message.offset, event_hash, event_time)
        if (message.partition, message.offset) == (partition, offset):
            assert state["state"] == "completed"
        else:
            assert (state["state"], state["duplicate_of_topic"], state["duplicate_of_partition"],
                    state["duplicate_of_offset"]) == ("duplicate", stage.topic, partition, offset)


def test_twice_in_one_batch(stage):
    sent = stage.send(SEED, SEED, partition=1)
    with stage.pool(workers=0, batch_age_ms=1000):
        stage.wait_until_caught_up()
    assert batches(stage) == [(1, 0, 2, 2, 1, 1, 0)]
    assert_one_of(stage, sent)
    assert message_state(stage, 1, 1)["state"] == "duplicate"


def test_in_another_shape(stage):
    sent = stage.send(SEED, SAME, partition=1)
    with stage.pool(workers=0):
        stage.wait_until_caught_up()
    assert_one_of(stage, sent)
    assert stage.events()[0][3] == NEW_YEAR


def test_to_two_workers(stage):
    with stage.pool(workers=2) as pool:
        owner = wait_for_owners(stage, pool.wait_for_workers(2))
        one = next(partition for partition in owner if owner[partition] != owner[0])
        sent = stage.send(*[SEED] * 50, partition=0) + stage.send(*[SAME] * 50, partition=one)
        stage.wait_until_caught_up()
        assert wait_for_owners(stage, pool.worker_pids()) == owner
    assert_one_of(stage, sent)


def test_after_the_death_of_the_worker(stage):
    with stage.pool(workers=1, properties={"session.timeout.ms": 2000}) as pool:
        sent = stage.send(SEED, partition=0)
        stage.wait_until_caught_up()
        dead = pool.kill_worker()
        sent += stage.send(SEED, partition=0) + stage.send(SEED, partition=3)
        stage.wait_until_caught_up()
        assert dead not in pool.worker_pids()
        pool.wait_for_log(rf"event=worker_ended .*pid {dead}, was ended by signal 9")
    assert_one_of(stage, sent)


def test_with_the_pool_restarted_in_between(stage):
    sent = []
    for _ in range(2):
        with stage.pool(workers=2) as pool:
            sent += stage.send(SEED)
            stage.wait_until_caught_up()
            assert pool.stop() == 0
    assert_one_of(stage, sent)
