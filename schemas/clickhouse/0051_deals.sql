-- Deals: what is known of every deal, which are visible, and why are the others hidden?
--
-- deal_versions holds the rows. deals is the newest of each column. What decides whether a deal is shown is kept apart,
-- in the small table deal_facts, because lists and counts go through all deals; deal_states makes the decision of it,
-- and visible_deals shows what is visible.

-- deal_versions: the history from which the view deals takes the newest. A reader wants all versions of one ASIN, so
-- the key is the deal's own; row_id orders the versions and makes a repeated insert the same row. Not partitioned:
-- deals are few, and every question reads all of them.
--
-- Every column but the key may be NULL, and NULL means "this version did not say". The names are those of the message.
-- The whole message is kept beside them, so that nothing is lost which has no column yet. msg_id stands beside the row,
-- as in dead: deals stay for ever, and their ids with them.
--
-- Parts are merged column by column, whatever their size. ClickHouse does so from 131,072 rows on; with a hundred
-- columns and a whole message in a row, smaller parts took several hundred megabytes to merge at once.
CREATE TABLE IF NOT EXISTS deal_versions
(
    domain     UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    asin       String COMMENT 'the ASIN',
    price_type UInt16 COMMENT 'Keepa price type; 2 is used',
    row_id     UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    at         DateTime64(3, 'UTC') COMMENT 'when it was decided, pipeline time' CODEC(Delta, ZSTD(1)),
    stored_at  DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run        LowCardinality(String) COMMENT 'live, or the name of a replay',
    work_id    String COMMENT 'the unit of work that decided it',
    build      LowCardinality(String) COMMENT 'the build that decided',

    -- Identity
    creation_date          Nullable(Int64) COMMENT 'when this price began, Keepa minutes',
    url                    Nullable(String) COMMENT 'page of the product at Amazon',
    keepa_url              Nullable(String) COMMENT 'page of the product at Keepa',
    simulated              Nullable(Bool) COMMENT 'whether the simulated Keepa answered: nobody sells this',
    title                  Nullable(String) COMMENT 'title of the product',
    author                 Nullable(String) COMMENT 'author',
    brand                  Nullable(String) COMMENT 'brand',
    manufacturer           Nullable(String) COMMENT 'manufacturer',
    binding                LowCardinality(Nullable(String)) COMMENT 'Paperback, Hardcover and so on',
    root_category          Nullable(Int64) COMMENT 'Keepa category id',
    categories             Array(String) COMMENT 'names of the categories from the root down; empty: not said',
    publication_date       Nullable(Int64) COMMENT 'YYYYMMDD, YYYYMM or YYYY, as Keepa says it',
    package_weight_g       Nullable(Int64) COMMENT 'weight of the package, grams; that of the item where it is unknown',
    package_length_mm      Nullable(Int64) COMMENT 'length of the package, millimetres',
    package_width_mm       Nullable(Int64) COMMENT 'width of the package, millimetres',
    package_height_mm      Nullable(Int64) COMMENT 'height of the package, millimetres',

    -- Timing
    found_at               Nullable(DateTime64(3, 'UTC')) COMMENT 'when the current used price began',
    updated_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa',
    offers_updated_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa to the offers',
    offers_age_hours       Nullable(Int64) COMMENT 'hours since Keepa last visited the offers, as the rules saw it',
    offers_ok              Nullable(Bool) COMMENT 'whether Keepa says that this visit succeeded',
    price_changed_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'last change of any price, as Keepa says',
    decided_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'when this version was decided, pipeline time',

    -- Buying side
    landed_cents           Nullable(Int64) COMMENT 'price of the offer to buy, at the door',
    price_cents            Nullable(Int64) COMMENT 'price of the offer to buy, without shipping',
    shipping_cents         Nullable(Int64) COMMENT 'shipping of the offer to buy; the default where it is unknown',
    shipping_known         Nullable(Bool) COMMENT 'whether Keepa told the shipping',
    offer_matched          Nullable(Bool) COMMENT 'whether a live offer carries the price; false: it is the current used price of an unknown seller',
    condition              LowCardinality(Nullable(String)) COMMENT 'condition of the offer to buy',
    buy_fba                Nullable(Bool) COMMENT 'whether Amazon ships the offer to buy',
    seller_id              Nullable(String) COMMENT 'seller of the offer to buy',
    seller_name            Nullable(String) COMMENT 'name of the seller',
    seller_rating          Nullable(Int64) COMMENT 'positive ratings of the seller, percent',
    seller_rating_count    Nullable(Int64) COMMENT 'ratings of the seller',
    seller_quality         Nullable(Float64) COMMENT 'lower end of the 95 % interval of the share of positive ratings, 0 to 1',
    seller_unknown         Nullable(Bool) COMMENT 'whether Keepa knows nothing of the seller',

    -- Selling side: the estimate, and what it rests on
    sale_price_cents       Nullable(Int64) COMMENT 'middle of what the copy may sell for',
    sale_price_low_cents   Nullable(Int64) COMMENT 'one in ten sells for less',
    sale_price_high_cents  Nullable(Int64) COMMENT 'one in ten sells for more',
    breakeven_cents        Nullable(Int64) COMMENT 'sale price that leaves nothing',
    loss_chance            Nullable(Float64) COMMENT 'chance that it sells below break-even, 0 to 1',
    n_eff                  Nullable(Float64) COMMENT 'how many sales of today the known sales are worth',
    sale_chance_6m         Nullable(Float64) COMMENT 'chance that ours sells within six months, 0 to 1',
    months_to_sell         Nullable(Float64) COMMENT 'months that ours waits for its sale on average',
    sale_count             Nullable(Int64) COMMENT 'inferred sales of all years',
    sales_in_year          Nullable(Int64) COMMENT 'inferred sales of the last year',
    sale_days_180          Nullable(Int64) COMMENT 'days of the last 180 with an inferred sale',
    last_sales             Array(Tuple(at Int64, cents Int64)) COMMENT 'the newest inferred sales, three at most, newest first: Keepa minutes and price; empty: not said',
    fall_count             Nullable(Int64) COMMENT 'how often the used count fell, sold or not',
    cap_cents              Nullable(Int64) COMMENT 'what caps the sale price',
    cap_by                 LowCardinality(Nullable(String)) COMMENT 'what that is: new, amazon, buy_box or next_best',
    next_best_cents        Nullable(Int64) COMMENT 'cheapest other used offer in this condition or a better one, at the door',
    lowest_new_cents       Nullable(Int64) COMMENT 'lowest new price at the door',
    used_buy_box_cents     Nullable(Int64) COMMENT 'used Buy Box at the door',
    used_includes_shipping LowCardinality(Nullable(String)) COMMENT 'whether the used price of Keepa includes shipping: yes, no or unknown',
    expected_value_cents   Nullable(Int64) COMMENT 'profit times chance of a sale within six months',

    -- Money
    all_in_cost_cents      Nullable(Int64) COMMENT 'landed price, tax, preparation, inbound and other',
    tax_cents              Nullable(Int64) COMMENT 'tax on the purchase',
    prep_cents             Nullable(Int64) COMMENT 'preparation',
    inbound_cents          Nullable(Int64) COMMENT 'the way to the warehouse',
    other_cents            Nullable(Int64) COMMENT 'whatever else a book costs',
    vat_cents              Nullable(Int64) COMMENT 'VAT contained in the sale price',
    referral_cents         Nullable(Int64) COMMENT 'referral fee at the middle sale price',
    referral_percent       Nullable(Float64) COMMENT 'referral fee, percent',
    fba_fee_cents          Nullable(Int64) COMMENT 'fulfilment fee',
    closing_fee_cents      Nullable(Int64) COMMENT 'closing fee of media',
    fees_assumed           Nullable(Bool) COMMENT 'whether a default stands in for a fee that Keepa does not know',
    referral_assumed       Nullable(Bool) COMMENT 'whether a default stands in for the referral fee',
    fba_fee_assumed        Nullable(Bool) COMMENT 'whether a default stands in for the fulfilment fee',
    closing_fee_assumed    Nullable(Bool) COMMENT 'whether a default stands in for the closing fee',
    fba_fee_other_band     Nullable(Bool) COMMENT 'whether the fulfilment fee is for another band of prices than the sale price',
    amazon_fees_cents      Nullable(Int64) COMMENT 'all fees of Amazon at the middle sale price',
    profit_cents           Nullable(Int64) COMMENT 'what is left at the middle sale price',
    profit_low_cents       Nullable(Int64) COMMENT 'what is left at the low sale price',
    profit_high_cents      Nullable(Int64) COMMENT 'what is left at the high sale price',
    margin_percent         Nullable(Float64) COMMENT 'profit of the sale price, percent',
    roi_percent            Nullable(Float64) COMMENT 'profit of the all-in cost, percent',

    -- Demand
    rank                   Nullable(Int64) COMMENT 'sales rank now',
    rank_avg30             Nullable(Int64) COMMENT 'mean sales rank of 30 days',
    rank_avg90             Nullable(Int64) COMMENT 'mean sales rank of 90 days',
    rank_avg180            Nullable(Int64) COMMENT 'mean sales rank of 180 days',
    rank_avg365            Nullable(Int64) COMMENT 'mean sales rank of 365 days',
    rank_trend_percent     Nullable(Float64) COMMENT 'change of the sales rank, percent',
    rank_drops30           Nullable(Int64) COMMENT 'drops of the sales rank in 30 days',
    rank_drops90           Nullable(Int64) COMMENT 'drops of the sales rank in 90 days',
    rank_drops180          Nullable(Int64) COMMENT 'drops of the sales rank in 180 days',
    rank_drops365          Nullable(Int64) COMMENT 'drops of the sales rank in 365 days',
    monthly_sold           Nullable(Int64) COMMENT 'units sold a month, as Amazon says',
    used_offers            Nullable(Int64) COMMENT 'used offers now',
    used_offers_avg30      Nullable(Int64) COMMENT 'mean of used offers in 30 days',
    used_offers_avg90      Nullable(Int64) COMMENT 'mean of used offers in 90 days',
    used_offers_avg180     Nullable(Int64) COMMENT 'mean of used offers in 180 days',
    used_offers_avg365     Nullable(Int64) COMMENT 'mean of used offers in 365 days',
    new_offers             Nullable(Int64) COMMENT 'new offers now',

    -- Market prices now and their 365-day averages
    market_cents           Map(LowCardinality(String), Int64) COMMENT 'market prices now by price type name; empty: not said',
    market_avg_cents       Map(LowCardinality(String), Int64) COMMENT 'market prices by price type name, mean of 365 days; empty: not said',
    amazon_selling         Nullable(Bool) COMMENT 'whether Amazon itself sells it',
    amazon_in_stock_90_percent Nullable(Int64) COMMENT 'percent of the last 90 days in which Amazon sold it',

    -- Provenance; the tokens and the answers are the committer's to add
    rule_set               LowCardinality(Nullable(String)) COMMENT 'version of the rules',
    extraction             Nullable(Int64) COMMENT 'version of how the numbers are read off the answers',
    tokens                 Nullable(Int64) COMMENT 'what the looks that led to it cost',
    response_ids           Array(String) COMMENT 'the stored answers it rests on; empty: not said',

    message    String COMMENT 'JSON: the message as it came' CODEC(ZSTD(3)),
    stream_seq UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream DEALS',
    msg_id     UInt64 COMMENT 'as in ledger' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (domain, asin, price_type, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1
COMMENT 'What was each deal, every time it was decided? A row per message of the stream DEALS; NULL: this version did not say. Money is cents';

-- deals: column by column the newest version that said something: argMax passes over NULL, so a refresh that measured
-- only the price leaves the rest as it was. What describes the seller is taken only from versions with the seller that
-- is shown. Versions are compared by their place in the stream, so neither order nor repetition of inserts matters.
CREATE OR REPLACE VIEW deals
COMMENT 'The newest that is known of every deal, hidden ones too. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time) and versions (how many)' AS
SELECT
    v.domain AS domain,
    v.asin AS asin,
    v.price_type AS price_type,
    argMax(v.creation_date, v.row_id) AS creation_date,
    argMax(v.url, v.row_id) AS url,
    argMax(v.keepa_url, v.row_id) AS keepa_url,
    argMax(v.simulated, v.row_id) AS simulated,
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
    argMax(v.offers_age_hours, v.row_id) AS offers_age_hours,
    argMax(v.offers_ok, v.row_id) AS offers_ok,
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
    argMax(v.sale_price_cents, v.row_id) AS sale_price_cents,
    argMax(v.sale_price_low_cents, v.row_id) AS sale_price_low_cents,
    argMax(v.sale_price_high_cents, v.row_id) AS sale_price_high_cents,
    argMax(v.breakeven_cents, v.row_id) AS breakeven_cents,
    argMax(v.loss_chance, v.row_id) AS loss_chance,
    argMax(v.n_eff, v.row_id) AS n_eff,
    argMax(v.sale_chance_6m, v.row_id) AS sale_chance_6m,
    argMax(v.months_to_sell, v.row_id) AS months_to_sell,
    argMax(v.sale_count, v.row_id) AS sale_count,
    argMax(v.sales_in_year, v.row_id) AS sales_in_year,
    argMax(v.sale_days_180, v.row_id) AS sale_days_180,
    argMaxIf(v.last_sales, v.row_id, notEmpty(v.last_sales)) AS last_sales,
    argMax(v.fall_count, v.row_id) AS fall_count,
    argMax(v.cap_cents, v.row_id) AS cap_cents,
    argMax(v.cap_by, v.row_id) AS cap_by,
    argMax(v.next_best_cents, v.row_id) AS next_best_cents,
    argMax(v.lowest_new_cents, v.row_id) AS lowest_new_cents,
    argMax(v.used_buy_box_cents, v.row_id) AS used_buy_box_cents,
    argMax(v.used_includes_shipping, v.row_id) AS used_includes_shipping,
    argMax(v.expected_value_cents, v.row_id) AS expected_value_cents,
    argMax(v.all_in_cost_cents, v.row_id) AS all_in_cost_cents,
    argMax(v.tax_cents, v.row_id) AS tax_cents,
    argMax(v.prep_cents, v.row_id) AS prep_cents,
    argMax(v.inbound_cents, v.row_id) AS inbound_cents,
    argMax(v.other_cents, v.row_id) AS other_cents,
    argMax(v.vat_cents, v.row_id) AS vat_cents,
    argMax(v.referral_cents, v.row_id) AS referral_cents,
    argMax(v.referral_percent, v.row_id) AS referral_percent,
    argMax(v.fba_fee_cents, v.row_id) AS fba_fee_cents,
    argMax(v.closing_fee_cents, v.row_id) AS closing_fee_cents,
    argMax(v.fees_assumed, v.row_id) AS fees_assumed,
    argMax(v.referral_assumed, v.row_id) AS referral_assumed,
    argMax(v.fba_fee_assumed, v.row_id) AS fba_fee_assumed,
    argMax(v.closing_fee_assumed, v.row_id) AS closing_fee_assumed,
    argMax(v.fba_fee_other_band, v.row_id) AS fba_fee_other_band,
    argMax(v.amazon_fees_cents, v.row_id) AS amazon_fees_cents,
    argMax(v.profit_cents, v.row_id) AS profit_cents,
    argMax(v.profit_low_cents, v.row_id) AS profit_low_cents,
    argMax(v.profit_high_cents, v.row_id) AS profit_high_cents,
    argMax(v.margin_percent, v.row_id) AS margin_percent,
    argMax(v.roi_percent, v.row_id) AS roi_percent,
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
    argMax(v.new_offers, v.row_id) AS new_offers,
    argMaxIf(v.market_cents, v.row_id, notEmpty(v.market_cents)) AS market_cents,
    argMaxIf(v.market_avg_cents, v.row_id, notEmpty(v.market_avg_cents)) AS market_avg_cents,
    argMax(v.amazon_selling, v.row_id) AS amazon_selling,
    argMax(v.amazon_in_stock_90_percent, v.row_id) AS amazon_in_stock_90_percent,
    argMax(v.rule_set, v.row_id) AS rule_set,
    argMax(v.extraction, v.row_id) AS extraction,
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

-- deal_facts: what is known of each deal that decides whether it is shown?
--
-- One row per deal: when it was first and last seen, the numbers without which it is not shown, the newest verdicts
-- that confirmed and rejected it, and the newest mark as stale. Minima and maxima, so that neither order nor repetition
-- of inserts matters, and plain ones, which need no states. The newest number that a version said is the greatest of
-- UInt128: the version's row id in the upper half, the number in the lower, 0 where no version said one; toInt64 of it
-- is the lower half, with its sign. The newest reason is the greatest text that begins with the row id in 16 digits.
--
-- deal is a hash of domain, ASIN and price type: every question about deals goes through all of them, and numbers join
-- several times faster than texts. Among three million the chance that two share a hash is one in four million. ZSTD
-- would save half a megabyte in 100,000 deals, and take longer to unpack than the rest of the table takes to read.
CREATE TABLE IF NOT EXISTS deal_facts
(
    deal                UInt64 COMMENT 'cityHash64(domain, asin, price_type)' CODEC(NONE),
    domain              SimpleAggregateFunction(max, UInt16) COMMENT 'Keepa domain id; 1 is amazon.com',
    asin                SimpleAggregateFunction(max, String) COMMENT 'the ASIN',
    price_type          SimpleAggregateFunction(max, UInt16) COMMENT 'Keepa price type; 2 is used',
    first_at            SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'of its versions, pipeline time; 2200 without one',
    last_at             SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'of its versions, pipeline time; 1970 without one',
    confirmed_id        SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest accept or confirm; 0 without one',
    confirmed_at        SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'the latest accept or confirm, pipeline time; 1970 without one',
    newest_profit       SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | profit_cents; 0 without one' CODEC(LZ4),
    newest_sale_price   SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | sale_price_cents; 0 without one' CODEC(LZ4),
    newest_check        SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | pipeline time in milliseconds of the last look that accepted, confirmed or rejected it; 0 without one' CODEC(LZ4),
    rejected_id         SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest reject or expiry; 0 without one',
    rejected_because    SimpleAggregateFunction(max, String) COMMENT 'the same in 16 hexadecimal digits, and its reason code; empty without one',
    marked_id           SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest failure that the refresher reported; 0 without one',
    marked_at           SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'when it was last marked as stale, pipeline time; 1970 without a mark',
    marked_because      SimpleAggregateFunction(max, String) COMMENT 'row id of that verdict in 16 hexadecimal digits, and its reason code; empty without a mark'
)
ENGINE = AggregatingMergeTree
ORDER BY deal
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What is known of each deal that decides whether it is shown, and the newest reject of ASINs that may become one; read it through the view deal_states';

CREATE MATERIALIZED VIEW IF NOT EXISTS deal_facts_versions_mv TO deal_facts COMMENT 'Keeps deal_facts, from deal_versions' AS
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain) AS domain, max(v.asin) AS asin, max(v.price_type) AS price_type,
    min(v.at) AS first_at, max(v.at) AS last_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.profit_cents)))), isNotNull(v.profit_cents)) AS newest_profit,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.sale_price_cents)))), isNotNull(v.sale_price_cents)) AS newest_sale_price
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal;

-- Marks and expiries are verdicts of the look list, by the refresher. An expiry hides the deal and does not check it.
-- The newest reject of every ASIN is kept, because its deal may be recorded later; domain and ASIN come with the deal's
-- version.
CREATE MATERIALIZED VIEW IF NOT EXISTS deal_facts_verdicts_mv TO deal_facts COMMENT 'Keeps deal_facts, from verdicts' AS
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

-- deal_states: every deal with what was last decided about it, why it is hidden, and why it is stale.
--
-- THE definition of what is visible: lists, counts, status and diagnostics all go through it. hidden_because is empty
-- for a visible deal. What the user bought or ignores is hidden whatever looks say, under the first reason that is so:
-- bought, and then what is ignored from the narrow to the wide. A look that rejected the ASIN after what confirmed the
-- deal hides it under the reject's reason; expiry is such a reject, and not a check. A shed or failed look hides
-- nothing. A stale deal is visible: it was not confirmed in time, and stale_because says why; a confirmation ends that.
--
-- Planning takes longer than the answer where a view is named twice, so what the user said is read once, into arrays
-- that are constants of the plan; versions are read only where a seller, a brand or words are ignored. FINAL costs
-- nothing where parts are merged.
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

-- visible_deals: what the user sees.
CREATE OR REPLACE VIEW visible_deals
COMMENT 'The deals that are visible. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time), versions (how many), and last_checked_at, last_confirmed_at, stale_because as in deal_states' AS
SELECT d.*, s.last_checked_at AS last_checked_at, s.last_confirmed_at AS last_confirmed_at, s.stale_because AS stale_because
FROM deals AS d
INNER JOIN deal_states AS s ON d.domain = s.domain AND d.asin = s.asin AND d.price_type = s.price_type
WHERE s.hidden_because = '';
