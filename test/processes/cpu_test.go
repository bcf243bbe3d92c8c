package processes_test

import (
	"testing"
	"time"

	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
)

const (
	mostPerDecision = 5.0  // the bar, in milliseconds of one core
	listed          = 4000 // rows, each of which is decided
)

// BenchmarkCPUPerDecision measures the CPU time of NATS and of one of each daemon, from the first page of a list until
// every row of it is decided, with tokens for all of them. The simulated Keepa and what counts the decisions are in
// this process, which is left out.
func BenchmarkCPUPerDecision(b *testing.B) {
	for b.Loop() {
		w := worldOf(b, keepasim.BacklogOf(1, listed), 2000)
		running := []*child.Child{w.natsd}
		for _, name := range []string{"tokend", "watermarker", "peeker", "committer"} {
			running = append(running, start(b, name, w.environ()))
		}
		w.provision(b) // the daemons wait for it
		before, began := make([]usage, len(running)), time.Now()
		for i, c := range running {
			before[i] = used(b, c.Cmd.Process.Pid)
		}
		w.sim.Start(w.clock.Now())
		for ; w.finals.count() < listed; time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > 3*decidedWithin {
				b.Fatalf("%d of %d rows are decided after %s", w.finals.count(), listed, 3*decidedWithin)
			}
		}
		n, each := float64(w.finals.count()), 0.0
		for i, c := range running {
			ms := 1000 * (used(b, c.Cmd.Process.Pid).cpu - before[i].cpu) / n
			b.Logf("%s: %.2f ms", c.Name, ms)
			each += ms
		}
		b.ReportMetric(each, "ms/decision")
		b.ReportMetric(n/time.Since(began).Seconds(), "decisions/s")
		b.ReportMetric(0, "ns/op")
		if each > mostPerDecision {
			b.Errorf("%.2f ms of CPU for each decision, want at most %g", each, mostPerDecision)
		}
		child.Stop(b, running[1:]...)
	}
}
