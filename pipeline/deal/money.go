package deal

import "ratchet/pipeline/keepa"

// Fees are Amazon's for one sale.
type Fees struct {
	ReferralBP   int64 // hundredths of a percent of the list price
	FBACents     int64 // pick, pack and ship
	ClosingCents int64 // media only; 0 where none is counted
	Assumed      bool  // a default stands in for a fee that Keepa does not know
}

// At is the sum of the fees on a sale at the list price.
func (f Fees) At(list int64) int64 { return f.Referral(list) + f.FBACents + f.ClosingCents }

// Referral is Amazon's percentage of a sale at the list price.
func (f Fees) Referral(list int64) int64 { return share(list, f.ReferralBP) }

// LeastFees is the least that any product of this kind can cost to sell.
func (s Settings) LeastFees() Fees {
	return Fees{ReferralBP: basisPoints(s.LeastReferralPercent), FBACents: s.LeastFBAFeeCents}
}

// AssumedFees are the defaults, for a product of which nothing is known.
func (s Settings) AssumedFees() Fees {
	return Fees{
		ReferralBP: max(basisPoints(s.ReferralPercent), basisPoints(s.LeastReferralPercent)),
		FBACents:   max(s.FBAFeeCents, s.LeastFBAFeeCents), Assumed: true,
	}
}

// FeesOf are a product's own fees, with defaults for what Keepa does not know (absent, zero or negative)
// and raised to the least that Amazon takes.
func (s Settings) FeesOf(p *keepa.Product) Fees {
	f := s.AssumedFees()
	f.Assumed = false
	if p.ReferralFeePercent > 0 && p.ReferralFeePercent < 100 {
		f.ReferralBP = max(basisPoints(p.ReferralFeePercent), basisPoints(s.LeastReferralPercent))
	} else {
		f.Assumed = true
	}
	if p.PickAndPackFee != nil && *p.PickAndPackFee > 0 {
		f.FBACents = max(int64(*p.PickAndPackFee), s.LeastFBAFeeCents)
	} else {
		f.Assumed = true
	}
	if s.CountClosingFee && p.VariableClosingFee != nil {
		f.ClosingCents = int64(*p.VariableClosingFee)
	}
	return f
}

// AllInCost is what the book costs until it lies in Amazon's warehouse: the landed price (which already
// holds the shipping, once), sales tax on it, and preparation.
//
//	landed 2801, tax 5 % = 140, prep 275: 3216
func (s Settings) AllInCost(landed int64) int64 {
	return landed + share(landed, basisPoints(s.TaxPercent)) + s.PrepCents
}

// Profit is what a sale at the list price leaves: list price - all-in cost - Amazon's fees.
//
//	list 6000, landed 2801, referral 15 % = 900, FBA 315: 6000 - 3216 - 1215 = 1569
func (s Settings) Profit(list, landed int64, f Fees) int64 {
	return list - s.AllInCost(landed) - f.At(list)
}

// MinimumPrice is the lowest listing that still earns the markup:
// (cost + fixed fees) / (1 - markup - referral), rounded up; false where the percentages leave nothing.
func (s Settings) MinimumPrice(cost int64, f Fees) (int64, bool) {
	left := 10_000 - basisPoints(s.MarkupPercent) - f.ReferralBP
	if left <= 0 {
		return 0, false
	}
	return ((cost+f.FBACents+f.ClosingCents)*10_000 + left - 1) / left, true
}

// percent is part of whole in percent, to two decimals; false where the whole is not positive.
func percent(part, whole int64) (float64, bool) {
	if whole <= 0 {
		return 0, false
	}
	return float64(part*10_000/whole) / 100, true
}
