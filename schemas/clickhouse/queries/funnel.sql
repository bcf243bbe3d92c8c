-- funnel: How many candidates does each look let through, and what does a decision and a deal cost?
--
-- What the refresher states without a look (stale, expired) is not a decision: deal-states has it.
--
-- Columns:
--   look                 glance, peek, commit, then all
--   decided              verdicts of this look; for all: candidates with a final verdict
--   survived             went on to the next look
--   rejected             and the looks after were saved
--   accepted             became deals
--   other                shed, confirmed or failed
--   reject_percent       rejected of decided, percent
--   tokens               what the verdicts of this look cost; for all: everything the ledger says was consumed
--   tokens_per_decision  tokens / decided
--   tokens_per_deal      tokens / accepted; empty without a deal
-- Parameters:
--   since  DateTime  = -7d   from the start of which hour, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay, which consumes nothing
WITH
    counts AS
    (
        -- whole days, and the hours of the first
        SELECT look, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        WHERE run = {run:String} AND look != 'list' AND day > toDate({since:DateTime('UTC')})
        GROUP BY day, look, outcome, price
        UNION ALL
        SELECT look, outcome, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_hours
        WHERE run = {run:String} AND look != 'list' AND hour >= toStartOfHour({since:DateTime('UTC')}) AND hour < toStartOfDay({since:DateTime('UTC')}) + INTERVAL 1 DAY
        GROUP BY look, outcome, price
        UNION ALL
        SELECT '', '', 0, 0 -- so that there is a row for all where nothing was decided
    ),
    (
        SELECT sum(s.tokens)
        FROM spending AS s
        WHERE {run:String} = 'live' AND hour >= toStartOfHour({since:DateTime('UTC')})
    ) AS consumed
SELECT
    of AS look,
    sumIf(n, of != 'all' OR outcome != 'survive') AS decided,
    sumIf(n, of != 'all' AND outcome = 'survive') AS survived,
    sumIf(n, outcome = 'reject') AS rejected,
    sumIf(n, outcome = 'accept') AS accepted,
    sumIf(n, outcome IN ('shed', 'confirm', 'fail')) AS other,
    if(decided = 0, NULL, round(100 * rejected / decided, 1)) AS reject_percent,
    if(of = 'all', consumed, sum(n * price)) AS tokens,
    if(decided = 0, NULL, round(tokens / decided, 2)) AS tokens_per_decision,
    if(accepted = 0, NULL, round(tokens / accepted, 1)) AS tokens_per_deal
FROM counts
ARRAY JOIN if(look = '', ['all'], [toString(look), 'all']) AS of
GROUP BY of
ORDER BY indexOf(['glance', 'peek', 'commit', 'all'], of);
