// Package deal is the economics of buying a used book from one marketplace seller and selling it on:
// what it costs to buy, what it was sold for, what it can be listed at, what is left, and how sure
// that is.
//
// Everything is a function of decoded Keepa data, settings and an instant. Money is integer cents.
// What is unknown is absent and never counted as zero; where a default stands in (shipping, fees),
// the result says so.
//
// Three views of the same arithmetic exist, one per look:
//
//   - OfRow bounds, from the deal list's row, what the commit could find at best.
//   - OfProduct adds the histories: inferred sales, list price, fees. Its landed price is bounded
//     below by the used price without shipping, and estimated with default shipping.
//   - Buy adds the offers: the landed price of the offer to buy.
//
// The bounds are what lets a cheap look reject: Commit never lands below the current used price,
// never lists above 0.9 of Amazon's lowest price, and never pays less than the floor of Amazon's fees.
//
// # Formulas
//
// Each has its worked example in worked_test.go or deal_test.go. The source says whose figure it is: Keepa
// states it, Amazon charges it, a reseller practises it (what the system before this one did, its mistakes
// left out), or statistics define it.
//
//	what               formula                                                                source
//	landed price       the cheapest of price + shipping over live used offers not below       Keepa; reseller
//	                   Keepa's used price; unknown shipping is free by Amazon, else 399
//	sale               a used or new count falls, and the rank improves within 240 h,         reseller
//	                   both ends included; or the first rank within 30 days is better
//	price of a sale    the price of that kind nearest in time                                 reseller
//	outliers           beyond 1.5 interquartile ranges of the quartiles, interpolated         Tukey's fences
//	list price         of the calendar month with the highest median: the price that          reseller
//	                   occurs most often if twice or more, else the median; below
//	                   3 sales the median of all
//	trough             the lowest median of a month                                           reseller
//	Amazon's ceiling   0.9 × the least of Amazon's price now, 180 and 365 days' mean          reseller
//	hard ceiling       1,500.00: above it no list price is believed (a rule)                  reseller
//	suspicious         list price > 3 × used price: flagged, never a reason to reject         reseller
//	one-year average   mean of the sales of 365 days                                          reseller
//	percent down       (one-year average - landed) / one-year average                         reseller
//	trend              the last 10, 5 or 3 distinct prices by rank to 100,000, 1,000,000      reseller
//	                   or beyond: last against first
//	rank trend         (rank - mean of 30 days) / mean of 30 days                             Keepa's figures
//	all-in cost        landed + tax of 5 % on it + preparation 275                            reseller
//	Amazon's fees      referral percentage of the list price + pick and pack; 15 % and        Amazon, from Keepa
//	                   550 where Keepa knows none; never below Amazon's floors
//	profit             list price - all-in cost - Amazon's fees                               reseller
//	margin, ROI        profit / list price, profit / all-in cost                              reseller
//	minimum price      (all-in cost + fixed fees) / (1 - markup of 10 % - referral)           reseller
//	confidence         sales kept / offers that vanished                                      reseller
//	seller quality     lower end of the 95 % Wilson interval of positive ratings              Wilson 1927
//	chance of a sale   at the row: drops / (drops + 12), a rank improvement a month is        ours, calibrated by
//	                   even odds; later confidence × sales a year / (sales a year + 2)        ratchet report calibration
//	expected value     profit × chance of a sale, never below zero                            ours
package deal
