package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"ratchet/pipeline/domain/keepa"
)

// History draws prices and sales rank of a product over a range: used, new, Amazon and Buy Box as step lines on a money
// axis that begins at 0, the inferred sales as dots, the copy on offer as a line, at its side the distribution of its
// sale price with break-even, and below it the rank on a logarithmic axis. As at Keepa, a rank that falls is a sale.
func History(p Product, r Range, s Size) template.HTML {
	h := newHistory(p, r, s)
	out := begin(s, "chart-history", fmt.Sprintf("Prices and sales rank of %s over %s", named(p), r), h.describe())
	h.legend(out)
	h.axes(out)
	h.lines(out)
	h.dots(out)
	h.marks(out)
	h.side(out)
	return out.end()
}

// named is what a product is called.
func named(p Product) string { return cmp.Or(short(p.Title.String(), 120), p.ASIN, "a product") }

// history is the layout of a picture.
type history struct {
	Product
	r           Range
	size        Size
	from, until keepa.Minute
	x           scale
	money, rank scale // from the bottom up
	top         float64
	cut         bool // prices are above the axis
	rows        [][]entry
	edge        float64 // where the distribution ends
}

// The room around the panels.
const (
	leftRoom   = 46
	rightRoom  = 10
	legendRow  = 18
	caption    = 18
	dateRoom   = 20
	rankShare  = 0.27 // of the height of both panels
	sideWide   = 84   // the distribution, on a desktop
	sideNarrow = 44   // and on a phone
)

func newHistory(p Product, r Range, s Size) *history {
	h := &history{Product: p, r: r, size: s}
	h.from, h.until = p.window(r)
	h.rows = rowsOf(h.entries(), float64(s.Width))
	h.top, h.cut = h.most()
	right := float64(s.Width - rightRoom)
	h.edge = right
	if h.Odds != nil {
		right -= sideWide
		if s.Width < Desktop.Width/2 {
			right += sideWide - sideNarrow
		}
	}
	head := float64(legendRow*len(h.rows) + caption)
	room := max(float64(s.Height)-head-2*dateRoom-caption/2, 20)
	base := head + room*(1-rankShare)
	h.x = scale{low: float64(h.from), high: float64(h.until), begin: leftRoom, end: right}
	h.money = scale{low: 0, high: h.top, begin: base, end: head}
	low, high := h.ranks()
	foot := float64(s.Height) - dateRoom
	h.rank = scale{low: low, high: high, begin: foot, end: base + caption + 4, log: true}
	return h
}

// usual is the share of the time whose prices are on the axis: single fancy prices are cut off.
const usual = 0.98

// most is the end of the money axis, and whether prices lie above it. It shows what is usual, and no more than three
// times what matters: where new copies, or used ones for some weeks, cost far more, the rest stays legible.
func (h *history) most() (top float64, cut bool) {
	highest := 0.0
	for _, s := range h.prices() {
		held := stretches(s.points, h.from, h.until)
		top = max(top, quantile(held, usual))
		highest = max(highest, quantile(held, 1))
	}
	must := h.must()
	top = max(top, must)
	if must > 0 {
		top = min(top, 3*must)
	}
	if highest <= 1.5*top {
		top = max(top, highest)
	}
	if top <= 0 {
		return 10 * math.Pow10(h.Currency.Decimals), false
	}
	top *= 1.08
	return top, highest > top
}

// must is the highest price that has to be seen.
func (h *history) must() float64 {
	out := quantile(stretches(h.Market.Used, h.from, h.until), 0.5)
	for _, c := range []*int64{h.Copy, h.breakeven(), last(h.Market.Used, h.until)} {
		if c != nil {
			out = max(out, float64(*c))
		}
	}
	if h.Odds != nil {
		out = max(out, float64(h.Odds.High))
	}
	var sold []float64
	for _, s := range h.sales(h.from, h.until) {
		sold = append(sold, float64(s.Cents))
	}
	slices.Sort(sold)
	if n := len(sold); n > 0 {
		out = max(out, sold[min(n-1, int(0.9*float64(n)))])
	}
	return out
}

func (h *history) breakeven() *int64 {
	if h.Odds == nil {
		return nil
	}
	return &h.Odds.Breakeven
}

// quantile is the value below which a history is for a share of the time in which it has one; 0 without any.
func quantile(held []stretch, share float64) float64 {
	held = slices.DeleteFunc(slices.Clone(held), func(s stretch) bool { return s.value <= 0 })
	slices.SortFunc(held, func(a, b stretch) int { return cmp.Compare(a.value, b.value) })
	var all, sum float64
	for _, s := range held {
		all += float64(s.until - s.from)
	}
	for i, s := range held {
		if sum += float64(s.until - s.from); sum >= share*all && (share < 1 || i == len(held)-1) {
			return s.value
		}
	}
	return 0
}

// ranks are the ends of the rank's axis: round, and around all that is seen.
func (h *history) ranks() (low, high float64) {
	low, high = math.Inf(1), 0
	for _, s := range stretches(h.Market.Rank, h.from, h.until) {
		if s.value > 0 {
			low, high = min(low, s.value), max(high, s.value)
		}
	}
	if high == 0 {
		return 1, 1000
	}
	high = rounded(high)
	low = max(1, 1/rounded(1/low))
	return min(low, high/10), high
}

// axes draws the grid and what is written at it.
func (h *history) axes(p *pen) {
	left, right, foot := h.x.begin, h.x.end, h.rank.begin
	p.text("chart-muted", "start", left, h.money.end-6, "Price, with shipping")
	p.text("chart-muted", "start", left, h.rank.end-5, "Sales rank")
	if h.cut {
		p.text("chart-muted", "end", right, h.money.end-6, "higher prices are cut off")
	}
	grid(p, h.money, left, right, moneyTicks(h.Currency, 0, h.top, max(2, int(h.money.begin-h.money.end)/44)))
	grid(p, h.rank, left, right, logTicks(h.rank.low, h.rank.high, max(2, int(h.rank.begin-h.rank.end)/20)))
	for _, t := range timeTicks(h.from.Time(), h.until.Time(), max(2, int(right-left)/62)) {
		x := h.x.at(float64(keepa.FromTime(unix(t.value))))
		p.line("chart-grid", x, h.money.end, x, h.money.begin)
		p.line("chart-grid", x, h.rank.end, x, foot)
		if x > left+10 && x < right-12 {
			p.text("chart-muted", "middle", x, foot+15, t.label)
		}
	}
}

// grid draws the round values of an axis.
func grid(p *pen, s scale, left, right float64, ticks []tick) {
	for _, t := range ticks {
		y := s.at(t.value)
		p.line("chart-grid", left, y, right, y)
		p.text("chart-muted", "end", left-6, y+4, t.label)
	}
	p.line("chart-axis", left, s.begin, right, s.begin)
}

func (h *history) lines(p *pen) {
	column := h.size.column()
	for _, s := range h.prices() {
		p.path("chart-line "+s.class, path(s.points, h.x, h.money, h.from, h.until, column))
	}
	if all := h.entries(); len(all) == 0 {
		p.text("chart-muted", "middle", (h.x.begin+h.x.end)/2, (h.money.begin+h.money.end)/2, "no prices are known")
	}
	rank := path(h.Market.Rank, h.x, h.rank, h.from, h.until, column)
	p.path("chart-line chart-rank", rank)
	if rank == "" {
		p.text("chart-muted", "middle", (h.x.begin+h.x.end)/2, (h.rank.begin+h.rank.end)/2, "no sales rank is known")
	}
}

// mostNamed is how many sales have a tooltip with date and price; older ones are dots alone.
const mostNamed = 80

// dots draws the sales.
func (h *history) dots(p *pen) {
	sales := h.sales(h.from, h.until)
	var old strings.Builder
	seen, radius := map[[2]int]bool{}, 3.5
	if len(sales) > mostNamed {
		radius = 2.5
	}
	for i, s := range sales {
		x, y := h.x.at(float64(s.At)), h.money.at(float64(s.Cents))
		if i >= len(sales)-mostNamed {
			p.open("circle", attrs{"class", "chart-sale", "cx", num(x), "cy", num(y), "r", num(radius)})
			p.element("title", nil, "sold for "+h.Currency.Format(s.Cents)+", "+day(s.At.Time()))
			p.close("circle")
			continue
		}
		if at := [2]int{int(x), int(y)}; !seen[at] {
			seen[at] = true
			fmt.Fprintf(&old, "M%d %dh0", at[0], at[1])
		}
	}
	if old.Len() > 0 {
		p.empty("path", attrs{"class", "chart-sales", "stroke-width", num(2 * radius), "d", old.String()})
	}
}

// marks draws the copy on offer and what it must sell for.
func (h *history) marks(p *pen) {
	if even := h.breakeven(); even != nil {
		y := h.money.at(float64(*even))
		p.line("chart-even", h.x.begin, y, h.edge, y)
		p.text("chart-label chart-even-label", "start", h.x.begin+4, y-4, h.Odds.evenLabel(h.Currency))
	}
	if h.Copy != nil {
		y := h.money.at(float64(*h.Copy))
		p.line("chart-copy", h.x.begin, y, h.edge, y)
		p.text("chart-label chart-copy-label", "end", h.x.end-4, y-4, "this copy "+h.Currency.Format(*h.Copy))
	}
}

// side draws the distribution of the sale price on the money axis, turned: the further right, the likelier.
func (h *history) side(p *pen) {
	if h.Odds == nil {
		return
	}
	curve := h.Odds.curve(1, h.top, 60)
	x := scale{low: 0, high: peak(curve), begin: h.x.end + 6, end: h.edge}
	for _, part := range h.Odds.parts(curve) {
		var d strings.Builder
		for i, c := range part.curve {
			if i == 0 {
				fmt.Fprintf(&d, "M%s %s", num(x.begin), num(h.money.at(c.cents)))
			}
			fmt.Fprintf(&d, "L%s %s", num(x.at(c.density)), num(h.money.at(c.cents)))
		}
		fmt.Fprintf(&d, "L%s %sZ", num(x.begin), num(h.money.at(part.curve[len(part.curve)-1].cents)))
		p.path(part.class, d.String())
	}
	for _, cents := range []int64{h.Odds.Low, h.Odds.Middle, h.Odds.High} {
		if y := h.money.at(float64(cents)); float64(cents) <= h.top {
			p.line("chart-mark", x.begin, y, x.at(h.Odds.density(float64(cents))), y)
		}
	}
}
