package cli_test

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

func TestARejectByAnAnswerAboutAnEarlierPriceIsExplainedAtThePriceOfTheRow(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.NoProfit)[0]
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	used, _ := w.Row.Current.Price(keepa.Used)
	w = d.Repriced(t, w, used+1000)
	d.Offer(t, w)
	v := d.DecidedEarlier(t, desk.BuiltIn(t), w)
	e, err := cli.Explain(t.Context(), d.Bus, desk.BuiltIn(t), asin)
	if err != nil || len(e.Looks) < 2 {
		t.Fatalf("%+v, %v", e, err)
	}
	if l := e.Looks[1]; !l.Earlier || l.Profit == nil || *l.Profit != *v.ProfitCents || !strings.Contains(l.Headline(1), "about an earlier price") {
		t.Errorf("%s; the verdict's profit is %d", l.Headline(1), *v.ProfitCents)
	}
	s, err := cli.Why(t.Context(), d.Bus, asin)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := s.Write(&out); err != nil || !strings.Contains(out.String(), "answer about an earlier price, 5h0m") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
