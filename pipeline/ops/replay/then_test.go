package replay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// TestARefreshIsComparedAgainWithTheDealAsItWasThen has a refresh that confirms a deal, of which there is another
// version by now.
func TestARefreshIsComparedAgainWithTheDealAsItWasThen(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	j := judging(t)
	commits := sold(t, d, j)
	asin := d.ASINs(keepasim.Good)[0]
	w := d.Work(t, asin, pipeline.SourceRefresh, "refresh-1")
	body := d.Product(t, asin, false)
	a := decide.Answer{Key: asin, Body: body, ID: d.Store(t, pipeline.KindPeek, asin, w.ID, body, 0)}
	stored := commits[asin].by(j)
	var f decide.Found
	if err := json.Unmarshal(stored.Deal, &f); err != nil {
		t.Fatal(err)
	}
	v := decide.Peek(j, w, a, 1, f.Deal, d.Env.Now()).Verdict
	if v.Outcome != pipeline.Confirm {
		t.Fatalf("the refresh: %s %s", v.Outcome, v.Reason)
	}
	u := worker.Unit{Work: w, Origin: fmt.Sprintf("SURVIVORS/%d", d.Survives(t, w, pipeline.LookGlance, "live"))}
	if err := d.Bus.PublishAll(t.Context(), u.Conclude(v, "").Messages); err != nil {
		t.Fatal(err)
	}
	f.LandedCents *= 3 // what it cost later
	m, err := bus.Encode(pipeline.SubjectDeal(1, f.PriceType, asin), pipeline.SchemaDeal, "later", w.ID, f)
	if err == nil {
		_, err = d.Bus.Publish(t.Context(), m)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, d.Bus, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "then", Depth: replay.Answers})
	if r.Sums.Same != 1 || r.Sums.Changed != 0 {
		t.Errorf("the same rules decide otherwise: %+v", r.Sums)
	}
}

// house is a ClickHouse that is not asked.
type house struct{ replay.Warehouse }

func TestAReplayDoesNotReadClickHouseBeforeItHasAllThatWasDecided(t *testing.T) {
	if testing.Short() {
		t.Skip("waits ten seconds for a recorder")
	}
	t.Parallel()
	for name, taken := range map[string]bool{"nothing was delivered to the recorder": false, "all is in its hand": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			n := len(sold(t, d, judging(t)))
			if taken {
				in, err := d.Bus.Inlet(t.Context(), pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts))
				if err != nil {
					t.Fatal(err)
				}
				for got := 0; got < n; {
					items, err := in.Take(t.Context(), n, bus.Patient)
					if err != nil {
						t.Fatal(err)
					}
					got += len(items)
				}
			}
			r, err := replay.Open(t.Context(), d.Bus, house{}, replay.Options{Look: pipeline.LookCommit, Rules: schemas.UsedBooks, Run: "early"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.ReadsCH || r.Depth != replay.Inputs || !strings.Contains(r.Why, "ClickHouse has not recorded all") {
				t.Errorf("reads ClickHouse: %t, by %s: %s", r.ReadsCH, r.Depth, r.Why)
			}
		})
	}
}
