DROP FUNCTION winnow.grant_privileges();
ALTER FUNCTION winnow.grant_first_privileges() RENAME TO grant_privileges;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator and winnow_analyst where they are missing, and gives them their '
    'privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run it again, as the owner, '
    'when a superuser had to make the roles.';

DROP FUNCTION winnow.invariant_violation();
ALTER FUNCTION winnow.account_violation() RENAME TO invariant_violation;
COMMENT ON FUNCTION winnow.invariant_violation() IS
    'Empty when all is well. I1: batches tile the offsets. I2: received = stored + duplicate + dead. I3: events = sum of '
    'stored. I4: roll-ups = a recount of the events. I5: dead letters = sum of dead. I6: the next offset is the end of '
    'the last batch. Reads every table whole.';

CREATE OR REPLACE VIEW analytics.totals_by_client AS
SELECT
    client_id,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1;

CREATE OR REPLACE VIEW analytics.totals_by_metric AS
SELECT
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_hour
GROUP BY 1;

DROP TABLE winnow.rollup_metric;
DROP TABLE winnow.rollup_client;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 8;
    END IF;
END $$;
