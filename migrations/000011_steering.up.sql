-- What operators do to the account: moving a partition's next offset, resuming it, dropping old months of events, merging
-- old rows of the account. Each is written down with who, when and why, and leaves the invariants as they are.
-- Workers of an older version may run meanwhile: what they write is not touched by it.

ALTER TABLE winnow.batch_log
    ADD COLUMN skipped bigint NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    ADD COLUMN merged_from timestamptz,
    DROP CONSTRAINT batch_log_check1,
    ADD CONSTRAINT batch_log_width CHECK (end_offset - start_offset = received + gap + lost + skipped);
COMMENT ON COLUMN winnow.batch_log.skipped IS 'Offsets that an operator passed over; see winnow.steering.';
COMMENT ON COLUMN winnow.batch_log.merged_from IS
    'Of a row that several batches were merged into: when the first of them was written, committed_at being the last; else null.';
COMMENT ON TABLE winnow.batch_log IS
    'The account of every batch: per partition, what became of the offsets from start_offset to before end_offset when they were '
    'read last. What an operator has had read again is in winnow.batch_log_superseded.';
COMMENT ON COLUMN winnow.processing_log.start_offset IS
    'The first offset that was ever to be processed of the log that is read now.';

CREATE TABLE winnow.steering (
    steering_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id    smallint NOT NULL REFERENCES winnow.stream,
    partition    integer NOT NULL,
    action       text NOT NULL CHECK (action IN ('resume', 'seek')),
    from_offset  bigint NOT NULL,
    to_offset    bigint NOT NULL,
    is_new_log   boolean NOT NULL,
    skipped      bigint NOT NULL CHECK (skipped >= 0),
    read_again   bigint NOT NULL CHECK (read_again >= 0),
    dead_letters bigint NOT NULL CHECK (dead_letters >= 0),
    epoch        bigint NOT NULL,
    halt_reason  text,
    steered_at   timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL CHECK (actor <> ''),
    note         text CHECK (char_length(note) BETWEEN 1 AND 500)
);
CREATE INDEX steering_of_partition ON winnow.steering (stream_id, partition, steering_id);
COMMENT ON INDEX winnow.steering_of_partition IS 'What was done to one partition.';
COMMENT ON TABLE winnow.steering IS 'What operators did to partitions, who, when and why. Rows are only added.';
COMMENT ON COLUMN winnow.steering.steering_id IS 'Number of the act, in their order.';
COMMENT ON COLUMN winnow.steering.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.steering.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.steering.action IS 'resume: a halted partition goes on; seek: the next offset is moved.';
COMMENT ON COLUMN winnow.steering.from_offset IS 'The next offset before.';
COMMENT ON COLUMN winnow.steering.to_offset IS 'The next offset after.';
COMMENT ON COLUMN winnow.steering.is_new_log IS
    'Whether the offsets are those of another log than before, so that the account of the partition begins anew.';
COMMENT ON COLUMN winnow.steering.skipped IS 'Offsets that are never read.';
COMMENT ON COLUMN winnow.steering.read_again IS 'Offsets that are read again.';
COMMENT ON COLUMN winnow.steering.dead_letters IS 'Dead letters that were moved to winnow.dead_letter_superseded.';
COMMENT ON COLUMN winnow.steering.epoch IS 'The epoch from then on: workers with an older one change nothing any more.';
COMMENT ON COLUMN winnow.steering.halt_reason IS 'What it was halted for, null when it was running.';
COMMENT ON COLUMN winnow.steering.steered_at IS 'When.';
COMMENT ON COLUMN winnow.steering.actor IS 'Who: as the tool tells, and the role of the database.';
COMMENT ON COLUMN winnow.steering.note IS 'Why, in the words of who did it.';

CREATE TABLE winnow.batch_log_superseded (
    steering_id  bigint NOT NULL REFERENCES winnow.steering,
    stream_id    smallint NOT NULL,
    partition    integer NOT NULL,
    start_offset bigint NOT NULL,
    end_offset   bigint NOT NULL,
    epoch        bigint NOT NULL,
    received     bigint NOT NULL,
    stored       bigint NOT NULL,
    duplicate    bigint NOT NULL,
    dead         bigint NOT NULL,
    gap          bigint NOT NULL,
    lost         bigint NOT NULL,
    skipped      bigint NOT NULL,
    committed_at timestamptz NOT NULL,
    merged_from  timestamptz
);
CREATE INDEX batch_log_superseded_of_offset ON winnow.batch_log_superseded (stream_id, partition, start_offset);
COMMENT ON INDEX winnow.batch_log_superseded_of_offset IS 'Earlier readings of an offset.';
COMMENT ON TABLE winnow.batch_log_superseded IS
    'Rows of winnow.batch_log whose offsets an operator has had read again. Events that were stored then are duplicates the '
    'second time, so that stored counts here and there add up to the events.';
COMMENT ON COLUMN winnow.batch_log_superseded.steering_id IS 'The act that moved the row here.';
COMMENT ON COLUMN winnow.batch_log_superseded.stream_id IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.partition IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.start_offset IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.end_offset IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.epoch IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.received IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.stored IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.duplicate IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.dead IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.gap IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.lost IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.skipped IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.committed_at IS 'As in winnow.batch_log.';
COMMENT ON COLUMN winnow.batch_log_superseded.merged_from IS 'As in winnow.batch_log.';

CREATE TABLE winnow.dead_letter_superseded (
    steering_id    bigint NOT NULL REFERENCES winnow.steering,
    stream_id      smallint NOT NULL,
    partition      integer NOT NULL,
    message_offset bigint NOT NULL,
    letter         jsonb NOT NULL,
    actions        jsonb
);
CREATE INDEX dead_letter_superseded_of_offset ON winnow.dead_letter_superseded (stream_id, partition, message_offset);
COMMENT ON INDEX winnow.dead_letter_superseded_of_offset IS 'Earlier dead letters of an offset.';
COMMENT ON TABLE winnow.dead_letter_superseded IS
    'Dead letters whose offsets an operator has had read again: the message is judged anew, and is a dead letter again if '
    'it still is none of ours.';
COMMENT ON COLUMN winnow.dead_letter_superseded.steering_id IS 'The act that moved it here.';
COMMENT ON COLUMN winnow.dead_letter_superseded.stream_id IS 'The stream.';
COMMENT ON COLUMN winnow.dead_letter_superseded.partition IS 'Kafka partition.';
COMMENT ON COLUMN winnow.dead_letter_superseded.message_offset IS 'Kafka offset.';
COMMENT ON COLUMN winnow.dead_letter_superseded.letter IS 'The row of winnow.dead_letter; bytes in hexadecimal digits.';
COMMENT ON COLUMN winnow.dead_letter_superseded.actions IS 'Its rows of winnow.dead_letter_action; null when nothing was done.';

CREATE FUNCTION winnow.supersede_account(act bigint, of_stream smallint, of_partition integer, from_offset bigint)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH moved AS (
        DELETE FROM winnow.batch_log AS b
        WHERE b.stream_id = of_stream AND b.partition = of_partition AND b.start_offset >= from_offset RETURNING b.*)
    INSERT INTO winnow.batch_log_superseded (steering_id, stream_id, partition, start_offset, end_offset, epoch, received,
        stored, duplicate, dead, gap, lost, skipped, committed_at, merged_from)
    SELECT act, m.stream_id, m.partition, m.start_offset, m.end_offset, m.epoch, m.received, m.stored, m.duplicate, m.dead, m.gap,
        m.lost, m.skipped, m.committed_at, m.merged_from FROM moved AS m;
    -- Whoever does something about a dead letter does it alone.
    SELECT pg_advisory_xact_lock(hashtextextended('winnow dead letters', of_stream));
    WITH moved AS (
        DELETE FROM winnow.dead_letter AS d
        WHERE d.stream_id = of_stream AND d.partition = of_partition AND d.message_offset >= from_offset RETURNING d.*)
    INSERT INTO winnow.dead_letter_superseded (steering_id, stream_id, partition, message_offset, letter, actions)
    SELECT act, m.stream_id, m.partition, m.message_offset, to_jsonb(m), (
        SELECT jsonb_agg(to_jsonb(a) ORDER BY a.action_id) FROM winnow.dead_letter_action AS a
        WHERE a.stream_id = m.stream_id AND a.partition = m.partition AND a.message_offset = m.message_offset)
    FROM moved AS m;
$$;
COMMENT ON FUNCTION winnow.supersede_account(bigint, smallint, integer, bigint) IS
    'Part of winnow.steer_partition(): moves the rows of the account from an offset on, and the dead letters, aside.';

-- Nobody merges rows of the account meanwhile. Then the row of progress is locked: a batch under way is in the account, or
-- will find another epoch.
CREATE FUNCTION winnow.steer_partition(
    topic text, partition integer, consumer_group text, action text, target bigint, lowest bigint, is_new_log boolean,
    is_dry boolean, actor text, note text,
    OUT from_offset bigint, OUT to_offset bigint, OUT skipped bigint, OUT read_again bigint, OUT dead_letters bigint,
    OUT unpublished bigint, OUT halt_reason text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    progress winnow.processing_log;
    across   winnow.batch_log; -- the row of the account that the target is inside of
    act      bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('winnow account', 0));
    SELECT l.* INTO progress FROM winnow.processing_log AS l JOIN winnow.stream AS s USING (stream_id)
    WHERE s.topic = topic AND s.consumer_group = consumer_group AND l.partition = partition FOR UPDATE OF l;
    IF progress.stream_id IS NULL THEN
        RAISE EXCEPTION 'no partition % of topic "%" is known to consumer group "%"', partition, topic, consumer_group
            USING ERRCODE = 'no_data_found', HINT = 'See analytics.processing_status for those that are.';
    END IF;
    IF action = 'resume' AND progress.state <> 'halted' AND target IS NOT NULL THEN
        RAISE EXCEPTION 'partition % of topic "%" is not halted: nothing is to be resumed', partition, topic
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'To move a running partition, use winnow seek.';
    END IF;
    from_offset := progress.next_offset;
    to_offset := coalesce(target, progress.next_offset);
    halt_reason := progress.halt_reason;
    IF to_offset < 0 OR NOT is_new_log AND to_offset < progress.start_offset THEN
        RAISE EXCEPTION 'offset % of partition % was never to be read: the group began at %', to_offset, partition,
            progress.start_offset USING ERRCODE = 'invalid_parameter_value',
            HINT = 'To read what is before it, use another group.';
    END IF;
    IF NOT is_new_log AND to_offset < from_offset THEN
        SELECT b.* INTO across FROM winnow.batch_log AS b
        WHERE b.stream_id = progress.stream_id AND b.partition = partition AND b.start_offset < to_offset
            AND b.end_offset > to_offset
        ORDER BY b.start_offset DESC LIMIT 1;
        IF across.received > 0 OR num_nonnulls(nullif(across.gap, 0), nullif(across.lost, 0), nullif(across.skipped, 0)) > 1 THEN
            -- What became of single messages of a batch is not known.
            to_offset := CASE WHEN across.start_offset < lowest THEN across.end_offset ELSE across.start_offset END;
        END IF;
    END IF;
    skipped := CASE WHEN is_new_log THEN 0 ELSE greatest(to_offset - from_offset, 0) END;
    read_again := CASE WHEN is_new_log THEN 0 ELSE greatest(from_offset - to_offset, 0) END;
    SELECT count(*), count(*) FILTER (WHERE d.published_at IS NULL) INTO dead_letters, unpublished
    FROM winnow.dead_letter AS d
    WHERE d.stream_id = progress.stream_id AND d.partition = partition
        AND (is_new_log OR read_again > 0 AND d.message_offset >= to_offset);
    IF is_dry THEN
        RETURN;
    END IF;

    INSERT INTO winnow.steering AS s (stream_id, partition, action, from_offset, to_offset, is_new_log, skipped, read_again,
        dead_letters, epoch, halt_reason, actor, note)
    VALUES (progress.stream_id, partition, action, from_offset, to_offset, is_new_log, skipped, read_again, dead_letters,
        progress.epoch + 1, halt_reason, coalesce(actor || ' as ', '') || session_user, note)
    RETURNING s.steering_id INTO act;
    IF is_new_log THEN
        PERFORM winnow.supersede_account(act, progress.stream_id, partition, 0);
    ELSIF read_again > 0 THEN
        PERFORM winnow.supersede_account(act, progress.stream_id, partition, to_offset);
        IF across.start_offset < to_offset THEN -- all of it is of one kind, so that each part is known
            UPDATE winnow.batch_log AS b
            SET end_offset = to_offset, gap = least(b.gap, to_offset - b.start_offset),
                lost = least(b.lost, to_offset - b.start_offset), skipped = least(b.skipped, to_offset - b.start_offset)
            WHERE b.stream_id = progress.stream_id AND b.partition = partition AND b.start_offset = across.start_offset;
        END IF;
    ELSIF skipped > 0 THEN
        INSERT INTO winnow.batch_log AS b (stream_id, partition, start_offset, end_offset, epoch, received, stored, duplicate,
            dead, skipped)
        VALUES (progress.stream_id, partition, from_offset, to_offset, progress.epoch + 1, 0, 0, 0, 0, skipped);
    END IF;
    UPDATE winnow.processing_log AS l
    SET next_offset = to_offset, start_offset = CASE WHEN is_new_log THEN to_offset ELSE l.start_offset END,
        epoch = l.epoch + 1, tail_offset = NULL, tail_fingerprint = NULL, updated_at = now(),
        state = CASE WHEN action = 'resume' THEN 'running' ELSE l.state END,
        halt_reason = CASE WHEN action = 'seek' THEN l.halt_reason END,
        halt_detail = CASE WHEN action = 'seek' THEN l.halt_detail END
    WHERE l.stream_id = progress.stream_id AND l.partition = partition;
    PERFORM pg_notify('winnow_steering', progress.stream_id::text);
END $$;
COMMENT ON FUNCTION winnow.steer_partition(text, integer, text, text, bigint, bigint, boolean, boolean, text, text) IS
    'For operators, by winnow seek and winnow resume: moves the next offset of a partition to `target` (null: it stays) and '
    'tells its worker, whose batches under an older epoch change nothing any more. Forward: the offsets in between are '
    'in the account as skipped. Back: their account and their dead letters are put aside, and they are read again, from the '
    'beginning of the batch that the target is in, or from its end if it begins before `lowest`, where the log begins. is_new_log: the offsets are those of another log (a topic that was '
    'recreated): the account begins anew. is_dry: changes nothing, and tells what would be done. The check that the topic '
    'is still the one read before is left out once.';

CREATE OR REPLACE FUNCTION winnow.resume_partition(topic text, partition integer, consumer_group text DEFAULT 'winnow')
    RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.to_offset FROM winnow.steer_partition(topic, partition, consumer_group, 'resume', NULL, NULL, false, false, NULL, NULL) AS s
$$;

CREATE TABLE winnow.retention (
    retention_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month        date NOT NULL CHECK (month = date_trunc('month', month::timestamp)::date),
    stream_id    smallint NOT NULL,
    partition    integer NOT NULL,
    event_count  bigint NOT NULL CHECK (event_count > 0),
    amount_sum   numeric NOT NULL,
    dropped_at   timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL CHECK (actor <> '')
);
CREATE INDEX retention_of_month ON winnow.retention (month, stream_id);
COMMENT ON INDEX winnow.retention_of_month IS 'What was dropped of a month.';
COMMENT ON TABLE winnow.retention IS
    'Events that were dropped because they were old, by month, stream and partition. The roll-ups still count them. An event '
    'of such a month that is sent again is stored again.';
COMMENT ON COLUMN winnow.retention.retention_id IS 'Number of the row; a month may be dropped more than once.';
COMMENT ON COLUMN winnow.retention.month IS 'Month of the events'' time, UTC.';
COMMENT ON COLUMN winnow.retention.stream_id IS 'Stream that they came from.';
COMMENT ON COLUMN winnow.retention.partition IS 'Kafka partition that they came from.';
COMMENT ON COLUMN winnow.retention.event_count IS 'How many.';
COMMENT ON COLUMN winnow.retention.amount_sum IS 'Exact sum of their amounts.';
COMMENT ON COLUMN winnow.retention.dropped_at IS 'When.';
COMMENT ON COLUMN winnow.retention.actor IS 'Who: the role of the database.';

CREATE TABLE winnow.event_retired (LIKE winnow.event);
COMMENT ON TABLE winnow.event_retired IS
    'Months that winnow retain has taken out of winnow.event and not yet counted and dropped: empty but for a moment, or '
    'after it was killed; the next run goes on.';
COMMENT ON COLUMN winnow.event_retired.bucket IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.event_time IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.ingested_at IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.origin_offset IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.event_hash IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.origin_partition IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.stream_id IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.client_id IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.metric IS 'As in winnow.event.';
COMMENT ON COLUMN winnow.event_retired.amount IS 'As in winnow.event.';

-- Whole months before it go. The roll-ups know how many events there are without reading them.
CREATE FUNCTION winnow.retention_plan(keep interval)
    RETURNS TABLE (month date, partition_name text, event_count bigint, amount_sum numeric)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    WITH cutoff AS (
        SELECT date_trunc('month', now() - keep)::date AS first_kept
    ), part AS (
        SELECT to_date(substr(c.relname, 8), 'YYYY"m"MM') AS month, c.relname::text AS name
        FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhrelid
        WHERE h.inhparent IN ('winnow.event'::regclass, 'winnow.event_retired'::regclass) AND c.relname ~ '^event_y\d{4}m\d\d$'
    ), total AS (
        SELECT date_trunc('month', r.bucket)::date AS month, sum(r.event_count)::bigint AS event_count, sum(r.amount_sum) AS amount_sum
        FROM winnow.rollup_hour AS r, cutoff WHERE r.bucket < cutoff.first_kept::timestamptz GROUP BY 1
    ), dropped AS (
        SELECT d.month, sum(d.event_count)::bigint AS event_count, sum(d.amount_sum) AS amount_sum
        FROM winnow.retention AS d GROUP BY 1
    )
    SELECT coalesce(t.month, p.month), p.name, coalesce(t.event_count, 0) - coalesce(d.event_count, 0),
        coalesce(t.amount_sum, 0) - coalesce(d.amount_sum, 0)
    FROM total AS t FULL JOIN part AS p USING (month) LEFT JOIN dropped AS d ON d.month = coalesce(t.month, p.month)
    CROSS JOIN cutoff
    WHERE coalesce(t.month, p.month) < cutoff.first_kept
        AND (p.name IS NOT NULL OR coalesce(t.event_count, 0) > coalesce(d.event_count, 0))
    ORDER BY 1
$$;
COMMENT ON FUNCTION winnow.retention_plan(interval) IS
    'The months that lie wholly before now less `keep` and hold events, or have a partition: what winnow retain would drop.';

-- First of all locks the table itself, so that nobody who holds it waits for us; then it takes a moment. Whoever must
-- wait longer than a second for it lets the others pass and tries again.
CREATE FUNCTION winnow.retire_event_month(month date)
    RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    name constant text := to_char(month, '"event_y"YYYY"m"MM');
BEGIN
    IF month >= date_trunc('month', now() - interval '1 month')::date THEN
        RAISE EXCEPTION 'month % is not over for a month yet', to_char(month, 'YYYY-MM') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = 'winnow.event'::regclass
        AND h.inhrelid = to_regclass(format('winnow.%I', name))) THEN
        RETURN false;
    END IF;
    LOCK TABLE winnow.event IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('ALTER TABLE winnow.event DETACH PARTITION winnow.%I', name);
    EXECUTE format('ALTER TABLE winnow.%I INHERIT winnow.event_retired', name);
    RETURN true;
END $$;
COMMENT ON FUNCTION winnow.retire_event_month(date) IS
    'Part of winnow retain: takes a month''s partition out of winnow.event. False when there is none.';

CREATE FUNCTION winnow.drop_retired_month(OUT month date, OUT event_count bigint, OUT amount_sum numeric)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '10s' AS $$
#variable_conflict use_variable
DECLARE
    name text;
BEGIN
    SELECT c.relname INTO name FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhrelid
    WHERE h.inhparent = 'winnow.event_retired'::regclass ORDER BY 1 LIMIT 1;
    IF name IS NULL THEN
        RETURN;
    END IF;
    month := to_date(substr(name, 8), 'YYYY"m"MM');
    EXECUTE format(
        'WITH written AS (INSERT INTO winnow.retention AS r (month, stream_id, partition, event_count, amount_sum, actor) '
        'SELECT %L, e.stream_id, e.origin_partition, count(*), sum(e.amount), session_user FROM winnow.%I AS e GROUP BY 2, 3 '
        'RETURNING r.event_count, r.amount_sum) '
        'SELECT coalesce(sum(w.event_count), 0)::bigint, coalesce(sum(w.amount_sum), 0) FROM written AS w', month, name)
    INTO event_count, amount_sum;
    EXECUTE format('DROP TABLE winnow.%I', name);
END $$;
COMMENT ON FUNCTION winnow.drop_retired_month() IS
    'Part of winnow retain: writes down what is in a month that was taken out, and drops it. Null when there is none.';

CREATE FUNCTION winnow.drop_default_events(keep interval, rows_most integer)
    RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    WITH chosen AS MATERIALIZED (
        SELECT e.ctid FROM winnow.event_default AS e
        WHERE e.bucket < date_trunc('month', now() - greatest(keep, interval '1 month')) LIMIT rows_most
    ), gone AS (
        DELETE FROM winnow.event_default AS e USING chosen AS c WHERE e.ctid = c.ctid
        RETURNING date_trunc('month', e.bucket)::date AS month, e.stream_id, e.origin_partition, e.amount
    ), written AS (
        INSERT INTO winnow.retention AS r (month, stream_id, partition, event_count, amount_sum, actor)
        SELECT g.month, g.stream_id, g.origin_partition, count(*), sum(g.amount), session_user FROM gone AS g GROUP BY 1, 2, 3
        RETURNING r.event_count
    )
    SELECT coalesce(sum(w.event_count), 0)::bigint FROM written AS w
$$;
COMMENT ON FUNCTION winnow.drop_default_events(interval, integer) IS
    'Part of winnow retain: drops up to so many old events that have no partition of their own, and writes it down. Returns '
    'how many.';

-- Neighbours of one day become one row, unless something was lost or skipped there: such a row stays as it is. The lock is
-- that of winnow.steer_partition(), in a statement of its own: the next one sees what was done under it.
CREATE FUNCTION winnow.merge_batches(
    of_stream smallint, of_partition integer, from_offset bigint, before timestamptz, rows_most integer,
    OUT next_from bigint, OUT removed bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('winnow account', 0));
    WITH taken AS MATERIALIZED (
        SELECT b.*, b.lost = 0 AND b.skipped = 0 AS plain, date_trunc('day', b.committed_at) AS day FROM winnow.batch_log AS b
        WHERE b.stream_id = of_stream AND b.partition = of_partition AND b.start_offset >= from_offset
            AND b.committed_at < least(before, now() - interval '1 day')
        ORDER BY b.start_offset LIMIT rows_most
    ), marked AS (
        SELECT t.*, NOT t.plain OR lag(t.plain) OVER w IS NOT TRUE OR lag(t.day) OVER w IS DISTINCT FROM t.day
            OR lag(t.end_offset) OVER w IS DISTINCT FROM t.start_offset AS begins
        FROM taken AS t WINDOW w AS (ORDER BY t.start_offset)
    ), numbered AS (
        SELECT m.*, count(*) FILTER (WHERE m.begins) OVER (ORDER BY m.start_offset) AS island FROM marked AS m
    ), merged AS (
        SELECT min(n.start_offset) AS start_offset, max(n.end_offset) AS end_offset, max(n.epoch) AS epoch,
            sum(n.received)::bigint AS received, sum(n.stored)::bigint AS stored, sum(n.duplicate)::bigint AS duplicate,
            sum(n.dead)::bigint AS dead, sum(n.gap)::bigint AS gap, max(n.committed_at) AS committed_at,
            min(coalesce(n.merged_from, n.committed_at)) AS merged_from, count(*) AS row_count
        FROM numbered AS n GROUP BY n.island
    ), gone AS (
        DELETE FROM winnow.batch_log AS b USING merged AS m
        WHERE m.row_count > 1 AND b.stream_id = of_stream AND b.partition = of_partition
            AND b.start_offset > m.start_offset AND b.start_offset < m.end_offset
        RETURNING b.start_offset
    ), widened AS (
        UPDATE winnow.batch_log AS b
        SET end_offset = m.end_offset, epoch = m.epoch, received = m.received, stored = m.stored, duplicate = m.duplicate,
            dead = m.dead, gap = m.gap, committed_at = m.committed_at, merged_from = m.merged_from
        FROM merged AS m
        WHERE m.row_count > 1 AND b.stream_id = of_stream AND b.partition = of_partition AND b.start_offset = m.start_offset
    )
    SELECT CASE WHEN (SELECT count(*) FROM taken) = rows_most THEN (SELECT max(m.start_offset) FROM merged AS m) END,
        (SELECT count(*) FROM gone)
$$;
COMMENT ON FUNCTION winnow.merge_batches(smallint, integer, bigint, timestamptz, integer) IS
    'Part of winnow retain: merges rows of the account that were written before a time, at least a day ago, up to so many in '
    'one go. Returns where to go on, null at the end, and how many rows there are fewer.';

-- A row that was merged tells from when to when its batches were written.
CREATE OR REPLACE FUNCTION winnow.find_event_by_origin(
    wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS SETOF winnow.event LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reading record;
    known   boolean := false;
BEGIN
    FOR reading IN
        (SELECT coalesce(b.merged_from, b.committed_at) AS first, b.committed_at AS last, b.end_offset FROM winnow.batch_log AS b
        WHERE b.stream_id = wanted_stream AND b.partition = wanted_partition AND b.start_offset <= wanted_offset
        ORDER BY b.start_offset DESC LIMIT 1)
        UNION ALL
        SELECT coalesce(b.merged_from, b.committed_at), b.committed_at, b.end_offset FROM winnow.batch_log_superseded AS b
        WHERE b.stream_id = wanted_stream AND b.partition = wanted_partition AND b.start_offset <= wanted_offset
            AND b.end_offset > wanted_offset
    LOOP
        CONTINUE WHEN reading.end_offset <= wanted_offset;
        known := true;
        RETURN QUERY SELECT * FROM winnow.event AS e
            WHERE e.ingested_at >= reading.first AND e.ingested_at <= reading.last AND e.stream_id = wanted_stream
                AND e.origin_partition = wanted_partition AND e.origin_offset = wanted_offset
            LIMIT 1;
        IF FOUND THEN
            RETURN;
        END IF;
    END LOOP;
    IF NOT known THEN
        RETURN QUERY SELECT * FROM winnow.event AS e
            WHERE e.stream_id = wanted_stream AND e.origin_partition = wanted_partition
                AND e.origin_offset = wanted_offset
            LIMIT 1;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION winnow.account_violation()
    RETURNS TABLE (invariant text, stream text, partition integer, detail text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
WITH progress AS (
    SELECT stream_id, partition, start_offset, next_offset FROM winnow.processing_log
), batch AS (
    SELECT b.*, lag(b.end_offset) OVER (PARTITION BY b.stream_id, b.partition ORDER BY b.start_offset, b.end_offset)
        AS previous_end
    FROM winnow.batch_log AS b
), account AS (
    SELECT stream_id, partition, sum(dead) AS dead, max(end_offset) AS end_offset
    FROM winnow.batch_log GROUP BY stream_id, partition
), reading AS (
    SELECT stream_id, partition, sum(stored) AS stored FROM (
        SELECT stream_id, partition, stored FROM winnow.batch_log
        UNION ALL SELECT stream_id, partition, stored FROM winnow.batch_log_superseded) AS b
    GROUP BY stream_id, partition
), held AS (
    SELECT stream_id, origin_partition AS partition, event_time, client_id, metric, amount FROM winnow.event
    UNION ALL SELECT stream_id, origin_partition, event_time, client_id, metric, amount FROM winnow.event_retired
), event AS (
    SELECT stream_id, partition, sum(events)::bigint AS events, sum(dropped)::bigint AS dropped FROM (
        SELECT stream_id, partition, count(*) AS events, 0 AS dropped FROM held GROUP BY 1, 2
        UNION ALL SELECT stream_id, partition, 0, sum(event_count) FROM winnow.retention GROUP BY 1, 2) AS e
    GROUP BY 1, 2
), letter AS (
    SELECT stream_id, partition, count(*) AS letters FROM winnow.dead_letter GROUP BY 1, 2
), recount AS (
    SELECT date_bin('1 hour', event_time, 'epoch') AS bucket, client_id, metric, stream_id,
        count(*) AS event_count, sum(amount) AS amount_sum
    FROM held GROUP BY 1, 2, 3, 4
), rollup AS (
    SELECT bucket, client_id, metric, stream_id, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM winnow.rollup_hour GROUP BY 1, 2, 3, 4
), dropped AS ( -- of these months the roll-ups are compared as a whole
    SELECT month, stream_id, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM winnow.retention GROUP BY 1, 2
), month_recount AS (
    SELECT d.month, d.stream_id, sum(c.event_count) AS event_count, sum(c.amount_sum) AS amount_sum
    FROM recount AS c JOIN dropped AS d ON d.stream_id = c.stream_id AND d.month = date_trunc('month', c.bucket)::date
    GROUP BY 1, 2
), month_rollup AS (
    SELECT d.month, d.stream_id, sum(r.event_count) AS event_count, sum(r.amount_sum) AS amount_sum
    FROM rollup AS r JOIN dropped AS d ON d.stream_id = r.stream_id AND d.month = date_trunc('month', r.bucket)::date
    GROUP BY 1, 2
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
        CASE WHEN coalesce(e.dropped, 0) = 0
            THEN format('%s events, but batches stored %s', coalesce(e.events, 0), coalesce(r.stored, 0))
            ELSE format('%s events and %s dropped ones, but batches stored %s', e.events, e.dropped, coalesce(r.stored, 0)) END
    FROM event AS e FULL JOIN reading AS r USING (stream_id, partition)
    WHERE coalesce(e.events + e.dropped, 0) <> coalesce(r.stored, 0)
UNION ALL
    SELECT 'I4', stream_id, NULL,
        format('hour %s, client %s, metric %s: %s events with sum %s, but rolled up %s with sum %s',
            to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), client_id, metric, coalesce(c.event_count, 0),
            coalesce(c.amount_sum, 0), coalesce(r.event_count, 0), coalesce(r.amount_sum, 0))
    FROM recount AS c FULL JOIN rollup AS r USING (bucket, client_id, metric, stream_id)
    WHERE (c.event_count IS DISTINCT FROM r.event_count OR c.amount_sum IS DISTINCT FROM r.amount_sum)
        AND (date_trunc('month', bucket)::date, stream_id) NOT IN (SELECT d.month, d.stream_id FROM dropped AS d)
UNION ALL
    SELECT 'I4', d.stream_id, NULL,
        format('month %s: %s events with sum %s and %s dropped ones with sum %s, but rolled up %s with sum %s',
            to_char(d.month, 'YYYY-MM'), coalesce(c.event_count, 0), coalesce(c.amount_sum, 0), d.event_count, d.amount_sum,
            coalesce(r.event_count, 0), coalesce(r.amount_sum, 0))
    FROM dropped AS d LEFT JOIN month_recount AS c USING (month, stream_id) LEFT JOIN month_rollup AS r USING (month, stream_id)
    WHERE coalesce(c.event_count, 0) + d.event_count IS DISTINCT FROM r.event_count
        OR coalesce(c.amount_sum, 0) + d.amount_sum IS DISTINCT FROM r.amount_sum
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

CREATE OR REPLACE VIEW analytics.completeness AS
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
    p.next_offset - p.start_offset = coalesce(b.stored + b.duplicate + b.dead + b.gap + b.lost + b.skipped, 0)
        AND coalesce(b.tiled AND b.first_offset = p.start_offset, true)
        AND p.next_offset = coalesce(b.end_offset, p.start_offset)
        AND coalesce(b.dead, 0) = coalesce(d.letters, 0) AS complete,
    coalesce(b.skipped, 0) AS skipped
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
        sum(skipped)::bigint AS skipped,
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
COMMENT ON COLUMN analytics.completeness.skipped IS 'Offsets that an operator passed over.';
COMMENT ON COLUMN analytics.completeness.complete IS
    'True when stored + duplicate + dead + gap + lost + skipped = offsets_read, batches tile the offsets without hole or '
    'overlap, and each dead message has its dead letter.';

CREATE OR REPLACE VIEW analytics.completeness_verdict AS
SELECT
    coalesce(bool_and(complete), true) AS complete,
    CASE
        WHEN count(*) = 0 THEN 'Nothing has been read yet.'
        WHEN bool_and(complete) THEN format(
            'Complete: %s offsets read in %s partitions = %s stored + %s duplicate + %s dead-lettered + %s gap + %s lost%s.',
            sum(offsets_read), count(*), sum(stored), sum(duplicate), sum(dead), sum(gap), sum(lost),
            CASE WHEN sum(skipped) > 0 THEN format(' + %s skipped', sum(skipped)) END)
        ELSE format(
            'INCOMPLETE: %s of %s partitions do not add up, the first is %s/%s; see winnow.invariant_violation().',
            count(*) FILTER (WHERE NOT complete), count(*),
            (array_agg(topic ORDER BY topic, partition) FILTER (WHERE NOT complete))[1],
            (array_agg(partition ORDER BY topic, partition) FILTER (WHERE NOT complete))[1])
    END AS sentence
FROM analytics.completeness;

CREATE VIEW analytics.dropped_months AS
SELECT
    r.month,
    s.consumer_group,
    s.topic,
    sum(r.event_count)::bigint AS event_count,
    sum(r.amount_sum) AS amount_sum,
    max(r.dropped_at) AS dropped_at
FROM winnow.retention AS r
JOIN winnow.stream AS s USING (stream_id)
GROUP BY 1, 2, 3;
COMMENT ON VIEW analytics.dropped_months IS
    'Months whose events are gone, because they were old. Totals still count them; an event of such a month that was sent '
    'again after that counts twice.';
COMMENT ON COLUMN analytics.dropped_months.month IS 'First day of the month.';
COMMENT ON COLUMN analytics.dropped_months.consumer_group IS 'Consumer group of the stream.';
COMMENT ON COLUMN analytics.dropped_months.topic IS 'Kafka topic.';
COMMENT ON COLUMN analytics.dropped_months.event_count IS 'How many events are gone.';
COMMENT ON COLUMN analytics.dropped_months.amount_sum IS 'Exact sum of their amounts.';
COMMENT ON COLUMN analytics.dropped_months.dropped_at IS 'When that was done last.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_privileges_before_steering;
COMMENT ON FUNCTION winnow.grant_privileges_before_steering() IS
    'Part of winnow.grant_privileges(): what the files before 000011 made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM winnow.grant_privileges_before_steering();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_operator') THEN
        GRANT EXECUTE ON FUNCTION
            winnow.steer_partition(text, integer, text, text, bigint, bigint, boolean, boolean, text, text),
            winnow.retention_plan(interval), winnow.retire_event_month(date), winnow.drop_retired_month(),
            winnow.drop_default_events(interval, integer),
            winnow.merge_batches(smallint, integer, bigint, timestamptz, integer) TO winnow_operator;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
