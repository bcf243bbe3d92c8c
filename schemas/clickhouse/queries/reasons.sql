-- reasons: Which reasons reject the most?
--
-- Columns:
--   look             glance, peek or commit
--   reason           why
--   heuristic        1 when a rule decided that may be wrong, or the last look at an earlier price
--   rejected         candidates
--   percent          of all rejections, percent
--   of_look_percent  of all that this look decided, percent
--   tokens           what they cost at this look
--   newest           the last day on which it happened, pipeline time, UTC
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
    look, reason, heuristic, rejected,
    round(100 * rejected / sum(rejected) OVER (), 1) AS percent,
    round(100 * rejected / decided, 1) AS of_look_percent,
    tokens, newest
FROM
(
    SELECT
        look, reason, heuristic,
        sumIf(n, outcome = 'reject') AS rejected,
        sum(sum(n)) OVER (PARTITION BY look) AS decided,
        sumIf(n * price, outcome = 'reject') AS tokens,
        maxIf(day, outcome = 'reject') AS newest
    FROM counts
    GROUP BY look, reason, heuristic
)
WHERE rejected > 0
ORDER BY rejected DESC, look, reason
LIMIT {limit:UInt32};
