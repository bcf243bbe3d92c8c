-- deal_facts: the same, several times faster to add up, and smaller.
--
-- The newest number that a version said is the greatest of UInt128: the version's row id in the upper half, the number in the
-- lower, 0 where no version said one. Maxima of plain numbers need no states, and a maximum is as indifferent to order and
-- repetition as argMax was. toInt64 of such a number is the lower half, with its sign.
ALTER TABLE deal_facts
    ADD COLUMN IF NOT EXISTS newest_profit       SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | profit_cents; 0 without one' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS newest_list_price   SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | list_price_cents' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS newest_year_average SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | one_year_average_cents' CODEC(ZSTD(1));

ALTER TABLE deal_facts_versions_mv MODIFY QUERY
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain) AS domain, max(v.asin) AS asin, max(v.price_type) AS price_type,
    min(v.at) AS first_at, max(v.at) AS last_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.profit_cents)))), isNotNull(v.profit_cents)) AS newest_profit,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.list_price_cents)))), isNotNull(v.list_price_cents)) AS newest_list_price,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.one_year_average_cents)))), isNotNull(v.one_year_average_cents)) AS newest_year_average
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal;

INSERT INTO deal_facts (deal, domain, asin, price_type, first_at, last_at, newest_profit, newest_list_price, newest_year_average)
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain), max(v.asin), max(v.price_type), min(v.at), max(v.at),
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.profit_cents)))), isNotNull(v.profit_cents)),
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.list_price_cents)))), isNotNull(v.list_price_cents)),
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.one_year_average_cents)))), isNotNull(v.one_year_average_cents))
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal
SETTINGS async_insert = 0;

ALTER TABLE deal_facts DROP COLUMN IF EXISTS profit, DROP COLUMN IF EXISTS list_price, DROP COLUMN IF EXISTS year_average;

-- Rejects lie in the order of a hash, so these have no neighbours that are like them: packed to their width they are as small as
-- with a compression on top, and read faster.
ALTER TABLE deal_rejects MODIFY COLUMN row_id UInt64 CODEC(T64), MODIFY COLUMN at DateTime64(3, 'UTC') CODEC(T64);

-- deal_states: the same definition. Of a deal's rejects the newest counts, if it is newer than what confirmed the deal. Facts
-- and rejects are added up in one aggregation by the deal, and not joined: how long a join of these takes depends on which
-- condition an optimiser pushes through it. Which rejects are of deals is asked of the key alone, since one in thirty is.
CREATE OR REPLACE VIEW deal_states AS
SELECT
    f.deal AS deal,
    f.domain AS domain,
    f.asin AS asin,
    f.price_type AS price_type,
    if(f.newest_profit = 0, NULL, toInt64(f.newest_profit)) AS profit_cents,
    if(f.newest_list_price = 0, NULL, toInt64(f.newest_list_price)) AS list_price_cents,
    if(f.newest_year_average = 0, NULL, toInt64(f.newest_year_average)) AS one_year_average_cents,
    f.first_seen_at AS first_seen_at,
    f.last_seen_at AS last_seen_at,
    if(f.newest_check > f.newest_confirmation, greatest(f.last_confirmed_at, f.rejected_at), f.last_confirmed_at) AS last_checked_at,
    f.last_confirmed_at AS last_confirmed_at,
    multiIf(
        toInt64(f.newest_profit) <= 0, 'no_profit', -- 0 where no version said it
        toInt64(f.newest_list_price) <= 0, 'no_list_price',
        toInt64(f.newest_year_average) <= 0, 'no_one_year_average',
        f.newest_reject > f.newest_confirmation, toString(f.reject_reason),
        '') AS hidden_because,
    if(m.mark.2 > f.last_confirmed_at, m.mark.1, '') AS stale_because
FROM
(
    SELECT
        deal, max(d.domain) AS domain, max(d.asin) AS asin, max(d.price_type) AS price_type,
        max(d.newest_profit) AS newest_profit,
        max(d.newest_list_price) AS newest_list_price,
        max(d.newest_year_average) AS newest_year_average,
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
            deal, domain, asin, price_type, newest_profit, newest_list_price, newest_year_average, first_at, last_at, confirmed_id, confirmed_at,
            toUInt64(0) AS reject_id, toLowCardinality('') AS reason, toUInt64(0) AS check_id, toDateTime64(0, 3, 'UTC') AS rejected_at
        FROM deal_facts
        UNION ALL
        SELECT
            deal, 0, '', 0, 0, 0, 0, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), toDateTime64(0, 3, 'UTC'), 0, toDateTime64(0, 3, 'UTC'),
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
) AS m ON f.deal = m.deal;
