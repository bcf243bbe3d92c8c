package backtest_test

import (
	"math"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// Decision is what a commit on an answer with offers comes to.
type Decision struct {
	Accepted bool
	Offered  bool // a copy could be bought
	Estimate      // of the copy bought, or of the cheapest
	Copy     Copy
}

// Decide buys the copy with the highest expected profit among those that the default rule accepts. credit is what a
// seller charges for shipping who does not say.
func Decide(p *keepa.Product, h *target.History, credit int64) Decision {
	var best Decision
	for _, c := range offered(p, credit) {
		e := Of(h, h.End, c, Fees(p))
		d := Decision{Accepted: e.Accepted(), Offered: true, Estimate: e, Copy: c}
		switch {
		case !best.Offered,
			d.Accepted && (!best.Accepted || math.Round(e.Profit) > math.Round(best.Profit)),
			!d.Accepted && !best.Accepted && c.LandedCents < best.Copy.LandedCents:
			best = d
		}
	}
	return best
}

var factors = map[keepa.Condition]float64{
	keepa.ConditionLikeNew: 1.10, keepa.ConditionVeryGood: 1.05, keepa.ConditionGood: 1.00, keepa.ConditionAcceptable: 0.92,
}

// books is the category of books on amazon.com.
const books = 283155

// Fees are a product's: Keepa's, and where it says nothing 15 %, 550, and for a book 180. The rest are the defaults.
// A referral fee below 14 % and an FBA fee below 229 are not believed.
func Fees(p *keepa.Product) target.Fees {
	f := target.Fees{ReferralBP: 1500, TaxBP: 500, FBACents: 550, PrepCents: 275, InboundCents: 50}
	if p.ReferralFeePercent > 0 {
		f.ReferralBP = max(int64(math.Round(p.ReferralFeePercent*100)), 1400)
	}
	if p.PickAndPackFee != nil && *p.PickAndPackFee > 0 {
		f.FBACents = max(int64(*p.PickAndPackFee), 229)
	}
	switch {
	case p.VariableClosingFee != nil:
		f.ClosingCents = int64(*p.VariableClosingFee)
	case p.RootCategory == books || p.RootCategory == 0:
		f.ClosingCents = 180
	}
	return f
}

// offered are the copies that can be bought: no cheaper than Keepa's used price, which is the lowest that anybody can
// buy. An offer that does not say its shipping ships free from Amazon's warehouse, else for the credit.
func offered(p *keepa.Product, credit int64) []Copy {
	used, known := p.Stats.Current.Price(keepa.Used)
	if !known {
		return nil
	}
	live, _ := p.LiveOffers()
	landed := func(o keepa.Offer) int64 {
		switch {
		case o.Shipping != nil:
			return int64(*o.Price + *o.Shipping)
		case o.FBA != nil && *o.FBA:
			return int64(*o.Price)
		}
		return int64(*o.Price) + credit
	}
	priced := func(o keepa.Offer) bool { return factors[o.Condition] > 0 && o.Price != nil && *o.Price > 0 }
	var out []Copy
	usable := false
	for i, o := range live {
		if !priced(o) {
			continue
		}
		if o.Shippable != nil && !*o.Shippable || o.Preorder || o.PrimeExclusive || o.MinOrderQuantity > 1 {
			continue
		}
		usable = true
		if int64(*o.Price) < used {
			continue
		}
		c := Copy{Condition: factors[o.Condition], LandedCents: landed(o), Commit: true}
		for k, other := range live {
			if k == i || !priced(other) || other.Condition > o.Condition || other.Shippable != nil && !*other.Shippable || other.Preorder {
				continue
			}
			if l := landed(other); c.NextBestCents == 0 || l < c.NextBestCents {
				c.NextBestCents = l
			}
		}
		out = append(out, c)
	}
	if len(out) == 0 && usable {
		// Keepa's price is nobody's here: a copy in the worst condition, shipped for the credit. Beside it is each live
		// offer, and the price next above it of any condition.
		c := Copy{Condition: 0.92, LandedCents: used + credit, Commit: true}
		beside := func(cents int64) {
			if c.NextBestCents == 0 || cents < c.NextBestCents {
				c.NextBestCents = cents
			}
		}
		for _, o := range live {
			if priced(o) && (o.Shippable == nil || *o.Shippable) && !o.Preorder {
				beside(landed(o))
			}
		}
		for t := keepa.UsedLikeNew; t <= keepa.UsedAcceptable; t++ {
			if cents, ok := p.Stats.Current.Price(t); ok && cents > c.LandedCents {
				beside(cents)
			}
		}
		out = append(out, c)
	}
	return out
}
