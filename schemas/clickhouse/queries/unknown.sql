-- unknown: Which inputs do the rules want and not know, and which rule then decided?
--
-- Columns:
--   look, input  what was unknown, and when it was wanted
--   rule_id      the rule that decided without it; empty when none did
--   verdicts     that were reached without it
--   percent      of the look's verdicts, percent
--   rejected     of them
-- Parameters:
--   since  DateTime  = -7d   from the start of which day, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
WITH
    decided AS
    (
        SELECT look, sum(n) AS of
        FROM
        (
            SELECT look, toInt64(groupBitmapMerge(ids)) AS n
            FROM verdict_days
            WHERE run = {run:String} AND day >= toDate({since:DateTime('UTC')})
            GROUP BY day, look, outcome, reason, rule_set, tokens
        )
        GROUP BY look
    )
SELECT
    u.look AS look, u.input AS input, u.rule_id AS rule_id,
    sum(u.n) AS verdicts,
    round(100 * verdicts / any(d.of), 1) AS percent,
    sumIf(u.n, u.outcome = 'reject') AS rejected
FROM
(
    SELECT look, input, rule_id, outcome, toInt64(groupBitmapMerge(ids)) AS n
    FROM unknown_days
    WHERE run = {run:String} AND day >= toDate({since:DateTime('UTC')})
    GROUP BY day, look, input, rule_id, outcome
) AS u
INNER JOIN decided AS d ON u.look = d.look
GROUP BY look, input, rule_id
ORDER BY verdicts DESC, look, input, rule_id;
