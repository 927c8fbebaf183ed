-- What analysts and operators read. Totals come from the hourly roll-ups, which the statement that stores the events
-- keeps exact, so that they cost the same however many events there are.
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Views of winnow for analysts and operators. All times are UTC.';

CREATE VIEW analytics.totals_by_client AS
SELECT
    client_id,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1;
COMMENT ON VIEW analytics.totals_by_client IS 'Events and amounts by client.';
COMMENT ON COLUMN analytics.totals_by_client.client_id IS 'Who sent the events.';
COMMENT ON COLUMN analytics.totals_by_client.event_count IS 'How many events, each counted once.';
COMMENT ON COLUMN analytics.totals_by_client.amount_sum IS 'Exact sum of their amounts.';

CREATE VIEW analytics.totals_by_metric AS
SELECT
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1;
COMMENT ON VIEW analytics.totals_by_metric IS 'Events and amounts by metric.';
COMMENT ON COLUMN analytics.totals_by_metric.metric IS 'What was measured.';
COMMENT ON COLUMN analytics.totals_by_metric.event_count IS 'How many events, each counted once.';
COMMENT ON COLUMN analytics.totals_by_metric.amount_sum IS 'Exact sum of their amounts.';

CREATE VIEW analytics.totals_by_client_metric AS
SELECT
    client_id,
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1, 2;
COMMENT ON VIEW analytics.totals_by_client_metric IS 'Events and amounts by client and metric.';
COMMENT ON COLUMN analytics.totals_by_client_metric.client_id IS 'Who sent the events.';
COMMENT ON COLUMN analytics.totals_by_client_metric.metric IS 'What was measured.';
COMMENT ON COLUMN analytics.totals_by_client_metric.event_count IS 'How many events, each counted once.';
COMMENT ON COLUMN analytics.totals_by_client_metric.amount_sum IS 'Exact sum of their amounts.';

CREATE VIEW analytics.totals_by_client_metric_hour AS
SELECT
    bucket AS hour,
    client_id,
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1, 2, 3;
COMMENT ON VIEW analytics.totals_by_client_metric_hour IS 'Events and amounts by client, metric and hour of the event.';
COMMENT ON COLUMN analytics.totals_by_client_metric_hour.hour IS 'Start of the hour of the events time.';
COMMENT ON COLUMN analytics.totals_by_client_metric_hour.client_id IS 'Who sent the events.';
COMMENT ON COLUMN analytics.totals_by_client_metric_hour.metric IS 'What was measured.';
COMMENT ON COLUMN analytics.totals_by_client_metric_hour.event_count IS 'How many events, each counted once.';
COMMENT ON COLUMN analytics.totals_by_client_metric_hour.amount_sum IS 'Exact sum of their amounts.';

CREATE VIEW analytics.totals_by_client_metric_day AS
SELECT
    (bucket AT TIME ZONE 'UTC')::date AS day,
    client_id,
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1, 2, 3;
COMMENT ON VIEW analytics.totals_by_client_metric_day IS 'Events and amounts by client, metric and day of the event.';
COMMENT ON COLUMN analytics.totals_by_client_metric_day.day IS 'Day of the event, UTC.';
COMMENT ON COLUMN analytics.totals_by_client_metric_day.client_id IS 'Who sent the events.';
COMMENT ON COLUMN analytics.totals_by_client_metric_day.metric IS 'What was measured.';
COMMENT ON COLUMN analytics.totals_by_client_metric_day.event_count IS 'How many events, each counted once.';
COMMENT ON COLUMN analytics.totals_by_client_metric_day.amount_sum IS 'Exact sum of their amounts.';

-- Read backwards along the key, so that no further index has to be kept: the latest days, within a day in no order.
CREATE VIEW analytics.events_recent AS
SELECT
    e.event_time,
    e.client_id,
    e.metric,
    e.amount,
    e.ingested_at,
    e.event_hash,
    s.topic,
    e.origin_partition,
    e.origin_offset
FROM (
    SELECT * FROM winnow.event
    WHERE bucket < now() + interval '1 day'
    ORDER BY bucket DESC, event_hash DESC
    LIMIT 1000
) AS e
JOIN winnow.stream AS s USING (stream_id)
ORDER BY e.event_time DESC, e.ingested_at DESC;
COMMENT ON VIEW analytics.events_recent IS
    'Up to 1,000 events of the latest days that have any, today the last one; newest first.';
COMMENT ON COLUMN analytics.events_recent.ingested_at IS 'When it was stored.';
COMMENT ON COLUMN analytics.events_recent.event_time IS 'When it happened.';
COMMENT ON COLUMN analytics.events_recent.client_id IS 'Who sent it.';
COMMENT ON COLUMN analytics.events_recent.metric IS 'What was measured.';
COMMENT ON COLUMN analytics.events_recent.amount IS 'How much, exactly.';
COMMENT ON COLUMN analytics.events_recent.event_hash IS 'Identity of the event.';
COMMENT ON COLUMN analytics.events_recent.topic IS 'Topic of the message it came from.';
COMMENT ON COLUMN analytics.events_recent.origin_partition IS 'Partition of that message.';
COMMENT ON COLUMN analytics.events_recent.origin_offset IS 'Offset of that message.';

CREATE VIEW analytics.failed_events AS
SELECT
    s.consumer_group,
    s.topic,
    d.partition,
    d.message_offset,
    d.failed_at,
    d.message_time,
    d.reason,
    d.detail,
    d.sqlstate,
    d.client_id,
    winnow.readable_text(d.key) AS key_text,
    winnow.readable_text(d.value) AS value_text,
    octet_length(d.value) AS value_bytes,
    winnow.header_text(d.headers) AS headers,
    d.event_hash,
    e.event_hash IS NOT NULL AS resolved,
    o.topic AS stored_topic,
    e.origin_partition AS stored_partition,
    e.origin_offset AS stored_offset,
    d.published_at,
    d.publish_attempts,
    d.publish_error
FROM winnow.dead_letter AS d
JOIN winnow.stream AS s USING (stream_id)
LEFT JOIN winnow.event AS e
    ON d.reason = 'database_rejected' AND e.bucket = d.bucket AND e.event_hash = d.event_hash
LEFT JOIN winnow.stream AS o ON o.stream_id = e.stream_id;
COMMENT ON VIEW analytics.failed_events IS
    'Dead letters, readable. A failure is resolved once the same event was stored, from another message.';
COMMENT ON COLUMN analytics.failed_events.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.failed_events.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.failed_events.partition IS 'Kafka partition.';
COMMENT ON COLUMN analytics.failed_events.message_offset IS 'Kafka offset of the message.';
COMMENT ON COLUMN analytics.failed_events.failed_at IS 'When it was written down.';
COMMENT ON COLUMN analytics.failed_events.message_time IS 'The message''s own timestamp.';
COMMENT ON COLUMN analytics.failed_events.reason IS 'Why, from a closed list.';
COMMENT ON COLUMN analytics.failed_events.detail IS 'Why, for a person.';
COMMENT ON COLUMN analytics.failed_events.sqlstate IS 'SQLSTATE of the database''s refusal; null for other reasons.';
COMMENT ON COLUMN analytics.failed_events.client_id IS 'Who sent it, when that much could be read.';
COMMENT ON COLUMN analytics.failed_events.key_text IS 'The message''s key; null when it has none or is not UTF-8.';
COMMENT ON COLUMN analytics.failed_events.value_text IS
    'The message''s value; null for a tombstone, or when it is not UTF-8.';
COMMENT ON COLUMN analytics.failed_events.value_bytes IS 'Length of the value in bytes; null for a tombstone.';
COMMENT ON COLUMN analytics.failed_events.headers IS
    'The headers: name to text, null for one without a value, hexadecimal when not UTF-8.';
COMMENT ON COLUMN analytics.failed_events.event_hash IS
    'Identity of the event that the database refused; null for other reasons.';
COMMENT ON COLUMN analytics.failed_events.resolved IS
    'True when the event that the database refused was stored later.';
COMMENT ON COLUMN analytics.failed_events.stored_topic IS 'Topic of the message it was then stored from.';
COMMENT ON COLUMN analytics.failed_events.stored_partition IS 'Partition of that message.';
COMMENT ON COLUMN analytics.failed_events.stored_offset IS 'Offset of that message.';
COMMENT ON COLUMN analytics.failed_events.published_at IS
    'When the dead-letter topic acknowledged it; null until then.';
COMMENT ON COLUMN analytics.failed_events.publish_attempts IS 'How often publishing failed.';
COMMENT ON COLUMN analytics.failed_events.publish_error IS 'Why publishing failed last.';

CREATE VIEW analytics.dead_letters_by_reason AS
SELECT
    s.consumer_group,
    s.topic,
    d.reason,
    count(*) AS message_count,
    count(*) FILTER (WHERE d.published_at IS NULL) AS unpublished,
    min(d.failed_at) AS first_failed_at,
    max(d.failed_at) AS last_failed_at
FROM winnow.dead_letter AS d
JOIN winnow.stream AS s USING (stream_id)
GROUP BY 1, 2, 3;
COMMENT ON VIEW analytics.dead_letters_by_reason IS 'How many messages failed, by reason.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.reason IS 'Why, from a closed list.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.message_count IS 'How many.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.unpublished IS
    'How many of them the dead-letter topic does not have yet.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.first_failed_at IS 'When the first one failed.';
COMMENT ON COLUMN analytics.dead_letters_by_reason.last_failed_at IS 'When the last one failed.';

CREATE VIEW analytics.ingest_rate_minute AS
SELECT
    date_trunc('minute', b.committed_at) AS minute,
    s.consumer_group,
    s.topic,
    count(*) AS batch_count,
    sum(b.received)::bigint AS received,
    sum(b.stored)::bigint AS stored,
    sum(b.duplicate)::bigint AS duplicate,
    sum(b.dead)::bigint AS dead
FROM winnow.batch_log AS b
JOIN winnow.stream AS s USING (stream_id)
WHERE b.committed_at > now() - interval '1 day'
GROUP BY 1, 2, 3;
COMMENT ON VIEW analytics.ingest_rate_minute IS 'What was processed in each minute of the last day.';
COMMENT ON COLUMN analytics.ingest_rate_minute.minute IS 'Start of the minute.';
COMMENT ON COLUMN analytics.ingest_rate_minute.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.ingest_rate_minute.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.ingest_rate_minute.batch_count IS 'Batches, counted per partition.';
COMMENT ON COLUMN analytics.ingest_rate_minute.received IS 'Messages read.';
COMMENT ON COLUMN analytics.ingest_rate_minute.stored IS 'Events that were new.';
COMMENT ON COLUMN analytics.ingest_rate_minute.duplicate IS 'Events that were stored already.';
COMMENT ON COLUMN analytics.ingest_rate_minute.dead IS 'Messages that became dead letters.';

CREATE VIEW analytics.processing_status AS
SELECT
    s.consumer_group,
    s.topic,
    p.partition,
    p.state,
    p.next_offset,
    p.epoch,
    p.owner,
    p.claimed_at,
    p.updated_at,
    p.halt_reason,
    p.halt_detail,
    coalesce(b.received, 0) AS received,
    coalesce(b.stored, 0) AS stored,
    coalesce(b.duplicate, 0) AS duplicate,
    coalesce(b.dead, 0) AS dead,
    coalesce(b.gap, 0) AS gap,
    coalesce(b.lost, 0) AS lost
FROM winnow.processing_log AS p
JOIN winnow.stream AS s USING (stream_id)
LEFT JOIN (
    SELECT
        stream_id,
        partition,
        sum(received)::bigint AS received,
        sum(stored)::bigint AS stored,
        sum(duplicate)::bigint AS duplicate,
        sum(dead)::bigint AS dead,
        sum(gap)::bigint AS gap,
        sum(lost)::bigint AS lost
    FROM winnow.batch_log
    GROUP BY 1, 2
) AS b USING (stream_id, partition);
COMMENT ON VIEW analytics.processing_status IS
    'How far each partition is, who has it, and what became of its messages.';
COMMENT ON COLUMN analytics.processing_status.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.processing_status.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.processing_status.partition IS 'Kafka partition.';
COMMENT ON COLUMN analytics.processing_status.state IS 'running or halted.';
COMMENT ON COLUMN analytics.processing_status.next_offset IS 'The next offset to process.';
COMMENT ON COLUMN analytics.processing_status.epoch IS 'Raised by every claim.';
COMMENT ON COLUMN analytics.processing_status.owner IS 'The worker that claimed it last.';
COMMENT ON COLUMN analytics.processing_status.claimed_at IS 'When that was.';
COMMENT ON COLUMN analytics.processing_status.updated_at IS 'When it last moved or changed.';
COMMENT ON COLUMN analytics.processing_status.halt_reason IS 'Why it is halted, in one word.';
COMMENT ON COLUMN analytics.processing_status.halt_detail IS
    'The same for a person; winnow.resume_partition() lets it go on.';
COMMENT ON COLUMN analytics.processing_status.received IS 'Messages read: stored + duplicate + dead.';
COMMENT ON COLUMN analytics.processing_status.stored IS 'Events that were new.';
COMMENT ON COLUMN analytics.processing_status.duplicate IS 'Events that were stored already.';
COMMENT ON COLUMN analytics.processing_status.dead IS 'Messages that became dead letters.';
COMMENT ON COLUMN analytics.processing_status.gap IS
    'Offsets at which the log holds no message (compaction, transaction markers).';
COMMENT ON COLUMN analytics.processing_status.lost IS 'Offsets that retention had removed before they could be read.';

CREATE VIEW analytics.completeness AS
SELECT
    s.consumer_group,
    s.topic,
    p.partition,
    p.start_offset,
    p.next_offset,
    p.next_offset - p.start_offset AS offsets_read,
    coalesce(b.stored, 0) AS stored,
    coalesce(b.duplicate, 0) AS duplicate,
    coalesce(b.dead, 0) AS dead,
    coalesce(b.gap, 0) AS gap,
    coalesce(b.lost, 0) AS lost,
    coalesce(d.letters, 0) AS dead_letters,
    p.next_offset - p.start_offset = coalesce(b.stored + b.duplicate + b.dead + b.gap + b.lost, 0)
        AND coalesce(b.tiled AND b.first_offset = p.start_offset, true)
        AND p.next_offset = coalesce(b.end_offset, p.start_offset)
        AND coalesce(b.dead, 0) = coalesce(d.letters, 0) AS complete
FROM winnow.processing_log AS p
JOIN winnow.stream AS s USING (stream_id)
LEFT JOIN (
    SELECT
        stream_id,
        partition,
        sum(stored)::bigint AS stored,
        sum(duplicate)::bigint AS duplicate,
        sum(dead)::bigint AS dead,
        sum(gap)::bigint AS gap,
        sum(lost)::bigint AS lost,
        min(start_offset) AS first_offset,
        max(end_offset) AS end_offset,
        bool_and(start_offset = coalesce(previous_end, start_offset)) AS tiled
    FROM (
        SELECT *, lag(end_offset) OVER (PARTITION BY stream_id, partition ORDER BY start_offset) AS previous_end
        FROM winnow.batch_log
    ) AS ordered
    GROUP BY 1, 2
) AS b USING (stream_id, partition)
LEFT JOIN (
    SELECT stream_id, partition, count(*) AS letters FROM winnow.dead_letter GROUP BY 1, 2
) AS d USING (stream_id, partition);
COMMENT ON VIEW analytics.completeness IS 'Whether every offset that was read is accounted for, per partition.';
COMMENT ON COLUMN analytics.completeness.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.completeness.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.completeness.partition IS 'Kafka partition.';
COMMENT ON COLUMN analytics.completeness.start_offset IS 'The first offset that was to be processed.';
COMMENT ON COLUMN analytics.completeness.next_offset IS 'The next offset to process.';
COMMENT ON COLUMN analytics.completeness.offsets_read IS 'next_offset - start_offset.';
COMMENT ON COLUMN analytics.completeness.stored IS 'Events that were new.';
COMMENT ON COLUMN analytics.completeness.duplicate IS 'Events that were stored already.';
COMMENT ON COLUMN analytics.completeness.dead IS 'Messages that became dead letters.';
COMMENT ON COLUMN analytics.completeness.gap IS
    'Offsets at which the log holds no message (compaction, transaction markers).';
COMMENT ON COLUMN analytics.completeness.lost IS 'Offsets that retention had removed before they could be read.';
COMMENT ON COLUMN analytics.completeness.dead_letters IS 'Rows of winnow.dead_letter; the same as dead.';
COMMENT ON COLUMN analytics.completeness.complete IS
    'True when stored + duplicate + dead + gap + lost = offsets_read, batches tile the offsets without hole or '
    'overlap, and each dead message has its dead letter.';

CREATE VIEW analytics.completeness_verdict AS
SELECT
    coalesce(bool_and(complete), true) AS complete,
    CASE
        WHEN count(*) = 0 THEN 'Nothing has been read yet.'
        WHEN bool_and(complete) THEN format(
            'Complete: %s offsets read in %s partitions = %s stored + %s duplicate + %s dead-lettered + %s gap + %s lost.',
            sum(offsets_read), count(*), sum(stored), sum(duplicate), sum(dead), sum(gap), sum(lost))
        ELSE format(
            'INCOMPLETE: %s of %s partitions do not add up, the first is %s/%s; see winnow.invariant_violation().',
            count(*) FILTER (WHERE NOT complete), count(*),
            (array_agg(topic ORDER BY topic, partition) FILTER (WHERE NOT complete))[1],
            (array_agg(partition ORDER BY topic, partition) FILTER (WHERE NOT complete))[1])
    END AS sentence
FROM analytics.completeness;
COMMENT ON VIEW analytics.completeness_verdict IS 'The verdict over all partitions, in one row.';
COMMENT ON COLUMN analytics.completeness_verdict.complete IS 'True when every partition is complete.';
COMMENT ON COLUMN analytics.completeness_verdict.sentence IS 'The same for a person, with the figures.';
