package target

import (
	"math"

	"ratchet/pipeline/domain/keepa"
)

const (
	soonest     = 21 * day // a copy bought now is for sale no sooner
	patience    = year     // a copy not sold by then is sold off
	salvage     = 0.7      // of the price at the purchase: the proceeds of selling off
	ownCents    = 5        // a later sale this close to one's own cost, or
	ownShare    = 0.01     // by this share of it, is one's own purchase
	halfYear    = 183 * day
	basisPoints = 10_000.0
)

// Fees are the costs of a purchase and its sale beside the price. Money is cents, shares are basis points.
type Fees struct {
	ReferralBP, TaxBP, VATBP       int64 // VAT is contained in the sale price
	ClosingCents, FBACents         int64
	PrepCents, InboundCents, Other int64
}

// DefaultFees returns the fees of a book of amazon.com that has none of its own.
func DefaultFees() Fees {
	return Fees{ReferralBP: 1500, TaxBP: 500, ClosingCents: 180, FBACents: 550, PrepCents: 275, InboundCents: 50}
}

// Of returns the fees with the product's own FBA fee, if it has one.
func (f Fees) Of(p *keepa.Product) Fees {
	if p.PickAndPackFee != nil && *p.PickAndPackFee > 0 {
		f.FBACents = int64(*p.PickAndPackFee)
	}
	return f
}

// Profit returns the profit of a copy bought at landedCents and sold at saleCents.
func (f Fees) Profit(saleCents, landedCents int64) int64 {
	kept := float64(saleCents) / (1 + float64(f.VATBP)/basisPoints) * (1 - float64(f.ReferralBP)/basisPoints)
	paid := float64(landedCents) * (1 + float64(f.TaxBP)/basisPoints)
	return int64(math.Round(kept-paid)) - f.ClosingCents - f.FBACents - f.PrepCents - f.InboundCents - f.Other
}

// Purchase is a copy that could have been bought.
type Purchase struct {
	At            keepa.Minute // decided on the history up to this minute
	LandedCents   int64
	NextBestCents int64 // the used price beside it, with shipping; 0 without one
}

// Outcome is the result of a purchase. Cents is 0 when the history ends too early to know it.
type Outcome struct {
	Cents int64
	After keepa.Minute // from the purchase to the sale; 0 without a sale
}

// Known reports whether the history shows the outcome.
func (o Outcome) Known() bool { return o.Cents > 0 }

// SoldIn6Months reports whether there was a sale within half a year.
func (o Outcome) SoldIn6Months() bool { return o.After > 0 && o.After <= halfYear }

// Outcome finds the next sale at least three weeks after the purchase; without one in a year the
// copy is sold off for a part of the price at that time. sales are those of the whole history.
func (h *History) Outcome(p Purchase, sales []Sale) Outcome {
	own := false
	for _, s := range sales {
		switch near := math.Max(ownCents, ownShare*float64(p.LandedCents)); {
		case s.At <= p.At:
		case !own && math.Abs(float64(s.Cents-p.LandedCents)) <= near:
			own = true
		case s.At >= p.At+soonest && s.At <= p.At+patience:
			return Outcome{Cents: s.Cents, After: s.At - p.At}
		}
	}
	if h.End < p.At+patience {
		return Outcome{}
	}
	return Outcome{Cents: int64(math.Round(salvage * float64(p.NextBestCents)))}
}
