DROP VIEW analytics.completeness_verdict;
DROP VIEW analytics.completeness;
DROP VIEW analytics.processing_status;
DROP VIEW analytics.ingest_rate_minute;
DROP VIEW analytics.dead_letters_by_reason;
DROP VIEW analytics.failed_events;
DROP VIEW analytics.events_recent;
DROP VIEW analytics.totals_by_client_metric_day;
DROP VIEW analytics.totals_by_client_metric_hour;
DROP VIEW analytics.totals_by_client_metric;
DROP VIEW analytics.totals_by_metric;
DROP VIEW analytics.totals_by_client;
DROP SCHEMA analytics;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 4;
    END IF;
END $$;
