"""The log is not the one we know: a topic that was recreated halts, whatever it holds now; what retention took before it
was read is written down; and when nothing is missing, reading goes on."""

from scenario import new_events

HALTED = "SELECT partition, halt_reason, next_offset FROM winnow.processing_log WHERE state = 'halted' ORDER BY 1"


def read_all(stage):
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert pool.stop() == 0


def recreate(stage):
    stage.broker.delete_topic(stage.topic)
    stage.broker.create_topic(stage.topic, stage.partitions)
    stage.sent.clear()
    stage.exact = False  # what the topic holds now was never read


def test_a_recreated_topic_with_more_messages_halts(make_stage):
    stage = make_stage(partitions=2)
    for partition in range(2):
        stage.send(*new_events(5), partition=partition)
    read_all(stage)
    recreate(stage)
    for partition in range(2):
        stage.send(*new_events(9), partition=partition)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log(r"event=partition_halted(?s:.*)event=partition_halted")
    assert stage.database.rows(HALTED) == [(0, "topic_changed", 5), (1, "topic_changed", 5)]
    assert len(stage.events()) == 10
    done = stage.winnow("status")
    assert (done.exit_code, "topic_changed" in done.out) == (1, True), done


def test_a_recreated_topic_with_fewer_messages_halts(make_stage):
    stage = make_stage(partitions=1)
    stage.send(*new_events(5), partition=0)
    read_all(stage)
    recreate(stage)
    stage.send(*new_events(2), partition=0)
    with stage.pool(workers=1) as pool:
        pool.wait_for_log("event=partition_halted")
    assert stage.database.rows(HALTED) == [(0, "offset_out_of_range", 5)]
    assert len(stage.events()) == 5


def test_what_retention_took_is_written_down(make_stage):
    stage = make_stage(partitions=2)
    stage.send(*new_events(5), partition=0)
    stage.send(*new_events(5), partition=1)
    read_all(stage)
    stage.exact = False  # seven messages were acknowledged and are in nobody's hands any more
    stage.send(*new_events(10), partition=0)
    stage.send(*new_events(10), partition=1)
    stage.broker.delete_records(stage.topic, {0: 12})
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert "event=retention_loss" in pool.log_text()
    assert stage.database.rows("SELECT partition, lost, stored, complete FROM analytics.completeness ORDER BY 1") == [
        (0, 7, 8, True), (1, 0, 15, True)]
    assert "7" in stage.winnow("status").out


def test_reading_goes_on_when_only_what_was_read_is_gone(make_stage):
    stage = make_stage(partitions=1)
    stage.send(*new_events(5), partition=0)
    read_all(stage)
    stage.send(*new_events(3), partition=0)
    stage.broker.delete_records(stage.topic, {0: 5})
    stage.exact = False  # the topic no longer holds what the table does
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        assert "event=retention_loss" not in pool.log_text()
    assert len(stage.events()) == 8
    assert stage.database.value("SELECT lost FROM analytics.completeness") == 0
