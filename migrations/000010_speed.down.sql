DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_console') THEN
        REVOKE ALL ON winnow.rollup_day, winnow.kept_day, winnow.kept_client, winnow.kept_client_hours, winnow.kept_metric
            FROM winnow_console;
    END IF;
END $$;
DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_privileges_before_days() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator, winnow_analyst, winnow_console and winnow_retry where they are '
    'missing, and gives them their privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run '
    'it again, as the owner, when a superuser had to make the roles.';

DROP FUNCTION winnow.invariant_violation();
ALTER FUNCTION winnow.violation_before_days() RENAME TO invariant_violation;
COMMENT ON FUNCTION winnow.invariant_violation() IS
    'Empty when all is well. I1: batches tile the offsets. I2: received = stored + duplicate + dead. I3: events = sum of '
    'stored. I4: roll-ups = a recount of the events. I5: dead letters = sum of dead. I6: the next offset is the end of '
    'the last batch. I7: totals by client and by metric = sums of the hours. Reads every table whole.';

DROP FUNCTION winnow.total_days(timestamptz, timestamptz, boolean);
DROP FUNCTION winnow.keep_days(interval, interval);
DROP FUNCTION winnow.keep_days_together();
DROP FUNCTION winnow.keep_day(timestamptz, timestamptz);
DROP TABLE winnow.kept_metric;
DROP TABLE winnow.kept_client_hours;
DROP TABLE winnow.kept_client;
DROP TABLE winnow.kept_day;
DROP TABLE winnow.rollup_day;
DROP FUNCTION winnow.mend_summaries();
DROP FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer);

-- Nothing may have come for a while: widens a span before `ends` until it holds an event, then halves the last step.
-- Without sequential scans, because the planner expects to find one soon, and begins with the oldest.
CREATE OR REPLACE FUNCTION winnow.find_last_event(begins timestamptz, ends timestamptz, width interval)
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
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_console') THEN
        GRANT EXECUTE ON FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer) TO winnow_console;
    END IF;
END $$;
REVOKE ALL ON FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer) FROM PUBLIC;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 10;
    END IF;
END $$;
