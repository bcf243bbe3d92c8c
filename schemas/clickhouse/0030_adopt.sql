-- Adoption: what a database that the migrations 0001 to 0029 made lacks of the baseline, which follows in 0031 to 0037.
--
-- It is applied where 0029 was, and nowhere else: a new database gets all of it from the baseline. The tables and
-- materialized views hold their rows; they get the columns of the estimate and comments. The other views are replaced by the
-- baseline. Every statement may be run again.

-- What the estimate of sale prices brought, and what went with list prices. Deals of before have none and are hidden as old_estimate
-- until they are decided again.
ALTER TABLE deal_versions
    ADD COLUMN IF NOT EXISTS offers_age_hours Nullable(Int64) COMMENT 'hours since Keepa last visited the offers, as the rules saw it' AFTER offers_updated_at,
    ADD COLUMN IF NOT EXISTS offers_ok Nullable(Bool) COMMENT 'whether Keepa says that this visit succeeded' AFTER offers_age_hours,
    ADD COLUMN IF NOT EXISTS sale_price_cents Nullable(Int64) COMMENT 'middle of what the copy may sell for' AFTER seller_unknown,
    ADD COLUMN IF NOT EXISTS sale_price_low_cents Nullable(Int64) COMMENT 'one in ten sells for less' AFTER sale_price_cents,
    ADD COLUMN IF NOT EXISTS sale_price_high_cents Nullable(Int64) COMMENT 'one in ten sells for more' AFTER sale_price_low_cents,
    ADD COLUMN IF NOT EXISTS breakeven_cents Nullable(Int64) COMMENT 'sale price that leaves nothing' AFTER sale_price_high_cents,
    ADD COLUMN IF NOT EXISTS loss_chance Nullable(Float64) COMMENT 'chance that it sells below break-even, 0 to 1' AFTER breakeven_cents,
    ADD COLUMN IF NOT EXISTS n_eff Nullable(Float64) COMMENT 'how many sales of today the known sales are worth' AFTER loss_chance,
    ADD COLUMN IF NOT EXISTS sale_chance_6m Nullable(Float64) COMMENT 'chance that ours sells within six months, 0 to 1' AFTER n_eff,
    ADD COLUMN IF NOT EXISTS months_to_sell Nullable(Float64) COMMENT 'months that ours waits for its sale on average' AFTER sale_chance_6m,
    ADD COLUMN IF NOT EXISTS sale_days_180 Nullable(Int64) COMMENT 'days of the last 180 with an inferred sale' AFTER sales_in_year,
    ADD COLUMN IF NOT EXISTS last_sales Array(Tuple(at Int64, cents Int64)) COMMENT 'the newest inferred sales, three at most, newest first: Keepa minutes and price; empty: not said' AFTER sale_days_180,
    ADD COLUMN IF NOT EXISTS fall_count Nullable(Int64) COMMENT 'how often the used count fell, sold or not' AFTER last_sales,
    ADD COLUMN IF NOT EXISTS cap_cents Nullable(Int64) COMMENT 'what caps the sale price' AFTER fall_count,
    ADD COLUMN IF NOT EXISTS cap_by LowCardinality(Nullable(String)) COMMENT 'what that is: new, amazon, buy_box or next_best' AFTER cap_cents,
    ADD COLUMN IF NOT EXISTS next_best_cents Nullable(Int64) COMMENT 'cheapest other used offer in this condition or a better one, at the door' AFTER cap_by,
    ADD COLUMN IF NOT EXISTS lowest_new_cents Nullable(Int64) COMMENT 'lowest new price at the door' AFTER next_best_cents,
    ADD COLUMN IF NOT EXISTS used_buy_box_cents Nullable(Int64) COMMENT 'used Buy Box at the door' AFTER lowest_new_cents,
    ADD COLUMN IF NOT EXISTS used_includes_shipping LowCardinality(Nullable(String)) COMMENT 'whether the used price of Keepa includes shipping: yes, no or unknown' AFTER used_buy_box_cents,
    ADD COLUMN IF NOT EXISTS profit_low_cents Nullable(Int64) COMMENT 'what is left at the low sale price' AFTER profit_cents,
    ADD COLUMN IF NOT EXISTS profit_high_cents Nullable(Int64) COMMENT 'what is left at the high sale price' AFTER profit_low_cents,
    ADD COLUMN IF NOT EXISTS inbound_cents Nullable(Int64) COMMENT 'the way to the warehouse' AFTER prep_cents,
    ADD COLUMN IF NOT EXISTS other_cents Nullable(Int64) COMMENT 'whatever else a book costs' AFTER inbound_cents,
    ADD COLUMN IF NOT EXISTS vat_cents Nullable(Int64) COMMENT 'VAT contained in the sale price' AFTER other_cents,
    ADD COLUMN IF NOT EXISTS referral_assumed Nullable(Bool) COMMENT 'whether a default stands in for the referral fee' AFTER fees_assumed,
    ADD COLUMN IF NOT EXISTS fba_fee_assumed Nullable(Bool) COMMENT 'whether a default stands in for the fulfilment fee' AFTER referral_assumed,
    ADD COLUMN IF NOT EXISTS closing_fee_assumed Nullable(Bool) COMMENT 'whether a default stands in for the closing fee' AFTER fba_fee_assumed,
    ADD COLUMN IF NOT EXISTS fba_fee_other_band Nullable(Bool) COMMENT 'whether the fulfilment fee is for another band of prices than the sale price' AFTER closing_fee_assumed,
    ADD COLUMN IF NOT EXISTS amazon_in_stock_90_percent Nullable(Int64) COMMENT 'percent of the last 90 days in which Amazon sold it' AFTER amazon_selling,
    ADD COLUMN IF NOT EXISTS extraction Nullable(Int64) COMMENT 'version of how the numbers are read off the answers' AFTER rule_set;

ALTER TABLE deal_facts
    ADD COLUMN IF NOT EXISTS newest_sale_price SimpleAggregateFunction(max, UInt128) COMMENT 'row id << 64 | sale_price_cents; 0 without one' CODEC(ZSTD(1)) AFTER newest_profit;

ALTER TABLE deal_facts_versions_mv MODIFY QUERY
SELECT
    cityHash64(v.domain, v.asin, v.price_type) AS deal, max(v.domain) AS domain, max(v.asin) AS asin, max(v.price_type) AS price_type,
    min(v.at) AS first_at, max(v.at) AS last_at,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.profit_cents)))), isNotNull(v.profit_cents)) AS newest_profit,
    maxIf(bitOr(bitShiftLeft(toUInt128(v.row_id), 64), toUInt128(toUInt64(assumeNotNull(v.sale_price_cents)))), isNotNull(v.sale_price_cents)) AS newest_sale_price
FROM deal_versions AS v
WHERE v.run = 'live'
GROUP BY deal;

ALTER TABLE deal_facts_versions_mv MODIFY COMMENT 'Keeps deal_facts, from deal_versions';

ALTER TABLE deal_facts
    DROP COLUMN IF EXISTS newest_list_price,
    DROP COLUMN IF EXISTS newest_year_average;

ALTER TABLE deal_versions
    DROP COLUMN IF EXISTS list_price_cents,
    DROP COLUMN IF EXISTS list_price_source,
    DROP COLUMN IF EXISTS list_price_capped,
    DROP COLUMN IF EXISTS uncapped_list_cents,
    DROP COLUMN IF EXISTS amazon_ceiling_cents,
    DROP COLUMN IF EXISTS suspicious_ratio,
    DROP COLUMN IF EXISTS peak_month,
    DROP COLUMN IF EXISTS trough_month,
    DROP COLUMN IF EXISTS trough_price_cents,
    DROP COLUMN IF EXISTS selling_period,
    DROP COLUMN IF EXISTS last_sale_cents,
    DROP COLUMN IF EXISTS last_sale_at,
    DROP COLUMN IF EXISTS one_year_average_cents,
    DROP COLUMN IF EXISTS percent_down,
    DROP COLUMN IF EXISTS trend,
    DROP COLUMN IF EXISTS confidence_percent,
    DROP COLUMN IF EXISTS sale_outliers,
    DROP COLUMN IF EXISTS trigger_count,
    DROP COLUMN IF EXISTS chance_of_sale,
    DROP COLUMN IF EXISTS estimated_profit_cents,
    DROP COLUMN IF EXISTS minimum_price_cents,
    DROP COLUMN IF EXISTS offers_direction30;

ALTER TABLE balance_points
    COMMENT COLUMN row_id 'of the ledger',
    COMMENT COLUMN stored_at 'when the stream stored the entry, machine time',
    COMMENT COLUMN refill_ms 'until the next refill, milliseconds',
    COMMENT COLUMN flow_red 'tokens a minute that trackings use up',
    COMMENT COLUMN stage 'the stage that got the answer',
    MODIFY COMMENT 'What each of Keepa''s answers said of the bucket; read it through the view balance';

ALTER TABLE call_days
    COMMENT COLUMN day 'pipeline time, UTC',
    COMMENT COLUMN stage 'the stage that called',
    COMMENT COLUMN price_kind 'deals, peek, commit, seller, token',
    COMMENT COLUMN ids 'row ids of the ledger; count with groupBitmapMerge',
    MODIFY COMMENT 'Histogram of Keepa''s own time for an answer, by day, stage and kind of call';

ALTER TABLE category_days
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN day 'pipeline time, UTC',
    COMMENT COLUMN root_category 'Keepa category id; 0 when unknown',
    COMMENT COLUMN outcome 'survive, accept, reject, shed, confirm, fail',
    COMMENT COLUMN reason 'reason code',
    COMMENT COLUMN ids 'row ids of verdicts; count with groupBitmapMerge',
    MODIFY COMMENT 'Sum of verdicts by day, category, outcome and reason';

ALTER TABLE clock_readings
    COMMENT COLUMN newest 'at and stored_at of the newest entry',
    MODIFY COMMENT 'Pipeline time and machine time of the newest entry; read it through the view pipeline_clock';

ALTER TABLE dead
    COMMENT COLUMN stage 'the stage that gave it up',
    COMMENT COLUMN reason 'reason code',
    COMMENT COLUMN at 'when it was given up, pipeline time',
    COMMENT COLUMN work_id 'the unit of work; empty without one',
    COMMENT COLUMN build 'the build that gave it up',
    COMMENT COLUMN error 'what went wrong',
    COMMENT COLUMN origin_stream 'the stream that the message is from',
    COMMENT COLUMN origin_sequence 'and its sequence there',
    COMMENT COLUMN origin_subject 'and its subject',
    COMMENT COLUMN deliveries 'how often it was delivered',
    COMMENT COLUMN body 'the message, as it came',
    COMMENT COLUMN stream_seq 'sequence in the stream DEAD',
    MODIFY COMMENT 'What could not be processed, why, and where does it come from? A row per message of the stream DEAD';

ALTER TABLE deal_facts
    COMMENT COLUMN domain 'Keepa domain id; 1 is amazon.com',
    COMMENT COLUMN asin 'the ASIN',
    COMMENT COLUMN price_type 'Keepa price type; 2 is used',
    COMMENT COLUMN first_at 'of its versions, pipeline time; 2200 without one',
    COMMENT COLUMN last_at 'of its versions, pipeline time; 1970 without one',
    COMMENT COLUMN confirmed_at 'the latest accept or confirm, pipeline time; 1970 without one',
    MODIFY COMMENT 'What is known of each deal that decides whether it is shown; read it through the view deal_states';

ALTER TABLE deal_marks
    COMMENT COLUMN domain 'Keepa domain id; 1 is amazon.com',
    COMMENT COLUMN asin 'the ASIN',
    COMMENT COLUMN price_type 'Keepa price type; 2 is used',
    COMMENT COLUMN newest 'reason and time of the newest mark, by row id',
    MODIFY COMMENT 'Why was a deal last marked as stale?';

ALTER TABLE deal_rejects
    COMMENT COLUMN expiry 'whether it expired, without a look',
    COMMENT COLUMN row_id 'of the verdict',
    COMMENT COLUMN at 'when it was decided, pipeline time',
    COMMENT COLUMN reason 'reason code',
    MODIFY COMMENT 'Which verdict last rejected what a deal is about? Read it through the view deal_states';

ALTER TABLE deal_versions
    COMMENT COLUMN domain 'Keepa domain id; 1 is amazon.com',
    COMMENT COLUMN asin 'the ASIN',
    COMMENT COLUMN price_type 'Keepa price type; 2 is used',
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN work_id 'the unit of work that decided it',
    COMMENT COLUMN build 'the build that decided',
    COMMENT COLUMN creation_date 'when this price began, Keepa minutes',
    COMMENT COLUMN url 'page of the product at Amazon',
    COMMENT COLUMN keepa_url 'page of the product at Keepa',
    COMMENT COLUMN title 'title of the product',
    COMMENT COLUMN author 'author',
    COMMENT COLUMN brand 'brand',
    COMMENT COLUMN manufacturer 'manufacturer',
    COMMENT COLUMN binding 'Paperback, Hardcover and so on',
    COMMENT COLUMN root_category 'Keepa category id',
    COMMENT COLUMN categories 'names of the categories from the root down; empty: not said',
    COMMENT COLUMN publication_date 'YYYYMMDD, YYYYMM or YYYY, as Keepa says it',
    COMMENT COLUMN package_weight_g 'weight of the package, grams; that of the item where it is unknown',
    COMMENT COLUMN package_length_mm 'length of the package, millimetres',
    COMMENT COLUMN package_width_mm 'width of the package, millimetres',
    COMMENT COLUMN package_height_mm 'height of the package, millimetres',
    COMMENT COLUMN price_changed_at 'last change of any price, as Keepa says',
    COMMENT COLUMN decided_at 'when this version was decided, pipeline time',
    COMMENT COLUMN landed_cents 'price of the offer to buy, at the door',
    COMMENT COLUMN price_cents 'price of the offer to buy, without shipping',
    COMMENT COLUMN shipping_cents 'shipping of the offer to buy; the default where it is unknown',
    COMMENT COLUMN shipping_known 'whether Keepa told the shipping',
    COMMENT COLUMN offer_matched 'whether a live offer carries the price; false: it is the current used price of an unknown seller',
    COMMENT COLUMN condition 'condition of the offer to buy',
    COMMENT COLUMN buy_fba 'whether Amazon ships the offer to buy',
    COMMENT COLUMN seller_id 'seller of the offer to buy',
    COMMENT COLUMN seller_name 'name of the seller',
    COMMENT COLUMN seller_rating 'positive ratings of the seller, percent',
    COMMENT COLUMN seller_rating_count 'ratings of the seller',
    COMMENT COLUMN seller_quality 'lower end of the 95 % interval of the share of positive ratings, 0 to 1',
    COMMENT COLUMN seller_unknown 'whether Keepa knows nothing of the seller',
    COMMENT COLUMN sale_count 'inferred sales of all years',
    COMMENT COLUMN sales_in_year 'inferred sales of the last year',
    COMMENT COLUMN expected_value_cents 'profit times chance of a sale within six months',
    COMMENT COLUMN all_in_cost_cents 'landed price, tax, preparation, inbound and other',
    COMMENT COLUMN tax_cents 'tax on the purchase',
    COMMENT COLUMN prep_cents 'preparation',
    COMMENT COLUMN referral_cents 'referral fee at the middle sale price',
    COMMENT COLUMN referral_percent 'referral fee, percent',
    COMMENT COLUMN fba_fee_cents 'fulfilment fee',
    COMMENT COLUMN closing_fee_cents 'closing fee of media',
    COMMENT COLUMN fees_assumed 'whether a default stands in for a fee that Keepa does not know',
    COMMENT COLUMN amazon_fees_cents 'all fees of Amazon at the middle sale price',
    COMMENT COLUMN profit_cents 'what is left at the middle sale price',
    COMMENT COLUMN margin_percent 'profit of the sale price, percent',
    COMMENT COLUMN roi_percent 'profit of the all-in cost, percent',
    COMMENT COLUMN rank 'sales rank now',
    COMMENT COLUMN rank_avg30 'mean sales rank of 30 days',
    COMMENT COLUMN rank_avg90 'mean sales rank of 90 days',
    COMMENT COLUMN rank_avg180 'mean sales rank of 180 days',
    COMMENT COLUMN rank_avg365 'mean sales rank of 365 days',
    COMMENT COLUMN rank_trend_percent 'change of the sales rank, percent',
    COMMENT COLUMN rank_drops30 'drops of the sales rank in 30 days',
    COMMENT COLUMN rank_drops90 'drops of the sales rank in 90 days',
    COMMENT COLUMN rank_drops180 'drops of the sales rank in 180 days',
    COMMENT COLUMN rank_drops365 'drops of the sales rank in 365 days',
    COMMENT COLUMN monthly_sold 'units sold a month, as Amazon says',
    COMMENT COLUMN used_offers 'used offers now',
    COMMENT COLUMN used_offers_avg30 'mean of used offers in 30 days',
    COMMENT COLUMN used_offers_avg90 'mean of used offers in 90 days',
    COMMENT COLUMN used_offers_avg180 'mean of used offers in 180 days',
    COMMENT COLUMN used_offers_avg365 'mean of used offers in 365 days',
    COMMENT COLUMN new_offers 'new offers now',
    COMMENT COLUMN market_cents 'market prices now by price type name; empty: not said',
    COMMENT COLUMN market_avg_cents 'market prices by price type name, mean of 365 days; empty: not said',
    COMMENT COLUMN amazon_selling 'whether Amazon itself sells it',
    COMMENT COLUMN rule_set 'version of the rules',
    COMMENT COLUMN tokens 'what the looks that led to it cost',
    COMMENT COLUMN response_ids 'the stored answers it rests on; empty: not said',
    COMMENT COLUMN stream_seq 'sequence in the stream DEALS',
    MODIFY COMMENT 'What was each deal, every time it was decided? A row per message of the stream DEALS; NULL: this version did not say. Money is cents';

ALTER TABLE entry_ids
    COMMENT COLUMN row_id 'row id of the first entry with this id',
    MODIFY COMMENT 'Was this entry of the ledger recorded before, under another row id?';

ALTER TABLE ledger
    COMMENT COLUMN stage 'the stage that spends, or tokend for the whole budget',
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN build 'the build that wrote it',
    COMMENT COLUMN tokens 'issue: granted; claim: reserved; close, lost: consumed; drift: signed. Do not sum: see the view spending',
    COMMENT COLUMN price_kind 'deals, peek, commit, seller, token; empty when it does not apply',
    COMMENT COLUMN claim 'id of the claim; empty without one',
    COMMENT COLUMN api_refill_ms 'until the next refill, milliseconds',
    COMMENT COLUMN api_took_ms 'processing time of the server, milliseconds',
    COMMENT COLUMN api_flow_red 'tokens a minute that trackings use up',
    COMMENT COLUMN query 'the deal query of a poll, sweep or gap, NAME@VERSION',
    COMMENT COLUMN rows_estimate 'rows of a page, a sweep or a gap; of a gap an estimate',
    COMMENT COLUMN note 'what else there is to say; of a gap its id',
    COMMENT COLUMN stream_seq 'sequence in the stream LEDGER',
    MODIFY COMMENT 'Where did every token go, and what happened to the budget? A row per message of the stream LEDGER; sum tokens through the view spending';

ALTER TABLE modes
    COMMENT COLUMN row_id 'of the ledger',
    MODIFY COMMENT 'Since when was the budget in which mode?';

ALTER TABLE run_sums
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN first_at 'its first verdict, pipeline time',
    COMMENT COLUMN last_at 'its last verdict, pipeline time',
    COMMENT COLUMN rule_sets 'versions of the rules that decided',
    COMMENT COLUMN builds 'builds that decided',
    MODIFY COMMENT 'First and last verdict, rules and builds of each run; read it through the view runs';

ALTER TABLE schema_migrations
    COMMENT COLUMN name 'file of schemas/clickhouse, without .sql',
    COMMENT COLUMN checksum 'SHA-256 of the file, hexadecimal',
    COMMENT COLUMN applied_at 'machine time',
    MODIFY COMMENT 'Which migrations were applied to this database?';

ALTER TABLE token_hours
    COMMENT COLUMN hour 'start of the hour, pipeline time',
    COMMENT COLUMN stage 'the stage that spends, or tokend for the whole budget',
    COMMENT COLUMN event 'as in ledger',
    COMMENT COLUMN price_kind 'deals, peek, commit, seller, token; empty when it does not apply',
    COMMENT COLUMN ids 'row ids of the ledger; count with groupBitmapMerge',
    MODIFY COMMENT 'Sum of the ledger by hour, stage, event and amount; read it through the views spending and token_counts';

ALTER TABLE unknown_days
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN day 'pipeline time, UTC',
    COMMENT COLUMN look 'list, glance, peek, commit',
    COMMENT COLUMN rule_id 'the rule that decided; empty when none did',
    COMMENT COLUMN input 'the input that was wanted and unknown',
    COMMENT COLUMN outcome 'survive, accept, reject, shed, confirm, fail',
    COMMENT COLUMN ids 'row ids of verdicts; count with groupBitmapMerge',
    MODIFY COMMENT 'Sum of verdicts by day and unknown input; a verdict counts once for each of its unknown inputs';

ALTER TABLE verdict_days
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN day 'pipeline time, UTC',
    COMMENT COLUMN look 'list, glance, peek, commit',
    COMMENT COLUMN outcome 'survive, accept, reject, shed, confirm, fail',
    COMMENT COLUMN reason 'reason code',
    COMMENT COLUMN rule_set 'version of the rules',
    COMMENT COLUMN heuristic 'decided by a rule that may be wrong',
    COMMENT COLUMN ids 'row ids of verdicts; count with groupBitmapMerge',
    MODIFY COMMENT 'Sum of verdicts by day, look, outcome, reason and rule set';

ALTER TABLE verdict_hours
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN hour 'start of the hour, pipeline time',
    COMMENT COLUMN look 'list, glance, peek, commit',
    COMMENT COLUMN outcome 'survive, accept, reject, shed, confirm, fail',
    COMMENT COLUMN reason 'reason code',
    COMMENT COLUMN source 'live, gap, backfill, refresh, repair, retry',
    COMMENT COLUMN tier 'a, b, c of expected value; empty before a peek',
    COMMENT COLUMN root_category 'Keepa category id; 0 when unknown',
    COMMENT COLUMN rule_set 'version of the rules',
    COMMENT COLUMN heuristic 'decided by a rule that may be wrong',
    COMMENT COLUMN tokens 'the price of one look',
    COMMENT COLUMN ids 'row ids of verdicts; count with groupBitmapMerge',
    MODIFY COMMENT 'Sum of verdicts by hour and by everything that is counted; read it through the view verdict_counts';

ALTER TABLE verdict_ids
    COMMENT COLUMN row_id 'row id of the first verdict with this id',
    COMMENT COLUMN stored_at 'the last of the month in which a message of it was stored last, machine time',
    MODIFY COMMENT 'Was this verdict recorded before, under another row id?';

ALTER TABLE verdicts
    COMMENT COLUMN build 'the build that decided',
    COMMENT COLUMN domain 'Keepa domain id; 1 is amazon.com',
    COMMENT COLUMN asin 'the ASIN of the candidate',
    COMMENT COLUMN price_type 'Keepa price type; 2 is used',
    COMMENT COLUMN rule_set 'version of the rules',
    COMMENT COLUMN queries 'the deal queries that named the candidate, NAME@VERSION',
    COMMENT COLUMN expected_value_cents 'profit times chance of sale, as the peek saw it; NULL before a peek',
    COMMENT COLUMN profit_cents 'profit as this look saw it; NULL when unknown',
    COMMENT COLUMN title 'title of the product; empty when unknown',
    COMMENT COLUMN deal 'JSON: the deal, on accept; otherwise empty',
    COMMENT COLUMN stream_seq 'sequence in the stream VERDICTS',
    MODIFY COMMENT 'What did each look decide about each candidate, why, and on what numbers? A row per message of the stream VERDICTS';

ALTER TABLE wait_days
    COMMENT COLUMN run 'live, or the name of a replay',
    COMMENT COLUMN day 'of the verdict, pipeline time, UTC',
    COMMENT COLUMN look 'list, glance, peek, commit',
    COMMENT COLUMN source 'live, gap, backfill, refresh, repair, retry',
    COMMENT COLUMN ids 'row ids of verdicts; count with groupBitmapMerge',
    MODIFY COMMENT 'Histogram of the time from being listed to the verdict, by day, look and source';

ALTER TABLE work_days
    COMMENT COLUMN day 'pipeline time, UTC',
    COMMENT COLUMN calls 'row ids of the ledger: paid calls',
    COMMENT COLUMN decisions 'row ids of verdicts: decisions',
    MODIFY COMMENT 'How many paid calls and decisions had each day? Count with groupBitmapMerge';

ALTER TABLE work_slots
    COMMENT COLUMN slot 'start of the five minutes, pipeline time',
    COMMENT COLUMN first_call '4 x ms of the first paid call + the stage that paid: 1 peeker, 2 committer, 3 watermarker',
    COMMENT COLUMN last_decision '1 + ms of the last decision; 0 for none',
    COMMENT COLUMN first_survivor 'ms of the first survivor',
    COMMENT COLUMN last_survivor '1 + ms of the last survivor; 0 for none',
    MODIFY COMMENT 'When was something paid for, decided, or found worth paying for? Five minutes a row; ask the question stalls';

ALTER TABLE balance_points_mv MODIFY COMMENT 'Keeps balance_points';
ALTER TABLE call_days_mv MODIFY COMMENT 'Keeps call_days';
ALTER TABLE category_days_mv MODIFY COMMENT 'Keeps category_days';
ALTER TABLE clock_readings_mv MODIFY COMMENT 'Keeps clock_readings';
ALTER TABLE deal_facts_verdicts_mv MODIFY COMMENT 'Keeps deal_facts, from verdicts';
ALTER TABLE deal_marks_mv MODIFY COMMENT 'Keeps deal_marks';
ALTER TABLE deal_rejects_mv MODIFY COMMENT 'Keeps deal_rejects';
ALTER TABLE entry_ids_mv MODIFY COMMENT 'Keeps entry_ids';
ALTER TABLE modes_mv MODIFY COMMENT 'Keeps modes';
ALTER TABLE run_sums_mv MODIFY COMMENT 'Keeps run_sums';
ALTER TABLE token_hours_mv MODIFY COMMENT 'Keeps token_hours';
ALTER TABLE unknown_days_mv MODIFY COMMENT 'Keeps unknown_days';
ALTER TABLE verdict_days_mv MODIFY COMMENT 'Keeps verdict_days';
ALTER TABLE verdict_hours_mv MODIFY COMMENT 'Keeps verdict_hours';
ALTER TABLE verdict_ids_mv MODIFY COMMENT 'Keeps verdict_ids';
ALTER TABLE wait_days_mv MODIFY COMMENT 'Keeps wait_days';
ALTER TABLE work_days_ledger_mv MODIFY COMMENT 'Keeps work_days, from the ledger';
ALTER TABLE work_days_verdicts_mv MODIFY COMMENT 'Keeps work_days, from verdicts';
ALTER TABLE work_slots_ledger_mv MODIFY COMMENT 'Keeps work_slots, from the ledger';
ALTER TABLE work_slots_verdicts_mv MODIFY COMMENT 'Keeps work_slots, from verdicts';
