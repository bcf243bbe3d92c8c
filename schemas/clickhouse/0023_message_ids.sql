-- message_ids: was this entry, this version of a deal, this dead letter recorded before, under another row id?
--
-- What happened is one by the id under which it was published (Nats-Msg-Id). The stream drops a repeat of it for 24 hours;
-- one that is published again later is a new message with a new row id, and the recorder asks here before it inserts. The
-- first stays. An id means something within its stream alone, so the stream's creation time is part of it.
--
-- The ids stand beside the rows and not in a table like verdict_ids: a year has half a million entries, few deals and fewer
-- letters, which are gone through in milliseconds; so an id is there exactly as long as its row, and by the same insert. The filter spares
-- a batch of few ids most of the reading. 0 is no id: a message published by hand, which is no repeat of another.
ALTER TABLE ledger
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'the first 8 bytes of SHA-256 of stream creation time:Nats-Msg-Id, least first; 0 without one' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE deal_versions
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'as in ledger' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE dead
    ADD COLUMN IF NOT EXISTS msg_id UInt64 COMMENT 'as in ledger' CODEC(NONE),
    ADD INDEX IF NOT EXISTS msg_id_bloom msg_id TYPE bloom_filter(0.01) GRANULARITY 1;

-- What an earlier build recorded, where its columns say what the id was: everything that moves tokens, and gaps; the first
-- version of each deal; letters about a message. The rest is known by its row id alone, until its stream is recorded anew. The rows are
-- inserted again under their keys, since that changes no sum.
INSERT INTO ledger
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':', multiIf(
    event = 'close', claim,
    event IN ('claim', 'lost', 'poll'), concat(event, ':', claim),
    concat(event, ':', note)))), 1, 8)) AS msg_id)
FROM ledger FINAL
WHERE ledger.msg_id = 0 AND (event IN ('close', 'claim', 'lost', 'poll') AND claim != '' OR event IN ('gap_opened', 'gap_filled', 'gap_expired') AND note != '')
SETTINGS async_insert = 0;

INSERT INTO deal_versions
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':deal:', work_id)), 1, 8)) AS msg_id)
FROM deal_versions FINAL
WHERE deal_versions.msg_id = 0 AND work_id != '' AND row_id IN (SELECT min(v.row_id) FROM deal_versions AS v GROUP BY v.work_id)
SETTINGS async_insert = 0;

INSERT INTO dead
SELECT * REPLACE (reinterpretAsUInt64(substring(SHA256(concat(toString(bitShiftRight(row_id, 32)), ':dead:', stage, ':', origin_stream, '-', toString(origin_sequence))), 1, 8)) AS msg_id)
FROM dead FINAL
WHERE dead.msg_id = 0 AND origin_stream != ''
SETTINGS async_insert = 0;
