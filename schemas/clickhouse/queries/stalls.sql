-- stalls: Is it stuck, or is it bad luck? The longest times without a paid call while work waited, by day
--
-- A span between two paid calls is a stall from the moment when work was waiting and the balance was above zero. Work
-- waited from when the candidate that was paid for next had been listed; a balance at or below zero is projected to
-- rise by the rate. Balances are what Keepa said with the earlier call. Calls less than five minutes apart are no stall.
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
--   since  DateTime  = -7d  from the start of which day, pipeline time, UTC
WITH
    calls AS
    (
        SELECT
            1 AS one, slot, stage, to_time,
            lagInFrame(toNullable(until)) OVER w AS previous,
            lagInFrame(reading.1) OVER w AS left_before,
            lagInFrame(reading.2) OVER w AS rate_before
        FROM
        (
            SELECT slot, min(c.first_at) AS to_time, max(c.last_at) AS until, argMinMerge(c.first) AS stage, argMaxMerge(c.last) AS reading
            FROM call_slots AS c
            WHERE slot >= toStartOfDay({since:DateTime('UTC')})
            GROUP BY slot
        )
        WINDOW w AS (ORDER BY slot ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    paid AS
    (
        SELECT 1 AS one, slot, argMinMerge(p.listed) AS listed_at
        FROM paid_slots AS p
        WHERE slot >= toStartOfDay({since:DateTime('UTC')})
        GROUP BY slot
    ),
    spans AS
    (
        SELECT
            c.to_time AS to_time, c.stage AS stage, c.left_before AS left_before,
            assumeNotNull(c.previous) AS ended_before,
            if(c.left_before <= 0, addSeconds(ended_before, toInt64(60 * (1 - c.left_before) / greatest(ifNull(c.rate_before, 1), 1))), ended_before) AS positive_from,
            greatest(positive_from, p.listed_at) AS from_time,
            if(c.previous IS NULL OR p.listed_at > c.to_time OR p.listed_at < toDateTime64(1, 3, 'UTC'), 0, greatest(0, dateDiff('millisecond', from_time, c.to_time))) / 60000 AS minutes
        FROM calls AS c
        ASOF LEFT JOIN paid AS p ON c.one = p.one AND p.slot >= c.slot
    ),
    counted AS
    (
        SELECT toDate(hour) AS day, sum(n) AS calls
        FROM
        (
            SELECT hour, toInt64(groupBitmapMerge(ids)) AS n
            FROM token_hours
            WHERE hour >= toStartOfDay({since:DateTime('UTC')}) AND event = 'close' AND amount > 0
            GROUP BY hour
        )
        GROUP BY day
    )
SELECT
    s.day AS day, n.calls AS paid_calls, longest_minutes, from_time, until_time, balance_before, ended_by, minutes_stalled
FROM
(
    SELECT
        toDate(to_time) AS day,
        round(max(minutes), 1) AS longest_minutes,
        argMax(s.from_time, minutes) AS from_time,
        argMax(s.to_time, minutes) AS until_time,
        argMax(left_before, minutes) AS balance_before,
        argMax(stage, minutes) AS ended_by,
        round(ifNull(sumIf(minutes, minutes > 10), 0), 1) AS minutes_stalled
    FROM spans AS s
    GROUP BY day
) AS s
LEFT JOIN counted AS n ON s.day = n.day
ORDER BY day DESC;
