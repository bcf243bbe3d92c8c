package replay_test

import (
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// repriced is a new price of a book without a recent sale that was rejected by the answer about its earlier price.
// The row has another used price than the answer.
func repriced(t *testing.T, d *desk.Desk) (asin string, body string) {
	t.Helper()
	asin = d.ASINs(keepasim.NoRecentSale)[0]
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	used, _ := w.Row.Current.Price(keepa.Used)
	w = d.Repriced(t, w, used-17)
	d.Survives(t, w, pipeline.LookGlance, "live")
	if v := d.DecidedEarlier(t, judging(t), w); v.Outcome != pipeline.Reject || !v.Heuristic {
		t.Fatalf("%+v", v)
	}
	return asin, verdicts(t, d.Bus, pipeline.RunLive, pipeline.LookPeek)[0].body
}

func TestWhatAnAnswerAboutAnEarlierPriceRejectedIsDecidedAlikeAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	_, live := repriced(t, d)
	for _, depth := range []replay.Depth{replay.Inputs, replay.Answers} {
		r := run(t, d.Bus, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "same-" + string(depth), Depth: depth})
		got := verdicts(t, d.Bus, "same-"+string(depth), pipeline.LookPeek)
		if r.Sums.Same != 1 || r.Sums.FromAnswers != 1 || len(got) != 1 || got[0].body != live {
			t.Errorf("%s: %+v\n%s\n%v", depth, r.Sums, live, got)
		}
	}
}

func TestARejectByAnEarlierAnswerThatOtherRulesLetPassIsOfferedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin, _ := repriced(t, d)
	rules := changed(t, "min_sales_in_year: 1", "min_sales_in_year: 0", "min_n_eff: 2", "min_n_eff: 0", "min_profit_cents: 300", "min_profit_cents: -9999", "max_loss_chance: 0.40", "max_loss_chance: 0.999", "min_roi_percent: 0", "min_roi_percent: -999")
	r, err := replay.Rejects(t.Context(), d.Bus, rules, 1, d.Env.Now().Add(-24*time.Hour), func(replay.Step) {})
	if err != nil || r.Rejected != 1 || r.Passes != 1 || retried(t, d.Bus)[asin] != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
