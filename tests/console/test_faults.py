"""Failures of the database, simulated honestly: PostgreSQL itself refuses, and what failed is mended later."""

import json
import time

from winnow_test.poll import wait_until

EVENT = {"client": "a", "metric": "sale", "amount": 12, "time": "2024-01-01"}
SIMULATE = {"Winnow-Simulate-Failure": "database"}


def submit(console, event, headers=None, wait="20s"):
    return console.ask("POST", "/api/v1/events", json.dumps(event), {"wait": wait}, headers)


def test_refused_by_the_database(stage, make_console):
    console = make_console(stage, "--allow-fault-injection")
    assert console.get("/api/v1/session").json["fault_injection"] is True
    with stage.pool(workers=1, arguments=["--allow-fault-injection"]):
        answer = submit(console, EVENT, SIMULATE)
        assert answer.status == 422, answer
        told = answer.json
        assert told["reason"] == "database_rejected"
        assert "client_id" in told["detail"]
        assert stage.database.value("SELECT sqlstate FROM winnow.dead_letter") == "23502"
        failed = told["submission"]
        assert failed["state"] == "failed"
        assert stage.events() == []

        # bystanders of the same batch are stored, and the same event without the header
        assert submit(console, {**EVENT, "amount": 13}).status == 201
        assert submit(console, EVENT).status == 201
        state = console.follow(failed["state_url"]).json
        assert (state["state"], state["resolved"]) == ("failed", True)
    assert stage.database.rows("SELECT * FROM winnow.invariant_violation()") == []
    stage.assert_exact(allowed_reasons=["database_rejected"])


def test_ignored_by_a_console_that_may_not(stage, console):
    with stage.pool(workers=1, arguments=["--allow-fault-injection"]):
        assert submit(console, EVENT, SIMULATE).status == 201
    assert console.post("/api/v1/faults/database-outage", {}).status == 404
    assert console.get("/api/v1/session").json["fault_injection"] is False


def test_ignored_by_workers_that_may_not(stage, make_console):
    console = make_console(stage, "--allow-fault-injection")
    with stage.pool(workers=1):
        assert submit(console, EVENT, SIMULATE).status == 201


def test_outage(stage, make_console):
    """Events wait, none fails, all arrive."""
    console = make_console(stage, "--allow-fault-injection")
    with stage.pool(workers=1):
        assert submit(console, EVENT).status == 201
        begun = time.monotonic()
        answer = console.post("/api/v1/faults/database-outage", {"seconds": 4})
        assert answer.status == 202, answer
        assert console.get("/api/v1/session").json["outage_until"] == answer.json["until"]
        assert console.post("/api/v1/faults/database-outage", {}).status == 409
        for number in range(20):
            assert submit(console, {**EVENT, "metric": f"m{number}"}, wait="0s").json["state"] == "processing"
        assert console.get("/api/v1/status").status == 200  # readers are not disturbed
        assert len(stage.events()) == 1
        assert time.monotonic() - begun < 4, "the test was too slow to look during the outage"
        wait_until(lambda: len(stage.events()) == 21, 30, "all arrive", on_timeout=stage.logs)
        assert time.monotonic() - begun >= 4
    assert console.get("/api/v1/session").json["outage_until"] is None
    assert stage.dead() == []


def test_outage_refused(make_console, stage):
    console = make_console(stage, "--allow-fault-injection")
    for body in ({"seconds": 0}, {"seconds": 31}, {"seconds": "4"}, {"second": 4}, [], "x"):
        answer = console.post("/api/v1/faults/database-outage", json.dumps(body))
        assert answer.status == 400, answer
