// Package watermark is the ledger of what was seen of the deal list: how far it
// was read, what is still owed, and when to look again. It is pure.
//
// Four laws hold. A mark never goes back, never passes what was seen, and never
// lies in the future of Keepa's own clock. Observing is idempotent, commutative
// and associative. What a read did not fetch is owed as a gap until it was read
// or has expired. Nothing rests on the order of the list.
package watermark

import (
	"slices"
	"time"
)

// Mark is a position in Keepa's time: minutes since 2011. It has a type of its
// own so that it cannot be compared with our clock by accident. 0 is unknown.
type Mark int64

// State is what is known of one query's list. The zero value has seen nothing.
type State struct {
	Mark      Mark      `json:"mark"`               // every row up to here was read, or is owed in a gap
	ReadAt    time.Time `json:"read_at,omitzero"`   // when the last read ended
	NextPoll  time.Time `json:"next_poll,omitzero"` // due when it is not after now
	IntervalS int       `json:"interval_s"`
	Why       string    `json:"why"` // the reason for the interval
	Gaps      []Gap     `json:"gaps"`
	LastSweep time.Time `json:"last_sweep,omitzero"` // when a full sweep last ended
	Sweep     *Progress `json:"sweep,omitempty"`     // a full sweep that was cut short
}

// Gap is a span below the mark that was not fetched and is owed.
type Gap struct {
	ID           string    `json:"id"`
	From         Mark      `json:"from"` // exclusive: read before
	To           Mark      `json:"to"`   // inclusive
	Opened       time.Time `json:"opened"`
	RowsEstimate int       `json:"rows_estimate"`
}

// Progress is where a sweep goes on after it was cut short.
type Progress struct {
	Page  int       `json:"page"` // the next to read
	Top   Mark      `json:"top"`  // the newest row seen so far
	Begun time.Time `json:"begun"`
}

// Ceiling is how far a row's date may lie ahead of Keepa's clock and still move
// the mark: two minutes.
const Ceiling = Mark(2)

// Observe raises the mark to the newest of the rows, none of them beyond what
// Keepa's clock allows: a row from the future is worked on and moves nothing.
func (s State) Observe(rows []Mark, keepaNow Mark) State {
	s.Mark = max(s.Mark, Newest(rows, keepaNow))
	return s
}

// Newest is the newest of the rows that does not lie in the future; 0 for none.
func Newest(rows []Mark, keepaNow Mark) Mark {
	top := Mark(0)
	for _, m := range rows {
		if m <= keepaNow+Ceiling {
			top = max(top, m)
		}
	}
	return top
}

// Oldest is the oldest of the rows; 0 for none.
func Oldest(rows []Mark) Mark {
	if len(rows) == 0 {
		return 0
	}
	return slices.Min(rows)
}

// Merge joins what two readers saw of the same list.
func (s State) Merge(o State) State {
	s.Mark = max(s.Mark, o.Mark)
	if o.ReadAt.After(s.ReadAt) {
		s.ReadAt = o.ReadAt
	}
	if o.LastSweep.After(s.LastSweep) {
		s.LastSweep = o.LastSweep
	}
	for _, g := range o.Gaps {
		s = s.Owe(g)
	}
	return s
}

// Owe opens a gap; the same gap twice is one, and an empty one none.
func (s State) Owe(g Gap) State {
	if g.From >= g.To || slices.ContainsFunc(s.Gaps, func(h Gap) bool { return h.ID == g.ID }) {
		return s
	}
	s.Gaps = append(slices.Clone(s.Gaps), g)
	slices.SortFunc(s.Gaps, func(a, b Gap) int { return int(a.From - b.From) })
	return s
}

// Filled is the state after everything newer than down was read, and the gaps
// that this ended. A gap that was read in part shrinks.
func (s State) Filled(down Mark) (State, []Gap) {
	var filled, owed []Gap
	for _, g := range s.Gaps {
		switch {
		case down <= g.From:
			filled = append(filled, g)
		case down < g.To:
			g.To = down
			owed = append(owed, g)
		default:
			owed = append(owed, g)
		}
	}
	s.Gaps = owed
	return s, filled
}

// Expired is the state without the gaps that have been owed for longer than the
// list shows its rows, and those gaps.
func (s State) Expired(now time.Time, window time.Duration) (State, []Gap) {
	var gone, owed []Gap
	for _, g := range s.Gaps {
		if now.Sub(g.Opened) > window {
			gone = append(gone, g)
		} else {
			owed = append(owed, g)
		}
	}
	s.Gaps = owed
	return s, gone
}

// Bottom is down to where the next incremental read must go: the mark, or the
// oldest gap, less the margin.
func (s State) Bottom(margin Mark) Mark {
	bottom := s.Mark
	for _, g := range s.Gaps {
		bottom = min(bottom, g.From)
	}
	return bottom - margin
}
