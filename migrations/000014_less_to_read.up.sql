-- What made people wait for pages and totals: windows that were too wide in the hour that still grows, and days that are cut.

-- ---- pages ------------------------------------------------------------------------------------------------------

-- As winnow.find_window() was, but the events of the newest hour are spread over as much of it as has come, where they were
-- taken as spread over all of it; and a client of few events is known as such, where wider and wider spans were looked into.
CREATE OR REPLACE FUNCTION winnow.find_window(
    upper_time timestamptz, lower_time timestamptz, client text, metric_name text, wanted bigint, hours_most integer,
    OUT newest timestamptz, OUT begins timestamptz, OUT ends timestamptz, OUT matches bigint, OUT last_matches bigint,
    OUT last_total bigint, OUT is_all boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    hour     timestamptz;
    hour_end timestamptz; -- of that, or as far as it has come
    share    numeric; -- of the hour that lies before upper_time, and so, as far as is known, of its events
BEGIN
    begins := upper_time;
    ends := upper_time;
    matches := 0;
    last_matches := 0;
    last_total := 0;
    is_all := metric_name IS NOT NULL
        AND NOT EXISTS (SELECT FROM winnow.rollup_metric AS m WHERE m.metric COLLATE "C" = metric_name);
    IF client IS NOT NULL AND NOT is_all THEN
        SELECT coalesce(sum(c.event_count), 0) INTO last_matches FROM winnow.rollup_client AS c
        WHERE c.client_id COLLATE "C" = client;
        is_all := last_matches <= wanted;
        IF is_all AND last_matches > 0 THEN
            newest := upper_time;
            matches := last_matches;
            SELECT sum(c.event_count) INTO last_total FROM winnow.rollup_client AS c;
        END IF;
    END IF;
    IF is_all THEN
        RETURN;
    END IF;
    last_matches := 0;
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
        hour_end := hour + interval '1 hour';
        IF upper_time < hour_end AND NOT EXISTS (SELECT FROM winnow.rollup_hour AS r WHERE r.bucket > hour) THEN
            hour_end := greatest(upper_time, winnow.find_last_event(hour, hour_end, interval '1 second'));
        END IF;
        share := least(1, extract(epoch FROM upper_time - hour) / extract(epoch FROM hour_end - hour));
        last_matches := ceil(coalesce(last_matches, 0) * share);
        last_total := ceil(last_total * share);
        matches := matches + last_matches;
        begins := hour;
        ends := least(upper_time, hour + interval '1 hour');
        EXIT WHEN matches >= wanted;
    END LOOP;
    IF begins < upper_time AND client IS NOT NULL THEN
        SELECT ceil(sum(r.event_count) * share) INTO last_total
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

-- ---- totals of cut days -----------------------------------------------------------------------------------------

-- Totals of a part of a day by client are the difference of two sums that are kept, instead of a sum of its hours.

-- Empty until the console adds the days up again.
TRUNCATE winnow.kept_day, winnow.kept_client, winnow.kept_client_hours, winnow.kept_metric;

ALTER TABLE winnow.kept_client_hours
    ADD COLUMN counts_so_far bigint[] NOT NULL,
    ADD COLUMN amounts_so_far numeric[] NOT NULL;
COMMENT ON COLUMN winnow.kept_client_hours.hours IS 'Hours of the day that have events, 0 to 23, ascending.';
COMMENT ON COLUMN winnow.kept_client_hours.counts_so_far IS
    'How many events from the start of the day to the end of each of these hours.';
COMMENT ON COLUMN winnow.kept_client_hours.amounts_so_far IS 'Sum of the amounts of these.';

CREATE OR REPLACE FUNCTION winnow.keep_day(wanted timestamptz, up_to timestamptz)
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
        SELECT wanted, client_id, metric, array_agg((extract(epoch FROM hour - wanted) / 3600)::smallint ORDER BY hour),
            array_agg(event_count ORDER BY hour), array_agg(amount_sum ORDER BY hour),
            array_agg(count_so_far ORDER BY hour), array_agg(amount_so_far ORDER BY hour)
        FROM (SELECT *, (sum(event_count) OVER so_far)::bigint AS count_so_far, sum(amount_sum) OVER so_far AS amount_so_far
            FROM total WINDOW so_far AS (PARTITION BY client_id, metric ORDER BY hour)) AS summed
        GROUP BY 2, 3 ORDER BY 2, 3
    ), of_metric AS (
        INSERT INTO winnow.kept_metric SELECT wanted, hour, metric, sum(event_count), sum(amount_sum)
        FROM total GROUP BY 2, 3 ORDER BY 2, 3
    )
    INSERT INTO winnow.kept_day SELECT wanted, up_to, sum(event_count) FROM total HAVING count(*) > 0;
END $$;

CREATE OR REPLACE FUNCTION winnow.invariant_violation()
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
    SELECT day, day + u.hour * interval '1 hour' AS hour, client_id, metric, u.event_count, u.amount_sum, u.count_so_far,
        u.amount_so_far
    FROM winnow.kept_client_hours JOIN kept USING (day)
    CROSS JOIN LATERAL unnest(hours, event_counts, amount_sums, counts_so_far, amounts_so_far)
        AS u (hour, event_count, amount_sum, count_so_far, amount_so_far)
), of_client AS (
    SELECT day, client_id, metric, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum FROM wanted GROUP BY 1, 2, 3
), of_metric AS (
    SELECT day, hour, metric, sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM wanted WHERE day > '-infinity' GROUP BY 1, 2, 3
), wrong AS (
    SELECT day, 'hours of clients' AS what
    FROM (SELECT *, sum(event_count) OVER so_far AS count_so_far, sum(amount_sum) OVER so_far AS amount_so_far
        FROM wanted WHERE day > '-infinity' WINDOW so_far AS (PARTITION BY day, client_id, metric ORDER BY hour)) AS w
    FULL JOIN found AS f USING (day, hour, client_id, metric)
    WHERE w.event_count IS DISTINCT FROM f.event_count OR w.amount_sum IS DISTINCT FROM f.amount_sum
        OR w.count_so_far IS DISTINCT FROM f.count_so_far OR w.amount_so_far IS DISTINCT FROM f.amount_so_far
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
