package recorder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/warehouse"
)

// fault fails chosen inserts of verdicts, with or without effect.
type fault struct {
	sink
	calls  atomic.Int32
	tokens sync.Map
	fail   func(call int32) effect
}

// effect is what an insert does before it is reported lost; landed does all and is reported lost, half stores a part.
type effect int

const (
	fine effect = iota
	lost
	half
	landed
	slow // lands after its bound
)

var errLine = errors.New("connection reset by peer")

func (f *fault) InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	n := f.calls.Add(1)
	key := fmt.Sprint(rows[0].Sequence, "-", len(rows))
	if before, seen := f.tokens.LoadOrStore(key, token); seen && before != token {
		return fmt.Errorf("the same batch has tokens %v and %s", before, token)
	}
	switch f.fail(n) {
	case lost:
		return errLine
	case half: // as if the block had been cut: the rows are there, under a token that names other content
		if err := f.sink.InsertVerdicts(ctx, rows[:(len(rows)+1)/2], token+":half"); err != nil {
			return err
		}
		return errLine
	case landed:
		if err := f.sink.InsertVerdicts(ctx, rows, token); err != nil {
			return err
		}
		return errLine
	case slow:
		if err := f.sink.InsertVerdicts(ctx, rows, token); err != nil {
			return err
		}
		return context.DeadlineExceeded
	}
	return f.sink.InsertVerdicts(ctx, rows, token)
}

func first(n int32, e effect) func(int32) effect {
	return func(call int32) effect {
		if call <= n {
			return e
		}
		return fine
	}
}

func TestTheFaultTableLeavesExactCounts(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(int32) effect{
		"insert lost once":            first(1, lost),
		"insert lost twice":           first(2, lost),
		"landed, reported lost":       first(1, landed),
		"landed, reported lost twice": first(2, landed),
		"half a batch":                first(1, half),
		"half a batch twice":          first(2, half),
		"landed after its bound":      first(1, slow),
		"lost, then landed, reported lost": func(n int32) effect {
			return []effect{lost, landed, fine}[min(n-1, 2)]
		},
		"half, then lost, then landed": func(n int32) effect {
			return []effect{half, lost, landed, fine}[min(n-1, 3)]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.verdicts(1, 150)
			r, _ := w.start(func(s sink) sink { return &fault{sink: s, fail: fail} })
			w.settled()
			w.counts(150)
			if r.pulse.beat().Counters["retries"] == 0 {
				t.Error("nothing was repeated: the fault did not bite")
			}
		})
	}
}

// TestARecorderThatIsStoppedInAnyFaultAndStartedAgainLeavesExactCounts stops the recorder while its batch is in each of the states of the
// fault table; the next one is dealt the same messages, in batches cut elsewhere.
func TestARecorderThatIsStoppedInAnyFaultAndStartedAgainLeavesExactCounts(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]effect{"lost": lost, "half": half, "landed": landed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.verdicts(1, 100)
			r, stop := w.start(func(s sink) sink { return &fault{sink: s, fail: func(int32) effect { return e }} })
			w.await("a batch is held", func() bool { return r.pulse.beat().Counters["retries"] > 0 })
			stop()
			w.verdicts(80, 130) // 80 to 100 are repeats, which the stream drops
			w.start(plainly)
			w.settled()
			w.counts(130)
		})
	}
}

func TestAVerdictThatIsPublishedAgainAfterTheDedupWindowIsTheSameRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgetful(t)
	w.verdicts(1, 60)
	_, stop := w.start(plainly)
	w.settled()
	w.anew(t, 31, 90)
	w.settled()
	w.messages(t, 120)
	w.counts(90)
	w.want("SELECT verdicts, tokens FROM runs", "90,90")
	stop()
	// The whole stream once more, in one batch with its repeats.
	w.rewind(t)
	r, _ := w.start(plainly)
	w.settled()
	w.counts(90)
	if n := r.pulse.beat().Counters["repeats"]; n != 30 {
		t.Errorf("%d repeats counted, want 30", n)
	}
}

func TestTwoRecordersDoNotDoubleAVerdictWhoseTwoMessagesTheyHoldAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgetful(t)
	for range 6 {
		w.anew(t, 1, 100)
	}
	w.messages(t, 600)
	w.start(plainly)
	w.start(plainly)
	w.start(plainly)
	w.settled()
	w.counts(100)
}

// forgetAfter is the dedup window of a forgetful stream.
const forgetAfter = 100 * time.Millisecond

// forgetful makes VERDICTS forget ids at once, as it does after 24 hours.
func (w *world) forgetful(t *testing.T) {
	t.Helper()
	s, err := w.b.JS.Stream(t.Context(), pipeline.StreamVerdicts)
	must(t, err)
	cfg := s.CachedInfo().Config
	cfg.Duplicates = forgetAfter
	_, err = w.b.JS.UpdateStream(t.Context(), cfg)
	must(t, err)
}

// anew publishes verdicts until the stream takes each for new, which it does once it has forgotten the last of that id.
func (w *world) anew(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		m := w.verdict(i)
		w.await("the stream forgets", func() bool {
			ack, err := w.b.Publish(t.Context(), m)
			must(t, err)
			return !ack.Duplicate
		})
	}
}

func (w *world) messages(t *testing.T, want uint64) {
	t.Helper()
	s, err := w.b.JS.Stream(t.Context(), pipeline.StreamVerdicts)
	must(t, err)
	if got := s.CachedInfo().State.Msgs; got != want {
		t.Fatalf("%d messages on VERDICTS, want %d: the window did not pass", got, want)
	}
}

// rewind is what `nats consumer reset VERDICTS recorder-verdicts --sequence 1` does.
func (w *world) rewind(t *testing.T) {
	t.Helper()
	must(t, w.b.JS.DeleteConsumer(t.Context(), pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts)))
	must(t, w.b.Ensure(t.Context()))
}

func TestACrashBeforeTheAcknowledgementRecordsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 100)
	// The crash: everything of a first recorder up to the acknowledgement, which it never says.
	r := &recorder{cfg: Config{Batch: 64, Flush: 50 * time.Millisecond}, env: w.env, bus: w.b, pulse: newPulse(w.env.Now)}
	r.store = newStore(w.open)
	l, err := newLine(t.Context(), r, pipeline.StreamVerdicts, 64, readVerdict, r.insertVerdicts)
	must(t, err)
	msgs, err := l.take(t.Context())
	must(t, err)
	rows, _ := l.decode(msgs)
	if _, err := l.land(t.Context(), t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	r.store.close()
	w.counts(len(msgs))
	for n, m := range msgs { // AckWait passes: they come again, some of them later than others
		must(t, m.NakWithDelay(time.Duration(n%3)*100*time.Millisecond))
	}
	w.verdicts(101, 130)
	w.start(plainly)
	w.settled()
	w.counts(130)
}

func TestTheOtherStreamsAreRecordedOnceUnderTheSameFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	w.entries(t, 1, 50)
	w.deals(t, 1, 20)
	r, _ := w.start(func(s sink) sink { return &flaky{sink: s, calls: &calls} })
	w.settled()
	w.rewindAll(t)
	w.settled()
	if r.pulse.beat().Counters["retries"] == 0 {
		t.Error("nothing was repeated: the fault did not bite")
	}
	w.want("SELECT count(), sum(tokens) FROM ledger FINAL", "50,50")
	w.want("SELECT sum(entries), sum(tokens) FROM token_counts", "50,50")
	w.want("SELECT count() FROM balance", "50")
	w.want("SELECT count() FROM deal_versions FINAL", "20")
	w.want("SELECT count(), sum(versions) FROM deals", "20,20")
	w.want("SELECT count() FROM visible_deals", "20")
}

// flaky lands every other insert of the ledger and of deals and says that it is lost.
type flaky struct {
	sink
	calls *atomic.Int32
}

func (f *flaky) InsertLedger(ctx context.Context, rows []warehouse.LedgerRow, token string) error {
	err := f.sink.InsertLedger(ctx, rows, token)
	if err == nil && f.calls.Add(1)%2 == 1 {
		return errLine
	}
	return err
}

func (f *flaky) InsertDeals(ctx context.Context, rows []warehouse.DealRow, token string) error {
	err := f.sink.InsertDeals(ctx, rows[:(len(rows)+1)/2], token+":half")
	if err == nil && f.calls.Add(1)%2 == 1 {
		return errLine
	}
	return f.sink.InsertDeals(ctx, rows, token)
}

func (w *world) entries(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		m, err := bus.Encode(pipeline.SubjectLedger(pipeline.StagePeeker, pipeline.EventClose), pipeline.SchemaLedger, fmt.Sprint("claim", i), "", pipeline.Entry{
			Event: pipeline.EventClose, Stage: pipeline.StagePeeker, At: w.env.Now(), Tokens: 1, PriceKind: pipeline.KindPeek, Items: 1, API: &pipeline.Reading{Left: i, Rate: 5},
		})
		must(t, err)
		w.publish(m)
	}
}

func (w *world) deals(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		asin := fmt.Sprintf("D%09d", i)
		body := fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":2,"profit_cents":%d,"list_price_cents":4000,"one_year_average_cents":3000,"decided_at":"2026-03-05T12:00:00Z"}`, asin, i)
		w.publish(bus.Message{Subject: pipeline.SubjectDeal(1, 2, asin), Schema: pipeline.SchemaDeal, ID: "deal:" + asin, WorkID: "w" + asin, Body: body})
	}
}

// rewindAll has everything dealt again while the recorder runs: what the durables of the streams hold comes once more.
func (w *world) rewindAll(t *testing.T) {
	t.Helper()
	for _, stream := range []string{pipeline.StreamLedger, pipeline.StreamDeals} {
		c, err := w.b.JS.Consumer(t.Context(), stream, pipeline.DurableRecorder(stream))
		must(t, err)
		must(t, w.b.JS.DeleteConsumer(t.Context(), stream, c.CachedInfo().Name))
		must(t, w.b.Ensure(t.Context()))
		_, err = w.b.JS.Consumer(t.Context(), stream, c.CachedInfo().Name)
		must(t, err)
	}
}
