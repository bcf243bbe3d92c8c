// Package streams gives a test a real NATS of its own, inside the process, with every
// stream and bucket in it.
package streams

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
)

// URL is what a configuration names as NATS; the way there is in the Env.
const URL = "nats://in-process"

// Config is the daemons' default configuration of NATS.
func Config() bus.Config {
	return bus.Config{URL: URL, MaxStore: 50e9, MaxAge: 90 * 24 * time.Hour}
}

// Start starts a server that stops with the test, and an Env that reaches it and logs
// nothing. An empty address: it does not listen.
func Start(t testing.TB, addr string) (process.Env, *natsd.Server) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Addr: addr, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return process.Env{Log: log, Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}}, srv
}

// Connect connects as a daemon does, until the test ends, and sees to the streams and
// buckets.
func Connect(t testing.TB, env process.Env) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), Config(), env, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Open is Start and Connect.
func Open(t testing.TB) (process.Env, *bus.Bus) {
	t.Helper()
	env, _ := Start(t, "")
	return env, Connect(t, env)
}

// Change changes the configuration of a stream.
func Change(t testing.TB, b *bus.Bus, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	change(&cfg)
	if _, err := b.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}
