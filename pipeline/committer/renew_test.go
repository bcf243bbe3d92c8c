package committer_test

import (
	"encoding/json"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// oldDeal returns a deal as builds before the estimate published it.
func oldDeal(asin string, created int64, at time.Time, answers ...string) map[string]any {
	return map[string]any{
		"domain": 1, "asin": asin, "price_type": 2, "creation_date": created, "title": "T", "landed_cents": 2000, "list_price_cents": 9000,
		"one_year_average_cents": 8000, "profit_cents": 4000, "decided_at": at, "work_id": "w-" + asin, "queries": []string{"used-books"},
		"source": "live", "listed_at": at, "rule_set": "old", "tokens": 7, "response_ids": answers,
	}
}

func TestDealsOfAnEarlierEstimateAreDecidedAgainForNoToken(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asins := d.ASINs(keepasim.Good)
	w := d.Work(t, asins[0], pipeline.SourceLive, pipeline.FirstGeneration)
	answer := d.Store(t, pipeline.KindCommit, asins[0], w.ID, d.Product(t, asins[0], true), time.Minute)
	for asin, body := range map[string]map[string]any{
		asins[0]: oldDeal(asins[0], w.Survivor.CreationDate, d.Env.Now(), answer),
		asins[1]: oldDeal(asins[1], w.Survivor.CreationDate, d.Env.Now(), "999999"), // its answer is deleted
	} {
		m, err := bus.Encode(pipeline.SubjectDeal(1, 2, asin), pipeline.SchemaDealV1, "deal:old-"+asin, "old-"+asin, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Bus.PublishAll(t.Context(), []bus.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	before := d.Sim.Account().Consumed() // the cost of the setup
	stop := d.Run(t, committer.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	stop()
	if v.ASIN != asins[0] || v.Tokens != 0 || v.RuleSet == "old" || v.Outcome != pipeline.Accept && v.Outcome != pipeline.Reject {
		t.Errorf("decided again: %+v", v)
	}
	if n := d.Sim.Account().Consumed() - before; n != 0 {
		t.Errorf("cost %d tokens", n)
	}
	stored, err := d.Bus.Newest(t.Context(), pipeline.StreamDeals, []string{pipeline.SubjectDeal(1, 2, asins[0])}, bus.Until{})
	if err != nil {
		t.Fatal(err)
	}
	var now deal.Deal
	if err := json.Unmarshal(stored[0].Body, &now); err != nil {
		t.Fatal(err)
	}
	if (v.Outcome == pipeline.Accept) != (now.Extraction == deal.Extraction) {
		t.Errorf("%s, and the newest version is of extraction %d", v.Outcome, now.Extraction)
	}
	// A second start has nothing left to decide.
	stop = d.Run(t, committer.Run, nil)
	stop()
	if n := len(d.Verdicts(t)); n != 1 {
		t.Errorf("%d verdicts after a second start, want 1", n)
	}
}
