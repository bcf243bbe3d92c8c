-- runs: which runs are there, when did each decide what, under which rules?
--
-- One row per run: live, and every replay. Kept by a sum of verdicts that a repeated insert does not change.
CREATE TABLE IF NOT EXISTS run_sums
(
    run       LowCardinality(String),
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_at   SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    rule_sets SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    builds    SimpleAggregateFunction(groupUniqArrayArray, Array(String))
)
ENGINE = AggregatingMergeTree
ORDER BY run
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS run_sums_mv TO run_sums AS
SELECT
    run,
    min(at) AS first_at,
    max(at) AS last_at,
    groupUniqArray(toString(rule_set)) AS rule_sets,
    groupUniqArray(toString(build)) AS builds
FROM verdicts
GROUP BY run;

CREATE OR REPLACE VIEW runs AS
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
    SELECT run, sum(n.verdicts) AS verdicts, sumIf(n.verdicts, outcome = 'accept') AS accepted, sum(n.tokens) AS tokens
    FROM verdict_counts AS n
    GROUP BY run
) AS c USING (run);
