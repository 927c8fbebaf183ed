DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_privileges_before_outcome_counts() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles of winnow where they are missing, and gives them their privileges in this database. Takes everything '
    'from PUBLIC. Run by winnow migrate; run it again, as the owner, when a superuser had to make the roles.';

DROP FUNCTION winnow.count_outcomes(smallint, integer[]);
ALTER TABLE winnow.processing_log
    DROP COLUMN counted_offset, DROP COLUMN stored, DROP COLUMN duplicate, DROP COLUMN dead;
DROP TABLE winnow.dead_letter_count;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 13;
    END IF;
END $$;
