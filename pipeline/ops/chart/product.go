package chart

import (
	"time"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

// Product is what is drawn of a product. Amounts are in the smallest unit of the currency.
type Product struct {
	ASIN     string
	Title    foreign.Text
	Currency keepa.Currency
	Market   deal.Market // every price with shipping
	Until    time.Time   // the right end: when Keepa answered
	Copy     *int64      // landed price of the copy on offer; nil without one
	Odds     *Odds       // of that copy; nil without evidence for a price
}

// Odds is the estimate of what a copy sells for, and of what is earned by it.
type Odds struct {
	Distribution                deal.Distribution // of the sale price
	Low, Middle, High           int64             // sale prices: one in ten sells below Low, and one in ten above High
	Breakeven                   int64             // the sale price with a profit of 0
	ProfitLow, Profit, ProfitHi int64             // at Low, Middle and High
	LossChance                  float64           // 0 to 1: that it sells below break-even
	AtBest                      bool              // no copy is known yet: it is the best that a commit could find
}

// OddsOf returns the odds of a view's copy (before the commit of any copy); nil without evidence for a price.
func OddsOf(v deal.View) *Odds {
	if v.Outcome == nil {
		return nil
	}
	o := v.Outcome
	d, ok := v.Evidence.Distribution(v.Copy, o.CapCents)
	if !ok {
		return nil
	}
	return &Odds{
		Distribution: d, Low: o.LowCents, Middle: o.SaleCents, High: o.HighCents, Breakeven: o.BreakevenCents,
		ProfitLow: o.ProfitLow, Profit: o.ProfitCents, ProfitHi: o.ProfitHigh, LossChance: o.LossChance, AtBest: v.Copy == nil,
	}
}

// Range is how far back a picture goes.
type Range string

// The ranges that resellers know from Keepa.
const (
	Quarter Range = "90d"
	Year    Range = "1y"
	All     Range = "all"
)

// Ranges are all of them, the shortest first.
func Ranges() []Range { return []Range{Quarter, Year, All} }

// RangeOf returns the range of that name; false without one.
func RangeOf(name string) (Range, bool) {
	for _, r := range Ranges() {
		if string(r) == name {
			return r, true
		}
	}
	return Year, false
}

// String is the range in words.
func (r Range) String() string {
	switch r {
	case Quarter:
		return "90 days"
	case All:
		return "all time"
	case Year:
	}
	return "a year"
}

// length is how long a range is; 0 for all.
func (r Range) length() time.Duration {
	switch r {
	case Quarter:
		return 90 * 24 * time.Hour
	case All:
		return 0
	case Year:
	}
	return 365 * 24 * time.Hour
}

// series is one line of a picture.
type series struct {
	class, name string
	points      keepa.Series
}

// prices are the lines on the money axis, what matters most last.
func (p Product) prices() []series {
	m := p.Market
	return []series{
		{"chart-amazon", "Amazon", m.Amazon},
		{"chart-new", "New", m.New},
		{"chart-box", "Buy Box", m.BuyBox},
		{"chart-used", "Used", m.Used},
	}
}

// earliest is the first minute that a picture can begin with: long before Keepa.
var earliest = keepa.FromTime(time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC))

// window is the time that a picture of the range shows.
func (p Product) window(r Range) (from, until keepa.Minute) {
	until = keepa.FromTime(p.Until)
	if d := r.length(); d > 0 {
		return until.Add(-d), until
	}
	from = until.Add(-Year.length())
	for _, s := range append(p.prices(), series{points: p.Market.Rank}) {
		for _, point := range s.points {
			if point.Value > 0 && point.At >= earliest {
				from = min(from, point.At)
				break
			}
		}
	}
	return from, until
}

// sales are the sales in a window, oldest first.
func (p Product) sales(from, until keepa.Minute) []deal.Sale {
	var out []deal.Sale
	for _, s := range p.Market.Sales {
		if s.At >= from && s.At <= until {
			out = append(out, s)
		}
	}
	return out
}

// last returns the value at the minute; nil without one.
func last(h keepa.Series, at keepa.Minute) *int64 {
	p, ok := h.At(at)
	if !ok || p.Value < 1 {
		return nil
	}
	v := int64(p.Value)
	return &v
}

// stretch is a value and for how long it held, in a window.
type stretch struct {
	from, until keepa.Minute
	value       float64 // 0: nothing was offered
}

// stretches are the values of a history in a window, one after the other, without what was before the first.
func stretches(h keepa.Series, from, until keepa.Minute) []stretch {
	var out []stretch
	for i := max(0, h.Search(from+1)-1); i < len(h) && h[i].At <= until; i++ {
		end := until
		if i+1 < len(h) {
			end = min(h[i+1].At, until)
		}
		s := stretch{from: max(h[i].At, from), until: end, value: float64(max(h[i].Value, 0))}
		if s.until > s.from || s.until == until {
			out = append(out, s)
		}
	}
	return out
}
