"""Whether the database holds exactly what the broker acknowledged: the invariants, and an oracle.

The oracle reads the topic itself, asks `winnow explain --json` what each message means, and counts with sets.
Normalization has its golden tables; here it is only asked, so that the two can be told apart."""

import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Context, Decimal

from . import pool
from .poll import wait_until

# Sums are exact: 38 digits of each amount, from 1e30 down to 1e-18, and room to carry.
EXACTLY = Context(prec=100)
# What a worker may add to the reasons that follow from the message alone.
REASONS_OF_THE_DATABASE = ("database_rejected", "crashed_worker")


class NotExact(AssertionError):
    """The accounts did not come out. Such a test gets no second chance (tests/run)."""


@dataclass
class Expected:
    """What the messages of a topic come to."""

    events: dict = field(default_factory=dict)     # hash → (client_id, metric, amount, [(partition, offset), …])
    dead: dict = field(default_factory=dict)       # (partition, offset) → reason
    message_count: int = 0

    @property
    def duplicate_count(self):
        return self.message_count - len(self.dead) - len(self.events)


def explain(values, timestamp_ms, settings=None):
    """What `winnow explain --json` makes of raw messages: a list of dicts with "event" or "reason"."""
    # A message a line: a line feed inside becomes a carriage return, which JSON and the rules treat alike.
    lines = b"".join((value or b"").replace(b"\n", b"\r") + b"\n" for value in values)
    result = pool.run("explain", "--json", "--broker-timestamp-ms", timestamp_ms, stdin=lines, settings=settings)
    answers = [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in result.out.splitlines()]
    if len(answers) != len(values):
        raise AssertionError(f"explain answered {len(answers)} of {len(values)} messages: {result!r}")
    return answers


def _explain_messages(messages):
    """Messages whose meaning depends on the broker's timestamp are asked once more, with theirs."""
    values = [message.value() for message in messages]
    answers = explain(values, 1)
    others = explain(values, 86400000 * 365)
    by_timestamp = {}
    for index, (answer, other) in enumerate(zip(answers, others)):
        if answer != other:
            by_timestamp.setdefault(messages[index].timestamp()[1], []).append(index)
    for timestamp_ms, indices in by_timestamp.items():
        # D-7: before 1970; nobody can be asked about that.
        found = ([{"reason": "timestamp_out_of_range"}] * len(indices) if timestamp_ms < 0
                 else explain([values[index] for index in indices], timestamp_ms))
        for index, answer in zip(indices, found):
            answers[index] = answer
    return answers


def expect(messages, expected=None):
    """An Expected from confluent_kafka messages (Broker.read_topic()), or one that has these in addition."""
    expected = expected or Expected()
    expected.message_count += len(messages)
    if not messages:
        return expected
    for message, answer in zip(messages, _explain_messages(messages)):
        place = (message.partition(), message.offset())
        event = answer.get("event")
        if event is None:
            expected.dead[place] = answer["reason"]
            continue
        known = expected.events.setdefault(
            event["event_hash"], (event["client_id"], event["metric"], event["amount"], []))
        known[3].append(place)
    return expected


def invariant_violations(database):
    """The rows of winnow.invariant_violation(), each as one line of text."""
    return [" ".join(map(str, row)) for row in database.rows("SELECT * FROM winnow.invariant_violation()")]


def is_complete(database):
    """The verdict of analytics.completeness_verdict."""
    return database.value("SELECT complete FROM analytics.completeness_verdict") is True


def cursors(database, topic):
    """partition → next_offset."""
    return dict(database.rows(
        "SELECT partition, next_offset FROM winnow.processing_log JOIN winnow.stream USING (stream_id) "
        "WHERE topic = %s", (topic,)))


def has_caught_up(database, topic, end_offsets):
    """True when every partition's next_offset is at (or, after trailing markers, near) its end."""
    at = cursors(database, topic)
    return all(at.get(partition, 0) >= end for partition, end in end_offsets.items() if end > 0)


def wait_until_caught_up(database, topic, broker, timeout_s=60, on_timeout=None):
    """Waits until the pool has read the topic to its end as it is now. The database may be away meanwhile."""
    import psycopg2  # pylint: disable=import-outside-toplevel

    ends = broker.end_offsets(topic)

    def looks():
        try:
            return has_caught_up(database, topic, ends)
        except psycopg2.Error:
            return False

    wait_until(looks, timeout_s, f"{topic} is read to its ends {ends}", on_timeout=on_timeout)


# Of batches, at a lock that somebody holds.
WAITING = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
           "AND query LIKE 'WITH part AS %'")


def waiting_count(database):
    """How many workers' statements wait for a lock. Not to be asked in the transaction that holds it: there the answer
    stays the same."""
    return database.value(WAITING)


class Findings:
    """What is wrong, in lines for a person."""

    def __init__(self):
        self.lines = []
        self.lost = 0
        self.double = 0

    def add(self, text, examples=()):
        shown = ", ".join(map(str, list(examples)[:5]))
        self.lines.append(f"{text}: {shown}" if shown else text)


def _compare_events(database, expected, findings):
    stored = Counter()
    for event_hash, client, metric, amount, partition, offset in database.rows(
            "SELECT event_hash::text, client_id, metric, amount, origin_partition, origin_offset FROM winnow.event"):
        stored[event_hash] += 1
        wanted = expected.events.get(event_hash)
        if wanted is None:
            findings.double += 1
            findings.add("an event nobody sent", [(event_hash, client, metric, amount)])
        elif (client, metric, amount) != wanted[:3]:
            findings.add(f"event {event_hash} is {(client, metric, amount)}, sent was {wanted[:3]}")
        elif (partition, offset) not in wanted[3]:
            findings.add(f"event {event_hash} names {(partition, offset)}, was sent at {wanted[3][:5]}")
    lost = [event_hash for event_hash in expected.events if event_hash not in stored]
    double = [event_hash for event_hash, count in stored.items() if count > 1]
    findings.lost += len(lost)
    findings.double += len(double)
    if lost:
        findings.add(f"{len(lost)} events lost", [expected.events[event_hash] for event_hash in lost])
    if double:
        findings.add(f"{len(double)} events stored twice", double)


def _compare_dead(database, expected, allowed_reasons, findings):
    stored = {(partition, offset): reason for partition, offset, reason in database.rows(
        "SELECT partition, message_offset, reason FROM winnow.dead_letter")}
    missing = {place: reason for place, reason in expected.dead.items() if place not in stored}
    wrong = {place: (reason, expected.dead[place]) for place, reason in stored.items()
             if place in expected.dead and reason != expected.dead[place]}
    extra = {place: reason for place, reason in stored.items()
             if place not in expected.dead and reason not in allowed_reasons}
    findings.lost += len(missing)
    for text, found in (("messages that should be dead letters are not", missing),
                        ("dead letters with another reason (stored, expected)", wrong),
                        ("dead letters that should be events", extra)):
        if found:
            findings.add(f"{len(found)} {text}", found.items())


def _find_double_letters(database, findings):
    """The key of dead letters may be gone, like that of events."""
    double = database.rows("SELECT partition, message_offset, count(*) FROM winnow.dead_letter GROUP BY 1, 2 "
                           "HAVING count(*) > 1")
    findings.double += len(double)
    if double:
        findings.add(f"{len(double)} messages have more than one dead letter", double)


def _compare_totals(database, expected, findings):
    wanted = {}
    for client, metric, amount, _ in expected.events.values():
        count, total = wanted.get((client, metric), (0, Decimal(0)))
        wanted[client, metric] = (count + 1, EXACTLY.add(total, amount))
    stored = {(client, metric): (count, total) for client, metric, count, total in database.rows(
        "SELECT client_id, metric, sum(event_count)::bigint, sum(amount_sum) FROM winnow.rollup_hour "
        "GROUP BY client_id, metric")}
    different = {key: (stored.get(key), wanted.get(key)) for key in wanted.keys() | stored.keys()
                 if stored.get(key) != wanted.get(key)}
    if different:
        findings.add("totals (client, metric): (stored, sent)", different.items())


def _compare_acknowledged(messages, acknowledged, findings):
    present = {(message.partition(), message.offset()): message.value() for message in messages}
    gone = [sent for sent in acknowledged if present.get((sent.partition, sent.offset), b"?") != sent.message.value]
    if gone:
        findings.add(f"the broker lost {len(gone)} messages it had acknowledged",
                     [(sent.partition, sent.offset) for sent in gone])


def find_events(database, messages, acknowledged=()):
    """Compares events, totals, and which messages are dead letters at all; not the account of batches and offsets,
    which is in disorder when a test has taken the fence away. Findings without lines when all is exact."""
    findings = Findings()
    expected = expect(messages)
    _compare_acknowledged(messages, acknowledged, findings)
    for violation in invariant_violations(database):
        if violation.startswith("I4"):
            findings.add(f"invariant {violation}")
    _compare_events(database, expected, findings)
    _compare_dead(database, expected, (), findings)
    _compare_totals(database, expected, findings)
    return findings


def find(database, messages, acknowledged=(), allowed_reasons=(), expected=None):
    """Compares the database with the topic's messages; Findings without lines when all is exact.

    acknowledged: Sent that must be among the messages. allowed_reasons: of dead letters that the messages
    alone do not explain (REASONS_OF_THE_DATABASE). A database holds one stream in tests. expected:
    expect(messages), for those who compare several databases with them."""
    findings = Findings()
    expected = expected or expect(messages)
    _compare_acknowledged(messages, acknowledged, findings)
    compare(database, expected, findings, allowed_reasons)
    return findings


def compare(database, expected, findings, allowed_reasons=()):
    """Adds to the findings how the database differs from an Expected, the invariants included."""
    for violation in invariant_violations(database):
        findings.add(f"invariant {violation}")
    if expected.message_count > 0 and not is_complete(database):
        findings.add("completeness", [database.value("SELECT sentence FROM analytics.completeness_verdict")])
    if allowed_reasons:
        _forget_refused(database, expected, allowed_reasons)
    _compare_events(database, expected, findings)
    _compare_dead(database, expected, allowed_reasons, findings)
    _find_double_letters(database, findings)
    _compare_totals(database, expected, findings)


def _forget_refused(database, expected, allowed_reasons):
    """Events all of whose messages became dead letters for a reason of the database are not expected."""
    refused = {(partition, offset) for partition, offset in database.rows(
        "SELECT partition, message_offset FROM winnow.dead_letter WHERE reason = ANY(%s)", (list(allowed_reasons),))}
    for event_hash, event in list(expected.events.items()):
        if all(place in refused for place in event[3]):
            del expected.events[event_hash]


def assert_exact(database, messages, acknowledged=(), allowed_reasons=()):
    findings = find(database, messages, acknowledged, allowed_reasons)
    if findings.lines:
        raise NotExact("\n".join(findings.lines))


def assert_same(found, expected, what):
    """Of what an account comes to."""
    if found != expected:
        raise NotExact(f"{what}: {found}, expected {expected}")


def assert_no_violation(database):
    """Of the invariants; whether all is read is not asked."""
    violations = invariant_violations(database)
    if violations:
        raise NotExact("\n".join(violations))


def assert_invariants(database):
    """Without an oracle: the invariants and the verdict."""
    assert_no_violation(database)
    assert_same(is_complete(database), True, "the completeness verdict")
