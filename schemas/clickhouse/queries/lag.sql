-- lag: How long does a candidate wait from being listed to each look's verdict?
--
-- The waits are kept in slots 12 % wide: a figure is at most 6 % and 0.06 s from the truth. Counts are exact.
--
-- Columns:
--   look, source   whose candidates
--   verdicts       how many
--   p50, p90, p99  minutes that half, nine tenths and all but a hundredth of them waited at most
--   longest        minutes
-- Parameters:
--   since  DateTime  = -7d   from the start of which day, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    look, source,
    sum(n) AS verdicts,
    round(quantileExactWeighted(0.5)(minutes, n), 2) AS p50,
    round(quantileExactWeighted(0.9)(minutes, n), 2) AS p90,
    round(quantileExactWeighted(0.99)(minutes, n), 2) AS p99,
    round(max(minutes), 2) AS longest
FROM
(
    SELECT look, source, (pow(10, slot / 20) - 1) / 60 AS minutes, toUInt64(groupBitmapMerge(ids)) AS n
    FROM wait_days
    WHERE run = {run:String} AND look != 'list' AND day >= toDate({since:DateTime('UTC')})
    GROUP BY day, look, source, slot
)
GROUP BY look, source
ORDER BY indexOf(['glance', 'peek', 'commit'], toString(look)), source;
