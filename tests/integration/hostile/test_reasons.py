"""Each reason for which normalization refuses a message reaches the table, with its sentence for a person."""

import json
import re

from winnow_test import check, letters
from winnow_test.produce import Message

EVENT = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}


def _event(**changes):
    return json.dumps({**EVENT, **changes}).encode()


# reason, value, what its detail must speak of
CASES = [
    ("empty", None, r"M-1.*tombstone"),
    ("empty", b"", r"M-1.*no bytes"),
    ("too_large", b"{" + b" " * (1 << 20) + b"}", r"M-2.*1048578 bytes.*1048576"),
    ("invalid_json", b"{'client':'a'}", r"M-3.*byte 1"),
    ("invalid_json", _event()[:-1], r"M-3.*the end of the message"),
    ("invalid_utf8", b'{"client":"\xff"}', r"M-4.*byte 11.*UTF-8"),
    ("invalid_utf8", b'{"client":"\\ud800"}', r"M-4"),
    ("nul_character", _event(client="a\0b"), r"M-5.*client_id"),
    ("too_deep", b"[" * 33 + b"]" * 33, r"M-6.*33 levels.*32"),
    ("not_an_object", b"[1]", r"M-7.*an array.*an object"),
    ("unsupported_framing", b"\0\0\0\0\1\2", r"F-8"),
    ("client_id_missing", _event(client=None), r"C-1.*client_id, client or source"),
    ("client_id_invalid", _event(client=1.5), r"C-2.*1\.5"),
    ("metric_missing", _event(metric=" "), r"T-1.*metric, type or metricName"),
    ("metric_invalid", _event(metric="x" * 201), r"T-2.*200 bytes"),
    ("amount_invalid", _event(amount="12abc"), r"A-2.*12abc"),
    ("amount_out_of_range", _event(amount="1e31"), r"A-3.*1e31"),
    ("timestamp_invalid", _event(time="2024-02-30"), r"D-6.*2024-02-30"),
    ("timestamp_out_of_range", _event(time="2200-01-01"), r"D-7.*2200-01-01"),
]
# These follow from more than the message, or from rules that come later.
NOT_OF_THE_MESSAGE = {"database_rejected", "crashed_worker", "idempotency_key_invalid"}


def _reasons_of_the_schema(database):
    text = database.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'dead_letter_reason'")
    return set(re.findall(r"'(\w+)'", text))


def test_each_reason_reaches_the_table(make_stage):
    stage = make_stage(partitions=1, config={"max.message.bytes": str(4 << 20)})
    assert {reason for reason, _, _ in CASES} == _reasons_of_the_schema(stage.database) - NOT_OF_THE_MESSAGE
    stage.send(*[Message(value, key=b"k%d" % number) for number, (_, value, _) in enumerate(CASES)])
    with stage.pool(workers=1, breaker_window=0):
        stage.wait_until_caught_up()
        letters.wait_until_published(stage.database)
    told = check.explain([value for _, value, _ in CASES], 1)
    stored = letters.stored(stage.database)
    assert len(stored) == len(CASES)
    for number, (reason, value, pattern) in enumerate(CASES):
        letter = stored[0, number]
        assert (letter.reason, letter.key, letter.value) == (reason, b"k%d" % number, value)
        assert re.search(pattern, letter.detail), letter
        assert value is None or letter.detail == told[number]["detail"]  # a line cannot be a tombstone
        assert letter.detail.isprintable()
