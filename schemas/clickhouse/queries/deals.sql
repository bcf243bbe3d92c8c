-- deals: Which deals are there now, best first?
--
-- Columns:
--   asin, title       what
--   profit            what is left when it sells at the list price, dollars
--   roi_percent       profit of the all-in cost, percent
--   landed            price at the door, dollars
--   list_price        price to list it at, dollars
--   year_average      mean of the last year's inferred sales, dollars
--   sales             inferred sales that this rests on
--   confidence        how regular they are, percent
--   condition, seller of the offer to buy
--   found_at          when the price began, UTC
--   confirmed_at      last verdict that said so, pipeline time, UTC
--   url               the offer's page
-- Parameters:
--   since  DateTime  = -60d  decided or confirmed since, pipeline time, UTC
--   limit  UInt32    = 100   rows at most
SELECT
    asin, title,
    round(profit_cents / 100, 2) AS profit,
    roi_percent,
    round(landed_cents / 100, 2) AS landed,
    round(list_price_cents / 100, 2) AS list_price,
    round(one_year_average_cents / 100, 2) AS year_average,
    sale_count AS sales,
    confidence_percent AS confidence,
    condition,
    coalesce(seller_name, seller_id) AS seller,
    found_at,
    greatest(last_confirmed_at, last_seen_at) AS confirmed_at,
    url
FROM visible_deals
WHERE confirmed_at >= {since:DateTime('UTC')}
ORDER BY profit_cents DESC, asin
LIMIT {limit:UInt32};
