"""What a message in the dead-letter topic looks like."""

import random
import struct

from winnow_test import letters
from winnow_test.produce import Message

SENT_AT_MS = 1705314600123
FOR_EVER = {"retention.ms": "-1"}  # whatever the timestamps say
ANY_TIME = {**FOR_EVER, "message.timestamp.before.max.ms": str(2**63 - 1), "message.timestamp.after.max.ms": str(2**63 - 1)}
GOOD = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}


def _only_letter(stage):
    """The one row, and its message in the topic."""
    (letter,) = letters.stored(stage.database).values()
    ((message,),) = letters.published(stage.broker, f"{stage.topic}.dlq").values()
    return letter, message


def _make(make_stage, partitions=1, config=None, dead_letter_config=None):
    stage = make_stage(partitions=partitions, dead_letter_topic=False, config={**FOR_EVER, **(config or {})})
    stage.broker.create_topic(f"{stage.topic}.dlq", 1, {**FOR_EVER, **(dead_letter_config or {})})
    return stage


def _publish(stage, *things, timestamps_ms=letters.KEPT_TIMESTAMPS_MS):
    stage.send(*things)
    with stage.pool(workers=1) as pool:
        stage.wait_until_caught_up()
        letters.wait_until_published(stage.database, 40, pool.log_tail)
    assert letters.differences(stage.database, stage.broker.read_topic(stage.topic)) == []
    assert letters.publishing_differences(stage.database, stage.broker, stage.topic, f"{stage.topic}.dlq",
                                          timestamps_ms) == []


def _our_headers(stage, letter):
    place = (letter.partition, letter.offset)
    detail = letter.detail.encode()
    return [
        ("__connect.errors.topic", stage.topic.encode()),
        ("__connect.errors.partition", b"%d" % letter.partition),
        ("__connect.errors.offset", b"%d" % letter.offset),
        ("__connect.errors.connector.name", stage.settings["group"].encode()),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"winnow"),
        ("__connect.errors.exception.class.name", b"winnow.amount_invalid"),
        ("__connect.errors.exception.message", detail),
        ("kafka_dlt-original-topic", stage.topic.encode()),
        ("kafka_dlt-original-partition", struct.pack(">i", letter.partition)),
        ("kafka_dlt-original-offset", struct.pack(">q", letter.offset)),
        ("kafka_dlt-original-timestamp", struct.pack(">q", SENT_AT_MS)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", stage.settings["group"].encode()),
        ("kafka_dlt-exception-fqcn", b"winnow.amount_invalid"),
        ("kafka_dlt-exception-message", detail),
        ("winnow-reason", b"amount_invalid"),
        ("winnow-detail", detail),
        ("winnow-id", f"{stage.topic}/{place[0]}/{place[1]}".encode()),
    ]


def test_it_is_the_original_with_three_sets_of_headers(make_stage):
    """Kafka Connect's, Spring's with its integers in network byte order, and ours, behind the original ones."""
    stage = _make(make_stage, partitions=3)
    original = [("trace", b"\x00\xff"), ("trace", b"again"), ("none", None), ("empty", b""), ("größe", "ß".encode())]
    poison = Message(b'{"client":"a","metric":"m","amount":"12abc\xc3\xa9","time":"2024-01-01"}', b"\x00key\xff", 2, original,
                     SENT_AT_MS)
    _publish(stage, Message(b'{"client":"a","metric":"m","time":"2024-01-01"}', partition=2), poison)
    letter, message = _only_letter(stage)
    assert (letter.partition, letter.offset, letter.reason) == (2, 1, "amount_invalid")
    assert (message.key(), message.value(), message.timestamp()[1]) == (poison.key, poison.value, SENT_AT_MS)
    assert letters.headers_of(message) == original + _our_headers(stage, letter)


def test_it_does_not_overwrite_headers_of_another_tool(make_stage):
    """A message that was a dead letter before tells its first origin; our own are ours."""
    stage = _make(make_stage)
    original = [("__connect.errors.topic", b"elsewhere"), ("kafka_dlt-original-offset", struct.pack(">q", 7)),
                ("winnow-id", b"elsewhere/0/7"), ("winnow-reason", b"empty")]
    _publish(stage, Message(b'{"client":"a","metric":"m","amount":"x","time":"2024-01-01"}', None, 0, original, SENT_AT_MS))
    letter, message = _only_letter(stage)
    kept = {name for name, _ in original[:2]}
    assert letters.headers_of(message) == original + [header for header in _our_headers(stage, letter) if header[0] not in kept]


def test_a_tombstone_stays_one(make_stage):
    stage = _make(make_stage)
    _publish(stage, Message(None, b"key"), Message(b"", b"key"))
    copies = letters.published(stage.broker, f"{stage.topic}.dlq")
    assert [copies[f"{stage.topic}/0/{offset}"][0].value() for offset in range(2)] == [None, b""]


def test_what_is_too_large_for_the_topic_is_published_without_it(make_stage):
    """First the value is left out, then key and headers; the id tells where all of it is. Neighbours are whole."""
    stage = _make(make_stage, dead_letter_config={"max.message.bytes": "4000"})
    noise = random.Random(1).randbytes(10000)  # not to be compressed
    _publish(stage, "poison 0", Message(noise, b"key", headers=[("trace", b"1")]), GOOD,
             Message(b"poison 3", b"key", headers=[("noise", noise)]), Message(noise, noise), "poison 5")
    copies = letters.published(stage.broker, f"{stage.topic}.dlq")
    shown = {}
    for name, (message,) in copies.items():
        shown[int(name.rsplit("/", 1)[1])] = (
            message.key(), message.value(), letters.headers_of(message)[0][0],
            letters.last_header(message, "winnow-value-omitted") is not None,
            letters.last_header(message, "winnow-headers-omitted") is not None)
    ours = "__connect.errors.topic"
    assert shown == {0: (None, b"poison 0", ours, False, False),
                     1: (b"key", b"", "trace", True, False),
                     3: (None, b"", ours, True, True),
                     4: (None, b"", ours, True, True),
                     5: (None, b"poison 5", ours, False, False)}
    assert letters.stored(stage.database)[0, 4].value == noise


def test_a_timestamp_that_the_topic_refuses_holds_up_nothing(make_stage):
    """Kafka refuses timestamps more than an hour ahead unless told otherwise: the letter goes out with the present one,
    and names its own in a header."""
    stage = _make(make_stage, config=ANY_TIME)
    far_ms = 253402300799000
    _publish(stage, "poison 0", Message(b"poison 1", b"key", headers=[("trace", b"1")], timestamp_ms=far_ms), "poison 2",
             timestamps_ms=range(1, far_ms))
    copies = letters.published(stage.broker, f"{stage.topic}.dlq")
    (message,) = copies[f"{stage.topic}/0/1"]
    assert (message.key(), message.value(), letters.headers_of(message)[0]) == (b"key", b"poison 1", ("trace", b"1"))
    assert letters.last_header(message, "kafka_dlt-original-timestamp") == struct.pack(">q", far_ms)
    assert all(len(messages) == 1 for messages in copies.values())
