package chart

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"ratchet/pipeline/domain/keepa"
)

// The marks of a plot.
const (
	markNew    = 'n'
	markAmazon = 'a'
	markBox    = 'b'
	markSale   = '●'
	markCopy   = '─'
	markEven   = '┄'
)

// gutter is the room for the labels of the rows.
const gutter = 8

// Plot draws History in characters on so many columns, at least 40, without colours: the used price and the rank in
// braille, the other prices as letters.
func Plot(p Product, r Range, columns int) string {
	columns = max(columns, 40)
	h := newHistory(p, r, Desktop)
	wide := columns - gutter
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", short(named(p)+", over "+r.String(), columns))
	for _, line := range wrapped(h.keys(), columns) {
		out.WriteString(line + "\n")
	}
	ticks := moneyTicks(h.Currency, 0, h.top, 5)
	h.pricePanel(wide, min(max(columns/7, 9), 18)).write(&out, h.money, ticks)
	out.WriteString(strings.Repeat(" ", gutter) + "sales rank\n")
	rank := newBoard(wide, 5)
	rank.steps(p.Market.Rank, h.rank, h.from, h.until)
	rank.write(&out, h.rank, logTicks(h.rank.low, h.rank.high, 3))
	out.WriteString(dates(h.from.Time(), h.until.Time(), wide))
	if h.Odds != nil {
		out.WriteString(h.Odds.strip(h.Currency, columns))
	}
	return out.String()
}

// keys explain how each series is drawn, with its current value.
func (h *history) keys() []string {
	out := []string{"⣀⡇ used " + money(h.Currency, last(h.Market.Used, h.until))}
	for _, k := range []struct {
		mark   rune
		name   string
		series keepa.Series
	}{{markNew, "new", h.Market.New}, {markAmazon, "Amazon", h.Market.Amazon}, {markBox, "Buy Box", h.Market.BuyBox}} {
		out = append(out, fmt.Sprintf("%c %s %s", k.mark, k.name, money(h.Currency, last(k.series, h.until))))
	}
	out = append(out, fmt.Sprintf("%c %s", markSale, plural(len(h.sales(h.from, h.until)), "sale", "sales")))
	if h.Copy != nil {
		out = append(out, fmt.Sprintf("%c this copy %s", markCopy, h.Currency.Format(*h.Copy)))
	}
	if h.Odds != nil {
		out = append(out, fmt.Sprintf("%c %s", markEven, h.Odds.evenLabel(h.Currency)))
	}
	out = append(out, "prices with shipping")
	if h.cut {
		out = append(out, "higher ones cut off")
	}
	return out
}

// wrapped puts parts on lines.
func wrapped(parts []string, columns int) []string {
	lines := []string{""}
	for _, p := range parts {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = short(p, columns)
		case utf8.RuneCountInString(*last)+2+utf8.RuneCountInString(p) > columns:
			lines = append(lines, short(p, columns))
		default:
			*last += "  " + p
		}
	}
	return lines
}

// pricePanel draws the prices, what matters most last.
func (h *history) pricePanel(wide, high int) *board {
	b := newBoard(wide, high)
	b.steps(h.Market.Used, h.money, h.from, h.until)
	b.letters(h.Market.Amazon, h.money, h.from, h.until, markAmazon)
	b.letters(h.Market.New, h.money, h.from, h.until, markNew)
	b.letters(h.Market.BuyBox, h.money, h.from, h.until, markBox)
	if even := h.breakeven(); even != nil {
		b.level(h.money, float64(*even), markEven)
	}
	if h.Copy != nil {
		b.level(h.money, float64(*h.Copy), markCopy)
	}
	x, y := across(h.from, h.until, wide), upward(h.money, high)
	for _, s := range h.sales(h.from, h.until) {
		b.put(cell(x, float64(s.At)), cell(y, float64(s.Cents)), markSale)
	}
	return b
}

// write prints a panel with its axis.
func (b *board) write(out *strings.Builder, s scale, ticks []tick) {
	labels := map[int]string{}
	for _, t := range ticks {
		labels[cell(upward(s, b.high), t.value)] = t.label
	}
	for y := range b.high {
		axis := "│"
		if labels[y] != "" {
			axis = "┤"
		}
		line := fmt.Sprintf("%*s%s%s", gutter-1, short(labels[y], gutter-2)+" ", axis, b.row(y))
		out.WriteString(line + "\n")
	}
}

// dates is the axis of time below a panel.
func dates(from, until time.Time, wide int) string {
	line := []rune(strings.Repeat(" ", wide))
	axis := []rune(strings.Repeat("─", wide))
	x := scale{low: seconds(from), high: seconds(until), end: float64(wide - 1)}
	for _, t := range timeTicks(from, until, max(2, wide/10)) {
		at := cell(x, t.value)
		axis[at] = '┴'
		if begin := at - len(t.label)/2; begin >= 0 && begin+len(t.label) <= wide {
			copy(line[begin:], []rune(t.label))
		}
	}
	margin := strings.Repeat(" ", gutter-1)
	return margin + "└" + string(axis) + "\n" + strings.TrimRight(margin+" "+string(line), " ") + "\n"
}

// blocks are the eighths of a cell.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// strip is the distribution of the sale price, with what it means below it.
func (o *Odds) strip(c keepa.Currency, columns int) string {
	wide := columns - gutter
	from, until := o.ends()
	x := scale{low: from, high: until, end: float64(wide - 1)}
	curve := o.curve(from, until, 4*wide)
	heights := make([]float64, wide)
	for _, d := range curve {
		heights[cell(x, d.cents)] = max(heights[cell(x, d.cents)], d.density)
	}
	const rows = 3
	var out strings.Builder
	fmt.Fprintf(&out, "%*ssale price\n", gutter, "")
	for row := range rows {
		line := make([]rune, wide)
		for i, h := range heights {
			line[i] = blocks[min(max(int(8*rows*h/peak(curve))-8*(rows-1-row), 0), 8)]
		}
		out.WriteString(strings.TrimRight(fmt.Sprintf("%*s%s", gutter, "", string(line)), " ") + "\n")
	}
	out.WriteString(o.ruler(c, x, wide))
	for _, line := range wrapped(o.sums(c), columns) {
		out.WriteString(line + "\n")
	}
	return out.String()
}

// sums are the estimate in figures.
func (o *Odds) sums(c keepa.Currency) []string {
	out := []string{
		fmt.Sprintf("low %s, profit %s", c.Format(o.Low), c.Format(o.ProfitLow)), fmt.Sprintf("middle %s, profit %s", c.Format(o.Middle), c.Format(o.Profit)),
		fmt.Sprintf("high %s, profit %s", c.Format(o.High), c.Format(o.ProfitHi)), "╂ " + o.evenLabel(c), percent(o.LossChance) + " lose",
	}
	for i := range len(out) - 1 {
		out[i] += ";"
	}
	return out
}

// ruler is the axis of prices, with break-even.
func (o *Odds) ruler(c keepa.Currency, x scale, wide int) string {
	axis, line := []rune(strings.Repeat("─", wide)), []rune(strings.Repeat(" ", wide))
	free := 0
	for _, t := range moneyTicks(c, x.low, x.high, max(2, wide/14)) {
		at, label := cell(x, t.value), []rune(t.label)
		axis[at] = '┴'
		if begin := at - len(label)/2; begin >= free && begin+len(label) <= wide {
			copy(line[begin:], label)
			free = begin + len(label) + 1
		}
	}
	axis[cell(x, float64(o.Breakeven))] = '╂'
	margin := strings.Repeat(" ", gutter)
	return margin + string(axis) + "\n" + strings.TrimRight(margin+string(line), " ") + "\n"
}

// markPause is what stands for a pause.
const markPause = '░'

// PlotTimeline draws Timeline in characters: so many rows, and two for its axis.
func PlotTimeline(c Course, columns, rows int) string {
	c = c.sorted()
	wide := max(columns, 20) - gutter
	b := newBoard(wide, max(rows, 1))
	x := scale{low: seconds(c.From), high: seconds(c.Until), end: float64(2*wide - 1)}
	y := scale{low: 0, high: c.most()}
	up := upward(y, 4*b.high)
	for _, run := range c.runs(x, up, 1) {
		b.polyline(run)
	}
	for _, pause := range c.Pauses {
		until := wide - 1
		if !pause.Until.IsZero() {
			until = cell(x, seconds(pause.Until)) / 2
		}
		for at := cell(x, seconds(pause.From)) / 2; at <= until; at++ {
			b.behind(at, b.high-1, markPause)
		}
	}
	var out strings.Builder
	b.write(&out, y, []tick{{0, "0"}, {y.high, brief(y.high)}})
	return out.String() + dates(c.From, c.Until, wide)
}
