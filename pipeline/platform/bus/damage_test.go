package bus_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
)

// serve starts a server on a directory and connects to it.
func serve(t *testing.T, dir string) (*natsd.Server, *bus.Bus) {
	t.Helper()
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return srv, connect(t, srv.InProcess())
}

func connect(t *testing.T, to nats.Option) *bus.Bus {
	t.Helper()
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{to}}
	b, err := bus.Connect(t.Context(), bus.Config{URL: "nats://in-process", Replicas: 1, MaxStore: 50e9}, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pending returns a store with a consumer that has settled 4 of 10, and that consumer's state.
func pending(t *testing.T) (dir, state string) {
	t.Helper()
	dir = t.TempDir()
	srv, b := serve(t, dir)
	defer srv.Stop()
	defer b.Close()
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range stored {
		m := bus.Message{Subject: "candidate.1.live.B00000000" + string(rune('0'+i)), Schema: pipeline.SchemaCandidate, Body: []byte(`{}`)}
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, it := range take(t, b)[:settled] {
		if err := it.Settle.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(srv.StreamDir(pipeline.StreamCandidates), "obs", pipeline.DurableGlance, "o.dat")
}

const stored, settled = 10, 4

func take(t *testing.T, b *bus.Bus) []loop.Item {
	t.Helper()
	in, err := b.Inlet(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), stored, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestARecreatedConsumerRepeatsAndSkipsNothing settles some of what a consumer
// delivered, damages its state, and takes the rest. The server takes a state
// that is truncated after its first four numbers for one with nothing pending.
func TestARecreatedConsumerRepeatsAndSkipsNothing(t *testing.T) {
	t.Parallel()
	for how, damage := range map[string]func(raw []byte) []byte{
		"garbage":                 func([]byte) []byte { return []byte("garbage") },
		"halved":                  func(raw []byte) []byte { return raw[:len(raw)/2] },
		"without what is pending": func(raw []byte) []byte { return raw[:6] },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir, state := pending(t)
			raw, err := os.ReadFile(state)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(state, damage(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			srv, b := serve(t, dir)
			defer srv.Stop()
			defer b.Close()
			aside := srv.Aside()
			if len(aside) != 1 || aside[0].Stream != pipeline.StreamCandidates || aside[0].Durable != pipeline.DurableGlance {
				t.Fatalf("set aside %v, want the consumer alone", aside)
			}
			if err := b.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			floor := srv.Floor(pipeline.StreamCandidates, pipeline.DurableGlance)
			if floor > settled {
				t.Errorf("the floor that was noted is %d, and %d were settled", floor, settled)
			}
			if err := b.Rewind(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance, floor+1); err != nil {
				t.Fatal(err)
			}
			if again := take(t, b); uint64(len(again)) != stored-floor || again[0].Sequence != floor+1 {
				t.Errorf("got %d items, want everything behind #%d", len(again), floor)
			}
		})
	}
}

func TestAServerOfOthersThatCannotReadAConsumerIsAnErrorWithTheNextStep(t *testing.T) {
	t.Parallel()
	dir, state := pending(t)
	if err := os.WriteFile(state, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := connect(t, own(t, server.Options{StoreDir: dir}))
	defer b.Close()
	err := b.Ensure(t.Context())
	var damaged *bus.DamagedConsumer
	if !errors.As(err, &damaged) || damaged.Durable != pipeline.DurableGlance || !strings.Contains(err.Error(), "move the directory") {
		t.Fatalf("got %v, want the consumer and the next step named", err)
	}
}

// own starts a server of others on a directory, without the options of the embedded one.
func own(t *testing.T, o server.Options) nats.Option {
	t.Helper()
	o.JetStream, o.DontListen, o.NoSigs = true, true, true
	srv, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.WaitForShutdown)
	t.Cleanup(srv.Shutdown)
	return nats.InProcessServer(srv)
}

func TestAServerThatMayStoreLessThanTheStreamsIsNotADamagedStream(t *testing.T) {
	t.Parallel()
	b := connect(t, own(t, server.Options{StoreDir: t.TempDir(), JetStreamMaxStore: 30 << 30, JetStreamMaxMemory: 1 << 20}))
	defer b.Close()
	began := time.Now()
	err := b.Ensure(t.Context())
	if _, damaged := errors.AsType[*bus.DamagedStream](err); damaged || err == nil || !strings.Contains(err.Error(), "NATS_MAX_RESPONSES") {
		t.Errorf("got %v, want the limit to raise and no damage", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it was repeated for %v, and no repetition changes it", took)
	}
}

// TestAPatientTakeReturnsWithTheFirstOfAFew waits for many candidates, of which few come.
func TestAPatientTakeReturnsWithTheFirstOfAFew(t *testing.T) {
	t.Parallel()
	b := open(t)
	in, err := b.Inlet(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) {
		m := bus.Message{Subject: pipeline.SubjectCandidate(1, pipeline.SourceLive, "B000000001"), Schema: pipeline.SchemaCandidate, ID: id, WorkID: id, Body: []byte("{}")}
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	began := time.Now()
	time.AfterFunc(50*time.Millisecond, func() { publish("1") })
	one, err := in.Take(t.Context(), 100, bus.Patient)
	if took := time.Since(began); err != nil || len(one) != 1 || took > bus.Patient/2 {
		t.Errorf("%d items after %v, %v; want the one that came, at once", len(one), took, err)
	}
	publish("2")
	publish("3")
	// The stream has both; the consumer, which the server notifies afterwards, may still know the first alone.
	for there := 0; there < 2; {
		all, err := b.Backlogs(t.Context(), pipeline.StreamCandidates)
		if err != nil {
			t.Fatal(err)
		}
		there = all[pipeline.DurableGlance].Pending
	}
	if two, err := in.Take(t.Context(), 100, bus.Patient); err != nil || len(two) != 2 {
		t.Errorf("%d items, %v; want both that were there", len(two), err)
	}
}
