"""Requests made by chance, near those that the contract knows: each gets an answer, none harms the console."""

import http.client
import json
import os
import random
from pathlib import Path
from urllib.parse import quote

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "worker/console/openapi.json").read_text())
SEED = int(os.environ.get("SEED", "1"))
COUNT = int(os.environ.get("COUNT", "4000"))
PARTS = ["0", "-1", "9" * 30, "1e3", "null", "", "a", "ä", "\x00", "\xff", "%", "%zz", "%00", "../..", "'", '"', "<b>",
         "2024-01-01", "2024-02-30T25:00:00Z", "f30e1009-fd53-83a8-b737-f74f8de1a698", "open", "csv", "client,hour",
         "x" * 300, "1200.50", "-0", "5s", "30001ms", "1_2_3"]
BODIES = [b"", b"{}", b"[]", b"null", b"{", b'{"note":"x"}', b'{"note":1}', b'{"note":"\\ud800"}', b'{"a":{"b":[1]}}',
          b'{"reason":"empty","client_id":null,"note":"x"}', b'{"value":"\\u0000"}', b"\xff\xfe", b"\xef\xbb\xbf{}",
          b'{"note":"x","note":"y"}', b"[" * 2000, b'{"limit":1e99,"reason":"empty","client_id":"a"}', b"x\ny\n\nz"]
FINE = {200, 201, 202, 304, 400, 403, 404, 405, 406, 409, 411, 413, 415, 422, 429}


def make(chance):
    """(method, target, body, headers)."""
    path = chance.choice([path for path in CONTRACT["paths"] if not path.endswith(("/live", "/database-outage"))])
    for name in ("hash", "partition", "offset"):
        path = path.replace("{%s}" % name, quote(chance.choice(PARTS), safe="%") or "0")
    names = [one["name"] for one in CONTRACT["components"]["parameters"].values() if one["in"] == "query"]
    query = "&".join(f"{chance.choice(names + PARTS)}={chance.choice(PARTS)}" for _ in range(chance.choice([0, 0, 1, 2, 5])))
    if chance.random() < 0.5:
        query = quote(query, safe="=&%")
    target = path + (f"?{query}" if query else "")
    target = "".join(c for c in target if 32 < ord(c) < 127)  # what http.client sends at all
    method = chance.choice(["GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "FOO"])
    body = chance.choice(BODIES) if method in ("POST", "PUT") else None
    if body and chance.random() < 0.3:
        cut = chance.randrange(len(body) + 1)
        body = body[:cut] + chance.randbytes(chance.randrange(20)) + body[cut:]
    headers = {"Content-Type": chance.choice(["application/json", "application/json", "application/x-ndjson", "x", ""]),
               "Accept": chance.choice(["*/*", "text/csv", "application/json;q=0", "", "x/y", ",;=;"])}
    return method, target, body, headers


def test_anything_gets_an_answer(console):
    chance = random.Random(SEED)
    connection = console.connect()
    seen = {}
    for number in range(COUNT):
        method, target, body, headers = make(chance)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (http.client.BadStatusLine, http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            raise AssertionError(f"{number}: {method} {target} {body!r}: {error}") from error
        if response.will_close:
            connection.close()
        assert response.status in FINE, (number, method, target, body, response.status, answer[:500])
        if response.status >= 400 and method != "HEAD":
            assert json.loads(answer)["status"] == response.status, (method, target)
        seen[response.status] = seen.get(response.status, 0) + 1
    connection.close()
    assert console.get("/livez").status == 200
    assert {200, 400, 404, 405, 415} <= set(seen), seen
