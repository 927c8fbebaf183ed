"""Documents, numbers and timestamps from a seed: right ones, ones at an edge, and ones a little wrong."""

import json

SPACES = ("", "", "", "", " ", "\n", "\t", "\r", "\v", "\u00a0", "  ")
KEYS = ("client_id", "client", "source", "Client-Id", "metric", "type", "metricName", "METRIC NAME", "amount", "value",
        "sum", "timestamp", "time", "created_at", "payload", "data", "PAY_load", "a", "", "metricnames", "cli\\u0065nt",
        "s\u0131m", "\u212aey", "x\\u0000")
STRINGS = ("", " ", "a", "client", "gr\u00f6\u00dfe", "\U0001f600", "\\ud83d\\ude00", "\\u0000", "a\\u0000b", "\\n", "\\u00e9", "\\/",
           "\\\"", "\\\\", "\\ud800", "\\udc00\\ud800", "\\udbff\\udfff", "\\ud83d\\ue000", "\\ud83d\\ud83d\\ude00", "\\u0020 x \\t", "\\u00a0", "\\u0085", "\\u007f", "x" * 200, "\u00e9" * 100,
           "\u00e9" * 101, "2024-01-01", "1,234.50", "12", "\\x", "\\u12", "\x01", "\x7f", "\x85")
SCALARS = ("null", "true", "false", "0", "-0", "1", "-1", "1.5", "1e3", "1E-2", "-0.0", "12345678901234567890", "1704067200",
           "01", "+1", ".5", "1.", "1e", "-", "NaN", "Infinity", "-Infinity", "nul", "True", "0x1", "1_0", "\u0661", "'a'", "")
BREAKS = (b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\x80",
          b"\\ud800", b"\xef\xbb\xbf", b" ", b"\x0b", b"/", b"#", b"e", b"-", b"0", b"\n", b"\xf4\x90\x80\x80", b"\x7f")


def _space(rng):
    return rng.choice(SPACES) if rng.random() < 0.1 else ""


def _string(rng):
    if rng.random() < 0.7:
        return '"' + rng.choice(("a", "b", "client", "7", "x y", "gr\u00f6\u00dfe", "\U0001f600")) + '"'
    return '"' + "".join(rng.choices(STRINGS, k=rng.randrange(1, 3))) + '"'


def _value(rng, depth):
    kind = rng.random()
    if depth > 0 and kind < 0.3:
        return _container(rng, depth - 1, object_share=0.7)
    if kind < 0.7:
        return _string(rng)
    if kind < 0.75:  # JSON within a string
        return json.dumps(_container(rng, 1, object_share=0.9), ensure_ascii=rng.random() < 0.5)
    # Mostly the first ones, which are JSON.
    return rng.choice(SCALARS[:13] if rng.random() < 0.95 else SCALARS)


def _container(rng, depth, object_share):
    is_object = rng.random() < object_share
    members = []
    for _ in range(rng.choice((0, 1, 2, 3, 5))):
        value = _space(rng) + _value(rng, depth) + _space(rng)
        members.append(f'{_space(rng)}"{rng.choice(KEYS)}"{_space(rng)}:{value}' if is_object else value)
    text = ",".join(members)
    return "{" + text + "}" if is_object else "[" + text + "]"


def _whole_event(rng):
    """The four fields under some of their names, so that many documents get as far as the last rule."""
    members = [f'"{name}":{_value(rng, 0) if rng.random() < 0.15 else value}' for name, value in (
        (rng.choice(KEYS[:4]), _string(rng)), (rng.choice(KEYS[4:8]), _string(rng)),
        (rng.choice(KEYS[8:11]), rng.choice(("1", '"12"', "1.50", '"1,234.50"', "-0", "1e3"))),
        (rng.choice(KEYS[11:14]), rng.choice(('"2024-01-01"', "1704067200", '"2024/2/29"', '"2023-02-29"'))))]
    if rng.random() < 0.5:
        members.append(f'"{rng.choice(KEYS[14:])}":{_value(rng, 3)}')
    rng.shuffle(members)
    return "{" + ",".join(members) + "}"


def _nested(rng):
    depth = rng.choice((30, 31, 32, 33, 34, 200))
    if rng.random() < 0.5:
        return "[" * depth + "]" * depth
    return '{"client":"a","metric":"m","x":' + '{"y":' * (depth - 1) + "1" + "}" * depth


def _mutate(rng, value):
    value = bytearray(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(value) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            value[at:at] = rng.choice(BREAKS)
        elif kind == 1:
            del value[at:at + rng.randrange(1, 4)]
        elif kind == 2 and at < len(value):
            value[at] = rng.randrange(256)
        else:
            value[at:at] = value[max(0, at - rng.randrange(1, 12)):at]
    return bytes(value)


def document(rng, event_bytes_max):
    """A message, nearly JSON."""
    kind = rng.random()
    if kind < 0.01:
        return rng.choice((None, b"", b" ", b"\0", b"\0\0\0\0\1", b"\0\0\0\0\1\2", b"x" * event_bytes_max,
                           b" " * event_bytes_max + b"1", b'"' + b"x" * (event_bytes_max - 2) + b'"'))
    text = (_whole_event(rng) if kind < 0.55 else _nested(rng) if kind < 0.58
            else _value(rng, 0) if kind < 0.62 else _container(rng, 3, object_share=0.85))
    value = (_space(rng) + text + _space(rng)).encode("utf-8", "surrogatepass")
    if rng.random() < 0.35:
        value = _mutate(rng, value)
    if rng.random() < 0.03:
        value = rng.choice((b"\xef\xbb\xbf", b"\0\0\0\0\7", b"\0abcd", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf")) + value
    return value


# ---- numbers ----

def _digits(rng, count):
    kind = rng.random()
    if kind < 0.2:
        return "0" * rng.randrange(count + 1) + "".join(rng.choices("0123456789", k=count))
    if kind < 0.4:
        return "".join(rng.choices("0123456789", k=max(1, count // 2))) + "0" * (count - count // 2)
    return "".join(rng.choices("0123456789", k=count))


def _grouped(rng):
    groups = [str(rng.randrange(10**rng.randrange(1, 4)))] + [f"{rng.randrange(1000):03}" for _ in range(rng.randrange(1, 5))]
    if rng.random() < 0.15:
        groups[rng.randrange(len(groups))] = rng.choice(("", "1", "12", "1234", "a"))
    return ",".join(groups)


def number(rng):
    """The text of an amount. Most are numbers; which, the rules say."""
    whole = _grouped(rng) if rng.random() < 0.2 else _digits(rng, rng.choice((1, 1, 2, 3, 5, 12, 18, 30, 31, 37, 38, 39, 60, 400)))
    text = rng.choice(("", "", "", "-", "+")) + whole
    if rng.random() < 0.4:
        text += "." + _digits(rng, rng.choice((1, 2, 6, 17, 18, 19, 38, 60)))
    if rng.random() < 0.35:
        text += rng.choice("eE") + rng.choice(("", "+", "-")) + rng.choice((
            str(rng.randrange(50)), str(rng.randrange(15, 33)), "0" * 20 + str(rng.randrange(40)), "9" * rng.randrange(1, 30)))
    if rng.random() < 0.03:
        text = rng.choice(("1e30", "1e31", "10e29", "0.1e31", "1000000000000000000000000000001e0", "1e-18", "9.9e-19", "10e-19", "-0",
                           "0e99999999999999999999", "-1e30", "1.0000000000000000000000000000000000000e30", "0." + "0" * 500 + "1e501"))
    if rng.random() < 0.08:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice((" ", ".", ",", "e", "-", "+", "_", "x", "\u0663", "\u00a0", "0x", "'")) + text[at + rng.randrange(2):]
    return text


# ---- timestamps ----

def _around(rng, edge):
    return max(0, edge + rng.choice((-1001, -2, -1, 0, 1, 2, 999, 1000)))


def _epoch(rng):
    edges = (0, 10**11, 10**14, 10**17, 7258118400, 7258118400 * 10**3, 7258118400 * 10**6, 7258118400 * 10**9, 2**31, 2**32, 2**63,
             2**64, 10**19, 10**20)
    value = _around(rng, rng.choice(edges)) if rng.random() < 0.4 else rng.randrange(10**rng.randrange(1, 20))
    return "0" * rng.choice((0, 0, 0, 0, 1, 12)) + str(value)


def _date(rng):
    year = rng.choice((2024, 2023, 2000, 1900, 2100, 1970, 1969, 2199, 2200, 1, 0, 9999, rng.randrange(10000), rng.randrange(1970, 2200)))
    month = rng.choice((1, 2, 2, 12, 0, 13, rng.randrange(1, 13), rng.randrange(1, 13), rng.randrange(1, 13)))
    return year, month, rng.choice((1, 28, 29, 30, 31, 0, 32, rng.randrange(1, 29), rng.randrange(1, 29)))


def _time(rng):
    text = f"{rng.choice((0, 23, 24, rng.randrange(24))):02}:{rng.choice((0, 59, 60, rng.randrange(60))):02}"
    if rng.random() < 0.8:
        text += f":{rng.choice((0, 59, 60, rng.randrange(60))):02}"
        if rng.random() < 0.5:
            text += "." + "".join(rng.choices("0123456789", k=rng.choice((1, 3, 6, 7, 9, 10, 0))))
    return text


def _zone(rng):
    hours, minutes = rng.choice((0, 14, 23, 24, rng.randrange(15))), rng.choice((0, 30, 59, 60))
    return rng.choice(("", "", "Z", "z", f"+{hours:02}:{minutes:02}", f"-{hours:02}{minutes:02}", f"+{hours:02}", f"-{hours:02}:{minutes:02}",
                       f"+{hours}", f"+{hours:02}:"))


def _iso(rng):
    year, month, day = _date(rng)
    text = rng.choice((f"{year:04}-{month:02}-{day:02}", f"{year:04}-{month:02}-{day:02}", f"{year:04}/{month}/{day}",
                       f"{year:04}/{month:02}/{day:02}", f"{year:04}{month:02}{day:02}", f"{year:04}-{month}-{day}",
                       f"{day:02}/{month:02}/{year:04}", f"{month}/{day}/{year:04}", f"{year:02}-{month:02}-{day:02}"))
    if rng.random() < 0.75:
        text += rng.choice(("T", "T", " ", "t", "  ")) + _time(rng) + _zone(rng)
    return text


def _mail(rng):
    year, month, day = _date(rng)
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mai", "jan", "DEC")
    text = rng.choice(("", "Mon, ", "Sun, ", "fri, ", "Mo, ", "Mon,"))
    text += rng.choice((f"{day}", f"{day:02}")) + f" {rng.choice(months)} {year:04} {_time(rng)}"
    return text + rng.choice(("", " GMT", " UTC", " gmt", " " + _zone(rng), " EST", "GMT")) + " " * (month == 13)


def _seconds(rng):
    """A JSON number that is no integer of digits alone."""
    whole = rng.choice((str(rng.randrange(8 * 10**9)), "0", "7258118399", "7258118400", str(rng.randrange(10**20))))
    text = rng.choice(("", "", "", "-")) + whole
    if rng.random() < 0.7:
        text += "." + "".join(rng.choices("0123456789", k=rng.choice((1, 3, 6, 7, 9, 20, 400))))
    if rng.random() < 0.5:
        text += rng.choice("eE") + rng.choice(("", "+", "-")) + str(rng.choice((0, 1, 3, 6, 9, 20, 400, 10**13)))
    return text


def timestamp(rng):
    """The JSON text of a timestamp."""
    kind = rng.random()
    if kind < 0.12:
        return _seconds(rng)
    if kind < 0.22:
        return str(int(_epoch(rng)))
    text = _epoch(rng) if kind < 0.34 else _mail(rng) if kind < 0.5 else _iso(rng)
    if rng.random() < 0.08:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice((" ", "", "0", "-", ":", "T", "Z", "+", ".", "\u0661", ",")) + text[at + rng.randrange(2):]
    return json.dumps(rng.choice(("", "", " ", "\t")) + text, ensure_ascii=False)
