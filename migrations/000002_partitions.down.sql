-- Partitions that were made stay: they hold events.
DROP FUNCTION winnow.ensure_event_months_ahead();
DROP FUNCTION winnow.ensure_event_month(date);
DROP FUNCTION winnow.create_event_month(text, timestamptz, timestamptz);
DROP FUNCTION winnow.move_event_month(regclass, timestamptz, timestamptz);

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 2;
    END IF;
END $$;
