-- balance: how full was the bucket at each instant?
--
-- Every ledger entry that carries an answer of Keepa is a point of the series. Ordered by time, because a chart reads
-- a span of it; row_id makes a repeated insert the same point.
CREATE TABLE IF NOT EXISTS balance_points
(
    at        DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id    UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    balance   Int32 COMMENT 'tokens; negative in debt',
    rate      Int32 COMMENT 'tokens a minute',
    refill_ms Int64 COMMENT 'until the next refill',
    flow_red  Float64 COMMENT 'tokens a minute that trackings eat',
    stage     LowCardinality(String) COMMENT 'whose answer it was'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS balance_points_mv TO balance_points AS
SELECT
    at, row_id, stored_at,
    assumeNotNull(api_left) AS balance,
    ifNull(api_rate, 0) AS rate,
    ifNull(api_refill_ms, 0) AS refill_ms,
    ifNull(api_flow_red, 0) AS flow_red,
    stage
FROM ledger
WHERE api_left IS NOT NULL;

CREATE OR REPLACE VIEW balance AS
SELECT at, balance, rate, refill_ms, flow_red, stage
FROM balance_points FINAL;
