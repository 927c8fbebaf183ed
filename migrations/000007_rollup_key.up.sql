-- The key of the roll-ups compares names byte by byte. Each batch looks up hundreds of them, and the order of a language
-- takes several times as long. A primary key cannot have a collation of its own; logical replication is told of this
-- one instead.
CREATE UNIQUE INDEX rollup_hour_key
    ON winnow.rollup_hour (bucket, client_id COLLATE "C", metric COLLATE "C", stream_id, shard);
ALTER TABLE winnow.rollup_hour REPLICA IDENTITY USING INDEX rollup_hour_key, DROP CONSTRAINT rollup_hour_pkey;
COMMENT ON INDEX winnow.rollup_hour_key IS 'One row for each hour, client, metric and shard; names compared byte by byte.';
