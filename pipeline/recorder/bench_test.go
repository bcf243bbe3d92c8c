package recorder

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/text/foreign"
	"ratchet/test/streams"
)

// The bars of the recorder.
const (
	barOfSlower  = 0.5 // of the rows/s of the slower of its two halves alone, in the same run
	barVisible   = 2 * time.Second
	benchRows    = 50_000
	benchBatch   = 5_000
	benchRepeats = 5
)

// station is a NATS with the means to start over with an empty ClickHouse.
type station struct {
	b   *bus.Bus
	env process.Env
}

func newStation(b *testing.B) *station {
	b.Helper()
	s := &station{}
	s.env, s.b = streams.Open(b)
	return s
}

// verdictNumber returns a verdict of typical kind and size: of ten, six glances, three peeks and a commit.
func verdictNumber(i int, at time.Time) (pipeline.Verdict, string) {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	v := pipeline.Verdict{
		Identity: pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("%010d", r.IntN(3_000_000)), PriceType: 2, CreationDate: int64(8_000_000 + i)},
		Look:     pipeline.LookGlance, Outcome: pipeline.Reject, Reason: fmt.Sprintf("reason_%d", i%12), RuleSet: "e06c79a12ba8", Source: pipeline.SourceLive,
		Queries: []string{"used-books@bbe23728"}, RootCategory: 283155 + int64(i%12), Title: foreign.Of(fmt.Sprintf("A History of Glass, Volume %d", r.IntN(1000))),
		Inputs: map[string]any{"profit_at_amazon_ceiling_cents": r.IntN(9000) - 3000}, ListedAt: at.Add(-time.Minute), DecidedAt: at,
	}
	if i%10 >= 6 {
		value := int64(r.IntN(4000))
		v.Look, v.Tokens, v.TokensSpent, v.Tier, v.ExpectedValueCents, v.ResponseIDs = pipeline.LookPeek, 1, 1, "b", &value, []string{fmt.Sprint(i)}
		v.Inputs = map[string]any{
			"best_profit_cents": r.IntN(9000) - 3000, "best_roi_percent": r.Float64() * 100, "has_history": true, "has_used": true, "sale_price_cents": r.IntN(20000), "product_type": 0,
			"profit_at_amazon_ceiling_cents": nil, "profit_at_hard_ceiling_cents": r.IntN(200000), "rank_drops_365": r.IntN(90), "sale_count": r.IntN(60), "sales_in_year": r.IntN(20),
		}
		v.Unknown = []string{"profit_at_amazon_ceiling_cents"}
	}
	if i%10 == 9 {
		v.Look, v.Tokens, v.TokensSpent = pipeline.LookCommit, 6, 7
	}
	return v, v.WorkID(pipeline.FirstGeneration)
}

// publish stores n verdicts on the stream.
func (s *station) publish(b *testing.B, n int) {
	b.Helper()
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond)
	for from := 0; from < n; from += 1000 {
		var ms []bus.Message
		for i := from; i < min(from+1000, n); i++ {
			v, work := verdictNumber(i, at.Add(time.Duration(i)*50*time.Millisecond))
			m, err := bus.Encode(pipeline.SubjectVerdict(1, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict, "verdict:"+v.ID(pipeline.RunLive, work), work, v)
			must(b, err)
			ms = append(ms, m)
		}
		must(b, s.b.PublishBatch(b.Context(), ms))
	}
}

// again resets the durable to the first message.
func (s *station) again(b *testing.B) jetstream.Consumer {
	b.Helper()
	name := pipeline.DurableRecorder(pipeline.StreamVerdicts)
	must(b, s.b.JS.DeleteConsumer(b.Context(), pipeline.StreamVerdicts, name))
	must(b, s.b.Ensure(b.Context()))
	c, err := s.b.JS.Consumer(b.Context(), pipeline.StreamVerdicts, name)
	must(b, err)
	return c
}

// empty returns a ClickHouse with its tables and nothing in them.
func empty(b *testing.B) (*warehouse.Warehouse, string) {
	b.Helper()
	dsn := chtest.Database(b)
	w, err := warehouse.Open(b.Context(), dsn)
	must(b, err)
	b.Cleanup(func() { _ = w.Close() })
	must(b, w.Migrate(b.Context()))
	return w, dsn
}

// raw returns the seconds of a loop that only fetches and acknowledges, and the messages that it fetched.
func (s *station) raw(b *testing.B) (float64, []jetstream.Msg) {
	b.Helper()
	c := s.again(b)
	var all []jetstream.Msg
	began := time.Now()
	for len(all) < benchRows {
		batch, err := c.Fetch(benchBatch, jetstream.FetchMaxWait(time.Second))
		must(b, err)
		for m := range batch.Messages() {
			must(b, m.Ack())
			all = append(all, m)
		}
	}
	must(b, s.b.NC.Flush())
	return time.Since(began).Seconds(), all
}

// plain returns the seconds of inserting decoded rows with clickhouse-go alone, a row at a time into
// batches of the same size: into the table with its views, or into a bare one with the same columns.
func plain(b *testing.B, rows []warehouse.VerdictRow, bare bool) float64 {
	b.Helper()
	_, dsn := empty(b)
	o, err := clickhouse.ParseDSN(dsn)
	must(b, err)
	conn, err := clickhouse.Open(o)
	must(b, err)
	defer func() { _ = conn.Close() }()
	table := "verdicts"
	if bare {
		table = "bare"
		must(b, conn.Exec(b.Context(), "CREATE TABLE bare AS verdicts"))
	}
	ctx := clickhouse.Context(b.Context(), clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
	began := time.Now()
	for from := 0; from < len(rows); from += benchBatch {
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+` (row_id, at, stored_at, build, run, work_id, look, outcome, reason, domain, price_type, asin, creation_date,
			rule_id, rule_set, heuristic, source, tier, queries, root_category, listed_at, tokens, tokens_spent, expected_value_cents, profit_cents, unknown, inputs, response_ids, title, deal)`)
		must(b, err)
		for i := from; i < min(from+benchBatch, len(rows)); i++ {
			r := &rows[i]
			must(b, batch.Append(r.RowID(), r.At, r.StoredAt, r.Build, r.Run, r.Origin.WorkID, string(r.Look), string(r.Outcome), r.Reason, uint16(r.Domain), uint16(r.PriceType), r.ASIN, r.CreationDate,
				r.RuleID, r.RuleSet, r.Heuristic, string(r.Source), string(r.Tier), r.Queries, r.RootCategory, r.ListedAt, int32(r.Tokens), int32(r.TokensSpent), r.ExpectedValueCents, r.ProfitCents,
				r.Unknown, r.InputsJSON, r.ResponseIDs, r.Title, string(r.Deal)))
		}
		must(b, batch.Send())
	}
	return time.Since(began).Seconds()
}

// whole returns the seconds that the recorder takes for the same
// messages, from the first fetch to the last acknowledgement.
func (s *station) whole(b *testing.B) float64 {
	b.Helper()
	s.again(b)
	w, dsn := empty(b)
	cfg := Config{ClickHouse: dsn, Batch: benchBatch, Flush: time.Second}
	r := newRecorder(cfg, s.env, s.b, func(context.Context) (sink, error) { return w, nil })
	l, err := newStreamRecorder(b.Context(), r, pipeline.StreamVerdicts, benchBatch, readVerdict, sink.InsertVerdicts)
	must(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	began := time.Now()
	go func() { defer close(done); l.run(ctx, b.Context()) }()
	for {
		info, err := l.durable.Info(b.Context())
		must(b, err)
		if info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream >= benchRows {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	took := time.Since(began).Seconds()
	cancel()
	<-done
	have, err := w.SQL(b.Context(), "SELECT toInt64(count()) FROM verdicts FINAL", true)
	must(b, err)
	if have.Rows[0][0] != int64(benchRows) {
		b.Fatalf("%v rows, want %d", have.Rows[0][0], benchRows)
	}
	return took
}

// BenchmarkRecorder compares the recorder with its two halves alone: a loop that fetches and acknowledges,
// and an insert of the same rows with clickhouse-go alone. Medians of five, in turn, in one run.
func BenchmarkRecorder(b *testing.B) {
	s := newStation(b)
	s.publish(b, benchRows)
	_, msgs := s.raw(b)
	rows := make([]warehouse.VerdictRow, len(msgs))
	for i, m := range msgs {
		stored, _, err := storedOf(m)
		must(b, err)
		rows[i], err = readVerdict(warehouse.Origin{Stream: pipeline.StreamVerdicts, Epoch: 1_700_000_000}, stored)
		must(b, err)
	}
	var raws, plains, bares, wholes []float64
	for b.Loop() {
		for range benchRepeats {
			took, _ := s.raw(b)
			raws = append(raws, benchRows/took)
			plains = append(plains, benchRows/plain(b, rows, false))
			bares = append(bares, benchRows/plain(b, rows, true))
			wholes = append(wholes, benchRows/s.whole(b))
		}
	}
	raw, into, bare, got := median(raws), median(plains), median(bares), median(wholes)
	word := "ok"
	if got < barOfSlower*min(raw, into) {
		word = "short"
		b.Errorf("the recorder moves %.0f rows/s, less than %.1f of the slower of its two parts", got, barOfSlower)
	}
	fmt.Printf("rows/s  fetch and acknowledge %.0f  insert %.0f  (into a table without views %.0f)  recorder %.0f: %.2f of the slower  bar %.1f  %s\n",
		raw, into, bare, got, got/min(raw, into), barOfSlower, word)
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// BenchmarkVisible publishes a verdict every 20 ms for a while
// and reports how long each takes to appear in an answer.
func BenchmarkVisible(b *testing.B) {
	const many, every = 1500, 20 * time.Millisecond
	s := newStation(b)
	w, dsn := empty(b)
	env := s.env
	env.Lookup = envconfig.MapLookuper(map[string]string{"NATS_URL": streams.URL, "CLICKHOUSE_URL": dsn})
	ready := make(chan struct{})
	env.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, env) }()
	<-ready
	for b.Loop() {
		born := make([]time.Time, many)
		finished := make(chan struct{})
		var waits []time.Duration
		go func() {
			defer close(finished)
			for seen := 0; seen < many; {
				t, err := w.SQL(ctx, "SELECT toInt64(count()) FROM verdicts", true)
				if err != nil {
					return
				}
				now := time.Now()
				for n := int(t.Rows[0][0].(int64)); seen < n; seen++ {
					waits = append(waits, now.Sub(born[seen]))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		tick := time.NewTicker(every)
		for i := range many {
			<-tick.C
			v, work := verdictNumber(i, s.env.Now())
			m, err := bus.Encode(pipeline.SubjectVerdict(1, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict, "verdict:"+v.ID(pipeline.RunLive, work), work, v)
			must(b, err)
			born[i] = time.Now()
			_, err = s.b.Publish(b.Context(), m)
			must(b, err)
		}
		tick.Stop()
		<-finished
		slices.Sort(waits)
		word := "ok"
		if waits[len(waits)*99/100] > barVisible {
			word = "short"
			b.Errorf("a verdict is visible after %v (p99), later than %v", waits[len(waits)*99/100], barVisible)
		}
		fmt.Printf("visible in SQL after  p50 %v  p99 %v  longest %v  bar %v  %s\n",
			waits[len(waits)/2].Round(time.Millisecond), waits[len(waits)*99/100].Round(time.Millisecond), waits[len(waits)-1].Round(time.Millisecond), barVisible, word)
	}
	cancel()
	<-done
}
