-- rejections: Which share of the candidates did each reason reject, hour by hour and look by look?
--
-- Columns:
--   hour        start of the hour, pipeline time, UTC
--   look        glance, peek or commit
--   reason      why
--   heuristic   1 when a rule decided that may be wrong
--   rejected    candidates
--   of          candidates that this look decided in this hour
--   percent     rejected of those, percent
--   tokens      what the rejected ones cost at this look
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    hour, look, reason, heuristic, rejected, of,
    round(100 * rejected / of, 1) AS percent,
    tokens
FROM
(
    SELECT
        hour, look, reason, heuristic,
        sumIf(c.verdicts, outcome = 'reject') AS rejected,
        sum(sum(c.verdicts)) OVER (PARTITION BY hour, look) AS of,
        sumIf(c.tokens, outcome = 'reject') AS tokens
    FROM verdict_counts AS c
    WHERE run = {run:String} AND hour >= toStartOfHour({since:DateTime('UTC')})
    GROUP BY hour, look, reason, heuristic
)
WHERE rejected > 0
ORDER BY hour DESC, look, rejected DESC, reason;
