DO $$ DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('winnow_operator', 'winnow_retry') LOOP
        EXECUTE format('REVOKE INSERT (replay_id) ON winnow.dead_letter_action FROM %I', role_name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_retry') THEN
        REVOKE SELECT ON winnow.processing_log FROM winnow_retry;
        REVOKE EXECUTE ON FUNCTION winnow.header_text(bytea), winnow.readable_text(bytea),
            analytics.message_state(text, integer, bigint, uuid, timestamptz, text) FROM winnow_retry;
        REVOKE USAGE ON SCHEMA analytics FROM winnow_retry;
    END IF;
END $$;
DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_privileges_before_replay() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

CREATE OR REPLACE FUNCTION analytics.message_state(
    topic text, partition integer, message_offset bigint, event_hash uuid DEFAULT NULL,
    event_time timestamptz DEFAULT NULL, consumer_group text DEFAULT 'winnow',
    OUT state text, OUT duplicate_of_topic text, OUT duplicate_of_partition integer, OUT duplicate_of_offset bigint,
    OUT reason text, OUT detail text, OUT resolved boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    progress winnow.processing_log;
    letter   winnow.dead_letter;
    event    winnow.event;
    batch    winnow.batch_log;
BEGIN
    SELECT l.* INTO progress FROM winnow.processing_log AS l JOIN winnow.stream AS s USING (stream_id)
    WHERE s.topic = topic AND s.consumer_group = consumer_group AND l.partition = partition;

    IF progress.stream_id IS NULL OR message_offset < progress.start_offset THEN
        state := 'not_seen';
        detail := CASE WHEN progress.stream_id IS NULL THEN 'this consumer group never had the partition'
            ELSE format('the consumer group began at offset %s', progress.start_offset) END;
        RETURN;
    END IF;
    IF message_offset >= progress.next_offset THEN
        state := CASE WHEN progress.state = 'running' AND progress.owner IS NOT NULL THEN 'processing'
            ELSE 'not_seen' END;
        detail := CASE WHEN progress.state = 'halted' THEN 'the partition is halted: ' || progress.halt_reason END;
        RETURN;
    END IF;

    SELECT d.* INTO letter FROM winnow.dead_letter AS d
    WHERE d.stream_id = progress.stream_id AND d.partition = partition AND d.message_offset = message_offset;
    IF letter.stream_id IS NOT NULL THEN
        state := 'failed';
        reason := letter.reason;
        detail := letter.detail;
        IF letter.reason = 'database_rejected' THEN
            SELECT e.* INTO event FROM winnow.event AS e
            WHERE e.bucket = letter.bucket AND e.event_hash = letter.event_hash;
        END IF;
        resolved := event.event_hash IS NOT NULL;
    ELSIF event_hash IS NOT NULL THEN
        SELECT e.* INTO event FROM winnow.find_event(event_hash, event_time) AS e;
        state := CASE WHEN event.stream_id = progress.stream_id AND event.origin_partition = partition
            AND event.origin_offset = message_offset THEN 'completed'
            WHEN event.event_hash IS NOT NULL THEN 'duplicate' END;
    ELSE
        SELECT e.* INTO event FROM winnow.find_event_by_origin(progress.stream_id, partition, message_offset) AS e;
        state := CASE WHEN event.event_hash IS NOT NULL THEN 'completed' END;
    END IF;

    IF state IS NULL THEN
        SELECT b.* INTO batch FROM winnow.batch_log AS b
        WHERE b.stream_id = progress.stream_id AND b.partition = partition AND b.start_offset <= message_offset
        ORDER BY b.start_offset DESC LIMIT 1;
        state := CASE WHEN event_hash IS NULL AND batch.duplicate > 0 THEN 'duplicate' ELSE 'not_seen' END;
        detail := CASE
            WHEN event_hash IS NOT NULL THEN 'the offset was processed, but no event with this hash and time is stored'
            WHEN state = 'duplicate' THEN 'no event was stored from this message; its hash tells of which it is one'
            ELSE 'the log held no message at this offset, or retention removed the event' END;
    END IF;
    IF state IN ('duplicate', 'failed') AND event.stream_id IS NOT NULL THEN
        SELECT s.topic INTO duplicate_of_topic FROM winnow.stream AS s WHERE s.stream_id = event.stream_id;
        duplicate_of_partition := event.origin_partition;
        duplicate_of_offset := event.origin_offset;
    END IF;
END $$;
COMMENT ON FUNCTION analytics.message_state(text, integer, bigint, uuid, timestamptz, text) IS
    'What became of a message. state: not_seen (not read by this consumer group, or nothing to read there), processing '
    '(its partition has a worker that is not past it yet), completed (its event is stored), duplicate (its event had been '
    'stored from the message in duplicate_of_…), failed (a dead letter: reason and detail; resolved when the event that '
    'the database refused was stored later, from the message in duplicate_of_…). `winnow explain --json` tells hash and '
    'time of an event; with both the answer is fast. With the hash alone every partition is searched; without it, the '
    'events are searched for one from this message, and a duplicate''s original stays unknown.';

DROP VIEW analytics.failed_events;
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

DO $$ DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles
        WHERE rolname IN ('winnow_worker', 'winnow_operator', 'winnow_analyst', 'winnow_console') LOOP
        EXECUTE format('GRANT SELECT ON analytics.failed_events TO %I', role_name);
    END LOOP;
END $$;

DROP VIEW winnow.dead_letter_retry;
DROP FUNCTION winnow.count_attempts(smallint, integer, bigint);
DROP FUNCTION winnow.replay_lock(bigint);
DROP INDEX winnow.dead_letter_action_sent;
DROP INDEX winnow.dead_letter_action_in_doubt;
ALTER TABLE winnow.dead_letter_action DROP COLUMN replay_id;
DROP TABLE winnow.dead_letter_replay;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 12;
    END IF;
END $$;
