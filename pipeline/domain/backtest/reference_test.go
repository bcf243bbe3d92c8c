package backtest_test

import (
	"math"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// The reference is the estimate once more, straight from its definition, slow and on its own. The product's
// estimator is compared with it; it takes no line from it.

// includesShipping is when NEW began to include shipping.
var includesShipping = time.Date(2026, time.February, 16, 0, 0, 0, 0, time.UTC)

const minutesADay = 24 * 60

// Copy is a used copy on offer, and what is known beside the answer.
type Copy struct {
	Condition     float64 // the condition's factor: 1.10 like new or before the commit, 1.05 very good, 1.00 good, 0.92 acceptable or unknown
	LandedCents   int64
	NextBestCents int64 // 0: none
	Commit        bool  // the Buy Box caps too
}

// Estimate is what section 3 says of a copy. Known is false without a point.
type Estimate struct {
	Known                      bool
	Price, Low, High, Profit   float64
	Loss, NEff, Chance, Months float64
	Sales365                   int
	breakeven                  float64
}

// Accepted is the default rule.
func (e Estimate) Accepted() bool { return e.Known && e.Profit >= 300 && e.Loss <= 0.40 && e.NEff >= 2 }

type weighted struct{ price, weight float64 }

// Of is the estimate for a copy on the history up to a minute.
func Of(whole *target.History, at keepa.Minute, c Copy, fees target.Fees) Estimate {
	h := whole.Cut(at)
	var e Estimate
	var points []weighted
	for _, s := range h.SalesKnown() {
		age := float64(at-s.At) / minutesADay
		if age >= 1095 {
			continue
		}
		w := math.Pow(0.5, age/180)
		points = append(points, weighted{float64(s.Cents), w})
		e.NEff += w
		if age < 365 {
			e.Sales365++
		}
	}
	if a, _, ok := h.Mean(at-180*minutesADay, at); ok {
		a += float64(h.Credit(at))
		for _, z := range []float64{-1.28, -0.52, 0, 0.52, 1.28} {
			points = append(points, weighted{a * math.Exp(0.5*z), 0.2})
		}
	}
	if len(points) == 0 {
		return Estimate{}
	}
	e.Known = true
	limit := ceiling(&h, at, c)
	for i := range points {
		points[i].price = math.Min(c.Condition*points[i].price, limit)
	}
	e.Price, e.Low, e.High = quantile(points, 0.5), quantile(points, 0.1), quantile(points, 0.9)
	e.money(points, c, fees)
	perMonth := 0.4 * (float64(e.Sales365) + 0.5) / 12
	e.Chance, e.Months = 1-math.Exp(-6*perMonth), 1/perMonth
	return e
}

func (e *Estimate) money(points []weighted, c Copy, f target.Fees) {
	kept := 1 - float64(f.ReferralBP)/10000
	paid := float64(c.LandedCents)*(1+float64(f.TaxBP)/10000) +
		float64(f.PrepCents+f.InboundCents+f.Other+f.ClosingCents+f.FBACents)
	e.breakeven = paid / kept
	e.Profit = e.Price*kept - paid
	e.Loss = below(points, e.breakeven)
}

// ceiling is what no copy brings more than; infinite without one.
func ceiling(h *target.History, at keepa.Minute, c Copy) float64 {
	least := math.Inf(1)
	if p, ok := h.New.Last(); ok && p.Value > 0 {
		credit := h.Credit(at)
		if !at.Time().Before(includesShipping) {
			credit = 0
		}
		least = math.Min(least, float64(p.Value)+float64(credit))
	}
	if p, ok := h.Amazon.Last(); ok && p.Value > 0 {
		least = math.Min(least, float64(p.Value))
	}
	if p, ok := h.BuyBox.Last(); ok && c.Commit && p.Value > 0 && at-p.At < 90*minutesADay {
		least = math.Min(least, float64(p.Value)+math.Max(float64(p.Shipping), 0))
	}
	if c.NextBestCents > 0 {
		least = math.Min(least, float64(c.NextBestCents))
	}
	return least
}

// below is F: the share of the weight under a price, every point being a log-normal of width 0.3.
func below(points []weighted, price float64) float64 {
	sum, all := 0.0, 0.0
	for _, p := range points {
		all += p.weight
		if price > 0 {
			sum += p.weight * 0.5 * math.Erfc(-math.Log(price/p.price)/0.3/math.Sqrt2)
		}
	}
	return sum / all
}

// quantile finds by bisection the price under which that share lies.
func quantile(points []weighted, share float64) float64 {
	low, high := -10.0, 25.0 // of the logarithm
	for range 100 {
		if middle := (low + high) / 2; below(points, math.Exp(middle)) < share {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Exp((low + high) / 2)
}
