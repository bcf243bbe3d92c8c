package token_test

import (
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

func TestAGrantIsMadeAgainFromItsLinesInTheLedger(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := &pipeline.Reading{TS: at.UnixMilli(), Left: 20, Rate: 5}
	line := func(event pipeline.Event, tokens int, claim string) pipeline.Entry {
		return pipeline.Entry{Event: event, Stage: pipeline.StagePeeker, Tokens: tokens, Claim: claim, PriceKind: pipeline.KindPeek, Items: tokens, At: at}
	}
	closed := line(pipeline.EventClose, 3, "w.1")
	closed.API = r
	unknown := line(pipeline.EventClose, 0, "w.3")
	unknown.Note = "outcome unknown: timeout"
	other := line(pipeline.EventClaim, 99, "x.1")
	other.Stage = pipeline.StageCommitter
	var a token.Account
	for _, e := range []pipeline.Entry{
		line(pipeline.EventIssue, 30, ""),
		line(pipeline.EventClaim, 5, "w.1"), other, closed,
		line(pipeline.EventClaim, 6, "w.2"), line(pipeline.EventLost, 6, "w.2"),
		line(pipeline.EventClaim, 7, "w.3"), unknown,
		line(pipeline.EventClaim, 8, "w.4"),
		{Event: pipeline.EventDrift, Stage: "tokend", Tokens: 2},
		{Event: pipeline.EventExpired, Stage: "tokend", Tokens: 4},
		{Event: pipeline.EventMode, Note: "burst to paused"},
		{Event: pipeline.EventMode, Note: "tokend leads"},
	} {
		a.Add(e)
	}
	g := a.Grant(pipeline.StagePeeker)
	if g.Claimed != 26 || g.Credit() != 0 || g.Settled != 3 || g.Lost != 6 || g.Unsure != 7 || g.Held() != 8 || len(g.Open) != 1 {
		t.Errorf("got %+v, want claimed 26, no credit, settled 3, lost 6, unsure 7 and claim w.4 open for 8", g)
	}
	if g.API == nil || *g.API != *r || g.Learned[pipeline.KindPeek].Worst == 0 {
		t.Errorf("got reading %v and prices %v, want those of the closed claim", g.API, g.Learned)
	}
	if a.Drift != 2 || a.Expired != 4 || a.Wish != token.Paused {
		t.Errorf("got drift %d, expired %d, wish %s; want 2, 4, paused", a.Drift, a.Expired, a.Wish)
	}
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAnImpossibleGrantIsReported(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]token.Grant{
		"a negative sum":    {Issued: -1},
		"a sum beyond life": {Claimed: 1 << 50},
		"a negative claim":  {Open: map[string]token.Hold{"w.1": {N: -1}}},
		"an epoch to come":  {Epoch: 1 << 60},
	} {
		if g.Validate() == nil {
			t.Errorf("%s passes: %+v", name, g)
		}
	}
	if err := (token.Grant{Epoch: uint64(time.Now().Unix()), Issued: 5}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestAPlanThatYieldsNothingIsReportedWithItsCause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r    pipeline.Reading
		want string
	}{
		{pipeline.Reading{}, ""},
		{pipeline.Reading{TS: 1, Rate: 5}, ""},
		{pipeline.Reading{TS: 1, Rate: 5, FlowRed: 4.5}, ""},
		{pipeline.Reading{TS: 1}, "the plan yields 0 tokens a minute: check the subscription at Keepa"},
		{pipeline.Reading{TS: 1, FlowRed: 5}, "the plan yields 0 tokens a minute, of which trackings take 5 (tokenFlowReduction): remove trackings at Keepa, or take a larger plan"},
		{pipeline.Reading{TS: 1, Rate: -2, FlowRed: 7}, "the plan yields -2 tokens a minute, of which trackings take 7 (tokenFlowReduction): remove trackings at Keepa, or take a larger plan"},
	} {
		if got := token.Starved(c.r); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.r, got, c.want)
		}
	}
}
