package token

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
)

// engine is Keepa, a tokend and workers, on pure values: the laws are stated over
// its runs.
type engine struct {
	now     time.Time
	rate    int
	balance int // Keepa's truth
	tick    time.Time
	expired int // vanished at a full bucket

	bucket  Bucket
	pos     Position
	shares  Shares
	waiting map[pipeline.Stage]int // items
	open    map[string]call
	calls   int
	spent   map[pipeline.Stage]int
	lowest  int // balance after a call of ours
	refused int
	lastPay time.Time
	longest time.Duration // between paid calls while something waited and the balance was positive
	nextID  int
}

type call struct {
	stage pipeline.Stage
	n     int
	since time.Time
}

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func newEngine(rate, balance int) *engine {
	e := &engine{
		now: t0, rate: rate, balance: balance, tick: t0.Add(Tick), shares: DefaultShares(), lowest: balance,
		waiting: map[pipeline.Stage]int{}, open: map[string]call{}, spent: map[pipeline.Stage]int{}, lastPay: t0,
	}
	e.pos = Position{Grants: map[pipeline.Stage]Grant{}, Base: map[pipeline.Stage]int{}, Opened: t0, Start: balance}
	for _, s := range pipeline.Stages() {
		e.pos.Grants[s] = Grant{Epoch: 1}
	}
	e.bucket = e.bucket.Probed(e.reading(), e.now)
	return e
}

func (e *engine) reading() pipeline.Reading {
	return pipeline.Reading{TS: e.now.UnixMilli(), Left: e.balance, Rate: e.rate, RefillInMS: e.tick.Sub(e.now).Milliseconds()}
}

func (e *engine) pass(d time.Duration) {
	e.now = e.now.Add(d)
	for !e.tick.After(e.now) {
		room := max(0, Minutes*e.rate-e.balance)
		add := min(e.rate, room)
		e.balance += add
		e.expired += e.rate - add
		e.tick = e.tick.Add(Tick)
	}
	if !e.works() || e.balance <= 0 {
		e.lastPay = e.now
	}
	e.longest = max(e.longest, e.now.Sub(e.lastPay))
}

func (e *engine) works() bool {
	for _, n := range e.waiting {
		if n > 0 {
			return true
		}
	}
	return false
}

// plan is a turn of tokend: demand, take back, issue.
func (e *engine) plan(t interface{ Fatalf(string, ...any) }) {
	e.pos.Bucket = e.bucket
	e.pos.Demand = map[pipeline.Stage]Demand{}
	for _, s := range pipeline.Stages() {
		e.pos.Demand[s] = Demand{Tokens: e.waiting[s] * StepOf(s), Step: StepOf(s)}
	}
	for _, s := range pipeline.Stages() {
		g, err := e.pos.Grants[s].Revoke(1, e.shares.Keep(e.pos, s, true, e.now))
		if err != nil {
			t.Fatalf("revoke: %v", err)
		}
		e.pos.Grants[s] = g
		if e.waiting[s] == 0 {
			e.pos.Base[s] = e.shares.Forgive(e.pos, s)
		}
	}
	issue, wait, _ := e.shares.Plan(e.pos, e.now)
	e.pos.Saving = wait
	for s, q := range issue {
		g, err := e.pos.Grants[s].Issue(1, q)
		if err != nil || q <= 0 {
			t.Fatalf("issue %d to %s: %v", q, s, err)
		}
		e.pos.Grants[s], e.pos.Issued = g, e.now
	}
	// T2: what is outstanding never exceeds what it was issued against.
	out := 0
	for _, g := range e.pos.Grants {
		out += g.Credit() + g.Held()
		if g.Claimed > g.Issued {
			t.Fatalf("claimed %d of %d issued", g.Claimed, g.Issued)
		}
	}
	if len(issue) > 0 && out > e.bucket.Balance(e.now) {
		t.Fatalf("outstanding %d against a balance of %d", out, e.bucket.Balance(e.now))
	}
}

// claim opens a claim if the stage has work and credit for it.
func (e *engine) claim(s pipeline.Stage) bool {
	n := StepOf(s)
	if e.waiting[s] == 0 {
		return false
	}
	e.nextID++
	id := string(s) + time.Duration(e.nextID).String()
	g, err := e.pos.Grants[s].Take(id, Hold{N: n, Items: 1})
	if err != nil {
		return false
	}
	e.pos.Grants[s] = g
	e.waiting[s]--
	e.open[id] = call{stage: s, n: n, since: e.now}
	return true
}

// pay calls Keepa under a claim at price cost and closes it.
func (e *engine) pay(id string, cost int, told bool) {
	c := e.open[id]
	delete(e.open, id)
	g := e.pos.Grants[c.stage]
	if e.balance <= 0 {
		e.refused++
		r := e.reading()
		e.waiting[c.stage]++
		e.pos.Grants[c.stage] = g.Settle(id, 0, &r)
		e.bucket = e.bucket.Heard(r, e.now)
		return
	}
	e.balance -= cost
	e.calls++
	e.lowest = min(e.lowest, e.balance)
	e.spent[c.stage] += cost
	e.lastPay = e.now
	if !told {
		e.pos.Grants[c.stage] = g.SettleUnknown(id)
		e.bucket = e.bucket.Owe(e.pos.Grants[c.stage].Unsure-g.Unsure, e.now)
		return
	}
	r := e.reading()
	e.pos.Grants[c.stage] = g.Settle(id, cost, &r)
	e.bucket = e.bucket.Heard(r, e.now)
}

func (e *engine) anyOpen() string {
	for id := range e.open {
		return id
	}
	return ""
}

func TestLawsHoldOverRandomRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(31, 5000)).Draw(t, "rate")
		e := newEngine(rate, rapid.IntRange(-350, Minutes*rate).Draw(t, "balance"))
		start := e.balance
		for range rapid.IntRange(20, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s := rapid.SampledFrom(pipeline.Stages()).Draw(t, "stage")
				e.waiting[s] += rapid.IntRange(1, 50).Draw(t, "work")
			case 1, 2, 3:
				e.pass(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			case 4, 5:
				e.claim(rapid.SampledFrom(pipeline.Stages()).Draw(t, "stage"))
			case 6, 7:
				if id := e.anyOpen(); id != "" {
					e.pay(id, rapid.IntRange(0, e.open[id].n).Draw(t, "cost"), rapid.IntRange(0, 9).Draw(t, "told") > 0)
				}
			case 8: // a worker dies before its call; tokend asks, then gives the claim up
				if id := e.anyOpen(); id != "" {
					c := e.open[id]
					delete(e.open, id)
					e.bucket = e.bucket.Probed(e.reading(), e.now)
					g, err := e.pos.Grants[c.stage].Reap(1, id)
					if err != nil {
						t.Fatal(err)
					}
					e.pos.Grants[c.stage] = g
					e.waiting[c.stage]++
				}
			case 9:
				e.plan(t)
			}
		}
		// T2, the other way: no call of ours took the balance below zero, where it was not before.
		if e.lowest < min(0, start) {
			t.Fatalf("a call took the balance to %d", e.lowest)
		}
		if e.refused > 0 {
			t.Fatalf("%d calls were refused that the plan could have avoided", e.refused)
		}
	})
}

// serve lets every stage with work claim and pay at once, as idle workers would.
func (e *engine) serve(cost func(pipeline.Stage) int) {
	for again := true; again; {
		again = false
		for _, s := range pipeline.Stages() {
			if e.claim(s) {
				for id, c := range e.open {
					if c.stage == s {
						e.pay(id, cost(s), true)
					}
				}
				again = true
			}
		}
	}
}

func realPrice(s pipeline.Stage) int {
	if s == pipeline.StageCommitter {
		return 6
	}
	return StepOf(s)
}

func TestNoWaitWithoutADeadline(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 100).Draw(t, "rate")
		e := newEngine(rate, rapid.IntRange(-350, Minutes*rate).Draw(t, "balance"))
		for _, s := range pipeline.Stages() {
			if rapid.Bool().Draw(t, string(s)) {
				e.waiting[s] = 1 << 20
			}
		}
		for range 20 {
			e.plan(t)
			e.serve(realPrice)
			e.pass(30 * time.Second)
			for range 10 {
				e.plan(t)
				e.serve(realPrice)
				e.pass(15 * time.Second)
			}
		}
		cheapest := 0
		for s, n := range e.waiting {
			if n > 0 && (cheapest == 0 || StepOf(s) < cheapest) {
				cheapest = StepOf(s)
			}
		}
		bound := max(10*time.Minute, time.Duration(cheapest/rate+2)*Tick)
		if e.longest > bound {
			t.Fatalf("no paid call for %s at rate %d (balance %d, credit %v)", e.longest, rate, e.balance, e.pos.Grants)
		}
		if cheapest > 0 && e.expired > 0 {
			t.Fatalf("%d tokens expired while work waited", e.expired)
		}
	})
}

func TestIncomeIsDividedByWeightWhileAllHaveWork(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{2, 5, 25} {
		e := newEngine(rate, 0)
		for _, s := range pipeline.Stages() {
			e.waiting[s] = 1 << 20
		}
		for e.now.Before(t0.Add(6 * time.Hour)) {
			e.plan(t)
			e.serve(realPrice)
			e.pass(20 * time.Second)
		}
		total := 0
		for _, n := range e.spent {
			total += n
		}
		for s, w := range e.shares.Weight {
			slack := max(5, 100*PriceCommit/max(1, total))
			if got := 100 * e.spent[s] / total; got < w-slack || got > w+slack {
				t.Errorf("rate %d: %s spent %d %% of %d tokens, weight %d", rate, s, got, total, w)
			}
		}
	}
}

func TestMoreIncomeNeverMeansFewerCalls(t *testing.T) {
	t.Parallel()
	before := 0
	for _, rate := range []int{1, 2, 3, 4, 5, 6, 8, 10, 15, 25, 40} {
		e := newEngine(rate, 0)
		e.waiting[pipeline.StagePeeker], e.waiting[pipeline.StageCommitter] = 1<<20, 1<<20
		for e.now.Before(t0.Add(6 * time.Hour)) {
			e.plan(t)
			e.serve(realPrice)
			e.pass(20 * time.Second)
		}
		if e.calls < before {
			t.Errorf("rate %d: %d calls, fewer than the %d of a smaller plan", rate, e.calls, before)
		}
		before = e.calls
	}
}

func TestDiscoveryStaysWithinItsPartOfTheIncome(t *testing.T) {
	t.Parallel()
	e := newEngine(5, 300)
	e.waiting[pipeline.StageWatermarker], e.waiting[pipeline.StagePeeker] = 1<<20, 1<<20
	for e.now.Before(t0.Add(24 * time.Hour)) {
		e.plan(t)
		e.serve(realPrice)
		e.pass(20 * time.Second)
	}
	income := int(24*time.Hour/Tick) * 5
	if got := e.spent[pipeline.StageWatermarker]; got > 300+income*15/100 {
		t.Errorf("discovery spent %d of an income of %d", got, income)
	}
}
