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
--   confidence        sales of the offers that vanished, percent
--   condition, seller of the offer to buy
--   found_at          when the price began, UTC
--   confirmed_at      last verdict that said so, pipeline time, UTC
--   url               the offer's page
-- Parameters:
--   since  DateTime  = -60d  decided or confirmed since, pipeline time, UTC
--   limit  UInt32    = 100   rows at most
WITH
    (
        -- first which, by three numbers of every deal; then what is shown of those
        SELECT groupArray((deal, confirmed_at))
        FROM
        (
            SELECT deal, greatest(last_confirmed_at, last_seen_at) AS confirmed_at
            FROM deal_states
            WHERE hidden_because = '' AND confirmed_at >= {since:DateTime('UTC')}
            ORDER BY profit_cents DESC, deal
            LIMIT {limit:UInt32}
        )
    ) AS shown
SELECT
    asin, title,
    round(profit_cents / 100, 2) AS profit,
    roi_percent,
    round(landed_cents / 100, 2) AS landed,
    round(list_price_cents / 100, 2) AS list_price,
    round(one_year_average_cents / 100, 2) AS year_average,
    sales,
    confidence,
    condition,
    seller,
    found_at,
    shown[indexOf(shown.1, deal)].2 AS confirmed_at,
    url
FROM
(
    -- as in the view deals: of each column the newest that a version said
    SELECT
        cityHash64(domain, v.asin, price_type) AS deal,
        v.asin AS asin,
        argMax(v.title, v.row_id) AS title,
        argMax(v.profit_cents, v.row_id) AS profit_cents,
        argMax(v.roi_percent, v.row_id) AS roi_percent,
        argMax(v.landed_cents, v.row_id) AS landed_cents,
        argMax(v.list_price_cents, v.row_id) AS list_price_cents,
        argMax(v.one_year_average_cents, v.row_id) AS one_year_average_cents,
        argMax(v.sale_count, v.row_id) AS sales,
        argMax(v.confidence_percent, v.row_id) AS confidence,
        argMax(v.condition, v.row_id) AS condition,
        argMaxIf(coalesce(v.seller_name, v.seller_id), v.row_id, v.seller_id IS NOT NULL) AS seller,
        argMax(v.found_at, v.row_id) AS found_at,
        argMax(v.url, v.row_id) AS url
    FROM deal_versions AS v
    WHERE run = 'live' AND cityHash64(domain, v.asin, price_type) IN (SELECT arrayJoin(shown.1))
    GROUP BY domain, v.asin, price_type
)
ORDER BY profit_cents DESC, asin, deal;
