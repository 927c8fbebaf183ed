-- Everything is lost.
DROP TABLE winnow.rollup_hour, winnow.dead_letter, winnow.batch_log, winnow.event, winnow.processing_log,
    winnow.stream;
DROP TABLE IF EXISTS winnow.schema_migration;
DROP SCHEMA winnow;
