-- Views of deals again, with the same columns and the same rows: planning them took longer than their answer. The planner works
-- through a view as often as it is named, so actions_standing has no join, and what the user said is read once, into arrays that
-- are constants of the plan. Facts and rejects are read one row per deal each and joined by its hash.

-- actions_standing: as in 0039_actions.
CREATE OR REPLACE VIEW actions_standing
(
    action      LowCardinality(String) COMMENT 'buy, sold or ignore',
    target      LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    value       String COMMENT 'as in actions',
    domain      UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    row_id      UInt64 COMMENT 'as in actions',
    at          DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time',
    price_cents Nullable(Int64) COMMENT 'paid or got for one copy; NULL for ignore',
    condition   LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    day         Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for ignore',
    copy        UInt16 COMMENT 'which of several equal copies; 1 for the first',
    until       Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
COMMENT 'What the user did and did not undo' AS
SELECT action, target, value, domain, row_id, at, price_cents, condition, day, copy, until
FROM
(
    SELECT *, maxIf(row_id, action IN ('undo', 'lapse')) OVER (PARTITION BY if(of = '', action, of), target, value, domain) AS ended
    FROM actions FINAL
    WHERE run = 'live'
)
WHERE row_id > ended AND action IN ('buy', 'sold', 'ignore');

-- deal_ignored: as in 0039_actions.
CREATE OR REPLACE VIEW deal_ignored
(
    deal UInt64 COMMENT 'cityHash64(domain, asin, price_type)',
    said String COMMENT 'ignored_seller, ignored_brand or ignored_words'
)
COMMENT 'Which deals are hidden because the user ignores their seller, their brand or words of their title?' AS
WITH
    (
        SELECT (groupArrayIf(value, target = 'seller'), groupArrayIf(value, target = 'brand'), groupArrayIf(concat(' ', value, ' '), target = 'words'))
        FROM actions_standing
        WHERE action = 'ignore' AND target != 'asin'
    ) AS ignored
SELECT deal, said
FROM
(
    SELECT
        v.deal AS deal,
        multiIf(
            has(ignored.1, v.seller), 'ignored_seller',
            v.brand != '' AND has(ignored.2, lower(v.brand)), 'ignored_brand',
            arrayExists(w -> position(concat(' ', trimBoth(replaceRegexpAll(lower(v.title), '[^a-z0-9\\x{80}-\\x{10FFFF}]+', ' ')), ' '), w) > 0, ignored.3), 'ignored_words',
            '') AS said
    FROM
    (
        SELECT cityHash64(domain, asin, price_type) AS deal, ifNull(argMax(seller_id, row_id), '') AS seller, ifNull(argMax(brand, row_id), '') AS brand,
            ifNull(argMax(title, row_id), '') AS title
        FROM deal_versions
        WHERE run = 'live' AND length(ignored.1) + length(ignored.2) + length(ignored.3) > 0
        GROUP BY domain, asin, price_type
    ) AS v
)
WHERE said != '';

-- deal_states: as in 0039_actions.
CREATE OR REPLACE VIEW deal_states
(
    deal                   UInt64 COMMENT 'cityHash64(domain, asin, price_type)',
    domain                 UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    asin                   String COMMENT 'the ASIN',
    price_type             UInt16 COMMENT 'Keepa price type; 2 is used',
    profit_cents           Nullable(Int64) COMMENT 'newest that a version said; NULL without one',
    sale_price_cents       Nullable(Int64) COMMENT 'newest that a version said; NULL without one',
    first_seen_at          DateTime64(3, 'UTC') COMMENT 'its first version, pipeline time',
    last_seen_at           DateTime64(3, 'UTC') COMMENT 'its last version, pipeline time',
    last_checked_at        DateTime64(3, 'UTC') COMMENT 'the last look that accepted, confirmed or rejected it, pipeline time; 1970 without one',
    last_confirmed_at      DateTime64(3, 'UTC') COMMENT 'the last look that accepted or confirmed it, pipeline time; 1970 without one',
    hidden_because         String COMMENT 'empty: visible; old_estimate, no_profit, bought, ignored_asin, ignored_seller, ignored_brand, ignored_words, or the reason of the reject that hides it',
    stale_because          String COMMENT 'why it was not confirmed in time; empty: it was. Stale deals are visible'
)
COMMENT 'Is each deal visible, why not, and when was it last checked? THE definition of visible' AS
WITH
    (
        -- ASINs by their hash, and for each the reason; an ASIN that was both bought and ignored was bought
        SELECT (groupArray(asin), groupArray(said))
        FROM
        (
            SELECT cityHash64(domain, value) AS asin, if(countIf(action = 'buy') > 0, 'bought', 'ignored_asin') AS said
            FROM actions_standing
            WHERE target = 'asin' AND action IN ('buy', 'ignore')
            GROUP BY domain, value
        )
    ) AS acted
SELECT
    f.deal AS deal,
    f.domain AS domain,
    f.asin AS asin,
    f.price_type AS price_type,
    if(f.newest_profit = 0, NULL, toInt64(f.newest_profit)) AS profit_cents,
    if(f.newest_sale_price = 0, NULL, toInt64(f.newest_sale_price)) AS sale_price_cents,
    f.first_at AS first_seen_at,
    f.last_at AS last_seen_at,
    if(r.check_id > f.confirmed_id, greatest(f.confirmed_at, r.rejected_at), f.confirmed_at) AS last_checked_at,
    f.confirmed_at AS last_confirmed_at,
    multiIf(
        toInt64(f.newest_sale_price) <= 0, 'old_estimate', -- 0 where no version said it
        toInt64(f.newest_profit) <= 0, 'no_profit',
        transform(cityHash64(f.domain, f.asin), acted.1, acted.2, '') AS said != '', said,
        i.said != '', i.said,
        r.reject_id > f.confirmed_id, toString(r.reject_reason),
        '') AS hidden_because,
    if(m.mark.2 > f.confirmed_at, m.mark.1, '') AS stale_because
FROM
(
    SELECT deal, domain, asin, price_type, newest_profit, newest_sale_price, first_at, last_at, confirmed_id, confirmed_at
    FROM deal_facts FINAL
    WHERE last_at > toDateTime64(0, 3, 'UTC')
) AS f
LEFT ANY JOIN
(
    -- an expiry is no check
    SELECT deal, max(row_id) AS reject_id, argMax(reason, row_id) AS reject_reason, maxIf(row_id, NOT expiry) AS check_id, argMaxIf(at, row_id, NOT expiry) AS rejected_at
    FROM deal_rejects
    WHERE deal IN (SELECT deal FROM deal_facts)
    GROUP BY deal
) AS r ON f.deal = r.deal
LEFT ANY JOIN
(
    SELECT cityHash64(domain, asin, price_type) AS deal, argMaxMerge(newest) AS mark
    FROM deal_marks
    GROUP BY domain, asin, price_type
) AS m ON f.deal = m.deal
LEFT ANY JOIN deal_ignored AS i ON f.deal = i.deal;
