-- deals: Which deals are there now, best first?
--
-- Columns:
--   asin, title       what
--   profit            what is left when it sells at the middle sale price
--   profit_from, profit_to   the same at the low and at the high sale price
--   loss_percent      odds that it sells at a loss, percent
--   months            months that ours waits for its sale on average
--   roi_percent       profit of the all-in cost, percent
--   landed            price at the door
--   sale_price, sale_from, sale_to   the middle of what it may sell for, low and high
--   next_best, lowest_new   what competes: the cheapest other used offer, the lowest new one, at the door
--   sales             inferred sales that this rests on; n_eff: how many of today they are worth
--   condition, seller of the offer to buy
--   found_at          when the price began, UTC
--   confirmed_at      last verdict that said so, pipeline time, UTC
--   url               the page of the product at Amazon; empty where simulated
--   simulated         whether the simulated Keepa answered: nobody sells this
-- Amounts are in the currency of the marketplace.
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
    round(profit_cents / unit, 2) AS profit,
    round(profit_low_cents / unit, 2) AS profit_from,
    round(profit_high_cents / unit, 2) AS profit_to,
    round(100 * loss_chance, 1) AS loss_percent,
    months_to_sell AS months,
    roi_percent,
    round(landed_cents / unit, 2) AS landed,
    round(sale_price_cents / unit, 2) AS sale_price,
    round(sale_price_low_cents / unit, 2) AS sale_from,
    round(sale_price_high_cents / unit, 2) AS sale_to,
    round(next_best_cents / unit, 2) AS next_best,
    round(lowest_new_cents / unit, 2) AS lowest_new,
    sales,
    n_eff,
    condition,
    coalesce(arrayMax(arrayMap(s -> (s.1, s.3), arrayFilter(s -> s.2 = seller_id, sellers))).2, seller_id) AS seller,
    found_at,
    shown[indexOf(shown.1, deal)].2 AS confirmed_at,
    url,
    simulated
FROM
(
    -- as in the view deals: of each column the newest that a version said, and what competes as in the newest estimate
    SELECT
        cityHash64(domain, v.asin, price_type) AS deal,
        v.asin AS asin,
        argMax(v.title, v.row_id) AS title,
        argMax(v.profit_cents, v.row_id) AS profit_cents,
        argMax(v.roi_percent, v.row_id) AS roi_percent,
        argMax(v.landed_cents, v.row_id) AS landed_cents,
        if(domain = 5, 1, 100) AS unit, -- yen have no decimals
        argMax(v.profit_low_cents, v.row_id) AS profit_low_cents,
        argMax(v.profit_high_cents, v.row_id) AS profit_high_cents,
        argMax(v.loss_chance, v.row_id) AS loss_chance,
        argMax(v.months_to_sell, v.row_id) AS months_to_sell,
        argMax(v.sale_price_cents, v.row_id) AS sale_price_cents,
        argMax(v.sale_price_low_cents, v.row_id) AS sale_price_low_cents,
        argMax(v.sale_price_high_cents, v.row_id) AS sale_price_high_cents,
        argMaxIf(tuple(v.next_best_cents), v.row_id, isNotNull(v.decided_at)).1 AS next_best_cents,
        argMaxIf(tuple(v.lowest_new_cents), v.row_id, isNotNull(v.decided_at)).1 AS lowest_new_cents,
        argMax(v.sale_count, v.row_id) AS sales,
        argMax(v.n_eff, v.row_id) AS n_eff,
        argMax(v.condition, v.row_id) AS condition,
        argMax(v.seller_id, v.row_id) AS seller_id,
        groupArrayIf((v.row_id, v.seller_id, v.seller_name), v.seller_name != '') AS sellers, -- not every version names its own
        argMax(v.found_at, v.row_id) AS found_at,
        argMax(v.url, v.row_id) AS url,
        ifNull(argMax(v.simulated, v.row_id), false) AS simulated
    FROM deal_versions AS v
    WHERE run = 'live' AND cityHash64(domain, v.asin, price_type) IN (SELECT arrayJoin(shown.1))
    GROUP BY domain, v.asin, price_type
)
ORDER BY profit_cents DESC, asin, deal;
