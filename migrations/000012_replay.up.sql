-- Replays of dead letters by `winnow dlq replay`: which run sent what, so that one that was killed can be finished
-- without sending anything twice, and how often a failure was sent again.

CREATE TABLE winnow.dead_letter_replay (
    replay_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id     smallint NOT NULL REFERENCES winnow.stream,
    token         uuid NOT NULL DEFAULT gen_random_uuid(),
    actor         text NOT NULL CHECK (actor <> ''),
    started_at    timestamptz NOT NULL DEFAULT now(),
    selection     text NOT NULL,
    begin_offsets bigint[] NOT NULL
);
COMMENT ON TABLE winnow.dead_letter_replay IS
    'Runs of winnow dlq replay. While a run lives, its session holds the advisory lock winnow.replay_lock(replay_id).';
COMMENT ON COLUMN winnow.dead_letter_replay.replay_id IS 'Number of the run.';
COMMENT ON COLUMN winnow.dead_letter_replay.stream_id IS 'Stream whose dead letters it sends.';
COMMENT ON COLUMN winnow.dead_letter_replay.token IS
    'Stands in the header winnow-replay of what it sends, with the number of the action: by it a later run finds in the topic '
    'what was sent and not written down. Nobody can guess it.';
COMMENT ON COLUMN winnow.dead_letter_replay.actor IS 'Who.';
COMMENT ON COLUMN winnow.dead_letter_replay.started_at IS 'When it began.';
COMMENT ON COLUMN winnow.dead_letter_replay.selection IS 'Which dead letters were asked for, in words.';
COMMENT ON COLUMN winnow.dead_letter_replay.begin_offsets IS
    'Where each partition of the topic ended when it began: what it sent lies behind.';

ALTER TABLE winnow.dead_letter_action ADD COLUMN replay_id bigint REFERENCES winnow.dead_letter_replay;
COMMENT ON COLUMN winnow.dead_letter_action.replay_id IS
    'The run of winnow dlq replay that did it; null for what the console did, and for what is no retry.';
CREATE INDEX dead_letter_action_replay ON winnow.dead_letter_action (replay_id) WHERE replay_id IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_replay IS 'What one run of winnow dlq replay did.';
CREATE INDEX dead_letter_action_in_doubt ON winnow.dead_letter_action (stream_id, partition, message_offset)
    WHERE replay_id IS NOT NULL AND sent_offset IS NULL AND error IS NULL;
COMMENT ON INDEX winnow.dead_letter_action_in_doubt IS 'Retries of which nobody has told yet whether they were sent.';
CREATE INDEX dead_letter_action_sent ON winnow.dead_letter_action (stream_id, sent_partition, sent_offset)
    WHERE sent_offset IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_sent IS 'The retry that a message comes from.';

CREATE FUNCTION winnow.replay_lock(wanted_replay bigint)
    RETURNS bigint LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT hashtextextended('winnow dlq replay ' || wanted_replay, 0)
$$;
COMMENT ON FUNCTION winnow.replay_lock(bigint) IS
    'Key of the advisory lock that the session of a run of winnow dlq replay holds as long as it lives.';

-- A message that was sent again and failed is a dead letter of its own; its attempts are those of the line it comes from.
-- A retry precedes the message that it sent, so that going back always ends.
CREATE FUNCTION winnow.count_attempts(wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS integer LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE line AS (
        SELECT wanted_partition AS partition, wanted_offset AS message_offset, 9223372036854775807 AS before_id
        UNION ALL
        SELECT a.partition, a.message_offset, a.action_id + 1
        FROM line AS l JOIN winnow.dead_letter_action AS a ON a.stream_id = wanted_stream
            AND a.sent_partition = l.partition AND a.sent_offset = l.message_offset AND a.action_id + 1 < l.before_id
    )
    SELECT count(*)::integer FROM line AS l JOIN winnow.dead_letter_action AS a
        ON a.stream_id = wanted_stream AND a.partition = l.partition AND a.message_offset = l.message_offset
        AND a.action_id < l.before_id
    WHERE a.action IN ('retry', 'edited_retry') AND a.error IS NULL
$$;
COMMENT ON FUNCTION winnow.count_attempts(smallint, integer, bigint) IS
    'How often a dead letter was sent again, and the dead letters before it that it comes from: a message that is sent again '
    'and fails again is a new one.';

CREATE VIEW winnow.dead_letter_retry AS
SELECT
    a.action_id,
    a.replay_id,
    a.stream_id,
    a.partition,
    a.message_offset,
    a.sent_partition,
    a.sent_offset,
    CASE
        WHEN a.error IS NOT NULL THEN 'refused'
        WHEN a.sent_offset IS NULL THEN 'in_doubt'
        WHEN l.next_offset IS NULL OR l.next_offset <= a.sent_offset THEN 'waiting'
        WHEN d.stream_id IS NOT NULL THEN 'failed'
        WHEN e.stream_id = a.stream_id AND e.origin_partition = a.sent_partition AND e.origin_offset = a.sent_offset
            THEN 'stored'
        WHEN e.stream_id IS NOT NULL THEN 'duplicate'
        ELSE 'unknown'
    END AS outcome
FROM winnow.dead_letter_action AS a
LEFT JOIN winnow.processing_log AS l ON l.stream_id = a.stream_id AND l.partition = a.sent_partition
LEFT JOIN winnow.dead_letter AS d
    ON d.stream_id = a.stream_id AND d.partition = a.sent_partition AND d.message_offset = a.sent_offset
LEFT JOIN winnow.event AS e ON e.bucket = a.bucket AND e.event_hash = a.event_hash
WHERE a.action IN ('retry', 'edited_retry');
COMMENT ON VIEW winnow.dead_letter_retry IS 'Retries of dead letters and what became of the messages that they sent.';
COMMENT ON COLUMN winnow.dead_letter_retry.action_id IS 'Number of the action.';
COMMENT ON COLUMN winnow.dead_letter_retry.replay_id IS 'The run of winnow dlq replay; null for the console''s retries.';
COMMENT ON COLUMN winnow.dead_letter_retry.stream_id IS 'Stream of the dead letter.';
COMMENT ON COLUMN winnow.dead_letter_retry.partition IS 'Its Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter_retry.message_offset IS 'Its Kafka offset.';
COMMENT ON COLUMN winnow.dead_letter_retry.sent_partition IS 'Partition to which it was sent.';
COMMENT ON COLUMN winnow.dead_letter_retry.sent_offset IS 'Its offset there.';
COMMENT ON COLUMN winnow.dead_letter_retry.outcome IS
    'refused: Kafka did not take it; in_doubt: it is not known whether it was sent; waiting: no worker has come that far; '
    'stored: the event comes from this message; duplicate: the event is stored from another message; failed: it is a dead '
    'letter again; unknown: no event is stored (removed since, or changed on its way).';

-- A failure is resolved when its event is stored, or the one that was sent in its place.
CREATE OR REPLACE VIEW analytics.failed_events AS
SELECT
    s.consumer_group,
    s.topic,
    w.partition,
    w.message_offset,
    w.failed_at,
    w.message_time,
    w.reason,
    w.detail,
    w.sqlstate,
    w.client_id,
    winnow.readable_text(w.key) AS key_text,
    winnow.readable_text(w.value) AS value_text,
    octet_length(w.value) AS value_bytes,
    winnow.header_text(w.headers) AS headers,
    w.event_hash,
    w.state = 'resolved' AS resolved,
    o.topic AS stored_topic,
    w.stored_partition,
    w.stored_offset,
    w.published_at,
    d.publish_attempts,
    d.publish_error,
    w.state
FROM winnow.dead_letter_work AS w
JOIN winnow.dead_letter AS d USING (stream_id, partition, message_offset)
JOIN winnow.stream AS s USING (stream_id)
LEFT JOIN winnow.stream AS o ON o.stream_id = w.stored_stream_id;
COMMENT ON VIEW analytics.failed_events IS
    'Dead letters, readable. A failure is resolved once its event, or the one that was sent in its place, is stored.';
COMMENT ON COLUMN analytics.failed_events.resolved IS
    'True when the event that failed, or the one that was sent in its place, was stored later.';
COMMENT ON COLUMN analytics.failed_events.state IS
    'open: nothing was done that holds; retried: sent again, not stored (yet); discarded: put aside; resolved.';

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
        SELECT w.state = 'resolved', s.topic, w.stored_partition, w.stored_offset
        INTO resolved, duplicate_of_topic, duplicate_of_partition, duplicate_of_offset
        FROM winnow.dead_letter_work AS w LEFT JOIN winnow.stream AS s ON s.stream_id = w.stored_stream_id
        WHERE w.stream_id = progress.stream_id AND w.partition = partition AND w.message_offset = message_offset;
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
            WHEN batch.skipped > 0 THEN 'an operator passed over the offset; see winnow.steering'
            WHEN event_hash IS NOT NULL THEN 'the offset was processed, but no event with this hash and time is stored'
            WHEN state = 'duplicate' THEN 'no event was stored from this message; its hash tells of which it is one'
            ELSE 'the log held no message at this offset, or retention removed the event' END;
    END IF;
    IF state = 'duplicate' AND event.stream_id IS NOT NULL THEN
        SELECT s.topic INTO duplicate_of_topic FROM winnow.stream AS s WHERE s.stream_id = event.stream_id;
        duplicate_of_partition := event.origin_partition;
        duplicate_of_offset := event.origin_offset;
    END IF;
END $$;
COMMENT ON FUNCTION analytics.message_state(text, integer, bigint, uuid, timestamptz, text) IS
    'What became of a message. state: not_seen (not read by this consumer group, or nothing to read there), processing '
    '(its partition has a worker that is not past it yet), completed (its event is stored), duplicate (its event had been '
    'stored from the message in duplicate_of_…), failed (a dead letter: reason and detail; resolved when its event, or '
    'the one that was sent in its place, was stored later, from the message in duplicate_of_…). `winnow explain --json` tells hash and '
    'time of an event; with both the answer is fast. With the hash alone every partition is searched; without it, the '
    'events are searched for one from this message, and a duplicate''s original stays unknown.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_privileges_before_replay;
COMMENT ON FUNCTION winnow.grant_privileges_before_replay() IS
    'Part of winnow.grant_privileges(): what the files before 000012 made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_name text;
BEGIN
    PERFORM winnow.grant_privileges_before_replay();
    FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('winnow_operator', 'winnow_retry') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA winnow, analytics TO %I', role_name);
        EXECUTE format('GRANT SELECT ON winnow.dead_letter_replay, winnow.dead_letter_retry, winnow.processing_log TO %I',
            role_name);
        EXECUTE format('GRANT INSERT (stream_id, actor, selection, begin_offsets) ON winnow.dead_letter_replay TO %I',
            role_name);
        EXECUTE format('GRANT INSERT (replay_id) ON winnow.dead_letter_action TO %I', role_name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION winnow.replay_lock(bigint), '
            'winnow.count_attempts(smallint, integer, bigint), winnow.header_text(bytea), winnow.readable_text(bytea), '
            'analytics.message_state(text, integer, bigint, uuid, timestamptz, text) TO %I', role_name);
    END LOOP;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
