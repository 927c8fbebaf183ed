"""Messages that somebody might send: good ones, and every kind of bad one, from a seed.

Each generator takes a random.Random and gives a value. Most of what they make must become a dead letter; which,
`winnow explain` is asked. Timestamps are few, since each is a question of its own."""

import functools
import json
import string

from winnow_test.process import ROOT
from winnow_test.produce import Message

MIB = 1 << 20
# The producer's own: before 1970, the first and the last instants that are taken, and beyond what any database keeps.
ODD_TIMESTAMPS_MS = (-62135596800000, -86400000, -2, -1, 1, 86399999, 1704067200000, 7258118399999, 7258118400000,
                     253402300800000, 9000000000000000, 9000000000000001, 9223372036854775807)
USUAL_TIMESTAMPS_MS = (1704067200000, 1709251199999, 1735689600001)
CLIENT_NAMES = ("client_id", "client", "source", "Client-ID", "CLIENT ID")
METRIC_NAMES = ("metric", "type", "metricName", "metric_name", "METRIC")
AMOUNT_NAMES = ("amount", "value", "sum", "Amount")
TIME_NAMES = ("timestamp", "time", "created_at", "createdAt")


def good_event(rng):
    """An event as clients write it: names, places and spellings vary."""
    inner = {rng.choice(METRIC_NAMES): rng.choice(["sale", "purchase", "refund", "größe", "支払い", 7]),
             rng.choice(AMOUNT_NAMES): rng.choice([
                 rng.randrange(-10**6, 10**6), f"{rng.randrange(1, 999)},{rng.randrange(100, 999)}.50",
                 str(rng.randrange(10**30)), f"{rng.randrange(10**9)}e-{rng.randrange(9)}"]),
             rng.choice(TIME_NAMES): rng.choice([
                 f"2024/{rng.randrange(1, 13)}/{rng.randrange(1, 29)}", rng.randrange(10**9, 2 * 10**9),
                 f"2023-0{rng.randrange(1, 10)}-11T1{rng.randrange(10)}:30:00.{rng.randrange(10**6):06}+02:00"])}
    event = {rng.choice(CLIENT_NAMES): f"client_{rng.randrange(40)}"}
    place = rng.randrange(4)
    if place == 0:
        event.update(inner)
    else:
        event["data" if place == 3 else "payload"] = json.dumps(inner) if place == 2 else inner
    if rng.random() < 0.2:
        event["note"] = "".join(rng.choices(string.printable, k=rng.randrange(200)))
    return event


def good(rng):
    return json.dumps(good_event(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1])).encode()


def truncated(rng):
    value = good(rng)
    return value[:rng.randrange(1, len(value))]


def deep(rng):
    """At the limit of nesting, just beyond it, and so deep that recursion would end the process."""
    depth = 60000 if rng.random() < 0.02 else rng.choice([30, 31, 32, 33, 34, 100, 1000])
    shape = rng.randrange(4)
    if shape == 0:
        return b"[" * depth + b"]" * depth
    if shape == 1:
        return b'{"a":' * depth + b"1" + b"}" * depth
    if shape == 2:
        return b"[" * depth
    return b'{"client":"a","metric":"m","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def long_text(rng):
    """Strings of the greatest size that is taken, and one byte more, in each place."""
    size = 65536 if rng.random() < 0.02 else rng.choice([199, 200, 201, 1000])
    field = rng.choice(["client", "metric", "amount", "time", "note"])
    event = {"client": "a", "metric": "m", "amount": 1, "time": "2024-01-01"}
    event[field] = rng.choice(["x", "é", "9", " "]) * size
    return json.dumps(event, ensure_ascii=False).encode()


def huge(rng):
    """About the greatest message that is taken: 1 MiB. In a value, or in a key of the object."""
    begin = b'{"client":"big","metric":"m","time":"2024-01-01","amount":%d,"note":"' % rng.randrange(10**6)
    if rng.random() < 0.2:
        begin = begin[:-len(b'note":"')]
    filling = rng.choice([b"x", b"9", b"["])
    return begin + filling * (MIB + rng.choice([-1, 0, 1, 2 * MIB]) - len(begin) - 2) + b'"}'


def bad_utf8(rng):
    piece = rng.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80",
                        b"\\ud800", b"\\udc00", b"\\ud800\\u0041", b"\\udfff\\ud800"])
    value = bytearray(good(rng))
    at = value.find(b'"', rng.randrange(len(value))) + 1
    return bytes(value[:at] + piece + value[at:])


def huge_number(rng):
    amount = rng.choice([
        "9" * rng.randrange(1, 60), "1e" + str(rng.randrange(10**6)), "-1e-" + str(rng.randrange(400)), "0." + "0" * 17 + "1",
        "0." + "0" * 18 + "1", "1e999999999999999999999", "9" * 100000, "1" + "0" * 30, "1" + "0" * 29 + ".5",
        "12345678901234567890123456789012345678", "123456789012345678901234567890123456789", "-0", "1E+30", "NaN",
        "Infinity", "-Infinity", "0x10", "1_000", "01", "1.", ".5", "+5", "1e", "--1"])
    name = rng.choice(["amount", "time", "client", "metric"])
    quoted = f'"{amount}"' if rng.random() < 0.4 else amount
    event = {"client": '"a"', "metric": '"m"', "amount": "1", "time": '"2024-01-01"', name: quoted}
    return ("{" + ",".join(f'"{key}":{text}' for key, text in event.items()) + "}").encode()


def nul(rng):
    text = rng.choice(["\\u0000", "a\\u0000b", "\\u0000\\u0000", "\x00", "a\\u0001b", "a\\u007fb", "a\\u0085b", "\\n"])
    name = rng.choice(["client", "metric", "amount", "time", "note", text])
    return ('{"client":"a","metric":"m","amount":1,"time":"2024-01-01","%s":"%s"}' % (name, text)).encode()


def binary(rng):
    return rng.choice([b"", b"\x00", b"\x00\x00\x00\x00\x07", b"\x00\x00\x00\x00\x07" + good(rng), b"Obj\x01", b"\x1f\x8b\x08",
                       b"\x00\x00\x00\x00\x07\x02"]) + rng.randbytes(rng.randrange(300))


def duplicate_key(rng):
    first, second = (rng.choice(['"a"', "null", "7", '""', "[1]", '"2024-01-01"', "1.5"]) for _ in range(2))
    name, again = rng.choice([("client", "client"), ("client_id", "Client-ID"), ("metricName", "metric_name"), ("amount", "AMOUNT"),
                              ("time", "ti\\u006de"), ("payload", "payload")])
    return ('{"client":"a","metric":"m","time":"2024-01-01","%s":%s,"%s":%s}' % (name, first, again, second)).encode()


def not_an_object(rng):
    return rng.choice([b"null", b"true", b"0", b'"text"', b"[]", b'[{"client":"a"}]', b" ", b"\n", b"\xef\xbb\xbf", b"{}",
                       b"\xef\xbb\xbf{}", b"{}{}", b"{} x", b"{'a':1}", b'{"a":1,}', b"// c\n{}", b"nul", b"tru", b"-",
                       b'{"payload":"{\\"client\\":1"}', b'{"client":"a","payload":"[]","metric":"m"}'])


def wrong_field(rng):
    event = good_event(rng)
    holder = event
    for key in ("payload", "data"):
        if isinstance(event.get(key), dict) and rng.random() < 0.7:
            holder = event[key]
    name = rng.choice(list(holder))
    if rng.random() < 0.3:
        del holder[name]
    else:
        holder[name] = rng.choice([None, True, False, [], {}, [1], 1.5, -1, "", " \t", "abc", "01/02/2024", "2024-02-30",
                                   "1969-12-31", "2200-01-01", "2024-01-01T24:00:00Z", "12abc", "1.234,50", "0x10", 10**40, "\u0007"])
    return json.dumps(event).encode()


def mutated(rng):
    """A good message with a few bytes changed, taken away, doubled or put in."""
    value = bytearray(good(rng))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(value)) if value else 0
        change = rng.randrange(4)
        if change == 0 and value:
            value[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            del value[at:at + rng.randrange(1, 5)]
        elif change == 2:
            value[at:at] = value[at:at + rng.randrange(1, 20)]
        else:
            value[at:at] = rng.choice([b'"', b"{", b"}", b"\\", b",", b"\x00", b"\xff", b"[", b"null", b"\\u", b"e", b"\n"])
    return bytes(value)


@functools.lru_cache(maxsize=None)
def _corpus():
    return tuple(path.read_bytes() for path in sorted((ROOT / "tests" / "fuzz" / "corpus").glob("*/*")))


def from_corpus(rng):
    """What the fuzz targets found worth keeping, changed by a few bytes or joined to another."""
    value = bytearray(rng.choice(_corpus()))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(value) + 1)
        value[at:at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(value if rng.random() < 0.8 else value + rng.choice(_corpus()))


def random_bytes(rng):
    return rng.randbytes(rng.choice([1, 2, 5, 6, 16, 100, 1000]))


def empty(_rng):
    return b""


def tombstone(_rng):
    return None


# name → (generator, weight)
GENERATORS = {
    "truncated": (truncated, 12), "deep": (deep, 6), "long_text": (long_text, 4), "bad_utf8": (bad_utf8, 10),
    "huge_number": (huge_number, 12), "nul": (nul, 8), "binary": (binary, 10), "duplicate_key": (duplicate_key, 8),
    "not_an_object": (not_an_object, 6), "wrong_field": (wrong_field, 14), "mutated": (mutated, 30), "tombstone": (tombstone, 3),
    "from_corpus": (from_corpus, 16), "random_bytes": (random_bytes, 6), "empty": (empty, 2),
}
HUGE_COUNT = 24  # a MiB each, so they are counted
MANY_HEADERS_SHARE = 0.0005


def odd_key(rng):
    return rng.choice([None, None, b"", b"client_7", b"\x00", b"\xff\xfe", rng.randbytes(rng.randrange(1, 200)),
                       b"k" * (20000 if rng.random() < 0.02 else 300)])


def odd_headers(rng):
    """Names twice, no value, an empty one, bytes, names of ours and of other tools."""
    some = [("trace", b"abc"), ("trace", rng.randbytes(16)), ("", b"no name"), ("no value", None), ("empty", b""),
            ("größe", "ß".encode()), ("winnow-id", b"somebody/1/2"), ("__connect.errors.topic", b"elsewhere"),
            ("kafka_dlt-original-offset", b"\x00\x00"), ("content-type", b"application/json"), ("n\r\n: \x7f", b"v"), ("n" * 300, b"\xff"),
            ("big", b"\x00" * 5000)]
    count = rng.randrange(1000, 4000) if rng.random() < MANY_HEADERS_SHARE else rng.choice([0, 0, 0, 1, 2, 5, 60])
    # The one that is long is rare, or headers are all there is.
    return [rng.choice(some if rng.random() < 0.05 else some[:-2]) for _ in range(count)]


def hostile(rng, count):
    """A list of (kind, Message); every one has a timestamp of its producer's."""
    kinds = rng.choices(list(GENERATORS), [weight for _, weight in GENERATORS.values()], k=count - HUGE_COUNT)
    made = [(kind, GENERATORS[kind][0](rng)) for kind in kinds] + [("huge", huge(rng)) for _ in range(HUGE_COUNT)]
    rng.shuffle(made)
    return [(kind, Message(value, odd_key(rng), rng.randrange(4), odd_headers(rng),
                           rng.choice(ODD_TIMESTAMPS_MS if rng.random() < 0.3 else USUAL_TIMESTAMPS_MS)))
            for kind, value in made]
