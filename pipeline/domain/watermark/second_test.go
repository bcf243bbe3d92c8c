package watermark

import (
	"testing"
	"time"
)

func TestAGapThatNoReadFillsIsOwedNoLongerThanRowsStay(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	for name, c := range map[string]struct {
		age     time.Duration
		deep    bool
		expires bool
	}{
		"young":                       {p.Window - time.Hour, false, false},
		"older than rows stay":        {p.Window, false, true},
		"one that only a sweep fills": {p.Window, true, false},
		"and waited for two of them":  {2*p.SweepEvery + p.Window, true, true},
	} {
		s := state().addGap(Gap{ID: "g", From: keepaNow - 900, To: keepaNow - 800, Opened: t0.Add(-c.age), RowsEstimate: 5, Deep: c.deep})
		s.Mark = keepaNow - 60
		s = s.Begin("q@1", 1, p, t0)
		s.Read.Sweep, s.Read.Down = false, keepaNow-90 // it does not go down to the gap
		r := s.NewRead(p)
		r.Take(page(0, 450, 0, 150))
		next, change := s.End(r, p, t0)
		if !r.Done {
			t.Fatalf("%s: the read has not ended", name)
		}
		if expired := len(change.Expired) == 1; expired != c.expires || expired == next.Owes(keepaNow-850) {
			t.Errorf("%s: expired %+v, owed %+v", name, change.Expired, next.Gaps)
		}
		if sweeps := p.Sweeps(next, t0); sweeps != (c.expires && !c.deep) {
			t.Errorf("%s: a sweep follows: %t", name, sweeps)
		}
	}
}

func TestAnOutageLongerThanRowsStayIsFollowedByASweepAlsoOnASmallPlan(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	p.Income = 0.25 // a sweep of three pages each 50 hours
	for away, want := range map[time.Duration]bool{p.Window - time.Minute: false, p.Window: true} {
		s := state()
		s.ReadAt, s.LastSweep = t0.Add(-away), t0.Add(-away)
		if got := p.Sweeps(s, t0); got != want {
			t.Errorf("away for %s: sweeps %t, want %t", away, got, want)
		}
	}
}

func TestASweepAsksForNoPageThatKeepaDoesNotServe(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	r := NewRead(true, 0, p.Most, 0)
	for i := range p.Most {
		if next, more := r.Next(); next != i || !more {
			t.Fatalf("page %d (%t) follows %d pages", next, more, i)
		}
		r.Take(page(i, 10_000, Mark(i*RowsPerPage), RowsPerPage))
	}
	if next, more := r.Next(); more || !r.ReachedEnd() {
		t.Errorf("after the %d pages of 10,000 rows that Keepa serves, page %d follows", p.Most, next)
	}
}

func TestAMarkThatLiesDaysAheadIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*State)
		valid  bool
	}{
		"as written":         {func(*State) {}, true},
		"a poll in a year":   {func(s *State) { s.NextPoll = t0.Add(365 * 24 * time.Hour) }, true},
		"a mark in two days": {func(s *State) { s.Mark = keepaNow + Mark(farAhead/time.Minute) }, true},
		"a mark after that":  {func(s *State) { s.Mark = keepaNow + Mark(farAhead/time.Minute) + 1 }, false},
		"a negative mark":    {func(s *State) { s.Mark = -1 }, false},
		"a negative count":   {func(s *State) { s.Rows = -1 }, false},
	} {
		s := state()
		c.change(&s)
		if err := s.Validate(keepaNow); (err == nil) != c.valid {
			t.Errorf("%s: %v, want valid: %t", name, err, c.valid)
		}
	}
}
