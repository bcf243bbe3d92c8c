-- verdicts, verdict_hours, verdict_ids: the same, in less room.
--
-- A verdict with its inputs takes a seventh less: numbers of a narrow range are packed to their width (T64), whose neighbours
-- in the key's order are not like each other. Parts that are there already change as they are merged.
ALTER TABLE verdicts
    MODIFY COLUMN root_category Int64 CODEC(T64, ZSTD(1)),
    MODIFY COLUMN listed_at Nullable(DateTime64(3, 'UTC')) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN expected_value_cents Nullable(Int64) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN profit_cents Nullable(Int64) CODEC(T64, ZSTD(1)),
    MODIFY COLUMN creation_date Int64 CODEC(T64, ZSTD(1)),
    MODIFY COLUMN source LowCardinality(String) CODEC(ZSTD(1)),
    MODIFY COLUMN unknown Array(LowCardinality(String)) CODEC(ZSTD(1));

-- A set of few row ids holds them as they are, and they begin alike.
ALTER TABLE verdict_hours
    MODIFY COLUMN ids AggregateFunction(groupBitmap, UInt64) CODEC(ZSTD(1)),
    MODIFY COLUMN root_category Int64 CODEC(T64, ZSTD(1));

-- verdict_ids: kept for 100 days, however long the verdicts are. Nothing from which a verdict could be made again lasts longer:
-- a candidate and a survivor wait for 30 days each, and the stream itself keeps a verdict for 90.
ALTER TABLE verdict_ids
    MODIFY COLUMN stored_at SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1)),
    MODIFY TTL stored_at + INTERVAL 100 DAY;
