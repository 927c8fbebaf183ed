-- The roles stay: other databases of the cluster may use them.
DO $$ DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('winnow_console', 'winnow_retry') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA winnow, analytics FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA winnow, analytics FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON SCHEMA winnow, analytics FROM %I', role_name);
    END LOOP;
END $$;
DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_second_privileges() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator and winnow_analyst where they are missing, and gives them their '
    'privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run it again, as the owner, '
    'when a superuser had to make the roles.';

DROP VIEW winnow.dead_letter_work;
DROP FUNCTION winnow.report_retries(jsonb);
DROP TABLE winnow.dead_letter_action;

CREATE OR REPLACE FUNCTION winnow.find_event_by_origin(
    wanted_stream smallint, wanted_partition integer, wanted_offset bigint)
    RETURNS SETOF winnow.event LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM winnow.event AS e
    WHERE e.stream_id = wanted_stream AND e.origin_partition = wanted_partition AND e.origin_offset = wanted_offset
    LIMIT 1
$$;
COMMENT ON FUNCTION winnow.find_event_by_origin(smallint, integer, bigint) IS
    'The event stored from this message. No index helps: reads the table.';

DROP INDEX winnow.dead_letter_group;
DROP INDEX winnow.dead_letter_recent;
DROP FUNCTION winnow.find_window(timestamptz, timestamptz, text, text, bigint, integer);
DROP FUNCTION winnow.summarize_events();
DROP FUNCTION winnow.find_last_event(timestamptz, timestamptz, interval);
DROP INDEX winnow.event_by_name;
DROP INDEX winnow.event_by_time;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 9;
    END IF;
END $$;
