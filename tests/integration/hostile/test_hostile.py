"""Messages nobody would want, mixed with good ones: each becomes a row, a duplicate or a dead letter."""

import os
import random
from collections import Counter

import hostile
from winnow_test import letters
from winnow_test.produce import Message

COUNT = 20000


def test_hostile_messages(make_stage):
    """`make hostile COUNT=1000000 SEED=…` sends more of them."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**31))
    print(f"SEED={seed}")
    stage = make_stage(partitions=hostile.PARTITIONS, config=hostile.OPEN_TOPIC, dead_letter_topic=False)
    stage.broker.create_topic(f"{stage.topic}.dlq", 2, hostile.OPEN_TOPIC)
    campaign = hostile.Campaign(stage.broker, stage.database, stage.topic, seed)
    with stage.pool(workers=hostile.WORKERS, breaker_window=0) as pool:
        wrong = hostile.run_campaign(campaign, pool, COUNT)
    assert wrong == []
    assert pool.exit_code == 0
    assert campaign.totals()[0] == COUNT
    _assert_variety(stage, campaign)


def _assert_variety(stage, campaign):
    """That the messages were what they should be: nearly every reason, and enough events among the hostile ones."""
    reasons = Counter(reason for _, _, reason in stage.dead())
    print(reasons, campaign.kinds)
    assert len(reasons) >= 15, reasons
    assert COUNT / 4 < sum(reasons.values()) < COUNT * (1 - hostile.GOOD_SHARE), reasons
    assert stage.database.value("SELECT sum(stored + duplicate) FROM winnow.batch_log") > COUNT * hostile.GOOD_SHARE


def test_the_longest_message_that_kafka_takes(make_stage):
    """Messages far beyond what a batch or a fetch should hold pass one by one."""
    stage = make_stage(partitions=1, config=hostile.OPEN_TOPIC, dead_letter_topic=False)
    stage.broker.create_topic(f"{stage.topic}.dlq", 1, hostile.OPEN_TOPIC)
    good = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}
    stage.send(good, Message(b"x" * (9 << 20)), good, Message(b"{" + b" " * (9 << 20) + b"}", key=b"k" * 500000))
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        letters.wait_until_published(stage.database, on_timeout=pool.log_tail)
        assert "worker_ended" not in pool.log_text()
    stage.assert_exact()
    assert [letter[2] for letter in stage.dead()] == ["too_large", "too_large"]
    assert letters.differences(stage.database, stage.broker.read_topic(stage.topic)) == []
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq") == []
