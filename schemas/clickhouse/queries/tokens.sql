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
    sum(c.n) AS calls,
    sum(c.size * c.n) AS items,
    sum(c.amount * c.n) AS tokens,
    round(100 * tokens / nullIf(sum(sum(c.amount * c.n)) OVER (), 0), 1) AS percent,
    if(items = 0, NULL, round(tokens / items, 2)) AS per_item
FROM
(
    SELECT stage, event, price_kind, amount, h.items AS size, toInt64(groupBitmapMerge(h.ids)) AS n
    FROM token_hours AS h
    WHERE hour >= toStartOfHour({since:DateTime('UTC')}) AND event IN ('close', 'lost', 'drift') AND amount != 0
    GROUP BY hour, stage, event, price_kind, amount, size
) AS c
GROUP BY stage, price_kind, event
ORDER BY tokens DESC, stage, price_kind, event;
