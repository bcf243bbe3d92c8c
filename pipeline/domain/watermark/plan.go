package watermark

import (
	"fmt"
	"time"
)

// Plan is how the list is read.
type Plan struct {
	SweepEvery time.Duration // between full sweeps
	Shortest   time.Duration // between polls
	Longest    time.Duration // between polls
	Backfill   time.Duration // a price that was this old at a list's first sweep is of the backfill
	Margin     Mark          // minutes below the mark that a read still covers
	Window     time.Duration // how long a row surely stays listed: what is owed for longer expires
	Patience   time.Duration // a read without a page for this long is not resumed
	Most       int           // pages that Keepa serves
	Price      float64       // tokens a page
	Income     float64       // tokens a minute; 0 unknown
}

// The parts of the income that discovery may use: while much is new, while nothing is, and for sweeps.
const (
	busyPart  = 0.10
	idlePart  = 0.01
	sweepPart = 0.02
)

// quarterPage is the number of new rows that a poll is meant to
// find: with more the interval shrinks, with fewer it grows.
const quarterPage = RowsPerPage / 4

// DefaultPlan follows the measured list: a fifth of the new rows enter with an old date, and rows leave after about
// half a day. Between captured sweeps 82 rows came in below the mark: 5 at most 4 minutes below it, none between 5 and
// 60, and 77 deeper, which only a sweep finds. So a margin of an hour finds no more than one of 10 minutes, and with
// it many polls buy a second page that shows nothing new. A row that only a sweep finds waits for half of its interval,
// and a twelfth of the prices changes in an hour: so it is short, and sweepPart keeps it from costing much.
func DefaultPlan() Plan {
	return Plan{
		SweepEvery: 4 * time.Hour, Backfill: 12 * time.Hour, Shortest: 15 * time.Minute, Longest: 2 * time.Hour, Margin: 10,
		Window: 10 * time.Hour, Patience: time.Hour, Most: 66, Price: 5,
	}
}

// Due reports whether a poll is due.
func (s State) Due(now time.Time) bool { return !s.NextPoll.After(now) }

// Sweeps reports whether the next read is a full sweep: nothing is known yet, the last sweep is
// long ago, or the last read is so long ago that rows may have come and left the top since.
func (p Plan) Sweeps(s State, now time.Time) bool {
	return s.Mark == 0 || now.Sub(s.LastSweep) >= p.sweepEvery(s) || now.Sub(s.ReadAt) >= p.Window
}

// sweepEvery returns the time between two sweeps that the income allows.
func (p Plan) sweepEvery(s State) time.Duration {
	return max(p.SweepEvery, p.afford(float64(max(1, s.Pages))*p.Price, sweepPart))
}

// afford returns how long a part of the income takes to pay for that many tokens.
func (p Plan) afford(tokens, part float64) time.Duration {
	if p.Income <= 0 {
		return 0
	}
	return time.Duration(tokens / (part * p.Income) * float64(time.Minute)).Round(time.Second)
}

// Next returns the interval after a read, and why. It starts from the rows' dates, shrinks while gaps are
// owed or much is new, grows while little is, and never costs more than a part of the income.
func (p Plan) Next(s State, r *Read) (time.Duration, string) {
	last := time.Duration(s.IntervalS) * time.Second
	pages := max(1, r.Pages) // as many as the next is likely to buy
	if r.Sweep && r.Ordered() {
		pages = 1 // the next read is incremental
	}
	cost := float64(pages) * p.Price
	shortest := max(p.Shortest, p.afford(cost, busyPart))
	longest := max(p.Longest, p.afford(cost, idlePart), shortest)
	clamp := func(d time.Duration) time.Duration { return max(shortest, min(d, longest)) }
	fresh := r.Fresh + r.Late
	why := fmt.Sprintf("%d of %d were new", fresh, r.Listed)
	var next time.Duration
	switch {
	case r.Odd != "":
		return longest, "list shape anomaly: " + r.Odd
	case last == 0:
		next = clamp(r.quarter())
		why = "first read, by the dates of its rows"
	case s.Driving() > 0:
		next, why = shortest, fmt.Sprintf("%d gaps are owed", s.Driving())
	case fresh == 0:
		next, why = clamp(2*last), "nothing was new"
	case fresh > quarterPage:
		next = clamp(last / 2)
	default:
		next = clamp(last * 5 / 4)
	}
	switch {
	case next == shortest && shortest > p.Shortest:
		why += ", as often as the income allows"
	case next == longest:
		why += ", the longest"
	}
	return next, why
}
