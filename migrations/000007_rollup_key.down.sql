ALTER TABLE winnow.rollup_hour ADD PRIMARY KEY (bucket, client_id, metric, stream_id, shard), REPLICA IDENTITY DEFAULT;
DROP INDEX winnow.rollup_hour_key;
