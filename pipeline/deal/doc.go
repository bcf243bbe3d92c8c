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
package deal
