-- Partitions of winnow.event by month of the bucket (UTC), made ahead by the pool and on demand by workers.

-- Takes the rows of one month out of the DEFAULT partition into an empty table. The writers of winnow.event are kept
-- out until the end of the transaction: one that had chosen the DEFAULT partition before would be refused there
-- after. It is their first lock, so that nobody who holds it can be waiting for us.
CREATE FUNCTION winnow.move_event_month(target regclass, lower_bound timestamptz, upper_bound timestamptz)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    LOCK TABLE winnow.event IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE winnow.event_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'WITH taken AS (DELETE FROM winnow.event_default WHERE bucket >= %L AND bucket < %L RETURNING *) '
        'INSERT INTO %s SELECT * FROM taken', lower_bound, upper_bound, target);
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END $$;

-- Makes the partition as a table of its own and attaches it then: that locks out nobody who writes to the other
-- partitions, as CREATE TABLE … PARTITION OF would. The CHECK spares ATTACH a scan of the new table.
CREATE FUNCTION winnow.create_event_month(partition_name text, lower_bound timestamptz, upper_bound timestamptz)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE winnow.%I (LIKE winnow.event INCLUDING ALL, '
        'CONSTRAINT %I CHECK (bucket >= %L AND bucket < %L)) WITH (autovacuum_vacuum_insert_scale_factor = 0.02)',
        partition_name, partition_name || '_bounds', lower_bound, upper_bound);
    IF EXISTS (SELECT FROM winnow.event_default WHERE bucket >= lower_bound AND bucket < upper_bound) THEN
        PERFORM winnow.move_event_month(format('winnow.%I', partition_name)::regclass, lower_bound, upper_bound);
    END IF;
    EXECUTE format('ALTER TABLE winnow.event ATTACH PARTITION winnow.%I FOR VALUES FROM (%L) TO (%L)',
        partition_name, lower_bound, upper_bound);
    EXECUTE format('ALTER TABLE winnow.%I DROP CONSTRAINT %I', partition_name, partition_name || '_bounds');
    EXECUTE format('COMMENT ON TABLE winnow.%I IS %L', partition_name,
        'Events of ' || to_char(lower_bound AT TIME ZONE 'UTC', 'YYYY-MM') || '. Read winnow.event instead.');
END $$;

-- SECURITY DEFINER: workers may not create tables, but this one kind. A lock that is not to be had (a long query
-- reads the DEFAULT partition) is given up soon, because others queue up behind it; the caller tries again.
CREATE FUNCTION winnow.ensure_event_month(month date)
    RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    first_day      constant date := date_trunc('month', month::timestamp)::date;
    this_month     constant date := date_trunc('month', now())::date;
    partition_name constant text := to_char(first_day, '"event_y"YYYY"m"MM');
    lower_bound    constant timestamptz := first_day::timestamptz;
    upper_bound    constant timestamptz := (first_day + interval '1 month')::timestamptz;
BEGIN
    IF first_day IS NULL OR first_day < this_month - interval '10 years'
        OR first_day > this_month + interval '2 months' THEN
        RETURN false;
    END IF;
    IF to_regclass(format('winnow.%I', partition_name)) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('winnow.ensure_event_month', 0));
    END IF;
    -- By a query: what another worker has just committed is not yet in this session's cache of names.
    IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'winnow'::regnamespace AND relname = partition_name) THEN
        BEGIN
            PERFORM winnow.create_event_month(partition_name, lower_bound, upper_bound);
        EXCEPTION WHEN check_violation THEN
            -- A writer put a row of this month into the DEFAULT partition after we had looked there.
            LOCK TABLE winnow.event IN SHARE ROW EXCLUSIVE MODE;
            PERFORM winnow.create_event_month(partition_name, lower_bound, upper_bound);
        END;
    END IF;
    RETURN coalesce((SELECT relispartition FROM pg_class
        WHERE relnamespace = 'winnow'::regnamespace AND relname = partition_name), false);
END $$;

CREATE FUNCTION winnow.ensure_event_months_ahead()
    RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT bool_and(winnow.ensure_event_month((date_trunc('month', now()) + make_interval(months => ahead))::date))
    FROM generate_series(0, 2) AS ahead
$$;

COMMENT ON FUNCTION winnow.move_event_month(regclass, timestamptz, timestamptz) IS
    'Part of winnow.ensure_event_month(): takes rows out of the DEFAULT partition. Returns how many.';
COMMENT ON FUNCTION winnow.create_event_month(text, timestamptz, timestamptz) IS
    'Part of winnow.ensure_event_month(): makes, fills and attaches a partition.';
COMMENT ON FUNCTION winnow.ensure_event_month(date) IS
    'Makes the partition for the month (UTC) that holds this day, and moves events of that month there. '
    'True when the partition is there. False, and nothing done, for months more than ten years back or more than two '
    'ahead, whose events stay in the DEFAULT partition. Safe while workers write.';
COMMENT ON FUNCTION winnow.ensure_event_months_ahead() IS
    'Makes the partitions for this month and the next two. Pools call it once an hour.';
