-- rejections: Which share of the candidates did each reason reject, look by look and hour by hour?
--
-- Columns:
--   hour        start of the hour, pipeline time, UTC; of the day where since is more than 31 days before the newest
--               verdict
--   look        glance, peek or commit
--   reason      why
--   heuristic   1 when a rule decided that may be wrong, or the last look at an earlier price
--   rejected    candidates
--   of          candidates that this look decided in this hour (or day)
--   percent     rejected of those, percent
--   tokens      what the rejected ones cost at this look
-- Parameters:
--   since  DateTime  = -7d   from the start of which hour (or day), pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
WITH
    (SELECT max(last_at) FROM run_sums WHERE run = {run:String}) AS newest,
    newest > {since:DateTime('UTC')} + INTERVAL 31 DAY AS long,
    counts AS
    (
        SELECT toDateTime(day, 'UTC') AS hour, look, reason, heuristic, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        WHERE long AND run = {run:String} AND look != 'list' AND day >= toDate({since:DateTime('UTC')})
        GROUP BY hour, look, reason, heuristic, outcome, price
        UNION ALL
        SELECT hour, look, reason, heuristic, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_hours
        WHERE NOT long AND run = {run:String} AND look != 'list' AND hour >= toStartOfHour({since:DateTime('UTC')})
        GROUP BY hour, look, reason, heuristic, outcome, price
    )
SELECT
    hour, look, reason, heuristic, rejected, of,
    round(100 * rejected / of, 1) AS percent,
    tokens
FROM
(
    SELECT
        hour, look, reason, heuristic,
        sumIf(n, outcome = 'reject') AS rejected,
        sum(sum(n)) OVER (PARTITION BY hour, look) AS of,
        sumIf(n * price, outcome = 'reject') AS tokens
    FROM counts
    GROUP BY hour, look, reason, heuristic
)
WHERE rejected > 0
ORDER BY hour DESC, look, rejected DESC, reason;
