"""What is asked of each dead letter costs the same however many there are, and whatever PostgreSQL knew of the tables when it
planned: counted in blocks, which no load changes."""

import pytest

COUNT = 3000


@pytest.fixture
def letters(database):
    database.run("INSERT INTO winnow.stream (topic, consumer_group, cluster_id) VALUES ('t', 'g', 'x')")
    database.run("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail, client_id) "
                 "SELECT stream_id, 0, i, 'v', 'invalid_json', 'M-3', 'c' FROM winnow.stream, generate_series(1, %s) AS i", (COUNT,))
    return database


def do(database, action, note="NULL", sent="NULL, NULL"):
    database.run("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, note, sent_partition, "
                 f"sent_offset) SELECT stream_id, partition, message_offset, %s, 'us', {note}, {sent} FROM winnow.dead_letter", (action,))


def blocks(database, sql):
    ((plan,),) = database.rows("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql)
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


def test_state_of_each(letters):
    """When the tables were analyzed much had been done, and nothing sent. 3,333 retries of one group took 33 s, as each
    letter's state read all that was ever sent."""
    do(letters, "discard", note="'why'")
    do(letters, "undo")
    letters.run("ANALYZE")
    do(letters, "retry", sent="0, message_offset + 100000")
    assert blocks(letters, "SELECT count(*) FROM winnow.dead_letter_work WHERE stream_id = (SELECT stream_id FROM winnow.stream) "
                           "AND reason = 'invalid_json' AND client_id COLLATE \"C\" = 'c' AND state = 'retried'") < COUNT * 20


def test_attempts_of_each(letters):
    """When the session asked first, nothing had been done."""
    letters.run("ANALYZE")
    for _ in range(10):  # its plan is kept from then on
        letters.value("SELECT count(winnow.count_attempts(stream_id, 0, 1)) FROM winnow.stream")
    do(letters, "retry", sent="0, message_offset + 100000")
    attempts = "SELECT sum(winnow.count_attempts(stream_id, partition, message_offset)) FROM winnow.dead_letter"
    assert blocks(letters, attempts) < COUNT * 20
    assert letters.value(attempts) == COUNT
