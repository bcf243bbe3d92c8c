-- deal-states: How many of the stored deals are visible, which are stale, and why are the others hidden?
--
-- Columns:
--   domain           Keepa's number of the marketplace; 1 is amazon.com
--   state            visible, why it is stale (still visible), or why it is hidden
--   shown            whether users see it
--   deals            how many
--   profit           their profit together, in the currency of the marketplace
--   newest_check     the last verdict about one of them, pipeline time, UTC
--   oldest_check     of the one that was not looked at for longest
--   oldest_confirmed of the one that was not found to be a deal for longest
-- Parameters: none
SELECT
    d.domain AS domain,
    multiIf(hidden_because != '', hidden_because, stale_because != '', stale_because, 'visible') AS state,
    hidden_because = '' AS shown,
    count() AS deals,
    round(sum(d.profit_cents) / if(domain = 5, 1, 100), 2) AS profit,
    max(d.last_checked_at) AS newest_check,
    min(d.last_checked_at) AS oldest_check,
    min(d.last_confirmed_at) AS oldest_confirmed
FROM deal_states AS d
GROUP BY domain, state, shown
ORDER BY domain, state = 'visible' DESC, shown DESC, deals DESC, state;
