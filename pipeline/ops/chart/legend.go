package chart

import (
	"fmt"
	"strings"
	"time"
)

// entry is one line's name in the legend, with what it is now.
type entry struct{ class, text string }

// entries are the lines that a picture has, what matters most first.
func (h *history) entries() []entry {
	var out []entry
	prices := h.prices()
	for i := range prices {
		s := prices[len(prices)-1-i]
		if quantile(stretches(s.points, h.from, h.until), 1) > 0 {
			out = append(out, entry{"chart-line " + s.class, s.name + " " + money(h.Currency, last(s.points, h.until))})
		}
	}
	if n := len(h.sales(h.from, h.until)); n > 0 {
		out = append(out, entry{"chart-sales", plural(n, "sale", "sales")})
	}
	return out
}

// rowsOf puts entries on as many rows as the width needs.
func rowsOf(all []entry, width float64) [][]entry {
	rows, used := [][]entry{nil}, float64(leftRoom)
	for _, e := range all {
		if w := entryWide(e); used+w > width && len(rows[len(rows)-1]) > 0 {
			rows, used = append(rows, nil), leftRoom
		}
		used += entryWide(e)
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
	}
	return rows
}

// sample is how wide a piece of a line is in the legend.
const sample = 16

func entryWide(e entry) float64 { return sample + 6 + wide(e.text) + 14 }

func (h *history) legend(p *pen) {
	for row, entries := range h.rows {
		x, y := float64(leftRoom), float64(legendRow*row)+12
		for _, e := range entries {
			if e.class == "chart-sales" {
				p.empty("circle", attrs{"class", "chart-sale", "cx", num(x + sample/2), "cy", num(y - 4), "r", "3.5"})
			} else {
				p.line(e.class, x, y-4, x+sample, y-4)
			}
			p.text("chart-label", "start", x+sample+6, y, e.text)
			x += entryWide(e)
		}
	}
}

// describe returns the picture in words.
func (h *history) describe() string {
	var parts []string
	for _, s := range h.prices() {
		parts = append(parts, s.name+" "+money(h.Currency, last(s.points, h.until)))
	}
	rank := "unknown"
	if r := last(h.Market.Rank, h.until); r != nil {
		rank = grouped(int(*r))
	}
	out := fmt.Sprintf("On %s, UTC, with shipping: %s. Sales rank %s.", day(h.until.Time()), strings.Join(parts, ", "), rank)
	sales := h.sales(h.from, h.until)
	out += fmt.Sprintf(" Since %s %s inferred", day(h.from.Time()), plural(len(sales), "sale is", "sales are"))
	if n := len(sales); n > 0 {
		out += fmt.Sprintf(", the last on %s for %s", day(sales[n-1].At.Time()), h.Currency.Format(sales[n-1].Cents))
	}
	out += "."
	if h.Copy != nil {
		out += " The copy on offer costs " + h.Currency.Format(*h.Copy) + "."
	}
	if h.Odds != nil {
		out += " " + h.Odds.says(h.Currency)
	}
	if len(h.Market.Unread) > 0 {
		out += " Not readable: " + strings.Join(h.Market.Unread, ", ") + "."
	}
	return out
}

// unix is the instant of a tick.
func unix(seconds float64) time.Time { return time.Unix(int64(seconds), 0).UTC() }
