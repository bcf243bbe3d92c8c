-- verdict_ids: was this verdict recorded before, under another row id?
--
-- A verdict is one per run, work and look. The stream drops a repeat of it for 24 hours; one that is published again later
-- is a new message with a new row id, and the recorder asks here before it inserts. The first row id stays, whatever the
-- order of inserts, so a repeated insert changes nothing.
--
-- id is 64 bits of a hash: among ten million verdicts the chance that any two of them share one is three in a million. The
-- key is the hash alone, because nothing else is asked. Granules and blocks are small, because a batch asks for thousands
-- of ids that lie anywhere. A verdict without a work id, published by hand, is no repeat of another.
CREATE TABLE IF NOT EXISTS verdict_ids
(
    id        UInt64 COMMENT 'the first 8 bytes of SHA-256 of run:work_id:look, least first' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month, machine time' CODEC(T64, ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 400 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS verdict_ids_mv TO verdict_ids AS
SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id) AS row_id,
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC')) AS stored_at
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id;

INSERT INTO verdict_ids
SELECT
    reinterpretAsUInt64(substring(SHA256(concat(run, ':', work_id, ':', look)), 1, 8)) AS id,
    min(v.row_id),
    max(toDateTime(toLastDayOfMonth(v.stored_at), 'UTC'))
FROM verdicts AS v
WHERE work_id != ''
GROUP BY id
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;
