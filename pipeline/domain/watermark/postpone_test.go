package watermark

import (
	"testing"
	"time"
)

func TestAListWhoseReadsAreCutShortIsPostponedWithBackoffUpToTheShortestInterval(t *testing.T) {
	plan, now := DefaultPlan(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	begun := State{}.Begin("q@1", 7, plan, now)
	last := time.Duration(0)
	for before := range 12 {
		s, change := begun.CutShort(before, plan, now)
		rest := s.NextPoll.Sub(now)
		switch {
		case !change:
			t.Fatalf("%d before: it does not rest", before)
		case before == 0 && rest != firstRest, rest < last, rest > plan.Shortest, before > 0 && rest == last && rest < plan.Shortest:
			t.Errorf("%d before: postponed by %s after %s", before, rest, last)
		}
		last = rest
		if _, again := s.CutShort(before, plan, now.Add(rest-time.Second)); again {
			t.Errorf("%d before: a postponed list is postponed again", before)
		}
	}
	if last != plan.Shortest {
		t.Errorf("it is postponed by at most %s", last)
	}
	if _, change := (State{}).CutShort(0, plan, now); change {
		t.Error("a list without a read under way is postponed")
	}
}

func TestAListThatWasNeverReadIsDueAtOnceAndOnlyThen(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, change := State{}.Introduce("a@1", now)
	if !change || !s.Due(now) || s.Gaps == nil {
		t.Errorf("got %+v", s)
	}
	s = s.BacklogFull(DefaultPlan(), now)
	if s.Due(now) || !s.Due(now.Add(DefaultPlan().Shortest)) {
		t.Errorf("with a full backlog it is due at %s", s.NextPoll)
	}
	if _, change := s.Introduce("a@1", now); change {
		t.Error("a list that has a time is due again")
	}
}

func TestAListThatIsReadAgainResumesAndAnotherOfItsNameStartsAgain(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := State{Query: "a@1", Mark: 8_000_000, NextPoll: now.Add(time.Hour), LastSweep: now, Gaps: []Gap{{ID: "g", From: 1, To: 5}}}
	retired, change := s.Retire()
	if _, twice := retired.Retire(); !change || twice || !retired.NextPoll.IsZero() || retired.Mark != s.Mark {
		t.Errorf("retired: %+v", retired)
	}
	if again, _ := retired.Introduce("a@1", now); !again.Due(now) || again.Mark != s.Mark || len(again.Gaps) != 1 || again.LastSweep != s.LastSweep {
		t.Errorf("read again: %+v", again)
	}
	if other, change := s.Introduce("a@2", now); !change || !other.Due(now) || other.Mark != 0 || len(other.Gaps) != 0 {
		t.Errorf("another query under the name: %+v", other)
	}
}

func TestAReadThatFailsEndsOnlyWithUncountedPages(t *testing.T) {
	for _, c := range []struct {
		pages       int
		cut, bought bool
		counts      bool
	}{
		{pages: 0, bought: false, counts: false},
		{pages: 1, bought: true, counts: true},
		{pages: 1, bought: false, counts: true},
		{pages: 2, cut: true, bought: false, counts: false},
		{pages: 2, cut: true, bought: true, counts: true},
	} {
		s := State{Read: &Progress{Cut: c.cut}}
		if got := s.Counts(&Read{Pages: c.pages}, c.bought); got != c.counts {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
