/* The sink's SQL. Every name is schema-qualified: search_path is empty. */
#ifndef WINNOW_SINK_STATEMENTS_H
#define WINNOW_SINK_STATEMENTS_H

/* $1 group, $2 topic, $3 cluster id. A row the first time, the stored cluster id always. It looks before it
 * inserts: an insert that conflicts uses up a number of the sequence, and a smallint has few. */
#define SQL_STREAM                                                                       \
    "WITH found AS (SELECT stream_id, cluster_id FROM winnow.stream "                    \
    "  WHERE consumer_group = $1 AND topic = $2), "                                      \
    "made AS (INSERT INTO winnow.stream (consumer_group, topic, cluster_id) "            \
    "  SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM found) "                          \
    "  ON CONFLICT (consumer_group, topic) DO NOTHING RETURNING stream_id, cluster_id) " \
    "SELECT stream_id, cluster_id FROM found UNION ALL SELECT stream_id, cluster_id FROM made"

/* $1 stream, $2 partitions, $3 owner. Locks in the order of partitions, so that two claims cannot deadlock;
 * waits for a statement of the previous owner that is still running, and sees what it did. */
#define SQL_CLAIM                                                                              \
    "WITH mine AS MATERIALIZED (SELECT l.partition FROM winnow.processing_log l "              \
    "  WHERE l.stream_id = $1 AND l.partition = ANY ($2) ORDER BY l.partition FOR UPDATE) "    \
    "UPDATE winnow.processing_log l SET epoch = l.epoch + 1, owner = $3, claimed_at = now(), " \
    "  updated_at = now() FROM mine WHERE l.stream_id = $1 AND l.partition = mine.partition "  \
    "RETURNING l.partition, l.epoch, l.next_offset, l.state, "                                 \
    "  CASE WHEN l.tail_fingerprint IS NULL THEN -1 ELSE l.tail_offset END, l.tail_fingerprint"

/* $1 stream, $2 partition, $3 offset. */
#define SQL_OPEN_PARTITION                                                                 \
    "INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset) " \
    "VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING"

/* $1 stream, $2 partition, $3 epoch, $4 reason, $5 detail. */
#define SQL_HALT                                                                              \
    "UPDATE winnow.processing_log SET state = 'halted', halt_reason = $4, halt_detail = $5, " \
    "updated_at = now() WHERE stream_id = $1 AND partition = $2 AND epoch = $3 RETURNING partition"

/* The one statement of a batch, all or nothing (README, "How it works").
 *
 * locked: the progress rows that are still ours and where we left them, locked in the order of partitions.
 *
 * held: whether that is all of them; everything below does nothing unless it is.
 *
 * fence: moves them.
 *
 * stored: inserts events in the order of the key (the arrays are sorted, so that two workers with the same
 * events cannot deadlock) and returns those that were new.
 *
 * rolled: adds up only what was new. The shard is the batch's lowest partition, whose progress row this
 * statement holds: no other worker writes that shard's rows now.
 *
 * buried, logged: dead letters, and the audit row of each partition. */
#define SQL_APPLY                                                                                            \
    "WITH part AS MATERIALIZED (SELECT * FROM unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], "       \
    "    $6::bytea[], $7::int8[], $8::int8[], $9::int8[]) "                                                  \
    "  AS p (partition, epoch, expected, next, fingerprint, received, dead, lost)), "                        \
    "locked AS MATERIALIZED (SELECT l.partition FROM winnow.processing_log l JOIN part p "                   \
    "  ON l.partition = p.partition AND l.epoch = p.epoch AND l.next_offset = p.expected "                   \
    "  WHERE l.stream_id = $1 ORDER BY l.partition FOR UPDATE OF l), "                                       \
    "held AS MATERIALIZED (SELECT count(*) = cardinality($2::int4[]) AS ok FROM locked), "                   \
    "fence AS (UPDATE winnow.processing_log l SET next_offset = p.next, tail_offset = p.next - 1, "          \
    "  tail_fingerprint = p.fingerprint, updated_at = now() FROM part p "                                    \
    "  WHERE l.stream_id = $1 AND l.partition = p.partition AND (SELECT ok FROM held)), "                    \
    "stored AS (INSERT INTO winnow.event (bucket, event_hash, client_id, metric, amount, event_time, "       \
    "    stream_id, origin_partition, origin_offset) "                                                       \
    "  SELECT e.bucket, e.hash, e.client_id, e.metric, e.amount, e.time, $1, e.partition, e.message_offset " \
    "  FROM unnest($10::timestamptz[], $11::uuid[], $12::text[], $13::text[], $14::numeric[], "              \
    "    $15::timestamptz[], $16::int4[], $17::int8[]) "                                                     \
    "  AS e (bucket, hash, client_id, metric, amount, time, partition, message_offset) "                     \
    "  WHERE (SELECT ok FROM held) ON CONFLICT DO NOTHING "                                                  \
    "  RETURNING event_time, client_id, metric, amount, origin_partition), "                                 \
    "rolled AS (INSERT INTO winnow.rollup_hour AS r "                                                        \
    "    (bucket, client_id, metric, stream_id, shard, event_count, amount_sum) "                            \
    "  SELECT date_bin('1 hour', s.event_time, 'epoch'), s.client_id, s.metric, $1, ($2::int4[])[1], "       \
    "    count(*), sum(s.amount) FROM stored s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 "                           \
    "  ON CONFLICT (bucket, client_id, metric, stream_id, shard) DO UPDATE "                                 \
    "  SET event_count = r.event_count + excluded.event_count, "                                             \
    "    amount_sum = r.amount_sum + excluded.amount_sum), "                                                 \
    "buried AS (INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, message_time, key, "   \
    "    value, headers, reason, detail, sqlstate, client_id, bucket, event_hash) "                          \
    "  SELECT $1, d.* FROM unnest($18::int4[], $19::int8[], $20::timestamptz[], $21::bytea[], "              \
    "    $22::bytea[], $23::bytea[], $24::text[], $25::text[], $26::text[], $27::text[], "                   \
    "    $28::timestamptz[], $29::uuid[]) AS d WHERE (SELECT ok FROM held)), "                               \
    "counted AS (SELECT s.origin_partition AS partition, count(*) AS stored FROM stored s GROUP BY 1), "     \
    "logged AS (INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, "       \
    "    received, stored, duplicate, dead, gap, lost) "                                                     \
    "  SELECT $1, p.partition, p.expected, p.next, p.epoch, p.received, coalesce(c.stored, 0), "             \
    "    p.received - p.dead - coalesce(c.stored, 0), p.dead, "                                              \
    "    p.next - p.expected - p.received - p.lost, p.lost "                                                 \
    "  FROM part p LEFT JOIN counted c USING (partition) WHERE (SELECT ok FROM held)) "                      \
    "SELECT (SELECT ok FROM held)::int4, (SELECT count(*) FROM stored)"

#endif
