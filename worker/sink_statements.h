/* The sink's SQL. Every name is schema-qualified: search_path is empty. */
#ifndef WINNOW_SINK_STATEMENTS_H
#define WINNOW_SINK_STATEMENTS_H

/* $1 group, $2 topic, $3 cluster id. A row the first time, the stored cluster id always. It looks before it
 * inserts: an insert that conflicts uses up a number of the sequence, and a smallint has few. */
#define SQL_STREAM \
    "WITH found AS (SELECT stream_id, cluster_id FROM winnow.stream " \
    "  WHERE consumer_group = $1 AND topic = $2), " \
    "made AS (INSERT INTO winnow.stream (consumer_group, topic, cluster_id) " \
    "  SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM found) " \
    "  ON CONFLICT (consumer_group, topic) DO NOTHING RETURNING stream_id, cluster_id) " \
    "SELECT stream_id, cluster_id FROM found UNION ALL SELECT stream_id, cluster_id FROM made"

/* $1 stream, $2 partitions, $3 owner. Locks in the order of partitions, so that two claims cannot deadlock;
 * waits for a statement of the previous owner that is still running, and sees what it did. */
#define SQL_CLAIM \
    "WITH mine AS MATERIALIZED (SELECT l.partition FROM winnow.processing_log l " \
    "  WHERE l.stream_id = $1 AND l.partition = ANY ($2) ORDER BY l.partition FOR UPDATE) " \
    "UPDATE winnow.processing_log l SET epoch = l.epoch + 1, owner = $3, claimed_at = now(), " \
    "  updated_at = now() FROM mine WHERE l.stream_id = $1 AND l.partition = mine.partition " \
    "RETURNING l.partition, l.epoch, l.next_offset, l.state, " \
    "  CASE WHEN l.tail_fingerprint IS NULL THEN -1 ELSE l.tail_offset END, l.tail_fingerprint"

/* $1 stream, $2 partitions, after their claim. A statement of its own: one that had to wait for a lock would
 * not see what the previous owner has counted meanwhile. */
#define SQL_COUNTS \
    "SELECT of_partition, events, duplicates, dead_letters, reasons FROM winnow.count_outcomes($1, $2)"

/* $1 stream, $2 partition, $3 offset. */
#define SQL_OPEN_PARTITION \
    "INSERT INTO winnow.processing_log (stream_id, partition, start_offset, next_offset) " \
    "VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING"

/* $1 stream, $2 partition, $3 epoch, $4 reason, $5 detail. */
#define SQL_HALT \
    "UPDATE winnow.processing_log SET state = 'halted', halt_reason = $4, halt_detail = $5, " \
    "updated_at = now() WHERE stream_id = $1 AND partition = $2 AND epoch = $3 RETURNING partition"

/* The one statement of a batch, all or nothing (README, "How it works").
 *
 * locked: the progress rows that are still ours and where we left them, locked in the order of partitions.
 *
 * held: whether that is all of them; everything below does nothing unless it is.
 *
 * fence: moves them, and adds to what became of the partition's messages.
 *
 * fresh: inserts the events that look new, in the order of the key (the arrays are sorted, so that two
 * workers with the same events cannot deadlock). One that is stored already makes the statement fail with
 * 23505, as a whole.
 *
 * again: inserts those that were seen before, but for those that are stored already. It waits for all of
 * fresh, or an event and its repetition in one batch could collide.
 *
 * rolled, total_client, total_metric, total_day: add up only what was new. The shard is the batch's lowest
 * partition, whose progress row this statement holds: no other worker writes that shard's rows now.
 *
 * buried, reasoned, logged: dead letters, their number by reason, and the audit row of each partition.
 *
 * It answers with a row for each partition that was moved, in their order: its messages since the beginning,
 * and the events of this batch; with none when the fence did not hold.
 *
 * unnest() in the list of columns makes rows one at a time, in FROM it would put each array down first.
 * Comparing by COLLATE "C" takes a fraction of the time that a language's order takes. */
#define EVENT_COLUMNS \
    "(bucket, event_hash, client_id, metric, amount, event_time, origin_partition, origin_offset, " \
    "stream_id)"
#define STORED_COLUMNS "event_time, client_id, metric, amount, origin_partition"
#define SQL_STORED     "(TABLE fresh UNION ALL TABLE again) AS s"

/* The total of each name (a client or a metric) in the batch, in the same shard. */
#define SQL_TOTAL(subject, column) \
    "total_" subject " AS (INSERT INTO winnow.rollup_" subject " AS r " \
    "    (" column ", stream_id, shard, event_count, amount_sum) " \
    "  SELECT a." column ", $1, ($2::int4[])[1], sum(a.event_count), sum(a.amount_sum) " \
    "  FROM added a GROUP BY 1 ORDER BY 1 " \
    "  ON CONFLICT (" column " COLLATE \"C\", stream_id, shard) DO UPDATE " \
    "  SET event_count = r.event_count + excluded.event_count, " \
    "    amount_sum = r.amount_sum + excluded.amount_sum), "
/* The total of each day, and when it last grew. */
#define SQL_TOTAL_DAY \
    "total_day AS (INSERT INTO winnow.rollup_day AS r (day, stream_id, shard, event_count, amount_sum) " \
    "  SELECT date_bin('1 day', a.bucket, 'epoch'), $1, ($2::int4[])[1], sum(a.event_count), " \
    "    sum(a.amount_sum) FROM added a GROUP BY 1 ORDER BY 1 " \
    "  ON CONFLICT (day, stream_id, shard) DO UPDATE SET updated_at = excluded.updated_at, " \
    "    event_count = r.event_count + excluded.event_count, " \
    "    amount_sum = r.amount_sum + excluded.amount_sum), "
#define SQL_TOTALS SQL_TOTAL("client", "client_id") SQL_TOTAL("metric", "metric") SQL_TOTAL_DAY

#define SQL_APPLY \
    "WITH part AS MATERIALIZED (SELECT * FROM unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], " \
    "    $6::bytea[], $7::int8[], $8::int8[], $9::int8[]) " \
    "  AS p (partition, epoch, expected, next, fingerprint, received, dead, lost)), " \
    "locked AS MATERIALIZED (SELECT l.partition FROM winnow.processing_log l JOIN part p " \
    "  ON l.partition = p.partition AND l.epoch = p.epoch AND l.next_offset = p.expected " \
    "  WHERE l.stream_id = $1 ORDER BY l.partition FOR UPDATE OF l), " \
    "held AS MATERIALIZED (SELECT count(*) = cardinality($2::int4[]) AS ok FROM locked), " \
    "fresh AS (INSERT INTO winnow.event " EVENT_COLUMNS \
    " SELECT unnest($10::timestamptz[]), unnest($11::uuid[]), " \
    "    unnest($12::text[]), unnest($13::text[]), unnest($14::numeric[]), unnest($15::timestamptz[]), " \
    "    unnest($16::int4[]), unnest($17::int8[]), $1 " \
    "  WHERE (SELECT ok FROM held) RETURNING " STORED_COLUMNS "), " \
    "again AS (INSERT INTO winnow.event " EVENT_COLUMNS \
    " SELECT unnest($18::timestamptz[]), unnest($19::uuid[]), " \
    "    unnest($20::text[]), unnest($21::text[]), unnest($22::numeric[]), unnest($23::timestamptz[]), " \
    "    unnest($24::int4[]), unnest($25::int8[]), $1 " \
    "  WHERE (SELECT ok FROM held) AND (SELECT count(*) FROM fresh) >= 0 " \
    "  ON CONFLICT DO NOTHING RETURNING " STORED_COLUMNS "), " \
    "added AS (SELECT date_bin('1 hour', s.event_time, 'epoch') AS bucket, s.client_id COLLATE \"C\" AS " \
    "client_id, " \
    "    s.metric COLLATE \"C\" AS metric, count(*) AS event_count, sum(s.amount) AS amount_sum " \
    "  FROM " SQL_STORED " GROUP BY 1, 2, 3), " \
    "rolled AS (INSERT INTO winnow.rollup_hour AS r " \
    "    (bucket, client_id, metric, stream_id, shard, event_count, amount_sum) " \
    "  SELECT a.bucket, a.client_id, a.metric, $1, ($2::int4[])[1], a.event_count, a.amount_sum " \
    "  FROM added a ORDER BY 1, 2, 3 " \
    "  ON CONFLICT (bucket, client_id COLLATE \"C\", metric COLLATE \"C\", stream_id, shard) DO UPDATE " \
    "  SET event_count = r.event_count + excluded.event_count, " \
    "    amount_sum = r.amount_sum + excluded.amount_sum), " SQL_TOTALS \
    "buried AS (INSERT INTO winnow.dead_letter (stream_id, partition, message_offset, message_time, key, " \
    "    value, headers, reason, detail, sqlstate, client_id, bucket, event_hash) " \
    "  SELECT $1, d.* FROM unnest($26::int4[], $27::int8[], $28::timestamptz[], $29::bytea[], " \
    "    $30::bytea[], $31::bytea[], $32::text[], $33::text[], $34::text[], $35::text[], " \
    "    $36::timestamptz[], $37::uuid[]) AS d WHERE (SELECT ok FROM held)), " \
    "reasoned AS (INSERT INTO winnow.dead_letter_count AS n (stream_id, partition, reason, dead) " \
    "  SELECT $1, d.partition, d.reason, count(*) FROM unnest($26::int4[], $32::text[]) AS d " \
    "    (partition, reason) WHERE (SELECT ok FROM held) GROUP BY 2, 3 ORDER BY 2, 3 " \
    "  ON CONFLICT (stream_id, partition, reason) DO UPDATE SET dead = n.dead + excluded.dead), " \
    "counted AS (SELECT s.origin_partition AS partition, count(*) AS stored FROM " SQL_STORED \
    " GROUP BY 1), " \
    "fence AS (UPDATE winnow.processing_log l SET next_offset = p.next, tail_offset = p.next - 1, " \
    "  tail_fingerprint = p.fingerprint, counted_offset = p.next, stored = l.stored + p.stored, " \
    "  duplicate = l.duplicate + p.received - p.dead - p.stored, dead = l.dead + p.dead, " \
    "  updated_at = now() FROM (SELECT part.*, coalesce(c.stored, 0) AS stored " \
    "    FROM part LEFT JOIN counted c USING (partition)) AS p " \
    "  WHERE l.stream_id = $1 AND l.partition = p.partition AND (SELECT ok FROM held) " \
    "  RETURNING l.partition, l.stored, l.duplicate, l.dead, p.stored AS stored_now), " \
    "logged AS (INSERT INTO winnow.batch_log (stream_id, partition, start_offset, end_offset, epoch, " \
    "    received, stored, duplicate, dead, gap, lost) " \
    "  SELECT $1, p.partition, p.expected, p.next, p.epoch, p.received, coalesce(c.stored, 0), " \
    "    p.received - p.dead - coalesce(c.stored, 0), p.dead, " \
    "    p.next - p.expected - p.received - p.lost, p.lost " \
    "  FROM part p LEFT JOIN counted c USING (partition) WHERE (SELECT ok FROM held)) " \
    "SELECT partition, stored, duplicate, dead, stored_now FROM fence ORDER BY partition"

#endif
