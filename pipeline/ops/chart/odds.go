package chart

import (
	"fmt"
	"math"

	"ratchet/pipeline/domain/keepa"
)

// money is an amount for people; "none" where nothing is offered.
func money(c keepa.Currency, units *int64) string {
	if units == nil {
		return "none"
	}
	return c.Format(*units)
}

// dot is how likely a sale price is.
type dot struct{ cents, density float64 }

// density is how likely a sale price is; 0 for what cannot be computed.
func (o *Odds) density(cents float64) float64 {
	v := o.Distribution.Density(cents)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// curve is the density at n+1 prices, and at break-even.
func (o *Odds) curve(from, until float64, n int) []dot {
	even := float64(o.Breakeven)
	out := make([]dot, 0, n+2)
	for i := range n + 1 {
		at := from + (until-from)*float64(i)/float64(n)
		if len(out) > 0 && out[len(out)-1].cents < even && even < at {
			out = append(out, dot{even, o.density(even)})
		}
		out = append(out, dot{at, o.density(at)})
	}
	return out
}

func peak(curve []dot) float64 {
	most := 0.0
	for _, d := range curve {
		most = max(most, d.density)
	}
	if most == 0 {
		return 1
	}
	return most
}

// part is one side of break-even.
type part struct {
	class string
	curve []dot
}

// parts are the loss and the gain; both hold the point between them.
func (o *Odds) parts(curve []dot) []part {
	n := 0
	for n < len(curve)-1 && curve[n].cents < float64(o.Breakeven) {
		n++
	}
	if curve[n].cents < float64(o.Breakeven) {
		return []part{{"chart-loss", curve}}
	}
	if n == 0 {
		return []part{{"chart-gain", curve}}
	}
	return []part{{"chart-loss", curve[:n+1]}, {"chart-gain", curve[n:]}}
}

// says returns the estimate in words.
func (o *Odds) says(c keepa.Currency) string {
	begin := "It sells"
	if o.AtBest {
		begin = "At the best that a commit could find, a copy sells"
	}
	return begin + fmt.Sprintf(" for %s at the middle, for less than %s in one case of ten and for more than %s in one of ten. "+
		"Break-even is %s: the profit is %s at the middle, %s at the low and %s at the high price, and %s of the cases lose.",
		c.Format(o.Middle), c.Format(o.Low), c.Format(o.High),
		c.Format(o.Breakeven), c.Format(o.Profit), c.Format(o.ProfitLow), c.Format(o.ProfitHi), percent(o.LossChance))
}

// evenLabel is break-even for people.
func (o *Odds) evenLabel(c keepa.Currency) string {
	if o.AtBest {
		return "break-even at best " + c.Format(o.Breakeven)
	}
	return "break-even " + c.Format(o.Breakeven)
}

// percent is a share from 0 to 1.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "an unknown share"
	}
	return fmt.Sprintf("%.0f %%", 100*min(max(share, 0), 1))
}

// ends are the prices between which nearly all of it lies, with break-even.
func (o *Odds) ends() (from, until float64) {
	until = 1.35 * float64(max(o.High, o.Breakeven, o.Low, 1))
	from = min(0.6*float64(o.Low), 0.85*float64(o.Breakeven))
	return max(from, 1), max(until, from+2)
}
