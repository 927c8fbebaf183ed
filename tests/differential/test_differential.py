"""The normalizer against a second implementation of its rules, over generated messages.

    make differential SEED=7 ROUNDS=100000"""

import base64
import json
import os
import random
import struct
import subprocess
import sys
from collections import Counter

import pytest

import oracle
import texts
from winnow_test.process import ROOT

ANSWERS = ROOT / os.environ.get("WINNOW_ANSWERS", "build/tests/differential/answers")
ROUNDS = int(os.environ.get("ROUNDS") or 100000)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**31))
PIECE = 20000
EVENT_BYTES_MAX = 4096
sys.setrecursionlimit(20000)  # of the oracle's JSON reader


def ask(requests):
    """What the program answers, one line each."""
    packed = b"".join(
        struct.pack(">qiBBI", one.timestamp_ms, one.zone_offset_s, one.date_order, one.granularity,
                    0xffffffff if one.value is None else len(one.value)) + (one.value or b"") for one in requests)
    done = subprocess.run([ANSWERS, str(EVENT_BYTES_MAX)], input=packed, stdout=subprocess.PIPE, check=True, timeout=300)
    answers = done.stdout.decode("ascii").splitlines()
    assert len(answers) == len(requests)
    return answers


def compare(make_request):
    """Asks both about ROUNDS requests; the count of each reason ("event" for what is taken)."""
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    reasons = Counter()
    for begin in range(0, ROUNDS, PIECE):
        requests = [make_request(rng) for _ in range(min(PIECE, ROUNDS - begin))]
        for request, answer in zip(requests, ask(requests)):
            expected = oracle.judge(request, EVENT_BYTES_MAX)
            assert answer == expected, f"SEED={SEED}: {request}"
            reasons[answer if " " in answer and answer[8] != "-" else "event"] += 1
    print(reasons)
    return reasons


def with_rules(rng, value):
    """A request whose client has rules of its own."""
    return oracle.Request(value, rng.choice((-1, 0, 1, 1704067200123, 7258118399999, 7258118400000)),
                          rng.choice((0, 0, 3600, -5400, 50400)), rng.randrange(3), rng.randrange(5))


def require_variety(reasons, wanted):
    """That the inputs reach every rule, and accepted ones are not rare."""
    if ROUNDS >= 20000:
        assert wanted <= reasons.keys(), wanted - reasons.keys()
        assert reasons["event"] > ROUNDS / 8, reasons


def test_accepted_json():
    """Exactly what a strict reader takes, for the reasons that the rules give, with the same hash."""
    reasons = compare(lambda rng: with_rules(rng, texts.document(rng, EVENT_BYTES_MAX)))
    require_variety(reasons, {
        "empty M-1", "too_large M-2", "invalid_json M-3", "invalid_utf8 M-4", "nul_character M-5", "too_deep M-6",
        "not_an_object M-7", "unsupported_framing F-8", "client_id_missing C-1", "client_id_invalid C-2", "metric_missing T-1",
        "metric_invalid T-2", "amount_invalid A-2", "timestamp_invalid D-6", "timestamp_out_of_range D-1",
        "timestamp_out_of_range D-7"})


def test_amounts_equal_decimal():
    """As strings, and as JSON numbers where they are some."""
    def request(rng):
        text = texts.number(rng)
        written = text if rng.random() < 0.3 else json.dumps(rng.choice(("", " ", "\t")) + text, ensure_ascii=False)
        return oracle.Request(f'{{"client":"c","metric":"m","amount":{written},"time":"2024-01-01"}}'.encode())

    require_variety(compare(request), {"amount_invalid A-2", "amount_out_of_range A-3", "invalid_json M-3"})


def test_timestamps():
    """Every form, at the edges of calendar and range."""
    def request(rng):
        return with_rules(rng, f'{{"client":"c","metric":"m","amount":1,"time":{texts.timestamp(rng)}}}'.encode())

    require_variety(compare(request), {"timestamp_invalid D-6", "timestamp_out_of_range D-7"})


def _golden_rows():
    """Without those that only compare hashes with each other."""
    rows = map(json.loads, (ROOT / "tests/golden/normalize.jsonl").read_text().splitlines())
    return [row for row in rows if "event" in row or "reason" in row]


def _value_of(row):
    if "value_base64" in row:
        return base64.b64decode(row["value_base64"])
    return None if row["value"] is None else row["value"].encode()


@pytest.mark.parametrize("row", _golden_rows())
def test_oracle_on_golden_rows(row):
    """The second implementation itself must give what the golden table says."""
    rules = row.get("rules", {})
    request = oracle.Request(
        _value_of(row), row.get("broker_timestamp_ms", -1), rules.get("zone_offset_s", 0),
        ("none", "dmy", "mdy").index(rules.get("date_order", "none")),
        ("day", "hour", "minute", "second", "exact").index(rules.get("granularity", "day")))
    found = oracle.judge(request, row.get("event_bytes_max", 1 << 20)).split(" ")
    if "reason" in row:
        assert found[0] == row["reason"]
        return
    event = row["event"]
    assert found[1:] == [event["client_id"].encode().hex(), event["metric"].encode().hex(), event["amount"], event["timestamp"]]
    assert "event_hash" not in row or found[0] == row["event_hash"]
