package scenario

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
)

// night is a run of a pipeline that is paused, stuck, out of balance or out of work now
// and then, minute by minute: as a soak samples it, and as its streams record it.
type night struct {
	samples  []sample
	paid     []time.Time
	verdicts []warehouse.VerdictRow
	entries  []warehouse.LedgerRow
	end      time.Time
}

// seqs number the rows of all nights of a test.
type seqs struct{ verdict, entry uint64 }

func (q *seqs) origin(stream string, at time.Time) warehouse.Origin {
	n := &q.verdict
	if stream == pipeline.StreamLedger {
		n = &q.entry
	}
	*n++
	return warehouse.Origin{
		Stream: stream, Epoch: 1_700_000_000, Origin: pipeline.Origin{
			Sequence: *n, StoredAt: time.Now().UTC().Truncate(time.Millisecond), At: at, Run: pipeline.RunLive, Build: "test",
		},
	}
}

func drawNight(r *rand.Rand, q *seqs, from time.Time) (n night) {
	between := func(low, high int) int { return low + r.IntN(high-low+1) }
	type work struct {
		id     string
		listed time.Time
	}
	var waiting []work
	balance, wish, stuck := 100, "burst", 0
	tell := func(at time.Time, w work, l pipeline.Look, o pipeline.Outcome, tokens int) {
		v := warehouse.VerdictRow{Origin: q.origin(pipeline.StreamVerdicts, at), InputsJSON: `{}`}
		v.Origin.WorkID, v.Look, v.Outcome, v.Reason, v.Source, v.Tokens, v.ListedAt, v.DecidedAt = w.id, l, o, "ok", pipeline.SourceLive, tokens, w.listed, at
		n.verdicts = append(n.verdicts, v)
	}
	enter := func(at time.Time, e pipeline.Entry) {
		e.At = at
		n.entries = append(n.entries, warehouse.LedgerRow{Origin: q.origin(pipeline.StreamLedger, at), Entry: e})
	}
	enter(from, pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: "paused to burst"})
	defer func() {
		enter(n.end, pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: "burst to paused"})
	}() // until the next night
	for m := range between(60, 900) {
		at := from.Add(time.Duration(m) * time.Minute)
		balance = min(300, balance+5)
		if r.IntN(100) == 0 {
			next := []string{"burst", "paused", "nospend"}[r.IntN(3)]
			if next != wish {
				enter(at, pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: wish + " to " + next})
				wish = next
			}
		}
		if stuck--; r.IntN(100) == 0 {
			stuck = between(5, 90)
		}
		for range max(0, between(-6, 3)) {
			w := work{fmt.Sprint("w", q.verdict), at}
			tell(at, w, pipeline.LookGlance, pipeline.Survive, 0)
			waiting = append(waiting, w)
		}
		if wish == "burst" && stuck <= 0 && balance > 0 && len(waiting) > 0 || m == 0 {
			call := at.Add(time.Duration(between(1, 50)) * time.Second)
			many := min(len(waiting), between(1, 20))
			each := []int{1, 1, 6, 60}[r.IntN(4)]
			balance -= many * each
			if m == 0 {
				call = at // a night begins with a call
			}
			n.paid = append(n.paid, call)
			enter(call, pipeline.Entry{
				Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: max(1, many*each), API: &pipeline.Reading{TS: call.UnixMilli(), Left: balance, Rate: 5},
			})
			for _, w := range waiting[:many] {
				tell(call.Add(100*time.Millisecond), w, pipeline.LookPeek, pipeline.Reject, each)
			}
			waiting = waiting[many:]
		}
		n.end = at.Add(55 * time.Second)
		n.samples = append(n.samples, sample{at: n.end, waits: wish == "burst" && len(waiting) > 0, balance: balance})
	}
	return n
}

// TestTheQuestionStallsAgreesWithTheSoaksFigure draws nights and runs both. A sample is
// a minute long and a slot of the warehouse five, so they may differ by as much.
func TestTheQuestionStallsAgreesWithTheSoaksFigure(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	w, err := warehouse.Open(t.Context(), chtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	nights, compared := 24, 0
	if testing.Short() {
		nights = 6
	}
	var q seqs
	for seed := range nights {
		// Longer apart than works count as waiting.
		n := drawNight(rand.New(rand.NewPCG(uint64(seed), 0)), &q, time.Date(2026, 1, 1+10*seed, 20, 0, 0, 0, time.UTC))
		if err := errors.Join(w.InsertVerdicts(t.Context(), n.verdicts, fmt.Sprint("v", seed)), w.InsertLedger(t.Context(), n.entries, fmt.Sprint("l", seed))); err != nil {
			t.Fatal(err)
		}
		a, err := w.Ask(t.Context(), "stalls", map[string]string{"since": n.paid[0].Format(time.DateTime), "until": n.end.Format(time.DateTime)})
		if err != nil {
			t.Fatal(err)
		}
		asked := 0.0
		for _, row := range a.Rows {
			asked = max(asked, row[3].(float64))
		}
		if soak := longestStall(n.samples, n.paid).Minutes(); math.Abs(soak-asked) > 6 {
			t.Errorf("night %d: the soak reports %.1f minutes, the query %.1f\n%v", seed, soak, asked, a.Rows)
		} else if soak > 10 {
			compared++
		}
	}
	if compared < nights/3 {
		t.Errorf("%d of %d nights had a stall", compared, nights)
	}
}
