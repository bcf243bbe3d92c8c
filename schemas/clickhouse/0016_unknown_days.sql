-- unknown_days: which inputs did the rules want and not know, day by day?
--
-- One set of row ids per input, look, rule that decided and outcome; exact under repetition. The key begins with run
-- and day because every question names a run and a span.
CREATE TABLE IF NOT EXISTS unknown_days
(
    run     LowCardinality(String),
    day     Date,
    look    LowCardinality(String),
    rule_id LowCardinality(String),
    input   LowCardinality(String),
    outcome LowCardinality(String),
    ids     AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, rule_id, input, outcome)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS unknown_days_mv TO unknown_days AS
SELECT run, toDate(at) AS day, look, rule_id, arrayJoin(unknown) AS input, outcome, groupBitmapState(row_id) AS ids
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY run, day, look, rule_id, input, outcome;

INSERT INTO unknown_days
SELECT run, toDate(at) AS day, look, rule_id, arrayJoin(unknown) AS input, outcome, groupBitmapState(row_id)
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY run, day, look, rule_id, input, outcome
SETTINGS async_insert = 0;
