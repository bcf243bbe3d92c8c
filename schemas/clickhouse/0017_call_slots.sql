-- call_slots: when was something paid for, and what waited for it?
--
-- Five minutes at a time: the first and last paid call, what Keepa said with the last, and since when the candidate of
-- the first paid verdict had been listed. A stall is longer than a slot, so between slots nothing is lost. First, last and
-- the value beside them do not change when a row is inserted again. Two tables, since they come from two streams; the
-- key is the slot, because the question walks through time.
CREATE TABLE IF NOT EXISTS call_slots
(
    slot     DateTime('UTC'),
    first_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_at  SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    first    AggregateFunction(argMin, String, Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'the stage of the first call',
    last     AggregateFunction(argMax, Tuple(Nullable(Int32), Nullable(Int32)), Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'balance and rate of the last call'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS call_slots_mv TO call_slots AS
SELECT
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS slot,
    min(l.at) AS first_at,
    max(l.at) AS last_at,
    argMinState(toString(l.stage), (l.at, l.row_id)) AS first,
    argMaxState((l.api_left, l.api_rate), (l.at, l.row_id)) AS last
FROM ledger AS l
WHERE l.event = 'close' AND l.tokens > 0
GROUP BY slot;

INSERT INTO call_slots
SELECT
    toStartOfFiveMinutes(toDateTime(l.at, 'UTC')) AS slot,
    min(l.at), max(l.at),
    argMinState(toString(l.stage), (l.at, l.row_id)),
    argMaxState((l.api_left, l.api_rate), (l.at, l.row_id))
FROM ledger AS l
WHERE l.event = 'close' AND l.tokens > 0
GROUP BY slot
SETTINGS async_insert = 0;

CREATE TABLE IF NOT EXISTS paid_slots
(
    slot      DateTime('UTC'),
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    listed    AggregateFunction(argMin, DateTime64(3, 'UTC'), Tuple(DateTime64(3, 'UTC'), UInt64)) COMMENT 'when the candidate of the first paid verdict was listed'
)
ENGINE = AggregatingMergeTree
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS paid_slots_mv TO paid_slots AS
SELECT
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS slot,
    min(v.at) AS first_at,
    argMinState(assumeNotNull(v.listed_at), (v.at, v.row_id)) AS listed
FROM verdicts AS v
WHERE v.run = 'live' AND v.tokens > 0 AND v.listed_at IS NOT NULL
GROUP BY slot;

INSERT INTO paid_slots
SELECT
    toStartOfFiveMinutes(toDateTime(v.at, 'UTC')) AS slot,
    min(v.at), argMinState(assumeNotNull(v.listed_at), (v.at, v.row_id))
FROM verdicts AS v
WHERE v.run = 'live' AND v.tokens > 0 AND v.listed_at IS NOT NULL
GROUP BY slot
SETTINGS async_insert = 0;
