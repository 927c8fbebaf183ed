"""The rules of normalization once more, with what Python brings along: json, decimal, datetime, hashlib.

Written from the rules and not from the C code. judge() gives what a message becomes, as the program `answers` prints
it: "<reason> <rule>" or "<hash> <client_id in hex> <metric in hex> <amount> <timestamp>"."""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Optional

DEPTH_MAX = 32
TEXT_BYTES_MAX = 200
SPACE = " \t\n\r\f\v"
EPOCH = datetime(1970, 1, 1)
LAST_US = (datetime(2200, 1, 1) - EPOCH) // timedelta(microseconds=1) - 1
NAMESPACE = uuid.UUID("5c0f7d3e-9b1a-4c62-8e47-d2a6f1b39c85")
# F-2, as F-1 sees the names.
NAMES = {"client_id": ("clientid", "client", "source"), "metric": ("metric", "type", "metricname"),
         "amount": ("amount", "value", "sum"), "timestamp": ("timestamp", "time", "createdat")}
# F-3
PLACES = {"client_id": ("top", "payload", "data"), "metric": ("payload", "data", "top"),
          "amount": ("payload", "data", "top"), "timestamp": ("payload", "data", "top")}
BUCKETS_US = (86400 * 10**6, 3600 * 10**6, 60 * 10**6, 10**6, 1)  # H-2: day, hour, minute, second, exact


class Rejected(Exception):
    """Its text is "<reason> <rule>"."""


@dataclass(frozen=True)
class Request:
    """A message and the rules of its client."""

    value: Optional[bytes]
    timestamp_ms: int = 1704067200123
    zone_offset_s: int = 0
    date_order: int = 0   # none, dmy, mdy
    granularity: int = 0  # an index in BUCKETS_US


class Number(str):
    """A JSON number as it is written."""


class Pairs(list):
    """An object: its keys and values in order, equal ones too."""


# ---- JSON: M-3, M-4, M-6 ----

def _refuse_constant(name):
    raise ValueError(name)  # NaN and the Infinities are Python's own


# Numbers stay as they are written.
DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant)


def _is_grammatical(text):
    try:
        # Each byte a character: whatever its encoding, nothing above 0x7f matters to the grammar.
        DECODER.decode(text.decode("latin-1"))
        return True
    except ValueError:
        return False


def _strings(node):
    if isinstance(node, Pairs):
        for key, value in node:
            yield key
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
    elif isinstance(node, str):
        yield node


def _depth(node):
    if isinstance(node, Pairs):
        return 1 + max((_depth(value) for _, value in node), default=0)
    if isinstance(node, list):
        return 1 + max((_depth(value) for value in node), default=0)
    return 0


def parse(text):
    """The tree of a text in bytes."""
    if not _is_grammatical(text):
        raise Rejected("invalid_json M-3")
    try:
        tree = DECODER.decode(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise Rejected("invalid_utf8 M-4") from None
    # Python lets surrogates stand alone.
    if any("\ud800" <= c <= "\udfff" for string in _strings(tree) for c in string):
        raise Rejected("invalid_utf8 M-4")
    return tree


# ---- the fields: F-1 .. F-6 ----

def fold(key):
    """F-1. Letters are those of ASCII."""
    return re.sub("[A-Z]", lambda letter: letter.group().lower(), re.sub("[-_ ]", "", key))


def _members(pairs):
    """F-6: the last of equal names counts."""
    return {fold(key): value for key, value in pairs}


def _container(value):
    """F-3: an object, or a string that is one."""
    if isinstance(value, str) and not isinstance(value, Number):
        try:
            value = parse(value.encode())
        except Rejected:
            return {}
    return _members(value) if isinstance(value, Pairs) else {}


def _places(tree):
    if not isinstance(tree, Pairs):
        return {"top": {}, "payload": {}, "data": {}}
    top = _members(tree)
    return {"top": top, "payload": _container(top.get("payload")), "data": _container(top.get("data"))}


def _pick(places, field):
    """F-2: null and white space alone are absent (None). Strings come trimmed."""
    for place in PLACES[field]:
        for name in NAMES[field]:
            value = places[place].get(name)
            if isinstance(value, str) and not isinstance(value, Number):
                value = value.strip(SPACE)
            if value is not None and value != "":
                return value
    return None


# ---- texts: C-1, C-2, T-1, T-2 ----

def _text(value, field, rule):
    if value is None:
        raise Rejected(f"{field}_missing {rule}-1")
    is_text = isinstance(value, str) and (not isinstance(value, Number) or re.fullmatch("-?[0-9]+", value))
    if not is_text or len(value.encode()) > TEXT_BYTES_MAX or re.search("[\x00-\x1f\x7f-\x9f]", value):
        raise Rejected(f"{field}_invalid {rule}-2")
    return str(value)


# ---- amounts: A-1 .. A-4 ----

NUMBER = re.compile(r"([+-]?)([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
EXPONENT_DIGITS = 12  # more of them, and only zero is in range


def exact(text):
    """The Decimal of a text, None when it is no number. What is far out of range becomes infinite or tiny."""
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction, exponent = found.groups()
    digits = whole.replace(",", "") + (fraction or "")
    if digits.strip("0") == "":
        return Decimal(0)
    if exponent and len(exponent.lstrip("+-0")) > EXPONENT_DIGITS:
        return Decimal(f"{sign}1e-999999" if exponent[0] == "-" else f"{sign}Infinity")
    return Decimal(f"{sign}{digits}e{int(exponent or 0) - len(fraction or '')}")


def canonical(number):
    """A-4."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    if not kept:
        return "0"
    return format(Decimal((sign, tuple(map(int, kept)), exponent + len(text) - len(kept))), "f")


def _amount(value):
    if value is None:
        return "0"
    number = exact(value) if isinstance(value, str) else None
    if number is None:
        raise Rejected("amount_invalid A-2")
    if number.is_infinite():
        raise Rejected("amount_out_of_range A-3")
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if number != 0 and (len(digits) > 38 or not Decimal("1e-18") <= number.copy_abs() <= Decimal("1e30")):
        raise Rejected("amount_out_of_range A-3")
    return canonical(number)


# ---- timestamps: D-1 .. D-7 ----

INVALID = Rejected("timestamp_invalid D-6")
OUT_OF_RANGE = Rejected("timestamp_out_of_range D-7")
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
ZONE = r"(?P<zone>[+-][0-9]{2}(?::?[0-9]{2})?)"
CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
TIME = rf"(?:[T ]{CLOCK}(?::(?P<second>[0-9]{{2}})(?:\.(?P<fraction>[0-9]{{1,9}}))?)?(?:(?P<utc>Z)|{ZONE})?)?"
FORMS = [re.compile(form) for form in (
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})" + TIME,
    r"(?P<year>[0-9]{4})/(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})" + TIME,
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})" + TIME,
    r"(?:(?i:mon|tue|wed|thu|fri|sat|sun), )?(?P<day>[0-9]{1,2}) (?P<name>[A-Za-z]{3}) (?P<year>[0-9]{4}) " + CLOCK +
    rf"(?::(?P<second>[0-9]{{2}}))?(?: (?:(?P<utc>GMT|UTC)|{ZONE}))?")]
ORDERED = (None, re.compile(r"(?P<day>[0-9]{1,2})/(?P<month>[0-9]{1,2})/(?P<year>[0-9]{4})" + TIME),
           re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})" + TIME))


def _in_range(time_us):
    if not 0 <= time_us <= LAST_US:
        raise OUT_OF_RANGE
    return time_us


def _epoch(digits):
    """D-3: the magnitude tells the unit."""
    value = int(digits[:40].lstrip("0") or "0") if len(digits.lstrip("0")) <= 30 else 10**30
    if value < 10**11:
        return _in_range(value * 10**6)
    if value < 10**14:
        return _in_range(value * 10**3)
    return _in_range(value if value < 10**17 else value // 1000)


def _offset_s(text):
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 23 or minutes > 59:
        raise INVALID
    return (hours * 60 + minutes) * (-60 if text[0] == "-" else 60)


def _from_parts(parts, zone_offset_s):
    month = MONTHS.index(parts["name"].lower()) + 1 if "name" in parts else int(parts["month"])
    year, hour, minute, second = (int(parts.get(name) or 0) for name in ("year", "hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise INVALID
    try:
        # Python has no year 0; its days are those of the year 400.
        days = date(year or 400, month, int(parts["day"])) - date(1970, 1, 1)
    except ValueError:
        raise INVALID from None
    offset_s = 0 if parts.get("utc") else _offset_s(parts["zone"]) if parts.get("zone") else zone_offset_s
    fraction_us = int(((parts.get("fraction") or "") + "000000")[:6])
    if year == 0:
        raise OUT_OF_RANGE
    at = timedelta(days=days.days, hours=hour, minutes=minute, seconds=second - offset_s, microseconds=fraction_us)
    return _in_range(at // timedelta(microseconds=1))


def _time_of_text(text, request):
    if re.fullmatch("[0-9]+", text) and len(text) != 8:
        return _epoch(text)
    for form in [*FORMS, ORDERED[request.date_order]]:
        found = form.fullmatch(text) if form is not None else None
        if found is None:
            continue
        parts = {name: value for name, value in found.groupdict().items() if value is not None}
        if "name" in parts and parts["name"].lower() not in MONTHS:
            raise INVALID
        return _from_parts(parts, request.zone_offset_s)
    raise INVALID


def _time_of_number(text):
    if re.fullmatch("[0-9]+", text):
        return _epoch(text)
    seconds = exact(text)
    if seconds < 0 or seconds > 10**11:
        raise OUT_OF_RANGE
    # Cut to microseconds: by hand, since the context would round a long one.
    sign, digits, exponent = seconds.as_tuple()
    number, shift = int("".join(map(str, digits[:4000]))), exponent + max(0, len(digits) - 4000) + 6
    return _in_range(number * 10**shift if shift >= 0 else number // 10**min(-shift, 5000) * (1 - sign))


def _time(value, request):
    if value is None:
        if not 0 <= request.timestamp_ms <= LAST_US // 1000:
            raise Rejected("timestamp_out_of_range D-1")
        return request.timestamp_ms * 1000
    if isinstance(value, Number):
        return _time_of_number(value)
    if isinstance(value, str):
        return _time_of_text(value, request)
    raise INVALID


def print_time(time_us):
    at = EPOCH + timedelta(microseconds=time_us)
    fraction = f"{at.microsecond:06}".rstrip("0")
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


# ---- the hash: H-1, H-2 ----

def event_hash(client_id, metric, amount, time_us, granularity):
    unit = BUCKETS_US[granularity]
    parts = (client_id.encode(), metric.encode(), amount.encode(), (time_us // unit * unit).to_bytes(8, "big"))
    name = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = bytearray(hashlib.sha256(NAMESPACE.bytes + name).digest()[:16])
    digest[6] = digest[6] & 0x0f | 0x80
    digest[8] = digest[8] & 0x3f | 0x80
    return uuid.UUID(bytes=bytes(digest))


# ---- all of it, in the order of the rules ----

def _unframe(value):
    if value[:1] == b"\0":
        if value[5:6] != b"{":
            raise Rejected("unsupported_framing F-8")
        return value[5:]
    return value[3:] if value[:3] == b"\xef\xbb\xbf" else value


def _judge(request, event_bytes_max):
    if not request.value:
        raise Rejected("empty M-1")
    if len(request.value) > event_bytes_max:
        raise Rejected("too_large M-2")
    tree = parse(_unframe(request.value))
    places = _places(tree)
    picked = {field: _pick(places, field) for field in NAMES}
    if any(isinstance(picked[field], str) and "\0" in picked[field] for field in ("client_id", "metric")):
        raise Rejected("nul_character M-5")
    if _depth(tree) > DEPTH_MAX:
        raise Rejected("too_deep M-6")
    if not isinstance(tree, Pairs):
        raise Rejected("not_an_object M-7")
    client_id = _text(picked["client_id"], "client_id", "C")
    metric = _text(picked["metric"], "metric", "T")
    amount = _amount(picked["amount"])
    time_us = _time(picked["timestamp"], request)
    return (f"{event_hash(client_id, metric, amount, time_us, request.granularity)} {client_id.encode().hex()} "
            f"{metric.encode().hex()} {amount} {print_time(time_us)}")


def judge(request, event_bytes_max):
    try:
        return _judge(request, event_bytes_max)
    except Rejected as rejected:
        return str(rejected)
