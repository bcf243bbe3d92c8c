// Package deal is the economics of buying a used book from one marketplace seller and selling it on Amazon:
// what a copy costs, what it may sell for, what profit is left, and how certain that is.
//
// Everything is a function of decoded Keepa data, settings and an instant. Money is in the smallest unit of the
// marketplace's currency. What is unknown is absent and never counted as zero; where a default is used
// (shipping, fees), the result says so.
//
// Four views of the same arithmetic exist:
//
//   - OfRow bounds, from the deal list's row, what the commit could find at best, and guesses what it is worth.
//   - OfProduct adds the histories. Its outcome is a bound: a copy in the best condition at the used price with
//     free shipping, and no competing used offer.
//   - OfOffers and With add the copies that can be bought, one at a time, and what competes with them.
//   - Walk looks at a past instant as if the rest had not happened yet, for backtests.
//
// On one answer and instant the bound holds: the commit never finds a higher profit or lower odds of a loss than
// the peek said, and both agree on what no copy changes (n_eff, sale_chance_6m, months_to_sell).
//
// # Formulas
//
// Each has its worked example in a test. The source is where a figure comes from: Keepa states it, Amazon charges it,
// statistics define it, or it was measured on captured histories (16 used books, 1,427 book-months, 2012 to 2025).
//
//	what                formula                                                               source
//	sale                the used count falls at t, is not back within 24 h, and the rank      measured
//	                    falls below 0.9 × the rank before it within [t − 6 h, t + 24 h];
//	                    each fall takes the earliest jump, each jump confirms one fall
//	price of a sale     the used price in force strictly before t + ship credit               measured
//	ship credit         399; none where Keepa's used price includes shipping                  Keepa; per commit
//	weight of a sale    0.5^(age / 180 days), none beyond 1,095 days                          measured
//	n_eff               the sum of these weights
//	asking points       mean A of used + credit over 180 days: A·exp(0.5 z) for z of          measured
//	                    −1.28, −0.52, 0, 0.52, 1.28, weighing 1 together
//	condition           like new 1.10, very good 1.05, good 1.00, acceptable 0.92;            measured
//	                    1.10 while the copy is unknown
//	cap                 the least of: lowest new landed, Amazon, and at the commit the        reseller
//	                    Buy Box of the last 90 days and the next-best used offer (of any
//	                    condition for a copy of no offer)
//	sale price          F(x) = Σ w Φ((ln x − ln min(k p, cap)) / 0.3) / Σ w;                  measured
//	                    the middle is its median, low and high its 0.1 and 0.9 quantiles
//	all-in cost         landed + tax of 5 % + preparation 275 + inbound 50 + other            reseller
//	Amazon's fees       referral percentage of the price net of VAT + pick and pack +         Amazon, from Keepa
//	                    closing fee; 15 %, 550 and 180 (media) where Keepa knows none;
//	                    never below Amazon's floors
//	break-even          (all-in cost + fixed fees) × (1 + VAT) / (1 − referral)
//	profit              sale price net of VAT − all-in cost − Amazon's fees
//	loss_chance         F(break-even)
//	per month           0.4 × (sales of the last 365 days + 0.5) / 12                         measured
//	sale_chance_6m      1 − exp(−6 × per month)                                               Poisson
//	months_to_sell      1 / per month
//	expected value      profit × sale_chance_6m, never below zero; of a row what a            ours
//	                    further look may gain
//	seller quality      lower end of the 95 % Wilson interval of positive ratings             Wilson 1927
//
// # Limits
//
// Sales are inferred. What is asked is taken for what is paid; there are no returns, no storage fees, no
// repricing, and no effect of our own offer on the price. What competes with a copy of no offer in its own condition is
// unknown: Keepa's statistics have only the lowest price of each. `ratchet backtest` holds the estimate against stored
// answers.
package deal
