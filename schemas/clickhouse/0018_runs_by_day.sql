-- runs: the same view over the days, which are fewer than the hours.
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
    SELECT run, sum(n) AS verdicts, sumIf(n, outcome = 'accept') AS accepted, sum(n * price) AS tokens
    FROM
    (
        SELECT run, day, look, outcome, reason, rule_set, heuristic, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        GROUP BY run, day, look, outcome, reason, rule_set, heuristic, price
    )
    GROUP BY run
) AS c USING (run);
