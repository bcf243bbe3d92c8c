-- Which deals are of the simulated Keepa?
--
-- Its products say so, and what is made of them says so too: nobody sells them, and they have no links. Deals that were found
-- before this column was there do not say it.
ALTER TABLE deal_versions ADD COLUMN IF NOT EXISTS simulated Nullable(Bool) COMMENT 'whether the simulated Keepa answered: nobody sells this' AFTER keepa_url;

-- deals: as in 0035_deals, with the new column.
CREATE OR REPLACE VIEW deals
COMMENT 'The newest that is known of every deal, hidden ones too. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time) and versions (how many)' AS
SELECT
    v.domain AS domain,
    v.asin AS asin,
    v.price_type AS price_type,
    argMax(v.creation_date, v.row_id) AS creation_date,
    argMax(v.url, v.row_id) AS url,
    argMax(v.keepa_url, v.row_id) AS keepa_url,
    argMax(v.simulated, v.row_id) AS simulated,
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
    argMax(v.offers_age_hours, v.row_id) AS offers_age_hours,
    argMax(v.offers_ok, v.row_id) AS offers_ok,
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
    argMax(v.sale_price_cents, v.row_id) AS sale_price_cents,
    argMax(v.sale_price_low_cents, v.row_id) AS sale_price_low_cents,
    argMax(v.sale_price_high_cents, v.row_id) AS sale_price_high_cents,
    argMax(v.breakeven_cents, v.row_id) AS breakeven_cents,
    argMax(v.loss_chance, v.row_id) AS loss_chance,
    argMax(v.n_eff, v.row_id) AS n_eff,
    argMax(v.sale_chance_6m, v.row_id) AS sale_chance_6m,
    argMax(v.months_to_sell, v.row_id) AS months_to_sell,
    argMax(v.sale_count, v.row_id) AS sale_count,
    argMax(v.sales_in_year, v.row_id) AS sales_in_year,
    argMax(v.sale_days_180, v.row_id) AS sale_days_180,
    argMaxIf(v.last_sales, v.row_id, notEmpty(v.last_sales)) AS last_sales,
    argMax(v.fall_count, v.row_id) AS fall_count,
    argMax(v.cap_cents, v.row_id) AS cap_cents,
    argMax(v.cap_by, v.row_id) AS cap_by,
    argMax(v.next_best_cents, v.row_id) AS next_best_cents,
    argMax(v.lowest_new_cents, v.row_id) AS lowest_new_cents,
    argMax(v.used_buy_box_cents, v.row_id) AS used_buy_box_cents,
    argMax(v.used_includes_shipping, v.row_id) AS used_includes_shipping,
    argMax(v.expected_value_cents, v.row_id) AS expected_value_cents,
    argMax(v.all_in_cost_cents, v.row_id) AS all_in_cost_cents,
    argMax(v.tax_cents, v.row_id) AS tax_cents,
    argMax(v.prep_cents, v.row_id) AS prep_cents,
    argMax(v.inbound_cents, v.row_id) AS inbound_cents,
    argMax(v.other_cents, v.row_id) AS other_cents,
    argMax(v.vat_cents, v.row_id) AS vat_cents,
    argMax(v.referral_cents, v.row_id) AS referral_cents,
    argMax(v.referral_percent, v.row_id) AS referral_percent,
    argMax(v.fba_fee_cents, v.row_id) AS fba_fee_cents,
    argMax(v.closing_fee_cents, v.row_id) AS closing_fee_cents,
    argMax(v.fees_assumed, v.row_id) AS fees_assumed,
    argMax(v.referral_assumed, v.row_id) AS referral_assumed,
    argMax(v.fba_fee_assumed, v.row_id) AS fba_fee_assumed,
    argMax(v.closing_fee_assumed, v.row_id) AS closing_fee_assumed,
    argMax(v.fba_fee_other_band, v.row_id) AS fba_fee_other_band,
    argMax(v.amazon_fees_cents, v.row_id) AS amazon_fees_cents,
    argMax(v.profit_cents, v.row_id) AS profit_cents,
    argMax(v.profit_low_cents, v.row_id) AS profit_low_cents,
    argMax(v.profit_high_cents, v.row_id) AS profit_high_cents,
    argMax(v.margin_percent, v.row_id) AS margin_percent,
    argMax(v.roi_percent, v.row_id) AS roi_percent,
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
    argMax(v.new_offers, v.row_id) AS new_offers,
    argMaxIf(v.market_cents, v.row_id, notEmpty(v.market_cents)) AS market_cents,
    argMaxIf(v.market_avg_cents, v.row_id, notEmpty(v.market_avg_cents)) AS market_avg_cents,
    argMax(v.amazon_selling, v.row_id) AS amazon_selling,
    argMax(v.amazon_in_stock_90_percent, v.row_id) AS amazon_in_stock_90_percent,
    argMax(v.rule_set, v.row_id) AS rule_set,
    argMax(v.extraction, v.row_id) AS extraction,
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

-- visible_deals: what the user sees.
CREATE OR REPLACE VIEW visible_deals
COMMENT 'The deals that are visible. Columns as in deal_versions, whose comments explain them; besides first_seen_at, last_seen_at (its first and last version, pipeline time), versions (how many), and last_checked_at, last_confirmed_at, stale_because as in deal_states' AS
SELECT d.*, s.last_checked_at AS last_checked_at, s.last_confirmed_at AS last_confirmed_at, s.stale_because AS stale_because
FROM deals AS d
INNER JOIN deal_states AS s ON d.domain = s.domain AND d.asin = s.asin AND d.price_type = s.price_type
WHERE s.hidden_because = '';
