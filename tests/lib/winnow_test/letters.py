"""Dead letters, in the table and in their topic, compared byte for byte with the messages they were."""

import contextlib
import ctypes
import struct
from dataclasses import dataclass
from typing import Optional

from .poll import wait_until

# PostgreSQL's timestamps end there, and before 1970 the message has no time that we keep.
KEPT_TIMESTAMPS_MS = range(0, 9000000000000001)


@dataclass(frozen=True)
class Letter:
    """A row of winnow.dead_letter."""

    partition: int
    offset: int
    timestamp_ms: Optional[int]
    key: Optional[bytes]
    value: Optional[bytes]
    headers: list
    reason: str
    detail: str
    published: bool


def _bytes(value):
    return None if value is None else bytes(value)


def decode_headers(encoded):
    """[(name, value or None), …] from the column winnow.dead_letter.headers."""
    headers = []
    rest = encoded or b""

    def take():
        nonlocal rest
        size = struct.unpack(">I", rest[:4])[0]
        rest = rest[4:]
        if size == 0xffffffff:
            return None
        text, rest = rest[:size], rest[size:]
        assert len(text) == size, "damaged headers"
        return text

    while rest:
        name = take()
        headers.append((name.decode(), take()))
    return headers


def encode_headers(headers):
    """The inverse of decode_headers()."""
    return b"".join(part for name, value in headers for part in (
        struct.pack(">I", len(name.encode())), name.encode(),
        b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value))


def stored(database):
    """(partition, offset) → Letter."""
    rows = database.rows(
        "SELECT partition, message_offset, (extract(epoch FROM message_time) * 1000)::bigint, key, value, headers, "
        "reason, detail, published_at IS NOT NULL FROM winnow.dead_letter")
    return {(row[0], row[1]): Letter(row[0], row[1], row[2], _bytes(row[3]), _bytes(row[4]),
                                     decode_headers(_bytes(row[5])), *row[6:]) for row in rows}


def headers_of(message):
    """[(name, value or None), …] of a confluent_kafka message.

    Version 1.7 gives away a reference to None that it does not own for each header without a value, until None
    itself is freed and the interpreter ends: here it gets them back."""
    headers = message.headers() or []
    for _, value in headers:
        if value is None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    return headers


def last_header(message, name):
    """The value of the last header of that name, None without one."""
    return next((value for header, value in reversed(headers_of(message)) if header == name), None)


def published(broker, topic):
    """winnow-id → the messages of the dead-letter topic that carry it, in order."""
    messages = {}
    for message in broker.read_topic(topic):
        messages.setdefault(last_header(message, "winnow-id").decode(), []).append(message)
    return messages


def unpublished_count(database):
    return database.value("SELECT count(*) FROM winnow.dead_letter WHERE published_at IS NULL")


def wait_until_published(database, timeout_s=60, on_timeout=None):
    wait_until(lambda: unpublished_count(database) == 0, timeout_s, "all dead letters are published",
               on_timeout=on_timeout)


def differences(database, messages):
    """What of a message its row does not keep as it was, as lines."""
    found = []
    by_place = {(message.partition(), message.offset()): message for message in messages}
    for place, letter in stored(database).items():
        message = by_place.get(place)
        if message is None:
            found.append(f"{place}: no such message")
            continue
        timestamp_ms = message.timestamp()[1]
        wanted = {"key": message.key(), "value": message.value(), "headers": headers_of(message),
                  "timestamp_ms": timestamp_ms if timestamp_ms in KEPT_TIMESTAMPS_MS else None}
        found += [f"{place}: {name} is {getattr(letter, name)!r:.200}, was {value!r:.200}"
                  for name, value in wanted.items() if getattr(letter, name) != value]
    return found


def publishing_differences(database, broker, topic, dead_letter_topic, timestamps_ms=KEPT_TIMESTAMPS_MS):
    """What the dead-letter topic lacks, has too much, or changed, as lines. What a header calls omitted is not looked
    at, and timestamps neither unless they are in timestamps_ms (the topic may take no others)."""
    return copy_differences(database, topic, published(broker, dead_letter_topic), timestamps_ms)


def copy_differences(database, topic, by_id, timestamps_ms=KEPT_TIMESTAMPS_MS):
    """The same of messages by winnow-id, wherever they were read."""
    found = []
    letters = stored(database)
    ids = {f"{topic}/{partition}/{offset}": letter for (partition, offset), letter in letters.items()}
    found += [f"{name} was not published" for name in ids.keys() - by_id.keys()]
    found += [f"{name} is no dead letter" for name in by_id.keys() - ids.keys()]
    for name in ids.keys() & by_id.keys():
        letter = ids[name]
        for message in by_id[name]:
            found += [f"{name}: {what}" for what in _message_differences(letter, message, timestamps_ms)]
    return found


def _message_differences(letter, message, timestamps_ms):
    headers = headers_of(message)
    if last_header(message, "winnow-reason") != letter.reason.encode():
        yield "another reason"
    if last_header(message, "winnow-detail") != letter.detail.encode():
        yield "another detail"
    if last_header(message, "winnow-headers-omitted") is None and headers[:len(letter.headers)] != letter.headers:
        yield f"headers {headers[:len(letter.headers)]!r:.200}, were {letter.headers!r:.200}"
    if last_header(message, "winnow-headers-omitted") is None and message.key() != letter.key:
        yield f"key {message.key()!r:.100}, was {letter.key!r:.100}"
    if last_header(message, "winnow-value-omitted") is None and message.value() != letter.value:
        yield f"value {message.value()!r:.100}, was {letter.value!r:.100}"
    # The client takes a timestamp of 0 for none.
    if letter.timestamp_ms and letter.timestamp_ms in timestamps_ms and message.timestamp()[1] != letter.timestamp_ms:
        yield f"timestamp {message.timestamp()[1]}, was {letter.timestamp_ms}"


@contextlib.contextmanager
def discarded_between(database, client):
    """Whoever discards many of a client's dead letters in several steps finds, behind the first, that somebody else has
    discarded the newest one."""
    database.run(f"""
        CREATE FUNCTION public.discard_another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT count(*) FROM made) > 100 AND NOT EXISTS (SELECT FROM winnow.dead_letter_action WHERE actor = '{client}') THEN
                INSERT INTO winnow.dead_letter_action (stream_id, partition, message_offset, action, actor, note)
                SELECT stream_id, partition, message_offset, 'discard', '{client}', 'theirs' FROM winnow.dead_letter
                WHERE client_id = '{client}' ORDER BY failed_at DESC, partition DESC, message_offset DESC LIMIT 1;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER discard_another AFTER INSERT ON winnow.dead_letter_action REFERENCING NEW TABLE AS made
            FOR EACH STATEMENT EXECUTE FUNCTION public.discard_another()""")
    try:
        yield
    finally:
        database.run("DROP TRIGGER discard_another ON winnow.dead_letter_action; DROP FUNCTION public.discard_another()")
