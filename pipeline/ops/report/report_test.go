package report_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/report"
)

func verdict(look pipeline.Look, o pipeline.Outcome, reason string) pipeline.Verdict {
	return pipeline.Verdict{Look: look, Outcome: o, Reason: reason, DecidedAt: time.Unix(0, 0)}
}

func feed() *report.Report {
	t := report.New()
	for range 2 { // twice: a redelivery
		t.Verdict("w1", verdict(pipeline.LookGlance, pipeline.Survive, "ok"))
		t.Verdict("w1", verdict(pipeline.LookPeek, pipeline.Reject, "no_profit"))
		t.Verdict("w2", verdict(pipeline.LookGlance, pipeline.Reject, "no_used_price"))
		t.Verdict("w3", verdict(pipeline.LookCommit, pipeline.Accept, "ok"))
		t.Entry("c1:close", pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, PriceKind: pipeline.KindPeek, Tokens: 3, Items: 3, Claim: "c1"})
		t.Entry("c2:close", pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StageCommitter, PriceKind: pipeline.KindCommit, Tokens: 6, Items: 1, Claim: "c2"})
		t.Entry("c3:close", pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, PriceKind: pipeline.KindPeek, API: &pipeline.Reading{}, Items: 1, Claim: "c3"})
		t.Entry("lost", pipeline.Entry{Event: pipeline.EventLost, Tokens: 4})
		t.Entry("drift", pipeline.Entry{Event: pipeline.EventDrift, Tokens: -5})
		t.Entry("expired", pipeline.Entry{Event: pipeline.EventExpired, Tokens: 7})
	}
	return t
}

func TestAMessageFedTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	sum := feed()
	if got, want := sum.Decided(), 3; got != want {
		t.Errorf("decided %d, want %d", got, want)
	}
	if got, want := sum.Tokens(), 9; got != want {
		t.Errorf("tokens %d, want %d", got, want)
	}
	if sum.Lost() != 4 || sum.Drift() != -5 || sum.Expired() != 7 {
		t.Errorf("lost %d, drift %d and expired %d, want 4, -5 and 7", sum.Lost(), sum.Drift(), sum.Expired())
	}
	if got := sum.Spent()[0]; got.Stage != pipeline.StagePeeker || got.Calls != 1 || got.Items != 3 {
		t.Errorf("the peeker's calls are %+v: one that cost nothing is not counted", got)
	}
	if got := sum.Looked(pipeline.LookGlance); got[pipeline.Survive] != 1 || got[pipeline.Reject] != 1 {
		t.Errorf("glance %v, want one of each", got)
	}
}

func TestTheReportNamesEveryReasonAndStage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := feed().Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no_profit", "no_used_price", "peeker", "committer", "per decision", "per deal"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, out.String())
		}
	}
}
