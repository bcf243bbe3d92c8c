-- token_hours: how many tokens did each stage spend, on what, hour by hour?
--
-- The sum of the ledger. As in verdict_hours the sum is held as a set of row ids per amount, so that it is exact
-- whatever is inserted again: tokens are amount times size of the set. The key begins with the hour because every
-- question names a span. Read the view token_counts.
CREATE TABLE IF NOT EXISTS token_hours
(
    hour       DateTime('UTC'),
    stage      LowCardinality(String),
    event      LowCardinality(String),
    price_kind LowCardinality(String),
    amount     Int64 COMMENT 'tokens of one entry',
    items      UInt32 COMMENT 'what one entry was for',
    ids        AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (hour, stage, event, price_kind, amount, items)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS token_hours_mv TO token_hours AS
SELECT
    toStartOfHour(at) AS hour, stage, event, price_kind, tokens AS amount, items,
    groupBitmapState(row_id) AS ids
FROM ledger
GROUP BY hour, stage, event, price_kind, amount, items;

-- token_counts: the same as plain numbers. Consumed tokens are those of close, lost and drift; the rest is
-- permission, not spending.
CREATE OR REPLACE VIEW token_counts AS
SELECT
    hour, stage, event, price_kind,
    sum(n) AS entries,
    sum(amount * n) AS tokens,
    sum(size * n) AS items
FROM
(
    SELECT hour, stage, event, price_kind, amount, items AS size, toInt64(groupBitmapMerge(ids)) AS n
    FROM token_hours
    GROUP BY hour, stage, event, price_kind, amount, size
)
GROUP BY hour, stage, event, price_kind;
