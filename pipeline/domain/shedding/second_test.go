package shedding

import (
	"testing"
	"time"
)

func TestALaterAndLowerLineLeavesTheHigherOneInForce(t *testing.T) {
	t.Parallel()
	high := Line{UpTo: 10, BelowCents: 500}
	ls := Lines{}.With(high, 0).With(Line{UpTo: 30, BelowCents: 300}, 0)
	worth := int64(400)
	if _, shed := ls.Find(5, &worth); !shed || len(ls.Lines) != 2 {
		t.Errorf("what the first line shed is taken up again under %+v", ls)
	}
	if _, shed := ls.Find(20, &worth); shed {
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
	l, drawn := Draw(waiting, Means{Hand: 10, Price: 1, Patience: time.Hour}, now)
	if !drawn || l.UnknownCents != 500 || l.BelowCents != 500 { // 900 to 600 are kept, and the newest six worth 500
		t.Fatalf("%t, %+v", drawn, l)
	}
	kept := map[bool]int{}
	for _, w := range waiting {
		if !l.Covers(w.Seq, w.Cents) {
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
	if m.Exceeded(43) || !m.Exceeded(44) {
		t.Error("want a flood from a quarter more work than can be decided")
	}
	m.Hand = -100
	if got := m.Decidable(); got != 0 || m.Exceeded(1) || !m.Exceeded(2) {
		t.Errorf("%d can be decided in debt", got)
	}
}
