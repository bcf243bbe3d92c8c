-- reasons: Which reasons reject the most?
--
-- Columns:
--   look        glance, peek or commit
--   reason      why
--   heuristic   1 when a rule decided that may be wrong
--   rejected    candidates
--   percent     of all rejections, percent
--   tokens      what they cost at this look
--   newest      the last day on which it happened, pipeline time, UTC
-- Parameters:
--   since  DateTime  = -7d   from the start of which hour, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
--   limit  UInt32    = 30    rows at most
WITH
    counts AS
    (
        -- whole days, and the hours of the first
        SELECT day, look, reason, heuristic, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        WHERE run = {run:String} AND look != 'list' AND day > toDate({since:DateTime('UTC')})
        GROUP BY day, look, reason, heuristic, outcome, price
        UNION ALL
        SELECT toDate(hour) AS day, look, reason, heuristic, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_hours
        WHERE run = {run:String} AND look != 'list' AND hour >= toStartOfHour({since:DateTime('UTC')}) AND hour < toStartOfDay({since:DateTime('UTC')}) + INTERVAL 1 DAY
        GROUP BY day, look, reason, heuristic, outcome, price
    )
SELECT
    look, reason, heuristic,
    sum(n) AS rejected,
    round(100 * rejected / sum(sum(n)) OVER (), 1) AS percent,
    sum(n * price) AS tokens,
    max(day) AS newest
FROM counts
WHERE outcome = 'reject'
GROUP BY look, reason, heuristic
ORDER BY rejected DESC, look, reason
LIMIT {limit:UInt32};
