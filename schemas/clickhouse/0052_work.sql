-- Work: is it stuck, or is it bad luck? What the question stalls needs, from both streams.

-- work_slots: when was something paid for, decided, or found worth paying for?
--
-- Five minutes at a time: the first and the last paid call, decision and survivor, since when the list had named the
-- candidates that were paid for, and since when the polls had been due. A stall is longer than a slot, so between slots
-- nothing is lost, and a year has a hundred thousand of them however much happens. First and last do not change when a row
-- is inserted again or late. A decision is a verdict that ends its work; a state of a stored deal (look list) is not one.
--
-- Times are milliseconds from the start of the slot, packed beside what belongs to them: the minimum of numbers takes a
-- tenth of the time of that of tuples. The key is the slot, because the question walks through time. Two streams fill it,
-- each its own columns; those of the other then hold "none", which is the largest number or 0.
CREATE TABLE IF NOT EXISTS work_slots
(
    slot           DateTime('UTC') COMMENT 'start of the five minutes, pipeline time' CODEC(Delta, ZSTD(1)),
    first_call     SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '4 x ms of the first paid call + the stage that paid: 1 peeker, 2 committer, 3 watermarker',
    last_call      SimpleAggregateFunction(max, UInt64) COMMENT '2^44 x (1 + ms of the last paid call) + 2^22 x (2^21 + balance after it, or 0) + tokens a minute, or 0',
    first_decision SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT '2 x ms of the first decision, + 1 if a glance made it',
    last_decision  SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms of the last decision; 0 for none',
    first_survivor SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295 COMMENT 'ms of the first survivor',
    last_survivor  SimpleAggregateFunction(max, UInt32) COMMENT '1 + ms of the last survivor; 0 for none',
    listed_at      SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'the earliest of what was paid for, where the list had just named it',
    due_at         SimpleAggregateFunction(min, DateTime('UTC')) DEFAULT 4294967295 COMMENT 'since when the first of the polls had been due',
    next_due_at    SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'when the poll after them is due at the latest: an interval at most doubles'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'When was something paid for, decided, or found worth paying for? Five minutes a row; ask the question stalls';

CREATE MATERIALIZED VIEW IF NOT EXISTS work_slots_ledger_mv TO work_slots COMMENT 'Keeps work_slots, from the ledger' AS
WITH
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS began,
    toUInt64(dateDiff('millisecond', began, l.at)) AS ms,
    if(l.api_left IS NULL, 0, toUInt64(2097152 + greatest(-2097151, least(2097151, assumeNotNull(l.api_left))))) AS balance,
    toUInt64(greatest(0, least(4194303, ifNull(l.api_rate, 0)))) AS rate,
    ifNull(parseDateTimeBestEffortOrNull(extract(l.note, ', due ([0-9TZ:-]+)'), 'UTC'), toDateTime(4294967295, 'UTC')) AS due
SELECT
    began AS slot,
    min(toUInt32(if(l.event = 'close', 4 * ms + indexOf(['peeker', 'committer', 'watermarker'], toString(l.stage)), 4294967295))) AS first_call,
    max(toUInt64(if(l.event = 'close', bitShiftLeft(1 + ms, 44) + bitShiftLeft(balance, 22) + rate, 0))) AS last_call,
    min(if(l.event = 'poll', due, toDateTime(4294967295, 'UTC'))) AS due_at,
    max(if(l.event = 'poll', toDateTime(l.at, 'UTC') + 2 * toUInt32OrZero(extract(l.note, ', every ([0-9]+) s')), toDateTime(0, 'UTC'))) AS next_due_at
FROM ledger AS l
WHERE (l.event = 'close' AND l.tokens > 0) OR (l.event = 'poll' AND l.note LIKE '%, due %')
GROUP BY slot;

CREATE MATERIALIZED VIEW IF NOT EXISTS work_slots_verdicts_mv TO work_slots COMMENT 'Keeps work_slots, from verdicts' AS
WITH
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS began,
    toUInt32(dateDiff('millisecond', began, v.at)) AS ms,
    v.outcome != 'survive' AS ends
SELECT
    began AS slot,
    min(toUInt32(if(ends, 2 * ms + (v.look = 'glance'), 4294967295))) AS first_decision,
    max(toUInt32(if(ends, 1 + ms, 0))) AS last_decision,
    min(toUInt32(if(ends, 4294967295, ms))) AS first_survivor,
    max(toUInt32(if(ends, 0, 1 + ms))) AS last_survivor,
    min(if(v.tokens > 0 AND v.source IN ('live', 'gap', 'backfill'), toDateTime(ifNull(v.listed_at, toDateTime64(4294967295, 3, 'UTC')), 'UTC'), toDateTime(4294967295, 'UTC'))) AS listed_at
FROM verdicts AS v
WHERE v.run = 'live' AND v.look != 'list'
GROUP BY slot;

-- work_days: how many paid calls and decisions had each day? Sets of row ids, a row a day, because the hours of token_hours
-- and the reasons of verdict_days are too many to add up a year of them in passing.
CREATE TABLE IF NOT EXISTS work_days
(
    day       Date COMMENT 'pipeline time, UTC',
    calls     AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of the ledger: paid calls',
    decisions AggregateFunction(groupBitmap, UInt64) COMMENT 'row ids of verdicts: decisions'
)
ENGINE = AggregatingMergeTree
ORDER BY day
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'How many paid calls and decisions had each day? Count with groupBitmapMerge';

CREATE MATERIALIZED VIEW IF NOT EXISTS work_days_ledger_mv TO work_days COMMENT 'Keeps work_days, from the ledger' AS
SELECT toDate(at) AS day, groupBitmapState(row_id) AS calls
FROM ledger
WHERE event = 'close' AND tokens > 0
GROUP BY day;

CREATE MATERIALIZED VIEW IF NOT EXISTS work_days_verdicts_mv TO work_days COMMENT 'Keeps work_days, from verdicts' AS
SELECT toDate(at) AS day, groupBitmapState(row_id) AS decisions
FROM verdicts
WHERE run = 'live' AND look != 'list' AND outcome != 'survive'
GROUP BY day;

-- modes: since when was the budget in which mode? A row for each change that tokend published: burst, recharge, unknown, and
-- the operator's paused and nospend, during which nothing is owed to anybody. Few rows, all of them read; row_id makes a
-- repeated insert the same row.
CREATE TABLE IF NOT EXISTS modes
(
    at     DateTime64(3, 'UTC') COMMENT 'pipeline time',
    row_id UInt64 COMMENT 'of the ledger',
    mode   LowCardinality(String) COMMENT 'burst, recharge, paused, nospend, unknown'
)
ENGINE = ReplacingMergeTree
ORDER BY (at, row_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Since when was the budget in which mode?';

CREATE MATERIALIZED VIEW IF NOT EXISTS modes_mv TO modes COMMENT 'Keeps modes' AS
SELECT at, row_id, extract(note, '^[a-z]* to ([a-z]+)') AS mode
FROM ledger
WHERE event = 'mode' AND match(note, '^[a-z]* to [a-z]+');
