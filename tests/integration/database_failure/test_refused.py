"""Story 3, second half: an event that the database itself refuses is a dead letter with its SQLSTATE; its neighbours
are stored; sent again after the cause is gone it is stored, and the failure shows as resolved."""

import re

import pytest

from scenario import batches, final_counters, message_state, new_events
from winnow_test.poll import wait_until

REFUSED = '{"client":"refused","metric":"sale","amount":7,"time":"2024-02-03"}'
FAILED = ("SELECT partition, message_offset, reason, sqlstate, client_id, value_text, resolved, stored_topic, "
          "stored_partition, stored_offset, event_hash IS NOT NULL FROM analytics.failed_events ORDER BY 1, 2")


@pytest.fixture
def refusing_stage(stage):
    stage.database.run("ALTER TABLE winnow.event ADD CONSTRAINT no_refused CHECK (client_id <> 'refused') NOT VALID")
    stage.allowed_reasons = ("database_rejected",)
    return stage


def refused_row(offset, *stored, partition=0):
    return (partition, offset, "database_rejected", "23514", "refused", REFUSED, bool(stored), *(stored or (None,) * 3),
            True)


def run_to_end(stage, **settings):
    with stage.pool(workers=0, **settings) as worker:
        stage.wait_until_caught_up()
        assert worker.stop() == 0
    return worker


def test_it_is_a_dead_letter_until_it_is_stored(refusing_stage):
    stage = refusing_stage
    stage.send(*new_events(40), REFUSED, *new_events(60), partition=0)
    worker = run_to_end(stage)
    assert stage.dead() == [(0, 40, "database_rejected")]
    assert len(stage.events()) == 100
    assert stage.database.rows(FAILED) == [refused_row(40)]
    assert sum(row[6] for row in batches(stage)) == 1
    # Cut in halves until one row is left: far fewer statements than rows.
    assert 2 <= final_counters(worker)["bisected"] <= 8
    assert "no_refused" in stage.database.value("SELECT detail FROM winnow.dead_letter")
    state = message_state(stage, 0, 40)
    assert (state["state"], state["reason"], state["resolved"]) == ("failed", "database_rejected", False)

    stage.database.run("ALTER TABLE winnow.event DROP CONSTRAINT no_refused")
    again = stage.send(REFUSED, partition=2)[0]
    run_to_end(stage)
    assert stage.dead() == [(0, 40, "database_rejected")]
    assert len(stage.events()) == 101
    assert stage.database.rows(FAILED) == [refused_row(40, stage.topic, again.partition, again.offset)]
    state = message_state(stage, 0, 40)
    assert (state["state"], state["resolved"], state["duplicate_of_partition"], state["duplicate_of_offset"]) == (
        "failed", True, again.partition, again.offset)


@pytest.mark.parametrize("places", [(0,), (99,), (0, 50, 51, 99), tuple(range(30, 60))])
def test_wherever_it_stands_in_the_batch(refusing_stage, places):
    stage = refusing_stage
    stage.send(*[REFUSED if place in places else new_events(1)[0] for place in range(100)], partition=0)
    run_to_end(stage, breaker_window=0)
    assert [row[1] for row in stage.dead()] == list(places)
    assert len(stage.events()) == 100 - len(places)


def test_it_reaches_the_dead_letter_topic_with_its_sqlstate(refusing_stage):
    stage = refusing_stage
    stage.send(REFUSED, partition=1, key=b"k")
    with stage.pool(workers=1):
        wait_until(lambda: stage.database.value("SELECT published_at FROM winnow.dead_letter"), 30,
                   "the dead letter is published", on_timeout=stage.logs)
        stage.wait_until_caught_up()
    letters = stage.broker.read_topic(f"{stage.topic}.dlq")
    assert [(letter.key(), letter.value()) for letter in letters] == [(b"k", REFUSED.encode())]
    headers = {name: value for name, value in letters[0].headers()}
    assert headers["__connect.errors.offset"] == b"0"
    assert any(re.search(rb"23514", value or b"") for value in headers.values()), headers
