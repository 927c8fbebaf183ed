"""What schemathesis cannot read in openapi.json."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def send_ndjson(_context, value):
    """Text, whatever it says; what is no text cannot be sent as such, so nothing is."""
    return value.encode(errors="surrogatepass") if isinstance(value, str) else b""


@schemathesis.hook
def map_query(_context, query):
    """No schema can say that `from` must not be behind `to`."""
    if query and isinstance(query.get("from"), str) and isinstance(query.get("to"), str) and query["from"] > query["to"]:
        query["from"], query["to"] = query["to"], query["from"]
    return query


@schemathesis.hook
def map_body(context, body):
    """Outages that are short, as all else waits for their end."""
    if context.operation.path.endswith("/database-outage") and isinstance(body, dict) and body.get("seconds", 10) in range(1, 31):
        return {**body, "seconds": 1}
    return body
