package processes_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
)

// firstTokens is how many tokens there are at the start.
const firstTokens = 100

// TestADrainedStageEndsAndTheNextOneDecidesTheRest drains both peekers when the tokens for the first rows are spent.
func TestADrainedStageEndsAndTheNextOneDecidesTheRest(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs six processes")
	}
	w := outside(t, keepasim.Backlog400(1), rate, firstTokens) // the rest is decided as tokens come, for twenty seconds
	w.startNATS(t, "127.0.0.1:0")
	w.watch(t)
	w.provision(t)
	var running, peekers []*child.Child
	for _, name := range []string{"tokend", "watermarker", "committer"} {
		running = append(running, start(t, name, w.environ()))
	}
	for range 2 {
		peekers = append(peekers, start(t, "peeker", w.environ()))
	}
	w.answersStatus(t, "peeker", 2)
	w.sim.Start(w.clock.Now())
	for began := time.Now(); w.sim.Account().Consumed() < firstTokens; <-time.After(5 * time.Millisecond) {
		if time.Since(began) > decidedWithin {
			t.Fatalf("the first tokens are not spent after %s: %+v", decidedWithin, w.sim.Account())
		}
	}
	out := start(t, "ratchet", w.environ(), "drain", "peeker").Done(t)
	if strings.Count(out, " has ended\n") != 2 {
		t.Errorf("drain prints:\n%s", out)
	}
	for _, p := range peekers {
		p.Done(t) // with exit code 0
	}
	if n := w.finals.count(); n == rows {
		t.Fatal("every row was decided before the drain, which proves nothing")
	}
	again := start(t, "ratchet", w.environ(), "drain", "peeker")
	if <-again.Ended; again.Cmd.ProcessState.ExitCode() != 1 || !strings.Contains(again.Output(), "no standalone peeker") {
		t.Errorf("a second drain exits with %d and prints:\n%s", again.Cmd.ProcessState.ExitCode(), again.Output())
	}
	running = append(running, start(t, "peeker", w.environ()))
	w.awaitDecided(t)
	w.everyCandidateHasOneFinalVerdict(t)
	w.nothingWasPaidTwice(t)
	child.Stop(t, running...)
}
