package deal

import (
	"math"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// The constants of the estimate (economics.md section 3, measured on captured histories).
const (
	saleWindow   = 1095 * day // older sales do not count
	halfLifeDays = 180        // a sale this old counts half
	spread       = 0.3        // of the logarithm of a price around one sale
	askingDays   = 180        // over which asking prices are averaged
	askingSpread = 0.5        // of the logarithm of sale prices around asking prices
	ourShare     = 0.4        // of the sales that a copy of ours would have made
	priorSales   = 0.5        // a year, before any is seen
)

// askingPoints are five equally likely points of a normal distribution. Together they weigh one sale.
var askingPoints = [...]float64{-1.28, -0.52, 0, 0.52, 1.28}

// The highest and the lowest price of a copy relative to the median copy.
const (
	bestFactor  = 1.10 // as good as new: for a copy that no look has found yet, an upper bound
	worstFactor = 0.92 // acceptable: for a copy that is bought without knowing its condition
)

// factor returns the price of a copy relative to the median copy. That of no offer is in any condition.
func (c Copy) factor() float64 {
	switch c.Condition {
	case keepa.ConditionLikeNew:
		return bestFactor
	case keepa.ConditionVeryGood:
		return 1.05
	case keepa.ConditionGood:
		return 1.00
	case keepa.ConditionAcceptable, keepa.ConditionUnknown, keepa.ConditionNew, keepa.ConditionRefurbished:
	}
	return worstFactor
}

// point is a possible sale price, as its logarithm, with its weight.
type point struct{ log, weight float64 }

// Evidence is the selling side of the histories, for any copy.
type Evidence struct {
	Falls       int // of the used count, sold or not
	SaleCount   int // in all years
	SalesInYear int
	SaleDays180 int           // days of the last 180 with a sale
	LastSales   []Sale        // newest first, three at most
	NEff        float64       // weight of the sales; meaningless without points
	PerMonth    float64       // how many of our copies would sell in a month
	Basis       ShippingBasis // whether the prices include shipping

	points []point
}

// gather reads the evidence of a product's histories up to now.
func (m *Scratch) gather(h Histories, c Credit, now time.Time) *Evidence {
	return evidence(m.sales(h, c, now), h.Used, c, now)
}

// evidence computes the evidence of sales and asking prices up to now.
func evidence(sales Sales, used keepa.Series, c Credit, now time.Time) *Evidence {
	e := &Evidence{
		Falls: sales.Falls, SaleCount: len(sales.All),
		SalesInYear: len(sales.Since(365*24*time.Hour, now)), SaleDays180: sales.DaysWithSale(now), LastSales: sales.Last(3), Basis: c.Basis,
	}
	e.PerMonth = ourShare * (float64(e.SalesInYear) + priorSales) / 12
	e.points, e.NEff = weighed(sales.All, now)
	if mean, ok := asking(used, c, now); ok {
		for _, z := range askingPoints {
			e.points = append(e.points, point{math.Log(mean) + askingSpread*z, 1.0 / float64(len(askingPoints))})
		}
	}
	return e
}

// weighed returns the sales as points whose weight falls with their age, and the sum of the weights.
func weighed(sales []Sale, now time.Time) (points []point, sum float64) {
	for _, s := range sales {
		age := keepa.FromTime(now) - s.At
		if age >= saleWindow {
			continue
		}
		w := math.Exp2(-float64(age) / float64(day) / halfLifeDays)
		points, sum = append(points, point{math.Log(float64(s.Cents)), w}), sum+w
	}
	return points, sum
}

// Known reports whether there is evidence for a price.
func (e *Evidence) Known() bool { return e != nil && len(e.points) > 0 }

// SaleChance6M returns the chance that our copy sells within six months.
func (e *Evidence) SaleChance6M() float64 { return 1 - math.Exp(-6*e.PerMonth) }

// MonthsToSell returns the mean time until our copy sells.
func (e *Evidence) MonthsToSell() float64 { return 1 / e.PerMonth }

// Distribution is the distribution of a copy's sale price: lognormal clouds around the points, none above the cap.
type Distribution struct {
	points []point
	total  float64
}

// Distribution returns the distribution of the sale price of a copy (nil: the best one that could be found), under
// the cap (nil without one); false without evidence for a price.
func (e *Evidence) Distribution(c *Copy, ceiling *int64) (Distribution, bool) {
	if !e.Known() {
		return Distribution{}, false
	}
	k := bestFactor
	if c != nil {
		k = c.factor()
	}
	return e.distribution(k, ceiling), true
}

// distribution returns the distribution for a copy that sells at k times the median
// copy, and for no more than the cap (nil without one). The evidence must be Known.
func (e *Evidence) distribution(k float64, ceiling *int64) Distribution {
	d := Distribution{points: make([]point, 0, len(e.points))}
	shift, limit := math.Log(k), math.Inf(1)
	if ceiling != nil {
		limit = math.Log(float64(*ceiling))
	}
	capped := 0.0
	for _, p := range e.points {
		d.total += p.weight
		if p.log+shift >= limit {
			capped += p.weight
			continue
		}
		d.points = append(d.points, point{p.log + shift, p.weight})
	}
	if capped > 0 {
		d.points = append(d.points, point{limit, capped})
	}
	return d
}

// Below returns the chance that the copy sells for less than cents.
func (d Distribution) Below(cents int64) float64 {
	if cents <= 0 {
		return 0
	}
	at, _ := d.at(math.Log(float64(cents)))
	return at
}

// Density returns the density of the distribution at a price, per cent; 0 at and below 0.
func (d Distribution) Density(cents float64) float64 {
	if cents <= 0 || d.total == 0 {
		return 0
	}
	_, density := d.at(math.Log(cents))
	return density / cents
}

// at returns the distribution and its density at the logarithm of a price.
func (d Distribution) at(x float64) (below, density float64) {
	for _, p := range d.points {
		z := (x - p.log) / spread
		below += p.weight * 0.5 * math.Erfc(-z/math.Sqrt2)
		density += p.weight * math.Exp(-z*z/2)
	}
	return below / d.total, density / (d.total * spread * math.Sqrt(2*math.Pi))
}

// Quantile returns the price below which the copy sells with the chance q, in cents.
func (d Distribution) Quantile(q float64) int64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range d.points {
		low, high = min(low, p.log), max(high, p.log)
	}
	low, high = low-5*spread, high+5*spread
	x := (low + high) / 2
	// Newton's steps inside a bracket that shrinks: a step that leaves it is replaced by halving.
	for range 100 {
		below, density := d.at(x)
		if below < q {
			low = x
		} else {
			high = x
		}
		next := x - (below-q)/density
		if !(next > low && next < high) {
			next = (low + high) / 2
		}
		if math.Abs(next-x) < 1e-12 {
			break
		}
		x = next
	}
	return int64(math.Round(math.Exp(x)))
}

// Outcome is the estimated result of buying one copy.
type Outcome struct {
	SaleCents, LowCents, HighCents         int64 // sale price: the median, and one in ten below and above
	BreakevenCents                         int64 // the sale price with a profit of 0
	ProfitCents, ProfitLow, ProfitHigh     int64 // at these prices
	LossChance                             float64
	SaleChance6M, MonthsToSell, NEffective float64
	CapCents                               *int64 // the cap of the price; nil without one
	CapBy                                  Ceiling
}

// ExpectedValueCents returns the copy's value for the queues: profit
// × chance of a sale within six months, never below zero.
func (o Outcome) ExpectedValueCents() int64 {
	return int64(float64(max(o.ProfitCents, 0)) * o.SaleChance6M)
}

// outcome returns the result for a copy in a condition at a landed price; nil without evidence for a price.
func (s Settings) outcome(e *Evidence, k float64, ceiling *int64, by Ceiling, landed int64, f Fees) *Outcome {
	if !e.Known() {
		return nil
	}
	d := e.distribution(k, ceiling)
	o := &Outcome{
		SaleCents: d.Quantile(0.5), LowCents: d.Quantile(0.1), HighCents: d.Quantile(0.9),
		BreakevenCents: s.Breakeven(landed, f),
		SaleChance6M:   e.SaleChance6M(), MonthsToSell: e.MonthsToSell(), NEffective: e.NEff, CapCents: ceiling, CapBy: by,
	}
	o.LossChance = d.Below(o.BreakevenCents)
	o.ProfitCents = s.Profit(o.SaleCents, landed, f)
	o.ProfitLow, o.ProfitHigh = s.Profit(o.LowCents, landed, f), s.Profit(o.HighCents, landed, f)
	return o
}

// rounded rounds to a number of decimals, as values are shown and stored.
func rounded(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}
