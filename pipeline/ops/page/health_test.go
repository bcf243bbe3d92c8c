package page_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

func TestAProbeReadsWhetherNATSAnswersThePageOfAFleet(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(srv.Stop)
	t.Cleanup(stop)
	env := process.Env{Log: log, Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}, Health: health.New("page")}
	env.Lookup = envconfig.MapLookuper(map[string]string{"NATS_URL": streams.URL, "CLICKHOUSE_URL": "none", "PAGE_ADDR": "127.0.0.1:0"})
	streams.Connect(t, env)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = page.Run(ctx, env) })
	t.Cleanup(func() { cancel(); running.Wait() })
	await := func(want ...string) {
		t.Helper()
		desk.Await(t, "the probe reads what is wanted", func() bool { return slices.Equal(env.Health.NotReady(), want) })
	}
	await()
	stop()
	await("page: NATS does not answer")
	cancel()
	running.Wait()
	await("page: does not run")
}
