-- asin_checks: when was an ASIN last looked at to the end, what came of it, and when was it last confirmed?
--
-- Checked and confirmed are two things: a deal that was rejected on its refresh was checked, and is not confirmed. The
-- newest verdict is the last one of its stream, whatever the order in which rows arrive, so an insert that is
-- repeated changes nothing. Only live verdicts that end a piece of work and decide it count; a shed or failed
-- candidate says nothing about the deal. The key is the deal's own, since it is only ever asked for deals.
CREATE TABLE IF NOT EXISTS asin_checks
(
    domain       UInt16,
    asin         String,
    price_type   UInt16,
    checked_at   SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    confirmed_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT '1970 when never',
    newest       AggregateFunction(argMax, Tuple(String, String, String), UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (domain, asin, price_type)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS asin_checks_mv TO asin_checks AS
SELECT
    domain, asin, price_type,
    max(at) AS checked_at,
    maxIf(at, outcome IN ('accept', 'confirm')) AS confirmed_at,
    argMaxState((toString(outcome), toString(reason), toString(look)), row_id) AS newest
FROM verdicts
WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm')
GROUP BY domain, asin, price_type;
