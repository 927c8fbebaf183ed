"""Story 3: what a network does to the connections to PostgreSQL, down to the byte at which it does it."""

import pytest

from scenario import final_counters, new_events, wait_for_owners, wait_until_committed, warm_up
from winnow_test.poll import wait_until
from winnow_test.proxy import Proxy

# In the Bind message of APPLY, behind its type and length: portal "", the statement's name, 37 formats.
APPLY = b"\0apply\0\0\x25"
HEAD = 5 + len(APPLY)   # from the message's first byte to where the match ends
SYNC = 5                # the last message of the statement
UNLIMITED = 1 << 40
STATEMENT_TIMEOUT_MS = 1000
NOTICED_S = 20          # that and 5 s of grace, a pause, and two busy cores


@pytest.fixture
def proxy(postgres):
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def stage(make_stage, postgres, proxy):
    """One partition; the pool's connections to the database go through the proxy."""
    stage = make_stage(partitions=1)
    stage.settings["database"] = postgres.tcp_dsn(stage.database.name, port=proxy.port)
    return stage


def begin(stage, workers):
    wait_for_owners(stage, workers.wait_for_workers(1))
    warm_up(stage)


def store_one(stage):
    stage.send(*new_events(1, client="client_of_fixed_length"))
    stage.wait_until_caught_up(NOTICED_S + 20)


def lengths(stage, proxy):
    """Bytes of an APPLY of one event, behind the match, and of its answer."""
    up, down = proxy.cut(APPLY, UNLIMITED), proxy.cut(APPLY, UNLIMITED, "down")
    store_one(stage)
    wait_until_committed(stage)  # the row is there before the answer has passed
    proxy.heal()
    assert up.counted > 500 and down.counted > 50
    return up.counted, down.counted


def duplicates(stage):
    return stage.database.value("SELECT sum(duplicate)::int FROM winnow.batch_log")


def test_cuts_at_exact_bytes(stage, proxy):
    """Bytes of the statement that reach the server: none, one, some, all but the Sync, all but one, all. Bytes of
    the answer that reach winnow: none (it is committed, and only the database knows), one, some, all but one."""
    with stage.pool(workers=1) as workers:
        begin(stage, workers)
        statement, answer = lengths(stage, proxy)
        cuts = [("up", after) for after in (-HEAD, 1 - HEAD, 0, 1, statement // 3, statement // 2, statement - SYNC - 1,
                                            statement - SYNC, statement - 1, statement)]
        cuts += [("down", after) for after in (0, 1, 5, answer // 2, answer - 6, answer - 1)]
        for direction, after in cuts:
            before = proxy.cut_count
            proxy.cut(APPLY, after, direction)
            store_one(stage)
            wait_until(lambda count=before + 1: proxy.cut_count == count, 10, f"a cut {direction} at {after}")
        assert workers.stop() == 0
    assert final_counters(workers)["resynced"] >= len(cuts)
    assert len(stage.events()) == len(stage.sent) == len(cuts) + 2
    assert duplicates(stage) == 0


def test_a_commit_whose_answer_is_lost_is_not_repeated(stage, proxy):
    with stage.pool(workers=1) as workers:
        begin(stage, workers)
        proxy.refuse()
        proxy.cut(APPLY, 0, "down")
        stage.send(*new_events(1))
        # The row is there although nothing of the answer has come and no further connection is possible.
        wait_until(lambda: len(stage.events()) == 2 and proxy.cut_count == 1, 20, "the commit", on_timeout=stage.logs)
        proxy.heal()
        store_one(stage)
    assert len(stage.events()) == 3
    assert duplicates(stage) == 0


@pytest.mark.parametrize("place", ["idle", "before the Sync", "answer"])
def test_half_open_connections(stage, proxy, place):
    """The deadline of the statement ends the wait, and the lock that a half-sent statement holds is freed."""
    with stage.pool(workers=1, statement_timeout_ms=STATEMENT_TIMEOUT_MS) as workers:
        begin(stage, workers)
        statement, _ = lengths(stage, proxy)
        if place == "idle":
            assert proxy.stall() >= 1
        else:
            after = 0 if place == "answer" else statement - SYNC
            proxy.cut(APPLY, after, "down" if place == "answer" else "up", how="stall")
        store_one(stage)
        workers.wait_for_log("event=retrying .*no answer in time")
        assert place != "before the Sync" or "event=stuck_sessions_ended" in workers.log_text()
        assert workers.stop() == 0
    assert final_counters(workers)["resynced"] > 0
    assert duplicates(stage) == 0


@pytest.mark.parametrize("end", ["drop", "reset"])
def test_connections_that_end(stage, proxy, end):
    with stage.pool(workers=1) as workers:
        begin(stage, workers)
        for _ in range(3):
            stage.send(*new_events(200))
            assert getattr(proxy, end)() >= 1
            store_one(stage)


def test_slow_connections(stage, proxy):
    with stage.pool(workers=1) as workers:
        begin(stage, workers)
        proxy.delay(0.05, 0.05)
        stage.send(*new_events(500))
        stage.wait_until_caught_up()
        proxy.reset()
        store_one(stage)
        proxy.heal()
    assert len(stage.events()) == 502


def test_a_server_that_accepts_and_is_silent(stage, proxy):
    stage.settings["database"] += " connect_timeout=1"
    with stage.pool(workers=1) as workers:
        begin(stage, workers)
        proxy.black_hole()
        proxy.reset()
        stage.send(*new_events(10))
        wait_until(lambda: proxy.silent_count() >= 2, 20, "winnow gives one up and tries another", on_timeout=stage.logs)
        proxy.heal()
        stage.wait_until_caught_up()
