package recorder

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/test/streams"
)

// recorded are the streams that the recorder records.
var recorded = pipeline.RecordedStreams()

// world is a NATS and a ClickHouse of the test's own.
type world struct {
	t   *testing.T
	b   *bus.Bus
	env process.Env
	dsn string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dsn: chtest.Database(t)}
	w.env, w.b = streams.Open(t)
	w.env.Lookup = envconfig.MapLookuper(map[string]string{
		"NATS_URL": streams.URL, "CLICKHOUSE_URL": w.dsn, "RECORDER_FLUSH": "50ms", "RECORDER_BATCH": "64",
	})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// recorder returns one that does not run yet, over the sink that wrap makes of the real one.
func (w *world) recorder(wrap func(sink) sink) *recorder {
	w.t.Helper()
	cfg, err := process.Load[Config](w.t.Context(), w.env.Lookup)
	must(w.t, err)
	r := newRecorder(cfg, w.env, w.b, func(ctx context.Context) (sink, error) {
		s, err := w.open(ctx)
		if err != nil {
			return nil, err
		}
		return wrap(s), nil
	})
	r.pause, r.grace = 50*time.Millisecond, time.Second // a test has no time
	return r
}

// start runs a recorder; stop ends it and waits.
func (w *world) start(wrap func(sink) sink) (r *recorder, stop func()) {
	w.t.Helper()
	r = w.recorder(wrap)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		r.store.close()
	})
	w.t.Cleanup(stop)
	return r, stop
}

func plainly(s sink) sink { return s }

func (w *world) open(ctx context.Context) (sink, error) {
	if err := warehouse.Provision(ctx, w.dsn, warehouse.KeepDays); err != nil {
		return nil, err
	}
	return openWarehouse(ctx, Config{ClickHouse: w.dsn})
}

func (w *world) publish(m bus.Message) {
	w.t.Helper()
	_, err := w.b.Publish(w.t.Context(), m)
	must(w.t, err)
}

// verdict returns verdict number i as it is published.
func (w *world) verdict(i int) bus.Message {
	w.t.Helper()
	v := pipeline.Verdict{
		Identity: pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", i), PriceType: 2, CreationDate: int64(i)},
		Look:     pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "no_sale", RuleSet: "r1", Source: pipeline.SourceLive,
		Inputs: map[string]any{"used_cents": 12.5, "rank": nil}, Tokens: 1,
		ListedAt: w.env.Now().Add(-time.Minute), DecidedAt: w.env.Now(),
	}
	work := v.WorkID(pipeline.FirstGeneration)
	m, err := bus.Encode(pipeline.SubjectVerdict(1, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict, v.ID(pipeline.RunLive, work), work, v)
	must(w.t, err)
	return m
}

// verdicts publishes verdicts number from to to.
func (w *world) verdicts(from, to int) {
	w.t.Helper()
	var ms []bus.Message
	for i := from; i <= to; i++ {
		ms = append(ms, w.verdict(i))
	}
	must(w.t, w.b.PublishAll(w.t.Context(), ms))
}

// settled waits until the recorder's streams have no pending or unacknowledged messages.
func (w *world) settled() {
	w.t.Helper()
	w.await("every message is settled", func() bool {
		for _, s := range recorded {
			settled, last, err := w.b.Settled(w.t.Context(), s, pipeline.DurableRecorder(s))
			must(w.t, err)
			if settled < last {
				return false
			}
		}
		return true
	})
}

func (w *world) await(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatalf("after 3 min not yet: %s", what)
		}
	}
}

func (w *world) want(sql, answer string) {
	w.t.Helper()
	h, err := warehouse.Open(w.t.Context(), w.dsn)
	must(w.t, err)
	defer func() { _ = h.Close() }()
	a, err := h.SQL(w.t.Context(), sql, true)
	must(w.t, err)
	var out strings.Builder
	must(w.t, a.Write(&out, "csv"))
	_, got, _ := strings.Cut(out.String(), "\n")
	if got = strings.TrimSpace(got); got != answer {
		w.t.Errorf("%s\ngot  %q\nwant %q", sql, got, answer)
	}
}

// counts asserts that n verdicts are recorded once each, in the table and in the views.
func (w *world) counts(n int) {
	w.t.Helper()
	w.want("SELECT count(), uniqExact(work_id), sum(tokens) FROM verdicts FINAL", fmt.Sprintf("%d,%d,%d", n, n, n))
	w.want("SELECT sum(verdicts), sum(tokens) FROM verdict_counts", fmt.Sprintf("%d,%d", n, n))
}

// entry returns entry number i of the ledger as it is published.
func (w *world) entry(i int) bus.Message {
	w.t.Helper()
	m, err := bus.Encode(pipeline.SubjectLedger(pipeline.StagePeeker, pipeline.EventClose), pipeline.SchemaLedger, fmt.Sprint("claim", i), "", pipeline.Entry{
		Event: pipeline.EventClose, Stage: pipeline.StagePeeker, At: w.env.Now(), Tokens: 1, PriceKind: pipeline.KindPeek, Items: 1, API: &pipeline.Reading{Left: i, Rate: 5},
	})
	must(w.t, err)
	return m
}

// deal returns deal number i as it is published.
func (w *world) deal(i int) bus.Message {
	asin := fmt.Sprintf("D%09d", i)
	body := fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":2,"profit_cents":%d,"sale_price_cents":4000,"decided_at":"2026-03-05T12:00:00Z"}`, asin, i)
	return bus.Message{Subject: pipeline.SubjectDeal(1, 2, asin), Schema: pipeline.SchemaDeal, ID: "deal:" + asin, WorkID: "w" + asin, Body: body}
}

// letter returns dead letter number i as it is published.
func (w *world) letter(i int) bus.Message { return w.letterWith(i, []byte("{")) }

// letterWith is letter about a message with that body.
func (w *world) letterWith(i int, body []byte) bus.Message {
	w.t.Helper()
	key := fmt.Sprintf("CANDIDATES-%d", i)
	m, err := bus.Encode(pipeline.SubjectDead(string(pipeline.StagePeeker), key), pipeline.SchemaDead, "dead:peeker:"+key, "", pipeline.Dead{
		Reason: "malformed", Stream: pipeline.StreamCandidates, Sequence: uint64(i), Subject: fmt.Sprintf("candidate.1.live.L%09d", i), Body: body, //nolint:gosec // small
	})
	must(w.t, err)
	return m
}

// ignore returns ignore number i of the user: of a seller without deals.
func (w *world) ignore(i int) bus.Message {
	a := action.Action{Kind: action.Ignore, Target: action.Target{By: action.BySeller, Value: fmt.Sprintf("NOBODY%d", i)}}
	m, err := bus.Encode(a.Subject(), pipeline.SchemaAction, a.ID(), "", a)
	must(w.t, err)
	return m
}

func (w *world) publishEach(of func(int) bus.Message, from, to int) {
	w.t.Helper()
	var ms []bus.Message
	for i := from; i <= to; i++ {
		ms = append(ms, of(i))
	}
	must(w.t, w.b.PublishAll(w.t.Context(), ms))
}

// happens publishes number from to to of everything that is recorded.
func (w *world) happens(from, to int) {
	w.t.Helper()
	for _, of := range []func(int) bus.Message{w.verdict, w.entry, w.deal, w.letter, w.ignore} {
		w.publishEach(of, from, to)
	}
}

// again publishes the messages of happens once more until the streams store
// each of them as new, which they do once they have forgotten its ID.
func (w *world) again(from, to int) {
	w.t.Helper()
	for _, of := range []func(int) bus.Message{w.verdict, w.entry, w.deal, w.letter, w.ignore} {
		for i := from; i <= to; i++ {
			m := of(i)
			w.await("the stream forgets", func() bool {
				ack, err := w.b.Publish(w.t.Context(), m)
				must(w.t, err)
				return !ack.Duplicate
			})
		}
	}
}

const (
	day = 24 * time.Hour
	// forgetful is the dedup window of a stream that forgets at once what the real ones forget after a day.
	forgetful = 100 * time.Millisecond
)

// forgetAfter sets the dedup window of the streams.
func (w *world) forgetAfter(window time.Duration) {
	w.t.Helper()
	for _, name := range recorded {
		s, err := w.b.JS.Stream(w.t.Context(), name)
		must(w.t, err)
		cfg := s.CachedInfo().Config
		// Twice: the server may check its IDs once more with the old window before it uses the new one.
		for _, cfg.Duplicates = range []time.Duration{2 * window, window} {
			_, err = w.b.JS.UpdateStream(w.t.Context(), cfg)
			must(w.t, err)
		}
	}
}

// holds asserts how many messages each stream has.
func (w *world) holds(want uint64) {
	w.t.Helper()
	for _, name := range recorded {
		s, err := w.b.JS.Stream(w.t.Context(), name)
		must(w.t, err)
		if got := s.CachedInfo().State.Msgs; got != want {
			w.t.Fatalf("%d messages on %s, want %d: the window did not pass", got, name, want)
		}
	}
}

// rewind is what `nats consumer reset VERDICTS recorder-verdicts --sequence 1` does, for every stream.
func (w *world) rewind() {
	w.t.Helper()
	for _, name := range recorded {
		must(w.t, w.b.JS.DeleteConsumer(w.t.Context(), name, pipeline.DurableRecorder(name)))
	}
	must(w.t, w.b.Ensure(w.t.Context()))
}

// happened asserts that numbers 1 to n of everything are recorded once, in the tables and in every sum.
func (w *world) happened(n int) {
	w.t.Helper()
	w.counts(n)
	w.want("SELECT count(), sum(tokens) FROM ledger FINAL", fmt.Sprintf("%d,%d", n, n))
	w.want("SELECT sum(entries), sum(tokens), sum(items) FROM token_counts", fmt.Sprintf("%d,%d,%d", n, n, n))
	w.want("SELECT count(), sum(balance) FROM balance", fmt.Sprintf("%d,%d", n, n*(n+1)/2))
	w.want("SELECT count(), sum(profit_cents) FROM deal_versions FINAL", fmt.Sprintf("%d,%d", n, n*(n+1)/2))
	w.want("SELECT count(), sum(versions) FROM deals", fmt.Sprintf("%d,%d", n, n))
	w.want("SELECT count() FROM visible_deals", fmt.Sprint(n))
	w.want("SELECT count(), uniqExact(origin_sequence) FROM dead FINAL", fmt.Sprintf("%d,%d", n, n))
	w.want("SELECT count(), uniqExact(value) FROM actions_standing", fmt.Sprintf("%d,%d", n, n))
	w.want("SELECT verdicts, tokens FROM runs", fmt.Sprintf("%d,%d", n, n))
}

// comeAgain redelivers unsettled messages, as after AckWait, some of them later than others.
func comeAgain(t *testing.T, msgs []jetstream.Msg) {
	t.Helper()
	for n, m := range msgs {
		must(t, m.NakWithDelay(time.Duration(n%3)*100*time.Millisecond))
	}
}
