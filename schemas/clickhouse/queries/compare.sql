-- compare: What does run B, or its rule set, decide differently from run A?
--
-- Shares are of the same look of the same run, so runs of different length compare. A replay of a part (--reason,
-- --asin, --source) or one that stored only what changed (--changed-only) holds that part alone: read a and b of it,
-- not its shares.
--
-- Columns:
--   look, outcome, reason   what was decided
--   rule_set_a, rule_set_b  which rules decided; more than one when they changed
--   a, b                    verdicts of each run
--   percent_a, percent_b    of the run's verdicts of this look, percent; empty where the run has none of this look
--   change                  percent_b - percent_a, percentage points; empty where one of them is
--   tokens_a, tokens_b      what they cost
-- Parameters:
--   since  DateTime  = -7d   from the start of which day, pipeline time, UTC
--   run    String    = live  run A
--   other  String    = live  run B: the name of a replay
SELECT
    look, outcome, reason,
    arrayStringConcat(arraySort(groupUniqArrayIf(toString(rule_set), n_a > 0)), ' ') AS rule_set_a,
    arrayStringConcat(arraySort(groupUniqArrayIf(toString(rule_set), n_b > 0)), ' ') AS rule_set_b,
    sum(n_a) AS a,
    sum(n_b) AS b,
    round(100 * a / nullIf(sum(sum(n_a)) OVER (PARTITION BY look), 0), 1) AS percent_a,
    round(100 * b / nullIf(sum(sum(n_b)) OVER (PARTITION BY look), 0), 1) AS percent_b,
    round(percent_b - percent_a, 1) AS change,
    sum(n_a * price) AS tokens_a,
    sum(n_b * price) AS tokens_b
FROM
(
    SELECT
        look, outcome, reason, rule_set, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n,
        if(run = {run:String}, n, 0) AS n_a, if(run = {other:String}, n, 0) AS n_b
    FROM verdict_days
    WHERE run IN ({run:String}, {other:String}) AND day >= toDate({since:DateTime('UTC')})
    GROUP BY run, day, look, outcome, reason, rule_set, price
)
GROUP BY look, outcome, reason
ORDER BY indexOf(['list', 'glance', 'peek', 'commit'], toString(look)), abs(change) DESC NULLS LAST, a DESC, outcome, reason;
