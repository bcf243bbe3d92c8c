-- reasons: Which reasons reject the most?
--
-- Columns:
--   look        glance, peek or commit
--   reason      why
--   heuristic   1 when a rule decided that may be wrong
--   rejected    candidates
--   percent     of all rejections, percent
--   tokens      what they cost at this look
--   newest      the last hour in which it happened, pipeline time, UTC
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
--   limit  UInt32    = 30    rows at most
SELECT
    look, reason, heuristic,
    sum(c.verdicts) AS rejected,
    round(100 * rejected / sum(sum(c.verdicts)) OVER (), 1) AS percent,
    sum(c.tokens) AS tokens,
    max(hour) AS newest
FROM verdict_counts AS c
WHERE run = {run:String} AND outcome = 'reject' AND hour >= toStartOfHour({since:DateTime('UTC')})
GROUP BY look, reason, heuristic
ORDER BY rejected DESC, look, reason
LIMIT {limit:UInt32};
