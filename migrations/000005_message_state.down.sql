DROP FUNCTION analytics.message_state(text, integer, bigint, uuid, timestamptz, text);
DROP FUNCTION winnow.find_event_by_origin(smallint, integer, bigint);
DROP FUNCTION winnow.find_event(uuid, timestamptz);

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 5;
    END IF;
END $$;
