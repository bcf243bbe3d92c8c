-- entry_ids: was this entry of the ledger recorded before, under another row id?
--
-- As verdict_ids, and for the same reason a table of its own: an id that stands beside its row leaves with it, and who keeps
-- rows for thirty days (RECORDER_KEEP_DAYS) counted an entry that was published again, or a stream that was recorded anew, twice in the
-- sums, which stay. Dead letters have no sums and deals stay, so their ids stay beside their rows.
--
-- An id stays until no message of its event is left on the stream (90 days): the recorder says of each repeat that it leaves
-- out that the id was seen again, here and in verdict_ids.
CREATE TABLE IF NOT EXISTS entry_ids
(
    id        UInt64 COMMENT 'msg_id of ledger' CODEC(Delta, ZSTD(1)),
    row_id    SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    stored_at SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'the last of the month in which a message of it was stored last, machine time' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY id
TTL stored_at + INTERVAL 100 DAY
SETTINGS index_granularity = 512, min_compress_block_size = 4096, max_compress_block_size = 8192, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS entry_ids_mv TO entry_ids AS
SELECT msg_id AS id, min(l.row_id) AS row_id, max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC')) AS stored_at
FROM ledger AS l
WHERE msg_id != 0
GROUP BY id;

INSERT INTO entry_ids
SELECT msg_id, min(l.row_id), max(toDateTime(toLastDayOfMonth(l.stored_at), 'UTC'))
FROM ledger AS l
WHERE msg_id != 0
GROUP BY msg_id
SETTINGS async_insert = 0;
