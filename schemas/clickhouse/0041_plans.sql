-- Plans: with several Keepa keys, which of them paid?
--
-- The plan is the name of a key, never the key. A row of the ledger has that of the process that wrote it; rows from before
-- have the first plan's, which has no name. The sums by hour stay those of all keys together.
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS plan LowCardinality(String) COMMENT 'name of the Keepa key; empty: the first one' AFTER stage;

-- plan_spending: what was spent with which key. As the view spending, but from the rows of the ledger, because the sums do
-- not know the key: it reaches as far back as they are kept.
CREATE OR REPLACE VIEW plan_spending
(
    hour       DateTime('UTC') COMMENT 'start of the hour, pipeline time',
    plan       LowCardinality(String) COMMENT 'name of the Keepa key; main: the first one',
    stage      LowCardinality(String) COMMENT 'the stage that spent; tokend for what concerns the whole budget',
    price_kind LowCardinality(String) COMMENT 'what was bought: deals, peek, commit, seller; empty for drift',
    event      LowCardinality(String) COMMENT 'close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)',
    calls      Int64 COMMENT 'that cost tokens',
    items      Int64 COMMENT 'ASINs, rows or sellers that these calls were for',
    tokens     Int64 COMMENT 'consumed; drift is signed. Its sum is what was spent'
)
COMMENT 'What was spent with which Keepa key, by which stage, on what, hour by hour?' AS
SELECT
    toStartOfHour(at) AS hour, if(l.plan = '', 'main', l.plan) AS plan, stage, price_kind, event,
    toInt64(count()) AS calls,
    toInt64(sum(l.items)) AS items,
    sum(l.tokens) AS tokens
FROM ledger AS l FINAL
WHERE event IN ('close', 'lost', 'drift') AND l.tokens != 0
GROUP BY hour, plan, stage, price_kind, event
SETTINGS do_not_merge_across_partitions_select_final = 1;
