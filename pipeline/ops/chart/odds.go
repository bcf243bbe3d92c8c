package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"

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

// says is the estimate in words.
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

// kept is how many cents of profit a cent of the sale price brings; 0 where that cannot be told.
func (o *Odds) kept() float64 {
	if o.High <= o.Low || o.ProfitHi <= o.ProfitLow {
		return 0
	}
	return float64(o.ProfitHi-o.ProfitLow) / float64(o.High-o.Low)
}

// ends are the prices between which nearly all of it lies, with break-even.
func (o *Odds) ends() (from, until float64) {
	until = 1.35 * float64(max(o.High, o.Breakeven, o.Low, 1))
	from = min(0.6*float64(o.Low), 0.85*float64(o.Breakeven))
	return max(from, 1), max(until, from+2)
}

// Estimate draws the distribution of a copy's sale price: the loss below break-even, the gain above, the low, the
// middle and the high price marked, and at the top the profit that each price means.
func Estimate(o Odds, c keepa.Currency, s Size) template.HTML {
	p := begin(s, "chart-estimate", "What the copy sells for", o.says(c))
	from, until := o.ends()
	const head, foot, room = 46, 36, 12
	base := float64(s.Height - foot)
	x := scale{low: from, high: until, begin: room, end: float64(s.Width - room)}
	curve := o.curve(from, until, min(max(s.Width/4, 20), 200))
	y := scale{low: 0, high: peak(curve), begin: base, end: head + 14}
	for _, part := range o.parts(curve) {
		p.path(part.class, area(part.curve, x, y))
	}
	o.axes(p, c, x, head, base)
	o.marks(p, c, x, y)
	return p.end()
}

// area is what lies below a piece of the curve.
func area(curve []dot, x, y scale) string {
	var d strings.Builder
	fmt.Fprintf(&d, "M%s %s", num(x.at(curve[0].cents)), num(y.begin))
	for _, c := range curve {
		fmt.Fprintf(&d, "L%s %s", num(x.at(c.cents)), num(y.at(c.density)))
	}
	fmt.Fprintf(&d, "L%s %sZ", num(x.at(curve[len(curve)-1].cents)), num(y.begin))
	return d.String()
}

// axes draws the sale price below and the profit above.
func (o *Odds) axes(p *pen, c keepa.Currency, x scale, head, base float64) {
	n := max(2, int(x.end-x.begin)/50)
	p.line("chart-axis", x.begin, base, x.end, base)
	p.text("chart-muted", "start", x.begin, base+31, "Sale price")
	for _, t := range moneyTicks(c, x.low, x.high, n) {
		at := x.at(t.value)
		p.line("chart-axis", at, base, at, base+4)
		p.text("chart-muted", ends(at, x), at, base+17, t.label)
	}
	kept := o.kept()
	if kept == 0 {
		return
	}
	profit := func(cents float64) float64 { return (cents - float64(o.Breakeven)) * kept }
	p.line("chart-axis", x.begin, head-14, x.end, head-14)
	p.text("chart-muted", "start", x.begin, 11, "Profit")
	for _, t := range moneyTicks(c, profit(x.low), profit(x.high), n) {
		at := x.at(float64(o.Breakeven) + t.value/kept)
		p.line("chart-axis", at, head-18, at, head-14)
		p.text("chart-muted", ends(at, x), at, head-21, t.label)
	}
}

// ends is the anchor of a label at a position: what stands at an edge stays inside.
func ends(at float64, x scale) string {
	switch {
	case at < x.begin+16:
		return "start"
	case at > x.end-16:
		return "end"
	}
	return "middle"
}

// marks draws the low, the middle and the high price, and break-even.
func (o *Odds) marks(p *pen, c keepa.Currency, x, y scale) {
	for _, m := range []struct {
		name  string
		cents int64
	}{{"low", o.Low}, {"middle", o.Middle}, {"high", o.High}} {
		at := x.at(float64(m.cents))
		p.open("g", nil)
		p.element("title", nil, m.name+" "+c.Format(m.cents))
		p.line("chart-mark", at, y.begin, at, y.at(o.density(float64(m.cents))))
		p.close("g")
		p.text("chart-label", "middle", at, y.begin-5, m.name)
	}
	at := x.at(float64(o.Breakeven))
	p.line("chart-even", at, y.begin, at, y.end-12)
	anchor, by := "start", 5.0
	if at > (x.begin+x.end)/2 {
		anchor, by = "end", -5
	}
	p.text("chart-label chart-even-label", anchor, at+by, y.end-5, o.evenLabel(c)+", "+percent(o.LossChance)+" lose")
}
