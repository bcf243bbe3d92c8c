package peeker_test

import (
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

func TestARedeliveredRefreshIsServedByItsOwnAnswerAlthoughAnotherIsNewer(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(desk.T0))
	body := d.Product(t, asin, false)
	before := d.Sim.Account().Peeks[asin]
	own := d.Store(t, pipeline.KindPeek, asin, w.ID, body, 2*time.Hour)
	d.Store(t, pipeline.KindPeek, asin, "another", body, time.Hour)
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Survives(t, w, pipeline.LookGlance, "refresh")
	d.Run(t, peeker.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if !slices.Equal(v.ResponseIDs, []string{own}) || v.Tokens != 1 {
		t.Errorf("rests on %v for %d tokens, want its own answer %s for 1", v.ResponseIDs, v.Tokens, own)
	}
	if n := d.Sim.Account().Peeks[asin] - before; n != 0 {
		t.Errorf("paid %d times again", n)
	}
}

func TestTwoWorksOfOneASINInABatchShareOneAnswer(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	for _, g := range []pipeline.Generation{"retry-1", "retry-2"} {
		d.Survives(t, d.Work(t, asin, pipeline.SourceRetry, g), pipeline.LookGlance, "retry")
	}
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Run(t, peeker.Run, nil)
	vs := d.AwaitVerdicts(t, 2)
	if n := d.Sim.Account().Peeks[asin]; n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
	if a, b := vs[0], vs[1]; !slices.Equal(a.ResponseIDs, b.ResponseIDs) || a.Tokens+b.Tokens != 1 {
		t.Errorf("answers %v and %v for %d and %d tokens, want the same one, paid by one of them", a.ResponseIDs, b.ResponseIDs, a.Tokens, b.Tokens)
	}
}

func TestTwoWorkersWithOneASINPayOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceRetry, "retry-1"), pipeline.LookGlance, "retry")
	d.Run(t, peeker.Run, nil)
	d.Call(t) // the first worker is buying
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	d.Run(t, peeker.Run, nil)
	d.AwaitRedelivery(t, pipeline.DurablePeek(pipeline.SourceLive)) // the second worker met the order
	d.Release()
	d.AwaitVerdicts(t, 2)
	if n := d.Sim.Account().Peeks[asin]; n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
}

func TestWhatIsBoughtWhileOtherRulesComeIntoForceIsDecidedByThose(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	d.Run(t, peeker.Run, nil)
	d.Call(t) // the rules are applied while it buys
	strict, want := desk.StrictRules(t)
	if _, err := cli.ApplyRules(t.Context(), d.Bus, pipeline.AppliedRules{Rules: strict}); err != nil {
		t.Fatal(err)
	}
	for _, h := range cli.AwaitRules(t.Context(), d.Bus, 1) {
		if h.Rules.Version != 1 {
			t.Errorf("%s decides by version %d while it buys", h.Daemon, h.Rules.Version)
		}
	}
	d.Release()
	if v := d.AwaitVerdicts(t, 1)[0]; v.RuleSet != want || d.Sim.Account().Peeks[asin] != 1 {
		t.Errorf("%s by %s, paid %d times; want a verdict by %s, paid once", v.Outcome, v.RuleSet, d.Sim.Account().Peeks[asin], want)
	}
}

func TestAConsumerThatIsResetPaysNothingAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asins := slices.Concat(d.ASINs(keepasim.Good), d.ASINs(keepasim.NoProfit))
	for i, asin := range asins {
		source := []pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh}[i%2]
		d.Survives(t, d.Work(t, asin, source, pipeline.FirstGeneration), pipeline.LookGlance, string(source))
	}
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	stop := d.Run(t, peeker.Run, nil)
	before := d.AwaitVerdicts(t, len(asins))
	stop()
	paid := d.Spent(t)
	durables := []string{pipeline.DurablePeek(pipeline.SourceLive), pipeline.DurablePeek(pipeline.SourceRefresh)}
	d.Redeliver(t, durables...)
	d.Run(t, peeker.Run, nil)
	d.AwaitSettled(t, durables...)
	if again := d.Spent(t) - paid; again != 0 || paid != len(asins) {
		t.Errorf("spent %d tokens and %d again, want %d and none", paid, again, len(asins))
	}
	if after := d.Verdicts(t); len(after) != len(before) {
		t.Errorf("%d verdicts became %d", len(before), len(after))
	}
}

func TestNospendDecidesFromStoredAnswersAndRefusesEveryCall(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asins := d.ASINs(keepasim.Good)
	for i, asin := range asins {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		if i%2 == 0 {
			d.Store(t, pipeline.KindPeek, asin, w.ID, d.Product(t, asin, false), time.Hour)
		}
		d.Survives(t, w, pipeline.LookGlance, "live")
	}
	stored := (len(asins) + 1) / 2
	calls := len(d.Sim.Account().Paid)
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Wish(t, token.Nospend)
	d.Run(t, peeker.Run, nil)
	d.AwaitVerdicts(t, stored)
	d.AwaitRedelivery(t, pipeline.DurablePeek(pipeline.SourceLive)) // the rest
	if got := len(d.Verdicts(t)); got != stored {
		t.Errorf("%d verdicts, want the %d that stored answers decide", got, stored)
	}
	if n := len(d.Sim.Account().Paid) - calls; n != 0 {
		t.Errorf("%d calls in nospend", n)
	}
}

func TestARefreshThatFindsItsDealUnchangedIsConfirmedForOneToken(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, asin)
	d.Survives(t, d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(desk.T0)), pipeline.LookGlance, "refresh")
	d.Run(t, peeker.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if v.Outcome != pipeline.Confirm || v.Tokens != 1 {
		t.Errorf("%s (%s) for %d tokens, want confirm for 1", v.Outcome, v.Reason, v.Tokens)
	}
}
