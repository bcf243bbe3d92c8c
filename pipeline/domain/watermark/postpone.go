package watermark

import (
	"fmt"
	"slices"
	"time"
)

// Introduce returns the state of a list that is read from now on: due at once. False when it is read already. A
// retired list keeps its mark and its gaps; another query under the same name starts as one that was never read.
func (s State) Introduce(query string, now time.Time) (State, bool) {
	other := s.Query != "" && s.Query != query
	switch {
	case !s.NextPoll.IsZero() && !other:
		return s, false
	case other:
		s = State{Unseen: s.Unseen}
	}
	s.Why = "never read"
	if s.Query != "" {
		s.Why = "in force again"
	}
	if s.Gaps == nil {
		s.Gaps = []Gap{}
	}
	s.NextPoll = now
	return s, true
}

// Retired is the reason of a list that is no longer read.
const Retired = "no longer in force"

// Retire returns the state of a list that is no longer read: nothing is due. False when it is retired already.
func (s State) Retire() (State, bool) {
	if s.NextPoll.IsZero() {
		return s, false
	}
	s.NextPoll, s.Why = time.Time{}, Retired
	return s, true
}

// BacklogFull returns the state of a list that is not read because too much work waits.
func (s State) BacklogFull(p Plan, now time.Time) State {
	s.NextPoll, s.Why = now.Add(p.Shortest), "the backlog is full"
	return s
}

// tolerance is more than an interval differs from what the state stores of it, and than small corrections of a clock.
const tolerance = time.Minute

// Corrected returns the state after our clock was set back: its next poll lies further ahead than any interval, and the
// list is due. What the state stores of the earlier clock counts as of now. False when its next poll is possible.
func (s State) Corrected(p Plan, now time.Time) (State, bool) {
	if s.NextPoll.Sub(now) <= max(p.Shortest, time.Duration(s.IntervalS)*time.Second)+tolerance {
		return s, false
	}
	s.NextPoll, s.Why = now, "the clock was set back"
	s.ReadAt, s.LastSweep, s.Gaps = earlier(s.ReadAt, now), earlier(s.LastSweep, now), slices.Clone(s.Gaps)
	for i := range s.Gaps {
		s.Gaps[i].Opened = earlier(s.Gaps[i].Opened, now)
	}
	return s, true
}

func earlier(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// firstRest is how long a list rests after a read that was cut short.
const firstRest = 20 * time.Second

// CutShort returns the state of a list whose read was cut short; before is how many reads in a row were before it. The
// next poll backs off, at most by the shortest interval; until then no poll is due, so an unreadable list does not
// count as waiting work. It returns false if the read has ended or the list is already postponed.
func (s State) CutShort(before int, p Plan, now time.Time) (State, bool) {
	if s.Read == nil || s.NextPoll.After(now) {
		return s, false
	}
	s.NextPoll = now.Add(min(p.Shortest, firstRest<<min(before, 10)))
	s.Why = fmt.Sprintf("the last read was cut short, %d in a row", before+1)
	return s, true
}

// Continues reports whether a read under way is resumed; last is when its newest page came, or when it began. A
// read that is too old ends, and what it did not read is owed.
func (p Plan) Continues(last, now time.Time) bool { return now.Sub(last) < p.Patience }

// Counts reports whether a read that fails now still changes the state: it has pages that no earlier end accounted
// for. bought is whether it bought one of its pages, rather than taking all of them from storage.
func (s State) Counts(r *Read, bought bool) bool { return r.Pages > 0 && (!s.Read.Cut || bought) }
