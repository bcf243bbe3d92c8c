package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// Engine drives the token.Issuer that tokend interprets, over the grants, the
// balance and the ledger as NATS stores them, and the workers' claims: months of
// pipeline time in a second, with every fault at any step. The laws of the tokens
// are stated over its runs.
//
//	Keepa (truth) ──Reading──▶ Engine: bucket, shares, policy ──grants──▶ workers
//	      ▲                                                                 │
//	      └───────────────────────────── calls ─────────────────────────────┘
type Engine struct {
	Keepa
	Issuer  token.Issuer
	Rules   token.Rules // the operator's policy
	Grants  map[pipeline.Stage]token.Grant
	Waiting map[pipeline.Stage]int // steps of work that no worker has taken
	Open    map[string]Call
	Silent  bool // /token does not answer
	// Fault returns the fault of an effect; nil for no faults.
	Fault func(token.Effect) Fault

	Calls     int
	Refused   int // 429s that only our own plan explains
	Lowest    int // the lowest balance after a call of ours, less what others took unseen
	Longest   time.Duration
	Pauses    int           // recharges begun
	LongPause time.Duration // the longest of them
	Ended     map[string]int
	Lost      int // claims with a dead worker
	Faults    int // effects that were lost, or reported lost
	StoodIn   int // balances made from a predecessor's
	StoodDebt int // the most that one of them was below 0
	TakenBack int // swaps that took permission back
	MostOwed  int // the most that may have been spent without a reading to show it
	Wasted    int // tokens that expired while work waited and spending was due

	balance token.Balance             // as stored
	ledger  map[string]pipeline.Entry // by id
	shown   int                       // what others had taken at the issuer's newest reading
	foreign map[pipeline.Reading]int  // what others had taken, by reading
	idle    time.Time                 // since when nothing was paid although something could be
	ids     int
}

// Call is an open claim.
type Call struct {
	Stage pipeline.Stage
	N     int
	Since time.Time
	Dead  bool // its worker will not close it
}

// Fault is the fault of a write.
type Fault int

// The faults.
const (
	Fine        Fault = iota
	NotDone           // it is lost
	NotReported       // it is done, and reported lost
)

var errFault = errors.New("the effect was reported lost")

// newEngine returns an engine whose issuer has taken over and asked Keepa for the balance.
func newEngine(now time.Time, rate, balance int, rules token.Rules) *Engine {
	e := &Engine{
		Keepa: newKeepa(now, rate, balance), Rules: rules,
		Grants: map[pipeline.Stage]token.Grant{}, Waiting: map[pipeline.Stage]int{}, Open: map[string]Call{},
		Lowest: max(0, balance), Ended: map[string]int{}, idle: now,
		ledger: map[string]pipeline.Entry{}, foreign: map[pipeline.Reading]int{},
	}
	for _, s := range pipeline.Stages() {
		e.Grants[s] = token.Grant{}
	}
	e.TakeOver()
	if err := e.Turn(); err != nil {
		panic(err) // nothing has happened that could break a law
	}
	return e
}

// TakeOver starts a new tokend: a later epoch that relies only on Keepa's
// answer, or while Keepa is silent on the predecessor's balance.
func (e *Engine) TakeOver() {
	e.idle = e.Now
	e.balance = token.Succession(e.balance, e.Now)
	for s, g := range e.Grants {
		if next, err := g.Adopt(e.balance.Epoch); err == nil {
			e.Grants[s] = next
		}
	}
	setup := token.Setup{Shares: token.DefaultShares(), Life: token.ClaimLife}
	var effects []token.Effect
	e.Issuer, effects = token.Succeed(setup, e.balance, maps.Clone(e.Grants), e.moment())
	_ = e.carried(e.Issuer.CarryOut(effects, e.moment, e.effect)) // what is lost is repeated in the first turn
}

// moment returns now; the machine's clock runs at the pipeline's speed.
func (e *Engine) moment() token.Moment { return token.Moment{Now: e.Now, Machine: e.Now} }

// Turn runs one turn of tokend. It returns the law that broke, or nil; an effect that is reported lost ends the turn.
func (e *Engine) Turn() error {
	before, stood := e.Issuer.Phase, e.StoodIn
	err := e.turn()
	if e.StoodIn > stood {
		e.StoodDebt = max(e.StoodDebt, -e.Issuer.Bucket.Reading.Left)
	}
	e.MostOwed = max(e.MostOwed, e.Issuer.Bucket.Owed)
	e.paused(before)
	if errors.Is(err, errFault) {
		return nil
	}
	return err
}

func (e *Engine) turn() error {
	policy, err := json.Marshal(e.Rules)
	if err != nil {
		return err
	}
	demand := token.DemandRead{Backlogs: map[pipeline.Stage]token.Backlog{
		pipeline.StagePeeker: e.backlog(pipeline.StagePeeker), pipeline.StageCommitter: e.backlog(pipeline.StageCommitter),
	}}
	const most = 2000 // polls that become due together; more than any share pays for in a turn
	for range min(most, e.Waiting[pipeline.StageWatermarker]+e.open(pipeline.StageWatermarker)) {
		demand.Polls = append(demand.Polls, e.Now)
	}
	for _, event := range []token.Event{
		token.GrantsRead{Grants: maps.Clone(e.Grants)}, token.Check{}, token.WishRead{Policy: policy}, demand,
	} {
		if err := e.step(event); err != nil {
			return err
		}
	}
	issued := e.issued()
	if err := errors.Join(e.step(token.Spend{}), e.covered(e.issued() > issued)); err != nil {
		return err
	}
	return e.carried(e.Issuer.Flush(e.moment, e.effect))
}

// backlog returns the messages of a stage's durables; the work of an open claim was delivered.
func (e *Engine) backlog(s pipeline.Stage) token.Backlog {
	return token.Backlog{Pending: e.Waiting[s], Unsettled: e.open(s)}
}

// open returns the number of a stage's open claims.
func (e *Engine) open(s pipeline.Stage) int { return len(e.Grants[s].Open) }

func (e *Engine) issued() int {
	n := 0
	for _, g := range e.Grants {
		n += g.Issued
	}
	return n
}

func (e *Engine) step(event token.Event) error {
	return e.carried(e.Issuer.Run(event, e.moment, e.effect))
}

// carried stores the issuer, and records what others had taken at its newest reading.
func (e *Engine) carried(next token.Issuer, err error) error {
	e.Issuer = next
	if foreign, ok := e.foreign[next.Bucket.Reading]; ok && next.Bucket.Known {
		e.shown = foreign
	}
	return err
}

// effect carries one out, or loses it, or its report.
func (e *Engine) effect(effect token.Effect) (token.Event, error) {
	fault := Fine
	if e.Fault != nil {
		fault = e.Fault(effect)
	}
	if _, ask := effect.(token.Ask); ask && fault != Fine {
		return token.Unanswered{Note: "timed out"}, nil
	}
	if fault == NotDone {
		return nil, errFault
	}
	event, err := e.do(effect)
	if fault == NotReported {
		return nil, errors.Join(err, errFault)
	}
	return event, err
}

func (e *Engine) do(effect token.Effect) (token.Event, error) {
	switch effect := effect.(type) {
	case token.Ask:
		if e.Silent {
			return token.Unanswered{Note: "silent"}, nil
		}
		return token.Answered{Reading: e.answer()}, nil
	case token.Reread:
		return token.GrantsRead{Grants: maps.Clone(e.Grants), Again: true}, nil
	case token.Append:
		if _, known := e.ledger[effect.Line.ID]; !known {
			e.ledger[effect.Line.ID] = effect.Line.Entry
		}
		return token.Appended(effect), nil
	case token.Swap:
		g, write, err := effect.Change.Apply(e.Grants[effect.Stage])
		if err != nil {
			return nil, fmt.Errorf("swap of %s: %w", effect.Stage, err)
		}
		switch c := effect.Change.(type) {
		case token.Reap:
			e.reaped(c.Claim)
		case token.Revoke:
			e.TakenBack++
		}
		if write {
			e.Grants[effect.Stage] = g
		}
		return token.Swapped{Swap: effect, Grant: e.Grants[effect.Stage]}, nil
	case token.Write:
		e.balance = effect.Balance
		return token.Written(effect), nil
	case token.Warn:
		if effect.Text == token.WarnNoAnswer {
			e.StoodIn++
		}
	}
	return nil, nil //nolint:nilnil // a warning is answered by nothing
}

// reaped forgets a claim of a dead worker; a live one may still close it.
func (e *Engine) reaped(id string) {
	if e.Open[id].Dead {
		delete(e.Open, id)
	}
}

// answer returns a reading, and records what of others it shows.
func (e *Engine) answer() pipeline.Reading {
	r := e.reading()
	e.foreign[r] = e.Foreign
	return r
}

// Spike is one answer with a wrong rate, unless the last was one
// too: two in a row cannot be distinguished from a new plan.
func (e *Engine) Spike(factor int) {
	if e.Issuer.Bucket.Reading.Rate != e.Rate {
		return
	}
	r := e.answer()
	r.Rate *= factor
	e.foreign[r] = e.Foreign
	e.Grants[pipeline.StagePeeker] = e.Grants[pipeline.StagePeeker].Settle("", 0, &r)
}

// Living returns the open claims of live workers, in order.
func (e *Engine) Living() []string {
	var ids []string
	for id, c := range e.Open {
		if !c.Dead {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Nth returns a fault of one effect of a turn, counted from 0.
func (e *Engine) Nth(n int, f Fault) func(token.Effect) Fault {
	return func(token.Effect) Fault {
		if n--; n == -1 {
			e.Faults++
			return f
		}
		return Fine
	}
}

// Fenced tries to issue as a tokend of an earlier epoch would, and reports whether anything changed.
func (e *Engine) Fenced(s pipeline.Stage, n int) bool {
	g := e.Grants[s]
	next, write, err := token.Issue{Epoch: g.Epoch - 1, From: g.Issued, Tokens: n}.Apply(g)
	return err == nil || write || next.Issued != g.Issued
}

// Pass advances time and keeps the figures.
func (e *Engine) Pass(d time.Duration) {
	expired := e.Expired
	e.pass(d)
	e.watch()
	if e.works() && e.Issuer.Phase.Mode == token.Burst {
		e.Wasted += e.Expired - expired
	}
}

// watch records how long nothing was paid while work waited and tokens were available.
func (e *Engine) watch() {
	if !e.works() || e.Balance <= 0 {
		e.idle = e.Now
	}
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

// covered is the law that permission never exceeds the balance that it was issued against.
func (e *Engine) covered(issued bool) error {
	out := 0
	for s, g := range e.Grants {
		out += g.Credit() + g.Held()
		if g.Claimed > g.Issued {
			return fmt.Errorf("%s claimed %d of %d issued", s, g.Claimed, g.Issued)
		}
	}
	if have := e.Issuer.Bucket.Balance(e.Now) - e.Issuer.Floor; issued && out > have {
		return fmt.Errorf("outstanding %d against a balance of %d", out, have)
	}
	return nil
}

// paused counts the policy's pauses.
func (e *Engine) paused(before token.Phase) {
	switch after := e.Issuer.Phase; {
	case before.Mode != token.Recharge && after.Mode == token.Recharge:
		e.Pauses++
	case before.Mode == token.Recharge && after.Mode != token.Recharge:
		e.Ended[after.EndedBy]++
		e.LongPause = max(e.LongPause, e.Now.Sub(before.Since))
	}
}

// Take claims one step for a stage that has work and credit.
func (e *Engine) Take(s pipeline.Stage) (id string, ok bool) {
	if e.Waiting[s] == 0 {
		return "", false
	}
	e.ids++
	id = fmt.Sprintf("%s.%d", s, e.ids)
	n := token.Price(token.KindOf(s))
	g, err := e.Grants[s].Take(id, token.Hold{N: n, Kind: token.KindOf(s), Items: 1})
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
	Answered      Outcome = iota // answered, and the close was stored
	AnsweredTwice                // the close was reported lost and repeated
	Unanswered                   // charged, and no answer came
	Undone                       // the claim's write was reported lost: given back before any call
	DiesAfter                    // charged, and the worker died before it could close
	DiesFirst                    // the worker died before the call
)

// End ends a claim. One that is too old for its call is given back.
func (e *Engine) End(id string, cost int, how Outcome) {
	c, ok := e.Open[id]
	if !ok || c.Dead {
		return
	}
	if e.Now.Sub(c.Since) >= token.ClaimLife {
		how = Undone
	}
	switch how {
	case Undone:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, 0, nil) })
		e.Waiting[c.Stage]++
		return
	case DiesFirst:
		e.dies(id, c)
		e.idle = e.Now // the deadline runs from the last loss
		return
	case Answered, AnsweredTwice, Unanswered, DiesAfter:
	}
	if !e.pay(c, id, cost) {
		return
	}
	r := e.answer()
	switch how {
	case DiesAfter:
		e.dies(id, c)
	case Unanswered:
		e.close(id, func(g token.Grant) token.Grant { return g.SettleUnknown(id) })
	case AnsweredTwice:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, cost, &r).Settle(id, cost, &r) })
	case Answered, Undone, DiesFirst:
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, cost, &r) })
	}
}

// dies leaves a claim to the reaper, and its work to other workers.
func (e *Engine) dies(id string, c Call) {
	c.Dead = true
	e.Open[id] = c
	e.Lost++
	e.Waiting[c.Stage]++
}

// pay makes the call; after a refusal the claim is closed and the work waits.
func (e *Engine) pay(c Call, id string, cost int) bool {
	unseen := e.Foreign - e.shown
	if !e.charge(c.Stage, cost) {
		if unseen == 0 && e.Clipped == 0 {
			e.Refused++
		}
		r := e.answer()
		e.close(id, func(g token.Grant) token.Grant { return g.Settle(id, 0, &r) })
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
				e.End(id, price(s), Answered)
				again = true
			}
		}
	}
	e.watch()
}

// Settle lets a new tokend ask, and explain the last reading.
func (e *Engine) Settle() error {
	e.Silent, e.Fault = false, nil
	e.TakeOver()
	return errors.Join(e.Turn(), e.Turn(), e.Turn())
}

// In returns the sum of the ledger's lines of an event of tokend's books.
func (e *Engine) In(event pipeline.Event) int {
	n := 0
	for _, l := range e.ledger {
		if l.Event == event {
			n += l.Tokens
		}
	}
	return n
}

// Explained returns the tokens that the ledger accounts for: closed calls, and drift.
func (e *Engine) Explained() int {
	n := e.In(pipeline.EventDrift)
	for _, g := range e.Grants {
		n += g.Settled
	}
	return n
}

// Vanished returns the tokens that expired, by the ledger.
func (e *Engine) Vanished() int { return e.In(pipeline.EventExpired) }
