ALTER TABLE winnow.rollup_hour ADD PRIMARY KEY (bucket, client_id, metric, stream_id, shard), REPLICA IDENTITY DEFAULT;
DROP INDEX winnow.rollup_hour_key;

DO $$ BEGIN
    IF to_regclass('winnow.schema_migration') IS NOT NULL THEN
        DELETE FROM winnow.schema_migration WHERE version = 7;
    END IF;
END $$;
