-- coverage: How far was each deal query's list read, and how often?
--
-- Columns:
--   query            the deal query
--   polls            pages read
--   rows             rows that they brought, known ones too
--   sweeps           full sweeps that ended
--   last_poll        pipeline time, UTC
--   last_sweep       pipeline time, UTC; empty when there was none
--   read_up_to       the newest position read, Keepa time, UTC
--   gaps_owed        spans below the watermark not read yet, opened at any time
--   gaps_filled      closed since
--   gaps_expired     their rows left the list before they were read
--   rows_lost        estimate for the expired ones
--   tokens           what these pages cost
-- Parameters:
--   since  DateTime  = -7d  from when, pipeline time, UTC
SELECT
    query, polls, rows, sweeps, last_poll, last_sweep, read_up_to,
    gaps_owed, gaps_filled, gaps_expired, rows_lost, tokens
FROM
(
    SELECT
        query,
        countIf(event = 'poll') AS polls,
        sumIf(c.rows_estimate, event = 'poll') AS rows, -- of a poll it is no estimate
        countIf(event = 'sweep') AS sweeps,
        maxIf(at, event = 'poll') AS last_poll,
        if(sweeps = 0, NULL, maxIf(at, event = 'sweep')) AS last_sweep,
        max(c.to_time) AS read_up_to,
        sumIf(paid.tokens, event = 'poll') AS tokens
    FROM coverage AS c
    LEFT JOIN
    (
        -- a page is paid for under its claim, up to an hour before it is read
        SELECT claim, sum(l.tokens) AS tokens
        FROM ledger AS l FINAL
        WHERE stage = 'watermarker' AND event IN ('close', 'lost') AND claim != '' AND at >= toDateTime64({since:DateTime('UTC')}, 3, 'UTC') - INTERVAL 1 HOUR
        GROUP BY claim
    ) AS paid ON c.claim = paid.claim
    WHERE at >= {since:DateTime('UTC')} AND event IN ('poll', 'sweep')
    GROUP BY query
) AS p
LEFT JOIN
(
    SELECT
        query,
        countIf(state = 'owed') AS gaps_owed,
        countIf(state = 'filled' AND ended_at >= {since:DateTime('UTC')}) AS gaps_filled,
        countIf(state = 'expired' AND ended_at >= {since:DateTime('UTC')}) AS gaps_expired,
        sumIf(g.rows_estimate, state = 'expired' AND ended_at >= {since:DateTime('UTC')}) AS rows_lost
    FROM gaps AS g
    GROUP BY query
) AS g USING (query)
ORDER BY query;
