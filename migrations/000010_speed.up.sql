-- What keeps the console quick at many millions of rows: the newest event is found where it lies, summaries that were
-- broken off are mended, and totals by day answer what would have to add up a million rows of totals by the hour.

-- ---- pages ------------------------------------------------------------------------------------------------------

-- The newest event is most often among those stored last. When nothing newer lies behind it, two looks were enough;
-- otherwise a span before `ends` is widened until it holds an event, and its last step halved. Without sequential
-- scans, because the planner expects to find one soon, and begins with the oldest.
CREATE OR REPLACE FUNCTION winnow.find_last_event(begins timestamptz, ends timestamptz, width interval)
    RETURNS timestamptz LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET enable_seqscan = off SET jit = off AS $$
DECLARE
    last_pages  constant integer := 32;
    month       constant timestamptz := date_trunc('month', begins - interval '1 day');
    after_month constant timestamptz := date_trunc('month', ends) + interval '1 month';
    this_month  constant timestamptz := date_trunc('month', ends - interval '1 microsecond');
    step        constant interval := greatest(width, interval '1 millisecond');
    none_from   timestamptz := ends; -- there is no event from here to `ends`
    some_from   timestamptz := ends - step; -- there is one, once the first loop has ended
    middle      timestamptz;
    tail        tid;
BEGIN
    SELECT format('(%s,0)', greatest(0, pg_relation_size(c.oid) / current_setting('block_size')::bigint - last_pages))
    INTO tail FROM pg_class AS c
    WHERE c.relnamespace = 'winnow'::regnamespace
        AND c.relname = ANY (ARRAY[to_char(this_month, '"event_y"YYYY"m"MM'), 'event_default'])
    ORDER BY c.relname DESC LIMIT 1;
    SELECT max(e.event_time) INTO middle FROM winnow.event AS e
    WHERE e.ctid >= tail AND e.event_time >= begins AND e.event_time < ends
        AND e.bucket >= this_month AND e.bucket < this_month + interval '1 month';
    IF middle IS NOT NULL AND (middle + step >= ends OR NOT EXISTS (
        SELECT FROM winnow.event AS e
        WHERE e.event_time >= middle + step AND e.event_time < ends AND e.bucket >= month AND e.bucket < after_month))
    THEN
        RETURN (SELECT max(e.event_time) + interval '1 microsecond' FROM winnow.event AS e
            WHERE e.event_time >= middle AND e.event_time < least(middle + step, ends)
                AND e.bucket >= month AND e.bucket < after_month);
    END IF;
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

-- Walks back from one hour with events to the next, each found by the roll-ups' key.
DROP FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer);
CREATE FUNCTION winnow.find_window(
    upper_time timestamptz, lower_time timestamptz, client text, metric_name text, wanted bigint, hours_most integer,
    OUT newest timestamptz, OUT begins timestamptz, OUT ends timestamptz, OUT matches bigint, OUT last_matches bigint,
    OUT last_total bigint, OUT is_all boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    hour  timestamptz;
    share numeric; -- of the hour that lies before upper_time, and so, as far as is known, of its events
BEGIN
    begins := upper_time;
    ends := upper_time;
    matches := 0;
    last_matches := 0;
    last_total := 0;
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
            EXIT;
        END IF;
        IF client IS NULL THEN
            SELECT sum(r.event_count) FILTER (WHERE metric_name IS NULL OR r.metric COLLATE "C" = metric_name),
                sum(r.event_count) INTO last_matches, last_total FROM winnow.rollup_hour AS r WHERE r.bucket = hour;
        ELSIF metric_name IS NULL THEN
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r
            WHERE r.bucket = hour AND r.client_id COLLATE "C" = client;
        ELSE
            SELECT sum(r.event_count) INTO last_matches FROM winnow.rollup_hour AS r
            WHERE r.bucket = hour AND r.client_id COLLATE "C" = client AND r.metric COLLATE "C" = metric_name;
        END IF;
        share := least(1, extract(epoch FROM upper_time - hour) / 3600);
        last_matches := ceil(coalesce(last_matches, 0) * share);
        last_total := ceil(last_total * share);
        matches := matches + last_matches;
        begins := hour;
        ends := least(upper_time, hour + interval '1 hour');
        EXIT WHEN matches >= wanted;
    END LOOP;
    IF begins < upper_time AND client IS NOT NULL THEN
        SELECT ceil(sum(r.event_count) * least(1, extract(epoch FROM upper_time - begins) / 3600)) INTO last_total
        FROM winnow.rollup_hour AS r WHERE r.bucket = begins;
    END IF;
    IF last_matches > wanted AND NOT is_all THEN
        hour := ends;
        ends := greatest(begins + interval '1 millisecond',
            winnow.find_last_event(begins, ends, wanted * (ends - begins) / last_matches));
        IF newest <= hour THEN
            newest := ends;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer) IS
    'For who wants the newest events before a time without sorting all: how far back so many events of a client and a '
    'metric (null: of any) reach. newest: there are none at or after it. begins: the full hour from which on there are about `matches` of them; last_matches: those of '
    'that hour, of `last_total` of all names, which ends at `ends`, or has come so far (nearly). is_all: there are no others between the two times. Stops after '
    'hours_most hours that hold any events.';

-- Summarizing that is broken off (a cancelled autovacuum, a crash) leaves the span at hand unfinished for good, and a
-- search then takes all pages behind it as possible, too. Searches for what cannot be show it: they should find no pages.
CREATE FUNCTION winnow.mend_summaries()
    RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' SET enable_seqscan = off SET enable_indexscan = off
    SET max_parallel_workers_per_gather = 0 SET jit = off AS $$
DECLARE
    pages_few constant bigint := 128; -- that may match by chance, or came just now
    summary   record;
    plan      json;
    pages     bigint;
    block     bigint;
    mended    integer := 0;
BEGIN
    FOR summary IN
        SELECT i.indexrelid::regclass AS index, i.indrelid::regclass AS part, c.relname,
            CASE WHEN EXISTS (
                SELECT FROM pg_attribute AS t WHERE t.attrelid = i.indexrelid AND t.attname = 'ingested_at')
            THEN 'ingested_at < ''-infinity''' ELSE 'client_id = '''' AND metric = ''''' END AS never
        FROM pg_inherits AS h JOIN pg_index AS i ON i.indrelid = h.inhrelid
        JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
        WHERE h.inhparent = 'winnow.event'::regclass AND a.amname = 'brin'
    LOOP
        BEGIN
            PERFORM brin_summarize_new_values(summary.index);
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE; -- autovacuum is at work there: the next time
        END;
        FOR attempt IN 1..8 LOOP
            EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT FROM %s WHERE %s',
                summary.part, summary.never) INTO plan;
            pages := coalesce((plan -> 0 -> 'Plan' ->> 'Lossy Heap Blocks')::bigint, 0);
            EXIT WHEN pages <= pages_few OR plan -> 0 -> 'Plan' -> 'Plans' -> 0 ->> 'Index Name' <> summary.relname;
            block := greatest(0, pg_relation_size(summary.part) / current_setting('block_size')::bigint - pages);
            BEGIN
                PERFORM brin_desummarize_range(summary.index, block);
                mended := mended + brin_summarize_range(summary.index, block);
            EXCEPTION WHEN lock_not_available THEN
                EXIT;
            END;
        END LOOP;
    END LOOP;
    RETURN mended;
END $$;
COMMENT ON FUNCTION winnow.mend_summaries() IS
    'For the console: finishes spans that were being summarized when something broke off, in the indexes by which it finds '
    'events. Returns how many. Changes no data, and waits for nobody.';

-- ---- totals by day ----------------------------------------------------------------------------------------------

-- A worker of an older version would go on without this table, and the totals would lack what it stores.
DO $$ BEGIN
    LOCK TABLE winnow.rollup_hour IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM winnow.rollup_hour) AND EXISTS (
        SELECT FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND application_name = 'winnow worker'
    ) THEN
        RAISE EXCEPTION 'workers are connected to this database, which an older version of winnow filled: '
            'stop the pool, run winnow migrate again, then start the pool of the new version';
    END IF;
END $$;

CREATE TABLE winnow.rollup_day (
    day         timestamptz NOT NULL,
    stream_id   smallint NOT NULL,
    shard       integer NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, stream_id, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE winnow.rollup_day IS 'Events and amounts by day. One row per shard: add them up, or read the schema analytics.';
COMMENT ON COLUMN winnow.rollup_day.day IS 'Start of the day of the events'' time, UTC.';
COMMENT ON COLUMN winnow.rollup_day.stream_id IS 'Stream they came from.';
COMMENT ON COLUMN winnow.rollup_day.shard IS 'Lowest partition of the batch that added them.';
COMMENT ON COLUMN winnow.rollup_day.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.rollup_day.amount_sum IS 'Sum of their amounts.';
COMMENT ON COLUMN winnow.rollup_day.updated_at IS 'When the row last changed.';

INSERT INTO winnow.rollup_day (day, stream_id, shard, event_count, amount_sum, updated_at)
SELECT date_bin('1 day', bucket, 'epoch'), stream_id, shard, sum(event_count), sum(amount_sum), '-infinity'
FROM winnow.rollup_hour GROUP BY 1, 2, 3;

-- What is added up once and kept for as long as nothing is added to it. Counts tell whether that is so, as they only grow.
CREATE TABLE winnow.kept_day (
    day         timestamptz PRIMARY KEY,
    until       timestamptz NOT NULL,
    event_count bigint NOT NULL,
    kept_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE winnow.kept_day IS
    'Days of which the other tables winnow.kept_… hold totals. Those hold as long as winnow.rollup_day, less the hours '
    'from `until` on, counts as many events.';
COMMENT ON COLUMN winnow.kept_day.day IS 'Start of the day, UTC; -infinity: all days before `until` together.';
COMMENT ON COLUMN winnow.kept_day.until IS 'End of what was added up: that of the day, or the hour that was still growing.';
COMMENT ON COLUMN winnow.kept_day.event_count IS 'How many events were added up.';
COMMENT ON COLUMN winnow.kept_day.kept_at IS 'When that was.';

CREATE TABLE winnow.kept_client (
    day         timestamptz NOT NULL,
    client_id   text NOT NULL,
    metric      text NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL
);
CREATE UNIQUE INDEX kept_client_key ON winnow.kept_client (day, client_id COLLATE "C", metric COLLATE "C");
COMMENT ON TABLE winnow.kept_client IS 'Totals of kept days by client and metric.';
COMMENT ON COLUMN winnow.kept_client.day IS 'Start of the day, UTC; -infinity: as in winnow.kept_day.';
COMMENT ON COLUMN winnow.kept_client.client_id IS 'Who sent the events.';
COMMENT ON COLUMN winnow.kept_client.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.kept_client.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.kept_client.amount_sum IS 'Sum of their amounts.';
COMMENT ON INDEX winnow.kept_client_key IS 'One row for each day, client and metric; names compared byte by byte.';

CREATE TABLE winnow.kept_client_hours (
    day          timestamptz NOT NULL,
    client_id    text NOT NULL,
    metric       text NOT NULL,
    hours        smallint[] NOT NULL,
    event_counts bigint[] NOT NULL,
    amount_sums  numeric[] NOT NULL
);
CREATE UNIQUE INDEX kept_client_hours_key ON winnow.kept_client_hours (client_id COLLATE "C", day, metric COLLATE "C");
CREATE INDEX kept_client_hours_of_day ON winnow.kept_client_hours (day);
COMMENT ON TABLE winnow.kept_client_hours IS 'The same by the hour: one row for all hours of a day, so that there are few.';
COMMENT ON COLUMN winnow.kept_client_hours.day IS 'Start of the day, UTC.';
COMMENT ON COLUMN winnow.kept_client_hours.client_id IS 'Who sent the events.';
COMMENT ON COLUMN winnow.kept_client_hours.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.kept_client_hours.hours IS 'Hours of the day that have events, 0 to 23.';
COMMENT ON COLUMN winnow.kept_client_hours.event_counts IS 'How many events, of each of these hours.';
COMMENT ON COLUMN winnow.kept_client_hours.amount_sums IS 'Sum of their amounts, of each of these hours.';
COMMENT ON INDEX winnow.kept_client_hours_key IS 'One row for each client, day and metric; names compared byte by byte.';
COMMENT ON INDEX winnow.kept_client_hours_of_day IS 'The rows of a day.';

CREATE TABLE winnow.kept_metric (
    day         timestamptz NOT NULL,
    hour        timestamptz NOT NULL,
    metric      text NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL
);
CREATE UNIQUE INDEX kept_metric_key ON winnow.kept_metric (day, hour, metric COLLATE "C");
COMMENT ON TABLE winnow.kept_metric IS 'Totals of kept days by hour and metric.';
COMMENT ON COLUMN winnow.kept_metric.day IS 'Start of the day, UTC.';
COMMENT ON COLUMN winnow.kept_metric.hour IS 'Start of the hour, UTC.';
COMMENT ON COLUMN winnow.kept_metric.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.kept_metric.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.kept_metric.amount_sum IS 'Sum of their amounts.';
COMMENT ON INDEX winnow.kept_metric_key IS 'One row for each hour and metric; names compared byte by byte.';

CREATE FUNCTION winnow.keep_day(wanted timestamptz, up_to timestamptz)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    DELETE FROM winnow.kept_day WHERE day = wanted;
    DELETE FROM winnow.kept_client WHERE day = wanted;
    DELETE FROM winnow.kept_client_hours WHERE day = wanted;
    DELETE FROM winnow.kept_metric WHERE day = wanted;
    WITH total AS MATERIALIZED (
        SELECT bucket AS hour, client_id COLLATE "C" AS client_id, metric COLLATE "C" AS metric,
            sum(event_count)::bigint AS event_count, sum(amount_sum) AS amount_sum
        FROM winnow.rollup_hour WHERE bucket >= wanted AND bucket < up_to
        GROUP BY 1, 2, 3
    ), of_client AS (
        INSERT INTO winnow.kept_client SELECT wanted, client_id, metric, sum(event_count), sum(amount_sum)
        FROM total GROUP BY 2, 3 ORDER BY 2, 3
    ), of_hours AS (
        INSERT INTO winnow.kept_client_hours
        SELECT wanted, client_id, metric, array_agg((extract(epoch FROM hour - wanted) / 3600)::smallint),
            array_agg(event_count), array_agg(amount_sum)
        FROM total GROUP BY 2, 3 ORDER BY 2, 3
    ), of_metric AS (
        INSERT INTO winnow.kept_metric SELECT wanted, hour, metric, sum(event_count), sum(amount_sum)
        FROM total GROUP BY 2, 3 ORDER BY 2, 3
    )
    INSERT INTO winnow.kept_day SELECT wanted, up_to, sum(event_count) FROM total HAVING count(*) > 0;
END $$;
COMMENT ON FUNCTION winnow.keep_day(timestamptz, timestamptz) IS 'Part of winnow.keep_days(): adds up a day, or its first hours, anew.';

-- Without times nobody asks for single days: those before the first one that still grows are added up once more.
CREATE FUNCTION winnow.keep_days_together()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    up_to timestamptz;
    known bigint;
BEGIN
    SELECT coalesce(min(d.day) FILTER (WHERE d.event_count IS DISTINCT FROM k.event_count), max(d.day) + interval '1 day')
    INTO up_to
    FROM (SELECT day, sum(event_count) AS event_count FROM winnow.rollup_day GROUP BY 1) AS d
    LEFT JOIN winnow.kept_day AS k USING (day);
    SELECT sum(event_count) INTO known FROM winnow.kept_day WHERE day > '-infinity' AND day < up_to;
    IF known IS NULL OR EXISTS (
        SELECT FROM winnow.kept_day AS k
        WHERE k.day = '-infinity' AND (k.until = up_to AND k.event_count = known OR k.kept_at > now() - interval '10 s'))
    THEN
        RETURN;
    END IF;
    DELETE FROM winnow.kept_day WHERE day = '-infinity';
    DELETE FROM winnow.kept_client WHERE day = '-infinity';
    INSERT INTO winnow.kept_client SELECT '-infinity', client_id COLLATE "C", metric COLLATE "C", sum(event_count), sum(amount_sum)
    FROM winnow.kept_client WHERE day < up_to GROUP BY 2, 3 ORDER BY 2, 3;
    INSERT INTO winnow.kept_day VALUES ('-infinity', up_to, known);
END $$;
COMMENT ON FUNCTION winnow.keep_days_together() IS 'Part of winnow.keep_days(): adds up the kept days.';

CREATE FUNCTION winnow.keep_days(quiet interval, budget interval)
    RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off AS $$
DECLARE
    changed record;
    up_to   timestamptz;
    kept    integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('winnow.keep_days', 0)) THEN
        RETURN 0;
    END IF;
    FOR changed IN
        SELECT coalesce(d.day, k.day) AS day, d.event_count, d.busy, d.place, k.until, k.event_count AS kept_count, k.kept_at
        FROM (SELECT r.day, sum(r.event_count) AS event_count, max(r.updated_at) >= now() - quiet AS busy,
                row_number() OVER (ORDER BY r.day DESC) AS place
            FROM winnow.rollup_day AS r GROUP BY 1) AS d
        FULL JOIN winnow.kept_day AS k USING (day)
        WHERE d.event_count IS DISTINCT FROM k.event_count AND k.day IS DISTINCT FROM '-infinity'
        ORDER BY 1 DESC
    LOOP
        up_to := changed.day + interval '1 day';
        IF changed.busy THEN
            CONTINUE WHEN changed.place > 2;
            SELECT max(h.bucket) INTO up_to FROM winnow.rollup_hour AS h
            WHERE h.bucket >= changed.day AND h.bucket < changed.day + interval '1 day';
            CONTINUE WHEN up_to = changed.day OR changed.until >= up_to AND (changed.kept_at > now() - interval '1 minute'
                OR changed.event_count - changed.kept_count = (
                    SELECT sum(h.event_count) FROM winnow.rollup_hour AS h
                    WHERE h.bucket >= changed.until AND h.bucket < changed.day + interval '1 day'));
        END IF;
        PERFORM winnow.keep_day(changed.day, up_to);
        kept := kept + 1;
        EXIT WHEN clock_timestamp() > now() + budget;
    END LOOP;
    PERFORM winnow.keep_days_together();
    RETURN kept;
END $$;
COMMENT ON FUNCTION winnow.keep_days(interval, interval) IS
    'For the console: adds up the days that changed, newest first; of the last two days, when something was added within '
    '`quiet`, all hours but the last, and nothing of others. Ends when `budget` is used up; returns how many days were added '
    'up. Totals are exact without it, but slower.';

CREATE FUNCTION winnow.total_days(from_time timestamptz, to_time timestamptz, together boolean,
    OUT day timestamptz, OUT begins timestamptz, OUT ends timestamptz, OUT begin_hour integer, OUT end_hour integer,
    OUT complete boolean, OUT whole boolean, OUT kept boolean)
    RETURNS SETOF record LANGUAGE sql STABLE ROWS 60 SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    WITH d AS MATERIALIZED (
        SELECT r.day, sum(r.event_count) AS event_count FROM winnow.rollup_day AS r
        WHERE r.day > from_time - interval '1 day' AND r.day < to_time GROUP BY 1
    ), past AS MATERIALIZED (
        SELECT k.until FROM winnow.kept_day AS k
        WHERE together AND k.day = '-infinity' AND from_time = '-infinity' AND k.until <= to_time
            AND k.event_count = (SELECT sum(d.event_count) FROM d WHERE d.day < k.until)
    )
    SELECT '-infinity'::timestamptz, '-infinity'::timestamptz, past.until, 0, 0, true, true, true FROM past
    UNION ALL
    SELECT d.day, greatest(v.begins, from_time), least(v.ends, to_time),
        (extract(epoch FROM greatest(v.begins, from_time) - d.day) / 3600)::integer,
        (extract(epoch FROM least(v.ends, to_time) - d.day) / 3600)::integer,
        d.day >= from_time AND d.day + interval '1 day' <= to_time, v.begins >= from_time AND v.ends <= to_time, v.kept
    FROM d LEFT JOIN winnow.kept_day AS k ON k.day = d.day
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN k.event_count = d.event_count THEN d.day + interval '1 day'
            WHEN k.event_count = d.event_count - (
                SELECT coalesce(sum(h.event_count), 0) FROM winnow.rollup_hour AS h
                WHERE h.bucket >= k.until AND h.bucket < d.day + interval '1 day') THEN k.until
            ELSE d.day END AS until) AS u
    CROSS JOIN LATERAL (VALUES (d.day, u.until, true), (u.until, d.day + interval '1 day', false)) AS v (begins, ends, kept)
    WHERE v.begins < v.ends AND v.begins < to_time AND v.ends > from_time
        AND d.day >= coalesce((SELECT past.until FROM past), '-infinity')
$$;
COMMENT ON FUNCTION winnow.total_days(timestamptz, timestamptz, boolean) IS
    'The days that have events between two full hours, cut there and where what is kept of them ends. complete: the day is '
    'not cut; whole: this part is not cut; begin_hour, end_hour: where it begins and ends in the day; kept: the tables winnow.kept_… hold its totals. With `together`, kept days may come as '
    'one, -infinity, which only winnow.kept_client has.';

ALTER FUNCTION winnow.invariant_violation() RENAME TO violation_before_days;
COMMENT ON FUNCTION winnow.violation_before_days() IS 'Part of winnow.invariant_violation(): I1 to I7 without days.';

CREATE FUNCTION winnow.invariant_violation()
    RETURNS TABLE (invariant text, stream text, partition integer, detail text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
WITH hour AS (
    SELECT date_bin('1 day', bucket, 'epoch') AS day, stream_id, shard, sum(event_count) AS event_count,
        sum(amount_sum) AS amount_sum
    FROM winnow.rollup_hour GROUP BY 1, 2, 3
), violation AS (
    SELECT stream_id, format('day %s, shard %s: %s events with sum %s by the hour, but a total of %s with sum %s',
        to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD'), shard, coalesce(h.event_count, 0), coalesce(h.amount_sum, 0),
        coalesce(d.event_count, 0), coalesce(d.amount_sum, 0)) AS detail
    FROM hour AS h FULL JOIN winnow.rollup_day AS d USING (day, stream_id, shard)
    WHERE h.event_count IS DISTINCT FROM d.event_count OR h.amount_sum IS DISTINCT FROM d.amount_sum
), kept AS (
    SELECT t.day, t.begins, t.ends FROM winnow.total_days('-infinity', 'infinity', false) AS t WHERE t.kept
    UNION
    SELECT t.day, t.begins, t.ends FROM winnow.total_days('-infinity', 'infinity', true) AS t WHERE t.kept
), wanted AS (
    SELECT k.day, h.bucket AS hour, h.client_id, h.metric, sum(h.event_count) AS event_count, sum(h.amount_sum) AS amount_sum
    FROM kept AS k JOIN winnow.rollup_hour AS h ON h.bucket >= k.begins AND h.bucket < k.ends GROUP BY 1, 2, 3, 4
), found AS (
    SELECT day, day + u.hour * interval '1 hour' AS hour, client_id, metric, u.event_count, u.amount_sum
    FROM winnow.kept_client_hours JOIN kept USING (day)
    CROSS JOIN LATERAL unnest(hours, event_counts, amount_sums) AS u (hour, event_count, amount_sum)
), of_client AS (
    SELECT day, client_id, metric, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum FROM wanted GROUP BY 1, 2, 3
), of_metric AS (
    SELECT day, hour, metric, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM wanted WHERE day > '-infinity' GROUP BY 1, 2, 3
), wrong AS (
    SELECT day, 'hours of clients' AS what FROM (SELECT * FROM wanted WHERE day > '-infinity') AS w FULL JOIN found AS f USING (day, hour, client_id, metric)
    WHERE w.event_count IS DISTINCT FROM f.event_count OR w.amount_sum IS DISTINCT FROM f.amount_sum
    UNION SELECT day, 'clients' FROM of_client AS w
    FULL JOIN (SELECT c.* FROM winnow.kept_client AS c JOIN kept USING (day)) AS f USING (day, client_id, metric)
    WHERE w.event_count IS DISTINCT FROM f.event_count OR w.amount_sum IS DISTINCT FROM f.amount_sum
    UNION SELECT day, 'metrics' FROM of_metric AS w
    FULL JOIN (SELECT m.* FROM winnow.kept_metric AS m JOIN kept USING (day)) AS f USING (day, hour, metric)
    WHERE w.event_count IS DISTINCT FROM f.event_count OR w.amount_sum IS DISTINCT FROM f.amount_sum
)
SELECT * FROM winnow.violation_before_days()
UNION ALL (
    SELECT 'I7', coalesce(s.consumer_group || '/' || s.topic, format('stream %s', v.stream_id)), NULL, v.detail
    FROM violation AS v LEFT JOIN winnow.stream AS s USING (stream_id) ORDER BY 2, 4)
UNION ALL (
    SELECT 'I8', NULL, NULL, format('day %s: what is kept of its %s is not what its hours add up to', day, what)
    FROM wrong ORDER BY 4)
$$;
COMMENT ON FUNCTION winnow.invariant_violation() IS
    'Empty when all is well. I1: batches tile the offsets. I2: received = stored + duplicate + dead. I3: events = sum of '
    'stored. I4: roll-ups = a recount of the events. I5: dead letters = sum of dead. I6: the next offset is the end of '
    'the last batch. I7: totals by client, by metric and by day = sums of the hours. I8: totals that are kept of days = sums of '
    'their hours. Reads every table whole.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_privileges_before_days;
COMMENT ON FUNCTION winnow.grant_privileges_before_days() IS
    'Part of winnow.grant_privileges(): what the files before 000010 made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM winnow.grant_privileges_before_days();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_worker') THEN
        GRANT SELECT, INSERT, UPDATE ON winnow.rollup_day TO winnow_worker;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_operator') THEN
        GRANT EXECUTE ON FUNCTION winnow.violation_before_days(), winnow.total_days(timestamptz, timestamptz, boolean)
            TO winnow_operator;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_console') THEN
        GRANT EXECUTE ON FUNCTION winnow.mend_summaries(), winnow.keep_days(interval, interval),
            winnow.total_days(timestamptz, timestamptz, boolean) TO winnow_console;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
