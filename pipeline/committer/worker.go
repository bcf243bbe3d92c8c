package committer

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
)

// step is one commit under a claim of its own.
type step struct {
	*committer
	worker.Step
	doubt bool // a request for sellers may have cost tokens that no reading shows
}

// fact is the full record of a survivor, or the reason why it is missing.
type fact struct {
	Judge    *verdict.Judge
	Product  responses.Answer
	Sellers  []responses.Answer // the known ones, in the order of their IDs
	Spent    int                // tokens, if Keepa charged but knows no such product
	Missing  bool               // the answer lacks it
	Attempts token.Attempts     // of earlier calls
	Letters  []bus.Message      // dead letters of unreadable sellers
	Err      error              // retry later
}

// work commits one survivor after the other until ctx ends.
func (c *committer) work(ctx context.Context) error {
	return loop.Loop[worker.Unit, fact, worker.Effect]{
		Take: c.take, Read: worker.Read(pipeline.SchemaSurvivor), Decide: decideCommit,
		Apply: worker.ApplyAndCount(c.bus, c.status, c.env.Log), Postpone: worker.Postpone(c.env, c.status),
		DeadLetter: func(ctx context.Context, it loop.Item, reason string, cause error) error {
			c.status.Count("dead", 1)
			return c.bus.DeadLetter(ctx, string(pipeline.StageCommitter), it, reason, cause)
		},
		Progress: func() { c.status.Stepped(loopCommit) },
		Trace:    c.env.Trace, Name: loopCommit,
		Now: c.env.Now, Log: c.env.Log, Grace: c.cfg.Grace, Retry: 100 * time.Millisecond,
	}.Run(ctx)
}

func (c *committer) step() *step {
	return &step{committer: c, Step: worker.NewStep(c.env, c.status, &c.breaker, c.rules)}
}

// loopCommit names the committer's loop in its heartbeat.
const loopCommit = "commit"

// take claims the highest price of one commit and then takes one survivor.
func (c *committer) take(ctx context.Context) (batch loop.Batch[worker.Unit, fact], err error) {
	c.taking.Lock() // also while it waits; a stop ends the wait
	unlock := c.taking.Unlock
	defer func() { unlock() }()
	if c.breaker.Open() {
		c.waiter.ForBreaker(ctx)
		return batch, nil
	}
	backlogs, _, err := c.bus.RecentBacklogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return batch, err
	}
	tier, waits := c.tiers.next(func(t pipeline.Tier) bool {
		return c.waiter.Returns.Available(c.env, c.durable(t), backlogs[c.durable(t)]) > 0
	})
	wish, err := c.spender.Wish(ctx)
	if err != nil {
		return batch, err
	}
	if !waits {
		// Work that a failed call returned is still waiting.
		c.status.Observe(loopCommit, stall.Observation{Work: c.breaker.HalfOpen(), Tokens: true, Wish: wish == token.Run})
		c.waiter.ForWork(ctx)
		return batch, nil
	}
	s := c.step()
	if wish != token.Nospend {
		s.Claim, err = c.spender.Claim(ctx, token.PriceCommit, pipeline.KindCommit, 1)
		c.status.Observe(loopCommit, stall.Observation{Work: true, Tokens: !errors.Is(err, claims.ErrShort), Wish: wish == token.Run})
		if errors.Is(err, claims.ErrShort) {
			c.waiter.ForTokens(ctx)
			return batch, nil
		}
		if err != nil {
			return batch, err
		}
	}
	c.status.State("working")
	batch.Gather, batch.Release = s.gather, s.Release
	if s.Claim != nil && c.breaker.HalfOpen() { // one commit tests whether Keepa answers again: no other begins before it ends
		unlock = func() {}
		batch.Release = func(ctx context.Context) {
			defer c.taking.Unlock()
			s.Release(ctx)
		}
	}
	batch.Items, err = c.inlets[tier].Take(ctx, 1, 200*time.Millisecond)
	c.waiter.Returns.Took(c.durable(tier), 1, batch.Items)
	return batch, err
}

// gather finds or buys the full record, and then the sellers that an accepted deal needs. A step has one unit.
func (s *step) gather(ctx context.Context, units []worker.Unit) ([]fact, error) {
	if err := worker.AddQueries(ctx, s.bus, units); err != nil {
		return nil, err
	}
	facts := make([]fact, len(units))
	for i, u := range units {
		f, err := s.fetch(ctx, u)
		if err != nil {
			return nil, err
		}
		facts[i] = f
	}
	same := s.HoldRules()
	for i := range facts {
		f := &facts[i]
		if f.Judge = s.Judge; !same && f.Err == nil && f.Product.ID != "" {
			f.Err = worker.ErrRules // they may choose another copy, whose seller was not asked for; the answers are stored
		}
	}
	return facts, nil
}

// fetch returns the full record of one survivor and its sellers. Both
// are looked up in RESPONSES first and ordered before they are bought.
func (s *step) fetch(ctx context.Context, u worker.Unit) (fact, error) {
	stored, err := s.stored(ctx, u)
	if err != nil {
		return fact{}, err
	}
	if stored != nil {
		return s.enrich(ctx, u, *stored, 0, nil)
	}
	if s.Claim == nil {
		return fact{Err: worker.ErrNoSpend}, nil
	}
	mine, done, err := responses.Order(ctx, s.bus, u.Survivor.Domain, pipeline.KindCommit, []string{u.Survivor.ASIN}, s.life())
	if err != nil {
		return fact{}, errors.Join(err, s.Close(ctx, 0, nil))
	}
	defer done()
	if !mine[0] {
		return fact{Err: worker.ErrOrdered}, s.Close(ctx, 0, nil)
	}
	// A worker that ordered earlier may have bought it since the last lookup.
	if stored, err = s.stored(ctx, u); err != nil {
		return fact{}, errors.Join(err, s.Close(ctx, 0, nil))
	}
	if stored != nil {
		return s.enrich(ctx, u, *stored, 0, nil)
	}
	return s.buy(ctx, u)
}

// stored returns the full record that serves the work without a call; nil without one.
func (s *step) stored(ctx context.Context, u worker.Unit) (*responses.Answer, error) {
	now := s.env.Now()
	want := responses.Want{Key: u.Survivor.ASIN, WorkID: u.ID, Also: u.Survivor.AnswersOf, Limit: u.Limit(s.cfg.Fresh, now)}
	found, err := responses.Serving(ctx, s.bus, u.Survivor.Domain, pipeline.KindCommit, []responses.Want{want}, now)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// life is the lifetime of our orders, which ends with the claim.
func (s *step) life() time.Duration { return process.MachineUntil(s.Claim.Deadline()) }

// buy requests the full record from Keepa, unless this work was paid for as often as allowed.
func (s *step) buy(ctx context.Context, u worker.Unit) (fact, error) {
	domain, asin := u.Survivor.Domain, u.Survivor.ASIN
	attempts, err := responses.Outcomes(ctx, s.bus, domain, pipeline.KindCommit, []string{u.ID})
	if err != nil {
		return fact{}, errors.Join(err, s.Close(ctx, 0, nil))
	}
	f := fact{Attempts: attempts[u.ID]}
	if f.Attempts.Waits() {
		f.Err = worker.ErrPrice
	}
	if f.Err != nil || f.Attempts.Over() {
		return f, s.Close(ctx, 0, nil)
	}
	if err := responses.RecordAttempts(ctx, s.bus, domain, pipeline.KindCommit, []string{u.ID}, s.Claim.ID()); err != nil {
		return fact{}, errors.Join(err, s.Close(ctx, 0, nil))
	}
	answer, err := s.keepa.Products(ctx, s.Claim, domain, []string{asin}, true)
	bought := worker.Bought(s.Claim, domain, pipeline.KindCommit, answer)
	if err != nil {
		f.Err = err
		return f, errors.Join(worker.KeepFailed(ctx, s.bus, bought, err), s.CallFailed(ctx, err))
	}
	s.status.Paid(answer.Consumed)
	return s.keep(ctx, u, f, bought)
}

// keep stores the full record and continues with its sellers. The paid answer is only in
// memory, so it is stored before anything interprets it. A crash before that buys it again.
func (s *step) keep(ctx context.Context, u worker.Unit, f fact, bought *worker.Purchase) (fact, error) {
	all := keepa.CutProducts(bought.Body)
	found, extra := all.For([]string{u.Survivor.ASIN})
	if extra > 0 {
		s.status.Count("products_not_asked_for", extra)
	}
	bought.Odd = !all.Separated() || len(found) == 0
	var parts []responses.Answer
	e, ok := found[u.Survivor.ASIN]
	if ok {
		parts = append(parts, bought.Part(u.Survivor.ASIN, u.ID, e, bought.Consumed))
	}
	kept, err := bought.Keep(ctx, s.bus, parts)
	switch {
	case err != nil:
		return f, errors.Join(err, s.End(ctx, bought.Answer))
	case ok && bought.ConsumedKnown && bought.Answer.Part == nil:
		s.breaker.Succeeded()
		got, err := s.enrich(ctx, u, kept[0], bought.Consumed, bought.Reading)
		return got, err
	case ok && !bought.ConsumedKnown:
		// The rest of the claim is unknown: the product is stored, and
		// its sellers are requested under the next claim.
		f.Err = worker.ErrPrice
	case ok, all.Part != nil:
		f.Err = worker.ErrPart
	default:
		f.Missing, f.Spent = true, bought.Consumed
	}
	return f, s.End(ctx, bought.Answer)
}

// decideCommit translates a fact into effects.
func decideCommit(u worker.Unit, f fact, now time.Time) loop.Decision[worker.Effect] {
	cause := f.Err
	if f.Missing && f.Attempts.Answered+1 < pipeline.MaxPaid {
		cause = worker.ErrLeftOut
	}
	switch {
	case cause != nil:
		return loop.Decision[worker.Effect]{Again: cause}
	case f.Missing:
		return worker.Dead(conclude(u, decide.NotFound(f.Judge, pipeline.LookCommit, u.Work, f.Spent, now), f),
			decide.ReasonNotFound, "the paid answers did not contain it (`ratchet answer "+u.ID+"` prints them)")
	case f.Attempts.Over():
		return worker.Dead(conclude(u, decide.NoAnswer(f.Judge, pipeline.LookCommit, u.Work, now), f), decide.ReasonNoAnswer,
			worker.NoAnswer(u, f.Attempts))
	}
	// The cost is read from the answers, so that a repeat reports the same.
	cost := f.Product.CostTo(u.ID)
	sellers := make([]decide.Answer, len(f.Sellers))
	for i, s := range f.Sellers {
		sellers[i] = s.Evidence()
		cost += s.CostTo(u.ID)
	}
	return conclude(u, decide.Commit(f.Judge, u.Work, f.Product.Evidence(), sellers, cost, now), f)
}

func conclude(u worker.Unit, r decide.Decision, f fact) loop.Decision[worker.Effect] {
	e := u.Conclude(r.Verdict, "")
	e.Changed = r.Changed
	e.Messages = append(e.Messages, f.Letters...)
	d := loop.Decision[worker.Effect]{Out: []worker.Effect{e}}
	if r.Unreadable != nil {
		d = worker.Dead(d, r.Verdict.Reason, f.Product.Place()+": "+r.Unreadable.Error())
	}
	return d
}
