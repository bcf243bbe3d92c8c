package token

import (
	"errors"
	"maps"
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestKeepaIsAskedUntilItAnswersWhileTheLastKnownBalanceIsUsed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{API: reading(100, 5), Rate: 5}, nil)
	d.turn(nil)
	d.pass(31 * time.Second)
	d.turn(nil)
	if !d.i.Bucket.Known {
		t.Fatal("nothing stands in")
	}
	asked := d.asked
	d.pass(askMost)
	d.step(Check{})
	if d.asked != asked+1 {
		t.Error("the balance that stands in is believed, and Keepa is not asked")
	}
}

func TestADebtOutlivesTheReadingsThatMayBeOlderThanIt(t *testing.T) {
	t.Parallel()
	b := at(100, 5, time.Minute).Owe(13, t0)
	later := b.Reading
	later.TS, later.Left = later.TS+2*Tick.Milliseconds(), later.Left-1
	if got := b.Reported(later, t0.Add(ClaimLife)).Owed; got != 13 {
		t.Errorf("%d are owed after another call's answer, want 13: its own may still be on the way", got)
	}
	again := later
	again.TS, again.Left = again.TS+Tick.Milliseconds(), again.Left-1
	if got := b.Reported(later, t0.Add(time.Second)).Reported(again, t0.Add(ClaimLife)).Owed; got != 13 {
		t.Errorf("%d are owed after the answers of two other calls, want 13", got)
	}
	if got := b.Reported(later, t0.Add(ClaimLife+time.Second)).Owed; got != 0 {
		t.Errorf("%d are owed a claim's life later", got)
	}
	if got := b.Probed(b.Reading, t0).Owed; got != 0 {
		t.Errorf("%d are owed after our own question", got)
	}
}

func TestADeposedTokendChangesNoGrant(t *testing.T) {
	t.Parallel()
	g := Grant{Epoch: 4, Issued: 20, Claimed: 13, Open: map[string]Hold{"c1": {N: 13}}}
	for _, epoch := range []uint64{3, 5} {
		for name, change := range map[string]Change{
			"issue": Issue{Epoch: epoch, From: 20, Tokens: 5}, "revoke": Revoke{Epoch: epoch, From: 20},
			"give up": Reap{Epoch: epoch, Claim: "c1"}, "reprice": Reprice{Epoch: epoch, Ceilings: map[pipeline.Kind]int{pipeline.KindPeek: 2}},
		} {
			if next, write, err := change.Apply(g); !errors.Is(err, ErrEpoch) || write || next.Issued != 20 || len(next.Open) != 1 {
				t.Errorf("epoch %d, %s: %+v, written %t, %v", epoch, name, next, write, err)
			}
		}
	}
	if _, err := g.Adopt(3); !errors.Is(err, ErrEpoch) {
		t.Errorf("an earlier tokend adopts it: %v", err)
	}
	if next, err := g.Adopt(5); err != nil || next.Epoch != 5 {
		t.Errorf("a later one does not: %v", err)
	}
}

func TestASecondDifferenceWaitsUntilTheLedgerHasTheFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(nil)
	drop := func(left int) {
		d.answer = reading(left, 5)
		d.pass(askIdle)
		d.step(Check{})
		d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	}
	drop(90)
	drop(85)
	if d.i.Books.Drift != 10 || len(d.i.Books.Lines) != 1 {
		t.Fatalf("drift %d in %d lines, of which the ledger has none", d.i.Books.Drift, len(d.i.Books.Lines))
	}
	for range 3 {
		d.turn(nil)
	}
	ids := map[string]int{}
	for _, l := range d.lines {
		if l.Entry.Event == pipeline.EventDrift {
			ids[l.ID] += l.Entry.Tokens
		}
	}
	if d.i.Books.Drift != 15 || len(ids) != 2 || d.tokens(pipeline.EventDrift) != 15 {
		t.Errorf("drift %d; the ledger has %v", d.i.Books.Drift, ids)
	}
}

func TestWhatACallCostWhileTheServersClockWentBackIsOwed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, claimed())
	d.answer = reading(100, 5)
	d.turn(nil)
	back := reading(94, 5)
	back.TS -= time.Hour.Milliseconds()
	d.grants[pipeline.StageCommitter] = d.grants[pipeline.StageCommitter].Settle("c1", 6, back)
	d.answer = nil
	d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	if got := d.i.Bucket.Balance(d.now.Now); got != 94 || d.i.Bucket.Owed != 6 {
		t.Errorf("the balance is %d with %d owed, want 100 less the 6 that no reading shows", got, d.i.Bucket.Owed)
	}
	asked := d.asked
	d.pass(askFirst)
	d.step(Check{})
	if d.asked != asked+1 {
		t.Error("Keepa is not asked for the balance")
	}
}

func TestTheOperatorsPolicyReachesWhatIsIssued(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(nil)
	d.step(WishRead{Policy: []byte(`{"ceilings":{"commit":20},"floor":90,"weights":{"peeker":70},"list_share":40}`)})
	if got := d.grants[pipeline.StageCommitter].Ceilings[pipeline.KindCommit]; got != 20 {
		t.Errorf("workers reserve %d for a commit, want 20", got)
	}
	if s := d.i.effectiveShares(); s.Weight[pipeline.StagePeeker] != 70 || s.Weight[pipeline.StageCommitter] != 60 || s.ListPart != 40 {
		t.Errorf("shares %+v", s)
	}
	if s := d.i.Shares; s.Weight[pipeline.StagePeeker] != 30 || s.ListPart != 15 {
		t.Errorf("the configured shares changed to %+v", s)
	}
	if got := d.i.Head(d.now.Now); got != 10 {
		t.Errorf("%d may be issued above the floor, want 10", got)
	}
	d.step(WishRead{})
	if got := d.grants[pipeline.StageCommitter].Ceilings[pipeline.KindCommit]; got != 0 {
		t.Errorf("after the policy was removed workers reserve %d", got)
	}
}

func TestNothingIsIssuedWhileTheOperatorPauses(t *testing.T) {
	t.Parallel()
	for _, wish := range []string{"paused", "nospend"} {
		d := newDesk(t, Balance{}, nil)
		d.answer = reading(100, 5)
		d.turn(nil)
		d.step(WishRead{Mode: []byte(wish)})
		d.step(DemandRead{Backlogs: commits})
		d.step(Spend{})
		if got := d.grants[pipeline.StageCommitter].Issued; got != 0 {
			t.Errorf("%s: %d tokens were issued", wish, got)
		}
		d.step(WishRead{})
		d.step(DemandRead{Backlogs: commits})
		d.step(Spend{})
		if got := d.grants[pipeline.StageCommitter].Issued; got == 0 {
			t.Errorf("after %s nothing is issued", wish)
		}
	}
}

func TestAStoredPauseKeepsWhatCanBeAndLosesWhatCannot(t *testing.T) {
	t.Parallel()
	h, low := RechargePolicy{}, View{Bucket: at(15, 5, time.Minute), Claimed: 5}
	p := h.Next(Phase{Mode: Recharge, Target: 280, Deadline: t0.Add(100 * time.Hour)}, low, t0)
	if p.Mode != Recharge || p.Deadline != t0.Add(time.Hour) {
		t.Errorf("a deadline that is four days away: %+v", p)
	}
	p = h.Next(Phase{Mode: Recharge, Target: 280, Deadline: t0.Add(30 * time.Minute)}, low, t0)
	if p.Deadline != t0.Add(30*time.Minute) {
		t.Errorf("a deadline that can be: %+v", p)
	}
	small := View{Bucket: at(56, 1, time.Minute)} // of 60
	if p = h.Next(Phase{Mode: Recharge, Target: 280, Deadline: t0.Add(30 * time.Minute)}, small, t0); p.Mode != Burst || p.EndedBy != "target" {
		t.Errorf("a target that the plan of today cannot hold: %+v", p)
	}
	owed := Phase{Mode: Burst, Claimed: 5, CallDue: t0.Add(10 * time.Minute)}
	if p = h.Next(owed, low, t0); p.Mode != Recharge || p.Deadline != t0.Add(10*time.Minute) {
		t.Errorf("a burst in which nothing was bought owes a call by the old deadline: %+v", p)
	}
	low.Claimed++
	if p = h.Next(owed, low, t0); p.Mode != Recharge || p.Deadline != t0.Add(time.Hour) {
		t.Errorf("a call was bought: %+v", p)
	}
}

func TestSavingForAnExpensiveStepEndsWithPatience(t *testing.T) {
	t.Parallel()
	plan := func(after time.Duration) (map[pipeline.Stage]int, pipeline.Stage) {
		now := t0.Add(after)
		p := PlanInput{
			Bucket: Bucket{}.Probed(pipeline.Reading{TS: 1, Left: 5, Rate: 1, RefillInMS: 60000}, now), Opened: t0, Start: 1000,
			Grants: map[pipeline.Stage]Grant{pipeline.StagePeeker: {Issued: 900, Claimed: 900, Settled: 900}},
			Demand: map[pipeline.Stage]Demand{
				pipeline.StageCommitter: {Tokens: PriceCommit, Step: PriceCommit}, pipeline.StagePeeker: {Tokens: 50, Step: PricePeek},
			},
		}
		issue, wait, _ := DefaultShares().Plan(p, now)
		return issue, wait
	}
	if issue, wait := plan(time.Minute); len(issue) != 0 || wait != pipeline.StageCommitter {
		t.Errorf("after a minute: issued %v, waits for %q; want the commit saved for", issue, wait)
	}
	if issue, wait := plan(patience); issue[pipeline.StagePeeker] != PricePeek || len(issue) != 1 || wait != pipeline.StageCommitter {
		t.Errorf("after %s: issued %v, waits for %q; want one peek", patience, issue, wait)
	}
}

func TestDiscoveryLeavesTheRestOfTheIncomeToTheOthers(t *testing.T) {
	t.Parallel()
	now := t0.Add(time.Minute)
	p := PlanInput{
		Bucket: Bucket{}.Probed(pipeline.Reading{TS: 1, Left: 50, Rate: 5, RefillInMS: 60000}, now), Opened: t0,
		Demand: map[pipeline.Stage]Demand{
			pipeline.StageWatermarker: {Tokens: PricePage, Step: PricePage}, pipeline.StagePeeker: {Tokens: 5, Step: PricePeek},
		},
	}
	if issue, _, _ := DefaultShares().Plan(p, now); issue[pipeline.StageWatermarker] != 0 || issue[pipeline.StagePeeker] != 5 {
		t.Errorf("issued %v after a minute's income, want peeks alone", issue)
	}
	p.Start = 50 // the balance that was found may go into the first sweep
	if issue, _, _ := DefaultShares().Plan(p, now); issue[pipeline.StageWatermarker] != PricePage {
		t.Errorf("issued %v of the balance that was found", issue)
	}
}

func TestWhatDiscoveryUsedBeforeItsBooksWereOpenedIsNotHeldAgainstIt(t *testing.T) {
	t.Parallel()
	const long = 5000
	d := newDesk(t, Balance{}, map[pipeline.Stage]Grant{pipeline.StageWatermarker: {Issued: long, Claimed: long, Settled: long}})
	d.answer = reading(50, 5)
	d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	d.step(Check{})
	d.step(DemandRead{Backlogs: map[pipeline.Stage]Backlog{pipeline.StagePeeker: {Pending: 99}}, Polls: []time.Time{t0}})
	d.step(Spend{})
	if got := d.grants[pipeline.StageWatermarker].Credit(); got != PricePage {
		t.Errorf("%d issued for a page that is due beside peeks, want %d: the balance was lost, and its %d are years old", got, PricePage, long)
	}
}

func TestWhatDiscoveryLeftUnusedIsKeptUpToTheBalance(t *testing.T) {
	t.Parallel()
	const months = 90 * 24 * time.Hour
	for name, c := range map[string]struct {
		refill, used int // of before; 0: the books of an earlier build name no rate
		start        int
	}{
		"much of a larger plan": {60, 5000, 100},
		"a little":              {1, int(months/Tick)*15/100 - 40, 40},
		"more than its part":    {1, 1_000_000, 0},
		"of an unknown plan":    {0, 1_000_000, 0},
	} {
		books := Books{Opened: t0.Add(-months), Issued: t0, Refill: c.refill}
		d := newDesk(t, Balance{Books: books}, map[pipeline.Stage]Grant{pipeline.StageWatermarker: {Issued: c.used, Claimed: c.used, Settled: c.used}})
		d.answer = reading(100, 5)
		d.turn(commits)
		if b := d.i.Books; b.Start != c.start || !b.Opened.Equal(t0) || b.Refill != 5 || b.Listed != c.used {
			t.Errorf("%s: discovery counts from %s with %d tokens of a plan of %d, want %d", name, b.Opened, b.Start, b.Refill, c.start)
		}
		d.turn(commits)
		if again := d.i.Books; again.Start != c.start {
			t.Errorf("%s: counted again with %d tokens", name, again.Start)
		}
	}
}

func TestAnIdleStageReturnsLevelWithTheBusyOneThatUsedLeast(t *testing.T) {
	t.Parallel()
	p := PlanInput{
		Grants: map[pipeline.Stage]Grant{pipeline.StageWatermarker: {Settled: 50}, pipeline.StagePeeker: {Settled: 300}},
		Demand: map[pipeline.Stage]Demand{pipeline.StageWatermarker: {Tokens: 5, Step: 5}, pipeline.StagePeeker: {Tokens: 1, Step: 1}},
	}
	if got := DefaultShares().Level(p, pipeline.StageCommitter); got != -300 { // 60 × 50 / 10
		t.Errorf("the base is %d, want -300", got)
	}
}

func TestASilentKeepaIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	var at []time.Duration
	for d.now.Now.Before(t0.Add(30 * time.Second)) {
		asked := d.asked
		d.step(Check{})
		if d.asked > asked {
			at = append(at, d.now.Now.Sub(t0))
		}
		d.pass(50 * time.Millisecond)
	}
	if len(at) != 8 || at[1] != askFirst || at[7]-at[6] != askMost {
		t.Errorf("asked at %v, want after 250 ms, and twice as long each time up to 10 s", at)
	}
}

func TestTheNewestKnownBalanceIsUsedOnlyAfterALongSilence(t *testing.T) {
	t.Parallel()
	later := reading(40, 5)
	later.TS += time.Minute.Milliseconds()
	d := newDesk(t, Balance{API: reading(100, 5), Rate: 5}, map[pipeline.Stage]Grant{pipeline.StagePeeker: {API: later}})
	d.turn(commits)
	d.pass(outage - time.Second)
	d.turn(commits)
	if d.i.Bucket.Known || d.grants[pipeline.StageCommitter].Issued > 0 {
		t.Fatal("a balance stands in although Keepa may answer yet")
	}
	d.pass(2 * time.Second)
	d.turn(commits)
	if got := d.i.Bucket.Balance(d.now.Now); got != 40 {
		t.Errorf("the balance is %d, want the 40 that a worker read last", got)
	}
}

func TestWhatFollowsAnEffectThatFailedIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	failed := errors.New("no answer")
	var done []string
	_, err := Issuer{}.CarryOut([]Effect{Warn{Text: "a"}, Warn{Text: "b"}, Warn{Text: "c"}}, func() Moment { return Moment{} }, func(e Effect) (Event, error) {
		w, _ := e.(Warn)
		done = append(done, w.Text)
		if w.Text == "b" {
			return nil, failed
		}
		return nil, nil //nolint:nilnil // a warning is answered by nothing
	})
	if !errors.Is(err, failed) || len(done) != 2 {
		t.Errorf("carried out %v, %v", done, err)
	}
}

func TestNoEpochIsUsedTwiceNotEvenWhereTheBucketWasLost(t *testing.T) {
	t.Parallel()
	first := Succession(Balance{}, t0)
	second := Succession(first, t0)
	lost := Succession(Balance{}, t0.Add(2*time.Second))
	if second.Epoch <= first.Epoch || lost.Epoch <= second.Epoch {
		t.Errorf("epochs %d, %d, and after the loss %d", first.Epoch, second.Epoch, lost.Epoch)
	}
}

func TestAnAnswerThatOnlyTheOperatorCanChangeIsNotAskedForAtOnceAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.step(Unanswered{Note: "bad key", Final: true})
	d.pass(askMost - time.Second)
	d.step(Check{})
	if d.asked != 0 {
		t.Error("a key that was refused is asked with again")
	}
	d.pass(time.Second)
	if d.step(Check{}); d.asked != 1 {
		t.Error("a key that was refused is never asked with again")
	}
}

func TestTokensAreIssuedAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*desk){
		"while it leads": func(*desk) {},
		"before a successor takes over": func(d *desk) {
			d.i, _ = Succeed(d.i.Setup, d.i.written, maps.Clone(d.grants), d.now)
		},
	} {
		d := newDesk(t, Balance{}, nil)
		d.answer = reading(0, 5)
		d.turn(commits)
		d.pass(time.Minute)
		d.turn(commits)
		d.now.Now = d.now.Now.Add(-24 * time.Hour)
		set(d)
		for range 10 {
			d.pass(time.Minute)
			d.answer.TS, d.answer.Left = d.answer.TS+time.Minute.Milliseconds(), d.answer.Left+5
			d.turn(commits)
		}
		if n := d.grants[pipeline.StageCommitter].Issued; n < 26 {
			t.Errorf("%s: %d tokens are issued of an income of 50, want two commits", name, n)
		}
		for _, at := range []time.Time{d.i.Bucket.At, d.i.Opened, d.i.Books.Closed, d.i.Books.Opened} {
			if at.After(d.now.Now) {
				t.Errorf("%s: %s is remembered, and it is %s", name, at, d.now.Now)
			}
		}
	}
}

func TestWhatDiscoveryHasLeftIsNotLostWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(nil)
	rest := func() int { return d.i.effectiveShares().listRest(d.i.PlanInput, d.i.Bucket.Refill(), d.now.Now) }
	d.pass(10 * time.Hour)
	d.step(Check{})
	before := rest()
	d.now.Now = d.now.Now.Add(-5 * time.Hour)
	d.step(Check{})
	if after := rest(); after != before {
		t.Errorf("discovery has %d hundredths of a token left, and had %d", after, before)
	}
}

func TestOneWrongRateChangesNoPolicy(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(200, 5)
	d.turn(nil)
	policy := WishRead{Policy: []byte(`{"floor":100,"ceilings":{"commit":17},"weights":{"peeker":50}}`)}
	d.step(policy)
	wrong := reading(200, 1)
	wrong.TS += Tick.Milliseconds()
	d.step(Answered{Reading: *wrong})
	d.step(policy)
	if d.i.Floor != 100 || d.i.Refused != "" || d.i.Rules.Ceilings[pipeline.KindCommit] != 17 {
		t.Errorf("after one answer with another rate the floor is %d, refused %q, ceilings %v", d.i.Floor, d.i.Refused, d.i.Rules.Ceilings)
	}
	wrong.TS += Tick.Milliseconds()
	d.step(Answered{Reading: *wrong})
	d.step(policy)
	if d.i.Floor != 0 || d.i.Refused == "" {
		t.Errorf("the plan holds 60 tokens: the floor is %d, refused %q", d.i.Floor, d.i.Refused)
	}
	if d.i.Rules.Ceilings[pipeline.KindCommit] != 17 || d.i.Rules.Weights[pipeline.StagePeeker] != 50 {
		t.Errorf("what the plan does not concern is gone: %+v", d.i.Rules)
	}
}
