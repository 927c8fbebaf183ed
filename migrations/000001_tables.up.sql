-- Tables of winnow. Names are singular; every unique key on the hot path holds the time and the hash.
-- Small scale factors of autovacuum keep the visibility map and the freezing of these growing tables up to date.
CREATE SCHEMA IF NOT EXISTS winnow;

CREATE TABLE winnow.stream (
    stream_id      smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    cluster_id     text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer_group, topic)
);

CREATE TABLE winnow.processing_log (
    stream_id        smallint NOT NULL REFERENCES winnow.stream,
    partition        integer NOT NULL CHECK (partition >= 0),
    start_offset     bigint NOT NULL CHECK (start_offset >= 0),
    next_offset      bigint NOT NULL,
    epoch            bigint NOT NULL DEFAULT 0,
    owner            text,
    claimed_at       timestamptz,
    tail_offset      bigint,
    tail_fingerprint bytea,
    state            text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'halted')),
    halt_reason      text,
    halt_detail      text,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_id, partition),
    CHECK (next_offset >= start_offset),
    CHECK ((state = 'halted') = (halt_reason IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE winnow.event (
    bucket           timestamptz NOT NULL,
    event_time       timestamptz NOT NULL,
    ingested_at      timestamptz NOT NULL DEFAULT now(),
    origin_offset    bigint NOT NULL,
    event_hash       uuid NOT NULL,
    origin_partition integer NOT NULL,
    stream_id        smallint NOT NULL,
    client_id        text NOT NULL,
    metric           text NOT NULL,
    amount           numeric NOT NULL,
    PRIMARY KEY (bucket, event_hash)
) PARTITION BY RANGE (bucket);

CREATE TABLE winnow.event_default PARTITION OF winnow.event DEFAULT WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

CREATE TABLE winnow.batch_log (
    stream_id    smallint NOT NULL,
    partition    integer NOT NULL,
    start_offset bigint NOT NULL,
    end_offset   bigint NOT NULL,
    epoch        bigint NOT NULL,
    received     bigint NOT NULL,
    stored       bigint NOT NULL,
    duplicate    bigint NOT NULL,
    dead         bigint NOT NULL,
    gap          bigint NOT NULL DEFAULT 0,
    lost         bigint NOT NULL DEFAULT 0,
    committed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream_id, partition, start_offset),
    CHECK (received = stored + duplicate + dead),
    CHECK (end_offset - start_offset = received + gap + lost),
    CHECK (stored >= 0 AND duplicate >= 0 AND dead >= 0 AND gap >= 0 AND lost >= 0)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

CREATE TABLE winnow.dead_letter (
    stream_id           smallint NOT NULL,
    partition           integer NOT NULL,
    message_offset      bigint NOT NULL,
    message_time        timestamptz,
    key                 bytea,
    value               bytea,
    headers             bytea,
    reason              text NOT NULL,
    detail              text NOT NULL,
    sqlstate            text,
    client_id           text,
    bucket              timestamptz,
    event_hash          uuid,
    failed_at           timestamptz NOT NULL DEFAULT now(),
    published_at        timestamptz,
    publish_lease_until timestamptz,
    publish_attempts    integer NOT NULL DEFAULT 0,
    publish_error       text,
    PRIMARY KEY (stream_id, partition, message_offset),
    CONSTRAINT dead_letter_reason CHECK (reason IN (
        'empty', 'too_large', 'invalid_json', 'invalid_utf8', 'nul_character', 'too_deep', 'not_an_object',
        'unsupported_framing', 'client_id_missing', 'client_id_invalid', 'metric_missing', 'metric_invalid',
        'amount_invalid', 'amount_out_of_range', 'timestamp_invalid', 'timestamp_out_of_range',
        'idempotency_key_invalid', 'database_rejected', 'crashed_worker'))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

CREATE INDEX dead_letter_unpublished ON winnow.dead_letter (stream_id, failed_at) WHERE published_at IS NULL;

CREATE TABLE winnow.rollup_hour (
    bucket      timestamptz NOT NULL,
    client_id   text NOT NULL,
    metric      text NOT NULL,
    stream_id   smallint NOT NULL,
    shard       integer NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL,
    PRIMARY KEY (bucket, client_id, metric, stream_id, shard)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON SCHEMA winnow IS 'Tables and functions of winnow: events, progress, dead letters. Analysts read the schema analytics.';

COMMENT ON TABLE winnow.stream IS
    'A topic as one consumer group reads it. Other tables name it by its number.';
COMMENT ON COLUMN winnow.stream.stream_id IS 'Number of the stream in other tables.';
COMMENT ON COLUMN winnow.stream.consumer_group IS 'Kafka consumer group of the workers.';
COMMENT ON COLUMN winnow.stream.topic IS 'Kafka topic.';
COMMENT ON COLUMN winnow.stream.cluster_id IS
    'Id of the Kafka cluster that the topic was first read from. Another cluster is another log: workers halt.';
COMMENT ON COLUMN winnow.stream.created_at IS 'When the stream was first seen.';

COMMENT ON TABLE winnow.processing_log IS
    'How far each partition of a stream is processed: the only truth about progress, moved by the same statement that stores the events.';
COMMENT ON COLUMN winnow.processing_log.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.processing_log.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.processing_log.start_offset IS 'The first offset that was ever to be processed.';
COMMENT ON COLUMN winnow.processing_log.next_offset IS 'The next offset to process; all before it are accounted for.';
COMMENT ON COLUMN winnow.processing_log.epoch IS
    'Raised by every claim. A worker with an older epoch can change nothing any more.';
COMMENT ON COLUMN winnow.processing_log.owner IS 'The worker that claimed the partition last.';
COMMENT ON COLUMN winnow.processing_log.claimed_at IS 'When that was.';
COMMENT ON COLUMN winnow.processing_log.tail_offset IS 'Offset of the last message that was applied.';
COMMENT ON COLUMN winnow.processing_log.tail_fingerprint IS
    'Fingerprint of that message, by which a recreated or truncated topic is noticed.';
COMMENT ON COLUMN winnow.processing_log.state IS
    'running, or halted until an operator calls winnow.resume_partition().';
COMMENT ON COLUMN winnow.processing_log.halt_reason IS 'Why it is halted, in one word; null while running.';
COMMENT ON COLUMN winnow.processing_log.halt_detail IS 'The same for a person.';
COMMENT ON COLUMN winnow.processing_log.updated_at IS 'When the row last changed.';

COMMENT ON TABLE winnow.event IS
    'The clean events, each once. Partitioned by the month of the bucket.';
COMMENT ON COLUMN winnow.event.bucket IS
    'The events time cut to the granularity of deduplication, UTC; first part of the key.';
COMMENT ON COLUMN winnow.event.event_time IS 'When it happened, as the event says, UTC.';
COMMENT ON COLUMN winnow.event.ingested_at IS 'When it was stored.';
COMMENT ON COLUMN winnow.event.origin_offset IS 'Kafka offset of the message it came from.';
COMMENT ON COLUMN winnow.event.event_hash IS 'Identity of the event: a hash over client, metric, amount and bucket.';
COMMENT ON COLUMN winnow.event.origin_partition IS 'Kafka partition of the message it came from.';
COMMENT ON COLUMN winnow.event.stream_id IS 'Stream of the message it came from.';
COMMENT ON COLUMN winnow.event.client_id IS 'Who sent it.';
COMMENT ON COLUMN winnow.event.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.event.amount IS 'How much, exactly.';

COMMENT ON TABLE winnow.event_default IS
    'Events of months that have no partition of their own. Read winnow.event instead.';

COMMENT ON TABLE winnow.batch_log IS
    'The account of every batch: per partition, what became of the offsets from start_offset to before end_offset.';
COMMENT ON COLUMN winnow.batch_log.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.batch_log.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.batch_log.start_offset IS 'First offset of the batch.';
COMMENT ON COLUMN winnow.batch_log.end_offset IS 'Offset behind the last one.';
COMMENT ON COLUMN winnow.batch_log.epoch IS 'Epoch of the worker that wrote it.';
COMMENT ON COLUMN winnow.batch_log.received IS 'Messages read: stored + duplicate + dead.';
COMMENT ON COLUMN winnow.batch_log.stored IS 'Events that were new.';
COMMENT ON COLUMN winnow.batch_log.duplicate IS 'Events that were stored already.';
COMMENT ON COLUMN winnow.batch_log.dead IS 'Messages that became dead letters.';
COMMENT ON COLUMN winnow.batch_log.gap IS
    'Offsets at which the log holds no message (compaction, transaction markers).';
COMMENT ON COLUMN winnow.batch_log.lost IS 'Offsets that retention had removed before they could be read.';
COMMENT ON COLUMN winnow.batch_log.committed_at IS 'When it was written.';

COMMENT ON TABLE winnow.dead_letter IS
    'Messages that could not become events, one row an offset, kept as received.';
COMMENT ON COLUMN winnow.dead_letter.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.dead_letter.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter.message_offset IS 'Kafka offset.';
COMMENT ON COLUMN winnow.dead_letter.message_time IS 'The messages timestamp.';
COMMENT ON COLUMN winnow.dead_letter.key IS 'Its key as received; null when it has none.';
COMMENT ON COLUMN winnow.dead_letter.value IS 'Its value as received; null for a tombstone.';
COMMENT ON COLUMN winnow.dead_letter.headers IS 'Its headers; winnow.header_text() makes them readable.';
COMMENT ON COLUMN winnow.dead_letter.reason IS 'Why, from a closed list.';
COMMENT ON COLUMN winnow.dead_letter.detail IS 'Why, for a person: the rule, what was found, what was expected.';
COMMENT ON COLUMN winnow.dead_letter.sqlstate IS 'SQLSTATE of the databases refusal; null for other reasons.';
COMMENT ON COLUMN winnow.dead_letter.client_id IS 'Who sent it, when that much could be read.';
COMMENT ON COLUMN winnow.dead_letter.bucket IS 'Key of the event that the database refused; null otherwise.';
COMMENT ON COLUMN winnow.dead_letter.event_hash IS 'Key of the event that the database refused; null otherwise.';
COMMENT ON COLUMN winnow.dead_letter.failed_at IS 'When it was written down.';
COMMENT ON COLUMN winnow.dead_letter.published_at IS 'When the dead-letter topic acknowledged it; null until then.';
COMMENT ON COLUMN winnow.dead_letter.publish_lease_until IS 'Until then one publisher has it in hand.';
COMMENT ON COLUMN winnow.dead_letter.publish_attempts IS 'How often publishing failed.';
COMMENT ON COLUMN winnow.dead_letter.publish_error IS 'Why publishing failed last.';

COMMENT ON TABLE winnow.rollup_hour IS
    'Counts and sums of stored events by hour, client and metric; read analytics.totals_by_client_metric_hour instead.';
COMMENT ON COLUMN winnow.rollup_hour.bucket IS 'Start of the hour of the events time, UTC.';
COMMENT ON COLUMN winnow.rollup_hour.client_id IS 'Who sent the events.';
COMMENT ON COLUMN winnow.rollup_hour.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.rollup_hour.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.rollup_hour.shard IS 'Spreads writers over rows; add over all shards.';
COMMENT ON COLUMN winnow.rollup_hour.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.rollup_hour.amount_sum IS 'Exact sum of their amounts.';
