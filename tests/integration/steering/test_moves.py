"""Partitions are moved at random, back and forward, while messages come, workers die and the tool is killed in the midst of
it: the invariants hold at every moment, and in the end, when all of it was read, the account is exact."""

import random
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from scenario import new_events, wait_for_statements
from winnow_test import check, shim
from winnow_test.poll import wait_until
from winnow_test.pool import BINARY, environment
from winnow_test.postgres import Database
from winnow_test.produce import Message, Sender, as_message

SEED = 20261125
MOVES = 24          # at the least, and until each kind was seen so often: workers may be faster than a move forward
SEEN_AT_LEAST = 3
MOVES_MAX = 10 * MOVES
PARTITIONS = 3
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'winnow steer'"
STATEMENTS = 3 + 4 * PARTITIONS  # what the tool sends at the most, or a few more


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return shim.build(tmp_path_factory.mktemp("shim"), "statement_shim")


@pytest.fixture
def stage(devbroker, make_stage):
    return make_stage(broker=devbroker, partitions=PARTITIONS)


class Mover:
    """Runs `winnow seek` as the dice fall, and counts what came of it."""

    def __init__(self, stage, dice, library):
        self.stage = stage
        self.dice = dice
        self.library = library
        self.seen = Counter(back=0, forward=0, killed=0)
        self.count = 0

    def _target(self, partitions):
        dice = self.dice
        ends = self.stage.broker.end_offsets(self.stage.topic)
        return dice.choice((("--to-offset", dice.randrange(max(1, ends[partitions[0]]))), ("--shift-by", -dice.randrange(1, 90)),
                            ("--shift-by", dice.randrange(1, 40)), ("--to-earliest",), ("--to-latest",)))

    def goes_on(self):
        assert self.count < MOVES_MAX, self.seen
        return self.count < MOVES or min(self.seen.values()) < SEEN_AT_LEAST

    def move(self):
        self.count += 1
        dice = self.dice
        partitions = dice.sample(range(PARTITIONS), dice.randrange(1, PARTITIONS + 1))
        death = {}
        if dice.random() < 0.6:
            death = {"LD_PRELOAD": str(self.library), "KILL_AT_STATEMENT": str(dice.randrange(2, STATEMENTS))}
            if dice.random() < 0.5:
                death["KILL_AFTER"] = "1"
        done = subprocess.run(
            [BINARY, "seek", f"{self.stage.topic}/{','.join(map(str, partitions))}", *map(str, self._target(partitions)),
             "--execute"], env={**environment(self.stage.settings), **death}, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == -signal.SIGKILL:
            self.seen["killed"] += 1
        else:
            # Workers may have been faster than a move forward: then nothing of that partition was changed.
            assert done.returncode == 0 or "nothing was changed there" in done.stderr, done
            self.seen["back"] += len(re.findall(r"reads \d+ offsets? again", done.stdout))
            self.seen["forward"] += len(re.findall(r"skipped \d+ offsets", done.stdout))


def load(dice, sender):
    """New events, some of them twice, and what is none."""
    events = new_events(dice.randrange(1, 150))
    for thing in (*events, *events[::9], *["[]"] * dice.randrange(6)):
        sender.send(Message(as_message(thing).value, partition=dice.randrange(PARTITIONS)))
    sender.poll()


def test_random_moves_under_load_with_kills(stage, library):
    dice = random.Random(SEED)
    mover = Mover(stage, dice, library)
    with stage.pool(workers=2, batch_rows=40, properties={"session.timeout.ms": "2000"}) as pool:
        for partition in range(PARTITIONS):
            stage.send(*new_events(200), *["no event"] * 5, partition=partition)
        stage.wait_until_caught_up()
        with Sender(stage.broker.brokers, stage.topic) as sender:
            while mover.goes_on():
                load(dice, sender)
                mover.move()
                if dice.random() < 0.15:
                    pool.kill_worker(0, dice.choice((signal.SIGKILL, signal.SIGTERM)))
                    pool.wait_for_workers(2)
                check.assert_no_violation(stage.database)
            stage.sent += sender.finish()
        # What was skipped is read now.
        assert stage.winnow("seek", stage.topic, "--to-earliest", "--execute").exit_code == 0
        stage.wait_until_caught_up(120)
    assert stage.database.value("SELECT sum(skipped) FROM analytics.completeness") == 0
    stage.assert_exact()


def test_a_batch_under_way_comes_first(stage):
    """A move waits for the batch that has the row before it, and begins where that has ended."""
    stage.send(*new_events(20), partition=0)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'winnow steer' AND wait_event_type = 'Lock'"
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        for target, told in (("--to-latest", "stays at 40"), ("--to-earliest", "60 -> 0, reads 60 offsets again")):
            with Database(stage.database.server, stage.database.name) as session:
                session.run("BEGIN; SELECT FROM winnow.processing_log WHERE partition = 0 FOR UPDATE")
                stage.send(*new_events(20), partition=0)
                wait_for_statements(stage, 1)
                tool = subprocess.Popen([BINARY, "seek", f"{stage.topic}/0", target, "--execute"], text=True,
                                        env=environment(stage.settings), stdout=subprocess.PIPE)
                wait_until(lambda: stage.database.value(waits) == 1, 20, "the tool waits", on_timeout=pool.log_tail)
                session.run("COMMIT")
            assert told in tool.communicate(timeout=30)[0] and tool.returncode == 0
            check.assert_no_violation(stage.database)
            stage.wait_until_caught_up()


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"


def test_workers_that_were_faster(stage, library):
    """What was to be skipped has been read between the plan and the deed: it is not read again."""
    stage.send(*new_events(5), partition=0)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    stage.send(*new_events(15), partition=0)
    with subprocess.Popen([BINARY, "seek", f"{stage.topic}/0", "--to-offset", "10", "--execute"], text=True,
                          env={**environment(stage.settings), "LD_PRELOAD": str(library), "STOP_BEFORE": "BEGIN"},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
        try:
            wait_until(lambda: is_stopped(tool.pid), 20, "the plan is made")
            with stage.pool(workers=1):
                stage.wait_until_caught_up()
            tool.send_signal(signal.SIGCONT)
            _, error = tool.communicate(timeout=30)
        finally:
            tool.kill()
    assert tool.returncode == 78
    assert "has meanwhile been read to 20, behind the target: nothing was changed there" in error
    assert stage.database.rows("SELECT next_offset FROM winnow.processing_log WHERE partition = 0") == [(20,)]
    assert stage.database.rows("SELECT FROM winnow.steering") == []
    assert len(stage.events()) == 20
    check.assert_no_violation(stage.database)


def test_killed_at_each_statement(stage, library):
    """Two partitions: each is moved as a whole or not at all, and what is written down is what was done."""
    moved = set()
    for partition in range(2):
        stage.send(*new_events(20), "[]", partition=partition)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    places = "SELECT partition, next_offset FROM winnow.processing_log WHERE partition < 2 ORDER BY 1"
    where = f"{stage.topic}/0,1"
    for number in range(2, 40):
        for after in ({}, {"KILL_AFTER": "1"}):
            done = subprocess.run([BINARY, "seek", where, "--to-earliest", "--execute"], capture_output=True, timeout=60, check=False,
                                  env={**environment(stage.settings), "LD_PRELOAD": str(library),
                                       "KILL_AT_STATEMENT": str(number), **after})
            # A statement that was sent may still be under way, or not even begun.
            wait_until(lambda: stage.database.value(SESSIONS) == 0, 30, "nobody moves anything")
            found = tuple(offset for _, offset in stage.database.rows(places))
            assert set(found) <= {0, 21}, (number, after, done)
            check.assert_no_violation(stage.database)
            last = dict(stage.database.rows("SELECT DISTINCT ON (partition) partition, to_offset FROM winnow.steering "
                                            "ORDER BY partition, steering_id DESC"))
            assert found == tuple(last.get(partition, 21) for partition in range(2)), "what is written down is what was done"
            moved.add(found)
            if set(found) != {21}:
                stage.winnow("seek", where, "--to-latest", "--execute")  # ready for the next round
            if done.returncode == 0:
                break
        if done.returncode == 0:
            break
    assert done.returncode == 0 and number >= 2 + 2 + 2 * 3, number  # the last one counted was not reached
    assert moved == {(21, 21), (0, 21), (0, 0)}
    assert stage.winnow("seek", where, "--to-earliest", "--execute").exit_code == 0
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
