package recorder

import (
	"bytes"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

// Dead letters may hold whole messages, and two hundred of the largest would exceed a gigabyte.
func TestABatchOfLargeMessagesIsFullBeforeItTakesAllMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := bytes.Repeat([]byte("x"), 75_000) // 100,000 bytes in a dead letter
	w.publishEach(func(i int) bus.Message { return w.letterWith(i, body) }, 1, 40)
	r := w.recorder(plainly)
	r.cfg.Flush = time.Minute // here the size ends a batch
	l, err := newLine(t.Context(), r, pipeline.StreamDead, 200, readDead, sink.InsertDead)
	must(t, err)
	l.heavy, l.largest = 1_000_000, 150_000
	for taken := 0; taken < 40; {
		msgs, err := l.take(t.Context())
		must(t, err)
		size := 0
		for _, m := range msgs {
			size += len(m.Data())
			must(t, m.Ack())
		}
		if taken += len(msgs); size > l.heavy+l.largest || size < l.heavy && taken < 40 {
			t.Errorf("a batch of %d messages has %d bytes", len(msgs), size)
		}
		if taken > 30 {
			r.cfg.Flush = time.Second // the last one does not fill
		}
	}
}

func TestALineOfTheLedgerWaitsForMoreUntilItsRestIsOverOrSomebodyAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.recorder(plainly)
	lines, err := r.lines(t.Context())
	must(t, err)
	for _, l := range lines {
		if l, ok := l.(*line[warehouse.VerdictRow]); ok && l.rest != 0 {
			t.Errorf("verdicts wait %s", l.rest)
		}
	}
	l := lines[2].(*line[warehouse.LedgerRow])
	if l.rest != restFlushes*r.cfg.Flush {
		t.Errorf("it waits %s, want %s", l.rest, restFlushes*r.cfg.Flush)
	}
	published, done := make(chan struct{}, 1), make(chan struct{})
	awaited := func() chan struct{} {
		done = make(chan struct{})
		published <- struct{}{}
		go func() { defer close(done); l.await(t.Context(), published) }()
		return done
	}
	l.rest = 10 * time.Millisecond
	<-awaited()
	l.rest = time.Hour
	select {
	case <-awaited():
		t.Error("it does not wait")
	case <-time.After(50 * time.Millisecond):
	}
	must(t, r.listenFlush())
	must(t, w.b.NC.Publish(pipeline.SubjectFlush, nil))
	<-done
}
