-- Totals by client and by metric of their own. Adding up the hours takes longer the more hours there are; these have a
-- row for each name and shard, kept exact by the same statement.

-- A worker of an older version would go on without these tables, and the totals would lack what it stores.
DO $$ BEGIN
    LOCK TABLE winnow.rollup_hour IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM winnow.rollup_hour) AND EXISTS (
        SELECT FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND application_name = 'winnow worker'
    ) THEN
        RAISE EXCEPTION 'workers are connected to this database, which an older version of winnow filled: '
            'stop the pool, run winnow migrate again, then start the pool of the new version';
    END IF;
END $$;

CREATE TABLE winnow.rollup_client (
    client_id   text NOT NULL,
    stream_id   smallint NOT NULL,
    shard       integer NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX rollup_client_key ON winnow.rollup_client (client_id COLLATE "C", stream_id, shard);
ALTER TABLE winnow.rollup_client REPLICA IDENTITY USING INDEX rollup_client_key;

CREATE TABLE winnow.rollup_metric (
    metric      text NOT NULL,
    stream_id   smallint NOT NULL,
    shard       integer NOT NULL,
    event_count bigint NOT NULL,
    amount_sum  numeric NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX rollup_metric_key ON winnow.rollup_metric (metric COLLATE "C", stream_id, shard);
ALTER TABLE winnow.rollup_metric REPLICA IDENTITY USING INDEX rollup_metric_key;

INSERT INTO winnow.rollup_client
SELECT client_id COLLATE "C", stream_id, shard, sum(event_count), sum(amount_sum)
FROM winnow.rollup_hour GROUP BY 1, 2, 3;

INSERT INTO winnow.rollup_metric
SELECT metric COLLATE "C", stream_id, shard, sum(event_count), sum(amount_sum)
FROM winnow.rollup_hour GROUP BY 1, 2, 3;

COMMENT ON TABLE winnow.rollup_client IS
    'Events and amounts by client. One row per shard: add them up, or read the schema analytics.';
COMMENT ON COLUMN winnow.rollup_client.client_id IS 'Who sent the events.';
COMMENT ON COLUMN winnow.rollup_client.stream_id IS 'Stream they came from.';
COMMENT ON COLUMN winnow.rollup_client.shard IS 'Lowest partition of the batch that added them.';
COMMENT ON COLUMN winnow.rollup_client.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.rollup_client.amount_sum IS 'Sum of their amounts.';
COMMENT ON INDEX winnow.rollup_client_key IS 'One row for each client and shard; names compared byte by byte.';
COMMENT ON TABLE winnow.rollup_metric IS
    'Events and amounts by metric. One row per shard: add them up, or read the schema analytics.';
COMMENT ON COLUMN winnow.rollup_metric.metric IS 'What was measured.';
COMMENT ON COLUMN winnow.rollup_metric.stream_id IS 'Stream they came from.';
COMMENT ON COLUMN winnow.rollup_metric.shard IS 'Lowest partition of the batch that added them.';
COMMENT ON COLUMN winnow.rollup_metric.event_count IS 'How many events.';
COMMENT ON COLUMN winnow.rollup_metric.amount_sum IS 'Sum of their amounts.';
COMMENT ON INDEX winnow.rollup_metric_key IS 'One row for each metric and shard; names compared byte by byte.';

CREATE OR REPLACE VIEW analytics.totals_by_client AS
SELECT
    client_id,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_client
GROUP BY 1;

CREATE OR REPLACE VIEW analytics.totals_by_metric AS
SELECT
    metric,
    sum(event_count)::bigint AS event_count,
    sum(amount_sum) AS amount_sum
FROM winnow.rollup_metric
GROUP BY 1;

ALTER FUNCTION winnow.invariant_violation() RENAME TO account_violation;
COMMENT ON FUNCTION winnow.account_violation() IS 'Part of winnow.invariant_violation(): I1 to I6.';

CREATE FUNCTION winnow.invariant_violation()
    RETURNS TABLE (invariant text, stream text, partition integer, detail text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH hour AS (
    SELECT grouping(client_id) = 1 AS by_metric, coalesce(client_id, metric) AS name, stream_id, shard,
        sum(event_count) AS event_count, sum(amount_sum) AS amount_sum
    FROM winnow.rollup_hour
    GROUP BY GROUPING SETS ((client_id, stream_id, shard), (metric, stream_id, shard))
), total AS (
    SELECT false AS by_metric, client_id AS name, stream_id, shard, event_count, amount_sum FROM winnow.rollup_client
    UNION ALL SELECT true, metric, stream_id, shard, event_count, amount_sum FROM winnow.rollup_metric
), violation AS (
    SELECT stream_id, format('%s %s, shard %s: %s events with sum %s by the hour, but a total of %s with sum %s',
        CASE WHEN by_metric THEN 'metric' ELSE 'client' END, name, shard, coalesce(h.event_count, 0),
        coalesce(h.amount_sum, 0), coalesce(t.event_count, 0), coalesce(t.amount_sum, 0)) AS detail
    FROM hour AS h FULL JOIN total AS t USING (by_metric, name, stream_id, shard)
    WHERE h.event_count IS DISTINCT FROM t.event_count OR h.amount_sum IS DISTINCT FROM t.amount_sum
)
SELECT * FROM winnow.account_violation()
UNION ALL (
    SELECT 'I7', coalesce(s.consumer_group || '/' || s.topic, format('stream %s', v.stream_id)), NULL, v.detail
    FROM violation AS v LEFT JOIN winnow.stream AS s USING (stream_id) ORDER BY 2, 4)
$$;
COMMENT ON FUNCTION winnow.invariant_violation() IS
    'Empty when all is well. I1: batches tile the offsets. I2: received = stored + duplicate + dead. I3: events = sum of '
    'stored. I4: roll-ups = a recount of the events. I5: dead letters = sum of dead. I6: the next offset is the end of '
    'the last batch. I7: totals by client and by metric = sums of the hours. Reads every table whole.';

ALTER FUNCTION winnow.grant_privileges() RENAME TO grant_first_privileges;
COMMENT ON FUNCTION winnow.grant_first_privileges() IS 'Part of winnow.grant_privileges(): what the first six files made.';

CREATE FUNCTION winnow.grant_privileges()
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM winnow.grant_first_privileges();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_worker') THEN
        GRANT SELECT, INSERT, UPDATE ON winnow.rollup_client, winnow.rollup_metric TO winnow_worker;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'winnow_operator') THEN
        GRANT EXECUTE ON FUNCTION winnow.account_violation() TO winnow_operator;
    END IF;
END $$;
COMMENT ON FUNCTION winnow.grant_privileges() IS
    'Makes the roles winnow_worker, winnow_operator and winnow_analyst where they are missing, and gives them their '
    'privileges in this database. Takes everything from PUBLIC. Run by winnow migrate; run it again, as the owner, '
    'when a superuser had to make the roles.';

SELECT winnow.grant_privileges();
