-- Ledger: where did every token go, and what happened to the budget?
--
-- ledger holds the rows; the other tables are their sums, each kept up by a materialized view in the same insert, with sets
-- of row ids as in verdict_hours. row_id, at and stored_at are those of verdicts.

-- ledger. Operators ask by stage and event over a span of time, so these lead the key; row_id ends it and makes a repeated
-- insert the same row. What does not apply to an event is empty, 0 or NULL, as the column says. Its tokens are of many
-- kinds (a claim reserves what its close consumes): the view spending sums what was spent. A plan is the name of a Keepa key,
-- never the key, and that of the process that wrote the entry.
--
-- msg_id tells an entry that was published again after the stream's 24 hours of deduplication. An id means something within
-- its stream alone, so the stream's creation time is part of it. The bloom filter spares a batch of few ids most of the reading.
CREATE TABLE IF NOT EXISTS ledger
(
    stage         LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    plan          LowCardinality(String) COMMENT 'name of the Keepa key; empty: the first one',
    event         LowCardinality(String) COMMENT 'issue, claim, close, lost, expired, drift, mode, poll, sweep, gap_opened, gap_filled, gap_expired',
    at            DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id        UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    stored_at     DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run           LowCardinality(String) COMMENT 'live, or the name of a replay',
    build         LowCardinality(String) COMMENT 'the build that wrote it',
    tokens        Int64 COMMENT 'issue: granted; claim: reserved; close, lost: consumed; drift: signed. Do not sum: see the view spending',
    price_kind    LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    items         UInt32 COMMENT 'ASINs, rows or sellers that the call was for',
    claim         String COMMENT 'id of the claim; empty without one' CODEC(ZSTD(1)),
    api_at        Nullable(DateTime64(3, 'UTC')) COMMENT 'Keepa time of the answer; NULL without one',
    api_left      Nullable(Int32) COMMENT 'tokens after the request; negative in debt',
    api_rate      Nullable(Int32) COMMENT 'tokens a minute',
    api_refill_ms Nullable(Int64) COMMENT 'until the next refill, milliseconds',
    api_took_ms   Nullable(Int64) COMMENT 'processing time of the server, milliseconds',
    api_flow_red  Nullable(Float64) COMMENT 'tokens a minute that trackings use up',
    query         LowCardinality(String) COMMENT 'the deal query of a poll, sweep or gap, NAME@VERSION',
    from_minute   Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    to_minute     Int64 COMMENT 'Keepa minutes; 0 when it does not apply',
    rows_estimate Int64 COMMENT 'rows of a page, a sweep or a gap; of a gap an estimate',
    note          String COMMENT 'what else there is to say; of a gap its id' CODEC(ZSTD(1)),
    stream_seq    UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream LEDGER',
    msg_id        UInt64 COMMENT 'the first 8 bytes of SHA-256 of stream creation time:Nats-Msg-Id, least first; 0 without one' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, event, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Where did every token go, and what happened to the budget? A row per message of the stream LEDGER; sum tokens through the view spending';

-- token_hours: how many tokens did each stage claim, spend or lose, on what, hour by hour? The key begins with the hour
-- because every question names a span.
CREATE TABLE IF NOT EXISTS token_hours
(
    hour       DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    stage      LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    event      LowCardinality(String) COMMENT 'as in ledger',
    price_kind LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    amount     Int64 COMMENT 'tokens of one entry',
    items      UInt32 COMMENT 'what one entry was for',
    ids        AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (hour, stage, event, price_kind, amount, items)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sum of the ledger by hour, stage, event and amount; read it through the views spending and token_counts';

CREATE MATERIALIZED VIEW IF NOT EXISTS token_hours_mv TO token_hours COMMENT 'Keeps token_hours' AS
SELECT
    toStartOfHour(at) AS hour, stage, event, price_kind, tokens AS amount, items,
    groupBitmapState(row_id) AS ids
FROM ledger
GROUP BY hour, stage, event, price_kind, amount, items;

-- token_counts: token_hours as plain numbers, every event of the ledger. Its tokens are not what was spent.
CREATE OR REPLACE VIEW token_counts
(
    hour       DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    stage      LowCardinality(String) COMMENT 'the stage that spends, or tokend for the whole budget',
    event      LowCardinality(String) COMMENT 'as in ledger',
    price_kind LowCardinality(String) COMMENT 'deals, peek, commit, seller, token; empty when it does not apply',
    entries    Int64 COMMENT 'how many entries',
    tokens     Int64 COMMENT 'their tokens; what they mean depends on the event, so sum one event alone, or the view spending',
    items      Int64 COMMENT 'ASINs, rows or sellers that they were for'
)
COMMENT 'How many entries of the ledger of which kind in which hour? What was spent is in the view spending' AS
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

-- spending: THE definition of what was spent. Consumed are the tokens of an answered call (close), of a call whose caller
-- died (lost) and those that left the bucket without us (drift); the rest of the ledger is permission, not spending. A claim
-- that was given back unused cost nothing and is not a call. A row for each price and size of call: read sums of it.
CREATE OR REPLACE VIEW spending
(
    hour       DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    stage      LowCardinality(String) COMMENT 'the stage that spent; tokend for what concerns the whole budget',
    price_kind LowCardinality(String) COMMENT 'what was bought: deals, peek, commit, seller; empty for drift',
    event      LowCardinality(String) COMMENT 'close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)',
    calls      Int64 COMMENT 'that cost tokens',
    items      Int64 COMMENT 'ASINs, rows or sellers that these calls were for',
    tokens     Int64 COMMENT 'consumed; drift is signed. Its sum is what was spent'
)
COMMENT 'What was spent, by which stage, on what, hour by hour? sum(tokens) is what left the bucket' AS
SELECT
    hour, stage, price_kind, event,
    toInt64(groupBitmapMerge(ids)) AS calls,
    calls * h.items AS items,
    calls * amount AS tokens
FROM token_hours AS h
WHERE event IN ('close', 'lost', 'drift') AND amount != 0
GROUP BY hour, stage, price_kind, event, amount, h.items;

-- balance_points: how full was the bucket at each instant? Every entry that carries an answer of Keepa is a point of the
-- series. Ordered by time, because a chart reads a span of it; row_id makes a repeated insert the same point.
CREATE TABLE IF NOT EXISTS balance_points
(
    at        DateTime64(3, 'UTC') COMMENT 'pipeline time' CODEC(Delta, ZSTD(1)),
    row_id    UInt64 COMMENT 'of the ledger' CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the stream stored the entry, machine time' CODEC(Delta, ZSTD(1)),
    balance   Int32 COMMENT 'tokens; negative in debt',
    rate      Int32 COMMENT 'tokens a minute',
    refill_ms Int64 COMMENT 'until the next refill, milliseconds',
    flow_red  Float64 COMMENT 'tokens a minute that trackings use up',
    stage     LowCardinality(String) COMMENT 'the stage that got the answer'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each of Keepa''s answers said of the bucket; read it through the view balance';

CREATE MATERIALIZED VIEW IF NOT EXISTS balance_points_mv TO balance_points COMMENT 'Keeps balance_points' AS
SELECT
    at, row_id, stored_at,
    assumeNotNull(api_left) AS balance,
    ifNull(api_rate, 0) AS rate,
    ifNull(api_refill_ms, 0) AS refill_ms,
    ifNull(api_flow_red, 0) AS flow_red,
    stage
FROM ledger
WHERE api_left IS NOT NULL;

CREATE OR REPLACE VIEW balance
(
    at        DateTime64(3, 'UTC') COMMENT 'pipeline time',
    balance   Int32 COMMENT 'tokens; negative in debt',
    rate      Int32 COMMENT 'tokens a minute',
    refill_ms Int64 COMMENT 'until the next refill, milliseconds',
    flow_red  Float64 COMMENT 'tokens a minute that trackings use up',
    stage     LowCardinality(String) COMMENT 'the stage that got the answer'
)
COMMENT 'How full was the bucket at each instant?' AS
SELECT at, balance, rate, refill_ms, flow_red, stage
FROM balance_points FINAL;

-- call_days: how long did Keepa take to answer each stage? A histogram as in wait_days, in milliseconds.
CREATE TABLE IF NOT EXISTS call_days
(
    day        Date COMMENT 'pipeline time, UTC',
    stage      LowCardinality(String) COMMENT 'the stage that called',
    price_kind LowCardinality(String) COMMENT 'deals, peek, commit, seller, token',
    slot       UInt8 COMMENT 'round(20 log10(1 + milliseconds)), 0 to 200',
    ids        AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (day, stage, price_kind, slot)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Histogram of Keepa''s own time for an answer, by day, stage and kind of call';

CREATE MATERIALIZED VIEW IF NOT EXISTS call_days_mv TO call_days COMMENT 'Keeps call_days' AS
SELECT
    toDate(at) AS day, stage, price_kind,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot,
    groupBitmapState(row_id) AS ids
FROM ledger
WHERE event = 'close' AND api_took_ms IS NOT NULL
GROUP BY day, stage, price_kind, slot;

-- clock_readings: the newest entry of the ledger, which carries both times. One row, since only the newest matters.
CREATE TABLE IF NOT EXISTS clock_readings
(
    newest AggregateFunction(argMax, Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC')), UInt64) COMMENT 'at and stored_at of the newest entry'
)
ENGINE = AggregatingMergeTree
ORDER BY tuple()
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Pipeline time and machine time of the newest entry; read it through the view pipeline_clock';

CREATE MATERIALIZED VIEW IF NOT EXISTS clock_readings_mv TO clock_readings COMMENT 'Keeps clock_readings' AS
SELECT argMaxState((at, stored_at), row_id) AS newest
FROM ledger;

-- pipeline_clock: what time is it in the pipeline? With a simulated Keepa its time runs ahead of, or far from, the
-- machine's; the newest entry of the ledger tells by how much. `now` is what "the last hour" counts back from; without any
-- entry it is the machine's time.
CREATE OR REPLACE VIEW pipeline_clock
(
    reading   Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC')) COMMENT 'at and stored_at',
    at        DateTime64(3, 'UTC') COMMENT 'pipeline time of the newest entry; 1970 without one',
    stored_at DateTime64(3, 'UTC') COMMENT 'machine time of the newest entry; 1970 without one',
    now       DateTime64(3, 'UTC') COMMENT 'pipeline time now'
)
COMMENT 'What time is it in the pipeline?' AS
SELECT
    argMaxMerge(newest) AS reading,
    reading.1 AS at,
    reading.2 AS stored_at,
    if(stored_at = toDateTime64(0, 3, 'UTC'), now64(3, 'UTC'), addMilliseconds(now64(3, 'UTC'), dateDiff('millisecond', stored_at, at))) AS now
FROM clock_readings;

-- entry_ids: was this entry of the ledger recorded before, under another row id? As verdict_ids, and apart from the rows for
-- the same reason.
CREATE TABLE IF NOT EXISTS entry_ids
(
    id        UInt64 COMMENT 'msg_id of ledger' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) COMMENT 'row id of the first entry with this id' CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 100 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Was this entry of the ledger recorded before, under another row id?';

CREATE MATERIALIZED VIEW IF NOT EXISTS entry_ids_mv TO entry_ids COMMENT 'Keeps entry_ids' AS
SELECT msg_id AS id, min(l.row_id) AS row_id, max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC')) AS stored_at
FROM ledger AS l
WHERE msg_id != 0
GROUP BY id;

-- plan_spending: what was spent with which key. As the view spending, but from the rows of the ledger, because the sums do
-- not know the key: it reaches as far back as they are kept.
CREATE OR REPLACE VIEW plan_spending
(
    hour       DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    plan       LowCardinality(String) COMMENT 'name of the Keepa key; main: the first one',
    stage      LowCardinality(String) COMMENT 'the stage that spent; tokend for what concerns the whole budget',
    price_kind LowCardinality(String) COMMENT 'what was bought: deals, peek, commit, seller; empty for drift',
    event      LowCardinality(String) COMMENT 'close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)',
    calls      Int64 COMMENT 'that cost tokens',
    items      Int64 COMMENT 'ASINs, rows or sellers that these calls were for',
    tokens     Int64 COMMENT 'consumed; drift is signed. Its sum is what was spent'
)
COMMENT 'What was spent with which Keepa key, by which stage, on what, hour by hour?' AS
SELECT
    toStartOfHour(at) AS hour, if(l.plan = '', 'main', l.plan) AS plan, stage, price_kind, event,
    toInt64(count()) AS calls,
    toInt64(sum(l.items)) AS items,
    sum(l.tokens) AS tokens
FROM ledger AS l FINAL
WHERE event IN ('close', 'lost', 'drift') AND l.tokens != 0
GROUP BY hour, plan, stage, price_kind, event
SETTINGS do_not_merge_across_partitions_select_final = 1;
