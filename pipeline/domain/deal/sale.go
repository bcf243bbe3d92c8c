package deal

import (
	"slices"
	"sort"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// Sale is a sale of a used copy that the histories imply.
type Sale struct {
	At    keepa.Minute `json:"at"`    // when the copy was sold, in Keepa minutes
	Cents int64        `json:"cents"` // landed: the used price strictly before, and the ship credit
}

// Sales are the result of the falls of the used count.
type Sales struct {
	All     []Sale // oldest first
	Falls   int    // how often the used count fell
	Undone  int    // falls that the count took back within flicker
	Pending int    // falls too recent to decide
}

// The windows and the threshold of a sale (economics.md section 2).
const (
	flicker    = keepa.Minute(24 * 60) // a fall that is undone within this does not count
	jumpBefore = keepa.Minute(6 * 60)  // the rank may jump this long before the count falls
	jumpAfter  = keepa.Minute(24 * 60) // or this long after it
	jumpTenths = 9                     // a jump is below nine tenths of the rank before it
	day        = keepa.Minute(24 * 60)
)

// newIncludesShipping is when Keepa's NEW price began to include shipping, and from when on USED may.
var newIncludesShipping = keepa.FromTime(time.Date(2026, 2, 16, 0, 0, 0, 0, time.UTC))

// ShippingBasis says whether Keepa's USED price includes shipping, as derived from an answer with offers.
type ShippingBasis string

// The bases. An answer without offers has none.
const (
	IncludesShipping ShippingBasis = "yes"
	ExcludesShipping ShippingBasis = "no"
	ShippingUnknown  ShippingBasis = "unknown"
)

// Credit is the shipping that a USED price lacks at an instant.
type Credit struct {
	Cents int64
	Basis ShippingBasis
}

// At returns the credit of a USED price that was in force at the instant.
func (c Credit) At(m keepa.Minute) int64 {
	return c.Cents * int64(c.within(m, m+1))
}

// within returns for how many of the minutes from one instant to another the credit applies.
func (c Credit) within(from, to keepa.Minute) keepa.Minute {
	if c.Basis == IncludesShipping {
		to = min(to, newIncludesShipping)
	}
	return max(0, to-from)
}

// Histories are the series that the estimate is based on.
type Histories struct {
	Rank, Used, CountUsed keepa.Series
	// Known is false when the answer came without histories: then nothing can be inferred.
	Known bool
}

// InferSales derives the sales from the histories up to now.
//
// A fall of the used count is a sale if the count is not back within a day and the rank jumps near it. Falls come in
// order of time and each takes the earliest jump of its window; a jump confirms one sale. The price is the one in
// force strictly before the fall: when the cheapest copy is sold, count and price change in the same minute.
func InferSales(h Histories, c Credit, now time.Time) Sales { return new(Scratch).sales(h, c, now) }

func (m *Scratch) sales(h Histories, c Credit, now time.Time) Sales {
	to := keepa.FromTime(now)
	m.jumps = jumps(m.jumps[:0], h.Rank, to)
	found := Sales{All: m.found[:0]}
	spent := keepa.Minute(-1) // the jump that confirmed the sale before
	for i := 1; i < len(h.CountUsed) && h.CountUsed[i].At <= to; i++ {
		at, before := h.CountUsed[i].At, max(h.CountUsed[i-1].Value, 0)
		if max(h.CountUsed[i].Value, 0) >= before {
			continue
		}
		found.Falls++
		switch {
		case undone(h.CountUsed[i+1:], before, at, to):
			found.Undone++
			continue
		case at+flicker > to:
			found.Pending++
			continue
		}
		jump, ok := firstJump(m.jumps, at)
		price, priced := priceBefore(h.Used, at)
		if !ok || !priced || jump == spent {
			continue
		}
		spent = jump
		found.All = append(found.All, Sale{At: at, Cents: price + c.At(at)})
	}
	m.found = found.All
	return found
}

// jumps appends the minutes at which the rank fell below nine tenths of the rank before it. Unknown ranks are skipped.
func jumps(at []keepa.Minute, ranks keepa.Series, to keepa.Minute) []keepa.Minute {
	before := 0
	for _, p := range ranks {
		if p.Value <= 0 {
			continue
		}
		if p.At > to {
			break
		}
		if before > 0 && p.Value*10 < before*jumpTenths {
			at = append(at, p.At)
		}
		before = p.Value
	}
	return at
}

// undone reports whether the count is back at its former value within a day of the fall.
func undone(after keepa.Series, before int, at, to keepa.Minute) bool {
	for _, p := range after {
		if p.At > at+flicker || p.At > to {
			return false
		}
		if p.Value >= before {
			return true
		}
	}
	return false
}

// firstJump returns the earliest jump in the window around a fall; false without one.
func firstJump(jumps []keepa.Minute, at keepa.Minute) (keepa.Minute, bool) {
	i, _ := slices.BinarySearch(jumps, at-jumpBefore)
	if i == len(jumps) || jumps[i] > at+jumpAfter {
		return 0, false
	}
	return jumps[i], true
}

// priceBefore returns the price in force strictly before the minute; false without one.
func priceBefore(used keepa.Series, at keepa.Minute) (int64, bool) {
	i := used.Search(at)
	if i == 0 || used[i-1].Value <= 0 {
		return 0, false
	}
	return int64(used[i-1].Value), true
}

// Since returns the sales not older than the duration.
func (s Sales) Since(d time.Duration, now time.Time) []Sale {
	from := keepa.FromTime(now).Add(-d)
	i := sort.Search(len(s.All), func(i int) bool { return s.All[i].At >= from })
	return s.All[i:]
}

// DaysWithSale returns the number of days with a sale among the last 180.
func (s Sales) DaysWithSale(now time.Time) int {
	days, last := 0, keepa.Minute(-1)
	for _, sale := range s.Since(180*24*time.Hour, now) {
		if d := sale.At / day; d != last {
			days, last = days+1, d
		}
	}
	return days
}

// Last returns the newest n sales, newest first.
func (s Sales) Last(n int) []Sale {
	newest := slices.Clone(s.All[max(0, len(s.All)-n):])
	slices.Reverse(newest)
	return newest
}

// asking returns the mean of the used price with credit over the part of
// the last 180 days in which there was one; false without any.
func asking(used keepa.Series, c Credit, now time.Time) (float64, bool) {
	to := keepa.FromTime(now)
	from := to - askingDays*day
	sum, held := 0.0, 0.0
	for i := max(0, used.Search(from+1)-1); i < len(used) && used[i].At < to; i++ {
		end := to
		if i+1 < len(used) {
			end = min(end, used[i+1].At)
		}
		start := max(used[i].At, from)
		if used[i].Value <= 0 || end <= start {
			continue
		}
		minutes := float64(end - start)
		sum += minutes*float64(used[i].Value) + float64(c.within(start, end))*float64(c.Cents)
		held += minutes
	}
	if held == 0 {
		return 0, false
	}
	return sum / held, true
}
