package cli_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
	"ratchet/test/desk"
)

func TestARejectByAnAnswerAboutAnEarlierPriceIsExplainedAtThePriceOfTheRow(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.NoProfit)[0]
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	used, _ := w.Row.Current.Price(keepa.Used)
	began := keepa.FromTime(d.Env.Now().Add(-time.Hour))
	w.Survivor.Row = bytes.ReplaceAll(w.Survivor.Row, fmt.Append(nil, int(w.Row.CreationDate)), fmt.Append(nil, int(began)))
	w.Survivor.Row = bytes.ReplaceAll(w.Survivor.Row, fmt.Appendf(nil, ",%d,", used), fmt.Appendf(nil, ",%d,", used+1000))
	var err error
	if w.Row, err = keepa.DecodeDealRow(w.Survivor.Row); err != nil {
		t.Fatal(err)
	}
	w.Survivor.CreationDate = int64(began)
	w.ID = w.Survivor.WorkID(pipeline.FirstGeneration)
	d.Offer(t, w)
	d.Store(t, pipeline.KindPeek, asin, "the earlier price", d.Product(t, asin, false), 5*time.Hour)
	stored, err := responses.Find(t.Context(), d.Bus, 1, pipeline.KindPeek, []string{asin})
	if err != nil {
		t.Fatal(err)
	}
	a := stored[asin].Evidence()
	a.EarlierAt = stored[asin].AnsweredAt
	v := decide.Peek(desk.BuiltIn(t), w, a, 0, nil, d.Env.Now()).Verdict
	u := worker.Unit{Work: w, Origin: "SURVIVORS/1"}
	if err := worker.Apply(d.Bus)(t.Context(), []worker.Effect{u.Conclude(v, "")}); err != nil {
		t.Fatal(err)
	}
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
