CREATE TABLE actions
(
    `target` LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    `value` String COMMENT 'the ASIN, the id of the seller, the brand in small letters, or words of a title in small letters',
    `domain` UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    `row_id` UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta(8), ZSTD(1)),
    `at` DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta(8), ZSTD(1)),
    `run` LowCardinality(String) COMMENT 'live; nothing else counts',
    `build` LowCardinality(String) COMMENT 'the build that said it',
    `msg_id` UInt64 COMMENT 'as in ledger' CODEC(NONE),
    `action` LowCardinality(String) COMMENT 'buy, sold, ignore, undo or lapse (the time of an ignore is over)',
    `of` LowCardinality(String) COMMENT 'what an undo or a lapse ends: buy, sold or ignore; else empty',
    `price_cents` Nullable(Int64) COMMENT 'paid or got for one copy, in the smallest unit of the currency of the marketplace; NULL for others than buy and sold',
    `condition` LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    `day` Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for others',
    `copy` UInt16 COMMENT 'which of several equal copies; 1 for the first',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
ENGINE = ReplacingMergeTree
ORDER BY (target, value, domain, row_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'What did the user buy, sell and ignore? A row per message of the stream ACTIONS';

CREATE VIEW actions_standing
(
    `action` LowCardinality(String) COMMENT 'buy, sold or ignore',
    `target` LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    `value` String COMMENT 'as in actions',
    `domain` UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    `row_id` UInt64 COMMENT 'as in actions',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time',
    `price_cents` Nullable(Int64) COMMENT 'paid or got for one copy; NULL for ignore',
    `condition` LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    `day` Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for ignore',
    `copy` UInt16 COMMENT 'which of several equal copies; 1 for the first',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
COMMENT 'What the user did and did not undo'
AS SELECT
    action,
    target,
    value,
    domain,
    row_id,
    at,
    price_cents,
    condition,
    day,
    copy,
    until
FROM
(
    SELECT
        *,
        maxIf(row_id, (action IN ('undo', 'lapse'))) OVER (PARTITION BY if(of = '', action, of), target, value, domain) AS ended
    FROM actions
    FINAL
    WHERE run = 'live'
)
WHERE (row_id > ended) AND (action IN ('buy', 'sold', 'ignore'));

CREATE VIEW balance
(
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time',
    `balance` Int32 COMMENT 'tokens; negative in debt',
    `rate` Int32 COMMENT 'tokens a minute',
    `refill_ms` Int64 COMMENT 'until the next refill, milliseconds',
    `flow_red` Float64 COMMENT 'tokens a minute that trackings use up',
    `stage` LowCardinality(String) COMMENT 'the stage that got the answer'
)
COMMENT 'How full was the bucket at each instant?'
AS SELECT
    at,
    balance,
    rate,
    refill_ms,
    flow_red,
    stage
FROM balance_points
FINAL;

CREATE TABLE balance_points
(
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta(8), ZSTD(1)),
    `row_id` UInt64 COMMENT 'of the ledger' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored the entry, machine time' CODEC(Delta(8), ZSTD(1)),
    `balance` Int32 COMMENT 'tokens; negative in debt',
    `rate` Int32 COMMENT 'tokens a minute',
    `refill_ms` Int64 COMMENT 'until the next refill, milliseconds',
    `flow_red` Float64 COMMENT 'tokens a minute that trackings use up',
    `stage` LowCardinality(String) COMMENT 'the stage that got the answer'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, row_id)
TTL toDateTime(stored_at) + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'What each of Keepa\'s answers said of the bucket; read it through the view balance';

CREATE MATERIALIZED VIEW balance_points_mv TO balance_points
(
    `at` DateTime64(3, 'UTC'),
    `row_id` UInt64,
    `stored_at` DateTime64(3, 'UTC'),
    `balance` Int32,
    `rate` Int32,
    `refill_ms` Int64,
    `flow_red` Float64,
    `stage` LowCardinality(String)
)
COMMENT 'Keeps balance_points'
AS SELECT
    at,
    row_id,
    stored_at,
    assumeNotNull(api_left) AS balance,
    ifNull(api_rate, 0) AS rate,
    ifNull(api_refill_ms, 0) AS refill_ms,
    ifNull(api_flow_red, 0) AS flow_red,
    stage
FROM ledger
WHERE api_left IS NOT NULL;

CREATE TABLE call_days
(
    `day` Date COMMENT 'pipeline time, UTC',
    `stage` LowCardinality(String) COMMENT 'the stage that called',
    `price_kind` LowCardinality(String) COMMENT 'deals, peek, commit, seller, token',
    `slot` UInt8 COMMENT 'round(20 log10(1 + milliseconds)), 0 to 200',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (day, stage, price_kind, slot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Histogram of Keepa\'s own time for an answer, by day, stage and kind of call';

CREATE MATERIALIZED VIEW call_days_mv TO call_days
(
    `day` Date,
    `stage` LowCardinality(String),
    `price_kind` LowCardinality(String),
    `slot` UInt8,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps call_days'
AS SELECT
    toDate(at) AS day,
    stage,
    price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id) AS ids
FROM ledger
WHERE (event = 'close') AND (api_took_ms IS NOT NULL)
GROUP BY
    day,
    stage,
    price_kind,
    slot;

CREATE TABLE category_days
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `day` Date COMMENT 'pipeline time, UTC',
    `root_category` Int64 COMMENT 'Keepa category id; 0 when unknown',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `tokens` Int32 COMMENT 'the price of one look',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, root_category, outcome, reason, tokens)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Sum of verdicts by day, category, outcome and reason';

CREATE MATERIALIZED VIEW category_days_mv TO category_days
(
    `run` LowCardinality(String),
    `day` Date,
    `root_category` Int64,
    `outcome` LowCardinality(String),
    `reason` LowCardinality(String),
    `tokens` Int32,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps category_days'
AS SELECT
    run,
    toDate(at) AS day,
    root_category,
    outcome,
    reason,
    tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY
    run,
    day,
    root_category,
    outcome,
    reason,
    tokens;

CREATE TABLE clock_readings
(
    `newest` AggregateFunction(argMax, Tuple(
        DateTime64(3, 'UTC'),
        DateTime64(3, 'UTC')), UInt64) COMMENT 'at and stored_at of the newest entry'
)
ENGINE = AggregatingMergeTree
ORDER BY tuple()
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Pipeline time and machine time of the newest entry; read it through the view pipeline_clock';

CREATE MATERIALIZED VIEW clock_readings_mv TO clock_readings
(
    `newest` AggregateFunction(argMax, Tuple(
        DateTime64(3, 'UTC'),
        DateTime64(3, 'UTC')), UInt64)
)
COMMENT 'Keeps clock_readings'
AS SELECT argMaxState((at, stored_at), row_id) AS newest
FROM ledger;

CREATE VIEW coverage
(
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time',
    `event` LowCardinality(String) COMMENT 'poll, sweep, gap_opened, gap_filled, gap_expired',
    `query` LowCardinality(String) COMMENT 'the deal query, NAME@VERSION',
    `from_time` Nullable(DateTime('UTC')) COMMENT 'lower end of the span, Keepa time; NULL when it does not apply',
    `to_time` Nullable(DateTime('UTC')) COMMENT 'upper end of the span, Keepa time; NULL when it does not apply',
    `items` UInt32 COMMENT 'as in ledger',
    `rows_estimate` Int64 COMMENT 'rows of the page or the sweep; of a gap an estimate',
    `tokens` Int64 COMMENT 'as in ledger; what a page cost is told by the close of its claim',
    `claim` String COMMENT 'the claim that paid for the page; empty without one',
    `note` String COMMENT 'of a gap its id',
    `from_minute` Int64 COMMENT 'from_time in Keepa minutes; 0 when it does not apply',
    `to_minute` Int64 COMMENT 'to_time in Keepa minutes; 0 when it does not apply'
)
COMMENT 'How far was the deal list read? A row per poll, sweep and event of a gap'
AS SELECT
    at,
    event,
    query,
    if(from_minute = 0, NULL, toDateTime((from_minute + 21564000) * 60, 'UTC')) AS from_time,
    if(to_minute = 0, NULL, toDateTime((to_minute + 21564000) * 60, 'UTC')) AS to_time,
    items,
    rows_estimate,
    tokens,
    claim,
    note,
    from_minute,
    to_minute
FROM ledger
FINAL
WHERE event IN ('poll', 'sweep', 'gap_opened', 'gap_filled', 'gap_expired')
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE dead
(
    `stage` LowCardinality(String) COMMENT 'the stage that gave it up',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was given up, pipeline time' CODEC(Delta(8), ZSTD(1)),
    `row_id` UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta(8), ZSTD(1)),
    `key` String COMMENT 'an ASIN where there is one',
    `work_id` String COMMENT 'the unit of work; empty without one',
    `build` LowCardinality(String) COMMENT 'the build that gave it up',
    `error` String COMMENT 'what went wrong' CODEC(ZSTD(1)),
    `origin_stream` LowCardinality(String) COMMENT 'the stream that the message is from',
    `origin_sequence` UInt64 COMMENT 'and its sequence there',
    `origin_subject` String COMMENT 'and its subject' CODEC(ZSTD(1)),
    `deliveries` UInt64 COMMENT 'how often it was delivered',
    `header` String COMMENT 'JSON: the headers of the message' CODEC(ZSTD(3)),
    `body` String COMMENT 'the message, as it came' CODEC(ZSTD(3)),
    `stream_seq` UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream DEAD',
    `msg_id` UInt64 COMMENT 'as in ledger' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'What could not be processed, why, and where does it come from? A row per message of the stream DEAD';

CREATE TABLE deal_facts
(
    `deal` UInt64 COMMENT 'cityHash64(domain, asin, price_type)' CODEC(NONE),
    `domain` SimpleAggregateFunction(max, UInt16) COMMENT 'Keepa domain id; 1 is amazon.com',
    `asin` SimpleAggregateFunction(max, String) COMMENT 'the ASIN',
    `price_type` SimpleAggregateFunction(max, UInt16) COMMENT 'Keepa price type; 2 is used',
    `first_at` SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'of its versions, pipeline time; 2200 without one',
    `last_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'of its versions, pipeline time; 1970 without one',
    `confirmed_id` SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest accept or confirm; 0 without one',
    `confirmed_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'the latest accept or confirm, pipeline time; 1970 without one',
    `newest_profit` SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | profit_cents; 0 without one' CODEC(LZ4),
    `newest_sale_price` SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | sale_price_cents; 0 without one' CODEC(LZ4),
    `newest_check` SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | pipeline time in milliseconds of the last look that accepted, confirmed or rejected it; 0 without one' CODEC(LZ4),
    `rejected_id` SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest reject or expiry; 0 without one',
    `rejected_because` SimpleAggregateFunction(max, String) COMMENT 'the same in 16 hexadecimal digits, and its reason code; empty without one',
    `marked_id` SimpleAggregateFunction(max, UInt64) COMMENT 'row id of the newest failure that the refresher reported; 0 without one',
    `marked_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'when it was last marked as stale, pipeline time; 1970 without a mark',
    `marked_because` SimpleAggregateFunction(max, String) COMMENT 'row id of that verdict in 16 hexadecimal digits, and its reason code; empty without a mark'
)
ENGINE = AggregatingMergeTree
ORDER BY deal
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'What is known of each deal that decides whether it is shown, and the newest reject of ASINs that may become one; read it through the view deal_states';

CREATE MATERIALIZED VIEW deal_facts_verdicts_mv TO deal_facts
(
    `deal` UInt64,
    `first_at` DateTime64(3, 'UTC'),
    `confirmed_id` UInt64,
    `confirmed_at` DateTime64(3, 'UTC'),
    `newest_check` UInt128,
    `rejected_id` UInt64,
    `rejected_because` String,
    `marked_id` UInt64,
    `marked_at` DateTime64(3, 'UTC'),
    `marked_because` String
)
COMMENT 'Keeps deal_facts, from verdicts'
AS SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal,
    toDateTime64('2200-01-01 00:00:00', 3, 'UTC') AS first_at,
    maxIf(v.row_id, (v.outcome IN ('accept', 'confirm'))) AS confirmed_id,
    maxIf(v.at, (v.outcome IN ('accept', 'confirm'))) AS confirmed_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUnixTimestamp64Milli(v.at))), (v.outcome IN ('accept', 'confirm')) OR ((v.outcome = 'reject') AND (v.look != 'list'))) AS newest_check,
    maxIf(v.row_id, v.outcome = 'reject') AS rejected_id,
    maxIf(concat(leftPad(hex(v.row_id), 16, '0'), v.reason), v.outcome = 'reject') AS rejected_because,
    maxIf(v.row_id, v.outcome = 'fail') AS marked_id,
    maxIf(v.at, (v.outcome = 'fail') AND startsWith(v.reason, 'stale_')) AS marked_at,
    maxIf(concat(leftPad(hex(v.row_id), 16, '0'), v.reason), (v.outcome = 'fail') AND startsWith(v.reason, 'stale_')) AS marked_because
FROM verdicts AS v
WHERE (v.run = 'live') AND ((v.outcome IN ('accept', 'confirm', 'reject')) OR ((v.outcome = 'fail') AND (v.look = 'list')))
GROUP BY deal;

CREATE MATERIALIZED VIEW deal_facts_versions_mv TO deal_facts
(
    `deal` UInt64,
    `domain` UInt16,
    `asin` String,
    `price_type` UInt16,
    `first_at` DateTime64(3, 'UTC'),
    `last_at` DateTime64(3, 'UTC'),
    `newest_profit` UInt128,
    `newest_sale_price` UInt128
)
COMMENT 'Keeps deal_facts, from deal_versions'
AS SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal,
    max(v.domain) AS domain,
    max(v.asin) AS asin,
    max(v.price_type) AS price_type,
    min(v.at) AS first_at,
    max(v.at) AS last_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.profit_cents)))), isNotNull(v.profit_cents)) AS newest_profit,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.sale_price_cents)))), isNotNull(v.sale_price_cents)) AS newest_sale_price
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal;

CREATE VIEW deal_states
(
    `deal` UInt64 COMMENT 'cityHash64(domain, asin, price_type)',
    `domain` UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    `asin` String COMMENT 'the ASIN',
    `price_type` UInt16 COMMENT 'Keepa price type; 2 is used',
    `profit_cents` Nullable(Int64) COMMENT 'newest that a version said; NULL without one',
    `sale_price_cents` Nullable(Int64) COMMENT 'newest that a version said; NULL without one',
    `first_seen_at` DateTime64(3, 'UTC') COMMENT 'its first version, pipeline time',
    `last_seen_at` DateTime64(3, 'UTC') COMMENT 'its last version, pipeline time',
    `last_checked_at` DateTime64(3, 'UTC') COMMENT 'the last look that accepted, confirmed or rejected it, pipeline time; 1970 without one',
    `last_confirmed_at` DateTime64(3, 'UTC') COMMENT 'the last look that accepted or confirmed it, pipeline time; 1970 without one',
    `hidden_because` String COMMENT 'empty: visible; old_estimate, no_profit, bought, ignored_asin, ignored_seller, ignored_brand, ignored_words, or the reason of the reject that hides it',
    `stale_because` String COMMENT 'why it was not confirmed in time; empty: it was. Stale deals are visible'
)
COMMENT 'Is each deal visible, why not, and when was it last checked? THE definition of visible'
AS WITH
    (
        SELECT (arrayConcat(bought, ignored), arrayConcat(arrayMap(a -> 'bought', bought), arrayMap(a -> 'ignored_asin', ignored)), sellers, brands, words)
        FROM
        (
            SELECT
                groupUniqArrayIf(cityHash64(domain, value), action = 'buy') AS bought,
                arrayFilter(a -> (NOT has(bought, a)), groupUniqArrayIf(cityHash64(domain, value), (action = 'ignore') AND (target = 'asin'))) AS ignored,
                groupUniqArrayIf(value, (action = 'ignore') AND (target = 'seller')) AS sellers,
                groupUniqArrayIf(value, (action = 'ignore') AND (target = 'brand')) AS brands,
                groupUniqArrayIf(concat(' ', value, ' '), (action = 'ignore') AND (target = 'words')) AS words
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
    multiIf(toInt64(f.newest_sale_price) <= 0, 'old_estimate', toInt64(f.newest_profit) <= 0, 'no_profit', (transform(cityHash64(f.domain, f.asin), said.1, said.2, '') AS acted) != '', acted, i.because != '', i.because, f.rejected_id > f.confirmed_id, substring(f.rejected_because, 17), '') AS hidden_because,
    if(f.marked_at > f.confirmed_at, substring(f.marked_because, 17), '') AS stale_because
FROM
(
    SELECT *
    FROM deal_facts
    FINAL
    WHERE last_at > toDateTime64(0, 3, 'UTC')
) AS f
ANY LEFT JOIN
(
    SELECT
        cityHash64(domain, asin, price_type) AS deal,
        ifNull(argMax(brand, row_id), '') AS newest_brand,
        multiIf(has(said.3, ifNull(argMax(seller_id, row_id), '')), 'ignored_seller', (newest_brand != '') AND has(said.4, lower(newest_brand)), 'ignored_brand', arrayExists(w -> (position(concat(' ', trimBoth(replaceRegexpAll(lower(ifNull(argMax(title, row_id), '')), '[^a-z0-9\\x{80}-\\x{10FFFF}]+', ' ')), ' '), w) > 0), said.5), 'ignored_words', '') AS because
    FROM deal_versions
    WHERE (run = 'live') AND (((length(said.3) + length(said.4)) + length(said.5)) > 0)
    GROUP BY
        domain,
        asin,
        price_type
) AS i ON f.deal = i.deal;

CREATE TABLE deal_versions
(
    `domain` UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    `asin` String COMMENT 'the ASIN',
    `price_type` UInt16 COMMENT 'Keepa price type; 2 is used',
    `row_id` UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta(8), ZSTD(1)),
    `at` DateTime64(3, 'UTC') COMMENT 'when it was decided, pipeline time' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta(8), ZSTD(1)),
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `work_id` String COMMENT 'the unit of work that decided it',
    `build` LowCardinality(String) COMMENT 'the build that decided',
    `creation_date` Nullable(Int64) COMMENT 'when this price began, Keepa minutes',
    `url` Nullable(String) COMMENT 'page of the product at Amazon',
    `keepa_url` Nullable(String) COMMENT 'page of the product at Keepa',
    `simulated` Nullable(Bool) COMMENT 'whether the simulated Keepa answered: nobody sells this',
    `title` Nullable(String) COMMENT 'title of the product',
    `author` Nullable(String) COMMENT 'author',
    `brand` Nullable(String) COMMENT 'brand',
    `manufacturer` Nullable(String) COMMENT 'manufacturer',
    `binding` LowCardinality(Nullable(String)) COMMENT 'Paperback, Hardcover and so on',
    `root_category` Nullable(Int64) COMMENT 'Keepa category id',
    `categories` Array(String) COMMENT 'names of the categories from the root down; empty: not said',
    `publication_date` Nullable(Int64) COMMENT 'YYYYMMDD, YYYYMM or YYYY, as Keepa says it',
    `package_weight_g` Nullable(Int64) COMMENT 'weight of the package, grams; that of the item where it is unknown',
    `package_length_mm` Nullable(Int64) COMMENT 'length of the package, millimetres',
    `package_width_mm` Nullable(Int64) COMMENT 'width of the package, millimetres',
    `package_height_mm` Nullable(Int64) COMMENT 'height of the package, millimetres',
    `found_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the current used price began',
    `updated_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa',
    `offers_updated_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'last visit of Keepa to the offers',
    `offers_age_hours` Nullable(Int64) COMMENT 'hours since Keepa last visited the offers, as the rules saw it',
    `offers_ok` Nullable(Bool) COMMENT 'whether Keepa says that this visit succeeded',
    `price_changed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'last change of any price, as Keepa says',
    `decided_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when this version was decided, pipeline time',
    `landed_cents` Nullable(Int64) COMMENT 'price of the offer to buy, at the door',
    `price_cents` Nullable(Int64) COMMENT 'price of the offer to buy, without shipping',
    `shipping_cents` Nullable(Int64) COMMENT 'shipping of the offer to buy; the default where it is unknown',
    `shipping_known` Nullable(Bool) COMMENT 'whether Keepa told the shipping',
    `offer_matched` Nullable(Bool) COMMENT 'whether a live offer carries the price; false: it is the current used price of an unknown seller',
    `condition` LowCardinality(Nullable(String)) COMMENT 'condition of the offer to buy',
    `buy_fba` Nullable(Bool) COMMENT 'whether Amazon ships the offer to buy',
    `seller_id` Nullable(String) COMMENT 'seller of the offer to buy',
    `seller_name` Nullable(String) COMMENT 'name of the seller',
    `seller_rating` Nullable(Int64) COMMENT 'positive ratings of the seller, percent',
    `seller_rating_count` Nullable(Int64) COMMENT 'ratings of the seller',
    `seller_quality` Nullable(Float64) COMMENT 'lower end of the 95 % interval of the share of positive ratings, 0 to 1',
    `seller_unknown` Nullable(Bool) COMMENT 'whether Keepa knows nothing of the seller',
    `sale_price_cents` Nullable(Int64) COMMENT 'middle of what the copy may sell for',
    `sale_price_low_cents` Nullable(Int64) COMMENT 'one in ten sells for less',
    `sale_price_high_cents` Nullable(Int64) COMMENT 'one in ten sells for more',
    `breakeven_cents` Nullable(Int64) COMMENT 'sale price that leaves nothing',
    `loss_chance` Nullable(Float64) COMMENT 'chance that it sells below break-even, 0 to 1',
    `n_eff` Nullable(Float64) COMMENT 'how many sales of today the known sales are worth',
    `sale_chance_6m` Nullable(Float64) COMMENT 'chance that ours sells within six months, 0 to 1',
    `months_to_sell` Nullable(Float64) COMMENT 'months that ours waits for its sale on average',
    `sale_count` Nullable(Int64) COMMENT 'inferred sales of all years',
    `sales_in_year` Nullable(Int64) COMMENT 'inferred sales of the last year',
    `sale_days_180` Nullable(Int64) COMMENT 'days of the last 180 with an inferred sale',
    `last_sales` Array(Tuple(
        at Int64,
        cents Int64)) COMMENT 'the newest inferred sales, three at most, newest first: Keepa minutes and price; empty: not said',
    `fall_count` Nullable(Int64) COMMENT 'how often the used count fell, sold or not',
    `cap_cents` Nullable(Int64) COMMENT 'what caps the sale price',
    `cap_by` LowCardinality(Nullable(String)) COMMENT 'what that is: new, amazon, buy_box or next_best',
    `next_best_cents` Nullable(Int64) COMMENT 'cheapest other used offer in this condition or a better one, at the door',
    `lowest_new_cents` Nullable(Int64) COMMENT 'lowest new price at the door',
    `used_buy_box_cents` Nullable(Int64) COMMENT 'used Buy Box at the door',
    `used_includes_shipping` LowCardinality(Nullable(String)) COMMENT 'whether the used price of Keepa includes shipping: yes, no or unknown',
    `expected_value_cents` Nullable(Int64) COMMENT 'profit times chance of a sale within six months',
    `all_in_cost_cents` Nullable(Int64) COMMENT 'landed price, tax, preparation, inbound and other',
    `tax_cents` Nullable(Int64) COMMENT 'tax on the purchase',
    `prep_cents` Nullable(Int64) COMMENT 'preparation',
    `inbound_cents` Nullable(Int64) COMMENT 'the way to the warehouse',
    `other_cents` Nullable(Int64) COMMENT 'whatever else a book costs',
    `vat_cents` Nullable(Int64) COMMENT 'VAT contained in the sale price',
    `referral_cents` Nullable(Int64) COMMENT 'referral fee at the middle sale price',
    `referral_percent` Nullable(Float64) COMMENT 'referral fee, percent',
    `fba_fee_cents` Nullable(Int64) COMMENT 'fulfilment fee',
    `closing_fee_cents` Nullable(Int64) COMMENT 'closing fee of media',
    `fees_assumed` Nullable(Bool) COMMENT 'whether a default stands in for a fee that Keepa does not know',
    `referral_assumed` Nullable(Bool) COMMENT 'whether a default stands in for the referral fee',
    `fba_fee_assumed` Nullable(Bool) COMMENT 'whether a default stands in for the fulfilment fee',
    `closing_fee_assumed` Nullable(Bool) COMMENT 'whether a default stands in for the closing fee',
    `fba_fee_other_band` Nullable(Bool) COMMENT 'whether the fulfilment fee is for another band of prices than the sale price',
    `amazon_fees_cents` Nullable(Int64) COMMENT 'all fees of Amazon at the middle sale price',
    `profit_cents` Nullable(Int64) COMMENT 'what is left at the middle sale price',
    `profit_low_cents` Nullable(Int64) COMMENT 'what is left at the low sale price',
    `profit_high_cents` Nullable(Int64) COMMENT 'what is left at the high sale price',
    `margin_percent` Nullable(Float64) COMMENT 'profit of the sale price, percent',
    `roi_percent` Nullable(Float64) COMMENT 'profit of the all-in cost, percent',
    `rank` Nullable(Int64) COMMENT 'sales rank now',
    `rank_avg30` Nullable(Int64) COMMENT 'mean sales rank of 30 days',
    `rank_avg90` Nullable(Int64) COMMENT 'mean sales rank of 90 days',
    `rank_avg180` Nullable(Int64) COMMENT 'mean sales rank of 180 days',
    `rank_avg365` Nullable(Int64) COMMENT 'mean sales rank of 365 days',
    `rank_trend_percent` Nullable(Float64) COMMENT 'change of the sales rank, percent',
    `rank_drops30` Nullable(Int64) COMMENT 'drops of the sales rank in 30 days',
    `rank_drops90` Nullable(Int64) COMMENT 'drops of the sales rank in 90 days',
    `rank_drops180` Nullable(Int64) COMMENT 'drops of the sales rank in 180 days',
    `rank_drops365` Nullable(Int64) COMMENT 'drops of the sales rank in 365 days',
    `monthly_sold` Nullable(Int64) COMMENT 'units sold a month, as Amazon says',
    `used_offers` Nullable(Int64) COMMENT 'used offers now',
    `used_offers_avg30` Nullable(Int64) COMMENT 'mean of used offers in 30 days',
    `used_offers_avg90` Nullable(Int64) COMMENT 'mean of used offers in 90 days',
    `used_offers_avg180` Nullable(Int64) COMMENT 'mean of used offers in 180 days',
    `used_offers_avg365` Nullable(Int64) COMMENT 'mean of used offers in 365 days',
    `new_offers` Nullable(Int64) COMMENT 'new offers now',
    `market_cents` Map(LowCardinality(String), Int64) COMMENT 'market prices now by price type name; empty: not said',
    `market_avg_cents` Map(LowCardinality(String), Int64) COMMENT 'market prices by price type name, mean of 365 days; empty: not said',
    `amazon_selling` Nullable(Bool) COMMENT 'whether Amazon itself sells it',
    `amazon_in_stock_90_percent` Nullable(Int64) COMMENT 'percent of the last 90 days in which Amazon sold it',
    `rule_set` LowCardinality(Nullable(String)) COMMENT 'version of the rules',
    `extraction` Nullable(Int64) COMMENT 'version of how the numbers are read off the answers',
    `tokens` Nullable(Int64) COMMENT 'what the looks that led to it cost',
    `response_ids` Array(String) COMMENT 'the stored answers it rests on; empty: not said',
    `message` String COMMENT 'JSON: the message as it came' CODEC(ZSTD(3)),
    `stream_seq` UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream DEALS',
    `msg_id` UInt64 COMMENT 'as in ledger' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (domain, asin, price_type, row_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000, vertical_merge_algorithm_min_rows_to_activate = 1
COMMENT 'What was each deal, every time it was decided? A row per message of the stream DEALS; NULL: this version did not say. Money is cents';

CREATE VIEW deals
(
    `domain` UInt16,
    `asin` String,
    `price_type` UInt16,
    `creation_date` Nullable(Int64),
    `url` Nullable(String),
    `keepa_url` Nullable(String),
    `simulated` Nullable(Bool),
    `title` Nullable(String),
    `author` Nullable(String),
    `brand` Nullable(String),
    `manufacturer` Nullable(String),
    `binding` Nullable(String),
    `root_category` Nullable(Int64),
    `categories` Array(String),
    `publication_date` Nullable(Int64),
    `package_weight_g` Nullable(Int64),
    `package_length_mm` Nullable(Int64),
    `package_width_mm` Nullable(Int64),
    `package_height_mm` Nullable(Int64),
    `found_at` Nullable(DateTime64(3, 'UTC')),
    `updated_at` Nullable(DateTime64(3, 'UTC')),
    `offers_updated_at` Nullable(DateTime64(3, 'UTC')),
    `offers_age_hours` Nullable(Int64),
    `offers_ok` Nullable(Bool),
    `price_changed_at` Nullable(DateTime64(3, 'UTC')),
    `decided_at` Nullable(DateTime64(3, 'UTC')),
    `landed_cents` Nullable(Int64),
    `price_cents` Nullable(Int64),
    `shipping_cents` Nullable(Int64),
    `shipping_known` Nullable(Bool),
    `offer_matched` Nullable(Bool),
    `condition` Nullable(String),
    `buy_fba` Nullable(Bool),
    `seller_id` Nullable(String),
    `seller_name` Nullable(String),
    `seller_rating` Nullable(Int64),
    `seller_rating_count` Nullable(Int64),
    `seller_quality` Nullable(Float64),
    `seller_unknown` Nullable(Bool),
    `sale_price_cents` Nullable(Int64),
    `sale_price_low_cents` Nullable(Int64),
    `sale_price_high_cents` Nullable(Int64),
    `breakeven_cents` Nullable(Int64),
    `loss_chance` Nullable(Float64),
    `n_eff` Nullable(Float64),
    `sale_chance_6m` Nullable(Float64),
    `months_to_sell` Nullable(Float64),
    `sale_count` Nullable(Int64),
    `sales_in_year` Nullable(Int64),
    `sale_days_180` Nullable(Int64),
    `last_sales` Array(Tuple(
        at Int64,
        cents Int64)),
    `fall_count` Nullable(Int64),
    `cap_cents` Nullable(Int64),
    `cap_by` Nullable(String),
    `next_best_cents` Nullable(Int64),
    `lowest_new_cents` Nullable(Int64),
    `used_buy_box_cents` Nullable(Int64),
    `used_includes_shipping` Nullable(String),
    `expected_value_cents` Nullable(Int64),
    `all_in_cost_cents` Nullable(Int64),
    `tax_cents` Nullable(Int64),
    `prep_cents` Nullable(Int64),
    `inbound_cents` Nullable(Int64),
    `other_cents` Nullable(Int64),
    `vat_cents` Nullable(Int64),
    `referral_cents` Nullable(Int64),
    `referral_percent` Nullable(Float64),
    `fba_fee_cents` Nullable(Int64),
    `closing_fee_cents` Nullable(Int64),
    `fees_assumed` Nullable(Bool),
    `referral_assumed` Nullable(Bool),
    `fba_fee_assumed` Nullable(Bool),
    `closing_fee_assumed` Nullable(Bool),
    `fba_fee_other_band` Nullable(Bool),
    `amazon_fees_cents` Nullable(Int64),
    `profit_cents` Nullable(Int64),
    `profit_low_cents` Nullable(Int64),
    `profit_high_cents` Nullable(Int64),
    `margin_percent` Nullable(Float64),
    `roi_percent` Nullable(Float64),
    `rank` Nullable(Int64),
    `rank_avg30` Nullable(Int64),
    `rank_avg90` Nullable(Int64),
    `rank_avg180` Nullable(Int64),
    `rank_avg365` Nullable(Int64),
    `rank_trend_percent` Nullable(Float64),
    `rank_drops30` Nullable(Int64),
    `rank_drops90` Nullable(Int64),
    `rank_drops180` Nullable(Int64),
    `rank_drops365` Nullable(Int64),
    `monthly_sold` Nullable(Int64),
    `used_offers` Nullable(Int64),
    `used_offers_avg30` Nullable(Int64),
    `used_offers_avg90` Nullable(Int64),
    `used_offers_avg180` Nullable(Int64),
    `used_offers_avg365` Nullable(Int64),
    `new_offers` Nullable(Int64),
    `market_cents` Map(String, Int64),
    `market_avg_cents` Map(String, Int64),
    `amazon_selling` Nullable(Bool),
    `amazon_in_stock_90_percent` Nullable(Int64),
    `rule_set` Nullable(String),
    `extraction` Nullable(Int64),
    `tokens` Nullable(Int64),
    `response_ids` Array(String),
    `work_id` String,
    `message` String,
    `first_seen_at` DateTime64(3, 'UTC'),
    `last_seen_at` DateTime64(3, 'UTC'),
    `versions` UInt64
)
COMMENT 'The newest that is known of every deal, hidden ones too. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time) and versions (how many)'
AS SELECT
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
    (argMaxIf(tuple(v.cap_cents), v.row_id, isNotNull(v.decided_at))).1 AS cap_cents,
    argMax(v.cap_by, v.row_id) AS cap_by,
    (argMaxIf(tuple(v.next_best_cents), v.row_id, isNotNull(v.decided_at))).1 AS next_best_cents,
    (argMaxIf(tuple(v.lowest_new_cents), v.row_id, isNotNull(v.decided_at))).1 AS lowest_new_cents,
    (argMaxIf(tuple(v.used_buy_box_cents), v.row_id, isNotNull(v.decided_at))).1 AS used_buy_box_cents,
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
    SELECT
        domain,
        asin,
        price_type,
        argMax(seller_id, row_id) AS seller_id
    FROM deal_versions
    WHERE run = 'live'
    GROUP BY
        domain,
        asin,
        price_type
) AS s ON (v.domain = s.domain) AND (v.asin = s.asin) AND (v.price_type = s.price_type)
WHERE v.run = 'live'
GROUP BY
    v.domain,
    v.asin,
    v.price_type;

CREATE TABLE entry_ids
(
    `id` UInt64 COMMENT 'msg_id of ledger' CODEC(Delta(8), ZSTD(1)),
    `row_id` SimpleAggregateFunction(min, UInt64) COMMENT 'row id of the first entry with this id' CODEC(T64, ZSTD(1)),
    `stored_at` SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + toIntervalDay(100)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 512, max_compress_block_size = 8192, min_compress_block_size = 4096, non_replicated_deduplication_window = 1000
COMMENT 'Was this entry of the ledger recorded before, under another row id?';

CREATE MATERIALIZED VIEW entry_ids_mv TO entry_ids
(
    `id` UInt64,
    `row_id` UInt64,
    `stored_at` DateTime('UTC')
)
COMMENT 'Keeps entry_ids'
AS SELECT
    msg_id AS id,
    min(l.row_id) AS row_id,
    max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC')) AS stored_at
FROM ledger AS l
WHERE msg_id != 0
GROUP BY id;

CREATE VIEW gaps
(
    `query` LowCardinality(String) COMMENT 'the deal query, NAME@VERSION',
    `gap` String COMMENT 'id of the gap',
    `from_time` Nullable(DateTime('UTC')) COMMENT 'lower end, Keepa time',
    `to_time` Nullable(DateTime('UTC')) COMMENT 'upper end, Keepa time',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'pipeline time',
    `ended_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'pipeline time; NULL while owed',
    `state` String COMMENT 'owed, filled, expired',
    `rows_estimate` Int64 COMMENT 'rows in it, estimated'
)
COMMENT 'Which spans of the list were owed, and what became of them?'
AS SELECT
    query,
    note AS gap,
    if(minIf(from_minute, from_minute != 0) = 0, NULL, toDateTime((minIf(from_minute, from_minute != 0) + 21564000) * 60, 'UTC')) AS from_time,
    if(max(to_minute) = 0, NULL, toDateTime((max(to_minute) + 21564000) * 60, 'UTC')) AS to_time,
    min(at) AS opened_at,
    if(countIf(event != 'gap_opened') = 0, NULL, maxIf(at, event != 'gap_opened')) AS ended_at,
    multiIf(countIf(event = 'gap_filled') > 0, 'filled', countIf(event = 'gap_expired') > 0, 'expired', 'owed') AS state,
    max(l.rows_estimate) AS rows_estimate
FROM ledger AS l
FINAL
WHERE event IN ('gap_opened', 'gap_filled', 'gap_expired')
GROUP BY
    query,
    gap
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE ledger
(
    `stage` LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    `plan` LowCardinality(String) COMMENT 'name of the Keepa key; empty: the first one',
    `event` LowCardinality(String) COMMENT 'issue, claim, close, lost, expired, drift, mode, poll, sweep, gap_opened, gap_filled, gap_expired',
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta(8), ZSTD(1)),
    `row_id` UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta(8), ZSTD(1)),
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `build` LowCardinality(String) COMMENT 'the build that wrote it',
    `tokens` Int64 COMMENT 'issue: granted; claim: reserved; close, lost: consumed; drift: signed. Do not sum: see the view spending',
    `price_kind` LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    `items` UInt32 COMMENT 'ASINs, rows or sellers that the call was for',
    `claim` String COMMENT 'id of the claim; empty without one' CODEC(ZSTD(1)),
    `api_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Keepa time of the answer; NULL without one',
    `api_left` Nullable(Int32) COMMENT 'tokens after the request; negative in debt',
    `api_rate` Nullable(Int32) COMMENT 'tokens a minute',
    `api_refill_ms` Nullable(Int64) COMMENT 'until the next refill, milliseconds',
    `api_took_ms` Nullable(Int64) COMMENT 'processing time of the server, milliseconds',
    `api_flow_red` Nullable(Float64) COMMENT 'tokens a minute that trackings use up',
    `query` LowCardinality(String) COMMENT 'the deal query of a poll, sweep or gap, NAME@VERSION',
    `from_minute` Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    `to_minute` Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    `rows_estimate` Int64 COMMENT 'rows of a page, a sweep or a gap; of a gap an estimate',
    `note` String COMMENT 'what else there is to say; of a gap its id' CODEC(ZSTD(1)),
    `stream_seq` UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream LEDGER',
    `msg_id` UInt64 COMMENT 'the first 8 bytes of SHA-256 of stream creation time:Nats-Msg-Id, least first; 0 without one' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, event, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Where did every token go, and what happened to the budget? A row per message of the stream LEDGER; sum tokens through the view spending';

CREATE TABLE modes
(
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time',
    `row_id` UInt64 COMMENT 'of the ledger',
    `mode` LowCardinality(String) COMMENT 'burst, recharge, paused, nospend, unknown'
)
ENGINE = ReplacingMergeTree
ORDER BY (at, row_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Since when was the budget in which mode?';

CREATE MATERIALIZED VIEW modes_mv TO modes
(
    `at` DateTime64(3, 'UTC'),
    `row_id` UInt64,
    `mode` String
)
COMMENT 'Keeps modes'
AS SELECT
    at,
    row_id,
    extract(note, '^[a-z]* to ([a-z]+)') AS mode
FROM ledger
WHERE (event = 'mode') AND match(note, '^[a-z]* to [a-z]+');

CREATE VIEW pipeline_clock
(
    `reading` Tuple(
        DateTime64(3, 'UTC'),
        DateTime64(3, 'UTC')) COMMENT 'at and stored_at',
    `at` DateTime64(3, 'UTC') COMMENT 'pipeline time of the newest entry; 1970 without one',
    `stored_at` DateTime64(3, 'UTC') COMMENT 'machine time of the newest entry; 1970 without one',
    `now` DateTime64(3, 'UTC') COMMENT 'pipeline time now'
)
COMMENT 'What time is it in the pipeline?'
AS SELECT
    argMaxMerge(newest) AS reading,
    reading.1 AS at,
    reading.2 AS stored_at,
    if(stored_at = toDateTime64(0, 3, 'UTC'), now64(3, 'UTC'), addMilliseconds(now64(3, 'UTC'), dateDiff('millisecond', stored_at, at))) AS now
FROM clock_readings;

CREATE VIEW plan_spending
(
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `plan` LowCardinality(String) COMMENT 'name of the Keepa key; main: the first one',
    `stage` LowCardinality(String) COMMENT 'the stage that spent; tokend for what concerns the whole budget',
    `price_kind` LowCardinality(String) COMMENT 'what was bought: deals, peek, commit, seller; empty for drift',
    `event` LowCardinality(String) COMMENT 'close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)',
    `calls` Int64 COMMENT 'that cost tokens',
    `items` Int64 COMMENT 'ASINs, rows or sellers that these calls were for',
    `tokens` Int64 COMMENT 'consumed; drift is signed. Its sum is what was spent'
)
COMMENT 'What was spent with which Keepa key, by which stage, on what, hour by hour?'
AS SELECT
    toStartOfHour(at) AS hour,
    if(l.plan = '', 'main', l.plan) AS plan,
    stage,
    price_kind,
    event,
    toInt64(count()) AS calls,
    toInt64(sum(l.items)) AS items,
    sum(l.tokens) AS tokens
FROM ledger AS l
FINAL
WHERE (event IN ('close', 'lost', 'drift')) AND (l.tokens != 0)
GROUP BY
    hour,
    plan,
    stage,
    price_kind,
    event
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE run_sums
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `first_at` SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'its first verdict, pipeline time',
    `last_at` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'its last verdict, pipeline time',
    `rule_sets` SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'versions of the rules that decided',
    `builds` SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'builds that decided'
)
ENGINE = AggregatingMergeTree
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'First and last verdict, rules and builds of each run; read it through the view runs';

CREATE MATERIALIZED VIEW run_sums_mv TO run_sums
(
    `run` LowCardinality(String),
    `first_at` DateTime64(3, 'UTC'),
    `last_at` DateTime64(3, 'UTC'),
    `rule_sets` Array(String),
    `builds` Array(String)
)
COMMENT 'Keeps run_sums'
AS SELECT
    run,
    min(at) AS first_at,
    max(at) AS last_at,
    groupUniqArray(toString(rule_set)) AS rule_sets,
    groupUniqArray(toString(build)) AS builds
FROM verdicts
GROUP BY run;

CREATE VIEW runs
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `first_at` DateTime64(3, 'UTC') COMMENT 'its first verdict, pipeline time',
    `last_at` DateTime64(3, 'UTC') COMMENT 'its last verdict, pipeline time',
    `verdicts` Int64 COMMENT 'of all looks',
    `accepted` Int64 COMMENT 'deals found',
    `tokens` Int64 COMMENT 'what the looks cost',
    `rule_sets` Array(String) COMMENT 'versions of the rules that decided',
    `builds` Array(String) COMMENT 'builds that decided'
)
COMMENT 'Which runs are there, and what did each decide?'
AS SELECT
    run,
    s.first_at AS first_at,
    s.last_at AS last_at,
    c.verdicts AS verdicts,
    c.accepted AS accepted,
    c.tokens AS tokens,
    s.rule_sets AS rule_sets,
    s.builds AS builds
FROM
(
    SELECT
        run,
        min(r.first_at) AS first_at,
        max(r.last_at) AS last_at,
        arraySort(groupUniqArrayArray(r.rule_sets)) AS rule_sets,
        arraySort(groupUniqArrayArray(r.builds)) AS builds
    FROM run_sums AS r
    GROUP BY run
) AS s
LEFT JOIN
(
    SELECT
        run,
        sum(n) AS verdicts,
        sumIf(n, outcome = 'accept') AS accepted,
        sum(n * price) AS tokens
    FROM
    (
        SELECT
            run,
            outcome,
            tokens AS price,
            toInt64(groupBitmapMerge(ids)) AS n
        FROM verdict_days
        GROUP BY
            run,
            day,
            outcome,
            price
    )
    GROUP BY run
) AS c USING (run);

CREATE TABLE schema_migrations
(
    `name` String COMMENT 'file of schemas/clickhouse, without .sql',
    `checksum` String COMMENT 'SHA-256 of the file, hexadecimal',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'machine time'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192
COMMENT 'Which migrations were applied to this database?';

CREATE VIEW spending
(
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `stage` LowCardinality(String) COMMENT 'the stage that spent; tokend for what concerns the whole budget',
    `price_kind` LowCardinality(String) COMMENT 'what was bought: deals, peek, commit, seller; empty for drift',
    `event` LowCardinality(String) COMMENT 'close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)',
    `calls` Int64 COMMENT 'that cost tokens',
    `items` Int64 COMMENT 'ASINs, rows or sellers that these calls were for',
    `tokens` Int64 COMMENT 'consumed; drift is signed. Its sum is what was spent'
)
COMMENT 'What was spent, by which stage, on what, hour by hour? sum(tokens) is what left the bucket'
AS SELECT
    hour,
    stage,
    price_kind,
    event,
    toInt64(groupBitmapMerge(ids)) AS calls,
    calls * h.items AS items,
    calls * amount AS tokens
FROM token_hours AS h
WHERE (event IN ('close', 'lost', 'drift')) AND (amount != 0)
GROUP BY
    hour,
    stage,
    price_kind,
    event,
    amount,
    h.items;

CREATE VIEW token_counts
(
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `stage` LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    `event` LowCardinality(String) COMMENT 'as in ledger',
    `price_kind` LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    `entries` Int64 COMMENT 'how many entries',
    `tokens` Int64 COMMENT 'their tokens; what they mean depends on the event, so sum one event alone, or the view spending',
    `items` Int64 COMMENT 'ASINs, rows or sellers that they were for'
)
COMMENT 'How many entries of the ledger of which kind in which hour? What was spent is in the view spending'
AS SELECT
    hour,
    stage,
    event,
    price_kind,
    sum(n) AS entries,
    sum(amount * n) AS tokens,
    sum(size * n) AS items
FROM
(
    SELECT
        hour,
        stage,
        event,
        price_kind,
        amount,
        items AS size,
        toInt64(groupBitmapMerge(ids)) AS n
    FROM token_hours
    GROUP BY
        hour,
        stage,
        event,
        price_kind,
        amount,
        size
)
GROUP BY
    hour,
    stage,
    event,
    price_kind;

CREATE TABLE token_hours
(
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `stage` LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    `event` LowCardinality(String) COMMENT 'as in ledger',
    `price_kind` LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    `amount` Int64 COMMENT 'tokens of one entry',
    `items` UInt32 COMMENT 'what one entry was for',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (hour, stage, event, price_kind, amount, items)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Sum of the ledger by hour, stage, event and amount; read it through the views spending and token_counts';

CREATE MATERIALIZED VIEW token_hours_mv TO token_hours
(
    `hour` DateTime('UTC'),
    `stage` LowCardinality(String),
    `event` LowCardinality(String),
    `price_kind` LowCardinality(String),
    `amount` Int64,
    `items` UInt32,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps token_hours'
AS SELECT
    toStartOfHour(at) AS hour,
    stage,
    event,
    price_kind,
    tokens AS amount,
    items,
    groupBitmapState(row_id) AS ids
FROM ledger
GROUP BY
    hour,
    stage,
    event,
    price_kind,
    amount,
    items;

CREATE TABLE unknown_days
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `day` Date COMMENT 'pipeline time, UTC',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `rule_id` LowCardinality(String) COMMENT 'the rule that decided; empty when none did',
    `input` LowCardinality(String) COMMENT 'the input that was wanted and unknown',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, rule_id, input, outcome)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Sum of verdicts by day and unknown input; a verdict counts once for each of its unknown inputs';

CREATE MATERIALIZED VIEW unknown_days_mv TO unknown_days
(
    `run` LowCardinality(String),
    `day` Date,
    `look` LowCardinality(String),
    `rule_id` LowCardinality(String),
    `input` LowCardinality(String),
    `outcome` LowCardinality(String),
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps unknown_days'
AS SELECT
    run,
    toDate(at) AS day,
    look,
    rule_id,
    arrayJoin(unknown) AS input,
    outcome,
    groupBitmapState(row_id) AS ids
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY
    run,
    day,
    look,
    rule_id,
    input,
    outcome;

CREATE VIEW verdict_counts
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `source` LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    `tier` LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    `root_category` Int64 COMMENT 'Keepa category id; 0 when unknown',
    `rule_set` LowCardinality(String) COMMENT 'version of the rules',
    `heuristic` Bool COMMENT 'decided by a rule that may be wrong',
    `verdicts` Int64 COMMENT 'how many',
    `tokens` Int64 COMMENT 'what these looks cost together'
)
COMMENT 'How many verdicts of which kind in which hour, and what did they cost?'
AS SELECT
    run,
    hour,
    look,
    outcome,
    reason,
    source,
    tier,
    root_category,
    rule_set,
    heuristic,
    sum(n) AS verdicts,
    sum(price * n) AS tokens
FROM
(
    SELECT
        run,
        hour,
        look,
        outcome,
        reason,
        source,
        tier,
        root_category,
        rule_set,
        heuristic,
        tokens AS price,
        toInt64(groupBitmapMerge(ids)) AS n
    FROM verdict_hours
    GROUP BY
        run,
        hour,
        look,
        outcome,
        reason,
        source,
        tier,
        root_category,
        rule_set,
        heuristic,
        price
)
GROUP BY
    run,
    hour,
    look,
    outcome,
    reason,
    source,
    tier,
    root_category,
    rule_set,
    heuristic;

CREATE TABLE verdict_days
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `day` Date COMMENT 'pipeline time, UTC',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `rule_set` LowCardinality(String) COMMENT 'version of the rules',
    `heuristic` Bool COMMENT 'decided by a rule that may be wrong',
    `tokens` Int32 COMMENT 'the price of one look',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, outcome, reason, rule_set, heuristic, tokens)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Sum of verdicts by day, look, outcome, reason and rule set';

CREATE MATERIALIZED VIEW verdict_days_mv TO verdict_days
(
    `run` LowCardinality(String),
    `day` Date,
    `look` LowCardinality(String),
    `outcome` LowCardinality(String),
    `reason` LowCardinality(String),
    `rule_set` LowCardinality(String),
    `heuristic` Bool,
    `tokens` Int32,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps verdict_days'
AS SELECT
    run,
    toDate(at) AS day,
    look,
    outcome,
    reason,
    rule_set,
    heuristic,
    tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY
    run,
    day,
    look,
    outcome,
    reason,
    rule_set,
    heuristic,
    tokens;

CREATE TABLE verdict_hours
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `hour` DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `source` LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    `tier` LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    `root_category` Int64 COMMENT 'Keepa category id; 0 when unknown' CODEC(T64, ZSTD(1)),
    `rule_set` LowCardinality(String) COMMENT 'version of the rules',
    `heuristic` Bool COMMENT 'decided by a rule that may be wrong',
    `tokens` Int32 COMMENT 'the price of one look',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Sum of verdicts by hour and by everything that is counted; read it through the view verdict_counts';

CREATE MATERIALIZED VIEW verdict_hours_mv TO verdict_hours
(
    `run` LowCardinality(String),
    `hour` DateTime('UTC'),
    `look` LowCardinality(String),
    `outcome` LowCardinality(String),
    `reason` LowCardinality(String),
    `source` LowCardinality(String),
    `tier` LowCardinality(String),
    `root_category` Int64,
    `rule_set` LowCardinality(String),
    `heuristic` Bool,
    `tokens` Int32,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps verdict_hours'
AS SELECT
    run,
    toStartOfHour(at) AS hour,
    look,
    outcome,
    reason,
    source,
    tier,
    root_category,
    rule_set,
    heuristic,
    tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY
    run,
    hour,
    look,
    outcome,
    reason,
    source,
    tier,
    root_category,
    rule_set,
    heuristic,
    tokens;

CREATE TABLE verdict_ids
(
    `id` UInt64 COMMENT 'the first 8 bytes of SHA-256 of run:work_id:look, least first' CODEC(Delta(8), ZSTD(1)),
    `row_id` SimpleAggregateFunction(min, UInt64) COMMENT 'row id of the first verdict with this id' CODEC(T64, ZSTD(1)),
    `stored_at` SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + toIntervalDay(100)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 512, max_compress_block_size = 8192, min_compress_block_size = 4096, non_replicated_deduplication_window = 1000
COMMENT 'Was this verdict recorded before, under another row id?';

CREATE MATERIALIZED VIEW verdict_ids_mv TO verdict_ids
(
    `id` UInt64,
    `row_id` UInt64,
    `stored_at` DateTime('UTC')
)
COMMENT 'Keeps verdict_ids'
AS SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id) AS row_id,
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC')) AS stored_at
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id;

CREATE TABLE verdicts
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `outcome` LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    `reason` LowCardinality(String) COMMENT 'reason code; ok when nothing stood against it',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was decided, pipeline time' CODEC(Delta(8), ZSTD(1)),
    `row_id` UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta(8), ZSTD(1)),
    `stored_at` DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta(8), ZSTD(1)),
    `work_id` String COMMENT 'the unit of work; one verdict per run, work and look' CODEC(ZSTD(1)),
    `build` LowCardinality(String) COMMENT 'the build that decided',
    `domain` UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    `asin` String COMMENT 'the ASIN of the candidate' CODEC(ZSTD(1)),
    `price_type` UInt16 COMMENT 'Keepa price type; 2 is used',
    `creation_date` Int64 COMMENT 'when this price began, Keepa minutes' CODEC(T64, ZSTD(1)),
    `rule_id` LowCardinality(String) COMMENT 'the rule that decided; empty when none did',
    `rule_set` LowCardinality(String) COMMENT 'version of the rules',
    `heuristic` Bool COMMENT 'decided by a rule that may be wrong',
    `source` LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry' CODEC(ZSTD(1)),
    `tier` LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    `queries` Array(LowCardinality(String)) COMMENT 'the deal queries that named the candidate, NAME@VERSION',
    `root_category` Int64 COMMENT 'Keepa category id; 0 when unknown' CODEC(T64, ZSTD(1)),
    `listed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the list page arrived, pipeline time' CODEC(T64, ZSTD(1)),
    `tokens` Int32 COMMENT 'the price of this look',
    `tokens_spent` Int32 COMMENT 'all looks of this work so far',
    `expected_value_cents` Nullable(Int64) COMMENT 'profit times chance of sale, as the peek saw it; NULL before a peek' CODEC(T64, ZSTD(1)),
    `profit_cents` Nullable(Int64) COMMENT 'profit as this look saw it; NULL when unknown' CODEC(T64, ZSTD(1)),
    `unknown` Array(LowCardinality(String)) COMMENT 'inputs that were wanted and unknown' CODEC(ZSTD(1)),
    `inputs` String COMMENT 'JSON: what the decision used; null is unknown' CODEC(ZSTD(3)),
    `response_ids` Array(String) COMMENT 'the stored answers it rests on' CODEC(ZSTD(1)),
    `title` String COMMENT 'title of the product; empty when unknown' CODEC(ZSTD(3)),
    `deal` String COMMENT 'JSON: the deal, on accept; otherwise empty' CODEC(ZSTD(3)),
    `stream_seq` UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream VERDICTS',
    INDEX asin_bloom asin TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (run, look, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'What did each look decide about each candidate, why, and on what numbers? A row per message of the stream VERDICTS';

CREATE VIEW visible_deals
(
    `domain` UInt16,
    `asin` String,
    `price_type` UInt16,
    `creation_date` Nullable(Int64),
    `url` Nullable(String),
    `keepa_url` Nullable(String),
    `simulated` Nullable(Bool),
    `title` Nullable(String),
    `author` Nullable(String),
    `brand` Nullable(String),
    `manufacturer` Nullable(String),
    `binding` Nullable(String),
    `root_category` Nullable(Int64),
    `categories` Array(String),
    `publication_date` Nullable(Int64),
    `package_weight_g` Nullable(Int64),
    `package_length_mm` Nullable(Int64),
    `package_width_mm` Nullable(Int64),
    `package_height_mm` Nullable(Int64),
    `found_at` Nullable(DateTime64(3, 'UTC')),
    `updated_at` Nullable(DateTime64(3, 'UTC')),
    `offers_updated_at` Nullable(DateTime64(3, 'UTC')),
    `offers_age_hours` Nullable(Int64),
    `offers_ok` Nullable(Bool),
    `price_changed_at` Nullable(DateTime64(3, 'UTC')),
    `decided_at` Nullable(DateTime64(3, 'UTC')),
    `landed_cents` Nullable(Int64),
    `price_cents` Nullable(Int64),
    `shipping_cents` Nullable(Int64),
    `shipping_known` Nullable(Bool),
    `offer_matched` Nullable(Bool),
    `condition` Nullable(String),
    `buy_fba` Nullable(Bool),
    `seller_id` Nullable(String),
    `seller_name` Nullable(String),
    `seller_rating` Nullable(Int64),
    `seller_rating_count` Nullable(Int64),
    `seller_quality` Nullable(Float64),
    `seller_unknown` Nullable(Bool),
    `sale_price_cents` Nullable(Int64),
    `sale_price_low_cents` Nullable(Int64),
    `sale_price_high_cents` Nullable(Int64),
    `breakeven_cents` Nullable(Int64),
    `loss_chance` Nullable(Float64),
    `n_eff` Nullable(Float64),
    `sale_chance_6m` Nullable(Float64),
    `months_to_sell` Nullable(Float64),
    `sale_count` Nullable(Int64),
    `sales_in_year` Nullable(Int64),
    `sale_days_180` Nullable(Int64),
    `last_sales` Array(Tuple(
        at Int64,
        cents Int64)),
    `fall_count` Nullable(Int64),
    `cap_cents` Nullable(Int64),
    `cap_by` Nullable(String),
    `next_best_cents` Nullable(Int64),
    `lowest_new_cents` Nullable(Int64),
    `used_buy_box_cents` Nullable(Int64),
    `used_includes_shipping` Nullable(String),
    `expected_value_cents` Nullable(Int64),
    `all_in_cost_cents` Nullable(Int64),
    `tax_cents` Nullable(Int64),
    `prep_cents` Nullable(Int64),
    `inbound_cents` Nullable(Int64),
    `other_cents` Nullable(Int64),
    `vat_cents` Nullable(Int64),
    `referral_cents` Nullable(Int64),
    `referral_percent` Nullable(Float64),
    `fba_fee_cents` Nullable(Int64),
    `closing_fee_cents` Nullable(Int64),
    `fees_assumed` Nullable(Bool),
    `referral_assumed` Nullable(Bool),
    `fba_fee_assumed` Nullable(Bool),
    `closing_fee_assumed` Nullable(Bool),
    `fba_fee_other_band` Nullable(Bool),
    `amazon_fees_cents` Nullable(Int64),
    `profit_cents` Nullable(Int64),
    `profit_low_cents` Nullable(Int64),
    `profit_high_cents` Nullable(Int64),
    `margin_percent` Nullable(Float64),
    `roi_percent` Nullable(Float64),
    `rank` Nullable(Int64),
    `rank_avg30` Nullable(Int64),
    `rank_avg90` Nullable(Int64),
    `rank_avg180` Nullable(Int64),
    `rank_avg365` Nullable(Int64),
    `rank_trend_percent` Nullable(Float64),
    `rank_drops30` Nullable(Int64),
    `rank_drops90` Nullable(Int64),
    `rank_drops180` Nullable(Int64),
    `rank_drops365` Nullable(Int64),
    `monthly_sold` Nullable(Int64),
    `used_offers` Nullable(Int64),
    `used_offers_avg30` Nullable(Int64),
    `used_offers_avg90` Nullable(Int64),
    `used_offers_avg180` Nullable(Int64),
    `used_offers_avg365` Nullable(Int64),
    `new_offers` Nullable(Int64),
    `market_cents` Map(String, Int64),
    `market_avg_cents` Map(String, Int64),
    `amazon_selling` Nullable(Bool),
    `amazon_in_stock_90_percent` Nullable(Int64),
    `rule_set` Nullable(String),
    `extraction` Nullable(Int64),
    `tokens` Nullable(Int64),
    `response_ids` Array(String),
    `work_id` String,
    `message` String,
    `first_seen_at` DateTime64(3, 'UTC'),
    `last_seen_at` DateTime64(3, 'UTC'),
    `versions` UInt64,
    `last_checked_at` DateTime64(3, 'UTC'),
    `last_confirmed_at` DateTime64(3, 'UTC'),
    `stale_because` String
)
COMMENT 'The deals that are visible. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time), versions (how many), and last_checked_at, last_confirmed_at, stale_because as in deal_states'
AS SELECT
    d.*,
    s.last_checked_at AS last_checked_at,
    s.last_confirmed_at AS last_confirmed_at,
    s.stale_because AS stale_because
FROM deals AS d
INNER JOIN deal_states AS s ON (d.domain = s.domain) AND (d.asin = s.asin) AND (d.price_type = s.price_type)
WHERE s.hidden_because = '';

CREATE TABLE wait_days
(
    `run` LowCardinality(String) COMMENT 'live, or the name of a replay',
    `day` Date COMMENT 'of the verdict, pipeline time, UTC',
    `look` LowCardinality(String) COMMENT 'list, glance, peek, commit',
    `source` LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    `slot` UInt8 COMMENT 'round(20 log10(1 + seconds)), 0 to 200',
    `ids` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, source, slot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'Histogram of the time from being listed to the verdict, by day, look and source';

CREATE MATERIALIZED VIEW wait_days_mv TO wait_days
(
    `run` LowCardinality(String),
    `day` Date,
    `look` LowCardinality(String),
    `source` LowCardinality(String),
    `slot` UInt8,
    `ids` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps wait_days'
AS SELECT
    run,
    toDate(at) AS day,
    look,
    source,
    toUInt8(least(200, round(20 * log10(1 + (greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000))))) AS slot,
    groupBitmapState(row_id) AS ids
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY
    run,
    day,
    look,
    source,
    slot;

CREATE TABLE work_days
(
    `day` Date COMMENT 'pipeline time, UTC',
    `calls` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger: paid calls',
    `decisions` AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts: decisions'
)
ENGINE = AggregatingMergeTree
ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'How many paid calls and decisions had each day? Count with groupBitmapMerge';

CREATE MATERIALIZED VIEW work_days_ledger_mv TO work_days
(
    `day` Date,
    `calls` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps work_days, from the ledger'
AS SELECT
    toDate(at) AS day,
    groupBitmapState(row_id) AS calls
FROM ledger
WHERE (event = 'close') AND (tokens > 0)
GROUP BY day;

CREATE MATERIALIZED VIEW work_days_verdicts_mv TO work_days
(
    `day` Date,
    `decisions` AggregateFunction(groupBitmap, UInt64)
)
COMMENT 'Keeps work_days, from verdicts'
AS SELECT
    toDate(at) AS day,
    groupBitmapState(row_id) AS decisions
FROM verdicts
WHERE (run = 'live') AND (look != 'list') AND (outcome != 'survive')
GROUP BY day;

CREATE TABLE work_slots
(
    `slot` DateTime('UTC') COMMENT 'start of the five minutes, pipeline time' CODEC(Delta(4), ZSTD(1)),
    `first_call` SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '4 x ms of the first paid call + the stage that paid: 1 peeker, 2 committer, 3 watermarker',
    `last_call` SimpleAggregateFunction(max, UInt64) COMMENT '2^44 x (1 + ms of the last paid call) + 2^22 x (2^21 + balance after it, or 0) + tokens a minute, or 0',
    `first_decision` SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '2 x ms of the first decision, + 1 if a glance made it',
    `last_decision` SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms of the last decision; 0 for none',
    `first_survivor` SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT 'ms of the first survivor',
    `last_survivor` SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms of the last survivor; 0 for none',
    `listed_at` SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'the earliest of what was paid for, where the list had just named it',
    `due_at` SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'since when the first of the polls had been due',
    `next_due_at` SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'when the poll after them is due at the latest: an interval at most doubles'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192, non_replicated_deduplication_window = 1000
COMMENT 'When was something paid for, decided, or found worth paying for? Five minutes a row; ask the question stalls';

CREATE MATERIALIZED VIEW work_slots_ledger_mv TO work_slots
(
    `slot` DateTime('UTC'),
    `first_call` UInt32,
    `last_call` UInt64,
    `due_at` DateTime('UTC'),
    `next_due_at` DateTime('UTC')
)
COMMENT 'Keeps work_slots, from the ledger'
AS WITH
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS began,
    toUInt64(dateDiff('millisecond', began, l.at)) AS ms,
    if(l.api_left IS NULL, 0, toUInt64(2097152 + greatest(-2097151, least(2097151, assumeNotNull(l.api_left))))) AS balance,
    toUInt64(greatest(0, least(4194303, ifNull(l.api_rate, 0)))) AS rate,
    ifNull(parseDateTimeBestEffortOrNull(extract(l.note, ', due ([0-9TZ:-]+)'), 'UTC'), toDateTime(4294967295, 'UTC')) AS due
SELECT
    began AS slot,
    min(toUInt32(if(l.event = 'close', (4 * ms) + indexOf(['peeker', 'committer', 'watermarker'], toString(l.stage)), 4294967295))) AS first_call,
    max(toUInt64(if(l.event = 'close', (bitShiftLeft(1 + ms, 44) + bitShiftLeft(balance, 22)) + rate, 0))) AS last_call,
    min(if(l.event = 'poll', due, toDateTime(4294967295, 'UTC'))) AS due_at,
    max(if(l.event = 'poll', toDateTime(l.at, 'UTC') + (2 * toUInt32OrZero(extract(l.note, ', every ([0-9]+) s'))), toDateTime(0, 'UTC'))) AS next_due_at
FROM ledger AS l
WHERE ((l.event = 'close') AND (l.tokens > 0)) OR ((l.event = 'poll') AND (l.note LIKE '%, due %'))
GROUP BY slot;

CREATE MATERIALIZED VIEW work_slots_verdicts_mv TO work_slots
(
    `slot` DateTime('UTC'),
    `first_decision` UInt32,
    `last_decision` UInt32,
    `first_survivor` UInt32,
    `last_survivor` UInt32,
    `listed_at` DateTime('UTC')
)
COMMENT 'Keeps work_slots, from verdicts'
AS WITH
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS began,
    toUInt32(dateDiff('millisecond', began, v.at)) AS ms,
    v.outcome != 'survive' AS ends
SELECT
    began AS slot,
    min(toUInt32(if(ends, (2 * ms) + (v.look = 'glance'), 4294967295))) AS first_decision,
    max(toUInt32(if(ends, 1 + ms, 0))) AS last_decision,
    min(toUInt32(if(ends, 4294967295, ms))) AS first_survivor,
    max(toUInt32(if(ends, 0, 1 + ms))) AS last_survivor,
    min(if((v.tokens > 0) AND (v.source IN ('live', 'gap', 'backfill')), toDateTime(ifNull(v.listed_at, toDateTime64(4294967295, 3, 'UTC')), 'UTC'), toDateTime(4294967295, 'UTC'))) AS listed_at
FROM verdicts AS v
WHERE (v.run = 'live') AND (v.look != 'list')
GROUP BY slot;

