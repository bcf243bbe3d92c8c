package target

import (
	"math"
	"slices"
	"time"

	"ratchet/pipeline/domain/keepa"
)

const (
	offeredAt   = 0.45 // of the mean, what a listed copy costs at the median
	meanOver    = 90 * day
	pricedFor   = 40 * day // a mean over fewer days of prices is not used
	behind      = year     // of count and rank before a purchase
	ahead       = 120 * day
	dropsTo     = 0.6 // of the mean
	leastCents  = 1000
	mostCents   = 30_100
	oncePer     = 30 * day
	monthAhead  = year
	notToldYet  = keepa.Minute(-1)
	beforeADrop = keepa.Minute(1)
)

// Month is the first minute of a month, in UTC.
type Month struct {
	Purchase
	Offered bool    // the price of an offered copy is known, so the purchase has an outcome
	Outcome Outcome // of Offered

	// Next are the prices of the sales of the next twelve months, nil unless the history reaches that far.
	Next []int64
}

// since returns the first minute that is preceded by a year of count and rank; false without any.
func (h *History) since() (keepa.Minute, bool) {
	if len(h.Count) == 0 || len(h.Rank) == 0 {
		return notToldYet, false
	}
	return max(h.Count[0].At, h.Rank[0].At) + behind, true
}

// Months returns the month starts that can be scored: an offered copy, or an estimate to compare.
func (h *History) Months(sales []Sale) []Month {
	var out []Month
	since, ok := h.since()
	for at := monthOf(since); ok && at <= h.End; at = monthOf(at + 1) {
		if m, ok := h.month(at, sales); ok {
			out = append(out, m)
		}
	}
	return out
}

// monthOf returns the first month start at or after the minute.
func monthOf(at keepa.Minute) keepa.Minute {
	t := at.Time()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	if keepa.FromTime(first) < at {
		first = first.AddDate(0, 1, 0)
	}
	return keepa.FromTime(first)
}

func (h *History) month(at keepa.Minute, sales []Sale) (Month, bool) {
	used, ok := h.lastUsed(at)
	if !ok {
		return Month{}, false
	}
	credit := h.Credit(at)
	m := Month{Purchase: Purchase{At: at, NextBestCents: used + credit}}
	mean, priced, ok := h.Mean(at-meanOver, at)
	if !ok {
		mean = float64(used)
	}
	m.LandedCents = int64(math.Round(offeredAt*mean)) + credit
	if ok && priced >= pricedFor && offeredAt*mean >= leastCents && at+ahead <= h.End {
		m.Outcome = h.Outcome(m.Purchase, sales)
		m.Offered = m.Outcome.Known()
	}
	if at+monthAhead <= h.End {
		for _, s := range sales {
			if s.At > at && s.At <= at+monthAhead {
				m.Next = append(m.Next, s.Cents)
			}
		}
		slices.Sort(m.Next)
	}
	return m, m.Offered || m.Next != nil
}

// Drop is a copy that was listed far below the earlier price of used copies.
type Drop struct {
	Purchase
	Outcome Outcome
}

// Drops returns the price drops of the history that can be scored: the
// first of every thirty days, counted from the first used price.
func (h *History) Drops(sales []Sale) []Drop {
	var out []Drop
	since, ok := h.since()
	last := notToldYet
	for i := 1; ok && i < len(h.Used); i++ {
		at := h.Used[i].At
		if at < since || at+ahead > h.End || !h.drops(i) {
			continue
		}
		if span := (at - h.Used[0].At) / oncePer; span != last {
			last = span
			if d, ok := h.drop(i, sales); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

// drops reports whether the used price fell far at the change.
func (h *History) drops(i int) bool {
	was, is := h.Used[i-1].Value, h.Used[i].Value
	if is >= was || is < leastCents || is > mostCents {
		return false
	}
	at := h.Used[i].At
	mean, _, ok := h.Mean(at-meanOver, at-beforeADrop)
	return ok && float64(is) <= dropsTo*mean
}

func (h *History) drop(i int, sales []Sale) (Drop, bool) {
	at := h.Used[i].At
	credit := h.Credit(at)
	d := Drop{Purchase: Purchase{
		At: at - beforeADrop, LandedCents: int64(h.Used[i].Value) + credit, NextBestCents: int64(h.Used[i-1].Value) + credit,
	}}
	bought := d.Purchase
	bought.At = at
	d.Outcome = h.Outcome(bought, sales)
	return d, d.Outcome.Known()
}

// Middle returns the median of sorted prices.
func Middle(sorted []int64) float64 {
	n := len(sorted)
	return float64(sorted[n/2]+sorted[(n-1)/2]) / 2
}
