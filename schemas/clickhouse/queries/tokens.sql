-- tokens: Where did the tokens go?
--
-- Columns:
--   stage       who spent; tokend for what concerns the whole budget
--   price_kind  what was bought: deals, peek, commit, seller
--   event       close (consumed by an answered call), lost (the caller died), drift (spent by nobody we know)
--   calls       that cost tokens; a claim that was given back unused is none
--   items       ASINs, rows or sellers that these calls were for
--   tokens      consumed; drift is signed
--   percent     of all that was consumed, percent
--   per_item    tokens / items; empty without items
-- Parameters:
--   since  DateTime  = -7d  from the start of which hour, pipeline time, UTC
SELECT
    stage, price_kind, event,
    sum(s.calls) AS calls,
    sum(s.items) AS items,
    sum(s.tokens) AS tokens,
    round(100 * tokens / nullIf(sum(sum(s.tokens)) OVER (), 0), 1) AS percent,
    if(items = 0, NULL, round(tokens / items, 2)) AS per_item
FROM spending AS s
WHERE hour >= toStartOfHour({since:DateTime('UTC')})
GROUP BY stage, price_kind, event
ORDER BY tokens DESC, stage, price_kind, event;
