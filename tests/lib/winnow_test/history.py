"""A database that looks as if a pool had stored many events over some weeks, made by SQL alone."""

DAYS = 60
CLIENTS = 200
METRICS = ("sale", "purchase", "refund", "page_view", "signup", "login", "click", "transfer")
RARE_CLIENT = "client_rare"
RARE_EVERY = 200_000  # one event of so many
PARTITIONS = 8
PORTION = 1_000_000

_EVENTS = """
INSERT INTO winnow.event (bucket, event_time, ingested_at, origin_offset, event_hash, origin_partition, stream_id, client_id,
                          metric, amount)
SELECT date_trunc('day', t), t, stored, n / %(partitions)s, md5(n::text)::uuid, n %% %(partitions)s, %(stream)s,
    CASE WHEN n %% %(rare)s = %(rare)s / 2 THEN %(rare_name)s
         ELSE 'client_' || lpad((%(clients)s * power(random(), 3))::int::text, 3, '0') END,
    (%(metrics)s)[1 + n / %(partitions)s %% %(metric_count)s], ((n * 7919) %% 1000007) / 100.0
FROM (SELECT n, begun + n * step AS stored,
             date_trunc('milliseconds', begun + n * step - random() * interval '30 s') AS t
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n,
           (SELECT now() - make_interval(days => %(days)s) AS begun,
                   make_interval(secs => %(days)s * 86400.0 / %(rows)s) AS step) AS pace) AS made
"""

_ACCOUNT = """
INSERT INTO winnow.rollup_hour (bucket, client_id, metric, stream_id, shard, event_count, amount_sum)
SELECT date_bin('1 hour', event_time, 'epoch'), client_id, metric, stream_id, origin_partition, count(*), sum(amount)
FROM winnow.event GROUP BY 1, 2, 3, 4, 5;
INSERT INTO winnow.rollup_client (client_id, stream_id, shard, event_count, amount_sum)
SELECT client_id COLLATE "C", stream_id, shard, sum(event_count), sum(amount_sum) FROM winnow.rollup_hour GROUP BY 1, 2, 3;
INSERT INTO winnow.rollup_metric (metric, stream_id, shard, event_count, amount_sum)
SELECT metric COLLATE "C", stream_id, shard, sum(event_count), sum(amount_sum) FROM winnow.rollup_hour GROUP BY 1, 2, 3;
INSERT INTO winnow.rollup_day (day, stream_id, shard, event_count, amount_sum)
SELECT date_bin('1 day', bucket, 'epoch'), stream_id, shard, sum(event_count), sum(amount_sum)
FROM winnow.rollup_hour GROUP BY 1, 2, 3;
"""


def fill(database, group, topic, rows):
    """Stores that many events of a stream that is not read, over the last 60 days, and their roll-ups."""
    database.run("SELECT winnow.ensure_event_month((now() - make_interval(months => back))::date) "
                 "FROM generate_series(0, 3) AS back")
    database.run("INSERT INTO winnow.stream (consumer_group, topic, cluster_id) VALUES (%s, %s, 'history') "
                 "ON CONFLICT DO NOTHING", (group, topic))
    values = {"partitions": PARTITIONS, "rare": RARE_EVERY, "rare_name": RARE_CLIENT, "clients": CLIENTS, "days": DAYS,
              "metrics": list(METRICS), "metric_count": len(METRICS), "rows": rows,
              "stream": database.value("SELECT stream_id FROM winnow.stream WHERE consumer_group = %s AND topic = %s",
                                       (group, topic))}
    for first in range(0, rows, PORTION):
        database.run(_EVENTS, {**values, "first": first, "last": min(first + PORTION, rows) - 1})
    database.run(_ACCOUNT)
    database.run("VACUUM (ANALYZE)")
