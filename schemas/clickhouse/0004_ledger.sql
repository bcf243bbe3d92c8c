-- ledger: where did every token go, and what happened to the budget?
--
-- One row per message of the stream LEDGER. Operators ask by stage and event over a span of time, so these lead the
-- key; row_id ends it and makes a repeated insert the same row (see verdicts for row_id, at and stored_at).
-- What does not apply to an event is empty, 0 or NULL as the column says.
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
