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
--   tokens_owed    what deciding the rows of an owed one would cost by the same shares, tokens
-- Parameters:
--   since  DateTime  = -7d  opened or ended since, pipeline time, UTC
WITH
    counts AS
    (
        -- whole days, and the hours of the first
        SELECT outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        WHERE run = 'live' AND look != 'list' AND day > toDate({since:DateTime('UTC')})
        GROUP BY day, outcome, price
        UNION ALL
        SELECT outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_hours
        WHERE run = 'live' AND look != 'list' AND hour >= toStartOfHour({since:DateTime('UTC')}) AND hour < toStartOfDay({since:DateTime('UTC')}) + INTERVAL 1 DAY
        GROUP BY outcome, price
    ),
    -- deals and tokens per decision
    (SELECT (sumIf(n, outcome = 'accept'), sum(n * price)) / greatest(sumIf(n, outcome != 'survive'), 1) FROM counts) AS each
SELECT
    query, state, from_time, to_time, opened_at, ended_at, rows_estimate,
    if(state = 'expired', round(rows_estimate * each.1, 2), NULL) AS deals_missed,
    if(state = 'owed', round(rows_estimate * each.2), NULL) AS tokens_owed
FROM gaps
WHERE state = 'owed' OR opened_at >= {since:DateTime('UTC')} OR ended_at >= {since:DateTime('UTC')}
ORDER BY opened_at DESC, query, to_time DESC;
