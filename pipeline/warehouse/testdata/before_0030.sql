-- The statements of the migrations 0001 to 0029, each under its name and checksum: a database of an earlier build.
-- 0001_verdicts eff54ba9e786235634734f5a905822630eede7f159d6a555dce63cdb72ad5b5f
CREATE TABLE IF NOT EXISTS verdicts
(
    run                  LowCardinality(String) COMMENT 'live, or the name of a replay',
    look                 LowCardinality(String) COMMENT 'list, glance, peek, commit',
    outcome              LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    reason               LowCardinality(String) COMMENT 'reason code; ok when nothing stood against it',
    at                   DateTime64(3, 'UTC') COMMENT 'when it was decided, pipeline time' CODEC(Delta, ZSTD(1)),
    row_id               UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    stored_at            DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    work_id              String COMMENT 'the unit of work; one verdict per run, work and look' CODEC(ZSTD(1)),
    build                LowCardinality(String),
    domain               UInt16,
    asin                 String CODEC(ZSTD(1)),
    price_type           UInt16,
    creation_date        Int64 COMMENT 'when this price began, Keepa minutes' CODEC(ZSTD(1)),
    rule_id              LowCardinality(String) COMMENT 'the rule that decided; empty when none did',
    rule_set             LowCardinality(String),
    heuristic            Bool COMMENT 'decided by a rule that may be wrong',
    source               LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    tier                 LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    queries              Array(LowCardinality(String)),
    root_category        Int64 COMMENT 'Keepa category id; 0 when unknown',
    listed_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'when the list page arrived, pipeline time',
    tokens               Int32 COMMENT 'the price of this look',
    tokens_spent         Int32 COMMENT 'all looks of this work so far',
    expected_value_cents Nullable(Int64),
    profit_cents         Nullable(Int64),
    unknown              Array(LowCardinality(String)) COMMENT 'inputs that were wanted and unknown',
    inputs               String COMMENT 'JSON: what the decision used; null is unknown' CODEC(ZSTD(3)),
    response_ids         Array(String) COMMENT 'the stored answers it rests on' CODEC(ZSTD(1)),
    title                String CODEC(ZSTD(3)),
    deal                 String COMMENT 'JSON: the deal, on accept' CODEC(ZSTD(3)),
    stream_seq           UInt64 ALIAS bitAnd(row_id, 4294967295),
    INDEX asin_bloom asin TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (run, look, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- 0002_verdict_hours 3bcabc897aff8d54c3d57a89135e9680e76f64c4924c584fc266cd064b91e8ac
CREATE TABLE IF NOT EXISTS verdict_hours
(
    run           LowCardinality(String),
    hour          DateTime('UTC'),
    look          LowCardinality(String),
    outcome       LowCardinality(String),
    reason        LowCardinality(String),
    source        LowCardinality(String),
    tier          LowCardinality(String),
    root_category Int64,
    rule_set      LowCardinality(String),
    heuristic     Bool,
    tokens        Int32,
    ids           AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_hours_mv TO verdict_hours AS
SELECT
    run, toStartOfHour(at) AS hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens;
CREATE OR REPLACE VIEW verdict_counts AS
SELECT
    run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic,
    sum(n) AS verdicts,
    sum(price * n) AS tokens
FROM
(
    SELECT
        run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens AS price,
        toInt64(groupBitmapMerge(ids)) AS n
    FROM verdict_hours
    GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, price
)
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic;
-- 0003_asin_checks a521cc501f86daa44ca7af30ca6f7d955d3592bc45a358fdbf955fe0a5d2cbbd
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
-- 0004_ledger 4212e0aa1ab59cef5393a138b2d169f40e7b08cf3839ff3796136d7e207fcb7a
CREATE TABLE IF NOT EXISTS ledger
(
    stage         LowCardinality(String) COMMENT 'who spends, or tokend for the whole budget',
    event         LowCardinality(String) COMMENT 'issue, claim, close, lost, expired, drift, mode, poll, sweep, gap_opened, gap_filled, gap_expired',
    at            DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id        UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    stored_at     DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run           LowCardinality(String),
    build         LowCardinality(String),
    tokens        Int64 COMMENT 'claim: reserved; close: consumed; drift: signed',
    price_kind    LowCardinality(String) COMMENT 'deals, peek, commit, seller, token',
    items         UInt32 COMMENT 'ASINs, rows or sellers that the call was for',
    claim         String CODEC(ZSTD(1)),
    api_at        Nullable(DateTime64(3, 'UTC')) COMMENT 'Keepa time of the answer; NULL without one',
    api_left      Nullable(Int32) COMMENT 'tokens after the request; negative in debt',
    api_rate      Nullable(Int32) COMMENT 'tokens a minute',
    api_refill_ms Nullable(Int64) COMMENT 'until the next refill',
    api_took_ms   Nullable(Int64) COMMENT 'processing time of the server',
    api_flow_red  Nullable(Float64) COMMENT 'tokens a minute that trackings eat',
    query         LowCardinality(String) COMMENT 'the deal query of a poll, sweep or gap',
    from_minute   Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    to_minute     Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    rows_estimate Int64,
    note          String CODEC(ZSTD(1)),
    stream_seq    UInt64 ALIAS bitAnd(row_id, 4294967295)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, event, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- 0005_token_hours 74ad35470bbfc95a31cb1caa0337eb45df9aae2d394a060cabd777142331a588
CREATE TABLE IF NOT EXISTS token_hours
(
    hour       DateTime('UTC'),
    stage      LowCardinality(String),
    event      LowCardinality(String),
    price_kind LowCardinality(String),
    amount     Int64 COMMENT 'tokens of one entry',
    items      UInt32 COMMENT 'what one entry was for',
    ids        AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (hour, stage, event, price_kind, amount, items)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS token_hours_mv TO token_hours AS
SELECT
    toStartOfHour(at) AS hour, stage, event, price_kind, tokens AS amount, items,
    groupBitmapState(row_id) AS ids
FROM ledger
GROUP BY hour, stage, event, price_kind, amount, items;
CREATE OR REPLACE VIEW token_counts AS
SELECT
    hour, stage, event, price_kind,
    sum(n) AS entries,
    sum(amount * n) AS tokens,
    sum(size * n) AS items
FROM
(
    SELECT hour, stage, event, price_kind, amount, items AS size, toInt64(groupBitmapMerge(ids)) AS n
    FROM token_hours
    GROUP BY hour, stage, event, price_kind, amount, size
)
GROUP BY hour, stage, event, price_kind;
-- 0006_balance 43fa5c97620fc52b814765f55fcada3b02c6aa9a68d6db269c5afeed13f314f1
CREATE TABLE IF NOT EXISTS balance_points
(
    at        DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id    UInt64 CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    balance   Int32 COMMENT 'tokens; negative in debt',
    rate      Int32 COMMENT 'tokens a minute',
    refill_ms Int64 COMMENT 'until the next refill',
    flow_red  Float64 COMMENT 'tokens a minute that trackings eat',
    stage     LowCardinality(String) COMMENT 'whose answer it was'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS balance_points_mv TO balance_points AS
SELECT
    at, row_id, stored_at,
    assumeNotNull(api_left) AS balance,
    ifNull(api_rate, 0) AS rate,
    ifNull(api_refill_ms, 0) AS refill_ms,
    ifNull(api_flow_red, 0) AS flow_red,
    stage
FROM ledger
WHERE api_left IS NOT NULL;
CREATE OR REPLACE VIEW balance AS
SELECT at, balance, rate, refill_ms, flow_red, stage
FROM balance_points FINAL;
-- 0007_coverage e9bdb643ffa8e0d03fae847efea7156e0ca8498a3e9e34e46269639892b74446
CREATE OR REPLACE VIEW coverage AS
SELECT
    at, event, query,
    if(from_minute = 0, NULL, toDateTime((from_minute + 21564000) * 60, 'UTC')) AS from_time,
    if(to_minute = 0, NULL, toDateTime((to_minute + 21564000) * 60, 'UTC')) AS to_time,
    items, rows_estimate, tokens, claim, note, from_minute, to_minute
FROM ledger FINAL
WHERE event IN ('poll', 'sweep', 'gap_opened', 'gap_filled', 'gap_expired');
CREATE OR REPLACE VIEW gaps AS
SELECT
    query,
    note AS gap,
    min(c.from_time) AS from_time,
    max(c.to_time) AS to_time,
    min(c.at) AS opened_at,
    if(countIf(event IN ('gap_filled', 'gap_expired')) = 0, NULL, maxIf(at, event IN ('gap_filled', 'gap_expired'))) AS ended_at,
    multiIf(countIf(event = 'gap_filled') > 0, 'filled', countIf(event = 'gap_expired') > 0, 'expired', 'owed') AS state,
    max(c.rows_estimate) AS rows_estimate
FROM coverage AS c
WHERE event IN ('gap_opened', 'gap_filled', 'gap_expired')
GROUP BY query, gap;
-- 0008_runs 208b79fffd1d3aa193dab1a2f14a815c82be621c4e2a8adef66b98da5f7ea0d7
CREATE TABLE IF NOT EXISTS run_sums
(
    run       LowCardinality(String),
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_at   SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    rule_sets SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    builds    SimpleAggregateFunction(groupUniqArrayArray, Array(String))
)
ENGINE = AggregatingMergeTree
ORDER BY run
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS run_sums_mv TO run_sums AS
SELECT
    run,
    min(at) AS first_at,
    max(at) AS last_at,
    groupUniqArray(toString(rule_set)) AS rule_sets,
    groupUniqArray(toString(build)) AS builds
FROM verdicts
GROUP BY run;
CREATE OR REPLACE VIEW runs AS
SELECT
    run, s.first_at AS first_at, s.last_at AS last_at, c.verdicts AS verdicts, c.accepted AS accepted, c.tokens AS tokens,
    s.rule_sets AS rule_sets, s.builds AS builds
FROM
(
    SELECT
        run, min(r.first_at) AS first_at, max(r.last_at) AS last_at,
        arraySort(groupUniqArrayArray(r.rule_sets)) AS rule_sets, arraySort(groupUniqArrayArray(r.builds)) AS builds
    FROM run_sums AS r
    GROUP BY run
) AS s
LEFT JOIN
(
    SELECT run, sum(n.verdicts) AS verdicts, sumIf(n.verdicts, outcome = 'accept') AS accepted, sum(n.tokens) AS tokens
    FROM verdict_counts AS n
    GROUP BY run
) AS c USING (run);
-- 0009_dead f72ebab7f03101e8b76d62504a347172a237567d484196a9a5908773f4ec37e3
CREATE TABLE IF NOT EXISTS dead
(
    stage           LowCardinality(String) COMMENT 'who gave it up',
    reason          LowCardinality(String),
    at              DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id          UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    stored_at       DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    key             String COMMENT 'an ASIN where there is one',
    work_id         String,
    build           LowCardinality(String),
    error           String CODEC(ZSTD(1)),
    origin_stream   LowCardinality(String),
    origin_sequence UInt64,
    origin_subject  String CODEC(ZSTD(1)),
    deliveries      UInt64,
    header          String COMMENT 'JSON: the headers of the message' CODEC(ZSTD(3)),
    body            String COMMENT 'the message' CODEC(ZSTD(3)),
    stream_seq      UInt64 ALIAS bitAnd(row_id, 4294967295)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- 0010_deal_versions 5e941f82e6dbda3e19d7598a6989f8ac2a3da01d2facbeac0e5b210fd664ca55
CREATE TABLE IF NOT EXISTS deal_versions
(
    domain     UInt16,
    asin       String,
    price_type UInt16,
    row_id     UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    at         DateTime64(3, 'UTC') COMMENT 'when it was decided, pipeline time' CODEC(Delta, ZSTD(1)),
    stored_at  DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run        LowCardinality(String),
    work_id    String,
    build      LowCardinality(String),
    creation_date          Nullable(Int64) COMMENT 'Keepa minutes',
    url                    Nullable(String),
    keepa_url              Nullable(String),
    title                  Nullable(String),
    author                 Nullable(String),
    brand                  Nullable(String),
    manufacturer           Nullable(String),
    binding                LowCardinality(Nullable(String)),
    root_category          Nullable(Int64),
    categories             Array(String) COMMENT 'names from the root down',
    publication_date       Nullable(Int64),
    package_weight_g       Nullable(Int64),
    package_length_mm      Nullable(Int64),
    package_width_mm       Nullable(Int64),
    package_height_mm      Nullable(Int64),
    found_at               Nullable(DateTime64(3, 'UTC')) COMMENT 'when the current used price began',
    updated_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa',
    offers_updated_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa to the offers',
    price_changed_at       Nullable(DateTime64(3, 'UTC')),
    decided_at             Nullable(DateTime64(3, 'UTC')),
    landed_cents           Nullable(Int64),
    price_cents            Nullable(Int64) COMMENT 'without shipping',
    shipping_cents         Nullable(Int64),
    shipping_known         Nullable(Bool),
    offer_matched          Nullable(Bool),
    condition              LowCardinality(Nullable(String)),
    buy_fba                Nullable(Bool),
    seller_id              Nullable(String),
    seller_name            Nullable(String),
    seller_rating          Nullable(Int64) COMMENT 'percent',
    seller_rating_count    Nullable(Int64),
    seller_quality         Nullable(Float64) COMMENT '0 to 1',
    seller_unknown         Nullable(Bool),
    list_price_cents       Nullable(Int64),
    list_price_source      LowCardinality(Nullable(String)),
    list_price_capped      Nullable(Bool) COMMENT 'the price of Amazon capped it',
    uncapped_list_cents    Nullable(Int64),
    amazon_ceiling_cents   Nullable(Int64),
    suspicious_ratio       Nullable(Bool),
    peak_month             Nullable(Int64) COMMENT '1 to 12',
    trough_month           Nullable(Int64) COMMENT '1 to 12',
    trough_price_cents     Nullable(Int64),
    selling_period         LowCardinality(Nullable(String)),
    last_sale_cents        Nullable(Int64),
    last_sale_at           Nullable(Int64) COMMENT 'Keepa minutes',
    one_year_average_cents Nullable(Int64),
    percent_down           Nullable(Float64),
    trend                  LowCardinality(Nullable(String)),
    confidence_percent     Nullable(Float64),
    sale_count             Nullable(Int64),
    sales_in_year          Nullable(Int64),
    sale_outliers          Nullable(Int64),
    trigger_count          Nullable(Int64),
    expected_value_cents   Nullable(Int64),
    chance_of_sale         Nullable(Float64),
    estimated_profit_cents Nullable(Int64) COMMENT 'with default shipping, as the peek saw it',
    all_in_cost_cents      Nullable(Int64),
    tax_cents              Nullable(Int64),
    prep_cents             Nullable(Int64),
    referral_cents         Nullable(Int64),
    referral_percent       Nullable(Float64),
    fba_fee_cents          Nullable(Int64),
    closing_fee_cents      Nullable(Int64) COMMENT 'as Keepa says; counted only if the settings say so',
    fees_assumed           Nullable(Bool),
    amazon_fees_cents      Nullable(Int64),
    profit_cents           Nullable(Int64),
    margin_percent         Nullable(Float64),
    roi_percent            Nullable(Float64),
    minimum_price_cents    Nullable(Int64),
    rank                   Nullable(Int64),
    rank_avg30             Nullable(Int64),
    rank_avg90             Nullable(Int64),
    rank_avg180            Nullable(Int64),
    rank_avg365            Nullable(Int64),
    rank_trend_percent     Nullable(Float64),
    rank_drops30           Nullable(Int64),
    rank_drops90           Nullable(Int64),
    rank_drops180          Nullable(Int64),
    rank_drops365          Nullable(Int64),
    monthly_sold           Nullable(Int64),
    used_offers            Nullable(Int64),
    used_offers_avg30      Nullable(Int64),
    used_offers_avg90      Nullable(Int64),
    used_offers_avg180     Nullable(Int64),
    used_offers_avg365     Nullable(Int64),
    offers_direction30     LowCardinality(Nullable(String)) COMMENT 'rising is bad',
    new_offers             Nullable(Int64),
    market_cents           Map(LowCardinality(String), Int64) COMMENT 'by price type name',
    market_avg_cents       Map(LowCardinality(String), Int64) COMMENT 'the same, 365 days',
    amazon_selling         Nullable(Bool),
    rule_set               LowCardinality(Nullable(String)),
    tokens                 Nullable(Int64),
    response_ids           Array(String),
    message    String COMMENT 'JSON: the message as it came' CODEC(ZSTD(3)),
    stream_seq UInt64 ALIAS bitAnd(row_id, 4294967295)
)
ENGINE = ReplacingMergeTree
ORDER BY (domain, asin, price_type, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
-- 0011_visible_deals 3630fbb5fce0abf323cda2b44775f5b88e83236813e12ff1e1a51e70b857c684
CREATE OR REPLACE VIEW deals AS
SELECT
    v.domain AS domain,
    v.asin AS asin,
    v.price_type AS price_type,
    argMax(v.creation_date, v.row_id) AS creation_date,
    argMax(v.url, v.row_id) AS url,
    argMax(v.keepa_url, v.row_id) AS keepa_url,
    argMax(v.title, v.row_id) AS title,
    argMax(v.author, v.row_id) AS author,
    argMax(v.brand, v.row_id) AS brand,
    argMax(v.manufacturer, v.row_id) AS manufacturer,
    argMax(v.binding, v.row_id) AS binding,
    argMax(v.root_category, v.row_id) AS root_category,
    argMaxIf(v.categories, v.row_id, notEmpty(v.categories)) AS categories,
    argMax(v.publication_date, v.row_id) AS publication_date,
    argMax(v.package_weight_g, v.row_id) AS package_weight_g,
    argMax(v.package_length_mm, v.row_id) AS package_length_mm,
    argMax(v.package_width_mm, v.row_id) AS package_width_mm,
    argMax(v.package_height_mm, v.row_id) AS package_height_mm,
    argMax(v.found_at, v.row_id) AS found_at,
    argMax(v.updated_at, v.row_id) AS updated_at,
    argMax(v.offers_updated_at, v.row_id) AS offers_updated_at,
    argMax(v.price_changed_at, v.row_id) AS price_changed_at,
    argMax(v.decided_at, v.row_id) AS decided_at,
    argMax(v.landed_cents, v.row_id) AS landed_cents,
    argMax(v.price_cents, v.row_id) AS price_cents,
    argMax(v.shipping_cents, v.row_id) AS shipping_cents,
    argMax(v.shipping_known, v.row_id) AS shipping_known,
    argMax(v.offer_matched, v.row_id) AS offer_matched,
    argMax(v.condition, v.row_id) AS condition,
    argMax(v.buy_fba, v.row_id) AS buy_fba,
    any(s.seller_id) AS seller_id,
    argMaxIf(v.seller_name, v.row_id, v.seller_id = s.seller_id) AS seller_name,
    argMaxIf(v.seller_rating, v.row_id, v.seller_id = s.seller_id) AS seller_rating,
    argMaxIf(v.seller_rating_count, v.row_id, v.seller_id = s.seller_id) AS seller_rating_count,
    argMaxIf(v.seller_quality, v.row_id, v.seller_id = s.seller_id) AS seller_quality,
    argMax(v.seller_unknown, v.row_id) AS seller_unknown,
    argMax(v.list_price_cents, v.row_id) AS list_price_cents,
    argMax(v.list_price_source, v.row_id) AS list_price_source,
    argMax(v.list_price_capped, v.row_id) AS list_price_capped,
    argMax(v.uncapped_list_cents, v.row_id) AS uncapped_list_cents,
    argMax(v.amazon_ceiling_cents, v.row_id) AS amazon_ceiling_cents,
    argMax(v.suspicious_ratio, v.row_id) AS suspicious_ratio,
    argMax(v.peak_month, v.row_id) AS peak_month,
    argMax(v.trough_month, v.row_id) AS trough_month,
    argMax(v.trough_price_cents, v.row_id) AS trough_price_cents,
    argMax(v.selling_period, v.row_id) AS selling_period,
    argMax(v.last_sale_cents, v.row_id) AS last_sale_cents,
    argMax(v.last_sale_at, v.row_id) AS last_sale_at,
    argMax(v.one_year_average_cents, v.row_id) AS one_year_average_cents,
    argMax(v.percent_down, v.row_id) AS percent_down,
    argMax(v.trend, v.row_id) AS trend,
    argMax(v.confidence_percent, v.row_id) AS confidence_percent,
    argMax(v.sale_count, v.row_id) AS sale_count,
    argMax(v.sales_in_year, v.row_id) AS sales_in_year,
    argMax(v.sale_outliers, v.row_id) AS sale_outliers,
    argMax(v.trigger_count, v.row_id) AS trigger_count,
    argMax(v.expected_value_cents, v.row_id) AS expected_value_cents,
    argMax(v.chance_of_sale, v.row_id) AS chance_of_sale,
    argMax(v.estimated_profit_cents, v.row_id) AS estimated_profit_cents,
    argMax(v.all_in_cost_cents, v.row_id) AS all_in_cost_cents,
    argMax(v.tax_cents, v.row_id) AS tax_cents,
    argMax(v.prep_cents, v.row_id) AS prep_cents,
    argMax(v.referral_cents, v.row_id) AS referral_cents,
    argMax(v.referral_percent, v.row_id) AS referral_percent,
    argMax(v.fba_fee_cents, v.row_id) AS fba_fee_cents,
    argMax(v.closing_fee_cents, v.row_id) AS closing_fee_cents,
    argMax(v.fees_assumed, v.row_id) AS fees_assumed,
    argMax(v.amazon_fees_cents, v.row_id) AS amazon_fees_cents,
    argMax(v.profit_cents, v.row_id) AS profit_cents,
    argMax(v.margin_percent, v.row_id) AS margin_percent,
    argMax(v.roi_percent, v.row_id) AS roi_percent,
    argMax(v.minimum_price_cents, v.row_id) AS minimum_price_cents,
    argMax(v.rank, v.row_id) AS rank,
    argMax(v.rank_avg30, v.row_id) AS rank_avg30,
    argMax(v.rank_avg90, v.row_id) AS rank_avg90,
    argMax(v.rank_avg180, v.row_id) AS rank_avg180,
    argMax(v.rank_avg365, v.row_id) AS rank_avg365,
    argMax(v.rank_trend_percent, v.row_id) AS rank_trend_percent,
    argMax(v.rank_drops30, v.row_id) AS rank_drops30,
    argMax(v.rank_drops90, v.row_id) AS rank_drops90,
    argMax(v.rank_drops180, v.row_id) AS rank_drops180,
    argMax(v.rank_drops365, v.row_id) AS rank_drops365,
    argMax(v.monthly_sold, v.row_id) AS monthly_sold,
    argMax(v.used_offers, v.row_id) AS used_offers,
    argMax(v.used_offers_avg30, v.row_id) AS used_offers_avg30,
    argMax(v.used_offers_avg90, v.row_id) AS used_offers_avg90,
    argMax(v.used_offers_avg180, v.row_id) AS used_offers_avg180,
    argMax(v.used_offers_avg365, v.row_id) AS used_offers_avg365,
    argMax(v.offers_direction30, v.row_id) AS offers_direction30,
    argMax(v.new_offers, v.row_id) AS new_offers,
    argMaxIf(v.market_cents, v.row_id, notEmpty(v.market_cents)) AS market_cents,
    argMaxIf(v.market_avg_cents, v.row_id, notEmpty(v.market_avg_cents)) AS market_avg_cents,
    argMax(v.amazon_selling, v.row_id) AS amazon_selling,
    argMax(v.rule_set, v.row_id) AS rule_set,
    argMax(v.tokens, v.row_id) AS tokens,
    argMaxIf(v.response_ids, v.row_id, notEmpty(v.response_ids)) AS response_ids,
    argMax(v.work_id, v.row_id) AS work_id,
    argMax(v.message, v.row_id) AS message,
    min(v.at) AS first_seen_at,
    max(v.at) AS last_seen_at,
    uniqExact(v.row_id) AS versions
FROM deal_versions AS v
LEFT JOIN
(
    SELECT domain, asin, price_type, argMax(seller_id, row_id) AS seller_id
    FROM deal_versions
    WHERE run = 'live'
    GROUP BY domain, asin, price_type
) AS s ON v.domain = s.domain AND v.asin = s.asin AND v.price_type = s.price_type
WHERE v.run = 'live'
GROUP BY v.domain, v.asin, v.price_type;
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
    WHERE (domain, asin, price_type) IN (SELECT domain, asin, price_type FROM deal_versions)
    GROUP BY domain, asin, price_type
) AS c ON d.domain = c.domain AND d.asin = c.asin AND d.price_type = c.price_type;
CREATE OR REPLACE VIEW visible_deals AS
SELECT * EXCEPT (hidden_because)
FROM deal_states
WHERE hidden_because = '';
-- 0012_pipeline_clock 10c1c4f8b1bda1cfb09c6a1f536870b0491075ecafe56620047dc1dc306a44fe
CREATE TABLE IF NOT EXISTS clock_readings
(
    newest AggregateFunction(argMax, Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC')), UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY tuple()
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS clock_readings_mv TO clock_readings AS
SELECT argMaxState((at, stored_at), row_id) AS newest
FROM ledger;
CREATE OR REPLACE VIEW pipeline_clock AS
SELECT
    argMaxMerge(newest) AS reading,
    reading.1 AS at,
    reading.2 AS stored_at,
    if(stored_at = toDateTime64(0, 3, 'UTC'), now64(3, 'UTC'), addMilliseconds(now64(3, 'UTC'), dateDiff('millisecond', stored_at, at))) AS now
FROM clock_readings;
-- 0013_fill d5eadef987c223d42b02447324051ed4e001ddbee917cd60788a94e03853dbe6
INSERT INTO verdict_hours
SELECT
    run, toStartOfHour(at) AS hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens,
    groupBitmapState(row_id)
FROM verdicts
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;
INSERT INTO asin_checks
SELECT
    domain, asin, price_type, max(at), maxIf(at, outcome IN ('accept', 'confirm')),
    argMaxState((toString(outcome), toString(reason), toString(look)), row_id)
FROM verdicts
WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm')
GROUP BY domain, asin, price_type
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;
INSERT INTO token_hours
SELECT toStartOfHour(at) AS hour, stage, event, price_kind, tokens AS amount, items, groupBitmapState(row_id)
FROM ledger
GROUP BY hour, stage, event, price_kind, amount, items
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;
INSERT INTO balance_points
SELECT at, row_id, stored_at, assumeNotNull(api_left), ifNull(api_rate, 0), ifNull(api_refill_ms, 0), ifNull(api_flow_red, 0), stage
FROM ledger
WHERE api_left IS NOT NULL
SETTINGS async_insert = 0;
INSERT INTO run_sums
SELECT run, min(at), max(at), groupUniqArray(toString(rule_set)), groupUniqArray(toString(build))
FROM verdicts
GROUP BY run
SETTINGS async_insert = 0;
INSERT INTO clock_readings
SELECT argMaxState((at, stored_at), row_id)
FROM ledger
HAVING count() > 0
SETTINGS async_insert = 0;
-- 0014_verdict_days db01c53fff9d32f88c40b6c1aced3e6866396ac0433e4137262c1353f00639f4
CREATE TABLE IF NOT EXISTS verdict_days
(
    run       LowCardinality(String),
    day       Date,
    look      LowCardinality(String),
    outcome   LowCardinality(String),
    reason    LowCardinality(String),
    rule_set  LowCardinality(String),
    heuristic Bool,
    tokens    Int32 COMMENT 'the price of one look',
    ids       AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, outcome, reason, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_days_mv TO verdict_days AS
SELECT
    run, toDate(at) AS day, look, outcome, reason, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, look, outcome, reason, rule_set, heuristic, tokens;
INSERT INTO verdict_days
SELECT run, toDate(hour) AS day, look, outcome, reason, rule_set, heuristic, tokens, groupBitmapMergeState(ids)
FROM verdict_hours
GROUP BY run, day, look, outcome, reason, rule_set, heuristic, tokens
SETTINGS async_insert = 0;
CREATE TABLE IF NOT EXISTS category_days
(
    run           LowCardinality(String),
    day           Date,
    root_category Int64,
    outcome       LowCardinality(String),
    reason        LowCardinality(String),
    tokens        Int32 COMMENT 'the price of one look',
    ids           AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, root_category, outcome, reason, tokens)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS category_days_mv TO category_days AS
SELECT run, toDate(at) AS day, root_category, outcome, reason, tokens, groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, root_category, outcome, reason, tokens;
INSERT INTO category_days
SELECT run, toDate(hour) AS day, root_category, outcome, reason, tokens, groupBitmapMergeState(ids)
FROM verdict_hours
GROUP BY run, day, root_category, outcome, reason, tokens
SETTINGS async_insert = 0;
-- 0015_waits 0e0afca232813da4684bdda58d750d5ee49b2c41c450865b7ade4a5e9eeea447
CREATE TABLE IF NOT EXISTS wait_days
(
    run    LowCardinality(String),
    day    Date,
    look   LowCardinality(String),
    source LowCardinality(String),
    slot   UInt8 COMMENT 'round(20 log10(1 + seconds)), 0 to 200',
    ids    AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, source, slot)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS wait_days_mv TO wait_days AS
SELECT
    run, toDate(at) AS day, look, source,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot,
    groupBitmapState(row_id) AS ids
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY run, day, look, source, slot;
INSERT INTO wait_days
SELECT
    run, toDate(at) AS day, look, source,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot,
    groupBitmapState(row_id)
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY run, day, look, source, slot
SETTINGS async_insert = 0;
CREATE TABLE IF NOT EXISTS call_days
(
    day        Date,
    stage      LowCardinality(String),
    price_kind LowCardinality(String),
    slot       UInt8 COMMENT 'round(20 log10(1 + milliseconds)), 0 to 200',
    ids        AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (day, stage, price_kind, slot)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS call_days_mv TO call_days AS
SELECT
    toDate(at) AS day, stage, price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id) AS ids
FROM ledger
WHERE event = 'close' AND api_took_ms IS NOT NULL
GROUP BY day, stage, price_kind, slot;
INSERT INTO call_days
SELECT
    toDate(at) AS day, stage, price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id)
FROM ledger
WHERE event = 'close' AND api_took_ms IS NOT NULL
GROUP BY day, stage, price_kind, slot
SETTINGS async_insert = 0;
-- 0016_unknown_days f31b7c81162e005ce28d628ed8c7566a81b07a1ee49440eef4c2defc0d334b90
CREATE TABLE IF NOT EXISTS unknown_days
(
    run     LowCardinality(String),
    day     Date,
    look    LowCardinality(String),
    rule_id LowCardinality(String),
    input   LowCardinality(String),
    outcome LowCardinality(String),
    ids     AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, rule_id, input, outcome)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS unknown_days_mv TO unknown_days AS
SELECT run, toDate(at) AS day, look, rule_id, arrayJoin(unknown) AS input, outcome, groupBitmapState(row_id) AS ids
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY run, day, look, rule_id, input, outcome;
INSERT INTO unknown_days
SELECT run, toDate(at) AS day, look, rule_id, arrayJoin(unknown) AS input, outcome, groupBitmapState(row_id)
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY run, day, look, rule_id, input, outcome
SETTINGS async_insert = 0;
-- 0017_call_slots 17ba12650e20fca1f2ed21d9e8146910f6972b7522c971e75c76ea59a555ded5
CREATE TABLE IF NOT EXISTS call_slots
(
    slot     DateTime('UTC'),
    first_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_at  SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    first    AggregateFunction(argMin, String, Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'the stage of the first call',
    last     AggregateFunction(argMax, Tuple(Nullable(Int32), Nullable(Int32)), Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'balance and rate of the last call'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS call_slots_mv TO call_slots AS
SELECT
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS slot,
    min(l.at) AS first_at,
    max(l.at) AS last_at,
    argMinState(toString(l.stage), (l.at, l.row_id)) AS first,
    argMaxState((l.api_left, l.api_rate), (l.at, l.row_id)) AS last
FROM ledger AS l
WHERE l.event = 'close' AND l.tokens > 0
GROUP BY slot;
INSERT INTO call_slots
SELECT
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS slot,
    min(l.at), max(l.at),
    argMinState(toString(l.stage), (l.at, l.row_id)),
    argMaxState((l.api_left, l.api_rate), (l.at, l.row_id))
FROM ledger AS l
WHERE l.event = 'close' AND l.tokens > 0
GROUP BY slot
SETTINGS async_insert = 0;
CREATE TABLE IF NOT EXISTS paid_slots
(
    slot      DateTime('UTC'),
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    listed    AggregateFunction(argMin, DateTime64(3, 'UTC'), Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'when the candidate of the first paid verdict was listed'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS paid_slots_mv TO paid_slots AS
SELECT
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS slot,
    min(v.at) AS first_at,
    argMinState(assumeNotNull(v.listed_at), (v.at, v.row_id)) AS listed
FROM verdicts AS v
WHERE v.run = 'live' AND v.tokens > 0 AND v.listed_at IS NOT NULL
GROUP BY slot;
INSERT INTO paid_slots
SELECT
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS slot,
    min(v.at), argMinState(assumeNotNull(v.listed_at), (v.at, v.row_id))
FROM verdicts AS v
WHERE v.run = 'live' AND v.tokens > 0 AND v.listed_at IS NOT NULL
GROUP BY slot
SETTINGS async_insert = 0;
-- 0018_runs_by_day aea276a54602a46d26bdd89f94a77086cb9a86426771d3f3ab3a1d063ea616eb
CREATE OR REPLACE VIEW runs AS
SELECT
    run, s.first_at AS first_at, s.last_at AS last_at, c.verdicts AS verdicts, c.accepted AS accepted, c.tokens AS tokens,
    s.rule_sets AS rule_sets, s.builds AS builds
FROM
(
    SELECT
        run, min(r.first_at) AS first_at, max(r.last_at) AS last_at,
        arraySort(groupUniqArrayArray(r.rule_sets)) AS rule_sets, arraySort(groupUniqArrayArray(r.builds)) AS builds
    FROM run_sums AS r
    GROUP BY run
) AS s
LEFT JOIN
(
    SELECT run, sum(n) AS verdicts, sumIf(n, outcome = 'accept') AS accepted, sum(n * price) AS tokens
    FROM
    (
        SELECT run, day, look, outcome, reason, rule_set, heuristic, tokens AS price, toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        GROUP BY run, day, look, outcome, reason, rule_set, heuristic, price
    )
    GROUP BY run
) AS c USING (run);
-- 0019_deal_states 7559e4fcc092952b7cbb4300acd5e044e8678087272c67d6e567e4398730569e
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
-- 0020_deal_marks f05aae4a1197d0f102ca05fd74975388c4be89e51d7f8c12673b6f0e1c6d5c34
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
ALTER TABLE asin_checks_mv MODIFY QUERY
SELECT
    domain, asin, price_type,
    maxIf(at, look != 'list') AS checked_at,
    maxIf(at, outcome IN ('accept', 'confirm')) AS confirmed_at,
    argMaxState((toString(outcome), toString(reason), toString(look)), row_id) AS newest
FROM verdicts
WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm')
GROUP BY domain, asin, price_type;
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
-- 0021_verdict_ids 93be1c74df6e0d09fddd32d8e360aa239cbbee0cc17ec4b190e1fe38c0f4e21c
CREATE TABLE IF NOT EXISTS verdict_ids
(
    id        UInt64 COMMENT 'the first 8 bytes of SHA-256 of run:work_id:look, least first' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month, machine time' CODEC(T64, ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 400 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_ids_mv TO verdict_ids AS
SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id) AS row_id,
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC')) AS stored_at
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id;
INSERT INTO verdict_ids
SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id),
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC'))
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;
-- 0022_deal_facts 1c31e1443c0ddf19ae6db3bd84e7759fb234c7da6bd6ea2628ce0996ab22b595
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
CREATE OR REPLACE VIEW visible_deals AS
SELECT d.*, s.last_checked_at AS last_checked_at, s.last_confirmed_at AS last_confirmed_at, s.stale_because AS stale_because
FROM deals AS d
INNER JOIN deal_states AS s ON d.domain = s.domain AND d.asin = s.asin AND d.price_type = s.price_type
WHERE s.hidden_because = '';
DROP VIEW IF EXISTS asin_checks_mv;
DROP TABLE IF EXISTS asin_checks;
-- 0023_message_ids cf64b38d37fd58c8adf3685d00f69373712dd16a677c20806f25ac25fe940586
ALTER TABLE ledger
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'the first 8 bytes of SHA-256 of stream creation time:Nats-Msg-Id, least first; 0 without one' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE deal_versions
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'as in ledger' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE dead
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'as in ledger' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;
INSERT INTO ledger
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':', multiIf(
    event = 'close', claim,
    event IN ('claim', 'lost', 'poll'), concat(event, ':', claim),
    concat(event, ':', note)))), 1, 8)) AS msg_id)
FROM ledger FINAL
WHERE ledger.msg_id = 0 AND (event IN ('close', 'claim', 'lost', 'poll') AND claim != '' OR event IN ('gap_opened', 'gap_filled', 'gap_expired') AND note != '')
SETTINGS async_insert = 0;
INSERT INTO deal_versions
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':deal:', work_id)), 1, 8)) AS msg_id)
FROM deal_versions FINAL
WHERE deal_versions.msg_id = 0 AND work_id != '' AND row_id IN (SELECT min(v.row_id) FROM deal_versions AS v GROUP BY v.work_id)
SETTINGS async_insert = 0;
INSERT INTO dead
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':dead:', stage, ':', origin_stream, '-', toString(origin_sequence))), 1, 8)) AS msg_id)
FROM dead FINAL
WHERE dead.msg_id = 0 AND origin_stream != ''
SETTINGS async_insert = 0;
-- 0024_deal_numbers 7d0e4febf5f933b6cb9043eec5d7ad635c6d822c735c90a05ceb933c00fa88f0
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
ALTER TABLE deal_rejects MODIFY COLUMN row_id UInt64 CODEC(T64), MODIFY COLUMN at DateTime64(3, 'UTC') CODEC(T64);
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
-- 0025_smaller 3517b13524fc9b2fa05865e771538f87590c68c3c9f74783b57be857399496c5
ALTER TABLE verdicts
    MODIFY COLUMN root_category Int64 CODEC(T64, ZSTD(1)),
    MODIFY COLUMN listed_at Nullable(DateTime64(3, 'UTC')) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN expected_value_cents Nullable(Int64) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN profit_cents Nullable(Int64) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN creation_date Int64 CODEC(T64, ZSTD(1)),
    MODIFY COLUMN source LowCardinality(String) CODEC(ZSTD(1)),
    MODIFY COLUMN unknown Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE verdict_hours
    MODIFY COLUMN ids AggregateFunction(groupBitmap, UInt64) CODEC(ZSTD(1)),
    MODIFY COLUMN root_category Int64 CODEC(T64, ZSTD(1));
ALTER TABLE verdict_ids
    MODIFY COLUMN stored_at SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1)),
    MODIFY TTL stored_at + INTERVAL 100 DAY;
-- 0026_work_slots 4391a303fa487ee4882b2f303cab9c603dad75413a61d61df9d98574b677bdf1
CREATE TABLE IF NOT EXISTS work_slots
(
    slot           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    first_call     SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '4 x ms of the first paid call + who paid: 1 peeker, 2 committer, 3 watermarker',
    last_call      SimpleAggregateFunction(max, UInt64) COMMENT '2^44 x (1 + ms of the last paid call) + 2^22 x (2^21 + balance after it, or 0) + tokens a minute, or 0',
    first_decision SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '2 x ms of the first decision, + 1 if a glance made it',
    last_decision  SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms',
    first_survivor SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT 'ms',
    last_survivor  SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms',
    listed_at      SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'the earliest of what was paid for, where the list had just named it',
    due_at         SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'since when the first of the polls had been due',
    next_due_at    SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'when the poll after them is due at the latest: an interval at most doubles'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS work_slots_ledger_mv TO work_slots AS
WITH
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS began,
    toUInt64(dateDiff('millisecond', began, l.at)) AS ms,
    if(l.api_left IS NULL, 0, toUInt64(2097152 + greatest(-2097151, least(2097151, assumeNotNull(l.api_left))))) AS balance,
    toUInt64(greatest(0, least(4194303, ifNull(l.api_rate, 0)))) AS rate,
    ifNull(parseDateTimeBestEffortOrNull(extract(l.note, ', due ([0-9TZ:-]+)'), 'UTC'), toDateTime(4294967295, 'UTC')) AS due
SELECT
    began AS slot,
    min(toUInt32(if(l.event = 'close', 4 * ms + indexOf(['peeker', 'committer', 'watermarker'], toString(l.stage)), 4294967295))) AS first_call,
    max(toUInt64(if(l.event = 'close', bitShiftLeft(1 + ms, 44) + bitShiftLeft(balance, 22) + rate, 0))) AS last_call,
    min(if(l.event = 'poll', due, toDateTime(4294967295, 'UTC'))) AS due_at,
    max(if(l.event = 'poll', toDateTime(l.at, 'UTC') + 2 * toUInt32OrZero(extract(l.note, ', every ([0-9]+) s')), toDateTime(0, 'UTC'))) AS next_due_at
FROM ledger AS l
WHERE (l.event = 'close' AND l.tokens > 0) OR (l.event = 'poll' AND l.note LIKE '%, due %')
GROUP BY slot;
CREATE MATERIALIZED VIEW IF NOT EXISTS work_slots_verdicts_mv TO work_slots AS
WITH
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS began,
    toUInt32(dateDiff('millisecond', began, v.at)) AS ms,
    v.outcome != 'survive' AS ends
SELECT
    began AS slot,
    min(toUInt32(if(ends, 2 * ms + (v.look = 'glance'), 4294967295))) AS first_decision,
    max(toUInt32(if(ends, 1 + ms, 0))) AS last_decision,
    min(toUInt32(if(ends, 4294967295, ms))) AS first_survivor,
    max(toUInt32(if(ends, 0, 1 + ms))) AS last_survivor,
    min(if(v.tokens > 0 AND v.source IN ('live', 'gap', 'backfill'), toDateTime(ifNull(v.listed_at, toDateTime64(4294967295, 3, 'UTC')), 'UTC'), toDateTime(4294967295, 'UTC'))) AS listed_at
FROM verdicts AS v
WHERE v.run = 'live' AND v.look != 'list'
GROUP BY slot;
INSERT INTO work_slots (slot, first_call, last_call, due_at, next_due_at)
WITH
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS began,
    toUInt64(dateDiff('millisecond', began, l.at)) AS ms,
    if(l.api_left IS NULL, 0, toUInt64(2097152 + greatest(-2097151, least(2097151, assumeNotNull(l.api_left))))) AS balance,
    toUInt64(greatest(0, least(4194303, ifNull(l.api_rate, 0)))) AS rate,
    ifNull(parseDateTimeBestEffortOrNull(extract(l.note, ', due ([0-9TZ:-]+)'), 'UTC'), toDateTime(4294967295, 'UTC')) AS due
SELECT
    began AS slot,
    min(toUInt32(if(l.event = 'close', 4 * ms + indexOf(['peeker', 'committer', 'watermarker'], toString(l.stage)), 4294967295))) AS first_call,
    max(toUInt64(if(l.event = 'close', bitShiftLeft(1 + ms, 44) + bitShiftLeft(balance, 22) + rate, 0))) AS last_call,
    min(if(l.event = 'poll', due, toDateTime(4294967295, 'UTC'))) AS due_at,
    max(if(l.event = 'poll', toDateTime(l.at, 'UTC') + 2 * toUInt32OrZero(extract(l.note, ', every ([0-9]+) s')), toDateTime(0, 'UTC'))) AS next_due_at
FROM ledger AS l
WHERE (l.event = 'close' AND l.tokens > 0) OR (l.event = 'poll' AND l.note LIKE '%, due %')
GROUP BY slot
SETTINGS async_insert = 0;
INSERT INTO work_slots (slot, first_decision, last_decision, first_survivor, last_survivor, listed_at)
WITH
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS began,
    toUInt32(dateDiff('millisecond', began, v.at)) AS ms,
    v.outcome != 'survive' AS ends
SELECT
    began AS slot,
    min(toUInt32(if(ends, 2 * ms + (v.look = 'glance'), 4294967295))) AS first_decision,
    max(toUInt32(if(ends, 1 + ms, 0))) AS last_decision,
    min(toUInt32(if(ends, 4294967295, ms))) AS first_survivor,
    max(toUInt32(if(ends, 0, 1 + ms))) AS last_survivor,
    min(if(v.tokens > 0 AND v.source IN ('live', 'gap', 'backfill'), toDateTime(ifNull(v.listed_at, toDateTime64(4294967295, 3, 'UTC')), 'UTC'), toDateTime(4294967295, 'UTC'))) AS listed_at
FROM verdicts AS v
WHERE v.run = 'live' AND v.look != 'list'
GROUP BY slot
SETTINGS async_insert = 0;
CREATE TABLE IF NOT EXISTS work_days
(
    day       Date,
    calls     AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger',
    decisions AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts'
)
ENGINE = AggregatingMergeTree
ORDER BY day
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS work_days_ledger_mv TO work_days AS
SELECT toDate(at) AS day, groupBitmapState(row_id) AS calls
FROM ledger
WHERE event = 'close' AND tokens > 0
GROUP BY day;
CREATE MATERIALIZED VIEW IF NOT EXISTS work_days_verdicts_mv TO work_days AS
SELECT toDate(at) AS day, groupBitmapState(row_id) AS decisions
FROM verdicts
WHERE run = 'live' AND look != 'list' AND outcome != 'survive'
GROUP BY day;
INSERT INTO work_days (day, calls)
SELECT toDate(at) AS day, groupBitmapState(row_id) AS calls
FROM ledger
WHERE event = 'close' AND tokens > 0
GROUP BY day
SETTINGS async_insert = 0;
INSERT INTO work_days (day, decisions)
SELECT day, groupBitmapMergeState(ids)
FROM verdict_days
WHERE run = 'live' AND look != 'list' AND outcome != 'survive'
GROUP BY day
SETTINGS async_insert = 0;
CREATE TABLE IF NOT EXISTS modes
(
    at     DateTime64(3, 'UTC') COMMENT 'pipeline time',
    row_id UInt64,
    mode   LowCardinality(String) COMMENT 'burst, recharge, paused, nospend, unknown'
)
ENGINE = ReplacingMergeTree
ORDER BY (at, row_id)
SETTINGS non_replicated_deduplication_window = 1000;
CREATE MATERIALIZED VIEW IF NOT EXISTS modes_mv TO modes AS
SELECT at, row_id, extract(note, '^[a-z]* to ([a-z]+)') AS mode
FROM ledger
WHERE event = 'mode' AND match(note, '^[a-z]* to [a-z]+');
INSERT INTO modes (at, row_id, mode)
SELECT at, row_id, extract(note, '^[a-z]* to ([a-z]+)') AS mode
FROM ledger
WHERE event = 'mode' AND match(note, '^[a-z]* to [a-z]+')
SETTINGS async_insert = 0;
DROP TABLE IF EXISTS call_slots_mv;
DROP TABLE IF EXISTS call_slots;
DROP TABLE IF EXISTS paid_slots_mv;
DROP TABLE IF EXISTS paid_slots;
-- 0027_wide_merges a4bc0eeafb08f41ddffedc55764fb9b12aa066ca99bd29ca63f4961395ad1eca
ALTER TABLE deal_versions MODIFY SETTING vertical_merge_algorithm_min_rows_to_activate = 1;
-- 0028_sums_on_disk a506c4060d1f0f87c0fb39b3fadedfd41b4e942ca8b0ac77cab0bdd0f4520de0
ALTER TABLE balance_points MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE call_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE category_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE clock_readings MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_facts MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_marks MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_rejects MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE modes MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE run_sums MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE token_hours MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE unknown_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_hours MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_ids MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE wait_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE work_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE work_slots MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE schema_migrations MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
-- 0029_entry_ids 456223ec7929c8ff05e59601f030d47f566a68d47e5fbd0839d1fe5504ba77e3
CREATE TABLE IF NOT EXISTS entry_ids
(
    id        UInt64 COMMENT 'msg_id of ledger' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 100 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1;
CREATE MATERIALIZED VIEW IF NOT EXISTS entry_ids_mv TO entry_ids AS
SELECT msg_id AS id, min(l.row_id) AS row_id, max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC')) AS stored_at
FROM ledger AS l
WHERE msg_id != 0
GROUP BY id;
INSERT INTO entry_ids
SELECT msg_id, min(l.row_id), max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC'))
FROM ledger AS l
WHERE msg_id != 0
GROUP BY msg_id
SETTINGS async_insert = 0;
