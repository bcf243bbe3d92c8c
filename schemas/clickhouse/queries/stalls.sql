-- stalls: Is it stuck, or is it bad luck? The longest times without a paid call while work waited, by day
--
-- A span between two paid calls is a stall from the moment when work was waiting and the balance was above zero. Work
-- waited from when the candidate that was paid for next had been listed; a balance at or below zero is projected to
-- rise by the rate. Balances are what Keepa said with the earlier call.
--
-- Columns:
--   day               pipeline time, UTC
--   paid_calls        that day
--   longest_minutes   the longest stall that ended that day, minutes
--   from_time         when it began, pipeline time, UTC
--   until_time        when the next call ended it
--   balance_before    what Keepa said before it, tokens
--   ended_by          the stage that paid next
--   minutes_stalled   all spans of more than 10 minutes together, minutes
-- Parameters:
--   since  DateTime  = -7d  from when, pipeline time, UTC
WITH
    calls AS
    (
        SELECT
            1 AS one, at, stage, api_left, api_rate,
            lagInFrame(toNullable(at)) OVER w AS previous,
            lagInFrame(api_left) OVER w AS left_before,
            lagInFrame(api_rate) OVER w AS rate_before
        FROM ledger FINAL
        WHERE event = 'close' AND tokens > 0 AND at >= {since:DateTime('UTC')}
        WINDOW w AS (ORDER BY at, row_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    paid AS
    (
        SELECT 1 AS one, at, assumeNotNull(listed_at) AS listed_at
        FROM verdicts FINAL
        WHERE run = 'live' AND tokens > 0 AND listed_at IS NOT NULL AND at >= {since:DateTime('UTC')}
    ),
    spans AS
    (
        SELECT
            c.at AS to_time, c.stage AS stage, c.left_before AS left_before,
            assumeNotNull(c.previous) AS ended_before,
            if(c.left_before <= 0, addSeconds(ended_before, toInt64(60 * (1 - c.left_before) / greatest(ifNull(c.rate_before, 1), 1))), ended_before) AS positive_from,
            greatest(positive_from, p.listed_at) AS from_time,
            if(p.listed_at > c.at OR p.listed_at < toDateTime64(1, 3, 'UTC'), 0, greatest(0, dateDiff('millisecond', from_time, c.at))) / 60000 AS minutes
        FROM calls AS c
        ASOF LEFT JOIN paid AS p ON c.one = p.one AND p.at >= c.at
        WHERE c.previous IS NOT NULL
    )
SELECT
    toDate(to_time) AS day,
    count() + 1 AS paid_calls,
    round(max(minutes), 1) AS longest_minutes,
    argMax(s.from_time, minutes) AS from_time,
    argMax(s.to_time, minutes) AS until_time,
    argMax(left_before, minutes) AS balance_before,
    argMax(stage, minutes) AS ended_by,
    round(ifNull(sumIf(minutes, minutes > 10), 0), 1) AS minutes_stalled
FROM spans AS s
GROUP BY day
ORDER BY day DESC;
