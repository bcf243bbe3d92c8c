package standalone_test

import (
	"encoding/json"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// cheaper is a product as it is once its used price has fallen; no offer of before
// is left.
func cheaper(t *testing.T, body []byte, cents int) []byte {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	current := p["stats"].(map[string]any)["current"].([]any) //nolint:forcetypeassert // keepasim wrote it
	current[keepa.Used] = cents
	if _, asked := p["offers"]; asked {
		p["offers"], p["liveOffersOrder"] = []any{}, []any{}
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reject stands until its inputs move: the list names the book again and again and
// that costs nothing, until the price falls. The new price is a new identity, which
// answers from before it cannot serve, and the book is a deal within the same run.
func TestARejectStandsUntilThePriceFallsAndIsThenDecidedAtOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 300)
	d.Grant(t, pipeline.StagePeeker, 1000)
	d.Grant(t, pipeline.StageCommitter, 1000)
	asin := d.ASINs(keepasim.NoProfit)[0]
	defer d.Run(t, peeker.Run, nil)()
	defer d.Run(t, committer.Run, nil)()

	first := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Offer(t, first)
	verdicts := d.AwaitVerdicts(t, 2)
	if v := verdicts[1]; v.Outcome != pipeline.Reject || v.Reason != "no_profit" {
		t.Fatalf("at first: %s (%s)", v.Outcome, v.Reason)
	}
	paid := d.Spent(t)

	for _, source := range []pipeline.Source{pipeline.SourceGap, pipeline.SourceBackfill} {
		again := first
		again.Survivor.Source, again.ID = source, first.ID+string(source) // the dedup window has passed
		d.Offer(t, again)
	}
	other := d.Work(t, d.ASINs(keepasim.AmazonCaps)[0], pipeline.SourceLive, pipeline.FirstGeneration)
	d.Offer(t, other) // once this is decided, the ones before it were looked at
	desk.Await(t, "the other book's verdict", func() bool { all := d.Verdicts(t); return all[len(all)-1].ASIN == other.Survivor.ASIN })
	if n := len(d.Verdicts(t)); n != 3 || d.Spent(t) != paid {
		t.Errorf("listed again: %d verdicts and %d tokens, want 3 and %d", n, d.Spent(t), paid)
	}

	low := 900
	moved := first
	moved.Row.CreationDate = keepa.FromTime(d.Env.Now()) + 1
	moved.Survivor.CreationDate = int64(moved.Row.CreationDate)
	moved.Survivor.Row = newPrice(t, first, low, moved.Row.CreationDate)
	moved.ID = moved.Survivor.WorkID(pipeline.FirstGeneration)
	d.Store(t, pipeline.KindPeek, asin, moved.ID, cheaper(t, d.Product(t, asin, false), low), 0)
	d.Store(t, pipeline.KindCommit, asin, moved.ID, cheaper(t, d.Product(t, asin, true), low), 0)
	began := time.Now()
	d.Offer(t, moved)
	verdicts = d.AwaitVerdicts(t, 6)
	last := verdicts[5]
	if last.Look != pipeline.LookCommit || last.Outcome != pipeline.Accept || last.WorkID != moved.ID || *last.ProfitCents <= 0 {
		t.Errorf("at the new price: %s %s (%s)", last.Look, last.Outcome, last.Reason)
	}
	t.Logf("from the new price on the list to its deal: %v", time.Since(began).Round(time.Millisecond))
}

// newPrice is the row as the list shows it once the used price has fallen.
func newPrice(t *testing.T, w decide.Work, cents int, since keepa.Minute) json.RawMessage {
	t.Helper()
	var row map[string]any
	if err := json.Unmarshal(w.Survivor.Row, &row); err != nil {
		t.Fatal(err)
	}
	row["current"].([]any)[keepa.Used] = cents //nolint:forcetypeassert // keepasim wrote it
	row["creationDate"] = since
	out, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
