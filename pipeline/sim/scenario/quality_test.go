package scenario

import (
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
)

// truthOf is a world of a few books: copies of good ones earn 500 cents, others lose 200.
type truthOf map[string]keepasim.Class

func (w truthOf) Truth(asin string) keepasim.Class { return w[asin] }

func (w truthOf) Sells(asin string, _ time.Time) (keepasim.Sale, bool) {
	class, known := w[asin]
	if class.Bad() {
		return keepasim.Sale{Profit: -200}, known
	}
	return keepasim.Sale{Profit: 500}, known
}

func TestQualityIsJudgedByWhatIsTrueOfTheBooks(t *testing.T) {
	t.Parallel()
	truth := truthOf{
		"good1": keepasim.Good, "good2": keepasim.Good, "good3": keepasim.Good,
		"row": keepasim.AmazonCaps, "history": keepasim.NoProfit, "offers": keepasim.LandedPrice, "wrong": keepasim.LandedPrice, "thumb": keepasim.NoProfit,
	}
	v := func(asin string, look pipeline.Look, o pipeline.Outcome, heuristic bool) pipeline.Verdict {
		return pipeline.Verdict{Identity: pipeline.Identity{ASIN: asin}, Look: look, Outcome: o, Heuristic: heuristic}
	}
	final := map[string]pipeline.Verdict{}
	for _, w := range []pipeline.Verdict{
		v("good1", pipeline.LookCommit, pipeline.Accept, false),
		v("good2", pipeline.LookPeek, pipeline.Reject, true),
		v("good3", pipeline.LookPeek, pipeline.Fail, false), // no rule decided
		v("row", pipeline.LookGlance, pipeline.Reject, false),
		v("history", pipeline.LookPeek, pipeline.Reject, false),
		v("thumb", pipeline.LookPeek, pipeline.Reject, true),
		v("offers", pipeline.LookCommit, pipeline.Reject, false),
		v("wrong", pipeline.LookCommit, pipeline.Accept, false),
		v("unknown", pipeline.LookCommit, pipeline.Accept, false),
	} {
		final[w.ASIN] = w
	}
	q := qualityOf(final, truth)
	if q.Recall != 0.5 || q.Precision != 0.5 || q.BadAtGlance != 0.2 || q.BadBeforeOffers != 0.4 || q.Heuristic != 2 || q.HeuristicCost != 1 {
		t.Errorf("got %+v", q)
	}
	if got := q.Classes[keepasim.LandedPrice]["commit accept"]; got != 1 {
		t.Errorf("classes: %v", q.Classes)
	}
	if q.Judged != 2 || q.Losing != 1 || q.LosingShare != 0.5 || q.MadeCents != 500-200 {
		t.Errorf("the deals made %+v", q.Worth)
	}
	for class, want := range map[keepasim.Class]Shares{
		keepasim.Good: {Decided: 2, Recall: 0.5, Precision: 0.5}, keepasim.LandedPrice: {Decided: 2, Recall: 0.5, Precision: 0.5},
		keepasim.NoProfit: {Decided: 2, Recall: 1, Precision: 1}, keepasim.AmazonCaps: {Decided: 1, Recall: 1, Precision: 1},
	} {
		if got := q.ByClass[class]; got != want {
			t.Errorf("%s: %+v, want %+v", class, got, want)
		}
	}
	if none := qualityOf(nil, nil); none.Recall != 1 || none.Precision != 1 {
		t.Errorf("where nothing was decided: %+v", none)
	}
	f := Figures{Decided: 8, TokensUsedShare: 1, Quality: q}
	if f.judge(Bars{Recall: 0.99, Precision: 0.99, BadAtGlance: 0.5, BadBeforeOffers: 0.96, Losing: 0.4}, 0); len(f.Failures) != 5 {
		t.Errorf("five bars are missed, got %v", f.Failures)
	}
}
