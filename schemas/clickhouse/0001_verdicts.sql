-- verdicts: what did each look decide about each candidate, why, and on what numbers?
--
-- One row per message of the stream VERDICTS. Operators ask it by run, look and reason over a span of time
-- ("what did no_sale_in_a_year reject yesterday?"), so those lead the key, the hour follows, and row_id ends it:
-- the key comes from the message alone, so a message that is inserted again is the same row. One ASIN's verdicts
-- (`ratchet why`) are found through the bloom filter. Ask with FINAL where a count must be exact.
--
-- row_id is the stream's creation time (Unix seconds) in the upper half and the sequence in the lower: unique
-- across streams that were deleted and made anew, and dense, which keeps the bitmaps over it small.
-- at is pipeline time. stored_at is when JetStream took the message, on the machine's clock; retention goes by it,
-- because pipeline time may be simulated. Keep more or less with ALTER TABLE verdicts MODIFY TTL.
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
