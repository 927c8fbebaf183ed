-- Takes the privileges in this database away. The roles stay: other databases of the cluster may use them.
DO $$ DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles
        WHERE rolname IN ('winnow_worker', 'winnow_operator', 'winnow_analyst') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA winnow, analytics FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA winnow, analytics FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON SCHEMA winnow, analytics FROM %I', role_name);
    END LOOP;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER ROLE winnow_analyst IN DATABASE %I RESET ALL', current_database());
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'settings of role winnow_analyst in this database stay';
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA winnow, analytics TO PUBLIC;
DROP FUNCTION winnow.grant_privileges();
DROP FUNCTION winnow.limit_analyst();
DROP FUNCTION winnow.create_role(text, text);

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 6;
    END IF;
END $$;
