-- One table has everything about a deal that decides whether it is shown. Rejects and marks were in tables of their own, which
-- each question about deals joined and each insert of verdicts filled. 0044_facts_only drops the old tables.

-- The newest reason is the maximum of a text that begins with the row id in 16 digits. Like the maxima of numbers it needs no
-- states, and neither order nor repetition of inserts matters.
ALTER TABLE deal_facts
    ADD COLUMN IF NOT EXISTS newest_check SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | pipeline time in milliseconds of the last look that accepted, confirmed or rejected it; 0 without one' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS rejected_id SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest reject or expiry; 0 without one',
    ADD COLUMN IF NOT EXISTS rejected_because SimpleAggregateFunction(max, String) COMMENT 'the same in 16 hexadecimal digits, and its reason code; empty without one',
    ADD COLUMN IF NOT EXISTS marked_id SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest failure that the refresher reported; 0 without one',
    ADD COLUMN IF NOT EXISTS marked_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'when it was last marked as stale, pipeline time; 1970 without a mark',
    ADD COLUMN IF NOT EXISTS marked_because SimpleAggregateFunction(max, String) COMMENT 'row id of that verdict in 16 hexadecimal digits, and its reason code; empty without a mark',
    MODIFY COMMENT 'What is known of each deal that decides whether it is shown, and the newest reject of ASINs that may become one; read it through the view deal_states';

-- Marks and expiries are verdicts of the look list, by the refresher. An expiry hides the deal and does not check it. The newest
-- reject of every ASIN is kept, because its deal may be recorded later; domain and ASIN come with the deal's version.
ALTER TABLE deal_facts_verdicts_mv MODIFY QUERY
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal,
    toDateTime64('2200-01-01 00:00:00', 3, 'UTC') AS first_at,
    maxIf(v.row_id, v.outcome IN ('accept', 'confirm')) AS confirmed_id,
    maxIf(v.at, v.outcome IN ('accept', 'confirm')) AS confirmed_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUnixTimestamp64Milli(v.at))), v.outcome IN ('accept', 'confirm') OR (v.outcome = 'reject' AND v.look != 'list')) AS newest_check,
    maxIf(v.row_id, v.outcome = 'reject') AS rejected_id,
    maxIf(concat(leftPad(hex(v.row_id), 16, '0'), v.reason), v.outcome = 'reject') AS rejected_because,
    maxIf(v.row_id, v.outcome = 'fail') AS marked_id,
    maxIf(v.at, v.outcome = 'fail' AND startsWith(v.reason, 'stale_')) AS marked_at,
    maxIf(concat(leftPad(hex(v.row_id), 16, '0'), v.reason), v.outcome = 'fail' AND startsWith(v.reason, 'stale_')) AS marked_because
FROM verdicts AS v
WHERE v.run = 'live' AND (v.outcome IN ('accept', 'confirm', 'reject') OR (v.outcome = 'fail' AND v.look = 'list'))
GROUP BY deal;

INSERT INTO deal_facts (deal, first_at, newest_check)
SELECT deal, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), bitOr(bitShiftLeft(toUInt128(confirmed_id), 64), toUInt128(toUnixTimestamp64Milli(confirmed_at)))
FROM deal_facts
WHERE confirmed_id > 0;

INSERT INTO deal_facts (deal, first_at, newest_check, rejected_id, rejected_because)
SELECT deal, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), if(expiry, 0, bitOr(bitShiftLeft(toUInt128(row_id), 64), toUInt128(toUnixTimestamp64Milli(at)))), row_id, concat(leftPad(hex(row_id), 16, '0'), reason)
FROM deal_rejects;

-- The row id of a mark cannot be read from its state: a newer one is greater than 0.
INSERT INTO deal_facts (deal, first_at, marked_at, marked_because)
SELECT cityHash64(domain, asin, price_type), toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), (argMaxMerge(newest) AS mark).2, concat('0000000000000000', mark.1)
FROM deal_marks
GROUP BY domain, asin, price_type;

-- deal_states: as in 0042_visible.
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
    greatest(f.confirmed_at, fromUnixTimestamp64Milli(toInt64(f.newest_check), 'UTC')) AS last_checked_at,
    f.confirmed_at AS last_confirmed_at,
    multiIf(
        toInt64(f.newest_sale_price) <= 0, 'old_estimate', -- 0 where no version said it
        toInt64(f.newest_profit) <= 0, 'no_profit',
        transform(cityHash64(f.domain, f.asin), said.1, said.2, '') AS acted != '', acted,
        i.because != '', i.because,
        f.rejected_id > f.confirmed_id, substring(f.rejected_because, 17),
        '') AS hidden_because,
    if(f.marked_at > f.confirmed_at, substring(f.marked_because, 17), '') AS stale_because
FROM
(
    SELECT *
    FROM deal_facts FINAL
    WHERE last_at > toDateTime64(0, 3, 'UTC')
) AS f
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
