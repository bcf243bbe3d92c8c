-- Actions: what did the user buy, sell and ignore, and which deals does that hide?
--
-- actions holds the rows, a row per message of the stream ACTIONS, for ever. They are few, so the views go through all of them.
-- The key begins with the target, by which they are asked for; row_id orders what was said and makes a repeated insert the same
-- row. msg_id stands beside the row, as in dead.
CREATE TABLE IF NOT EXISTS actions
(
    target      LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    value       String COMMENT 'the ASIN, the id of the seller, the brand in small letters, or words of a title in small letters',
    domain      UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    row_id      UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    at          DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time' CODEC(Delta, ZSTD(1)),
    stored_at   DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run         LowCardinality(String) COMMENT 'live; nothing else counts',
    build       LowCardinality(String) COMMENT 'the build that said it',
    msg_id      UInt64 COMMENT 'as in ledger' CODEC(NONE),
    action      LowCardinality(String) COMMENT 'buy, sold, ignore, undo or lapse (the time of an ignore is over)',
    of          LowCardinality(String) COMMENT 'what an undo or a lapse ends: buy, sold or ignore; else empty',
    price_cents Nullable(Int64) COMMENT 'paid or got for one copy, in the smallest unit of the currency of the marketplace; NULL for others than buy and sold',
    condition   LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    day         Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for others',
    copy        UInt16 COMMENT 'which of several equal copies; 1 for the first',
    until       Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
ENGINE = ReplacingMergeTree
ORDER BY (target, value, domain, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What did the user buy, sell and ignore? A row per message of the stream ACTIONS';

-- actions_standing: what was done and neither undone nor has lapsed. An undo or a lapse ends what was said before it, of one
-- kind about one target. Package action says the same of the stream.
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
SELECT a.action AS action, a.target AS target, a.value AS value, a.domain AS domain, a.row_id AS row_id, a.at AS at, a.price_cents AS price_cents,
    a.condition AS condition, a.day AS day, a.copy AS copy, a.until AS until
FROM (SELECT * FROM actions FINAL WHERE run = 'live' AND action IN ('buy', 'sold', 'ignore')) AS a
LEFT ANY JOIN
(
    SELECT of, target, value, domain, max(row_id) AS ended
    FROM actions
    WHERE run = 'live' AND action IN ('undo', 'lapse')
    GROUP BY of, target, value, domain
) AS e ON a.action = e.of AND a.target = e.target AND a.value = e.value AND a.domain = e.domain
WHERE a.row_id > e.ended;

-- deal_ignored: which deals are hidden because of their seller, brand or title? What a deal says of these is the newest that a
-- version said, as in deals. Versions are read only where something of the kind is ignored: the count in the condition is known
-- before they are, and a condition that is false reads nothing.
CREATE OR REPLACE VIEW deal_ignored
(
    deal UInt64 COMMENT 'cityHash64(domain, asin, price_type)',
    said String COMMENT 'ignored_seller, ignored_brand or ignored_words'
)
COMMENT 'Which deals are hidden because the user ignores their seller, their brand or words of their title?' AS
WITH
    (SELECT groupArray(value) FROM actions_standing WHERE action = 'ignore' AND target = 'seller') AS sellers,
    (SELECT groupArray(value) FROM actions_standing WHERE action = 'ignore' AND target = 'brand') AS brands,
    (SELECT groupArray(concat(' ', value, ' ')) FROM actions_standing WHERE action = 'ignore' AND target = 'words') AS rows_of_words
SELECT deal, said
FROM
(
    SELECT
        v.deal AS deal,
        multiIf(
            has(sellers, v.seller), 'ignored_seller',
            v.brand != '' AND has(brands, lower(v.brand)), 'ignored_brand',
            arrayExists(w -> position(concat(' ', trimBoth(replaceRegexpAll(lower(v.title), '[^a-z0-9\\x{80}-\\x{10FFFF}]+', ' ')), ' '), w) > 0, rows_of_words), 'ignored_words',
            '') AS said
    FROM
    (
        SELECT cityHash64(domain, asin, price_type) AS deal, ifNull(argMax(seller_id, row_id), '') AS seller, ifNull(argMax(brand, row_id), '') AS brand,
            ifNull(argMax(title, row_id), '') AS title
        FROM deal_versions
        WHERE run = 'live' AND (SELECT count() FROM actions_standing WHERE action = 'ignore' AND target != 'asin') > 0
        GROUP BY domain, asin, price_type
    ) AS v
)
WHERE said != '';

-- deal_states: as in 0035_deals. What the user bought or ignores is hidden whatever looks say, under the first reason that is so:
-- bought, and then what is ignored from the narrow to the wide.
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
SELECT
    f.deal AS deal,
    f.domain AS domain,
    f.asin AS asin,
    f.price_type AS price_type,
    if(f.newest_profit = 0, NULL, toInt64(f.newest_profit)) AS profit_cents,
    if(f.newest_sale_price = 0, NULL, toInt64(f.newest_sale_price)) AS sale_price_cents,
    f.first_seen_at AS first_seen_at,
    f.last_seen_at AS last_seen_at,
    if(f.newest_check > f.newest_confirmation, greatest(f.last_confirmed_at, f.rejected_at), f.last_confirmed_at) AS last_checked_at,
    f.last_confirmed_at AS last_confirmed_at,
    multiIf(
        toInt64(f.newest_sale_price) <= 0, 'old_estimate', -- 0 where no version said it
        toInt64(f.newest_profit) <= 0, 'no_profit',
        y.said != '', y.said,
        i.said != '', i.said,
        f.newest_reject > f.newest_confirmation, toString(f.reject_reason),
        '') AS hidden_because,
    if(m.mark.2 > f.last_confirmed_at, m.mark.1, '') AS stale_because
FROM
(
    SELECT
        deal, max(d.domain) AS domain, max(d.asin) AS asin, max(d.price_type) AS price_type,
        max(d.newest_profit) AS newest_profit,
        max(d.newest_sale_price) AS newest_sale_price,
        min(d.first_at) AS first_seen_at,
        max(d.last_at) AS last_seen_at,
        max(d.confirmed_id) AS newest_confirmation,
        max(d.confirmed_at) AS last_confirmed_at,
        max(d.reject_id) AS newest_reject,
        argMax(d.reason, d.reject_id) AS reject_reason,
        max(d.check_id) AS newest_check,
        argMax(d.rejected_at, d.check_id) AS rejected_at
    FROM
    (
        SELECT
            deal, domain, asin, price_type, newest_profit, newest_sale_price, first_at, last_at, confirmed_id, confirmed_at,
            toUInt64(0) AS reject_id, toLowCardinality('') AS reason, toUInt64(0) AS check_id, toDateTime64(0, 3, 'UTC') AS rejected_at
        FROM deal_facts
        UNION ALL
        SELECT
            deal, 0, '', 0, 0, 0, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, toDateTime64(0, 3, 'UTC'),
            row_id, reason, if(expiry, 0, row_id), at -- an expiry is no check
        FROM deal_rejects
        WHERE deal IN (SELECT deal FROM deal_facts)
    ) AS d
    GROUP BY deal
    HAVING last_seen_at > toDateTime64(0, 3, 'UTC')
) AS f
LEFT ANY JOIN
(
    SELECT cityHash64(domain, asin, price_type) AS deal, argMaxMerge(newest) AS mark
    FROM deal_marks
    GROUP BY domain, asin, price_type
) AS m ON f.deal = m.deal
LEFT ANY JOIN
(
    SELECT domain, value AS asin, if(countIf(action = 'buy') > 0, 'bought', 'ignored_asin') AS said
    FROM actions_standing
    WHERE target = 'asin' AND action IN ('buy', 'ignore')
    GROUP BY domain, value
) AS y ON f.domain = y.domain AND f.asin = y.asin
LEFT ANY JOIN deal_ignored AS i ON f.deal = i.deal;
