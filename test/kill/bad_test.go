package kill_test

import (
	"slices"
	"sync"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/test/child"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// TestWorkWhoseAnswersAreLostIsPaidForThreeTimesAcrossKills kills the worker at every payment, before it has stored
// anything of the answer, and hands the work to the next one at once: what the calls cost stands in the books alone.
func TestWorkWhoseAnswersAreLostIsPaidForThreeTimesAcrossKills(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes, and waits until their claims are given up")
	}
	for _, c := range []struct {
		daemon, kind, lane string
		look               pipeline.Look
	}{
		{"peeker", odd.Peek, "live", pipeline.LookGlance},
		{"committer", odd.Commit, "a", pipeline.LookPeek},
	} {
		t.Run(c.daemon, func(t *testing.T) {
			t.Parallel()
			d, address := desk.Listening(t, 30)
			d.Sim.Spend(250_000) // at a full bucket the next refill hides what was spent
			bad, good := d.ASINs(keepasim.Good)[0], d.ASINs(keepasim.Good)[1]
			keepa := odd.Serve(t, d.Sim)
			s := scene{daemon: c.daemon, env: []string{"PEEKER_BATCH=1", "COMMITTER_WORKERS=1", "COMMITTER_SELLERS=false"}}
			var mu sync.Mutex
			var running *child.Child
			keepa.Answered(c.kind, bad, func() {
				mu.Lock()
				defer mu.Unlock()
				running.Kill() // its answer is not on its way yet
			})
			defer d.Run(t, tokend.Run, map[string]string{"KEEPA_URL": keepa.URL})()
			d.Survives(t, d.Work(t, bad, pipeline.SourceLive, pipeline.FirstGeneration), c.look, c.lane)
			d.Survives(t, d.Work(t, good, pipeline.SourceLive, pipeline.FirstGeneration), c.look, c.lane)
			kills := 0
			for !slices.ContainsFunc(d.Verdicts(t), func(v desk.Verdict) bool { return v.ASIN == bad }) {
				mu.Lock()
				running = s.start(t, d, address, keepa.URL)
				mu.Unlock()
				desk.Await(t, "a kill or the verdict", func() bool {
					return running.HasEnded() || slices.ContainsFunc(d.Verdicts(t), func(v desk.Verdict) bool { return v.ASIN == bad }) && settled(t, d)
				})
				running.Kill()
				kills++
				if kills > 2*pipeline.MaxPaid {
					t.Fatalf("%d payments, and no verdict", keepa.Paid(c.kind, bad))
				}
				s.expire(t, d)
			}
			for _, v := range d.AwaitVerdicts(t, 2) {
				if v.ASIN == bad && (v.Outcome != pipeline.Fail || v.Reason != decide.ReasonNoAnswer) {
					t.Errorf("%s (%s), want fail (%s)", v.Outcome, v.Reason, decide.ReasonNoAnswer)
				}
			}
			if n := keepa.Paid(c.kind, bad); n != pipeline.MaxPaid {
				t.Errorf("paid %d times, want %d", n, pipeline.MaxPaid)
			}
			if n := keepa.Paid(c.kind, good); n != 1 {
				t.Errorf("the other was paid for %d times, want once", n)
			}
			letters := 0
			if err := d.Bus.Scan(t.Context(), pipeline.StreamDead, bus.From{}, func(bus.Read) error { letters++; return nil }); err != nil || letters != 1 {
				t.Errorf("%d letters (%v), want one", letters, err)
			}
			t.Logf("%d kills, %d payments", kills-1, keepa.Paid(c.kind, bad))
		})
	}
}
