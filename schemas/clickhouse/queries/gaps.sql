-- gaps: Which spans of the list were owed, what became of them, and what may they have cost?
--
-- Columns:
--   query          the deal query
--   state          owed, filled or expired
--   from_time      lower end, Keepa time, UTC
--   to_time        upper end, Keepa time, UTC
--   opened_at      pipeline time, UTC
--   ended_at       pipeline time, UTC; empty while owed
--   rows_estimate  rows in it, estimated
--   deals_missed   estimate for an expired one: its rows times the share of candidates that became deals
-- Parameters:
--   since  DateTime  = -7d  opened or ended since, pipeline time, UTC
WITH
    (
        SELECT sumIf(c.verdicts, outcome = 'accept') / greatest(sumIf(c.verdicts, outcome != 'survive'), 1)
        FROM verdict_counts AS c
        WHERE run = 'live' AND hour >= toStartOfHour({since:DateTime('UTC')})
    ) AS deals_per_decision
SELECT
    query, state, from_time, to_time, opened_at, ended_at, rows_estimate,
    if(state = 'expired', round(rows_estimate * deals_per_decision, 2), NULL) AS deals_missed
FROM gaps
WHERE state = 'owed' OR opened_at >= {since:DateTime('UTC')} OR ended_at >= {since:DateTime('UTC')}
ORDER BY opened_at DESC, query, to_time DESC;
