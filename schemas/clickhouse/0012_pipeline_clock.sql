-- pipeline_clock: what time is it in the pipeline?
--
-- With a simulated Keepa the pipeline's time runs ahead of, or far from, the machine's. The newest entry of the ledger
-- tells by how much: it carries both. SELECT now FROM pipeline_clock is what "the last hour" counts back from; without
-- any entry it is the machine's time. One row, since only the newest entry matters.
CREATE TABLE IF NOT EXISTS clock_readings
(
    newest AggregateFunction(argMax, Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC')), UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY tuple()
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS clock_readings_mv TO clock_readings AS
SELECT argMaxState((at, stored_at), row_id) AS newest
FROM ledger;

CREATE OR REPLACE VIEW pipeline_clock AS
SELECT
    argMaxMerge(newest) AS reading,
    reading.1 AS at,
    reading.2 AS stored_at,
    if(stored_at = toDateTime64(0, 3, 'UTC'), now64(3, 'UTC'), addMilliseconds(now64(3, 'UTC'), dateDiff('millisecond', stored_at, at))) AS now
FROM clock_readings;
