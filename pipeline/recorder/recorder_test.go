package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/test/streams"
)

func TestEveryStreamBecomesItsTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 100)
	deal := []byte(`{"domain":1,"asin":"B000000001","price_type":2,"profit_cents":500,"sale_price_cents":4000,"decided_at":"2026-03-05T12:00:00Z"}`)
	w.publish(bus.Message{Subject: pipeline.SubjectDeal(1, 2, "B000000002"), Schema: pipeline.SchemaDeal, ID: "deal:1", WorkID: "w", Body: deal})
	entry, err := bus.Encode(pipeline.SubjectLedger(pipeline.StagePeeker, pipeline.EventClose), pipeline.SchemaLedger, "c1", "", pipeline.Entry{
		Event: pipeline.EventClose, Stage: pipeline.StagePeeker, At: w.env.Now(), Tokens: 3, PriceKind: pipeline.KindPeek, Items: 3, API: &pipeline.Reading{Left: 290, Rate: 5},
	})
	must(t, err)
	w.publish(entry)
	must(t, warehouse.Provision(t.Context(), w.dsn, warehouse.KeepDays))
	var stopped atomic.Bool
	env := w.env
	ready := make(chan struct{})
	env.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, env); stopped.Store(true) }()
	<-ready
	w.settled()
	w.counts(100)
	w.want("SELECT inputs FROM verdicts LIMIT 1", `"{""rank"":null,""used_cents"":12.5}"`)
	w.want("SELECT sum(tokens) FROM token_counts", "3")
	w.want("SELECT balance FROM balance", "290")
	w.want("SELECT hidden_because, profit_cents FROM deal_states", "no_sale,500") // its ASIN was rejected since
	reply, err := w.b.NC.Request("svc.recorder.status", nil, 5*time.Second)
	must(t, err)
	var h pipeline.Heartbeat
	must(t, json.Unmarshal(reply.Data, &h))
	if h.Counters["recorded"] != 102 || h.Detail["clickhouse"] != "answers" {
		t.Errorf("heartbeat: %+v", h)
	}
	began := time.Now()
	cancel()
	if err := <-done; process.ExitCode(err) != process.ExitDone {
		t.Errorf("stopped with %v", err)
	}
	if took := time.Since(began); took > grace+2*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestTwoRecordersSideBySideRecordEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(plainly)
	w.start(plainly)
	for i := range 5 {
		w.verdicts(i*100+1, i*100+100)
	}
	w.settled()
	w.counts(500)
}

func TestWhatCannotBeRecordedIsDeadLetteredAndTheRestIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 40)
	w.publish(bus.Message{Subject: "verdict.1.peek.reject.B000000777", Schema: "verdict.v9", ID: "x1", Body: []byte(`{}`)})
	w.publish(bus.Message{Subject: "verdict.1.peek.reject.B000000778", Schema: pipeline.SchemaVerdict, ID: "x2", Body: []byte(`{"look":`)})
	wide := `{"domain":99999999,"asin":"B000000779","price_type":2,"look":"peek","outcome":"reject","reason":"x","decided_at":"2026-03-05T12:00:00Z"}`
	w.publish(bus.Message{Subject: "verdict.1.peek.reject.B000000779", Schema: pipeline.SchemaVerdict, ID: "x3", Body: []byte(wide)})
	w.publish(bus.Message{Subject: "deal.1.2.B000000780", Schema: pipeline.SchemaDeal, ID: "x4", Body: []byte(`{"domain":1,"asin":"B000000780","profit_cents":"12"}`)})
	w.verdicts(41, 60)
	w.start(plainly)
	w.settled()
	w.counts(60)
	w.await("four letters on DEAD are recorded", func() bool {
		s, err := w.b.JS.Stream(t.Context(), pipeline.StreamDead)
		must(t, err)
		w.settled()
		return s.CachedInfo().State.Msgs == 4
	})
	w.want("SELECT stage, reason, key, origin_stream FROM dead FINAL ORDER BY key",
		"recorder,unknown_schema,B000000777,VERDICTS\nrecorder,bad_message,B000000778,VERDICTS\nrecorder,bad_row,B000000779,VERDICTS\nrecorder,bad_message,B000000780,DEALS")
	w.want("SELECT body FROM dead FINAL WHERE key = 'B000000778'", `"{""look"":"`)
}

func TestWhatCannotBeRecordedIsDeadLetteredOnceDeadTakesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	streams.Change(t, w.b, pipeline.StreamDead, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 })
	w.publish(bus.Message{Subject: "verdict.1.peek.reject.B000000777", Schema: "verdict.v9", ID: "x1", Body: []byte(`{}`)})
	r, _ := w.start(plainly)
	w.await("its letter is refused", func() bool { return r.pulse.beat().Counters["buried"] > 0 && r.pulse.beat().Counters["failures"] > 0 })
	streams.Change(t, w.b, pipeline.StreamDead, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	w.settled()
	if n := dead(t, w.b); n != 1 {
		t.Errorf("%d letters on DEAD, want the one that was refused before", n)
	}
}

func TestADeadLetterThatCannotBeRecordedStaysAndMakesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(bus.Message{Subject: "dead.peeker.x", Schema: "nonsense", ID: "d1", Body: []byte(`nonsense`)})
	w.start(plainly)
	w.settled()
	s, err := w.b.JS.Stream(t.Context(), pipeline.StreamDead)
	must(t, err)
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d letters on DEAD, want the first alone", n)
	}
}

func TestItStartsWithoutClickHouseReportsItAndCatchesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var up atomic.Bool
	cfg, err := process.Load[Config](t.Context(), w.env.Lookup)
	must(t, err)
	env := w.env
	ready := make(chan struct{})
	env.Ready = func() { close(ready) }
	r := newRecorder(cfg, env, w.b, func(ctx context.Context) (sink, error) {
		if !up.Load() {
			return nil, errors.New("connection refused")
		}
		return w.open(ctx)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.run(ctx) }()
	defer func() { cancel(); <-done; r.store.close() }()
	<-ready
	w.verdicts(1, 30)
	w.await("the state says what is wrong", func() bool {
		h := r.pulse.beat()
		return h.State == "stuck" && strings.Contains(h.LastError, "refused") && h.Counters["retries"] > 0
	})
	up.Store(true)
	w.settled()
	w.counts(30)
	if h := r.pulse.beat(); h.State == "stuck" {
		t.Errorf("still stuck: %+v", h)
	}
}

func TestStoppingWithClickHouseAwayLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 30)
	r, stop := w.start(faulty(func(int32) effect { return lost }))
	w.await("a batch is held", func() bool { return r.pulse.beat().Counters["retries"] > 0 })
	stop()
	w.start(plainly)
	w.settled()
	w.counts(30)
}

func TestWhatTheServerGivesUpIsCopiedToDeadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ready := make(chan struct{})
	w.env.Ready = sync.OnceFunc(func() { close(ready) })
	w.start(plainly)
	<-ready // what the server gives up before is not copied
	w.publish(bus.Message{Subject: "candidate.1.live.B000000001", Schema: pipeline.SchemaCandidate, ID: "c1", WorkID: "w1", Body: []byte(`{"a":1}`)})
	c, err := w.b.JS.CreateConsumer(t.Context(), pipeline.StreamCandidates, jetstream.ConsumerConfig{
		Durable: "commit-x", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 2, AckWait: 100 * time.Millisecond,
	})
	must(t, err)
	for range 2 {
		batch, err := c.Fetch(1, jetstream.FetchMaxWait(5*time.Second))
		must(t, err)
		for m := range batch.Messages() {
			must(t, m.Nak())
		}
	}
	glance, err := w.b.JS.Consumer(t.Context(), pipeline.StreamCandidates, pipeline.DurableGlance)
	must(t, err)
	batch, err := glance.Fetch(1, jetstream.FetchMaxWait(5*time.Second))
	must(t, err)
	for m := range batch.Messages() {
		must(t, w.b.DeadLetter(t.Context(), string(pipeline.StagePeeker), w.b.Item(pipeline.StreamCandidates, m), "malformed", nil))
		must(t, m.TermWithReason("malformed"))
	}
	s, err := w.b.JS.Stream(t.Context(), pipeline.StreamDead)
	must(t, err)
	w.await("two letters", func() bool {
		// The server gives a message up at the next delivery beyond the limit.
		_, err := c.Fetch(1, jetstream.FetchMaxWait(100*time.Millisecond))
		must(t, err)
		i, err := s.Info(t.Context())
		must(t, err)
		return i.State.Msgs >= 2
	})
	w.settled()
	w.want("SELECT stage, reason, key, body FROM dead FINAL ORDER BY stage",
		`committer,max_deliveries,B000000001,"{""a"":1}"`+"\n"+`peeker,malformed,B000000001,"{""a"":1}"`)
}

func TestABatchWithHolesHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	l := &streamRecorder[warehouse.DeadRow]{stream: "S"}
	of := func(seqs ...uint64) string {
		rows := make([]held[warehouse.DeadRow], len(seqs))
		for i, s := range seqs {
			rows[i].seq, rows[i].epoch, rows[i].taking = s, 7, "T"
		}
		return l.token(rows)
	}
	if got := of(3, 4, 5); got != "S:7:3-5:3:T" {
		t.Errorf("got %s", got)
	}
	if of(1, 2, 4) == of(1, 3, 4) {
		t.Error("two batches share a token: ClickHouse would drop the second")
	}
}

func TestTheConfigurationNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := process.Load[Config](t.Context(), envconfig.MapLookuper(map[string]string{"RECORDER_BATCH": "0", "RECORDER_FLUSH": "0s", "CLICKHOUSE_URL": ""}))
	for _, name := range []string{"RECORDER_BATCH", "RECORDER_FLUSH"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s named", err, name)
		}
	}
}

// remake deletes and recreates a stream, as an operator or a lost disk does; only its creation second differs.
func (w *world) remake(stream string) {
	w.t.Helper()
	s, err := w.b.JS.Stream(w.t.Context(), stream)
	must(w.t, err)
	made := s.CachedInfo().Created.Unix()
	w.await("another second", func() bool { return time.Now().Unix() > made })
	must(w.t, w.b.JS.DeleteStream(w.t.Context(), stream))
	must(w.t, w.b.Ensure(w.t.Context()))
}

// TestAStreamRecreatedBetweenTwoTakesIsNotTheOldOne recreates the stream while the recorder has no fetch open, as
// while ClickHouse is unavailable: the next fetch succeeds, on another stream whose sequences begin at 1 again.
func TestAStreamRecreatedBetweenTwoTakesIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	away := make(chan struct{})
	back := sync.OnceFunc(func() { close(away) })
	w.start(func(s sink) sink { return &behind{sink: s, until: away} })
	t.Cleanup(back) // before the recorder is stopped
	// One message is being inserted and another waits for it, so nothing more is taken.
	for n := 1; n <= 2; n++ {
		w.verdicts(n, n)
		still := 0
		w.await("the recorder has taken it", func() bool {
			c, err := w.b.JS.Consumer(t.Context(), pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts))
			must(t, err)
			if c.CachedInfo().NumAckPending != n || n == 2 && c.CachedInfo().NumWaiting > 0 {
				still = 0
			}
			still++
			return still > 10
		})
	}
	w.remake(pipeline.StreamVerdicts)
	w.verdicts(3, 12)
	back()
	w.settled()
	w.counts(12)
}

// behind does not answer until it is released.
type behind struct {
	sink
	until chan struct{}
}

func (b *behind) InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	<-b.until
	return b.sink.InsertVerdicts(ctx, rows, token)
}

// TestAMessageOfADeletedStreamSettlesNoMessageOfTheNewOne records a message whose stream was deleted
// meanwhile. Its acknowledgement has a stream and a sequence, which are another message's now.
func TestAMessageOfADeletedStreamSettlesNoMessageOfTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishEach(w.entry, 1, 10)
	_, thaw := freeze(w, "insert", pipeline.StreamLedger, readEntry, sink.InsertLedger)
	w.remake(pipeline.StreamLedger)
	w.publishEach(w.entry, 11, 20)
	// Another recorder takes the new ones, and dies with them unsettled.
	_, dead := freeze(w, "look-up", pipeline.StreamLedger, readEntry, sink.InsertLedger)
	defer dead()
	thaw()
	c, err := w.b.JS.Consumer(t.Context(), pipeline.StreamLedger, pipeline.DurableRecorder(pipeline.StreamLedger))
	must(t, err)
	if n := c.CachedInfo().NumAckPending; n != 10 {
		t.Errorf("%d messages of the new stream are unsettled, want all 10, which are not recorded", n)
	}
	w.want("SELECT count() FROM ledger FINAL", "10")
}
