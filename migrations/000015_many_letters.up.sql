-- Dead letters by the hundred thousand, and attempts that outlive a move back.

-- With a condition that no query but the one for it implies. Before, whoever looked for what was sent in place of one letter
-- could be led here by old statistics, from which the index seemed empty, and read all that was ever sent for each letter.
DROP INDEX winnow.dead_letter_action_sent;
CREATE INDEX dead_letter_action_sent ON winnow.dead_letter_action (stream_id, sent_partition, sent_offset)
    WHERE sent_partition IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_sent IS 'The retry that a message comes from.';

DROP INDEX winnow.dead_letter_action_replay;
CREATE INDEX dead_letter_action_replay ON winnow.dead_letter_action (replay_id, action_id) WHERE replay_id IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_action_replay IS 'What one run of winnow dlq replay did, in its order.';

CREATE INDEX dead_letter_superseded_sent ON winnow.dead_letter_superseded USING gin (actions jsonb_path_ops)
    WHERE actions IS NOT NULL;
COMMENT ON INDEX winnow.dead_letter_superseded_sent IS 'The retry that a message comes from, when its dead letter was put aside.';

-- A message that was sent again and failed is a dead letter of its own; its attempts are those of the line it comes from.
-- A retry precedes the message that it sent, so that going back always ends. What was put aside because an operator had
-- the offsets read again counts too, unless they were those of another log. Each step looks up one place, by its
-- index however small the tables were when the session first asked; `+ 0` keeps it from reading all in their order.
CREATE OR REPLACE FUNCTION winnow.count_attempts(wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS integer LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    origin    record;
    before_id bigint := 9223372036854775807;
    attempts  integer := 0;
BEGIN
    LOOP
        attempts := attempts + (
            SELECT count(*) FROM winnow.dead_letter_action AS a
            WHERE a.stream_id = wanted_stream AND a.partition = wanted_partition AND a.message_offset = wanted_offset
                AND a.action_id < before_id AND a.action IN ('retry', 'edited_retry') AND a.error IS NULL
        ) + (
            SELECT count(*) FROM winnow.dead_letter_superseded AS s
            CROSS JOIN LATERAL jsonb_to_recordset(s.actions) AS a (action_id bigint, action text, error text)
            WHERE s.stream_id = wanted_stream AND s.partition = wanted_partition AND s.message_offset = wanted_offset
                AND a.action_id < before_id AND a.action IN ('retry', 'edited_retry') AND a.error IS NULL
                AND NOT EXISTS (
                    SELECT FROM winnow.steering AS t
                    WHERE t.stream_id = s.stream_id AND t.partition = s.partition AND t.steering_id >= s.steering_id
                        AND t.is_new_log));
        SELECT a.partition, a.message_offset, a.action_id INTO origin FROM winnow.dead_letter_action AS a
        WHERE a.stream_id = wanted_stream AND a.sent_partition = wanted_partition AND a.sent_offset = wanted_offset
            AND a.action_id + 1 < before_id
        ORDER BY a.action_id + 0 DESC LIMIT 1;
        IF NOT FOUND THEN
            SELECT s.partition, s.message_offset, a.action_id INTO origin FROM winnow.dead_letter_superseded AS s
            CROSS JOIN LATERAL jsonb_to_recordset(s.actions)
                AS a (action_id bigint, sent_partition integer, sent_offset bigint)
            WHERE s.stream_id = wanted_stream AND s.actions @> jsonb_build_array(
                    jsonb_build_object('sent_partition', wanted_partition, 'sent_offset', wanted_offset))
                AND a.sent_partition = wanted_partition AND a.sent_offset = wanted_offset AND a.action_id + 1 < before_id
                AND NOT EXISTS (
                    SELECT FROM winnow.steering AS t
                    WHERE t.stream_id = s.stream_id AND t.partition = wanted_partition AND t.steering_id >= s.steering_id
                        AND t.is_new_log)
            ORDER BY a.action_id + 0 DESC LIMIT 1;
        END IF;
        EXIT WHEN NOT FOUND;
        wanted_partition := origin.partition;
        wanted_offset := origin.message_offset;
        before_id := origin.action_id + 1;
    END LOOP;
    RETURN attempts;
END $$;
COMMENT ON FUNCTION winnow.count_attempts(smallint, integer, bigint) IS
    'How often a dead letter was sent again, and the dead letters before it that it comes from: a message that is sent again '
    'and fails again is a new one. Counts also what was done before an operator had its offset read again.';
