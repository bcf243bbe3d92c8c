-- deal_facts: what is known of each deal that decides whether it is shown?
--
-- One row per deal: when it was first and last seen, the numbers without which it is not shown, and the newest verdict that
-- confirmed it. Minima, maxima and newest values, so that neither order nor repetition of inserts matters. deal is a hash of
-- domain, ASIN and price type: counting goes through hundreds of thousands of deals and millions of rejects, and numbers
-- join several times faster than texts. Among three million the chance that two share a hash is one in four million.
--
-- It replaces asin_checks, whose states took as much room as they cost time.
CREATE TABLE IF NOT EXISTS deal_facts
(
    deal          UInt64 COMMENT 'cityHash64(domain, asin, price_type)' CODEC(NONE),
    domain        SimpleAggregateFunction(max, UInt16),
    asin          SimpleAggregateFunction(max, String),
    price_type    SimpleAggregateFunction(max, UInt16),
    first_at      SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'of its versions; 2200 without one',
    last_at       SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'of its versions; 1970 without one',
    confirmed_id  SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest accept or confirm; 0 without one',
    confirmed_at  SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    profit        AggregateFunction(argMax, Nullable(Int64), UInt64) COMMENT 'newest profit_cents that a version said',
    list_price    AggregateFunction(argMax, Nullable(Int64), UInt64) COMMENT 'newest list_price_cents',
    year_average  AggregateFunction(argMax, Nullable(Int64), UInt64) COMMENT 'newest one_year_average_cents'
)
ENGINE = AggregatingMergeTree
ORDER BY deal
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS deal_facts_versions_mv TO deal_facts AS
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain) AS domain, max(v.asin) AS asin, max(v.price_type) AS price_type,
    min(v.at) AS first_at, max(v.at) AS last_at,
    argMaxState(v.profit_cents, v.row_id) AS profit, argMaxState(v.list_price_cents, v.row_id) AS list_price,
    argMaxState(v.one_year_average_cents, v.row_id) AS year_average
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal;

CREATE MATERIALIZED VIEW IF NOT EXISTS deal_facts_verdicts_mv TO deal_facts AS
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain) AS domain, max(v.asin) AS asin, max(v.price_type) AS price_type,
    toDateTime64('2200-01-01 00:00:00', 3, 'UTC') AS first_at, max(v.row_id) AS confirmed_id, max(v.at) AS confirmed_at
FROM verdicts AS v
WHERE v.run = 'live' AND v.outcome IN ('accept', 'confirm')
GROUP BY deal;

INSERT INTO deal_facts (deal, domain, asin, price_type, first_at, last_at, profit, list_price, year_average)
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain), max(v.asin), max(v.price_type), min(v.at), max(v.at),
    argMaxState(v.profit_cents, v.row_id), argMaxState(v.list_price_cents, v.row_id), argMaxState(v.one_year_average_cents, v.row_id)
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal
SETTINGS async_insert = 0;

INSERT INTO deal_facts (deal, domain, asin, price_type, first_at, confirmed_id, confirmed_at)
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain), max(v.asin), max(v.price_type),
    toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), max(v.row_id), max(v.at)
FROM verdicts AS v
WHERE v.run = 'live' AND v.outcome IN ('accept', 'confirm')
GROUP BY deal
SETTINGS async_insert = 0;

-- deal_rejects: which verdict last rejected what a deal is, or may one day be, about? The newest reject of each, since any
-- ASIN may have a deal; an expiry (a reject of the look list) beside it, because it hides the deal and is no check. The key
-- begins with the deal's hash, since it is only ever joined to deal_facts.
CREATE TABLE IF NOT EXISTS deal_rejects
(
    deal   UInt64 COMMENT 'cityHash64(domain, asin, price_type)' CODEC(NONE),
    expiry Bool COMMENT 'said without a look',
    row_id UInt64 CODEC(T64, ZSTD(1)),
    at     DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    reason LowCardinality(String)
)
ENGINE = ReplacingMergeTree(row_id)
ORDER BY (deal, expiry)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS deal_rejects_mv TO deal_rejects AS
SELECT cityHash64(v.domain, v.asin, v.price_type) AS deal, v.look = 'list' AS expiry, v.row_id AS row_id, v.at AS at, v.reason AS reason
FROM verdicts AS v
WHERE v.run = 'live' AND v.outcome = 'reject';

INSERT INTO deal_rejects
SELECT cityHash64(v.domain, v.asin, v.price_type), v.look = 'list', v.row_id, v.at, v.reason
FROM verdicts AS v
WHERE v.run = 'live' AND v.outcome = 'reject'
SETTINGS async_insert = 0;

-- deal_states: every deal with what was last decided about it, why it is hidden, and why it is stale.
--
-- THE definition of what is visible: lists, counts, status and diagnostics all go through it. hidden_because is empty
-- for a visible deal. A look that rejected the ASIN after the deal hides it under the reject's reason; expiry is such
-- a reject, and no check. A shed or failed look hides nothing. A stale deal is visible: it was not confirmed in time, and
-- stale_because says why; a confirmation ends that. The deal's other columns are in the views deals and visible_deals.
CREATE OR REPLACE VIEW deal_states AS
SELECT
    f.deal AS deal,
    f.domain AS domain,
    f.asin AS asin,
    f.price_type AS price_type,
    f.profit_cents AS profit_cents,
    f.list_price_cents AS list_price_cents,
    f.one_year_average_cents AS one_year_average_cents,
    f.first_seen_at AS first_seen_at,
    f.last_seen_at AS last_seen_at,
    greatest(f.last_confirmed_at, r.rejected_at) AS last_checked_at,
    f.last_confirmed_at AS last_confirmed_at,
    multiIf(
        f.profit_cents IS NULL OR f.profit_cents <= 0, 'no_profit',
        f.list_price_cents IS NULL OR f.list_price_cents <= 0, 'no_list_price',
        f.one_year_average_cents IS NULL OR f.one_year_average_cents <= 0, 'no_one_year_average',
        r.reason) AS hidden_because,
    if(m.mark.2 > f.last_confirmed_at, m.mark.1, '') AS stale_because
FROM
(
    SELECT
        deal, max(d.domain) AS domain, max(d.asin) AS asin, max(d.price_type) AS price_type,
        argMaxMerge(d.profit) AS profit_cents,
        argMaxMerge(d.list_price) AS list_price_cents,
        argMaxMerge(d.year_average) AS one_year_average_cents,
        min(d.first_at) AS first_seen_at,
        max(d.last_at) AS last_seen_at,
        max(d.confirmed_at) AS last_confirmed_at
    FROM deal_facts AS d
    GROUP BY deal
    HAVING last_seen_at > toDateTime64(0, 3, 'UTC')
) AS f
LEFT JOIN
(
    SELECT j.deal AS deal, argMax(j.reason, j.row_id) AS reason, maxIf(j.at, NOT j.expiry) AS rejected_at
    FROM deal_rejects AS j
    INNER JOIN
    (
        SELECT deal, max(d.confirmed_id) AS confirmed_id
        FROM deal_facts AS d
        GROUP BY deal
    ) AS c ON j.deal = c.deal
    WHERE j.row_id > c.confirmed_id
    GROUP BY j.deal
) AS r ON f.deal = r.deal
LEFT JOIN
(
    SELECT cityHash64(domain, asin, price_type) AS deal, argMaxMerge(newest) AS mark
    FROM deal_marks
    GROUP BY domain, asin, price_type
) AS m ON f.deal = m.deal;

-- visible_deals: what the user sees.
CREATE OR REPLACE VIEW visible_deals AS
SELECT d.*, s.last_checked_at AS last_checked_at, s.last_confirmed_at AS last_confirmed_at, s.stale_because AS stale_because
FROM deals AS d
INNER JOIN deal_states AS s ON d.domain = s.domain AND d.asin = s.asin AND d.price_type = s.price_type
WHERE s.hidden_because = '';

DROP VIEW IF EXISTS asin_checks_mv;

DROP TABLE IF EXISTS asin_checks;
