-- The view of deals again, with the same columns and the same rows, planned and executed in two thirds of the time. What the user
-- said is read once, for ASINs, sellers, brands and words alike, so deal_ignored is part of the view; and of the rejects the newest
-- is taken by FINAL, which costs nothing where parts are merged, and not by an aggregation of all of them.

-- deal_states: as in 0040_states.
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
        SELECT
        (
            arrayConcat(bought, ignored),
            arrayConcat(arrayMap(a -> 'bought', bought), arrayMap(a -> 'ignored_asin', ignored)),
            sellers, brands, words
        )
        FROM
        (
            SELECT
                groupUniqArrayIf(cityHash64(domain, value), action = 'buy') AS bought,
                arrayFilter(a -> NOT has(bought, a), groupUniqArrayIf(cityHash64(domain, value), action = 'ignore' AND target = 'asin')) AS ignored,
                groupUniqArrayIf(value, action = 'ignore' AND target = 'seller') AS sellers,
                groupUniqArrayIf(value, action = 'ignore' AND target = 'brand') AS brands,
                groupUniqArrayIf(concat(' ', value, ' '), action = 'ignore' AND target = 'words') AS words
            FROM actions_standing
        )
    ) AS said
SELECT
    f.deal AS deal,
    f.domain AS domain,
    f.asin AS asin,
    f.price_type AS price_type,
    if(f.newest_profit = 0, NULL, toInt64(f.newest_profit)) AS profit_cents,
    if(f.newest_sale_price = 0, NULL, toInt64(f.newest_sale_price)) AS sale_price_cents,
    f.first_at AS first_seen_at,
    f.last_at AS last_seen_at,
    if(c.row_id > f.confirmed_id, greatest(f.confirmed_at, c.at), f.confirmed_at) AS last_checked_at,
    f.confirmed_at AS last_confirmed_at,
    multiIf(
        toInt64(f.newest_sale_price) <= 0, 'old_estimate', -- 0 where no version said it
        toInt64(f.newest_profit) <= 0, 'no_profit',
        transform(cityHash64(f.domain, f.asin), said.1, said.2, '') AS acted != '', acted,
        i.because != '', i.because,
        greatest(c.row_id, e.row_id) > f.confirmed_id, toString(if(e.row_id > c.row_id, e.reason, c.reason)),
        '') AS hidden_because,
    if(m.mark.2 > f.confirmed_at, m.mark.1, '') AS stale_because
FROM
(
    SELECT deal, domain, asin, price_type, newest_profit, newest_sale_price, first_at, last_at, confirmed_id, confirmed_at
    FROM deal_facts FINAL
    WHERE last_at > toDateTime64(0, 3, 'UTC')
) AS f
LEFT ANY JOIN (SELECT deal, row_id, at, reason FROM deal_rejects FINAL WHERE NOT expiry) AS c ON f.deal = c.deal
LEFT ANY JOIN (SELECT deal, row_id, reason FROM deal_rejects FINAL WHERE expiry) AS e ON f.deal = e.deal -- an expiry hides the deal and does not check it
LEFT ANY JOIN
(
    SELECT cityHash64(domain, asin, price_type) AS deal, argMaxMerge(newest) AS mark
    FROM deal_marks
    GROUP BY domain, asin, price_type
) AS m ON f.deal = m.deal
LEFT ANY JOIN
(
    -- Versions are read only where something of the kind is ignored: a condition that is false reads nothing.
    SELECT
        cityHash64(domain, asin, price_type) AS deal,
        ifNull(argMax(brand, row_id), '') AS newest_brand,
        multiIf(
            has(said.3, ifNull(argMax(seller_id, row_id), '')), 'ignored_seller',
            newest_brand != '' AND has(said.4, lower(newest_brand)), 'ignored_brand',
            arrayExists(w -> position(concat(' ', trimBoth(replaceRegexpAll(lower(ifNull(argMax(title, row_id), '')), '[^a-z0-9\\x{80}-\\x{10FFFF}]+', ' ')), ' '), w) > 0, said.5), 'ignored_words',
            '') AS because
    FROM deal_versions
    WHERE run = 'live' AND length(said.3) + length(said.4) + length(said.5) > 0
    GROUP BY domain, asin, price_type
) AS i ON f.deal = i.deal;

DROP VIEW IF EXISTS deal_ignored;
