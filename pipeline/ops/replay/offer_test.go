package replay

import (
	"encoding/json"
	"slices"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/seen"
	"ratchet/schemas"
	"ratchet/test/streams"
)

func TestARunOffersEachSurvivorOnceAndAnotherRunOffersItAgain(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	id := pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000}
	body, err := json.Marshal(pipeline.Survivor{Candidate: pipeline.Candidate{
		Identity: id, Source: pipeline.SourceLive, Attempt: 1, Row: json.RawMessage(`{"asin":"B000000001"}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := bus.Message{Subject: "survivor.1.glance.live.B000000001", Schema: pipeline.SchemaSurvivor, ID: "s", WorkID: id.WorkID(pipeline.FirstGeneration), Body: body}
	if _, err := b.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	fetcher, err := b.Fetcher(t.Context(), pipeline.StreamSurvivors)
	if err != nil {
		t.Fatal(err)
	}
	offer := func(run string, known map[string]bool) int {
		t.Helper()
		n, err := (&Replay{b: b, o: Options{Run: run, Look: pipeline.LookPeek}}).offer(t.Context(), fetcher, []uint64{1, 1, 99}, known)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	known := map[string]bool{}
	if n := offer("r1", known); n != 1 {
		t.Errorf("%d offered of one survivor that two verdicts name and one that has gone", n)
	}
	if n := offer("r1", known); n != 0 {
		t.Errorf("%d offered by a run that is resumed", n)
	}
	offer("r1", map[string]bool{}) // it died before it knew
	if n := offer("r2", map[string]bool{}); n != 1 {
		t.Errorf("%d offered by another run", n)
	}
	var works []string
	err = bus.ScanJSON(t.Context(), b, pipeline.StreamCandidates, bus.From{}, func(r bus.Read, c pipeline.Candidate) error {
		works = append(works, r.Header.Get(pipeline.HeaderWorkID))
		if c.Source != pipeline.SourceRetry || c.Attempt != 2 || r.Header.Get(pipeline.HeaderRunID) == pipeline.RunLive {
			t.Errorf("%s: %+v", r.Subject, c)
		}
		return nil
	})
	want := []string{id.WorkID(pipeline.ReplayGeneration("r1")), id.WorkID(pipeline.ReplayGeneration("r2"))}
	if err != nil || !slices.Equal(works, want) {
		t.Errorf("works %v (%v), want %v", works, err, want)
	}
	// It changes nothing that is live: the row is neither decided nor offered as new.
	decided, err := seen.Read(t.Context(), b, []pipeline.Identity{id})
	offered, err2 := seen.Offered(t.Context(), b, []pipeline.Identity{id})
	if err != nil || err2 != nil || len(decided) != 0 || offered[id] {
		t.Errorf("decided %v, offered %v, %v, %v", decided, offered, err, err2)
	}
}

func TestAVerdictOfAnEarlierStreamOffersNoOtherBook(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	id := pipeline.Identity{Domain: 1, ASIN: "B000000002", PriceType: 2, CreationDate: 7_000_000}
	body, err := json.Marshal(pipeline.Survivor{Candidate: pipeline.Candidate{Identity: id, Source: pipeline.SourceLive, Row: json.RawMessage(`{"asin":"B000000002"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	span, err := b.Span(t.Context(), pipeline.StreamVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Run: "r1", Look: pipeline.LookPeek}
	// ClickHouse still has verdict 1 of the stream before, about a book whose survivor is gone.
	old := original{made: span.Made - 1, seq: 1, work: "old", domain: 1, asin: "B000000001", outcome: pipeline.Reject, reason: "no_profit"}
	d := newDecider(o, judge, span.Made)
	for _, m := range []bus.Message{
		{Subject: "survivor.1.glance.live.B000000002", Schema: pipeline.SchemaSurvivor, ID: "s", WorkID: id.WorkID(pipeline.FirstGeneration), Body: body},
		{
			Subject: pipeline.SubjectVerdict(1, pipeline.LookPeek, pipeline.Reject, id.ASIN), Schema: pipeline.SchemaVerdict, ID: "v", Body: []byte("{}"),
			Header: map[string]string{pipeline.HeaderOrigin: "SURVIVORS/1"},
		},
		d.message(&old, pipeline.Survive, []byte("{}")),
	} {
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	l, err := openLedger(t.Context(), b, o.Run)
	if err != nil {
		t.Fatal(err)
	}
	r := &Replay{b: b, o: o, ledger: *l}
	r.Record = Record{Run: o.Run, Look: o.Look, Done: true}
	if err := r.Publish(t.Context()); err != nil || r.Published != 0 {
		t.Errorf("%d offered, %v", r.Published, err)
	}
}

func TestTheLastVerdictDecidesWhetherADealIsShown(t *testing.T) {
	t.Parallel()
	word := func(seq uint64, outcome pipeline.Outcome, priceType string) bus.Read {
		return bus.Read{Sequence: seq, Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, outcome, "B000000001"), Body: []byte(`{"price_type":` + priceType + `,"rule_set":"r"}`)}
	}
	d := storedDeal{Found: decide.Found{Deal: &deal.Deal{PriceType: 2}}}
	for _, c := range []struct {
		word  bus.Read
		shown bool
	}{
		{word(5, pipeline.Accept, "2"), true},
		{word(7, pipeline.Reject, "9"), true}, // of another price type
		{word(8, pipeline.Reject, "2"), false},
		{word(6, pipeline.Accept, "2"), false}, // an older one after a newer one
		{word(4, pipeline.Reject, "2"), false},
		{word(9, pipeline.Confirm, "2"), true},
		{word(3, pipeline.Reject, "2"), true},
	} {
		if d.apply(c.word); d.visible() != c.shown {
			t.Errorf("after %s at %d: shown %t", c.word.Subject, c.word.Sequence, d.visible())
		}
	}
}
