-- What was skipped, read again, dropped or merged cannot be told without these tables.
DO $$ BEGIN
    IF EXISTS (SELECT FROM winnow.batch_log WHERE skipped > 0) OR EXISTS (SELECT FROM winnow.batch_log_superseded)
        OR EXISTS (SELECT FROM winnow.retention) OR EXISTS (SELECT FROM winnow.event_retired)
        OR EXISTS (SELECT FROM winnow.batch_log WHERE merged_from IS NOT NULL) THEN
        RAISE EXCEPTION 'offsets were skipped or read again, months were dropped, or rows of the account merged: without this the '
            'account would not add up, and events would not be found by their message';
    END IF;
END $$;
DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_privileges_before_steering() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

DROP VIEW analytics.dropped_months;
DROP VIEW analytics.completeness_verdict;
DROP VIEW analytics.completeness;
-- One row for each way in which a table contradicts another; workers keep this empty at every commit.
CREATE OR REPLACE FUNCTION winnow.account_violation()
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

CREATE OR REPLACE FUNCTION winnow.find_event_by_origin(
    wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS SETOF winnow.event LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stored_at timestamptz;
    ended_at  bigint;
BEGIN
    SELECT b.committed_at, b.end_offset INTO stored_at, ended_at FROM winnow.batch_log AS b
    WHERE b.stream_id = wanted_stream AND b.partition = wanted_partition AND b.start_offset <= wanted_offset
    ORDER BY b.start_offset DESC LIMIT 1;
    RETURN QUERY SELECT * FROM winnow.event AS e
        WHERE e.ingested_at = stored_at AND e.stream_id = wanted_stream AND e.origin_partition = wanted_partition
            AND e.origin_offset = wanted_offset
        LIMIT 1;
    IF NOT FOUND AND ended_at > wanted_offset IS NOT TRUE THEN
        RETURN QUERY SELECT * FROM winnow.event AS e
            WHERE e.stream_id = wanted_stream AND e.origin_partition = wanted_partition
                AND e.origin_offset = wanted_offset
            LIMIT 1;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION winnow.resume_partition(topic text, partition integer, consumer_group text DEFAULT 'winnow')
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

DROP FUNCTION winnow.merge_batches(smallint, integer, bigint, timestamptz, integer);
DROP FUNCTION winnow.drop_default_events(interval, integer);
DROP FUNCTION winnow.drop_retired_month();
DROP FUNCTION winnow.retire_event_month(date);
DROP FUNCTION winnow.retention_plan(interval);
DROP TABLE winnow.event_retired;
DROP TABLE winnow.retention;
DROP FUNCTION winnow.steer_partition(text, integer, text, text, bigint, bigint, boolean, boolean, text, text);
DROP FUNCTION winnow.supersede_account(bigint, smallint, integer, bigint);
DROP TABLE winnow.dead_letter_superseded;
DROP TABLE winnow.batch_log_superseded;
DROP TABLE winnow.steering;
COMMENT ON TABLE winnow.batch_log IS
    'The account of every batch: per partition, what became of the offsets from start_offset to before end_offset.';
COMMENT ON COLUMN winnow.processing_log.start_offset IS 'The first offset that was ever to be processed.';
ALTER TABLE winnow.batch_log
    DROP CONSTRAINT batch_log_width,
    DROP COLUMN merged_from,
    DROP COLUMN skipped,
    ADD CONSTRAINT batch_log_check1 CHECK (end_offset - start_offset = received + gap + lost);

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

DO $$ DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles
        WHERE rolname IN ('winnow_worker', 'winnow_operator', 'winnow_analyst', 'winnow_console') LOOP
        EXECUTE format('GRANT SELECT ON analytics.completeness, analytics.completeness_verdict TO %I', role_name);
    END LOOP;
END $$;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 11;
    END IF;
END $$;
