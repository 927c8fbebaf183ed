"""Story 4: every shape and every rule, through Kafka, digit by digit."""

import base64
import hashlib
import json
import uuid
from datetime import datetime, timezone
from decimal import Decimal

from winnow_test.poll import wait_until
from winnow_test.process import ROOT
from winnow_test.produce import Message

GOLDEN = ROOT / "tests" / "golden" / "normalize.jsonl"
NAMESPACE = uuid.UUID("5c0f7d3e-9b1a-4c62-8e47-d2a6f1b39c85").bytes
# Old timestamps would be retained for a week only, and ones of the year 2200 are not taken at all.
ANY_TIME = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**62)}
EVENTS = ("SELECT %s, event_hash::text, client_id, metric, amount::text, rtrim(rtrim(to_char(event_time, "
          "'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z' FROM winnow.event")
FIELDS = ("client_id", "metric", "amount", "timestamp")


def event_hash(event):
    """H-1 and H-2, written down a second time."""
    day = datetime.fromisoformat(event["timestamp"][:10]).replace(tzinfo=timezone.utc)
    bucket = int(day.timestamp()) * 1000000
    digest = hashlib.sha256(NAMESPACE)
    for part in (event["client_id"].encode(), event["metric"].encode(), event["amount"].encode(),
                 bucket.to_bytes(8, "big")):
        digest.update(len(part).to_bytes(4, "big") + part)
    raw = bytearray(digest.digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))


def golden_rows(limit=None):
    """(message, row) of the rows that a pool without further configuration can be given."""
    for line in GOLDEN.read_text().splitlines():
        row = json.loads(line)
        # Clients' own rules come later; the broker's timestamp 0 means "now" to librdkafka's producer.
        if "rules" in row or row.get("event_bytes_max") != limit or row.get("broker_timestamp_ms") == 0:
            continue
        value = base64.b64decode(row["value_base64"]) if "value_base64" in row else row.get("value")
        for text in row.get("same") or row.get("different") or [value]:
            value = text.encode() if isinstance(text, str) else text
            # Where the file names none, the message has none.
            yield Message(value, timestamp_ms=row.get("broker_timestamp_ms", -1)), row


def run(stage, rows, **settings):
    """Sends them all to one partition, so that of equal events the first is the one that is stored."""
    sent = stage.send(*[message for message, _ in rows], partition=0)
    with stage.pool(workers=0, breaker_window=0, **settings):
        stage.wait_until_caught_up()
    return sent


def event_of(row):
    """The row of winnow.event that a golden row asks for, from the hash on; None when it asks for none."""
    event = row.get("event")
    return None if event is None else (event_hash(event), *(event[name] for name in FIELDS))


def assert_dead_as_told(stage, rows, sent):
    told = [(0, message.offset, row["reason"]) for (_, row), message in zip(rows, sent) if "reason" in row]
    assert stage.dead() == told


def first_events(rows):
    """hash → row of winnow.event, of the first row that has it."""
    events = {}
    for event in (event_of(row) for _, row in rows):
        if event is not None:
            events.setdefault(event[0], event)
    return events


def stored_by(stage, key):
    return {row[0]: row[1:] for row in stage.database.rows(EVENTS % key)}


def test_the_three_seed_shapes(make_stage):
    stage = make_stage(partitions=1)
    rows = [row for row in golden_rows() if row[1]["rule"].startswith("seed-")]
    assert [row["rule"] for _, row in rows] == ["seed-1", "seed-2", "seed-3"]
    run(stage, rows)
    assert [row[:3] for row in stage.events()] == [
        ("client_A", "sale", 1200), ("client_B", "purchase", 5000), ("client_C", "refund", Decimal("250.50"))]
    assert stored_by(stage, "event_hash::text") == first_events(rows)


def test_every_golden_row(make_stage):
    stage = make_stage(partitions=1, config=ANY_TIME)
    rows = list(golden_rows())
    assert len(rows) > 350
    assert_dead_as_told(stage, rows, run(stage, rows))
    stored = stored_by(stage, "event_hash::text")
    expected = first_events(rows)
    assert len(expected) > 50
    assert {key: stored.get(key) for key in expected} == expected
    # Those of rows that compare several values come on top.
    compared = sum("same" in row or "different" in row for _, row in rows)
    assert compared > 0 and len(stored) - len(expected) in range(compared)


def test_every_accepted_row_digit_by_digit(make_stage):
    """Equal events would hide each other: here the table takes them all."""
    stage = make_stage(partitions=1, config=ANY_TIME)
    stage.exact = False
    stage.database.run("ALTER TABLE winnow.event DROP CONSTRAINT event_pkey")
    rows = list(golden_rows())
    sent = run(stage, rows)
    expected = {message.offset: event_of(row) for (_, row), message in zip(rows, sent) if "event" in row}
    assert len(expected) > 120
    stored = stored_by(stage, "origin_offset")
    assert {offset: stored.get(offset) for offset in expected} == expected
    golden_hashes = {message.offset: row["event_hash"] for (_, row), message in zip(rows, sent) if "event_hash" in row}
    assert {offset: stored[offset][0] for offset in golden_hashes} == golden_hashes != {}


def test_hashes_of_values_compare_as_told(make_stage):
    stage = make_stage(partitions=1)
    stage.exact = False
    stage.database.run("ALTER TABLE winnow.event DROP CONSTRAINT event_pkey")
    rows = [row for row in golden_rows() if "same" in row[1] or "different" in row[1]]
    sent = run(stage, rows)
    stored = stored_by(stage, "origin_offset")
    groups = {}
    for (_, row), message in zip(rows, sent):
        groups.setdefault(json.dumps(row), []).append(stored[message.offset][0])
    assert len(groups) > 4
    for text, hashes in groups.items():
        assert len(set(hashes)) == (1 if "same" in json.loads(text) else len(hashes)), text


def test_every_rejected_row_reaches_the_dead_letter_topic(make_stage):
    """Whatever the message's timestamp: a broker takes none of the year 2200, even if another topic did."""
    stage = make_stage(partitions=1, config=ANY_TIME)
    rows = [row for row in golden_rows() if "reason" in row[1]]
    assert 7258118400000 in [message.timestamp_ms for message, _ in rows]
    stage.send(*[message for message, _ in rows])
    with stage.pool(workers=1, breaker_window=0):
        stage.wait_until_caught_up()
        wait_until(lambda: stage.database.value(
            "SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NOT NULL") == len(rows), 30,
            "all are published", on_timeout=stage.logs)
    letters = stage.broker.read_topic(f"{stage.topic}.dlq")
    assert sorted(map(repr, (letter.value() for letter in letters))) == sorted(
        repr(message.value) for message, _ in rows)


def test_golden_limits_of_size(make_stage):
    for limit in (50, 49):
        stage = make_stage(partitions=1)
        stage.exact = False  # the oracle asks with the default limit, and both stages share the database
        rows = list(golden_rows(limit))
        assert len(rows) == 1
        run(stage, rows, event_bytes_max=limit)
        assert len(stage.events()) == 1
        assert [row[2] for row in stage.dead()] == [row["reason"] for _, row in rows if "reason" in row]
