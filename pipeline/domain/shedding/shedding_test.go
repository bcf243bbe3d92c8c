package shedding

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// someWaiting draws distinct sequences with few distinct values, so that ties occur.
func someWaiting(t *rapid.T, least int) []Waiting {
	n := rapid.IntRange(least, 200).Draw(t, "n")
	out := make([]Waiting, n)
	seq := uint64(0)
	for i := range out {
		seq += uint64(rapid.IntRange(1, 3).Draw(t, "step"))
		out[i].Seq = seq
		out[i].Source = rapid.SampledFrom([]pipeline.Source{pipeline.SourceLive, pipeline.SourceGap, pipeline.SourceBackfill}).Draw(t, "source")
		if !rapid.Bool().Draw(t, "unknown") || rapid.Bool().Draw(t, "still") {
			c := int64(rapid.IntRange(0, 8).Draw(t, "cents"))
			out[i].Cents = &c
		}
	}
	return out
}

func someMeans(t *rapid.T) Means {
	return Means{
		PerHour:  float64(rapid.IntRange(0, 300).Draw(t, "per hour")),
		Hand:     rapid.IntRange(-300, 300).Draw(t, "hand"),
		Price:    float64(rapid.IntRange(1, 10).Draw(t, "price")),
		Patience: time.Duration(rapid.IntRange(0, 24).Draw(t, "patience")) * time.Hour,
	}
}

// counts returns how much of the work is new rows and how much is backfill.
func counts(waiting []Waiting) (rows, backfill int) {
	for _, w := range waiting {
		if w.Source == pipeline.SourceBackfill {
			backfill++
		} else {
			rows++
		}
	}
	return rows, backfill
}

// decidable returns how many new rows, and how much work in all, can be decided in time.
func decidable(m Means) (rows, all int) {
	return m.Decidable(), Means{PerHour: m.PerHour, Hand: m.Hand, Price: m.Price, Patience: 3 * m.Patience}.Decidable()
}

func TestNothingIsShedWhileEverythingCanBeDecidedWithinThePatience(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting, m := someWaiting(t, 0), someMeans(t)
		rows, backfill := counts(waiting)
		canRows, canAll := decidable(m)
		lines := Draw(waiting, m, now)
		if len(lines) > 0 && rows <= canRows && rows+backfill <= canAll {
			t.Errorf("a line through %d and %d although %d and %d can be decided", rows, backfill, canRows, canAll)
		}
		if len(lines) > 0 != m.Exceeded(rows, backfill) {
			t.Errorf("%d and %d are too many: %t; lines %+v", rows, backfill, m.Exceeded(rows, backfill), lines)
		}
		m.Patience = 0
		if len(Draw(waiting, m, now)) > 0 {
			t.Error("a line although patience is endless")
		}
	})
}

func TestWhatIsKeptCanBeDecidedAndIsWorthAtLeastWhatIsShed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting, m := someWaiting(t, 1), someMeans(t)
		canRows, canAll := decidable(m)
		for _, l := range Draw(waiting, m, now) {
			leastKept, mostShed := int64(math.MaxInt64), int64(math.MinInt64)
			var kept []Waiting
			for _, w := range waiting {
				worth := l.UnknownCents
				if w.Cents != nil {
					worth = *w.Cents
				}
				switch {
				case l.Covers(w):
					mostShed = max(mostShed, worth)
				case w.Source == l.Spares:
				default:
					kept, leastKept = append(kept, w), min(leastKept, worth)
				}
			}
			if want := max(1, canRows); l.Spares != "" && len(kept) != want {
				t.Errorf("kept %d new rows, want %d", len(kept), want)
			}
			if want := max(1, canAll); l.Spares == "" && len(kept) != want {
				t.Errorf("kept %d, want %d", len(kept), want)
			}
			if leastKept < mostShed {
				t.Errorf("kept %d and shed %d", leastKept, mostShed)
			}
			waiting = only(waiting, func(w Waiting) bool { return !l.Covers(w) })
		}
	})
}

func TestALineShedsTheSameWorkAfterLinesAreAdded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ls Lines
		shed := map[int]bool{}
		all := someWaiting(t, 1)
		for range rapid.IntRange(1, 5).Draw(t, "lines") {
			seen := all[:rapid.IntRange(1, len(all)).Draw(t, "seen")]
			for _, l := range Draw(seen, someMeans(t), now) {
				ls = ls.With(l, 0)
			}
			for i, w := range all {
				if _, is := ls.Find(w); is {
					shed[i] = true
				} else if shed[i] {
					t.Fatalf("#%d was shed and no longer is, under %+v", w.Seq, ls)
				}
			}
		}
	})
}

func TestWorkThatCameAfterALineIsNotUnderIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		waiting := someWaiting(t, 1)
		last := waiting[len(waiting)-1].Seq
		for _, l := range Draw(waiting, someMeans(t), now) {
			if l.Covers(Waiting{Seq: last + 1}) || l.UpTo > last {
				t.Errorf("the line %+v covers what came after %d", l, last)
			}
		}
	})
}

func TestALineBelowTheFloorIsDropped(t *testing.T) {
	t.Parallel()
	ls := Lines{}.With(Line{UpTo: 10, BelowCents: 5}, 0).With(Line{UpTo: 30, BelowCents: 3}, 10)
	if len(ls.Lines) != 1 || ls.Lines[0].UpTo != 30 {
		t.Errorf("got %+v, want only the line up to 30", ls)
	}
	ls = ls.With(Line{UpTo: 40, BelowCents: 9, UnknownCents: 3}, 10)
	if len(ls.Lines) != 1 {
		t.Errorf("got %+v, want only the line that covers the other", ls)
	}
}

func TestThePriceOfADecisionFollowsWhatIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		peeked    Peeked
		low, high float64
	}{{Peeked{}, 2.3, 2.31}, {Peeked{All: 1000, Survived: 0}, 1, 1.1}, {Peeked{All: 1000, Survived: 1000}, 7.2, 7.5}, {Peeked{All: 1000, Free: 1000}, 0.1, 0.2}} {
		m, known := MeansOf(token.Balance{Est: 10, Rate: 5}, 0, c.peeked, time.Hour)
		if !known || m.Price < c.low || m.Price > c.high {
			t.Errorf("after %+v: %.3f, want %.2f to %.2f", c.peeked, m.Price, c.low, c.high)
		}
	}
}

func TestTheMeansAreTheBalanceWithoutWhatCommitsWillTake(t *testing.T) {
	t.Parallel()
	bought := map[pipeline.Stage]token.StageBalance{pipeline.StageCommitter: {Price: 10}}
	for name, c := range map[string]struct {
		b       token.Balance
		commits int
		hand    int
		known   bool
	}{
		"nothing waits":              {token.Balance{Est: 100, Rate: 5}, 0, 100, true},
		"commits of the usual price": {token.Balance{Est: 100, Rate: 5}, 4, 74, true},
		"commits of the price paid":  {token.Balance{Est: 100, Rate: 5, Stages: bought}, 4, 60, true},
		"more than there is":         {token.Balance{Est: 20, Rate: 5, Stages: bought}, 4, -20, true},
		"a debt is not in hand":      {token.Balance{Est: -50, Rate: 5}, 0, 0, true},
		"the plan is unknown":        {token.Balance{Est: 100}, 0, 0, false},
		"a balance that cannot be":   {token.Balance{Est: 1 << 60, Rate: 5}, 0, 0, false},
		"a price that no commit has": {token.Balance{Est: 100, Rate: 5, Stages: map[pipeline.Stage]token.StageBalance{pipeline.StageCommitter: {Price: 1001}}}, 0, 0, false},
	} {
		m, known := MeansOf(c.b, c.commits, Peeked{}, time.Hour)
		if known != c.known || m.Hand != c.hand || known && m.PerHour != 0.85*60*5 {
			t.Errorf("%s: %+v, %t", name, m, known)
		}
	}
}

func TestImpossibleLinesAreNotApplied(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		line Line
		sane bool
	}{
		{"a line", Line{UpTo: 500, BelowCents: 700, UnknownCents: 300, Waiting: 9, Decidable: 4, PatienceS: 60}, true},
		{"worth less than nothing", Line{UpTo: 500, BelowCents: -700, UnknownCents: -900}, true},
		{"it would shed what has not come yet", Line{UpTo: 1 << 62}, false},
		{"it would shed everything", Line{UpTo: 500, BelowCents: 1 << 62}, false},
		{"it would shed everything of unknown worth", Line{UpTo: 500, UnknownCents: -1 << 62}, false},
		{"nothing waits less than nothing", Line{Waiting: -1}, false},
		{"nor can less be decided", Line{Decidable: -1}, false},
		{"nor sooner", Line{PatienceS: -1}, false},
	} {
		if err := (Lines{Lines: []Line{{UpTo: 1}, c.line}}).Validate(); (err == nil) != c.sane {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
