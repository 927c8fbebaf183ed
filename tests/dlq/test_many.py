"""What is asked of each dead letter costs the same however many there are, and whatever PostgreSQL knew of the tables when it
planned: counted in blocks, which no load changes."""

import pytest

COUNT = 3000


@pytest.fixture
def retried(database):
    """Letters that were all sent again since the tables were analyzed, and a session that asked before."""
    database.run("INSERT INTO winnow.stream (topic, consumer_group, cluster_id) VALUES ('t', 'g', 'x')")
    database.run("INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, value, reason, detail, client_id) "
                 "SELECT stream_id, 0, i, 'v', 'invalid_json', 'M-3', 'c' FROM winnow.stream, generate_series(1, %s) AS i", (COUNT,))
    database.run("ANALYZE")
    for _ in range(10):  # its plan is kept from then on
        database.value("SELECT count(winnow.count_attempts(stream_id, 0, 1)) FROM winnow.stream")
    database.run("INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, sent_partition, "
                 "sent_offset) SELECT stream_id, 0, i, 'retry', 'us', 0, i + 100000 FROM winnow.stream, generate_series(1, %s) AS i",
                 (COUNT,))
    return database


def blocks(database, sql):
    ((plan,),) = database.rows("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql)
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


def test_state_of_each(retried):
    """3,333 retries of one group took 33 s, as each letter's state read all that was ever sent."""
    assert blocks(retried, "SELECT count(*) FROM winnow.dead_letter_work WHERE stream_id = (SELECT stream_id FROM winnow.stream) "
                           "AND reason = 'invalid_json' AND client_id COLLATE \"C\" = 'c' AND state = 'retried'") < COUNT * 20


def test_attempts_of_each(retried):
    assert blocks(retried, "SELECT sum(winnow.count_attempts(stream_id, partition, message_offset)) FROM winnow.dead_letter") < COUNT * 20
    assert retried.value("SELECT sum(winnow.count_attempts(stream_id, partition, message_offset)) FROM winnow.dead_letter") == COUNT
