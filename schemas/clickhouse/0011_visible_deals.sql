-- deals: what is the newest that is known of every deal?
--
-- Column by column the newest version that said something: argMax passes over NULL, so a refresh that measured only
-- the price leaves the rest as it was. What describes the seller is taken only from versions with the seller that is
-- shown. Versions are compared by their place in the stream, so neither order nor repetition of inserts matters.
CREATE OR REPLACE VIEW deals AS
SELECT
    v.domain AS domain,
    v.asin AS asin,
    v.price_type AS price_type,
    argMax(v.creation_date, v.row_id) AS creation_date,
    argMax(v.url, v.row_id) AS url,
    argMax(v.keepa_url, v.row_id) AS keepa_url,
    argMax(v.title, v.row_id) AS title,
    argMax(v.author, v.row_id) AS author,
    argMax(v.brand, v.row_id) AS brand,
    argMax(v.manufacturer, v.row_id) AS manufacturer,
    argMax(v.binding, v.row_id) AS binding,
    argMax(v.root_category, v.row_id) AS root_category,
    argMaxIf(v.categories, v.row_id, notEmpty(v.categories)) AS categories,
    argMax(v.publication_date, v.row_id) AS publication_date,
    argMax(v.package_weight_g, v.row_id) AS package_weight_g,
    argMax(v.package_length_mm, v.row_id) AS package_length_mm,
    argMax(v.package_width_mm, v.row_id) AS package_width_mm,
    argMax(v.package_height_mm, v.row_id) AS package_height_mm,
    argMax(v.found_at, v.row_id) AS found_at,
    argMax(v.updated_at, v.row_id) AS updated_at,
    argMax(v.offers_updated_at, v.row_id) AS offers_updated_at,
    argMax(v.price_changed_at, v.row_id) AS price_changed_at,
    argMax(v.decided_at, v.row_id) AS decided_at,
    argMax(v.landed_cents, v.row_id) AS landed_cents,
    argMax(v.price_cents, v.row_id) AS price_cents,
    argMax(v.shipping_cents, v.row_id) AS shipping_cents,
    argMax(v.shipping_known, v.row_id) AS shipping_known,
    argMax(v.offer_matched, v.row_id) AS offer_matched,
    argMax(v.condition, v.row_id) AS condition,
    argMax(v.buy_fba, v.row_id) AS buy_fba,
    any(s.seller_id) AS seller_id,
    argMaxIf(v.seller_name, v.row_id, v.seller_id = s.seller_id) AS seller_name,
    argMaxIf(v.seller_rating, v.row_id, v.seller_id = s.seller_id) AS seller_rating,
    argMaxIf(v.seller_rating_count, v.row_id, v.seller_id = s.seller_id) AS seller_rating_count,
    argMaxIf(v.seller_quality, v.row_id, v.seller_id = s.seller_id) AS seller_quality,
    argMax(v.seller_unknown, v.row_id) AS seller_unknown,
    argMax(v.list_price_cents, v.row_id) AS list_price_cents,
    argMax(v.list_price_source, v.row_id) AS list_price_source,
    argMax(v.list_price_capped, v.row_id) AS list_price_capped,
    argMax(v.uncapped_list_cents, v.row_id) AS uncapped_list_cents,
    argMax(v.amazon_ceiling_cents, v.row_id) AS amazon_ceiling_cents,
    argMax(v.suspicious_ratio, v.row_id) AS suspicious_ratio,
    argMax(v.peak_month, v.row_id) AS peak_month,
    argMax(v.trough_month, v.row_id) AS trough_month,
    argMax(v.trough_price_cents, v.row_id) AS trough_price_cents,
    argMax(v.selling_period, v.row_id) AS selling_period,
    argMax(v.last_sale_cents, v.row_id) AS last_sale_cents,
    argMax(v.last_sale_at, v.row_id) AS last_sale_at,
    argMax(v.one_year_average_cents, v.row_id) AS one_year_average_cents,
    argMax(v.percent_down, v.row_id) AS percent_down,
    argMax(v.trend, v.row_id) AS trend,
    argMax(v.confidence_percent, v.row_id) AS confidence_percent,
    argMax(v.sale_count, v.row_id) AS sale_count,
    argMax(v.sales_in_year, v.row_id) AS sales_in_year,
    argMax(v.sale_outliers, v.row_id) AS sale_outliers,
    argMax(v.trigger_count, v.row_id) AS trigger_count,
    argMax(v.expected_value_cents, v.row_id) AS expected_value_cents,
    argMax(v.chance_of_sale, v.row_id) AS chance_of_sale,
    argMax(v.estimated_profit_cents, v.row_id) AS estimated_profit_cents,
    argMax(v.all_in_cost_cents, v.row_id) AS all_in_cost_cents,
    argMax(v.tax_cents, v.row_id) AS tax_cents,
    argMax(v.prep_cents, v.row_id) AS prep_cents,
    argMax(v.referral_cents, v.row_id) AS referral_cents,
    argMax(v.referral_percent, v.row_id) AS referral_percent,
    argMax(v.fba_fee_cents, v.row_id) AS fba_fee_cents,
    argMax(v.closing_fee_cents, v.row_id) AS closing_fee_cents,
    argMax(v.fees_assumed, v.row_id) AS fees_assumed,
    argMax(v.amazon_fees_cents, v.row_id) AS amazon_fees_cents,
    argMax(v.profit_cents, v.row_id) AS profit_cents,
    argMax(v.margin_percent, v.row_id) AS margin_percent,
    argMax(v.roi_percent, v.row_id) AS roi_percent,
    argMax(v.minimum_price_cents, v.row_id) AS minimum_price_cents,
    argMax(v.rank, v.row_id) AS rank,
    argMax(v.rank_avg30, v.row_id) AS rank_avg30,
    argMax(v.rank_avg90, v.row_id) AS rank_avg90,
    argMax(v.rank_avg180, v.row_id) AS rank_avg180,
    argMax(v.rank_avg365, v.row_id) AS rank_avg365,
    argMax(v.rank_trend_percent, v.row_id) AS rank_trend_percent,
    argMax(v.rank_drops30, v.row_id) AS rank_drops30,
    argMax(v.rank_drops90, v.row_id) AS rank_drops90,
    argMax(v.rank_drops180, v.row_id) AS rank_drops180,
    argMax(v.rank_drops365, v.row_id) AS rank_drops365,
    argMax(v.monthly_sold, v.row_id) AS monthly_sold,
    argMax(v.used_offers, v.row_id) AS used_offers,
    argMax(v.used_offers_avg30, v.row_id) AS used_offers_avg30,
    argMax(v.used_offers_avg90, v.row_id) AS used_offers_avg90,
    argMax(v.used_offers_avg180, v.row_id) AS used_offers_avg180,
    argMax(v.used_offers_avg365, v.row_id) AS used_offers_avg365,
    argMax(v.offers_direction30, v.row_id) AS offers_direction30,
    argMax(v.new_offers, v.row_id) AS new_offers,
    argMaxIf(v.market_cents, v.row_id, notEmpty(v.market_cents)) AS market_cents,
    argMaxIf(v.market_avg_cents, v.row_id, notEmpty(v.market_avg_cents)) AS market_avg_cents,
    argMax(v.amazon_selling, v.row_id) AS amazon_selling,
    argMax(v.rule_set, v.row_id) AS rule_set,
    argMax(v.tokens, v.row_id) AS tokens,
    argMaxIf(v.response_ids, v.row_id, notEmpty(v.response_ids)) AS response_ids,
    argMax(v.work_id, v.row_id) AS work_id,
    argMax(v.message, v.row_id) AS message,
    min(v.at) AS first_seen_at,
    max(v.at) AS last_seen_at,
    uniqExact(v.row_id) AS versions
FROM deal_versions AS v
LEFT JOIN
(
    SELECT domain, asin, price_type, argMax(seller_id, row_id) AS seller_id
    FROM deal_versions
    WHERE run = 'live'
    GROUP BY domain, asin, price_type
) AS s ON v.domain = s.domain AND v.asin = s.asin AND v.price_type = s.price_type
WHERE v.run = 'live'
GROUP BY v.domain, v.asin, v.price_type;

-- deal_states: every deal with what was last decided about it and, when it is hidden, why.
--
-- THE definition of what is visible: lists, counts, status and diagnostics all go through it. hidden_because is empty
-- for a visible deal. A look that rejected the ASIN after the deal hides it under the reject's reason; expiry is such
-- a reject. A shed or failed look hides nothing.
CREATE OR REPLACE VIEW deal_states AS
SELECT
    d.*,
    c.checked_at AS last_checked_at,
    c.confirmed_at AS last_confirmed_at,
    multiIf(
        d.profit_cents IS NULL OR d.profit_cents <= 0, 'no_profit',
        d.list_price_cents IS NULL OR d.list_price_cents <= 0, 'no_list_price',
        d.one_year_average_cents IS NULL OR d.one_year_average_cents <= 0, 'no_one_year_average',
        c.outcome = 'reject', c.reason,
        '') AS hidden_because
FROM deals AS d
LEFT JOIN
(
    SELECT
        domain, asin, price_type,
        max(a.checked_at) AS checked_at,
        max(a.confirmed_at) AS confirmed_at,
        argMaxMerge(a.newest) AS last,
        last.1 AS outcome,
        last.2 AS reason
    FROM asin_checks AS a
    WHERE (domain, asin, price_type) IN (SELECT domain, asin, price_type FROM deal_versions)
    GROUP BY domain, asin, price_type
) AS c ON d.domain = c.domain AND d.asin = c.asin AND d.price_type = c.price_type;

-- visible_deals: what the user sees.
CREATE OR REPLACE VIEW visible_deals AS
SELECT * EXCEPT (hidden_because)
FROM deal_states
WHERE hidden_because = '';
