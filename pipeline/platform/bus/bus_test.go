package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

// open connects to a real server with the topology in place.
func open(t *testing.T) *bus.Bus {
	t.Helper()
	_, b := streams.Open(t)
	return b
}

// dial connects to a server by its address.
func dial(t *testing.T, env process.Env, srv *natsd.Server) *bus.Bus {
	t.Helper()
	cfg := streams.Config()
	cfg.URL = srv.URL()
	b, err := bus.Connect(t.Context(), cfg, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestTheTopologyIsMadeTwiceWithoutHarm(t *testing.T) {
	t.Parallel()
	b := open(t)
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestManyDaemonsMayMakeTheTopologyAtOnce(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	var wait sync.WaitGroup
	for range 7 {
		wait.Go(func() {
			b, err := bus.Connect(t.Context(), bus.Config{URL: streams.URL, Replicas: 1, MaxStore: 50e9}, env, "test")
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			if err := b.Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func TestAMessagePublishedTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	m := bus.Message{Subject: "candidate.1.live.B000000001", Schema: pipeline.SchemaCandidate, ID: "candidate:w1", WorkID: "w1", Body: []byte(`{}`)}
	for range 2 {
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PublishAll(t.Context(), []bus.Message{m, m}); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := b.Scan(t.Context(), pipeline.StreamCandidates, bus.From{}, func(r bus.Read) error {
		n++
		for _, h := range []string{
			pipeline.HeaderSchema, pipeline.HeaderWorkID, pipeline.HeaderRunID, pipeline.HeaderAt,
			pipeline.HeaderMsgID, pipeline.HeaderTraceparent, pipeline.HeaderBuild,
		} {
			if r.Header.Get(h) == "" {
				t.Errorf("header %s is missing", h)
			}
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("stored %d (%v), want 1", n, err)
	}
}

func TestASubjectThatNoStreamHoldsIsAnErrorAtTheEndOfPatience(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Publish(ctx, bus.Message{Subject: "nobody.listens", Body: []byte("x")}); err == nil {
		t.Error("published to no stream without an error")
	}
}

func TestChangesByManyLoseNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	cell := bus.NewCell(kv, "counter")
	var wait sync.WaitGroup
	const workers, each = 4, 10
	for range workers {
		wait.Go(func() {
			for range each {
				if _, err := bus.Change(t.Context(), cell, func(n int) (int, bool, error) { return n + 1, true, nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	got, err := bus.Change(t.Context(), cell, func(n int) (int, bool, error) { return n, false, nil })
	if err != nil || got != workers*each {
		t.Errorf("counted %d (%v), want %d", got, err, workers*each)
	}
}

func TestASwapFromAnOldRevisionIsAConflict(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	cell := bus.NewCell(kv, "k")
	rev, err := cell.Swap(t.Context(), 0, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cell.Swap(t.Context(), rev, []byte("2")); err != nil {
		t.Fatal(err)
	}
	for _, stale := range []uint64{0, rev} {
		if _, err := cell.Swap(t.Context(), stale, []byte("3")); err != bus.ErrConflict { //nolint:errorlint // the contract is the sentinel itself
			t.Errorf("swap from %d: got %v, want a conflict", stale, err)
		}
	}
}

func TestADaemonIsAMicroServiceWhoseHeartbeatEndsWithIt(t *testing.T) {
	t.Parallel()
	b := open(t)
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test"}
	stop, err := bus.StartService(t.Context(), b, env, "peeker", func() pipeline.Heartbeat { return pipeline.Heartbeat{State: "idle"} })
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.NC.Request("svc.peeker.status", nil, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(answer.Data); got == "" || !strings.Contains(got, `"state":"idle"`) || !strings.Contains(got, `"daemon":"peeker"`) {
		t.Errorf("status says %s", got)
	}
	stop()
	kv, err := b.Store(t.Context(), pipeline.BucketStatus)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.ListKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for k := range keys.Keys() {
		t.Errorf("heartbeat %s outlived its daemon", k)
	}
}

// STATUS has no age limit, so a marker without a TTL would stay for every instance that ever stopped.
func TestAStatusThatEndedLeavesAMarkerThatExpires(t *testing.T) {
	t.Parallel()
	b := open(t)
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test"}
	stop, err := bus.StartService(t.Context(), b, env, "peeker", func() pipeline.Heartbeat { return pipeline.Heartbeat{} })
	if err != nil {
		t.Fatal(err)
	}
	stop()
	s, err := b.Stream(t.Context(), pipeline.BucketStream(pipeline.BucketStatus))
	if err != nil {
		t.Fatal(err)
	}
	last, err := s.GetLastMsgForSubject(t.Context(), pipeline.KeySubject(pipeline.BucketStatus, "peeker.>"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if last.Header.Get(jetstream.MsgTTLHeader) == "" {
		t.Errorf("%s stays with %v", last.Subject, last.Header)
	}
}
