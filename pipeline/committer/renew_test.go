package committer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/worker"
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
	at := desk.T0.Add(-10 * 24 * time.Hour)
	asins := d.ASINs(keepasim.Good)
	w := d.Work(t, asins[0], pipeline.SourceLive, pipeline.FirstGeneration)
	answer := d.Store(t, pipeline.KindCommit, asins[0], w.ID, d.Product(t, asins[0], true), time.Minute)
	answers := map[string]string{asins[0]: answer, asins[1]: "999999"} // which is deleted
	for _, asin := range []string{asins[1], asins[0]} {
		body := oldDeal(asin, w.Survivor.CreationDate, at, answers[asin])
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
	if !v.DecidedAt.Equal(at) {
		t.Errorf("decided as of %s, want the instant of the answers, %s", v.DecidedAt, at)
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

// A deal that was rejected since is not decided on the answers of before; one that a peek confirmed is decided on that.
func TestOnlyVisibleDealsOfAnEarlierEstimateAreDecidedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	judge, err := worker.LoadRules(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	asins := d.ASINs(keepasim.Good)
	rejected, confirmed := asins[0], asins[1]
	for _, asin := range []string{rejected, confirmed} {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		body := d.Product(t, asin, true)
		answer := d.Store(t, pipeline.KindCommit, asin, w.ID, body, time.Minute)
		v := decide.Commit(judge, w, decide.Answer{ID: answer, Body: body}, nil, 7, d.Env.Now()).Verdict
		if v.Outcome != pipeline.Accept {
			t.Fatalf("%s: %+v", asin, v)
		}
		v.Deal = bytes.Replace(v.Deal, fmt.Appendf(nil, `"extraction":%d`, deal.Extraction), []byte(`"extraction":2`), 1)
		newest, last := v, v
		if asin == confirmed {
			peek := d.Store(t, pipeline.KindPeek, asin, w.ID, d.Product(t, asin, false), time.Minute)
			newest.Deal = bytes.Replace(v.Deal, []byte(`"response_ids":["`+answer+`"]`), []byte(`"response_ids":["`+peek+`"]`), 1)
			last.Look, last.Outcome = pipeline.LookPeek, pipeline.Confirm
		} else {
			last.Look, last.Outcome, last.Reason, last.Deal = pipeline.LookGlance, pipeline.Reject, "no_used_price", nil
		}
		all := []bus.Message{messages.Verdict(pipeline.RunLive, w.ID, "", v), messages.Deal(w.ID, newest), messages.Verdict(pipeline.RunLive, w.ID+"2", "", last)}
		if err := d.Bus.PublishAll(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	stop := d.Run(t, committer.Run, nil)
	v := d.AwaitVerdicts(t, 5)[4] // those of the deals are in the order of DEALS
	stop()
	var again decide.Found
	if err := json.Unmarshal(v.Deal, &again); err != nil || v.ASIN != confirmed || v.Outcome != pipeline.Accept || again.Extraction != deal.Extraction {
		t.Errorf("decided again: %+v, %v", v, err)
	}
	if n := len(d.Verdicts(t)); n != 5 {
		t.Errorf("%d verdicts, want 5", n)
	}
}
