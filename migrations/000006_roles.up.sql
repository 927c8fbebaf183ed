-- Roles to grant to login users. They belong to the whole cluster, the privileges to this database: several databases
-- of one cluster may be migrated at the same time, and whoever comes second finds the roles there.

-- True when the role is there in the end.
CREATE FUNCTION winnow.create_role(role_name text, description text)
    RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
        RETURN true;
    END IF;
    BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXECUTE format('COMMENT ON ROLE %I IS %L', role_name, description);
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            RETURN true;
        WHEN insufficient_privilege THEN
            RAISE WARNING 'role % is missing and % may not create it: have a superuser run "CREATE ROLE % NOLOGIN", '
                'then run "SELECT winnow.grant_privileges()" as the owner of this schema',
                role_name, current_user, role_name;
            RETURN false;
    END;
    RETURN true;
END $$;

-- Has no effect through membership, only for who logs in as the role or is made to by ALTER ROLE … LOGIN.
CREATE FUNCTION winnow.limit_analyst()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER ROLE winnow_analyst IN DATABASE %I SET default_transaction_read_only = on',
        current_database());
    EXECUTE format('ALTER ROLE winnow_analyst IN DATABASE %I SET statement_timeout = ''5min''', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    NULL; -- a courtesy to other users of the server: the views give an analyst nothing to write anyway
END $$;

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    REVOKE ALL ON SCHEMA winnow, analytics FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA winnow, analytics FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA winnow, analytics FROM PUBLIC;

    IF winnow.create_role('winnow_worker', 'Workers of winnow: store events and account for them. Cannot delete.') THEN
        GRANT USAGE ON SCHEMA winnow TO winnow_worker;
        IF to_regclass('winnow.schema_migration') IS NOT NULL THEN -- not there when psql ran these files
            GRANT SELECT ON winnow.schema_migration TO winnow_worker;
        END IF;
        GRANT USAGE ON SCHEMA analytics TO winnow_worker; -- for `winnow status` beside the worker
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO winnow_worker;
        GRANT SELECT, INSERT ON winnow.event TO winnow_worker;
        GRANT SELECT, INSERT, UPDATE ON winnow.stream, winnow.processing_log, winnow.rollup_hour TO winnow_worker;
        GRANT INSERT ON winnow.batch_log TO winnow_worker;
        GRANT SELECT, INSERT, UPDATE (published_at, publish_lease_until, publish_attempts, publish_error)
            ON winnow.dead_letter TO winnow_worker;
        GRANT EXECUTE ON FUNCTION winnow.ensure_event_month(date), winnow.ensure_event_months_ahead()
            TO winnow_worker;
    END IF;

    IF winnow.create_role('winnow_operator', 'Operators of winnow: read everything, resume partitions, replay.') THEN
        GRANT USAGE ON SCHEMA winnow, analytics TO winnow_operator;
        GRANT SELECT ON ALL TABLES IN SCHEMA winnow, analytics TO winnow_operator;
        GRANT UPDATE (published_at, publish_lease_until, publish_attempts, publish_error) ON winnow.dead_letter
            TO winnow_operator;
        GRANT EXECUTE ON FUNCTION winnow.resume_partition(text, integer, text), winnow.invariant_violation(),
            winnow.header_text(bytea), winnow.readable_text(bytea), winnow.ensure_event_month(date),
            winnow.ensure_event_months_ahead(), winnow.find_event(uuid, timestamptz),
            winnow.find_event_by_origin(smallint, integer, bigint),
            analytics.message_state(text, integer, bigint, uuid, timestamptz, text) TO winnow_operator;
    END IF;

    -- Views read the tables as their owner, but call functions as whoever asks.
    IF winnow.create_role('winnow_analyst', 'Analysts of winnow: read the schema analytics.') THEN
        GRANT USAGE ON SCHEMA analytics TO winnow_analyst;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO winnow_analyst;
        GRANT EXECUTE ON FUNCTION winnow.header_text(bytea), winnow.readable_text(bytea),
            analytics.message_state(text, integer, bigint, uuid, timestamptz, text) TO winnow_analyst;
        PERFORM winnow.limit_analyst();
    END IF;
END $$;

COMMENT ON FUNCTION winnow.create_role(text, text) IS 'Part of winnow.grant_privileges(): makes a role unless it is there.';
COMMENT ON FUNCTION winnow.limit_analyst() IS
    'Part of winnow.grant_privileges(): whoever logs in as winnow_analyst reads only, five minutes a statement.';
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator and winnow_analyst where they are missing, and gives them their '
    'privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run it again, as the owner, '
    'when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
