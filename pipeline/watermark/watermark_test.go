package watermark

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func marks() *rapid.Generator[[]Mark] {
	return rapid.SliceOf(rapid.Map(rapid.Int64Range(1, 5000), func(n int64) Mark { return Mark(n) }))
}

func TestObservingIsIdempotentCommutativeAndAssociative(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, now := marks().Draw(t, "a"), marks().Draw(t, "b"), Mark(rapid.Int64Range(0, 6000).Draw(t, "now"))
		s := State{Mark: Mark(rapid.Int64Range(0, 4000).Draw(t, "mark"))}
		ab, ba := s.Observe(a, now).Observe(b, now), s.Observe(b, now).Observe(a, now)
		if !reflect.DeepEqual(ab, ba) {
			t.Fatalf("order matters: %v, %v", ab, ba)
		}
		if again := ab.Observe(a, now); !reflect.DeepEqual(again, ab) {
			t.Fatalf("seeing it again moved %v to %v", ab, again)
		}
		if one := s.Observe(append(append([]Mark{}, a...), b...), now); !reflect.DeepEqual(one, ab) {
			t.Fatalf("in one go %v, in two %v", one, ab)
		}
	})
}

func TestAMarkNeverGoesBackNeverPassesWhatWasSeenAndNeverLiesInTheFuture(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows, now := marks().Draw(t, "rows"), Mark(rapid.Int64Range(0, 6000).Draw(t, "now"))
		s := State{Mark: Mark(rapid.Int64Range(0, 4000).Draw(t, "mark"))}
		got := s.Observe(rows, now).Mark
		if got < s.Mark {
			t.Fatalf("went back from %d to %d", s.Mark, got)
		}
		if got > s.Mark {
			seen := false
			for _, r := range rows {
				seen = seen || r == got
			}
			if !seen || got > now+Ceiling {
				t.Fatalf("moved to %d, which was not seen or lies ahead of %d", got, now)
			}
		}
	})
}

func TestWhatIsOwedIsEitherFilledOrStillOwed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := Mark(rapid.Int64Range(0, 1000).Draw(t, "from"))
		to := from + Mark(rapid.Int64Range(1, 1000).Draw(t, "span"))
		down := Mark(rapid.Int64Range(0, 2500).Draw(t, "down"))
		s, filled := State{}.Owe(Gap{ID: "g", From: from, To: to}).Filled(down)
		switch {
		case down <= from && (len(filled) != 1 || len(s.Gaps) != 0):
			t.Fatalf("read below %d: %v filled, %v owed", from, filled, s.Gaps)
		case down > from && down < to && (len(s.Gaps) != 1 || s.Gaps[0].To != down):
			t.Fatalf("read down to %d of %d–%d: owed %v", down, from, to, s.Gaps)
		case down >= to && (len(s.Gaps) != 1 || s.Gaps[0].To != to):
			t.Fatalf("read nothing of %d–%d: owed %v", from, to, s.Gaps)
		}
	})
}

func TestAGapIsOwedOnceAndExpiresWithItsRows(t *testing.T) {
	t.Parallel()
	t0 := time.Unix(0, 0)
	g := Gap{ID: "g", From: 1, To: 9, Opened: t0}
	s := State{}.Owe(g).Owe(g)
	if len(s.Gaps) != 1 {
		t.Fatalf("owed %d times", len(s.Gaps))
	}
	if s, gone := s.Expired(t0.Add(time.Hour), 24*time.Hour); len(gone) != 0 || len(s.Gaps) != 1 {
		t.Errorf("expired after an hour: %v", gone)
	}
	if s, gone := s.Expired(t0.Add(25*time.Hour), 24*time.Hour); len(gone) != 1 || len(s.Gaps) != 0 {
		t.Errorf("still owed after a day: %v", s.Gaps)
	}
}

func TestTheEmptyPageIsNeverBought(t *testing.T) {
	t.Parallel()
	full := make([]Mark, RowsPerPage)
	for _, c := range []struct {
		page Page
		last bool
	}{
		{Page{Rows: full, Index: 0, Total: 150}, true},
		{Page{Rows: full, Index: 0, Total: 151}, false},
		{Page{Rows: full, Index: 2, Total: 450}, true},
		{Page{Rows: full, Index: 2, Total: -1}, false}, // the list did not say
		{Page{Rows: full[:149], Index: 2, Total: -1}, true},
	} {
		if got := c.page.Last(); got != c.last {
			t.Errorf("page %d of %d rows with %d: last %v, want %v", c.page.Index, c.page.Total, len(c.page.Rows), got, c.last)
		}
	}
}

func TestNoSingleRowEndsARead(t *testing.T) {
	t.Parallel()
	if (Page{Rows: []Mark{10, 900, 11}}).Below(500) {
		t.Error("a page with a new row ended the read")
	}
	if !(Page{Rows: []Mark{10, 12, 11}}).Below(500) {
		t.Error("a page of old rows did not end the read")
	}
	if (Page{Rows: []Mark{10, 900}}).Descends() || !(Page{Rows: []Mark{9, 9, 3}}).Descends() {
		t.Error("descending dates are misjudged")
	}
}

func TestTheIntervalGrowsWhileNothingIsNewAndShrinksWhileGapsAreOwed(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	if d, _ := p.Next(State{IntervalS: 1800}, 0, 150); d != time.Hour {
		t.Errorf("nothing new: %v, want 1h", d)
	}
	if d, why := p.Next(State{IntervalS: 7200, Gaps: []Gap{{ID: "g"}}}, 0, 150); d != p.Shortest || why == "" {
		t.Errorf("gap owed: %v (%s), want %v", d, why, p.Shortest)
	}
	if d, _ := p.Next(State{IntervalS: 7200}, 0, 150); d != p.Longest {
		t.Errorf("bounded: %v, want %v", d, p.Longest)
	}
}
