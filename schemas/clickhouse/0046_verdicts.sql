-- Verdicts: what did each look decide about each candidate, why, on what numbers, and how often?
--
-- verdicts holds the rows; the other tables are their sums, each kept up by a materialized view in the same insert. A sum
-- holds the set of row ids and not a count, because a set does not change when a row is inserted again, in whatever batch.
-- The price of a look is part of the key, so that tokens are price times size of the set, exact for the same reason.
--
-- row_id is the stream's creation time (Unix seconds) in the upper half and the sequence in the lower: unique across
-- streams that were deleted and recreated, and dense, which keeps the bitmaps over it small.
-- at is pipeline time. stored_at is when JetStream stored the message, on the machine's clock; retention goes by it,
-- because pipeline time may be simulated.

-- verdicts. Operators ask by run, look and reason over a span of time ("what did no_sale_in_a_year reject yesterday?"), so
-- these lead the key, the hour follows, and row_id ends it: the key comes from the message alone, so a message that is
-- inserted again is the same row. The verdicts of one ASIN (`ratchet why`) are found through the bloom filter. Use FINAL
-- where a count must be exact. Numbers of a narrow range are packed to their width (T64): their neighbours in the key's
-- order are not like each other.
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
    build                LowCardinality(String) COMMENT 'the build that decided',
    domain               UInt16 COMMENT 'Keepa domain id; 1 is amazon.com',
    asin                 String COMMENT 'the ASIN of the candidate' CODEC(ZSTD(1)),
    price_type           UInt16 COMMENT 'Keepa price type; 2 is used',
    creation_date        Int64 COMMENT 'when this price began, Keepa minutes' CODEC(T64, ZSTD(1)),
    rule_id              LowCardinality(String) COMMENT 'the rule that decided; empty when none did',
    rule_set             LowCardinality(String) COMMENT 'version of the rules',
    heuristic            Bool COMMENT 'decided by a rule that may be wrong',
    source               LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry' CODEC(ZSTD(1)),
    tier                 LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    queries              Array(LowCardinality(String)) COMMENT 'the deal queries that named the candidate, NAME@VERSION',
    root_category        Int64 COMMENT 'Keepa category id; 0 when unknown' CODEC(T64, ZSTD(1)),
    listed_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'when the list page arrived, pipeline time' CODEC(T64, ZSTD(1)),
    tokens               Int32 COMMENT 'the price of this look',
    tokens_spent         Int32 COMMENT 'all looks of this work so far',
    expected_value_cents Nullable(Int64) COMMENT 'profit times chance of sale, as the peek saw it; NULL before a peek' CODEC(T64, ZSTD(1)),
    profit_cents         Nullable(Int64) COMMENT 'profit as this look saw it; NULL when unknown' CODEC(T64, ZSTD(1)),
    unknown              Array(LowCardinality(String)) COMMENT 'inputs that were wanted and unknown' CODEC(ZSTD(1)),
    inputs               String COMMENT 'JSON: what the decision used; null is unknown' CODEC(ZSTD(3)),
    response_ids         Array(String) COMMENT 'the stored answers it rests on' CODEC(ZSTD(1)),
    title                String COMMENT 'title of the product; empty when unknown' CODEC(ZSTD(3)),
    deal                 String COMMENT 'JSON: the deal, on accept; otherwise empty' CODEC(ZSTD(3)),
    stream_seq           UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream VERDICTS',
    INDEX asin_bloom asin TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (run, look, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What did each look decide about each candidate, why, and on what numbers? A row per message of the stream VERDICTS';

-- verdict_hours: how many candidates were rejected, for which reason, hour by hour, and what did that cost? The key begins
-- with run and hour because every question names a run and a span.
CREATE TABLE IF NOT EXISTS verdict_hours
(
    run           LowCardinality(String) COMMENT 'live, or the name of a replay',
    hour          DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    look          LowCardinality(String) COMMENT 'list, glance, peek, commit',
    outcome       LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    reason        LowCardinality(String) COMMENT 'reason code',
    source        LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    tier          LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    root_category Int64 COMMENT 'Keepa category id; 0 when unknown' CODEC(T64, ZSTD(1)),
    rule_set      LowCardinality(String) COMMENT 'version of the rules',
    heuristic     Bool COMMENT 'decided by a rule that may be wrong',
    tokens        Int32 COMMENT 'the price of one look',
    ids           AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(hour)
ORDER BY (run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sum of verdicts by hour and by everything that is counted; read it through the view verdict_counts';

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_hours_mv TO verdict_hours COMMENT 'Keeps verdict_hours' AS
SELECT
    run, toStartOfHour(at) AS hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens;

-- verdict_counts: verdict_hours as plain numbers, for any client.
CREATE OR REPLACE VIEW verdict_counts
(
    run           LowCardinality(String) COMMENT 'live, or the name of a replay',
    hour          DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    look          LowCardinality(String) COMMENT 'list, glance, peek, commit',
    outcome       LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    reason        LowCardinality(String) COMMENT 'reason code',
    source        LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    tier          LowCardinality(String) COMMENT 'a, b, c of expected value; empty before a peek',
    root_category Int64 COMMENT 'Keepa category id; 0 when unknown',
    rule_set      LowCardinality(String) COMMENT 'version of the rules',
    heuristic     Bool COMMENT 'decided by a rule that may be wrong',
    verdicts      Int64 COMMENT 'how many',
    tokens        Int64 COMMENT 'what these looks cost together'
)
COMMENT 'How many verdicts of which kind in which hour, and what did they cost?' AS
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

-- verdict_days: what did each look decide, day by day and under which rules? For long spans: a year of hours is a million
-- sets; a year of days by the columns that most questions name is some ten thousand. A question adds the hours of its first
-- day (verdict_hours) to the days after it, and so answers to the hour.
CREATE TABLE IF NOT EXISTS verdict_days
(
    run       LowCardinality(String) COMMENT 'live, or the name of a replay',
    day       Date COMMENT 'pipeline time, UTC',
    look      LowCardinality(String) COMMENT 'list, glance, peek, commit',
    outcome   LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    reason    LowCardinality(String) COMMENT 'reason code',
    rule_set  LowCardinality(String) COMMENT 'version of the rules',
    heuristic Bool COMMENT 'decided by a rule that may be wrong',
    tokens    Int32 COMMENT 'the price of one look',
    ids       AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, outcome, reason, rule_set, heuristic, tokens)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sum of verdicts by day, look, outcome, reason and rule set';

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_days_mv TO verdict_days COMMENT 'Keeps verdict_days' AS
SELECT
    run, toDate(at) AS day, look, outcome, reason, rule_set, heuristic, tokens,
    groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, look, outcome, reason, rule_set, heuristic, tokens;

-- category_days: in which category was what decided, day by day? Apart from verdict_days, because categories times reasons
-- would make that table as long as the hours. The key begins with run and day because every question names them.
CREATE TABLE IF NOT EXISTS category_days
(
    run           LowCardinality(String) COMMENT 'live, or the name of a replay',
    day           Date COMMENT 'pipeline time, UTC',
    root_category Int64 COMMENT 'Keepa category id; 0 when unknown',
    outcome       LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    reason        LowCardinality(String) COMMENT 'reason code',
    tokens        Int32 COMMENT 'the price of one look',
    ids           AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, root_category, outcome, reason, tokens)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sum of verdicts by day, category, outcome and reason';

CREATE MATERIALIZED VIEW IF NOT EXISTS category_days_mv TO category_days COMMENT 'Keeps category_days' AS
SELECT run, toDate(at) AS day, root_category, outcome, reason, tokens, groupBitmapState(row_id) AS ids
FROM verdicts
GROUP BY run, day, root_category, outcome, reason, tokens;

-- wait_days: how long had the candidates waited when each look decided them? A histogram per day: slot is
-- round(20 log10(1 + seconds)), so a slot is 12 % wide and the middle of it at most 6 % from the truth, for a second as for
-- a month. The key begins with run and day because every question names a run and a span.
CREATE TABLE IF NOT EXISTS wait_days
(
    run    LowCardinality(String) COMMENT 'live, or the name of a replay',
    day    Date COMMENT 'of the verdict, pipeline time, UTC',
    look   LowCardinality(String) COMMENT 'list, glance, peek, commit',
    source LowCardinality(String) COMMENT 'live, gap, backfill, refresh, repair, retry',
    slot   UInt8 COMMENT 'round(20 log10(1 + seconds)), 0 to 200',
    ids    AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, source, slot)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Histogram of the time from being listed to the verdict, by day, look and source';

CREATE MATERIALIZED VIEW IF NOT EXISTS wait_days_mv TO wait_days COMMENT 'Keeps wait_days' AS
SELECT
    run, toDate(at) AS day, look, source,
    toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot,
    groupBitmapState(row_id) AS ids
FROM verdicts
WHERE listed_at IS NOT NULL
GROUP BY run, day, look, source, slot;

-- unknown_days: which inputs did the rules want and not know, day by day? The key begins with run and day because every
-- question names a run and a span.
CREATE TABLE IF NOT EXISTS unknown_days
(
    run     LowCardinality(String) COMMENT 'live, or the name of a replay',
    day     Date COMMENT 'pipeline time, UTC',
    look    LowCardinality(String) COMMENT 'list, glance, peek, commit',
    rule_id LowCardinality(String) COMMENT 'the rule that decided; empty when none did',
    input   LowCardinality(String) COMMENT 'the input that was wanted and unknown',
    outcome LowCardinality(String) COMMENT 'survive, accept, reject, shed, confirm, fail',
    ids     AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts; count with groupBitmapMerge'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(day)
ORDER BY (run, day, look, rule_id, input, outcome)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sum of verdicts by day and unknown input; a verdict counts once for each of its unknown inputs';

CREATE MATERIALIZED VIEW IF NOT EXISTS unknown_days_mv TO unknown_days COMMENT 'Keeps unknown_days' AS
SELECT run, toDate(at) AS day, look, rule_id, arrayJoin(unknown) AS input, outcome, groupBitmapState(row_id) AS ids
FROM verdicts
WHERE notEmpty(unknown)
GROUP BY run, day, look, rule_id, input, outcome;

-- verdict_ids: was this verdict recorded before, under another row id?
--
-- A verdict is one per run, work and look. The stream drops a repeat of it for 24 hours; one that is published again later
-- is a new message with a new row id, and the recorder asks here before it inserts. The first row id stays, whatever the
-- order of inserts. The ids are a table of their own because an id beside its row would leave with it
-- (RECORDER_KEEP_DAYS), and a repeat would then be counted twice in the sums, which stay. A verdict without a work id,
-- published by hand, is not a repeat of another.
--
-- id is 64 bits of a hash: among ten million verdicts the chance that any two share one is three in a million. The key is
-- the hash alone, because nothing else is asked. Granules and blocks are small, because a batch asks for thousands of ids
-- that lie anywhere. An id stays until no message of its event is left on a stream (90 days): the recorder notes of each
-- repeat that it leaves out that the id was seen again.
CREATE TABLE IF NOT EXISTS verdict_ids
(
    id        UInt64 COMMENT 'the first 8 bytes of SHA-256 of run:work_id:look, least first' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) COMMENT 'row id of the first verdict with this id' CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 100 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Was this verdict recorded before, under another row id?';

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_ids_mv TO verdict_ids COMMENT 'Keeps verdict_ids' AS
SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id) AS row_id,
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC')) AS stored_at
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id;
