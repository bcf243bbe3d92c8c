package trial

import (
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/token"
)

// Engine is one tokend, the grants as NATS keeps them, and the workers' claims.
type Engine struct {
	Keepa
	Rules   token.Rules
	Shares  token.Shares
	Phase   token.Phase
	Bucket  token.Bucket
	Grants  map[pipeline.Stage]token.Grant
	Waiting map[pipeline.Stage]int // steps of work that nobody has taken
	Open    map[string]Call
	Silent  bool // /token does not answer

	Drift     int // what the books blame on others, or on answers that never came
	Vanished  int // what they say expired
	Calls     int
	Refused   int // 429s that nothing but our own plan explains
	Lowest    int // the lowest balance after a call of ours, less what others took unseen
	Longest   time.Duration
	Pauses    int           // recharges begun
	LongPause time.Duration // the longest of them
	Ended     map[string]int
	Lost      int // claims whose worker died
	MostOwed  int // the most that may have been gone while nobody could tell
	Wasted    int // tokens that expired while work waited and spending was due

	pos     token.Position
	epoch   uint64
	wanted  bool
	told    int // what others had taken at the last answer
	booked  pipeline.Reading
	settled int
	idle    time.Time // since when nothing was paid although something could be
	ids     int
}

// Call is an open claim.
type Call struct {
	Stage pipeline.Stage
	N     int
	Since time.Time
	Dead  bool // its worker will not close it
}

// New is an engine that has just asked Keepa for the balance.
func New(now time.Time, rate, balance int, rules token.Rules) *Engine {
	e := &Engine{
		Keepa: newKeepa(now, rate, balance), Rules: rules, Shares: token.DefaultShares(),
		Grants: map[pipeline.Stage]token.Grant{}, Waiting: map[pipeline.Stage]int{}, Open: map[string]Call{},
		Lowest: max(0, balance), Ended: map[string]int{}, idle: now,
	}
	for _, s := range pipeline.Stages() {
		e.Grants[s] = token.Grant{}
	}
	e.pos = token.Position{Base: map[pipeline.Stage]int{}, Opened: now, Start: balance}
	e.TakeOver()
	return e
}

// TakeOver is a new tokend: a later epoch, and no belief but Keepa's answer, or
// while Keepa is silent what its predecessor left.
func (e *Engine) TakeOver() {
	e.epoch++
	for s, g := range e.Grants {
		if next, err := g.Adopt(e.epoch); err == nil {
			e.Grants[s] = next
		}
		e.pos.Base[s] = token.Used(e.Grants[s])
	}
	before := e.Bucket
	e.Bucket, e.wanted, e.idle = token.Bucket{}, true, e.Now
	if e.probe(); e.Silent {
		e.standIn(before)
	}
	if e.booked == (pipeline.Reading{}) && e.Bucket.Known {
		e.booked = e.Bucket.Reading
	}
}

// standIn makes a balance from what the last tokend and the workers left: as if it
// had just been heard, so that no refill counts that this one did not live through.
func (e *Engine) standIn(before token.Bucket) {
	var newest *pipeline.Reading
	if before.Known {
		newest = &before.Reading
	}
	for _, g := range e.Grants {
		newest = token.Newer(newest, g.API)
	}
	if newest == nil {
		return
	}
	r := *newest
	if before.Known {
		r.Rate = min(r.Rate, before.Rate()) // a slip of one answer is not believed now either
	}
	e.Bucket = token.Bucket{}.Probed(r, e.Now).Owe(before.Owed, e.Now)
}

// Fenced tries to issue as a tokend of an earlier epoch would, and reports
// whether anything moved.
func (e *Engine) Fenced(s pipeline.Stage, n int) bool {
	g, err := e.Grants[s].Issue(e.epoch-1, n)
	return err == nil || g.Issued != e.Grants[s].Issued
}

// probe asks the free question.
func (e *Engine) probe() {
	if e.Silent {
		return
	}
	e.Bucket = e.Bucket.Probed(e.reading(), e.Now)
	e.told, e.wanted = e.Foreign, false
}

// hear gives tokend a reading that a worker left in its grant.
func (e *Engine) hear(r pipeline.Reading) {
	e.Bucket = e.Bucket.Heard(r, e.Now)
	e.told = e.Foreign
}

// Pass lets time go by and keeps the figures.
func (e *Engine) Pass(d time.Duration) {
	expired := e.Expired
	e.pass(d)
	e.watch()
	if e.works() && e.Phase.Mode == token.Burst {
		e.Wasted += e.Expired - expired
	}
}

// watch notes how long nothing was paid while work waited and tokens were there.
func (e *Engine) watch() {
	if !e.works() || e.Balance <= 0 {
		e.idle = e.Now
	}
	e.MostOwed = max(e.MostOwed, e.Bucket.Owed)
	e.Longest = max(e.Longest, e.Now.Sub(e.idle))
}

func (e *Engine) works() bool {
	for _, n := range e.Waiting {
		if n > 0 {
			return true
		}
	}
	return false
}

// Turn is one turn of tokend: learn, give dead claims up, pause or spend, take
// back, issue. It returns what broke a law, or nil.
func (e *Engine) Turn() error {
	e.reap()
	age := e.Now.Sub(e.Bucket.At)
	if e.wanted || !e.Bucket.Known || age > time.Hour || age > 5*time.Minute && e.works() {
		e.probe()
	}
	e.book()
	e.pos.Bucket, e.pos.Grants = e.Bucket, e.Grants
	e.pos.Floor = 0
	if e.Rules.Floor != nil {
		e.pos.Floor = *e.Rules.Floor
	}
	e.pos.Demand = map[pipeline.Stage]token.Demand{}
	claimed := 0
	for _, s := range pipeline.Stages() {
		e.pos.Demand[s] = token.Demand{Tokens: e.Waiting[s] * token.StepOf(s), Step: token.StepOf(s)}
		claimed += e.Grants[s].Claimed
	}
	e.pause(claimed)
	spend := e.Phase.Mode == token.Burst
	shares := e.Rules.Over(e.Shares)
	for _, s := range pipeline.Stages() {
		g, err := e.Grants[s].Revoke(e.epoch, shares.Keep(e.pos, s, spend, e.Now))
		if err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		e.Grants[s] = g
		if e.Waiting[s] == 0 && g.Held() == 0 {
			e.pos.Base[s] = shares.Forgive(e.pos, s)
		}
	}
	if !spend {
		return nil
	}
	issue, wait, _ := shares.Plan(e.pos, e.Now)
	e.pos.Saving = wait
	for s, q := range issue {
		g, err := e.Grants[s].Issue(e.epoch, q)
		if err != nil || q <= 0 {
			return fmt.Errorf("issue %d to %s: %w", q, s, err)
		}
		e.Grants[s], e.pos.Issued = g, e.Now
	}
	return e.covered(len(issue) > 0)
}

// covered is the law that permission never exceeds the balance that it was issued
// against.
func (e *Engine) covered(issued bool) error {
	out := 0
	for s, g := range e.Grants {
		out += g.Credit() + g.Held()
		if g.Claimed > g.Issued {
			return fmt.Errorf("%s claimed %d of %d issued", s, g.Claimed, g.Issued)
		}
	}
	if have := e.Bucket.Balance(e.Now) - e.pos.Floor; issued && out > have {
		return fmt.Errorf("outstanding %d against a balance of %d", out, have)
	}
	return nil
}

// pause asks the policy and counts what it does.
func (e *Engine) pause(claimed int) {
	before := e.Phase
	e.Phase = e.Rules.Choose().Next(before, token.View{Bucket: e.Bucket, Claimed: claimed, Waiting: e.pos.Waiting()}, e.Now)
	switch {
	case before.Mode != token.Recharge && e.Phase.Mode == token.Recharge:
		e.Pauses++
	case before.Mode == token.Recharge && e.Phase.Mode != token.Recharge:
		e.Ended[e.Phase.EndedBy]++
		e.LongPause = max(e.LongPause, e.Now.Sub(before.Since))
		if e.Phase.EndedBy == "deadline" {
			e.wanted = true
		}
	}
}

// reap gives up claims that have outlived their life, after the free question.
func (e *Engine) reap() {
	for id, c := range e.Open {
		if !c.Dead || e.Now.Sub(c.Since) <= token.ClaimLife {
			continue
		}
		if e.probe(); e.Silent {
			e.Bucket = e.Bucket.Owe(c.N, e.Now)
		}
		if g, err := e.Grants[c.Stage].Reap(e.epoch, id); err == nil {
			e.Grants[c.Stage] = g
			delete(e.Open, id)
		}
	}
}

// book explains the newest reading while no claim is open.
func (e *Engine) book() {
	if len(e.Open) > 0 || !e.Bucket.Known || e.Bucket.Owed > 0 || e.Bucket.Reading == e.booked || !e.Bucket.Settled() {
		return
	}
	settled := 0
	for _, g := range e.Grants {
		settled += g.Settled
	}
	expired, drift := token.Reconcile(e.booked, e.Bucket.Reading, e.Bucket.Period(), settled-e.settled)
	e.booked, e.settled = e.Bucket.Reading, settled
	e.Drift, e.Vanished = e.Drift+drift, e.Vanished+expired
}

// Take claims one step for a stage that has work and credit.
func (e *Engine) Take(s pipeline.Stage) (id string, ok bool) {
	if e.Waiting[s] == 0 {
		return "", false
	}
	e.ids++
	id = fmt.Sprintf("%s.%d", s, e.ids)
	n := token.StepOf(s)
	g, err := e.Grants[s].Take(id, token.Hold{N: n, Items: 1})
	if err != nil {
		return "", false
	}
	e.Grants[s] = g
	e.Waiting[s]--
	e.Open[id] = Call{Stage: s, N: n, Since: e.Now}
	return id, true
}

// Outcome is how a call ends.
type Outcome int

// The outcomes.
const (
	Told      Outcome = iota // the answer came, and the close landed
	ToldTwice                // the close was reported lost and repeated
	Unheard                  // charged, and no answer came
	Undone                   // the claim's write was reported lost: given back before any call
	DiesAfter                // charged, and the worker died before it could close
	DiesFirst                // the worker died before the call
)

// End ends a claim.
func (e *Engine) End(id string, cost int, how Outcome) {
	c, ok := e.Open[id]
	if !ok || c.Dead {
		return
	}
	switch how {
	case Undone:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, 0, nil) })
		e.Waiting[c.Stage]++
		return
	case DiesFirst:
		c.Dead = true
		e.Open[id] = c
		e.Lost++
		e.idle = e.Now // the deadline runs from the last thing that was lost
		e.Waiting[c.Stage]++
		return
	case Told, ToldTwice, Unheard, DiesAfter:
	}
	if !e.pay(c, id, cost) {
		return
	}
	r := e.reading()
	switch how {
	case DiesAfter:
		c.Dead = true
		e.Open[id] = c
		e.Lost++
		e.Waiting[c.Stage]++
	case Unheard:
		before := e.Grants[c.Stage].Unsure
		e.close(id, func(g token.Grant) token.Grant { return g.SettleUnknown(id) })
		e.Bucket = e.Bucket.Owe(e.Grants[c.Stage].Unsure-before, e.Now)
		e.wanted = true
	case ToldTwice:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, cost, &r).Settle(id, cost, &r) })
		e.hear(r)
	case Told, Undone, DiesFirst:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, cost, &r) })
		e.hear(r)
	}
}

// pay is the call itself; after a refusal the claim is closed and the work waits.
func (e *Engine) pay(c Call, id string, cost int) bool {
	unseen := e.Foreign - e.told
	if !e.charge(c.Stage, cost) {
		if unseen == 0 && e.Clipped == 0 {
			e.Refused++
		}
		r := e.reading()
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, 0, &r) })
		e.hear(r)
		e.Waiting[c.Stage]++
		return false
	}
	e.Calls++
	if e.Clipped == 0 {
		e.Lowest = min(e.Lowest, e.Balance+unseen)
	}
	e.idle = e.Now
	return true
}

func (e *Engine) close(id string, f func(token.Grant) token.Grant) {
	c := e.Open[id]
	delete(e.Open, id)
	e.Grants[c.Stage] = f(e.Grants[c.Stage])
}

// Serve lets every stage claim and pay for as long as it can, as idle workers do.
func (e *Engine) Serve(price func(pipeline.Stage) int) {
	for again := true; again; {
		again = false
		for _, s := range pipeline.Stages() {
			if id, ok := e.Take(s); ok {
				e.End(id, price(s), Told)
				again = true
			}
		}
	}
	e.watch()
}

// Explained are the tokens that the books account for: closed calls, and drift.
func (e *Engine) Explained() int {
	n := e.Drift
	for _, g := range e.Grants {
		n += g.Settled
	}
	return n
}
