-- What became of messages, added up for each partition by the statement that stores them: a worker that claims a partition
-- learns exactly how many there were before it, whoever died in between. The pool's /metrics shows these numbers.

-- Added up before the table is locked: workers may be running.
CREATE TEMPORARY TABLE outcome_sum ON COMMIT DROP AS
    SELECT stream_id, partition, max(end_offset) AS end_offset, sum(stored)::bigint AS stored,
        sum(duplicate)::bigint AS duplicate, sum(dead)::bigint AS dead
    FROM winnow.batch_log GROUP BY stream_id, partition;
CREATE TEMPORARY TABLE reason_sum ON COMMIT DROP AS
    SELECT d.stream_id, d.partition, d.reason, count(*) AS dead
    FROM winnow.dead_letter AS d JOIN outcome_sum AS s USING (stream_id, partition)
    WHERE d.message_offset < s.end_offset GROUP BY d.stream_id, d.partition, d.reason;

CREATE TABLE winnow.dead_letter_count (
    stream_id smallint NOT NULL,
    partition integer NOT NULL,
    reason    text NOT NULL,
    dead      bigint NOT NULL CHECK (dead > 0),
    PRIMARY KEY (stream_id, partition, reason)
) WITH (fillfactor = 50);
COMMENT ON TABLE winnow.dead_letter_count IS
    'Dead letters of a partition by reason, since its beginning. Written by the statement that stores them.';
COMMENT ON COLUMN winnow.dead_letter_count.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.dead_letter_count.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter_count.reason IS 'As in winnow.dead_letter.';
COMMENT ON COLUMN winnow.dead_letter_count.dead IS 'How many there were.';
INSERT INTO winnow.dead_letter_count SELECT stream_id, partition, reason, dead FROM reason_sum;

ALTER TABLE winnow.processing_log
    ADD COLUMN counted_offset bigint,
    ADD COLUMN stored bigint NOT NULL DEFAULT 0,
    ADD COLUMN duplicate bigint NOT NULL DEFAULT 0,
    ADD COLUMN dead bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN winnow.processing_log.counted_offset IS
    'Up to where stored, duplicate, dead and winnow.dead_letter_count have counted; null: nothing yet. Behind next_offset '
    'only after a winnow that did not count, until the next claim.';
COMMENT ON COLUMN winnow.processing_log.stored IS 'Messages that became events, since the beginning.';
COMMENT ON COLUMN winnow.processing_log.duplicate IS 'Messages whose event was stored already, since the beginning.';
COMMENT ON COLUMN winnow.processing_log.dead IS 'Messages that became dead letters, since the beginning.';
UPDATE winnow.processing_log AS l
    SET counted_offset = s.end_offset, stored = s.stored, duplicate = s.duplicate, dead = s.dead
    FROM outcome_sum AS s WHERE l.stream_id = s.stream_id AND l.partition = s.partition;

-- The rows are locked one by one in the order of partitions, as claims do it; each statement sees what was committed before.
CREATE FUNCTION winnow.count_outcomes(wanted_stream smallint, wanted_partitions integer[])
    RETURNS TABLE (of_partition integer, events bigint, duplicates bigint, dead_letters bigint, reasons text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    behind record;
BEGIN
    FOR behind IN
        SELECT l.partition, coalesce(l.counted_offset, l.start_offset) AS counted, l.next_offset
        FROM winnow.processing_log AS l
        WHERE l.stream_id = wanted_stream AND l.partition = ANY (wanted_partitions)
            AND l.counted_offset IS DISTINCT FROM l.next_offset
        ORDER BY l.partition FOR UPDATE
    LOOP
        UPDATE winnow.processing_log AS l
            SET counted_offset = l.next_offset, stored = l.stored + s.stored, duplicate = l.duplicate + s.duplicate,
                dead = l.dead + s.dead
            FROM (SELECT coalesce(sum(b.stored), 0)::bigint AS stored, coalesce(sum(b.duplicate), 0)::bigint AS duplicate,
                    coalesce(sum(b.dead), 0)::bigint AS dead
                FROM winnow.batch_log AS b
                WHERE b.stream_id = wanted_stream AND b.partition = behind.partition
                    AND b.start_offset >= behind.counted AND b.end_offset <= behind.next_offset) AS s
            WHERE l.stream_id = wanted_stream AND l.partition = behind.partition;
        INSERT INTO winnow.dead_letter_count AS c (stream_id, partition, reason, dead)
            SELECT wanted_stream, behind.partition, d.reason, count(*) FROM winnow.dead_letter AS d
            WHERE d.stream_id = wanted_stream AND d.partition = behind.partition
                AND d.message_offset >= behind.counted AND d.message_offset < behind.next_offset
            GROUP BY d.reason
            ON CONFLICT (stream_id, partition, reason) DO UPDATE SET dead = c.dead + excluded.dead;
    END LOOP;
    RETURN QUERY
        SELECT l.partition, l.stored, l.duplicate, l.dead,
            (SELECT string_agg(c.reason || '=' || c.dead, ' ') FROM winnow.dead_letter_count AS c
                WHERE c.stream_id = l.stream_id AND c.partition = l.partition)
        FROM winnow.processing_log AS l WHERE l.stream_id = wanted_stream AND l.partition = ANY (wanted_partitions);
END $$;
COMMENT ON FUNCTION winnow.count_outcomes(smallint, integer[]) IS
    'For a worker that has claimed the partitions: what became of their messages since the beginning, the dead letters by '
    'reason as "reason=count …". Counts first what a winnow that did not count has applied.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_privileges_before_outcome_counts;
COMMENT ON FUNCTION winnow.grant_privileges_before_outcome_counts() IS
    'Part of winnow.grant_privileges(): what the files before 000013 made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM winnow.grant_privileges_before_outcome_counts();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_worker') THEN
        GRANT SELECT, INSERT, UPDATE ON winnow.dead_letter_count TO winnow_worker;
        GRANT EXECUTE ON FUNCTION winnow.count_outcomes(smallint, integer[]) TO winnow_worker;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles of winnow where they are missing, and gives them their privileges in this database. Takes everything '
    'from PUBLIC. Run by winnow migrate; run it again, as the owner, when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
