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
    SELECT max(e.event_time) + step INTO middle FROM winnow.event AS e
    WHERE e.ctid >= tail AND e.event_time >= begins AND e.event_time < ends
        AND e.bucket >= this_month AND e.bucket < this_month + interval '1 month';
    IF middle >= ends THEN
        RETURN ends;
    ELSIF middle IS NOT NULL AND NOT EXISTS (
        SELECT FROM winnow.event AS e
        WHERE e.event_time >= middle AND e.event_time < ends AND e.bucket >= month AND e.bucket < after_month)
    THEN
        RETURN middle;
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
    hour timestamptz;
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
        last_matches := coalesce(last_matches, 0);
        matches := matches + last_matches;
        begins := hour;
        ends := least(upper_time, hour + interval '1 hour');
        EXIT WHEN matches >= wanted;
    END LOOP;
    IF begins < upper_time AND client IS NOT NULL THEN
        SELECT sum(r.event_count) INTO last_total FROM winnow.rollup_hour AS r WHERE r.bucket = begins;
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
    'metric (null: of any) reach. newest: there are none at or after it. begins: the full hour from which on there are `matches` of them; last_matches: those of '
    'that hour, of `last_total` of all names, which ends at `ends`, or has come so far (nearly). is_all: there are no others between the two times. Stops after '
    'hours_most hours that hold any events.';
