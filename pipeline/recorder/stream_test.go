package recorder

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/test/streams"
)

// Dead letters may hold whole messages, and two hundred of the largest would exceed a gigabyte.
func TestABatchOfLargeMessagesIsFullBeforeItTakesAllMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := bytes.Repeat([]byte("x"), 75_000) // 100,000 bytes in a dead letter
	w.publishEach(func(i int) bus.Message { return w.letterWith(i, body) }, 1, 40)
	r := w.recorder(plainly)
	r.cfg.Flush = time.Minute // here the size ends a batch
	l, err := newStreamRecorder(t.Context(), r, pipeline.StreamDead, 200, readDead, sink.InsertDead)
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
			l.flush = time.Second // the last one does not fill
		}
	}
}

// once is a consumer whose connection breaks after its first fetch.
type once struct {
	jetstream.Consumer
	fetched bool
}

func (o *once) Fetch(n int, _ ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	if o.fetched {
		return nil, errLine
	}
	o.fetched = true
	return o.Consumer.Fetch(min(n, 1), jetstream.FetchMaxWait(10*time.Second)) // the server may count it a moment later
}

func TestWhatWasTakenBeforeTheConnectionBrokeIsRecorded(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	w.env, w.b = streams.Open(t)
	w.publish(w.letter(1))
	l, err := newStreamRecorder(t.Context(), newRecorder(Config{Flush: time.Minute}, w.env, w.b, nil), pipeline.StreamDead, 200, readDead, sink.InsertDead)
	must(t, err)
	l.durable = &once{Consumer: l.durable}
	if msgs, err := l.take(t.Context()); len(msgs) != 1 || err != nil {
		t.Errorf("%d are taken (%v), want one", len(msgs), err)
	}
	if msgs, err := l.take(t.Context()); len(msgs) > 0 || err == nil {
		t.Errorf("%d are taken without a connection", len(msgs))
	}
}

// drainedBy is a consumer without messages that reports info.
type drainedBy struct {
	jetstream.Consumer
	info *jetstream.ConsumerInfo
}

func (d drainedBy) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	if d.info == nil {
		return nil, errLine
	}
	return d.info, nil
}

func TestARecorderWhoseLastMessagesAnotherOneReceivedHasNoLag(t *testing.T) {
	t.Parallel()
	r := blankRecorder()
	l := inserts(r, nil)
	r.pulse.saw(l.stream, 7, 2, time.Now().Add(-time.Hour)) // two more waited when it was delivered
	l.durable = drainedBy{info: &jetstream.ConsumerInfo{NumPending: 1}}
	l.drained(t.Context())
	if h := r.pulse.beat(); h.State != "working" || r.pulse.lines[l.stream].Pending != 1 {
		t.Errorf("one message waits: state %s, pending %d", h.State, r.pulse.lines[l.stream].Pending)
	}
	l.durable = drainedBy{info: &jetstream.ConsumerInfo{NumAckPending: 2}}
	l.drained(t.Context())
	if h := r.pulse.beat(); h.State != "idle" || r.pulse.lag(r.pulse.lines[l.stream]) != 0 {
		t.Errorf("nothing waits: state %s, lag %v s", h.State, r.pulse.lag(r.pulse.lines[l.stream]))
	}
}

func TestAStreamThatDoesNotSayWhatWaitsFailsItsTakes(t *testing.T) {
	t.Parallel()
	r := blankRecorder()
	l := inserts(r, nil)
	fails := func() bool { return !r.pulse.lines[l.stream].failing.IsZero() }
	if l.durable = (drainedBy{}); l.drained(t.Context()) || !fails() {
		t.Error("an error counts as an answer")
	}
	if l.durable = (drainedBy{info: &jetstream.ConsumerInfo{}}); !l.drained(t.Context()) || fails() {
		t.Error("an answer counts as an error")
	}
}

func TestATakeThatFailsIsRecordedAsOneUntilMessagesAreTaken(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	w.env, w.b = streams.Open(t)
	r := newRecorder(Config{Flush: time.Second}, w.env, w.b, nil)
	l, err := newStreamRecorder(t.Context(), r, pipeline.StreamDead, 200, readDead, sink.InsertDead)
	must(t, err)
	l.durable = &once{Consumer: l.durable, fetched: true}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	batches := make(chan batch[warehouse.DeadRow], 1)
	go l.takeAll(ctx, batches)
	fails := func() bool {
		r.pulse.mu.Lock()
		defer r.pulse.mu.Unlock()
		return !r.pulse.lines[l.stream].failing.IsZero()
	}
	w.await("the take failed", fails)
	w.publish(w.letter(1))
	if <-batches; fails() { // from the consumer that was opened again
		t.Error("messages were taken, and the take still counts as failed")
	}
}
