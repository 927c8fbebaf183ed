"""Failures of the database, simulated honestly: PostgreSQL itself refuses, and what failed is mended later."""

import json
import time

from winnow_test import check
from winnow_test.poll import wait_until

EVENT = {"client": "a", "metric": "sale", "amount": 12, "time": "2024-01-01"}
SIMULATE = {"Winnow-Simulate-Failure": "database"}


def submit(console, event, headers=None, wait="30s"):
    return console.ask("POST", "/api/v1/events", json.dumps(event), {"wait": wait}, headers)


def test_refused_by_the_database(stage, make_console):
    console = make_console(stage, "--allow-fault-injection")
    assert console.get("/api/v1/session").json["fault_injection"] is True
    with stage.joined_pool(workers=1, arguments=["--allow-fault-injection"]):
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
    check.assert_no_violation(stage.database)
    stage.assert_exact(allowed_reasons=["database_rejected"])


def test_ignored_by_a_console_that_may_not(stage, console):
    with stage.joined_pool(workers=1, arguments=["--allow-fault-injection"]):
        assert submit(console, EVENT, SIMULATE).status == 201
    assert console.post("/api/v1/faults/database-outage", {}).status == 404
    assert console.get("/api/v1/session").json["fault_injection"] is False


def test_ignored_by_workers_that_may_not(stage, make_console):
    console = make_console(stage, "--allow-fault-injection")
    with stage.joined_pool(workers=1):
        assert submit(console, EVENT, SIMULATE).status == 201


def outage_until(console):
    return console.get("/api/v1/session").json["outage_until"]


def looked_during_outage(stage, console, number, seconds):
    """Begins an outage and sends twenty events into it. False when it was over before all of that was seen."""
    wait_until(lambda: outage_until(console) is None, 60, "the outage before is over")
    wait_until(lambda: len(stage.events()) == 1 + 20 * (number - 1), 60, "all of before have arrived", on_timeout=stage.logs)
    begun = time.monotonic()
    answer = console.post("/api/v1/faults/database-outage", {"seconds": seconds})
    assert answer.status == 202, answer
    told, again = outage_until(console), console.post("/api/v1/faults/database-outage", {})
    lines = "\n".join(json.dumps({**EVENT, "metric": f"m{number}-{event}"}) for event in range(20))
    sent = console.ask("POST", "/api/v1/events", lines, headers={"Content-Type": "application/x-ndjson"})
    status, stored, until = console.get("/api/v1/status").status, len(stage.events()), outage_until(console)
    if until is None:
        return False
    assert (told, until, again.status) == (answer.json["until"], answer.json["until"], 409)
    assert {submission["state"] for submission in sent.json["submissions"]} == {"processing"}, sent
    assert (status, stored) == (200, 1 + 20 * (number - 1)), "readers are not disturbed, and nothing is stored"
    wait_until(lambda: len(stage.events()) > stored, seconds + 60, "events arrive", interval_s=0.01, on_timeout=stage.logs)
    assert time.monotonic() - begun >= seconds
    return True


def test_outage(stage, make_console):
    """Events wait, none fails, all arrive."""
    console = make_console(stage, "--allow-fault-injection")
    with stage.joined_pool(workers=1):
        assert submit(console, EVENT).status == 201
        # On a busy machine an outage may be over before all was looked at: then a longer one is looked at.
        tried = next((number for number, seconds in enumerate((4, 12, 30), 1)
                      if looked_during_outage(stage, console, number, seconds)), None)
        assert tried, "even an outage of 30 s was over before it was looked at"
        wait_until(lambda: len(stage.events()) == 1 + 20 * tried, 60, "all arrive", on_timeout=stage.logs)
        wait_until(lambda: outage_until(console) is None, 60, "nothing is told of it any more")
    assert stage.dead() == []


def test_outage_refused(make_console, stage):
    console = make_console(stage, "--allow-fault-injection")
    for body in ({"seconds": 0}, {"seconds": 31}, {"seconds": "4"}, {"second": 4}, [], "x"):
        answer = console.post("/api/v1/faults/database-outage", json.dumps(body))
        assert answer.status == 400, answer
