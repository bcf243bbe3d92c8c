-- deal-counts: How many deals are visible, new, stale, or gone?
--
-- Counts go through the view deal_states, as the list of deals does.
--
-- Columns:
--   stored       deals ever found
--   visible      shown now
--   new          of the visible, first found since
--   stale        of the visible, marked as not confirmed in time; deal-states says why
--   expired      hidden by a later look that rejected them
--   invalid      hidden because profit is missing
--   unconfirmed  of the visible, neither decided nor confirmed since
--   profit       of the visible together, dollars
--   set_aside    hidden because you bought or ignored them
-- Parameters:
--   since  DateTime  = -7d   what is new and what is unconfirmed: from when, pipeline time, UTC
SELECT
    count() AS stored,
    countIf(hidden_because = '') AS visible,
    countIf(hidden_because = '' AND d.first_seen_at >= {since:DateTime('UTC')}) AS new,
    countIf(hidden_because = '' AND stale_because != '') AS stale,
    countIf(hidden_because NOT IN ('', 'no_profit', 'old_estimate', 'bought') AND hidden_because NOT LIKE 'ignored_%') AS expired,
    countIf(hidden_because IN ('no_profit', 'old_estimate')) AS invalid,
    countIf(hidden_because = '' AND greatest(d.last_seen_at, d.last_confirmed_at) < {since:DateTime('UTC')}) AS unconfirmed,
    round(sumIf(d.profit_cents, hidden_because = '') / 100, 2) AS profit,
    countIf(hidden_because = 'bought' OR hidden_because LIKE 'ignored_%') AS set_aside
FROM deal_states AS d;
