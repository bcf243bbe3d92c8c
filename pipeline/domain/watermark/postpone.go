package watermark

import (
	"fmt"
	"time"
)

// Introduce is a list that is read from now on: due at once. False where it is read already. One that was
// retired keeps its mark and what it owes; another query under the same name begins as one that was never read.
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

// Retired is why a list is not read that was read before.
const Retired = "no longer in force"

// Retire is a list that is no longer read: nothing is due. False where nothing is already.
func (s State) Retire() (State, bool) {
	if s.NextPoll.IsZero() {
		return s, false
	}
	s.NextPoll, s.Why = time.Time{}, Retired
	return s, true
}

// BacklogFull is a list that is not read while more waits than can be worked on.
func (s State) BacklogFull(p Plan, now time.Time) State {
	s.NextPoll, s.Why = now.Add(p.Shortest), "the backlog is full"
	return s
}

// firstRest is how long a list rests after a read that was cut short.
const firstRest = 20 * time.Second

// CutShort is a list whose read was cut short, as the reads before it: it rests,
// longer each time and at most for the shortest interval. What cannot be read is not
// work that waits. False where the read is no longer under way, or rests already.
func (s State) CutShort(before int, p Plan, now time.Time) (State, bool) {
	if s.Read == nil || s.NextPoll.After(now) {
		return s, false
	}
	s.NextPoll = now.Add(min(p.Shortest, firstRest<<min(before, 10)))
	s.Why = fmt.Sprintf("the last read was cut short, %d in a row", before+1)
	return s, true
}

// Continues reports whether a read goes on whose last page, or beginning, was then.
// One that is older ends, and what it did not read is owed.
func (p Plan) Continues(last, now time.Time) bool { return now.Sub(last) < p.Patience }

// Counts reports whether a read that fails now ends all the same: it has pages that
// nobody was told of. bought says whether one of them was bought, and not found stored.
func (s State) Counts(r *Read, bought bool) bool { return r.Pages > 0 && (!s.Read.Cut || bought) }
