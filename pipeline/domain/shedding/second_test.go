package shedding

import (
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestALaterAndLowerLineLeavesTheHigherOneInForce(t *testing.T) {
	t.Parallel()
	high := Line{UpTo: 10, BelowCents: 500}
	ls := Lines{}.With(high, 0).With(Line{UpTo: 30, BelowCents: 300}, 0)
	worth := int64(400)
	if _, shed := ls.Find(Waiting{Seq: 5, Cents: &worth}); !shed || len(ls.Lines) != 2 {
		t.Errorf("what the first line shed is taken up again under %+v", ls)
	}
	if _, shed := ls.Find(Waiting{Seq: 20, Cents: &worth}); shed {
		t.Error("the first line sheds what came after it")
	}
}

func TestWorkOfUnknownValueStandsInTheMiddleOfTheKnown(t *testing.T) {
	t.Parallel()
	var waiting []Waiting
	for i := range 9 {
		cents := int64(100 * (9 - i))
		waiting = append(waiting, Waiting{Seq: uint64(2*i + 1), Cents: &cents}, Waiting{Seq: uint64(2*i + 2)})
	}
	lines := Draw(waiting, Means{Hand: 10, Price: 1, Patience: time.Hour}, now)
	if len(lines) != 1 {
		t.Fatalf("%+v", lines)
	}
	l := lines[0]
	if l.UnknownCents != 500 || l.BelowCents != 500 { // 900 to 600 are kept, and the newest six worth 500
		t.Fatalf("%+v", l)
	}
	kept := map[bool]int{}
	for _, w := range waiting {
		if !l.Covers(w) {
			kept[w.Cents != nil]++
		}
	}
	if kept[true]+kept[false] != 10 || kept[false] != 5 {
		t.Errorf("kept %d of known and %d of unknown value", kept[true], kept[false])
	}
}

func TestWhatIsInHandAndWhatComesInCanBeDecided(t *testing.T) {
	t.Parallel()
	m := Means{PerHour: 10, Hand: 30, Price: 2, Patience: 4 * time.Hour}
	if got := m.Decidable(); got != 35 { // (10 × 4 + 30) / 2
		t.Errorf("%d can be decided, want 35", got)
	}
	if m.Exceeded(43, 0) || !m.Exceeded(44, 0) {
		t.Error("want a flood from a quarter more work than can be decided")
	}
	m.Hand = -100
	if got := m.Decidable(); got != 0 || m.Exceeded(1, 0) || !m.Exceeded(2, 0) {
		t.Errorf("%d can be decided in debt", got)
	}
}

func TestBackfillMayWaitThreeTimesAsLongAsNewRows(t *testing.T) {
	t.Parallel()
	m := Means{PerHour: 10, Price: 1, Patience: 4 * time.Hour} // 40 in 4 hours, 120 in 12
	for _, c := range []struct {
		rows, backfill int
		exceeded       bool
	}{{50, 0, false}, {51, 0, true}, {0, 150, false}, {0, 151, true}, {50, 100, false}, {50, 101, true}} {
		if got := m.Exceeded(c.rows, c.backfill); got != c.exceeded {
			t.Errorf("%d new rows and %d of the backfill are too many: %t", c.rows, c.backfill, got)
		}
		var waiting []Waiting
		for i := range c.rows + c.backfill {
			cents, source := int64(i%7), pipeline.SourceLive
			if i >= c.rows {
				source = pipeline.SourceBackfill
			}
			waiting = append(waiting, Waiting{Seq: uint64(i + 1), Source: source, Cents: &cents})
		}
		if drawn := len(Draw(waiting, m, now)) > 0; drawn != c.exceeded {
			t.Errorf("%d new rows and %d of the backfill: a line is drawn: %t", c.rows, c.backfill, drawn)
		}
	}
}

// The backfill is worth more than every new row, and nothing of it is shed with them.
func TestTheLineOfNewRowsSparesTheBackfill(t *testing.T) {
	t.Parallel()
	low, high := int64(1), int64(9)
	var waiting []Waiting
	for i := range 100 {
		waiting = append(waiting, Waiting{Seq: uint64(2*i + 1), Source: pipeline.SourceGap, Cents: &high}, Waiting{Seq: uint64(2*i + 2), Source: pipeline.SourceBackfill, Cents: &low})
	}
	m := Means{PerHour: 12, Price: 1, Patience: 4 * time.Hour} // 48 in 4 hours, 144 in 12
	lines := Draw(waiting, m, now)
	if len(lines) != 1 || lines[0].Spares != pipeline.SourceBackfill || lines[0].PatienceS != 4*3600 || lines[0].Waiting != 100 {
		t.Fatalf("%+v", lines)
	}
	kept := map[pipeline.Source]int{}
	for _, w := range waiting {
		if !lines[0].Covers(w) {
			kept[w.Source]++
		}
	}
	if kept[pipeline.SourceGap] != 48 || kept[pipeline.SourceBackfill] != 100 {
		t.Errorf("kept %v", kept)
	}
}

func TestALineThatSparesTheBackfillDoesNotReplaceOneThatCoversIt(t *testing.T) {
	t.Parallel()
	all, rows := Line{UpTo: 10, BelowCents: 5}, Line{UpTo: 20, BelowCents: 9, UnknownCents: 3, Spares: pipeline.SourceBackfill}
	worth := int64(4)
	old := Waiting{Seq: 5, Source: pipeline.SourceBackfill, Cents: &worth}
	if _, shed := (Lines{}).With(all, 0).With(rows, 0).Find(old); !shed {
		t.Error("what was shed of the backfill is taken up again")
	}
	if ls := (Lines{}).With(rows, 0).With(Line{UpTo: 20, BelowCents: 9, UnknownCents: 3}, 0); len(ls.Lines) != 1 {
		t.Errorf("got %+v, want only the line that covers both", ls)
	}
}
