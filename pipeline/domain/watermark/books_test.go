package watermark_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/watermark"
)

// long runs a thousand lists instead of tens: `make laws`.
var long = flag.Bool("long", false, "long runs of the laws")

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// balanced fails unless every row that was ever listed is accounted for.
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
	l := newList(t0, []int{40, 149, 150, 151, 400, 750}[rng.IntN(6)], rng.IntN)
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
	w := newReader(l)
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
		Dies: some(120), Fails: some(20), Faults: some(120), Deposed: some(40), Full: some(10), Removed: some(40), Partial: some(20), Unreadable: some(20), Strange: some(40),
	}
}

func TestTheBooksOfDiscoveryBalanceRowByRowWhateverHappens(t *testing.T) {
	t.Parallel()
	n, came := uint64(40), reached{}
	switch {
	case *long:
		n = 1000
	case testing.Short():
		n = 5
	}
	for seed := range n {
		name, w := everything(seed)
		came.add(w, balanced(t, name, w))
		if w.Twice > 0 || w.Back > 0 {
			t.Errorf("%s: %d pages were bought although their answer was stored; the mark went back %d times", name, w.Twice, w.Back)
		}
		if t.Failed() {
			return
		}
	}
	if n >= 40 { // fewer do not reach all
		came.want(t)
	}
}

// A week of the measured churn at 5 tokens a minute, in which the process dies and calls fail. A row with a new price
// is found within two polling intervals, one that came with an old date within a sweep interval and the poll after it.
func TestAWeekOfChurnIsFoundInTimeWithinDiscoverysPart(t *testing.T) {
	t.Parallel()
	const income = 5
	rng := rand.New(rand.NewPCG(1, 11))
	w := newReader(newList(t0, 750, rng.IntN))
	w.Plan.Income, w.Income = income, 0.15*income
	w.Troubles = Troubles{Dies: 800, Fails: 50} // a page is about six effects
	w.Run(7 * 24 * time.Hour)
	sum := balanced(t, "the week", w)
	polls, old := w.Latency()
	if share := float64(5*w.Paid) / (income * 7 * 24 * 60); share > 0.15 || polls > 2 || old > 6*time.Hour {
		t.Errorf("%.3f of the income, want at most 0.15; a new price is found within %.2f polls (p95), want 2; an old date within %v, want 6 h",
			share, polls, old)
	}
	t.Logf("%d reads died or failed and were resumed; %d pages were paid for; %d rows came and went unseen, estimated %.0f",
		w.Broken, w.Paid, sum[watermark.Unseen], w.State.Unseen)
}

func TestAListThatDoesNotChangeCostsLittle(t *testing.T) {
	t.Parallel()
	const income = 5
	rng := rand.New(rand.NewPCG(1, 11))
	w := newReader(newList(t0, 750, rng.IntN))
	w.Churn, w.Plan.Income = Churn{}, income
	w.Run(2 * time.Hour) // without the first sweep
	before := w.Paid
	w.Run(24 * time.Hour)
	if share := float64(5*(w.Paid-before)) / (income * 24 * 60); share > 0.03 || w.Paid == before {
		t.Errorf("a day without any change cost %d pages, %.3f of the income, want at most 0.03", w.Paid-before, share)
	}
}

// reached counts what the runs came to, so that a law is not tested only by runs in which nothing happens.
type reached map[string]int

func (r reached) add(w *Reader, sum map[watermark.Fate]int) {
	for what, n := range w.Reached {
		r[what] += n
	}
	for event, n := range w.Events {
		r[string(event)] += n
	}
	for fate, n := range sum {
		r[string(fate)] += n
	}
	r["reads that were resumed"] += w.Broken
	r["lists by "+w.Order] += w.Paid
	if w.Drift > 0 {
		r["pages that drift"] += w.Paid
	}
	if w.Skew != 0 && w.Ours != 0 {
		r["two wrong clocks"] += w.Paid
	}
}

// want fails for every state that no run reached.
func (r reached) want(t *testing.T) {
	t.Helper()
	for _, what := range []string{
		"reads that were resumed", "lists by " + ByDate, "lists by " + Reverse, "lists by " + Percent, "lists by " + Chaos, "pages that drift", "two wrong clocks",
		"watermark.Buy lost", "watermark.Buy reported lost", "watermark.Swap lost", "watermark.Swap reported lost", "watermark.Offer reported lost",
		"watermark.Append lost", "watermark.Attempt lost", "watermark.Release", "watermark.DeadLetterRows", "watermark.BuyLater", "watermark.Wait", "watermark.Replay",
		"watermark.CutShort", "watermark.Postpone", "watermark.Finish", "watermark.Introduce", "a page paid for and not stored", "a page given up",
		"an unreadable page skipped", "a query removed", "a turn that failed",
		string(pipeline.SourceLive), string(pipeline.SourceGap), string(pipeline.SourceBackfill),
		string(pipeline.EventGapOpened), string(pipeline.EventGapFilled), string(pipeline.EventGapExpired), string(pipeline.EventSweep),
		string(watermark.Owed), string(watermark.Gone), string(watermark.Coming), string(watermark.Unseen),
	} {
		if r[what] == 0 {
			t.Errorf("no run reached %q", what)
		}
	}
}
