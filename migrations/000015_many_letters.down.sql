DROP INDEX winnow.dead_letter_superseded_sent;

DROP INDEX winnow.dead_letter_action_replay;
CREATE INDEX dead_letter_action_replay ON winnow.dead_letter_action (replay_id) WHERE replay_id IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_replay IS 'What one run of winnow dlq replay did.';

DROP INDEX winnow.dead_letter_action_sent;
CREATE INDEX dead_letter_action_sent ON winnow.dead_letter_action (stream_id, sent_partition, sent_offset)
    WHERE sent_offset IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_sent IS 'The retry that a message comes from.';

CREATE OR REPLACE FUNCTION winnow.count_attempts(wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS integer LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
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

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 15;
    END IF;
END $$;
