-- verdict_days: the same as verdict_hours for long spans: what did each look decide, day by day and under which rules?
--
-- A year of hours is a million sets; a year of days by the columns that most questions name is some ten thousand. A
-- question adds the hours of its first day (verdict_hours) to the days after it, and so answers to the hour.
-- Sets of row ids again, so a repeated insert, a replay of the stream and the filling below change nothing that is there.
-- The key begins with run and day because every question names a run and a span.
CREATE TABLE IF NOT EXISTS verdict_days
(
    run       LowCardinality(String),
    day       Date,
    look      LowCardinality(String),
    outcome   LowCardinality(String),
    reason    LowCardinality(String),
    rule_set  LowCardinality(String),
    heuristic Bool,
    tokens    Int32 COMMENT 'the price of one look',
    ids       AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, outcome, reason, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_days_mv TO verdict_days AS
SELECT
    run, toDate(at) AS day, look, outcome, reason, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, look, outcome, reason, rule_set, heuristic, tokens;

-- What was stored before the view was there. The view is there already, so nothing falls between the two.
INSERT INTO verdict_days
SELECT run, toDate(hour) AS day, look, outcome, reason, rule_set, heuristic, tokens, groupBitmapMergeState(ids)
FROM verdict_hours
GROUP BY run, day, look, outcome, reason, rule_set, heuristic, tokens
SETTINGS async_insert = 0;

-- category_days: in which category was what decided, day by day? Apart from verdict_days, since categories times reasons
-- would make that table as long as the hours.
CREATE TABLE IF NOT EXISTS category_days
(
    run           LowCardinality(String),
    day           Date,
    root_category Int64,
    outcome       LowCardinality(String),
    reason        LowCardinality(String),
    tokens        Int32 COMMENT 'the price of one look',
    ids           AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, root_category, outcome, reason, tokens)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS category_days_mv TO category_days AS
SELECT run, toDate(at) AS day, root_category, outcome, reason, tokens, groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, root_category, outcome, reason, tokens;

INSERT INTO category_days
SELECT run, toDate(hour) AS day, root_category, outcome, reason, tokens, groupBitmapMergeState(ids)
FROM verdict_hours
GROUP BY run, day, root_category, outcome, reason, tokens
SETTINGS async_insert = 0;
