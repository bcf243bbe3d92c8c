// Package watermark tracks how far the deal list was read, what is still owed, and when to read again. It is pure.
//
// Four laws hold. A mark never goes back, never passes what was seen, and never lies in the future of
// Keepa's own clock. Coverage is idempotent, commutative and associative. What a read did not prove to
// have seen is owed as a gap until it is read or expires. Correctness does not depend on the list's order: an
// unordered list is read to its end.
//
//	State ──Begin──▶ State with Read ──Take page…──▶ Read ──End──▶ State, what opened, filled, expired
//	                    └─ dies here: the stored pages make the same Read again
package watermark

import (
	"fmt"
	"slices"
	"time"
)

// Mark is a position in Keepa's time: minutes since 2011. It has a type of its own
// so that it cannot be compared with our clock by accident. 0 is unknown.
type Mark int64

// State is what is known of one query's list. The zero value has seen nothing.
type State struct {
	Query     string    `json:"query,omitempty"`    // NAME@VERSION of the query
	Mark      Mark      `json:"mark"`               // every row up to here was read, or is owed in a gap
	ReadAt    time.Time `json:"read_at,omitzero"`   // when the last completed read ended
	NextPoll  time.Time `json:"next_poll,omitzero"` // due when it is not after now
	IntervalS int       `json:"interval_s"`
	Why       string    `json:"why"` // the reason for the interval
	Gaps      []Gap     `json:"gaps"`
	LastSweep time.Time `json:"last_sweep,omitzero"` // when a full sweep last ended
	Read      *Progress `json:"read,omitempty"`      // a read that has not ended
	Covered   Spans     `json:"covered,omitempty"`   // what the last read proved to have seen

	Rows       int     `json:"rows,omitempty"`            // of the whole list, last known
	Pages      int     `json:"pages,omitempty"`           // of the last sweep
	Overstates int     `json:"overstates,omitempty"`      // by how many rows the list counts too many
	PerHour    float64 `json:"per_hour,omitempty"`        // rows that come or change their price
	Unseen     float64 `json:"unseen_estimate,omitempty"` // total of rows that came and left between reads
}

// Gap is a span below the mark that was not proven to be seen and is owed.
type Gap struct {
	ID           string    `json:"id"`
	From         Mark      `json:"from"` // exclusive; 0 is the list's end
	To           Mark      `json:"to"`   // inclusive
	Opened       time.Time `json:"opened"`
	RowsEstimate int       `json:"rows_estimate"`
	Deep         bool      `json:"deep,omitempty"` // only a full sweep goes down there: a seam between two pages
}

// Progress is a read that has begun. Its pages are the stored answers
// to its query after Since, so a crash loses none of them.
type Progress struct {
	ID    string    `json:"id"`
	Begun time.Time `json:"begun"`
	Since uint64    `json:"since"` // sequence in RESPONSES
	Sweep bool      `json:"sweep"`
	Down  Mark      `json:"down"` // an incremental read ends below it
	Cut   bool      `json:"cut"`  // it was cut short, and what it did not read is owed
}

// Ceiling is how far a row's date may lie ahead of Keepa's clock and still move the mark: two minutes.
const Ceiling = Mark(2)

// Newest returns the newest of the rows that is not in the future; 0 without one.
func Newest(rows []Mark, keepaNow Mark) Mark {
	top := Mark(0)
	for _, m := range rows {
		if m <= keepaNow+Ceiling {
			top = max(top, m)
		}
	}
	return top
}

// span returns the minutes that a gap owes.
func (g Gap) span() Span {
	if g.From <= 0 {
		return Span{MinMark, g.To}
	}
	return Span{g.From + 1, g.To}
}

// Owes reports whether a row of that date is owed.
func (s State) Owes(m Mark) bool {
	return slices.ContainsFunc(s.Gaps, func(g Gap) bool { return g.span().Has(m) })
}

// addGap adds a gap to those that are owed. It is idempotent by id, and ignores an empty gap.
func (s State) addGap(g Gap) State {
	if g.From >= g.To || slices.ContainsFunc(s.Gaps, func(h Gap) bool { return h.ID == g.ID }) {
		return s
	}
	s.Gaps = append(slices.Clone(s.Gaps), g)
	slices.SortStableFunc(s.Gaps, func(a, b Gap) int { return int(max(-1, min(1, a.From-b.From))) })
	return s
}

// Driving returns how many gaps an incremental read must reach.
func (s State) Driving() int {
	n := 0
	for _, g := range s.Gaps {
		if !g.Deep {
			n++
		}
	}
	return n
}

// Bottom returns how far down the next incremental read must go: the mark,
// or the oldest gap that is not left to a sweep, less the margin.
func (s State) Bottom(margin Mark) Mark {
	bottom := s.Mark
	for _, g := range s.Gaps {
		if !g.Deep {
			bottom = min(bottom, g.From)
		}
	}
	return bottom - margin
}

// farAhead is longer than any list rests, and more than Keepa's clock and ours differ.
const farAhead = 48 * time.Hour

// Validate returns an error for a state that this package cannot have made: a mark
// that lies days ahead would silently leave rows unread. A poll that does is corrected.
func (s State) Validate(keepaNow Mark) error {
	switch {
	case s.Mark < 0 || s.Mark > keepaNow+Mark(farAhead/time.Minute):
		return fmt.Errorf("mark %d: want 0 to now, %d; is this machine's clock behind?", s.Mark, keepaNow)
	case s.IntervalS < 0 || s.Rows < 0 || s.Pages < 0:
		return fmt.Errorf("interval_s %d, rows %d, pages %d: want no negative number", s.IntervalS, s.Rows, s.Pages)
	}
	return nil
}
