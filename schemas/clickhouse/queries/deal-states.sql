-- deal-states: How many of the stored deals are visible, and why are the others hidden?
--
-- Columns:
--   state            visible, or why it is hidden
--   deals            how many
--   profit           their profit together, dollars
--   newest_check     the last verdict about one of them, pipeline time, UTC
--   oldest_check     of the one that was not looked at for longest
-- Parameters: none
SELECT
    if(hidden_because = '', 'visible', hidden_because) AS state,
    count() AS deals,
    round(sum(d.profit_cents) / 100, 2) AS profit,
    max(d.last_checked_at) AS newest_check,
    min(d.last_checked_at) AS oldest_check
FROM deal_states AS d
GROUP BY state
ORDER BY state = 'visible' DESC, deals DESC, state;
