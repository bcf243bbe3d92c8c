package token

import "ratchet/pipeline"

// The worst price of one step of each kind, in tokens: what a claim reserves.
const (
	PricePage   = 5  // a page of the deal list, whatever is on it
	PricePeek   = 1  // a product without offers
	PriceCommit = 13 // two found pages of offers and a refresh
	PriceSeller = 1  // a seller that is found
)

// Price returns the worst price of one step of a kind; 0 for a free one.
func Price(k pipeline.Kind) int {
	switch k {
	case pipeline.KindDeals:
		return PricePage
	case pipeline.KindPeek:
		return PricePeek
	case pipeline.KindCommit:
		return PriceCommit
	case pipeline.KindSeller:
		return PriceSeller
	case pipeline.KindToken:
		return 0
	}
	return 0
}

// Learned is the actual cost of the calls of a kind, from tokensConsumed.
type Learned struct {
	Calls  int `json:"calls"`
	Items  int `json:"items"`  // products, pages: what the price is for
	Tokens int `json:"tokens"` // of all of them
	Worst  int `json:"worst"`  // the most expensive call's price for one item, rounded up
	// Overran is the price for one item of the most expensive call that exceeded its reservation; 0 without one.
	Overran int `json:"broke,omitempty"`
}

// Mean returns the price of one item; 0 before the first.
func (l Learned) Mean() float64 {
	if l.Items == 0 {
		return 0
	}
	return float64(l.Tokens) / float64(l.Items)
}

func (l Learned) after(h Hold, cost int) Learned {
	items := max(1, h.Items)
	each := (cost + items - 1) / items
	l.Calls, l.Items, l.Tokens = l.Calls+1, l.Items+items, l.Tokens+cost
	l.Worst = max(l.Worst, each)
	if cost > h.N {
		l.Overran = max(l.Overran, each)
	}
	return l
}

// Ceiling returns what a claim reserves for one item of a kind: the documented worst price, or the operator's if
// it is higher. A lower learned price does not reduce it: the next call may be the expensive one.
func (g Grant) Ceiling(k pipeline.Kind) int { return max(Price(k), g.Ceilings[k]) }

// Stopped reports whether a call of the kind cost more than could be reserved, so that the
// next one might overspend. Raising its ceiling to that cost restarts the kind.
func (g Grant) Stopped(k pipeline.Kind) bool { return g.Learned[k].Overran > g.Ceiling(k) }

// KindOf returns the kind of a stage's claims, of which one pays for its smallest durable step.
func KindOf(s pipeline.Stage) pipeline.Kind {
	switch s {
	case pipeline.StageWatermarker:
		return pipeline.KindDeals
	case pipeline.StagePeeker:
		return pipeline.KindPeek
	case pipeline.StageCommitter:
		return pipeline.KindCommit
	}
	return ""
}
