-- dead: what could not be processed, why, and where does it come from?
--
-- `ratchet dead retry` works on the stream; this table counts and explains. Ordered by stage and reason over time, as an
-- operator asks; row_id makes a repeated insert the same row. As in ledger, msg_id tells a dead letter that was published
-- again later; it stands beside the row, because dead letters are few and have no sums.
CREATE TABLE IF NOT EXISTS dead
(
    stage           LowCardinality(String) COMMENT 'the stage that gave it up',
    reason          LowCardinality(String) COMMENT 'reason code',
    at              DateTime64(3, 'UTC') COMMENT 'when it was given up, pipeline time' CODEC(Delta, ZSTD(1)),
    row_id          UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    stored_at       DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    key             String COMMENT 'an ASIN where there is one',
    work_id         String COMMENT 'the unit of work; empty without one',
    build           LowCardinality(String) COMMENT 'the build that gave it up',
    error           String COMMENT 'what went wrong' CODEC(ZSTD(1)),
    origin_stream   LowCardinality(String) COMMENT 'the stream that the message is from',
    origin_sequence UInt64 COMMENT 'and its sequence there',
    origin_subject  String COMMENT 'and its subject' CODEC(ZSTD(1)),
    deliveries      UInt64 COMMENT 'how often it was delivered',
    header          String COMMENT 'JSON: the headers of the message' CODEC(ZSTD(3)),
    body            String COMMENT 'the message, as it came' CODEC(ZSTD(3)),
    stream_seq      UInt64 ALIAS bitAnd(row_id, 4294967295) COMMENT 'sequence in the stream DEAD',
    msg_id          UInt64 COMMENT 'as in ledger' CODEC(NONE),
    INDEX msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (stage, reason, toStartOfHour(at), row_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What could not be processed, why, and where does it come from? A row per message of the stream DEAD';
