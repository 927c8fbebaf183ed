-- What operators ask and do: readable messages, the invariants, resuming a partition.

CREATE FUNCTION winnow.readable_text(content bytea)
    RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN convert_from(content, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION winnow.readable_text(bytea) IS
    'The bytes as text; null when they are not UTF-8 or hold a NUL, which text cannot.';

-- Each header: length of the name (four bytes, big-endian), name, length of the value (ffffffff: no value), value.
CREATE FUNCTION winnow.header_text(headers bytea)
    RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb := '{}';
    rest   bytea := headers;
    name   bytea;
    value  bytea;
    size   bigint;
BEGIN
    WHILE octet_length(rest) > 0 LOOP
        size := ('x' || encode(substr(rest, 1, 4), 'hex'))::bit(32)::bigint;
        IF octet_length(rest) < 8 + size THEN
            RETURN result || jsonb_build_object('(damaged)', encode(rest, 'hex'));
        END IF;
        name := substr(rest, 5, size::integer);
        rest := substr(rest, 5 + size::integer);
        size := ('x' || encode(substr(rest, 1, 4), 'hex'))::bit(32)::bigint;
        rest := substr(rest, 5);
        value := NULL;
        IF size <> 4294967295 THEN
            IF octet_length(rest) < size THEN
                RETURN result || jsonb_build_object('(damaged)', encode(rest, 'hex'));
            END IF;
            value := substr(rest, 1, size::integer);
            rest := substr(rest, 1 + size::integer);
        END IF;
        result := result || jsonb_build_object(
            coalesce(winnow.readable_text(name), encode(name, 'hex')),
            coalesce(winnow.readable_text(value), encode(value, 'hex')));
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION winnow.header_text(bytea) IS
    'A message''s headers, as winnow.dead_letter keeps them, as a JSON object: name to text, or null for a header '
    'without a value; what is not UTF-8 in hexadecimal digits. Of headers with the same name the last one shows.';

CREATE FUNCTION winnow.resume_partition(topic text, partition integer, consumer_group text DEFAULT 'winnow')
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    resumed_at bigint;
BEGIN
    UPDATE winnow.processing_log AS l
    SET state = 'running', halt_reason = NULL, halt_detail = NULL, tail_offset = NULL, tail_fingerprint = NULL,
        epoch = l.epoch + 1, updated_at = now()
    FROM winnow.stream AS s
    WHERE s.stream_id = l.stream_id AND s.topic = topic AND s.consumer_group = consumer_group
        AND l.partition = partition
    RETURNING l.next_offset INTO resumed_at;
    IF resumed_at IS NULL THEN
        RAISE EXCEPTION 'no partition % of topic "%" is known to consumer group "%"', partition, topic, consumer_group
            USING ERRCODE = 'no_data_found', HINT = 'See analytics.processing_status for those that are.';
    END IF;
    RETURN resumed_at;
END $$;
COMMENT ON FUNCTION winnow.resume_partition(text, integer, text) IS
    'For operators: lets a halted partition go on at its next offset, which is returned. The check that the topic is '
    'still the one read before is skipped once, so be sure that it is. Harmless on a running partition: its worker '
    'claims it again.';

-- One row for each way in which a table contradicts another; workers keep this empty at every commit.
CREATE FUNCTION winnow.invariant_violation()
    RETURNS TABLE (invariant text, stream text, partition integer, detail text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH progress AS (
    SELECT stream_id, partition, start_offset, next_offset FROM winnow.processing_log
), batch AS (
    SELECT b.*, lag(b.end_offset) OVER (PARTITION BY b.stream_id, b.partition ORDER BY b.start_offset, b.end_offset)
        AS previous_end
    FROM winnow.batch_log AS b
), account AS (
    SELECT stream_id, partition, sum(stored) AS stored, sum(dead) AS dead, max(end_offset) AS end_offset
    FROM winnow.batch_log GROUP BY stream_id, partition
), event AS (
    SELECT stream_id, origin_partition AS partition, count(*) AS events FROM winnow.event GROUP BY 1, 2
), letter AS (
    SELECT stream_id, partition, count(*) AS letters FROM winnow.dead_letter GROUP BY 1, 2
), recount AS (
    SELECT date_bin('1 hour', event_time, 'epoch') AS bucket, client_id, metric, stream_id,
        count(*) AS event_count, sum(amount) AS amount_sum
    FROM winnow.event GROUP BY 1, 2, 3, 4
), rollup AS (
    SELECT bucket, client_id, metric, stream_id, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM winnow.rollup_hour GROUP BY 1, 2, 3, 4
), violation AS (
    SELECT 'I1' AS invariant, b.stream_id, b.partition,
        format('a batch begins at %s, expected %s', b.start_offset, coalesce(b.previous_end, p.start_offset)) AS detail
    FROM batch AS b LEFT JOIN progress AS p USING (stream_id, partition)
    WHERE b.start_offset IS DISTINCT FROM coalesce(b.previous_end, p.start_offset)
UNION ALL
    SELECT 'I2', stream_id, partition,
        format('batch %s: received %s, but stored %s + duplicate %s + dead %s', start_offset, received, stored,
            duplicate, dead)
    FROM batch WHERE received <> stored + duplicate + dead
UNION ALL
    SELECT 'I3', stream_id, partition,
        format('%s events, but batches stored %s', coalesce(e.events, 0), coalesce(a.stored, 0))
    FROM event AS e FULL JOIN account AS a USING (stream_id, partition)
    WHERE coalesce(e.events, 0) <> coalesce(a.stored, 0)
UNION ALL
    SELECT 'I4', stream_id, NULL,
        format('hour %s, client %s, metric %s: %s events with sum %s, but rolled up %s with sum %s',
            to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), client_id, metric, coalesce(c.event_count, 0),
            coalesce(c.amount_sum, 0), coalesce(r.event_count, 0), coalesce(r.amount_sum, 0))
    FROM recount AS c FULL JOIN rollup AS r USING (bucket, client_id, metric, stream_id)
    WHERE c.event_count IS DISTINCT FROM r.event_count OR c.amount_sum IS DISTINCT FROM r.amount_sum
UNION ALL
    SELECT 'I5', stream_id, partition,
        format('%s dead letters, but batches counted %s', coalesce(l.letters, 0), coalesce(a.dead, 0))
    FROM letter AS l FULL JOIN account AS a USING (stream_id, partition)
    WHERE coalesce(l.letters, 0) <> coalesce(a.dead, 0)
UNION ALL
    SELECT 'I6', stream_id, partition,
        format('the next offset is %s, but the last batch ends at %s', p.next_offset,
            coalesce(a.end_offset, p.start_offset))
    FROM progress AS p FULL JOIN account AS a USING (stream_id, partition)
    WHERE p.next_offset IS DISTINCT FROM coalesce(a.end_offset, p.start_offset)
)
SELECT v.invariant, coalesce(s.consumer_group || '/' || s.topic, format('stream %s', v.stream_id)), v.partition, v.detail
FROM violation AS v LEFT JOIN winnow.stream AS s USING (stream_id)
ORDER BY 1, 2, 3, 4
$$;
COMMENT ON FUNCTION winnow.invariant_violation() IS
    'Empty when all is well. I1: batches tile the offsets. I2: received = stored + duplicate + dead. I3: events = sum of '
    'stored. I4: roll-ups = a recount of the events. I5: dead letters = sum of dead. I6: the next offset is the end of '
    'the last batch. Reads every table whole.';
