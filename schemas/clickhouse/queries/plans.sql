-- plans: What was spent with which Keepa key?
--
-- Columns:
--   plan        name of the key; main is the first one
--   price_kind  what was bought: deals, peek, commit, seller; empty for what nobody we know spent
--   calls       that cost tokens
--   items       ASINs, rows or sellers that these calls were for
--   tokens      consumed; what nobody we know spent is signed
--   percent     of all that this key spent, percent
-- Parameters:
--   since  DateTime  = -7d  from the start of which hour, pipeline time, UTC
SELECT
    plan, price_kind,
    sum(s.calls) AS calls,
    sum(s.items) AS items,
    sum(s.tokens) AS tokens,
    round(100 * tokens / nullIf(sum(sum(s.tokens)) OVER (PARTITION BY plan), 0), 1) AS percent
FROM plan_spending AS s
WHERE hour >= toStartOfHour({since:DateTime('UTC')})
GROUP BY plan, price_kind
ORDER BY plan, tokens DESC, price_kind;
