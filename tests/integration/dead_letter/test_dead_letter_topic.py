"""A dead-letter topic that is missing, refuses or cannot be reached holds up nothing, and gets everything later."""

from winnow_test import letters
from winnow_test.poll import wait_until
from winnow_test.postgres import Database

POISON_COUNT = 40
LOCK = 42


def _good(begin, count=100):
    return [{"client": "a", "metric": "m", "amount": number, "time": "2024-01-01"} for number in range(begin, begin + count)]


def _poison(count=POISON_COUNT):
    return [f"poison {number}" for number in range(count)]


def _mixed(begin):
    """Few enough for the breaker."""
    return [thing for pair in zip(_good(begin), [*_poison(), *_good(begin + 100, 100)]) for thing in pair]


def _publish_now(database):
    """Instead of waiting for leases to run out."""
    database.run("UPDATE winnow.dead_letter SET publish_lease_until = now() WHERE published_at IS NULL")


def _assert_published(stage, pool, timeout_s=45):
    letters.wait_until_published(stage.database, timeout_s, pool.log_tail)
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq") == []


def test_a_missing_topic(make_stage):
    """It is not made by us: whoever makes it chooses its settings."""
    stage = make_stage(partitions=2, dead_letter_topic=False)
    stage.send(*_mixed(0))
    with stage.pool(workers=2) as pool:
        pids = pool.wait_for_workers(2)
        stage.wait_until_caught_up()
        pool.wait_for_log(r"level=warning .*dead_letters_waiting .*dlq.*does not exist")
        stage.send(*_mixed(1000))
        stage.wait_until_caught_up()
        assert letters.unpublished_count(stage.database) == 2 * POISON_COUNT
        assert stage.broker.partition_count(f"{stage.topic}.dlq") == 0
        stage.broker.create_topic(f"{stage.topic}.dlq", 1)
        _assert_published(stage, pool)
        pool.wait_for_log("dead_letters_published")
        assert pool.worker_pids() == pids
        # Once a worker, however often it has tried.
        assert pool.log_text().count("event=dead_letters_waiting") <= 2


def test_a_topic_that_refuses_everything(make_stage):
    stage = make_stage(partitions=2, dead_letter_topic=False)
    stage.broker.create_topic(f"{stage.topic}.dlq", 1, {"max.message.bytes": "100"})
    stage.send(*_mixed(0))
    with stage.pool(workers=2) as pool:
        stage.wait_until_caught_up()
        wait_until(lambda: stage.database.value("SELECT min(publish_attempts) FROM winnow.dead_letter"), 30,
                   on_timeout=pool.log_tail)
        stage.send(*_good(1000))
        stage.wait_until_caught_up()
        assert letters.unpublished_count(stage.database) == POISON_COUNT
        assert "too large" in stage.database.value("SELECT publish_error FROM winnow.dead_letter LIMIT 1")
        stage.broker.alter_topic(f"{stage.topic}.dlq", {"max.message.bytes": "1000000"})
        _publish_now(stage.database)
        _assert_published(stage, pool)


def test_brokers_that_are_away(make_stage):
    """The letters are in the table when the broker is killed, and go out when it is back."""
    stage = make_stage(partitions=2, dead_letter_topic=False)
    stage.send(*_mixed(0))
    with stage.pool(workers=2) as pool:
        pids = pool.wait_for_workers(2)
        stage.wait_until_caught_up()
        pool.wait_for_log("dead_letters_waiting")
        stage.broker.kill()
        pool.wait_for_log(r"dead_letters_waiting .*do not answer", 60)
        stage.broker.start()
        stage.broker.create_topic(f"{stage.topic}.dlq", 1)
        stage.send(*_mixed(1000))
        stage.wait_until_caught_up()
        _assert_published(stage, pool)
        assert pool.worker_pids() == pids


def _hold_marks(database):
    """Marking letters as published waits until LOCK is free."""
    database.run(f"CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
                 f"'BEGIN PERFORM pg_advisory_xact_lock({LOCK}); RETURN NEW; END'")
    database.run("CREATE TRIGGER hold BEFORE UPDATE ON winnow.dead_letter FOR EACH ROW "
                 "WHEN (NEW.published_at IS NOT NULL) EXECUTE FUNCTION hold()")


def _waiting_marks(database):
    # On this very lock: those who make a partition wait for another.
    return database.value(f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted")


def test_death_between_lease_and_mark(make_stage, postgres):
    """Letters that were sent and not marked go out again once their lease has run out: twice in the topic, under one
    id, and once in the table."""
    stage = make_stage(partitions=1)
    _hold_marks(stage.database)
    stage.send(*_mixed(0))
    with Database(postgres, stage.database.name) as holder, stage.pool(workers=1) as pool:
        holder.run(f"SELECT pg_advisory_lock({LOCK})")
        wait_until(lambda: _waiting_marks(stage.database) > 0, 30, "a mark waits", on_timeout=pool.log_tail)
        pool.kill_worker()
        stage.database.terminate_backends("winnow publisher")
        # The lease is for 30 s, in which a slow machine may not have a worker in the dead one's place.
        stage.database.run("UPDATE winnow.dead_letter SET publish_lease_until = now() + interval '1 hour' "
                           "WHERE published_at IS NULL AND publish_lease_until IS NOT NULL")
        stage.database.run("DROP TRIGGER hold ON winnow.dead_letter")
        holder.run(f"SELECT pg_advisory_unlock({LOCK})")
        pool.wait_for_log(r"(?s)signal 9.*event=assigned")
        stage.wait_until_caught_up()
        leased = stage.database.value(
            "SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NULL AND publish_lease_until > now()")
        assert leased > 0
        sent_before = {name: len(copies) for name, copies in letters.published(stage.broker, f"{stage.topic}.dlq").items()}
        assert sum(sent_before.values()) >= leased
        _publish_now(stage.database)
        _assert_published(stage, pool)
        sent = {name: len(copies) for name, copies in letters.published(stage.broker, f"{stage.topic}.dlq").items()}
    assert len(sent) == POISON_COUNT
    assert sorted(set(sent.values()))[-1] == 2 and sum(count == 2 for count in sent.values()) == leased
