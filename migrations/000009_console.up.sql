-- What the console and the tools of operators need: indexes for the filters of people, what was done about dead
-- letters, and two roles, one that only reads and one that only writes down retries and discards.

-- Rows lie in the order in which they were stored, which is nearly that of their times. Two small indexes tell of so many
-- pages at a time which times they hold, and which names. A B-tree on time would take a fifth of the live rate, one on
-- client and time three tenths; these next to nothing, because pages are summarized later, by autovacuum.
CREATE INDEX event_by_time ON winnow.event USING brin (event_time, ingested_at) WITH (pages_per_range = 32);
COMMENT ON INDEX winnow.event_by_time IS
    'Where events of a time, or those of one batch, may lie. Of use as long as events arrive more or less in the order of '
    'their times.';
CREATE INDEX event_by_name ON winnow.event USING brin (
    event_time,
    client_id text_bloom_ops (n_distinct_per_range = 100),
    metric text_bloom_ops (n_distinct_per_range = 50),
    hashtextextended(client_id, hashtextextended(metric, 0)) int8_bloom_ops (n_distinct_per_range = 200)
) WITH (pages_per_range = 8);
COMMENT ON INDEX winnow.event_by_name IS 'Where events of a client, of a metric, or of both may lie.';

-- Autovacuum summarizes once in a minute or so, and who looks at the newest events would read all that came since. Only
-- the owner of an index may summarize it.
CREATE FUNCTION winnow.summarize_events()
    RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    summary    regclass;
    summarized integer := 0;
BEGIN
    FOR summary IN
        SELECT i.indexrelid FROM pg_inherits AS h JOIN pg_index AS i ON i.indrelid = h.inhrelid
        JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
        WHERE h.inhparent = 'winnow.event'::regclass AND a.amname = 'brin'
            AND pg_stat_get_ins_since_vacuum(h.inhrelid) > 0
    LOOP
        BEGIN
            summarized := summarized + brin_summarize_new_values(summary);
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- autovacuum is at work there, and summarizes too
        END;
    END LOOP;
    RETURN summarized;
END $$;
COMMENT ON FUNCTION winnow.summarize_events() IS
    'For the console: brings the indexes by which it finds new events up to date. Returns how many spans were added. Changes '
    'no data, and waits for nobody.';

-- Nothing may have come for a while: widens a span before `ends` until it holds an event, then halves the last step.
-- Without sequential scans, because the planner expects to find one soon, and begins with the oldest.
CREATE FUNCTION winnow.find_last_event(begins timestamptz, ends timestamptz, width interval)
    RETURNS timestamptz LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET enable_seqscan = off SET jit = off AS $$
DECLARE
    month       constant timestamptz := date_trunc('month', begins - interval '1 day');
    after_month constant timestamptz := date_trunc('month', ends) + interval '1 month';
    step        constant interval := greatest(width, interval '1 millisecond');
    none_from   timestamptz := ends; -- there is no event from here to `ends`
    some_from   timestamptz := ends - step; -- there is one, once the first loop has ended
    middle      timestamptz;
BEGIN
    WHILE some_from > begins AND NOT EXISTS (
        SELECT FROM winnow.event AS e
        WHERE e.event_time >= some_from AND e.event_time < none_from AND e.bucket >= month AND e.bucket < after_month)
    LOOP
        none_from := some_from;
        some_from := ends - 4 * (ends - some_from);
    END LOOP;
    WHILE none_from - some_from > step LOOP
        middle := some_from + (none_from - some_from) / 2;
        IF EXISTS (
            SELECT FROM winnow.event AS e
            WHERE e.event_time >= middle AND e.event_time < none_from AND e.bucket >= month AND e.bucket < after_month)
        THEN
            some_from := middle;
        ELSE
            none_from := middle;
        END IF;
    END LOOP;
    RETURN none_from;
END $$;
COMMENT ON FUNCTION winnow.find_last_event(timestamptz, timestamptz, interval) IS
    'Part of winnow.find_window(): a time at or after which no event is, as near as `width`, or a millisecond, behind one.';

-- Walks back from one hour with events to the next, each found by the roll-ups' key.
CREATE FUNCTION winnow.find_window(
    upper_time timestamptz, lower_time timestamptz, client text, metric_name text, wanted bigint, hours_most integer,
    OUT newest timestamptz, OUT begins timestamptz, OUT ends timestamptz, OUT matches bigint, OUT last_matches bigint, OUT is_all boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    hour timestamptz;
BEGIN
    begins := upper_time;
    ends := upper_time;
    matches := 0;
    last_matches := 0;
    is_all := client IS NOT NULL
            AND NOT EXISTS (SELECT FROM winnow.rollup_client AS c WHERE c.client_id COLLATE "C" = client)
        OR metric_name IS NOT NULL
            AND NOT EXISTS (SELECT FROM winnow.rollup_metric AS m WHERE m.metric COLLATE "C" = metric_name);
    IF is_all THEN
        RETURN;
    END IF;
    FOR step IN 1..hours_most LOOP
        SELECT r.bucket INTO hour FROM winnow.rollup_hour AS r
        WHERE r.bucket < begins AND r.bucket > lower_time - interval '1 hour'
        ORDER BY r.bucket DESC LIMIT 1;
        newest := coalesce(newest, least(upper_time, hour + interval '1 hour'));
        IF hour IS NULL THEN
            is_all := true;
            RETURN;
        END IF;
        IF metric_name IS NULL AND client IS NULL THEN
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r WHERE r.bucket = hour;
        ELSIF metric_name IS NULL THEN
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r
            WHERE r.bucket = hour AND r.client_id COLLATE "C" = client;
        ELSIF client IS NULL THEN
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r
            WHERE r.bucket = hour AND r.metric COLLATE "C" = metric_name;
        ELSE
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r
            WHERE r.bucket = hour AND r.client_id COLLATE "C" = client AND r.metric COLLATE "C" = metric_name;
        END IF;
        last_matches := coalesce(last_matches, 0);
        matches := matches + last_matches;
        begins := hour;
        ends := least(upper_time, hour + interval '1 hour',
            CASE WHEN hour <= now() AND hour > now() - interval '1 hour' THEN now() END);
        EXIT WHEN matches >= wanted;
    END LOOP;
    IF last_matches > 4 * wanted THEN
        hour := least(upper_time, begins + interval '1 hour'); -- its end
        IF ends < hour THEN -- events of the future may be there
            ends := winnow.find_last_event(ends, hour, hour - ends);
        END IF;
        ends := greatest(begins + interval '1 millisecond',
            winnow.find_last_event(begins, ends, wanted * (ends - begins) / last_matches));
        IF newest <= hour THEN
            newest := ends;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer) IS
    'For who wants the newest events before a time without sorting all: how far back so many events of a client and a '
    'metric (null: of any) reach. newest: there are none at or after it. begins: the full hour from which on there are `matches` of them; last_matches: those of '
    'that hour, which ends at `ends`, or has come so far (nearly). is_all: there are no others between the two times. Stops after '
    'hours_most hours that hold any events.';

CREATE INDEX dead_letter_recent ON winnow.dead_letter (failed_at, stream_id, partition, message_offset);
COMMENT ON INDEX winnow.dead_letter_recent IS 'Dead letters newest first.';
CREATE INDEX dead_letter_group ON winnow.dead_letter (reason, client_id COLLATE "C", failed_at);
COMMENT ON INDEX winnow.dead_letter_group IS 'Dead letters of one reason and client.';

-- A batch's rows carry the time of its transaction, and so does its account: that leads to the few rows among which
-- the wanted one is. When it is not among them, no event was stored from the message:
-- whatever merges rows of the account one day has to keep their time or to tell that it is gone.
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
COMMENT ON FUNCTION winnow.find_event_by_origin(smallint, integer, bigint) IS
    'The event stored from this message. Reads the table only when no batch is known to which the message belongs.';

CREATE TABLE winnow.dead_letter_action (
    action_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id      smallint NOT NULL,
    partition      integer NOT NULL,
    message_offset bigint NOT NULL,
    action         text NOT NULL CHECK (action IN ('retry', 'edited_retry', 'discard', 'undo')),
    acted_at       timestamptz NOT NULL DEFAULT now(),
    actor          text NOT NULL CHECK (actor <> ''),
    note           text CHECK (char_length(note) BETWEEN 1 AND 500),
    sent_partition integer CHECK (sent_partition >= 0),
    sent_offset    bigint CHECK (sent_offset >= 0),
    bucket         timestamptz,
    event_hash     uuid,
    error          text,
    FOREIGN KEY (stream_id, partition, message_offset) REFERENCES winnow.dead_letter ON DELETE CASCADE,
    CHECK (action <> 'discard' OR note IS NOT NULL),
    CHECK (action IN ('retry', 'edited_retry') OR num_nonnulls(sent_partition, sent_offset, bucket, event_hash, error) = 0),
    CHECK ((sent_partition IS NULL) = (sent_offset IS NULL)),
    CHECK ((bucket IS NULL) = (event_hash IS NULL))
);
CREATE INDEX dead_letter_action_of ON winnow.dead_letter_action (stream_id, partition, message_offset, action_id);
COMMENT ON INDEX winnow.dead_letter_action_of IS 'What was done about one dead letter.';

COMMENT ON TABLE winnow.dead_letter_action IS
    'What people did about dead letters: who sent which again, or put it aside, when and why. Rows are added and get, once, '
    'the outcome of the sending; nothing else of them changes.';
COMMENT ON COLUMN winnow.dead_letter_action.action_id IS 'Number of the action, in the order in which they were begun.';
COMMENT ON COLUMN winnow.dead_letter_action.stream_id IS 'Stream of the dead letter.';
COMMENT ON COLUMN winnow.dead_letter_action.partition IS 'Its Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter_action.message_offset IS 'Its Kafka offset.';
COMMENT ON COLUMN winnow.dead_letter_action.action IS
    'retry: sent again as it was; edited_retry: sent with another value; discard: put aside; undo: a discard taken back.';
COMMENT ON COLUMN winnow.dead_letter_action.acted_at IS 'When.';
COMMENT ON COLUMN winnow.dead_letter_action.actor IS 'Who.';
COMMENT ON COLUMN winnow.dead_letter_action.note IS 'Why, in the words of who did it.';
COMMENT ON COLUMN winnow.dead_letter_action.sent_partition IS
    'Partition of the same topic to which it was sent; null until Kafka has acknowledged it.';
COMMENT ON COLUMN winnow.dead_letter_action.sent_offset IS 'Its offset there.';
COMMENT ON COLUMN winnow.dead_letter_action.bucket IS
    'Key of the event that was sent; null when what was sent is no event.';
COMMENT ON COLUMN winnow.dead_letter_action.event_hash IS
    'Key of the event that was sent; null when what was sent is no event.';
COMMENT ON COLUMN winnow.dead_letter_action.error IS 'Why Kafka did not take it; null when it did, or has not answered.';

CREATE FUNCTION winnow.report_retries(fates jsonb)
    RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        UPDATE winnow.dead_letter_action AS a
        SET sent_partition = f.sent_partition, sent_offset = f.sent_offset, bucket = f.bucket, event_hash = f.event_hash,
            error = f.error
        FROM jsonb_to_recordset(fates) AS f (
            action_id bigint, sent_partition integer, sent_offset bigint, bucket timestamptz, event_hash uuid, error text)
        WHERE a.action_id = f.action_id AND a.action IN ('retry', 'edited_retry') AND a.sent_offset IS NULL
            AND a.error IS NULL
        RETURNING a.action_id)
    SELECT count(*) FROM told
$$;
COMMENT ON FUNCTION winnow.report_retries(jsonb) IS
    'Writes down where retries were sent, or why Kafka did not take them: an array of objects with action_id and either '
    'sent_partition and sent_offset, with bucket and event_hash when it is an event, or error. Only what is not told yet is '
    'filled in: returns for how many. With the privileges of its owner, so that nobody else needs to change an action.';

-- Resolved wins: the event is stored, whatever was done. Of the actions the last one counts. A retry that Kafka did not
-- take leaves the letter as it was, and so does one of which nothing is known after a minute: whoever began it is gone,
-- as Kafka's client tells within ten seconds. An event that is sent twice is stored once.
CREATE VIEW winnow.dead_letter_work AS
SELECT
    d.stream_id,
    d.partition,
    d.message_offset,
    d.message_time,
    d.key,
    d.value,
    d.headers,
    d.reason,
    d.detail,
    d.sqlstate,
    d.client_id,
    d.bucket,
    d.event_hash,
    d.failed_at,
    d.published_at,
    CASE
        WHEN e.event_hash IS NOT NULL THEN 'resolved'
        WHEN a.action = 'discard' THEN 'discarded'
        WHEN a.action IN ('retry', 'edited_retry') THEN 'retried'
        ELSE 'open'
    END AS state,
    a.action_id AS last_action_id,
    e.stream_id AS stored_stream_id,
    e.origin_partition AS stored_partition,
    e.origin_offset AS stored_offset
FROM winnow.dead_letter AS d
LEFT JOIN LATERAL (
    SELECT l.action_id, l.action
    FROM winnow.dead_letter_action AS l
    WHERE l.stream_id = d.stream_id AND l.partition = d.partition AND l.message_offset = d.message_offset
        AND l.error IS NULL
        AND (l.action NOT IN ('retry', 'edited_retry') OR l.sent_offset IS NOT NULL
            OR l.acted_at > now() - interval '1 minute')
        AND NOT (l.action = 'discard' AND EXISTS (
            SELECT FROM winnow.dead_letter_action AS u
            WHERE u.stream_id = l.stream_id AND u.partition = l.partition AND u.message_offset = l.message_offset
                AND u.action_id > l.action_id AND u.action = 'undo'))
        AND l.action <> 'undo'
    ORDER BY l.action_id DESC
    LIMIT 1
) AS a ON true
LEFT JOIN LATERAL (
    SELECT w.stream_id, w.origin_partition, w.origin_offset, w.event_hash
    FROM (
        SELECT d.bucket, d.event_hash WHERE d.event_hash IS NOT NULL
        UNION ALL
        SELECT r.bucket, r.event_hash
        FROM winnow.dead_letter_action AS r
        WHERE a.action_id IS NOT NULL AND r.stream_id = d.stream_id AND r.partition = d.partition
            AND r.message_offset = d.message_offset AND r.sent_offset IS NOT NULL AND r.event_hash IS NOT NULL
    ) AS k
    JOIN winnow.event AS w ON w.bucket = k.bucket AND w.event_hash = k.event_hash
    LIMIT 1
) AS e ON true;
COMMENT ON VIEW winnow.dead_letter_work IS 'Dead letters and what was done about them.';
COMMENT ON COLUMN winnow.dead_letter_work.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.dead_letter_work.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter_work.message_offset IS 'Kafka offset.';
COMMENT ON COLUMN winnow.dead_letter_work.message_time IS 'The message''s own timestamp.';
COMMENT ON COLUMN winnow.dead_letter_work.key IS 'Its key as received; null when it has none.';
COMMENT ON COLUMN winnow.dead_letter_work.value IS 'Its value as received; null for a tombstone.';
COMMENT ON COLUMN winnow.dead_letter_work.headers IS 'Its headers; winnow.header_text() makes them readable.';
COMMENT ON COLUMN winnow.dead_letter_work.reason IS 'Why, from a closed list.';
COMMENT ON COLUMN winnow.dead_letter_work.detail IS 'Why, for a person.';
COMMENT ON COLUMN winnow.dead_letter_work.sqlstate IS 'SQLSTATE of the database''s refusal; null for other reasons.';
COMMENT ON COLUMN winnow.dead_letter_work.client_id IS 'Who sent it, when that much could be read.';
COMMENT ON COLUMN winnow.dead_letter_work.bucket IS 'Key of the event that the database refused; null otherwise.';
COMMENT ON COLUMN winnow.dead_letter_work.event_hash IS 'Key of the event that the database refused; null otherwise.';
COMMENT ON COLUMN winnow.dead_letter_work.failed_at IS 'When it was written down.';
COMMENT ON COLUMN winnow.dead_letter_work.published_at IS 'When the dead-letter topic acknowledged it; null until then.';
COMMENT ON COLUMN winnow.dead_letter_work.state IS
    'open: nothing was done that holds; retried: sent again, or taken for that within the last minute, its event is not stored (yet); discarded: put aside; '
    'resolved: its event, or the one that was sent in its place, is stored.';
COMMENT ON COLUMN winnow.dead_letter_work.last_action_id IS 'The last action that holds; null when there is none.';
COMMENT ON COLUMN winnow.dead_letter_work.stored_stream_id IS 'Of a resolved one: stream of the message that its event is stored from.';
COMMENT ON COLUMN winnow.dead_letter_work.stored_partition IS 'Partition of that message.';
COMMENT ON COLUMN winnow.dead_letter_work.stored_offset IS 'Offset of that message.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_second_privileges;
COMMENT ON FUNCTION winnow.grant_second_privileges() IS 'Part of winnow.grant_privileges(): what the first eight files made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM winnow.grant_second_privileges();
    IF winnow.create_role('winnow_console', 'The console of winnow: reads, and writes nothing.') THEN
        GRANT USAGE ON SCHEMA winnow, analytics TO winnow_console;
        GRANT SELECT ON ALL TABLES IN SCHEMA winnow, analytics TO winnow_console;
        GRANT EXECUTE ON FUNCTION winnow.header_text(bytea), winnow.readable_text(bytea),
            winnow.summarize_events(),
            winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer),
            winnow.find_last_event(timestamptz, timestamptz, interval),
            winnow.find_event(uuid, timestamptz), winnow.find_event_by_origin(smallint, integer, bigint),
            analytics.message_state(text, integer, bigint, uuid, timestamptz, text) TO winnow_console;
    END IF;
    IF winnow.create_role('winnow_retry', 'The console of winnow: writes down retries and discards of dead letters.') THEN
        GRANT USAGE ON SCHEMA winnow TO winnow_retry;
        GRANT SELECT ON winnow.stream, winnow.dead_letter, winnow.dead_letter_action, winnow.dead_letter_work
            TO winnow_retry;
        GRANT INSERT (stream_id, partition, message_offset, action, actor, note) ON winnow.dead_letter_action
            TO winnow_retry;
        GRANT EXECUTE ON FUNCTION winnow.report_retries(jsonb) TO winnow_retry;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_operator') THEN
        GRANT INSERT (stream_id, partition, message_offset, action, actor, note) ON winnow.dead_letter_action
            TO winnow_operator;
        GRANT EXECUTE ON FUNCTION winnow.report_retries(jsonb) TO winnow_operator;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
