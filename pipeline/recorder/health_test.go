package recorder

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

// The reason names no address, because every client can read it.
func TestAProbeReadsWhatTheRecorderLacks(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Log: log})
	must(t, err)
	stop := sync.OnceFunc(srv.Stop)
	t.Cleanup(stop)
	env := process.Env{Log: log, Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}, Health: health.New("recorder")}
	env.Lookup = envconfig.MapLookuper(map[string]string{"NATS_URL": streams.URL, "CLICKHOUSE_URL": "http://someone:secret@127.0.0.1:9/elsewhere"})
	streams.Connect(t, env)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	await := func(want ...string) {
		t.Helper()
		for late := time.Now().Add(time.Minute); !slices.Equal(env.Health.NotReady(), want); <-time.After(10 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("got %q, want %q", env.Health.NotReady(), want)
			}
		}
	}
	await("recorder: does not run")
	running.Go(func() { _ = Run(ctx, env) })
	t.Cleanup(func() { cancel(); running.Wait() })
	await("recorder: ClickHouse does not answer")
	stop()
	await("recorder: NATS does not answer")
	cancel()
	running.Wait()
	await("recorder: does not run")
}
