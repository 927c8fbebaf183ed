-- The state of one message. It is stored nowhere: it follows from the progress of the partition, the origin of the
-- event's row, and the dead letters.

-- The row of an event, by its hash. The bucket is the event's time cut to the granularity of deduplication, and all
-- there are are tried; without the time every partition has to be searched.
CREATE FUNCTION winnow.find_event(wanted_hash uuid, wanted_time timestamptz)
    RETURNS SETOF winnow.event LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    IF wanted_time IS NULL THEN
        RETURN QUERY SELECT * FROM winnow.event AS e WHERE e.event_hash = wanted_hash LIMIT 1;
    ELSE
        RETURN QUERY SELECT * FROM winnow.event AS e
            WHERE e.event_hash = wanted_hash AND e.bucket IN (
                date_trunc('day', wanted_time), date_trunc('hour', wanted_time), date_trunc('minute', wanted_time),
                date_trunc('second', wanted_time), wanted_time)
            LIMIT 1;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.find_event(uuid, timestamptz) IS
    'The stored event with this hash. Fast with the event''s time, a search through every partition without.';

CREATE FUNCTION winnow.find_event_by_origin(wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS SETOF winnow.event LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM winnow.event AS e
    WHERE e.stream_id = wanted_stream AND e.origin_partition = wanted_partition AND e.origin_offset = wanted_offset
    LIMIT 1
$$;
COMMENT ON FUNCTION winnow.find_event_by_origin(smallint, integer, bigint) IS
    'The event stored from this message. No index helps: reads the table.';

CREATE FUNCTION analytics.message_state(
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
