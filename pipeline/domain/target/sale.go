package target

import (
	"slices"

	"ratchet/pipeline/domain/keepa"
)

const (
	windowBefore = keepa.Minute(6 * 60) // a rank jump may precede the fall that it confirms by this
	windowAfter  = day                  // and follow it by this
)

// Sale is a sold used copy: when its offer vanished, and its price with shipping.
type Sale struct {
	At    keepa.Minute
	Cents int64
}

// fall is a decrease of the number of used offers that lasted for a day.
type fall struct {
	at    keepa.Minute
	cents int64 // the used price before it, with shipping; 0 without one
}

// Sales returns the sales of the whole history, oldest first. A change on the
// last day of the history counts, although later data might undo it.
func (h *History) Sales() []Sale { return confirm(h.falls(), h.jumps(), 0) }

// SalesKnown returns the sales that could be known at the end of the history: a fall younger than a day is pending.
func (h *History) SalesKnown() []Sale {
	falls := h.falls()
	for len(falls) > 0 && falls[len(falls)-1].at+windowAfter > h.End {
		falls = falls[:len(falls)-1]
	}
	return confirm(falls, h.jumps(), 0)
}

// falls returns the decreases that were not undone within a day.
func (h *History) falls() []fall {
	var out []fall
	for i := 1; i < len(h.Count); i++ {
		was, is := max(h.Count[i-1].Value, 0), max(h.Count[i].Value, 0)
		if is >= was || h.undone(i, was) {
			continue
		}
		f := fall{at: h.Count[i].At}
		if k := h.Used.Search(f.at); k > 0 && h.Used[k-1].Value > 0 {
			f.cents = int64(h.Used[k-1].Value) + h.Credit(f.at)
		}
		out = append(out, f)
	}
	return out
}

// undone reports whether the count returned to was within a day of the change at i.
func (h *History) undone(i, was int) bool {
	for k := i + 1; k < len(h.Count) && h.Count[k].At <= h.Count[i].At+windowAfter; k++ {
		if h.Count[k].Value >= was {
			return true
		}
	}
	return false
}

// jumps returns the minutes at which the sales rank improved by more than a tenth.
func (h *History) jumps() []keepa.Minute {
	var out []keepa.Minute
	for i := 1; i < len(h.Rank); i++ {
		if float64(h.Rank[i].Value) < 0.9*float64(h.Rank[i-1].Value) {
			out = append(out, h.Rank[i].At)
		}
	}
	return out
}

// confirm returns the falls, each moved by the same time, that a jump makes sales. A jump confirms one fall.
func confirm(falls []fall, jumps []keepa.Minute, moved keepa.Minute) []Sale {
	var out []Sale
	spent := map[keepa.Minute]bool{}
	for _, f := range falls {
		at := f.at + moved
		i, _ := slices.BinarySearch(jumps, at-windowBefore)
		if i == len(jumps) || jumps[i] > at+windowAfter || spent[jumps[i]] || f.cents == 0 {
			continue
		}
		spent[jumps[i]] = true
		out = append(out, Sale{At: at, Cents: f.cents})
	}
	return out
}

// Control is the moved-falls control: how many falls are confirmed, and how many of the same falls at other times.
type Control struct {
	Falls, Confirmed      int
	Moved, MovedConfirmed int
}

// Control moves every fall by 7 to 21 days, either way, a day at a time. Without a jump it is empty.
func (h *History) Control() Control {
	falls, jumps := h.falls(), h.jumps()
	if len(jumps) == 0 {
		return Control{}
	}
	c := Control{Falls: len(falls), Confirmed: len(confirm(falls, jumps, 0))}
	for d := 7 * day; d <= 21*day; d += day {
		for _, moved := range []keepa.Minute{-d, d} {
			inside := slices.DeleteFunc(slices.Clone(falls), func(f fall) bool {
				return f.at+moved < h.Rank[0].At || f.at+moved+windowAfter > h.End
			})
			c.Moved += len(inside)
			c.MovedConfirmed += len(confirm(inside, jumps, moved))
		}
	}
	return c
}

// Add sums two controls.
func (c Control) Add(o Control) Control {
	return Control{c.Falls + o.Falls, c.Confirmed + o.Confirmed, c.Moved + o.Moved, c.MovedConfirmed + o.MovedConfirmed}
}

// Precision returns the share of the confirmed falls that are sales, if other falls are confirmed as
// often as moved ones: confirmed = sales + (1 - sales)·moved. False when that cannot be computed.
func (c Control) Precision() (float64, bool) {
	if c.Confirmed == 0 || c.Moved == 0 || c.MovedConfirmed == c.Moved {
		return 0, false
	}
	confirmed, moved := float64(c.Confirmed)/float64(c.Falls), float64(c.MovedConfirmed)/float64(c.Moved)
	return (confirmed - moved) / (1 - moved) / confirmed, true
}
