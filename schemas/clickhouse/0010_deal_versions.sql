-- deal_versions: what was each deal, every time it was decided?
--
-- One row per message of the stream DEALS: the history from which the view deals takes the newest. A reader wants all
-- versions of one ASIN, so the key is the deal's own; row_id orders the versions and makes a repeated insert the same
-- row. Not partitioned: deals are few, and every question reads all of them.
--
-- Every column but the key may be NULL, and NULL means "this version did not say". The names are those of the message.
-- The whole message is kept beside them, so that nothing is lost which has no column yet.
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

    -- Identity
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

    -- Timing
    found_at               Nullable(DateTime64(3, 'UTC')) COMMENT 'when the current used price began',
    updated_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa',
    offers_updated_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa to the offers',
    price_changed_at       Nullable(DateTime64(3, 'UTC')),
    decided_at             Nullable(DateTime64(3, 'UTC')),

    -- Buy side
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

    -- Sell side
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

    -- Money
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

    -- Demand
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

    -- Market prices now and their 365-day averages
    market_cents           Map(LowCardinality(String), Int64) COMMENT 'by price type name',
    market_avg_cents       Map(LowCardinality(String), Int64) COMMENT 'the same, 365 days',
    amazon_selling         Nullable(Bool),

    -- Provenance; the tokens and the answers are the committer's to add
    rule_set               LowCardinality(Nullable(String)),
    tokens                 Nullable(Int64),
    response_ids           Array(String),

    message    String COMMENT 'JSON: the message as it came' CODEC(ZSTD(3)),
    stream_seq UInt64 ALIAS bitAnd(row_id, 4294967295)
)
ENGINE = ReplacingMergeTree
ORDER BY (domain, asin, price_type, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
