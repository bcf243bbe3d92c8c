-- deal_marks: what did the keeper of the stock say of a deal without looking at it: that it is stale, or not repaired?
--
-- Only verdicts of the look list say so. Expiry is a reject among them: asin_checks keeps it, so that it hides the
-- deal until a look confirms it; here it is no mark. The key is the deal's own, and the newest is the last of the
-- stream, so an insert that is repeated changes nothing.
CREATE TABLE IF NOT EXISTS deal_marks
(
    domain     UInt16,
    asin       String,
    price_type UInt16,
    newest     AggregateFunction(argMax, Tuple(String, DateTime64(3, 'UTC')), UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (domain, asin, price_type)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS deal_marks_mv TO deal_marks AS
SELECT domain, asin, price_type, argMaxState((toString(reason), at), row_id) AS newest
FROM verdicts
WHERE run = 'live' AND look = 'list' AND outcome = 'fail' AND startsWith(reason, 'stale_')
GROUP BY domain, asin, price_type;

-- An expiry hides a deal and is no look: it does not count as a check.
ALTER TABLE asin_checks_mv MODIFY QUERY
SELECT
    domain, asin, price_type,
    maxIf(at, look != 'list') AS checked_at,
    maxIf(at, outcome IN ('accept', 'confirm')) AS confirmed_at,
    argMaxState((toString(outcome), toString(reason), toString(look)), row_id) AS newest
FROM verdicts
WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm')
GROUP BY domain, asin, price_type;

-- deal_states: every deal with what was last decided about it, why it is hidden, and why it is stale.
--
-- Still THE definition of what is visible. A stale deal is visible: it was not confirmed in time, and stale_because says
-- why; a confirmation ends that.
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
        '') AS hidden_because,
    if(c.marked_at > c.confirmed_at, c.mark, '') AS stale_because
FROM deals AS d
LEFT JOIN
(
    SELECT
        k.domain AS domain, k.asin AS asin, k.price_type AS price_type, k.checked_at AS checked_at,
        k.confirmed_at AS confirmed_at, k.last.1 AS outcome, k.last.2 AS reason, m.mark.1 AS mark, m.mark.2 AS marked_at
    FROM
    (
        SELECT
            domain, asin, price_type,
            max(a.checked_at) AS checked_at,
            max(a.confirmed_at) AS confirmed_at,
            argMaxMerge(a.newest) AS last
        FROM asin_checks AS a
        WHERE asin IN (SELECT asin FROM deal_versions)
        GROUP BY domain, asin, price_type
    ) AS k
    LEFT JOIN
    (
        SELECT domain, asin, price_type, argMaxMerge(newest) AS mark
        FROM deal_marks
        GROUP BY domain, asin, price_type
    ) AS m ON k.domain = m.domain AND k.asin = m.asin AND k.price_type = m.price_type
) AS c ON d.domain = c.domain AND d.asin = c.asin AND d.price_type = c.price_type;

CREATE OR REPLACE VIEW visible_deals AS
SELECT * EXCEPT (hidden_because)
FROM deal_states
WHERE hidden_because = '';
