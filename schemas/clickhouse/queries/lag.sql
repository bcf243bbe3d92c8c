-- lag: How long does a candidate wait from being listed to each look's verdict?
--
-- Columns:
--   look, source   whose candidates
--   verdicts       how many
--   p50, p90, p99  minutes that half, nine tenths and all but a hundredth of them waited at most
--   longest        minutes
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    look, source,
    uniqExact(row_id) AS verdicts,
    round(quantile(0.5)(waited), 1) AS p50,
    round(quantile(0.9)(waited), 1) AS p90,
    round(quantile(0.99)(waited), 1) AS p99,
    round(max(waited), 1) AS longest
FROM
(
    SELECT look, source, row_id, dateDiff('millisecond', listed_at, at) / 60000 AS waited
    FROM verdicts FINAL
    WHERE run = {run:String} AND at >= {since:DateTime('UTC')} AND listed_at IS NOT NULL
)
GROUP BY look, source
ORDER BY indexOf(['list', 'glance', 'peek', 'commit'], toString(look)), source;
