-- Coverage: how far was the deal list read, and what is owed or lost?
--
-- Polls, sweeps and gaps are entries of the ledger; these views show them with Keepa minutes as times. The entries are few
-- (a poll every few minutes), so the ledger's own key (stage, event, hour) is enough. An entry that was inserted again has
-- the same time, so FINAL need not look across months.
CREATE OR REPLACE VIEW coverage
(
    at            DateTime64(3, 'UTC') COMMENT 'pipeline time',
    event         LowCardinality(String) COMMENT 'poll, sweep, gap_opened, gap_filled, gap_expired',
    query         LowCardinality(String) COMMENT 'the deal query, NAME@VERSION',
    from_time     Nullable(DateTime('UTC')) COMMENT 'lower end of the span, Keepa time; NULL when it does not apply',
    to_time       Nullable(DateTime('UTC')) COMMENT 'upper end of the span, Keepa time; NULL when it does not apply',
    items         UInt32 COMMENT 'as in ledger',
    rows_estimate Int64 COMMENT 'rows of the page or the sweep; of a gap an estimate',
    tokens        Int64 COMMENT 'as in ledger; what a page cost is told by the close of its claim',
    claim         String COMMENT 'the claim that paid for the page; empty without one',
    note          String COMMENT 'of a gap its id',
    from_minute   Int64 COMMENT 'from_time in Keepa minutes; 0 when it does not apply',
    to_minute     Int64 COMMENT 'to_time in Keepa minutes; 0 when it does not apply'
)
COMMENT 'How far was the deal list read? A row per poll, sweep and event of a gap' AS
SELECT
    at, event, query,
    if(from_minute = 0, NULL, toDateTime((from_minute + 21564000) * 60, 'UTC')) AS from_time,
    if(to_minute = 0, NULL, toDateTime((to_minute + 21564000) * 60, 'UTC')) AS to_time,
    items, rows_estimate, tokens, claim, note, from_minute, to_minute
FROM ledger FINAL
WHERE event IN ('poll', 'sweep', 'gap_opened', 'gap_filled', 'gap_expired')
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- gaps: each span below the watermark that was owed, and what became of it. The note of a gap's entry is its id.
CREATE OR REPLACE VIEW gaps
(
    query         LowCardinality(String) COMMENT 'the deal query, NAME@VERSION',
    gap           String COMMENT 'id of the gap',
    from_time     Nullable(DateTime('UTC')) COMMENT 'lower end, Keepa time',
    to_time       Nullable(DateTime('UTC')) COMMENT 'upper end, Keepa time',
    opened_at     DateTime64(3, 'UTC') COMMENT 'pipeline time',
    ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'pipeline time; NULL while owed',
    state         String COMMENT 'owed, filled, expired',
    rows_estimate Int64 COMMENT 'rows in it, estimated'
)
COMMENT 'Which spans of the list were owed, and what became of them?' AS
SELECT
    query,
    note AS gap,
    if(minIf(from_minute, from_minute != 0) = 0, NULL, toDateTime((minIf(from_minute, from_minute != 0) + 21564000) * 60, 'UTC')) AS from_time,
    if(max(to_minute) = 0, NULL, toDateTime((max(to_minute) + 21564000) * 60, 'UTC')) AS to_time,
    min(at) AS opened_at,
    if(countIf(event != 'gap_opened') = 0, NULL, maxIf(at, event != 'gap_opened')) AS ended_at,
    multiIf(countIf(event = 'gap_filled') > 0, 'filled', countIf(event = 'gap_expired') > 0, 'expired', 'owed') AS state,
    max(l.rows_estimate) AS rows_estimate
FROM ledger AS l FINAL
WHERE event IN ('gap_opened', 'gap_filled', 'gap_expired')
GROUP BY query, gap
SETTINGS do_not_merge_across_partitions_select_final = 1;
