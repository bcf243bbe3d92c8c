package peeker_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// speed makes work that is postponed for 30 to 120 s of pipeline time return at once.
const speed = 300

// credit is more than any test claims: without a tokend, what a claim reserved and did not use is not issued again.
const credit = 100_000

func TestARedeliveredRefreshIsServedByItsOwnAnswerAlthoughAnotherIsNewer(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(desk.T0))
	body := d.Product(t, asin, false)
	before := d.Sim.Books().Peeks[asin]
	own := d.Store(t, pipeline.KindPeek, asin, w.ID, body, 2*time.Hour)
	d.Store(t, pipeline.KindPeek, asin, "another", body, time.Hour)
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Survives(t, w, pipeline.LookGlance, "refresh")
	d.Run(t, peeker.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if !slices.Equal(v.ResponseIDs, []string{own}) || v.Tokens != 1 {
		t.Errorf("rests on %v for %d tokens, want its own answer %s for 1", v.ResponseIDs, v.Tokens, own)
	}
	if n := d.Sim.Books().Peeks[asin] - before; n != 0 {
		t.Errorf("paid %d times again", n)
	}
}

func TestTwoWorksOfOneASINInABatchShareOneAnswer(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	for _, g := range []pipeline.Generation{"retry-1", "retry-2"} {
		d.Survives(t, d.Work(t, asin, pipeline.SourceRetry, g), pipeline.LookGlance, "retry")
	}
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Run(t, peeker.Run, nil)
	vs := d.AwaitVerdicts(t, 2)
	if n := d.Sim.Books().Peeks[asin]; n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
	if a, b := vs[0], vs[1]; !slices.Equal(a.ResponseIDs, b.ResponseIDs) || a.Tokens+b.Tokens != 1 {
		t.Errorf("answers %v and %v for %d and %d tokens, want the same one, paid by one of them", a.ResponseIDs, b.ResponseIDs, a.Tokens, b.Tokens)
	}
}

func TestTwoWorkersWithOneASINPayOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceRetry, "retry-1"), pipeline.LookGlance, "retry")
	d.Run(t, peeker.Run, nil)
	d.Call(t) // the first worker is buying
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	d.Run(t, peeker.Run, nil)
	desk.Await(t, "the second worker met the order", func() bool {
		c, err := d.Bus.JS.Consumer(t.Context(), pipeline.StreamSurvivors, pipeline.DurablePeek(pipeline.SourceLive))
		if err != nil {
			t.Fatal(err)
		}
		i := c.CachedInfo()
		return i.NumRedelivered > 0
	})
	d.Release()
	d.AwaitVerdicts(t, 2)
	if n := d.Sim.Books().Peeks[asin]; n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
}

func TestWhatIsBoughtWhileOtherRulesComeIntoForceIsDecidedByThose(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	d.Run(t, peeker.Run, nil)
	d.Call(t) // the rules are applied while it buys
	other := bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 90000"), 1)
	want, err := verdict.NewJudge(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ApplyRules(t.Context(), d.Bus, pipeline.AppliedRules{Rules: string(other)}); err != nil {
		t.Fatal(err)
	}
	for _, h := range cli.AwaitRules(t.Context(), d.Bus, 1) {
		if h.Rules.Version != 1 {
			t.Errorf("%s decides by version %d while it buys", h.Daemon, h.Rules.Version)
		}
	}
	d.Release()
	if v := d.AwaitVerdicts(t, 1)[0]; v.RuleSet != want.Version() || d.Sim.Books().Peeks[asin] != 1 {
		t.Errorf("%s by %s, paid %d times; want a verdict by %s, paid once", v.Outcome, v.RuleSet, d.Sim.Books().Peeks[asin], want.Version())
	}
}

func TestAConsumerThatIsResetPaysNothingAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asins := slices.Concat(d.ASINs(keepasim.Good), d.ASINs(keepasim.NoProfit))
	for i, asin := range asins {
		source := []pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh}[i%2]
		d.Survives(t, d.Work(t, asin, source, pipeline.FirstGeneration), pipeline.LookGlance, string(source))
	}
	d.Grant(t, pipeline.StagePeeker, credit)
	stop := d.Run(t, peeker.Run, nil)
	before := d.AwaitVerdicts(t, len(asins))
	stop()
	paid := d.Spent(t)
	for _, s := range []pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh} {
		stream, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamSurvivors)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.ResetConsumerToSequence(t.Context(), pipeline.DurablePeek(s), 1); err != nil {
			t.Fatal(err)
		}
	}
	d.Run(t, peeker.Run, nil)
	desk.Await(t, "everything decided again", func() bool {
		for _, s := range []pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh} {
			c, err := d.Bus.JS.Consumer(t.Context(), pipeline.StreamSurvivors, pipeline.DurablePeek(s))
			if err != nil {
				t.Fatal(err)
			}
			if i := c.CachedInfo(); i.NumPending > 0 || i.NumAckPending > 0 {
				return false
			}
		}
		return true
	})
	if again := d.Spent(t) - paid; again != 0 || paid != len(asins) {
		t.Errorf("spent %d tokens and %d again, want %d and none", paid, again, len(asins))
	}
	if after := d.Verdicts(t); len(after) != len(before) {
		t.Errorf("%d verdicts became %d", len(before), len(after))
	}
}

func TestNospendDecidesFromStoredAnswersAndRefusesEveryCall(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asins := d.ASINs(keepasim.Good)
	for i, asin := range asins {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		if i%2 == 0 {
			d.Store(t, pipeline.KindPeek, asin, w.ID, d.Product(t, asin, false), time.Hour)
		}
		d.Survives(t, w, pipeline.LookGlance, "live")
	}
	stored := (len(asins) + 1) / 2
	calls := len(d.Sim.Books().Paid)
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Wish(t, token.Nospend)
	d.Run(t, peeker.Run, nil)
	d.AwaitVerdicts(t, stored)
	desk.Await(t, "the rest came back", func() bool {
		c, err := d.Bus.JS.Consumer(t.Context(), pipeline.StreamSurvivors, pipeline.DurablePeek(pipeline.SourceLive))
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumRedelivered > 0
	})
	if got := len(d.Verdicts(t)); got != stored {
		t.Errorf("%d verdicts, want the %d that stored answers decide", got, stored)
	}
	if n := len(d.Sim.Books().Paid) - calls; n != 0 {
		t.Errorf("%d calls in nospend", n)
	}
}

func TestARefreshThatFindsItsDealUnchangedIsConfirmedForOneToken(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	d.Grant(t, pipeline.StagePeeker, credit)
	d.Grant(t, pipeline.StageCommitter, credit)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, asin)
	d.Survives(t, d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(desk.T0)), pipeline.LookGlance, "refresh")
	d.Run(t, peeker.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if v.Outcome != pipeline.Confirm || v.Tokens != 1 {
		t.Errorf("%s (%s) for %d tokens, want confirm for 1", v.Outcome, v.Reason, v.Tokens)
	}
}
