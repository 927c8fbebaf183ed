"""The table that all contenders fill: what it should hold, what it holds, and when it was filled."""

# Columns that say where a row came from are left out: of two equal events either may be stored.
DIGEST = ("count(*), coalesce(sum(hashtextextended(concat_ws('|', bucket, event_hash, client_id, metric, "
          "trim_scale(amount), event_time), 0)::numeric), 0)")
EVENT_OF_LINE = ("(value ->> 'bucket')::timestamptz AS bucket, (value ->> 'event_hash')::uuid AS event_hash, "
                 "value ->> 'client_id' AS client_id, value ->> 'metric' AS metric, "
                 "(value ->> 'amount')::numeric AS amount, (value ->> 'event_time')::timestamptz AS event_time")


def expected(server, feed):
    """The digest of the feed's different events, by PostgreSQL from the messages themselves."""
    database = server.new_database("bench_expected")
    try:
        database.run("CREATE UNLOGGED TABLE message (value json)")
        _load(database, feed)
        return database.rows(f"SELECT {DIGEST} FROM (SELECT DISTINCT {EVENT_OF_LINE} FROM message) AS event")[0]
    finally:
        database.drop()


def _load(database, feed, lines_at_once=10000):
    lines = []

    def flush():
        database.run("INSERT INTO message SELECT unnest(%s::json[])", (lines,))
        lines.clear()

    for number, line in feed.lines("canonical"):
        if number in feed.poison:
            continue
        lines.append(line.decode())
        if len(lines) == lines_at_once:
            flush()
    flush()


def prepare(database):
    """A column that some contenders cannot fill gets a default."""
    database.run("ALTER TABLE winnow.event ALTER stream_id SET DEFAULT 1")


def digest(database):
    return database.rows(f"SELECT {DIGEST} FROM winnow.event")[0]


def count(database):
    return database.value("SELECT count(*) FROM winnow.event")


def bytes_used(database):
    """Of the rows alone, without reading any: it grows while someone stores."""
    return database.value("SELECT sum(pg_relation_size(inhrelid))::bigint FROM pg_inherits "
                          "WHERE inhparent = 'winnow.event'::regclass")


def seconds(database):
    """From the beginning of the first transaction that stored something to the last commit, as the server noted."""
    taken = database.value("SELECT max(pg_xact_commit_timestamp(xmin)) - min(ingested_at) FROM winnow.event")
    return taken.total_seconds()


def hashes(database):
    return {row[0] for row in database.rows("SELECT event_hash::text FROM winnow.event")}
