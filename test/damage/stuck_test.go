package damage_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/test/desk"
)

// TestAStageThatGetsNothingDoneIsStuckWithKeepasWordAndEndsWithIt lets every call fail while work
// and tokens wait: ten minutes of pipeline time later the status says so, and no longer once
// Keepa answers.
func TestAStageThatGetsNothingDoneIsStuckWithKeepasWordAndEndsWithIt(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a stage is stuck")
	}
	t.Parallel()
	d := desk.New(t, 600)
	defer d.Run(t, tokend.Run, nil)() // it issues for one call at a time, and finds out that the calls cost nothing
	d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = append(f.Rules, keepasim.Rule{Kind: keepasim.KindPeek, Do: keepasim.Fail, Status: 503})
	})
	defer d.Run(t, peeker.Run, nil)()
	peekersStuck := func() string {
		s, err := cli.ReadStatus(t.Context(), d.Bus)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range s.Stuck {
			if st.Daemon == "peeker" {
				return st.Reason
			}
		}
		return ""
	}
	if why := peekersStuck(); why != "" {
		t.Errorf("without work it is idle, and the status says: %s", why)
	}
	d.Offer(t, d.Work(t, d.ASINs(keepasim.NoProfit)[0], pipeline.SourceLive, pipeline.FirstGeneration))
	began, why := time.Now(), ""
	desk.Await(t, "the peeker is stuck", func() bool { why = peekersStuck(); return why != "" })
	if !strings.Contains(why, "no step succeeded for") || !strings.Contains(why, "server (HTTP 50") {
		t.Errorf("the status says %q, want Keepa's word in it", why)
	}
	t.Logf("said after %s of machine time at 600 times its speed: %s", time.Since(began).Round(time.Millisecond), why)
	d.Sim.Change(func(f *keepasim.Faults) { f.Rules = nil })
	desk.Await(t, "it is no longer stuck", func() bool { return peekersStuck() == "" })
	d.AwaitVerdicts(t, 2)
}
