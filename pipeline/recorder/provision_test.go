package recorder

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/warehouse"
)

// TestARecorderThatFindsNoTablesCreatesNoneAndWaitsWithOneLine provisions only after it has waited.
func TestARecorderThatFindsNoTablesCreatesNoneAndWaitsWithOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var said bytes.Buffer
	w.env.Log = slog.New(slog.NewTextHandler(&said, nil))
	r := newRecorder(Config{ClickHouse: w.dsn, Batch: 64, Flush: 50 * time.Millisecond}, w.env, w.b, func(ctx context.Context) (sink, error) {
		return openWarehouse(ctx, Config{ClickHouse: w.dsn})
	})
	r.pause, r.grace, r.longest = 50*time.Millisecond, time.Second, 100*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); r.store.close() })
	w.verdicts(1, 5)
	w.await("it says what it waits for", func() bool { return strings.Contains(r.pulse.beat().LastError, "topology apply") })
	h, err := warehouse.Reach(t.Context(), w.dsn)
	must(t, err)
	defer h.Close()
	if err := h.Current(t.Context()); err == nil {
		t.Error("the recorder created tables")
	}
	must(t, warehouse.Provision(t.Context(), w.dsn, warehouse.KeepDays))
	must(t, h.Current(t.Context()))
	w.settled()
	w.counts(5)
	cancel()
	running.Wait()
	if n := strings.Count(said.String(), "waiting for the tables of clickhouse"); n != 1 {
		t.Errorf("said %d times that it waits, want once:\n%s", n, said.String())
	}
}
