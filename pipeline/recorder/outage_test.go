package recorder

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/process"
)

// role makes this binary, executed again, an engine that the test may kill; chtest's is shared.
const role = "RATCHET_OUTAGE_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	f := flag.NewFlagSet("clickhouse", flag.ExitOnError)
	var o clickhouse.ServeOptions
	f.StringVar(&o.Lib, "lib", "", "")
	f.StringVar(&o.Data, "data", "", "")
	f.StringVar(&o.Addr, "addr", "", "")
	_ = f.Parse(os.Args[2:]) // ends the process by itself
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := clickhouse.Serve(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// engine starts a ClickHouse of the test's own, on an address that stays across restarts.
func engine(t *testing.T, lib, data, addr string) *clickhouse.Server {
	t.Helper()
	s, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: data, Addr: addr, Env: []string{role + "=1"}})
	must(t, err)
	return s
}

// TestTwoHoursWithoutClickHouseUnderLoadLoseNothing stops the engine while verdicts, deals and the ledger continue
// for two hours of a plan that decides 10 million candidates a year, and starts it again on the same data.
func TestTwoHoursWithoutClickHouseUnderLoadLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("stops an engine for seconds")
	}
	t.Parallel()
	lib := chtest.Library(t)
	data := filepath.Join(t.TempDir(), "clickhouse")
	s := engine(t, lib, data, "127.0.0.1:0")
	w := newWorld(t)
	w.dsn = s.URL()
	r, _ := w.start(plainly)
	w.verdicts(1, 500)
	w.settled()
	w.counts(500)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, s.Stop(gone)) // no time to finish: it is killed
	at, err := url.Parse(s.URL())
	must(t, err)
	const verdicts = 2300 // two hours of 10 million a year
	for from := 500; from < 500+verdicts; from += 100 {
		w.verdicts(from+1, from+100)
		w.publishEach(w.entry, from+1, from+20)
		w.publishEach(w.deal, from/10+1, from/10+2)
	}
	w.await("the state says what is wrong", func() bool {
		h := r.pulse.beat()
		return h.State == "stuck" && h.Counters["retries"] > 0 && h.Counters["recorded"] == 500
	})
	began := time.Now()
	s = engine(t, lib, data, at.Host)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	w.settled()
	t.Logf("caught up in %v", time.Since(began).Round(time.Millisecond))
	w.counts(500 + verdicts)
	w.want("SELECT count(), sum(tokens) FROM ledger FINAL", "460,460")
	w.want("SELECT count(), sum(versions) FROM deals", "46,46")
	if h := r.pulse.beat(); h.State == "stuck" || h.Detail["clickhouse"] != "answers" {
		t.Errorf("still stuck: %+v", h)
	}
}

// TestAnEngineThatIsKilledAtAnyMomentLeavesExactCounts kills the engine repeatedly,
// first while it migrates, then while it receives rows, merges and forgets.
func TestAnEngineThatIsKilledAtAnyMomentLeavesExactCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("kills an engine again and again")
	}
	t.Parallel()
	lib := chtest.Library(t)
	data := filepath.Join(t.TempDir(), "clickhouse")
	s := engine(t, lib, data, "127.0.0.1:0")
	at, err := url.Parse(s.URL())
	must(t, err)
	w := newWorld(t)
	w.dsn = s.URL()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const each = 60
	kills := 8
	if os.Getenv("RATCHET_ROUNDS") == "many" {
		kills = 24
	}
	r, _ := w.start(plainly)
	for n := range kills {
		w.happens(n*each+1, (n+1)*each)
		// Machine time: the engine's state then is random, and a little later each time.
		must(t, process.Sleep(t.Context(), 20*time.Millisecond+time.Duration(n)*800*time.Millisecond/time.Duration(kills)))
		must(t, s.Stop(gone))
		s = engine(t, lib, data, at.Host)
		if n == kills/2 {
			w.settled()
		}
		if n > kills/2 {
			go func() { _ = r.tidyOnce(t.Context()) }() // is killed in the middle of it
		}
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	w.settled()
	w.happened(kills * each)
}
