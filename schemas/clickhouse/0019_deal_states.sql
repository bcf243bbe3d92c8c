-- deal_states: the same definition, answered faster.
--
-- The checks are narrowed by the ASIN alone, which costs a third of narrowing them by the whole key; the join does the
-- rest.
CREATE OR REPLACE VIEW deal_states AS
SELECT
    d.*,
    c.checked_at AS last_checked_at,
    c.confirmed_at AS last_confirmed_at,
    multiIf(
        d.profit_cents IS NULL OR d.profit_cents <= 0, 'no_profit',
        d.list_price_cents IS NULL OR d.list_price_cents <= 0, 'no_list_price',
        d.one_year_average_cents IS NULL OR d.one_year_average_cents <= 0, 'no_one_year_average',
        c.outcome = 'reject', c.reason,
        '') AS hidden_because
FROM deals AS d
LEFT JOIN
(
    SELECT
        domain, asin, price_type,
        max(a.checked_at) AS checked_at,
        max(a.confirmed_at) AS confirmed_at,
        argMaxMerge(a.newest) AS last,
        last.1 AS outcome,
        last.2 AS reason
    FROM asin_checks AS a
    WHERE asin IN (SELECT asin FROM deal_versions)
    GROUP BY domain, asin, price_type
) AS c ON d.domain = c.domain AND d.asin = c.asin AND d.price_type = c.price_type;
