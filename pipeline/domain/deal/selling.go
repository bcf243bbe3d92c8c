package deal

import (
	"math"
	"slices"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// UsedFBA is the selling side: one used copy on Amazon, out of Amazon's warehouse.
type UsedFBA struct{ s Settings }

// Selling returns the selling side.
func (s Settings) Selling() UsedFBA { return UsedFBA{s} }

// Fees are Amazon's fees for one sale.
type Fees struct {
	ReferralBP   int64 // hundredths of a percent of the sale price, net of VAT
	FBACents     int64 // pick, pack and ship
	ClosingCents int64 // media only; 0 when it is not counted

	// A default replaces what Keepa does not know.
	ReferralAssumed, FBAAssumed, ClosingAssumed bool
}

// Assumed reports whether any fee is a default.
func (f Fees) Assumed() bool { return f.ReferralAssumed || f.FBAAssumed || f.ClosingAssumed }

// LeastFees returns the least that any product of this kind can cost to sell.
func (u UsedFBA) LeastFees() Fees {
	return Fees{ReferralBP: basisPoints(u.s.LeastReferralPercent), FBACents: u.s.LeastFBAFeeCents}
}

// AssumedFees returns the defaults, for a product of which only the root category is known.
func (u UsedFBA) AssumedFees(root int64) Fees {
	f := Fees{
		ReferralBP: max(basisPoints(u.s.ReferralPercent), basisPoints(u.s.LeastReferralPercent)),
		FBACents:   max(u.s.FBAFeeCents, u.s.LeastFBAFeeCents), ReferralAssumed: true, FBAAssumed: true,
	}
	if u.s.CountClosingFee && u.media(root) {
		f.ClosingCents, f.ClosingAssumed = u.s.ClosingFeeCents, true
	}
	return f
}

// FeesOf returns a product's own fees, with defaults for what Keepa does not know (absent, zero or implausible) and
// raised to the least that Amazon takes. A closing fee that Keepa does not give, or as 0 for media, is the category's.
func (u UsedFBA) FeesOf(p *keepa.Product, root int64) Fees {
	f := u.AssumedFees(root)
	if p.ReferralFeePercent > 0 && p.ReferralFeePercent < 100 {
		f.ReferralBP, f.ReferralAssumed = max(basisPoints(p.ReferralFeePercent), basisPoints(u.s.LeastReferralPercent)), false
	}
	if p.PickAndPackFee != nil && *p.PickAndPackFee > 0 {
		f.FBACents, f.FBAAssumed = max(int64(*p.PickAndPackFee), u.s.LeastFBAFeeCents), false
	}
	if fee := p.VariableClosingFee; u.s.CountClosingFee && fee != nil && (*fee > 0 || !u.media(root)) {
		f.ClosingCents, f.ClosingAssumed = int64(*fee), false
	}
	return f
}

// mediaRoots are the root categories of amazon.com with a closing fee: books, music, films, games, software.
var mediaRoots = map[int64]bool{283155: true, 5174: true, 2625373011: true, 468642: true, 229534: true}

// media reports whether a root category is one of media. An unknown one counts as books, and
// every one of another marketplace, whose categories have other numbers.
func (u UsedFBA) media(root int64) bool {
	return root == 0 || mediaRoots[root] || u.s.Domain() != keepa.DomainCom
}

// bands are the sale prices in cents between which Amazon's FBA fee differs.
var bands = []int64{1000, 5000}

// OtherBand reports whether a sale at this price is in another band than the price that Keepa's FBA fee is for.
func OtherBand(sale, current int64) bool { return band(sale) != band(current) }

func band(cents int64) int {
	n, _ := slices.BinarySearch(bands, cents+1)
	return n
}

// Net returns a sale price without VAT.
//
//	6000 at 0 %: 6000; 1190 at 19 %: 1000
func (u UsedFBA) Net(sale int64) int64 {
	if u.s.VATPercent == 0 {
		return sale
	}
	return int64(math.Round(float64(sale) / (1 + u.s.VATPercent/100)))
}

// Referral returns Amazon's percentage of a sale.
func (u UsedFBA) Referral(sale int64, f Fees) int64 { return share(u.Net(sale), f.ReferralBP) }

// Taken returns all of Amazon's fees for a sale: referral, FBA and closing fee.
func (u UsedFBA) Taken(sale int64, f Fees) int64 {
	return u.Referral(sale, f) + f.FBACents + f.ClosingCents
}

// Tax returns the sales tax on a purchase.
func (s Settings) Tax(landed int64) int64 { return share(landed, basisPoints(s.TaxPercent)) }

// AllInCost returns the cost of the book up to Amazon's warehouse: the landed price (which includes the
// shipping, once), sales tax on it, preparation, the transport to the warehouse, and other costs.
//
//	landed 2801, tax 5 % = 140, prep 275, inbound 50: 3266
func (s Settings) AllInCost(landed int64) int64 {
	return landed + s.Tax(landed) + s.PrepCents + s.InboundCents + s.OtherCents
}

// Profit returns the profit of a sale: its price without VAT - all-in cost - Amazon's fees.
//
//	sale 6000, landed 2801, referral 15 % = 900, FBA 315, closing 180: 6000 - 3266 - 1395 = 1339
func (s Settings) Profit(sale, landed int64, f Fees) int64 {
	u := s.Selling()
	return u.Net(sale) - s.AllInCost(landed) - u.Taken(sale, f)
}

// Breakeven returns the sale price with a profit of 0: (all-in cost + fixed fees) × (1 + VAT) / (1 - referral).
//
//	landed 2801: (3266 + 315 + 180) / 0.85 = 4425
func (s Settings) Breakeven(landed int64, f Fees) int64 {
	left := 1 - float64(f.ReferralBP)/10_000
	return int64(math.Round(float64(s.AllInCost(landed)+f.FBACents+f.ClosingCents) * (1 + s.VATPercent/100) / left))
}

// Ceiling names what caps a sale price.
type Ceiling string

// The ceilings. A buyer takes the cheaper of two equal books.
const (
	NoCeiling Ceiling = ""
	ByNew     Ceiling = "new"       // the lowest new offer, landed
	ByAmazon  Ceiling = "amazon"    // Amazon's own price
	ByBuyBox  Ceiling = "buy_box"   // the Buy Box with shipping, if recent
	ByNext    Ceiling = "next_best" // the next-best used offer, landed
)

// buyBoxMaxAge is the greatest age of a Buy Box price that caps a sale price.
const buyBoxMaxAge = 90 * day

// NewLanded returns the lowest new price with shipping: Keepa's NEW lacks shipping before 2026-02-16.
func (u UsedFBA) NewLanded(price *int64, now time.Time) *int64 {
	if price == nil {
		return nil
	}
	landed := *price
	if keepa.FromTime(now) < newIncludesShipping {
		landed += u.s.ShippingCents
	}
	return &landed
}

// buyBox returns the Buy Box price with shipping, if recent enough; nil without one.
func buyBox(p *keepa.Product, now time.Time) *int64 {
	h, err := p.Series(keepa.BuyBox)
	if err != nil {
		return nil
	}
	return buyBoxOf(h, keepa.FromTime(now))
}

// buyBoxOf returns the Buy Box price with shipping in its history at the minute, if recent enough.
func buyBoxOf(h keepa.Series, at keepa.Minute) *int64 {
	point, ok := h.At(at)
	if !ok || at-point.At >= buyBoxMaxAge {
		return nil
	}
	landed, ok := point.Landed()
	if !ok || landed <= 0 {
		return nil
	}
	cents := int64(landed)
	return &cents
}

// least returns the lowest known ceiling.
func least(caps map[Ceiling]*int64) (*int64, Ceiling) {
	var lowest *int64
	by := NoCeiling
	for _, c := range []Ceiling{ByNew, ByAmazon, ByBuyBox, ByNext} {
		if cents := caps[c]; cents != nil && (lowest == nil || *cents < *lowest) {
			lowest, by = cents, c
		}
	}
	return lowest, by
}

// percent returns part of whole in percent, to two decimals; false if whole is not positive.
func percent(part, whole int64) (float64, bool) {
	if whole <= 0 {
		return 0, false
	}
	return float64(part*10_000/whole) / 100, true
}
