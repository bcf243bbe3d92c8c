package bus_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/test/child"
	"ratchet/test/streams"
)

// log collects log output; it is safe for concurrent use.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

// logged returns env with a log that can be read.
func logged(env process.Env) (process.Env, *log) {
	l := &log{}
	env.Log = slog.New(slog.NewTextHandler(l, nil))
	return env, l
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for over := time.Now().Add(time.Minute); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("%s: still not the case after a minute", what)
		}
	}
}

func TestADaemonThatStartsFirstWaitsForNATSAndForTheTopologyWithOneLineEach(t *testing.T) {
	t.Parallel()
	addr := child.FreeAddress(t)
	env, said := logged(process.Env{Clock: process.RealClock(), Version: "test"})
	cfg := streams.Config()
	cfg.URL = "nats://" + addr
	opened := make(chan error, 1)
	go func() {
		b, err := bus.Open(t.Context(), cfg, env, "tokend")
		if err == nil {
			b.Close()
		}
		opened <- err
	}()
	until(t, "it says that it waits for NATS", func() bool { return said.count("waiting for NATS") > 0 })
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Addr: addr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	until(t, "it says that it waits for the topology", func() bool { return said.count("waiting for the topology") > 0 })
	select {
	case err := <-opened:
		t.Fatalf("opened without a topology: %v", err)
	case <-time.After(500 * time.Millisecond): // longer than its first pauses
	}
	b, err := bus.Connect(t.Context(), cfg, process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if _, err := b.JS.Stream(t.Context(), pipeline.StreamCandidates); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a daemon created a stream: %v", err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if n, m := said.count("waiting for NATS"), said.count("waiting for the topology"); n != 1 || m != 1 {
		t.Errorf("%d lines about NATS and %d about the topology, want 1 of each:\n%s", n, m, said.buf.String())
	}
}

func TestWaitingEndsWhenItWasAskedTo(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	cfg := streams.Config()
	cfg.Wait = 3 * time.Second // one comparison with the race detector takes half a second
	_, err := bus.Open(t.Context(), cfg, env, "tokend")
	if err == nil || !strings.Contains(err.Error(), "NATS_WAIT") || !strings.Contains(err.Error(), "stream CANDIDATES is missing") ||
		!strings.Contains(err.Error(), "ratchet topology apply") || process.ExitCode(err) != process.ExitFailed {
		t.Errorf("got %v, want what is missing, NATS_WAIT and the next step", err)
	}
}

// TestADaemonWorksWithThePermissionsItHasAndReportsTheOthers changes the topology as other builds and operators do.
func TestADaemonWorksWithThePermissionsItHasAndReportsTheOthers(t *testing.T) {
	t.Parallel()
	stream := func(f func(*jetstream.StreamConfig)) func(*testing.T, *bus.Bus) {
		return func(t *testing.T, b *bus.Bus) {
			s, err := b.JS.Stream(t.Context(), pipeline.StreamDeals)
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			f(&cfg)
			if _, err := b.JS.UpdateStream(t.Context(), cfg); err == nil {
				return
			}
			if err := b.JS.DeleteStream(t.Context(), cfg.Name); err != nil {
				t.Fatal(err)
			}
			if _, err := b.JS.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			_, err = b.JS.CreateConsumer(t.Context(), cfg.Name, jetstream.ConsumerConfig{
				Durable: pipeline.DurableRecorder(cfg.Name), AckPolicy: jetstream.AckExplicitPolicy,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	consumer := func(f func(*jetstream.ConsumerConfig)) func(*testing.T, *bus.Bus) {
		return func(t *testing.T, b *bus.Bus) {
			c, err := b.JS.Consumer(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance)
			if err != nil {
				t.Fatal(err)
			}
			cfg := c.CachedInfo().Config
			f(&cfg)
			if err := b.JS.DeleteConsumer(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance); err != nil {
				t.Fatal(err)
			}
			if _, err := b.JS.CreateConsumer(t.Context(), pipeline.StreamCandidates, cfg); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*testing.T, *bus.Bus)
		code   int
		says   string
	}{
		"subjects":               {stream(func(s *jetstream.StreamConfig) { s.Subjects = []string{"deals.>"} }), 2, "subjects"},
		"retention":              {stream(func(s *jetstream.StreamConfig) { s.Retention = jetstream.InterestPolicy }), 2, "retention"},
		"storage":                {stream(func(s *jetstream.StreamConfig) { s.Storage, s.MaxBytes = jetstream.MemoryStorage, 1e6 }), 2, "storage"},
		"a shorter dedup window": {stream(func(s *jetstream.StreamConfig) { s.Duplicates = time.Hour }), 2, "dedup window"},
		"a longer dedup window":  {stream(func(s *jetstream.StreamConfig) { s.Duplicates = 48 * time.Hour }), 0, "dedup window"},
		"a further subject":      {stream(func(s *jetstream.StreamConfig) { s.Subjects = append(s.Subjects, "deals.>") }), 0, "subjects"},
		"an age":                 {stream(func(s *jetstream.StreamConfig) { s.MaxAge = 200 * 24 * time.Hour }), 0, "max age"},
		"a size":                 {stream(func(s *jetstream.StreamConfig) { s.MaxBytes = 3 << 30 }), 0, "max bytes"},
		"a filter":               {consumer(func(s *jetstream.ConsumerConfig) { s.FilterSubject = "candidate.1.>" }), 2, "filter"},
		"acknowledgement policy": {consumer(func(s *jetstream.ConsumerConfig) { s.AckPolicy = jetstream.AckAllPolicy }), 2, "acknowledgement policy"},
		"ack wait":               {consumer(func(s *jetstream.ConsumerConfig) { s.AckWait = time.Hour }), 0, "ack wait"},
		"another consumer": {func(t *testing.T, b *bus.Bus) {
			if _, err := b.JS.CreateConsumer(t.Context(), pipeline.StreamDeals, jetstream.ConsumerConfig{Durable: "mine"}); err != nil {
				t.Fatal(err)
			}
		}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, _ := streams.Start(t, "")
			c.change(t, streams.Connect(t, env))
			env, said := logged(env)
			b, err := bus.Open(t.Context(), streams.Config(), env, "tokend")
			if err == nil {
				b.Close()
			}
			if got := process.ExitCode(err); got != c.code {
				t.Fatalf("got %v with exit code %d, want %d", err, got, c.code)
			}
			if c.code == 2 && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not name %s", err, c.says)
			}
			if warned := said.count("the topology differs"); c.code == 0 && (warned == 1) != (c.says != "") || c.says != "" && c.code == 0 && said.count(c.says) == 0 {
				t.Errorf("warned %d times, want of %q: %s", warned, c.says, said.buf.String())
			}
		})
	}
}

func TestWhatKeepsLessIsLoweredOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	streams.Connect(t, env)
	small := streams.Config()
	small.MaxStore, small.MaxAge = 1e6, time.Hour
	b, err := bus.Connect(t.Context(), small, env, "provisioner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	var kept []string
	if err := b.Apply(t.Context(), bus.Provision{Done: func(d bus.Difference, made bool) {
		if !made && d.Lowers {
			kept = append(kept, d.String())
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if size, age := limitsOfResponses(t, b); size != 50e9 || age != 90*24*time.Hour {
		t.Errorf("lowered to %d bytes and %s without being asked", size, age)
	}
	if all := strings.Join(kept, "\n"); len(kept) != 3 || !strings.Contains(all, "dedup window") || !strings.Contains(all, "max age") || !strings.Contains(all, "max bytes") {
		t.Errorf("said that it kept %q, want the age, the size and the dedup window", kept)
	}
	if err := b.Apply(t.Context(), bus.Provision{Lower: true}); err != nil {
		t.Fatal(err)
	}
	if size, age := limitsOfResponses(t, b); size != 1e6 || age != time.Hour {
		t.Errorf("%d bytes and %s, want what was asked for", size, age)
	}
	found, err := b.Differences(t.Context())
	if err != nil || len(found) > 0 {
		t.Errorf("still different: %v, %v", found, err)
	}
}

func TestAnUnlimitedStoreIsLimitedOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	all := streams.Config()
	all.MaxStore, all.MaxAge = 0, 0
	first, err := bus.Connect(t.Context(), all, env, "provisioner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.Close)
	if err := first.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(t.Context(), streams.Config(), env, "provisioner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if size, age := limitsOfResponses(t, b); size > 0 || age > 0 {
		t.Errorf("limited to %d bytes and %s without being asked", size, age)
	}
	if err := b.Apply(t.Context(), bus.Provision{Lower: true}); err != nil {
		t.Fatal(err)
	}
	if size, age := limitsOfResponses(t, b); size != 50e9 || age != 90*24*time.Hour {
		t.Errorf("%d bytes and %s, want what was asked for", size, age)
	}
}

// limitsOfResponses returns how many bytes of answers NATS keeps, and for how long.
func limitsOfResponses(t *testing.T, b *bus.Bus) (int64, time.Duration) {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), pipeline.StreamResponses)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config.MaxBytes, s.CachedInfo().Config.MaxAge
}

func TestACheckWritesNothing(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	b := streams.Connect(t, env)
	env.Check = true
	if _, err := bus.Open(t.Context(), streams.Config(), env, "tokend"); !errors.Is(err, process.ErrChecked) {
		t.Errorf("got %v, want that the check passed", err)
	}
	for _, name := range []string{pipeline.BucketStream(pipeline.BucketStatus), pipeline.BucketStream(pipeline.BucketLeaders)} {
		if last, err := b.Last(t.Context(), name); err != nil || last != 0 {
			t.Errorf("%s has %d messages (%v), want none", name, last, err)
		}
	}
}

// TestAServerThatDoesNotServeIsLeft has two servers. Requests to the JetStream of the first
// are swallowed, as by a server that is cut off from its peers; the connection to it is up.
func TestAServerThatDoesNotServeIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for twelve seconds")
	}
	t.Parallel()
	mute, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	mute.Start()
	t.Cleanup(mute.Shutdown)
	if !mute.ReadyForConnections(10 * time.Second) {
		t.Fatal("the first server does not start")
	}
	swallow, err := nats.Connect(mute.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(swallow.Close)
	if _, err := swallow.Subscribe("$JS.API.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := swallow.Flush(); err != nil {
		t.Fatal(err)
	}
	_, good := streams.Start(t, "127.0.0.1:0")
	env, said := logged(process.Env{Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{nats.DontRandomize()}})
	cfg := streams.Config()
	cfg.URL = mute.ClientURL() + "," + good.URL()
	began := time.Now()
	b, err := bus.Connect(t.Context(), cfg, env, "tokend")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if got := b.NC.ConnectedUrl(); got != mute.ClientURL() {
		t.Fatalf("on %s, want to begin on %s", got, mute.ClientURL())
	}
	until(t, "it is connected to the other server", func() bool { return b.NC.IsConnected() && b.NC.ConnectedUrl() == good.URL() })
	if took := time.Since(began); took < 4*time.Second || took > 15*time.Second {
		t.Errorf("left after %s, want about 5 s", took)
	}
	if said.count("does not serve JetStream") == 0 {
		t.Errorf("does not say why: %s", said.buf.String())
	}
	<-time.After(7 * time.Second) // longer than it stays with a server that does not serve
	if got := b.NC.ConnectedUrl(); got != good.URL() {
		t.Errorf("on %s, want to stay with %s, which serves", got, good.URL())
	}
}
