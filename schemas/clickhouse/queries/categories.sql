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
--   since  DateTime  = -7d   from the start of which hour, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
WITH
    counts AS
    (
        -- whole days, and the hours of the first; without what the refresher states, which is not a
        -- decision (in days known by its reasons)
        SELECT root_category, outcome, reason, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM category_days
        WHERE run = {run:String} AND NOT (startsWith(reason, 'stale_') OR startsWith(reason, 'expired_') OR reason = 'repair_gave_up') AND day > toDate({since:DateTime('UTC')})
        GROUP BY day, root_category, outcome, reason, price
        UNION ALL
        SELECT root_category, outcome, reason, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_hours
        WHERE run = {run:String} AND look != 'list' AND hour >= toStartOfHour({since:DateTime('UTC')}) AND hour < toStartOfDay({since:DateTime('UTC')}) + INTERVAL 1 DAY
        GROUP BY root_category, outcome, reason, price
    )
SELECT
    root_category,
    sum(v) AS decided,
    sumIf(v, outcome = 'reject') AS rejected,
    sumIf(v, outcome = 'accept') AS deals,
    round(100 * rejected / decided, 1) AS percent,
    argMaxIf(reason, (v, reason), outcome = 'reject') AS top_reason,
    sum(t) AS tokens
FROM
(
    SELECT root_category, outcome, reason, sumIf(n, outcome != 'survive') AS v, sum(n * price) AS t
    FROM counts
    GROUP BY root_category, outcome, reason
)
GROUP BY root_category
ORDER BY decided DESC, root_category;
