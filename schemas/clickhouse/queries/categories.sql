-- categories: In which categories are candidates rejected, and where are the deals?
--
-- Columns:
--   root_category  Keepa category id; 0 when unknown
--   decided        candidates with a final verdict
--   rejected       of them
--   deals          of them
--   percent        rejected of decided, percent
--   top_reason     the most frequent reason for a rejection
--   tokens         what all looks at them cost
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    root_category,
    sum(n) AS decided,
    sumIf(n, outcome = 'reject') AS rejected,
    sumIf(n, outcome = 'accept') AS deals,
    round(100 * rejected / decided, 1) AS percent,
    argMaxIf(reason, n, outcome = 'reject') AS top_reason,
    sum(t) AS tokens
FROM
(
    SELECT root_category, outcome, reason, sumIf(c.verdicts, outcome != 'survive') AS n, sum(c.tokens) AS t
    FROM verdict_counts AS c
    WHERE run = {run:String} AND hour >= toStartOfHour({since:DateTime('UTC')})
    GROUP BY root_category, outcome, reason
)
GROUP BY root_category
ORDER BY decided DESC, root_category;
