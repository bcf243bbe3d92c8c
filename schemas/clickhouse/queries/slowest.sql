-- slowest: Which step takes longest: waiting for a look, or Keepa's answer?
--
-- Times are kept in slots 12 % wide: a figure is at most 6 % and 0.06 s (of a call 0.06 ms) from the truth. Counts are
-- exact.
--
-- Columns:
--   step         wait (from being listed to the verdict) or call (Keepa's own time for an answer)
--   stage, kind  wait: the look and the source; call: who asked, and for what
--   times        how often
--   p50_s        seconds that half of them took at most
--   p99_s        seconds that all but a hundredth took at most
--   total_hours  all of them together, hours
-- Parameters:
--   since  DateTime  = -7d   from the start of which day, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    step, stage, kind,
    sum(n) AS times,
    round(quantileExactWeighted(0.5)(seconds, n), 3) AS p50_s,
    round(quantileExactWeighted(0.99)(seconds, n), 3) AS p99_s,
    round(sum(seconds * n) / 3600, 2) AS total_hours
FROM
(
    SELECT 'wait' AS step, toString(look) AS stage, toString(source) AS kind, pow(10, slot / 20) - 1 AS seconds, toUInt64(groupBitmapMerge(ids)) AS n
    FROM wait_days
    WHERE run = {run:String} AND look != 'list' AND day >= toDate({since:DateTime('UTC')})
    GROUP BY day, look, source, slot
    UNION ALL
    SELECT 'call' AS step, toString(c.stage) AS stage, toString(price_kind) AS kind, (pow(10, slot / 20) - 1) / 1000 AS seconds, toUInt64(groupBitmapMerge(ids)) AS n
    FROM call_days AS c
    WHERE {run:String} = 'live' AND day >= toDate({since:DateTime('UTC')})
    GROUP BY day, c.stage, price_kind, slot
)
GROUP BY step, stage, kind
ORDER BY p50_s DESC, step, stage, kind;
