-- Actions: what did the user buy, sell and ignore? deal_states in 0051_deals says which deals that hides.
--
-- actions holds the rows, a row per message of the stream ACTIONS, for ever. They are few, so the views go through all
-- of them. The key begins with the target, by which they are asked for; row_id orders what was said and makes a
-- repeated insert the same row. msg_id stands beside the row, as in dead.
CREATE TABLE IF NOT EXISTS actions
(
    target      LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    value       String COMMENT 'the ASIN, the id of the seller, the brand in small letters, or words of a title in small letters',
    domain      UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    row_id      UInt64 COMMENT 'stream creation time << 32 | stream sequence' CODEC(Delta, ZSTD(1)),
    at          DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time' CODEC(Delta, ZSTD(1)),
    stored_at   DateTime64(3, 'UTC') COMMENT 'when the stream stored it, machine time' CODEC(Delta, ZSTD(1)),
    run         LowCardinality(String) COMMENT 'live; nothing else counts',
    build       LowCardinality(String) COMMENT 'the build that said it',
    msg_id      UInt64 COMMENT 'as in ledger' CODEC(NONE),
    action      LowCardinality(String) COMMENT 'buy, sold, ignore, undo or lapse (the time of an ignore is over)',
    of          LowCardinality(String) COMMENT 'what an undo or a lapse ends: buy, sold or ignore; else empty',
    price_cents Nullable(Int64) COMMENT 'paid or got for one copy, in the smallest unit of the currency of the marketplace; NULL for others than buy and sold',
    condition   LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    day         Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for others',
    copy        UInt16 COMMENT 'which of several equal copies; 1 for the first',
    until       Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
ENGINE = ReplacingMergeTree
ORDER BY (target, value, domain, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What did the user buy, sell and ignore? A row per message of the stream ACTIONS';

-- actions_standing: what was done and neither undone nor has lapsed. An undo or a lapse ends what was said before it,
-- of one kind about one target. Package action says the same of the stream.
CREATE OR REPLACE VIEW actions_standing
(
    action      LowCardinality(String) COMMENT 'buy, sold or ignore',
    target      LowCardinality(String) COMMENT 'what value is: asin, seller, brand or words',
    value       String COMMENT 'as in actions',
    domain      UInt16 COMMENT 'Keepa domain id of an ASIN; 0: every marketplace',
    row_id      UInt64 COMMENT 'as in actions',
    at          DateTime64(3, 'UTC') COMMENT 'when it was said, pipeline time',
    price_cents Nullable(Int64) COMMENT 'paid or got for one copy; NULL for ignore',
    condition   LowCardinality(String) COMMENT 'condition of a copy that was bought; empty: not said',
    day         Nullable(Date) COMMENT 'the day of the purchase or sale; NULL for ignore',
    copy        UInt16 COMMENT 'which of several equal copies; 1 for the first',
    until       Nullable(DateTime64(3, 'UTC')) COMMENT 'when an ignore lapses, pipeline time; NULL: never'
)
COMMENT 'What the user did and did not undo' AS
SELECT action, target, value, domain, row_id, at, price_cents, condition, day, copy, until
FROM
(
    SELECT *, maxIf(row_id, action IN ('undo', 'lapse')) OVER (PARTITION BY if(of = '', action, of), target, value, domain) AS ended
    FROM actions FINAL
    WHERE run = 'live'
)
WHERE row_id > ended AND action IN ('buy', 'sold', 'ignore');
