-- calibration: Does a candidate earn what its expected value promised?
--
-- The commit's verdicts, by what was expected of them beforehand. Well calibrated, earned_each follows expected_each and
-- accept_percent rises from band to band.
--
-- Columns:
--   band            expected value, dollars: 5 is from 5 to below 10, 0 all below 5; empty where none was computed
--   verdicts        of the commit
--   accepted        of them, became deals
--   accept_percent  accepted of verdicts, percent
--   expected_each   mean expected value, dollars
--   earned_each     mean profit, with 0 for what was not accepted, dollars
--   ratio           earned_each / expected_each; 1 is right, below 1 promises too much
--   tokens          what the commits cost
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    if(expected_value_cents IS NULL, NULL, 5 * intDiv(greatest(0, assumeNotNull(expected_value_cents)), 500)) AS band,
    count() AS verdicts,
    countIf(outcome = 'accept') AS accepted,
    round(100 * accepted / verdicts, 1) AS accept_percent,
    round(avg(expected_value_cents) / 100, 2) AS expected_each,
    round(sum(if(outcome = 'accept', ifNull(profit_cents, 0), 0)) / verdicts / 100, 2) AS earned_each,
    round(earned_each / nullIf(expected_each, 0), 2) AS ratio,
    sum(v.tokens) AS tokens
FROM verdicts AS v FINAL
WHERE run = {run:String} AND look = 'commit' AND at >= {since:DateTime('UTC')} AND outcome IN ('accept', 'reject')
GROUP BY band
ORDER BY band NULLS LAST
SETTINGS do_not_merge_across_partitions_select_final = 1;
