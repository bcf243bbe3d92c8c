package bus_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/embedded/natsd"
)

// serve starts a server on a directory and connects to it.
func serve(t *testing.T, dir string) (*natsd.Server, *bus.Bus) {
	t.Helper()
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	env := daemon.Env{Log: slog.New(slog.DiscardHandler), Clock: daemon.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}}
	b, err := bus.Connect(t.Context(), bus.Config{URL: "nats://in-process", Replicas: 1, MaxStore: 50e9}, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	return srv, b
}

// TestARecreatedConsumerRepeatsAndSkipsNothing settles some of what a consumer delivered, damages
// its state, and takes again what it has.
func TestARecreatedConsumerRepeatsAndSkipsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, b := serve(t, dir)
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	const stored, settled = 10, 4
	for i := range stored {
		m := bus.Message{Subject: "candidate.1.live.B00000000" + string(rune('0'+i)), Schema: pipeline.SchemaCandidate, Body: []byte(`{}`)}
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	in, err := b.Inlet(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), stored, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items[:settled] {
		if err := it.Settle.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	srv.Stop()

	state := filepath.Join(srv.StreamDir(pipeline.StreamCandidates), "obs", pipeline.DurableGlance, "o.dat")
	if err := os.WriteFile(state, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv, b = serve(t, dir)
	defer srv.Stop()
	defer b.Close()
	err = b.Ensure(t.Context())
	var damaged *bus.DamagedConsumer
	if !errors.As(err, &damaged) || damaged.Durable != pipeline.DurableGlance {
		t.Fatalf("got %v, want the consumer named", err)
	}
	if _, err := srv.SetAside(damaged.Stream, damaged.Durable); err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	floor := srv.Floor(damaged.Stream, damaged.Durable)
	if floor > settled {
		t.Errorf("the floor that was noted is %d, and %d were settled", floor, settled)
	}
	if err := b.Rewind(t.Context(), damaged.Stream, damaged.Durable, floor+1); err != nil {
		t.Fatal(err)
	}
	if in, err = b.Inlet(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance); err != nil {
		t.Fatal(err)
	}
	again, err := in.Take(t.Context(), stored, time.Second)
	if err != nil || uint64(len(again)) != stored-floor || again[0].Sequence != floor+1 {
		t.Errorf("got %d items (%v), want everything behind #%d", len(again), err, floor)
	}
}
