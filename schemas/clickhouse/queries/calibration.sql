-- calibration: Does a candidate earn what its expected value promised, and does a copy sell for what was predicted?
--
-- The commit's verdicts, by what was expected of them beforehand. Well calibrated, earned_each follows expected_each
-- and accept_percent rises from band to band. Beside them what you sold (`ratchet sold`), in the band of what was
-- expected when you bought it: sold_each follows predicted_each, and about 80 percent lies within the predicted range.
-- What was predicted is that of the last version of the deal before you recorded the purchase, or without a purchase
-- before you recorded the sale.
--
-- Columns:
--   domain          Keepa's number of the marketplace; 1 is amazon.com
--   band            expected value: 5 is from 5 to below 10, 0 all below 5, in yen a hundred times that; empty where
--                   none was computed
--   verdicts        of the commit
--   accepted        of them, became deals
--   accept_percent  accepted of verdicts, percent
--   expected_each   mean expected value
--   earned_each     mean profit, with 0 for what was not accepted
--   ratio           earned_each / expected_each; 1 is right, below 1 promises too much
--   tokens          what the commits cost
--   sold            copies that you sold and that were a deal; whatever the run
--   predicted_each  mean predicted sale price of these; empty without one
--   sold_each       mean price that they brought; empty without one
--   within_percent  of these, brought a price from the low to the high prediction, percent; empty without one
-- Amounts are in the currency of the marketplace.
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    domain,
    band,
    sum(n) AS verdicts,
    sum(yes) AS accepted,
    round(100 * accepted / nullIf(verdicts, 0), 1) AS accept_percent,
    round(sum(expected_sum) / nullIf(verdicts, 0) / unit, 2) AS expected_each,
    round(sum(earned_sum) / nullIf(verdicts, 0) / unit, 2) AS earned_each,
    round(earned_each / nullIf(expected_each, 0), 2) AS ratio,
    sum(paid) AS tokens,
    sum(copies) AS sold,
    round(sum(predicted_sum) / nullIf(sold, 0) / unit, 2) AS predicted_each,
    round(sum(got_sum) / nullIf(sold, 0) / unit, 2) AS sold_each,
    round(100 * sum(within) / nullIf(sold, 0), 1) AS within_percent
FROM
(
    SELECT
        domain,
        if(domain = 5, 1, 100) AS unit, -- yen have no decimals
        if(expected_value_cents IS NULL, NULL, intDiv(500, unit) * intDiv(greatest(0, assumeNotNull(expected_value_cents)), 500)) AS band,
        count() AS n,
        countIf(outcome = 'accept') AS yes,
        sum(v.expected_value_cents) AS expected_sum,
        sum(if(outcome = 'accept', ifNull(profit_cents, 0), 0)) AS earned_sum,
        sum(v.tokens) AS paid,
        toUInt64(0) AS copies, toInt64(0) AS predicted_sum, toInt64(0) AS got_sum, toUInt64(0) AS within
    FROM verdicts AS v FINAL
    WHERE run = {run:String} AND look = 'commit' AND at >= {since:DateTime('UTC')} AND outcome IN ('accept', 'reject')
    GROUP BY domain, band

    UNION ALL

    SELECT
        domain,
        if(domain = 5, 1, 100) AS unit,
        if(expected IS NULL, NULL, intDiv(500, unit) * intDiv(greatest(0, assumeNotNull(expected)), 500)) AS band,
        0, 0, NULL, 0, 0,
        count(), sum(assumeNotNull(predicted)), sum(got), countIf(got BETWEEN low AND high)
    FROM
    (
        SELECT
            s.row_id AS row_id,
            any(s.domain) AS domain,
            any(assumeNotNull(s.price_cents)) AS got,
            argMax(v.sale_price_cents, v.row_id) AS predicted,
            argMax(v.sale_price_low_cents, v.row_id) AS low,
            argMax(v.sale_price_high_cents, v.row_id) AS high,
            argMax(v.expected_value_cents, v.row_id) AS expected
        FROM
        (
            SELECT domain, asin, sale.1 AS row_id, sale.2 AS price_cents, if(bought_at > toDateTime64(0, 3, 'UTC'), bought_at, sale.3) AS known_at
            FROM
            (
                SELECT domain, value AS asin, maxIf(d.at, d.action = 'buy') AS bought_at, groupArrayIf((d.row_id, d.price_cents, d.at), d.action = 'sold') AS sales
                FROM actions_standing AS d
                GROUP BY domain, asin
            )
            ARRAY JOIN sales AS sale
            WHERE sale.3 >= {since:DateTime('UTC')}
        ) AS s
        INNER JOIN deal_versions AS v ON s.domain = v.domain AND s.asin = v.asin
        WHERE v.run = 'live' AND v.at <= s.known_at AND v.sale_price_cents IS NOT NULL
            AND v.asin IN (SELECT value FROM actions WHERE action = 'sold') -- the join alone reads every version
        GROUP BY s.row_id
    )
    GROUP BY domain, band
)
GROUP BY domain, unit, band
ORDER BY domain, band NULLS LAST
SETTINGS do_not_merge_across_partitions_select_final = 1;
