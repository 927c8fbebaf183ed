"""Poison in every place of a partition, and partitions that hold nothing else."""

from scenario import wait_for_owners
from winnow_test import check, letters
from winnow_test.poll import wait_until

POISON = "poison"
COUNT = 30
# In order: the whole partition.
PLACES = {
    "first": lambda good: [POISON, *good],
    "middle": lambda good: [*good[:COUNT // 2], POISON, *good[COUNT // 2:]],
    "last": lambda good: [*good, POISON],
    "only": lambda good: [POISON],
}


def _good(partition, count=COUNT, begin=0):
    return [{"client": f"c{partition}", "metric": "m", "amount": number, "time": "2024-01-01"}
            for number in range(begin, begin + count)]


def _dead_rows(database):
    return database.rows("SELECT partition, message_offset, failed_at FROM winnow.dead_letter ORDER BY 1, 2")


def test_poison_in_each_place(stage):
    """Offsets advance past it, and a restart does not see it again."""
    for partition, place in enumerate(PLACES):
        stage.send(*PLACES[place](_good(partition)), partition=partition)
    with stage.pool(workers=2):
        stage.wait_until_caught_up()
        letters.wait_until_published(stage.database)
    assert stage.dead() == [(0, 0, "invalid_json"), (1, COUNT // 2, "invalid_json"), (2, COUNT, "invalid_json"),
                            (3, 0, "invalid_json")]
    assert check.cursors(stage.database, stage.topic) == {0: COUNT + 1, 1: COUNT + 1, 2: COUNT + 1, 3: 1}
    stage.assert_exact()
    before = _dead_rows(stage.database)
    stage.send(*[_good(partition, 1, COUNT)[0] for partition in range(3)])
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    assert _dead_rows(stage.database) == before
    assert [len(copies) for copies in letters.published(stage.broker, f"{stage.topic}.dlq").values()] == [1] * 4


def test_poison_alone_and_a_restart_with_nothing_new(make_stage):
    """With no message behind it the tail check reads the poison again, and must not take it again."""
    stage = make_stage(partitions=1)
    stage.send(POISON)
    for _ in range(3):
        with stage.pool(workers=1) as pool:
            pool.wait_for_log("1 worker joined")
            stage.wait_until_caught_up()
            before = stage.database.value("SELECT epoch FROM winnow.processing_log")
            assert pool.stop() == 0
        assert stage.database.value("SELECT epoch FROM winnow.processing_log") == before
        assert stage.dead() == [(0, 0, "invalid_json")]
        assert stage.database.value("SELECT count(*) FROM winnow.batch_log") == 1


def _halted(database):
    return database.rows("SELECT partition, halt_reason FROM winnow.processing_log WHERE state = 'halted'")


def test_a_partition_full_of_poison_trips_the_breaker(make_stage):
    """It halts alone; the command in the log resumes it; the pool stays."""
    stage = make_stage(partitions=2)
    with stage.pool(workers=2) as pool:
        pids = pool.wait_for_workers(2)
        wait_for_owners(stage, pids)  # whoever takes a partition over begins to count anew
        stage.send(*[POISON] * 150, partition=0)
        stage.send(*_good(1), partition=1)
        wait_until(lambda: _halted(stage.database) == [(0, "circuit_breaker")], 30, on_timeout=pool.log_tail)
        told = pool.wait_for_log(r"partition_halted.*partition 0 .*circuit_breaker: 101 of the last 200 messages were dead "
                                 r"letters.*(SELECT winnow\.resume_partition\(.*\);)")
        # 101 of 200 are more than half: these are dead letters, the rest waits.
        wait_until(lambda: check.cursors(stage.database, stage.topic) == {0: 101, 1: COUNT}, 10,
                   on_timeout=pool.log_tail)
        stage.send(*_good(1, begin=COUNT), partition=1)
        wait_until(lambda: check.cursors(stage.database, stage.topic)[1] == 2 * COUNT, 10, on_timeout=pool.log_tail)
        check.assert_invariants(stage.database)
        assert check.cursors(stage.database, stage.topic)[0] == 101
        stage.database.run(told.group(1))
        stage.wait_until_caught_up(timeout_s=40)  # halted partitions are looked at every 30 s
        assert _halted(stage.database) == []
        assert pool.worker_pids() == pids
        assert pool.log_text().count("partition_halted") == 1
