DROP FUNCTION winnow.invariant_violation();
DROP FUNCTION winnow.resume_partition(text, integer, text);
DROP FUNCTION winnow.header_text(bytea);
DROP FUNCTION winnow.readable_text(bytea);

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 3;
    END IF;
END $$;
