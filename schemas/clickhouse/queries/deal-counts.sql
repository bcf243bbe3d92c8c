-- deal-counts: How many deals were found, how many are visible, new, stale, or gone?
--
-- Counts go through the view deal_states, as the list of deals does. Other places that name the same sequences count
-- the same.
--
-- Columns:
--   domain       Keepa's number of the marketplace; 1 is amazon.com. Before the first deal there is one row, of zeros
--   found        of the stored, accepted by a look
--   stored       deals of which the stream DEALS has a version; a book that is found again is the same deal
--   visible      shown now
--   new          of the visible, first found since
--   stale        of the visible, marked as not confirmed in time; deal-states says why
--   expired      hidden by a later look that rejected them
--   invalid      hidden because profit is missing
--   unconfirmed  of the visible, neither decided nor confirmed since
--   profit       of the visible together, in the currency of the marketplace
--   set_aside    hidden because you bought or ignored them
--   as_of_deals, as_of_verdicts, as_of_actions   counted to these sequences of the streams; of VERDICTS the last that
--                says something about a deal
-- Parameters:
--   since  DateTime  = -7d   what is new and what is unconfirmed: from when, pipeline time, UTC
SELECT
    toUInt16(1) AS domain,
    toUInt64(0) AS found,
    toUInt64(0) AS stored,
    toUInt64(0) AS visible,
    toUInt64(0) AS new,
    toUInt64(0) AS stale,
    toUInt64(0) AS expired,
    toUInt64(0) AS invalid,
    toUInt64(0) AS unconfirmed,
    toFloat64(0) AS profit,
    toUInt64(0) AS set_aside,
    toUInt64(0) AS as_of_deals,
    bitAnd((SELECT greatest(max(confirmed_id), max(rejected_id), max(marked_id)) FROM deal_facts), 4294967295) AS as_of_verdicts,
    bitAnd((SELECT max(row_id) FROM actions), 4294967295) AS as_of_actions
WHERE (SELECT count() FROM deal_facts WHERE last_at > toDateTime64(0, 3, 'UTC')) = 0

UNION ALL

SELECT
    d.domain AS domain,
    countIf(d.last_confirmed_at > toDateTime64(0, 3, 'UTC')) AS found,
    count() AS stored,
    countIf(hidden_because = '') AS visible,
    countIf(hidden_because = '' AND d.first_seen_at >= {since:DateTime('UTC')}) AS new,
    countIf(hidden_because = '' AND stale_because != '') AS stale,
    countIf(hidden_because NOT IN ('', 'no_profit', 'old_estimate', 'bought') AND hidden_because NOT LIKE 'ignored_%') AS expired,
    countIf(hidden_because IN ('no_profit', 'old_estimate')) AS invalid,
    countIf(hidden_because = '' AND greatest(d.last_seen_at, d.last_confirmed_at) < {since:DateTime('UTC')}) AS unconfirmed,
    round(sumIf(d.profit_cents, hidden_because = '') / if(domain = 5, 1, 100), 2) AS profit,
    countIf(hidden_because = 'bought' OR hidden_because LIKE 'ignored_%') AS set_aside,
    bitAnd((SELECT max(row_id) FROM deal_versions), 4294967295) AS as_of_deals,
    bitAnd((SELECT greatest(max(confirmed_id), max(rejected_id), max(marked_id)) FROM deal_facts), 4294967295) AS as_of_verdicts,
    bitAnd((SELECT max(row_id) FROM actions), 4294967295) AS as_of_actions
FROM deal_states AS d
GROUP BY domain
ORDER BY domain;
