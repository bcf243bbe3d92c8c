-- wait_days: how long had the candidates waited when each look decided them?
--
-- A histogram per day: slot is round(20 log10(1 + seconds)), so a slot is 12 % wide and the middle of it at most 6 %
-- from the truth, for a second as for a month. Sets of row ids make it exact under repetition, which sums and sketches
-- are not. The key begins with run and day because every question names a run and a span.
CREATE TABLE IF NOT EXISTS wait_days
(
    run    LowCardinality(String),
    day    Date,
    look   LowCardinality(String),
    source LowCardinality(String),
    slot   UInt8 COMMENT 'round(20 log10(1 + seconds)), 0 to 200',
    ids    AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, source, slot)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS wait_days_mv TO wait_days AS
SELECT
    run, toDate(at) AS day, look, source,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot,
    groupBitmapState(row_id) AS ids
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY run, day, look, source, slot;

INSERT INTO wait_days
SELECT
    run, toDate(at) AS day, look, source,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot,
    groupBitmapState(row_id)
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY run, day, look, source, slot
SETTINGS async_insert = 0;

-- call_days: how long did Keepa take to answer each stage? The same histogram, in thousandths of a second:
-- slot is round(20 log10(1 + milliseconds)).
CREATE TABLE IF NOT EXISTS call_days
(
    day        Date,
    stage      LowCardinality(String),
    price_kind LowCardinality(String),
    slot       UInt8 COMMENT 'round(20 log10(1 + milliseconds)), 0 to 200',
    ids        AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (day, stage, price_kind, slot)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS call_days_mv TO call_days AS
SELECT
    toDate(at) AS day, stage, price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id) AS ids
FROM ledger
WHERE event = 'close' AND api_took_ms IS NOT NULL
GROUP BY day, stage, price_kind, slot;

INSERT INTO call_days
SELECT
    toDate(at) AS day, stage, price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id)
FROM ledger
WHERE event = 'close' AND api_took_ms IS NOT NULL
GROUP BY day, stage, price_kind, slot
SETTINGS async_insert = 0;
