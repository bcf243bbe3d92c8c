-- fill: what did the sums miss that was stored before they were there?
--
-- A view sees only what is inserted after it was made. A database that an early build left has rows older than the sums
-- over them; this adds them. Sets, maxima and newest values do not change when what they have is added again, so on every
-- other database it changes nothing, and it may run twice. Spilling bounds its memory.
INSERT INTO verdict_hours
SELECT
    run, toStartOfHour(at) AS hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens,
    groupBitmapState(row_id)
FROM verdicts
GROUP BY run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, tokens
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;

INSERT INTO asin_checks
SELECT
    domain, asin, price_type, max(at), maxIf(at, outcome IN ('accept', 'confirm')),
    argMaxState((toString(outcome), toString(reason), toString(look)), row_id)
FROM verdicts
WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm')
GROUP BY domain, asin, price_type
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;

INSERT INTO token_hours
SELECT toStartOfHour(at) AS hour, stage, event, price_kind, tokens AS amount, items, groupBitmapState(row_id)
FROM ledger
GROUP BY hour, stage, event, price_kind, amount, items
SETTINGS async_insert = 0, max_bytes_before_external_group_by = 200000000;

INSERT INTO balance_points
SELECT at, row_id, stored_at, assumeNotNull(api_left), ifNull(api_rate, 0), ifNull(api_refill_ms, 0), ifNull(api_flow_red, 0), stage
FROM ledger
WHERE api_left IS NOT NULL
SETTINGS async_insert = 0;

INSERT INTO run_sums
SELECT run, min(at), max(at), groupUniqArray(toString(rule_set)), groupUniqArray(toString(build))
FROM verdicts
GROUP BY run
SETTINGS async_insert = 0;

INSERT INTO clock_readings
SELECT argMaxState((at, stored_at), row_id)
FROM ledger
HAVING count() > 0
SETTINGS async_insert = 0;
