package page_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// put writes a value of a bucket.
func put(t testing.TB, d *desk.Desk, bucket, key string, v any) {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

// publish publishes a message.
func publish(t testing.TB, d *desk.Desk, subject, schema, id string, v any) uint64 {
	t.Helper()
	m, err := bus.Encode(subject, schema, id, "", v)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := d.Bus.Publish(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// entry publishes a line of the ledger, so many minutes before the start.
func entry(t testing.TB, d *desk.Desk, ago int, e pipeline.Entry) {
	t.Helper()
	e.At = desk.T0.Add(-time.Duration(ago) * time.Minute)
	if e.Stage == "" {
		e.Stage = "tokend"
	}
	publish(t, d, pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, fmt.Sprint("entry", ago, e.Event, e.Note), e)
}

// machineRuns makes a desk look like a pipeline that has run for a day: a burst, a pause that lasts, gaps of its list.
func machineRuns(t testing.TB, d *desk.Desk) {
	t.Helper()
	for _, name := range []string{"tokend", "watermarker", "peeker", "committer", "recorder"} {
		put(t, d, pipeline.BucketStatus, name+".test", pipeline.Heartbeat{
			Daemon: name, Instance: "host." + name, Build: "test", StartedAt: desk.T0.Add(-24 * time.Hour), At: desk.T0, State: "idle", LastProgress: desk.T0.Add(-time.Minute),
		})
	}
	put(t, d, pipeline.BucketTokens, pipeline.KeyBalance, token.Balance{
		Est: 140, At: desk.T0, Rate: 5, Cap: 300, State: string(token.Recharge), Since: desk.T0.Add(-20 * time.Minute), Target: 250,
		ETA: desk.T0.Add(22 * time.Minute), Deadline: desk.T0.Add(2 * time.Hour),
	})
	entry(t, d, 1200, pipeline.Entry{Event: pipeline.EventMode, Note: "burst to recharge"})
	entry(t, d, 900, pipeline.Entry{Event: pipeline.EventMode, Note: "recharge to burst, ended by balance"})
	for ago, left := range map[int]int{1190: 20, 1000: 250, 880: 290, 700: 200, 500: 120, 300: 60, 100: 30} {
		entry(t, d, ago, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 10, API: &pipeline.Reading{Left: left, Rate: 5}})
	}
	entry(t, d, 20, pipeline.Entry{Event: pipeline.EventMode, Note: "burst to recharge"})
	mark := int64(keepa.FromTime(desk.T0))
	gap := func(ago int, event pipeline.Event, id string, from, to int64) {
		entry(t, d, ago, pipeline.Entry{Event: event, Stage: pipeline.StageWatermarker, Query: "used-books@1", From: from, To: to, RowsEstimate: 40, Note: id})
	}
	gap(1100, pipeline.EventGapOpened, "one", mark-1300, mark-1200)
	gap(800, pipeline.EventGapFilled, "one", mark-1300, mark-1200)
	gap(900, pipeline.EventGapOpened, "two", mark-1100, mark-1000)
	gap(400, pipeline.EventGapExpired, "two", mark-1100, mark-1000)
	gap(200, pipeline.EventGapOpened, "three", mark-300, mark-250)
	put(t, d, pipeline.BucketWatermarks, "1.used-books", watermark.State{
		Query: "used-books@1", Mark: watermark.Mark(mark), ReadAt: desk.T0.Add(-10 * time.Minute), NextPoll: desk.T0.Add(time.Hour), IntervalS: 3600, Why: "usual",
		Gaps: []watermark.Gap{{ID: "three", From: watermark.Mark(mark - 300), To: watermark.Mark(mark - 250), Opened: desk.T0.Add(-200 * time.Minute), RowsEstimate: 40}},
	})
}

// publishDead publishes a dead letter: of a candidate, which can be retried, and returns its number.
func publishDead(t testing.TB, d *desk.Desk, asin string) uint64 {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	m := messages.Candidate("candidate", w.ID, w.Survivor.Candidate)
	header := map[string][]string{pipeline.HeaderSchema: {m.Schema}, pipeline.HeaderWorkID: {w.ID}}
	return publish(t, d, pipeline.SubjectDead("peeker", w.ID), pipeline.SchemaDead, "dead:"+w.ID, pipeline.Dead{
		Reason: "product_unreadable", Stream: pipeline.StreamCandidates, Sequence: 1, Subject: m.Subject, Deliveries: 5, Header: header, Body: m.Body,
	})
}

// refuses publishes the verdict of a commit that rejects a book for its profit, and returns its profit.
func refuses(t testing.TB, d *desk.Desk) (asin string, profit int64) {
	t.Helper()
	for _, asin := range d.ASINs(keepasim.NoProfit) {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		v := decide.Commit(desk.BuiltIn(t), w, decide.Answer{ID: "3", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, desk.T0).Verdict
		if v.Reason != "no_profit" || v.ProfitCents == nil {
			continue
		}
		if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID, "", v)); err != nil {
			t.Fatal(err)
		}
		return asin, *v.ProfitCents
	}
	t.Fatal("no book is rejected for its profit")
	return "", 0
}

// explained stores the answers of a book, so that its page has a chart and every look.
func explained(t testing.TB, d *desk.Desk, asin string) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Offer(t, w)
	d.Store(t, pipeline.KindPeek, asin, w.ID, d.Product(t, asin, false), 0)
	d.Store(t, pipeline.KindCommit, asin, w.ID, d.Product(t, asin, true), 0)
}

// accepts publishes a deal and its verdict, on an answer that is stored.
func accepts(t testing.TB, d *desk.Desk, asin string) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	body := d.Product(t, asin, true)
	v := decide.Commit(desk.BuiltIn(t), w, decide.Answer{ID: d.Store(t, pipeline.KindCommit, asin, w.ID, body, 0), Key: asin, Body: body}, nil, 6, desk.T0).Verdict
	if err := d.Bus.PublishAll(t.Context(), []bus.Message{messages.Deal(w.ID, v), messages.Verdict(pipeline.RunLive, w.ID, "", v)}); err != nil {
		t.Fatal(err)
	}
}
