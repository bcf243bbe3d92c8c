package peeker

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// stepper is a step of the peek loop whose verbs a test calls itself.
type stepper struct {
	*step
	t *testing.T
	d *desk.Desk
}

func newStepper(t *testing.T, d *desk.Desk) stepper {
	t.Helper()
	env := d.Settings(nil)
	cfg, err := process.Load[Config](t.Context(), env.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	p := &peeker{cfg: cfg, env: env, bus: d.Bus, status: worker.NewStatus(env)}
	if p.rules, err = worker.Follow(t.Context(), d.Bus, env, judge, p.status, nil); err != nil {
		t.Fatal(err)
	}
	l, err := p.peekLoop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.turns = token.Turns{}
	return stepper{step: l.step(), t: t, d: d}
}

func openStepper(t *testing.T) stepper {
	t.Helper()
	d := desk.New(t, 1)
	d.Grant(t, pipeline.StagePeeker, 1000)
	return newStepper(t, d)
}

// unit is a listed book in hand.
func (s stepper) unit(n int, source pipeline.Source, g pipeline.Generation) worker.Unit {
	s.t.Helper()
	return worker.Unit{Work: s.d.Work(s.t, s.d.ASINs(keepasim.Good)[n], source, g), Deliveries: 1, Sequence: uint64(n + 1)}
}

// decide is the decision by the step's rules.
func (s stepper) decide(u worker.Unit, f fact) loop.Decision[worker.Effect] {
	f.Judge = s.Judge
	return decidePeek(u, f, s.env.Now())
}

// gathered are the facts of a step that claimed a token for each unit, and what the step paid.
func (s stepper) gathered(units ...worker.Unit) ([]fact, int) {
	s.t.Helper()
	var err error
	before := s.d.Sim.Account().Consumed()
	if s.Claim, err = s.spender.Claim(s.t.Context(), len(units), pipeline.KindPeek, len(units)); err != nil {
		s.t.Fatal(err)
	}
	facts, err := s.gather(s.t.Context(), units)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.Claim != nil {
		s.t.Error("the claim of a step that has ended is open")
	}
	return facts, s.d.Sim.Account().Consumed() - before
}

func TestAnAnswerIsNotPaidForTwice(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u, v := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration), s.unit(1, pipeline.SourceLive, pipeline.FirstGeneration)
	twin := s.unit(0, pipeline.SourceRetry, "retry-1")
	facts, paid := s.gathered(u, v, twin)
	if paid != 2 || facts[0].Answer.ID == "" || facts[0].Answer.ID != facts[2].Answer.ID || facts[0].Answer.CostTo(u.ID)+facts[0].Answer.CostTo(twin.ID) != 1 {
		t.Fatalf("paid %d for two ASINs: %+v", paid, facts)
	}
	other := newStepper(t, s.d) // after a restart, or another worker
	for name, again := range map[string][]worker.Unit{"redelivered": {u, v}, "other work of a young answer": {s.unit(0, pipeline.SourceRetry, "retry-2")}} {
		if facts, paid := other.gathered(again...); paid != 0 || facts[0].Answer.ID == "" {
			t.Errorf("%s: paid %d, %+v", name, paid, facts[0])
		}
	}
	refresh := s.unit(0, pipeline.SourceRefresh, "refresh-1")
	if facts, paid := other.gathered(refresh); paid != 1 || facts[0].Answer.WorkID != refresh.ID {
		t.Errorf("a refresh wants news: paid %d, %+v", paid, facts[0])
	}
	retried := s.unit(1, pipeline.SourceRetry, "retry-3")
	retried.Survivor.Pay = true
	if _, paid := other.gathered(retried); paid != 1 {
		t.Errorf("the operator wants to pay again: paid %d", paid)
	}
	if g := s.grant(); len(g.Open) != 0 || g.Settled != 4 {
		t.Errorf("%d settled, open %v", g.Settled, g.Open)
	}
}

func TestAnAnswerFromBeforeThePriceBeganDoesNotServe(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	for n, c := range []struct {
		began time.Duration // ago
		paid  int
	}{{30 * time.Minute, 1}, {2 * time.Hour, 0}} {
		u := s.unit(n, pipeline.SourceLive, pipeline.FirstGeneration)
		other := s.d.Store(t, pipeline.KindPeek, u.Survivor.ASIN, "another", s.d.Product(t, u.Survivor.ASIN, false), time.Hour)
		u.Row.CreationDate = keepa.FromTime(s.env.Now().Add(-c.began))
		facts, paid := s.gathered(u)
		if used := facts[0].Answer.ID == other; paid != c.paid || used != (c.paid == 0) {
			t.Errorf("a price of %s ago and an answer of an hour ago: paid %d and used it %t, want %d", c.began, paid, used, c.paid)
		}
	}
}

func (s stepper) grant() token.Grant {
	s.t.Helper()
	kv, err := s.bus.Store(s.t.Context(), pipeline.BucketTokens)
	if err != nil {
		s.t.Fatal(err)
	}
	cell := bus.NewCell(kv, pipeline.KeyGrant(pipeline.StagePeeker))
	raw, _, err := cell.Read(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	g, err := bus.Decode[token.Grant](cell, raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

// adjust changes the stage's grant, as tokend or a call's cost would.
func (s stepper) adjust(f func(*token.Grant)) {
	s.t.Helper()
	kv, err := s.bus.Store(s.t.Context(), pipeline.BucketTokens)
	if err != nil {
		s.t.Fatal(err)
	}
	cell := bus.NewCell(kv, pipeline.KeyGrant(pipeline.StagePeeker))
	if _, err := bus.Change(s.t.Context(), cell, func(g token.Grant) (token.Grant, bool, error) {
		f(&g)
		return g, true, nil
	}); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatIsTakenIsWhatTheCreditPaysForAtTheOperatorsCeiling(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	for _, asin := range d.ASINs(keepasim.Good)[:5] {
		d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	}
	d.Grant(t, pipeline.StagePeeker, 5)
	s := newStepper(t, d)
	s.adjust(func(g *token.Grant) { g.Ceilings = map[pipeline.Kind]int{pipeline.KindPeek: 2} })
	batch, err := s.take(t.Context())
	if err != nil || len(batch.Items) != 2 {
		t.Fatalf("took %d of five with a credit of 5 at 2 each, want 2: %v", len(batch.Items), err)
	}
	if g := s.grant(); g.Held() != 4 {
		t.Errorf("reserved %d for two at 2 each", g.Held())
	}
}

func TestAStageWhoseKindIsStoppedWaitsForTokensAlthoughItHasCredit(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	d.Survives(t, d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	d.Grant(t, pipeline.StagePeeker, 100)
	s := newStepper(t, d)
	s.adjust(func(g *token.Grant) { g.Learned = map[pipeline.Kind]token.Learned{pipeline.KindPeek: {Overran: 3}} })
	batch, err := s.take(t.Context())
	if state := s.status.Beat().State; err != nil || len(batch.Items) != 0 || state != "waiting_for_tokens" {
		t.Errorf("took %d, %v, and is %s, want waiting_for_tokens", len(batch.Items), err, state)
	}
}

func TestWhatAnotherWorkerIsBuyingIsNotBought(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u, v := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration), s.unit(1, pipeline.SourceLive, pipeline.FirstGeneration)
	_, done, err := responses.Order(t.Context(), s.bus, 1, pipeline.KindPeek, []string{u.Survivor.ASIN}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	facts, paid := s.gathered(u, v)
	if paid != 1 || !errors.Is(facts[0].Err, worker.ErrOrdered) || facts[1].Answer.ID == "" {
		t.Errorf("paid %d: %+v", paid, facts)
	}
	done()
	if facts, paid := s.gathered(u); paid != 1 || facts[0].Err != nil {
		t.Errorf("after it withdrew: paid %d, %+v", paid, facts[0])
	}
	abroad := s.unit(2, pipeline.SourceLive, pipeline.FirstGeneration)
	abroad.Survivor.Domain = 3
	if facts, _ := s.gathered(v, abroad); !errors.Is(facts[1].Err, worker.ErrElsewhere) {
		t.Errorf("one call asks two marketplaces: %+v", facts[1])
	}
	s.Claim = nil // nospend
	facts, err = s.gather(t.Context(), []worker.Unit{u, s.unit(3, pipeline.SourceLive, pipeline.FirstGeneration)})
	if err != nil || facts[0].Err != nil || !errors.Is(facts[1].Err, worker.ErrNoSpend) {
		t.Errorf("without a claim: %+v, %v", facts, err)
	}
}

func TestACallThatFailsIsSettledAndItsWorkComesBackAFewTimes(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	s.d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindPeek, Do: keepasim.Fail, Status: 503, Probability: 1, Times: 1}}
	})
	facts, _ := s.gathered(u)
	var e *gateway.Error
	if !errors.As(facts[0].Err, &e) || e.Kind != gateway.Server || !s.breaker.Open() {
		t.Fatalf("%+v, blown %t", facts[0], s.breaker.Open())
	}
	if d := s.decide(u, facts[0]); d.Again == nil || d.Never != "" || len(d.Out) != 0 {
		t.Errorf("decided %+v", d)
	}
	if g := s.grant(); len(g.Open) != 0 || g.Unsure != 1 {
		t.Errorf("a call without an answer leaves %+v", g)
	}
	s.breaker.Succeeded()
	for range pipeline.MaxPaid - 1 { // and two that Keepa took money for
		s.begun(u, 1)
	}
	facts, paid := s.gathered(u) // it cannot be known yet whether the first was paid for
	if paid != 0 || !errors.Is(facts[0].Err, worker.ErrPrice) {
		t.Errorf("paid %d, %+v", paid, facts[0])
	}
	s.begun(u, 1)
	facts, paid = s.gathered(u)
	if d := s.decide(u, facts[0]); paid != 0 || d.Never != decide.ReasonNoAnswer || len(d.Out) != 1 {
		t.Errorf("paid for %d times: paid %d more, %+v", pipeline.MaxPaid, paid, d)
	}
}

// begun is a call for a unit that cost so much and brought nothing.
func (s stepper) begun(u worker.Unit, cost int) {
	s.t.Helper()
	c, err := s.spender.Claim(s.t.Context(), 1, pipeline.KindPeek, 1)
	if err == nil {
		err = responses.RecordAttempts(s.t.Context(), s.bus, 1, pipeline.KindPeek, []string{u.ID}, c.ID())
	}
	if err == nil {
		err = c.CloseFailed(s.t.Context(), cost, nil, "malformed")
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestAProductThatIsLeftOutOnceIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	for answered := range pipeline.MaxPaid {
		d := s.decide(u, fact{Missing: true, Attempts: token.Attempts{Calls: answered, Answered: answered}})
		if last := answered+1 == pipeline.MaxPaid; last != (d.Never == decide.ReasonNotFound) || last == d.Returns() {
			t.Errorf("left out %d times: %+v", answered+1, d)
		}
	}
	if d := s.decide(u, fact{Line: &shedding.Line{BelowCents: 100}}); d.Returns() || d.Never != "" || len(d.Out) != 1 || d.Out[0].Seen == nil {
		t.Errorf("under a line: %+v", d)
	}
}

func TestWhatIsTakenCountsForTheWeightOfItsLane(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	s.cfg.Batch = 1
	for _, asin := range s.d.ASINs(keepasim.Good)[:10] {
		for _, lane := range []pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh} {
			s.d.Survives(t, s.d.Work(t, asin, lane, pipeline.Generation(lane)), pipeline.LookGlance, string(lane))
		}
	}
	for range 10 {
		batch, err := s.take(t.Context())
		if err != nil || len(batch.Items) != 1 {
			t.Fatalf("took %d, %v", len(batch.Items), err)
		}
	}
	if live, refresh := s.turns[pipeline.SourceLive], s.turns[pipeline.SourceRefresh]; live != 8 || refresh != 2 {
		t.Errorf("of ten, %d are live and %d refreshes, want 8 and 2", live, refresh)
	}
}

func TestAfterAnOutageOnePeekTriesWhetherKeepaAnswersAgain(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	for _, asin := range s.d.ASINs(keepasim.Good)[:5] {
		s.d.Survives(t, s.d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	}
	past := s.env
	past.Clock = process.NewClock(desk.T0, 1e12)
	s.breaker.Failed(past) // some time ago
	trial, err := s.take(t.Context())
	if held := s.grant().Held(); err != nil || len(trial.Items) != 1 || held != 1 {
		t.Fatalf("the trial took %d for %d tokens, %v", len(trial.Items), held, err)
	}
	s.breaker.Succeeded()
	trial.Release(t.Context())
	rest, err := s.take(t.Context())
	if err != nil || len(rest.Items) != 4 {
		t.Errorf("after the trial: took %d, %v, want the other 4", len(rest.Items), err)
	}
}

// put writes a key of TOKENS.
func put(t *testing.T, d *desk.Desk, key, value string) {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// rising is a desk on which 40 live rows wait, each worth a cent more than
// the one before; the income of an hour decides the last 22 of them.
func rising(t *testing.T) *desk.Desk {
	t.Helper()
	d := desk.New(t, 1)
	put(t, d, pipeline.KeyBalance, `{"est":0,"rate":1}`)
	rise(t, d, 0, 40)
	return d
}

// rise adds live rows that are worth from cents up to below to cents.
func rise(t *testing.T, d *desk.Desk, from, to int) {
	t.Helper()
	asins := append(d.ASINs(keepasim.Good), d.ASINs(keepasim.NoProfit)...)
	for n := from; n < to; n++ {
		w := d.Work(t, asins[n], pipeline.SourceLive, pipeline.FirstGeneration)
		worth := int64(n)
		w.Survivor.ExpectedValueCents = &worth
		d.Survives(t, w, pipeline.LookGlance, "live")
	}
}

// looked is another peeker, with an hour's patience, that has looked at what waits.
func looked(t *testing.T, d *desk.Desk, wish token.Wish) stepper {
	t.Helper()
	s := newStepper(t, d)
	s.cfg.Patience, s.shedder.cfg.Patience = time.Hour, time.Hour
	s.look(wish)
	return s
}

// look looks at what waits.
func (s stepper) look(wish token.Wish) {
	s.t.Helper()
	backlogs, err := s.bus.Backlogs(s.t.Context(), pipeline.StreamSurvivors)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.shedder.check(s.t.Context(), backlogs, wish); err != nil {
		s.t.Fatal(err)
	}
}

func TestEachLookCountsWhatWaitsOnce(t *testing.T) {
	t.Parallel()
	d := rising(t)
	s := looked(t, d, token.Run) // it leaves the 22 that are worth the most
	rise(t, d, 40, 60)
	desk.Await(t, "the new rows to be counted", func() bool {
		backlogs, err := s.bus.Backlogs(t.Context(), pipeline.StreamSurvivors)
		if err != nil {
			t.Fatal(err)
		}
		return backlogs[pipeline.DurablePeek(pipeline.SourceLive)].Pending == 60
	})
	s.shedder.checkedAt = s.shedder.checkedAt.Add(-checkEvery)
	s.look(token.Run)
	if n := len(s.shedder.lanes[pipeline.SourceLive]); n != 60 {
		t.Errorf("%d of 60 rows are in the lane", n)
	}
	lines := s.shedder.lines.Lines
	if last := lines[len(lines)-1]; last.Waiting != 42 || last.Decidable != 22 || last.BelowCents != 38 {
		t.Errorf("the line is drawn below %d cents, with %d waiting and %d decidable; want 38, 42 and 22", last.BelowCents, last.Waiting, last.Decidable)
	}
}

func TestThePriceOfADecisionFollowsTheSurvivorsOfThePeeks(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	put(t, d, pipeline.KeyBalance, `{"est":0,"rate":1}`)
	s := newStepper(t, d)
	for _, c := range []struct {
		outcome pipeline.Outcome
		want    float64
	}{
		{pipeline.Confirm, 2.3}, // a refresh is not counted: one in five survives, as is assumed
		{pipeline.Reject, 1.65}, // one in ten of these and 50 assumed ones
		{pipeline.Survive, 3.6}, // four in ten of all 150
	} {
		effects := make([]worker.Effect, 50)
		for i := range effects {
			effects[i].Verdict.Outcome = c.outcome
		}
		if err := s.apply(t.Context(), effects); err != nil {
			t.Fatal(err)
		}
		m, known, err := s.shedder.means(t.Context(), nil)
		if err != nil || !known || math.Abs(m.Price-c.want) > 1e-9 {
			t.Errorf("after 50 of %s a decision costs %.2f tokens, want %.2f (%t, %v)", c.outcome, m.Price, c.want, known, err)
		}
	}
}

func TestWhatAnotherPeekerShedsIsNotTakenForShedding(t *testing.T) {
	t.Parallel()
	d := rising(t)
	d.Grant(t, pipeline.StagePeeker, 1000)
	first, second := looked(t, d, token.Run), looked(t, d, token.Run)
	shed, err := first.take(t.Context())
	if held := first.grant().Held(); err != nil || len(shed.Items) != 18 || held != 0 {
		t.Fatalf("took %d to shed under a claim of %d, want 18 without one: %v", len(shed.Items), held, err)
	}
	paid, err := second.take(t.Context())
	if held := second.grant().Held(); err != nil || len(paid.Items) != 22 || held != 22 {
		t.Errorf("the other peeker took %d under a claim of %d, want the 22 above the line, paid for: %v", len(paid.Items), held, err)
	}
}

func TestWorkAboveTheLineInAStepThatShedsReturnsBecauseNothingPaysForIt(t *testing.T) {
	t.Parallel()
	d := rising(t)
	s := looked(t, d, token.Run)
	batch, err := s.take(t.Context())
	if err != nil || len(batch.Items) != 18 {
		t.Fatalf("took %d to shed, want 18: %v", len(batch.Items), err)
	}
	valuable := s.unit(3, pipeline.SourceRefresh, "r") // a redelivery comes before what is pending
	facts, err := batch.Gather(t.Context(), []worker.Unit{valuable})
	if err != nil || !errors.Is(facts[0].Err, worker.ErrUnfunded) {
		t.Errorf("it returns because %v, %v; want %v", facts[0].Err, err, worker.ErrUnfunded)
	}
}

func TestNothingIsShedWhilePausedOrWithoutABalanceAndRefreshesNever(t *testing.T) {
	t.Parallel()
	d := rising(t)
	cents := int64(0)
	put := func(key, value string) {
		t.Helper()
		put(t, d, key, value)
	}
	look := func(wish token.Wish) int {
		t.Helper()
		return len(looked(t, d, wish).shedder.lines.Lines)
	}
	if n := look(token.Paused); n != 0 {
		t.Errorf("%d lines are drawn while the operator pauses", n)
	}
	if n := look(token.Nospend); n != 0 {
		t.Errorf("%d lines are drawn in nospend", n)
	}
	for _, balance := range []string{`{"est":0,"rate":0}`, `{`, `{"est":-99999999999999,"rate":1}`} {
		put(pipeline.KeyBalance, balance)
		if n := look(token.Run); n != 0 {
			t.Errorf("%d lines are drawn on a balance of %s", n, balance)
		}
	}
	put(pipeline.KeyBalance, `{"est":0,"rate":1}`)
	if n := look(token.Run); n != 1 {
		t.Fatalf("%d lines are drawn through a flood, want one", n)
	}
	s := newStepper(t, d) // another peeker, which has not looked yet
	refresh, live := s.unit(0, pipeline.SourceRefresh, "r"), s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	refresh.Survivor.ExpectedValueCents, live.Survivor.ExpectedValueCents = &cents, &cents
	facts := make([]fact, 2)
	pay, err := s.shedder.split(t.Context(), []worker.Unit{refresh, live}, []int{0, 1}, facts)
	if err != nil || len(pay) != 2 {
		t.Errorf("a peeker that has read no line sheds: pays for %v, %v", pay, err)
	}
	live.Deliveries = 2 // another may have shed it and died
	pay, err = s.shedder.split(t.Context(), []worker.Unit{refresh, live}, []int{0, 1}, facts)
	if err != nil || len(pay) != 1 || pay[0] != 0 || facts[1].Line == nil || facts[0].Line != nil {
		t.Errorf("pays for %v (%v), lines %v and %v", pay, err, facts[0].Line, facts[1].Line)
	}
}

func TestALineHoldsWhileWorkThatItCoversIsUnsettledInAnyLane(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	s := newStepper(t, d)
	put(t, d, pipeline.KeyShed, `{"lines":[{"up_to":10,"below_cents":500}]}`)
	for i := range 40 {
		worth := int64(i)
		s.shedder.lanes[pipeline.SourceLive] = append(s.shedder.lanes[pipeline.SourceLive], shedding.Waiting{Seq: uint64(21 + i), Cents: &worth})
	}
	for _, c := range []struct {
		settled uint64
		lines   int
	}{{4, 2}, {10, 1}} { // a peeker died when all of its lane was delivered
		backlogs := map[string]bus.Backlog{
			s.durable(pipeline.SourceLive): {Pending: 40, Delivered: 20, Settled: 20},
			s.durable(pipeline.SourceGap):  {Unsettled: int(10 - c.settled), Delivered: 10, Settled: c.settled},
		}
		means := shedding.Means{PerHour: 20, Price: 1, Patience: time.Hour}
		if err := s.shedder.draw(t.Context(), backlogs, means, desk.T0); err != nil || len(s.shedder.lines.Lines) != c.lines {
			t.Errorf("settled up to %d: the lines are %+v, want %d: %v", c.settled, s.shedder.lines.Lines, c.lines, err)
		}
		put(t, d, pipeline.KeyShed, `{"lines":[{"up_to":10,"below_cents":500}]}`)
	}
}

// A survivor is stored before its verdict. The process may die in between.
func TestAVerdictThatIsMissingIsStoredAlthoughALaterLookHasDecided(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := worker.Unit{Work: s.d.Work(t, s.d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration), Origin: "CANDIDATES/1"}
	bad := worker.Unit{Work: s.d.Work(t, s.d.ASINs(keepasim.AmazonCaps)[0], pipeline.SourceLive, pipeline.FirstGeneration), Origin: "CANDIDATES/2"}
	by := func(l pipeline.Look) recalled {
		return recalled{Judge: s.Judge, Known: true, Seen: pipeline.Seen{CreationDate: u.Survivor.CreationDate, Look: l, Outcome: pipeline.Reject}}
	}
	for _, c := range []struct {
		name string
		u    worker.Unit
		n    uint64
		r    recalled
		want int
	}{
		{"redelivered, decided by a peek", u, 2, by(pipeline.LookPeek), 1},
		{"delivered once, decided by a peek", u, 1, by(pipeline.LookPeek), 0},
		{"redelivered, decided by the glance itself", u, 2, by(pipeline.LookGlance), 0},
		{"redelivered, rejected by today's glance", bad, 2, by(pipeline.LookPeek), 0},
	} {
		c.u.Deliveries = c.n
		d := glancer{clock: s.env.Clock}.decide(c.u, c.r, s.env.Now())
		if len(d.Out) != 1 || len(d.Out[0].Messages) != c.want || d.Out[0].Seen != nil {
			t.Errorf("%s: %+v, want %d messages", c.name, d.Out, c.want)
		}
		if c.want == 1 && !strings.HasPrefix(d.Out[0].Messages[0].Subject, "verdict.1.glance.survive.") {
			t.Errorf("%s: %s", c.name, d.Out[0].Messages[0].Subject)
		}
	}
}
