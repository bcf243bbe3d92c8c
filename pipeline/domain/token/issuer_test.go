package token

import (
	"maps"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
)

// desk is an issuer with an in-memory NATS and Keepa: it answers effects as they would.
type desk struct {
	t      *testing.T
	i      Issuer
	now    Moment
	grants map[pipeline.Stage]Grant
	answer *pipeline.Reading // the answer of /token; nil without one
	asked  int
	lines  []Line
	wrote  []Balance
}

// newDesk takes over a stored balance and grants.
func newDesk(t *testing.T, b Balance, grants map[pipeline.Stage]Grant) *desk {
	t.Helper()
	d := &desk{t: t, now: Moment{Now: t0, Machine: t0}, grants: map[pipeline.Stage]Grant{}}
	b = Succession(b, t0)
	for _, s := range pipeline.Stages() {
		g := grants[s]
		g.Epoch = b.Epoch
		d.grants[s] = g
	}
	var effects []Effect
	d.i, effects = Succeed(Setup{Shares: DefaultShares(), Life: ClaimLife}, b, maps.Clone(d.grants), d.now)
	d.carried(d.i.CarryOut(effects, d.moment, d.do))
	return d
}

func (d *desk) pass(by time.Duration) {
	d.now.Now, d.now.Machine = d.now.Now.Add(by), d.now.Machine.Add(by)
}

func (d *desk) moment() Moment { return d.now }

func (d *desk) step(e Event) { d.carried(d.i.Run(e, d.moment, d.do)) }

func (d *desk) carried(next Issuer, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	d.i = next
}

// do is what NATS and Keepa do.
func (d *desk) do(e Effect) (Event, error) {
	switch e := e.(type) {
	case Ask:
		d.asked++
		if d.answer == nil {
			return Unanswered{Note: "silent"}, nil
		}
		return Answered{Reading: *d.answer}, nil
	case Reread:
		return GrantsRead{Grants: maps.Clone(d.grants), Again: true}, nil
	case Append:
		d.lines = append(d.lines, e.Line)
		return Appended(e), nil
	case Swap:
		g, write, err := e.Change.Apply(d.grants[e.Stage])
		if write {
			d.grants[e.Stage] = g
		}
		return Swapped{Swap: e, Grant: d.grants[e.Stage]}, err
	case Write:
		d.wrote = append(d.wrote, e.Balance)
		return Written(e), nil
	}
	return nil, nil //nolint:nilnil // a warning is answered by nothing
}

// turn runs a turn of tokend with that much waiting.
func (d *desk) turn(backlogs map[pipeline.Stage]Backlog) {
	d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	d.step(Check{})
	d.step(WishRead{})
	d.step(DemandRead{Backlogs: backlogs})
	d.step(Spend{})
	d.step(Publish{})
	d.step(Publish{})
}

func (d *desk) tokens(event pipeline.Event) int {
	n := 0
	for _, l := range d.lines {
		if l.Entry.Event == event {
			n += l.Entry.Tokens
		}
	}
	return n
}

func reading(left, rate int) *pipeline.Reading {
	return &pipeline.Reading{TS: t0.UnixMilli(), Left: left, Rate: rate, RefillInMS: 60000}
}

var commits = map[pipeline.Stage]Backlog{pipeline.StageCommitter: {Pending: 9}}

func TestAStandInOwesWhatItsPredecessorOwed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{API: reading(100, 5), Rate: 5, Owed: 40}, nil)
	d.turn(nil)
	if d.i.Bucket.Known {
		t.Fatal("a balance is used that Keepa did not report")
	}
	d.pass(31 * time.Second)
	d.turn(nil)
	if got := d.i.Bucket.Balance(d.now.Now); !d.i.Bucket.Known || got != 60 {
		t.Errorf("the substitute balance is %d, want 100 less the 40 that were owed", got)
	}
}

func TestAStandInDoesNotBelieveASlippedRate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{API: reading(10, 30), Rate: 5}, nil)
	d.turn(nil)
	again := newDesk(t, d.wrote[len(d.wrote)-1], nil) // the second one in the same outage
	again.pass(31 * time.Second)
	again.turn(nil)
	if got := again.i.Bucket.Rate(); got != 5 {
		t.Errorf("the substitute rate is %d, want the believed 5", got)
	}
}

// claimed returns a committer's grant with one open claim.
func claimed() map[pipeline.Stage]Grant {
	g, err := Grant{Issued: PriceCommit}.Take("c1", Hold{N: PriceCommit, Kind: pipeline.KindCommit, Items: 1})
	if err != nil {
		panic(err)
	}
	return map[pipeline.Stage]Grant{pipeline.StageCommitter: g}
}

func TestAClaimThatIsGivenUpInAnOutageIsOwed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, claimed())
	d.answer = reading(100, 5)
	d.turn(nil)
	d.answer = nil
	d.pass(ClaimLife + time.Second)
	d.turn(nil)
	d.pass(31 * time.Second)
	d.turn(nil)
	if open := d.grants[pipeline.StageCommitter].Open; len(open) != 0 {
		t.Fatalf("the dead claim is still open: %v", open)
	}
	if d.i.Bucket.Owed != PriceCommit || d.tokens(pipeline.EventLost) != PriceCommit {
		t.Errorf("owed %d and %d lost in the ledger, want %d each", d.i.Bucket.Owed, d.tokens(pipeline.EventLost), PriceCommit)
	}
	d.answer = reading(97, 5)
	d.pass(askMost)
	d.turn(nil)
	if d.i.Bucket.Owed != 0 {
		t.Errorf("%d tokens are owed after Keepa's answer", d.i.Bucket.Owed)
	}
}

func TestAClaimIsGivenUpOnlyAfterAnAnswerThatCameSince(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, claimed())
	d.answer = reading(100, 5)
	d.turn(nil)
	d.pass(ClaimLife - time.Second)
	d.turn(nil)
	if len(d.grants[pipeline.StageCommitter].Open) != 1 {
		t.Fatal("a claim was given up within its life")
	}
	asked := d.asked
	d.pass(2 * time.Second)
	d.turn(nil)
	if len(d.grants[pipeline.StageCommitter].Open) != 0 || d.asked != asked+1 || d.i.Bucket.Owed != 0 {
		t.Errorf("open %v, %d questions, %d owed: want given up after one question, and nothing owed",
			d.grants[pipeline.StageCommitter].Open, d.asked-asked, d.i.Bucket.Owed)
	}
}

func TestACallWithoutAnAnswerIsOwedAndAskedFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, claimed())
	d.answer = reading(100, 5)
	d.turn(nil)
	d.grants[pipeline.StageCommitter] = d.grants[pipeline.StageCommitter].SettleUnknown("c1")
	d.answer = nil
	d.pass(askFirst)
	asked := d.asked
	d.turn(nil)
	if d.i.Bucket.Owed != PriceCommit || d.asked != asked+1 {
		t.Errorf("%d owed and %d questions, want %d and 1", d.i.Bucket.Owed, d.asked-asked, PriceCommit)
	}
}

func TestBooksAreNotClosedWhileAClaimIsOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(commits)
	g, err := d.grants[pipeline.StageCommitter].Take("c1", Hold{N: PriceCommit, Kind: pipeline.KindCommit, Items: 1})
	if err != nil {
		t.Fatal(err)
	}
	d.grants[pipeline.StageCommitter] = g
	d.answer = reading(94, 5) // the call was charged, and its answer is on the way
	d.pass(askWaiting)
	d.turn(commits)
	d.turn(commits)
	if n := d.tokens(pipeline.EventDrift); n != 0 {
		t.Fatalf("%d tokens of an open claim are called drift", n)
	}
	d.grants[pipeline.StageCommitter] = d.grants[pipeline.StageCommitter].Settle("c1", 6, reading(94, 5))
	d.turn(commits)
	d.turn(commits)
	if n := d.tokens(pipeline.EventDrift); n != 0 {
		t.Errorf("%d tokens of a settled claim are called drift", n)
	}
}

func TestADifferenceIsBelievedAtTheSecondEqualLook(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(nil)
	d.answer = reading(90, 5)
	d.pass(askIdle)
	d.turn(nil)
	grants := maps.Clone(d.grants)
	next, effects := d.i.Step(GrantsRead{Grants: grants}, d.now)
	if !slices.Contains(effects, Effect(Reread{})) {
		t.Fatalf("effects %v, want another look", effects)
	}
	moved := maps.Clone(grants)
	g := moved[pipeline.StagePeeker]
	g.Settled += 3 // its reading has not come yet
	moved[pipeline.StagePeeker] = g
	other, _ := next.Step(GrantsRead{Grants: moved, Again: true}, d.now)
	if other.Books.Drift != 0 {
		t.Errorf("%d drift although a call ended between the looks", other.Books.Drift)
	}
	same, _ := next.Step(GrantsRead{Grants: grants, Again: true}, d.now)
	if same.Books.Drift != 10 {
		t.Errorf("%d drift, want the 10 that no claim explains", same.Books.Drift)
	}
}

func TestBooksAreClosedAsOfTheAnswerThatExplainsThem(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(0, 5)
	d.turn(nil)
	for range 2 {
		before := *d.answer
		d.answer = &pipeline.Reading{TS: before.TS + time.Hour.Milliseconds(), Left: 300, Rate: 5, RefillInMS: before.RefillInMS}
		d.pass(askIdle)
		came := d.now.Now
		d.turn(nil)
		d.pass(time.Second)
		d.turn(nil)
		if got := d.i.Books.Closed; !got.Equal(came) {
			t.Errorf("closed as of %s, want %s: until then every call is explained", got, came)
		}
	}
}

func TestAPauseThatEndsByItsDeadlineAsks(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{Rules: Rules{Policy: "heartbeat"}, Phase: Phase{
		Mode: Recharge, Since: t0, Target: 200, Deadline: t0.Add(time.Minute),
	}}, nil)
	d.answer = reading(100, 5)
	d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	d.step(Check{})
	d.pass(2 * time.Minute)
	d.step(DemandRead{Backlogs: commits})
	if d.i.Phase.Mode != Burst || d.i.Phase.EndedBy != "deadline" {
		t.Fatalf("phase %+v", d.i.Phase)
	}
	asked := d.asked
	d.step(Check{})
	if d.asked != asked+1 {
		t.Error("the balance is below the projection, and Keepa is not asked")
	}
}

func TestUnneededCreditIsTakenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(60, 5)
	d.turn(map[pipeline.Stage]Backlog{pipeline.StagePeeker: {Pending: 50}})
	if d.grants[pipeline.StagePeeker].Credit() == 0 {
		t.Fatal("nothing was issued")
	}
	d.turn(commits)
	if got := d.grants[pipeline.StagePeeker].Credit(); got != 0 {
		t.Errorf("a stage without work keeps a credit of %d while another waits", got)
	}
}

func TestCreditWithoutABalanceIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(120, 5)
	busy := map[pipeline.Stage]Backlog{pipeline.StagePeeker: {Pending: 99}, pipeline.StageCommitter: {Pending: 9}}
	d.turn(busy)
	out := d.grants[pipeline.StagePeeker].Credit() + d.grants[pipeline.StageCommitter].Credit()
	d.answer = reading(out-10, 5) // another program spent some
	d.pass(askWaiting)
	d.step(Check{})
	d.step(DemandRead{Backlogs: busy})
	left := d.grants[pipeline.StagePeeker].Credit() + d.grants[pipeline.StageCommitter].Credit()
	if want := d.i.Bucket.Balance(d.now.Now); left != want {
		t.Errorf("credit of %d stays on a balance of %d: want the same", left, want)
	}
}

func TestAnIdleStageReturnsLevelWithTheOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, map[pipeline.Stage]Grant{pipeline.StagePeeker: {Issued: 600, Claimed: 600, Settled: 600}})
	d.answer = reading(0, 5)
	peeks := map[pipeline.Stage]Backlog{pipeline.StagePeeker: {Pending: 99}}
	d.i.Base = map[pipeline.Stage]int{} // everything that was ever used counts
	d.turn(peeks)
	used := Used(d.i.Grants[pipeline.StageCommitter]) - d.i.Base[pipeline.StageCommitter]
	if weight := DefaultShares().Weight; used*weight[pipeline.StagePeeker] != 600*weight[pipeline.StageCommitter] {
		t.Errorf("the idle stage counts as having used %d beside 600 of the busy one", used)
	}
}

func TestAnEffectThatWasReportedLostHasNotHappened(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.step(GrantsRead{Grants: maps.Clone(d.grants)})
	d.step(Check{})
	d.step(WishRead{})
	d.step(DemandRead{Backlogs: commits})
	lost, effects := d.i.Step(Spend{}, d.now)
	if len(effects) == 0 {
		t.Fatal("nothing is issued")
	}
	swap, ok := effects[0].(Swap)
	if !ok {
		t.Fatalf("the first effect is %T", effects[0])
	}
	g, _, err := swap.Change.Apply(d.grants[swap.Stage])
	if err != nil {
		t.Fatal(err)
	}
	d.i, d.grants[swap.Stage] = lost, g // it was stored, and reported lost
	d.turn(commits)
	if got, want := d.grants[swap.Stage].Credit(), d.i.Shares.Burst[swap.Stage]; got > want {
		t.Errorf("credit of %d after a repeat, want at most %d", got, want)
	}
	if out, have := d.grants[swap.Stage].Credit(), d.i.Bucket.Balance(d.now.Now); out > have {
		t.Errorf("%d outstanding against %d", out, have)
	}
}

func TestLinesThatTheLedgerMayNotHaveAreRepeatedBeforeTheNextOnes(t *testing.T) {
	t.Parallel()
	line := Line{ID: "books:1:1:drift", Entry: pipeline.Entry{Event: pipeline.EventDrift, Tokens: 7}}
	said := Line{ID: "mode:1:burst:1", Entry: pipeline.Entry{Event: pipeline.EventMode, Note: "unknown to burst"}}
	d := newDesk(t, Balance{State: "burst", Books: Books{Lines: []Line{line}}, StateLine: &said}, nil)
	for _, want := range []string{line.ID, said.ID} {
		if !slices.ContainsFunc(d.lines, func(l Line) bool { return l.ID == want }) {
			t.Errorf("%s was not repeated at the take-over", want)
		}
	}
	b := Succession(Balance{Books: Books{Lines: []Line{line}}}, t0)
	i, _ := Succeed(Setup{Shares: DefaultShares(), Life: ClaimLife}, b, d.grants, d.now) // and it was not written
	_, effects := i.Step(Publish{}, d.now)
	if len(effects) != 1 || effects[0] != (Append{line}) {
		t.Errorf("before anything else is written: %v, want the line", effects)
	}
}

func TestAGrantThatWasIssuedToSinceVoidsThePlan(t *testing.T) {
	t.Parallel()
	g := Grant{Epoch: 3, Issued: 13}
	for _, c := range []Change{Issue{Epoch: 3, From: 0, Tokens: 13}, Revoke{Epoch: 3, From: 0, Keep: 0}} {
		if next, write, err := c.Apply(g); write || err != nil || next.Issued != 13 {
			t.Errorf("%T: %+v, written %t, %v; want nothing done", c, next, write, err)
		}
	}
	if next, write, _ := (Issue{Epoch: 3, From: 13, Tokens: 13}).Apply(g); !write || next.Issued != 26 {
		t.Errorf("%+v, written %t", next, write)
	}
}

func TestWorkWithoutAClaimWaitsAfterASecond(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, claimed())
	d.answer = reading(100, 5)
	backlogs := map[pipeline.Stage]Backlog{pipeline.StageCommitter: {Pending: 2, Unsettled: 3}} // one of them in the claim
	demand := func() int { return d.i.Demand[pipeline.StageCommitter].Tokens / PriceCommit }
	d.turn(backlogs)
	if got := demand(); got != 2 {
		t.Errorf("%d wait, want the 2 that were never delivered", got)
	}
	d.pass(orphanedAfter)
	d.turn(backlogs)
	if got := demand(); got != 4 {
		t.Errorf("%d wait after a second, want the 2 without a claim too", got)
	}
	d.turn(map[pipeline.Stage]Backlog{pipeline.StageCommitter: {Pending: 2, Unsettled: 1}})
	d.turn(backlogs)
	if got := demand(); got != 2 {
		t.Errorf("%d wait: the second starts again", got)
	}
}

func TestAKindThatBrokeItsCeilingGetsNothing(t *testing.T) {
	t.Parallel()
	broke := map[pipeline.Kind]Learned{pipeline.KindCommit: {Overran: PriceCommit + 1}}
	d := newDesk(t, Balance{}, map[pipeline.Stage]Grant{pipeline.StageCommitter: {Learned: broke}})
	d.answer = reading(100, 5)
	d.turn(commits)
	d.turn(commits)
	if got := d.grants[pipeline.StageCommitter].Credit(); got != 0 {
		t.Errorf("%d issued to a kind that may overspend", got)
	}
	n := 0
	for _, l := range d.lines {
		if l.Entry.PriceKind == pipeline.KindCommit && l.Entry.Event == pipeline.EventMode {
			n++
		}
	}
	if n != 1 || d.i.Stopped[pipeline.StageCommitter] == "" {
		t.Errorf("%d lines in the ledger and the notes %q, want one and what to do", n, d.i.Stopped)
	}
}

func TestAnInvalidPolicyLeavesTheLastInForce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	d.turn(nil)
	d.step(WishRead{Mode: []byte("nospend"), Policy: []byte(`{"floor":30}`)})
	d.step(WishRead{Mode: []byte("pasued"), Policy: []byte(`{"flor":30}`)})
	if d.i.Wish != Nospend || d.i.Floor != 30 || d.i.Refused == "" {
		t.Errorf("wish %s, floor %d, refused %q", d.i.Wish, d.i.Floor, d.i.Refused)
	}
	d.step(WishRead{})
	if d.i.Wish != Run || d.i.Floor != 0 || d.i.Refused != "" {
		t.Errorf("after both were removed: wish %s, floor %d, refused %q", d.i.Wish, d.i.Floor, d.i.Refused)
	}
}

func TestAFloorAboveTheBucketOfASmallerPlanIsNoLongerInForce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.i.Reserve = 10
	policy := WishRead{Policy: []byte(`{"floor":250}`)}
	d.answer = reading(100, 5)
	d.turn(nil)
	d.step(policy)
	if d.i.Floor != 250 || d.i.Refused != "" {
		t.Fatalf("floor %d, refused %q", d.i.Floor, d.i.Refused)
	}
	d.answer = reading(50, 1) // the plan is changed: the bucket holds 60
	for range 2 {             // one answer alone may be an error
		d.pass(askIdle)
		d.step(Check{})
		d.step(policy)
	}
	if d.i.Floor != 10 || d.i.Refused == "" {
		t.Errorf("floor %d, refused %q; want the configured 10 and the reason", d.i.Floor, d.i.Refused)
	}
	d.step(DemandRead{Backlogs: commits})
	d.step(Spend{})
	if d.grants[pipeline.StageCommitter].Credit() == 0 {
		t.Error("nothing is issued for what waits")
	}
}

func TestAChangeOfModeIsALineOfTheLedgerOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, Balance{}, nil)
	d.answer = reading(100, 5)
	count := func(note string) (n int) {
		for _, l := range d.lines {
			if l.Entry.Note == note {
				n++
			}
		}
		return n
	}
	d.turn(nil)
	for range 2 {
		d.step(WishRead{Mode: []byte("paused")})
		for range 3 {
			d.step(Publish{})
		}
	}
	if n := count("burst to paused"); n != 1 {
		t.Errorf("%d lines, want one", n)
	}
}
