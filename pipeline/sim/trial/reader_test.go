package trial

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ratchet/pipeline/domain/watermark"
)

// balanced fails unless every row that was ever listed is accounted
// for. long runs thousands of lists instead of tens: `make laws`.
var long = flag.Bool("long", false, "long runs of the laws")

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func balanced(t *testing.T, name string, w *Reader) map[watermark.Fate]int {
	t.Helper()
	sum, missing := w.Balanced()
	listed, n := 0, 0
	for _, k := range sum {
		n += k
	}
	if listed = len(w.Sightings()); n != listed {
		t.Errorf("%s: %d rows were listed, the fates are of %d: %v", name, listed, n, sum)
	}
	if len(missing) > 0 {
		m := missing[0]
		t.Errorf("%s: %d rows are nowhere, as %s dated %d, listed %s to %s (%v): %v", name, len(missing), m.ASIN, m.At, m.First.Sub(t0), m.Last.Sub(t0), m.Listed, sum)
		for _, c := range w.Proofs {
			if c.Covered.Has(m.At) && !m.First.After(c.Begun) {
				t.Logf("  proof %s to %s", c.Begun.Sub(t0), c.Ended.Sub(t0))
			}
		}
	}
	return sum
}

// everything is a random run with every fault of a list and a process.
func everything(seed uint64) (string, *Reader) {
	rng := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // no secret
	l := NewList(t0, []int{40, 149, 150, 151, 400, 750}[rng.IntN(6)], rng.IntN)
	l.Order = []string{ByDate, ByDate, ByDate, Reverse, Percent, Chaos}[rng.IntN(6)]
	if rng.IntN(3) == 0 {
		l.Drift = 1 + rng.IntN(20)
	}
	l.Ties = rng.IntN(3) == 0
	if rng.IntN(3) == 0 {
		l.Future = rng.IntN(20)
	}
	if l.Order != ByDate {
		l.Churn = Churn{} // what an unordered list proves while it changes is an estimate
	}
	w := NewReader(l)
	w.Income = 0.3 + rng.Float64()*2
	w.Plan.Income = w.Income * 7
	day := 24 * time.Hour
	if rng.IntN(3) == 0 {
		l.Skew = time.Duration(rng.IntN(3)-1) * day
	}
	if rng.IntN(3) == 0 {
		w.Ours = time.Duration(rng.IntN(3)-1) * day
	}
	w.Troubles = troubles(rng)
	name := fmt.Sprintf("seed %d (%d rows by %s, drift %d, skew %v and %v, ties %v, %+v)",
		seed, l.Len(), l.Order, l.Drift, l.Skew, w.Ours, l.Ties, w.Troubles)
	w.Run(6 * time.Hour)
	if rng.IntN(2) == 0 {
		l.Pass([]time.Duration{time.Hour, 13 * time.Hour, 48 * time.Hour}[rng.IntN(3)])
	}
	if rng.IntN(8) == 0 {
		l.Enter(10_000 - l.Len())
	}
	w.Run(day)
	return name, w
}

// troubles are about half of all that can go wrong.
func troubles(rng *rand.Rand) Troubles {
	some := func(most int) int {
		if rng.IntN(2) == 0 {
			return 0
		}
		return 3 + rng.IntN(most)
	}
	return Troubles{
		Dies: some(120), Fails: some(20), Faults: some(120), Deposed: some(40), Full: some(10), Removed: some(40), Partial: some(20), Unreadable: some(20),
	}
}

func TestTheBooksOfDiscoveryBalanceRowByRowWhateverHappens(t *testing.T) {
	t.Parallel()
	n := uint64(60)
	if *long {
		n = 4000
	}
	for seed := range n {
		name, w := everything(seed)
		balanced(t, name, w)
		if w.Twice > 0 || w.Back > 0 {
			t.Errorf("%s: %d pages were bought although their answer was stored; the mark went back %d times", name, w.Twice, w.Back)
		}
		if t.Failed() {
			return
		}
	}
}
