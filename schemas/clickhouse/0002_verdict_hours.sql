-- verdict_hours: how many candidates were rejected, for which reason, hour by hour, and what did that cost?
--
-- The sum of verdicts by hour, look, outcome, reason, source, category and rule set. It holds the set of row ids and
-- not a count: a set does not grow when a batch is inserted twice, however it was cut. The price of a look is part of
-- the key, so that tokens are price times size of the set, exact for the same reason. Count with
-- groupBitmapMerge(ids), or read the view verdict_counts.
--
-- The key begins with run and hour because every question names a run and a span.
CREATE TABLE IF NOT EXISTS verdict_hours
(
    run           LowCardinality(String),
    hour          DateTime('UTC'),
    look          LowCardinality(String),
    outcome       LowCardinality(String),
    reason        LowCardinality(String),
    source        LowCardinality(String),
    tier          LowCardinality(String),
    root_category Int64,
    rule_set      LowCardinality(String),
    heuristic     Bool,
    tokens        Int32,
    ids           AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_hours_mv TO verdict_hours AS
SELECT
    run, toStartOfHour(at) AS hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens;

-- verdict_counts: the same as plain numbers, one row per key, for any client.
CREATE OR REPLACE VIEW verdict_counts AS
SELECT
    run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic,
    sum(n) AS verdicts,
    sum(price * n) AS tokens
FROM
(
    SELECT
        run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens AS price,
        toInt64(groupBitmapMerge(ids)) AS n
    FROM verdict_hours
    GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, price
)
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic;
