"""10,000 messages nobody would want, mixed with good ones: each becomes a row, a duplicate or a dead letter."""

import random
from collections import Counter

import pytest

import hostile_messages
from winnow_test import letters
from winnow_test.poll import wait_until
from winnow_test.produce import Message

HOSTILE_COUNT = 10000
GOOD_COUNT = 2500
# Nothing that a producer sends is refused on the way.
OPEN_TOPIC = {"retention.ms": "-1", "max.message.bytes": str(16 << 20), "message.timestamp.before.max.ms": str(2**63 - 1),
              "message.timestamp.after.max.ms": str(2**63 - 1)}


def _messages(seed):
    rng = random.Random(seed)
    made = hostile_messages.hostile(rng, HOSTILE_COUNT)
    made += [("good", Message(hostile_messages.good(rng), None, rng.randrange(4), [],
                              rng.choice(hostile_messages.USUAL_TIMESTAMPS_MS))) for _ in range(GOOD_COUNT)]
    # Each message may come again, from another producer.
    made += [(kind, Message(message.value, message.key, rng.randrange(4), message.headers, message.timestamp_ms))
             for kind, message in rng.sample(made, 500) if kind != "huge"]
    rng.shuffle(made)
    return made


@pytest.mark.parametrize("seed", [20240115])
def test_hostile_messages(make_stage, seed):
    print(f"seed {seed}")
    stage = make_stage(partitions=4, config=OPEN_TOPIC, dead_letter_topic=False)
    stage.broker.create_topic(f"{stage.topic}.dlq", 2, OPEN_TOPIC)
    made = _messages(seed)
    stage.send(*[message for _, message in made], timeout_s=120)
    with stage.pool(workers=2, breaker_window=0) as pool:
        pids = pool.wait_for_workers(2)
        stage.wait_until_caught_up(timeout_s=120)
        letters.wait_until_published(stage.database, 60, pool.log_tail)
        assert pool.worker_pids() == pids
        assert "worker_ended" not in pool.log_text()
    assert pool.exit_code == 0
    topic = stage.broker.read_topic(stage.topic)
    assert len(topic) == len(made)
    assert letters.differences(stage.database, topic) == []
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq") == []
    _assert_variety(stage, made)


def _assert_variety(stage, made):
    """That the messages were what they should be: nearly every reason, and enough events among the hostile ones."""
    reasons = Counter(reason for _, _, reason in stage.dead())
    print(reasons, Counter(kind for kind, _ in made))
    assert len(reasons) >= 15, reasons
    assert 3000 < sum(reasons.values()) < len(made) - GOOD_COUNT, reasons
    assert stage.database.value("SELECT sum(stored + duplicate) FROM winnow.batch_log") > GOOD_COUNT


def test_the_longest_message_that_kafka_takes(make_stage):
    """Messages far beyond what a batch or a fetch should hold pass one by one."""
    stage = make_stage(partitions=1, config=OPEN_TOPIC, dead_letter_topic=False)
    stage.broker.create_topic(f"{stage.topic}.dlq", 1, OPEN_TOPIC)
    good = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}
    stage.send(good, Message(b"x" * (9 << 20)), good, Message(b"{" + b" " * (9 << 20) + b"}", key=b"k" * 500000))
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        wait_until(lambda: letters.unpublished_count(stage.database) == 0, 30, on_timeout=pool.log_tail)
        assert "worker_ended" not in pool.log_text()
    stage.assert_exact()
    assert [letter[2] for letter in stage.dead()] == ["too_large", "too_large"]
    assert letters.differences(stage.database, stage.broker.read_topic(stage.topic)) == []
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq") == []
