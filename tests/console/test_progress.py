"""Status, workers, completeness and explain: the same that the command line and the views tell."""

import json

import pytest
from winnow_test.poll import wait_until

SEED = '{"source":"client_A","payload":{"metric":"sale","amount":"1,200.50","timestamp":"2024/01/01"}}'
NOT_AN_EVENT = '{"source":"client_A","metric":"sale","amount":"twelve"}'
COUNTS = ("lag", "offsets_read", "stored", "duplicate", "dead", "gap", "lost", "skipped", "complete")


def test_status_is_that_of_the_command(stage, console):
    stage.send(SEED, SEED, NOT_AN_EVENT)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    command = json.loads(stage.winnow("status", "--json").out)
    # What Kafka says of the lag comes on its own: the brokers may not have answered the console in time.
    told = wait_until(lambda: (seen := console.get("/api/v1/status").json)["total"]["offsets_read"] == 3 and
                      seen["total"]["lag"] is not None and seen, 60, "the console sees it")
    for name in ("group", "topic", "complete", "halted", "unpublished_dead_letters"):
        assert told[name] == command[name], name
    assert told["total"] == {name: command["total"][name] for name in COUNTS}
    assert (told["total"]["stored"], told["total"]["duplicate"], told["total"]["dead"]) == (1, 1, 1)
    for mine, other in zip(told["partitions"], command["partitions"], strict=True):
        assert {name: mine[name] for name in other} == other
        assert mine["lag_seconds"] == 0
    assert console.get("/api/v1/completeness").json["sentence"] == stage.database.value(
        "SELECT sentence FROM analytics.completeness_verdict")


def test_counts_go_on_from_what_was_seen(stage, console):
    with stage.pool(workers=1):
        for count in range(1, 4):
            stage.send(*(f'{{"client":"c{number}","metric":"m{count}","amount":1,"time":"2024-01-01"}}'
                         for number in range(20)))
            wait_until(lambda wanted=20 * count: console.get("/api/v1/status").json["total"]["stored"] == wanted, 60,
                       "the console counts them")
            assert console.get("/api/v1/status").json["complete"]


def test_workers(stage, console):
    assert console.get("/api/v1/workers").json["workers"] == []
    with stage.pool(workers=2):
        def both_show():
            told = console.get("/api/v1/workers").json
            return told if len(told["workers"]) == 2 and not told["unowned"] else None

        # The partitions are taken one after the other: at first some have nobody.
        told = wait_until(both_show, 60, "both workers show, and have all partitions", on_timeout=stage.logs)
    assert sorted(part["partition"] for worker in told["workers"] for part in worker["partitions"]) == [0, 1, 2, 3]


def test_lag_grows_old(stage, console):
    """Nobody processes: what waits gets older."""
    stage.send(SEED, partition=0)
    wait_until(lambda: (console.get("/api/v1/status").json["partitions"][0]["lag_seconds"] or 0) > 2, 60, "its age")
    told = console.get("/api/v1/status").json["partitions"][0]
    assert (told["lag"], told["state"], told["next_offset"]) == (1, "not_started", None)


def test_a_lost_count_shows(stage, console):
    """The verdict is no constant: take a row out of the account and it turns."""
    stage.send(SEED)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    wait_until(lambda: console.get("/api/v1/status").json["total"]["offsets_read"] == 1, 60, "the console sees it")
    stage.database.run("CREATE TABLE winnow.kept AS SELECT * FROM winnow.batch_log")
    stage.database.run("DELETE FROM winnow.batch_log")
    assert console.get("/api/v1/completeness").json["complete"] is False
    stage.database.run("UPDATE winnow.processing_log SET next_offset = next_offset + 5")
    wait_until(lambda: not console.get("/api/v1/status").json["complete"], 60, "the status turns, too")
    stage.database.run("UPDATE winnow.processing_log SET next_offset = next_offset - 5")
    stage.database.run("INSERT INTO winnow.batch_log SELECT * FROM winnow.kept")
    wait_until(lambda: console.get("/api/v1/status").json["complete"], 60, "the status turns back")
    assert console.get("/api/v1/status").json["total"]["stored"] == 1


def test_completeness_is_that_of_the_topic(stage, console):
    """Another stream of the database that does not add up is told of, and changes no verdict."""
    stage.send(SEED)
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    whole = console.get("/api/v1/completeness").json
    assert (whole["complete"], whole["elsewhere"]) == (True, None)
    stage.database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES ('other', 'other', 'x')")
    stage.database.run("INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset) "
                       "SELECT stream_id, 9, 0, 5 FROM winnow.stream WHERE topic = 'other'")
    told = console.get("/api/v1/completeness").json
    assert {**told, "elsewhere": None} == whole
    assert told["elsewhere"].startswith("INCOMPLETE: 1 of 1 partitions do not add up, the first is other/9;")
    assert {(part["group"], part["topic"]) for part in told["partitions"]} == {(stage.settings["group"], stage.topic)}
    assert "Elsewhere in this database: INCOMPLETE" in stage.winnow("status").out
    stage.database.run("DELETE FROM winnow.batch_log")
    told = console.get("/api/v1/completeness").json
    assert told["complete"] is False and f"the first is {stage.topic}/" in told["sentence"]
    assert "the first is other/9;" in told["elsewhere"]


def test_database_away(stage, console, postgres):
    assert console.get("/api/v1/status").status == 200
    postgres.stop()
    for path in ("/api/v1/status", "/api/v1/workers", "/api/v1/completeness"):
        wait_until(lambda path=path: console.get(path).status == 503, 60, f"{path} tells of it")
        answer = console.get(path)
        assert answer.json["type"] == "/docs#problem-database-unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    postgres.start()
    for path in ("/api/v1/status", "/api/v1/workers", "/api/v1/completeness"):
        wait_until(lambda path=path: console.get(path).status == 200, 60, f"{path} is back")


def test_explain_accepted(stage, console):
    told = console.post("/api/v1/explain", SEED).json
    command = json.loads(stage.winnow("explain", "--json", stdin=SEED.encode()).out)["event"]
    assert told["accepted"]
    assert {**told["event"], "amount": float(told["event"]["amount"])} == command
    assert told["event"]["amount"] == "1200.5"
    assert [field["field"] for field in told["fields"]] == ["client_id", "metric", "amount", "timestamp"]
    amount = told["fields"][2]
    assert (amount["place"], amount["name"], amount["as_written"], amount["value"]) == (
        "payload", "amount", "1,200.50", "1200.5")
    assert [rule["rule"] for rule in amount["rules"]] == ["F-3", "F-2", "A-2", "A-4"]
    assert told["duplicate"] is False
    with stage.joined_pool(workers=1):
        stored = console.post("/api/v1/events", SEED, wait="30s").json
    told = console.post("/api/v1/explain", SEED).json
    assert told["duplicate"] is True
    assert told["duplicate_of"] == {name: stored[name] for name in ("topic", "partition", "offset")}


def test_explain_rejected(console):
    told = console.post("/api/v1/explain", NOT_AN_EVENT).json
    assert (told["accepted"], told["event"], told["reason"]) == (False, None, "amount_invalid")
    assert '"twelve"' in told["detail"]
    assert [field["field"] for field in told["fields"]] == ["client_id", "metric", "amount"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b'{"client":"\xff"}', b'{"client":"a\\u0000"}', b"[" * 5000,
                                  b'{"client":"a","metric":"m","amount":1e400}', b'{"a":1,"a":2}'],
                         ids=["empty", "bytes", "latin", "nul", "deep", "huge", "twice"])
def test_explain_anything(console, body):
    answer = console.ask("POST", "/api/v1/explain", body, headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer
    assert answer.json["accepted"] is False


def test_moves_of_an_operator_are_accounted_for(stage, console):
    """Skipped offsets are told, and what was moved back is counted anew, without a word of anything missing."""
    stage.send(*(f'{{"client":"c","metric":"m","amount":{number},"time":"2024-01-01"}}' for number in range(12)))
    stage.send(NOT_AN_EVENT)

    def move(*how):
        moved = stage.winnow("seek", *how, "--execute")
        assert moved.exit_code == 0, moved.error

    def shown():
        told = console.get("/api/v1/status").json
        assert told["complete"], told
        return {name: told["total"][name] for name in ("lag", "stored", "duplicate", "dead", "skipped")}

    def wait_for(**counts):
        wait_until(lambda: shown() == counts, 60, f"the console shows {counts}", interval_s=0.05)

    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    wait_for(lag=0, stored=12, duplicate=0, dead=1, skipped=0)
    move("--to-earliest")
    wait_for(lag=13, stored=0, duplicate=0, dead=0, skipped=0)
    move("--to-latest")
    wait_for(lag=0, stored=0, duplicate=0, dead=0, skipped=13)
    assert "13 skipped" in console.get("/api/v1/completeness").json["sentence"]
    move("--to-earliest")
    with stage.pool(workers=1):
        stage.wait_until_caught_up()
    wait_for(lag=0, stored=0, duplicate=12, dead=1, skipped=0)
