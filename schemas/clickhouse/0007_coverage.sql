-- coverage: how far was the deal list read, and what is owed or lost?
--
-- Polls, sweeps and gaps are entries of the ledger; this is the ledger seen as coverage, with Keepa minutes as times.
-- They are few (a poll every few minutes), so a view over the ledger's own key (stage, event, hour) is enough.
CREATE OR REPLACE VIEW coverage AS
SELECT
    at, event, query,
    if(from_minute = 0, NULL, toDateTime((from_minute + 21564000) * 60, 'UTC')) AS from_time,
    if(to_minute = 0, NULL, toDateTime((to_minute + 21564000) * 60, 'UTC')) AS to_time,
    items, rows_estimate, tokens, claim, note, from_minute, to_minute
FROM ledger FINAL
WHERE event IN ('poll', 'sweep', 'gap_opened', 'gap_filled', 'gap_expired');

-- gaps: each span below the watermark that was owed, and what became of it. The note of a gap's entry is its id.
CREATE OR REPLACE VIEW gaps AS
SELECT
    query,
    note AS gap,
    min(c.from_time) AS from_time,
    max(c.to_time) AS to_time,
    min(c.at) AS opened_at,
    if(countIf(event IN ('gap_filled', 'gap_expired')) = 0, NULL, maxIf(at, event IN ('gap_filled', 'gap_expired'))) AS ended_at,
    multiIf(countIf(event = 'gap_filled') > 0, 'filled', countIf(event = 'gap_expired') > 0, 'expired', 'owed') AS state,
    max(c.rows_estimate) AS rows_estimate
FROM coverage AS c
WHERE event IN ('gap_opened', 'gap_filled', 'gap_expired')
GROUP BY query, gap;
