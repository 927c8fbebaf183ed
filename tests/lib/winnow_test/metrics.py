"""What a pool tells at /metrics, /livez and /readyz, and whether it agrees with the database."""

import json
import re
import urllib.error
import urllib.request
from collections import defaultdict

from .poll import comes_about

LISTEN = {"metrics_listen": "127.0.0.1:0"}  # a setting of the pool that is to be asked
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def url(pool, path, timeout_s=30):
    """Of a pool with LISTEN. Its log may hold earlier pools of the same file: the last line counts."""
    pool.wait_for_log("event=metrics_listening", timeout_s)
    return re.findall(r"event=metrics_listening .*?(http://\S+?)/metrics", pool.log_text())[-1] + path


def get(address, method="GET", timeout_s=60):
    """(code, headers, text)."""
    request = urllib.request.Request(address, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def scrape(pool):
    """Family and labels, as (name, frozenset of (label, value)), → number."""
    code, _, text = get(url(pool, "/metrics"))
    assert code == 200, text
    return parse(text)


def parse(text):
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        key = name, frozenset(LABEL.findall(labels or ""))
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
    return samples


def value(samples, name, **labels):
    """The sum of the series with these labels; None when there is none."""
    wanted = {(label, str(text)) for label, text in labels.items()}
    found = [number for (family, has), number in samples.items() if family == name and wanted <= has]
    return sum(found) if found else None


def ready(pool):
    """(code, body) of /readyz."""
    code, _, text = get(url(pool, "/readyz"))
    return code, json.loads(text)


def reasons(pool):
    """Why it is not ready."""
    return [reason["reason"] for reason in ready(pool)[1]["reasons"]]


def outcomes(samples, name="winnow_events_total", label="outcome"):
    """(partition, outcome) → number; or (partition, reason) of winnow_dead_letters_total."""
    found = defaultdict(int)
    for (family, labels), number in samples.items():
        if family == name:
            labels = dict(labels)
            found[int(labels["partition"]), labels[label]] += int(number)
    return dict(found)


def outcomes_of_database(database, topic):
    """The same from the account, of the partitions that were begun: counters count what was done, so that an offset that
    was read again after a move back counts once a reading, in winnow.batch_log and in winnow.batch_log_superseded."""
    rows = database.rows(
        "SELECT l.partition, coalesce(sum(b.stored), 0), coalesce(sum(b.duplicate), 0), coalesce(sum(b.dead), 0) "
        "FROM winnow.processing_log AS l JOIN winnow.stream AS s USING (stream_id) "
        "LEFT JOIN (SELECT stream_id, partition, stored, duplicate, dead FROM winnow.batch_log "
        "UNION ALL SELECT stream_id, partition, stored, duplicate, dead FROM winnow.batch_log_superseded) AS b "
        "USING (stream_id, partition) WHERE s.topic = %s GROUP BY 1", (topic,))
    return {(row[0], outcome): int(count) for row in rows
            for outcome, count in zip(("stored", "duplicate", "dead"), row[1:])}


def reasons_of_database(database, topic):
    """By the same rule: dead letters, and those that a move back has put aside."""
    return {(partition, reason): count for partition, reason, count in database.rows(
        "SELECT d.partition, d.reason, count(*) FROM (SELECT stream_id, partition, reason FROM winnow.dead_letter "
        "UNION ALL SELECT stream_id, partition, letter ->> 'reason' FROM winnow.dead_letter_superseded) AS d "
        "JOIN winnow.stream AS s USING (stream_id) WHERE s.topic = %s GROUP BY 1, 2", (topic,))}


def differences(pool, database, topic):
    """Lines about what the pool tells and the database does not; none: they agree exactly."""
    samples = scrape(pool)
    lines = []
    for told, stored in ((outcomes(samples), outcomes_of_database(database, topic)),
                         (outcomes(samples, "winnow_dead_letters_total", "reason"), reasons_of_database(database, topic))):
        for key in sorted(set(told) | set(stored)):
            if told.get(key) != stored.get(key):
                lines.append(f"metrics of {key}: {told.get(key)}, in the database {stored.get(key)}")
    return lines


def lasting_differences(pool, database, topic, timeout_s=60):
    """Those that are there still after a while, in which workers may claim what nobody has claimed yet."""
    agree = comes_about(lambda: not differences(pool, database, topic), timeout_s)
    return [] if agree else differences(pool, database, topic)


def went_back(before, after):
    """Counters of the second scrape that are less than in the first."""
    return [f"{name} {dict(labels)}: {number} → {after[name, labels]}" for (name, labels), number in before.items()
            if name.endswith(("_total", "_count", "_bucket")) and after.get((name, labels), number) < number]
