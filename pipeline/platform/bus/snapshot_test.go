package bus_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
)

// bare is the door to a NATS of its own, without a topology.
func bare(t *testing.T) *bus.Bus {
	t.Helper()
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return connect(t, srv.InProcess())
}

// The server reads a snapshot message by message, and passes over what is stored behind the end that it began with.
func TestAKeyThatIsOverwrittenWhileItsBucketIsSavedIsRestored(t *testing.T) {
	t.Parallel()
	from, to, dir := bare(t), bare(t), filepath.Join(t.TempDir(), "seen")
	if err := from.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	const keys, last = 2600, 100 // ten megabytes, more than the server sends ahead; the last are overwritten
	write := func(first int, value func() []byte) {
		for i := first; i < keys; i++ {
			if _, err := from.JS.PublishAsync(pipeline.KeySubject(pipeline.BucketSeen, strconv.Itoa(i)), value(), jetstream.WithStallWait(time.Minute)); err != nil {
				t.Error(err)
			}
		}
		<-from.JS.PublishAsyncComplete()
	}
	write(0, func() []byte { b := make([]byte, 4000); _, _ = rand.Read(b); return b })
	stream := pipeline.BucketStream(pipeline.BucketSeen)
	overwritten := make(chan struct{})
	saved, err := from.SaveStream(t.Context(), stream, dir, func(int64) {
		select {
		case <-overwritten:
		default:
			write(keys-last, func() []byte { return []byte("after") })
			close(overwritten)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-overwritten
	if err := to.RestoreStream(t.Context(), stream, dir, bus.Restore{Made: saved.Made, Progress: func(int64) {}}); err != nil {
		t.Fatal(err)
	}
	restored, err := to.Store(t.Context(), pipeline.BucketSeen)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if _, err := restored.Get(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	info, err := to.JS.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if made := bus.Made(info.CachedInfo()); made != saved.Made {
		t.Errorf("made %d, want %d: the rows of the old stream are not its own any more", made, saved.Made)
	}
}

// A snapshot may end within a batch; a part of it is what its publisher never expects to find.
func TestABatchThatIsBeingStoredWhileItsStreamIsSavedIsRestoredCompletely(t *testing.T) {
	t.Parallel()
	from, to, dir := bare(t), bare(t), t.TempDir()
	if err := from.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	const size = 20
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			batch := make([]bus.Message, size)
			for i := range batch {
				id := fmt.Sprintf("%d-%d", n, i)
				batch[i] = bus.Message{Subject: "survivor.1.glance.live." + id, Schema: "survivor.v1", ID: id, WorkID: id, Body: []byte("{}")}
			}
			if err := from.PublishBatch(t.Context(), batch); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	tails := 0
	for n := range 100 {
		into := filepath.Join(dir, fmt.Sprint(n))
		saved, err := from.SaveStream(t.Context(), pipeline.StreamSurvivors, into, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		if saved.Messages%size != 0 {
			t.Fatalf("%d messages were saved: a part of a batch of %d", saved.Messages, size)
		}
		if _, err := os.Stat(filepath.Join(into, "tail.jsonl")); err == nil {
			if tails++; tails == 3 {
				restoredWhole(t, to, into, size)
				break
			}
		}
	}
	close(stop)
	<-stopped
	if tails == 0 {
		t.Error("none of 100 snapshots ended within a batch")
	}
}

func restoredWhole(t *testing.T, to *bus.Bus, dir string, size uint64) {
	t.Helper()
	if err := to.RestoreStream(t.Context(), pipeline.StreamSurvivors, dir, bus.Restore{Progress: func(int64) {}}); err != nil {
		t.Fatal(err)
	}
	held, err := to.Held(t.Context(), pipeline.StreamSurvivors)
	if err != nil {
		t.Fatal(err)
	}
	if held%size != 0 {
		t.Errorf("%d messages were restored: a part of a batch of %d", held, size)
	}
	if err := to.JS.DeleteStream(t.Context(), pipeline.StreamSurvivors); err != nil {
		t.Fatal(err)
	}
}
