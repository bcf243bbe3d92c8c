-- dead: what could not be processed, why, and where does it come from?
--
-- One row per message of the stream DEAD; `ratchet dead retry` works on the stream, this table counts and explains.
-- Ordered by stage and reason over time, as an operator asks; row_id makes a repeated insert the same row.
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
