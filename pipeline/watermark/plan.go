package watermark

import (
	"fmt"
	"time"
)

// Plan says how the list is read.
type Plan struct {
	SweepEvery time.Duration // between full sweeps
	Shortest   time.Duration // between polls
	Longest    time.Duration // between polls
	Margin     Mark          // minutes below the mark that a read still covers
	Window     time.Duration // how long the list shows a row; older gaps expire
}

// DefaultPlan follows the measured list: a fifth of the new rows enter with an
// old date, and rows leave after half a day or so.
func DefaultPlan() Plan {
	return Plan{SweepEvery: 12 * time.Hour, Shortest: 15 * time.Minute, Longest: 2 * time.Hour, Margin: 60, Window: 24 * time.Hour}
}

// Due reports whether a poll is due.
func (s State) Due(now time.Time) bool { return !s.NextPoll.After(now) }

// Sweeps reports whether the next read is a full sweep: nothing is known yet, one
// was cut short, or the last is long ago.
func (p Plan) Sweeps(s State, now time.Time) bool {
	return s.Mark == 0 || s.Sweep != nil || now.Sub(s.LastSweep) >= p.SweepEvery
}

// Page is what one page said.
type Page struct {
	Rows  []Mark // creation dates, in the list's order
	Index int    // 0-based
	Total int    // rows of the whole list; negative when it did not say
}

// RowsPerPage is how many rows a full page has.
const RowsPerPage = 150

// Last reports whether no further page has rows. The list tells its own size, so
// the empty page is never bought.
func (p Page) Last() bool {
	if p.Total >= 0 {
		return (p.Index+1)*RowsPerPage >= p.Total || len(p.Rows) == 0
	}
	return len(p.Rows) < RowsPerPage
}

// Descends reports whether the page's dates never rise by more than a minute,
// which is what a list sorted by creation date looks like.
func (p Page) Descends() bool {
	for i := 1; i < len(p.Rows); i++ {
		if p.Rows[i] > p.Rows[i-1]+1 {
			return false
		}
	}
	return true
}

// Below reports whether every row of the page lies below the bottom: no single
// row, and no order within the page, ends a read.
func (p Page) Below(bottom Mark) bool {
	for _, m := range p.Rows {
		if m > bottom {
			return false
		}
	}
	return true
}

// Next is the interval after a read that brought fresh new rows of listed, and
// why. It shrinks while gaps are owed or much is new, and grows while little is.
func (p Plan) Next(s State, fresh, listed int) (time.Duration, string) {
	last := time.Duration(s.IntervalS) * time.Second
	if last == 0 {
		return p.Shortest, "first read"
	}
	switch {
	case len(s.Gaps) > 0:
		return p.Shortest, fmt.Sprintf("%d gaps are owed", len(s.Gaps))
	case fresh == 0:
		return p.clamp(2 * last), "nothing was new"
	case fresh*4 > listed:
		return p.clamp(last / 2), fmt.Sprintf("%d of %d were new", fresh, listed)
	default:
		return p.clamp(last * 5 / 4), fmt.Sprintf("%d of %d were new", fresh, listed)
	}
}

func (p Plan) clamp(d time.Duration) time.Duration { return max(p.Shortest, min(d, p.Longest)) }
