-- Runs: which runs are there, when did each decide what, under which rules?

-- run_sums: a row per run, live and every replay. Minima, maxima and sets, so a repeated insert changes nothing. The key is
-- the run: there are few, and all of them are read.
CREATE TABLE IF NOT EXISTS run_sums
(
    run       LowCardinality(String) COMMENT 'live, or the name of a replay',
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'its first verdict, pipeline time',
    last_at   SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'its last verdict, pipeline time',
    rule_sets SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'versions of the rules that decided',
    builds    SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'builds that decided'
)
ENGINE = AggregatingMergeTree
ORDER BY run
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'First and last verdict, rules and builds of each run; read it through the view runs';

CREATE MATERIALIZED VIEW IF NOT EXISTS run_sums_mv TO run_sums COMMENT 'Keeps run_sums' AS
SELECT
    run,
    min(at) AS first_at,
    max(at) AS last_at,
    groupUniqArray(toString(rule_set)) AS rule_sets,
    groupUniqArray(toString(build)) AS builds
FROM verdicts
GROUP BY run;

-- runs: run_sums with the counts of verdict_days.
CREATE OR REPLACE VIEW runs
(
    run       LowCardinality(String) COMMENT 'live, or the name of a replay',
    first_at  DateTime64(3, 'UTC') COMMENT 'its first verdict, pipeline time',
    last_at   DateTime64(3, 'UTC') COMMENT 'its last verdict, pipeline time',
    verdicts  Int64 COMMENT 'of all looks',
    accepted  Int64 COMMENT 'deals found',
    tokens    Int64 COMMENT 'what the looks cost',
    rule_sets Array(String) COMMENT 'versions of the rules that decided',
    builds    Array(String) COMMENT 'builds that decided'
)
COMMENT 'Which runs are there, and what did each decide?' AS
SELECT
    run, s.first_at AS first_at, s.last_at AS last_at, c.verdicts AS verdicts, c.accepted AS accepted, c.tokens AS tokens,
    s.rule_sets AS rule_sets, s.builds AS builds
FROM
(
    SELECT
        run, min(r.first_at) AS first_at, max(r.last_at) AS last_at,
        arraySort(groupUniqArrayArray(r.rule_sets)) AS rule_sets, arraySort(groupUniqArrayArray(r.builds)) AS builds
    FROM run_sums AS r
    GROUP BY run
) AS s
LEFT JOIN
(
    SELECT run, sum(n) AS verdicts, sumIf(n, outcome = 'accept') AS accepted, sum(n * price) AS tokens
    FROM
    (
        SELECT run, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        GROUP BY run, day, outcome, price
    )
    GROUP BY run
) AS c USING (run);
