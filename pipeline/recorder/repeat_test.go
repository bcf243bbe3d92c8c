package recorder

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

func TestWhatIsPublishedAgainAfterTheDedupWindowIsTheSameRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgetAfter(forgetful)
	w.happens(1, 60)
	_, stop := w.start(plainly)
	w.settled()
	w.again(31, 60)
	w.happens(61, 90)
	w.settled()
	w.holds(120)
	w.happened(90)
	stop()
	// All streams once more, over a restart: the repeats in other batches than their originals, and in the same.
	w.rewind()
	_, stop = w.start(plainly)
	w.settled()
	w.happened(90)
	stop()
	w.forgetAfter(day)
	w.rewind()
	var remembered atomic.Int64
	r, _ := w.start(func(s sink) sink { return remembers{s, &remembered} })
	w.settled()
	w.happened(90)
	if n := remembered.Load(); n != int64(len(recorded))*30 {
		t.Errorf("%d repeats remembered, want 30 of each stream: their events must be known as long as they are there", n)
	}
	if n := r.pulse.beat().Counters["repeats"]; n != int64(len(recorded))*30 {
		t.Errorf("%d repeats counted, want 30 of each stream", n)
	}
}

// remembers counts the calls of Remember.
type remembers struct {
	sink
	forgotten *atomic.Int64
}

func (r remembers) Remember(ctx context.Context, stream string, seen []warehouse.Seen) error {
	r.forgotten.Add(int64(len(seen)))
	return r.sink.Remember(ctx, stream, seen)
}

func TestRecordersDoNotDoubleAnEventWhoseMessagesTheyHoldAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgetAfter(forgetful)
	w.happens(1, 60)
	for range 4 {
		w.again(1, 60)
	}
	w.holds(300)
	w.start(plainly)
	w.start(plainly)
	w.start(plainly)
	w.settled()
	w.happened(60)
}

// TestRemovedRowsAreRecordedAgain removes rows, as by age or by hand, and records their stream anew, in the same
// batches. ClickHouse remembers an insert's token after its rows are gone; it must not report them as stored.
func TestRemovedRowsAreRecordedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 60)
	_, stop := w.start(plainly)
	w.settled()
	stop()
	for range 2 {
		h, err := warehouse.Open(t.Context(), w.dsn)
		must(t, err)
		_, err = h.SQL(t.Context(), "ALTER TABLE verdicts DELETE WHERE 1 SETTINGS mutations_sync = 2", false)
		must(t, errors.Join(err, h.Close()))
		w.want("SELECT count() FROM verdicts", "0")
		w.rewind()
		_, stop = w.start(plainly)
		w.settled()
		w.counts(60)
		stop()
	}
}

func TestMessagesWithoutAnIDAreNotRepeatsOfEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byHand := func(m bus.Message) {
		for range 3 {
			must(t, w.b.NC.PublishMsg(&nats.Msg{Subject: m.Subject, Header: nats.Header{pipeline.HeaderSchema: {m.Schema}}, Data: m.Body}))
		}
	}
	for _, m := range []bus.Message{w.verdict(1), w.entry(1), w.deal(1), w.letter(1), w.ignore(1)} {
		byHand(m)
	}
	must(t, w.b.NC.Flush())
	w.start(plainly)
	w.settled()
	for _, table := range []string{"verdicts", "ledger", "deal_versions", "dead", "actions"} {
		w.want("SELECT count() FROM "+table+" FINAL", "3")
	}
}

// frozen blocks at a point until thaw is closed: before the look-up, or between that and the insert.
type frozen struct {
	sink
	at      string
	reached chan struct{}
	thaw    chan struct{}
}

func (f *frozen) stand(at string) {
	if f.at == at {
		close(f.reached)
		<-f.thaw
	}
}

func (f *frozen) Stored(ctx context.Context, stream string, events []uint64) (map[uint64]uint64, error) {
	f.stand("look-up")
	return f.sink.Stored(context.WithoutCancel(ctx), stream, events)
}

func (f *frozen) InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	f.stand("insert")
	return f.sink.InsertVerdicts(context.WithoutCancel(ctx), rows, token+":late")
}

func (f *frozen) InsertDeals(ctx context.Context, rows []warehouse.DealRow, token string) error {
	f.stand("insert")
	return f.sink.InsertDeals(context.WithoutCancel(ctx), rows, token+":late")
}

func (f *frozen) InsertLedger(ctx context.Context, rows []warehouse.LedgerRow, token string) error {
	f.stand("insert")
	return f.sink.InsertLedger(context.WithoutCancel(ctx), rows, token+":late")
}

func (f *frozen) InsertActions(ctx context.Context, rows []warehouse.ActionRow, token string) error {
	f.stand("insert")
	return f.sink.InsertActions(context.WithoutCancel(ctx), rows, token+":late")
}

func (f *frozen) InsertDead(ctx context.Context, rows []warehouse.DeadRow, token string) error {
	f.stand("insert")
	return f.sink.InsertDead(context.WithoutCancel(ctx), rows, token+":late")
}

// freeze takes a batch of a stream and blocks with it; thaw unblocks it and waits for its end.
func freeze[R warehouse.Row](w *world, at, stream string, read func(warehouse.Origin, pipeline.Stored) (R, error),
	insert func(sink, context.Context, []R, string) error,
) (held []jetstream.Msg, thaw func()) {
	w.t.Helper()
	f := &frozen{at: at, reached: make(chan struct{}), thaw: make(chan struct{})}
	r := w.recorder(func(s sink) sink { f.sink = s; return f })
	l, err := newStreamRecorder(w.t.Context(), r, stream, 64, read, insert)
	must(w.t, err)
	msgs, err := l.take(w.t.Context())
	must(w.t, err)
	rows, bad := l.decode(msgs)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.record(w.t.Context(), w.t.Context(), batch[R]{epoch: l.epoch, msgs: msgs, rows: rows, rejected: bad})
	}()
	<-f.reached
	return msgs, func() {
		close(f.thaw)
		<-done
		r.store.close()
	}
}

// TestARecorderThatThawsAfterItsEventsWerePublishedAgainDoublesNothing freezes a recorder
// with a batch of every stream. AckWait passes, another records the batch; the dedup window
// passes, everything is published again, the other leaves it out; then the first resumes
// and inserts, under a token that was never seen, so that only the rows' own keys can help.
func TestARecorderThatThawsAfterItsEventsWerePublishedAgainDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"look-up", "insert"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.happens(1, 40)
			var thaws []func()
			hold := func(msgs []jetstream.Msg, thaw func()) {
				if len(msgs) != 40 {
					t.Fatalf("%d messages in the frozen hand, want 40", len(msgs))
				}
				comeAgain(t, msgs)
				thaws = append(thaws, thaw)
			}
			hold(freeze(w, at, pipeline.StreamVerdicts, readVerdict, sink.InsertVerdicts))
			hold(freeze(w, at, pipeline.StreamDeals, readDeal, sink.InsertDeals))
			hold(freeze(w, at, pipeline.StreamLedger, readEntry, sink.InsertLedger))
			hold(freeze(w, at, pipeline.StreamDead, readDead, sink.InsertDead))
			hold(freeze(w, at, pipeline.StreamActions, readAction, sink.InsertActions))
			r, _ := w.start(plainly)
			w.settled()
			w.happened(40)
			w.forgetAfter(forgetful)
			w.again(1, 40)
			w.settled()
			w.holds(80)
			w.happened(40)
			if n := r.pulse.beat().Counters["repeats"]; n != int64(len(recorded))*40 {
				t.Errorf("%d repeats left out, want 40 of each stream", n)
			}
			for _, thaw := range thaws {
				thaw()
			}
			w.happened(40)
			w.again(1, 10) // and its late insert does not hide what is stored
			w.settled()
			w.happened(40)
		})
	}
}

func TestARepeatIsLeftForLaterWhileWhatItRepeatsIsInAnothersHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishEach(w.entry, 1, 10)
	// The first holds the entries and is about to insert them; no other recorder knows them yet.
	_, thaw := freeze(w, "insert", pipeline.StreamLedger, readEntry, sink.InsertLedger)
	w.forgetAfter(forgetful)
	for i := 1; i <= 10; i++ {
		m := w.entry(i)
		w.await("the stream forgets", func() bool {
			ack, err := w.b.Publish(t.Context(), m)
			must(t, err)
			return !ack.Duplicate
		})
	}
	w.start(plainly)
	w.await("the repeats have come more than once", func() bool {
		c, err := w.b.JS.Consumer(t.Context(), pipeline.StreamLedger, pipeline.DurableRecorder(pipeline.StreamLedger))
		must(t, err)
		return c.CachedInfo().NumRedelivered >= 10
	})
	w.want("SELECT count() FROM ledger", "0")
	thaw()
	w.settled()
	w.want("SELECT count(), sum(tokens) FROM ledger FINAL", "10,10")
	w.want("SELECT sum(entries), sum(tokens) FROM token_counts", "10,10")
}

// TestARecorderThatCannotReachClickHouseKeepsNothingFromOneThatCan: the first holds the
// oldest messages, and the second may record nothing that was stored a window later.
func TestARecorderThatCannotReachClickHouseKeepsNothingFromOneThatCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishEach(w.entry, 1, 10)
	r := w.recorder(faulty(func(int32) effect { return lost }))
	r.longest, r.heldFor = r.pause, 3*time.Second // it extends AckWait until then
	l, err := newStreamRecorder(t.Context(), r, pipeline.StreamLedger, 64, readEntry, sink.InsertLedger)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx, ctx)
	}()
	defer func() { cancel(); <-done; r.store.close() }()
	w.await("it holds them", func() bool { return r.pulse.beat().Counters["retries"] > 0 })
	w.forgetAfter(forgetful)
	w.soon(pipeline.StreamLedger)
	w.publishEach(w.entry, 11, 20)
	w.start(plainly)
	w.settled()
	w.want("SELECT count(), sum(tokens) FROM ledger FINAL", "20,20")
}

func TestWhatIsInHandIsRecordedAlthoughItsStreamWasPurged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishEach(w.entry, 1, 10)
	r := w.recorder(plainly)
	l, err := newStreamRecorder(t.Context(), r, pipeline.StreamLedger, 64, readEntry, sink.InsertLedger)
	must(t, err)
	msgs, err := l.take(t.Context())
	must(t, err)
	rows, _ := l.decode(msgs)
	s, err := w.b.JS.Stream(t.Context(), pipeline.StreamLedger)
	must(t, err)
	must(t, s.Purge(t.Context()))
	l.record(t.Context(), t.Context(), batch[warehouse.LedgerRow]{epoch: l.epoch, msgs: msgs, rows: rows})
	r.store.close()
	w.want("SELECT count() FROM ledger FINAL", fmt.Sprint(len(msgs)))
}

// soon shortens AckWait of a stream's durable.
func (w *world) soon(stream string) {
	w.t.Helper()
	c, err := w.b.JS.Consumer(w.t.Context(), stream, pipeline.DurableRecorder(stream))
	must(w.t, err)
	cfg := c.CachedInfo().Config
	cfg.AckWait = 500 * time.Millisecond
	_, err = w.b.JS.UpdateConsumer(w.t.Context(), stream, cfg)
	must(w.t, err)
}
